#!/usr/bin/env python3
"""Makes tests/golden/huggingface: small models with random weights as transformers writes them, and the logits that transformers gives for them.

usage: make_huggingface.py [NAME...]: those folders, or all of them. Needs torch, transformers (4.36) and safetensors; the tests need the files alone.

Each folder has config.json and model.safetensors (or parts and an index). logits.txt has 20 sequences of ids of 24 positions, and for every position the logits of
the ids 0, 34, 68, ...; all.txt has all logits of the first one. The weights are larger than transformers draws them, so that all of the network matters.
"""
import pathlib
import shutil
import sys

import torch
import transformers

V, T, STEP, TEXTS = 272, 24, 34, 20
folder = pathlib.Path(__file__).with_name("huggingface")


def gpt_neo(**other):
    return transformers.GPTNeoForCausalLM(transformers.GPTNeoConfig(
        vocab_size=V, max_position_embeddings=T, hidden_size=16, num_layers=4, num_heads=4, window_size=5, attention_types=[[["global", "local"], 2]],
        bos_token_id=0, eos_token_id=0, **other))


def gpt2(**other):
    return transformers.GPT2LMHeadModel(transformers.GPT2Config(vocab_size=V, n_positions=T, n_embd=16, n_layer=2, n_head=4, bos_token_id=0, eos_token_id=0, **other))


def llama(**other):
    return transformers.LlamaForCausalLM(transformers.LlamaConfig(vocab_size=V, max_position_embeddings=T, hidden_size=16, num_hidden_layers=2, num_attention_heads=4,
                                                                  intermediate_size=24, bos_token_id=0, eos_token_id=0, **other))


# name: the model, the type of the file, bytes of a part
MODELS = {
    "gpt_neo": (lambda: gpt_neo(), torch.float32, "1GB"),
    "gpt_neo_parts": (lambda: gpt_neo(intermediate_size=40), torch.float16, "12KB"),
    "gpt_neo_untied": (lambda: gpt_neo(tie_word_embeddings=False), torch.bfloat16, "1GB"),
    "gpt2": (lambda: gpt2(), torch.float32, "1GB"),
    "gpt2_untied": (lambda: gpt2(n_inner=24, tie_word_embeddings=False), torch.bfloat16, "1GB"),
    "llama": (lambda: llama(tie_word_embeddings=True), torch.float32, "1GB"),
    "llama_grouped": (lambda: llama(num_key_value_heads=2, rope_theta=500000.0, rms_norm_eps=1e-5), torch.bfloat16, "1GB"),
}


def write(name, make, dtype, part):
    torch.manual_seed(len(name))
    model = make().eval()
    with torch.no_grad():
        for key, value in model.named_parameters():
            base = 1.0 if "norm" in key and "bias" not in key or ("ln_" in key and key.endswith("weight")) else 0.0
            value.copy_((base + torch.randn_like(value) * (0.1 if value.ndim == 1 else 0.3)).to(dtype).float())
    where = folder / name
    shutil.rmtree(where, ignore_errors=True)
    ids = torch.randint(0, V, (TEXTS, T))
    with torch.no_grad():
        logits = model(ids).logits
    model.to(dtype).save_pretrained(where, max_shard_size=part, safe_serialization=True)
    (where / "generation_config.json").unlink(missing_ok=True)
    with open(where / "logits.txt", "w") as file:
        for row, values in zip(ids.tolist(), logits[:, :, ::STEP]):
            file.write(" ".join(map(str, row)) + "\n" + " ".join(f"{x:.7g}" for x in values.reshape(-1).tolist()) + "\n")


def write_all(name):
    """Of what is in the folder: the model as it was written, the first ids of logits.txt."""
    where = folder / name
    model = transformers.AutoModelForCausalLM.from_pretrained(where, dtype=torch.float32).eval()
    with open(where / "logits.txt") as file:
        ids = torch.tensor([list(map(int, file.readline().split()))])
    with torch.no_grad():
        logits = model(ids).logits[0]
    (where / "all.txt").write_text("\n".join(" ".join(f"{x:.7g}" for x in row) for row in logits.tolist()) + "\n")


for name, (make, dtype, part) in MODELS.items():
    if name in sys.argv[1:] or not sys.argv[1:]:
        write(name, make, dtype, part)
    write_all(name)
