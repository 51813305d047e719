"""Studies: models of many shapes trained alike, power laws through their losses, and the sign test.

    from tinystories import study

    found = study.grid("stories.txt", "a-study", widths=(32, 64, 128), depths=(1, 2, 4), minutes=2, valid="valid.txt")
    for law in found["laws"]:
        print(law["x"], law["exponent"], law["exponent_low"], law["exponent_high"])

`grid`'s folder is the same as that of `tinystories study grid`, either goes on with what the other began, and `tinystories report` draws it.
"""

from __future__ import annotations

import ctypes
import dataclasses
import enum
import itertools
import json
import math
import os
import pathlib
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

from . import _c
from ._handle import Handle, Path, Text, integer, make, member, path_array, path_bytes, replace_file, report_of, text_bytes
from .errors import InvalidArgumentError
from .generator import Chat
from .evaluator import Evaluator, Mark, read_prompts
from .model import Architecture, Model
from .runtime import Runtime, runtime_pointer
from .sampler import Sampler
from .tokenizer import Tokenizer
from .trainer import Paths, Report, Schedule, Trainer

GRADED = ("grammar", "creativity", "consistency")
_RESULT = ("parameters", "steps", "tokens", "seconds", "nats_per_token", "valid_nats_per_token", "valid_bits_per_byte")


# ---- arithmetic ----


@dataclasses.dataclass(frozen=True)
class PowerLaw:
    """y = factor x^exponent by the least squares of the logarithms; exponent_low and _high by their covariance and Student's t (None with two points)."""

    factor: float
    exponent: float
    exponent_low: Optional[float]
    exponent_high: Optional[float]
    deviation: Optional[float]
    explained: Optional[float]
    count: int


def _doubles(values: Sequence[float]) -> Any:
    return (ctypes.c_double * len(values))(*values)


def power_law(x: Sequence[float], y: Sequence[float], confidence: float = 0.95) -> PowerLaw:
    """Fits a power law to two points or more. InvalidArgumentError names the number that is not above 0."""
    if len(x) != len(y):
        raise ValueError(f"x has {len(x)} numbers and y {len(y)}")
    law = report_of(_c.ts_power_law)
    _c.library.ts_power_law_fit(_doubles(x), _doubles(y), len(x), confidence, ctypes.byref(law))
    numbers = [getattr(law, field.name) for field in dataclasses.fields(PowerLaw)]
    return PowerLaw(*(None if isinstance(number, float) and math.isnan(number) else number for number in numbers))


def frontier(x: Sequence[float], y: Sequence[float]) -> List[bool]:
    """Which points no other beats with as little x."""
    if len(x) != len(y):
        raise ValueError(f"x has {len(x)} numbers and y {len(y)}")
    marks = (ctypes.c_uint8 * len(x))()
    _c.library.ts_frontier_mark(_doubles(x), _doubles(y), len(x), marks)
    return [bool(mark) for mark in marks]


def sign_test(wins: int, losses: int) -> float:
    """The two-sided sign test's p."""
    p = ctypes.c_double()
    _c.library.ts_sign_test(integer(wins, "wins", ctypes.c_uint64), integer(losses, "losses", ctypes.c_uint64), ctypes.byref(p))
    return p.value


# ---- the grid ----


@dataclasses.dataclass
class _Shape:
    name: str
    folder: pathlib.Path
    architecture: Architecture

    def facts(self, parameters: int) -> Dict[str, Any]:
        a = self.architecture
        return {"name": self.name, "width": a.width, "depth": a.layers, "heads": a.heads, "parameters": parameters,
                "inner_parameters": parameters - a.vocabulary_size * a.width * (2 if a.untied_head else 1)}


def _heads_for(base: Architecture, width: int) -> int:
    heads = max(width // (base.width // base.heads), 1)
    while heads > 1 and (width % heads or width // heads % 2):
        heads -= 1
    return heads


def _shapes(run: pathlib.Path, base: Architecture, vocabulary: int, widths: Sequence[int], depths: Sequence[int], heads: Sequence[int], context: int) -> List[_Shape]:
    shapes = []
    for width in widths or [base.width]:
        for depth in depths or [base.layers]:
            for count in heads or [_heads_for(base, width)]:
                shape = dataclasses.replace(base, vocabulary_size=vocabulary, width=width, layers=depth, heads=count, hidden=0, key_value_heads=0,
                                            context_length=context or base.context_length)
                try:
                    shape.parameters
                except InvalidArgumentError:  # such a width has no such heads
                    continue
                name = f"width{width}-depth{depth}-heads{count}"
                shapes.append(_Shape(name, run / name, shape))
    return list({shape.name: shape for shape in shapes}.values())  # numbers may be given twice


def _paths(paths: Optional[Paths]) -> List[str]:
    return [] if paths is None else [os.fsdecode(one) for one in path_array(paths)]


def _fingerprint(paths: Optional[Paths]) -> str:
    """What tells texts apart, as study_models.c has it: their bytes and FNV-1a of the beginning and the end of each."""
    value, size, piece = 14695981039346656037, 0, 65536
    for path in _paths(paths):
        with open(path, "rb") as file:
            length = os.fstat(file.fileno()).st_size
            read = file.read(piece)
            if length > piece:
                file.seek(length - piece)
                read += file.read(piece)
        for byte in read:
            value = (value ^ byte) * 1099511628211 & 2**64 - 1
        size += length
    return "held out" if paths is None else f"{size} bytes, {value:016x}"


def _check_settings(run: pathlib.Path, settings: List[Tuple[str, str]]) -> None:
    lines, path = [f"{name} {value}" for name, value in settings], run / "settings.txt"
    if not path.exists():
        replace_file(path, "".join(f"{line}\n" for line in lines))
    for mine, theirs in itertools.zip_longest(lines, path.read_text(encoding="utf-8").splitlines(), fillvalue=""):
        if mine != theirs:
            raise ValueError(f"{run} has a study with '{theirs}', but this call says '{mine}': expected the same, or another folder")


def _points(folder: pathlib.Path, parameters: int) -> List[Dict[str, float]]:
    points: List[Tuple[float, float]] = []
    path = folder / "points.txt"
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else [], 1):
        try:
            tokens, bits = map(float, line.split())
        except ValueError:
            raise ValueError(f"{path}: line {number} is '{line}', expected tokens and bits per byte") from None
        while points and points[-1][0] >= tokens:  # made again after a kill
            points.pop()
        points.append((tokens, bits))
    return [{"tokens": tokens, "compute": 6 * parameters * tokens, "bits_per_byte": bits} for tokens, bits in points]


def _read(shape: _Shape) -> Optional[Dict[str, Any]]:
    """What a folder says of its model; None: it is not trained to its end."""
    path = shape.folder / "result.txt"
    if not path.exists():
        return None
    parameters = shape.architecture.parameters
    try:
        names, values = zip(*(line.split() for line in path.read_text(encoding="utf-8", errors="replace").splitlines()))
        found, steps, tokens, seconds, _, nats, bits = [(int if at < 3 else float)(value) for at, value in enumerate(values)]
        if names != _RESULT or found != parameters:
            raise ValueError
    except ValueError:
        raise ValueError(f"{path} is no result of a model of {parameters} parameters") from None
    return {**shape.facts(parameters), "steps": steps, "tokens": tokens, "seconds": seconds, "compute": 6 * parameters * tokens,
            "nats_per_token": nats, "bits_per_byte": bits, "points": _points(shape.folder, parameters)}


def _train(shape: _Shape, tokenizer: Tokenizer, text: Paths, valid: Optional[Paths], runtime: Optional[Runtime], options: Dict[str, Any],
           progress: Optional[Callable[[str, Report], Any]]) -> None:
    shape.folder.mkdir(exist_ok=True)
    last = math.nan  # of the last validation
    with open(shape.folder / "points.txt", "a", encoding="utf-8") as points:

        def watch(report: Report) -> Any:
            nonlocal last
            if report.due and math.isfinite(report.valid_bits_per_byte) and report.valid_bits_per_byte != last:
                last = report.valid_bits_per_byte
                points.write(f"{report.tokens} {last!r}\n")
                points.flush()
            return progress is not None and progress(shape.name, report)

        if any(shape.folder.glob("checkpoint*.safetensors")):  # the newest, or one before it
            trainer = Trainer.resume(shape.folder, text, valid, shape.folder, runtime, **options)
        else:
            trainer = Trainer(tokenizer, shape.architecture, text, valid, shape.folder, runtime, **options)
        with trainer:
            last = trainer.report.valid_bits_per_byte  # the checkpoint's, which was noted
            report = trainer.run(watch)
            with trainer.snapshot() as model:
                model.save(shape.folder / "model.gguf")
    values = (shape.architecture.parameters, report.step, report.tokens, report.seconds, report.loss, report.valid_nats_per_token, report.valid_bits_per_byte)
    if not math.isfinite(report.valid_bits_per_byte):
        raise ValueError(f"{shape.name} was not validated: the text is too short to hold a share of it out, expected valid")
    replace_file(shape.folder / "result.txt", "".join(f"{name} {value!r}\n" for name, value in zip(_RESULT, values)))


def _tell(evaluator: Evaluator, path: pathlib.Path, name: str, beginnings: List[str], per_prompt: int, tokens: int, temperature: float, seed: int) -> None:
    with Model.open(path / name / "model.gguf") as model, Sampler(model, temperature=temperature, max_tokens=tokens) as sampler:
        for index in range(len(beginnings) * per_prompt):
            beginning = beginnings[index // per_prompt]
            evaluator.add(sampler.tell(beginning, seed=seed + index), prompt=beginning, model=name)


def _note_grades(evaluator: Evaluator, one: Dict[str, Any]) -> None:
    grades = evaluator.evaluate(one["name"]).grades
    for axis in GRADED:
        one.update({axis: grades[axis].mean, f"{axis}_low": grades[axis].low, f"{axis}_high": grades[axis].high})


def _grade(run: pathlib.Path, models: List[Dict[str, Any]], judge_text: Paths, confidence: float, seed: int, told: Dict[str, Any]) -> Dict[str, Any]:
    with Evaluator(text=judge_text, seed=seed, confidence=confidence) as evaluator:
        for one in models:
            _tell(evaluator, run, one["name"], seed=seed, **told)
        evaluator.run()
        for one in models:
            _note_grades(evaluator, one)
        evaluator.write(run / "grades.json")
    return {"judge": "embedded", "judge_text": _paths(judge_text)[0]}


def _grade_by_chat(run: pathlib.Path, models: List[Dict[str, Any]], chat: Chat, judging: Dict[str, Any], told: Dict[str, Any]) -> Dict[str, Any]:
    """Each model with a journal of its own, so that further models leave what was paid for as it is."""
    cost = {"judge_requests": 0, "judge_tokens": 0, "judge_money": 0.0}
    name, own = "", chat._options.journal
    try:
        for one in models:
            chat._set("journal", path_bytes(run / one["name"] / "judge.journal"))
            with Evaluator(chat=chat, **judging) as evaluator:
                name = evaluator.judge_model or ""
                _tell(evaluator, run, one["name"], seed=judging["seed"], **told)
                evaluator.run()
                _note_grades(evaluator, one)
                evaluator.write(run / one["name"] / "grades.json")
                report = evaluator.chat_report()
            cost["judge_requests"] += report.requests
            cost["judge_tokens"] += report.prompt_tokens + report.completion_tokens
            cost["judge_money"] += report.money
    finally:
        chat._options.journal = own
    return {"judge": "chat", "judge_model": name, **cost}


def _law(name: str, points: Sequence[Tuple[float, float]], confidence: float) -> List[Dict[str, Any]]:
    if len({x for x, _ in points}) < 3:
        return []
    law = dataclasses.asdict(power_law([x for x, _ in points], [y for _, y in points], confidence))
    law["points"] = law.pop("count")
    return [{"x": name, "y": "bits_per_byte", **law, "interval": "least squares of the logarithms, Student's t"}]


def _laws(models: List[Dict[str, Any]], confidence: float) -> List[Dict[str, Any]]:
    every = [(point["compute"], point["bits_per_byte"]) for one in models for point in one["points"]]
    best = [point for point, kept in zip(every, frontier([x for x, _ in every], [y for _, y in every])) if kept]
    laws = [law for name in ("parameters", "inner_parameters") for law in _law(name, [(one[name], one["bits_per_byte"]) for one in models], confidence)]
    return laws + _law("compute", best, confidence)


def grid(text: Paths, run: Path, widths: Sequence[int] = (), depths: Sequence[int] = (), heads: Sequence[int] = (), valid: Optional[Paths] = None, *,
         preset: str = "laptop-1m", tokenizer: Optional[Tokenizer] = None, size: int = 0, context: int = 0, minutes: float = 0, tokens: int = 0, steps: int = 0,
         seed: int = 0, learning_rate: float = 0, schedule: Any = "cosine", batch_tokens: int = 0, valid_interval: int = 0, prompts: Optional[Path] = None,
         completions_per_prompt: int = 3, completion_tokens: int = 200, temperature: float = 1, judge_text: Optional[Paths] = None, confidence: float = 0.95,
         chat: Optional[Chat] = None, repeats: int = 1, asks: int = 3, schema: int = 0, templates: Optional[Path] = None, runtime: Optional[Runtime] = None, progress: Optional[Callable[[str, Report], Any]] = None) -> Dict[str, Any]:
    """Trains every width with every depth and number of heads, for so many minutes, tokens or steps each, and gives the study: models, and laws of the loss.

    Options are those of `tinystories study grid`, whose help tells them. Every model has a folder of its own in `run`: what is finished there is not trained
    again, what was stopped goes on. With prompts completions are graded, by the embedded judge or by `chat`, whose journals are in the models' folders (judge.journal,
    whatever it says itself), and to which repeats, asks, schema and templates belong. progress(name, report) is called after every step; when it
    returns something true or raises, or at Ctrl-C, the study stops (CancelledError) and the same call goes on. Writes study.json, and grades.json.
    """
    if not (minutes or tokens or steps):
        raise ValueError("expected minutes, tokens or steps: what each model may have")
    if tokenizer is not None and size:
        raise ValueError("size is of a tokenizer that is trained here and cannot stand beside tokenizer")
    beginnings = [] if prompts is None else read_prompts(prompts)
    for path in [] if prompts is None else [*_paths(judge_text), *_paths(templates)]:
        open(path, "rb").close()  # it is read when all models are trained
    where = pathlib.Path(os.fsdecode(run))
    where.mkdir(parents=True, exist_ok=True)
    base, saved, chosen = Architecture.preset(preset), where / "tokenizer.json", Schedule(member(Schedule, schedule, "schedule"))
    if saved.exists():
        given, tokenizer = tokenizer, Tokenizer.open(saved)
        if given is not None and given.fingerprint != tokenizer.fingerprint:
            raise ValueError(f"{where} has a study with another tokenizer: expected the same, or another folder")
    else:
        tokenizer = tokenizer or Tokenizer.train_files(text, runtime=runtime, vocabulary_size=size or base.vocabulary_size)
        tokenizer.save(saved)
    _check_settings(where, [("preset", preset), ("context", f"{context}"), ("minutes", f"{minutes:.15g}"), ("steps", f"{steps}"), ("tokens", f"{tokens}"),
                            ("seed", f"{seed}"), ("learning rate", f"{learning_rate:.15g}"), ("schedule", chosen.name.lower()), ("batch tokens", f"{batch_tokens}"),
                            ("vocabulary", f"{size or len(tokenizer)}"), ("text", _fingerprint(text)), ("valid", _fingerprint(valid))])
    shapes = _shapes(where, base, len(tokenizer), widths, depths, heads, context)
    if not shapes:
        raise ValueError("no shape of the grid can be made: a width must be a multiple of its heads")
    options = {"max_seconds": minutes * 60, "max_tokens": tokens, "max_steps": steps, "seed": seed, "learning_rate": learning_rate, "schedule": chosen,
               "batch_tokens": batch_tokens, "valid_interval": valid_interval}
    for shape in shapes:
        if _read(shape) is None:
            _train(shape, tokenizer, text, valid, runtime, options, progress)
    models: List[Dict[str, Any]] = [found for found in map(_read, shapes) if found is not None]
    judged: Dict[str, Any] = {}
    if prompts is not None:
        told = {"beginnings": beginnings, "per_prompt": completions_per_prompt, "tokens": completion_tokens, "temperature": temperature}
        if chat is None:
            judged = _grade(where, models, judge_text if judge_text is not None else text, confidence, seed, told)
        else:
            judged = _grade_by_chat(where, models, chat, {"seed": seed, "confidence": confidence, "repeats": repeats, "asks": asks, "schema": schema, "templates": templates}, told)
    study: Dict[str, Any] = {"study": "grid", "text": _paths(text)[0], "valid": "held out" if valid is None else _paths(valid)[0], **judged,
                             "confidence": confidence, "models": models, "laws": _laws(models, confidence)}
    replace_file(where / "study.json", json.dumps(study))
    return study


# ---- short prompts ----


class Question(enum.IntEnum):
    """What a prompt asks of a model."""

    OTHER = _c.TS_QUESTION_OTHER
    FACT = _c.TS_QUESTION_FACT
    REASONING = _c.TS_QUESTION_REASONING
    CONTEXT = _c.TS_QUESTION_CONTEXT


class Questions(Handle):
    """Short prompts and their answers, read from a file whose form tinystories/study.h tells; examples/study_prompts.txt is one."""

    def __init__(self, path: Path, runtime: Optional[Runtime] = None) -> None:
        shared, name = runtime_pointer(runtime), path_bytes(path)
        self.path = os.fsdecode(path)
        self._pointer = make(_c.ts_questions, _c.library.ts_questions_free, lambda out: _c.library.ts_questions_open(out, shared, name), (shared,))

    def __len__(self) -> int:
        return _c.library.ts_questions_count(self._c)

    def __getitem__(self, index: int) -> Tuple[Question, str, int]:
        """(kind, prompt, how many answers are known); IndexError beyond the last."""
        if not 0 <= index < len(self):
            raise IndexError(index)
        question = report_of(_c.ts_question)
        _c.library.ts_questions_get(self._c, index, ctypes.byref(question))
        return Question(question.kind), question.prompt.decode(), question.answers

    def mark(self, index: int, completion: Text) -> Mark:
        """Marks a completion by the answers in its first sentence."""
        pointer, text, mark = self._c, text_bytes(completion), ctypes.c_uint32()
        _c.library.ts_questions_mark(pointer, integer(index, "index", ctypes.c_size_t), text, len(text), ctypes.byref(mark))
        return Mark(mark.value)


def prompts(models: Dict[str, Model], questions: Questions, completions_per_prompt: int = 1, temperature: float = 0, tokens: int = 40, seed: int = 0,
            evaluator: Optional[Evaluator] = None) -> Dict[str, Any]:
    """Sets models (by name) side by side on short prompts, and gives what `tinystories study prompts --json` prints.

    evaluator: one without records whose judge is a chat service, which then marks; without it the answers of the file do.
    """
    if evaluator is not None and len(evaluator):
        raise ValueError(f"the evaluator has {len(evaluator)} records, expected none")
    told: Dict[Tuple[str, int], List[str]] = {}
    for name, model in models.items():
        with Sampler(model, temperature=temperature, max_tokens=tokens) as sampler:
            for index in range(len(questions)):
                told[name, index] = [sampler.tell(questions[index][1], seed=seed + index * completions_per_prompt + n) for n in range(completions_per_prompt)]
    marks = {key: [questions.mark(key[1], one) for one in those] for key, those in told.items()}
    if evaluator is not None:
        for (name, index), those in told.items():
            for one in those:
                evaluator.add(one, prompt=questions[index][1], model=name)
        evaluator.mark()
        numbers = iter(range(len(evaluator)))
        marks = {key: [evaluator.mark_of(next(numbers)) for _ in those] for key, those in told.items()}
    summaries = []
    for name in models:
        line: Dict[str, Any] = {"model": name}
        for kind in [*Question, None]:
            found = [mark for index in range(len(questions)) if kind is None or questions[index][0] is kind for mark in marks[name, index]]
            if found:
                counts = {mark.name.lower(): found.count(mark) for mark in Mark}
                line["all" if kind is None else kind.name.lower()] = {**counts, "share_right": counts["right"] / len(found)}
        summaries.append(line)
    listed = [{"kind": questions[index][0].name.lower(), "prompt": questions[index][1],
               "completions": [{"model": name, "text": text, "mark": mark.name.lower()} for name in models for text, mark in zip(told[name, index], marks[name, index])]}
              for index in range(len(questions))]
    judge = {"judge": "rule"} if evaluator is None else {"judge": "chat", "judge_model": evaluator.judge_model}
    return {"study": "prompts", "file": questions.path, **judge, "temperature": temperature, "models": summaries, "prompts": listed}
