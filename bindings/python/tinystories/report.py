"""One self-contained HTML page of runs and results: python3 -m tinystories.report RUN... -o page.html

A RUN is a run folder, a model, or a JSON file. Of a folder its log.jsonl is read, the model if there is one (*.gguf), and every *.json, which is whatever the
command line printed with --json. Each kind of JSON is known by its keys and has its section; what has no section is shown as a table. With a model and no
stories, heads or neurons in files, the page's maker lets the model tell some and looks into it.

Needs matplotlib and Jinja2, which nothing else of this package does.
"""

from __future__ import annotations

import argparse
import errno
import json
import os
import pathlib
import re
import sys
import tempfile
from typing import Any, Dict, List, Optional, Sequence

from ._handle import is_special, naming, path_array, replace_file
from ._runs import SHOWN_COMPLETIONS, SHOWN_NEURONS, SHOWN_PROMPTS, SHOWN_STORIES, Result, Run, look_into, read_run, tell_apart
from ._texts import column, column_of, duration, fixed, flat, grade, most_copied, named, number, plain, share, spread, visible


# ---- what the page shows ----


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


def check_out(path: str) -> None:
    """Fails now, and not after minutes of work, if no page can be written at `path`."""
    if os.path.isdir(path):
        raise IsADirectoryError(errno.EISDIR, "is a folder, expected a file", path)
    if not is_special(path):
        with naming(path), tempfile.TemporaryFile(dir=os.path.dirname(os.path.realpath(path))):
            pass


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
    replace_file(options.out, make_page(runs, options.title, problems))
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
