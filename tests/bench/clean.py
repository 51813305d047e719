#!/usr/bin/env python3
"""Cleaning and duplicates on a large planted set: real stories again and again with most words changed, and among them what must be found.

usage: clean.py CLI TRAIN.txt FOLDER [BYTES]        (FOLDER needs three times BYTES; 2,000,000,000 is the default)

Planted are the same story again, near duplicates at a Jaccard similarity of about 0.9 (5-grams of words, counted here), pairs below the threshold that must
both stay, mojibake (once, twice, with closing quotes cut), stories of a validation text, prompts, and stories that break each of the rules. The text that is kept
is compared story by story with what was expected. Prints precision and recall of each reason, MB/s (medians of three for cleaning) and the peak of memory.
"""
import array
import hashlib
import json
import pathlib
import random
import re
import resource
import subprocess
import sys

MARKER = "<|endoftext|>"
SHINGLE, THRESHOLD = 5, 0.8
WORDS = re.compile(r"[A-Za-z]+(?:'[A-Za-z]+)*")
NAMES = {"near_duplicate": 0.014, "duplicate": 0.014, "control": 0.01, "mojibake": 0.02, "overlap": 0.002, "near_overlap": 0.002, "prompt": 0.001, "short": 0.002,
         "character": 0.002, "symbol": 0.002, "ending": 0.002}
draw = random.Random(7)


def shingles(text):
    words = [word.lower() for word in WORDS.findall(text)]
    return {tuple(words[i:i + SHINGLE]) for i in range(max(1, len(words) - SHINGLE + 1))}


def jaccard(a, b):
    a, b = shingles(a), shingles(b)
    return len(a & b) / len(a | b)


def edited(text, wanted):
    """The text with as many words exchanged, evenly, as bring the similarity next to `wanted`."""
    found = list(WORDS.finditer(text))
    count = max(1, round(len(found) * (1 - wanted) / (1 + wanted) / SHINGLE))
    step = len(found) / count
    pieces, at = [], 0
    for i in range(count):
        match = found[min(len(found) - 1, int(i * step + step / 2))]
        if match.start() < at:
            continue
        pieces += [text[at:match.start()], "".join(draw.choices("bcdfghklmnprst", k=9))]
        at = match.end()
    return "".join(pieces) + text[at:]


def damaged(text):
    """(the text as it was typeset and misread, the same once it is mended)"""
    open_quote = True
    out, mended = [], []
    for c in text:
        if c == '"':
            out.append("\u201c" if open_quote else "\u201d")
            open_quote = not open_quote
        elif c == "'":
            out.append("\u2019")
        else:
            out.append(c)
        mended.append(c)
    typeset = "".join(out) + " \u201cOh\u2026\u201d \u2013 the end."
    clean = "".join(mended) + ' "Oh..." - the end.'
    kind = draw.randrange(3)

    def misread(one):
        return "".join(bytes([b]).decode("cp1252") if b not in (0x81, 0x8d, 0x8f, 0x90, 0x9d) else chr(b) for b in one.encode())

    wrong = misread(typeset)
    if kind == 1:
        wrong = misread(wrong)
    if kind == 2:
        wrong = wrong.replace("\u00e2\u20ac\u009d", "\u00e2\u20ac")
    return wrong, clean


class Planted:
    def __init__(self, base, folder, size):
        self.base, self.folder, self.size = base, folder, size
        self.text = "\n\0\n".join(base)

    def copy(self):
        """The stories with eight letters exchanged for one another: what is left of the words is enough for stories to open alike."""
        letters = draw.sample("abcdefghijklmnopqrstuvwxyz", 8)
        others = letters[1:] + letters[:1]
        table = str.maketrans("".join(letters).swapcase() + "".join(letters), "".join(others).swapcase() + "".join(others))
        return self.text.translate(table).split("\n\0\n")

    def write(self):
        valid = [story for story in self.copy() if len(story) > 300][:2000]
        prompts = [" ".join(story.split()[20:60]).replace('"', "") for story in self.copy()[:200] if len(story.split()) > 100]
        (self.folder / "planted-valid.txt").write_text(f"\n{MARKER}\n".join(valid))
        (self.folder / "planted-prompts.txt").write_text("\n".join(prompts))
        names, weights = list(NAMES), list(NAMES.values())
        share, written, index = sum(weights), 0, 0
        self.truth, self.kept, recent = {}, array.array("Q"), []
        self.mojibake = 0
        with open(self.folder / "planted.txt", "w", encoding="utf-8", newline="\n") as out:
            while written < self.size:
                for story in self.copy():
                    reason, kept = None, story
                    if len(recent) > 5000 and len(story) > 400 and draw.random() < share:
                        reason = draw.choices(names, weights)[0]
                        story, kept = self.plant(reason, story, draw.choice(recent), valid, prompts)
                        if reason in ("control", "mojibake"):
                            reason = None
                    if reason is None:
                        self.kept.append(digest(kept))
                        if len(kept) > 400 and len(recent) < 20000:
                            recent.append(kept)
                        elif len(kept) > 400:
                            recent[draw.randrange(20000)] = kept
                    else:
                        self.truth[index] = reason
                    line = f"{story}\n{MARKER}\n"
                    out.write(line)
                    written += len(line.encode()) if not line.isascii() else len(line)
                    index += 1
        self.stories, self.bytes = index, written

    def plant(self, reason, story, earlier, valid, prompts):
        if reason == "duplicate":
            return earlier, None
        if reason in ("near_duplicate", "near_overlap"):
            source = earlier if reason == "near_duplicate" else draw.choice(valid)
            near = edited(source, 0.9)
            assert jaccard(source, near) >= THRESHOLD + 0.02
            return near, None
        if reason == "control":
            other = edited(earlier, 0.62)
            assert jaccard(earlier, other) < THRESHOLD - 0.03
            return other, other
        if reason == "mojibake":
            self.mojibake += 1
            return damaged(story)
        if reason == "overlap":
            return draw.choice(valid), None
        if reason == "prompt":
            return story + " " + draw.choice(prompts) + ".", None
        if reason == "short":
            return story[:60].strip() + " end.", None
        if reason == "character":
            return story[:150] + draw.choice("\u00e9\u4e2d\U0001f600\ufffd") + story[150:], None
        if reason == "symbol":
            return story[:150] + draw.choice("|</`*=_&@~#%[]+()") + story[150:], None
        return story[:-1].rstrip('.!"?') + draw.choice([" and", ","]), None


def digest(text):
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def stories_of(path):
    """Streams the stories of a text."""
    held = ""
    with open(path, encoding="utf-8", newline="\n") as file:
        while piece := file.read(1 << 24):
            parts = (held + piece).split(f"\n{MARKER}\n")
            held = parts.pop()
            yield from parts
    if held.strip():
        yield held


def run(cli, *arguments):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([cli, "dataset", "clean", *map(str, arguments), "--json", "--quiet"], capture_output=True, check=True)
    after, report = resource.getrusage(resource.RUSAGE_CHILDREN), json.loads(done.stdout)
    report["processor"] = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return report, report["seconds"]


def main():
    cli, train, folder, size = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3]), int(float(sys.argv[4])) if len(sys.argv) > 4 else 2_000_000_000
    run(cli, "--in", train, "--out", folder / "base.txt", "--near-duplicates")
    base = list(stories_of(folder / "base.txt"))
    planted = Planted(base, folder, size)
    planted.write()
    print(f"{planted.stories} stories, {planted.bytes} bytes, {len(planted.truth)} to be dropped, {planted.mojibake} with mojibake", flush=True)
    source, out, dropped = folder / "planted.txt", folder / "cleaned.txt", folder / "dropped.jsonl"
    for threads in (1, 2):
        runs = sorted((run(cli, "--in", source, "--out", out, "--threads", threads) for _ in range(3)), key=lambda one: one[1])
        print(f"cleaning with exact duplicates, {threads} threads: {planted.bytes / runs[1][1] / 1e6:.0f} MB/s, "
              f"{planted.bytes / runs[1][0]['processor'] / 1e6:.0f} MB a second of processor time", flush=True)
    report, seconds = run(cli, "--in", source, "--out", out, "--near-duplicates", "--against", folder / "planted-valid.txt", "--exclude-prompts",
                          folder / "planted-prompts.txt", "--dropped", dropped, "--threads", 2)
    print(f"with near duplicates, validation text and prompts: {planted.bytes / seconds / 1e6:.0f} MB/s, "
          f"{planted.bytes / report['processor'] / 1e6:.0f} MB a second of processor time, {report['memory_peak'] / 1e6:.0f} MB of memory, "
          f"{report['candidates']} pairs compared, {report['kept']} kept")
    found = {}
    with open(dropped, encoding="utf-8") as lines:
        for line in lines:
            one = json.loads(line)
            found[one["index"]] = one["reason"]
    for reason in sorted(set(planted.truth.values()) | set(found.values())):
        wanted = {i for i, name in planted.truth.items() if name == reason}
        got = {i for i, name in found.items() if name == reason}
        both = len(wanted & got)
        print(f"{reason:15} planted {len(wanted):6} found {len(got):6} precision {both / max(1, len(got)):.5f} recall {both / max(1, len(wanted)):.5f}")
    print(f"dropped though they were to stay: {len(set(found) - set(planted.truth))}; kept though they were not: {len(set(planted.truth) - set(found))}")
    result = [digest(story) for story in stories_of(out)]
    wanted = list(planted.kept)
    same = len(set(result) & set(wanted))
    print(f"stories of the result {len(result)}, expected {len(wanted)}, the same text {same}, in the same order: {result == wanted}")


main()
