#!/usr/bin/env python3
"""Makes broken_cases.h: strings that are no UTF-8, among characters of all kinds, and their ids from llama2.c.

usage: make_broken_cases.py RUN.C TOK512.BIN, llama2.c's program and stories260K's tokenizer. Other programs are no judges of these: the library
sentencepiece replaces what is no UTF-8 before it looks for tokens, llama.cpp takes whatever follows a broken lead byte for a part of it, a space too.
"""
import pathlib
import random
import subprocess
import sys
import tempfile

DRIVER = """
#define TESTING
#include "%s"
int main(int count, char **values)
{
    Tokenizer t;
    build_tokenizer(&t, values[1], 512);
    for (int i = 2; i < count; i++) {
        int ids[1024], n;
        encode(&t, values[i], 0, 0, ids, &n);
        for (int j = 0; j < n; j++)
            printf(j ? " %%d" : "%%d", ids[j]);
        printf("\\n");
    }
}
"""
draw = random.Random(5)
parts = [b"\xff", b"\xfe", b"\x80", b"\xbf", b"\xc3", b"\xe2\x82", b"\xf0\x9f\x98", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf8\x88\x80\x80\x80", b"\x01", b" ", b"  ", b"     ",
         "\u00e9".encode(), "\u4f60\u597d".encode(), "\U0001f600".encode(), b"the", b" cat", b"once upon", b"\n", b"a", b"."]
cases = [bytes(parts[i]) for i in range(11)] + [b"the \xff cat", b"\xe2\x82the", b"caf\xc3", b"\x80\x80\x80\x80\x80\x80"]
while len(cases) < 100:
    cases.append(b"".join(draw.choice(parts) for _ in range(draw.randint(1, 10))))
with tempfile.TemporaryDirectory() as folder:
    program = pathlib.Path(folder) / "encode"
    program.with_suffix(".c").write_text(DRIVER % pathlib.Path(sys.argv[1]).resolve())
    subprocess.run(["gcc", "-O1", "-w", program.with_suffix(".c"), "-o", program, "-lm"], check=True)
    lines = subprocess.run([program, sys.argv[2], *cases], check=True, capture_output=True, text=True).stdout.splitlines()
with open(pathlib.Path(__file__).with_name("broken_cases.h"), "w") as out:
    out.write("/* Made by make_broken_cases.py: strings that are no UTF-8 and their ids from llama2.c, for stories260K's tokenizer. */\n")
    out.write("static const sentencepiece_case broken_cases[] = {\n")
    for text, line in zip(cases, lines, strict=True):
        ids = line.split()
        escaped = "".join(chr(b) if 32 <= b < 127 and chr(b) not in '"\\?' else f"\\{b:03o}" for b in text)
        out.write(f'    {{"{escaped}", {len(ids)}, (const uint16_t[]){{{", ".join(ids)}}}}},\n')
    out.write("};\n")
