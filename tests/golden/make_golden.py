#!/usr/bin/env python3
"""Makes the numbers of tests/golden with PyTorch in double precision: loss, logits and the gradient of every parameter of four small networks.

usage: make_golden.py (in any folder; writes next to itself). Needs python3-torch; the tests need the numbers alone.

Weights come from a generator that C says as easily: x = x * 1664525 + 1013904223 modulo 2^32, beginning at 1, over all tensors in the order in which
they are listed; a weight is float32(((x >> 8) / 2^24 - 0.5) * 0.4), plus 1 for the weights of norms. Then ids and targets follow as x modulo V.
"""
import math
import pathlib

import numpy as np
import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)
B, T, V, C, H = 2, 12, 29, 16, 4
D = C // H


class Generator:
    def __init__(self):
        self.x = 1

    def next(self):
        self.x = (self.x * 1664525 + 1013904223) % 2**32
        return self.x

    def tensor(self, shape, base):
        values = [float(np.float32(((self.next() >> 8) / 2**24 - 0.5) * 0.4)) for _ in range(math.prod(shape))]
        values = [float(np.float32(np.float32(value) + np.float32(base))) for value in values] if base else values
        return torch.tensor(values).reshape(shape).requires_grad_()


def llama_shapes(kv, hidden, untied):
    shapes = {"token_embd.weight": (V, C)}
    for i in range(2):
        shapes |= {f"blk.{i}.attn_norm.weight": (C,), f"blk.{i}.attn_q.weight": (C, C), f"blk.{i}.attn_k.weight": (kv * D, C),
                   f"blk.{i}.attn_v.weight": (kv * D, C), f"blk.{i}.attn_output.weight": (C, C), f"blk.{i}.ffn_norm.weight": (C,),
                   f"blk.{i}.ffn_gate.weight": (hidden, C), f"blk.{i}.ffn_up.weight": (hidden, C), f"blk.{i}.ffn_down.weight": (C, hidden)}
    shapes["output_norm.weight"] = (C,)
    return shapes | ({"output.weight": (V, C)} if untied else {})


def gpt_shapes(fused, hidden):
    shapes = {"token_embd.weight": (V, C), "position_embd.weight": (T, C)}
    for i in range(2):
        shapes |= {f"blk.{i}.attn_norm.weight": (C,), f"blk.{i}.attn_norm.bias": (C,)}
        if fused:
            shapes |= {f"blk.{i}.attn_qkv.weight": (3 * C, C), f"blk.{i}.attn_qkv.bias": (3 * C,)}
        else:
            shapes |= {f"blk.{i}.attn_{part}.weight": (C, C) for part in "qkv"}
        shapes |= {f"blk.{i}.attn_output.weight": (C, C), f"blk.{i}.attn_output.bias": (C,), f"blk.{i}.ffn_norm.weight": (C,),
                   f"blk.{i}.ffn_norm.bias": (C,), f"blk.{i}.ffn_up.weight": (hidden, C), f"blk.{i}.ffn_up.bias": (hidden,),
                   f"blk.{i}.ffn_down.weight": (C, hidden), f"blk.{i}.ffn_down.bias": (C,)}
    return shapes | {"output_norm.weight": (C,), "output_norm.bias": (C,)}


def rms_norm(x, weight):
    return x / torch.sqrt((x * x).mean(-1, keepdim=True) + 1e-5) * weight


def layer_norm(x, weight, bias):
    return F.layer_norm(x, (C,), weight, bias, 1e-5)


def rotate(x, base):
    """x (B, heads, T, D): adjacent pairs turned."""
    angles = torch.arange(T)[:, None] * base ** (-torch.arange(0, D, 2) / D)
    a, b = x[..., 0::2], x[..., 1::2]
    return torch.stack([a * angles.cos() - b * angles.sin(), a * angles.sin() + b * angles.cos()], -1).flatten(-2)


def attend(q, k, v, scale, window):
    """q (B, H, T, D), k and v (B, K, T, D)"""
    group = q.shape[1] // k.shape[1]
    k, v = k.repeat_interleave(group, 1), v.repeat_interleave(group, 1)
    distance = torch.arange(T)[:, None] - torch.arange(T)[None]
    scores = (q @ k.transpose(-2, -1) * scale).masked_fill((distance < 0) | (distance >= window), -math.inf)
    return (scores.softmax(-1) @ v).transpose(1, 2).reshape(B, T, C)


def heads(x):
    return x.reshape(B, T, -1, D).transpose(1, 2)


def llama(w, ids, base, untied):
    x = w["token_embd.weight"][ids]
    for i in range(2):
        p = {name.split(".")[2]: value for name, value in w.items() if name.startswith(f"blk.{i}.")}
        h = rms_norm(x, p["attn_norm"])
        q, k, v = (heads(h @ p[f"attn_{part}"].T) for part in "qkv")
        x = x + attend(rotate(q, base), rotate(k, base), v, 1 / math.sqrt(D), T) @ p["attn_output"].T
        h = rms_norm(x, p["ffn_norm"])
        x = x + (F.silu(h @ p["ffn_gate"].T) * (h @ p["ffn_up"].T)) @ p["ffn_down"].T
    return rms_norm(x, w["output_norm.weight"]) @ w["output.weight" if untied else "token_embd.weight"].T


def gpt(w, ids, fused, window):
    x = w["token_embd.weight"][ids] + w["position_embd.weight"]
    for i in range(2):
        p = {name.split(".", 2)[2]: value for name, value in w.items() if name.startswith(f"blk.{i}.")}
        h = layer_norm(x, p["attn_norm.weight"], p["attn_norm.bias"])
        if fused:
            q, k, v = (heads(part) for part in (h @ p["attn_qkv.weight"].T + p["attn_qkv.bias"]).split(C, -1))
        else:
            q, k, v = (heads(h @ p[f"attn_{part}.weight"].T) for part in "qkv")
        attended = attend(q, k, v, 1 / math.sqrt(D) if fused else 1.0, window if i % 2 else T)
        x = x + attended @ p["attn_output.weight"].T + p["attn_output.bias"]
        h = layer_norm(x, p["ffn_norm.weight"], p["ffn_norm.bias"])
        x = x + F.gelu(h @ p["ffn_up.weight"].T + p["ffn_up.bias"], approximate="tanh") @ p["ffn_down.weight"].T + p["ffn_down.bias"]
    return layer_norm(x, w["output_norm.weight"], w["output_norm.bias"]) @ w["token_embd.weight"].T


def write(name, shapes, network):
    generator = Generator()
    w = {key: generator.tensor(shape, 1.0 if "norm.weight" in key else 0.0) for key, shape in shapes.items()}
    ids = torch.tensor([generator.next() % V for _ in range(B * T)]).reshape(B, T)
    targets = torch.tensor([generator.next() % V for _ in range(B * T)]).reshape(B, T)
    targets[0, 5] = -1
    logits = network(w, ids)
    loss = F.cross_entropy(logits.reshape(-1, V), targets.reshape(-1), ignore_index=-1)
    loss.backward()
    rows = {"ids": ids, "targets": targets, "loss": loss.detach(), "logits": logits[:, -1].detach()} | {key: value.grad for key, value in w.items()}
    with open(pathlib.Path(__file__).with_name(name + ".txt"), "w") as file:
        file.write("# Made by make_golden.py; a name, the number of its values, the values.\n")
        for key, value in rows.items():
            numbers = value.reshape(-1).tolist()
            file.write(f"{key} {len(numbers)} " + " ".join(f"{number:.9g}" for number in numbers) + "\n")


def write_adamw():
    generator = Generator()
    w = generator.tensor((7,), 0.0)
    optimizer = torch.optim.AdamW([w], lr=0.01, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.1)
    with open(pathlib.Path(__file__).with_name("adamw.txt"), "w") as file:
        file.write("# Made by make_golden.py: 7 weights, then for each of 3 steps the gradient and the weights after it.\n")
        file.write("weights 7 " + " ".join(f"{x:.9g}" for x in w.tolist()) + "\n")
        for step in range(3):
            w.grad = generator.tensor((7,), 0.0).detach()
            file.write(f"gradient{step} 7 " + " ".join(f"{x:.9g}" for x in w.grad.tolist()) + "\n")
            optimizer.step()
            file.write(f"weights{step} 7 " + " ".join(f"{x:.9g}" for x in w.tolist()) + "\n")


write("llama", llama_shapes(2, 24, False), lambda w, ids: llama(w, ids, 10000.0, False))
write("llama_untied", llama_shapes(4, 24, True), lambda w, ids: llama(w, ids, 500000.0, True))
write("gpt2", gpt_shapes(True, 64), lambda w, ids: gpt(w, ids, True, T))
write("gpt_neo", gpt_shapes(False, 64), lambda w, ids: gpt(w, ids, False, 5))
write_adamw()
