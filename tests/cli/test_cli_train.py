"""The options of `tinystories train` that change what is learned."""

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
