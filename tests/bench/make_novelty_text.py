#!/usr/bin/env python3
"""Makes a text of gigabytes of a small one, repeated and varied, the same for the same seed. usage: make_novelty_text.py TRAIN.txt MEGABYTES OUT.txt [SEED]

Words of the text are exchanged for others of it in 24 variants; every story of every repetition takes each of its sentences from one of the variants, and one in
four from another story's same position.
"""
import random
import re
import sys

VARIANTS = 24
source, size, out = sys.argv[1], int(float(sys.argv[2]) * 1e6), sys.argv[3]
chance = random.Random(int(sys.argv[4]) if len(sys.argv) > 4 else 1)
stories = [story.strip() for story in open(source, encoding="utf-8").read().split("<|endoftext|>")]
stories = [re.split(r"(?<=[.!?]) ", story) for story in stories if story]
words = sorted({word for story in stories for word in re.findall(r"[A-Za-z]{4,}", " ".join(story))})
variants = [stories]
for _ in range(VARIANTS - 1):
    exchanged = {word: chance.choice(words) for word in chance.sample(words, len(words) // 3)}
    variants.append([[re.sub(r"[A-Za-z]{4,}", lambda match: exchanged.get(match.group(), match.group()), sentence) for sentence in story] for story in stories])
written = 0
with open(out, "w", encoding="utf-8") as file:
    while written < size:
        order = list(range(len(stories)))
        chance.shuffle(order)
        pieces = []
        for number, other in enumerate(order):
            variant, guest = variants[int(chance.random() * VARIANTS)][number], variants[int(chance.random() * VARIANTS)][other]
            limit = len(guest)
            pieces.append(" ".join([guest[i] if i < limit and chance.random() < 0.25 else sentence for i, sentence in enumerate(variant)]))
        text = "\n<|endoftext|>\n".join(pieces) + "\n<|endoftext|>\n"
        file.write(text)
        written += len(text.encode())
