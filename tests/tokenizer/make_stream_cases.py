#!/usr/bin/env python3
"""Writes tests/tokenizer/stream_cases.h: bytes that are hardly UTF-8 and what Python's bytes.decode("utf-8", "replace") makes of them.

usage: make_stream_cases.py > tests/tokenizer/stream_cases.h
"""
import random

WHOLE = ["A", "\u00e9", "\u20ac", "\U0001f999", "\u0000", "\ud7ff", "\ue000", "\ufffd", "\uffff", "\U0010ffff"]
EDGES = [0x00, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xED, 0xEE, 0xEF, 0xF0, 0xF1, 0xF4, 0xF5, 0xFF]
dice = random.Random(9)


def case():
    data = b""
    for _ in range(dice.randint(1, 5)):
        character = dice.choice(WHOLE).encode()
        kind = dice.randint(0, 2)
        if kind == 0:
            data += character
        elif kind == 1:
            data += character[: dice.randint(1, 4)]
        else:
            data += bytes(dice.choice(EDGES) for _ in range(dice.randint(1, 4)))
    return data


def literal(data):
    return '"' + "".join(f"\\{byte:03o}" for byte in data) + '"'


print("/* Made by tests/tokenizer/make_stream_cases.py; don't edit. Bytes, and the text that they become. */")
print("static const struct {\n    size_t size;\n    const char *bytes;\n    size_t text_size;\n    const char *text;\n} stream_cases[] = {")
for data in [b"", *(case() for _ in range(300))]:
    text = data.decode("utf-8", "replace").encode()
    row = f"    {{{len(data)}, {literal(data)}, {len(text)},"
    text = literal(text) + "},"
    print(row + (" " if len(row) + len(text) < 150 else "\n     ") + text)
print("};")
