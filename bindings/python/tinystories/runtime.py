"""The services of the host: threads, CPU level, log and a limit of memory."""

from __future__ import annotations

import ctypes
import enum
import threading
from typing import Any, Callable, Optional, Union

from . import _c
from ._handle import Handle, Pointer, fill, integer, make, member, options_of


class CpuLevel(enum.IntEnum):
    """A level contains the ones below it."""

    BEST = _c.TS_CPU_LEVEL_BEST
    REFERENCE = _c.TS_CPU_LEVEL_REFERENCE
    AVX2 = _c.TS_CPU_LEVEL_AVX2
    AVX512 = _c.TS_CPU_LEVEL_AVX512
    AVX512_BF16 = _c.TS_CPU_LEVEL_AVX512_BF16
    AMX = _c.TS_CPU_LEVEL_AMX  # never BEST: takes a permission that the process keeps, see base.h


class LogLevel(enum.IntEnum):
    WARNING = _c.TS_LOG_WARNING  # something that the user may want to know
    INFO = _c.TS_LOG_INFO  # what is being done


class Runtime(Handle):
    """The services that handles work with. Without one they use the caller's thread alone, the best CPU level, and say nothing.

    threads: 1 to 256, the caller's own included; 0 (the default): one a processor that this process may use. Results never depend on it.
    cpu_level: a CpuLevel or its name; None: the best that this machine has. One that it lacks: UnsupportedError.
    memory_limit: bytes that all handles of this runtime may hold together; 0: no limit. Beyond it: OutOfMemoryError.
    log: called with (LogLevel, line), from any thread of the library. What it raises on the caller's own thread comes out of the call that logged,
    on another it goes to sys.unraisablehook.
    """

    def __init__(self, threads: int = 0, cpu_level: Union[CpuLevel, int, str, None] = None, memory_limit: int = 0,
                 log: Optional[Callable[[int, str], Any]] = None) -> None:
        options = options_of(_c.ts_runtime_options, _c.library.ts_runtime_options_init)
        level = CpuLevel.BEST if cpu_level is None else member(CpuLevel, cpu_level, "cpu_level")
        fill(options, {"threads": threads, "cpu_level": level, "memory_limit": memory_limit}, ("threads", "cpu_level", "memory_limit"))
        kept: tuple = ()
        if log is not None:
            options.log = _log_hook(log)
            kept = (options.log,)
        self._pointer = make(_c.ts_runtime, _c.library.ts_runtime_free, lambda out: _c.library.ts_runtime_new(out, ctypes.byref(options)), kept)

    @property
    def threads(self) -> int:
        """The number of threads in use, never 0."""
        return _c.library.ts_runtime_threads(self._c)

    @property
    def cpu_level(self) -> CpuLevel:
        """The CPU level in use, never BEST."""
        return CpuLevel(_c.library.ts_runtime_cpu_level(self._c))

    @property
    def memory(self) -> int:
        """Bytes that the handles of this runtime hold now."""
        return _c.library.ts_runtime_memory(self._c)

    @property
    def memory_peak(self) -> int:
        """Bytes that they held at most so far."""
        return _c.library.ts_runtime_memory_peak(self._c)


def _log_hook(log: Callable[[int, str], Any]) -> Any:
    def enter(user: Any, level: int, line: bytes) -> None:
        try:
            log(LogLevel(level) if level in LogLevel.__members__.values() else level, line.decode("utf-8", "replace"))
        except BaseException as error:
            if isinstance(threading.current_thread(), threading._DummyThread):  # one of the library's own: no call to come out of
                raise
            _c.pending.error = error

    return _c.ts_log_hook(enter)


def runtime_pointer(runtime: Optional[Runtime]) -> Optional[Pointer]:
    if runtime is not None and not isinstance(runtime, Runtime):
        raise TypeError(f"expected a Runtime, not {type(runtime).__name__}")
    return None if runtime is None else runtime._c


def version() -> str:
    """The library's version, "major.minor.patch"."""
    return _c.library.ts_version().decode()


def cpu_level_name(level: int) -> Optional[str]:
    """The library's name of a CPU level; None for a value that is none."""
    name = _c.library.ts_cpu_level_name(integer(level, "level", ctypes.c_int32))
    return None if name is None else name.decode()
