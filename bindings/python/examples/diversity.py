#!/usr/bin/env python3
"""How much of what a model writes is copied (paper section 4.4): stories that it learned from are drawn and cut, it goes on from their beginnings, and what it writes is
set against how they truly go on, against each other, and against the whole text.

usage: diversity.py MODEL STORIES [COUNT]      STORIES: the text that the model learned from
"""
import sys

import tinystories as ts

INDEX = "stories.index.gguf"  # made once, for every model that learned from the text


def main():
    if len(sys.argv) < 3:
        print("usage: diversity.py MODEL STORIES [COUNT]", file=sys.stderr)
        sys.exit(2)
    model, stories, count = sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 100
    ts.Novelty.build(stories, INDEX)
    with ts.Model.open(model) as opened, ts.Sampler(opened, temperature=1) as sampler, ts.Novelty(INDEX) as novelty, ts.Diversity(novelty) as diversity:
        for seed, story in enumerate(ts.read_beginnings(stories, model=opened, count=count)):
            diversity.add(sampler.tell(story.beginning, seed=seed), story.ending)
        found = diversity.measure()
    print(f"{found['completions']} completions")
    if found["mean_nearest_precision"] is None:
        print("of which none has two words")
        return
    print(f"of their pairs of words {100 * found['mean_ending_precision']:.1f} % are in the true ending, {100 * found['mean_nearest_precision']:.1f} % in the nearest story of the text")
    print(f"the longest run of words that the text has too: {found['mean_copied_words']:.1f} words, at most {found['max_copied_words']}")
    for one in found["grams"]:
        print(f"{one['k']} words in a row that the text never has: {100 * one['never'] / max(one['count'], 1):.1f} %")


try:
    main()
except (ts.Error, ValueError) as error:
    sys.exit(f"{sys.argv[0]}: {error}")
