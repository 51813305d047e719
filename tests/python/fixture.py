"""What the tests of the Python package share: the package itself, and a small trained model."""

import functools
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bindings" / "python"))

import tinystories as ts  # noqa: E402

STORIES = [f"Once upon a time, a {size} {animal} saw a {thing}. \"I like it!\" said the {animal}. It was n\u00e4ive \u2014 and happy \U0001f60a."
           for size in ("big", "small", "red", "sad") for animal in ("dog", "cat", "bird", "cow", "fish")
           for thing in ("ball", "tree", "cake", "hat")]


@functools.lru_cache(None)
def tokenizer() -> ts.Tokenizer:
    return ts.Tokenizer.train(STORIES, vocabulary_size=300)


def shape(**changes) -> ts.Architecture:
    return ts.Architecture(**{"width": 16, "layers": 1, "heads": 2, "context_length": 32, **changes})


def new_model(**changes) -> ts.Model:
    return ts.Model.new(tokenizer(), shape(**changes), seed=5)


def write_stories(folder, name="stories.txt", times=1) -> str:
    path = pathlib.Path(folder) / name
    path.write_text("\n<|endoftext|>\n".join(STORIES * times), encoding="utf-8")
    return str(path)


def run_examples(test, name, folder, *arguments, status=0, **environment):
    """Runs the example of that name in Python, and in C if it is built, in `folder`; gives what each printed, or said of its failure. Each exits with `status`."""
    commands = [[sys.executable, str(ROOT / "bindings" / "python" / "examples" / f"{name}.py")]]
    in_c = pathlib.Path(os.environ.get("TINYSTORIES_CLI", "nothing")).absolute().with_name(f"example_{name}")
    if in_c.is_file():
        commands.append([str(in_c)])
    own = {key: value for key, value in os.environ.items() if not key.endswith("_API_KEY")}
    outputs = []
    for command in commands:
        run = subprocess.run(command + [str(one) for one in arguments], cwd=folder, capture_output=True, encoding="utf-8", timeout=120,
                             env={**own, "PYTHONPATH": str(ROOT / "bindings" / "python"), **environment})
        test.assertEqual(run.returncode, status, run.stderr)
        outputs.append(run.stdout if status == 0 else run.stderr)
    return outputs


def new_trainer(folder, **options) -> ts.Trainer:
    return ts.Trainer(tokenizer(), shape(), text=write_stories(folder), **{"max_steps": 20, "batch_tokens": 64, "micro_batch": 2, **options})
