"""Generators: write a dataset of stories."""

from __future__ import annotations

import ctypes
import dataclasses
import enum
import json
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple, Union

from . import _c
from ._handle import (Handle, Path, Progress, callback, fill, integer, interruptible, make, member, options_of, path_bytes, progress_callback, report_of,
                      text_bytes)
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
    CHAT = _c.TS_AUTHOR_CHAT  # a chat service


class Unfit(enum.IntFlag):
    """In what a chat service's story does not fit what was asked."""

    WORDS = _c.TS_UNFIT_WORDS  # it has not all the drawn words, in any form
    LANGUAGE = _c.TS_UNFIT_LANGUAGE  # it is not in English


class WordKind(enum.IntEnum):
    VERBS = 0
    NOUNS = 1
    ADJECTIVES = 2
    ALL = 3  # every form of every word that a story may hold


_CHAT_TEXTS = ("base_url", "model", "key", "proxy", "extra")
_CHAT_PATHS = ("journal", "key_file", "ca_file", "prices")
_CHAT_NUMBERS = tuple(name for name, kind in _c.ts_chat_options._fields_[1:] if kind in (ctypes.c_double, ctypes.c_uint32, ctypes.c_uint64))


class Chat:
    """A chat service for generators: Chat(model="...", journal="stories.journal", key=...). It holds options alone; a generator opens the service.

    Required: model, and journal, the path of the file where replies are kept. Texts: base_url, model, key, proxy, extra (JSON). Paths: journal, key_file,
    ca_file, prices. read_key: a function that returns the key. Numbers: temperature, top_p, connect_seconds, silent_seconds, total_seconds,
    max_money, max_seconds, requests_per_minute, tokens_per_minute, max_requests, max_tokens, reply_tokens, old_names, in_flight, attempts, stream,
    send_seed. What they mean tinystories/chat.h tells. Nothing is taken from the environment; the key is not in repr(), and it cannot be pickled.
    """

    __slots__ = ("_options", "_kept", "_read_key")

    def __init__(self, *, read_key: Optional[Callable[[], Union[str, bytes]]] = None, **values: Any) -> None:
        self._options = options_of(_c.ts_chat_options, _c.library.ts_chat_options_init)
        self._kept: List[bytes] = []
        numbers = {}
        for name, value in values.items():
            if value is None:
                continue
            if name in _CHAT_TEXTS or name in _CHAT_PATHS:
                self._set(name, path_bytes(value) if name in _CHAT_PATHS else text_bytes(value))
            else:
                numbers[name] = value
        fill(self._options, numbers, _CHAT_TEXTS + _CHAT_PATHS + _CHAT_NUMBERS)
        self._read_key = None
        if read_key is not None:
            self._read_key = callback(_c.ts_read_key, lambda user, key, capacity: _give_key(read_key, key, capacity))
            self._options.read_key = self._read_key

    def _set(self, name: str, value: bytes) -> None:
        if b"\0" in value:
            raise ValueError(f"{name} must not contain a null byte")
        self._kept.append(value)
        setattr(self._options, name, value)

    def __repr__(self) -> str:
        return f"Chat(model={(self._options.model or b'').decode(errors='replace')!r})"

    def __reduce__(self) -> Any:
        raise TypeError("a Chat cannot be pickled: it may hold a key")


def _give_key(read_key: Callable[[], Union[str, bytes]], key: Any, capacity: int) -> bool:
    given = text_bytes(read_key())
    if len(given) >= capacity:
        raise ValueError("the key is too long")
    if b"\0" in given:
        raise ValueError("the key must not contain a null byte")
    ctypes.memmove(key, given + b"\0", len(given) + 1)
    return False


@dataclasses.dataclass(frozen=True)
class ChatReport:
    """What a journal holds and has cost, all runs together; of an estimate: what it would be. The fields are those of ts_chat_report."""

    requests: int
    answered: int
    cut: int
    filtered: int
    invalid: int
    retries: int
    unknown: int
    possibly_paid_twice: int
    prompt_tokens: int
    completion_tokens: int
    estimated_tokens: int
    reserved_tokens: int
    damaged_lines: int
    money: float
    reserved_money: float
    doubtful_tokens: int
    doubtful_money: float
    unfit: int
    repeated: int

    @classmethod
    def _of(cls, report: Any) -> "ChatReport":
        return cls(**{field.name: getattr(report, field.name) for field in dataclasses.fields(cls)})


@dataclasses.dataclass(frozen=True)
class BatchReport:
    """What a call for batches did. The fields are those of ts_batch_report."""

    left: int
    files: int
    requests: int
    results: int
    known: int
    failed: int
    foreign: int
    waiting: int
    done: int
    total: int


def read_text(call: Any, *arguments: Any) -> str:
    """The text that a function writes into a buffer, its last three arguments."""
    size, capacity = ctypes.c_size_t(), 1024
    while True:
        text = ctypes.create_string_buffer(capacity)
        try:
            call(*arguments, text, capacity, ctypes.byref(size))
            return text.raw[: size.value].decode()
        except BufferTooSmallError:
            capacity = size.value + 1


def batch_report(call: Any, *arguments: Any) -> BatchReport:
    """What a function reports of batches in its last argument."""
    report = report_of(_c.ts_batch_report)
    call(*arguments, ctypes.byref(report))
    return BatchReport(**{field.name: getattr(report, field.name) for field in dataclasses.fields(BatchReport)})


def chat_report(call: Any, *arguments: Any) -> ChatReport:
    """The same of a journal."""
    report = report_of(_c.ts_chat_report)
    call(*arguments, ctypes.byref(report))
    return ChatReport._of(report)


def merge_journal(call: Any, pointer: Any, journal: Path) -> int:
    """How many replies were taken over."""
    taken = ctypes.c_uint64()
    call(pointer, path_bytes(journal), ctypes.byref(taken))
    return taken.value


@dataclasses.dataclass(frozen=True)
class Story:
    """A story and how it came about. `words` are the drawn verb, noun and adjective, as in the vocabulary; paragraphs are divided by an empty line. `drawn`
    is what else was drawn for a chat service's prompt: {"theme": "being brave", ...}; `provenance` who answered and what it took: {"model": ...,
    "prompt_tokens": ...}; `unfit` in what it does not fit, where that is allowed."""

    story: str
    words: Tuple[str, str, str]
    summary: str
    source: str
    seed: int
    index: int
    features: Feature
    drawn: Dict[str, str] = dataclasses.field(default_factory=dict)
    provenance: Dict[str, Any] = dataclasses.field(default_factory=dict)
    unfit: Unfit = Unfit(0)

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
        record.drawn = json.dumps(self.drawn).encode() if self.drawn else b""
        record.provenance = json.dumps(self.provenance).encode() if self.provenance else b""
        record.unfit = int(self.unfit)
        return read_text(_c.library.ts_story_json, ctypes.byref(record))

    def __str__(self) -> str:
        return self.story


class Generator(Handle):
    """Writes stories without end; iterate, or write() a file. Story `index` is a function of (seed, index, vocabulary) alone. Belongs to one thread at a
    time (BusyError).

    seed: 0 to 2**64 - 1. first: index of the first story. vocabulary: path of a file that replaces the built-in words (FormatError names file, line and
    word). features: those that may be drawn; None: all. author: "embedded", or "chat", which is the default when `chat` is given: the Chat that writes.
    prompt: path of a template for the chat author. shard, shards: only stories whose index is `shard` modulo `shards`. varied: the chat author draws a theme,
    a topic, a style and more too. stories_a_call: that it asks for at a time. reject: Unfit, in what its stories must fit to be used; None: all. asks: how
    often it asks at most for what cannot be used. hero_name, friend_name: of the vocabulary's names, what the embedded author calls hero and friend in every
    story; None: drawn for each. plots: it tells only its first so many plots; 0: all.
    """

    def __init__(self, seed: int = 0, first: int = 0, vocabulary: Optional[Path] = None, features: Optional[int] = None, author: Any = None,
                 runtime: Optional[Runtime] = None, chat: Optional[Chat] = None, prompt: Optional[Path] = None, shard: int = 0,
                 shards: int = 1, varied: bool = False, stories_a_call: int = 1, reject: Optional[int] = None, asks: int = 1,
                 hero_name: Optional[str] = None, friend_name: Optional[str] = None, plots: int = 0) -> None:
        shared, options = runtime_pointer(runtime), options_of(_c.ts_generator_options, _c.library.ts_generator_options_init)
        if author is None:
            author = Author.EMBEDDED if chat is None else Author.CHAT
        values = {"seed": seed, "first": first, "author": member(Author, author, "author"), "shard": shard, "shards": shards,
                  "varied": int(varied), "stories_a_call": stories_a_call, "asks": asks, "plots": plots}
        if features is not None:
            values["features"] = features
        if reject is not None:
            values["reject"] = int(reject)
        fill(options, values, ("seed", "first", "author", "features", "shard", "shards", "varied", "stories_a_call", "reject", "asks", "plots"))
        options.vocabulary = None if vocabulary is None else path_bytes(vocabulary)
        options.prompt = None if prompt is None else path_bytes(prompt)
        options.hero_name, options.friend_name = (None if name is None else text_bytes(name) for name in (hero_name, friend_name))
        if chat is not None:
            options.chat = ctypes.pointer(chat._options)
        self._pointer = make(_c.ts_generator, _c.library.ts_generator_free,
                             lambda out: _c.library.ts_generator_new(out, shared, ctypes.byref(options)), (shared,))

    def __iter__(self) -> Iterator[Story]:
        return self

    def __next__(self) -> Story:
        """The next story. There is always one."""
        pointer, story = self._c, report_of(_c.ts_story)
        _c.library.ts_generator_next(pointer, ctypes.byref(story))
        words = tuple(word.decode() for word in story.words)
        return Story(story.story.decode(), words, story.summary.decode(), story.source.decode(), story.seed, story.index, Feature(story.features),
                     json.loads(story.drawn or b"{}"), json.loads(story.provenance or b"{}"), Unfit(story.unfit))

    def seek(self, index: int) -> None:
        """Goes to story `index`; the next one read is it."""
        _c.library.ts_generator_seek(self._c, integer(index, "index", ctypes.c_uint64))

    def write(self, count: int, path: Path, progress: Optional[Progress] = None) -> None:
        """Writes the next `count` stories into a .txt or .jsonl file (each also .gz), replaced as a whole. progress(done, total) counts stories; when it
        returns something true (CancelledError) or raises, no file is left; replies of a chat service that are on their way are waited for and kept."""
        number, where, watch = integer(count, "count", ctypes.c_uint64), path_bytes(path), progress_callback(progress)
        with interruptible():
            _c.library.ts_generator_write(self._c, number, where, watch, None)

    def prompt(self, index: int) -> str:
        """What the chat service is asked for story `index`."""
        return read_text(_c.library.ts_generator_prompt, self._c, integer(index, "index", ctypes.c_uint64))

    def estimate(self, count: int) -> ChatReport:
        """What the next `count` stories would cost at most of the chat service, those in the journal left out. Nothing is sent."""
        return chat_report(_c.library.ts_generator_estimate, self._c, integer(count, "count", ctypes.c_uint64))

    def chat_report(self) -> ChatReport:
        """What the chat service's journal holds and has cost."""
        return chat_report(_c.library.ts_generator_chat_report, self._c)

    def ask(self, count: int, progress: Optional[Progress] = None) -> None:
        """Has the next `count` stories in the journal, many asked for at a time; iterating then gives them without a request."""
        number, watch = integer(count, "count", ctypes.c_uint64), progress_callback(progress)
        with interruptible():
            _c.library.ts_generator_ask(self._c, number, watch, None)

    def export(self, path: Path) -> int:
        """Writes every story that the journal has and that can be used, in the order of their indices; gives their number. Nothing is sent."""
        written = ctypes.c_uint64()
        with interruptible():
            _c.library.ts_generator_export(self._c, path_bytes(path), ctypes.byref(written))
        return written.value

    def merge(self, journal: Path) -> int:
        """Takes the replies of another shard's journal that this one lacks; gives their number."""
        return merge_journal(_c.library.ts_generator_merge, self._c, journal)

    def batch_step(self, count: int) -> BatchReport:
        """One step of having the next `count` stories written by the service's batch endpoints: collects what is there, submits what is missing. To be
        called again, a minute later or on another day, until `left` is 0; then write() has all it needs."""
        return batch_report(_c.library.ts_generator_batch_step, self._c, integer(count, "count", ctypes.c_uint64))

    def batch_write(self, count: int, path: Path) -> BatchReport:
        """Writes what the next `count` stories lack as OpenAI batch files: `path`, and on with .2, .3 before the ending."""
        return batch_report(_c.library.ts_generator_batch_write, self._c, integer(count, "count", ctypes.c_uint64), path_bytes(path))

    def batch_read(self, count: int, path: Path) -> BatchReport:
        """Reads a file of results or errors; `left` tells what of the next `count` stories is missing then."""
        return batch_report(_c.library.ts_generator_batch_read, self._c, integer(count, "count", ctypes.c_uint64), path_bytes(path))

    def words(self, kind: Any = WordKind.ALL) -> List[str]:
        """The vocabulary: "verbs", "nouns", "adjectives", or "all" for every form of every word that a story may hold."""
        pointer, count = self._c, ctypes.c_size_t()
        words = _c.library.ts_generator_words(pointer, integer(member(WordKind, kind, "kind"), "kind"), ctypes.byref(count))
        return [words[i].decode() for i in range(count.value)] if words else []


def journal_export(journal: Path, path: Path, reject: int = Unfit.WORDS | Unfit.LANGUAGE, runtime: Optional[Runtime] = None) -> Tuple[int, ChatReport]:
    """Writes the stories of a chat service's journal, whatever generator it was made by: where Generator raises MismatchError this still can. Gives their
    number, and what the journal holds and has cost. It is read and not changed."""
    written, report, shared = ctypes.c_uint64(), report_of(_c.ts_chat_report), runtime_pointer(runtime)
    with interruptible():
        _c.library.ts_journal_export(shared, path_bytes(journal), path_bytes(path), integer(reject, "reject", ctypes.c_uint32), ctypes.byref(written),
                                     ctypes.byref(report))
    return written.value, ChatReport._of(report)
