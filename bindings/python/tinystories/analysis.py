"""A look inside models: every intermediate value of a pass, what heads attend to, what makes neurons fire, and which parts are for a logit.

    found = ts.analysis.trace(model, ids, "blocks.*.attention.weights")          # {"blocks.0.attention.weights": array (heads, queries, keys), ...}

    def ablate(tap):
        tap.array[:, 3] = 0                                                      # head 3 says nothing
    logits = ts.analysis.run(model, ids, {"blocks.1.attention.heads": ablate})

    for head in ts.analysis.heads(model, "stories.txt"):
        print(head.layer, head.head, head.kinds)

Layers, heads and neurons count from 0. tinystories/analysis.h says what each value and each measure is.
"""

from __future__ import annotations

import ctypes
import dataclasses
import enum
import fnmatch
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Sequence, Union

from . import _c
from ._handle import (Handle, Path, Progress, callback, fill, float_array, ids_array, integer, interruptible, make, numpy, options_of, path_array, pointer_of,
                      progress_callback, report_of)
from .model import Model

# ---- taps ----


class Tap:
    """A value of a pass on its way, valid during the callback that it is given to.

    `name` is for instance "blocks.3.attention.weights"; `shape` has two or three lengths. What is written into `array`, or by tap[i, j] = value, is what the
    pass goes on with.
    """

    def __init__(self, tap: Any) -> None:
        self.name: str = tap.name.decode()
        self.point, self.layer = int(tap.point), int(tap.layer)
        self.shape = tuple(tap.shape[: tap.rank])
        self._strides = tuple(tap.strides[: tap.rank])
        self._data: Optional[Any] = tap.data

    def _floats(self) -> Any:
        if self._data is None:
            raise ValueError(f"{self.name} is gone: a tap is valid during its callback alone")
        return self._data

    @property
    def array(self) -> Any:
        """The pass's own memory as a writable numpy array, which must not be used after the callback (copy what is to stay). Needs numpy."""
        if numpy is None:
            raise ImportError("Tap.array needs numpy; tolist() and tap[i, j] do without")
        size = 1 + sum((length - 1) * stride for length, stride in zip(self.shape, self._strides))
        flat = numpy.ctypeslib.as_array(self._floats(), (size,))
        return numpy.lib.stride_tricks.as_strided(flat, self.shape, [4 * stride for stride in self._strides])

    def _offset(self, index: Sequence[int]) -> int:
        if not isinstance(index, tuple) or len(index) != len(self.shape):
            raise IndexError(f"{self.name} takes {len(self.shape)} indices")
        for one, length in zip(index, self.shape):
            if not 0 <= one < length:
                raise IndexError(f"index {one} of a dimension of {length}")
        return sum(one * stride for one, stride in zip(index, self._strides))

    def __getitem__(self, index: Any) -> float:
        return self._floats()[self._offset(index)]

    def __setitem__(self, index: Any, value: float) -> None:
        self._floats()[self._offset(index)] = value

    def copy(self) -> Any:
        """A copy to keep: a numpy array, or without numpy a memoryview of format 'f'."""
        if numpy is not None:
            return self.array.copy()
        rows = [sum(index * stride for index, stride in zip(at, self._strides)) for at in _indices(self.shape)]
        data = self._floats()
        values = (ctypes.c_float * len(rows))(*[data[row] for row in rows])
        return float_array(ctypes.addressof(values), self.shape, values, writable=True)

    def tolist(self) -> list:
        return self.copy().tolist()


def _indices(shape: Sequence[int]) -> Iterator[tuple]:
    if not shape:
        yield ()
        return
    for first in range(shape[0]):
        for rest in _indices(shape[1:]):
            yield (first, *rest)


def tap_names() -> List[str]:
    """The names of all values, "*" standing for the layer, in the order in which a pass comes by them."""
    return [_c.library.ts_tap_name(point).decode() for point in range(_c.TS_TAP_COUNT)]


def run(model: Model, ids: Any, taps: Union[Callable[[Tap], Any], Mapping[str, Callable[[Tap], Any]]], logits: bool = True) -> Any:
    """One sequence through the model. `taps` is called with every value, or maps names, which may have "*" and "?", to what is called with those.
    Gives the logits as Model.logits does (but for rounding), or None without `logits`. A callback that returns something true ends the pass with
    CancelledError; what one raises comes out of the call."""
    pointer, (numbers, count) = pointer_of(model, Model), ids_array(ids)
    shape, wanted = model.architecture, taps if isinstance(taps, Mapping) else {"*": taps}
    if not 1 <= count <= shape.context_length:
        raise ValueError(f"there are {count} ids, expected 1 to {shape.context_length}")
    size = count * shape.vocabulary_size if logits else 0
    values = (ctypes.c_float * size)() if logits else None

    def enter(user: Any, tap: Any) -> bool:
        found = None
        try:
            name = tap[0].name.decode()
            for pattern, call in wanted.items():
                if fnmatch.fnmatchcase(name, pattern):
                    found = found or Tap(tap[0])
                    if call(found):
                        return True
            return False
        finally:
            if found is not None:
                found._data = None

    entry = callback(_c.ts_tap_callback, enter)
    with interruptible():
        _c.library.ts_model_tap(pointer, numbers, count, entry, None, values, size)
    return float_array(ctypes.addressof(values), (count, shape.vocabulary_size), values, writable=True) if values is not None else None


def trace(model: Model, ids: Any, names: Union[str, Sequence[str]] = "*") -> Dict[str, Any]:
    """Copies of the values that bear these names, which may have "*" and "?", by name: numpy arrays, or without numpy memoryviews of format 'f'."""
    kept: Dict[str, Any] = {}

    def keep(tap: Tap) -> None:
        kept[tap.name] = tap.copy()

    patterns = [names] if isinstance(names, str) else list(names)
    run(model, ids, {pattern: keep for pattern in patterns}, logits=any(fnmatch.fnmatchcase("logits", pattern) for pattern in patterns))
    return kept


# ---- over a corpus ----


class HeadKind(enum.IntFlag):
    PREVIOUS = _c.TS_HEAD_PREVIOUS  # looks at the token before
    DUPLICATE = _c.TS_HEAD_DUPLICATE  # looks at earlier occurrences of the same token
    INDUCTION = _c.TS_HEAD_INDUCTION  # looks at what followed them
    DISTANCE = _c.TS_HEAD_DISTANCE  # looks at fixed distances, whatever the tokens are
    SEMANTIC = _c.TS_HEAD_SEMANTIC  # chooses by what the tokens are
    RESTING = _c.TS_HEAD_RESTING  # looks at the first position


@dataclasses.dataclass(frozen=True)
class Head:
    """A head over a corpus: shares of attention, what even attention would give, and what it is called by them."""

    layer: int
    head: int
    kinds: HeadKind
    previous: float
    previous_chance: float
    duplicate: float
    duplicate_chance: float
    induction: float
    induction_chance: float
    first: float
    focus: float
    distance: float
    mean_distance: float
    content: float

    @property
    def names(self) -> List[str]:
        """What it is called, as `tinystories analyze heads` writes it."""
        return [kind.name.lower() for kind in HeadKind if self.kinds & kind]  # type: ignore[union-attr]


def _analysis_options(values: dict, progress: Optional[Progress], names: Sequence[str]) -> Any:
    options = fill(options_of(_c.ts_analysis_options, _c.library.ts_analysis_options_init), values, names)
    options.progress = progress_callback(progress)
    return options


def heads(model: Model, paths: Union[Path, Sequence[Path]], progress: Optional[Progress] = None, **options: Any) -> List[Head]:
    """Measures all heads over files of stories, layer after layer. Options: max_tokens=20000 of them are read, threshold=0.4 above chance names a head by a
    score, seed=0 of the repeated sequences. progress(done, total) counts tokens."""
    pointer, files = pointer_of(model, Model), path_array(paths)
    settings, found = _analysis_options(options, progress, ("max_tokens", "threshold", "seed")), []
    with interruptible():
        measured = make(_c.ts_heads, _c.library.ts_heads_free,
                        lambda out: _c.library.ts_heads_new(out, pointer, files, len(files), ctypes.byref(settings)))
    for index in range(_c.library.ts_heads_count(measured)):
        head = report_of(_c.ts_head)
        _c.library.ts_heads_get(measured, index, ctypes.byref(head))
        values = {field.name: getattr(head, field.name) for field in dataclasses.fields(Head)}
        found.append(Head(**{**values, "kinds": HeadKind(head.kinds)}))
    return found


@dataclasses.dataclass(frozen=True)
class Example:
    """A token that activates a neuron: ids[at], in the window that the model read."""

    activation: float
    story: int
    at: int
    ids: List[int]


@dataclasses.dataclass(frozen=True)
class Neuron:
    """A coordinate of the MLP after its activation: how many tokens have it above 0, its mean and greatest activation, and its top activating tokens."""

    layer: int
    neuron: int
    active: int
    mean: float
    most: float
    examples: List[Example]


class Neurons(Handle):
    """The top activating tokens of every neuron over files of stories. Options: max_tokens=20000 are read, examples=10 kept of each neuron.

    neurons[layer, neuron] gives one as a Neuron; iterating gives all, layer after layer. progress(done, total) counts tokens.
    """

    def __init__(self, model: Model, paths: Union[Path, Sequence[Path]], progress: Optional[Progress] = None, **options: Any) -> None:
        pointer, files = pointer_of(model, Model), path_array(paths)
        settings = _analysis_options(options, progress, ("max_tokens", "examples"))
        shape = model.architecture
        self.layers, self.width = shape.layers, shape.hidden
        with interruptible():
            self._pointer = make(_c.ts_neurons, _c.library.ts_neurons_free,
                                 lambda out: _c.library.ts_neurons_new(out, pointer, files, len(files), ctypes.byref(settings)), (pointer,))

    @property
    def tokens(self) -> int:
        """Tokens that were read."""
        return _c.library.ts_neurons_tokens(self._c)

    def __len__(self) -> int:
        return _c.library.ts_neurons_count(self._c)

    def __getitem__(self, index: Any) -> Neuron:
        layer, neuron = index
        if not (0 <= layer < self.layers and 0 <= neuron < self.width):
            raise IndexError(f"neuron {neuron} of layer {layer}: there are {self.layers} layers of {self.width}")
        return self._get(layer * self.width + neuron)

    def __iter__(self) -> Iterator[Neuron]:
        return (self._get(index) for index in range(len(self)))

    def summary(self, layer: int) -> List[Neuron]:
        """A layer's neurons without their examples, the greatest activation first."""
        found = [self._get(layer * self.width + neuron, examples=False) for neuron in range(self.width)]
        return sorted(found, key=lambda one: -one.most)

    def _get(self, index: int, examples: bool = True) -> Neuron:
        pointer, found = self._c, report_of(_c.ts_neuron)
        _c.library.ts_neurons_get(pointer, index, ctypes.byref(found))
        kept = [self._example(pointer, index, rank) for rank in range(found.examples if examples else 0)]
        return Neuron(found.layer, found.neuron, found.active, found.mean, found.most, kept)

    @staticmethod
    def _example(pointer: Any, index: int, rank: int) -> Example:
        one = report_of(_c.ts_neuron_example)
        _c.library.ts_neurons_example(pointer, index, rank, ctypes.byref(one))
        return Example(one.activation, one.story, one.at, one.ids[: one.count])


# ---- attribution ----


@dataclasses.dataclass(frozen=True)
class Attribution:
    """A logit as a sum: logit = embedding + biases + all of heads (layers, heads) + all of neurons (layers, hidden), but for rounding."""

    logit: float
    embedding: float
    biases: float
    heads: Any
    neurons: Any


def attribute(model: Model, ids: Any, token: int) -> Attribution:
    """What each part of the model contributes directly to the logit of `token` after `ids`: numpy arrays, or without numpy memoryviews."""
    pointer, (numbers, count), shape = pointer_of(model, Model), ids_array(ids), model.architecture
    total, of_heads = report_of(_c.ts_attribution), (ctypes.c_float * (shape.layers * shape.heads))()
    of_neurons = (ctypes.c_float * (shape.layers * shape.hidden))()
    _c.library.ts_model_attribute(pointer, numbers, count, integer(token, "token"), ctypes.byref(total), of_heads, len(of_heads), of_neurons, len(of_neurons))
    return Attribution(total.logit, total.embedding, total.biases,
                       float_array(ctypes.addressof(of_heads), (shape.layers, shape.heads), of_heads, writable=True),
                       float_array(ctypes.addressof(of_neurons), (shape.layers, shape.hidden), of_neurons, writable=True))
