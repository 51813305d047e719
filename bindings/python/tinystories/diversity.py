"""Diversity and novelty: how much of what a model writes is copied, from the training text, from the true endings, from itself (paper section 4.4)."""

from __future__ import annotations

import ctypes
import dataclasses
from typing import Any, Dict, Iterator, List, Optional, Sequence, Union

from . import _c
from ._handle import (Handle, Path, Progress, Text, fill, integer, interruptible, make, number_or_none, options_of, path_array, path_bytes, pointer_of,
                      progress_callback, report_of, text_bytes)
from .model import Model
from .runtime import Runtime, runtime_pointer

_NONE = 2**64 - 1


def _index(value: int) -> Optional[int]:
    return None if value == _NONE else value


@dataclasses.dataclass(frozen=True)
class Overlap:
    """The k-grams (as sets) of two texts: how many the first and the second have, and both; R_k,p either way, and the symmetric R_k. None: no k-gram."""

    first: int
    second: int
    common: int
    precision: Optional[float]
    recall: Optional[float]
    f: Optional[float]


def overlap(first: Text, second: Text, k: int = 2, runtime: Optional[Runtime] = None) -> Overlap:
    """Compares two texts by their k-grams of words, k from 1 to 64."""
    one, two, report = text_bytes(first), text_bytes(second), report_of(_c.ts_overlap)
    _c.library.ts_overlap_measure(runtime_pointer(runtime), one, len(one), two, len(two), integer(k, "k"), ctypes.byref(report))
    return Overlap(report.first, report.second, report.common, number_or_none(report.precision), number_or_none(report.recall), number_or_none(report.f))


def cut_at_repeat(text: Text, k: int = 4, runtime: Optional[Runtime] = None) -> Text:
    """The text before the first k-gram that it had before, as the paper cuts its baselines; of the same type as the text."""
    data, size = text_bytes(text), ctypes.c_size_t()
    _c.library.ts_repeat_cut(runtime_pointer(runtime), data, len(data), integer(k, "k"), ctypes.byref(size))
    return data[:size.value].decode() if isinstance(text, str) else data[:size.value]


@dataclasses.dataclass(frozen=True)
class Match:
    """What the training text has of a text. The nearest story has the most of its 2-grams; `copied` is the longest run of words that a story has too, and
    `source` that run there. Positions and sizes are in bytes of UTF-8. Stories are indices for Novelty.story, None when there is none."""

    words: int
    bigrams: int
    nearest_common: int
    nearest_story: Optional[int]
    nearest_precision: Optional[float]
    copied_words: int
    copied_begin: int
    copied_size: int
    source_story: Optional[int]
    source_begin: int
    source_size: int

    @classmethod
    def _of(cls, report: Any) -> "Match":
        values = {field.name: getattr(report, field.name) for field in dataclasses.fields(cls)}
        values["nearest_precision"] = number_or_none(values["nearest_precision"])
        for name in ("nearest_story", "source_story"):
            values[name] = _index(values[name])
        return cls(**values)


class Novelty(Handle):
    """An index of a training text, made once by Novelty.build and then mapped. One thread at a time."""

    def __init__(self, path: Path, runtime: Optional[Runtime] = None) -> None:
        pointer, name = runtime_pointer(runtime), path_bytes(path)
        self._pointer = make(_c.ts_novelty, _c.library.ts_novelty_free, lambda out: _c.library.ts_novelty_open(out, pointer, name))

    @staticmethod
    def build(paths: Union[Path, Sequence[Path]], out: Path, progress: Optional[Progress] = None, runtime: Optional[Runtime] = None, **options: Any) -> None:
        """Makes an index of files of stories (.txt, .jsonl, each also .gz), about twice as large as the text. Option: working_memory, bytes to sort in.
        progress(done, total) counts bytes; what it stops leaves the file that was there before."""
        files, shared, watch, name = path_array(paths), runtime_pointer(runtime), progress_callback(progress), path_bytes(out)
        values = fill(options_of(_c.ts_novelty_options, _c.library.ts_novelty_options_init), options, ("working_memory",))
        values.progress = watch
        with interruptible():
            _c.library.ts_novelty_build(shared, files, len(files), name, ctypes.byref(values))

    def describe(self) -> Dict[str, Any]:
        """stories, bytes, words, distinct_words, and grams: how many 1- to 5-grams the training text has."""
        report = report_of(_c.ts_novelty_about)
        _c.library.ts_novelty_describe(self._c, ctypes.byref(report))
        values = {name: getattr(report, name) for name in ("stories", "bytes", "words", "distinct_words")}
        return {**values, "grams": list(report.grams)}

    def story(self, index: int) -> bytes:
        """A training story, as it is in the text."""
        pointer, text, size = self._c, ctypes.POINTER(ctypes.c_char)(), ctypes.c_size_t()
        _c.library.ts_novelty_story(pointer, integer(index, "index", ctypes.c_uint64), ctypes.byref(text), ctypes.byref(size))
        return ctypes.string_at(text, size.value)

    def count(self, text: Text) -> int:
        """How often the words of `text` stand in a row in the training text."""
        data, count = text_bytes(text), ctypes.c_uint64()
        _c.library.ts_novelty_count(self._c, data, len(data), ctypes.byref(count))
        return count.value

    def find(self, text: Text) -> Match:
        """The nearest training story and the longest copied run of a text."""
        data, report = text_bytes(text), report_of(_c.ts_novelty_match)
        _c.library.ts_novelty_find(self._c, data, len(data), ctypes.byref(report))
        return Match._of(report)


@dataclasses.dataclass(frozen=True)
class Beginning:
    """A training story to be told anew: its beginning, how it truly goes on, and its number in the files."""

    beginning: str
    ending: str
    story: int


def read_beginnings(paths: Union[Path, Sequence[Path]], runtime: Optional[Runtime] = None, model: Optional[Model] = None, **options: Any) -> List[Beginning]:
    """Draws stories of files at random and cuts each behind about 40 % of its words, as the paper does. model: draw of those alone that its context holds whole.
    Options: count (100), share (0.4) and seed."""
    files, shared = path_array(paths), runtime_pointer(runtime)
    values = fill(options_of(_c.ts_beginnings_options, _c.library.ts_beginnings_options_init), options, ("count", "share", "seed"))
    if model is not None:
        values.tokenizer, values.max_tokens = _c.library.ts_model_tokenizer(model._c), model.architecture.context_length - 1
    drawn = make(_c.ts_beginnings, _c.library.ts_beginnings_free, lambda out: _c.library.ts_beginnings_open(out, shared, files, len(files), ctypes.byref(values)), (shared,))
    found = []
    for index in range(_c.library.ts_beginnings_count(drawn)):
        one = report_of(_c.ts_beginning)
        _c.library.ts_beginnings_get(drawn, index, ctypes.byref(one))
        found.append(Beginning(one.beginning.decode(), one.ending.decode(), one.story))
    return found


@dataclasses.dataclass(frozen=True)
class DiversityItem:
    """A completion's measures: s against its true ending, r and which completion is nearest, and what the training text has of it. None: undefined."""

    words: int
    ending_precision: Optional[float]
    nearest_f: Optional[float]
    nearest: Optional[int]
    match: Optional[Match]


class Diversity(Handle):
    """A set of completions, measured as the paper does. `novelty` is the index of the training text; without it there are no h, g and copied runs."""

    def __init__(self, novelty: Optional[Novelty] = None, runtime: Optional[Runtime] = None) -> None:
        pointer, index = runtime_pointer(runtime), pointer_of(novelty, Novelty, optional=True)
        self._pointer = make(_c.ts_diversity, _c.library.ts_diversity_free, lambda out: _c.library.ts_diversity_new(out, pointer, index), kept=(index,))
        self._indexed, self._count = novelty is not None, 0

    def add(self, completion: Text, ending: Optional[Text] = None) -> None:
        """Adds what a model wrote, without its prompt; `ending` is how the story of that prompt truly goes on."""
        data, truth = text_bytes(completion), None if ending is None else text_bytes(ending)
        _c.library.ts_diversity_add(self._c, data, len(data), truth, len(truth or b""))
        self._count += 1

    def add_file(self, path: Path, cut: int = 0) -> int:
        """Adds the completions of a file: .jsonl with `completion` (else `story`, `text`) and `ending`, or stories. `cut` cuts each at its first repeated
        k-gram. Gives how many there were."""
        count = ctypes.c_uint64()
        try:
            _c.library.ts_diversity_add_file(self._c, path_bytes(path), integer(cut, "cut"), ctypes.byref(count))
        finally:
            self._count += count.value
        return count.value

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> DiversityItem:
        if not 0 <= index < self._count:
            raise IndexError(f"there is no completion {index}")
        item = report_of(_c.ts_diversity_item)
        _c.library.ts_diversity_item_at(self._c, index, ctypes.byref(item))
        return DiversityItem(item.words, number_or_none(item.ending_precision), number_or_none(item.nearest_f), _index(item.nearest),
                             Match._of(item.match) if self._indexed else None)

    def __iter__(self) -> Iterator[DiversityItem]:
        return (self[index] for index in range(self._count))

    def measure(self) -> Dict[str, Any]:
        """All completions together: counts and means (None when no completion has the measure), and for k = 1 to 5 the k-grams, those that never occur in
        the training text, and the histogram of log10 g: never, then -10 to 0 in steps of a half."""
        report = report_of(_c.ts_diversity_report)
        _c.library.ts_diversity_measure(self._c, ctypes.byref(report))
        values: Dict[str, Any] = {}
        for name, kind in report._fields_[1:-3]:
            value = getattr(report, name)
            values[name] = number_or_none(value) if kind is ctypes.c_double else value
        bins = _c.TS_DIVERSITY_BINS
        values["grams"] = [{"k": k + 1, "count": report.grams[k], "never": report.never[k], "histogram": list(report.histogram[bins * k:bins * (k + 1)])}
                           for k in range(_c.TS_NOVELTY_GRAM)]
        return values
