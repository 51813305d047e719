#!/usr/bin/env python3
"""Trains a tokenizer and a model: train.py STORIES.txt MODEL.gguf [MINUTES]. Ctrl-C stops early; the model is written all the same."""
import sys

import tinystories as ts

if not 3 <= len(sys.argv) <= 4:
    print(__doc__, file=sys.stderr)
    sys.exit(2)
text, out = sys.argv[1:3]


def show(report: ts.Report) -> None:
    bits, speed = report.bits_per_byte, report.tokens_per_second
    print(f"step {report.step:5}  loss {report.loss:.3f}  {bits:.3f} bits per byte  {speed:,.0f} tokens/s", flush=True)


try:
    minutes = float(sys.argv[3]) if len(sys.argv) > 3 else 1.0
    runtime = ts.Runtime(threads=0)
    tokenizer = ts.Tokenizer.train_files(text, vocabulary_size=4096, runtime=runtime)
    with ts.Trainer(tokenizer, "laptop-0.3m", text=text, runtime=runtime, max_seconds=60 * minutes) as trainer:
        try:
            trainer.run(show)
        except KeyboardInterrupt:
            print("stopped")
        trainer.snapshot().save(out)
    print(f"{out}: {ts.Model.open(out).parameters:,} parameters")
except (ts.Error, ValueError) as error:
    sys.exit(f"{sys.argv[0]}: {error}")
