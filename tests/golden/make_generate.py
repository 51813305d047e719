#!/usr/bin/env python3
"""Makes tests/golden/huggingface/NAME/generate.txt: what transformers' generate() goes on with, greedy, from a prompt without the beginning of text.

usage: make_generate.py TOKENIZER.json, after make_huggingface.py, with the tokenizer of 272 tokens that tests/model/test_huggingface_model.c trains. Needs torch, transformers
and tokenizers. A line: the number of the prompt's ids, these, and those that were told after them, up to 24 in all.
"""
import pathlib
import sys

import tokenizers
import torch
import transformers

folder = pathlib.Path(__file__).with_name("huggingface")
words = tokenizers.Tokenizer.from_file(sys.argv[1])
for name in ("gpt_neo", "gpt2"):
    model = transformers.AutoModelForCausalLM.from_pretrained(folder / name, torch_dtype=torch.float32).eval()
    with open(folder / name / "generate.txt", "w") as file:
        for prompt in ("The cat", "Lily and Ben", "One day a bird", "x"):
            ids = words.encode(prompt).ids
            told = model.generate(torch.tensor([ids]), do_sample=False, max_length=24, eos_token_id=0, pad_token_id=0)[0].tolist()
            told = told[: told.index(0)] if 0 in told else told
            file.write(" ".join(map(str, [len(ids), *told])) + "\n")
