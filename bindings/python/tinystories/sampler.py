"""Samplers: tell a story a token at a time."""

from __future__ import annotations

import ctypes
import enum
from typing import Any, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple, Union

from . import _c
from ._handle import Handle, Path, Text, fill, integer, make, member, options_of, path_bytes, pointer_of, text_bytes
from .errors import BufferTooSmallError
from .model import Model

_OPTIONS = ("seed", "temperature", "top_p", "top_k", "max_tokens", "context_length", "context_full", "ignore_end", "min_p", "repetition_penalty",
            "frequency_penalty", "presence_penalty", "penalty_window", "no_repeat_ngram", "beams", "begin_of_text")


class ContextFull(enum.IntEnum):
    STOP = _c.TS_CONTEXT_FULL_STOP  # the story ends when the context is full
    SLIDE = _c.TS_CONTEXT_FULL_SLIDE  # the older half is forgotten, and the story goes on


class BeginOfText(enum.IntEnum):
    FILE = _c.TS_BEGIN_OF_TEXT_FILE  # as the tokenizer's file says; always where it says nothing
    ALWAYS = _c.TS_BEGIN_OF_TEXT_ALWAYS
    NEVER = _c.TS_BEGIN_OF_TEXT_NEVER  # but for an empty prompt


class Finish(enum.IntEnum):
    NONE = _c.TS_FINISH_NONE  # not finished
    END = _c.TS_FINISH_END  # the model ended the story
    MAX_TOKENS = _c.TS_FINISH_MAX_TOKENS
    CONTEXT = _c.TS_FINISH_CONTEXT  # the context was full
    STOP = _c.TS_FINISH_STOP  # a stop string came
    FORBIDDEN = _c.TS_FINISH_FORBIDDEN  # bans and biases left no token


class Step(enum.IntEnum):
    """What is done to the probabilities, after the constraints, in the order of the option steps."""

    PENALTIES = _c.TS_STEP_PENALTIES
    TEMPERATURE = _c.TS_STEP_TEMPERATURE
    TOP_K = _c.TS_STEP_TOP_K
    TOP_P = _c.TS_STEP_TOP_P
    MIN_P = _c.TS_STEP_MIN_P


class Alternatives(NamedTuple):
    token: int  # the one that was drawn
    log_probability: float  # its, in nats, under the model itself
    likeliest: List[Tuple[int, float]]  # tokens and theirs, the likeliest first


class Sampler(Handle):
    """Tells stories with a model; belongs to one thread at a time (BusyError). The same model, prompt, options and CPU level give the same story.

        for piece in sampler.start("Once upon a time"):
            print(piece, end="", flush=True)

    Options: seed (0); temperature (0: always the likeliest token; 0 to 100; 0.8); top_p ((0, 1]; 1: all); top_k (0: all); max_tokens (0: no
    limit); context_length (positions to hold; 0: the model's); context_full ("stop" or "slide"); ignore_end (True: only max_tokens or the context
    ends a story); min_p ([0, 1]; 0); repetition_penalty (1), frequency_penalty (0), presence_penalty (0), penalty_window (64 tokens; 0: all);
    no_repeat_ngram (0: no matter); beams (above 1: beam search, nothing is drawn); biases ({token or text: what is added to the
    logit, of a text to that of every token it becomes, as in llama.cpp's server}; -inf bans; a word within a sentence is a text with its space, " dragon"); banned_words (no word of the story begins with one of these); stops (strings
    that end the story); steps (a list of Step); begin_of_text ("file", "always" or "never": whether the token that divides stories stands before a prompt). InvalidArgumentError names the option that is out of range.
    """

    def __init__(self, model: Model, **options: Any) -> None:
        pointer, settings = pointer_of(model, Model), _options(model, options)
        self._pointer = make(_c.ts_sampler, _c.library.ts_sampler_free,
                             lambda out: _c.library.ts_sampler_new(out, pointer, ctypes.byref(settings)), (pointer,))

    @staticmethod
    def memory(model: Model, **options: Any) -> int:
        """The bytes that a sampler with these options would hold, without making it."""
        size, settings = ctypes.c_uint64(), _options(model, options)
        _c.library.ts_sampler_memory(pointer_of(model, Model), ctypes.byref(settings), ctypes.byref(size))
        return size.value

    # ---- telling ----

    def start(self, prompt: Text = "", seed: Optional[int] = None) -> "Sampler":
        """Begins a new story and gives the sampler, to iterate over: reads the prompt in, which is not repeated; the random numbers begin again
        from the seed (None: the options'). LimitError: the prompt is longer than the context allows; there is no story then."""
        data = text_bytes(prompt)
        if seed is None:
            _c.library.ts_sampler_start(self._c, data, len(data))
        else:
            _c.library.ts_sampler_start_seeded(self._c, data, len(data), integer(seed, "seed", ctypes.c_uint64))
        return self

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        """The next piece of the story that was started: whole characters, never empty. StopIteration at its end, then see `finish`.
        InvalidArgumentError: no story was started. DivergedError: the model gave a NaN."""
        pointer, text, size = self._c, ctypes.POINTER(ctypes.c_char)(), ctypes.c_size_t()
        while True:
            _c.library.ts_sampler_next(pointer, ctypes.byref(text), ctypes.byref(size))
            if not text:
                raise StopIteration
            if size.value:
                return ctypes.string_at(text, size.value).decode()

    def tell(self, prompt: Text = "", seed: Optional[int] = None) -> str:
        """A whole story without its prompt."""
        return "".join(self.start(prompt, seed))

    def run_for(self, seconds: float) -> Optional[str]:
        """What is told in about so many seconds, a token at least; None at the story's end. For a frame of a game."""
        pointer, text, size = self._c, ctypes.POINTER(ctypes.c_char)(), ctypes.c_size_t()
        _c.library.ts_sampler_run_for(pointer, integer(int(seconds * 1e6), "seconds", ctypes.c_uint64), ctypes.byref(text), ctypes.byref(size))
        return ctypes.string_at(text, size.value).decode() if text else None

    def cancel(self) -> None:
        """From any thread: the call in progress, or the next one, ends with CancelledError."""
        _c.library.ts_sampler_cancel(self._c)

    def require(self, *words: Text, within: int = 0) -> "Sampler":
        """The stories told from now on, the present one among them, shall hold these words (at most 16 of 1 to 31 bytes; none: no more), each where the
        model finds it least surprising, in about `within` tokens (0: 160)."""
        texts = [text_bytes(word) for word in words]
        if any(b"\0" in text for text in texts):
            raise ValueError("a required word has a NUL")
        _c.library.ts_sampler_require(self._c, (ctypes.c_char_p * len(texts))(*texts), len(texts), integer(within, "within", ctypes.c_uint32))
        return self

    @property
    def missing(self) -> int:
        """The required words that have not come yet."""
        return _c.library.ts_sampler_missing(self._c)

    # ---- sessions ----

    def clone(self) -> "Sampler":
        """Another sampler at the same point of the same story."""
        pointer = self._c
        copy = Sampler.__new__(Sampler)
        copy._pointer = make(_c.ts_sampler, _c.library.ts_sampler_free, lambda out: _c.library.ts_sampler_clone(out, pointer), ())
        return copy

    def save(self, path: Path) -> None:
        """Writes the story's state and the options to a small file."""
        _c.library.ts_sampler_save(self._c, path_bytes(path))

    def save_memory(self) -> bytearray:
        """The same as bytes in memory."""
        pointer, size = self._c, ctypes.c_size_t()
        try:
            _c.library.ts_sampler_save_memory(pointer, None, 0, ctypes.byref(size))
        except BufferTooSmallError:
            pass
        data = bytearray(size.value)
        _c.library.ts_sampler_save_memory(pointer, (ctypes.c_char * len(data)).from_buffer(data), len(data), ctypes.byref(size))
        return data

    @classmethod
    def load(cls, path: Path, model: Model, memory_limit: int = 0) -> "Sampler":
        """A sampler that goes on exactly as the saved one would have. FormatError: damaged. MismatchError: saved with another model. LimitError: its options
        ask for more than `memory_limit` bytes (0: some times what a sampler of default options holds)."""
        where, pointer, options = path_bytes(path), pointer_of(model, Model), _load_options(memory_limit)
        return cls._of(make(_c.ts_sampler, _c.library.ts_sampler_free,
                            lambda out: _c.library.ts_sampler_load(out, pointer, where, ctypes.byref(options)), (pointer,)))

    @classmethod
    def load_memory(cls, data: Any, model: Model, memory_limit: int = 0) -> "Sampler":
        """The same from bytes-like data."""
        held, pointer, options = bytes(memoryview(data).cast("B")), pointer_of(model, Model), _load_options(memory_limit)
        return cls._of(make(_c.ts_sampler, _c.library.ts_sampler_free,
                            lambda out: _c.library.ts_sampler_load_memory(out, pointer, held, len(held), ctypes.byref(options)), (pointer,)))

    def cut(self, count: int, seed: int = 0) -> "Sampler":
        """Goes back to the first `count` tokens of the story, as `tokens` has them, and goes on from there with the random numbers of `seed`."""
        _c.library.ts_sampler_cut(self._c, integer(count, "count", ctypes.c_size_t), integer(seed, "seed", ctypes.c_uint64))
        return self

    def alternatives(self, count: int = 5) -> Alternatives:
        """The token that was drawn last and the `count` likeliest ones of its position. InvalidArgumentError: none was drawn yet."""
        count = integer(count, "count", ctypes.c_size_t)
        token, chosen, found = ctypes.c_uint32(), ctypes.c_float(), ctypes.c_size_t()
        tokens, values = (ctypes.c_uint32 * max(count, 1))(), (ctypes.c_float * max(count, 1))()
        _c.library.ts_sampler_alternatives(self._c, ctypes.byref(token), ctypes.byref(chosen), tokens, values, count, ctypes.byref(found))
        return Alternatives(token.value, chosen.value, list(zip(tokens[: found.value], values[: found.value])))

    # ---- the story so far ----

    @property
    def finish(self) -> Finish:
        """Why the story ended."""
        return Finish(_c.library.ts_sampler_finish(self._c))

    @property
    def tokens(self) -> List[int]:
        """The tokens of the story so far, the end of text before it and the prompt's included; with context_full="slide" those still in the
        context."""
        pointer, count = self._c, ctypes.c_size_t()
        tokens = _c.library.ts_sampler_tokens(pointer, ctypes.byref(count))
        return tokens[: count.value] if count.value else []

    @property
    def seed(self) -> int:
        """The seed that the story was started with."""
        return _c.library.ts_sampler_seed(self._c)


def tell_stories(model: Model, prompts: Sequence[Text], together: int = 64, require: Sequence[Text] = (), **options: Any) -> List[str]:
    """A story for every prompt, without it: the i-th with the seed of the options plus i, told by `together` samplers at once, so that each weight is read once for
    all of them. The same stories as Sampler(model, **options).tell(prompt, seed + i) tells one by one, many times faster."""
    if together < 1:
        raise ValueError(f"together is {together}, expected at least 1")
    seed, stories = options.get("seed", 0), []
    samplers = [Sampler(model, **options).require(*require) for _ in range(min(together, len(prompts)))]
    with Batch(model, capacity=together, context_length=options.get("context_length", 0)) as batch:
        for first in range(0, len(prompts), together):
            part = prompts[first : first + together]
            stories += batch.tell([sampler.start(prompt, seed + first + i) for i, (sampler, prompt) in enumerate(zip(samplers, part))])
    return stories


class Batch(Handle):
    """Steps samplers of one model together: the same stories as each tells alone, many times faster. Belongs to one thread at a time (BusyError).

        samplers = [ts.Sampler(model, seed=i).start("Once") for i in range(64)]
        stories = ts.Batch(model).tell(samplers)

    Options: capacity (samplers of a step at most; 64); context_length (no sampler holds more positions; 0: the model's).
    """

    def __init__(self, model: Model, **options: int) -> None:
        pointer = pointer_of(model, Model)
        settings = fill(options_of(_c.ts_batch_options, _c.library.ts_batch_options_init), options, ("capacity", "context_length"))
        self._pointer = make(_c.ts_batch, _c.library.ts_batch_free, lambda out: _c.library.ts_batch_new(out, pointer, ctypes.byref(settings)), (pointer,))

    def next(self, samplers: Sequence[Sampler]) -> List[Optional[str]]:
        """A token of every sampler's story: its text (empty while a character is unfinished), or None where the story is over. The first sampler that
        fails raises, and the others have gone on all the same."""
        pointer, held = self._c, [pointer_of(sampler, Sampler) for sampler in samplers]
        count = len(held)
        pointers = (ctypes.POINTER(_c.ts_sampler) * count)(*[ctypes.cast(one, ctypes.POINTER(_c.ts_sampler)) for one in held])
        texts, sizes, statuses = (ctypes.POINTER(ctypes.c_char) * count)(), (ctypes.c_size_t * count)(), (_c.ts_status * count)()
        _c.library.ts_batch_next(pointer, pointers, count, texts, sizes, statuses)
        return [ctypes.string_at(text, size).decode() if text else None for text, size in zip(texts, sizes)]

    def tell(self, samplers: Sequence[Sampler]) -> List[str]:
        """The rest of every sampler's story, as Sampler.tell gives it."""
        stories = [""] * len(samplers)
        telling = list(range(len(samplers)))
        while telling:
            texts = self.next([samplers[i] for i in telling])
            for i, text in zip(telling, texts):
                stories[i] += text or ""
            telling = [i for i, text in zip(telling, texts) if text is not None]
        return stories


def _load_options(memory_limit: int) -> Any:
    return fill(options_of(_c.ts_sampler_load_options, _c.library.ts_sampler_load_options_init), {"memory_limit": memory_limit}, ("memory_limit",))


def _biases(model: Model, biases: Mapping[Union[int, Text], float]) -> List[Tuple[int, float]]:
    """A text's bias is that of every token it becomes."""
    found: List[Tuple[int, float]] = []
    for what, bias in biases.items():
        text = isinstance(what, (str, bytes))
        found += [(token, float(bias)) for token in (dict.fromkeys(model.tokenizer.encode(what)) if text else [integer(what, "biases", ctypes.c_uint32)])]
    return found


def _options(model: Model, values: dict) -> Any:
    if "context_full" in values:
        values = {**values, "context_full": member(ContextFull, values["context_full"], "context_full")}
    if "begin_of_text" in values:
        values = {**values, "begin_of_text": member(BeginOfText, values["begin_of_text"], "begin_of_text")}
    values = dict(values)
    options = options_of(_c.ts_sampler_options, _c.library.ts_sampler_options_init)
    biases = _biases(model, dict(values.pop("biases", None) or {}))
    options.biases = (_c.ts_token_bias * len(biases))(*biases)
    options.bias_count = len(biases)
    for name, count in (("banned_words", "banned_word_count"), ("stops", "stop_count")):
        texts = [text_bytes(text) for text in values.pop(name, None) or ()]
        if any(b"\0" in text for text in texts):
            raise ValueError(f"{name} has a NUL")
        setattr(options, name, (ctypes.c_char_p * len(texts))(*texts))
        setattr(options, count, len(texts))
    steps = [member(Step, step, "steps") for step in values.pop("steps", None) or ()]
    if len(steps) > len(options.steps):
        raise ValueError(f"steps has {len(steps)} entries, expected at most {len(options.steps)}")
    options.steps[: len(steps)] = [int(step) for step in steps]
    return fill(options, values, _OPTIONS)
