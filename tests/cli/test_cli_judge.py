"""`evaluate judge`: the embedded judge, and a chat service on this machine."""
import json
import os
import pathlib
import resource
import signal
import stat
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "servers"))
from local_chat import Server  # noqa: E402

TOOL = os.environ.get("TINYSTORIES_CLI")
RECORDS = [{"prompt": f"Tom had {n} cats and", "completion": f" he {verb} all of them. The end.", "model": model}
           for n in range(6) for model, verb in (("good", "liked"), ("bad", "the the the the"))]


def chat_built():
    tried = subprocess.run([TOOL, "dataset", "generate", "--author", "chat", "--model", "m", "--dry-run", "--count", "1", "--out", "x.txt"],
                           capture_output=True, timeout=60) if TOOL else None
    return tried is not None and tried.returncode == 0


@unittest.skipUnless(TOOL, "skipped: TINYSTORIES_CLI does not name the built tool")
class JudgeCommandTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        (cls.folder / "records.jsonl").write_text("".join(json.dumps(record) + "\n" for record in RECORDS), encoding="utf-8")
        (cls.folder / "stories.txt").write_text("\n<|endoftext|>\n".join(f"Tom had {n} cats. He liked {'all' if n % 2 else 'some'} of them." for n in range(80)),
                                                encoding="utf-8")
        (cls.folder / "prompts.txt").write_text("Tom had\nHe liked\n", encoding="utf-8")

    def run_tool(self, *arguments):
        environment = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
        return subprocess.run([os.path.abspath(TOOL), *map(str, arguments)], cwd=self.folder, capture_output=True, encoding="utf-8", timeout=60, env=environment)

    def must(self, *arguments):
        result = self.run_tool(*arguments)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result.stdout

    def refused(self, status, names, *arguments):
        result = self.run_tool("evaluate", "judge", *arguments)
        self.assertEqual(result.returncode, status, result.stderr)
        self.assertEqual(result.stdout, "")
        self.assertIn(names, result.stderr)
        self.assertEqual(result.stderr.count("\n"), 1)

    def test_lines_for_people(self):
        """Names stand as they are, one prompt has no interval, and no name gives the terminal orders."""
        names = ["a_model_with_a_name_that_is_longer_than_forty_characters", "b\x1b[31m", "c\x9b31m \u00e4"]
        (self.folder / "named.jsonl").write_text("".join(json.dumps({"prompt": "Tom", "completion": " ran home.", "model": name}) + "\n" for name in names), encoding="utf-8")
        lines = self.must("evaluate", "judge", "--completions", "named.jsonl")
        self.assertIn("\n" + names[0] + "\n", lines)
        self.assertIn(names[0] + " less b\ufffd[31m\n", lines)
        self.assertIn("\nc\ufffd31m \u00e4\n", lines)
        self.assertNotRegex(lines, "[\x1b\x80-\x9f]")
        self.assertNotRegex(self.run_tool("evaluate", "judge", "--completions", "none\x1b\x9b.jsonl").stderr, "[\x1b\x80-\x9f]")
        self.assertNotIn("nan", lines)

    def test_least_scored(self):
        (self.folder / "half.jsonl").write_text('{"completion": "Tom ran home."}\n{"completion": "..."}\n', encoding="utf-8")
        for least, trusted in (("0.5", True), ("0.6", False)):
            report = json.loads(self.must("evaluate", "judge", "--completions", "half.jsonl", "--least-scored", least, "--json"))
            self.assertEqual((report["least_scored"], report["all"]["trusted"]), (float(least), trusted))

    def test_completions_of_a_file(self):
        report = json.loads(self.must("evaluate", "judge", "--completions", "records.jsonl", "--text", "stories.txt", "--text-name", "eighty stories", "--json"))
        self.assertEqual((report["judge"], report["language_text"]), ("embedded", "eighty stories"))
        self.assertEqual([model["model"] for model in report["models"]], ["good", "bad"])
        self.assertGreater(report["comparisons"][0]["grammar"]["low"], 0)
        self.assertEqual(len(report["completions"]), len(RECORDS))
        lines = self.must("evaluate", "judge", "--completions", "records.jsonl", "--out", "report.json")
        self.assertIn("embedded", lines.splitlines()[0])
        self.assertIn("good less bad", lines)
        self.assertEqual(json.loads((self.folder / "report.json").read_text(encoding="utf-8"))["all"]["records"], len(RECORDS))

    def test_completions_of_a_model(self):
        self.must("tokenizer", "train", "--in", "stories.txt", "--size", "300", "--out", "tokenizer.json")
        self.must("train", "--text", "stories.txt", "--preset", "laptop-0.3m", "--context", "64", "--tokenizer", "tokenizer.json", "--steps", "5", "--seed", "1",
                  "--out", "model.gguf")
        told = ("evaluate", "judge", "--model", "model.gguf", "--prompts", "prompts.txt", "--completions-per-prompt", "3", "--tokens", "20", "--seed", "5")
        report = json.loads(self.must(*told, "--save", "saved.jsonl", "--json"))
        self.assertEqual((report["all"]["records"], report["all"]["prompts"]), (6, 2))
        self.assertEqual(report["models"][0]["model"], "model.gguf")
        again = json.loads(self.must("evaluate", "judge", "--completions", "saved.jsonl", "--seed", "5", "--json"))
        self.assertEqual(again["completions"], report["completions"])
        one = self.must("sample", "--model", "model.gguf", "--prompt", "Tom had", "--tokens", "20", "--seed", "6", "--temperature", "1")
        self.assertEqual(one, "Tom had" + report["completions"][1]["completion"] + "\n")
        (self.folder / "held.txt").write_text("Words: cats, box\nSummary: Tom had cats.\nStory: \n\nTom had cats in a box.\n<|endoftext|>\n"
                                              "Random sentence: He liked them.\nFeatures: Dialogue\nStory: \n\nTom had cats. He liked them.\n<|endoftext|>\n", encoding="utf-8")
        report = json.loads(self.must("evaluate", "judge", "--model", "model.gguf", "--instruct", "held.txt", "--completions-per-prompt", "2", "--tokens", "10", "--json"))
        asked = [{key: one[key] for key in ("prompt", "words", "summary", "sentence", "features") if key in one} for one in report["completions"]]
        self.assertEqual(asked, 2 * [{"prompt": "", "words": "cats, box", "summary": "Tom had cats."}] + 2 * [{"prompt": "", "sentence": "He liked them.", "features": "Dialogue"}])
        self.assertFalse(any(one["completion"].startswith((" ", "\n")) for one in report["completions"]))
        self.refused(1, "entry 1", "--model", "model.gguf", "--instruct", "prompts.txt")
        self.refused(2, "expected one of them", "--model", "model.gguf", "--instruct", "held.txt", "--prompts", "prompts.txt")

    def test_files_that_are_saved(self):
        """They are there as a whole or not at all; a link stays, and what is no regular file is written as it stands."""
        self.must("train", "--text", "stories.txt", "--preset", "laptop-0.3m", "--context", "64", "--size", "300", "--steps", "2", "--out", "kept.gguf")
        (self.folder / "long.txt").write_text("Tom had\n" + "Tom had cats. " * 200, encoding="utf-8")
        told = ("evaluate", "judge", "--model", "kept.gguf", "--completions-per-prompt", "1", "--tokens", "10", "--prompts")
        real, link, fifo = (self.folder / name for name in ("real.jsonl", "link.jsonl", "fifo"))
        real.write_text("old", encoding="utf-8")
        real.chmod(0o640)
        link.symlink_to("real.jsonl")
        self.assertEqual(self.run_tool(*told, "long.txt", "--save", "link.jsonl").returncode, 1)  # the second prompt is too long
        self.assertEqual(real.read_text(encoding="utf-8"), "old")
        self.must(*told, "prompts.txt", "--save", "link.jsonl")
        saved = real.read_bytes()
        self.assertEqual((link.is_symlink(), stat.S_IMODE(real.stat().st_mode), saved.count(b"\n")), (True, 0o640, 2))

        def tiny_files_only():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (64, 64))

        result = subprocess.run([os.path.abspath(TOOL), *told, "prompts.txt", "--save", "link.jsonl"], cwd=self.folder, capture_output=True, encoding="utf-8", timeout=60,
                                preexec_fn=tiny_files_only)
        self.assertEqual((result.returncode, result.stderr.count("\n")), (1, 1), result.stderr)
        self.assertIn("real.jsonl cannot be written: File too large", result.stderr)
        self.assertEqual(real.read_bytes(), saved)
        os.mkfifo(fifo)
        reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, reader)
        self.must(*told, "prompts.txt", "--save", "fifo")
        self.assertEqual(os.read(reader, 1 << 16), saved)
        self.assertTrue(stat.S_ISFIFO(fifo.stat().st_mode))
        self.assertEqual([path.name for path in self.folder.iterdir() if path.name.startswith(".") or path.suffix == ".new"], [])
        self.refused(1, "--save is 'no/such/x', but the folder", *told[2:], "prompts.txt", "--save", "no/such/x")
        self.refused(1, "--out is 'no/such/x', but the folder", *told[2:], "prompts.txt", "--save", "x", "--out", "no/such/x")

    def test_diversity_of_a_model(self):
        """Beginnings of stories told anew, against a plain reading of what was saved."""
        self.must("train", "--text", "stories.txt", "--preset", "laptop-0.3m", "--context", "64", "--size", "300", "--steps", "5", "--seed", "1", "--out", "small.gguf")
        (self.folder / "long.txt").write_text("\n<|endoftext|>\n".join(f"Tom had {n} cats. He liked them all a lot. Then he went home." for n in range(30)), encoding="utf-8")
        told = ("evaluate", "diversity", "--model", "small.gguf", "--from", "long.txt", "--stories", "7", "--share", "0.5", "--seed", "3", "--tokens", "12")
        report = json.loads(self.must(*told, "--text", "long.txt", "--completions-per-story", "2", "--save", "anew.jsonl", "--json"))
        self.assertEqual((report["completions"], report["share"], len(report["items"])), (14, 0.5, 14))
        self.assertGreater(report["mean_nearest_f_of_endings"], 0.99)  # the endings are all the same
        self.assertGreater(report["items"][0]["ending_nearest_f"], 0.99)
        lines = [json.loads(line) for line in (self.folder / "anew.jsonl").read_text(encoding="utf-8").splitlines()]
        self.assertEqual([line["prompt"] for line in lines[::2]], [line["prompt"] for line in lines[1::2]])
        self.assertTrue(all(line["prompt"].endswith("liked them") and line["ending"] == " all a lot. Then he went home." for line in lines))
        again = json.loads(self.must("evaluate", "diversity", "--completions", "anew.jsonl", "--json"))
        self.assertEqual([one["ending_precision"] for one in again["items"]], [one["ending_precision"] for one in report["items"]])
        one = self.must("sample", "--model", "small.gguf", "--prompt", lines[0]["prompt"], "--tokens", "12", "--seed", "3", "--temperature", "1")
        self.assertEqual(one, lines[0]["prompt"] + lines[0]["completion"] + "\n")
        for names, more in (("--from", ("--model", "small.gguf")), ("--from", ("--completions", "x", "--from", "long.txt")), ("--share", ("--completions", "x", "--share", "0.5")),
                            ("--save", ("--completions", "x", "--save", "y")), ("expected one", (*told[2:], "--text", "a", "--index", "b")), ("--completions", ())):
            result = self.run_tool("evaluate", "diversity", *more)
            self.assertEqual((result.returncode, result.stderr.count("\n")), (2, 1), result.stderr)
            self.assertIn(names, result.stderr)

    def test_wrong_calls(self):
        self.refused(2, "--completions")
        self.refused(2, "belong together", "--model", "m.gguf")
        self.refused(2, "--completions", "--model", "m.gguf", "--prompts", "prompts.txt", "--completions", "records.jsonl")
        self.refused(2, "--journal", "--completions", "records.jsonl", "--journal", "j")
        self.refused(2, "--repeats", "--completions", "records.jsonl", "--repeats", "3")
        for option, value in (("--save", "x"), ("--name", "x"), ("--completions-per-prompt", "2"), ("--temperature", "1"), ("--top-p", "1"), ("--tokens", "9")):
            self.refused(2, f"{option} is for the completions of --model", "--completions", "records.jsonl", option, value)
        self.refused(2, "--text-name", "--completions", "records.jsonl", "--text-name", "x")
        self.refused(1, "none.jsonl", "--completions", "none.jsonl")
        self.refused(2, "--judge-model", "--completions", "records.jsonl", "--judge", "chat")
        self.refused(2, "--text", "--completions", "records.jsonl", "--judge", "chat", "--judge-model", "m", "--journal", "j", "--text", "stories.txt")

    @unittest.skipUnless(chat_built(), "skipped: the tool was built without chat services")
    def test_chat_judge(self):
        server = Server()
        self.addCleanup(server.close)
        chat = ("evaluate", "judge", "--completions", "records.jsonl", "--judge", "chat", "--judge-model", "m", "--base-url", server.url(ledger="cli"))
        plan = self.must(*chat, "--dry-run")
        self.assertIn("Give no grades yet", plan)
        self.assertIn("Grammar: ?/10", plan)
        plan = json.loads(self.must(*chat, "--dry-run", "--json"))
        self.assertEqual([sorted(plan), len(plan["messages"]), plan["requests"]], [["messages", "most_completion_tokens", "prompt_tokens", "requests"], 2, 2 * len(RECORDS)])
        (self.folder / "evil.jsonl").write_text(json.dumps({"prompt": "Tom", "completion": "\x1b[31m \x9b31m home.", "model": "m"}) + "\n", encoding="utf-8")
        plan = self.must(*chat[:3], "evil.jsonl", *chat[4:], "--dry-run")
        self.assertIn("\ufffd[31m \ufffd31m home.", plan)
        self.assertNotRegex(plan, "[\x1b\x80-\x9f]")
        self.assertEqual(server.ledger("cli")["requests"], 0)
        result = self.run_tool(*chat, "--journal", "j", "--max-requests", "10")
        self.assertEqual(result.returncode, 1)
        self.assertIn("the same command goes on", result.stderr)
        report = json.loads(self.must(*chat, "--journal", "j", "--json"))
        self.assertEqual(report["all"]["outcomes"]["scored"], len(RECORDS))
        self.assertEqual(server.ledger("cli")["requests"], 2 * len(RECORDS))
        self.assertIn("journal", self.must(*chat, "--journal", "j"))
        self.assertEqual(server.ledger("cli")["requests"], 2 * len(RECORDS))

    @unittest.skipUnless(chat_built(), "skipped: the tool was built without chat services")
    def test_completions_of_a_service(self):
        """A baseline of two prompts, stopped and gone on with, cut, judged beside another model, and set against it."""
        server = Server()
        self.addCleanup(server.close)
        ask = ("evaluate", "complete", "--prompts", "prompts.txt", "--model", "gpt-x", "--base-url", server.url(ledger="ask"), "--completions-per-prompt", "3")
        plan = json.loads(self.must(*ask, "--dry-run", "--json"))
        self.assertEqual((plan["wanted"], plan["requests"]), (6, 6))
        self.assertEqual(server.ledger("ask")["requests"], 0)
        result = self.run_tool(*ask, "--out", "base.jsonl", "--journal", "a", "--max-requests", "2")
        self.assertEqual(result.returncode, 1)
        self.assertIn("the same command goes on", result.stderr)
        self.assertFalse((self.folder / "base.jsonl").exists())
        report = json.loads(self.must(*ask, "--out", "base.jsonl", "--journal", "a", "--name", "baseline", "--json"))
        self.assertEqual((report["completions"], report["unusable"], report["journal"]["answered"]), (6, 0, 6))
        self.assertEqual(server.ledger("ask")["requests"], 6)
        lines = [json.loads(line) for line in (self.folder / "base.jsonl").read_text(encoding="utf-8").splitlines()]
        self.assertEqual([(line["model"], line["prompt"]) for line in lines], 3 * [("baseline", "Tom had")] + 3 * [("baseline", "He liked")])
        self.assertEqual([json.loads(line) for line in self.must(*ask, "--out", "-", "--journal", "a", "--name", "baseline").splitlines()], lines)
        (self.folder / "long.jsonl").write_text("".join(json.dumps({"prompt": "Tom had", "completion": " one two three four one two three four.", "model": name}) + "\n"
                                                        for name in ("gpt2", "ours")), encoding="utf-8")
        for more, cut in (([], 0), (["--cut", "4"], 2), (["--cut", "4", "--cut-models", "gpt2"], 1)):
            told = json.loads(self.must("evaluate", "judge", "--completions", "long.jsonl", *more, "--json"))
            self.assertEqual(sum(one["completion"] == " one two three four" for one in told["completions"]), cut)
        self.refused(2, "--cut-models", "--completions", "long.jsonl", "--cut-models", "gpt2")
        duel = json.loads(self.must("evaluate", "duel", "--completions", "long.jsonl", "base.jsonl", "--left", "baseline", "--cut", "4", "--judge-model", "m", "--base-url",
                                    server.url(ledger="b"), "--journal", "b", "--right", "gpt2", "--json"))
        self.assertEqual((duel["left"], duel["judged"]), ("baseline", 1))
        (self.folder / "held2.txt").write_text("Words: cats, box\nStory: \n\nTom had cats in a box.\n<|endoftext|>\n", encoding="utf-8")
        self.must("evaluate", "complete", "--instruct", "held2.txt", "--model", "m", "--base-url", server.url(ledger="c"), "--journal", "c", "--completions-per-prompt", "2", "--out", "told.jsonl")
        told = json.loads((self.folder / "told.jsonl").read_text(encoding="utf-8").splitlines()[1])
        self.assertEqual((told["prompt"], told["words"], told["model"]), ("", "cats, box", "m"))
        self.assertIn("words followed", self.must("evaluate", "judge", "--completions", "told.jsonl"))
        for status, names, more in ((2, "--instruct", ("--model", "m", "--journal", "x", "--out", "y")), (2, "--out", (*ask[2:6], "--journal", "x")),
                                    (2, "--journal", (*ask[2:6], "--out", "y")), (1, "none.txt", ("--prompts", "none.txt", "--model", "m", "--journal", "x", "--out", "y"))):
            result = self.run_tool("evaluate", "complete", *more)
            self.assertEqual((result.returncode, result.stderr.count("\n")), (status, 1), result.stderr)
            self.assertIn(names, result.stderr)

    @unittest.skipUnless(chat_built(), "skipped: the tool was built without chat services")
    def test_raw_completions_of_a_service(self):
        """A baseline by a model that knows no chat, stopped and gone on with; and one of instructions as a model of TinyStories-Instruct takes them."""
        server = Server()
        self.addCleanup(server.close)
        ask = ("evaluate", "complete", "--raw", "--prompts", "prompts.txt", "--model", "gpt2", "--completions-per-prompt", "3", "--base-url", server.url(ledger="raw", faults="stream"))
        self.assertEqual(json.loads(self.must(*ask, "--dry-run", "--json"))["requests"], 6)
        result = self.run_tool(*ask, "--out", "raw.jsonl", "--journal", "raw", "--max-requests", "2", "--stream")
        self.assertEqual(result.returncode, 1)
        self.assertIn("the same command goes on", result.stderr)
        report = json.loads(self.must(*ask, "--out", "raw.jsonl", "--journal", "raw", "--json"))
        self.assertEqual((report["completions"], report["unusable"], report["journal"]["answered"]), (6, 0, 6))
        self.assertEqual(server.ledger("raw")["requests"], 6)
        lines = [json.loads(line) for line in (self.folder / "raw.jsonl").read_text(encoding="utf-8").splitlines()]
        self.assertEqual([(line["model"], line["prompt"]) for line in lines], 3 * [("gpt2", "Tom had")] + 3 * [("gpt2", "He liked")])
        for line in lines:
            self.assertRegex(line["completion"], r"\A  and\n\nthen came number [0-9]+ of [0-9]+\.\n\Z")
        (self.folder / "held3.txt").write_text("Words: cats, box\nStory: \n\nTom had cats in a box.\n<|endoftext|>\n", encoding="utf-8")
        self.must("evaluate", "complete", "--raw", "--instruct", "held3.txt", "--model", "m", "--base-url", server.url(ledger="c"), "--journal", "raw-c", "--completions-per-prompt", "1",
                  "--out", "raw-told.jsonl")
        told = json.loads((self.folder / "raw-told.jsonl").read_text(encoding="utf-8"))
        self.assertEqual((told["prompt"][:16], told["words"], told["completion"][:5]), ("Words: cats, box", "cats, box", "  and"))
        for status, names, more in ((2, "--templates", ("--templates", "t.txt", "--out", "y", "--journal", "x")), (1, 'went to "completions"', ("--out", "y", "--journal", "raw")),
                                    (1, '"echo"', ("--out", "y", "--journal", "x", "--extra", '{"echo": true}'))):
            result = self.run_tool(*[one for one in ask if one != "--raw" or "went" not in names], *more)
            self.assertEqual((result.returncode, result.stderr.count("\n")), (status, 1), result.stderr)
            self.assertIn(names, result.stderr)
        result = self.run_tool("evaluate", "judge", "--raw", "--completions", "raw.jsonl")  # judges are asked by a chat alone
        self.assertEqual((result.returncode, result.stderr.count("\n")), (2, 1), result.stderr)

    @unittest.skipUnless(chat_built(), "skipped: the tool was built without chat services")
    def test_duel(self):
        server = Server()
        self.addCleanup(server.close)
        duel = ("evaluate", "duel", "--completions", "records.jsonl", "--judge-model", "m", "--base-url", server.url(ledger="duel"), "--journal", "d")
        result = self.run_tool(*duel, "--max-requests", "3")
        self.assertEqual(result.returncode, 1)
        self.assertIn("the same command goes on", result.stderr)
        report = json.loads(self.must(*duel, "--json"))
        self.assertEqual((report["left"], report["right"], report["pairs"], report["judged"], report["for_neither"]), ("good", "bad", 6, 6, 12))
        self.assertEqual(server.ledger("duel")["requests"], 12)
        self.assertIn("sign test p", self.must(*duel))
        for status, names, more in ((1, "'x'", ("--left", "x")), (1, "itself", ("--left", "bad", "--right", "bad"))):
            result = self.run_tool(*duel, *more)
            self.assertEqual((result.returncode, result.stderr.count("\n")), (status, 1), result.stderr)
            self.assertIn(names, result.stderr)
        self.assertEqual(self.run_tool(*duel[:4], "--journal", "d").returncode, 2)


if __name__ == "__main__":
    unittest.main()
