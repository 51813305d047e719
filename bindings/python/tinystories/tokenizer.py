"""Tokenizers: text to token ids and back."""

from __future__ import annotations

import ctypes
import dataclasses
from typing import Any, Iterable, Iterator, Optional, Sequence, Union

from . import _c
from ._handle import (Handle, Path, Progress, Text, fill, ids_array, integer, interruptible, make, options_of, path_array, path_bytes,
                      progress_callback, report_of, text_bytes, text_source)
from ._handle import numpy as _numpy
from .errors import BufferTooSmallError
from .runtime import Runtime, runtime_pointer

_TRAIN_OPTIONS = ("max_words", "vocabulary_size", "min_frequency")


@dataclasses.dataclass(frozen=True)
class ShardReport:
    """What a token shard holds: stories, tokens (ends of text included), bytes of the trimmed stories."""

    stories: int
    tokens: int
    bytes: int


class Tokenizer(Handle):
    """A byte-level BPE, SentencePiece or WordPiece. It never changes, and any number of threads may use one. Ids are 0 to len(tokenizer) - 1.

    Make one with Tokenizer.open, open_memory, train, train_files or prune.
    """

    def __init__(self) -> None:
        raise TypeError("use Tokenizer.open, open_memory, train, train_files or prune")

    # ---- making ----

    @classmethod
    def open(cls, path: Path, runtime: Optional[Runtime] = None) -> "Tokenizer":
        """Opens a tokenizer.json, a folder with one or with vocab.json and merges.txt, a tokenizer.bin of llama2.c, a rank file of tiktoken, or the
        tokenizer of a GGUF file.

        InputOutputError: cannot be read. FormatError: damaged. UnsupportedError: another kind of tokenizer, or settings that are not supported.
        LimitError: too large, or made to be slow.
        """
        where, shared = path_bytes(path), runtime_pointer(runtime)
        return cls._of(make(_c.ts_tokenizer, _c.library.ts_tokenizer_free, lambda out: _c.library.ts_tokenizer_open(out, shared, where), (shared,)))

    @classmethod
    def open_memory(cls, json: Text, runtime: Optional[Runtime] = None) -> "Tokenizer":
        """The same from the text of a tokenizer.json."""
        data, shared = text_bytes(json), runtime_pointer(runtime)
        return cls._of(make(_c.ts_tokenizer, _c.library.ts_tokenizer_free,
                            lambda out: _c.library.ts_tokenizer_open_memory(out, shared, data, len(data)), (shared,)))

    @classmethod
    def train(cls, texts: Iterable[Text], vocabulary_size: int = 4096, runtime: Optional[Runtime] = None, progress: Optional[Progress] = None,
              **options: int) -> "Tokenizer":
        """Trains a tokenizer on texts that are pulled one by one from an iterable of str or bytes.

        vocabulary_size: 257 to 2**20, bytes and end of text included. Options: min_frequency (a pair must occur this often to be merged; 2),
        max_words (distinct words held at once; 2**24). progress(done, total): first bytes read (total 0), then merges; stops when it returns
        something true (CancelledError) or raises. InvalidArgumentError: no text, a vocabulary out of range.
        """
        shared, source = runtime_pointer(runtime), text_source(texts)
        settings = _train_options(vocabulary_size, progress, options)
        with interruptible():
            return cls._of(make(_c.ts_tokenizer, _c.library.ts_tokenizer_free,
                                lambda out: _c.library.ts_tokenizer_train(out, shared, source, None, ctypes.byref(settings)), (shared,)))

    @classmethod
    def train_files(cls, paths: Union[Path, Sequence[Path]], vocabulary_size: int = 4096, runtime: Optional[Runtime] = None,
                    progress: Optional[Progress] = None, **options: int) -> "Tokenizer":
        """The same from files of stories (.txt, .jsonl, each also .gz)."""
        shared, files = runtime_pointer(runtime), path_array(paths)
        settings = _train_options(vocabulary_size, progress, options)
        with interruptible():
            return cls._of(make(_c.ts_tokenizer, _c.library.ts_tokenizer_free,
                                lambda out: _c.library.ts_tokenizer_train_files(out, shared, files, len(files), ctypes.byref(settings)), (shared,)))

    def prune(self, size: int, paths: Union[Path, Sequence[Path]]) -> "Tokenizer":
        """A smaller tokenizer of the `size` tokens that the files use most; bytes, specials and what kept tokens are merged from count and stay."""
        files, kept = path_array(paths), integer(size, "size")
        return self._of(make(_c.ts_tokenizer, _c.library.ts_tokenizer_free,
                             lambda out: _c.library.ts_tokenizer_prune_files(out, self._c, kept, files, len(files)), self._c.kept))

    def save(self, path: Path) -> None:
        """Writes NAME.json as a tokenizer.json, NAME.gguf as a GGUF file of the vocabulary alone, NAME.tiktoken as a rank file of tiktoken, NAME.bin as
        a tokenizer.bin of llama2.c; vocab.json and merges.txt into a folder that is there. Each file is replaced as a whole. UnsupportedError: what the
        format cannot hold."""
        _c.library.ts_tokenizer_save(self._c, path_bytes(path))

    # ---- encoding and decoding ----

    def encode(self, text: Text, specials: bool = False, numpy: bool = False) -> Any:
        """The ids of a text: a list of int, or a numpy array of uint32. No end of text is added.

        specials: the text of a special token in the input becomes that token. Never use it for text that you did not write. LimitError: above 1 GiB.
        """
        if numpy and _numpy is None:
            raise ImportError("encode(numpy=True) needs numpy")
        data, count = text_bytes(text), ctypes.c_size_t()
        flags = _c.TS_ENCODE_SPECIALS if specials else 0
        if numpy:
            array = _numpy.empty(len(data) + 1, _numpy.uint32)
            ids = array.ctypes.data_as(ctypes.POINTER(ctypes.c_uint32))
        else:
            ids = (ctypes.c_uint32 * (len(data) + 1))()
        _c.library.ts_tokenizer_encode(self._c, data, len(data), flags, ids, len(data) + 1, ctypes.byref(count))
        return array[: count.value].copy() if numpy else ids[: count.value]

    def decode_bytes(self, ids: Any) -> bytes:
        """The bytes of ids (a sequence of int, or without a copy a numpy array or array.array of uint32); specials give their text.
        InvalidArgumentError: an id that is none."""
        numbers, count = ids_array(ids)
        size, capacity = ctypes.c_size_t(), 8 * count + 1
        while True:
            text = ctypes.create_string_buffer(capacity)
            try:
                _c.library.ts_tokenizer_decode(self._c, numbers, count, text, capacity, ctypes.byref(size))
                return text.raw[: size.value]
            except BufferTooSmallError:
                capacity = size.value + 1

    def decode(self, ids: Any) -> str:
        """The same as str; bytes that are no UTF-8, such as half a character, become U+FFFD."""
        return self.decode_bytes(ids).decode("utf-8", "replace")

    def decode_stream(self, ids: Iterable[int]) -> Iterator[str]:
        """Decodes ids one by one into pieces of whole characters; a piece for every id (it may be "") and one for what is left over at the end."""
        stream, size = _c.ts_decode_stream(), ctypes.c_size_t()
        longest = 64

        def piece(number: int) -> str:
            nonlocal longest
            while True:
                text = ctypes.create_string_buffer(longest)
                try:
                    _c.library.ts_tokenizer_decode_next(self._c, ctypes.byref(stream), number, text, longest, ctypes.byref(size))
                    return text.raw[: size.value].decode()
                except BufferTooSmallError:
                    longest *= 2

        for one in ids:
            number = integer(one, "a token id")
            self._check_id(number)
            yield piece(number)
        rest = piece(_c.TS_TOKENIZER_NONE)
        if rest:
            yield rest

    # ---- what is in it ----

    def __len__(self) -> int:
        return _c.library.ts_tokenizer_size(self._c)

    @property
    def begin_of_text(self) -> Optional[int]:
        """The id that stories begin with: that of the beginning of text, else of the end of text."""
        return _known(_c.library.ts_tokenizer_begin_of_text(self._c))

    @property
    def end_of_text(self) -> Optional[int]:
        """The id of `<|endoftext|>`; None if there is none."""
        return _known(_c.library.ts_tokenizer_end_of_text(self._c))

    @property
    def kind(self) -> str:
        """"bytes" (a byte-level BPE), "pieces" (SentencePiece) or "words" (WordPiece)."""
        return {_c.TS_TOKENIZER_BYTES: "bytes", _c.TS_TOKENIZER_PIECES: "pieces", _c.TS_TOKENIZER_WORDS: "words"}[_c.library.ts_tokenizer_kind(self._c)]

    @property
    def merge_count(self) -> int:
        """How many merges its file lists."""
        return _c.library.ts_tokenizer_merge_count(self._c)

    @property
    def fingerprint(self) -> int:
        """64 bits, equal for equal tokenizers whatever file they came from; shards and checkpoints carry it."""
        return _c.library.ts_tokenizer_fingerprint(self._c)

    def token(self, id: int) -> bytes:
        """The bytes of a token. IndexError: an id that is none."""
        size, pointer = ctypes.c_size_t(), self._c
        text = _c.library.ts_tokenizer_token(pointer, integer(id, "id"), ctypes.byref(size))
        if not text:
            raise IndexError(f"id is {id}, expected 0 to {len(self) - 1}")
        return ctypes.string_at(text, size.value)

    def find(self, token: Text) -> Optional[int]:
        """The id of the token with exactly these bytes, specials included; None if there is none."""
        data = text_bytes(token)
        return _known(_c.library.ts_tokenizer_find(self._c, data, len(data)))

    def is_special(self, id: int) -> bool:
        return bool(_c.library.ts_tokenizer_is_special(self._c, integer(id, "id")))

    def _check_id(self, number: int) -> None:
        if number >= len(self):
            raise IndexError(f"id is {number}, expected 0 to {len(self) - 1}")

    # ---- token shards ----

    def encode_files(self, paths: Union[Path, Sequence[Path]], shard: Path, progress: Optional[Progress] = None) -> ShardReport:
        """Encodes files of stories into a token shard as llm.c reads it; one end of text before the first story and one after each.
        InvalidArgumentError: no story at all."""
        files, report, watch = path_array(paths), report_of(_c.ts_shard_report), progress_callback(progress)
        with interruptible():
            _c.library.ts_tokenizer_encode_files(self._c, files, len(files), path_bytes(shard), ctypes.byref(report), watch, None)
        return ShardReport(report.stories, report.tokens, report.bytes)

    def decode_shard(self, shard: Path, text: Path) -> None:
        """Decodes a shard into a .txt or .txt.gz file. MismatchError: the shard names another tokenizer."""
        _c.library.ts_tokenizer_decode_shard(self._c, path_bytes(shard), path_bytes(text))


def _known(id: int) -> Optional[int]:
    return None if id == _c.TS_TOKENIZER_NONE else id


def _train_options(vocabulary_size: int, progress: Optional[Progress], values: dict) -> Any:
    options = options_of(_c.ts_tokenizer_train_options, _c.library.ts_tokenizer_train_options_init)
    options.progress = progress_callback(progress)
    return fill(options, {"vocabulary_size": vocabulary_size, **values}, _TRAIN_OPTIONS)
