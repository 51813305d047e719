"""The command line as scripts see it: what it prints, where, its exit statuses and what it leaves behind.

The environment variable TINYSTORIES_CLI names the built tool; without it everything is skipped.
"""

import gzip
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

TOOL = os.environ.get("TINYSTORIES_CLI")
MARKER = "<|endoftext|>"
SMALL = ["--preset", "laptop-0.3m", "--context", "64", "--tokenizer", "tokenizer.json", "--threads", "2"]


def story(number):
    """A small story of which no two are equal, always the same for a number."""
    names, things, sizes = ("Tom", "Lily", "Ben", "Anna", "Sam"), ("ball", "dog", "cake", "tree", "box", "hat", "kite"), ("red", "big", "sad", "soft")
    name, other, thing, size = names[number % 5], names[(number // 5 + 2) % 5], things[number // 3 % 7], sizes[number // 7 % 4]
    return (f"Once upon a time there was a {size} {thing}. {name} liked it very much and played with it for {number} days.\n\n"
            f"Then {other} came and said, \"I want the {thing} too!\" {'They shared it.' if number % 2 else name + ' ran away.'} The end.")


def run(*arguments, cwd, data=None, environment=None):
    return subprocess.run([os.path.abspath(TOOL), *arguments], cwd=cwd, input=data, capture_output=True, timeout=60,
                          env={**os.environ, **(environment or {})}, check=False)


@unittest.skipUnless(TOOL, "skipped: TINYSTORIES_CLI does not name the built tool")
class CommandLineTest(unittest.TestCase):
    """One folder with stories, a tokenizer and a model for all tests, which write into folders of their own."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="tinystories-test-")
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        for name, numbers in (("stories.txt", range(400)), ("valid.txt", range(400, 420))):
            with open(os.path.join(cls.folder, name), "w", encoding="utf-8") as file:
                file.write("".join(story(number) + f"\n{MARKER}\n" for number in numbers))
        cls.must("tokenizer", "train", "--in", "stories.txt", "--size", "400", "--out", "tokenizer.json")
        cls.must("train", "--text", "stories.txt", *SMALL, "--steps", "20", "--seed", "1", "--out", "model.gguf")

    @classmethod
    def must(cls, *arguments, **more):
        """Runs a command that must succeed; gives its standard output."""
        result = run(*arguments, cwd=cls.folder, **more)
        if result.returncode != 0:
            raise AssertionError(f"{arguments}: exit status {result.returncode}: {result.stderr.decode()}")
        return result.stdout

    def refused(self, *arguments, names="", status=(1,), **more):
        """Runs a command that must fail with one line that holds `names`, print nothing and leave the folder as it was."""
        before = sorted(os.listdir(self.folder))
        result = run(*arguments, cwd=self.folder, **more)
        lines = result.stderr.decode().splitlines()
        self.assertIn(result.returncode, status, (arguments, lines))
        self.assertEqual(len(lines), 1, (arguments, lines))
        self.assertTrue(lines[0].startswith("tinystories: "), lines)
        self.assertIn(names, lines[0])
        self.assertEqual(result.stdout, b"", arguments)
        self.assertEqual(sorted(os.listdir(self.folder)), before, arguments)

    def path(self, name):
        return os.path.join(self.folder, name)

    def content(self, name):
        with open(self.path(name), "rb") as file:
            return file.read()


class HelpTest(CommandLineTest):
    def test_every_command_has_help(self):
        top = self.must("--help").decode()
        for words in (["tokenizer", "train"], ["tokenizer", "prune"], ["tokenizer", "encode"], ["tokenizer", "decode"],
                      ["model", "inspect"], ["train"], ["sample"], ["evaluate", "loss"], ["bench"]):
            self.assertIn(words[0], top)
            text = self.must(*words, "--help").decode()
            self.assertIn(" ".join(words), text)
            self.assertIn("--threads" if words[0] != "model" else "--json", text)

    def test_every_noun_has_help(self):
        for noun, verb in (("tokenizer", "prune"), ("model", "inspect"), ("evaluate", "loss")):
            self.assertIn(verb, self.must(noun, "--help").decode())

    def test_help_tells_the_options_of_the_contract(self):
        expected = {
            ("tokenizer", "train"): "in size out",
            ("tokenizer", "encode"): "tokenizer in out",
            ("tokenizer", "decode"): "tokenizer in out",
            ("train",): "text valid preset minutes steps threads seed run out resume",
            ("sample",): "model prompt tokens temperature top-k top-p seed threads",
            ("evaluate", "loss"): "model text json",
        }
        for words, options in expected.items():
            text = self.must(*words, "--help").decode()
            for option in options.split():
                self.assertIn("--" + option, text, words)

    def test_version(self):
        self.assertRegex(self.must("--version").decode(), r"\d+\.\d+\.\d+\n$")


class RefusalTest(CommandLineTest):
    def test_wrong_commands_are_usage_errors(self):
        self.assertEqual(run(cwd=self.folder).returncode, 2)
        for arguments in (["tell"], ["tokenizer"], ["tokenizer", "knit"], ["model", "inspect", "model.gguf", "--colour", "red"],
                          ["tokenizer", "train"], ["tokenizer", "train", "--in"], ["model", "inspect"], ["sample", "--prompt", "x"]):
            self.refused(*arguments, status=(2,))

    def test_wrong_values_name_the_option(self):
        for option, values in {
            "--temperature": ["nan", "-1", "hot", "101", "", "inf"],
            "--top-p": ["0", "1.5", "nan"],
            "--top-k": ["-1", "1.5", "99999999999999999999"],
            "--tokens": ["x", "-5", "1e99"],
            "--seed": ["-1", "abc", "99999999999999999999"],
            "--threads": ["257", "-1", "two"],
            "--count": ["0", "-1"],
        }.items():
            for value in values:
                with self.subTest(option=option, value=value):
                    self.refused("sample", "--model", "model.gguf", option, value, names=option, status=(1, 2))
        self.refused("tokenizer", "train", "--in", "stories.txt", "--out", "t.json", "--size", "256", names="256", status=(1, 2))
        self.refused("train", "--text", "stories.txt", "--out", "x.gguf", "--preset", "giant", names="giant")
        self.refused("train", "--text", "stories.txt", "--out", "x.gguf", "--minutes", "nan", names="--minutes", status=(1, 2))

    def test_files_that_are_missing_or_wrong(self):
        self.refused("sample", "--model", "missing.gguf", names="missing.gguf")
        self.refused("sample", "--model", ".", names=".")
        self.refused("sample", "--model", "stories.txt", names="stories.txt")
        self.refused("model", "inspect", "missing.gguf", names="missing.gguf")
        self.refused("tokenizer", "train", "--in", "missing.txt", "--out", "t.json", names="missing.txt")
        self.refused("tokenizer", "train", "--in", ".", "--out", "t.json")
        self.refused("tokenizer", "encode", "--tokenizer", "stories.txt", "--in", "stories.txt", "--out", "s.bin", names="stories.txt")
        self.refused("evaluate", "loss", "--model", "model.gguf", "--text", "missing.txt", names="missing.txt")
        self.refused("train", "--text", "missing.txt", *SMALL, "--steps", "1", "--out", "x.gguf", names="missing.txt")

    def test_places_that_cannot_be_written(self):
        encode = ["tokenizer", "encode", "--tokenizer", "tokenizer.json", "--in", "valid.txt", "--out"]
        self.refused(*encode, "no/such/folder/x.bin", names="no/such/folder")
        self.refused(*encode, ".")

    def test_texts_that_are_too_small(self):
        for name, text in {"empty.txt": "", "blank.txt": f" \n{MARKER}\n\t", "short.txt": "Hi."}.items():
            with open(self.path(name), "w", encoding="utf-8") as file:
                file.write(text)
        self.refused("tokenizer", "train", "--in", "empty.txt", "--out", "t.json")
        self.refused("tokenizer", "train", "--in", "blank.txt", "--out", "t.json")
        self.refused("tokenizer", "encode", "--tokenizer", "tokenizer.json", "--in", "empty.txt", "--out", "s.bin")
        self.refused("evaluate", "loss", "--model", "model.gguf", "--text", "empty.txt")
        self.refused("train", "--text", "short.txt", *SMALL, "--steps", "1", "--out", "x.gguf", "--quiet")

    def test_a_shard_of_another_tokenizer(self):
        self.must("tokenizer", "train", "--in", "valid.txt", "--size", "290", "--out", "other.json")
        self.must("tokenizer", "encode", "--tokenizer", "other.json", "--in", "valid.txt", "--out", "other.bin")
        self.refused("tokenizer", "decode", "--tokenizer", "tokenizer.json", "--in", "other.bin", "--out", "other.txt", names="other.bin")
        self.refused("evaluate", "loss", "--model", "model.gguf", "--text", "other.bin", names="other.bin")

    def test_a_damaged_model(self):
        whole = self.content("model.gguf")
        for size in (0, 3, 24, 1000, len(whole) - 1):
            with open(self.path("cut.gguf"), "wb") as file:
                file.write(whole[:size])
            self.refused("sample", "--model", "cut.gguf", "--tokens", "1", names="cut.gguf")

    def test_a_cpu_level_that_is_none(self):
        self.refused("sample", "--model", "model.gguf", names="TINYSTORIES_CPU", environment={"TINYSTORIES_CPU": "abacus"}, status=(1, 2))

    def test_an_old_file_survives_a_failure(self):
        before = self.content("tokenizer.json")
        self.refused("tokenizer", "train", "--in", "missing.txt", "--out", "tokenizer.json")
        self.assertEqual(self.content("tokenizer.json"), before)

    @unittest.skipUnless(os.path.exists("/dev/full"), "skipped: no /dev/full")
    def test_standard_output_that_is_full(self):
        with open("/dev/full", "wb") as full:
            result = subprocess.run([os.path.abspath(TOOL), "model", "inspect", "model.gguf", "--json"], cwd=self.folder, stdout=full,
                                    stderr=subprocess.PIPE, timeout=60, check=False)
        self.assertEqual(result.returncode, 1)
        self.assertEqual(len(result.stderr.splitlines()), 1)


class DatasetTest(CommandLineTest):
    """Only where the tool has an author."""

    def setUp(self):
        if run("dataset", "generate", "--count", "400", "--seed", "7", "--out", "author.txt", cwd=self.folder).returncode == 2:
            self.skipTest("skipped: the tool has no 'dataset generate'")

    def test_the_same_seed_gives_the_same_stories(self):
        for threads in ("1", "2"):
            self.must("dataset", "generate", "--count", "400", "--seed", "7", "--out", "again.txt", "--threads", threads)
            self.assertEqual(self.content("again.txt"), self.content("author.txt"))
        self.must("dataset", "generate", "--count", "400", "--seed", "9", "--out", "again.txt")
        self.assertNotEqual(self.content("again.txt"), self.content("author.txt"))

    def test_standard_output_gives_the_same_stories(self):
        self.assertEqual(self.must("dataset", "generate", "--count", "400", "--seed", "7", "--out", "-"), self.content("author.txt"))

    def test_forms(self):
        stories = [story.strip() for story in self.content("author.txt").decode().split(MARKER) if story.strip()]
        self.assertEqual(len(stories), 400)
        for name in ("author.jsonl", "author.jsonl.gz", "author.txt.gz"):
            self.must("dataset", "generate", "--count", "400", "--seed", "7", "--out", name)
            text = (gzip.decompress(self.content(name)) if name.endswith(".gz") else self.content(name)).decode()
            if ".jsonl" in name:
                self.assertEqual([json.loads(line)["story"].strip() for line in text.splitlines()], stories)
            else:
                self.assertEqual(text.encode(), self.content("author.txt"))

    def test_first(self):
        whole = self.content("author.txt").decode().split(MARKER)
        part = self.must("dataset", "generate", "--count", "2", "--seed", "7", "--first", "10", "--out", "-").decode().split(MARKER)
        self.assertEqual([s.strip() for s in part[:2]], [s.strip() for s in whole[10:12]])

    def test_stats(self):
        if b"stats" not in run("dataset", "--help", cwd=self.folder).stdout:
            self.skipTest("skipped: the tool has no 'dataset stats'")
        with open(self.path("three.txt"), "w", encoding="utf-8") as file:
            file.write(f"One two three four five.{MARKER}one TWO three four!{MARKER} {MARKER}One two three four five.\n")
        stats = json.loads(self.must("dataset", "stats", "--in", "three.txt", "--json"))
        expected = {"stories": 3, "words": 14, "bytes": 67, "distinct_stories": 2, "distinct_words": 5, "fourgrams": 5, "distinct_fourgrams": 2,
                    "fourgrams_once": 0}
        self.assertEqual({key: stats[key] for key in expected}, expected)
        self.assertEqual(stats["words_per_story"]["median"], 5)
        files = json.loads(self.must("dataset", "stats", "--in", "author.txt", "--json"))
        author = json.loads(self.must("dataset", "stats", "--count", "400", "--seed", "7", "--json"))
        self.assertEqual({**files, "words_outside_vocabulary": 0}, {**author, "words_outside_vocabulary": 0})


class TokenizerTest(CommandLineTest):
    def test_the_way_there_and_back(self):
        text = f"Once upon a time.\n\n\"Caf\u00e9!\" said Tom \U0001f600.{MARKER}  The   end\t of\u2028it. "
        with open(self.path("odd.txt"), "w", encoding="utf-8") as file:
            file.write(text)
        with open(self.path("odd.jsonl"), "w", encoding="utf-8") as file:
            file.write("".join(json.dumps({"text": story}) + "\n" for story in text.split(MARKER)))
        expected = [story.strip(" \t\n") for story in text.split(MARKER)]
        self.must("tokenizer", "encode", "--tokenizer", "tokenizer.json", "--in", "odd.txt", "--out", "odd.bin")
        self.must("tokenizer", "encode", "--tokenizer", "tokenizer.json", "--in", "odd.jsonl", "--out", "odd2.bin")
        self.assertEqual(self.content("odd.bin"), self.content("odd2.bin"))
        self.must("tokenizer", "decode", "--tokenizer", "tokenizer.json", "--in", "odd.bin", "--out", "back.txt")
        back = [story.strip(" \t\n") for story in self.content("back.txt").decode().split(MARKER)]
        self.assertEqual([story for story in back if story], expected)

    def test_standard_input_and_output(self):
        self.must("tokenizer", "encode", "--tokenizer", "tokenizer.json", "--in", "valid.txt", "--out", "valid.bin")
        self.must("tokenizer", "encode", "--tokenizer", "tokenizer.json", "--in", "-", "--out", "input.bin", data=self.content("valid.txt"))
        self.assertEqual(self.content("valid.bin"), self.content("input.bin"))
        text = self.must("tokenizer", "decode", "--tokenizer", "tokenizer.json", "--in", "valid.bin", "--out", "-")
        self.assertEqual(text, self.content("valid.txt"))

    def test_several_files_and_the_same_for_any_threads(self):
        for threads in ("1", "2"):
            self.must("tokenizer", "train", "--in", "stories.txt", "valid.txt", "--size", "350", "--out", f"t{threads}.json", "--threads", threads)
        self.assertEqual(self.content("t1.json"), self.content("t2.json"))
        self.assertEqual(len(json.loads(self.content("t1.json"))["model"]["vocab"]), 350)

    def test_prune(self):
        self.must("tokenizer", "prune", "--tokenizer", "tokenizer.json", "--in", "valid.txt", "--size", "300", "--out", "pruned.json")
        self.assertEqual(len(json.loads(self.content("pruned.json"))["model"]["vocab"]), 300)
        self.refused("tokenizer", "prune", "--tokenizer", "tokenizer.json", "--in", "valid.txt", "--size", "401", "--out", "p.json", names="401")


class TrainTest(CommandLineTest):
    def train(self, *arguments, text="stories.txt"):
        return self.must("train", "--text", text, *arguments)

    def test_the_same_seed_trains_the_same_model(self):
        self.train(*SMALL, "--steps", "20", "--seed", "1", "--out", "twin.gguf")
        self.assertEqual(self.content("twin.gguf"), self.content("model.gguf"))
        self.train(*SMALL, "--steps", "20", "--seed", "2", "--out", "twin.gguf")
        self.assertNotEqual(self.content("twin.gguf"), self.content("model.gguf"))

    def test_a_run_that_was_stopped_goes_on_bit_for_bit(self):
        self.train(*SMALL, "--steps", "300", "--run", "straight", "--out", "straight.gguf")
        process = subprocess.Popen([os.path.abspath(TOOL), "train", "--text", "stories.txt", *SMALL, "--steps", "300", "--run", "stopped", "--out",
                                    "stopped.gguf"], cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        log = self.path("stopped/log.jsonl")
        while process.poll() is None and not (os.path.exists(log) and os.path.getsize(log) > 0 and b'"step"' in self.content("stopped/log.jsonl")):
            time.sleep(0.002)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 0, errors)
        self.assertIn(b"--resume --run stopped", output + errors)
        self.assertTrue(os.path.exists(self.path("stopped/checkpoint.safetensors")))
        self.train("--resume", "--run", "stopped", "--out", "stopped.gguf")
        self.assertEqual(self.content("stopped.gguf"), self.content("straight.gguf"))

    def test_json(self):
        report = json.loads(self.train(*SMALL, "--steps", "3", "--valid", "valid.txt", "--out", "json.gguf", "--json"))
        self.assertEqual(report["steps"], 3)
        self.assertGreater(report["nats_per_token"], 0)
        self.assertGreater(report["valid_bits_per_byte"], 0)
        score = json.loads(self.must("evaluate", "loss", "--model", "json.gguf", "--text", "valid.txt", "--json"))
        self.assertAlmostEqual(score["bits_per_byte"], report["valid_bits_per_byte"], places=5)

    def test_without_a_tokenizer_it_trains_one(self):
        self.train("--preset", "laptop-0.3m", "--context", "64", "--steps", "2", "--out", "own.gguf")
        inspected = json.loads(self.must("model", "inspect", "own.gguf", "--json"))
        self.assertGreater(inspected["vocabulary_size"], 257)
        self.assertLessEqual(inspected["vocabulary_size"], 4096)

    def test_a_shard_trains_the_same_model(self):
        self.must("tokenizer", "encode", "--tokenizer", "tokenizer.json", "--in", "stories.txt", "--out", "stories.bin")
        self.train(*SMALL, "--steps", "20", "--seed", "1", "--out", "shard.gguf", text="stories.bin")
        self.assertEqual(self.content("shard.gguf"), self.content("model.gguf"))

    def test_refusals(self):
        before = sorted(os.listdir(self.folder))
        for arguments in (["--steps", "1"], ["--resume", "--out", "x.gguf"], ["--resume", "--run", "missing", "--out", "x.gguf"],
                          ["--steps", "1", "--out", "no/such/x.gguf"]):
            result = run("train", "--text", "stories.txt", *arguments, cwd=self.folder)
            self.assertIn(result.returncode, (1, 2), arguments)
            self.assertTrue(result.stderr.splitlines()[-1].startswith(b"tinystories: "), result.stderr)
            self.assertEqual(sorted(os.listdir(self.folder)), before, arguments)


class SampleTest(CommandLineTest):
    def test_any_threads_tell_the_same(self):
        sample = ["sample", "--model", "model.gguf", "--prompt", "Once there was", "--tokens", "40", "--seed", "3"]
        told = {threads: self.must(*sample, "--threads", threads) for threads in ("1", "2", "4")}
        self.assertTrue(told["1"].startswith(b"Once there was"))
        self.assertTrue(told["1"].endswith(b"\n") and not told["1"].endswith(b"\n\n\n"))
        self.assertEqual(told["1"], told["2"])
        self.assertEqual(told["1"], told["4"])
        self.assertNotEqual(told["1"], self.must(*sample[:-1], "4"))

    def test_greedy_needs_no_seed(self):
        sample = ["sample", "--model", "model.gguf", "--temperature", "0", "--tokens", "20", "--prompt", "The"]
        self.assertEqual(self.must(*sample), self.must(*sample, "--seed", "99"))

    def test_several_stories(self):
        sample = ["sample", "--model", "model.gguf", "--prompt", "A", "--tokens", "10"]
        both = self.must(*sample, "--seed", "5", "--count", "2").decode()
        parts = both.split(MARKER + "\n")
        self.assertEqual(parts, [self.must(*sample, "--seed", seed).decode() for seed in ("5", "6")])

    def test_output_is_whole_characters(self):
        for seed in range(5):
            self.must("sample", "--model", "model.gguf", "--temperature", "5", "--tokens", "30", "--seed", str(seed)).decode("utf-8")

    def test_a_prompt_that_is_too_long(self):
        result = run("sample", "--model", "model.gguf", "--prompt", "a b c d " * 4000, cwd=self.folder)
        self.assertEqual(result.returncode, 1)
        self.assertRegex(result.stderr.decode(), r"^tinystories: .*context.*\n$")


class ModelTest(CommandLineTest):
    def test_inspect(self):
        model = json.loads(self.must("model", "inspect", "model.gguf", "--json"))
        self.assertEqual((model["architecture"], model["vocabulary_size"], model["context_length"], model["layers"]), ("llama", 400, 64, 2))
        sizes = [tensor["shape"] for tensor in model["tensors"]]
        count = sum(shape[0] * (shape[1] if len(shape) > 1 else 1) for shape in sizes)
        self.assertEqual(count, model["parameters"])
        self.assertIn("llama", self.must("model", "inspect", "model.gguf").decode())

    def test_evaluate_loss(self):
        score = json.loads(self.must("evaluate", "loss", "--model", "model.gguf", "--text", "valid.txt", "--json"))
        stories = [story.strip() for story in self.content("valid.txt").decode().split(MARKER) if story.strip()]
        self.assertEqual(score["bytes"], sum(len(story.encode()) for story in stories))
        self.assertAlmostEqual(score["bits_per_byte"], score["nats_per_token"] * score["tokens"] / score["bytes"] / 0.6931471805599453, places=6)
        self.assertAlmostEqual(score["perplexity"], 2.718281828459045 ** score["nats_per_token"], places=2)
        self.must("tokenizer", "encode", "--tokenizer", "model.gguf", "--in", "valid.txt", "--out", "v.bin")
        shard = json.loads(self.must("evaluate", "loss", "--model", "model.gguf", "--text", "v.bin", "--json"))
        self.assertAlmostEqual(shard["bits_per_byte"], score["bits_per_byte"], places=9)
        two = json.loads(self.must("evaluate", "loss", "--model", "model.gguf", "--text", "valid.txt", "--json", "--threads", "2"))
        self.assertEqual(two, score)

    def test_cpu_levels_agree(self):
        command = ["evaluate", "loss", "--model", "model.gguf", "--text", "valid.txt", "--json"]
        best = json.loads(self.must(*command))
        plain = json.loads(self.must(*command, environment={"TINYSTORIES_CPU": "reference"}))
        self.assertAlmostEqual(best["bits_per_byte"], plain["bits_per_byte"], places=4)


if __name__ == "__main__":
    unittest.main()
