"""What required words cost: stories that must hold three random words against free ones, in bits per byte under the free model.

usage: PYTHONPATH=bindings/python python3 tests/bench/required_words.py MODEL WORDS [--count 200] [--within 0] [--seed 1] [--show 5]
    WORDS  a file with a word a line
"""

import argparse
import random
import re

import tinystories as ts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("words")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--within", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--temperature", type=float, default=0.8)
    parser.add_argument("--show", type=int, default=5)
    arguments = parser.parse_args()
    with open(arguments.words, encoding="utf-8") as file:
        words = [word for word in file.read().split() if word.isalpha()]
    model, draw = ts.Model.open(arguments.model), random.Random(arguments.seed)
    sampler = ts.Sampler(model, temperature=arguments.temperature)
    prompt, free, steered, held, lengths = "Once upon a time", [], [], 0, [0, 0]
    for i in range(arguments.count):
        triple = draw.sample(words, 3)
        free.append(prompt + sampler.require().tell(prompt, seed=i))
        story = prompt + sampler.require(*triple, within=arguments.within).tell(prompt, seed=i)
        steered.append(story)
        whole = all(re.search(rf"(?<![^\W_]){re.escape(word)}(?![^\W_])", story, re.IGNORECASE) for word in triple)
        held += whole
        if i < arguments.show or not whole:
            print(f"[{', '.join(triple)}]{'' if whole else ' NOT ALL'} {story}\n")
    before, after = model.score(free), model.score(steered)
    words_free, words_steered = (sum(len(story.split()) for story in stories) / len(stories) for stories in (free, steered))
    print(f"all words: {held} of {arguments.count}; bits per byte {before.bits_per_byte:.4f} free, {after.bits_per_byte:.4f} with the words "
          f"({100 * (after.bits_per_byte / before.bits_per_byte - 1):+.1f} %); words a story {words_free:.0f} and {words_steered:.0f}")


if __name__ == "__main__":
    main()
