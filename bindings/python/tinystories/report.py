"""One self-contained HTML page of runs and results: python3 -m tinystories.report RUN... -o page.html

A RUN is a run folder, a model, or a JSON file. Of a folder its log.jsonl is read, the model if there is one (*.gguf), and every *.json, which is whatever the
command line printed with --json. Each kind of JSON is known by its keys and has its section; what has no section is shown as a table. With a model and no
stories, heads or neurons in files, the page's maker lets the model tell some and looks into it.

Needs matplotlib and Jinja2, which nothing else of this package does.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import dataclasses
import errno
import json
import math
import os
import pathlib
import re
import sys
import tempfile
from typing import Any, Dict, Iterable, Iterator, List, Optional, Sequence

from ._handle import path_array

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


# ---- what the page shows ----


def number(value: Any) -> Optional[float]:
    """A finite number, or None."""
    try:
        found = float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else math.nan
    except OverflowError:  # JSON has whole numbers of any size
        return None
    return found if math.isfinite(found) else None


def column(log: Iterable[Dict[str, Any]], x: str, y: str) -> tuple:
    """The points of a log where both are numbers. Its other lines repeat those of the step before them: a point is there once."""
    points = [(number(line.get(x)), number(line.get(y))) for line in log]
    whole = list(dict.fromkeys((a, b) for a, b in points if a is not None and b is not None))
    return [a for a, _ in whole], [b for _, b in whole]


def summary(run: Run) -> Dict[str, Any]:
    """A run's line in the table of runs."""
    last: Dict[str, Any] = {}
    for line in run.log:
        last.update({key: value for key, value in line.items() if number(value) is not None})
    valid = column(run.log, "step", "valid_bits_per_byte")[1]
    losses = [number(result.data["bits_per_byte"]) for result in run.of("loss")]
    measured = [value for value in losses if value is not None]
    return {"name": run.name, "parameters": run.facts.get("parameters"), "shape": shape_text(run.facts), "step": last.get("step"), "tokens": last.get("tokens"),
            "seconds": last.get("seconds"), "speed": last.get("tokens_per_second"), "best_valid": min(valid) if valid else None,
            "loss": measured[0] if measured else min(valid) if valid else None}


def shape_text(facts: Dict[str, Any]) -> str:
    return f"{facts['architecture']}, {facts['layers']} layers of {facts['width']}, {facts['heads']} heads" if facts else ""


def flat(data: Any, prefix: str = "") -> List[tuple]:
    """An object as rows (name, value): nested names joined, long lists told by their length."""
    rows: List[tuple] = []
    for key, value in data.items():
        name = f"{prefix}{key}".replace("_", " ")
        if isinstance(value, dict):
            rows += flat(value, f"{name} ")
        elif isinstance(value, list) and (len(value) > 12 or any(isinstance(one, (dict, list)) for one in value)):
            rows.append((name, f"{len(value)} entries"))
        elif isinstance(value, list):
            rows.append((name, ", ".join(map(plain, value))))
        else:
            rows.append((name, plain(value)))
    return rows


def plain(value: Any) -> str:
    """A value for people."""
    if value is None or type(value).__name__ == "ChainableUndefined":
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return "–" if not math.isfinite(value) else f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return str(value)


def fixed(value: Any, digits: int) -> str:
    """A number with so many decimals."""
    whole = number(value)
    return "–" if whole is None else f"{whole:.{digits}f}"


def share(value: Any) -> str:
    """A share of 0 to 1 for people."""
    whole = number(value)
    return "–" if whole is None else f"{100 * whole:.1f} %"


def duration(seconds: Any) -> str:
    value = number(seconds)
    if value is None:
        return "–"
    minutes, rest = divmod(int(value), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def spread(completions: Any, limit: int) -> List[Any]:
    """At most `limit` completions, of every model as many, those that seem to speak to the judge before the others."""
    models: Dict[str, List[Any]] = {}
    for one in completions:
        models.setdefault(str(one.get("model") if isinstance(one, dict) else ""), []).append(one)
    share = max(limit // max(len(models), 1), 1)
    first = [sorted(those, key=lambda one: not (isinstance(one, dict) and one.get("suspicion"))) for those in models.values()]
    return [one for those in first for one in those[:share]][:limit]


def grade(value: Any) -> str:
    """A grade of one story: whole numbers as they are, others to a tenth, which is more than they tell."""
    whole = number(value)
    return plain(value) if whole is None else f"{whole:.0f}" if whole == int(whole) else f"{whole:.1f}"


def column_of(items: Any, key: str) -> List[Any]:
    return [one.get(key) for one in items if isinstance(one, dict)] if isinstance(items, list) else []


def most_copied(items: Any, limit: int = 10) -> List[tuple]:
    """(index, item) of the completions with the longest copied runs."""
    copied = [(index, one) for index, one in enumerate(items if isinstance(items, list) else []) if isinstance(one, dict) and number(one.get("copied_words"))]
    return sorted(copied, key=lambda pair: -float(pair[1]["copied_words"]))[:limit]


def graded_together(runs: List[Run]) -> Dict[str, List[Dict[str, Any]]]:
    """The models of several results that one judge graded for one task, by what these are: those can stand in one plot."""
    judges: Dict[str, List[tuple]] = {}
    for run in runs:
        for result in run.of("judge"):
            known = [str(result.data.get(key)) for key in ("judge", "judge_model", "language_text") if result.data.get(key)]
            told = any(isinstance(one, dict) and any(one.get(part) for part in ("words", "sentence", "features", "summary")) for one in result.data["completions"])
            judges.setdefault(", ".join(known + ["instructions"] * told), []).append((run, result))
    together = {}
    for judge, results in judges.items():
        models = []
        for run, result in results if len(results) > 1 else []:
            for one in result.data.get("models") or [result.data.get("all")]:
                if isinstance(one, dict):
                    model, several = str(one.get("model") or "a model without a name"), len(run.of("judge")) > 1
                    where = ", ".join([run.name] * (run.name != model) + [result.name] * several)
                    models.append({**one, "model": f"{model} ({where})" if where else model})
        if models:
            together[judge] = models
    return together


def named(text: str) -> str:
    """A text with the numbers of what would not be seen, or would turn the text around it."""
    return "".join(one if one.isprintable() else f"‹{ord(one):X}›" for one in text)


def visible(token: Any) -> str:
    """A token on an axis or in a title: white space is seen too."""
    return named(str(token).replace("\n", "⏎").replace("\t", "⇥").replace(" ", "·")) or "∅"


# Kind, heading, and what the reader must know.
SECTIONS = (
    ("grid", "Studies", ""),
    ("prompts", "Short prompts", ""),
    ("duel", "Duels", ""),
    ("samples", "Stories", "What the model was given is bold."),
    ("progress", "Stories while it trained", ""),
    ("loss", "Loss on texts", ""),
    ("judge", "Grades", "What the models were given is bold."),
    ("diversity", "Diversity", ""),
    ("heads", "Heads", "In maps rows look and columns are looked at; the darker, the more. A square says its tokens and weight when pointed at. Layers and heads count from 0."),
    ("neurons", "Neurons", "The tokens that activate a neuron most, in their sentences; before each its activation. Layers and neurons count from 0."),
    ("data", "Data", ""),
    ("other", "Other results", ""),
)

LOSSES = ("bits_per_byte", "nats_per_token", "perplexity", "tokens", "bytes", "stories")


def _curves(runs: List[Run], plots: Any) -> List[Any]:
    return [plots.curves(runs, "step", "loss", "steps", "training loss, nats per token", True),
            plots.curves(runs, "seconds", "valid_bits_per_byte", "minutes", "validation, bits per byte", False, 1 / 60, True),
            plots.curves(runs, "step", "learning_rate", "steps", "learning rate"),
            plots.curves(runs, "step", "gradient_norm", "steps", "gradient norm", True)]


def _together(runs: List[Run], plots: Any) -> Any:
    from markupsafe import Markup

    parts = [Markup("<h3>Graded by the same judge <span class=\"soft\">{}</span></h3>").format(judge) + (plots.grades(models, judge) or "") for judge, models in graded_together(runs).items()]
    return Markup("").join(parts)


def make_page(runs: List[Run], title: str, problems: List[str]) -> str:
    """The page's HTML. Every text in it is escaped by the templates, and what browsers and XML refuse, or what turns the text behind it around, is replaced."""
    import jinja2

    from . import _plots

    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.ChainableUndefined,
                                     loader=jinja2.FileSystemLoader(pathlib.Path(__file__).parent))
    environment.filters.update(plain=plain, duration=duration, flat=flat, number=number, visible=visible, named=named, spread=spread, grade=grade, share=share, fixed=fixed, column=column_of, most_copied=most_copied)
    limits = {"prompts": SHOWN_PROMPTS, "stories": SHOWN_STORIES, "completions": SHOWN_COMPLETIONS, "neurons": SHOWN_NEURONS}
    macros = environment.get_template("report_sections.html").make_module({"plots": _plots, "limits": limits, "plain": plain, "share": share})

    def attempt(what: str, call: Any, *arguments: Any) -> Any:
        try:
            return call(*arguments)
        except Exception as error:  # files come from anywhere; one must not take the page
            problems.append(f"{what}: {error}")
            return None

    def draw(run: Run, result: Result) -> Any:
        name = f"{run.name}, {result.name}"
        shown = attempt(f"{name}: not as {result.kind}, so it is a table", getattr(macros, result.kind), result.data)
        return shown if shown is not None else attempt(name, macros.other, result.data) or ""

    summaries = [summary(run) for run in runs if run.log or run.facts]
    page = environment.get_template("report_page.html").render(
        title=title, losses=LOSSES, summaries=summaries, problems=problems, sections=SECTIONS, draw=draw,
        together=attempt("models of one judge", _together, runs, _plots) or "", curves=attempt("curves", _curves, runs, _plots) or [],
        entries=lambda kind: [(run, result) for run in runs for result in run.of(kind)],
        scaling=attempt("size and loss", _plots.scaling, summaries, "parameters", "loss", "parameters", "bits per byte"))
    return re.sub("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]", "\ufffd", page)


def _in_place(path: str) -> bool:
    """Whether there is something that is no regular file, a device or a pipe: that is written into, and never replaced."""
    return os.path.exists(path) and not os.path.isfile(path)


@contextlib.contextmanager
def _naming(path: str) -> Iterator[None]:
    """Failures speak of the page, and not of the temporary that becomes it."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, f"cannot be written: {error.strerror}", path) from None


def check_out(path: str) -> None:
    """Fails now, and not after minutes of work, if no page can be written at `path`."""
    if os.path.isdir(path):
        raise IsADirectoryError(errno.EISDIR, "is a folder, expected a file", path)
    if not _in_place(path):
        with _naming(path), tempfile.TemporaryFile(dir=os.path.dirname(os.path.realpath(path))):
            pass


def write_page(path: str, page: str) -> None:
    """Replaces the file as a whole; a link stays, and what it leads to is replaced."""
    if _in_place(path):
        pathlib.Path(path).write_text(page, encoding="utf-8")
        return
    target = os.path.realpath(path)
    os.umask(mask := os.umask(0o077))  # which cannot be read alone
    mode = os.stat(target).st_mode & 0o777 if os.path.exists(target) else 0o666 & ~mask
    with _naming(path):
        handle, temporary = tempfile.mkstemp(dir=os.path.dirname(target), prefix=".report-")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(page)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(temporary, mode)
            os.replace(temporary, target)
        except BaseException:
            os.unlink(temporary)
            raise


def _arguments(argv: Optional[Sequence[str]]) -> argparse.Namespace:
    parser = argparse.ArgumentParser("tinystories report", description="Make one HTML page of runs and results, with plots.")
    parser.add_argument("runs", nargs="+", metavar="RUN", help="run folders, models (.gguf), and JSON files that other commands printed")
    parser.add_argument("-o", "--out", required=True, metavar="FILE", help="the page to write")
    parser.add_argument("--title", default="TinyStories report")
    parser.add_argument("--text", nargs="+", default=[], metavar="TEXT", help="stories to read for heads and neurons (default: those that the model tells)")
    parser.add_argument("--tokens", type=int, default=10000, metavar="N", help="read so many tokens of them (default 10000)")
    parser.add_argument("--no-model", action="store_true", help="show what is in files alone")
    parser.add_argument("--threads", type=int, default=0, metavar="N", help="threads to look into models with, 0: one a processor (default 0)")
    parser.add_argument("--quiet", action="store_true", help="no progress")
    parser.add_argument("--verbose", action="store_true", help="say what is read, and as what kind of result")
    parser.add_argument("--json", action="store_true", help="print what was made as JSON")
    options = parser.parse_args(argv)
    for name, least, most in (("tokens", 1, 2**64 - 1), ("threads", 0, 256)):
        if not least <= getattr(options, name) <= most:
            parser.error(f"--{name} is {getattr(options, name)}, expected {least} to {most}")
    return options


def _say(text: str, file: Any) -> None:
    """A line that no name in it breaks, and in which none steers the terminal."""
    plain_text = "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)
    encoding = file.encoding or "utf-8"
    print(plain_text.encode(encoding, "backslashreplace").decode(encoding), file=file)


def _fail(text: Any) -> int:
    _say(f"tinystories: {text}", sys.stderr)
    return 1


def _make(options: argparse.Namespace) -> int:
    problems: List[str] = []
    check_out(options.out)
    for text in path_array(options.text):
        open(os.fsdecode(text), "rb").close()
    runs = [read_run(pathlib.Path(path), problems) for path in options.runs]
    tell_apart(runs, options.runs)
    for path, run in zip(options.runs, runs if options.verbose else []):
        for found in [f"{len(run.log)} lines of its log", *(f"{result.name}: {result.kind}" for result in run.results)]:
            _say(f"{path}: {found}", sys.stderr)
    models = [run for run in runs if run.model is not None and not options.no_model]
    for run in models:
        if not options.quiet:
            _say(f"looking into {run.model}", sys.stderr)
        look_into(run, options.text, options.tokens, options.threads, problems)
    if options.text and not models:
        problems.append("--text is not read: there is no model to look into")
    empty = [path for path, run in zip(options.runs, runs) if not (run.log or run.facts or run.results)]
    problems += [f"{path}: no log.jsonl, no model and no JSON of results in it can be shown" for path in empty]
    if len(empty) == len(runs):
        return _fail("; ".join([*problems, "the page would be empty"]))
    write_page(options.out, make_page(runs, options.title, problems))
    for problem in problems:
        _say(f"tinystories: warning: {problem}", sys.stderr)
    if options.json:
        print(json.dumps({"file": options.out, "runs": len(runs), "results": sum(len(run.results) for run in runs), "problems": problems}))
    elif not options.quiet:
        _say(options.out, sys.stdout)
    return 0


def main(argv: Optional[Sequence[str]] = None) -> int:
    options = _arguments(argv)
    try:
        import jinja2  # noqa: F401
        import matplotlib  # noqa: F401

        return _make(options)
    except ImportError as error:
        return _fail(f"report needs matplotlib and Jinja2 (pip install tinystories[report]): {error}")
    except OSError as error:
        return _fail(error)
    except KeyboardInterrupt:
        return _fail("interrupted, nothing was written")


if __name__ == "__main__":
    sys.exit(main())
