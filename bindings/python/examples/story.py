#!/usr/bin/env python3
"""Tells a story: story.py MODEL.gguf [PROMPT [SEED]]"""
import sys

import tinystories as ts

if not 2 <= len(sys.argv) <= 4:
    print(__doc__, file=sys.stderr)
    sys.exit(2)
prompt = sys.argv[2] if len(sys.argv) > 2 else "Once upon a time"
try:
    with ts.Model.open(sys.argv[1]) as model, ts.Sampler(model, temperature=0.8, top_p=0.95) as sampler:
        print(prompt, end="", flush=True)
        for piece in sampler.start(prompt, seed=int(sys.argv[3]) if len(sys.argv) > 3 else 0):
            print(piece, end="", flush=True)
        print()
except (ts.Error, ValueError) as error:
    sys.exit(f"{sys.argv[0]}: {error}")
