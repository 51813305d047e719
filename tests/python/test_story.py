"""The whole way in miniature: tokenizer, shards, training, model file, stories."""

import itertools
import math
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

import fixture
from fixture import ROOT, ts


def raw(tensor):
    return bytes(memoryview(tensor).cast("B"))


class Story(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory()
        cls.folder = cls.temporary.name
        cls.text = fixture.write_stories(cls.folder, times=4)
        cls.runtime = ts.Runtime(threads=2)
        cls.tokenizer = ts.Tokenizer.train_files([cls.text], vocabulary_size=380, runtime=cls.runtime)
        with cls.trainer() as trainer:
            cls.before = trainer.step()
            cls.after = trainer.run()
            cls.model = trainer.snapshot()

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()

    @classmethod
    def path(cls, name):
        return os.path.join(cls.folder, name)

    @classmethod
    def trainer(cls, **options):
        shape = ts.Architecture(width=32, layers=2, heads=4, key_value_heads=2, context_length=64)
        return ts.Trainer(cls.tokenizer, shape, text=cls.text, runtime=cls.runtime,
                          **{"max_steps": 40, "batch_tokens": 256, "micro_batch": 4, "seed": 3, "learning_rate": 0.01, **options})

    def test_constraints_and_sessions(self):
        with ts.Sampler(self.model, seed=4, max_tokens=30, temperature=1.2) as plain:
            whole = plain.tell("Once")
            stop = next(whole[i:i + 3] for i in range(4, len(whole) - 3) if "\ufffd" not in whole[i:i + 3])
        with ts.Sampler(self.model, seed=4, max_tokens=30, temperature=1.2, stops=["never to come", stop]) as sampler:
            self.assertEqual(sampler.tell("Once"), whole[: whole.index(stop)])
            self.assertEqual(sampler.finish, ts.Finish.STOP)
        with ts.Sampler(self.model, seed=4, max_tokens=60, temperature=2, banned_words=["t", "Th", b"\xc3"], no_repeat_ngram=3, min_p=0.01,
                        frequency_penalty=0.1, biases={5: -math.inf, 6: 1.5}, steps=["penalties", ts.Step.TEMPERATURE, "min_p"]) as sampler:
            story = "Once" + sampler.tell("Once")
            self.assertNotRegex(story.lower(), r"(^|[^a-z0-9'\x80-\U0010ffff])t")
            self.assertNotIn(5, sampler.tokens)
            ids = set(self.tokenizer.encode(" they are they"))
            by_text = {" they are they": -1.0, b"x": -math.inf}
            by_id = {**dict.fromkeys(ids, -1.0), **dict.fromkeys(self.tokenizer.encode("x"), -math.inf)}
            stories = [ts.Sampler(self.model, seed=4, max_tokens=60, biases=biases).tell("Once") for biases in (by_text, by_id, {})]
            self.assertEqual(stories[0], stories[1])
            self.assertNotEqual(stories[0], stories[2])
            sampler.cut(3, seed=9)
            first = next(sampler)
            thought = sampler.alternatives(4)
            self.assertEqual(thought.token, sampler.tokens[-1])
            self.assertEqual([value for _, value in thought.likeliest], sorted((value for _, value in thought.likeliest), reverse=True))
            self.assertLess(sum(math.exp(value) for _, value in thought.likeliest), 1.0001)
            with sampler.clone() as copy:
                self.assertEqual("".join(copy), "".join(sampler))
            self.assertTrue(first)
            sampler.start("Once")
            next(sampler)
            sampler.save(self.path("story.session"))
            self.assertEqual(sampler.save_memory(), pathlib.Path(self.path("story.session")).read_bytes())
            with self.assertRaises(ts.LimitError):
                ts.Sampler.load(self.path("story.session"), self.model, memory_limit=1000)
            with ts.Sampler.load_memory(sampler.save_memory(), self.model, memory_limit=1 << 30) as loaded:
                self.assertEqual(loaded.tokens, sampler.tokens)
            with ts.Sampler.load(self.path("story.session"), self.model) as loaded:
                self.assertEqual("".join(loaded), "".join(sampler))
        with ts.Sampler(self.model, max_tokens=60, context_full="slide") as sampler:
            story = sampler.require("balloon", "Zed", within=30).tell("Once")
            self.assertRegex(story.lower(), r"\bballoon\b")
            self.assertRegex(story.lower(), r"\bzed\b")
            self.assertEqual((sampler.missing, sampler.require("zebra").missing), (0, 1))
            with self.assertRaises(ts.InvalidArgumentError):
                sampler.require("")
        with ts.Sampler(self.model, max_tokens=20) as sampler:
            sampler.start("Once")
            told = list(iter(lambda: sampler.run_for(0.001), None))
            self.assertEqual("".join(told), sampler.tell("Once"))
            sampler.cancel()
            with self.assertRaises(ts.CancelledError):
                sampler.tell("Once")
            with self.assertRaises(ts.InvalidArgumentError):
                sampler.alternatives()
        for wrong, error in (({"stops": [""]}, ts.InvalidArgumentError), ({"banned_words": ["a\0b"]}, ValueError), ({"steps": ["top_q"]}, ValueError),
                             ({"steps": [1, 1]}, ts.InvalidArgumentError), ({"biases": {10 ** 6: 1}}, ts.InvalidArgumentError), ({"min_p": 2}, ts.InvalidArgumentError)):
            with self.assertRaises(error):
                ts.Sampler(self.model, **wrong)

    def test_tokenizer(self):
        tokenizer, path = self.tokenizer, self.path("tokenizer.json")
        tokenizer.save(path)
        again = ts.Tokenizer.open(path)
        self.assertEqual((len(again), again.fingerprint, again.end_of_text), (len(tokenizer), tokenizer.fingerprint, 0))
        self.assertEqual((tokenizer.kind, tokenizer.merge_count), ("bytes", len(tokenizer) - 257))
        self.assertEqual(ts.Tokenizer.open_memory(pathlib.Path(path).read_text(encoding="utf-8")).fingerprint, tokenizer.fingerprint)
        for text in ("", "Once upon a time", "n\u00e4ive \U0001f60a\n\n \t", "a\0b", "<|endoftext|>"):
            self.assertEqual(tokenizer.decode(tokenizer.encode(text)), text)
            self.assertEqual("".join(tokenizer.decode_stream(tokenizer.encode(text))), text)
        self.assertEqual(tokenizer.decode_bytes(tokenizer.encode(bytes(range(256)))), bytes(range(256)))
        self.assertNotIn(0, tokenizer.encode("<|endoftext|>"))
        self.assertEqual(tokenizer.encode("<|endoftext|>", specials=True), [0])
        self.assertEqual("".join(tokenizer.decode_stream(tokenizer.encode(b"a\xf0\x9f"))), "a\ufffd")
        self.assertEqual([tokenizer.find("a")], tokenizer.encode("a"))
        self.assertEqual((tokenizer.token(tokenizer.find("a")), tokenizer.find("no such token")), (b"a", None))
        self.assertTrue(tokenizer.is_special(0) and not tokenizer.is_special(1))
        small = tokenizer.prune(300, self.text)
        self.assertEqual((len(small), small.decode(small.encode("Once upon"))), (300, "Once upon"))

    def test_shards(self):
        shard, back = self.path("stories.bin"), self.path("back.txt")
        report = self.tokenizer.encode_files(self.text, shard)
        self.assertEqual(report.stories, 4 * len(fixture.STORIES))
        self.assertEqual(os.path.getsize(shard), 1024 + 2 * report.tokens)
        self.tokenizer.decode_shard(shard, back)
        strip = lambda path: [one.strip() for one in pathlib.Path(path).read_text(encoding="utf-8").split("<|endoftext|>") if one.strip()]
        self.assertEqual(strip(back), strip(self.text))
        self.assertAlmostEqual(self.model.score_files(shard).nats, self.model.score_files(self.text).nats, places=6)
        with self.assertRaises(ts.MismatchError):
            self.tokenizer.prune(300, self.text).decode_shard(shard, back)

    def test_training(self):
        self.assertEqual((self.before.step, self.after.step, self.after.total_steps), (1, 40, 40))
        self.assertLess(self.after.loss, self.before.loss - 0.5)
        self.assertTrue(math.isnan(self.before.valid_bits_per_byte) and self.after.valid_bits_per_byte > 0)
        with self.trainer() as trainer:
            reports = list(trainer)
            self.assertEqual([report.step for report in reports], list(range(1, 41)))
            self.assertEqual(reports[-1].loss, self.after.loss)
            self.assertTrue(trainer.done)
            score = trainer.validate()
            self.assertEqual(score.bits_per_byte, trainer.report.valid_bits_per_byte)
            again = trainer.snapshot()
        for name, tensor in self.model.tensors().items():
            self.assertEqual(raw(tensor), raw(again.tensors()[name]), name)

    def test_resume(self):
        checkpoint = self.path("checkpoint.safetensors")
        with self.trainer() as trainer:
            for report in itertools.islice(trainer, 17):
                pass
            trainer.save(checkpoint)
        with ts.Trainer.resume(checkpoint, self.text, runtime=self.runtime) as trainer:
            self.assertEqual(trainer.report.step, 17)
            trainer.run()
            for name, tensor in trainer.snapshot().tensors().items():
                self.assertEqual(raw(tensor), raw(self.model.tensors()[name]), name)
        with self.assertRaises(ts.MismatchError):
            ts.Trainer.resume(checkpoint, fixture.write_stories(self.folder, "other.txt"))

    def test_model_files(self):
        path = self.path("model.gguf")
        self.model.save(path)
        data = self.model.save_memory()
        self.assertEqual(pathlib.Path(path).read_bytes(), data)
        with open(path, "rb") as stream:
            forms = [ts.Model.open(path), ts.Model.open(path, map=1), ts.Model.open_memory(bytes(data)), ts.Model.open_memory(data),
                     ts.Model.open_stream(stream)]
        for model in forms:
            self.assertEqual(model.architecture, self.model.architecture)
            self.assertEqual(model.tokenizer.fingerprint, self.tokenizer.fingerprint)
            tensors = model.tensors()
            self.assertEqual(list(tensors), list(self.model.tensors()))
            self.assertEqual(sum(memoryview(tensor).nbytes for tensor in tensors.values()), 4 * self.model.parameters)
            for name, tensor in self.model.tensors().items():
                self.assertEqual((raw(tensor), tensor.shape), (raw(tensors[name]), tensors[name].shape), name)
        self.assertEqual(self.model.architecture.parameters, self.model.parameters)
        f32, bf16, q8_0 = ts.ModelType.F32, ts.ModelType.BF16, ts.ModelType.Q8_0
        self.assertEqual(set(self.model.tensor_types().values()), {ts.TensorTypes(f32, f32)})
        self.model.save(path, type=bf16)
        self.assertEqual(ts.Model.open(path).tensor_types()["token_embd.weight"], ts.TensorTypes(f32, bf16))
        self.model.save(path, type=q8_0)
        self.assertEqual(ts.Model.open(path).tensor_types()["token_embd.weight"], ts.TensorTypes(q8_0, q8_0))
        self.assertEqual(ts.Model.open(path, widen=1).tensor_types()["token_embd.weight"], ts.TensorTypes(f32, q8_0))
        self.assertEqual(ts.Model.open(path).tensor_types()["output_norm.weight"], ts.TensorTypes(f32, f32))
        self.assertEqual(self.model.tensors()["token_embd.weight"].shape, (len(self.tokenizer), 32))

    def test_logits_and_score(self):
        ids = [0] + self.tokenizer.encode("Once upon a time")
        logits = memoryview(self.model.logits(ids))
        self.assertEqual((logits.format, logits.shape), ("f", (len(ids), len(self.tokenizer))))
        targets, nats = ids[1:] + [0], 0.0
        for row, target in zip(logits.tolist(), targets):
            most = max(row)
            nats += math.log(sum(math.exp(one - most) for one in row)) + most - row[target]
        score = self.model.score(["  Once upon a time\n"])
        self.assertEqual((score.tokens, score.bytes, score.stories), (len(ids), 16, 1))
        self.assertAlmostEqual(score.nats, nats, places=3)
        self.assertAlmostEqual(score.bits_per_byte, nats / math.log(2) / 16, places=4)

    def test_telling(self):
        sampler = ts.Sampler(self.model, seed=9, temperature=1.0, max_tokens=50)
        told = sampler.tell("Once upon a time")
        self.assertEqual(sampler.tell("Once upon a time"), told)
        self.assertEqual("".join(sampler.start(b"Once upon a time", seed=9)), told)
        self.assertEqual(sampler.seed, 9)
        self.assertIn(sampler.finish, (ts.Finish.END, ts.Finish.MAX_TOKENS, ts.Finish.CONTEXT))
        tokens = sampler.tokens
        prompt = [0] + self.tokenizer.encode("Once upon a time")
        self.assertEqual(tokens[: len(prompt)], prompt)
        self.assertEqual(self.tokenizer.decode([one for one in tokens[len(prompt):] if one != 0]), told)
        self.assertEqual(list(sampler), [])  # it has ended
        self.assertNotEqual(sampler.tell("Once upon a time", seed=10), told)
        bare = ts.Sampler(self.model, begin_of_text="never", max_tokens=3)
        self.assertEqual(bare.start("Once upon a time").tokens, prompt[1:])
        self.assertEqual(bare.start("").tokens, [0])
        alone = ts.Model.open_memory(self.model.save_memory(), runtime=ts.Runtime(threads=1))
        self.assertEqual(ts.Sampler(alone, seed=9, temperature=1.0, max_tokens=50).tell("Once upon a time"), told)
        self.assertGreater(ts.Sampler.memory(self.model, max_tokens=50), 1000)
        slid = ts.Sampler(self.model, max_tokens=200, context_full="slide", ignore_end=True, seed=1)
        slid.tell("Once")
        self.assertEqual(slid.finish, ts.Finish.MAX_TOKENS)

    def test_pieces_are_whole_characters(self):
        """An untrained model draws single bytes; every piece must be valid UTF-8 all the same, and the pieces together the decoded tokens."""
        model = ts.Model.new(fixture.tokenizer(), fixture.shape(context_length=256), seed=2)
        for seed in range(10):
            sampler = ts.Sampler(model, seed=seed, temperature=2.0, ignore_end=True)
            pieces = list(sampler.start())
            self.assertTrue(all(pieces))
            self.assertEqual(sampler.finish, ts.Finish.CONTEXT)
            self.assertEqual("".join(pieces), "".join(model.tokenizer.decode_stream(sampler.tokens[1:])))

    def test_batch(self):
        model = ts.Model.new(fixture.tokenizer(), fixture.shape(), seed=2)

        def samplers():
            return [ts.Sampler(model, seed=i, max_tokens=5 + i, ignore_end=True).start("Once") for i in range(7)]

        alone = ["".join(sampler) for sampler in samplers()]
        batch, together = ts.Batch(model, capacity=7), samplers()
        self.assertEqual(batch.tell(together), alone)
        prompts = ["Once", "", "The cat", "Once", "One"]
        one_by_one = [ts.Sampler(model, max_tokens=6, ignore_end=True).tell(prompt, seed=9 + i) for i, prompt in enumerate(prompts)]
        for many in (1, 2, 64):
            self.assertEqual(ts.tell_stories(model, prompts, together=many, seed=9, max_tokens=6, ignore_end=True), one_by_one)
        self.assertEqual(ts.tell_stories(model, []), [])
        self.assertEqual([sampler.finish for sampler in together], [ts.Finish.MAX_TOKENS] * 7)
        self.assertEqual(batch.next(together), [None] * 7)
        self.assertEqual(batch.tell([]), [])
        with self.assertRaises(ts.InvalidArgumentError):
            batch.next(together + together[:1])
        with self.assertRaises(ts.InvalidArgumentError):
            ts.Batch(model, capacity=0)

    def test_quantize(self):
        model = ts.Model.new(fixture.tokenizer(), fixture.shape(width=32, heads=2), seed=2)
        small = model.quantize(ts.ModelType.Q8_0)
        model.save(self.path("small.gguf"), type=ts.ModelType.Q8_0)
        opened, wide = ts.Model.open(self.path("small.gguf")), ts.Model.open(self.path("small.gguf"), widen=1)
        ids = list(range(10))
        self.assertEqual(bytes(memoryview(small.logits(ids)).cast("B")), bytes(memoryview(opened.logits(ids)).cast("B")))
        for name, values in wide.tensors().items():
            self.assertEqual(bytes(memoryview(values).cast("B")), bytes(memoryview(small.tensors()[name]).cast("B")))
        with self.assertRaises(ts.InvalidArgumentError):
            model.quantize(ts.ModelType.BF16)

    def test_presets(self):
        names = ts.Architecture.presets()
        self.assertTrue({"laptop-0.3m", "laptop-1m", "laptop-5m", "paper-33m"} <= set(names))
        for name in names:
            self.assertGreater(ts.Architecture.preset(name).parameters, 100_000)
        self.assertEqual(ts.Architecture.preset("laptop-1m", layers=2).layers, 2)
        self.assertEqual(len(ts.Model.new(self.tokenizer, "laptop-0.3m").tokenizer), len(self.tokenizer))

    def test_examples(self):
        model, examples = self.path("example.gguf"), ROOT / "bindings" / "python" / "examples"
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "bindings" / "python"), "PYTHONIOENCODING": "utf-8"}

        def run(*arguments):
            command = [sys.executable, *map(str, arguments)]
            return subprocess.run(command, env=environment, capture_output=True, encoding="utf-8", timeout=120)

        trained = run(examples / "train.py", self.text, model, "0.01")
        self.assertEqual((trained.returncode, trained.stderr), (0, ""))
        told = run(examples / "story.py", model, "Once upon a time", "4")
        self.assertEqual(told.returncode, 0, told.stderr)
        self.assertTrue(told.stdout.startswith("Once upon a time"))
        failed = run(examples / "story.py", self.path("missing.gguf"))
        self.assertEqual((failed.returncode, failed.stdout, len(failed.stderr.splitlines())), (1, "", 1))
        for script in sorted(examples.glob("*.py")):
            if script.name != "convert_pytorch.py":  # which needs torch
                wrong = run(script)
                self.assertEqual((wrong.returncode, wrong.stdout), (2, ""), script)
                self.assertIn(f"{script.name} ", wrong.stderr)


if __name__ == "__main__":
    unittest.main()
