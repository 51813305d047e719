"""Exceptions, one for each status of the library. Where Python has an exception of the same meaning, ours is also one of that kind."""

from __future__ import annotations

__all__ = ["Error", "InvalidArgumentError", "OutOfMemoryError", "InputOutputError", "FormatError", "VersionError", "MismatchError",
           "BufferTooSmallError", "NetworkError", "CancelledError", "UnsupportedError", "BusyError", "LimitError", "DivergedError"]


class Error(Exception):
    """A call of the library failed. `str()` gives the detail: the file, the field, the value and what was expected; `status` the number."""

    status: int = 0


class InvalidArgumentError(Error, ValueError):
    """The call is wrong: mend the program or the option that the message names."""

    status = -1


class OutOfMemoryError(Error, MemoryError):
    """There is no more memory, or the runtime's memory limit was reached."""

    status = -2


class InputOutputError(Error, OSError):
    """The operating system could not read or write: a missing file, a full disk."""

    status = -3


class FormatError(Error):
    """The content of a file is damaged or not what it claims to be."""

    status = -4


class VersionError(Error):
    """The file is whole, but of a version that this library does not read."""

    status = -5


class MismatchError(Error):
    """Two things that must belong together don't: a shard and a tokenizer, a checkpoint and options."""

    status = -6


class BufferTooSmallError(Error):
    """A buffer is too small. The classes of this package choose their buffers themselves, so that it is not to be met in practice."""

    status = -7


class NetworkError(Error, ConnectionError):
    """A chat service could not be reached or did not keep to its protocol."""

    status = -8


class CancelledError(Error):
    """A callback asked to stop by returning something true; everything is valid and can go on."""

    status = -9


class UnsupportedError(Error):
    """This build or this version cannot do it: a part left out, an unknown CPU level."""

    status = -10


class BusyError(Error):
    """Another thread, or for a run folder another process, is using it."""

    status = -11


class LimitError(Error):
    """A size is beyond what the library takes on."""

    status = -12


class DivergedError(Error, ArithmeticError):
    """Numbers stopped being finite: a loss, a gradient or a logit."""

    status = -13


_BY_STATUS = {kind.status: kind for kind in Error.__subclasses__()}


def from_status(status: int, detail: str) -> Error:
    """The exception that belongs to a status, not yet raised."""
    error = _BY_STATUS.get(status, Error)(detail or f"status {status}")
    if error.status != status:
        error.status = status  # of a library that is newer than this module
    return error
