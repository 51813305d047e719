#!/usr/bin/env python3
"""Holds greedy stories of a GGUF of ours against llama.cpp's: token by token, up to the first near tie. Needs pip's llama-cpp-python and numpy.

usage: PYTHONPATH=bindings/python python3 tests/bench/llama_cpp_greedy.py MODEL.gguf [TOKENS]
Prints for every prompt how many tokens agree, and at the first that does not: by how much llama.cpp's logits of the two tokens differ, beside the greatest
difference of any logit between the two programs up to there (what one rounds otherwise than the other). Exit status 1 if a difference is no near tie.
"""
import sys

import llama_cpp
import numpy as np

import tinystories as ts

path, count = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 100
prompts = ["Once upon a time", "Lily found a red ball", "Tom was sad because", "One day, a dog", "The little bird said"]
model = ts.Model.open(path)
tokenizer = model.tokenizer
peer = llama_cpp.Llama(path, n_ctx=512, logits_all=True, verbose=False, n_threads=2)
failed = False
for prompt in prompts:
    ids = [tokenizer.begin_of_text] + list(tokenizer.encode(prompt))
    if list(peer.tokenize(prompt.encode(), add_bos=False, special=False)) != ids[1:]:
        print(f"{prompt!r}: llama.cpp's tokens differ")
        failed = True
    told, agree, most = list(ids), 0, 0.0
    peer.reset()
    peer.eval(ids)
    while agree < count:
        theirs = np.array(peer.scores[len(told) - 1])
        ours = np.asarray(model.logits(told))[-1]
        a, b = int(ours.argmax()), int(theirs.argmax())
        most = max(most, float(np.abs(ours - theirs).max()))
        if a != b:
            gap = float(theirs[b] - theirs[a])
            failed = failed or gap > 2 * most
            print(f"{prompt!r}: {agree} tokens agree, then {a} or {b}: logits {gap:.2g} apart, programs at most {most:.2g}")
            break
        told.append(a)
        agree += 1
        peer.eval([a])
    else:
        print(f"{prompt!r}: all {count} tokens agree; logits differ by at most {most:.2g}")
sys.exit(failed)
