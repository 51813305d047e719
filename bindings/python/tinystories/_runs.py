"""What is found of runs: their logs, the JSON that commands printed, and what a look into their models adds."""

from __future__ import annotations

import collections
import dataclasses
import json
import os
import pathlib
import tempfile
from typing import Any, Dict, List, Optional, Sequence

from ._texts import number

LARGEST = 256 << 20  # bytes of a file that is read
PROMPT = 'Lily and Tom went to the park. Lily had a big red ball. "Can I play with your'
BEGINNING = "Once upon a time"
SHOWN_STORIES, SHOWN_TOLD, SHOWN_COMPLETIONS, SHOWN_PROMPTS, SHOWN_NEURONS, MAP_TOKENS = 6, 8, 40, 200, 8, 28

# How the names of a tokenizer's and a model's own files begin, which are no results.
OF_MODELS = ("tokenizer", "config", "generation_config", "special_tokens", "model.safetensors.index", "vocab.json", "added_tokens.json",
             "preprocessor_config.json")


@dataclasses.dataclass
class Run:
    """What was found of one RUN."""

    name: str
    log: List[Dict[str, Any]] = dataclasses.field(default_factory=list)
    model: Optional[pathlib.Path] = None
    facts: Dict[str, Any] = dataclasses.field(default_factory=dict)  # of the model
    results: List["Result"] = dataclasses.field(default_factory=list)

    def of(self, kind: str) -> List["Result"]:
        return [result for result in self.results if result.kind == kind]


@dataclasses.dataclass
class Result:
    """A JSON object and what it is."""

    name: str
    kind: str
    data: Dict[str, Any]


# ---- reading ----


def kind_of(data: Any) -> Optional[str]:
    """Which command printed an object, by its keys; "other" for what is unknown, None for what is no object."""
    if not isinstance(data, dict):
        return None
    for kind, wanted in (("prompts", {"prompts": list, "models": list}), ("duel", {"duel": str, "left": str, "right": str}), ("judge", {"completions": list, "all": dict}), ("heads", {"heads": list}), ("neurons", {"neurons": list}),
                         ("diversity", {"completions": int, "endings": int, "items": list}),
                         ("samples", {"stories": list}), ("data", {"stories": int, "histogram": list, "words": int}),
                         ("loss", {"nats_per_token": (int, float), "bits_per_byte": (int, float)}), ("grid", {"models": list})):
        if all(isinstance(data.get(key), types) for key, types in wanted.items()):
            return kind
    return "other"


def _read_text(path: pathlib.Path) -> str:
    if path.stat().st_size > LARGEST:
        raise ValueError(f"larger than {LARGEST >> 20} MiB")
    return path.read_text(encoding="utf-8", errors="replace")


def _object(line: str) -> Optional[Dict[str, Any]]:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def read_log(path: pathlib.Path, problems: List[str]) -> List[Dict[str, Any]]:
    """The lines of a log that are objects. Others are told in `problems`, but for the last one, which may have been cut off while it was written."""
    try:
        lines = _read_text(path).split("\n")  # no more than a line feed ends a line of JSON: texts may have the other separators as they are
    except (OSError, ValueError) as error:
        problems.append(f"{path}: {error}")
        return []
    records = list(map(_object, lines))
    damaged = sum(record is None and bool(line.strip()) for record, line in zip(records[:-1], lines))
    if damaged > 0:
        problems.append(f"{path}: {damaged} of {len(lines)} lines are no JSON objects")
    return [record for record in records if record is not None]


def _add_json(run: Run, path: pathlib.Path, problems: List[str]) -> None:
    try:
        data = json.loads(_read_text(path))
        kind = kind_of(data)
        if kind is None:
            raise ValueError("no JSON object")
        run.results.append(Result(path.stem, kind, data))
    except (OSError, ValueError, RecursionError) as error:
        problems.append(f"{path}: {error}")


def _add_told(run: Run) -> None:
    """The stories that the log has: the first of each step, of many steps some that lie evenly."""
    told: Dict[Any, str] = {}
    for line in run.log:
        if line.get("event") == "story" and isinstance(line.get("text"), str) and number(line.get("step")) is not None:
            told.setdefault(line["step"], line["text"])
    steps = sorted(told)
    shown = sorted({steps[round(index * (len(steps) - 1) / max(SHOWN_TOLD - 1, 1))] for index in range(min(SHOWN_TOLD, len(steps)))}) if len(steps) > SHOWN_TOLD else steps
    if shown:
        run.results.append(Result("told while it trained", "progress", {"stories": [{"step": step, "text": told[step]} for step in shown]}))


def read_run(path: pathlib.Path, problems: List[str]) -> Run:
    """Reads a RUN. What cannot be read is told in `problems`; a path that is not there raises OSError."""
    run = Run(pathlib.Path(os.path.abspath(path)).name if path.is_dir() else path.stem)
    if not path.is_dir():
        path.stat()
        if path.suffix == ".json":
            _add_json(run, path, problems)
        elif path.suffix == ".jsonl":
            run.log = read_log(path, problems)
            _add_told(run)
        else:
            run.model = path
        return run
    if (path / "log.jsonl").is_file():
        run.log = read_log(path / "log.jsonl", problems)
        _add_told(run)
    for file in sorted(path.glob("*.json")):
        if not file.name.startswith(OF_MODELS):
            _add_json(run, file, problems)
    models = sorted(path.glob("*.gguf"), key=lambda model: (model.stem != "best", model.stem != "model", model.name))
    run.model = models[0] if models else path if (path / "config.json").is_file() else None  # a Hugging Face folder is a model as a whole
    return run


def tell_apart(runs: Sequence[Run], paths: Sequence[str]) -> None:
    """Calls runs of one name by as many parts of their paths as tell them apart."""
    whole = [pathlib.Path(os.path.abspath(path)).parts[1:] for path in paths]
    for count in range(1, max(map(len, whole)) + 1):
        names = collections.Counter(run.name for run in runs)
        for run, parts in zip(runs, whole):
            if names[run.name] > 1:
                run.name = "/".join(parts[-count:])


# ---- looking into a model: the same objects that the command line prints ----


def _pieces(model: Any, ids: Sequence[int]) -> List[str]:
    return [model.tokenizer.token(one).decode("utf-8", "replace") for one in ids]


def tell(model: Any, count: int) -> Dict[str, Any]:
    from . import Sampler

    stories = []
    with Sampler(model, temperature=0.8, max_tokens=300) as sampler:
        for seed in range(1, count + 1):
            stories.append({"text": BEGINNING + sampler.tell(BEGINNING, seed=seed), "seed": seed})
    return {"prompt": BEGINNING, "stories": stories}


def look_at_heads(model: Any, text: str, tokens: int) -> Dict[str, Any]:
    from . import analysis

    measured = analysis.heads(model, text, max_tokens=tokens)
    begin = model.tokenizer.begin_of_text
    ids = [*([begin] if begin is not None else []), *list(model.tokenizer.encode(PROMPT))][:min(MAP_TOKENS, model.architecture.context_length)]
    found = analysis.trace(model, ids, "blocks.*.attention.weights")
    weights = [[[row[:query + 1] for query, row in enumerate(head)] for head in layer.tolist()] for layer in found.values()]
    heads = [{**dataclasses.asdict(head), "kinds": head.names} for head in measured]
    return {"tokens": tokens, "heads": heads, "attribution": attribution_of(model, ids), "maps": {"tokens": _pieces(model, ids), "weights": weights}}


def attribution_of(model: Any, ids: Sequence[int], shown: int = 10) -> Optional[Dict[str, Any]]:
    """Who is for the likeliest next token, as `tinystories analyze heads --prompt` prints it."""
    from . import UnsupportedError, analysis

    last = model.logits(ids).tolist()[-1]
    token = max(range(len(last)), key=last.__getitem__)
    try:
        found = analysis.attribute(model, ids, token)
    except UnsupportedError:  # a quantized model
        return None

    def largest(values: Any, name: str) -> tuple:
        every = [{"layer": layer, name: index, "logit": value} for layer, row in enumerate(values.tolist()) for index, value in enumerate(row)]
        return sum(one["logit"] for one in every), sorted(every, key=lambda one: -abs(one["logit"]))[:shown]

    (of_heads, heads), (of_neurons, neurons) = largest(found.heads, "head"), largest(found.neurons, "neuron")
    return {"token": _pieces(model, [token])[0], "logit": found.logit, "from_embedding": found.embedding, "from_heads": of_heads, "from_neurons": of_neurons,
            "from_biases": found.biases, "heads": heads, "neurons": neurons}


def look_at_neurons(model: Any, text: str, tokens: int) -> Dict[str, Any]:
    from . import analysis

    layer = max(model.architecture.layers - 2, 0)
    with analysis.Neurons(model, text, max_tokens=tokens, examples=6) as neurons:
        chosen = [neurons[layer, one.neuron] for one in neurons.summary(layer)[:SHOWN_NEURONS]]
        read = neurons.tokens
    found = []
    for neuron in chosen:
        examples = []
        for example in neuron.examples:
            first = max(example.at - 24, 1 if example.ids[0] == model.tokenizer.begin_of_text else 0)
            examples.append({"activation": example.activation, "story": example.story, "at": example.at - first,
                             "tokens": _pieces(model, example.ids[first:example.at + 13])})
        found.append({"layer": neuron.layer, "neuron": neuron.neuron, "active": neuron.active, "mean": neuron.mean, "most": neuron.most, "examples": examples})
    return {"tokens": read, "layer": layer, "neurons": found}


def look_into(run: Run, texts: Sequence[str], tokens: int, threads: int, problems: List[str]) -> None:
    """Adds what files did not say: the model's facts, stories, heads and neurons."""
    from . import Error, Model, Runtime

    try:
        with Runtime(threads) as runtime, Model.open(run.model, runtime) as model:
            shape = model.architecture
            run.facts = {"parameters": model.parameters, "architecture": shape.kind.name.lower(), "width": shape.width, "layers": shape.layers,
                         "heads": shape.heads, "context": shape.context_length, "vocabulary": shape.vocabulary_size}
            if not run.of("samples"):
                run.results.append(Result("told by the model", "samples", tell(model, SHOWN_STORIES)))
            with tempfile.TemporaryDirectory() as folder:
                files = list(texts) or [_own_stories(model, folder)]
                for kind, look in (("heads", look_at_heads), ("neurons", look_at_neurons)):
                    if not run.of(kind):
                        run.results.append(Result(f"{kind} of {run.model.name}", kind, look(model, files, tokens)))  # type: ignore[arg-type,union-attr]
    except (Error, OSError, ValueError) as error:
        problems.append(f"{run.model}: {error}")


def _own_stories(model: Any, folder: str) -> str:
    path = os.path.join(folder, "stories.txt")
    told = [story["text"] for story in tell(model, 40)["stories"]]
    pathlib.Path(path).write_text("\n<|endoftext|>\n".join(told), encoding="utf-8", errors="replace")
    return path
