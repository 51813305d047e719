"""What all handles share: lifetimes, callbacks, and arguments on their way into C."""

from __future__ import annotations

import contextlib
import ctypes
import glob
import math
import operator
import os
import sys
import threading
from typing import Any, Callable, Iterable, Iterator, Optional, Sequence, Union

from . import _c

try:
    import numpy
except ImportError:
    numpy = None  # type: ignore[assignment]

Path = Union[str, bytes, "os.PathLike[str]", "os.PathLike[bytes]"]
Text = Union[str, bytes, bytearray, memoryview]
Progress = Callable[[int, int], Any]

# ---- lifetimes ----


class Pointer:
    """A C handle and what it needs alive. It is freed with its last reference: calls, buffers and children hold one each, so that neither close() in
    another thread nor any order of garbage collection can take it away from them."""

    __slots__ = ("_as_parameter_", "_free", "kept")

    def __init__(self, raw: Any, free: Optional[Callable[[Any], None]], kept: tuple = ()) -> None:
        self._as_parameter_, self._free, self.kept = raw, free, kept

    def __del__(self) -> None:
        free = getattr(self, "_free", None)
        if free is not None:
            self._free = None
            free(self._as_parameter_)


def make(kind: type, free: Callable[[Any], None], call: Callable[[Any], Any], kept: tuple = ()) -> Pointer:
    """Calls a C constructor with its `out` argument. What it made is freed if a callback's exception comes out of the call in spite of that."""
    raw = ctypes.POINTER(kind)()
    try:
        call(ctypes.byref(raw))
    except BaseException:
        if raw:
            free(raw)
        raise
    return Pointer(raw, free, kept)


class Handle:
    """Base of the classes that stand for a C handle.

    A handle is closed by close(), by the end of a `with` block, or with its last reference. Closing twice is fine; use after it raises ValueError.
    Handles cannot be copied or pickled.
    """

    _pointer: Optional[Pointer] = None

    @property
    def _c(self) -> Pointer:
        pointer = self._pointer
        if pointer is None:
            raise ValueError(f"the {type(self).__name__} is closed")
        return pointer

    @classmethod
    def _of(cls, pointer: Pointer) -> Any:
        self = cls.__new__(cls)
        self._pointer = pointer
        return self

    @property
    def closed(self) -> bool:
        return self._pointer is None

    def close(self) -> None:
        """Gives the handle's memory back, as soon as no running call, view or child uses it."""
        self._pointer = None

    def __enter__(self) -> Any:
        self._c
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _refuse(self, *arguments: object) -> Any:
        raise TypeError(f"a {type(self).__name__} cannot be copied or pickled")

    __copy__ = __deepcopy__ = __reduce_ex__ = __reduce__ = _refuse


def pointer_of(handle: Optional[Handle], kind: type, optional: bool = False) -> Optional[Pointer]:
    """The C handle of an argument, whose class is checked."""
    if handle is None and optional:
        return None
    if not isinstance(handle, kind):
        raise TypeError(f"expected a {kind.__name__}, not {type(handle).__name__}")
    return handle._c


# ---- callbacks ----


def callback(kind: Any, function: Callable[..., Any]) -> Any:
    """A C function that calls `function` and stops the C call, returning 1, when that returns something true or raises. What it raised, Ctrl-C
    included, comes out of the C call: _c._check raises it. The result must be kept alive during the call."""

    def enter(*arguments: Any) -> int:
        try:
            if "error" in _c.pending.__dict__:
                return 1
            return 1 if function(*arguments) else 0
        except BaseException as error:
            _c.pending.error = error
            return 1

    return kind(enter)


_ENTER = next(constant for constant in callback.__code__.co_consts if getattr(constant, "co_name", "") == "enter")


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Makes Ctrl-C stop a long C call at its next callback.

    Python may deliver Ctrl-C at the very entry of a callback, before its `try` (3.11 and later do). ctypes can only pass that exception to
    sys.unraisablehook, where it is picked up. Signals come to the main thread alone, so that no other thread ever changes the hook here.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = sys.unraisablehook

    def hook(unraisable: Any) -> None:
        traceback = unraisable.exc_traceback
        if traceback is not None and traceback.tb_next is None and traceback.tb_frame.f_code is _ENTER:
            _c.pending.error = unraisable.exc_value
        else:
            before(unraisable)

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = before
        _c.pending.__dict__.pop("error", None)


def progress_callback(progress: Optional[Progress]) -> Any:
    """There is one even for None, so that Ctrl-C has a place to stop the call."""
    return callback(_c.ts_progress, lambda user, done, total: progress is not None and progress(done, total))


def text_source(texts: Iterable[Text]) -> Any:
    """A ts_next_text that pulls from an iterable of str or bytes."""
    if isinstance(texts, (str, bytes, bytearray, memoryview)):
        raise TypeError("expected an iterable of texts, not one text")
    iterator = iter(texts)
    current = b""

    def following(user: Any, text: Any, size: Any) -> None:
        nonlocal current
        try:
            current = text_bytes(next(iterator))
        except StopIteration:
            text[0], size[0] = None, 0
            return
        text[0], size[0] = current, len(current)  # `current` stays until the next call

    return callback(_c.ts_next_text, following)


# ---- arguments ----

_INTEGERS = {ctypes.c_int32: (-(2**31), 2**31 - 1), ctypes.c_uint32: (0, 2**32 - 1), ctypes.c_uint64: (0, 2**64 - 1),
             ctypes.c_size_t: (0, 2 ** (8 * ctypes.sizeof(ctypes.c_size_t)) - 1)}


def integer(value: Any, name: str, kind: Any = ctypes.c_uint32) -> int:
    """An integer that fits into its C type: ctypes itself would cut it without a word. OverflowError if not."""
    number = operator.index(value)
    least, most = _INTEGERS[kind]
    if not least <= number <= most:
        raise OverflowError(f"{name} is {number}, expected {least} to {most}")
    return number


def text_bytes(text: Text) -> bytes:
    """str becomes UTF-8 (a lone surrogate: UnicodeEncodeError), bytes stay what they are."""
    if isinstance(text, str):
        return text.encode()
    if isinstance(text, (bytes, bytearray, memoryview)):
        return bytes(text)
    raise TypeError(f"expected str or bytes, not {type(text).__name__}")


def path_bytes(path: Path) -> bytes:
    encoded = os.fsencode(path)
    if b"\0" in encoded:
        raise ValueError("a path must not contain a null byte")
    return encoded


def _expanded(path: bytes) -> Sequence[bytes]:
    if not glob.has_magic(path) or os.path.exists(path):
        return (path,)
    return sorted(glob.glob(path)) or (path,)


def path_array(paths: Union[Path, Sequence[Path]]) -> Any:
    """An array of C strings; one path stands for a list of one. A pattern (*, ?, [...]) that is no file stands for the files it names, sorted; without any, for itself."""
    if isinstance(paths, (str, bytes)) or hasattr(paths, "__fspath__"):
        paths = [paths]  # type: ignore[list-item]
    encoded = [name for path in paths for name in _expanded(path_bytes(path))]  # type: ignore[union-attr]
    return (ctypes.c_char_p * len(encoded))(*encoded)


def member(kind: Any, value: Any, name: str) -> int:
    """The number of an enumeration's member, which may also be given as its name in any case."""
    if isinstance(value, str):
        try:
            return int(kind[value.upper()])
        except KeyError:
            raise ValueError(f"{name} is {value!r}, expected one of {', '.join(one.name.lower() for one in kind)}") from None
    return operator.index(value)


def fill(options: ctypes.Structure, values: dict, names: Iterable[str]) -> ctypes.Structure:
    """Sets those fields of an options struct that are given. Unknown names: TypeError; integers out of the field's range: OverflowError."""
    kinds, allowed = dict(options._fields_), list(names)  # type: ignore[misc]
    for name, value in values.items():
        if name not in allowed:
            raise TypeError(f"no option is called {name!r}; there are {', '.join(allowed)}")
        setattr(options, name, integer(value, name, kinds[name]) if kinds[name] in _INTEGERS else float(value))
    return options


def options_of(kind: Any, initialize: Callable[..., Any]) -> Any:
    options = kind()
    initialize(ctypes.byref(options), ctypes.sizeof(options))
    return options


def report_of(kind: Any) -> Any:
    report = kind()
    report.struct_size = ctypes.sizeof(report)
    return report


def number_or_none(value: float) -> Optional[float]:
    """What C says there is none of by NaN."""
    return None if math.isnan(value) else value


# ---- files that Python writes, by the rule that the library has for its own ----


def is_special(path: Path) -> bool:
    """Whether there is something that is no regular file, a device or a pipe: that is written into, and never replaced."""
    return os.path.exists(path) and not os.path.isfile(path)


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Failures to write speak of the file, and not of the temporary that becomes it."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, f"cannot be written: {error.strerror}", os.fspath(path)) from None


def replace_file(path: Path, text: str) -> None:
    """Replaces a file as a whole or not at all, with the old one's mode; a link stays, and what it leads to is replaced."""
    target = os.fsdecode(os.path.realpath(path))
    with naming(path):
        if is_special(path):
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
            return
        folder, name = os.path.split(target)
        temporary = os.path.join(folder, f".{name[:100]}.{os.getpid()}-{threading.get_ident()}.tmp")
        with open(temporary, "x", encoding="utf-8") as file:
            try:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
                if os.path.exists(target):
                    os.chmod(temporary, os.stat(target).st_mode & 0o777)
                os.replace(temporary, target)
            except BaseException:
                os.unlink(temporary)
                raise


# ---- arrays ----


def ids_array(ids: Any) -> tuple:
    """(something that ctypes takes for `const uint32_t *`, count) of token ids: without a copy from contiguous buffers of uint32, numpy's or array's.

    Other integers are checked one by one (OverflowError); floats and several dimensions are refused (TypeError, ValueError).
    """
    try:
        view = memoryview(ids)
    except TypeError:
        view = None
    if view is None or view.ndim == 0:
        numbers = [integer(one, "a token id") for one in ids]
        return (ctypes.c_uint32 * len(numbers))(*numbers), len(numbers)
    if view.ndim != 1:
        raise ValueError(f"token ids must have one dimension, not {view.ndim}")
    if isinstance(ids, (bytes, bytearray)) or view.format.lstrip("@=<>") not in tuple("bBhHiIlLqQ"):
        raise TypeError(f"token ids must be integers, not {type(ids).__name__} of format {view.format!r}")
    if view.format in ("I", "=I", "<I", "@I") and view.itemsize == 4 and view.c_contiguous:
        return _borrowed(view), len(view)
    numbers = [integer(one, "a token id") for one in (ids.tolist() if hasattr(ids, "tolist") else view.tolist())]
    return (ctypes.c_uint32 * len(numbers))(*numbers), len(numbers)


def _borrowed(view: memoryview) -> Any:
    """A ctypes array over a buffer, or over a copy of one that may not be written to and that numpy is not there to give the address of."""
    kind = ctypes.c_uint32 * len(view)
    if not view.readonly:
        return kind.from_buffer(view)
    if numpy is not None:
        array = numpy.asarray(view)
        borrowed = kind.from_address(array.ctypes.data)
        borrowed._kept = array
        return borrowed
    return kind.from_buffer_copy(view)


def float_array(address: int, shape: Sequence[int], kept: Any, writable: bool = False) -> Any:
    """Floats in memory that `kept` keeps alive, row major, without a copy: a numpy array, or a memoryview of format 'f' if numpy is missing."""
    count = 1
    for length in shape:
        count *= length
    buffer = (ctypes.c_float * count).from_address(address)
    buffer._kept = kept
    view = memoryview(buffer).cast("B")
    view = view if writable else view.toreadonly()
    if numpy is not None:
        return numpy.frombuffer(view, numpy.float32).reshape(tuple(shape))
    return view.cast("f", tuple(shape))
