"""Stories by a chat service: against a local one that misbehaves and bills, with kills, shards, budgets, and a key that must show up nowhere."""
import json
import os
import pathlib
import pickle
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import unittest

from fixture import ROOT
import tinystories as ts

sys.path.insert(0, str(ROOT / "tests" / "servers"))
from local_chat import Server  # noqa: E402

KEY = "SENTINEL-9f3a7c21d0b84e65"
SECRETS = [KEY, KEY[:12], KEY[-12:], "Bearer S", "U0VOVElORUwt"]
CHAT_BUILT = True
try:
    ts.Chat()
except ts.UnsupportedError:
    CHAT_BUILT = False

WRITE = """
import sys, tinystories as ts
url, journal, count, out, in_flight = sys.argv[1:6]
chat = ts.Chat(base_url=url, model="m", journal=journal, read_key=sys.stdin.readline().strip, in_flight=int(in_flight), total_seconds=20)
with ts.Generator(seed=3, chat=chat) as generator:
    generator.write(int(count), out)
"""


@unittest.skipUnless(CHAT_BUILT, "built without chat services")
class ChatTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()

    @classmethod
    def tearDownClass(cls):
        cls.server.close()

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.ledger = self.id().rpartition(".")[2]

    def chat(self, journal="stories.journal", **options):
        settings = {name: options.pop(name) for name in ("faults", "honour", "delay", "limit") if name in options}
        return ts.Chat(**{"base_url": self.server.url(ledger=self.ledger, **settings), "model": "m", "journal": self.folder / journal, "key": KEY, **options})

    def records(self, path="stories.jsonl"):
        return [json.loads(line) for line in (self.folder / path).read_text().splitlines()]

    def assert_no_secret(self, *texts):
        everything = list(texts) + [path.read_bytes().decode("latin-1") for path in self.folder.rglob("*") if path.is_file()]
        for secret in SECRETS:
            for text in everything:
                self.assertNotIn(secret, text)

    def test_files_are_functions_of_the_journal(self):
        with ts.Generator(seed=3, chat=self.chat(faults="429,ok")) as generator:
            generator.write(30, self.folder / "stories.jsonl")
            report = generator.chat_report()
        first = (self.folder / "stories.jsonl").read_bytes()
        self.assertEqual((report.answered, report.requests, report.possibly_paid_twice), (30, 60, 0))
        requests = self.server.ledger(self.ledger)["requests"]
        with ts.Generator(seed=3, chat=self.chat()) as generator:
            generator.write(30, self.folder / "again.jsonl")
            generator.seek(5)
            story = next(generator)
            prompt = generator.prompt(5)
        self.assertEqual((self.folder / "again.jsonl").read_bytes(), first)
        self.assertEqual(self.server.ledger(self.ledger)["requests"], requests)
        records = self.records()
        self.assertEqual([record["index"] for record in records], list(range(30)))
        self.assertEqual(story.story, records[5]["story"])
        self.assertEqual(story.source, "m")
        for record, index in zip(records, range(30)):
            for word in record["instruction"]["words"]:
                self.assertIn(word, record["story"])
        for word in story.words:
            self.assertIn(f'"{word}"', prompt)
        with ts.Generator(seed=3) as embedded:  # the words and features are the same
            for record in records:
                other = next(embedded)
                self.assertEqual((list(other.words), other.feature_names), (record["instruction"]["words"], record["instruction"]["features"]))
        self.assertEqual(self.server.ledger(self.ledger)["authorized"], {f"Bearer {KEY}": 60})
        self.assert_no_secret()

    def test_next_asks_for_one(self):
        with ts.Generator(chat=self.chat()) as generator:
            self.assertEqual([next(generator).index for _ in range(3)], [0, 1, 2])
            self.assertEqual(self.server.ledger(self.ledger)["requests"], 3)
            generator.seek(1)
            next(generator)
            self.assertEqual(self.server.ledger(self.ledger)["requests"], 3)

    def test_stories_that_cannot_be_used_are_passed_over(self):
        for fault, field in (("length", "cut"), ("filter", "filtered"), ("refusal", "filtered"), ("filter400", "filtered"), ("null", "invalid")):
            with ts.Generator(chat=self.chat(fault, faults=fault)) as generator:
                with self.assertRaises(ts.LimitError):
                    generator.write(4, self.folder / "stories.txt")
                self.assertEqual(getattr(generator.chat_report(), field), 20, fault)  # four, and sixteen more before it gives up
            self.assertFalse((self.folder / "stories.txt").exists())
        with ts.Generator(chat=self.chat("mixed", faults="length")) as generator:
            with self.assertRaises(ts.LimitError):
                next(generator)
        with ts.Generator(chat=self.chat("mixed")) as generator:  # they stay passed over
            generator.write(5, self.folder / "stories.jsonl")
        self.assertEqual([record["index"] for record in self.records()], list(range(16, 21)))

    def test_hostile_stories_are_one_line_each(self):
        with ts.Generator(chat=self.chat(faults="hostile")) as generator:
            generator.write(5, self.folder / "stories.jsonl")
        for record in self.records():
            self.assertTrue(record["story"].startswith('"quotes"\n\u2028\u2029\x01\x1b[31m</script>{"event":"result"} '))

    def test_a_marker_ends_the_story(self):
        with ts.Generator(chat=self.chat("marker", faults="marker")) as generator:
            generator.write(3, self.folder / "stories.jsonl")
        with ts.Generator(chat=self.chat("plain")) as generator:
            generator.write(3, self.folder / "plain.jsonl")
        self.assertEqual(self.records(), self.records("plain.jsonl"))

    def test_shards_make_up_the_whole(self):
        for shard in range(3):
            with ts.Generator(seed=3, chat=self.chat(f"journal{shard}"), shard=shard, shards=3) as generator:
                generator.write(5, self.folder / f"stories{shard}.jsonl")
        with ts.Generator(seed=3, chat=self.chat("whole")) as generator:
            generator.write(15, self.folder / "stories.jsonl")
        parts = [record for shard in range(3) for record in self.records(f"stories{shard}.jsonl")]
        self.assertEqual(sorted(parts, key=lambda record: record["index"]), self.records())

    def test_a_journal_is_one_generators(self):
        with ts.Generator(seed=3, chat=self.chat()):
            with self.assertRaises(ts.BusyError):
                ts.Generator(seed=3, chat=self.chat())
        template = self.folder / "template"
        template.write_text('Tell of "{verb}", "{noun}" and "{adjective}".')
        for other in ({"seed": 4}, {"seed": 3, "features": 1}, {"seed": 3, "prompt": template}, {"seed": 3, "chat": self.chat(temperature=1)}):
            with self.assertRaises(ts.MismatchError):
                ts.Generator(**{"chat": self.chat(), **other})
        ts.Generator(seed=3, chat=self.chat(in_flight=3, max_requests=7)).close()

    def test_budgets_and_estimates(self):
        prices = self.folder / "prices.json"
        prices.write_text('{"m": {"prompt": 10, "completion": 20}}')  # a story costs 2e-3, and may cost 5e-3 or so
        with ts.Generator(chat=self.chat(prices=prices, max_money=0.05, reply_tokens=200)) as generator:
            estimate = generator.estimate(10)
            self.assertEqual(estimate.requests, 10)
            self.assertEqual(estimate.completion_tokens, 2000)
            self.assertAlmostEqual(estimate.money, 1e-5 * estimate.prompt_tokens + 2e-5 * 2000)
            self.assertEqual(self.server.ledger(self.ledger)["requests"], 0)
            with self.assertRaises(ts.LimitError) as caught:
                generator.write(100, self.folder / "stories.txt")
            self.assertIn("max_money", str(caught.exception))
            report = generator.chat_report()
            self.assertLessEqual(report.money, 0.05)
            self.assertGreater(report.money, 0.04)
            self.assertAlmostEqual(report.money, 2e-3 * report.answered)
            self.assertEqual(report.reserved_tokens, 0)
        with self.assertRaises(ts.InvalidArgumentError):
            ts.Generator(chat=self.chat("other", max_money=1))

    def test_callbacks_stop_and_what_was_paid_is_kept(self):
        class Enough(Exception):
            pass

        def stop(done, total):
            if done >= 10:
                raise Enough()
        with ts.Generator(chat=self.chat(delay=0.05)) as generator:
            with self.assertRaises(Enough):
                generator.write(100, self.folder / "stories.txt", progress=stop)
            report = generator.chat_report()
            self.assertEqual((report.unknown, report.answered), (0, report.requests))
            self.assertEqual(self.server.ledger(self.ledger)["billed"], report.answered)
            generator.write(report.answered, self.folder / "stories.txt")
            self.assertEqual(self.server.ledger(self.ledger)["requests"], report.requests)

    def test_the_key_is_nowhere(self):
        lines = []
        runtime = ts.Runtime(log=lambda level, line: lines.append(line))
        for fault in ("echo401", "echo500", "echo200", "401", "429,ok", "reset,ok"):
            chat = self.chat(fault, faults=fault, attempts=2)
            with ts.Generator(chat=chat, runtime=runtime) as generator:
                try:
                    generator.write(3, self.folder / f"{fault}.jsonl")
                except ts.NetworkError:
                    lines.append(traceback.format_exc())
                lines.extend([repr(chat), repr(generator), str(generator.chat_report())])
            with self.assertRaises(TypeError):
                pickle.dumps(chat)
        self.assert_no_secret(*lines)

    def test_keys_by_function_and_file(self):
        def fail():
            raise KeyError("locked")
        with self.assertRaises(KeyError):
            ts.Generator(chat=self.chat(key=None, read_key=fail))
        path = self.folder / "key"
        path.write_text(KEY + "\n")
        for number, keys in enumerate(({"key": None, "read_key": lambda: KEY}, {"key": None, "key_file": path})):
            with ts.Generator(chat=self.chat(f"journal{number}", **keys)) as generator:
                next(generator)
        path.unlink()
        self.assertEqual(self.server.ledger(self.ledger)["authorized"], {f"Bearer {KEY}": 2})
        with self.assertRaises(ts.InvalidArgumentError):
            ts.Generator(chat=self.chat("other", read_key=lambda: KEY))
        with self.assertRaises(ValueError):
            ts.Chat(model="a\0b")
        with self.assertRaises(TypeError):
            ts.Chat(modle="m")

    def test_progress_may_ask_for_the_report(self):
        seen = []
        with ts.Generator(chat=self.chat(delay=0.02, in_flight=2)) as generator:
            generator.write(8, self.folder / "stories.txt", progress=lambda done, total: seen.append((done, generator.chat_report().answered)) and None)
            with self.assertRaises(ts.BusyError):
                generator.write(20, self.folder / "stories.txt", progress=lambda done, total: generator.seek(0))
        self.assertEqual(seen[-1], (8, 8))
        self.assertTrue(all(done <= answered for done, answered in seen))

    def test_the_example(self):
        example = [sys.executable, str(ROOT / "bindings" / "python" / "examples" / "dataset.py"), str(self.folder / "ten.jsonl"), "3"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "bindings" / "python")}
        environment.pop("TINYSTORIES_API_KEY", None)
        for key, arguments, source in ((None, [], "embedded"), (KEY, ["m", self.server.url(ledger=self.ledger)], "m")):
            told = subprocess.run(example + arguments, env={**environment, **({"TINYSTORIES_API_KEY": key} if key else {})}, capture_output=True,
                                  encoding="utf-8", timeout=60)
            self.assertEqual(told.returncode, 0, told.stderr)
            self.assertTrue(told.stdout.startswith(f"by {source}\n"), told.stdout)
            self.assertEqual([record["source"] for record in self.records("ten.jsonl")], [source] * 10)
        self.assertEqual(self.server.ledger(self.ledger)["requests"], 10)
        self.assert_no_secret(told.stdout, told.stderr)

    def test_generators_in_many_threads(self):
        problems = []

        def work(number):
            try:
                with ts.Generator(seed=number, chat=self.chat(f"journal{number}")) as generator:
                    generator.write(5, self.folder / f"{number}.txt")
            except Exception as problem:  # pylint: disable=broad-except
                problems.append(problem)
        threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(problems, [])
        self.assertEqual(self.server.ledger(self.ledger)["billed"], 80)

    def kill_again_and_again(self, kills, stories, in_flight, faults, **settings):
        """Runs a writer that is killed with SIGKILL at a random moment, then the next; gives the report of the last one, who may finish."""
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "bindings" / "python")}
        url = self.server.url(ledger=self.ledger, faults=faults, delay=0.01, **settings)
        dice, killed = random.Random(5), 0
        command = [sys.executable, "-c", WRITE, url, str(self.folder / "stories.journal"), str(stories), str(self.folder / "stories.jsonl"), str(in_flight)]
        for attempt in range(kills + 1):
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, text=True)
            process.stdin.write(KEY + "\n")
            process.stdin.close()
            if attempt < kills:
                journal = self.folder / "stories.journal"
                size = journal.stat().st_size if journal.exists() else 0
                while process.poll() is None and (journal.stat().st_size if journal.exists() else 0) <= size:
                    time.sleep(0.001)  # until it is at work
                time.sleep(dice.random() * 0.03)
                process.send_signal(signal.SIGKILL)
            self.addCleanup(process.stderr.close)
            process.wait()
            killed += process.returncode == -signal.SIGKILL
            if attempt == kills:
                self.assertEqual(process.returncode, 0, process.stderr.read())
        self.assertGreater(killed, kills // 2)
        records = self.records()
        self.assertEqual([record["index"] for record in records], list(range(stories)))  # none lost, none twice
        self.assertEqual(len({record["story"] for record in records}), stories)
        results = [json.loads(line)["job"] for line in (self.folder / "stories.journal").read_bytes().splitlines()
                   if line.startswith(b'{"event":"result"') and line.endswith(b'"}')]
        self.assertEqual(sorted(results), list(range(stories)))
        with ts.Generator(seed=3, chat=self.chat()) as generator:
            report = generator.chat_report()
        self.assertEqual((report.answered, report.unknown), (stories, 0))
        self.assert_no_secret()
        return report, killed

    def test_kills_against_a_service_that_honours_keys(self):
        report, killed = self.kill_again_and_again(20, 400, 8, "503,ok,reset,429,ok")
        ledger = self.server.ledger(self.ledger)
        self.assertEqual(ledger["billed"], ledger["distinct"])
        self.assertEqual(ledger["billed"], 400)
        self.assertLessEqual(report.possibly_paid_twice, 400)

    def test_kills_against_a_service_that_does_not(self):
        report, killed = self.kill_again_and_again(12, 200, 4, "503,ok,429,ok", honour=0)
        ledger = self.server.ledger(self.ledger)
        self.assertEqual(ledger["distinct"], 200)
        self.assertLessEqual(ledger["billed"] - 200, 4 * killed)  # what was in flight
        self.assertLessEqual(ledger["twice"], report.possibly_paid_twice)  # and they are told


if __name__ == "__main__":
    unittest.main()
