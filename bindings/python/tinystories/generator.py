"""Generators: write a dataset of stories."""

from __future__ import annotations

import ctypes
import dataclasses
import enum
from typing import Any, Iterator, List, Optional, Tuple

from . import _c
from ._handle import Handle, Path, Progress, fill, integer, interruptible, make, member, options_of, path_bytes, progress_callback, report_of
from .errors import BufferTooSmallError
from .runtime import Runtime, runtime_pointer


class Feature(enum.IntFlag):
    """What a story may be asked for."""

    DIALOGUE = _c.TS_FEATURE_DIALOGUE
    BAD_ENDING = _c.TS_FEATURE_BAD_ENDING
    MORAL_VALUE = _c.TS_FEATURE_MORAL_VALUE
    TWIST = _c.TS_FEATURE_TWIST
    FORESHADOWING = _c.TS_FEATURE_FORESHADOWING
    CONFLICT = _c.TS_FEATURE_CONFLICT


class Author(enum.IntEnum):
    EMBEDDED = _c.TS_AUTHOR_EMBEDDED  # writes by itself
    CHAT = _c.TS_AUTHOR_CHAT  # a chat service; UnsupportedError in this version


class WordKind(enum.IntEnum):
    VERBS = 0
    NOUNS = 1
    ADJECTIVES = 2
    ALL = 3  # every form of every word that a story may hold


@dataclasses.dataclass(frozen=True)
class Story:
    """A story and how it came about. `words` are the drawn verb, noun and adjective, as in the vocabulary; paragraphs are divided by an empty line."""

    story: str
    words: Tuple[str, str, str]
    summary: str
    source: str
    seed: int
    index: int
    features: Feature

    @property
    def feature_names(self) -> List[str]:
        """The features as the published dataset names them: "Dialogue", "BadEnding", ..."""
        bits = (1 << shift for shift in range(_c.TS_FEATURE_COUNT))
        return [_c.library.ts_feature_name(bit).decode() for bit in bits if self.features & bit]

    def json(self) -> str:
        """The story as a line of .jsonl, as Generator.write writes it."""
        record, text = report_of(_c.ts_story), self.story.encode()
        record.story, record.story_size = text, len(text)
        record.words = (ctypes.c_char_p * 3)(*(word.encode() for word in self.words))
        record.summary, record.source = self.summary.encode(), self.source.encode()
        record.seed, record.index, record.features = self.seed, self.index, int(self.features)
        size, capacity = ctypes.c_size_t(), 2 * len(text) + 512
        while True:
            line = ctypes.create_string_buffer(capacity)
            try:
                _c.library.ts_story_json(ctypes.byref(record), line, capacity, ctypes.byref(size))
                return line.raw[: size.value].decode()
            except BufferTooSmallError:
                capacity = size.value + 1

    def __str__(self) -> str:
        return self.story


class Generator(Handle):
    """Writes stories without end; iterate, or write() a file. Story `index` is a function of (seed, index, vocabulary) alone. Belongs to one thread at a
    time (BusyError).

    seed: 0 to 2**64 - 1. first: index of the first story. vocabulary: path of a file that replaces the built-in words (FormatError names file, line and
    word). features: those that may be drawn; None: all.
    """

    def __init__(self, seed: int = 0, first: int = 0, vocabulary: Optional[Path] = None, features: Optional[int] = None, author: Any = Author.EMBEDDED,
                 runtime: Optional[Runtime] = None) -> None:
        shared, options = runtime_pointer(runtime), options_of(_c.ts_generator_options, _c.library.ts_generator_options_init)
        values = {"seed": seed, "first": first, "author": member(Author, author, "author")}
        if features is not None:
            values["features"] = features
        fill(options, values, ("seed", "first", "author", "features"))
        options.vocabulary = None if vocabulary is None else path_bytes(vocabulary)
        self._pointer = make(_c.ts_generator, _c.library.ts_generator_free,
                             lambda out: _c.library.ts_generator_new(out, shared, ctypes.byref(options)), (shared,))

    def __iter__(self) -> Iterator[Story]:
        return self

    def __next__(self) -> Story:
        """The next story. There is always one."""
        pointer, story = self._c, report_of(_c.ts_story)
        _c.library.ts_generator_next(pointer, ctypes.byref(story))
        words = tuple(word.decode() for word in story.words)
        return Story(story.story.decode(), words, story.summary.decode(), story.source.decode(), story.seed, story.index, Feature(story.features))

    def seek(self, index: int) -> None:
        """Goes to story `index`; the next one read is it."""
        _c.library.ts_generator_seek(self._c, integer(index, "index", ctypes.c_uint64))

    def write(self, count: int, path: Path, progress: Optional[Progress] = None) -> None:
        """Writes the next `count` stories into a .txt or .jsonl file (each also .gz), replaced as a whole. progress(done, total) counts stories; when it
        returns something true (CancelledError) or raises, no file is left."""
        number, where, watch = integer(count, "count", ctypes.c_uint64), path_bytes(path), progress_callback(progress)
        with interruptible():
            _c.library.ts_generator_write(self._c, number, where, watch, None)

    def words(self, kind: Any = WordKind.ALL) -> List[str]:
        """The vocabulary: "verbs", "nouns", "adjectives", or "all" for every form of every word that a story may hold."""
        pointer, count = self._c, ctypes.c_size_t()
        words = _c.library.ts_generator_words(pointer, integer(member(WordKind, kind, "kind"), "kind"), ctypes.byref(count))
        return [words[i].decode() for i in range(count.value)] if words else []
