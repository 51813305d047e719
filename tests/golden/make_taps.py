#!/usr/bin/env python3
"""Makes tests/golden/huggingface/*/taps.txt: what transformers computes on its way for the models that make_huggingface.py wrote.

usage: make_taps.py. Needs torch and transformers (4.36); the tests need the files alone.

A line of ids, then lines "NAME LAYER VALUES...": for every layer `weights` (heads, queries, keys, those up to the query alone, from output_attentions), `heads`
(positions, width: what goes into the output matrix), `neurons` (positions, hidden: what goes into the MLP's last matrix) and `output` (positions, width: what the
block gives), the last three by hooks.
"""
import pathlib

import torch
import transformers

T = 10
folder = pathlib.Path(__file__).with_name("huggingface")
# Of a model: its blocks, and of a block the output matrices of attention and MLP.
PLACES = {
    "gpt_neo": (lambda model: model.transformer.h, lambda block: block.attn.attention.out_proj, lambda block: block.mlp.c_proj),
    "gpt2": (lambda model: model.transformer.h, lambda block: block.attn.c_proj, lambda block: block.mlp.c_proj),
    "llama_grouped": (lambda model: model.model.layers, lambda block: block.self_attn.o_proj, lambda block: block.mlp.down_proj),
}


def write(name, blocks_of, attention_of, mlp_of):
    model = transformers.AutoModelForCausalLM.from_pretrained(folder / name, torch_dtype=torch.float32, attn_implementation="eager").eval()
    found = {}
    for layer, block in enumerate(blocks_of(model)):
        attention_of(block).register_forward_pre_hook(lambda module, inputs, layer=layer: found.__setitem__(("heads", layer), inputs[0][0]))
        mlp_of(block).register_forward_pre_hook(lambda module, inputs, layer=layer: found.__setitem__(("neurons", layer), inputs[0][0]))
        block.register_forward_hook(lambda module, inputs, output, layer=layer: found.__setitem__(("output", layer), output[0][0]))
    ids = torch.tensor([[(37 * i + 5) % 272 for i in range(T - 2)] + [5, 42]])
    with torch.no_grad():
        attentions = model(ids, output_attentions=True).attentions
    with open(folder / name / "taps.txt", "w") as file:
        file.write(" ".join(map(str, ids[0].tolist())) + "\n")
        for layer, weights in enumerate(attentions):
            seen = [weights[0, head, query, : query + 1].tolist() for head in range(weights.shape[1]) for query in range(T)]
            values = {"weights": sum(seen, []), **{key: found[key, layer].reshape(-1).tolist() for key in ("heads", "neurons", "output")}}
            for key, numbers in values.items():
                file.write(f"{key} {layer} " + " ".join(f"{x:.7g}" for x in numbers) + "\n")


for name, places in PLACES.items():
    write(name, *places)
