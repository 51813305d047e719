"""Taps, heads, neurons and attribution from Python."""

import gc
import json
import os
import tempfile
import unittest
import weakref

from fixture import new_model, run_examples, shape, tokenizer, ts, write_stories

try:
    import numpy
except ImportError:
    numpy = None

IDS = [0, 40, 41, 42, 43, 41]


class Taps(unittest.TestCase):
    def test_names(self):
        names = ts.analysis.tap_names()
        self.assertEqual((len(names), names[0], names[-1]), (18, "embedding", "logits"))
        self.assertIn("blocks.*.attention.weights", names)

    def test_every_value_comes(self):
        model = new_model(layers=2)
        found = ts.analysis.trace(model, IDS)
        self.assertEqual(len(found), 3 + 2 * 15)
        self.assertEqual(list(found)[0], "embedding")
        weights = found["blocks.1.attention.weights"]
        self.assertEqual(tuple(weights.shape), (2, len(IDS), len(IDS)))
        for head in weights.tolist():
            for query, row in enumerate(head):
                self.assertAlmostEqual(sum(row), 1, places=5)
                self.assertEqual(row[query + 1:], [0] * (len(IDS) - query - 1))
        logits = model.logits(IDS).tolist()
        for one, other in zip(sum(logits, []), sum(found["logits"].tolist(), [])):
            self.assertAlmostEqual(one, other, places=4)

    def test_names_choose(self):
        model, seen = new_model(layers=2), []
        result = ts.analysis.run(model, IDS, {"blocks.*.mlp.neurons": lambda tap: seen.append((tap.name, tap.layer, tap.shape))}, logits=False)
        self.assertIsNone(result)
        self.assertEqual([name for name, _, _ in seen], ["blocks.0.mlp.neurons", "blocks.1.mlp.neurons"])
        self.assertEqual(seen[1][1:], (1, (len(IDS), model.architecture.hidden)))

    def test_overwriting_without_numpy(self):
        model = new_model(layers=2)

        def ablate(tap):
            for position in range(tap.shape[0]):
                for column in range(tap.shape[2]):
                    tap[position, 1, column] = 0

        plain, changed = model.logits(IDS).tolist(), ts.analysis.run(model, IDS, {"blocks.0.attention.heads": ablate}).tolist()
        self.assertNotEqual(plain[-1], changed[-1])
        again = ts.analysis.run(model, IDS, {"blocks.0.attention.weights": lambda tap: [tap.__setitem__((1, i, j), 0) for i in range(6) for j in range(6)] and None})
        self.assertEqual(again.tolist(), changed)

    @unittest.skipUnless(numpy, "skipped: no numpy")
    def test_overwriting_with_numpy(self):
        model = new_model(layers=2)

        def ablate(tap):
            tap.array[:, 1] = 0

        def check(tap):
            view = tap.array
            self.assertEqual(view.shape, tap.shape)
            view[1, 1, 2] = 0.25
            self.assertEqual(tap[1, 1, 2], 0.25)

        plain, changed = model.logits(IDS), ts.analysis.run(model, IDS, {"blocks.0.attention.heads": ablate})
        self.assertFalse(numpy.allclose(plain[-1], changed[-1]))
        ts.analysis.run(model, IDS, {"blocks.0.attention.queries": check})  # a part of a longer row

    def test_a_tap_is_gone_after_its_callback(self):
        model, kept = new_model(), []
        ts.analysis.run(model, IDS, {"embedding": kept.append})
        with self.assertRaises(ValueError):
            kept[0][0, 0]
        with self.assertRaises(ValueError):
            kept[0].copy()

    def test_mistakes(self):
        model = new_model()
        with self.assertRaises(ZeroDivisionError):
            ts.analysis.run(model, IDS, lambda tap: 1 / 0)
        with self.assertRaises(ts.CancelledError):
            ts.analysis.run(model, IDS, lambda tap: True)
        with self.assertRaises(ValueError):
            ts.analysis.run(model, [], lambda tap: None)
        with self.assertRaises(ts.InvalidArgumentError):
            ts.analysis.run(model, [10**6], lambda tap: None)
        with self.assertRaises(TypeError):
            ts.analysis.run(3, IDS, lambda tap: None)
        for index in ((9, 0), (0,), (-1, 0)):
            with self.assertRaises(IndexError):
                ts.analysis.run(model, IDS, {"embedding": lambda tap, index=index: tap[index] and None})


class Corpus(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.stories = write_stories(folder.name)

    def test_heads(self):
        told = []
        found = ts.analysis.heads(new_model(layers=2), self.stories, max_tokens=500, progress=lambda done, total: told.append((done, total)))
        self.assertEqual([(head.layer, head.head) for head in found], [(0, 0), (0, 1), (1, 0), (1, 1)])
        self.assertEqual(told[-1], (500, 500))
        for head in found:
            self.assertEqual((head.kinds, head.names), (0, []))
            self.assertTrue(0 <= head.distance <= 1 and 0 < head.previous_chance < 1)
        with self.assertRaises(ts.CancelledError):
            ts.analysis.heads(new_model(), self.stories, progress=lambda done, total: True)
        with self.assertRaises(TypeError):
            ts.analysis.heads(new_model(), self.stories, examples=3)
        with self.assertRaises(ts.InputOutputError):
            ts.analysis.heads(new_model(), os.path.join(os.path.dirname(self.stories), "none.txt"))

    def test_neurons(self):
        model = new_model(layers=2)
        with ts.analysis.Neurons(model, self.stories, max_tokens=300, examples=4) as neurons:
            self.assertEqual((len(neurons), neurons.tokens), (2 * model.architecture.hidden, 300))
            one = neurons[1, 5]
            self.assertEqual((one.layer, one.neuron, len(one.examples)), (1, 5, 4))
            self.assertEqual(one.most, one.examples[0].activation)
            self.assertEqual([e.activation for e in one.examples], sorted((e.activation for e in one.examples), reverse=True))
            example = one.examples[0]
            value = ts.analysis.trace(model, example.ids, "blocks.1.mlp.neurons")["blocks.1.mlp.neurons"].tolist()[example.at][5]
            self.assertAlmostEqual(value, example.activation, places=5)
            summary = neurons.summary(0)
            self.assertEqual(summary[0].most, max(neuron.most for neuron in neurons if neuron.layer == 0))
            with self.assertRaises(IndexError):
                neurons[2, 0]
        with self.assertRaises(ValueError):
            len(neurons)

    def test_the_examples(self):
        """Also of a model that begins no story with a token of its own."""
        folder = os.path.dirname(self.stories)
        new_model(context_length=64).save(os.path.join(folder, "m.gguf"))
        path = os.path.join(folder, "bare.json")
        tokenizer().save(path)
        with open(path, encoding="utf-8") as file:
            bare = json.load(file)
        bare["added_tokens"] = []
        del bare["model"]["vocab"]["<|endoftext|>"]
        bare["model"]["vocab"] = {token: number for number, token in enumerate(sorted(bare["model"]["vocab"], key=bare["model"]["vocab"].__getitem__))}
        with open(path, "w", encoding="utf-8") as file:
            json.dump(bare, file)
        bare = ts.Tokenizer.open(path)
        self.assertIsNone(bare.begin_of_text)
        ts.Model.new(bare, shape(context_length=64, vocabulary_size=len(bare))).save(os.path.join(folder, "bare.gguf"))
        for name in ("m.gguf", "bare.gguf"):
            for output in run_examples(self, "look", folder, name, "Once upon a"):
                self.assertRegex(output, r"its logit -?\d\.\d{3}; without a head:\nlayer  0, head  0: [+-]\d\.\d{3}\nlayer  0, head  1: [+-]\d\.\d{3}\n$")

    def test_nothing_is_kept(self):
        neurons = ts.analysis.Neurons(new_model(), self.stories, max_tokens=50)
        gone = weakref.ref(neurons)
        del neurons
        gc.collect()
        self.assertIsNone(gone())

    def test_attribution(self):
        model = new_model(layers=2)
        found = ts.analysis.attribute(model, IDS, 50)
        self.assertAlmostEqual(found.logit, model.logits(IDS).tolist()[-1][50], places=4)
        parts = sum(sum(found.heads.tolist(), [])) + sum(sum(found.neurons.tolist(), []))
        self.assertAlmostEqual(parts + found.embedding + found.biases, found.logit, places=4)
        with self.assertRaises(ts.InvalidArgumentError):
            ts.analysis.attribute(model, IDS, 10**6)


if __name__ == "__main__":
    unittest.main()
