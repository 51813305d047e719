#!/usr/bin/env python3
"""Makes tests/golden/wordpiece: a tokenizer.json as the SimpleStories models have it, and what Hugging Face tokenizers makes of 300 strings with it.

usage: make_wordpiece.py STORIES.txt. Needs tokenizers; the tests need the files alone. A line of cases.txt is the bytes of a string in hexadecimal, its ids
(without what the post-processor adds), and the bytes that the ids give back, specials left out; fields are divided by a semicolon.
"""
import pathlib
import random
import sys

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

folder = pathlib.Path(__file__).with_name("wordpiece")
tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
tokenizer.normalizer = normalizers.Sequence([normalizers.Lowercase(), normalizers.Replace("``", '"'), normalizers.Replace("''", '"')])
tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Whitespace(), pre_tokenizers.Punctuation(), pre_tokenizers.Digits(individual_digits=True)])
tokenizer.post_processor = processors.TemplateProcessing(single="$A [EOS]", special_tokens=[("[EOS]", 1)])
tokenizer.decoder = decoders.WordPiece(prefix="##")
text = pathlib.Path(sys.argv[1]).read_text()[:60000].encode("ascii", "ignore").decode().lower()
stories = text.split("<|endoftext|>")
tokenizer.train_from_iterator(stories, trainers.WordPieceTrainer(vocab_size=360, special_tokens=["[UNK]", "[EOS]"], show_progress=False))
tokenizer.save(str(folder / "tokenizer.json"))

draw = random.Random(3)
odd = list("`'\"_-.,!?$+=~^<>|0123456789AZ\t\n\u00e9\u00c9\u00b2\u00bd\u2160\u24b6\u0301\u200d\u200c\u212a\u0130\u201c\u201d\u2014\u2026\u20ac\u00a0\u3000\u203f\u6f22\u0905\u0939\u093f\U0001f600\U0001f1e9\u0660\ufeff")
words = " ".join(stories).split()
cases = ["", " ", "hello", "Hello, World! don't", "a_b", "''hi`` '''", "a" * 100, "a" * 101, "zq" * 50, "the" * 40, "x\u00b2y", "\u24b6a b\u20dd", "12 345", "...", "<s> [EOS]"]
while len(cases) < 300:
    parts = [draw.choice(words) if draw.random() < 0.5 else draw.choice(odd) for _ in range(draw.randint(1, 12))]
    cases.append("".join(part + draw.choice(["", "", " "]) for part in parts))
tokenizer.post_processor = processors.TemplateProcessing(single="$A", special_tokens=[])
with open(folder / "cases.txt", "w") as out:
    for case in cases:
        plain = case.replace("[EOS]", "[E]").replace("[UNK]", "[U]")
        ids = tokenizer.encode(plain, add_special_tokens=False).ids
        kept = [i for i in ids if i > 1]
        out.write(f"{plain.encode().hex()};{' '.join(map(str, ids))};{tokenizer.decode(kept).encode().hex()}\n")
