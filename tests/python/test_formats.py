"""Models in foreign formats: converted from one to another, and Hugging Face's own word on what is written, where transformers and torch are installed."""
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import unittest

import fixture

ts = fixture.ts

try:
    import torch
    import transformers
except ImportError:
    transformers = None

GOLDEN = pathlib.Path(__file__).parents[1] / "golden" / "huggingface"


class Formats(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def open_golden(self, name):
        words = self.folder / "words.json"
        if not words.exists():
            ts.Tokenizer.train(fixture.STORIES, vocabulary_size=260).save(words)
        return ts.Model.open(GOLDEN / name, tokenizer=words)

    def test_round_trip(self):
        for golden in sorted(GOLDEN.iterdir()):
            model = self.open_golden(golden.name)
            model.save(self.folder / "model.gguf")
            again = ts.Model.open(self.folder / "model.gguf")
            again.save(self.folder / "hub", format=ts.ModelFormat.HUGGINGFACE)
            third = ts.Model.open(self.folder / "hub")
            ids = list(range(24))
            self.assertEqual(list(memoryview(model.logits(ids)).cast("B")), list(memoryview(third.logits(ids)).cast("B")))
            self.assertEqual(model.architecture, third.architecture)

    def test_pytorch(self):
        """A pickle of torch by the script that says so: the same tensors, the tied head and masks left out."""
        golden, script = GOLDEN / "gpt2", pathlib.Path(fixture.__file__).parents[2] / "bindings" / "python" / "examples" / "convert_pytorch.py"
        folder = self.folder / "hub"
        folder.mkdir()
        shutil.copy(golden / "config.json", folder)
        with self.assertRaisesRegex(ts.InputOutputError, script.name):
            self.open_golden("gpt2") and ts.Model.open(folder, tokenizer=self.folder / "words.json")
        if transformers is None:
            self.skipTest("no torch here")
        model = transformers.AutoModelForCausalLM.from_pretrained(golden)
        tensors = dict(model.state_dict())
        tensors["transformer.h.0.attn.bias"] = torch.ones(1, 1, 4, 4, dtype=torch.bool)
        torch.save(tensors, folder / "pytorch_model.bin")
        subprocess.run([sys.executable, script, folder], check=True)
        one, two = self.open_golden("gpt2"), ts.Model.open(folder, tokenizer=self.folder / "words.json")
        ids = list(range(24))
        self.assertEqual(list(memoryview(one.logits(ids)).cast("B")), list(memoryview(two.logits(ids)).cast("B")))

    def test_refusals(self):
        model = self.open_golden("gpt2")
        with self.assertRaises(ts.UnsupportedError):
            model.save(self.folder / "m.bin", format=ts.ModelFormat.LLAMA2C_V1)
        with self.assertRaises(ts.InvalidArgumentError):
            model.save(self.folder / "m.gguf", format=77)
        with self.assertRaises(ts.InputOutputError):
            ts.Model.open(GOLDEN / "gpt2")  # it has no tokenizer
        self.assertEqual(os.listdir(self.folder), ["words.json"])

    def test_llama2c(self):
        data = os.environ.get("TINYSTORIES_TEST_DATA")
        if not data:
            self.skipTest("no test data")
        model = ts.Model.open(pathlib.Path(data) / "models" / "stories260K.bin")
        model.save(self.folder / "tiny", format=ts.ModelFormat.HUGGINGFACE)
        again = ts.Model.open(self.folder / "tiny")
        self.assertEqual(again.tokenizer.begin_of_text, 1)
        story = ts.Sampler(again, temperature=0, max_tokens=20).tell("")
        self.assertIn("Once upon a time, there was a little girl", story)

    @unittest.skipIf(transformers is None, "transformers and torch are not installed")
    def test_transformers(self):
        for golden in sorted(GOLDEN.iterdir()):
            model = self.open_golden(golden.name)
            for kind in (ts.ModelType.F32, ts.ModelType.F16, ts.ModelType.BF16):
                model.save(self.folder / "out", format=ts.ModelFormat.HUGGINGFACE, type=kind)
                theirs = transformers.AutoModelForCausalLM.from_pretrained(self.folder / "out", torch_dtype=torch.float32).eval()
                ours = ts.Model.open(self.folder / "out")
                ids = [random.Random(1).randrange(272) for _ in range(24)]
                with torch.no_grad():
                    expected = theirs(torch.tensor([ids])).logits[0].flatten().tolist()
                got = torch.frombuffer(bytearray(memoryview(ours.logits(ids)).cast("B")), dtype=torch.float32).tolist()
                worst = max(abs(a - b) for a, b in zip(expected, got))
                self.assertEqual(len(expected), len(got))
                self.assertLess(worst, 1e-4, golden.name)


if __name__ == "__main__":
    unittest.main()
