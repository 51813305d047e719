"""The command line as scripts see it: what it prints, where, its exit statuses and what it leaves behind.

The environment variable TINYSTORIES_CLI names the built tool; without it everything is skipped.
"""

import gzip
import json
import os
import pathlib
import pty
import re
import resource
import shutil
import signal
import struct
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

    def interrupted(self, number, *arguments, until, **more):
        """Runs a command, sends it a signal as soon as `until(process)` holds, and gives its exit status, output and errors."""
        process = subprocess.Popen([os.path.abspath(TOOL), *arguments], cwd=self.folder, **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **more})
        while process.poll() is None and not until(process):
            time.sleep(0.002)
        process.send_signal(number)
        output, errors = process.communicate(timeout=60)
        return process.returncode, output, errors

    def logged(self, run):
        """Whether the log of a training run tells of a step."""
        return os.path.exists(self.path(f"{run}/log.jsonl")) and b'"step"' in self.content(f"{run}/log.jsonl")

    def path(self, name):
        return os.path.join(self.folder, name)

    def content(self, name):
        with open(self.path(name), "rb") as file:
            return file.read()


COMMANDS = (["dataset", "generate"], ["dataset", "stats"], ["dataset", "clean"], ["dataset", "instruct"], ["tokenizer", "train"], ["tokenizer", "prune"],
            ["tokenizer", "encode"], ["tokenizer", "decode"], ["tokenizer", "convert"], ["model", "inspect"], ["model", "convert"], ["train"], ["sample"],
            ["evaluate", "loss"], ["evaluate", "judge"], ["evaluate", "complete"], ["evaluate", "duel"], ["evaluate", "index"], ["evaluate", "diversity"], ["analyze", "heads"], ["analyze", "neurons"], ["bench"], ["report"])


class HelpTest(CommandLineTest):
    def test_every_command_has_help(self):
        for form in (["--help"], ["-h"], ["help"]):
            top = self.must(*form).decode()
            for words in COMMANDS:
                self.assertIn(" ".join(["tinystories", *words]) + " ", top)
        for words in COMMANDS:
            text = self.must(*words, "--help").decode()
            self.assertTrue(text.startswith(" ".join(["usage: tinystories", *words])), text)
            for option in ("--threads", "--json", "--quiet", "--verbose"):
                self.assertIn(option, text)
            self.assertEqual(text, self.must(*words, "-h").decode())

    def test_every_noun_has_help(self):
        for noun, *verb in COMMANDS:
            if verb:
                self.assertIn(f"{noun} {verb[0]} ", self.must(noun, "--help").decode())

    def test_help_tells_defaults(self):
        for words, lines in {("sample",): ["--temperature T .*(default 0.8)", "--top-p P .*(default 1)", "--count N .*(default 1)"],
                             ("tokenizer", "train"): ["--size N .*(default 4096)", "--min-frequency N .*(default 2)"],
                             ("train",): ["--preset NAME .*(default laptop-1m)", "--warmup X .*(default 0.03)", "--schedule NAME .*(default cosine)"],
                             ("dataset", "generate"): ["--seed S .*(default 0)", "--out FILE .*(required)"]}.items():
            text = self.must(*words, "--help").decode()
            for line in lines:
                self.assertRegex(text, line.replace("(", r"\(").replace(")", r"\)"))
        self.assertIn("laptop-0.3m, laptop-1m", self.must("train", "--help").decode())

    def test_help_tells_the_options_of_the_contract(self):
        expected = {
            ("dataset", "generate"): "count seed out",
            ("tokenizer", "train"): "in size out",
            ("tokenizer", "encode"): "tokenizer in out",
            ("tokenizer", "decode"): "tokenizer in out",
            ("train",): "text valid preset minutes steps threads seed run out resume",
            ("sample",): "model prompt tokens temperature top-k top-p seed threads",
            ("evaluate", "loss"): "model text json",
            ("analyze", "heads"): "model text json",
            ("analyze", "neurons"): "model text json",
        }
        for words, options in expected.items():
            text = self.must(*words, "--help").decode()
            for option in options.split():
                self.assertIn("--" + option, text, words)

    def test_version(self):
        self.assertRegex(self.must("--version").decode(), r"\d+\.\d+\.\d+\n$")


class RefusalTest(CommandLineTest):
    def test_wrong_commands_are_usage_errors(self):
        self.refused(status=(2,), names="--help")
        for arguments in (["tell"], ["tokenizer", "encode"], ["dataset", "stats"], ["dataset", "stats", "--json"], ["bench", "now"],
                          ["model", "inspect", "a", "b"], ["sample", "--model"], ["sample", "--model", "--json"], ["train", "--resume=yes"],
                          ["tokenizer", "decode", "--tokenizer", "tokenizer.json", "--shard", "s.bin", "--out", "x"], ["tokenizer"],
                          ["tokenizer", "knit"], ["model", "inspect", "model.gguf", "--colour", "red"],
                          ["tokenizer", "train"], ["tokenizer", "train", "--in"], ["model", "inspect"], ["sample", "--prompt", "x"]):
            self.refused(*arguments, status=(2,))

    def test_the_nearest_name_is_suggested(self):
        for arguments, name in ((["sampel"], "'sample'"), (["tokenizer", "trian"], "'tokenizer train'"), (["dataset", "stat"], "'dataset stats'"),
                                (["tokenzier", "train"], "'tokenizer train'"), (["sample", "--promt", "x"], "--prompt?"),
                                (["sample", "--temp", "1"], "--temperature?"), (["sample", "-model", "x"], "--model?"),
                                (["train", "--step=3"], "--steps?"), (["bench", "--jsno"], "--json?")):
            self.refused(*arguments, status=(2,), names="did you mean " + name)
        result = run("sample", "--colour", "red", cwd=self.folder)
        self.assertNotIn(b"did you mean", result.stderr)

    def test_options_that_cannot_stand_together(self):
        train = ["train", "--text", "stories.txt"]
        for arguments, name in ((["sample", "--model", "model.gguf", "--ignore-end"], "--tokens"),
                                (["bench", "--model", "model.gguf", "--preset", "laptop-1m"], "--preset"),
                                (["dataset", "generate", "--out", "x.txt", "--format", "jsonl"], "--format"),
                                (["dataset", "generate", "--out", "-", "--json"], "--json"),
                                (["dataset", "stats", "stories.txt", "--against", "-"], "--against"),
                                (["tokenizer", "train", "--in", "stories.txt", "--out", "-", "--json"], "--json"),
                                (["tokenizer", "encode", "--tokenizer", "tokenizer.json", "--in", "stories.txt", "--out", "-"], "--out"),
                                ([*train, "--steps", "1"], "--run DIR"), ([*train, "--out", "-"], "--out"),
                                (["train", "--text", "-", "--out", "x.gguf"], "--text"),
                                (["train", "--text", "s.bin", "--out", "x.gguf"], "--tokenizer"), ([*train, "--resume", "--out", "x.gguf"], "--run"),
                                ([*train, "--tokenizer", "tokenizer.json", "--size", "300", "--out", "x.gguf"], "--size"),
                                ([*train, "--resume", "--run", "r", "--seed", "1"], "--seed"),
                                ([*train, "--resume", "--run", "r", "--width", "64"], "--width")):
            self.refused(*arguments, status=(2,), names=name)

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
        self.refused("train", "--text", "stories.txt", "--out", "x.gguf", "--schedule", "sine", names="'sine', expected one of cosine, linear")
        self.refused("dataset", "generate", "--out", "x.txt", "--features", "Twist", "Rhyme", names="'Rhyme', expected one of Dialogue")
        self.refused("dataset", "generate", "--out", "x.txt", "--count", "0", names="--count")
        self.refused("bench", "--seconds", "0", names="--seconds")
        self.refused("sample", "--model", "model.gguf", "--seed", "99999999999999999999", names="to 18446744073709551615")

    def test_a_value_may_stand_behind_an_equals_sign(self):
        self.assertEqual(self.must("sample", "--model=model.gguf", "--prompt=--A = b", "--tokens=5", "--seed=2"),
                         self.must("sample", "--seed", "2", "--tokens", "5", "--prompt=--A = b", "--model", "model.gguf"))
        self.assertTrue(self.must("sample", "--model=model.gguf", "--prompt=--A = b", "--tokens=5").startswith(b"--A = b"))

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
        self.refused("dataset", "stats", "missing.txt", names="missing.txt")
        self.refused("dataset", "stats", "stories.txt", "--against", "missing.txt", names="missing.txt")
        self.refused("dataset", "stats", "s.bin", names="s.bin: is a token shard")
        self.refused("dataset", "generate", "--out", "x.txt", "--vocabulary", "missing.txt", names="missing.txt")
        self.refused("bench", "--model", "missing.gguf", names="missing.gguf")
        self.refused("tokenizer", "decode", "--tokenizer", "tokenizer.json", "--in", "missing.bin", "--out", "x.txt", names="missing.bin")
        with open(self.path("broken.jsonl"), "w", encoding="utf-8") as file:
            file.write('{"story": "A."}\n{"tale": "B."}\n')
        self.refused("dataset", "stats", "broken.jsonl", names="broken.jsonl: line 2")

    def test_places_that_cannot_be_written(self):
        encode = ["tokenizer", "encode", "--tokenizer", "tokenizer.json", "--in", "valid.txt", "--out"]
        self.refused(*encode, "no/such/folder/x.bin", names="no/such/folder")
        self.refused(*encode, ".")
        for command in (["dataset", "generate"], ["tokenizer", "train", "--in", "valid.txt"], ["train", "--text", "stories.txt", *SMALL, "--steps", "1"]):
            self.refused(*command, "--out", "no/such/folder/x.txt", names="no/such/folder")
            self.refused(*command, "--out", ".", names="directory")

    def test_texts_that_are_too_small(self):
        for name, text in {"empty.txt": "", "blank.txt": f" \n{MARKER}\n\t", "short.txt": "Hi."}.items():
            with open(self.path(name), "w", encoding="utf-8") as file:
                file.write(text)
        self.refused("tokenizer", "train", "--in", "empty.txt", "--out", "t.json")
        self.refused("tokenizer", "train", "--in", "blank.txt", "--out", "t.json")
        self.refused("tokenizer", "encode", "--tokenizer", "tokenizer.json", "--in", "empty.txt", "--out", "s.bin")
        self.refused("evaluate", "loss", "--model", "model.gguf", "--text", "empty.txt")
        self.refused("dataset", "stats", "empty.txt", names="empty.txt")
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
    def setUp(self):
        self.must("dataset", "generate", "--count", "400", "--seed", "7", "--out", "author.txt")

    def test_the_same_seed_gives_the_same_stories(self):
        for threads in ("1", "2"):
            self.must("dataset", "generate", "--count", "400", "--seed", "7", "--out", "again.txt", "--threads", threads)
            self.assertEqual(self.content("again.txt"), self.content("author.txt"))
        self.must("dataset", "generate", "--count", "400", "--seed", "9", "--out", "again.txt")
        self.assertNotEqual(self.content("again.txt"), self.content("author.txt"))

    def test_names_and_plots(self):
        def stories(*options):
            self.must("dataset", "generate", "--count", "50", *options, "--out", "some.txt")
            return [one for one in self.content("some.txt").decode().split(MARKER) if one.strip()]

        pair = stories("--hero", "Lily", "--friend", "Tom")
        self.assertEqual(sum("Lily" in one for one in pair), 50)
        self.assertFalse([one for one in pair if "Sara" in one or "Anna" in one or "Max" in one or "Ben" in one])
        self.assertEqual(sum("tree" in one for one in stories("--plots", "1")), 50)
        self.refused("dataset", "generate", "--out", "x.txt", "--hero", "Beelzebub", names="'Beelzebub', which is no girl's or boy's name")

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

    def test_lines_of_json_on_standard_output(self):
        lines = self.must("dataset", "generate", "--count", "5", "--seed", "7", "--out", "-", "--format", "jsonl")
        self.must("dataset", "generate", "--count", "5", "--seed", "7", "--out", "five.jsonl")
        self.assertEqual(lines, self.content("five.jsonl"))

    def test_features_that_may_be_drawn(self):
        lines = self.must("dataset", "generate", "--count", "40", "--out", "-", "--format", "jsonl", "--features", "Twist", "Dialogue").decode()
        drawn = {feature for line in lines.splitlines() for feature in json.loads(line)["instruction"]["features"]}
        self.assertEqual(drawn, {"Twist", "Dialogue"})

    def test_result(self):
        result = json.loads(self.must("dataset", "generate", "--count", "3", "--seed", "4", "--out", "three.txt", "--json"))
        self.assertEqual((result["file"], result["stories"], result["seed"]), ("three.txt", 3, 4))
        self.assertRegex(self.must("dataset", "generate", "--count", "1234", "--out", "many.txt").decode(), r"stories +1,234\n")

    def test_stats(self):
        with open(self.path("three.txt"), "w", encoding="utf-8") as file:
            file.write(f"One two three four five.{MARKER}one TWO three four!{MARKER} {MARKER}One two three four five.\n")
        stats = json.loads(self.must("dataset", "stats", "three.txt", "--json"))
        expected = {"stories": 3, "words": 14, "bytes": 67, "distinct_stories": 2, "distinct_words": 5, "fourgrams": 5, "distinct_fourgrams": 2,
                    "fourgrams_once": 0, "once_share": 0, "dialogue_share": 0, "gzip_ratio": None}
        self.assertEqual({key: stats[key] for key in expected}, expected)
        self.assertEqual(stats["words_per_story"], {"min": 4, "p5": 4, "median": 5, "p95": 5, "max": 5, "mean": stats["words"] / 3})
        self.assertEqual((len(stats["histogram"]), sum(stats["histogram"])), (41, 3))
        self.assertEqual(stats, json.loads(self.must("dataset", "stats", "-", "--json", data=self.content("three.txt"))))
        text = self.must("dataset", "stats", "three.txt").decode()
        self.assertRegex(text, r"(?m)^stories +3$")
        self.assertRegex(text, r"(?m)^  median +5$")
        self.assertRegex(text, r"(?m)^  from +0 +3 #{50}$")

    def test_stats_of_records_and_against_a_text(self):
        self.must("dataset", "generate", "--count", "50", "--seed", "7", "--out", "author.jsonl")
        records = [json.loads(line) for line in self.content("author.jsonl").decode().splitlines()]
        stats = json.loads(self.must("dataset", "stats", "author.jsonl", "--against", "stories.txt", "valid.txt", "--json"))
        self.assertEqual(stats["records"], 50)
        for feature, count in stats["features"].items():
            self.assertEqual(count, sum(feature in record["instruction"]["features"] for record in records))
        self.assertGreater(stats["gzip_ratio"], 1)
        turned = json.loads(self.must("dataset", "stats", "stories.txt", "valid.txt", "--against", "author.jsonl", "--json"))
        self.assertAlmostEqual(turned["gzip_ratio"], 1 / stats["gzip_ratio"], places=12)


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

    def test_a_tokenizer_on_standard_output(self):
        self.assertEqual(self.must("tokenizer", "train", "--in", "-", "--size", "400", "--out", "-", data=self.content("stories.txt")),
                         self.content("tokenizer.json"))

    def test_results(self):
        trained = json.loads(self.must("tokenizer", "train", "--in", "valid.txt", "--size", "300", "--out", "r.json", "--json"))
        self.assertEqual((trained["file"], trained["tokens"], len(trained["fingerprint"])), ("r.json", 300, 16))
        pruned = json.loads(self.must("tokenizer", "prune", "--tokenizer", "r.json", "--in", "valid.txt", "--size", "290", "--out", "p.json", "--json"))
        self.assertEqual(pruned["tokens"], 290)
        encoded = json.loads(self.must("tokenizer", "encode", "--tokenizer", "r.json", "--in", "valid.txt", "--out", "r.bin", "--json"))
        self.assertEqual((encoded["stories"], encoded["bytes"]), (20, sum(len(story(number)) for number in range(400, 420))))
        self.assertAlmostEqual(encoded["bytes_per_token"], encoded["bytes"] / encoded["tokens"])
        self.assertEqual(json.loads(self.must("tokenizer", "decode", "--tokenizer", "r.json", "--in", "r.bin", "--out", "r.txt", "--json")), {"file": "r.txt"})
        inspected = json.loads(self.must("model", "inspect", "model.gguf", "--json"))
        again = json.loads(self.must("tokenizer", "train", "--in", "stories.txt", "--size", "400", "--out", "again.json", "--json"))
        self.assertEqual(inspected["tokenizer"]["size"], 400)
        self.assertEqual(inspected["tokenizer"]["fingerprint"], again["fingerprint"])

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
        status, output, errors = self.interrupted(signal.SIGINT, "train", "--text", "stories.txt", *SMALL, "--steps", "300", "--run", "stopped", "--out",
                                                  "stopped.gguf", until=lambda _: self.logged("stopped"))
        self.assertEqual(status, 0, errors)
        self.assertIn(b"--resume --run stopped", output + errors)
        self.assertTrue(os.path.exists(self.path("stopped/checkpoint.safetensors")))
        self.train("--resume", "--run", "stopped", "--out", "stopped.gguf")
        self.assertEqual(self.content("stopped.gguf"), self.content("straight.gguf"))

    def test_the_line_that_goes_on_can_be_run(self):
        for name in ("more 'stories'.txt", "valid too.txt"):
            shutil.copy(self.path("valid.txt"), self.path(name))
        status, _, errors = self.interrupted(signal.SIGTERM, "train", "--text", "stories.txt", "more 'stories'.txt", "--valid", "valid.txt", "valid too.txt", *SMALL,
                                             "--steps", "300", "--run", "a run", "--out", "a model.gguf", "--log-interval", "1",
                                             until=lambda _: self.logged("a run"))
        self.assertEqual(status, 0, errors)
        line = [line for line in errors.decode().splitlines() if line.startswith("to go on: ")][0].removeprefix("to go on: ")
        again = subprocess.run(["sh", "-c", line.replace("tinystories", os.path.abspath(TOOL), 1)], cwd=self.folder, capture_output=True, timeout=60, check=False)
        self.assertEqual(again.returncode, 0, (line, again.stderr))
        last = json.loads(self.content("a run/log.jsonl").splitlines()[-1])
        self.assertEqual((last["event"], last["step"]), ("end", 300))

    def test_json(self):
        report = json.loads(self.train(*SMALL, "--steps", "3", "--valid", "valid.txt", "--out", "json.gguf", "--json"))
        self.assertEqual(report["steps"], 3)
        self.assertGreater(report["nats_per_token"], 0)
        self.assertGreater(report["valid_bits_per_byte"], 0)
        score = json.loads(self.must("evaluate", "loss", "--model", "json.gguf", "--text", "valid.txt", "--json"))
        self.assertAlmostEqual(score["bits_per_byte"], report["valid_bits_per_byte"], places=5)

        self.assertIs(report["interrupted"], False)
        self.assertEqual((report["model"], report["skipped_steps"]), ("json.gguf", 0))

    def test_without_out_the_model_lies_in_the_run_folder(self):
        report = json.loads(self.train(*SMALL, "--steps", "2", "--run", "kept", "--json"))
        self.assertEqual(report["model"], "kept/model.gguf")
        self.must("model", "inspect", "kept/model.gguf")

    def test_shapes(self):
        self.train(*SMALL, "--steps", "1", "--out", "shape.gguf", "--width", "96", "--layers", "1", "--heads", "6", "--kv-heads", "2", "--hidden", "160")
        inspected = json.loads(self.must("model", "inspect", "shape.gguf", "--json"))
        self.assertEqual([inspected[key] for key in ("width", "layers", "heads", "key_value_heads", "hidden")], [96, 1, 6, 2, 160])
        self.refused("train", "--text", "stories.txt", *SMALL, "--steps", "1", "--out", "x.gguf", "--width", "100", "--heads", "6", "--quiet", names="width")

    def test_stopped_without_a_run_folder_the_model_is_kept(self):
        master, slave = pty.openpty()  # where steps are told as they come, in a line that is rewritten
        os.set_blocking(master, False)
        step = re.compile(rb"\rstep \d+ of 1000000: [\d.]+ nats/token, [\d.]+ bits/byte, ")
        with open(master, "rb", buffering=0) as told:
            status, output, _ = self.interrupted(signal.SIGTERM, "train", "--text", "stories.txt", *SMALL, "--steps", "1000000", "--out", "half.gguf", "--json",
                                                 stderr=slave, until=lambda _: step.search(told.read(65536) or b""))
        os.close(slave)
        self.assertEqual(status, 0)
        report = json.loads(output)
        self.assertIs(report["interrupted"], True)
        self.assertGreater(report["steps"], 0)
        self.must("model", "inspect", "half.gguf")

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

    def test_what_is_wrong_is_told_before_the_tokenizer_is_trained(self):
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            self.must("train", "--text", "stories.txt", *SMALL, "--steps", "1", "--run", os.path.join(folder, "run"), "--quiet")
            for wrong, names in ((["--valid", "missing.txt"], "missing.txt"), (["--heads", "7"], "heads"), (["--run", os.path.join(folder, "run")], "holds a run already")):
                result = run("train", "--text", "stories.txt", "--preset", "laptop-0.3m", "--out", os.path.join(folder, "out.gguf"), *wrong, cwd=self.folder)
                self.assertEqual(result.returncode, 1)
                lines = result.stderr.decode().strip().split("\n")
                self.assertEqual(len(lines), 1, lines)
                self.assertIn(names, lines[0])

    def test_a_trained_model_survives_its_last_checkpoint(self):
        def small_files_only():
            """The model's size and some more: a checkpoint, three times as large, hits the limit as it would a full disk."""
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            most = 2 * os.path.getsize(os.path.join(self.folder, "model.gguf"))
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))

        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            out = os.path.join(folder, "out.gguf")
            result = subprocess.run([os.path.abspath(TOOL), "train", "--text", "stories.txt", *SMALL, "--steps", "3", "--run", os.path.join(folder, "run"), "--out", out,
                                     "--quiet"], cwd=self.folder, capture_output=True, timeout=60, check=False, preexec_fn=small_files_only)
            self.assertEqual(result.returncode, 1)
            last = result.stderr.decode().strip().split("\n")[-1]
            self.assertRegex(last, "^tinystories: no last checkpoint: .*File too large; the model is whole in .*out.gguf$")
            self.assertEqual(json.loads(self.must("model", "inspect", out, "--json"))["parameters"],
                             json.loads(self.must("model", "inspect", "model.gguf", "--json"))["parameters"])


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

    def test_json(self):
        sample = ["sample", "--model", "model.gguf", "--prompt", 'A "b"\\', "--tokens", "10", "--seed", "5", "--count", "2"]
        told = json.loads(self.must(*sample, "--json"))
        self.assertEqual((told["model"], told["prompt"]), ("model.gguf", 'A "b"\\'))
        self.assertEqual([story["seed"] for story in told["stories"]], [5, 6])
        self.assertEqual("".join(story["text"] + "\n" + MARKER + "\n" for story in told["stories"])[:-len(MARKER) - 1], self.must(*sample).decode())
        for story in told["stories"]:
            self.assertLessEqual(story["tokens"], 10)
            self.assertEqual(story["finish"], "max_tokens" if story["tokens"] == 10 else "end")
        unseeded = json.loads(self.must("sample", "--model", "model.gguf", "--tokens", "10", "--json"))["stories"][0]
        self.assertEqual(self.must("sample", "--model", "model.gguf", "--tokens", "10", "--seed", str(unseeded["seed"])).decode(), unseeded["text"] + "\n")

    def test_a_prompt_from_standard_input(self):
        sample = ["sample", "--model", "model.gguf", "--tokens", "10", "--seed", "5"]
        self.assertEqual(self.must(*sample, "--prompt", "-", data=b"Once upon\na time \n"), self.must(*sample, "--prompt", "Once upon\na time"))
        self.assertEqual(self.must(*sample, "--prompt", "-", data=b""), self.must(*sample))
        invalid = json.loads(self.must(*sample, "--prompt", "-", "--json", data=b"caf\xe9 \xc3\xa9\x01"))
        self.assertEqual(invalid["prompt"], "caf\ufffd \u00e9\x01")

    def test_beyond_the_context(self):
        told = json.loads(self.must("sample", "--model", "model.gguf", "--tokens", "150", "--ignore-end", "--seed", "1", "--json"))["stories"][0]
        self.assertEqual((told["tokens"], told["finish"]), (150, "max_tokens"))

    def test_verbose_tells_the_seed(self):
        result = run("sample", "--model", "model.gguf", "--tokens", "5", "--seed", "77", "--verbose", cwd=self.folder)
        self.assertRegex(result.stderr.decode(), r"seed 77, \d+ tokens, ")

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
        self.assertEqual(model["file"], "model.gguf")
        self.assertIs(model["untied_head"], False)
        text = self.must("model", "inspect", "model.gguf").decode()
        self.assertRegex(text, r"(?m)^architecture +llama$")
        self.assertNotIn("token_embd.weight", text)
        self.assertRegex(self.must("model", "inspect", "model.gguf", "--tensors").decode(), r"(?m)^  token_embd.weight +f32 +400 x 64$")

    def test_evaluate_loss(self):
        score = json.loads(self.must("evaluate", "loss", "--model", "model.gguf", "--text", "valid.txt", "--json"))
        stories = [story.strip() for story in self.content("valid.txt").decode().split(MARKER) if story.strip()]
        self.assertEqual(score["bytes"], sum(len(story.encode()) for story in stories))
        self.assertAlmostEqual(score["bits_per_byte"], score["nats_per_token"] * score["tokens"] / score["bytes"] / 0.6931471805599453, places=6)
        self.assertAlmostEqual(score["perplexity"], 2.718281828459045 ** score["nats_per_token"], places=2)
        self.must("tokenizer", "encode", "--tokenizer", "model.gguf", "--in", "valid.txt", "--out", "v.bin")
        shard = json.loads(self.must("evaluate", "loss", "--model", "model.gguf", "--text", "v.bin", "--json"))
        self.assertAlmostEqual(shard["bits_per_byte"], score["bits_per_byte"], places=9)
        piped = self.must("evaluate", "loss", "--model", "model.gguf", "--text", "-", "--json", data=self.content("valid.txt"))
        self.assertEqual(json.loads(piped), score)
        two = json.loads(self.must("evaluate", "loss", "--model", "model.gguf", "--text", "valid.txt", "--json", "--threads", "2"))
        self.assertEqual(two, score)

    def test_analyze_heads(self):
        command = ["analyze", "heads", "--model", "model.gguf", "--text", "valid.txt", "--tokens", "500"]
        found = json.loads(self.must(*command, "--json", "--prompt", "Once upon a time"))
        self.assertEqual((found["tokens"], found["model"]), (500, "model.gguf"))
        shape = json.loads(self.must("model", "inspect", "model.gguf", "--json"))
        self.assertEqual([(head["layer"], head["head"]) for head in found["heads"]],
                         [(layer, head) for layer in range(shape["layers"]) for head in range(shape["heads"])])
        self.assertTrue(all(0 <= head["focus"] <= 1 and 0 <= head["distance"] <= 1 for head in found["heads"]))
        maps, total = found["maps"], found["attribution"]
        self.assertEqual("".join(maps["tokens"][1:]), "Once upon a time")
        self.assertEqual([len(maps["weights"]), len(maps["weights"][0])], [shape["layers"], shape["heads"]])
        for row, weights in enumerate(maps["weights"][1][0]):
            self.assertEqual(len(weights), row + 1)
            self.assertAlmostEqual(sum(weights), 1, places=2)
        self.assertAlmostEqual(total["from_embedding"] + total["from_heads"] + total["from_neurons"] + total["from_biases"], total["logit"], places=2)
        text = self.must(*command, "--prompt", "Once").decode()
        self.assertRegex(text, r"(?m)^ +0 +0( +[\d.]+){7}")
        self.assertRegex(text, r"(?m)^  from heads +-?[\d.]+$")
        self.assertEqual(self.must(*command, "--json"), self.must(*command, "--json", "--threads", "2"))
        self.refused(*command, "--threshold", "0", names="--threshold")
        self.refused(*command, "--prompt", "a b c d " * 100, names="context")
        self.refused("analyze", "heads", "--model", "model.gguf", "--text", "none.txt", names="none.txt")

    def test_analyze_neurons(self):
        command = ["analyze", "neurons", "--model", "model.gguf", "--text", "valid.txt", "--tokens", "500"]
        found = json.loads(self.must(*command, "--count", "3", "--examples", "4", "--json"))
        self.assertEqual((found["layer"], len(found["neurons"])), (0, 3))
        most = [neuron["most"] for neuron in found["neurons"]]
        self.assertEqual(most, sorted(most, reverse=True))
        for neuron in found["neurons"]:
            self.assertEqual([neuron["most"], 4], [neuron["examples"][0]["activation"], len(neuron["examples"])])
            for example in neuron["examples"]:
                self.assertLess(example["at"], len(example["tokens"]))
        one = json.loads(self.must(*command, "--layer", "1", "--neuron", "5", "--json"))["neurons"]
        self.assertEqual([(neuron["layer"], neuron["neuron"]) for neuron in one], [(1, 5)])
        self.assertRegex(self.must(*command, "--count", "1").decode(), r"(?m)^  layer 0, neuron \d+, \d+ % active$")
        self.refused(*command, "--layer", "2", names="--layer is 2")
        self.refused(*command, "--neuron", "100000", names="--neuron is 100000")

    def test_report_says_what_is_missing(self):
        self.refused("report", "somewhere", names="-o is missing", status=(2,))
        self.refused("report", "somewhere", "-o", "page.html", names="tinystories", environment={"PYTHONPATH": "/nonexistent", "TINYSTORIES_LIBRARY": "/nonexistent"})
        self.refused("report", "somewhere", "-o", "page.html", names="needs python3", environment={"PATH": "/nonexistent"})

    def test_cpu_levels_agree(self):
        command = ["evaluate", "loss", "--model", "model.gguf", "--text", "valid.txt", "--json"]
        best = json.loads(self.must(*command))
        plain = json.loads(self.must(*command, environment={"TINYSTORIES_CPU": "reference"}))
        self.assertAlmostEqual(best["bits_per_byte"], plain["bits_per_byte"], places=4)

    def test_bench(self):
        for shape in (["--preset", "laptop-0.3m"], ["--model", "model.gguf"]):
            figures = json.loads(self.must("bench", *shape, "--context", "32", "--micro-batch", "2", "--seconds", "0.1", "--threads", "2", "--json",
                                           environment={"TMPDIR": self.folder}))
            self.assertEqual(figures[shape[0][2:]], shape[1])
            self.assertEqual(figures["threads"], 2)
            for key in ("parameters", "training_tokens_per_second", "prompt_tokens_per_second", "decoding_tokens_per_second", "training_memory_bytes"):
                self.assertGreater(figures[key], 0)
        self.assertEqual([name for name in os.listdir(self.folder) if name.startswith("tinystories-")], [])


def minds(process, number):
    """Whether a process has a handler of a signal: before, the signal would end it."""
    try:
        with open(f"/proc/{process.pid}/status", encoding="ascii") as file:
            caught = next(line for line in file if line.startswith("SigCgt:"))
    except (OSError, StopIteration):  # it has ended
        return False
    return bool(int(caught.split()[1], 16) >> (number - 1) & 1)


class InterruptTest(CommandLineTest):
    """A signal ends long work in order: one line, status 1, and nothing half-written."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        with open(os.path.join(cls.folder, "large.txt"), "w", encoding="utf-8") as file:
            for number in range(200000):
                file.write(story(number) + f"\n{MARKER}\n")

    def test_long_work(self):
        for number, command in ((signal.SIGINT, ["dataset", "generate", "--count", "100000000", "--out", "x.jsonl.gz"]),
                                (signal.SIGTERM, ["dataset", "generate", "--count", "100000000", "--out", "x.txt"]),
                                (signal.SIGINT, ["evaluate", "loss", "--model", "model.gguf", "--text", "large.txt"]),
                                (signal.SIGINT, ["dataset", "stats", *["large.txt"] * 50, "--json"]),
                                (signal.SIGINT, ["tokenizer", "train", "--in", *["large.txt"] * 50, "--out", "x.json"]),
                                (signal.SIGINT, ["tokenizer", "encode", "--tokenizer", "tokenizer.json", "--in", *["large.txt"] * 50, "--out", "x.bin"]),
                                (signal.SIGINT, ["bench", "--seconds", "60", "--preset", "laptop-0.3m"])):
            before = sorted(os.listdir(self.folder))
            status, output, errors = self.interrupted(number, *command, until=lambda process, number=number: minds(process, number) and time.sleep(0.2) is None,
                                                      env={**os.environ, "TMPDIR": self.folder})
            self.assertEqual((status, output), (1, b""), (command, errors))
            self.assertEqual(errors, b"tinystories: interrupted, nothing was written\n", command)
            self.assertEqual(sorted(os.listdir(self.folder)), before, command)

    def test_a_file_becomes_whole_or_is_not_there(self):
        self.must("tokenizer", "encode", "--tokenizer", "tokenizer.json", "--in", "large.txt", "--out", "large.bin")
        for pause in (0, 0.05, 0.1, 0.2):
            before = set(os.listdir(self.folder))
            process = subprocess.Popen([os.path.abspath(TOOL), "tokenizer", "decode", "--tokenizer", "tokenizer.json", "--in", "large.bin", "--out",
                                       "back.txt"],
                                       cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            time.sleep(pause)
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=60)
            self.assertIn(process.returncode, (0, -signal.SIGINT))
            self.assertEqual(set(os.listdir(self.folder)) - before, {"back.txt"} if process.returncode == 0 else set())
            if process.returncode == 0:
                self.assertEqual(self.content("back.txt"), self.content("large.txt"))
                os.unlink(self.path("back.txt"))


class ProgressTest(CommandLineTest):
    def on_a_terminal(self, *arguments):
        """What the tool writes where both of its outputs are a terminal."""
        master, slave = pty.openpty()
        process = subprocess.Popen([os.path.abspath(TOOL), *arguments], cwd=self.folder, stdin=slave, stdout=slave, stderr=slave)
        os.close(slave)
        written = b""
        try:
            while piece := os.read(master, 65536):
                written += piece
        except OSError:  # how Linux tells the end of a terminal
            pass
        os.close(master)
        self.assertEqual(process.wait(timeout=60), 0, written)
        return written.decode()

    def test_a_line_that_is_rewritten(self):
        text = self.on_a_terminal("dataset", "generate", "--count", "20000", "--out", "x.txt")
        self.assertRegex(text, r"\rwriting: \d+ of 20000 stories \(\d+ %\)\x1b\[K\r\x1b\[Kfile ")

    def test_silence(self):
        """Plain lines come every ten seconds, and never with --quiet."""
        self.assertNotIn("\x1b", self.on_a_terminal("dataset", "generate", "--count", "20000", "--out", "x.txt", "--quiet"))
        for arguments in (["dataset", "generate", "--count", "2000", "--out", "x.txt"],
                          ["train", "--text", "stories.txt", *SMALL, "--steps", "20", "--out", "x.gguf"],
                          ["train", "--text", "stories.txt", "--preset", "laptop-0.3m", "--size", "300", "--steps", "1", "--out", "x.gguf", "--quiet"]):
            self.assertEqual(run(*arguments, cwd=self.folder).stderr, b"")

    def test_sessions(self):
        """A story saved after some tokens, and loaded, goes on as it would have."""
        options = ["sample", "--model", "model.gguf", "--prompt", "Once", "--seed", "5", "--ignore-end", "--tokens"]
        whole = self.must(*options, "30")
        begun = self.must(*options, "11", "--save-session", "s.session")
        self.assertTrue(whole.startswith(begun.rstrip(b"\n")))
        middle = self.must("sample", "--model", "model.gguf", "--load-session", "s.session", "--tokens", "9", "--save-session", "t.session")
        rest = self.must("sample", "--model", "model.gguf", "--load-session", "t.session", "--tokens", "10")
        self.assertEqual(begun[:-1] + middle[:-1] + rest, whole)
        self.refused("sample", "--model", "model.gguf", "--load-session", "stories.txt", names="stories.txt")
        self.refused("sample", "--model", "model.gguf", "--load-session", "s.session", "--count", "2", names="--load-session", status=(2,))

    def test_biases_steps_and_choices(self):
        """Each token told has its log-probability among the likeliest; biases and the order of steps change what is told."""
        options = ["sample", "--model", "model.gguf", "--prompt", "Once", "--tokens", "8", "--ignore-end", "--temperature", "0", "--json"]
        story = json.loads(self.must(*options, "--best", "3"))["stories"][0]
        self.assertEqual(len(story["choices"]), 8)
        for one in story["choices"]:
            self.assertEqual(len(one["best"]), 3)
            self.assertEqual([best["log_probability"] for best in one["best"]], sorted((best["log_probability"] for best in one["best"]), reverse=True))
        first = story["choices"][0]["token"]
        self.assertEqual(first, story["choices"][0]["best"][0]["token"])
        banned = json.loads(self.must(*options, "--best", "1", "--bias", f"{first}=-inf"))["stories"][0]
        self.assertEqual(banned["choices"][0]["token"], story["choices"][0]["best"][1]["token"])
        hot = ["sample", "--model", "model.gguf", "--prompt", "Once", "--tokens", "20", "--seed", "1", "--ignore-end", "--temperature", "3", "--top-k", "1"]
        cold = self.must(*hot[:-4], "--temperature", "0")
        self.assertEqual(self.must(*hot, "--steps", "top-k", "temperature"), cold)
        self.assertNotEqual(self.must(*hot, "--steps", "temperature"), cold)
        self.refused(*hot, "--steps", "top-q", names="--steps")
        for bias in ("x", "3", "3=", "3=1x", "=2", "99999999999=1", "a word="):
            self.refused(*hot, f"--bias={bias}", names="--bias")
        self.refused(*hot, "--bias", "400=1", names="400")
        self.refused(*hot, "--best", "2", names="--json", status=(2,))
        self.must(*hot, "--begin-of-text", "never")
        self.refused(*hot, "--begin-of-text", "no", names="--begin-of-text", status=(1, 2))

    def test_biases_of_texts(self):
        """A text's bias is that of each of its tokens, once: those that `tokenizer encode` gives."""
        text = "Once upon upon a = 7 days"
        with open(self.path("text.txt"), "w", encoding="utf-8") as file:
            file.write(text)
        self.must("tokenizer", "encode", "--tokenizer", "model.gguf", "--in", "text.txt", "--out", "text.bin")
        ids = set(struct.unpack(f"<{len(self.content('text.bin')) // 2 - 512}H", self.content("text.bin")[1024:])) - {0}
        self.assertGreater(len(ids), 5)
        story = ["sample", "--model", "model.gguf", "--tokens", "40", "--ignore-end", "--seed", "3"]
        biased = self.must(*story, "--bias", *(f"{token}=-1.5" for token in ids))
        self.assertEqual(self.must(*story, "--bias", f"{text}=-1.5"), biased)
        self.assertNotEqual(self.must(*story), biased)
        self.assertEqual(self.must(*story, "--bias", f"{text}=-1.5", *(f"{token}=1.5" for token in ids)), self.must(*story))  # they add up

    def test_the_context_and_what_is_required(self):
        long = ["sample", "--model", "model.gguf", "--prompt", "Once", "--tokens", "200", "--ignore-end", "--seed", "2", "--json"]
        for more, finish in (([], "max_tokens"), (["--context-full", "slide"], "max_tokens"), (["--context-full", "stop"], "context")):
            self.assertEqual(json.loads(self.must(*long, *more))["stories"][0]["finish"], finish)
        soon, late = (json.loads(self.must(*long, "--require", "zebra", "--within", within))["stories"][0]["text"].lower().find("zebra") for within in ("5", "60"))
        self.assertTrue(0 < soon < late, (soon, late))
        self.must("sample", "--model", "model.gguf", "--tokens", "5", "--save-session", "small.session")
        self.refused("sample", "--model", "model.gguf", "--load-session", "small.session", "--session-memory", "1000", names="memory")
        self.must("sample", "--model", "model.gguf", "--load-session", "small.session", "--session-memory", "100000000", "--tokens", "5")
        self.must("model", "quantize", "model.gguf", "blocks.gguf", "--type", "q4_0")
        self.must("model", "convert", "blocks.gguf", "floats.gguf")
        told = ["sample", "--prompt", "Once", "--tokens", "40", "--ignore-end", "--seed", "2", "--model"]
        self.assertEqual(self.must(*told, "blocks.gguf", "--widen"), self.must(*told, "floats.gguf"))

    def test_branches(self):
        """The example: what is chosen becomes the story, a choice is taken back, a saved story goes on with the same ways."""
        program = pathlib.Path(os.environ["TINYSTORIES_CLI"]).with_name("example_branches")
        if not program.exists():
            self.skipTest("the examples are not built")

        def play(*lines):
            result = subprocess.run([str(program), "model.gguf", "told.session"], input="".join(line + "\n" for line in lines).encode(), cwd=self.folder,
                                    capture_output=True, timeout=60)
            self.assertEqual((result.returncode, result.stderr), (0, b""))
            return result.stdout

        first = play("q")
        self.assertTrue(first.startswith(b"1:"))
        played = play("2", "b", "3", "s", "q")
        self.assertTrue(played.startswith(first) and len(played) > 3 * len(first) // 2)
        self.assertTrue(os.path.exists(os.path.join(self.folder, "told.session")))
        self.assertNotEqual(play("q"), first)

    def test_a_tokenizer_beside(self):
        """A checkpoint without a tokenizer is used with --tokenizer, and asks for it by that name."""
        self.must("model", "convert", "model.gguf", "folder")
        os.rename(os.path.join(self.folder, "folder", "tokenizer.json"), os.path.join(self.folder, "words.json"))
        self.assertEqual(self.must("evaluate", "loss", "--model", "folder", "--tokenizer", "words.json", "--text", "stories.txt", "--json"),
                         self.must("evaluate", "loss", "--model", "model.gguf", "--text", "stories.txt", "--json"))
        sample = ["--prompt", "Once", "--tokens", "9", "--seed", "1"]
        self.assertEqual(self.must("sample", "--model", "folder", "--tokenizer", "words.json", *sample), self.must("sample", "--model", "model.gguf", *sample))
        self.must("model", "quantize", "folder", "small.gguf", "--tokenizer", "words.json")
        self.refused("sample", "--model", "folder", names="tokenizer")
        self.refused("sample", "--model", "model.gguf", "--tokenizer", "words.json", names="--tokenizer is given")

    def test_together(self):
        """Told together or one after another, the stories are the same, as text and as JSON."""
        options = ["sample", "--model", "model.gguf", "--prompt", "Once", "--count", "5", "--seed", "3", "--tokens", "12"]
        one_by_one = self.must(*options, "--together", "1")
        for together in ("0", "3"):
            self.assertEqual(self.must(*options, "--together", together), one_by_one)
        alone, together = json.loads(self.must(*options, "--together", "1", "--json")), json.loads(self.must(*options, "--json"))
        for one in alone["stories"] + together["stories"]:
            del one["tokens_per_second"]
        self.assertEqual(alone, together)

    def test_quantize(self):
        """A quantized model is smaller, told from at once, and its loss is said before and after."""
        said = json.loads(self.must("model", "quantize", "model.gguf", "small.gguf", "--type", "q8_0", "--text", "valid.txt", "--json"))
        self.assertAlmostEqual(said["bits_per_byte_before"], said["bits_per_byte_after"], delta=0.02)
        loss = json.loads(self.must("evaluate", "loss", "--model", "small.gguf", "--text", "valid.txt", "--json"))
        self.assertAlmostEqual(loss["bits_per_byte"], said["bits_per_byte_after"], places=3)
        self.assertLess(os.path.getsize(os.path.join(self.folder, "small.gguf")), os.path.getsize(os.path.join(self.folder, "model.gguf")) / 2)
        self.assertTrue(self.must("sample", "--model", "small.gguf", "--tokens", "5"))
        self.refused("model", "quantize", "model.gguf", "x.gguf", "--type", "q5_1", names="q4_0")
        self.refused("model", "quantize", "missing.gguf", "x.gguf", names="missing.gguf")
        os.remove(os.path.join(self.folder, "small.gguf"))


if __name__ == "__main__":
    unittest.main()
