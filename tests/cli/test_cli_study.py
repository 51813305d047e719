"""`study grid`: what it trains, what it keeps, and that it goes on."""
import json
import math
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "servers"))
from local_chat import Server  # noqa: E402

TOOL = os.environ.get("TINYSTORIES_CLI")
SHAPE = ("--widths", "16", "32", "--depths", "1", "--context", "32", "--size", "300", "--batch-tokens", "64", "--threads", "1")


def chat_built():
    tried = subprocess.run([TOOL, "dataset", "generate", "--author", "chat", "--model", "m", "--dry-run", "--count", "1", "--out", "x.txt"],
                           capture_output=True, timeout=60) if TOOL else None
    return tried is not None and tried.returncode == 0


def catches(process, number):
    """Whether a process has a handler of a signal: before, the signal would end it."""
    caught = re.search(r"^SigCgt:\s*(\w+)", pathlib.Path(f"/proc/{process.pid}/status").read_text(encoding="ascii"), re.MULTILINE)
    return caught is not None and bool(int(caught[1], 16) >> (number - 1) & 1)


@unittest.skipUnless(TOOL, "skipped: TINYSTORIES_CLI does not name the built tool")
class StudyCommandTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        stories = [f"Tom had {n} cats. He liked {'all' if n % 2 else 'some'} of them. \"Sit!\" he said." for n in range(120)]
        (cls.folder / "stories.txt").write_text("\n<|endoftext|>\n".join(stories), encoding="utf-8")
        (cls.folder / "prompts.txt").write_text("Tom had\nHe liked\n", encoding="utf-8")

    def run_tool(self, *arguments):
        return subprocess.run([os.path.abspath(TOOL), *map(str, arguments)], cwd=self.folder, capture_output=True, encoding="utf-8", timeout=120)

    def must(self, *arguments):
        result = self.run_tool(*arguments)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result.stdout

    def refused(self, status, names, *arguments):
        result = self.run_tool("study", *arguments)
        self.assertEqual(result.returncode, status, result.stderr)
        self.assertIn(names, result.stderr)
        self.assertEqual(result.stderr.count("\n"), 1)

    def grid(self, run, *more):
        return ("study", "grid", "--text", "stories.txt", "--run", run, "--steps", "3", *SHAPE, "--quiet", *more)

    def test_a_grid(self):
        lines = self.must(*self.grid("a", "--valid-interval", "1", "--prompts", "prompts.txt", "--completions-per-prompt", "2", "--completion-tokens", "10"))
        self.assertEqual(len([line for line in lines.splitlines() if line.strip().startswith(("16 ", "32 "))]), 2)
        self.assertIn("grammar", lines)
        study = json.loads((self.folder / "a" / "study.json").read_text(encoding="utf-8"))
        self.assertEqual([(one["width"], one["depth"], one["steps"]) for one in study["models"]], [(16, 1, 3), (32, 1, 3)])
        self.assertEqual([law["x"] for law in study["laws"]], ["compute"])  # two sizes make no law
        for one in study["models"]:
            self.assertEqual([point["tokens"] for point in one["points"]], [64, 128, 192])
            self.assertEqual(one["points"][-1]["bits_per_byte"], one["bits_per_byte"])
            self.assertEqual(one["compute"], 6 * one["parameters"] * one["tokens"])
            self.assertEqual(one["parameters"] - one["inner_parameters"], 300 * one["width"])
            self.assertTrue(1 <= one["grammar_low"] <= one["grammar"] <= one["grammar_high"] <= 10)
        grades = json.loads((self.folder / "a" / "grades.json").read_text(encoding="utf-8"))
        self.assertEqual((grades["judge"], grades["all"]["records"], len(grades["models"])), ("embedded", 8, 2))
        written = {path: path.stat().st_mtime_ns for path in self.folder.glob("a/width*/model.gguf")}
        more = json.loads(self.must(*self.grid("a", "--valid-interval", "1", "--depths", "2", "--json")))
        self.assertEqual(len(more["models"]), 4)
        self.assertEqual({path: path.stat().st_mtime_ns for path in written}, written, "what is finished is not trained again")
        laws = {law["x"]: law for law in more["laws"]}
        self.assertEqual(set(laws), {"parameters", "inner_parameters", "compute"})
        x, y = ([math.log(one[key]) for one in more["models"]] for key in ("parameters", "bits_per_byte"))
        mean_x, mean_y = sum(x) / 4, sum(y) / 4
        slope = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y)) / sum((a - mean_x) ** 2 for a in x)
        self.assertAlmostEqual(laws["parameters"]["exponent"], slope, 9)
        self.assertLess(laws["parameters"]["exponent_low"], slope)
        self.refused(1, "'steps 3', but this command says 'steps 4'", *self.grid("a", "--steps", "4")[1:])
        (self.folder / "other.txt").write_text((self.folder / "stories.txt").read_text(encoding="utf-8").replace("cats", "dogs"), encoding="utf-8")
        other = [*self.grid("a")]
        other[other.index("stories.txt")] = "other.txt"
        self.refused(1, "expected the same", *other[1:])
        self.refused(1, "'valid held out'", *self.grid("a", "--valid", "other.txt")[1:])
        (self.folder / "renamed.txt").write_bytes((self.folder / "stories.txt").read_bytes())
        other[other.index("other.txt")] = "renamed.txt"
        self.must(*other)

    def test_what_a_folder_was_made_with(self):
        """The tokenizer is the study's: one that is given to a further command must be the same."""
        grid = ("study", "grid", "--text", "stories.txt", "--run", "t", "--steps", "1", "--widths", "16", "16", "--depths", "1", "--context", "32", "--batch-tokens", "64",
                "--threads", "1", "--quiet")
        study = json.loads(self.must(*grid, "--size", "300", "--json"))
        self.assertEqual(len(study["models"]), 1)  # a width that is given twice is one
        for same in ((), ("--size", "300"), ("--tokenizer", "t/tokenizer.json"), ("--tokenizer", "t/width16-depth1-heads1/model.gguf")):
            self.must(*grid, *same)
        self.must("tokenizer", "train", "--in", "prompts.txt", "--size", "270", "--out", "other.json")
        self.refused(1, "t has a study with another tokenizer than other.json", *grid[1:], "--tokenizer", "other.json")
        self.refused(1, "'vocabulary 300', but this command says 'vocabulary 290'", *grid[1:], "--size", "290")
        points = self.folder / "t" / "width16-depth1-heads1" / "points.txt"
        points.write_text(points.read_text(encoding="utf-8") + "64 x\n", encoding="utf-8")
        self.refused(1, "points.txt: line 2 is '64 x', expected tokens and bits per byte", *grid[1:])

    def test_what_grades_need_is_looked_at_first(self):
        for more in (("--prompts", "none.txt"), ("--prompts", "prompts.txt", "--judge-text", "none.txt")):
            self.refused(1, "none.txt", *self.grid("never", *more)[1:])
        if chat_built():
            self.refused(1, "none.txt", *self.grid("never", "--prompts", "prompts.txt", "--judge", "chat", "--judge-model", "m", "--templates", "none.txt")[1:])
        self.assertFalse((self.folder / "never").exists())

    def test_grading_that_is_stopped(self):
        self.must(*self.grid("s"))
        tool = subprocess.Popen([os.path.abspath(TOOL), *self.grid("s", "--prompts", "prompts.txt", "--completions-per-prompt", "100000")], cwd=self.folder, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, encoding="utf-8")
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and tool.poll() is None and not catches(tool, signal.SIGINT):
            time.sleep(0.01)
        tool.send_signal(signal.SIGINT)
        self.assertEqual(tool.communicate(timeout=60), ("", "tinystories: interrupted; all 2 models are finished in s and not graded: the same command goes on\n"))
        self.assertEqual(tool.returncode, 1)

    def test_a_stopped_grid_goes_on(self):
        whole = json.loads(self.must(*self.grid("whole", "--json", "--steps", "300", "--valid-interval", "50")))
        command = [os.path.abspath(TOOL), *self.grid("stopped", "--json", "--steps", "300", "--valid-interval", "50")]
        stops = 0
        for number, watched in ((signal.SIGINT, "width16"), (signal.SIGKILL, "width32"), (signal.SIGINT, "width32"), (None, "")):
            tool = subprocess.Popen(command, cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8")
            points = self.folder / "stopped" / f"{watched}-depth1-heads1" / "points.txt"
            seen, deadline = points.stat().st_size if points.exists() else 0, time.monotonic() + 60
            while number is not None and tool.poll() is None and time.monotonic() < deadline:
                if points.exists() and points.stat().st_size > seen:
                    tool.send_signal(number)
                    stops += 1
                    break
                time.sleep(0.002)
            out, errors = tool.communicate(timeout=60)
            if tool.returncode == 1:
                self.assertIn("the same command goes on", errors)
        self.assertGreater(stops, 0)
        self.assertEqual(tool.returncode, 0, errors)
        found = json.loads(out)
        drop = ("seconds", "points")  # a validation that was stopped is not made again
        self.assertEqual([{key: value for key, value in one.items() if key not in drop} for one in found["models"]],
                         [{key: value for key, value in one.items() if key not in drop} for one in whole["models"]])
        for one, other in zip(whole["models"], found["models"]):
            self.assertTrue(all(point in one["points"] for point in other["points"]), (one["points"], other["points"]))
            self.assertEqual(*((self.folder / run / one["name"] / "model.gguf").read_bytes() for run in ("whole", "stopped")))

    def test_prompts(self):
        self.must(*self.grid("p"))
        (self.folder / "questions.txt").write_text("= fact\nTom had\n+ 1; 2; cats\n- dogs\n= context\nHe liked\n+ zzz\nNobody\n", encoding="utf-8")
        models = [f"p/width{width}-depth1-heads1/model.gguf" for width in (16, 32)]
        command = ("study", "prompts", "--models", *models, "--prompts", "questions.txt", "--tokens", "8")
        (self.folder / "prompts.json").symlink_to("real.json")
        (self.folder / "real.json").write_text("old", encoding="utf-8")
        lines = self.must(*command, "--names", "small", "large", "--out", "prompts.json")
        self.assertTrue((self.folder / "prompts.json").is_symlink())
        self.assertRegex(lines, r"small +\d \(\+ \d\) of 1 +0 \(\+ 0\) of 2 +\d")
        study = json.loads((self.folder / "prompts.json").read_text(encoding="utf-8"))
        self.assertEqual([one["model"] for one in study["models"]], ["small", "large"])
        self.assertEqual([(one["kind"], one["prompt"], len(one["completions"])) for one in study["prompts"]],
                         [("fact", "Tom had", 2), ("context", "He liked", 2), ("context", "Nobody", 2)])
        greedy = self.must("sample", "--model", models[1], "--prompt", "He liked", "--tokens", "8", "--temperature", "0")
        self.assertEqual("He liked" + study["prompts"][1]["completions"][1]["text"] + "\n", greedy)
        drawn = json.loads(self.must(*command, "--completions-per-prompt", "3", "--temperature", "1", "--json"))
        self.assertEqual(drawn["models"][0]["model"], "model.gguf")
        self.assertEqual(sum(drawn["models"][0]["all"][mark] for mark in ("none", "right", "partly", "wrong")), 9)
        self.assertIn("\nb\ufffd[31m  ", self.must(*command, "--names", "a", "b\x1b[31m"))
        self.refused(2, "--names", *command[1:], "--names", "one")
        self.refused(2, "--journal", *command[1:], "--journal", "j")
        self.refused(2, "--judge-model", *command[1:], "--judge", "chat")
        (self.folder / "bad.txt").write_text("+ answer\n", encoding="utf-8")
        self.refused(1, "bad.txt: line 1", *command[1:5], "--prompts", "bad.txt")
        self.refused(1, "none.txt", *command[1:5], "--prompts", "none.txt")

    def test_the_example_s_prompts(self):
        path = pathlib.Path(__file__).resolve().parents[2] / "examples" / "study_prompts.txt"
        self.must(*self.grid("e", "--context", "128"))
        study = json.loads(self.must("study", "prompts", "--models", "e/width16-depth1-heads1/model.gguf", "--prompts", path, "--tokens", "4", "--json"))
        kinds = [one["kind"] for one in study["prompts"]]
        self.assertEqual([kinds.count(kind) for kind in ("fact", "reasoning", "context")], [10, 10, 10])

    @unittest.skipUnless(chat_built(), "skipped: the tool was built without chat services")
    def test_prompts_by_a_chat_service(self):
        server = Server()
        self.addCleanup(server.close)
        self.must(*self.grid("c"))
        command = ("study", "prompts", "--models", "c/width16-depth1-heads1/model.gguf", "--prompts", "prompts.txt", "--tokens", "4", "--judge", "chat", "--judge-model",
                   "m", "--base-url", server.url(ledger="marks"), "--journal", "j")
        result = self.run_tool(*command, "--max-requests", "1")
        self.assertEqual(result.returncode, 1)
        self.assertIn("the same command goes on", result.stderr)
        study = json.loads(self.must(*command, "--json"))
        self.assertEqual((study["judge"], study["judge_model"], study["models"][0]["all"]["partly"]), ("chat", "m", 2))
        self.assertEqual(server.ledger("marks")["requests"], 2)

    @unittest.skipUnless(chat_built(), "skipped: the tool was built without chat services")
    def test_a_grid_graded_by_a_chat_service(self):
        """A journal a model: stopped it goes on, and further models ask for their own completions alone."""
        server = Server()
        self.addCleanup(server.close)
        grade = ("--prompts", "prompts.txt", "--completions-per-prompt", "2", "--completion-tokens", "10", "--judge", "chat", "--judge-model", "gpt-x", "--base-url",
                 server.url(ledger="grid"))
        result = self.run_tool(*self.grid("g", *grade, "--max-requests", "5"))
        self.assertEqual(result.returncode, 1)
        self.assertIn("the same command goes on", result.stderr)
        study = json.loads(self.must(*self.grid("g", *grade, "--json")))
        self.assertEqual((study["judge"], study["judge_model"], study["judge_requests"]), ("chat", "gpt-x", 16))
        self.assertEqual(server.ledger("grid")["requests"], 16)
        for one in study["models"]:
            grades = json.loads((self.folder / "g" / one["name"] / "grades.json").read_text(encoding="utf-8"))
            self.assertEqual((grades["judge_model"], grades["all"]["outcomes"]["scored"]), ("gpt-x", 4))
            self.assertAlmostEqual(grades["all"]["grades"]["grammar"]["mean"], one["grammar"], 2)
            self.assertTrue(one["grammar_low"] <= one["grammar"] <= one["grammar_high"])
        lines = self.must(*self.grid("g", *grade, "--depths", "1", "2"))
        self.assertIn("Grades are those of gpt-x", lines)
        self.assertRegex(lines, r"\d \(\d+\.\d\d to \d+\.\d\d\)")
        self.assertEqual(server.ledger("grid")["requests"], 32)
        for names, more in (("--judge-model", (*grade[:8],)), ("--journal", (*grade, "--journal", "j")), ("--judge-text", (*grade, "--judge-text", "stories.txt")),
                            ("--prompts", grade[6:]), ("--schema", (*grade[:6], "--schema")), ("--max-requests", (*grade[:6], "--max-requests", "3"))):
            self.refused(2, names, *self.grid("g", *more)[1:])

    def test_wrong_calls(self):
        common = ("grid", "--text", "stories.txt", "--run", "b")
        self.refused(2, "--minutes", *common)
        self.refused(1, "--widths", *common, "--steps", "1", "--widths", "16", "x")
        self.refused(1, "--depths", *common, "--steps", "1", "--depths", "0")
        for option in ("--judge-text", "--completions-per-prompt", "--completion-tokens", "--temperature"):
            self.refused(2, f"{option} needs --prompts", *common, "--steps", "1", option, "1")
        self.refused(2, "--size", *common, "--steps", "1", "--size", "300", "--tokenizer", "t.json")
        self.refused(2, "no shape", *common, "--steps", "1", "--size", "300", "--widths", "15", "--heads", "2")
        self.refused(2, "'-'", "grid", "--text", "-", "--run", "b", "--steps", "1")
        self.refused(1, "none.txt", "grid", "--text", "none.txt", "--run", "b2", "--steps", "1")


if __name__ == "__main__":
    unittest.main()
