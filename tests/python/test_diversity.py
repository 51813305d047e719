"""Diversity and novelty against a plain Python reference: sets of k-grams, no index."""
import collections
import ctypes
import json
import math
import os
import random
import tempfile
import unicodedata
import unittest

from fixture import new_model, run_examples, shape, tokenizer, ts
from tinystories import _c

DATA = os.environ.get("TINYSTORIES_TEST_DATA")


def words_of(text):
    """Runs of letters and digits with single apostrophes between them."""
    words, word = [], ""
    text = text.replace("\u2019", "'")
    for i, c in enumerate(text + "\0"):
        letter = unicodedata.category(c)[0] in "LN"
        joins = c == "'" and word and i + 1 < len(text) and unicodedata.category(text[i + 1])[0] in "LN"
        if letter or joins:
            word += c.lower() if c.isascii() else c
        elif word:
            words.append(word)
            word = ""
    return words


def grams(words, k):
    return [tuple(words[i:i + k]) for i in range(len(words) - k + 1)]


def precision(first, second):
    return len(first & second) / len(first) if first else None


def symmetric(first, second):
    if not first or not second:
        return None
    p, q = precision(first, second), precision(second, first)
    return 2 * p * q / (p + q) if p + q > 0 else 0.0


class Reference:
    def __init__(self, stories):
        self.stories = [words_of(story) for story in stories]
        self.bigrams = [set(grams(words, 2)) for words in self.stories]
        self.counts = [collections.Counter(gram for words in self.stories for gram in grams(words, k)) for k in range(1, 6)]
        self.sums = [sum(counter.values()) for counter in self.counts]
        self.joined = ["".join(f" {word}" for word in words) + " " for words in self.stories]

    def has(self, words):
        wanted = "".join(f" {word}" for word in words) + " "
        return any(wanted in story for story in self.joined)

    def longest(self, words):
        best = 0
        for begin in range(len(words)):
            while begin + best < len(words) and self.has(words[begin:begin + best + 1]):
                best += 1
        return best

    def nearest(self, words):
        own = set(grams(words, 2))
        return max(len(own & bigrams) for bigrams in self.bigrams), len(own)


def split(path, count):
    with open(path, encoding="utf-8") as file:
        return [story.strip() for story in file.read().split("<|endoftext|>") if story.strip()][:count]


class DiversityTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def build(self, stories, name="train.txt", **options):
        text, out = os.path.join(self.folder, name), os.path.join(self.folder, name + ".gguf")
        with open(text, "w", encoding="utf-8") as file:
            file.write("\n<|endoftext|>\n".join(stories))
        ts.Novelty.build(text, out, **options)
        return ts.Novelty(out)

    def check_match(self, reference, novelty, text, match):
        words = words_of(text)
        common, bigrams = reference.nearest(words)
        self.assertEqual((match.words, match.bigrams, match.nearest_common), (len(words), bigrams, common))
        self.assertEqual(match.nearest_precision, common / bigrams if bigrams else None)
        if common:
            self.assertEqual(len(set(grams(words, 2)) & reference.bigrams[match.nearest_story]), common)
        self.assertEqual(match.copied_words, reference.longest(words))
        if match.copied_words:
            copied = text.encode()[match.copied_begin:match.copied_begin + match.copied_size].decode()
            source = novelty.story(match.source_story)[match.source_begin:match.source_begin + match.source_size].decode()
            self.assertEqual(words_of(copied), words_of(source))
            self.assertEqual(len(words_of(source)), match.copied_words)

    def check_all(self, reference, novelty, completions, endings):
        with ts.Diversity(novelty) as diversity:
            for completion, ending in zip(completions, endings):
                diversity.add(completion, ending)
            measured, items = diversity.measure(), list(diversity)
        words = [words_of(completion) for completion in completions]
        sets = [set(grams(one, 2)) for one in words]
        for i, item in enumerate(items):
            self.assertEqual(item.words, len(words[i]))
            self.assertEqual(item.ending_precision, precision(sets[i], set(grams(words_of(endings[i]), 2))))
            others = [(symmetric(sets[i], sets[j]), -j) for j in range(len(sets)) if j != i and sets[i] and sets[j]]
            best = max(others, default=(None, None))
            self.assertEqual((item.nearest_f, item.nearest), (best[0], None if best[1] is None else -best[1]))
            self.check_match(reference, novelty, completions[i], item.match)
        for k in range(1, 6):
            histogram, count = [0] * 21, 0
            for one in words:
                for gram in set(grams(one, k)):
                    g = reference.counts[k - 1][gram] / reference.sums[k - 1]
                    count += 1
                    histogram[0 if g == 0 else min(max(math.floor((math.log10(g) + 10) * 2) + 1, 1), 20)] += 1
            self.assertEqual(measured["grams"][k - 1], {"k": k, "count": count, "never": histogram[0], "histogram": histogram})
        known = [item.ending_precision for item in items if item.ending_precision is not None]
        self.assertEqual(measured["endings"], len(known))
        self.assertAlmostEqual(measured["mean_ending_precision"], sum(known) / len(known), delta=1e-12)

    def test_random_small_texts(self):
        chance = random.Random(3)
        alphabet = ["a", "b", "C", "don't", "Don\u2019t", "na\u00efve", "e", "12", "x" * 300]
        separators = [" ", ", ", ". ", "\n\n", "''", " \u2014 " + " " * 90, "'-"]

        def story(most):
            return "".join(chance.choice(alphabet) + chance.choice(separators) for _ in range(chance.randint(1, most)))

        for trial in range(8):
            stories = [story(40 + 10 * trial) for _ in range(3 + 20 * trial)]
            reference = Reference(stories)
            novelty = self.build(stories, f"{trial}.txt", working_memory=1, runtime=ts.Runtime(threads=1 + trial % 2))
            self.assertEqual(novelty.describe()["grams"], reference.sums)
            self.assertEqual(novelty.describe()["words"], reference.sums[0])
            completions = [story(50) for _ in range(15)] + ["", "...", "zzz", "a", stories[1]]
            self.check_all(reference, novelty, completions, [story(20) for _ in completions])
            for completion in completions:
                words = words_of(completion)[:7]
                expected = sum(grams(one, len(words)).count(tuple(words)) for one in reference.stories) if words else 0
                self.assertEqual(novelty.count(" ".join(words)), expected)

    @unittest.skipUnless(DATA, "no test data")
    def test_real_stories(self):
        stories = split(os.path.join(DATA, "stories", "tinystories-train.txt"), 500)
        valid = split(os.path.join(DATA, "stories", "tinystories-valid.txt"), 200)
        self.assertEqual(len(valid), 200)
        cut = [int(len(story.split()) * 0.4) for story in valid]
        completions = [" ".join(story.split()[at:]) for story, at in zip(valid, cut)]
        self.check_all(Reference(stories), self.build(stories), completions, valid[1:] + valid[:1])

    def test_planted_copies(self):
        chance = random.Random(5)
        names = ["".join(chance.choice("abcdefgh") for _ in range(3)) for _ in range(150)]
        stories = [" ".join(chance.choice(names) for _ in range(80)) for _ in range(400)]
        novelty = self.build(stories)
        for length in (6, 7, 9, 13, 40):
            planted = stories[137].split()[20:20 + length]
            text = "One, two! " + ". ".join(word.upper() for word in planted) + " three four."
            match = novelty.find(text)
            self.assertGreaterEqual(match.copied_words, length)
            self.assertEqual(match.source_story, 137)
            self.assertIn(" ".join(planted), novelty.story(137)[match.source_begin:][:match.source_size].decode())
        match = novelty.find(stories[399])
        self.assertEqual((match.nearest_story, match.nearest_precision, match.copied_words, match.source_story), (399, 1.0, 80, 399))

    def test_threads_and_memory_do_not_matter(self):
        with ts.Generator(seed=2) as generator:
            stories = [next(generator).story for _ in range(300)]
        files = []
        for threads, name in ((1, "one.txt"), (2, "two.txt")):
            self.build(stories, name, runtime=ts.Runtime(threads=threads), working_memory=100000).close()
            with open(os.path.join(self.folder, name + ".gguf"), "rb") as file:
                files.append(file.read())
        self.assertEqual(files[0], files[1])
        whole, parts = self.build(stories, "whole.txt"), ts.Novelty(os.path.join(self.folder, "one.txt.gguf"))
        for story in stories[:20]:
            self.assertEqual(whole.find(story[50:]), parts.find(story[50:]))

    def test_overlap_and_cut(self):
        found = ts.overlap("The cat sat. The CAT sat!", "a cat sat on the cat", k=2)
        self.assertEqual(found, ts.Overlap(3, 5, 2, 2 / 3, 2 / 5, 2 * (2 / 3) * (2 / 5) / (2 / 3 + 2 / 5)))
        self.assertEqual(ts.overlap("", "a b"), ts.Overlap(0, 1, 0, None, 0.0, None))
        self.assertEqual(ts.overlap("a b", "c d").f, 0)
        with self.assertRaises(ts.InvalidArgumentError):
            ts.overlap("a", "b", k=0)
        text = "He ran to the park. She sang.  He ran to the house."
        self.assertEqual(ts.cut_at_repeat(text), "He ran to the park. She sang.")
        self.assertEqual(ts.cut_at_repeat("a a a a a a"), "a")
        self.assertEqual(ts.cut_at_repeat(b"one two three "), b"one two three ")

    def test_beginnings(self):
        """Drawn evenly, in the order of the text, cut behind the word that is nearest to the share; the same for a seed."""
        stories = [f"Story {n} \u201cbegins\u201d, and " + " ".join(f"word{i}" for i in range(n % 30)) + "!" for n in range(300)]
        path = os.path.join(self.folder, "from.txt")
        with open(path, "w", encoding="utf-8") as file:
            file.write("\n<|endoftext|>\n".join(stories) + "\n<|endoftext|>\nToo short.")
        long = [n for n in range(300) if len(words_of(stories[n])) >= 10]
        times = collections.Counter()
        for seed in range(200):
            drawn = ts.read_beginnings(path, count=24, seed=seed)
            self.assertEqual(drawn, ts.read_beginnings([path], count=24, share=0.4, seed=seed))
            numbers = [one.story for one in drawn]
            self.assertEqual(numbers, sorted(set(numbers)))
            self.assertEqual(len(numbers), 24)
            times.update(numbers)
            for one in drawn:
                self.assertEqual(one.beginning + one.ending, stories[one.story])
                words = len(words_of(stories[one.story]))
                self.assertEqual(len(words_of(one.beginning)), round(0.4 * words))
                self.assertFalse(one.beginning[-1].isspace() or one.beginning[-1] in ",!\u201d")  # it ends with a word
        self.assertEqual(set(times), set(long))  # 20 times each is what they have to expect
        self.assertLess(sum((times[n] - 4800 / len(long)) ** 2 / (4800 / len(long)) for n in long) / len(long), 1.3)
        self.assertEqual(len(ts.read_beginnings(path, count=1000)), len(long))
        for share, words in ((0.001, 1), (0.999, -1)):
            for one in ts.read_beginnings(path, share=share):
                self.assertEqual(len(words_of(one.beginning)), words % len(words_of(stories[one.story])))
        tokenizer = ts.Tokenizer.train_files([path], vocabulary_size=300)
        model = ts.Model.new(tokenizer, ts.Architecture.preset("laptop-0.3m", context_length=60, vocabulary_size=len(tokenizer)))
        held = [n for n in long if len(tokenizer.encode(stories[n])) <= 59]
        self.assertTrue(0 < len(held) < len(long))
        self.assertEqual([one.story for one in ts.read_beginnings(path, model=model, count=1000)], held)
        narrow = ts.Model.new(tokenizer, ts.Architecture.preset("laptop-0.3m", context_length=4, vocabulary_size=len(tokenizer)))
        with self.assertRaisesRegex(ts.InvalidArgumentError, "from.txt: there is no story of 10 words or more and 3 tokens or fewer"):
            ts.read_beginnings(path, model=narrow)
        options, handle = _c.ts_beginnings_options(), ctypes.POINTER(_c.ts_beginnings)()
        _c.library.ts_beginnings_options_init(ctypes.byref(options), ctypes.sizeof(options))
        options.tokenizer = _c.library.ts_model_tokenizer(narrow._c)
        with self.assertRaisesRegex(ts.InvalidArgumentError, "max_tokens is 0"):
            _c.library.ts_beginnings_open(ctypes.byref(handle), None, (ctypes.c_char_p * 1)(os.fsencode(path)), 1, ctypes.byref(options))
        for wrong in ({"count": 0}, {"share": 0}, {"share": 1}, {"share": math.nan}):
            with self.assertRaisesRegex(ts.InvalidArgumentError, next(iter(wrong))):
                ts.read_beginnings(path, **wrong)
        with open(path, "wb") as file:
            file.write(b"one two three four five six seven eight nine \xff ten\n<|endoftext|>\n")
        with self.assertRaisesRegex(ts.InvalidArgumentError, "no story of 10 words"):
            ts.read_beginnings(path)

    def test_the_examples(self):
        path = os.path.join(self.folder, "from.txt")
        with open(path, "w", encoding="utf-8") as file:
            file.write("\n<|endoftext|>\n".join(f"Once upon a time, dog {n} saw a cat and it ran to the red house." for n in range(20)))
        new_model(context_length=64).save(os.path.join(self.folder, "m.gguf"))
        outputs = run_examples(self, "diversity", self.folder, "m.gguf", path, 5)
        for output in outputs:
            self.assertIn("5 completions\n", output)
            self.assertEqual(output.count("in a row that the text never has"), 5)
        self.assertEqual(len(set(outputs)), 1)
        with open(path, "a", encoding="utf-8") as file:
            file.write("\n<|endoftext|>\n" + "A story that no context of 64 tokens holds, nor its beginning. " * 20)
        self.assertEqual(run_examples(self, "diversity", self.folder, "m.gguf", path, 21), run_examples(self, "diversity", self.folder, "m.gguf", path, 20))

    def test_the_examples_of_a_model_that_tells_nothing(self):
        """It learned that a story ends where the beginnings do."""
        for name, stories in (("ends.txt", ["one two three four"] * 50), ("from.txt", ["one two three four five six seven eight nine ten"])):
            with open(os.path.join(self.folder, name), "w", encoding="utf-8") as file:
                file.write("\n<|endoftext|>\n".join(stories))
        with ts.Trainer(tokenizer(), shape(context_length=64), text=os.path.join(self.folder, "ends.txt"), max_steps=200, batch_tokens=256, learning_rate=0.02) as trainer:
            trainer.run()
            trainer.snapshot().save(os.path.join(self.folder, "m.gguf"))
        self.assertEqual(set(run_examples(self, "diversity", self.folder, "m.gguf", "from.txt", 1)), {"1 completions\nof which none has two words\n"})

    def test_files_and_nothing(self):
        path = os.path.join(self.folder, "c.jsonl")
        with open(path, "w", encoding="utf-8") as file:
            file.write(json.dumps({"completion": "a b c d a b c d e", "ending": "a b c"}) + "\n\n" + json.dumps({"text": "b c"}) + "\n")
        with ts.Diversity() as diversity:
            self.assertEqual(diversity.measure()["mean_nearest_f"], None)
            self.assertEqual(diversity.add_file(path, cut=4), 2)
            items = list(diversity)
            self.assertEqual([item.words for item in items], [4, 2])
            self.assertEqual(items[0].ending_precision, 2 / 3)
            self.assertIsNone(items[1].ending_precision)
            self.assertIsNone(items[0].match)
            with self.assertRaises(IndexError):
                diversity[2]
            with open(path, "a", encoding="utf-8") as file:
                file.write('{"prompt": "x"}\n')
            with self.assertRaisesRegex(ts.FormatError, "line 4"):
                diversity.add_file(path)
            self.assertEqual(len(diversity), 4)
            for wrong in ('{"text": "a", "text": "b"}', '{"text": "a", "ending": 5}', '["a"]'):
                with open(path, "w", encoding="utf-8") as file:
                    file.write(wrong)
                with self.assertRaisesRegex(ts.FormatError, "c.jsonl: line 1: "):
                    diversity.add_file(path)
        with self.assertRaises(ts.InvalidArgumentError):
            self.build(["...", "!"])
        with self.assertRaises(ts.CancelledError):
            self.build(["a b c"], "stopped.txt", progress=lambda done, total: True)
        self.assertFalse(any(name.startswith("stopped.txt.") or name.startswith(".stopped") for name in os.listdir(self.folder)))


if __name__ == "__main__":
    unittest.main()
