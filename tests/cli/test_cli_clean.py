"""dataset clean and dataset instruct as scripts see them. Needs TINYSTORIES_CLI, as test_cli does."""

import gzip
import json
import os
import tempfile
import unittest

from test_cli import MARKER, TOOL, run, story


@unittest.skipUnless(TOOL, "skipped: TINYSTORIES_CLI does not name the built tool")
class CleanTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="tinystories-test-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.stories = [story(number) for number in range(60)]
        self.put("stories.txt", self.stories + self.stories[:5] + ["Short.", self.stories[9] + " *.", self.stories[8] + " \u00e9.", self.stories[7] + " and"])
        self.put("valid.txt", self.stories[:3])

    def put(self, name, stories):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write("".join(f"{one}\n{MARKER}\n" for one in stories))

    def path(self, name):
        return os.path.join(self.folder, name)

    def read(self, name):
        with open(self.path(name), encoding="utf-8") as file:
            return [one.strip() for one in file.read().split(MARKER) if one.strip()]

    def must(self, *arguments, **more):
        result = run("dataset", *arguments, cwd=self.folder, **more)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result.stdout.decode()

    def refused(self, *arguments, names, status=1):
        before = sorted(os.listdir(self.folder))
        result = run("dataset", *arguments, cwd=self.folder)
        self.assertEqual(result.returncode, status, result.stderr)
        self.assertEqual(len(result.stderr.decode().splitlines()), 1)
        self.assertIn(names, result.stderr.decode())
        self.assertEqual((result.stdout, sorted(os.listdir(self.folder))), (b"", before))

    def test_clean(self):
        report = json.loads(self.must("clean", "--in", "stories.txt", "--out", "out.txt", "--json"))
        self.assertEqual((report["file"], report["stories"], report["kept"]), ("out.txt", 69, 60))
        self.assertEqual({name: count for name, count in report["dropped"].items() if count},
                         {"short": 1, "character": 1, "symbol": 1, "ending": 1, "duplicate": 5})
        self.assertEqual(self.read("out.txt"), self.stories)
        text = self.must("clean", "--in", "stories.txt", "--out", "out.txt")
        self.assertRegex(text, r"(?m)^kept +60$")
        self.assertRegex(text, r"(?m)^  duplicate +5$")
        self.assertNotIn("overlap", text)
        with open(self.path("stories.txt"), "rb") as file:
            piped = self.must("clean", "--in", "-", "--out", "-", data=file.read())
        self.assertEqual([one.strip() for one in piped.split(MARKER)[:-1]], self.stories)

    def test_options(self):
        report = json.loads(self.must("clean", "--in", "stories.txt", "--out", "out.jsonl.gz", "--against", "valid.txt", "--near-duplicates", "--jaccard", "0.9",
                                      "--no-rule", "ending", "symbol", "--min-characters", "1", "--dropped", "dropped.jsonl", "--scratch", "/tmp", "--json"))
        self.assertEqual((report["dropped"]["overlap"], report["dropped"]["short"], report["against_stories"]), (6, 0, 3))
        with gzip.open(self.path("out.jsonl.gz"), "rt", encoding="utf-8") as file:
            kept = [json.loads(line)["story"] for line in file]
        self.assertEqual(len(kept), report["kept"])
        with open(self.path("dropped.jsonl"), encoding="utf-8") as file:
            self.assertEqual(sum(1 for _ in file), 69 - report["kept"])
        report = json.loads(self.must("clean", "--in", "stories.txt", "--out", "out.txt", "--exclude-prompts", "valid.txt", "--prompt-words", "20", "--json"))
        self.assertGreaterEqual(report["dropped"]["prompt"], 6)
        report = json.loads(self.must("clean", "--in", "stories.txt", "--out", "out.txt", "--no-step", "spaces", "--keep-duplicates", "--json"))
        self.assertEqual((report["kept"], report["spaced_stories"]), (65, 0))

    def test_refusals(self):
        self.refused("clean", "--in", "stories.txt", names="--out", status=2)
        self.refused("clean", "--out", "x.txt", names="--in", status=2)
        self.refused("clean", "--in", "stories.txt", "--out", "-", "--json", names="--json", status=2)
        self.refused("clean", "--in", "missing.txt", "--out", "x.txt", names="missing.txt")
        self.refused("clean", "--in", "stories.txt", "--out", "x.txt", "--no-rule", "long", names="expected one of short")
        self.refused("clean", "--in", "stories.txt", "--out", "x.txt", "--jaccard", "0.2", names="--jaccard")
        self.refused("clean", "--in", "stories.txt", "--out", "x.txt", "--dropped", "d.txt", names="d.txt")
        self.refused("instruct", "--in", "stories.txt", "--out", "x.txt", "--fields", "plot", names="expected one of words")
        self.refused("instruct", "--in", "stories.txt", "--out", "x.txt", "--held-out", "h.txt", names="--hold-out", status=2)

    def test_instruct(self):
        report = json.loads(self.must("instruct", "--in", "stories.txt", "--out", "out.txt", "--seed", "5", "--always", "summary", "--hold-out", "words", "summary",
                                      "--held-out", "held.txt", "--json"))
        self.assertEqual((report["stories"], report["entries"] + report["held_out"] + report["without"]), (69, 69))
        self.assertEqual(sum(report["combinations"].values()), 69)
        self.assertEqual(len(report["combinations"]), 15)
        out, held = self.read("out.txt"), self.read("held.txt")
        self.assertEqual((len(out), len(held)), (report["entries"], report["held_out"]))
        self.assertTrue(all("Story: \n\n" in one and "Words: " not in one for one in out))
        self.assertTrue(all("Words: " in one and "Summary: " in one for one in held))
        self.assertRegex(self.must("instruct", "--in", "stories.txt", "--out", "out.txt", "--fields", "features"), r"(?m)^  features +\d+$")
        self.assertIn("Story: \n\nOnce", self.must("instruct", "--in", "stories.txt", "--out", "-"))


if __name__ == "__main__":
    unittest.main()
