#!/usr/bin/env python3
"""Makes sentencepiece_cases.h: strings and their ids from the sentencepiece library itself, for llama2.c's two tokenizer.bin files.

usage: make_sentencepiece_cases.py DATA (the folder with models/tok512.bin and tokenizers/llama2/tokenizer.bin). Needs sentencepiece and protobuf.
A model of the library is made of each file: BPE, byte fallback, a space before the text, no normalization.
"""
import pathlib
import random
import struct
import sys

import sentencepiece
from sentencepiece import sentencepiece_model_pb2 as model_pb2


def pieces(path):
    data, at = path.read_bytes(), 4
    while at < len(data):
        score, size = struct.unpack_from("<fI", data, at)
        yield score, data[at + 8:at + 8 + size]
        at += 8 + size


def processor(path):
    model = model_pb2.ModelProto()
    model.trainer_spec.model_type = model_pb2.TrainerSpec.BPE
    model.trainer_spec.byte_fallback = True
    model.normalizer_spec.name = "identity"
    model.normalizer_spec.add_dummy_prefix = True
    model.normalizer_spec.remove_extra_whitespaces = False
    kinds = model_pb2.ModelProto.SentencePiece
    for i, (score, text) in enumerate(pieces(path)):
        piece = text.decode().strip("\n").replace(" ", "\u2581")
        kind = kinds.UNKNOWN if i == 0 else kinds.CONTROL if i < 3 else kinds.BYTE if i < 259 else kinds.NORMAL
        model.pieces.add(piece=piece, score=score, type=kind)
    return sentencepiece.SentencePieceProcessor(model_proto=model.SerializeToString())


def strings():
    fixed = ["", " ", "  ", "   a", "a   b", "Once upon a time, there was a little girl named Lily.", "Hello, world!\n\nBye.\n", "\t\ttabs", "na\u00efve caf\u00e9",
             "\u201cquoted\u201d \u2014 dash\u2026", "\U0001f600\U0001f680 emoji \U0001f1e9\U0001f1ea", "\u4f60\u597d\u4e16\u754c", "\u3053\u3093\u306b\u3061\u306f", "\u041f\u0440\u0438\u0432\u0435\u0442 \u043c\u0438\u0440",
             "\u0645\u0631\u062d\u0628\u0627", "a\u0301e\u0301", "aaaaaaaaaaaaaaaaaaaaaaaaa", "the the the", " the", "the ", "don't stop", "<s> </s> <unk>", "<0x41>", "\r\n",
             "x" * 200, "ab" * 100, " " * 50, "1234567890", "foo(bar)[baz] = {1: 2};", "\u200b\u00a0\ufeff", "\u2028\u2029", "\u1234\u5678", "ThisIsCamelCase snake_case"]
    draw = random.Random(1)
    words = "once upon a time there was little girl named lily she loved to play outside in the park with her mom and dad Tom saw big dog".split()
    odd = list(" .,!?'\"\n\t-\u00e9\u00fc\u00df\u20ac\U0001f600\u6f22\u5b57\u3042\uac00\u0905\u05d0zqxjv0123")
    while len(fixed) < 200:
        parts = [draw.choice(words) if draw.random() < 0.6 else draw.choice(odd) for _ in range(draw.randint(1, 14))]
        fixed.append(draw.choice([" ", "", "  "]).join(parts))
    return fixed


data = pathlib.Path(sys.argv[1])
files = {"tok512": data / "models/tok512.bin", "llama2": data / "tokenizers/llama2/tokenizer.bin"}
with open(pathlib.Path(__file__).with_name("sentencepiece_cases.h"), "w") as out:
    out.write("/* Made by make_sentencepiece_cases.py: strings and their ids from the sentencepiece library. */\n#include <stdint.h>\n\n")
    out.write("typedef struct sentencepiece_case {\n    const char *text;\n    uint16_t count;\n    const uint16_t *ids;\n} sentencepiece_case;\n")
    for name, path in files.items():
        process = processor(path)
        out.write(f"\nstatic const sentencepiece_case {name}_cases[] = {{\n")
        for text in strings():
            ids = process.encode(text)
            escaped = "".join(chr(b) if 32 <= b < 127 and chr(b) not in '"\\?' else f"\\{b:03o}" for b in text.encode())
            numbers = ", ".join(map(str, ids)) or "0"
            out.write(f'    {{"{escaped}", {len(ids)}, (const uint16_t[]){{{numbers}}}}},\n')
        out.write("};\n")
