#!/usr/bin/env python3
"""BPE beside tiktoken and Hugging Face's tokenizers: encoding with GPT-2's vocabulary, hostile input, training. A person starts it.

usage: PYTHONPATH=bindings/python python3 tests/bench/bpe.py GPT2_FOLDER TRAIN.txt BIG.txt [ROUNDS]
    GPT2_FOLDER  encoder.json and vocab.bpe
    BIG.txt      what is trained on: make_novelty_text.py TRAIN.txt 200 BIG.txt makes 200 MB
Needs pip's tiktoken and tokenizers. One thread where one says encoding, two where one says training. The ids are compared before anything is timed.
"""
import json
import os
import statistics
import subprocess
import sys
import time

os.environ["RAYON_NUM_THREADS"] = os.environ.get("RAYON_NUM_THREADS", "1")
folder, train, big = sys.argv[1:4]
GPT2 = r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"""


def train_ours():
    import tinystories as ts

    return len(ts.Tokenizer.train_files([big], vocabulary_size=10000, runtime=ts.Runtime(threads=2)))


def train_huggingface():
    from tokenizers import ByteLevelBPETokenizer

    tokenizer = ByteLevelBPETokenizer()
    tokenizer.train([big], vocab_size=10000, min_frequency=2, special_tokens=["<|endoftext|>"], show_progress=False)
    return tokenizer.get_vocab_size()


if len(sys.argv) > 5:  # a trainer in a process of its own, so that its memory can be told
    before = time.monotonic()
    size = {"ours": train_ours, "tokenizers": train_huggingface}[sys.argv[5]]()
    seconds = time.monotonic() - before
    peak = next(int(line.split()[1]) / 1000 for line in open("/proc/self/status") if line.startswith("VmHWM"))  # ru_maxrss would have the parent's
    print(json.dumps({"size": size, "seconds": seconds, "MB": peak}))
    sys.exit()

import tiktoken  # noqa: E402
import tinystories as ts  # noqa: E402
from tokenizers import ByteLevelBPETokenizer  # noqa: E402

rounds = int(sys.argv[4]) if len(sys.argv) > 4 else 5
text = open(train, encoding="utf-8").read()
stories = [s.strip() for s in text.split("<|endoftext|>") if s.strip()]
joined = "\n".join(stories)
bytes_ = len(joined.encode())

ours = ts.Tokenizer.open(folder)
ranks = {ours.token(i): i for i in range(50256)}
theirs = tiktoken.Encoding("gpt2", pat_str=GPT2, mergeable_ranks=ranks, special_tokens={"<|endoftext|>": 50256})
face = ByteLevelBPETokenizer(os.path.join(folder, "encoder.json"), os.path.join(folder, "vocab.bpe"))
for story in stories[:1000]:
    ids = ours.encode(story)
    assert ids == theirs.encode_ordinary(story) == face.encode(story).ids, story


def timed(work):
    before = time.perf_counter()
    work()
    return time.perf_counter() - before


ways = {
    "ours, the text as one": lambda: ours.encode(joined, numpy=True),
    "ours, story by story": lambda: [ours.encode(s, numpy=True) for s in stories],
    "tiktoken, the text as one": lambda: theirs.encode_to_numpy(joined, disallowed_special=()),
    "tiktoken, story by story": lambda: [theirs.encode_to_numpy(s, disallowed_special=()) for s in stories],
    "tokenizers, story by story": lambda: face.encode_batch(stories),
}
rates = {name: [] for name in ways}
for _ in range(rounds):
    for name, work in ways.items():
        rates[name].append(bytes_ / timed(work) / 1e6)
print("| encoding, one thread | MB/s |\n|---|---|")
for name, values in rates.items():
    print(f"| {name} | {statistics.median(values):.1f} |")

print("\n| hostile input | ours, 1 MB | ours, 10 MB |\n|---|---|---|")
for name, unit in {"one letter": "a", "pairs of letters": "ab", "spaces": " ", "letters of a long word": "uncharacteristically", "one emoji": "\U0001f600"}.items():
    times = [statistics.median(timed(lambda: ours.encode((unit * (size // len(unit.encode()))), numpy=True)) for _ in range(3)) for size in (10**6, 10**7)]
    print(f"| {name} | {times[0]:.3f} s | {times[1]:.3f} s |")

print("\n| training 10,000 entries, two threads | seconds | peak memory |\n|---|---|---|")
results = {"ours": [], "tokenizers": []}
for _ in range(max(1, rounds // 2)):
    for who in results:
        out = subprocess.run([sys.executable, sys.argv[0], folder, train, big, "1", who], check=True, capture_output=True, text=True,
                             env=dict(os.environ, RAYON_NUM_THREADS="2", TOKENIZERS_PARALLELISM="true"))
        results[who].append(json.loads(out.stdout))
for who, runs in results.items():
    print(f"| {who} | {statistics.median(r['seconds'] for r in runs):.1f} | {max(r['MB'] for r in runs):.0f} MB |")
