"""`model convert`, `model inspect` and `tokenizer convert`: every format into every other, with nothing lost on the way that both hold."""

import json
import os
import pathlib
import unittest

import test_cli

GOLDEN = pathlib.Path(__file__).parents[1] / "golden" / "huggingface"
DATA = os.environ.get("TINYSTORIES_TEST_DATA")


def inspect(base, path, *more):
    return json.loads(base.must("model", "inspect", path, *more, "--json"))


class ConvertTest(test_cli.CommandLineTest):
    def test_models(self):
        """A model of each architecture through GGUF and back: the same tensors, byte for byte."""
        self.must("tokenizer", "train", "--in", "stories.txt", "--size", "260", "--out", "small.json")
        for golden in sorted(GOLDEN.iterdir()):
            with self.subTest(golden.name):
                out = f"{golden.name}.gguf"
                report = json.loads(self.must("model", "convert", str(golden), out, "--tokenizer", "small.json", "--json"))
                self.assertEqual((report["file"], report["format"], report["type"]), (out, "gguf", "f32"))
                self.must("model", "convert", out, f"{golden.name}-hub")
                self.must("model", "convert", f"{golden.name}-hub", f"{golden.name}-again.gguf")
                self.assertEqual(self.content(out), self.content(f"{golden.name}-again.gguf"))
                reports = [inspect(self, str(golden), "--tokenizer", "small.json"), inspect(self, out), inspect(self, f"{golden.name}-hub")]
                for report in reports:
                    del report["file"]
                self.assertEqual(reports[0], reports[1])
                self.assertEqual(reports[0], reports[2])

    def test_types(self):
        """Half the bytes; and what was rounded once is not rounded again."""
        for kind in ("f16", "bf16"):
            self.must("model", "convert", "model.gguf", f"{kind}.gguf", "--type", kind)
            self.assertLess(len(self.content(f"{kind}.gguf")), 0.7 * len(self.content("model.gguf")))
            self.must("model", "convert", f"{kind}.gguf", f"{kind}-again.gguf", "--type", kind)
            self.assertEqual(self.content(f"{kind}.gguf"), self.content(f"{kind}-again.gguf"))
            story = ["sample", "--prompt", "Once", "--tokens", "8", "--temperature", "0", "--model"]
            self.must("model", "convert", f"{kind}.gguf", f"{kind}-hub", "--type", kind)
            self.assertEqual(self.must(*story, f"{kind}.gguf"), self.must(*story, f"{kind}-hub"))

    def test_names_and_formats(self):
        self.must("model", "convert", "model.gguf", "other.ending", "--format", "gguf")
        self.assertEqual(self.content("other.ending"), self.content("model.gguf"))
        self.must("model", "convert", "model.gguf", "short.gguf", "--context", "32")
        self.assertEqual(inspect(self, "short.gguf")["context_length"], 32)
        self.refused("model", "convert", "model.gguf", "no.bin", names="SentencePiece")
        self.refused("model", "convert", "model.gguf", "no.gguf", "--type", "q9", names="--type")
        self.refused("model", "convert", "model.gguf", "nowhere/no.gguf", names="nowhere")
        self.refused("model", "convert", "nothing.gguf", "no.gguf", names="nothing.gguf")
        self.refused("model", "convert", "model.gguf", names="B", status=(2,))

    def test_tokenizers(self):
        """Text becomes the same ids by every format."""
        os.mkdir(self.path("pair"))
        self.must("tokenizer", "convert", "model.gguf", "back.json")
        self.must("tokenizer", "convert", "back.json", "pair")
        self.assertEqual(sorted(os.listdir(self.path("pair"))), ["merges.txt", "vocab.json"])
        report = json.loads(self.must("tokenizer", "convert", "pair", "last.json", "--json"))
        self.assertEqual(report["tokens"], 400)
        self.assertEqual(self.must("tokenizer", "convert", "last.json", "-"), self.content("back.json"))
        for tokenizer in ("tokenizer.json", "pair", "last.json"):
            self.must("tokenizer", "encode", "--tokenizer", tokenizer, "--in", "valid.txt", "--out", "ids.bin")
            self.must("tokenizer", "decode", "--tokenizer", "model.gguf", "--in", "ids.bin", "--out", "text.txt")
            self.assertEqual(self.content("text.txt").count(b"Once upon a time"), 20)
        self.refused("tokenizer", "convert", "tokenizer.json", "no.bin", names="SentencePiece")
        self.refused("tokenizer", "convert", "nothing.json", "no.json", names="nothing.json")
        self.must("tokenizer", "convert", "tokenizer.json", "vocabulary.gguf")
        self.assertEqual(self.content("vocabulary.gguf")[:4], b"GGUF")
        self.assertEqual(self.must("tokenizer", "convert", "vocabulary.gguf", "-"), self.content("back.json"))
        self.refused("tokenizer", "convert", "tokenizer.json", "no.model", names=".gguf")
        self.assertFalse(os.path.exists(self.path("no.model")))

    @unittest.skipUnless(DATA, "skipped: TINYSTORIES_TEST_DATA does not name the data")
    def test_real(self):
        """stories260K through every format that can hold it: the same words of greedy telling, and back to the very same file."""
        data = pathlib.Path(DATA)
        real = str(data / "models/stories260K.bin")
        tokenizer = ["--tokenizer", str(data / "models/tok512.bin")]
        self.must("model", "convert", real, "real.gguf", *tokenizer)
        self.must("model", "convert", "real.gguf", "real-hub")
        self.must("model", "convert", "real-hub", "real.bin")
        self.must("model", "convert", "real.bin", "real-v1.bin", "--format", "llama2c-v1")
        stories = {self.must("sample", "--model", name, "--tokens", "60", "--temperature", "0") for name in ("real.gguf", "real-hub", "real.bin", "real-v1.bin")}
        self.assertEqual(len(stories), 1)
        self.assertTrue(stories.pop().startswith(b"Once upon a time, there was a little girl named Lily."))
        self.assertEqual(self.content("real.tokenizer.bin"), (data / "models/tok512.bin").read_bytes())
        gpt2 = str(data / "tokenizers/gpt2")
        self.must("tokenizer", "convert", gpt2, "gpt2.tiktoken")
        os.mkdir(self.path("gpt2"))
        self.must("tokenizer", "convert", "gpt2.tiktoken", "gpt2")
        self.assertEqual(self.content("gpt2/merges.txt"), (data / "tokenizers/gpt2/vocab.bpe").read_bytes())


if __name__ == "__main__":
    unittest.main()
