"""The options of training that change what is learned: each arrives at the trainer, and what is wrong is refused by name."""

import csv
import json
import math
import queue
import tempfile
import threading
import unittest

import fixture
from fixture import ts


class TrainingOptionsTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def report(self, **options):
        with fixture.new_trainer(self.folder, **options) as trainer:
            return trainer.run()

    def loss(self, **options):
        return self.report(**options).loss

    def test_options_change_the_run(self):
        plain = self.loss()
        self.assertEqual(plain, self.loss(packing="stream", use_average=True))
        self.assertNotEqual(plain, self.loss(packing="stories"))
        self.assertNotEqual(plain, self.loss(muon_beta=0.5))
        self.assertEqual(plain, self.loss(recompute=True))
        self.assertNotEqual(self.loss(schedule="wsd"), self.loss(schedule="wsd", decay=0.9))
        self.assertNotEqual(plain, self.loss(one_batch=True))
        self.assertEqual(self.loss(packing=ts.Packing.STORIES), self.loss(packing="stories"))

    def test_spikes_are_skipped(self):
        self.assertEqual(self.report().skipped_steps, 0)
        self.assertGreater(self.report(spike=1, spike_window=2, max_steps=40, learning_rate=1e-9).skipped_steps, 0)

    def test_the_average_is_what_is_validated(self):
        scores = {}
        for use in (True, False):
            with fixture.new_trainer(self.folder, average=0.9, use_average=use) as trainer:
                trainer.run()
                scores[use] = trainer.validate().nats_per_token
        self.assertNotEqual(scores[True], scores[False])
        self.assertTrue(all(math.isfinite(score) for score in scores.values()))

    def test_refusals(self):
        for options, name in (({"packing": 7}, "packing"), ({"packing": "bags"}, "packing"), ({"average": 1.0}, "average"), ({"use_average": 2}, "use_average"),
                              ({"one_batch": 2}, "one_batch"), ({"decay": 1.5}, "decay"), ({"muon_beta": 1}, "muon_beta"),
                              ({"spike": -1}, "spike"), ({"spike_window": 1}, "spike_window")):
            with self.assertRaisesRegex(ValueError, name):
                fixture.new_trainer(self.folder, **options)


    def test_stories_while_it_trains(self):
        run, told, snapshots = self.folder + "/run", [], []

        def watch(report):
            snapshots.append(trainer.snapshot())
            if report.due and report.valid_step == report.step and report.step not in told:
                with ts.Sampler(snapshots[-1], max_tokens=5) as sampler:
                    trainer.log_story("Tom \u00e9 " + sampler.tell("Tom", seed=1))
                told.append(report.step)
            self.assertRaises(ts.BusyError, trainer.step)

        with fixture.new_trainer(self.folder, run_directory=run, csv_log=True, valid_interval=5, max_steps=12) as trainer:
            trainer.run(watch)
        self.assertEqual(told, [5, 10, 12])
        with open(run + "/log.jsonl", encoding="utf-8") as log:
            stories = [line for line in map(json.loads, log) if line["event"] == "story"]
        self.assertEqual([(story["step"], story["text"][:5]) for story in stories], [(step, "Tom \u00e9") for step in told])
        with open(run + "/log.csv", newline="", encoding="utf-8") as log:
            rows = list(csv.DictReader(log))
        self.assertEqual([(row["event"], row["step"]) for row in rows], [("valid", "5"), ("step", "10"), ("valid", "10"), ("valid", "12"), ("end", "12")])
        self.assertGreater(float(rows[0]["valid_bits_per_byte"]), 0)

    def test_making_can_be_stopped(self):
        calls = []
        with self.assertRaises(ts.CancelledError):
            fixture.new_trainer(self.folder, progress=lambda done, total: calls.append((done, total)) or len(calls) == 3)
        self.assertEqual(len(calls), 3)
        self.assertTrue(all(0 < done <= total for done, total in calls))

    def ranks(self, count, spoil=lambda rank, options: None, slices=4):
        """Trains on so many ranks, threads that speak through queues; gives what each made or raised."""
        letters, results = {}, [None] * count
        for pair in ((a, b) for a in range(count) for b in range(count)):
            letters[pair] = queue.Queue()

        def work(rank):
            def exchange(partner, send, receive):
                letters[rank, partner].put(bytes(send))
                receive[:] = letters[partner, rank].get(timeout=60)

            def broadcast(data):
                for other in range(1, count) if rank == 0 else ():
                    letters[0, other].put(bytes(data))
                if rank != 0:
                    data[:] = letters[0, rank].get(timeout=60)

            options = {"communicator": ts.Communicator(rank, count, exchange, broadcast), "max_steps": 5, "batch_tokens": 256, "micro_batch": 1, "slices": slices}
            spoil(rank, options)
            try:
                with ts.Trainer(fixture.tokenizer(), fixture.shape(), text=path, **options) as trainer:
                    results[rank] = trainer.run(), trainer.snapshot()
            except Exception as error:
                results[rank] = error

        path = fixture.write_stories(self.folder)
        threads = [threading.Thread(target=work, args=(rank,)) for rank in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return results

    def test_ranks(self):
        with fixture.new_trainer(self.folder, max_steps=5, batch_tokens=256, micro_batch=1, slices=4) as trainer:
            alone = trainer.run()
            self.assertEqual(alone.exchange_bytes, 0)
        for count in (2, 4):
            for report, model in self.ranks(count):
                self.assertEqual((report.loss, report.valid_bits_per_byte), (alone.loss, alone.valid_bits_per_byte))
                self.assertGreater(report.exchange_bytes, 0)
                model.close()

    def test_ranks_that_differ(self):
        def spoil(rank, options):
            options["seed"] = rank

        first, second = self.ranks(2, spoil)
        self.assertIsInstance(first, ts.MismatchError)
        self.assertIn("rank 1: options.seed is 1, but 0 on rank 0", str(first))
        self.assertIn("options.seed is 1, but 0 on rank 0", str(second))
        with self.assertRaises(TypeError):
            fixture.new_trainer(self.folder, communicator=3)

    def test_what_a_communicator_raises(self):
        def exchange(partner, send, receive):
            raise KeyError("lost")

        with self.assertRaisesRegex(KeyError, "lost"):
            fixture.new_trainer(self.folder, slices=2, communicator=ts.Communicator(0, 2, exchange, print))

    def test_another_setting_is_refused(self):
        run = self.folder + "/run"
        with fixture.new_trainer(self.folder, run_directory=run, max_steps=3, beta1=0.8) as trainer:
            trainer.run()
        path = fixture.write_stories(self.folder)
        with self.assertRaisesRegex(ts.MismatchError, r"ts_trainer_options.beta1 is 0.7, but the run of .*checkpoint.safetensors has 0.8"):
            ts.Trainer.resume(run, text=path, beta1=0.7)
        with ts.Trainer.resume(run, text=path, beta1=0.8, max_steps=4) as trainer:
            self.assertEqual(trainer.run().step, 4)

    def test_patterns(self):
        whole = self.report()
        path = fixture.write_stories(self.folder)
        self.assertEqual(ts.Trainer(fixture.tokenizer(), fixture.shape(), text=path[:-5] + "*.txt", max_steps=20, batch_tokens=64, micro_batch=2).run().loss, whole.loss)
        with self.assertRaisesRegex(ts.InputOutputError, "none-"):
            ts.Trainer(fixture.tokenizer(), fixture.shape(), text="none-*.txt")


if __name__ == "__main__":
    unittest.main()
