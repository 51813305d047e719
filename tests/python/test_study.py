"""Studies: their arithmetic, and a grid that the command line and Python share."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

from fixture import ROOT, new_model, run_examples, ts, write_stories
from tinystories import study

sys.path.insert(0, str(ROOT / "tests" / "servers"))
from local_chat import Server  # noqa: E402

CHAT_BUILT = True
try:
    ts.Chat()
except ts.UnsupportedError:
    CHAT_BUILT = False
TOOL = os.environ.get("TINYSTORIES_CLI")
GRID = {"widths": (16, 32), "depths": (1,), "steps": 3, "context": 32, "size": 300, "batch_tokens": 64, "valid_interval": 1}


class StudyTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.text = write_stories(self.folder)

    def test_arithmetic(self):
        law = study.power_law([1, 10, 100], [8, 4, 2])
        self.assertAlmostEqual(law.factor, 8)
        self.assertAlmostEqual(law.exponent, -0.30103, 5)
        self.assertAlmostEqual(law.exponent_low, law.exponent_high, 6)
        self.assertIsNone(study.power_law([1, 2], [3, 4]).exponent_low)
        with self.assertRaisesRegex(ts.InvalidArgumentError, "point 1"):
            study.power_law([1, 2], [3, 0])
        with self.assertRaises(ValueError):
            study.power_law([1, 2], [3])
        self.assertEqual(study.frontier([1, 2, 3], [3, 4, 2]), [True, False, True])
        self.assertAlmostEqual(study.sign_test(6, 0), 0.03125)
        with self.assertRaisesRegex(OverflowError, "wins is -1"):
            study.sign_test(-1, 3)

    def test_a_grid(self):
        prompts = self.folder / "prompts.txt"
        prompts.write_text("Once upon a time\nThe dog\n", encoding="utf-8")
        told = []
        found = study.grid(self.text, self.folder / "run", **GRID, prompts=prompts, completions_per_prompt=2, completion_tokens=10,
                           progress=lambda name, report: told.append(name) and None)
        self.assertEqual(sorted(set(told)), ["width16-depth1-heads1", "width32-depth1-heads1"])
        self.assertEqual([one["steps"] for one in found["models"]], [3, 3])
        self.assertEqual((found["judge"], found["judge_text"]), ("embedded", str(self.text)))
        self.assertTrue(all(1 <= one["consistency"] <= 10 for one in found["models"]))
        self.assertEqual(json.loads((self.folder / "run" / "study.json").read_text(encoding="utf-8")), found)
        told.clear()
        again = study.grid(self.text, self.folder / "run", **GRID, progress=lambda name, report: told.append(name) and None)
        self.assertEqual(told, [])
        self.assertEqual([one["bits_per_byte"] for one in again["models"]], [one["bits_per_byte"] for one in found["models"]])
        with self.assertRaisesRegex(ValueError, "'steps 3', but this call says 'steps 4'"):
            study.grid(self.text, self.folder / "run", **{**GRID, "steps": 4})
        with self.assertRaisesRegex(ValueError, "'text [0-9]+ bytes, .*expected the same"):
            study.grid(write_stories(self.folder, "more.txt", 2), self.folder / "run", **GRID)

    def test_what_a_folder_was_made_with(self):
        stories, small = self.folder / "shards" / "a.txt", {**GRID, "widths": (16, 16), "steps": 1}
        stories.parent.mkdir()
        stories.write_bytes(pathlib.Path(self.text).read_bytes())
        with self.assertRaises(ts.InputOutputError):
            study.grid(self.text, self.folder / "run", **small, prompts=self.folder / "none.txt")
        with self.assertRaisesRegex(FileNotFoundError, "none.txt"):
            study.grid(self.text, self.folder / "run", **small, prompts=self.text, judge_text="none.txt")
        self.assertFalse((self.folder / "run").exists())
        found = study.grid(str(self.folder / "shards" / "*.txt"), self.folder / "run", **small)
        self.assertEqual((found["text"], len(found["models"])), (str(stories), 1))
        kept = ts.Tokenizer.open(self.folder / "run" / "tokenizer.json")
        study.grid(self.text, self.folder / "run", **{**small, "size": 0, "tokenizer": kept})
        with self.assertRaisesRegex(ValueError, "another tokenizer"):
            study.grid(self.text, self.folder / "run", **{**small, "size": 0, "tokenizer": ts.Tokenizer.train(["a b c"], vocabulary_size=300)})
        with self.assertRaisesRegex(ValueError, "'vocabulary 300', but this call says 'vocabulary 290'"):
            study.grid(self.text, self.folder / "run", **{**small, "size": 290})
        with self.assertRaisesRegex(ValueError, "size"):
            study.grid(self.text, self.folder / "run", **small, tokenizer=kept)
        self.assertEqual([path.name for path in (self.folder / "run").iterdir() if path.name.endswith((".new", ".tmp"))], [])
        for name, text, message in (("points.txt", "64 5.5\n64\n", "points.txt: line 2 is '64', expected tokens and bits per byte"),
                                    ("result.txt", "parameters\n", "result.txt is no result of a model of"), ("result.txt", "", "result.txt is no result")):
            path = self.folder / "run" / "width16-depth1-heads1" / name
            before = path.read_text(encoding="utf-8")
            path.write_text(text, encoding="utf-8")
            with self.assertRaisesRegex(ValueError, message):
                study.grid(self.text, self.folder / "run", **small)
            path.write_text(before, encoding="utf-8")

    @unittest.skipUnless(CHAT_BUILT, "built without chat services")
    def test_a_grid_graded_by_a_chat_service(self):
        server, prompts = Server(), self.folder / "prompts.txt"
        self.addCleanup(server.close)
        prompts.write_text("Once upon a time\nThe dog\n", encoding="utf-8")
        graded = {**GRID, "prompts": prompts, "completions_per_prompt": 2, "completion_tokens": 10}
        for times in range(2):
            chat = ts.Chat(model="gpt-x", base_url=server.url(ledger="grid"), journal="own.journal")
            found = study.grid(self.text, self.folder / "run", **graded, chat=chat)
            self.assertEqual(chat._options.journal, b"own.journal")
            self.assertEqual((found["judge"], found["judge_model"], found["judge_requests"]), ("chat", "gpt-x", 16))
            self.assertEqual(server.ledger("grid")["requests"], 16)
            self.assertTrue(all(one["grammar_low"] <= one["grammar"] <= one["grammar_high"] for one in found["models"]))

    def test_a_stopped_grid_goes_on(self):
        whole = study.grid(self.text, self.folder / "whole", **GRID)
        with self.assertRaises(ts.CancelledError):
            study.grid(self.text, self.folder / "stopped", **GRID, progress=lambda name, report: "32" in name and report.step == 2 and report.due)
        stopped = study.grid(self.text, self.folder / "stopped", **GRID)
        for one, other in zip(whole["models"], stopped["models"]):
            self.assertEqual({**one, "seconds": 0}, {**other, "seconds": 0})

    def test_the_examples(self):
        paths = []
        for width in (16, 32, 48):
            paths.append(f"{width}.gguf")
            new_model(width=width, context_length=128).save(self.folder / paths[-1])
        outputs = run_examples(self, "study", self.folder, self.text, ROOT / "examples" / "study_prompts.txt", *paths)
        for output in outputs:
            self.assertRegex(output.splitlines()[1], r"^32.gguf: \d+ parameters, \d+\.\d{4} bits per byte, \d+ right and \d+ partly of 30, against the first p = \d\.\d{3}$")
            self.assertIn("bits per byte = ", output)
        self.assertEqual(len(set(outputs)), 1)
        for output in run_examples(self, "study", self.folder, self.text, ROOT / "examples" / "study_prompts.txt", paths[0], *paths[:2]):
            self.assertNotIn("bits per byte = ", output)  # two sizes make no law

    @unittest.skipUnless(TOOL and pathlib.Path(TOOL).with_name("example_study").is_file(), "skipped: the examples are not built")
    def test_the_example_s_most_prompts(self):
        path, command = self.folder / "many.txt", [os.path.abspath(pathlib.Path(TOOL).with_name("example_study")), self.text]
        new_model(context_length=64).save(self.folder / "m.gguf")
        for count, status in ((1000, 0), (1001, 1)):
            path.write_text("".join(f"The dog {n}\n" for n in range(count)), encoding="utf-8")
            run = subprocess.run([*command, path, self.folder / "m.gguf"], capture_output=True, encoding="utf-8", timeout=120)
            self.assertEqual(run.returncode, status, run.stderr)
        self.assertIn("has 1001 prompts, expected at most 1000", run.stderr)

    def test_prompts(self):
        path = self.folder / "questions.txt"
        path.write_text("= fact\nThe dog\n+ saw; said\n- flew\n= context\nNobody\n", encoding="utf-8")
        with study.Questions(path) as questions:
            self.assertEqual((len(questions), questions[0]), (2, (study.Question.FACT, "The dog", 3)))
            self.assertEqual(questions.mark(0, " saw it. It flew."), ts.Mark.RIGHT)
            self.assertEqual(questions.mark(0, " flew and saw"), ts.Mark.PARTLY)
            with self.assertRaises(IndexError):
                questions[2]
            found = study.prompts({"one": new_model(), "two": new_model(width=32)}, questions, completions_per_prompt=2, temperature=1, tokens=5)
        self.assertEqual(([one["model"] for one in found["models"]], found["file"]), (["one", "two"], str(path)))
        with ts.Evaluator() as used, study.Questions(path) as questions:
            used.add("A completion.")
            with self.assertRaisesRegex(ValueError, "1 records, expected none"):
                study.prompts({"one": new_model()}, questions, evaluator=used)
        self.assertEqual(sum(found["models"][1]["all"][mark] for mark in ("none", "right", "partly", "wrong")), 4)
        self.assertEqual(found["models"][0]["context"], {"none": 2, "right": 0, "partly": 0, "wrong": 0, "share_right": 0})
        self.assertEqual([len(one["completions"]) for one in found["prompts"]], [4, 4])
        with self.assertRaisesRegex(ts.FormatError, "line 1"):
            path.write_text("+ a\n", encoding="utf-8")
            study.Questions(path)

    @unittest.skipUnless(TOOL, "skipped: TINYSTORIES_CLI does not name the built tool")
    def test_the_command_line_goes_on_with_it(self):
        found = study.grid(self.text, self.folder / "run", **GRID)
        command = [os.path.abspath(TOOL), "study", "grid", "--text", self.text, "--run", str(self.folder / "run"), "--widths", "16", "32", "--depths", "1", "--steps", "3",
                   "--context", "32", "--batch-tokens", "64", "--valid-interval", "1", "--json"]
        result = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=60)
        self.assertEqual(result.returncode, 0, result.stderr)
        theirs = json.loads(result.stdout)
        self.assertEqual(theirs["models"], found["models"])
        for mine, other in zip(found["laws"], theirs["laws"]):
            self.assertEqual(set(mine), set(other))
            self.assertAlmostEqual(mine["exponent"], other["exponent"], 12)
        self.assertEqual(len(found["laws"]), len(theirs["laws"]))


if __name__ == "__main__":
    unittest.main()
