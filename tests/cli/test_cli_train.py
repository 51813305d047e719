"""The options of `tinystories train` that change what is learned."""

import csv
import json
import unittest

import test_cli


class TrainOptionsTest(test_cli.CommandLineTest):
    def result(self, *arguments):
        return json.loads(self.must("train", "--text", "stories.txt", *test_cli.SMALL, "--steps", "15", "--seed", "1", "--out", "out.gguf", "--json", "--quiet", *arguments))

    def test_options_change_the_run(self):
        plain = self.result()
        packed = self.result("--packing", "stories")
        self.assertNotEqual(plain["nats_per_token"], packed["nats_per_token"])
        averaged = self.result("--average", "0.9")
        self.assertEqual(plain["nats_per_token"], averaged["nats_per_token"])
        self.assertNotEqual(plain["valid_nats_per_token"], averaged["valid_nats_per_token"])
        self.assertEqual(plain["valid_nats_per_token"], self.result("--average", "0.9", "--use-average", "0")["valid_nats_per_token"])


    def test_stories_and_logs(self):
        told = test_cli.run("train", "--text", "stories.txt", *test_cli.SMALL, "--steps", "8", "--seed", "1", "--run", "told", "--stories", "2", "--story-prompt", "The dog",
                            "--valid-interval", "4", "--csv-log", cwd=self.folder)
        self.assertEqual(told.returncode, 0, told.stderr)
        self.assertEqual(told.stderr.count(b"a story by step 4: The dog"), 2)
        self.assertEqual(told.stderr.count(b"a story by step 8: The dog"), 2)
        stories = [line for line in map(json.loads, self.content("told/log.jsonl").splitlines()) if line["event"] == "story"]
        self.assertEqual([story["step"] for story in stories], [4, 4, 8, 8])
        self.assertEqual(len({story["text"] for story in stories}), 4)
        rows = list(csv.DictReader(self.content("told/log.csv").decode().splitlines()))
        self.assertEqual([(row["event"], row["step"]) for row in rows], [("valid", "4"), ("valid", "8"), ("end", "8")])
        quiet = test_cli.run("train", "--text", "stories.txt", *test_cli.SMALL, "--steps", "2", "--run", "quiet", "--stories", "1", "--quiet", cwd=self.folder)
        self.assertEqual(quiet.stderr, b"")
        self.assertIn(b'"event": "story"', self.content("quiet/log.jsonl"))

    def test_too_few_stories_are_told(self):
        with open(self.path("few.txt"), "w", encoding="utf-8") as file:
            file.write(test_cli.MARKER.join(test_cli.story(number) for number in range(5)))
        few = test_cli.run("train", "--text", "few.txt", *test_cli.SMALL, "--steps", "1", "--out", "few.gguf", cwd=self.folder)
        self.assertEqual(few.returncode, 0, few.stderr)
        self.assertIn(b"warning: no story is held out, 5 are too few for a valid_share of 0.02", few.stderr)

    def test_another_precision_is_told(self):
        train = ["train", "--text", "stories.txt", "--run", "precise", "--quiet"]
        if test_cli.run(*train, *test_cli.SMALL, "--steps", "2", "--precision", "bf16", cwd=self.folder).returncode != 0:
            self.skipTest("this processor has no bf16")
        resumed = test_cli.run(*train, "--resume", "--steps", "3", "--precision", "f32", cwd=self.folder)
        self.assertEqual(resumed.returncode, 0, resumed.stderr)
        self.assertIn(b"was trained in bf16 and goes on in f32", resumed.stderr)

    def test_patterns(self):
        with open(self.path("stories.txt"), encoding="utf-8") as file:
            stories = file.read().split(test_cli.MARKER)
        for name, part in (("part-b.txt", stories[200:]), ("part-a.txt", stories[:200]), ("odd[1].txt", stories)):
            with open(self.path(name), "w", encoding="utf-8") as file:
                file.write(test_cli.MARKER.join(part))
        whole = json.loads(self.must("dataset", "stats", "stories.txt", "--json"))
        for names in (["part-*.txt"], ["part-[ab].txt"], ["part-?.txt"], ["odd[1].txt"]):
            self.assertEqual(json.loads(self.must("dataset", "stats", *names, "--json"))["words"], whole["words"], names)
        tokenizer = ["--tokenizer", "tokenizer.json"]
        for option, name in (("", "part-a.txt part-b.txt"), ("pattern", "part-*.txt")):
            self.must("train", "--text", *name.split(), *tokenizer, "--preset", "laptop-0.3m", "--context", "64", "--steps", "1", "--out", f"out{option}.gguf", "--quiet")
        self.assertEqual(self.content("out.gguf"), self.content("outpattern.gguf"))
        self.refused("dataset", "stats", "none-*.txt", names="none-*.txt")
        self.refused("train", "--text", ".", *tokenizer, "--steps", "1", "--out", "x.gguf", "--quiet", names="not a regular file")


if __name__ == "__main__":
    unittest.main()
