"""Evaluators: completions graded by a judge, and files of prompts."""

from __future__ import annotations

import ctypes
import dataclasses
import enum
from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence, Union

from . import _c
from ._handle import (Handle, Path, Progress, Text, fill, integer, interruptible, make, member, number_or_none, options_of, path_array, path_bytes,
                      progress_callback, report_of, text_bytes)
from .generator import Chat, ChatReport, chat_report, read_text
from .runtime import Runtime, runtime_pointer

AXES = ("grammar", "creativity", "consistency", "plot")
AGES = "ABCDEF"
PARTS = ("words", "sentence", "features", "summary")


class Judge(enum.IntEnum):
    EMBEDDED = _c.TS_JUDGE_EMBEDDED  # rules and a small n-gram model: no network
    CHAT = _c.TS_JUDGE_CHAT  # a chat service


class Outcome(enum.IntEnum):
    """What came of a judgment, or why it has no grades."""

    PENDING = _c.TS_JUDGED_PENDING
    SCORED = _c.TS_JUDGED_SCORED
    NO_ASSESSMENT = _c.TS_JUDGED_NO_ASSESSMENT
    NO_REPLY = _c.TS_JUDGED_NO_REPLY
    MISSING = _c.TS_JUDGED_MISSING
    RANGE = _c.TS_JUDGED_RANGE
    TWICE = _c.TS_JUDGED_TWICE
    FORM = _c.TS_JUDGED_FORM
    EMPTY = _c.TS_JUDGED_EMPTY


class Suspicion(enum.IntFlag):
    """Why a completion looks as if it spoke to whoever judges it; see tinystories/evaluator.h."""

    GRADE = _c.TS_SUSPICION_GRADE
    ORDER = _c.TS_SUSPICION_ORDER
    MARKUP = _c.TS_SUSPICION_MARKUP
    HIDDEN = _c.TS_SUSPICION_HIDDEN
    CODE = _c.TS_SUSPICION_CODE


class Mark(enum.IntEnum):
    """What a completion of a short prompt is worth."""

    NONE = _c.TS_MARK_NONE  # no answer that is known, or none yet
    RIGHT = _c.TS_MARK_RIGHT
    PARTLY = _c.TS_MARK_PARTLY
    WRONG = _c.TS_MARK_WRONG


@dataclasses.dataclass(frozen=True)
class Judgment:
    """One judgment: grades by axis (None where there is none, all of them unless it is scored), an age group or None, and what the chat judge said."""

    outcome: Outcome
    grades: Dict[str, Optional[float]]
    age: Optional[str]
    asks: int
    assessment: str
    reply: str

    @classmethod
    def _of(cls, judgment: Any) -> "Judgment":
        grades = {axis: number_or_none(grade) for axis, grade in zip(AXES, judgment.grades)}
        return cls(Outcome(judgment.outcome), grades, AGES[judgment.age - 1] if judgment.age else None, judgment.asks,
                   (judgment.assessment or b"").decode(), (judgment.reply or b"").decode())


@dataclasses.dataclass(frozen=True)
class GradeMean:
    """The mean of a grade; low and high are the ends of a bootstrap interval over prompts. None where there are too few."""

    mean: Optional[float]
    low: Optional[float]
    high: Optional[float]
    deviation: Optional[float]
    count: int


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """The results of all records or of one model's. outcomes count judgments by name; means are None unless `trusted`: too few judgments are scored."""

    records: int
    prompts: int
    judgments: int
    outcomes: Dict[str, int]
    ages: Dict[str, int]
    asked_again: int
    scored_share: Optional[float]
    mean_words: Optional[float]
    trusted: bool
    suspicious: int  # records whose completion seems to speak to the judge
    grades: Dict[str, GradeMean]
    followed: Dict[str, GradeMean]  # by part of an instruction: what rules found of what it asks for, 0 to 1

    @classmethod
    def _of(cls, e: Any) -> "Evaluation":
        grades, followed = ({name: GradeMean(*map(number_or_none, (m.mean, m.low, m.high, m.deviation)), m.count) for name, m in zip(names, means)}
                            for names, means in ((AXES, e.axes), (PARTS, e.followed)))
        outcomes = {outcome.name.lower(): count for outcome, count in zip(Outcome, e.outcomes)}
        return cls(e.records, e.prompts, e.judgments, outcomes, dict(zip(("none", *AGES), e.ages)), e.asked_again, number_or_none(e.scored_share),
                   number_or_none(e.mean_words), bool(e.trusted), e.suspicious, grades, followed)


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Two models on one axis: the mean over prompts that both completed of the difference, left minus right, with its interval."""

    prompts: int
    wins: int
    losses: int
    difference: Optional[float]
    low: Optional[float]
    high: Optional[float]


@dataclasses.dataclass(frozen=True)
class Duel:
    """What came of setting two models against each other; see ts_duel in tinystories/evaluator.h. share, low and high are None where there are too few."""

    pairs: int
    judged: int
    unread: int
    pending: int
    asked_again: int
    firsts: int
    seconds: int
    neithers: int
    prompts: int
    wins: int
    losses: int
    share: Optional[float]
    low: Optional[float]
    high: Optional[float]
    p: float


@dataclasses.dataclass(frozen=True)
class Followed:
    """What rules find in a completion of a part of its instruction."""

    asked: int
    found: int


@dataclasses.dataclass(frozen=True)
class Completed:
    """What came of asking a chat service for completions; see ts_completer_report in tinystories/evaluator.h."""

    wanted: int
    added: int
    ended: int
    unusable: int
    pending: int
    chat: ChatReport


class Evaluator(Handle):
    """Grades completions. Add records, run() the judge, ask for results. Belongs to one thread at a time (BusyError).

    judge: "embedded", or "chat", which is the default when `chat` is given: the Chat that judges. text: files of stories that the embedded judge's n-gram model
    learns from, text_name what reports call them. templates: path of the chat judge's own templates. repeats: judgments of each record; asks: how often
    unreadable grades are asked for; schema: 1 to ask for JSON. cut: cut completions at their first repeated k-gram of so many words, of cut_models alone if
    these are given. seed, confidence, least_scored, resamples: see tinystories/evaluator.h, which also tells
    how much the embedded judge's grades are worth.
    """

    def __init__(self, judge: Any = None, chat: Optional[Chat] = None, text: Union[Path, Sequence[Path], None] = None, text_name: Optional[str] = None,
                 templates: Optional[Path] = None, cut_models: Sequence[str] = (), runtime: Optional[Runtime] = None, **numbers: Any) -> None:
        shared, options = runtime_pointer(runtime), options_of(_c.ts_evaluator_options, _c.library.ts_evaluator_options_init)
        if judge is None:
            judge = Judge.EMBEDDED if chat is None else Judge.CHAT
        fill(options, {"judge": member(Judge, judge, "judge"), **numbers},
             ("judge", "seed", "confidence", "least_scored", "repeats", "asks", "schema", "resamples", "cut"))
        if isinstance(cut_models, (str, bytes)):
            raise TypeError("cut_models is one name, expected a sequence of names")
        if cut_models:
            options.cut_models, options.cut_model_count = (ctypes.c_char_p * len(cut_models))(*map(_text, cut_models)), len(cut_models)
        files = None if text is None else path_array(text)
        if files is not None:
            options.text, options.text_count = files, len(files)
        options.text_name = None if text_name is None else text_name.encode()
        options.templates = None if templates is None else path_bytes(templates)
        if chat is not None:
            options.chat = ctypes.pointer(chat._options)
        self.judge = Judge(options.judge)
        self.judge_model = (chat._options.model or b"").decode(errors="replace") if chat is not None else None  # the service's name for it
        self._repeats = options.repeats if self.judge is Judge.CHAT else 1
        self._pointer = make(_c.ts_evaluator, _c.library.ts_evaluator_free,
                             lambda out: _c.library.ts_evaluator_new(out, shared, ctypes.byref(options)), (shared, chat))

    def add(self, completion: Text, prompt: Text = "", model: str = "", words: Union[str, Sequence[str], None] = None, sentence: Optional[str] = None,
            features: Union[str, Sequence[str], None] = None, summary: Optional[str] = None) -> None:
        """Adds a completion of `prompt` by `model`; words, sentence, features and summary are the instruction that the model was given."""
        record, data = _record(prompt, words, sentence, features, summary), text_bytes(completion)
        record.completion, record.completion_size, record.model = data, len(data), _text(model)
        _c.library.ts_evaluator_add(self._c, ctypes.byref(record))

    def complete(self, prompts: Iterable[Union[Text, Mapping[str, Any]]], chat: Chat, completions_per_prompt: int = 10, model: Optional[str] = None,
                 templates: Optional[Path] = None, progress: Optional[Progress] = None, estimate: bool = False, raw: bool = False) -> Completed:
        """Has a chat service complete prompts and adds the completions: the paper's baselines. A prompt is the beginning of a story, or a mapping with any of prompt,
        words, sentence, features and summary. chat: the service, with a journal of its own; model: what the records call it. What stops it, the same call goes on; records
        are added once every reply is there. estimate: send nothing, and tell what it would cost at most. raw: for models that know no chat, the beginning itself
        goes to "/completions", and what comes is the completion."""
        if isinstance(prompts, (str, bytes, bytearray, memoryview, Mapping)):
            raise TypeError("expected an iterable of prompts, not one prompt")
        asked = [_record(**one) if isinstance(one, Mapping) else _record(one) for one in prompts]
        pointers = (ctypes.POINTER(_c.ts_record) * len(asked))(*map(ctypes.pointer, asked))
        options, report, watch = options_of(_c.ts_completer_options, _c.library.ts_completer_options_init), report_of(_c.ts_completer_report), progress_callback(progress)
        options.chat = ctypes.pointer(chat._options)
        options.model = None if model is None else _text(model)
        options.templates = None if templates is None else path_bytes(templates)
        options.per_prompt, options.estimate, options.raw = integer(completions_per_prompt, "completions_per_prompt"), bool(estimate), bool(raw)
        with interruptible():
            _c.library.ts_evaluator_complete(self._c, pointers, len(asked), ctypes.byref(options), watch, None, ctypes.byref(report))
        return Completed(report.wanted, report.added, report.ended, report.unusable, report.pending, ChatReport._of(report.chat))

    def suspicion(self, index: int) -> Suspicion:
        """Why a record's completion is suspicious: it seems to speak to the judge. A flag that lowers no grade."""
        pointer, bits = self._c, ctypes.c_uint32()
        _c.library.ts_evaluator_suspicion(pointer, integer(index, "index", ctypes.c_uint64), ctypes.byref(bits))
        return Suspicion(bits.value)

    def followed(self, index: int) -> Dict[str, Followed]:
        """What rules find in a record's completion of its instruction, by part; parts that were not asked for are left out."""
        pointer, report = self._c, report_of(_c.ts_followed)
        _c.library.ts_evaluator_followed(pointer, integer(index, "index", ctypes.c_uint64), ctypes.byref(report))
        return {part: Followed(asked, found) for part, asked, found in zip(PARTS, report.asked, report.found) if asked}

    def add_file(self, path: Path) -> None:
        """Adds the records of a file of JSON lines (see tinystories/evaluator.h)."""
        _c.library.ts_evaluator_add_file(self._c, path_bytes(path))

    def __len__(self) -> int:
        return _c.library.ts_evaluator_count(self._c)

    def record(self, index: int) -> Dict[str, str]:
        """A record as a dictionary of what it has."""
        pointer, record = self._c, report_of(_c.ts_record)
        _c.library.ts_evaluator_record(pointer, integer(index, "index", ctypes.c_uint64), ctypes.byref(record))
        fields = {name: getattr(record, name) for name in ("prompt", "completion", "model", *PARTS)}
        return {name: value.decode() for name, value in fields.items() if value is not None}

    @property
    def models(self) -> List[str]:
        """The models among the records, in the order in which they came."""
        pointer, names = self._c, []
        while (name := _c.library.ts_evaluator_model(pointer, len(names))) is not None:
            names.append(name.decode())
        return names

    def run(self, progress: Optional[Progress] = None) -> None:
        """Has every record judged that is not yet. What was paid for is in the journal, whatever stops it; the next call goes on."""
        watch = progress_callback(progress)
        with interruptible():
            _c.library.ts_evaluator_run(self._c, watch, None)

    def judgment(self, index: int, repeat: int = 0) -> Judgment:
        pointer, judgment = self._c, report_of(_c.ts_judgment)
        _c.library.ts_evaluator_judgment(pointer, integer(index, "index", ctypes.c_uint64), integer(repeat, "repeat"), ctypes.byref(judgment))
        return Judgment._of(judgment)

    def judgments(self, index: int) -> List[Judgment]:
        """All judgments of a record."""
        return [self.judgment(index, repeat) for repeat in range(self._repeats)]

    def evaluate(self, model: Optional[str] = None) -> Evaluation:
        """The results of all records, or of one model's."""
        evaluation = report_of(_c.ts_evaluation)
        _c.library.ts_evaluator_evaluate(self._c, None if model is None else _text(model), ctypes.byref(evaluation))
        return Evaluation._of(evaluation)

    def compare(self, left: str, right: str) -> Dict[str, Comparison]:
        """Two models on the prompts that both completed, by axis."""
        c = report_of(_c.ts_comparison)
        _c.library.ts_evaluator_compare(self._c, _text(left), _text(right), ctypes.byref(c))
        return {axis: Comparison(c.prompts[i], c.wins[i], c.losses[i], number_or_none(c.difference[i]), number_or_none(c.low[i]), number_or_none(c.high[i]))
                for i, axis in enumerate(AXES)}

    def duel(self, left: str, right: str, progress: Optional[Progress] = None) -> Duel:
        """Has the chat judge say which of two models' completions of a prompt is better, in both orders. What stops it, the next call goes on."""
        duel, watch = report_of(_c.ts_duel), progress_callback(progress)
        with interruptible():
            _c.library.ts_evaluator_duel(self._c, _text(left), _text(right), watch, None, ctypes.byref(duel))
        values = [getattr(duel, field.name) for field in dataclasses.fields(Duel)]
        return Duel(*(number_or_none(value) if isinstance(value, float) else value for value in values))

    def mark(self, progress: Optional[Progress] = None) -> None:
        """Has the chat judge mark every record as right, partly right or wrong."""
        watch = progress_callback(progress)
        with interruptible():
            _c.library.ts_evaluator_mark(self._c, watch, None)

    def mark_of(self, index: int) -> Mark:
        pointer, mark = self._c, ctypes.c_uint32()
        _c.library.ts_evaluator_mark_of(pointer, integer(index, "index", ctypes.c_uint64), ctypes.byref(mark))
        return Mark(mark.value)

    def write(self, path: Path) -> None:
        """Writes everything as one JSON object."""
        _c.library.ts_evaluator_write(self._c, path_bytes(path))

    def measures(self, index: int) -> Dict[str, float]:
        """The measures that the embedded judge grades a record by."""
        pointer, values = self._c, (ctypes.c_double * _c.TS_MEASURE_COUNT)()
        _c.library.ts_evaluator_measures(pointer, integer(index, "index", ctypes.c_uint64), values)
        return {_c.library.ts_measure_name(i).decode(): value for i, value in enumerate(values)}

    def prompt(self, index: int, turn: int = 0) -> str:
        """What the chat service is asked about a record: turn 0 the assessment, 1 the grades."""
        return read_text(_c.library.ts_evaluator_prompt, self._c, integer(index, "index", ctypes.c_uint64), integer(turn, "turn"))

    def estimate(self) -> ChatReport:
        """What the chat service would cost at most, what the journal has left out. Nothing is sent."""
        return chat_report(_c.library.ts_evaluator_estimate, self._c)

    def chat_report(self) -> ChatReport:
        """What the chat service's journal holds and has cost."""
        return chat_report(_c.library.ts_evaluator_chat_report, self._c)


def _record(prompt: Text = "", words: Union[str, Sequence[str], None] = None, sentence: Optional[str] = None, features: Union[str, Sequence[str], None] = None,
            summary: Optional[str] = None) -> Any:
    record, data = report_of(_c.ts_record), text_bytes(prompt)
    record.prompt, record.prompt_size = data, len(data)
    for name, value in zip(PARTS, (words, sentence, features, summary)):
        if value is not None:
            setattr(record, name, _text(value if isinstance(value, str) else ", ".join(value)))
    return record


def _text(value: str) -> bytes:
    encoded = text_bytes(value)
    if b"\0" in encoded:
        raise ValueError("a text must not contain a null byte")
    return encoded


def read_grades(reply: Text, plot: bool = False) -> Judgment:
    """Reads grades out of a reply as the chat judge's are read, strictly; `plot`: that grade must be there too."""
    encoded, judgment = text_bytes(reply), report_of(_c.ts_judgment)
    _c.library.ts_grades_read(encoded, len(encoded), 15 if plot else 7, ctypes.byref(judgment))
    return Judgment._of(judgment)


def read_prompts(path: Path, runtime: Optional[Runtime] = None) -> List[str]:
    """The beginnings of stories in a file: text, or a list in YAML (see tinystories/evaluator.h)."""
    shared, name = runtime_pointer(runtime), path_bytes(path)
    prompts = make(_c.ts_prompts, _c.library.ts_prompts_free, lambda out: _c.library.ts_prompts_open(out, shared, name), (shared,))
    return [_c.library.ts_prompts_get(prompts, i, None).decode() for i in range(_c.library.ts_prompts_count(prompts))]
