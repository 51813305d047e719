#!/usr/bin/env python3
"""Sets models side by side: their losses on a text and the power law through them (paper section 6), and what they make of short prompts that ask for facts, reasoning and
context (figures 9 to 11), marked by rule, with a sign test between the first model and each other. `study.grid` trains such models first.

usage: study.py TEXT QUESTIONS MODEL...      QUESTIONS: such as examples/study_prompts.txt
"""
import sys

import tinystories as ts
from tinystories import study


def main():
    if len(sys.argv) < 4:
        print("usage: study.py TEXT QUESTIONS MODEL...", file=sys.stderr)
        sys.exit(2)
    text, questions, paths = sys.argv[1], study.Questions(sys.argv[2]), sys.argv[3:]
    models = {path: ts.Model.open(path) for path in paths}
    marked = study.prompts(models, questions)["prompts"]
    right = {path: [one["completions"][i]["mark"] == "right" for one in marked] for i, path in enumerate(models)}
    partly = {path: sum(one["completions"][i]["mark"] == "partly" for one in marked) for i, path in enumerate(models)}
    sizes, losses = [], []
    for path, model in models.items():
        sizes.append(model.parameters)
        losses.append(model.score_files(text).bits_per_byte)
        line = f"{path}: {sizes[-1]} parameters, {losses[-1]:.4f} bits per byte, {sum(right[path])} right and {partly[path]} partly of {len(questions)}"
        pairs = list(zip(right[path], right[paths[0]]))
        if path != paths[0]:
            line += f", against the first p = {study.sign_test(pairs.count((True, False)), pairs.count((False, True))):.3f}"
        print(line)
    if len(set(sizes)) > 2:
        law = study.power_law(sizes, losses)
        print(f"bits per byte = {law.factor:.4g} parameters^{law.exponent:.4f} ({law.exponent_low:.4f} to {law.exponent_high:.4f})")


try:
    main()
except (ts.Error, ValueError) as error:
    sys.exit(f"{sys.argv[0]}: {error}")
