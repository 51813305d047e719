#!/usr/bin/env python3
"""Writes lib/text/unicode_tables.h: ranges of letters, numbers, white space, marks and punctuation of Unicode, from Python's own database.

usage: make_unicode_tables.py > lib/text/unicode_tables.h
"""
import sys
import unicodedata

# White space as \s of the regular expressions of GPT-2's tokenizer: the property White_Space.
SPACES = [*range(0x09, 0x0E), 0x20, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F, 0x3000]

# What \w of regular expressions holds besides letters, numbers and punctuation: marks, joiners, and the symbols that are Other_Alphabetic.
JOINERS = {0x200C, 0x200D}
LETTERLIKE = {*range(0x24B6, 0x24EA), *range(0x1F130, 0x1F14A), *range(0x1F150, 0x1F16A), *range(0x1F170, 0x1F18A)}


def ranges(member):
    found, start = [], None
    for code in range(0x110000):
        if member(code):
            start = code if start is None else start
        elif start is not None:
            found.append((start, code - 1))
            start = None
    return found


MOST = 1 << 11  # characters that a range of 32 bits can have; longer ones are cut


def write(name, comment, found):
    pieces = [(at, min(b, at + MOST - 1)) for a, b in found for at in range(a, b + 1, MOST)]
    print(f"/* {comment}: {len(found)} ranges in {len(pieces)} pieces. */")
    print(f"static const uint32_t {name}[] = {{")
    for at in range(0, len(pieces), 6):
        print("    " + " ".join(f"RANGE(0x{a:x}, 0x{b:x})," for a, b in pieces[at : at + 6]))
    print("};\n")


print(f"/* Made by tests/text/make_unicode_tables.py from Unicode {unicodedata.unidata_version}; don't edit. */")
print("#ifndef TS_UNICODE_TABLES_H\n#define TS_UNICODE_TABLES_H\n\n#include <stdint.h>\n")
print("/* The first character in 21 bits, how many more in 11. */\n#define RANGE(first, last) ((uint32_t)(first) << 11 | ((last) - (first)))\n")
write("letters", r"\p{L}", ranges(lambda c: unicodedata.category(chr(c))[0] == "L"))
write("numbers", r"\p{N}", ranges(lambda c: unicodedata.category(chr(c))[0] == "N"))
write("spaces", r"\s", ranges(lambda c: c in SPACES))
write("marks", r"\p{M}, joiners, and symbols that are alphabetic", ranges(lambda c: unicodedata.category(chr(c))[0] == "M" or c in JOINERS | LETTERLIKE))
write("punctuation", r"\p{P}", ranges(lambda c: unicodedata.category(chr(c))[0] == "P"))
print("#undef RANGE\n\n#endif")
sys.stdout.flush()
