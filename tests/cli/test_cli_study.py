"""`study grid`: what it trains, what it keeps, and that it goes on."""
import json
import math
import os
import pathlib
import signal
import subprocess
import tempfile
import time
import unittest

TOOL = os.environ.get("TINYSTORIES_CLI")
SHAPE = ("--widths", "16", "32", "--depths", "1", "--context", "32", "--size", "300", "--batch-tokens", "64", "--threads", "1")


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
            self.assertTrue(1 <= one["grammar"] <= 10)
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

    def test_wrong_calls(self):
        common = ("grid", "--text", "stories.txt", "--run", "b")
        self.refused(2, "--minutes", *common)
        self.refused(2, "--widths", *common, "--steps", "1", "--widths", "16", "x")
        self.refused(2, "--depths", *common, "--steps", "1", "--depths", "0")
        self.refused(2, "--prompts", *common, "--steps", "1", "--judge-text", "stories.txt")
        self.refused(2, "--size", *common, "--steps", "1", "--size", "300", "--tokenizer", "t.json")
        self.refused(2, "no shape", *common, "--steps", "1", "--size", "300", "--widths", "15", "--heads", "2")
        self.refused(2, "'-'", "grid", "--text", "-", "--run", "b", "--steps", "1")
        self.refused(1, "none.txt", "grid", "--text", "none.txt", "--run", "b2", "--steps", "1")


if __name__ == "__main__":
    unittest.main()
