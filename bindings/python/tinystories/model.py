"""Models: a network's weights together with the tokenizer they belong to."""

from __future__ import annotations

import ctypes
import dataclasses
import enum
import math
import os
from typing import Any, BinaryIO, Dict, Iterable, List, Optional, Sequence, Union

from . import _c
from ._handle import (Handle, Path, Pointer, Progress, Text, callback, fill, float_array, ids_array, integer, interruptible, make, member, options_of,
                      path_array, path_bytes, pointer_of, progress_callback, report_of, text_source)
from .errors import BufferTooSmallError
from .runtime import Runtime, runtime_pointer
from .tokenizer import Tokenizer

_OPEN_OPTIONS = ("memory_limit", "map", "context_length", "widen")


class ModelFormat(enum.IntEnum):
    GGUF = _c.TS_MODEL_FORMAT_GGUF
    HUGGINGFACE = _c.TS_MODEL_FORMAT_HUGGINGFACE  # a folder: config.json, model.safetensors, tokenizer.json, tokenizer_config.json
    LLAMA2C_V0 = _c.TS_MODEL_FORMAT_LLAMA2C_V0  # NAME.bin, and the tokenizer as NAME.tokenizer.bin beside it
    LLAMA2C_V1 = _c.TS_MODEL_FORMAT_LLAMA2C_V1
    LLAMA2C_V2 = _c.TS_MODEL_FORMAT_LLAMA2C_V2


class ModelType(enum.IntEnum):
    F32 = _c.TS_MODEL_TYPE_F32
    F16 = _c.TS_MODEL_TYPE_F16
    BF16 = _c.TS_MODEL_TYPE_BF16
    Q8_0 = _c.TS_MODEL_TYPE_Q8_0  # GGUF alone: matrices in blocks of 32 numbers of 8 bits
    Q4_0 = _c.TS_MODEL_TYPE_Q4_0  # the same with 4 bits


@dataclasses.dataclass(frozen=True)
class TensorTypes:
    """How the numbers of a tensor are stored. file_type is `type` where the model is from no file; llama2.c's groups of 8 bits are Q8_0."""

    type: ModelType
    file_type: ModelType


class ArchitectureKind(enum.IntEnum):
    LLAMA = _c.TS_ARCHITECTURE_LLAMA  # RMS norm, rotary positions, SwiGLU, no biases, grouped key-value heads
    GPT2 = _c.TS_ARCHITECTURE_GPT2  # layer norm, learned positions, tanh-GELU, biases everywhere
    GPT_NEO = _c.TS_ARCHITECTURE_GPT_NEO  # GPT-2 with unscaled attention and a local window in every second layer


@dataclasses.dataclass
class Architecture:
    """The shape of a network. A 0 (but for width, layers and heads) is derived: the vocabulary from the tokenizer, key_value_heads = heads, hidden
    = 4 width (llama: 8/3 width, up to a multiple of 32), window = 256 for gpt_neo, rotary_base = 10,000 for llama, norm_epsilon = 1e-5."""

    kind: Union[ArchitectureKind, int, str] = ArchitectureKind.LLAMA
    vocabulary_size: int = 0
    context_length: int = 256
    width: int = 0
    layers: int = 0
    heads: int = 0
    key_value_heads: int = 0
    hidden: int = 0
    window: int = 0
    untied_head: int = 0
    rotary_base: float = 0.0
    norm_epsilon: float = 0.0

    @classmethod
    def preset(cls, name: str, **changes: Any) -> "Architecture":
        """A named shape, some of its fields changed: "laptop-1m", "paper-33m", ... InvalidArgumentError: unknown; the message lists all."""
        shape = _shape()
        _c.library.ts_architecture_preset(ctypes.byref(shape), _name_bytes(name))
        return dataclasses.replace(_architecture(shape), **changes)

    @staticmethod
    def presets() -> List[str]:
        """The names of all presets."""
        names: List[str] = []
        while True:
            name = _c.library.ts_architecture_preset_name(len(names))
            if name is None:
                return names
            names.append(name.decode())

    def complete(self) -> "Architecture":
        """The same with its zeros filled in. InvalidArgumentError names the field that cannot be."""
        shape = self._struct()
        _c.library.ts_architecture_parameters(ctypes.byref(shape), ctypes.byref(ctypes.c_uint64()))
        return _architecture(shape)

    @property
    def parameters(self) -> int:
        """The number of parameters, the tied head counted once. InvalidArgumentError as complete()."""
        count = ctypes.c_uint64()
        _c.library.ts_architecture_parameters(ctypes.byref(self._struct()), ctypes.byref(count))
        return count.value

    def _struct(self) -> Any:
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        values["kind"] = member(ArchitectureKind, self.kind, "kind")
        return fill(_shape(), values, values)


def _shape() -> Any:
    return options_of(_c.ts_architecture, _c.library.ts_architecture_init)


def _architecture(shape: Any) -> Architecture:
    values = {field.name: getattr(shape, field.name) for field in dataclasses.fields(Architecture)}
    values["kind"] = ArchitectureKind(shape.kind)
    return Architecture(**values)


def _name_bytes(name: str) -> bytes:
    encoded = name.encode()
    if b"\0" in encoded:
        raise ValueError("a name must not contain a null character")
    return encoded


@dataclasses.dataclass(frozen=True)
class Score:
    """How well a model foretells texts. nats is the sum over all counted tokens; bits_per_byte = nats / ln 2 / bytes; perplexity =
    exp(nats_per_token); tokens counts an end of text for each story; bytes are those of the trimmed stories."""

    nats: float
    nats_per_token: float
    bits_per_byte: float
    perplexity: float
    tokens: int
    bytes: int
    stories: int


def score_of(report: Any) -> Score:
    return Score(*(getattr(report, field.name) for field in dataclasses.fields(Score)))


class Model(Handle):
    """A model never changes; any number of threads and samplers may share one. Make one with Model.open, open_memory, open_stream or new, or take one
    from a trainer by snapshot()."""

    def __init__(self) -> None:
        raise TypeError("use Model.open, open_memory, open_stream or new")

    # ---- making ----

    @classmethod
    def open(cls, path: Path, runtime: Optional[Runtime] = None, tokenizer: Optional[Path] = None, **options: int) -> "Model":
        """Opens a GGUF file, a llama2.c checkpoint or a Hugging Face directory. Options: map (1: map the file instead of reading it; a file that is cut
        meanwhile kills the process), context_length (positions to use; 0: what the file says), memory_limit (bytes of the weights), widen (1: matrices
        of Q8_0 and Q4_0 become floats instead of being multiplied in 8 bits). `tokenizer`: the path of the tokenizer, where it is neither in the file nor beside it.

        InputOutputError, FormatError (names tensor or key and its offset), VersionError, UnsupportedError, LimitError, OutOfMemoryError.
        """
        where, shared, settings = path_bytes(path), runtime_pointer(runtime), _open_options(options, tokenizer)
        return cls._of(make(_c.ts_model, _c.library.ts_model_free,
                            lambda out: _c.library.ts_model_open(out, shared, where, ctypes.byref(settings)), (shared,)))

    @classmethod
    def open_memory(cls, data: Any, runtime: Optional[Runtime] = None, tokenizer: Optional[Path] = None, **options: int) -> "Model":
        """The same from bytes-like data. With map=1 the weights are used where they are, 32-byte aligned and unchanged (else InvalidArgumentError);
        the data is kept alive."""
        shared, settings = runtime_pointer(runtime), _open_options(options, tokenizer)
        view = memoryview(data).cast("B")
        size, buffer = view.nbytes, data
        if not view.readonly:
            buffer = (ctypes.c_char * size).from_buffer(view)
        elif not isinstance(data, bytes):
            buffer = bytes(view)
        kept = (shared, buffer) if settings.map else (shared,)
        return cls._of(make(_c.ts_model, _c.library.ts_model_free,
                            lambda out: _c.library.ts_model_open_memory(out, shared, buffer, size, ctypes.byref(settings)), kept))

    @classmethod
    def open_stream(cls, stream: BinaryIO, runtime: Optional[Runtime] = None, tokenizer: Optional[Path] = None, **options: int) -> "Model":
        """The same from a seekable binary file object, which is read during this call alone. What it raises comes out of the call."""
        shared, settings, source = runtime_pointer(runtime), _open_options(options, tokenizer), report_of(_c.ts_read_callbacks)

        def read(user: Any, offset: int, buffer: int, count: int) -> bool:
            stream.seek(offset)
            into, filled = memoryview((ctypes.c_char * count).from_address(buffer)).cast("B"), 0
            while filled < count:
                part = stream.read(count - filled)
                if not part:
                    return True
                into[filled:filled + len(part)] = part
                filled += len(part)
            return False

        source.read, source.size = callback(_c.ts_read_hook, read), stream.seek(0, os.SEEK_END)
        source.name = os.fsencode(str(getattr(stream, "name", "stream")).replace("\0", "?"))
        with interruptible():
            return cls._of(make(_c.ts_model, _c.library.ts_model_free, lambda out: _c.library.ts_model_open_callbacks(
                out, shared, ctypes.byref(source), ctypes.byref(settings)), (shared,)))

    @classmethod
    def new(cls, tokenizer: Tokenizer, architecture: Union[Architecture, str], seed: int = 0, runtime: Optional[Runtime] = None) -> "Model":
        """An untrained model. The same seed gives the same weights everywhere. `architecture` as for Trainer.
        MismatchError: a vocabulary smaller than the tokenizer's."""
        shared, words, shape = runtime_pointer(runtime), pointer_of(tokenizer, Tokenizer), shape_of(architecture)
        number = integer(seed, "seed", ctypes.c_uint64)
        return cls._of(make(_c.ts_model, _c.library.ts_model_free,
                            lambda out: _c.library.ts_model_new(out, shared, words, ctypes.byref(shape), number), (shared, words)))

    def save(self, path: Path, format: int = ModelFormat.GGUF, type: int = ModelType.F32) -> None:
        """Writes a GGUF file or, by `format`, a Hugging Face directory or a llama2.c checkpoint; every file is replaced as a whole. `type`: of the tensors.
        UnsupportedError: what the format cannot hold."""
        options = fill(options_of(_c.ts_model_save_options, _c.library.ts_model_save_options_init), {"format": format, "type": type}, ("format", "type"))
        _c.library.ts_model_save_as(self._c, path_bytes(path), ctypes.byref(options))

    def quantize(self, type: int = ModelType.Q8_0) -> "Model":
        """The model with matrices of Q8_0 or Q4_0, or with F32 floats again. InvalidArgumentError: a number has no place in a block."""
        pointer, number = self._c, integer(type, "type", ctypes.c_int32)
        return Model._of(make(_c.ts_model, _c.library.ts_model_free, lambda out: _c.library.ts_model_quantize(out, pointer, number), ()))

    def save_memory(self) -> bytearray:
        """The same as bytes in memory."""
        pointer, size = self._c, ctypes.c_size_t()
        try:
            _c.library.ts_model_save_memory(pointer, None, 0, ctypes.byref(size))
        except BufferTooSmallError:
            pass
        data = bytearray(size.value)
        _c.library.ts_model_save_memory(pointer, (ctypes.c_char * len(data)).from_buffer(data), len(data), ctypes.byref(size))
        return data

    # ---- what is in it ----

    @property
    def architecture(self) -> Architecture:
        """The shape; nothing in it is 0 that has a meaning."""
        shape = _c.ts_architecture(ctypes.sizeof(_c.ts_architecture))
        _c.library.ts_model_architecture(self._c, ctypes.byref(shape))
        return _architecture(shape)

    @property
    def tokenizer(self) -> Tokenizer:
        """The model's tokenizer. It keeps the model's memory alive."""
        pointer = self._c
        return Tokenizer._of(Pointer(_c.library.ts_model_tokenizer(pointer), None, (pointer,)))

    @property
    def parameters(self) -> int:
        """Parameters in all, the tied head counted once."""
        return _c.library.ts_model_parameters(self._c)

    def tensors(self) -> Dict[str, Any]:
        """All parameters by name, as in GGUF ("blk.0.attn_q.weight"), matrices (rows out, columns in): read-only numpy arrays of float32 on the
        model's own memory, which they keep alive; without numpy memoryviews of format 'f'. Of quantized matrices they are copies."""
        pointer, found = self._c, {}
        for index in range(_c.library.ts_model_tensor_count(pointer)):
            tensor = report_of(_c.ts_tensor)
            _c.library.ts_model_tensor(pointer, index, ctypes.byref(tensor))
            shape, kept = tensor.shape[: tensor.rank], pointer
            address = ctypes.cast(tensor.data, ctypes.c_void_p).value
            if address is None:
                kept = (ctypes.c_float * math.prod(shape))()
                _c.library.ts_model_tensor_read(pointer, index, kept, len(kept))
                address = ctypes.addressof(kept)
            found[tensor.name.decode()] = float_array(address, shape, kept)  # type: ignore[arg-type]
        return found

    def tensor_types(self) -> Dict[str, TensorTypes]:
        """How all parameters are stored, by name: in memory, and in the file that the model was opened from."""
        pointer, found = self._c, {}
        for index in range(_c.library.ts_model_tensor_count(pointer)):
            tensor = report_of(_c.ts_tensor)
            _c.library.ts_model_tensor(pointer, index, ctypes.byref(tensor))
            found[tensor.name.decode()] = TensorTypes(ModelType(tensor.type), ModelType(tensor.file_type))
        return found

    # ---- evaluation ----

    def logits(self, ids: Any) -> Any:
        """The logits of every position of one sequence of 1 to context length ids: (count, V) of float32; row t is for the token after ids[t].
        A numpy array, or without numpy a memoryview of two dimensions: logits[t, id] reads a number of either, a whole row logits[t] only of an array; a
        memoryview's rows are logits.tolist()[t]. InvalidArgumentError: an id out of range, too many."""
        pointer, (numbers, count) = self._c, ids_array(ids)
        shape = self.architecture
        if not 1 <= count <= shape.context_length:
            raise ValueError(f"there are {count} ids, expected 1 to {shape.context_length}")
        values = (ctypes.c_float * (count * shape.vocabulary_size))()
        _c.library.ts_model_logits(pointer, numbers, count, values, len(values))
        return float_array(ctypes.addressof(values), (count, shape.vocabulary_size), values, writable=True)

    def score(self, texts: Iterable[Text]) -> Score:
        """Scores texts that are pulled one by one, each a story. InvalidArgumentError: none."""
        source, score = text_source(texts), report_of(_c.ts_score)
        with interruptible():
            _c.library.ts_model_score(self._c, source, None, ctypes.byref(score))
        return score_of(score)

    def score_files(self, paths: Union[Path, Sequence[Path]], progress: Optional[Progress] = None) -> Score:
        """Scores files of stories or token shards (.bin); progress(done, total) counts stories."""
        files, score, watch = path_array(paths), report_of(_c.ts_score), progress_callback(progress)
        with interruptible():
            _c.library.ts_model_score_files(self._c, files, len(files), ctypes.byref(score), watch, None)
        return score_of(score)


def shape_of(architecture: Union[Architecture, str]) -> Any:
    """The C struct of an Architecture, or of a preset, whose vocabulary then is the tokenizer's."""
    if isinstance(architecture, str):
        architecture = Architecture.preset(architecture, vocabulary_size=0)
    if not isinstance(architecture, Architecture):
        raise TypeError(f"expected an Architecture or the name of a preset, not {type(architecture).__name__}")
    return architecture._struct()


def _open_options(values: dict, tokenizer: Optional[Path]) -> Any:
    options = fill(options_of(_c.ts_model_options, _c.library.ts_model_options_init), values, _OPEN_OPTIONS)
    if tokenizer is not None:
        options.tokenizer = path_bytes(tokenizer)
    return options
