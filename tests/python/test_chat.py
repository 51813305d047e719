"""Stories by a chat service: against a local one that misbehaves and bills, with kills, shards, budgets, and a key that must show up nowhere."""
import json
import os
import pathlib
import pickle
import random
import re
import select
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

KEY = "SENTINEL-9f3a/7c21d0b84e65"  # with a sign that JSON may escape
SECRETS = [KEY, KEY[:12], KEY[-12:], "Bearer S", "U0VOVElORUwt"]
CHAT_BUILT = True
try:
    ts.Chat()
except ts.UnsupportedError:
    CHAT_BUILT = False

# A process that forks another for each line that it reads, which then works and may be killed: to start Python anew each time would take minutes.
FORKER = """
import json, os, sys, traceback, tinystories as ts
def work(url, journal, key, in_flight, out, count=0, stories=None):
    chat = ts.Chat(base_url=url, model="m", journal=journal, read_key=lambda: key, in_flight=in_flight, total_seconds=20)
    if stories:
        ts.dataset_instruct(stories, out, seed=5, always=ts.InstructField.SUMMARY, chat=chat)
    else:
        with ts.Generator(seed=3, chat=chat) as generator:
            generator.write(count, out)
for line in sys.stdin:
    child = os.fork()
    if child == 0:
        try:
            work(**json.loads(line))
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Forker:
    def __init__(self):
        self.process = subprocess.Popen([sys.executable, "-c", FORKER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.child = None

    def start(self, **work):
        self.process.stdin.write(json.dumps(work) + "\n")
        self.process.stdin.flush()
        self.child = int(self.process.stdout.readline())

    def is_at_work(self):
        return not select.select([self.process.stdout], [], [], 0)[0]

    def wait(self):
        """The exit status, negative for a signal. The process is reaped already: a kill that comes later finds none."""
        return int(self.process.stdout.readline())

    def kill(self):
        try:
            os.kill(self.child, signal.SIGKILL)
        except ProcessLookupError:
            pass
        return self.wait()

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


def jobs_of(path):
    """The jobs of a batch file."""
    return {int(json.loads(line)["custom_id"].rpartition("-")[2]) for line in path.read_text().splitlines()}


@unittest.skipUnless(CHAT_BUILT, "built without chat services")
class ChatTest(unittest.TestCase):
    cases = 0  # kills, cuts and scripts of faults

    @classmethod
    def setUpClass(cls):
        cls.server, cls.forker = Server(), Forker()

    @classmethod
    def tearDownClass(cls):
        cls.server.close()
        cls.forker.close()
        print(f"cases: {cls.cases}", file=sys.stderr)

    def count(self, cases=1):
        type(self).cases += cases

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.ledger = self.id().rpartition(".")[2]

    def chat(self, journal="stories.journal", **options):
        settings = {name: options.pop(name) for name in ("faults", "honour", "delay", "limit", "batches", "polls", "unusable", "wordless") if name in options}
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

    def test_asking_ahead(self):
        with ts.Generator(chat=self.chat(unusable=20, delay=0.02, in_flight=6)) as generator:
            generator.ask(20)
            bill = self.server.ledger(self.ledger)
            self.assertEqual((len([next(generator) for _ in range(20)]), bill["most_in_flight"]), (20, 6))
            self.assertEqual(self.server.ledger(self.ledger), bill)

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

    def test_stories_that_do_not_fit(self):
        for fault, reason in (("wordless", ts.Unfit.WORDS), ("german", ts.Unfit.LANGUAGE)):
            with ts.Generator(seed=3, chat=self.chat(fault, faults=fault)) as generator:
                with self.assertRaises(ts.LimitError):
                    generator.write(4, self.folder / "stories.txt")
                report = generator.chat_report()
                self.assertEqual((report.unfit, report.answered, report.invalid), (20, 20, 0))
            bill = self.server.ledger(self.ledger)["requests"]
            for reject, used in ((0, True), (3 & ~reason, True), (reason, False)):  # what was paid is there, and the options say whether it is used
                with ts.Generator(seed=3, chat=self.chat(fault, faults=fault), reject=reject) as generator:
                    self.assertEqual(generator.export(self.folder / "stories.jsonl"), 20 * used)
                    self.assertEqual([record["unfit"] for record in self.records()], [[reason.name.lower()]] * 20 * used)
                    if used:
                        story = next(generator)
                        self.assertEqual((story.unfit, json.loads(story.json())), (reason, self.records()[0]))
            self.assertEqual(self.server.ledger(self.ledger)["requests"], bill)
        with self.assertRaises(ts.InvalidArgumentError):
            ts.Generator(chat=self.chat("x"), reject=4)

    def test_a_service_that_repeats_itself(self):
        """It tells one story over and over: that is counted, and ids stay apart."""
        with ts.Generator(seed=3, chat=self.chat(faults="same", in_flight=7), reject=0) as generator:
            generator.write(20, self.folder / "stories.jsonl")
            self.assertEqual((generator.chat_report().repeated, generator.chat_report().answered), (19, 20))
        self.assertEqual([record["index"] for record in self.records()], list(range(20)))
        with ts.Generator(seed=3, chat=self.chat()) as generator:
            self.assertEqual(generator.chat_report().repeated, 19)
        with ts.Generator(seed=3, chat=self.chat("other")) as generator:
            generator.write(20, self.folder / "stories.jsonl")
            self.assertEqual(generator.chat_report().repeated, 0)

    def test_unfit_stories_are_passed_over(self):
        with ts.Generator(seed=3, chat=self.chat(wordless=30)) as generator:
            generator.write(20, self.folder / "stories.jsonl")
            report, indices = generator.chat_report(), [record["index"] for record in self.records()]
            generator.seek(0)
            self.assertEqual([next(generator).index for _ in range(20)], indices)
        self.assertEqual((len(indices), report.answered), (20, indices[-1] + 1))
        self.assertGreater(report.unfit, 2)
        self.assertEqual(report.unfit, report.answered - 20)

    def test_a_stop_when_all_are_answered_stops_the_next_ask(self):
        with ts.Generator(seed=3, chat=self.chat(faults="wordless"), asks=3) as generator:
            with self.assertRaises(ts.CancelledError):
                generator.write(10, self.folder / "stories.jsonl", progress=lambda done, total: done == 10)
        self.assertEqual(self.server.ledger(self.ledger)["requests"], 10)

    def test_what_cannot_be_used_is_asked_for_again(self):
        for group, batches in ((1, False), (4, False), (1, True)):
            self.ledger = f"again{group}{batches}"
            settings = {"chat": self.chat(self.ledger, wordless=30), "seed": 3, "stories_a_call": group, "asks": 2}
            with ts.Generator(**settings) as generator:
                if batches:
                    requests, results = self.folder / "requests", self.folder / "results"
                    while generator.batch_write(20, requests).files:
                        lines = [json.loads(line) for line in requests.read_text().splitlines()]
                        results.write_text("\n".join(json.dumps({"custom_id": line["custom_id"], "response": {"status_code": 200, "body": {"choices": [
                            {"finish_reason": "stop", "message": {"content": self.tell(line)}}]}}}) for line in lines))
                        generator.batch_read(20, results)
                generator.write(20, self.folder / "stories.jsonl")
                report = generator.chat_report()
                self.assertEqual([record["index"] for record in self.records()], list(range(20)))  # none is passed over
                self.assertGreater(report.unfit, 0)
                self.assertEqual(report.requests, 20 // group + report.unfit)
                generator.seek(0)
                self.assertEqual([next(generator).index for _ in range(20)], list(range(20)))
                self.assertGreaterEqual(generator.export(self.folder / "all.jsonl"), 20)
                self.assertEqual(self.records("all.jsonl")[:20], self.records())
                self.assertEqual(generator.chat_report().requests, report.requests)
            if not batches:
                self.assertEqual(self.server.ledger(self.ledger)["requests"], report.requests)
            with ts.Generator(**{**settings, "asks": 1}) as generator:  # what was paid for is used
                self.assertEqual(generator.estimate(20).requests, 0)
                generator.write(20, self.folder / "once.jsonl")
            self.assertEqual(self.records("once.jsonl"), self.records())
            with ts.Generator(**{**settings, "reject": 0}) as generator:
                generator.write(20, self.folder / "all.jsonl")
            self.assertEqual(sum("unfit" in record for record in self.records("all.jsonl")), report.unfit)
        self.ledger = "cut"
        with ts.Generator(seed=3, chat=self.chat("cut", unusable=20), asks=3) as generator:  # the same prompts are always cut off: they are given up after three
            generator.write(20, self.folder / "stories.jsonl")
            self.assertEqual(generator.chat_report().requests, generator.chat_report().answered + generator.chat_report().cut)
            self.assertEqual(generator.chat_report().cut % 3, 0)
        for wrong in (0, 9):
            with self.assertRaises(ts.InvalidArgumentError):
                ts.Generator(chat=self.chat("x"), asks=wrong)

    def tell(self, line):
        """A story for a line of a batch; every third job's lacks the words when it is asked for the first time."""
        job, prompt = int(line["custom_id"].rpartition("-")[2]), line["body"]["messages"][0]["content"]
        words = re.findall(r'(?:verb|noun|adjective) "([^"]+)"', prompt)
        return "Once there was a dog that had a house" + ("." if job % 3 == 0 and job < 1 << 48 else f" and a story of {', '.join(words)}.")

    def test_where_stories_come_from(self):
        with ts.Generator(seed=3, chat=self.chat(), varied=True) as generator:
            generator.write(5, self.folder / "stories.jsonl")
        lines = [json.loads(line) for line in (self.folder / "stories.journal").read_text().splitlines()]
        prompts = {line["job"]: line["prompt"] for line in lines if line.get("event") == "intent"}
        results = {line["job"]: line for line in lines if line.get("event") == "result"}
        self.assertEqual((len(set(prompts.values())), len(results)), (5, 5))
        for record in self.records():
            result = results[record["index"]]
            self.assertEqual(record["provenance"], {"model": "m-2026", "system_fingerprint": "fp_1", "prompt": prompts[record["index"]], "prompt_tokens": 100,
                                                    "completion_tokens": 50})
            self.assertEqual((result["prompt"], result["model"], result["system_fingerprint"]), (prompts[record["index"]], "m-2026", "fp_1"))
            self.assertEqual(result["about"], {"source": "m", "seed": "3", "stories": [{**record["instruction"], "drawn": record["drawn"]}]})

    def test_a_journal_is_exported_whatever_it_was_made_for(self):
        for group in (1, 4):
            journal, out = self.folder / f"journal{group}", self.folder / "exported.jsonl"
            settings = {"seed": 2**64 - 1, "stories_a_call": group, "varied": True}
            with ts.Generator(chat=self.chat(journal, wordless=30), **settings) as generator:
                generator.write(20, self.folder / "stories.jsonl")
                generator.export(self.folder / "all.jsonl")
                written, report = ts.journal_export(journal, out)  # while it is open for writing
                self.assertEqual((written, report), (len(self.records("all.jsonl")), generator.chat_report()))
            self.assertEqual(out.read_bytes(), (self.folder / "all.jsonl").read_bytes())
            self.assertEqual({record["seed"] for record in self.records(out)}, {2**64 - 1})
            template = self.folder / "template"
            template.write_text('Tell of "{verb}", "{noun}" and "{adjective}".')
            with self.assertRaises(ts.MismatchError) as caught:
                ts.Generator(chat=self.chat(journal), **settings, prompt=template)
            self.assertIn("ts_journal_export", str(caught.exception))
            before = journal.read_bytes()
            self.assertEqual(ts.journal_export(journal, self.folder / "again.jsonl", reject=0)[0], written + report.unfit)
            self.assertEqual(journal.read_bytes(), before)
            for size in range(len(before) // 2, len(before), 997):  # torn anywhere: what is whole is there
                (self.folder / "torn").write_bytes(before[:size])
                ts.journal_export(self.folder / "torn", self.folder / "torn.jsonl")
                for record in self.records("torn.jsonl"):
                    self.assertIn(record, self.records(out))
                self.assertEqual((self.folder / "torn").stat().st_size, size)
                self.count()
        for wrong, error in (("missing", ts.InputOutputError), ("template", ts.FormatError)):
            with self.assertRaises(error):
                ts.journal_export(self.folder / wrong, self.folder / "x.jsonl")
        for arguments in ((journal, "-"), (journal, out, 4)):
            with self.assertRaises(ts.InvalidArgumentError):
                ts.journal_export(*arguments)
        self.assertFalse((self.folder / "missing").exists() or (self.folder / "x.jsonl").exists())

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
        with ts.Generator(seed=3, chat=self.chat("merged")) as generator:
            requests = self.server.ledger(self.ledger)["requests"]
            self.assertEqual([generator.merge(self.folder / f"journal{shard}") for shard in (0, 1, 2, 1)], [5, 5, 5, 0])
            self.assertEqual(generator.export(self.folder / "merged.jsonl"), 15)
            report = generator.chat_report()
            self.assertEqual((report.answered, report.requests, report.prompt_tokens), (15, 15, 1500))
            self.assertEqual(self.server.ledger(self.ledger)["requests"], requests)
            self.assertEqual(self.records("merged.jsonl"), self.records())
            with self.assertRaises(ts.InputOutputError):
                generator.merge(self.folder / "missing")
            self.assertFalse((self.folder / "missing").exists())
            with self.assertRaises(ts.BusyError):
                generator.merge(self.folder / "merged")
            with ts.Generator(seed=4, chat=self.chat("another")) as other:
                next(other)
            with self.assertRaises(ts.MismatchError):
                generator.merge(self.folder / "another")
        parts = [record for shard in range(3) for record in self.records(f"stories{shard}.jsonl")]
        self.assertEqual(sorted(parts, key=lambda record: record["index"]), self.records())

    def test_merged_shards_pay_for_nothing_and_lose_nothing(self):
        """Each shard grows by what it cannot use, each by another number: together they have holes and reach beyond the whole."""
        for group in (1, 4):
            self.ledger = f"merged{group}"
            parts = []
            for shard in range(3):
                with ts.Generator(seed=3, chat=self.chat(f"journal{group}{shard}", unusable=20), shard=shard, shards=3, stories_a_call=group) as generator:
                    generator.write(20, self.folder / f"stories{shard}.jsonl")
                parts += self.records(f"stories{shard}.jsonl")
            bill = self.server.ledger(self.ledger)["requests"]
            with ts.Generator(seed=3, chat=self.chat(f"merged{group}", unusable=20), stories_a_call=group) as generator:
                for shard in range(3):
                    generator.merge(self.folder / f"journal{group}{shard}")
                written = generator.export(self.folder / "merged.jsonl")
                self.assertGreaterEqual(generator.chat_report().cut, 6 if group == 1 else 1)
                with self.assertRaises(ts.InvalidArgumentError):
                    generator.export("-")
            self.assertEqual(self.server.ledger(self.ledger)["requests"], bill)
            records = self.records("merged.jsonl")
            self.assertEqual(written, len(records))
            if group == 1:
                self.assertEqual(records, sorted(parts, key=lambda record: record["index"]))
            self.assertEqual([record["index"] for record in records], sorted({record["index"] for record in records}))
            for part in parts:  # a call's last stories may be more than its shard wanted
                self.assertIn(part, records)

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
        for fault in ("echo401", "echo500", "echo200", "401", "429,ok", "reset,ok", "echostream", "echoescaped", "echoescaped401", "echokeys,ok"):
            chat = self.chat(fault, faults=fault, attempts=2)
            with ts.Generator(chat=chat, runtime=runtime) as generator:
                try:
                    generator.write(3, self.folder / f"{fault}.jsonl")
                except (ts.NetworkError, ts.LimitError):  # of a service that says no, or tells no stories
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

    def test_several_stories_a_call(self):
        with ts.Generator(seed=3, chat=self.chat("one")) as generator:
            generator.write(10, self.folder / "one.jsonl")
        with ts.Generator(seed=3, chat=self.chat("four"), stories_a_call=4) as generator:
            self.assertEqual(generator.estimate(10).requests, 3)
            self.assertEqual(generator.estimate(10).completion_tokens, 3 * 4 * 1024)
            self.assertEqual([generator.prompt(i) for i in (4, 5, 7)], [generator.prompt(6)] * 3)
            generator.write(10, self.folder / "stories.jsonl")
            self.assertEqual(generator.chat_report().requests, 3)
            self.assertEqual(next(generator).index, 10)  # which was in the third call
            self.assertEqual(generator.chat_report().requests, 3)
        one, four = self.records("one.jsonl"), self.records()
        self.assertEqual([record["index"] for record in four], list(range(10)))
        for a, b in zip(one, four):
            self.assertEqual(a["instruction"], b["instruction"])
            for word in b["instruction"]["words"]:
                self.assertIn(word, b["story"])
            self.assertNotIn("+++", b["story"])
        with ts.Generator(seed=3, chat=self.chat("surplus", faults="surplus"), stories_a_call=4) as generator:
            generator.write(10, self.folder / "surplus.jsonl")
        self.assertEqual(self.records("surplus.jsonl"), four)
        with ts.Generator(seed=3, chat=self.chat("pieces", faults="pieces"), stories_a_call=4) as generator:  # the missing are passed over
            generator.write(10, self.folder / "pieces.jsonl")
        self.assertEqual([record["index"] for record in self.records("pieces.jsonl")], [0, 1, 2, 4, 5, 6, 8, 9, 10, 12])
        self.assertEqual(self.records("pieces.jsonl")[:3], four[:3])
        for wrong in (0, 65):
            with self.assertRaises(ts.InvalidArgumentError):
                ts.Generator(chat=self.chat("wrong"), stories_a_call=wrong)

    def test_bounds_are_those_of_all_shards(self):
        for shard, most in ((0, 4), (1, 3), (2, 3)):
            with ts.Generator(chat=self.chat(f"journal{shard}", max_requests=10), shard=shard, shards=3) as generator:
                with self.assertRaises(ts.LimitError):
                    generator.write(20, self.folder / "stories.txt")
                self.assertEqual(generator.chat_report().requests, most)
        with self.assertRaises(ts.InvalidArgumentError):
            ts.Generator(chat=self.chat("few", max_tokens=2), shards=3)

    def test_shards_take_whole_calls(self):
        indices = []
        for shard in range(3):
            with ts.Generator(seed=3, chat=self.chat(f"journal{shard}"), shard=shard, shards=3, stories_a_call=4, first=2) as generator:
                generator.write(8, self.folder / f"stories{shard}.jsonl")
                self.assertEqual(generator.chat_report().requests, 3 if shard == 0 else 2)
                indices.append([record["index"] for record in self.records(f"stories{shard}.jsonl")])
                generator.seek(5)
                indices[-1].append(next(generator).index)
        self.assertEqual(indices, [[2, 3, 12, 13, 14, 15, 24, 25, 12], [4, 5, 6, 7, 16, 17, 18, 19, 5], [8, 9, 10, 11, 20, 21, 22, 23, 8]])

    def test_what_varies_is_in_the_record(self):
        with ts.Generator(seed=3, chat=self.chat(), varied=True) as generator:
            generator.write(20, self.folder / "stories.jsonl")
            generator.seek(0)
            stories = [next(generator) for _ in range(20)]
            prompts = [generator.prompt(i) for i in range(20)]
        for record, story, prompt in zip(self.records(), stories, prompts):
            self.assertEqual(set(record["drawn"]), {"length", "style", "topic", "theme", "narrator", "beginning"})
            self.assertEqual(json.loads(story.json()), record)
            for value in record["drawn"].values():
                self.assertIn(value, prompt)
        self.assertGreater(len({record["drawn"]["topic"] for record in self.records()}), 8)
        with self.assertRaises(ts.MismatchError):
            ts.Generator(seed=3, chat=self.chat())

    def steps(self, journal, count=20, most=20, **settings):
        """Steps of batches until nothing is left; gives the sums of their reports and the stories."""
        total = {}
        for _ in range(most):
            with ts.Generator(seed=3, chat=self.chat(journal, **settings)) as generator:
                report = generator.batch_step(count)
                for field in ("files", "requests", "results", "known", "failed", "foreign"):
                    total[field] = total.get(field, 0) + getattr(report, field)
                if report.left == 0:
                    generator.write(count, self.folder / f"{journal}.jsonl")
                    total["bill"] = generator.chat_report()
                    return total
                self.assertGreater(report.waiting, 0)
        self.fail("the batches do not end")

    def test_batches(self):
        with ts.Generator(seed=3, chat=self.chat("online")) as generator:
            generator.write(20, self.folder / "stories.jsonl")
        for number, (script, polls, files, failed) in enumerate((("ok", 0, 1, 0), ("ok", 2, 1, 0), ("half,ok", 1, 2, 10), ("lost", 0, 1, 0), ("echo", 0, 1, 0), ("escaped", 0, 1, 0),
                                                                 ("half", 0, 6, 0))):
            self.ledger = f"batches{number}"
            total = self.steps(f"journal{number}", batches=script, polls=polls) if script != "lost" else self.lost(f"journal{number}")
            bill = total["bill"]
            self.assertEqual((total["results"], total["known"], total["foreign"]), (20, total["known"], 0))
            self.assertEqual((bill.answered, bill.unknown, bill.possibly_paid_twice, bill.reserved_tokens), (20, 0, 0, 0), script)
            self.count()
            self.assertEqual(self.server.ledger(self.ledger)["billed"], 20)
            if script != "half":
                self.assertEqual((total["files"], total["failed"]), (files, failed), script)
            if script not in ("echo", "escaped"):
                self.assertEqual(self.records(f"journal{number}.jsonl"), self.records())
        self.assert_no_secret()

    def lost(self, journal):
        """The batch is created, and nobody tells us: the list does."""
        with ts.Generator(seed=3, chat=self.chat(journal, batches="lost")) as generator:
            with self.assertRaises(ts.NetworkError):
                generator.batch_step(20)
            self.assertEqual(generator.chat_report().unknown, 20)
        return {**self.steps(journal, batches="lost"), "files": 1}

    def test_batches_that_fail(self):
        for number, script in enumerate(("failed", "bad")):
            self.ledger = f"failing{number}"
            with ts.Generator(seed=3, chat=self.chat(script, batches=script)) as generator:
                self.assertEqual(generator.batch_step(20).waiting, 1)
                with self.assertRaises(ts.NetworkError) as caught:
                    generator.batch_step(20)
                self.assertIn("none of the 20 requests", str(caught.exception))
                self.assertEqual((generator.chat_report().unknown, generator.chat_report().reserved_tokens), (0, 0))
            self.steps(script, batches=f"{script},ok")
            self.count()
        with ts.Generator(seed=3, chat=self.chat("bound", max_requests=5)) as generator:
            self.assertEqual(generator.batch_step(20).requests, 5)
            with self.assertRaises(ts.LimitError):
                generator.batch_step(20)
        with ts.Generator(seed=3, chat=self.chat("key", faults="401", key=None, base_url=f"http://127.0.0.1:{self.server.port}/nothing/here")) as generator:
            with self.assertRaises(ts.NetworkError):
                generator.batch_step(20)
            self.assertEqual(generator.chat_report().requests, 0)

    def test_batch_files(self):
        requests, results = self.folder / "requests.jsonl", self.folder / "results.jsonl"
        with ts.Generator(seed=3, chat=self.chat("online")) as generator:
            generator.write(20, self.folder / "stories.jsonl")
        with ts.Generator(seed=3, chat=self.chat(stream=1)) as generator:
            report = generator.batch_write(20, requests)
            self.assertEqual((report.files, report.requests, report.left), (1, 20, 20))
            self.assertEqual(generator.chat_report().unknown, 20)
            lines = [json.loads(line) for line in requests.read_text().splitlines()]
            for index, line in enumerate(lines):
                self.assertEqual((line["method"], line["url"], line["body"]["messages"][0]["content"]), ("POST", "/v1/chat/completions", generator.prompt(index)))
                self.assertLessEqual(len(line["custom_id"]), 64)
                self.assertNotIn("stream", line["body"])
            done = [{"id": "x", "custom_id": line["custom_id"], "error": None,
                     "response": {"status_code": 200, "body": {"choices": [{"index": 0, "finish_reason": "stop", "message": {"content": f"Story {i}."}}]}}}
                    for i, line in enumerate(lines)]
            done[3]["response"] = None
            done[4]["response"] = {"status_code": 429, "body": {"error": {"message": "slow down"}}}
            done[5]["response"]["body"]["choices"][0]["finish_reason"] = "content_filter"
            done[6]["custom_id"] = "0" * 32 + "-6"
            random.Random(1).shuffle(done)
            results.write_text("not JSON\n\n" + "\r\n".join(json.dumps(line) for line in done))
            report = generator.batch_read(20, results)
            self.assertEqual((report.results, report.known, report.failed, report.foreign, report.left), (17, 0, 2, 2, 3))
            self.assertEqual(generator.batch_read(20, results).known, 17)
            bill = generator.chat_report()
            self.assertEqual((bill.answered, bill.filtered, bill.unknown), (16, 1, 1))
            self.assertGreater(bill.estimated_tokens, 0)
            for size in range(0, results.stat().st_size, 97):  # cut anywhere: what is whole is known, the rest is nothing
                (self.folder / "cut").write_bytes(results.read_bytes()[:size])
                self.assertEqual(generator.batch_read(20, self.folder / "cut").results, 0)
                self.count()
            for path in (self.folder / "nothing", self.folder):
                with self.assertRaises(ts.InputOutputError):
                    generator.batch_read(20, path)
            report = generator.batch_write(20, requests)
            self.assertEqual(report.requests, 3)
        self.assertEqual(jobs_of(requests), {3, 4, 6})

    def test_progress_may_ask_for_the_report(self):
        seen = []
        with ts.Generator(chat=self.chat(delay=0.02, in_flight=2)) as generator:
            generator.write(8, self.folder / "stories.txt", progress=lambda done, total: seen.append((done, generator.chat_report().answered)) and None)
            with self.assertRaises(ts.BusyError):
                generator.write(20, self.folder / "stories.txt", progress=lambda done, total: generator.seek(0))
        self.assertEqual(seen[-1], (8, 8))
        self.assertTrue(all(done <= answered for done, answered in seen))

    def instruct(self, out="entries.jsonl", journal="summaries.journal", asking=None, always=ts.InstructField.SUMMARY, **options):
        return ts.dataset_instruct(self.folder / "stories.txt", self.folder / out, seed=5, always=always, chat=self.chat(journal, **options), asking=asking)

    def make_stories(self, count=40):
        texts = [f"One day there was a dog {i}. It ran to the tree. It was happy." for i in range(count)]
        (self.folder / "stories.txt").write_text("\n<|endoftext|>\n".join(texts))

    def test_summaries(self):
        self.make_stories()
        report = self.instruct()
        self.assertEqual((report["entries"], report["summarized"], report["unsummarized"], report["journal"].answered), (40, 40, 0, 40))
        for record in self.records("entries.jsonl"):
            self.assertRegex(record["summary"], r"^It is about number [0-9a-f]{16}\.$")
        self.assertEqual(len({record["summary"] for record in self.records("entries.jsonl")}), 40)
        self.instruct("again.jsonl")
        self.assertEqual((self.folder / "again.jsonl").read_bytes(), (self.folder / "entries.jsonl").read_bytes())
        self.assertEqual(self.server.ledger(self.ledger)["requests"], 40)
        drawn = self.instruct("some.jsonl", "some.journal", always=0)  # only what is drawn is paid for
        self.assertEqual(drawn["journal"].requests, sum("Summary:" in record["text"] for record in self.records("some.jsonl")))
        self.assertLess(drawn["journal"].requests, 40)
        self.make_stories(41)
        with self.assertRaises(ts.MismatchError):
            self.instruct("other.jsonl")
        with self.assertRaises(ts.InvalidArgumentError):
            ts.dataset_instruct("-", self.folder / "x.txt", chat=self.chat("x"))
        self.assert_no_secret()

    def test_summaries_that_cannot_be_used(self):
        self.make_stories()
        report = self.instruct(unusable=30)
        self.assertGreater(report["unsummarized"], 3)
        self.assertEqual((report["summarized"] + report["unsummarized"], report["journal"].cut), (40, report["unsummarized"]))
        self.assertEqual(sum("Summary:" in record["text"] for record in self.records("entries.jsonl")), report["summarized"])
        with self.assertRaises(ts.LimitError):
            self.instruct("bound.jsonl", "bound.journal", max_requests=7)
        self.assertFalse((self.folder / "bound.jsonl").exists())

    def test_summaries_after_kills(self):
        self.make_stories()
        for name in ("whole", "killed"):
            work = {"url": self.server.url(ledger=self.ledger + name, delay=0.05), "key": KEY, "in_flight": 4,
                    **{what: str(self.folder / file) for what, file in (("stories", "stories.txt"), ("out", name + ".txt"), ("journal", name + ".journal"))}}
            for results in (3, 11, 25) if name == "killed" else ():
                self.forker.start(**work)
                while self.count_results(name + ".journal") < results:
                    time.sleep(0.001)
                self.assertEqual(self.forker.kill(), -signal.SIGKILL)
                self.count()
            self.forker.start(**work)
            self.assertEqual(self.forker.wait(), 0)
            ledger = self.server.ledger(self.ledger + name)
            self.assertEqual((ledger["billed"], ledger["distinct"]), (40, 40))
        self.assertEqual((self.folder / "killed.txt").read_bytes(), (self.folder / "whole.txt").read_bytes())

    def summaries(self, journal, **options):
        own = {name: options.pop(name) for name in ("shard", "shards", "prompt", "always") if name in options}
        return ts.Summaries(self.folder / "stories.txt", self.chat(journal, **options), seed=5, **{"always": ts.InstructField.SUMMARY, **own})

    def test_summaries_are_looked_at_before(self):
        self.make_stories()
        template, prices = self.folder / "template", self.folder / "prices.json"
        template.write_text("In one line, with a title: {story}[ (It is about {words}.)]")
        prices.write_text('{"m": {"prompt": 10, "completion": 20}}')
        with self.summaries("a.journal", prompt=template, prices=prices, reply_tokens=30) as summaries:
            self.assertEqual(len(summaries), 40)
            self.assertRegex(summaries.prompt(7), r"^In one line, with a title: One day there was a dog 7\. .* \(It is about [a-z, ]+\.\)$")
            bill = summaries.estimate()
            self.assertEqual((bill.requests, bill.completion_tokens), (40, 1200))
            self.assertAlmostEqual(bill.money, (bill.prompt_tokens * 10 + 1200 * 20) / 1e6)
            with self.assertRaises(ts.InvalidArgumentError):
                summaries.prompt(40)
            with self.assertRaises(ts.BusyError):
                self.summaries("a.journal", prompt=template)
        with self.summaries("b.journal", always=0) as summaries:
            self.assertLess(len(summaries), 40)
            self.assertIn("Summarize", summaries.prompt(0))
        self.assertEqual(self.server.ledger(self.ledger)["requests"], 0)
        for wrong, detail in (("{story} {nobody}", "{nobody}"), ("Sum up.", "no {story}")):
            template.write_text(wrong)
            with self.assertRaises(ts.FormatError) as caught:
                self.instruct_by(template)
            self.assertIn(detail, str(caught.exception))
        template.write_text("Say: {story}")
        self.assertEqual(self.instruct_by(template)["summarized"], 40)
        with self.assertRaises(ts.MismatchError):  # a journal is one template's
            self.instruct("x.jsonl", "own.journal")

    def instruct_by(self, template):
        return ts.dataset_instruct(self.folder / "stories.txt", self.folder / "own.jsonl", seed=5, always=ts.InstructField.SUMMARY, chat=self.chat("own.journal"),
                                   prompt=template)

    def test_shards_of_summaries(self):
        self.make_stories()
        whole = self.instruct("whole.jsonl", "whole.journal")
        texts = [record["text"] for record in self.records("whole.jsonl")]
        asked = self.server.ledger(self.ledger)["requests"]
        for shard in range(3):
            report = ts.dataset_instruct(self.folder / "stories.txt", self.folder / f"{shard}.jsonl", seed=5, always=ts.InstructField.SUMMARY,
                                         chat=self.chat(f"{shard}.journal"), shard=shard, shards=3)
            self.assertEqual((report["stories"], report["journal"].requests), (len(range(shard, 40, 3)),) * 2)
            self.assertEqual([record["text"] for record in self.records(f"{shard}.jsonl")], texts[shard::3])
        self.assertEqual(self.server.ledger(self.ledger)["requests"] - asked, 40)
        with self.summaries("all.journal") as summaries:
            self.assertEqual([summaries.merge(self.folder / f"{shard}.journal") for shard in (0, 1, 2, 0)], [14, 13, 13, 0])
            self.assertEqual(summaries.estimate().requests, 0)
        self.assertEqual(self.instruct("all.jsonl", "all.journal")["summarized"], whole["summarized"])
        self.assertEqual((self.folder / "all.jsonl").read_bytes(), (self.folder / "whole.jsonl").read_bytes())
        self.assertEqual(self.server.ledger(self.ledger)["requests"] - asked, 40)
        ts.dataset_instruct(self.folder / "stories.txt", self.folder / "plain.txt", shard=1, shards=2)  # without a service too
        self.assertEqual((self.folder / "plain.txt").read_text().count("<|endoftext|>"), 20)

    def test_summaries_by_batches(self):
        self.make_stories()
        self.instruct("online.jsonl", "online.journal")
        for number, (script, polls) in enumerate((("ok", 1), ("half,ok", 0), ("lost", 0))):
            self.ledger = f"summaries{number}"
            options = {"batches": script, "polls": polls}
            with self.summaries(f"{number}.journal", **options) as summaries:
                if script == "lost":
                    with self.assertRaises(ts.NetworkError):
                        summaries.batch_step()
                for _ in range(10):
                    report = summaries.batch_step()
                    if report.left == 0:
                        break
                bill = summaries.chat_report()
                self.assertEqual((report.left, bill.answered, bill.unknown), (0, 40, 0))
            self.instruct("batches.jsonl", f"{number}.journal", **options)
            self.assertEqual((self.folder / "batches.jsonl").read_bytes(), (self.folder / "online.jsonl").read_bytes())
            self.assertEqual(self.server.ledger(self.ledger)["billed"], 40)
        with self.summaries("files.journal") as summaries:
            report = summaries.batch_write(self.folder / "requests.jsonl")
            self.assertEqual((report.files, report.requests, report.left), (1, 40, 40))
            lines = [json.loads(line) for line in (self.folder / "requests.jsonl").read_text().splitlines()]
            self.assertEqual([line["body"]["messages"][0]["content"] for line in lines], [summaries.prompt(place) for place in range(40)])
            (self.folder / "results.jsonl").write_text("".join(json.dumps({"custom_id": line["custom_id"], "response": {"status_code": 200, "body": {"choices": [
                {"finish_reason": "stop", "message": {"content": f"Dog {i} ran."}}]}}}) + "\n" for i, line in enumerate(lines[:30])))
            report = summaries.batch_read(self.folder / "results.jsonl")
            self.assertEqual((report.results, report.left), (30, 10))
            self.assertEqual(summaries.batch_read(self.folder / "results.jsonl").known, 30)
        self.instruct("files.jsonl", "files.journal")  # asks for the ten
        self.assertEqual(self.records("files.jsonl")[29]["summary"], "Dog 29 ran.")
        self.assert_no_secret()

    def count_results(self, name):
        path = self.folder / name
        return path.read_bytes().count(b'{"event":"result"') if path.exists() else 0

    def run_example(self, example, name):
        """Ten stories without a key and with one."""
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "bindings" / "python")}
        environment.pop("TINYSTORIES_API_KEY", None)
        for key, arguments, source in ((None, [], "embedded"), (KEY, ["m", self.server.url(ledger=self.ledger)], "m")):
            told = subprocess.run(example + [str(self.folder / name), "3"] + arguments, capture_output=True, encoding="utf-8", timeout=60,
                                  env={**environment, **({"TINYSTORIES_API_KEY": key} if key else {})})
            self.assertEqual(told.returncode, 0, told.stderr)
            self.assertTrue(told.stdout.startswith(f"by {source}\n"), told.stdout)
            self.assertEqual([record["source"] for record in self.records(name)], [source] * 10)
            self.assert_no_secret(told.stdout, told.stderr)
        self.assertEqual(self.server.ledger(self.ledger)["requests"], 10)

    def test_the_example(self):
        self.run_example([sys.executable, str(ROOT / "bindings" / "python" / "examples" / "dataset.py")], "ten.jsonl")

    def test_the_example_in_c(self):
        example = pathlib.Path(os.environ.get("TINYSTORIES_CLI", "")).parent / "example_dataset"
        if not example.is_file():
            self.skipTest("the examples are not built")
        self.run_example([str(example)], "ten.jsonl")

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
        journal, dice, killed = self.folder / "stories.journal", random.Random(5), 0
        work = {"url": self.server.url(ledger=self.ledger, faults=faults, delay=0.01, **settings), "key": KEY, "journal": str(journal), "count": stories,
                "out": str(self.folder / "stories.jsonl"), "in_flight": in_flight}
        for _ in range(kills):
            size = journal.stat().st_size if journal.exists() else 0
            self.forker.start(**work)
            while self.forker.is_at_work() and (journal.stat().st_size if journal.exists() else 0) <= size:
                time.sleep(0.001)
            time.sleep(dice.random() * 0.03)
            killed += self.forker.kill() == -signal.SIGKILL
        self.forker.start(**work)
        self.assertEqual(self.forker.wait(), 0)
        self.assertGreater(killed, kills // 2)
        self.count(killed)
        records = self.records()
        self.assertEqual([record["index"] for record in records], list(range(stories)))  # none lost, none twice
        self.assertEqual(len({record["story"] for record in records}), stories)
        results = [json.loads(line)["job"] for line in (self.folder / "stories.journal").read_bytes().splitlines()
                   if line.startswith(b'{"event":"result"') and line.endswith(b'"}')]
        self.assertEqual(sorted(results), list(range(stories)))
        with ts.Generator(seed=3, chat=self.chat()) as generator:
            report = generator.chat_report()
        self.assertEqual((report.answered, report.unknown), (stories, 0))
        self.assertGreater(report.retries, kills // 2)
        self.assert_no_secret()
        return report, killed

    def test_kills_against_a_service_that_honours_keys(self):
        report, killed = self.kill_again_and_again(30, 400, 8, "ok,503,reset,429,ok")  # a first failure of each would meet the bound of retries a second
        ledger = self.server.ledger(self.ledger)
        self.assertEqual(ledger["billed"], ledger["distinct"])
        self.assertEqual(ledger["billed"], 400)
        self.assertLessEqual(report.possibly_paid_twice, 400)

    def test_kills_against_a_service_that_does_not(self):
        report, killed = self.kill_again_and_again(12, 200, 4, "ok,503,429,ok", honour=0)
        ledger = self.server.ledger(self.ledger)
        self.assertEqual(ledger["distinct"], 200)
        self.assertLessEqual(ledger["billed"] - 200, 4 * killed)  # what was in flight
        self.assertLessEqual(ledger["twice"], report.possibly_paid_twice)  # and they are told


if __name__ == "__main__":
    unittest.main()
