"""Cleaning and TinyStories-Instruct through the bindings; tar.gz archives as Python writes them."""
import io
import json
import os
import pathlib
import subprocess
import sys
import tarfile
import tempfile
import unittest

import tinystories as ts

MARKER = "\n<|endoftext|>\n"
STORY = "Tom was a happy dog. He wanted to jump over the log. \"Jump!\" said Ben. Tom jumped very high. The moral is to try."


def other(stem):
    return " ".join(f"{stem}{i}" for i in range(60)) + "."


class CleaningTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def path(self, name):
        return os.path.join(self.folder, name)

    def put(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)
        return self.path(name)

    def content(self, name):
        with open(self.path(name), encoding="utf-8", newline="\n") as file:
            return file.read()

    def test_story(self):
        self.assertEqual(ts.clean_story("\u00e2\u20ac\u0153Hi\u00e2\u20ac\u009d, don\u00e2\u20ac\u2122t  go\u2026"), ("\"Hi\", don't go...", "short"))
        self.assertEqual(ts.clean_story(STORY), (STORY, None))
        self.assertEqual(ts.clean_story(STORY + " And"), (STORY + " And", "ending"))
        self.assertEqual(ts.clean_story(STORY + " *", rules=["short"])[1], None)
        self.assertEqual(ts.clean_story("caf\u00e9.", min_characters=1)[1], "character")
        self.assertEqual(ts.clean_story("caf\u00e9 #1.", min_characters=1, rules=["symbol", "ending"], symbols="@"), ("caf\u00e9 #1.", None))
        self.assertEqual(ts.clean_story("a  \u201cb", steps=ts.CleanStep.PUNCTUATION)[0], 'a  "b')
        self.assertEqual(ts.clean_story("\u2026" * 400)[0], "..." * 400)
        self.assertEqual(ts.clean_story(b"\x93Hi\x94")[0], '"Hi"')
        for wrong in ({"rules": ["long"]}, {"colour": 1}, {"jaccard": 0.1}, {"steps": 8}):
            with self.assertRaises((ValueError, TypeError, ts.InvalidArgumentError)):
                ts.clean_story(STORY, **wrong)

    def test_files(self):
        near = other("a").replace("a30 ", "x ")
        first = self.put("in.txt", MARKER.join([other("a"), other("b"), other("a"), near, other("valid"), "Short."]))
        report = ts.dataset_clean(first, self.path("out.txt"), against=self.put("valid.txt", other("valid")), near_duplicates=1, jaccard=0.75,
                                  dropped=self.path("dropped.jsonl"), runtime=ts.Runtime(threads=2))
        self.assertEqual((report["stories"], report["kept"], report["against_stories"]), (6, 2, 1))
        self.assertEqual({name: count for name, count in report["dropped"].items() if count},
                         {"duplicate": 1, "near_duplicate": 1, "overlap": 1, "short": 1})
        self.assertEqual(self.content("out.txt"), other("a") + MARKER + other("b") + MARKER)
        dropped = [json.loads(line) for line in self.content("dropped.jsonl").splitlines()]
        self.assertEqual([(one["index"], one["reason"], one.get("of")) for one in dropped],
                         [(2, "duplicate", 0), (3, "near_duplicate", 0), (4, "overlap", 0), (5, "short", None)])
        self.assertAlmostEqual(dropped[1]["jaccard"], 51 / 61)
        with self.assertRaises(ts.CancelledError):
            ts.dataset_clean(first, self.path("no.txt"), progress=lambda done, total: True)
        with self.assertRaises(ts.InputOutputError):
            ts.dataset_clean(first, self.path("no.txt"), near_duplicates=1, scratch="/nonexistent")
        self.assertFalse(os.path.exists(self.path("no.txt")))

    def test_original_release(self):
        records = [{"story": "\n\n" + other(f"s{i}x"), "instruction": {"prompt:": "Write \u201c[]\u201d", "words": ["run", "oak", "sad"], "features": ["Twist"]},
                    "summary": f"S{i}.", "source": "GPT-4" if i % 2 else "GPT-3.5"} for i in range(40)]
        for kind in ("w", "w:gz"):
            for form in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
                path = self.path("all.tar" if kind == "w" else "all.tar.gz")
                with tarfile.open(path, kind, format=form) as archive:
                    for number in range(2):
                        data = json.dumps(records[20 * number:20 * number + 20], ensure_ascii=number == 0, indent=number or None).encode()
                        info = tarfile.TarInfo(("d" * 70 + "/") * (1 + number) + f"data0{number}.json")
                        info.size = len(data)
                        archive.addfile(info, io.BytesIO(data))
                report = ts.dataset_clean(path, self.path("out.jsonl"), source="GPT-4")
                self.assertEqual((report["stories"], report["kept"], report["dropped"]["source"]), (40, 20, 20))
        kept = [json.loads(line) for line in self.content("out.jsonl").splitlines()]
        self.assertEqual(kept, [{**one, "story": one["story"].strip()} for one in records if one["source"] == "GPT-4"])
        stats = ts.dataset_stats(path)
        self.assertEqual((stats["stories"], stats["features"]["Twist"]), (40, 40))

    def test_stats(self):
        path = self.put("in.txt", MARKER.join([STORY, STORY, "Once upon a time."]))
        stats = ts.dataset_stats(path, word_lists=self.put("list.txt", "dog\ncat\n"))
        self.assertEqual(stats["openings"], [{"text": "tom was a happy", "stories": 2}, {"text": "once upon a time", "stories": 1}])
        self.assertEqual((stats["list_words"], stats["list_words_used"], stats["listed_words"], stats["sentences"]), (2, 1, 2, 11))
        self.assertEqual((stats["kinds"]["nouns"]["words"], stats["kinds"]["verbs"]["share_used"]), (0, None))
        self.assertEqual(stats["growth_words"], {"10000": 0, "100000": 0, "1000000": 0})
        self.assertEqual([one["words"] for one in stats["ngrams"]], [1, 2, 3, 4])
        self.assertEqual((stats["ngrams"][0]["occurrences"], stats["ngrams"][3]["distinct"]), (stats["words"], stats["distinct_fourgrams"]))
        built_in = ts.dataset_stats(path)
        self.assertGreater(built_in["kinds"]["nouns"]["used"], 0)
        self.assertGreater(built_in["list_words"], 1000)

    def test_prompts_and_entries(self):
        entry = ts.Instruct(words=["quit", "oak"], summary="They ran.", order=[ts.InstructField.SUMMARY])
        self.assertEqual(entry.prompt(), "Summary: They ran.\nWords: quit, oak\nStory:")
        whole = ts.Instruct(features="Dialogue", sentence="He ran.", story="One. He ran.")
        self.assertEqual(str(whole), "Features: Dialogue\nRandom sentence: He ran.\nStory: \n\nOne. He ran.")
        parsed = ts.Instruct.parse(str(whole))
        self.assertEqual((parsed.features, parsed.sentence, parsed.story, parsed.words), (["Dialogue"], "He ran.", "One. He ran.", None))
        self.assertEqual(parsed.order, (ts.InstructField.FEATURES, ts.InstructField.SENTENCE))
        self.assertEqual(ts.Instruct().prompt(), "Story:")
        self.assertEqual(len(ts.Instruct(summary="\u201c" * 500).prompt()), len("Summary: \nStory:") + 500)
        with self.assertRaises(ts.FormatError):
            ts.Instruct.parse("Words: a")
        with self.assertRaises(ts.InvalidArgumentError):
            ts.Instruct(summary="a<|endoftext|>").prompt()
        with self.assertRaises(ValueError):
            ts.Instruct(order=[1, 2, 4, 8, 1]).prompt()

    def test_instruct_files(self):
        path = self.put("in.txt", MARKER.join([STORY] * 200))
        seen = []
        split = ts.InstructField.WORDS | ts.InstructField.SUMMARY
        report = ts.dataset_instruct(path, self.path("out.txt"), seed=3, always=ts.InstructField.SUMMARY, hold_out=split, held_out=self.path("held.txt"),
                                     summarize=lambda story: seen.append(story) or "A dog.\nIt jumps.")
        self.assertEqual((report["stories"], report["without"], seen), (200, 0, [STORY] * 200))
        self.assertEqual(report["entries"] + report["held_out"], 200)
        self.assertEqual(sum(count for fields, count in report["combinations"].items() if split in fields), report["held_out"])
        for name in ("out.txt", "held.txt"):
            for text in self.content(name).split(MARKER)[:-1]:
                entry = ts.Instruct.parse(text)
                self.assertEqual((entry.summary, entry.story, entry.words is None), ("A dog. It jumps.", STORY, name == "out.txt"))
                self.assertEqual(entry.prompt(), text.strip())

        def fails(story):
            raise KeyError("no summary")

        with self.assertRaises(KeyError):
            ts.dataset_instruct(path, self.path("no.txt"), always=ts.InstructField.SUMMARY, summarize=fails)
        self.assertFalse(os.path.exists(self.path("no.txt")))

    def test_the_examples(self):
        path = self.put("in.txt", MARKER.join([STORY, STORY, STORY.replace("Ben", "\u00e2\u20ac\u0153Ben") + " Now we know it", other("word") + " He sang!"]))
        root = pathlib.Path(__file__).resolve().parents[2] / "bindings" / "python"
        commands = [[sys.executable, root / "examples" / "clean.py"]]
        in_c = pathlib.Path(os.environ.get("TINYSTORIES_CLI", "nothing")).absolute().with_name("example_clean")
        if in_c.exists():
            commands.append([in_c])
        told = []
        for command in commands:
            arguments = [str(one) for one in (*command, self.path("out.txt"), self.path("entries.jsonl"), path)]
            done = subprocess.run(arguments, env={**os.environ, "PYTHONPATH": str(root)}, capture_output=True, encoding="utf-8", timeout=60, check=False)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            told.append((done.stdout, self.content("out.txt"), self.content("entries.jsonl")))
            failed = subprocess.run([*arguments[:-1], self.path("missing.txt")], env={**os.environ, "PYTHONPATH": str(root)}, capture_output=True,
                                    encoding="utf-8", timeout=60, check=False)
            self.assertEqual((failed.returncode, failed.stdout, len(failed.stderr.splitlines())), (1, "", 1))
        printed, cleaned, entries = told[0]
        self.assertTrue(printed.startswith("2 of 4 stories kept, 1 mended\ndropped 1: ending\ndropped 1: duplicate\n2 entries\n\nFeatures: Dialogue\n"), printed)
        self.assertTrue(printed.endswith("Words: jump, dog, happy\nStory:\n"), printed)
        self.assertEqual(cleaned.count("<|endoftext|>"), 2)
        self.assertTrue(all(json.loads(line)["summary"] for line in entries.splitlines()), entries)
        self.assertEqual(told, [told[0]] * len(commands))


if __name__ == "__main__":
    unittest.main()
