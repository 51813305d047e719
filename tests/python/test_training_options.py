"""The options of training that change what is learned: each arrives at the trainer, and what is wrong is refused by name."""

import math
import tempfile
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


    def test_patterns(self):
        whole = self.report()
        path = fixture.write_stories(self.folder)
        self.assertEqual(ts.Trainer(fixture.tokenizer(), fixture.shape(), text=path[:-5] + "*.txt", max_steps=20, batch_tokens=64, micro_batch=2).run().loss, whole.loss)
        with self.assertRaisesRegex(ts.InputOutputError, "none-"):
            ts.Trainer(fixture.tokenizer(), fixture.shape(), text="none-*.txt")


if __name__ == "__main__":
    unittest.main()
