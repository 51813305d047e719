#!/usr/bin/env python3
"""Writes tests/text/word_cases.h: awkward strings and how GPT-2's regular expression divides them, by Python's regex module.

usage: make_word_cases.py > tests/text/word_cases.h
"""
import random

import regex

WORD = regex.compile(r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+")
PIECES = [
    "'s", "'t", "'re", "'ve", "'m", "'ll", "'d", "'", "'S", "'r", "'l", "a", "b", "Z", "\u00e9", "\u00df", "\u4e2d", "\u0627", "\u0663", "\u00bd",
    "\u00b2", "1", "9", " ", " ", "  ", "\n", "\r\n", "\t", "\v", "\f", "\x1c", "\x1f", "\x85", "\u00a0", "\u1680", "\u180e", "\u2003", "\u2028",
    "\u200b", "\u202f", "\u3000", "\ufeff", "!", "_", "-", "\u2026", "\u0301", "\U0001f999", "\U0001d400", "\x7f", "\u1fb3", "\u02b0", "\u2167",
    "\u3007",
]
ASIDE = [
    "I'll say it's 3 o'clock, we've 12 cats!", "   ", " x", "x ", "  x  ",
    "\n\nThe end.\n", "don't DON'T", "''s", " 's", "a'll'll", "a'vx'rx'lx'v", "\u00a0\u00a0a",
]


def literal(text):
    return '"' + "".join(f"\\{byte:03o}" if byte < 32 or byte > 126 or byte in b'"\\?' else chr(byte) for byte in text.encode()) + '"'


dice = random.Random(7)
cases = ASIDE + ["".join(dice.choice(PIECES) for _ in range(dice.randint(1, 10))) for _ in range(200)]
print("/* Made by tests/text/make_word_cases.py; don't edit. A text and the bytes of each of its words, 0 at the end. */")
print("static const struct {\n    const char *text;\n    unsigned char words[40];\n} word_cases[] = {")
for case in cases:
    lengths = [len(word.encode()) for word in WORD.findall(case)]
    assert len(lengths) < 40 and sum(lengths) == len(case.encode())
    print(f"    {{{literal(case)}, {{{', '.join(map(str, lengths))}}}}},")
print("};")
