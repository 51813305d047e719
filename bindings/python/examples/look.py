#!/usr/bin/env python3
"""Tells which head counts most for the next token, by silencing each in turn: look.py MODEL.gguf [PROMPT]"""
import sys

import tinystories as ts

if not 2 <= len(sys.argv) <= 3:
    print(__doc__, file=sys.stderr)
    sys.exit(2)
prompt = sys.argv[2] if len(sys.argv) > 2 else "Once upon a time, there was a little girl named"
try:
    with ts.Model.open(sys.argv[1]) as model:
        begin = model.tokenizer.begin_of_text  # not every model has one
        ids = [*([] if begin is None else [begin]), *model.tokenizer.encode(prompt)]
        logits = model.logits(ids).tolist()[-1]
        token = max(range(len(logits)), key=logits.__getitem__)
        print(f"the likeliest next token is {model.tokenizer.token(token).decode('utf-8', 'replace')!r}, its logit {logits[token]:.3f}; without a head:")
        shape = model.architecture
        for layer in range(shape.layers):
            for head in range(shape.heads):

                def silence(tap: ts.analysis.Tap) -> None:
                    for position in range(tap.shape[0]):
                        for column in range(tap.shape[2]):
                            tap[position, head, column] = 0

                changed = ts.analysis.run(model, ids, {f"blocks.{layer}.attention.heads": silence}).tolist()[-1]
                print(f"layer {layer:2}, head {head:2}: {changed[token] - logits[token]:+.3f}")
except (ts.Error, ValueError) as error:
    sys.exit(f"{sys.argv[0]}: {error}")
