"""`dataset generate --author chat` against a service on this machine."""
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "servers"))
from local_chat import Server  # noqa: E402

TOOL = os.environ.get("TINYSTORIES_CLI")
KEY = "SENTINEL-9f3a7c21d0b84e65"
CHAT = [TOOL or "", "dataset", "generate", "--author", "chat", "--model", "m"]


def built():
    """Whether the tool knows of chat services."""
    tried = subprocess.run([*CHAT, "--dry-run", "--count", "1", "--out", "x.txt"], capture_output=True, timeout=60) if TOOL else None
    return tried is not None and tried.returncode == 0


@unittest.skipUnless(built(), "skipped: TINYSTORIES_CLI does not name a tool that was built with chat services")
class ChatCommandTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        cls.addClassCleanup(cls.server.close)

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.ledger = self.id().rpartition(".")[2]
        self.environment = {name: value for name, value in os.environ.items() if name not in ("TINYSTORIES_API_KEY", "OPENAI_API_KEY")}

    def url(self, **settings):
        return self.server.url(ledger=self.ledger, **settings)

    def run_tool(self, *arguments, url=None, **environment):
        return subprocess.run([*CHAT, "--base-url", url or self.url(), *map(str, arguments)], cwd=self.folder, env={**self.environment, **environment},
                              capture_output=True, encoding="utf-8", timeout=60)

    def must(self, *arguments, **more):
        result = self.run_tool(*arguments, **more)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result.stdout

    def refused(self, names, *arguments, status=1, **more):
        result = self.run_tool(*arguments, **more)
        self.assertEqual(result.returncode, status, result.stderr)
        self.assertEqual(len(result.stderr.splitlines()), 1, result.stderr)
        self.assertIn(names, result.stderr)

    def billed(self):
        return self.server.ledger(self.ledger)

    def indices(self, name):
        return [json.loads(line)["index"] for line in (self.folder / name).read_text().splitlines()]

    def test_stories_and_their_bill(self):
        (self.folder / "prices.json").write_text('{"m": {"prompt": 10, "completion": 20}}')
        arguments = ["--count", 20, "--seed", 3, "--journal", "journal", "--prices", "prices.json", "--json"]
        told = json.loads(self.must(*arguments, "--out", "a.jsonl"))
        self.assertEqual((told["stories"], told["journal"]["answered"], told["journal"]["requests"]), (20, 20, 20))
        self.assertAlmostEqual(told["journal"]["money"], 20 * 2e-3)
        self.must(*arguments, "--out", "b.jsonl")
        self.assertEqual((self.folder / "a.jsonl").read_bytes(), (self.folder / "b.jsonl").read_bytes())
        self.assertEqual(self.billed()["requests"], 20)
        self.assertEqual(self.indices("a.jsonl"), list(range(20)))
        self.assertEqual(self.must("--count", 2, "--seed", 3, "--journal", "journal", "--out", "-", "--format", "jsonl"),
                         "".join((self.folder / "a.jsonl").read_text().splitlines(True)[:2]))

    def test_a_dry_run_sends_and_leaves_nothing(self):
        told = self.must("--count", 50, "--out", "x.jsonl", "--dry-run")
        self.assertEqual(told.count("Tell a short story"), 3)
        self.assertRegex(told, r"requests +50\n")
        told = json.loads(self.must("--count", 50, "--out", "x.jsonl", "--dry-run", "--journal", "journal", "--json", "--reply-tokens", 100))
        self.assertEqual((len(told["prompts"]), told["requests"], told["most_completion_tokens"]), (3, 50, 5000))
        self.assertEqual(list(self.folder.iterdir()), [])
        self.assertEqual(self.billed()["requests"], 0)
        self.must("--count", 10, "--out", "x.jsonl", "--journal", "journal")
        told = json.loads(self.must("--count", 50, "--out", "y.jsonl", "--dry-run", "--journal", "journal", "--json"))
        self.assertEqual(told["requests"], 40)

    def test_keys(self):
        count = ["--count", 1, "--out", "x.txt"]
        (self.folder / "key").write_text(KEY + "\n")
        self.must(*count, "--journal", "a", TINYSTORIES_API_KEY=KEY)
        self.must(*count, "--journal", "b", "--key-file", "key", TINYSTORIES_API_KEY="another")
        self.assertEqual(self.billed()["authorized"], {f"Bearer {KEY}": 2})
        self.must(*count, "--journal", "c", OPENAI_API_KEY=KEY)  # not shown to another service
        self.assertEqual(self.billed()["authorized"], {f"Bearer {KEY}": 2, "": 1})
        self.refused("401", *count, "--journal", "d", url=self.url(faults="echo401"), TINYSTORIES_API_KEY=KEY)
        (self.folder / "key").unlink()
        for path in self.folder.iterdir():
            self.assertNotIn(KEY[:12].encode(), path.read_bytes())

    def test_summaries(self):
        (self.folder / "stories.txt").write_text("\n<|endoftext|>\n".join(f"There was a dog {i}. It ran. It was happy." for i in range(12)))
        common = [TOOL, "dataset", "instruct", "--in", "stories.txt", "--always", "summary"]
        chat = ["--summaries", "chat", "--model", "m", "--base-url", self.url(), "--journal", "j", "--json"]

        def run(*arguments):
            return subprocess.run([*common, *arguments], cwd=self.folder, env={**self.environment, "TINYSTORIES_API_KEY": KEY}, capture_output=True, encoding="utf-8",
                                  timeout=60)
        stopped = run(*chat, "--out", "a.jsonl", "--max-requests", "5")
        self.assertEqual((stopped.returncode, (self.folder / "a.jsonl").exists()), (1, False))
        self.assertIn("max_requests", stopped.stderr)
        told = run(*chat, "--out", "a.jsonl")
        self.assertEqual(told.returncode, 0, told.stderr)
        report = json.loads(told.stdout)
        self.assertEqual((report["summarized"], report["journal"]["answered"], self.billed()["requests"]), (12, 12, 12))
        for line in (self.folder / "a.jsonl").read_text().splitlines():
            self.assertTrue(json.loads(line)["summary"].startswith("It is about number "))
        self.assertNotIn(KEY[:12].encode(), (self.folder / "j").read_bytes())
        for wrong in (["--journal", "j"], ["--summaries", "chat", "--model", "m"]):
            self.assertEqual(run(*wrong, "--out", "b.jsonl").returncode, 2)

    def instruct(self, *arguments, status=0, url=None):
        result = subprocess.run([TOOL, "dataset", "instruct", "--in", "stories.txt", "--always", "summary", "--summaries", "chat", "--model", "m", "--base-url",
                                 url or self.url(), *map(str, arguments)], cwd=self.folder, env=self.environment, capture_output=True, encoding="utf-8", timeout=60)
        self.assertEqual(result.returncode, status, result.stderr)
        return result.stdout if status == 0 else result.stderr

    def test_summaries_before_and_by_others(self):
        (self.folder / "stories.txt").write_text("\n<|endoftext|>\n".join(f"There was a dog {i}. It ran. It was happy." for i in range(12)))
        (self.folder / "template").write_text("Of {words}: {story}")
        told = json.loads(self.instruct("--out", "a.jsonl", "--dry-run", "--prompt", "template", "--reply-tokens", 40, "--json"))
        self.assertEqual((len(told["prompts"]), told["requests"], told["most_completion_tokens"]), (3, 12, 480))
        self.assertRegex(told["prompts"][2], r"^Of [a-z, ]+: There was a dog 2\.")
        self.assertRegex(self.instruct("--out", "a.jsonl", "--dry-run", "--shard", "1/5"), r"requests +3\n")
        self.assertEqual(sorted(path.name for path in self.folder.iterdir()), ["stories.txt", "template"])
        (self.folder / "template").write_text("Of {nobody}: {story}")
        self.assertIn("{nobody}", self.instruct("--out", "a.jsonl", "--journal", "j", "--prompt", "template", status=1))
        self.assertEqual(self.billed()["requests"], 0)
        for shard in range(3):
            report = json.loads(self.instruct("--out", f"{shard}.jsonl", "--journal", f"j{shard}", "--shard", f"{shard}/3", "--json"))
            self.assertEqual((report["stories"], report["summarized"]), (4, 4))
        self.instruct("--out", "all.jsonl", "--journal", "all", "--merge", "j0", "j1", "j2")
        self.assertEqual(self.billed()["requests"], 12)
        parts = [(self.folder / f"{shard}.jsonl").read_text().splitlines() for shard in range(3)]
        self.assertEqual((self.folder / "all.jsonl").read_text().splitlines(), [parts[i % 3][i // 3] for i in range(12)])
        url = self.url(polls=1, batches="half,ok")
        told = json.loads(self.instruct("--out", "b.jsonl", "--journal", "b", "--batch", "--poll", 0, "--json", url=url))
        self.assertEqual((told["left"], told["requests"], told["waiting"]), (12, 12, 1))
        self.assertFalse((self.folder / "b.jsonl").exists())
        self.instruct("--out", "b.jsonl", "--journal", "b", "--batch", "--poll", 0.05, url=url)
        self.assertEqual((self.folder / "b.jsonl").read_bytes(), (self.folder / "all.jsonl").read_bytes())
        told = json.loads(self.instruct("--out", "c.jsonl", "--journal", "c", "--batch-write", "requests.jsonl", "--json"))
        self.assertEqual((told["requests"], told["files"], (self.folder / "c.jsonl").exists()), (12, 1, False))
        with open(self.folder / "requests.jsonl", encoding="utf-8") as requests, open(self.folder / "results.jsonl", "w", encoding="utf-8") as results:
            for line in requests:
                body = {"choices": [{"index": 0, "finish_reason": "stop", "message": {"content": "Off it went."}}]}
                print(json.dumps({"custom_id": json.loads(line)["custom_id"], "response": {"status_code": 200, "body": body}}), file=results)
        self.instruct("--out", "c.jsonl", "--journal", "c", "--batch-read", "results.jsonl")
        self.assertEqual((self.folder / "c.jsonl").read_text().count("Off it went."), 24)  # in text and summary
        for option, value in (("--prompt", ["template"]), ("--dry-run", []), ("--merge", ["j0"]), ("--batch", [])):
            result = subprocess.run([TOOL, "dataset", "instruct", "--in", "stories.txt", "--out", "d.txt", option, *value], cwd=self.folder, capture_output=True,
                                    encoding="utf-8", timeout=60)
            self.assertEqual((result.returncode, option in result.stderr), (2, True), result.stderr)

    def test_standard_output_asks_ahead(self):
        told = self.must("--count", 30, "--seed", 3, "--journal", "j", "--out", "-", "--format", "jsonl", "--in-flight", 5, url=self.url(delay=0.02, unusable=20))
        self.assertEqual(len(told.splitlines()), 30)
        bill = self.billed()
        self.must("--seed", 3, "--journal", "j", "--offline", "--out", "all.jsonl")
        self.assertEqual((self.folder / "all.jsonl").read_text(), told)
        self.assertEqual((bill["most_in_flight"], self.billed()), (5, bill))

    def test_stories_that_do_not_fit(self):
        common = ["--count", 20, "--seed", 3, "--out", "x.jsonl"]
        told = self.must(*common, "--journal", "over", url=self.url(wordless=30))
        self.assertRegex(told, r"unfit +[1-9]")
        self.assertGreater(self.indices("x.jsonl")[-1], 19)
        self.must(*common, "--journal", "again", "--asks", 2, url=self.url(wordless=30).replace("ledger=", "ledger=again"))
        self.assertEqual(self.indices("x.jsonl"), list(range(20)))
        self.must(*common, "--journal", "over", "--keep-unfit", "words")
        self.assertEqual(self.indices("x.jsonl"), list(range(20)))
        self.refused("--keep-unfit", *common, "--journal", "over", "--keep-unfit", "rhymes")

    def test_export(self):
        told = json.loads(self.must("--count", 20, "--seed", 3, "--journal", "journal", "--out", "x.jsonl", "--json", url=self.url(wordless=30)))["journal"]

        def export(*arguments):
            return subprocess.run([TOOL, "dataset", "export", "--journal", "journal", *arguments, "--json"], cwd=self.folder, capture_output=True, encoding="utf-8",
                                  timeout=60)
        self.refused("other requests", "--count", 20, "--seed", 4, "--journal", "journal", "--out", "y.jsonl")
        exported = export("--out", "y.jsonl")
        self.assertEqual((exported.returncode, json.loads(exported.stdout)["journal"]), (0, told), exported.stderr)
        self.assertEqual((self.folder / "x.jsonl").read_text(), (self.folder / "y.jsonl").read_text())
        self.assertEqual(json.loads(export("--out", "y.jsonl", "--keep-unfit", "words", "language").stdout)["stories"], 20 + told["unfit"])
        self.assertEqual([export("--out", "-").returncode, export("--out", "y.jsonl", "--journal", "no").returncode], [2, 1])

    def test_bounds(self):
        common = ["--count", 50, "--out", "x.txt", "--in-flight", 4]
        self.refused("max_requests", *common, "--journal", "a", "--max-requests", 7)
        self.assertEqual(self.billed()["requests"], 7)
        self.refused("max_tokens", *common, "--journal", "b", "--max-tokens", 5000)
        self.refused("max_seconds", *common, "--journal", "c", "--max-minutes", 0.002, url=self.url(delay=0.1))
        self.refused("has 4 replies", *common, "--journal", "d", "--max-requests", 4)
        self.refused("options.max_money", *common, "--journal", "e", "--max-money", 4)

    def test_shards(self):
        for shard in range(3):
            told = json.loads(self.must("--count", 20, "--seed", 3, "--shard", f"{shard}/3", "--journal", f"j{shard}", "--out", f"s{shard}.jsonl", "--json"))
            self.assertEqual(told["stories"], [7, 7, 6][shard])
        self.assertEqual(sorted(index for shard in range(3) for index in self.indices(f"s{shard}.jsonl")), list(range(20)))
        self.must("--seed", 3, "--journal", "all", "--merge", "j0", "j1", "j2", "--out", "all.jsonl")
        self.must("--seed", 3, "--journal", "all", "--offline", "--out", "again.jsonl")
        self.assertEqual((self.folder / "again.jsonl").read_bytes(), (self.folder / "all.jsonl").read_bytes())
        for option in ("--count", "--first"):
            self.refused(option, option, 3, "--journal", "all", "--offline", "--out", "x.jsonl", status=2)
        self.assertEqual((self.indices("all.jsonl"), self.billed()["requests"]), (list(range(20)), 20))
        self.refused("max_requests", "--count", 20, "--shard", "1/2", "--journal", "bound", "--out", "x.txt", "--max-requests", 9)
        self.assertEqual(self.billed()["requests"], 24)
        for shard in range(2):  # of calls of three stories, from the second of a call on
            self.must("--count", 20, "--first", 4, "--seed", 3, "--shard", f"{shard}/2", "--stories-a-call", 3, "--varied", "--journal", f"k{shard}", "--out",
                      f"t{shard}.jsonl")
        self.assertEqual(sorted(index for shard in range(2) for index in self.indices(f"t{shard}.jsonl")), list(range(4, 24)))
        for wrong in ("3/3", "1", "1/0", "-1/3", "1/3x"):
            self.refused("--shard", "--count", 20, "--shard", wrong, "--journal", "j", "--out", "x.txt")

    def test_batches(self):
        common = ["--count", 12, "--seed", 3]
        self.must(*common, "--journal", "online", "--out", "online.jsonl")
        billed = self.billed()["billed"]
        batch = [*common, "--journal", "journal", "--out", "a.jsonl", "--batch"]
        url = self.url(polls=1, batches="half,ok")
        told = json.loads(self.must(*batch, "--poll", 0, "--json", url=url))
        self.assertEqual((told["left"], told["requests"], told["waiting"]), (12, 12, 1))
        self.assertFalse((self.folder / "a.jsonl").exists())
        self.must(*batch, "--poll", 0.05, url=url)
        self.assertEqual((self.folder / "a.jsonl").read_bytes(), (self.folder / "online.jsonl").read_bytes())
        self.assertEqual(self.billed()["billed"] - billed, 12)
        self.assertEqual(sorted(path.name for path in self.folder.iterdir()), ["a.jsonl", "journal", "online", "online.jsonl"])

    def test_batch_files(self):
        common = ["--count", 12, "--seed", 3, "--journal", "journal", "--out", "a.jsonl", "--json", "--keep-unfit", "words"]
        told = json.loads(self.must(*common, "--batch-write", "requests.jsonl"))
        self.assertEqual((told["requests"], told["files"]), (12, 1))
        for half in range(2):
            with open(self.folder / "requests.jsonl", encoding="utf-8") as requests, open(self.folder / f"{half}.jsonl", "w", encoding="utf-8") as results:
                for line in list(requests)[half::2]:
                    body = {"choices": [{"index": 0, "finish_reason": "stop", "message": {"content": "A story."}}]}
                    print(json.dumps({"custom_id": json.loads(line)["custom_id"], "response": {"status_code": 200, "body": body}}), file=results)
        told = json.loads(self.must(*common, "--batch-read", "1.jsonl"))
        self.assertEqual((told["left"], told["results"]), (6, 6))
        self.must(*common, "--batch-read", "0.jsonl", "1.jsonl")
        self.assertEqual(self.indices("a.jsonl"), list(range(12)))
        self.assertEqual(self.billed()["requests"], 0)

    def test_wrong_calls(self):
        for names, arguments in (("--journal", ["--out", "x.txt"]), ("--base-url", ["--author", "embedded", "--out", "x.txt"])):
            self.refused(names, *arguments, status=2)
        result = subprocess.run([TOOL, "dataset", "generate", "--out", "x.txt", "--prompt", "p"], cwd=self.folder, capture_output=True, timeout=60)
        self.assertEqual((result.returncode, b"--prompt" in result.stderr), (2, True))
        (self.folder / "prompt").write_text("Tell of {nobody}.")
        self.refused("{nobody}", "--prompt", "prompt", "--journal", "j", "--out", "x.txt")
        self.assertEqual([path.name for path in self.folder.iterdir()], ["prompt"])

    def interrupt(self, times, delay):
        url = self.url(delay=delay)
        process = subprocess.Popen([*CHAT, "--base-url", url, "--count", "200", "--in-flight", "4", "--journal", "journal", "--out", "x.txt"],
                                   cwd=self.folder, env=self.environment, stderr=subprocess.PIPE, encoding="utf-8")
        before = self.billed()["requests"]
        while self.billed()["requests"] < before + 4:
            time.sleep(0.01)
        began = time.monotonic()
        for _ in range(times):
            process.send_signal(signal.SIGINT)
            time.sleep(0.1)
        _, said = process.communicate(timeout=60)
        self.assertEqual((process.returncode, len(said.splitlines())), (1, 1), said)
        return said, time.monotonic() - began

    def test_interrupts(self):
        said, _ = self.interrupt(1, 0.5)  # waits for the four
        self.assertIn("interrupted", said)
        self.assertNotIn("unknown", said)
        self.assertEqual(self.billed()["requests"] % 4, 0)
        said, seconds = self.interrupt(2, 20)  # gives the four up
        self.assertIn("4 requests of unknown outcome", said)
        self.assertLess(seconds, 5)
        report = json.loads(self.must("--count", 30, "--journal", "journal", "--out", "x.txt", "--json"))["journal"]
        self.assertEqual((report["unknown"], report["possibly_paid_twice"]), (0, 4))


if __name__ == "__main__":
    unittest.main()
