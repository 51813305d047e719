#!/usr/bin/env python3
"""Grades what a model writes: by GPT-4 when OPENAI_API_KEY is set, else by the embedded judge, which needs no network (and whose grades are another thing).

usage: score.py MODEL PROMPTS [STORIES]      STORIES: text that the embedded judge learns its language from, such as the training text
"""
import os
import sys

import tinystories as ts

COMPLETIONS = 3


def make_evaluator(stories):
    key = os.environ.get("OPENAI_API_KEY")
    if not key:
        return ts.Evaluator(text=stories), "the embedded judge"
    # The key's owner pays: replies are kept in score.journal, and the same call again asks for nothing that is there.
    chat = ts.Chat(model="gpt-4", journal="score.journal", key=key, base_url=os.environ.get("OPENAI_BASE_URL") or None)
    return ts.Evaluator(chat=chat), "gpt-4"


def main():
    if len(sys.argv) < 3:
        print("usage: score.py MODEL PROMPTS [STORIES]", file=sys.stderr)
        sys.exit(2)
    model, prompts = ts.Model.open(sys.argv[1]), ts.read_prompts(sys.argv[2])
    evaluator, judge = make_evaluator(sys.argv[3] if len(sys.argv) > 3 else None)
    with evaluator, ts.Sampler(model, temperature=1) as sampler:
        for i in range(len(prompts) * COMPLETIONS):
            prompt = prompts[i // COMPLETIONS]
            evaluator.add("".join(sampler.start(prompt, seed=i)), prompt=prompt, model=sys.argv[1])
        evaluator.run()
        result = evaluator.evaluate()
    print(f"{result.outcomes['scored']} of {result.records} completions graded by {judge}")
    for axis, grade in result.grades.items():
        if grade.mean is not None:
            print(f"{axis:12} {grade.mean:5.2f} of 10   " + (f"({grade.low:.2f} to {grade.high:.2f})" if grade.low is not None else ""))


try:
    main()
except (ts.Error, ValueError) as error:
    sys.exit(f"{sys.argv[0]}: {error}")
