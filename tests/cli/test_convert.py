"""`model convert`, `model inspect` and `tokenizer convert`: every format into every other, with nothing lost on the way that both hold."""

import json
import os
import pathlib
import unittest

import test_cli

GOLDEN = pathlib.Path(__file__).parents[1] / "golden" / "huggingface"
# how the tensors of the golden models are stored, where it is not as f32
STORED = {"gpt_neo_parts": "f16", "gpt_neo_untied": "bf16", "gpt2_untied": "bf16", "llama_grouped": "bf16"}
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
                    del report["file"], report["format"]
                    report.pop("version", None)
                    types = {tensor.pop("file_type") for tensor in report["tensors"]}
                    self.assertEqual(types, {STORED.get(golden.name, "f32") if report is reports[0] else "f32"})
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

    def test_tokenizer_config(self):
        """What transformers' AutoTokenizer asks for beside tokenizer.json: a class that takes it as it is, and the tokens by name."""
        self.must("model", "convert", "model.gguf", "hub-config")
        config, shape = json.loads(self.content("hub-config/tokenizer_config.json")), json.loads(self.content("hub-config/config.json"))
        self.assertEqual(config, {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 64, "bos_token": "<|endoftext|>",
                                  "eos_token": "<|endoftext|>", "clean_up_tokenization_spaces": False})
        added = {token["content"]: token["id"] for token in json.loads(self.content("hub-config/tokenizer.json"))["added_tokens"]}
        self.assertEqual((added[config["bos_token"]], added[config["eos_token"]]), (shape["bos_token_id"], shape["eos_token_id"]))

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

    def test_inspect(self):
        """Every kind of file says what it is, a tokenizer alone too; what is neither is refused for what it is not."""
        os.mkdir(self.path("alone"))
        for out in ("alone.json", "alone.gguf", "alone.tiktoken", "alone"):
            self.must("tokenizer", "convert", "tokenizer.json", out)
            report = inspect(self, out)
            self.assertEqual(report["format"], {"alone.json": "tokenizer.json", "alone.gguf": "GGUF", "alone.tiktoken": "tiktoken", "alone": "vocab.json and merges.txt"}[out])
            told = report["tokenizer"]
            self.assertEqual((told["kind"], told["size"], told["specials"], told["merges"]), ("byte-level BPE", 400, 1, 143))
            self.assertEqual(told["end_of_text"]["text"], "<|endoftext|>")
            self.assertIn(told["fingerprint"].encode(), self.must("model", "inspect", out))
        self.assertEqual(inspect(self, "alone.gguf")["version"], 3)
        report = inspect(self, "model.gguf")
        self.assertEqual((report["format"], report["version"], report["tokenizer"]["kind"]), ("GGUF", 3, "byte-level BPE"))
        self.assertEqual({tensor["type"] for tensor in report["tensors"]}, {"f32"})
        self.assertEqual({tensor["file_type"] for tensor in report["tensors"]}, {"f32"})
        self.must("model", "quantize", "model.gguf", "small.gguf", "--type", "q4_0")
        self.must("model", "convert", "small.gguf", "wide-hub", "--type", "bf16")
        for path, embedding, norm in (("small.gguf", "q4_0 +400 x 64$", "f32 +64$"),
                                      ("wide-hub", r"bf16 +400 x 64 \(f32 in memory\)$", r"bf16 +64 \(f32 in memory\)$")):
            told = self.must("model", "inspect", path, "--tensors").decode()
            self.assertRegex(told, "(?m)^  token_embd.weight +" + embedding)
            self.assertRegex(told, "(?m)^  output_norm.weight +" + norm)
        self.must("model", "convert", "model.gguf", "hub-of-it")
        self.assertEqual(inspect(self, "hub-of-it")["format"], "Hugging Face folder")
        with open(self.path("cut.gguf"), "wb") as file:
            file.write(self.content("model.gguf")[:-100])
        self.refused("model", "inspect", "cut.gguf", names="tensor")  # its vocabulary is whole: that does not count
        self.refused("model", "inspect", "stories.txt", names="stories.txt")
        self.refused("model", "inspect", "nothing.bin", names="nothing.bin")

    @unittest.skipUnless(DATA, "skipped: TINYSTORIES_TEST_DATA does not name the data")
    def test_inspect_real(self):
        data = pathlib.Path(DATA)
        for name, form, version, kind, size in (("models/stories260K_v2_q80_gs8.bin", "llama2.c", 2, "SentencePiece", 512),
                                                ("models/stories260K.bin", "llama2.c", None, "SentencePiece", 512),
                                                ("models/tok512.bin", "llama2.c", None, "SentencePiece", 512),
                                                ("tokenizers/llama2/tokenizer.bin", "llama2.c", None, "SentencePiece", 32000),
                                                ("tokenizers/tinystories10k_tokenizer.json", "tokenizer.json", None, "byte-level BPE", 10000),
                                                ("tokenizers/gpt2", "vocab.json and merges.txt", None, "byte-level BPE", 50257)):
            with self.subTest(name):
                report = inspect(self, str(data / name))
                told = report["tokenizer"]
                self.assertEqual((report["format"], report.get("version"), told["kind"], told["size"]), (form, version, kind, size))
                if version == 2:
                    types = {tensor["name"]: (tensor["type"], tensor["file_type"]) for tensor in report["tensors"]}
                    self.assertEqual((types["token_embd.weight"], types["output_norm.weight"]), (("f32", "q8_0"), ("f32", "f32")))
        self.must("tokenizer", "convert", str(data / "tokenizers/llama2/tokenizer.bin"), "llama.json")
        fingerprints = {inspect(self, name)["tokenizer"]["fingerprint"] for name in ("llama.json", str(data / "tokenizers/llama2/tokenizer.bin"))}
        self.assertEqual(len(fingerprints), 1)

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
        config = json.loads(self.content("real-hub/tokenizer_config.json"))
        self.assertEqual((config["bos_token"], config["unk_token"], config["model_max_length"]), ("<s>", "<unk>", 512))
        self.assertTrue(stories.pop().startswith(b"Once upon a time, there was a little girl named Lily."))
        self.assertEqual(self.content("real.tokenizer.bin"), (data / "models/tok512.bin").read_bytes())
        gpt2 = str(data / "tokenizers/gpt2")
        self.must("tokenizer", "convert", gpt2, "gpt2.tiktoken")
        os.mkdir(self.path("gpt2"))
        self.must("tokenizer", "convert", "gpt2.tiktoken", "gpt2")
        self.assertEqual(self.content("gpt2/merges.txt"), (data / "tokenizers/gpt2/vocab.bpe").read_bytes())


if __name__ == "__main__":
    unittest.main()
