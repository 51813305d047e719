"""Trainers: make a model from text."""

from __future__ import annotations

import ctypes
import dataclasses
import enum
from typing import Any, Callable, Iterator, Optional, Sequence, Union

from . import _c
from ._handle import Handle, Path, Progress, callback, fill, interruptible, make, member, options_of, path_array, path_bytes, pointer_of, progress_callback, report_of, text_bytes
from .model import Architecture, Model, Score, score_of, shape_of
from .runtime import Runtime, runtime_pointer
from .tokenizer import Tokenizer


class Schedule(enum.IntEnum):
    COSINE = _c.TS_SCHEDULE_COSINE  # half a cosine from the peak to the final share
    LINEAR = _c.TS_SCHEDULE_LINEAR
    CONSTANT = _c.TS_SCHEDULE_CONSTANT
    WSD = _c.TS_SCHEDULE_WSD  # warm-up, stable, decay over the last part


class Optimizer(enum.IntEnum):
    ADAMW = _c.TS_OPTIMIZER_ADAMW
    MUON = _c.TS_OPTIMIZER_MUON  # for the matrices within layers, AdamW for the rest


class Precision(enum.IntEnum):
    """Of matrix products; sums, weights and everything else are f32."""

    AUTO = _c.TS_PRECISION_AUTO  # BF16 at the CPU levels AVX512_BF16 and AMX, else F32
    F32 = _c.TS_PRECISION_F32
    BF16 = _c.TS_PRECISION_BF16


class Packing(enum.IntEnum):
    STREAM = _c.TS_PACKING_STREAM  # windows of the text as it stands
    STORIES = _c.TS_PACKING_STORIES  # the stories in another order each epoch, and none sees another


@dataclasses.dataclass(frozen=True)
class Report:
    """How a training stands. total_steps is 0 when the run ends by time; loss is in nats per token of the last step's batch; valid_... are NaN before
    the first validation, remaining_seconds before it is known; skipped_steps counts those whose numbers were not finite, or a spike."""

    step: int
    total_steps: int
    tokens: int
    skipped_steps: int
    epoch: float
    loss: float
    bits_per_byte: float
    gradient_norm: float
    learning_rate: float
    valid_nats_per_token: float
    valid_bits_per_byte: float
    tokens_per_second: float
    seconds: float
    remaining_seconds: float
    due: bool  # a step of log_interval, one with a validation, or the end: worth a line
    valid_step: int  # of the last validation; 0 before the first
    exchange_bytes: int  # that this rank has sent to others for gradients
    exchange_seconds: float  # that it has waited for them


class Communicator:
    """How the ranks of one training speak: each rank makes one and a Trainer with it, of the same data and options, and calls the same methods in the same order.

    rank of size, a power of two no more than the option `slices`. exchange(partner, send, receive): sends the bytes of one memoryview to a rank and fills the other,
    which is writable, with what that sends meanwhile; both may be empty. broadcast(data): gives all ranks the bytes that rank 0 has in a writable memoryview. What they
    raise ends the training and comes out of its call; the other ranks get NetworkError once nobody answers them. Rank 0 alone has run folder, log and checkpoints.
    """

    def __init__(self, rank: int, size: int, exchange: Callable[[int, memoryview, memoryview], Any], broadcast: Callable[[memoryview], Any]) -> None:
        def exchanged(user: Any, partner: int, send: Optional[int], send_size: int, receive: Optional[int], receive_size: int) -> None:
            exchange(partner, _memory(send, send_size).toreadonly(), _memory(receive, receive_size))

        def told(user: Any, data: Optional[int], count: int) -> None:
            broadcast(_memory(data, count))

        self._c = _c.ts_communicator(struct_size=ctypes.sizeof(_c.ts_communicator), rank=rank, size=size, exchange=callback(_c.ts_exchange, exchanged),
                                     broadcast=callback(_c.ts_broadcast, told))

    @classmethod
    def from_mpi(cls, comm: Any) -> "Communicator":
        """Of a communicator of mpi4py."""
        def exchange(partner: int, send: memoryview, receive: memoryview) -> None:
            comm.Sendrecv([send, len(send), _mpi_byte()], partner, 0, [receive, len(receive), _mpi_byte()], partner, 0)

        return cls(comm.Get_rank(), comm.Get_size(), exchange, lambda data: comm.Bcast([data, len(data), _mpi_byte()], 0))


def _memory(address: Optional[int], size: int) -> memoryview:
    return memoryview((ctypes.c_char * size).from_address(address) if address and size else bytearray()).cast("B")


def _mpi_byte() -> Any:
    from mpi4py import MPI

    return MPI.BYTE


_FIELDS = [field.name for field in dataclasses.fields(Report)]
_DATA = ("struct_size", "reserved", "communicator", "text", "text_count", "valid", "valid_count", "run_directory", "progress", "progress_user")
_OPTIONS = [name for name, _ in _c.ts_trainer_options._fields_ if name not in _DATA]
Paths = Union[Path, Sequence[Path]]


class Trainer(Handle):
    """Trains a new model; belongs to one thread at a time (BusyError).

    architecture: an Architecture, or the name of a preset, whose vocabulary then is the tokenizer's. text, valid: files of stories (.txt, .jsonl,
    each also .gz) or token shards (.bin); without valid a share of the stories is held out. run_directory: a folder for checkpoint and log.

    Options, all with defaults: seed; max_steps, max_tokens, max_epochs, max_seconds (whichever comes first; all 0: one epoch); valid_share (0 to
    0.5; 0.02, of too few a warning tells); learning_rate (0: by width), final_rate (0.05), warmup (0.03, share of the run), schedule ("cosine", "linear", "constant", "wsd");
    beta1, beta2, epsilon, weight_decay, clip; batch_tokens (a step; 0: 8 sequences), micro_batch (sequences in memory at once); valid_interval,
    checkpoint_interval, log_interval (steps, for run()); initial (a Model to begin with, whose tokenizer and shape are taken where tokenizer is
    None), packing ("stream", "stories": a position sees its own
    story alone); average (decay of a moving average of the weights; 0: none), use_average (True: validations and snapshots are of it); spike
    (standard deviations above the mean loss at which a step is skipped; 0: never), spike_window (steps of that mean; 128);
    one_batch (True: every step sees the first batch); decay (share of the run in which "wsd" falls; 0.2), muon_beta (0.95); recompute (True: less
    memory, more work, the same bits); keep_best (True: best.gguf in the run folder); max_skips (steps in a row that are not
    finite or spikes before DivergedError: 5), keep_last (checkpoints in the run folder: 2), keep_every (checkpoints at multiples of so many steps
    stay for ever); communicator (a Communicator of several ranks); csv_log (True: log.csv beside log.jsonl); slices (of a batch, a power of two: 1); precision ("auto", "f32", "bf16"); optimizer ("adamw", "muon").

    progress(done, total) is called while the text is encoded, with bytes of all files; it stops that when it returns something true (CancelledError).

    InvalidArgumentError names the option. MismatchError: a shard of another tokenizer. LimitError: less text than one context. BusyError: another
    trainer has the run folder.
    """

    def __init__(self, tokenizer: Optional[Tokenizer], architecture: Union[Architecture, str, None] = "laptop-1m", text: Paths = (), valid: Optional[Paths] = None,
                 run_directory: Optional[Path] = None, runtime: Optional[Runtime] = None, progress: Optional[Progress] = None, **options: Any) -> None:
        shared, settings = runtime_pointer(runtime), _options(text, valid, run_directory, progress, options)
        words = None if tokenizer is None else pointer_of(tokenizer, Tokenizer)
        shape = None if options.get("initial") is not None and tokenizer is None else shape_of(architecture)
        with interruptible():
            self._pointer = make(_c.ts_trainer, _c.library.ts_trainer_free, lambda out: _c.library.ts_trainer_new(
                out, shared, words, None if shape is None else ctypes.byref(shape), ctypes.byref(settings)), (shared, words, options.get("communicator")))

    @classmethod
    def resume(cls, path: Path, text: Paths, valid: Optional[Paths] = None, run_directory: Optional[Path] = None, runtime: Optional[Runtime] = None,
               progress: Optional[Progress] = None, **options: Any) -> "Trainer":
        """Goes on from a checkpoint file or a run folder, of which the newest whole checkpoint is taken. Tokenizer, shape and settings come from it; of
        the options the stopping rules, the intervals, what is kept, precision and learning_rate (a lower one after DivergedError) may change, and what is
        0 or its default is the checkpoint's. MismatchError: other data, or an option that the run does not have. FormatError: damaged. BusyError: another
        trainer has the folder."""
        where, shared = path_bytes(path), runtime_pointer(runtime)
        settings = _options(text, valid, run_directory, progress, options)
        return cls._of(make(_c.ts_trainer, _c.library.ts_trainer_free,
                            lambda out: _c.library.ts_trainer_resume(out, shared, where, ctypes.byref(settings)), (shared, options.get("communicator"))))

    # ---- training ----

    def step(self) -> Report:
        """One step. DivergedError: max_skips steps in a row whose numbers were not finite."""
        report = report_of(_c.ts_trainer_report)
        _c.library.ts_trainer_step(self._c, ctypes.byref(report))
        return _report(report)

    @property
    def done(self) -> bool:
        """Whether a stopping rule has been reached."""
        return bool(_c.library.ts_trainer_done(self._c))

    def __iter__(self) -> Iterator[Report]:
        """Steps until the run's end, a report each; without the validation, checkpoints and log of run()."""
        while not self.done:
            yield self.step()

    def run(self, progress: Optional[Callable[[Report], Any]] = None) -> Report:
        """Steps until the run's end, with validation, checkpoints and log. progress(report) is called after every step and between
        the stories of a validation (report.due tells which are worth a line) and may call snapshot() and log_story(); when it returns something true (CancelledError) or raises, a checkpoint is written and the run can go on later. Ctrl-C stops there too."""
        watch = callback(_c.ts_trainer_progress, lambda user, report: progress is not None and progress(_report(report[0])))
        with interruptible():
            _c.library.ts_trainer_run(self._c, watch, None)
        return self.report

    def validate(self) -> Score:
        """Scores the validation stories and notes the result in the report. InvalidArgumentError: there are none."""
        score = report_of(_c.ts_score)
        _c.library.ts_trainer_validate(self._c, ctypes.byref(score))
        return score_of(score)

    # ---- what comes of it ----

    @property
    def report(self) -> Report:
        """How the training stands now."""
        report = report_of(_c.ts_trainer_report)
        _c.library.ts_trainer_state(self._c, ctypes.byref(report))
        return _report(report)

    def save(self, path: Path) -> None:
        """Writes a checkpoint, replaced as a whole once it has been read back. DivergedError: its numbers or those of the next batch are not finite."""
        _c.library.ts_trainer_save(self._c, path_bytes(path))

    def log_story(self, text: str) -> None:
        """Adds a story to the log.jsonl of the run folder, as an event of the present step; also within the progress of run()."""
        story = text_bytes(text)
        _c.library.ts_trainer_log_story(self._c, story, len(story))

    def snapshot(self) -> Model:
        """A model of the present weights, which stays as it is while the training goes on; also within the progress of run()."""
        pointer = self._c
        return Model._of(make(_c.ts_model, _c.library.ts_model_free, lambda out: _c.library.ts_trainer_snapshot(pointer, out), pointer.kept))


def _report(report: Any) -> Report:
    return Report(*(getattr(report, name) for name in _FIELDS))


def _options(text: Paths, valid: Optional[Paths], run_directory: Optional[Path], progress: Optional[Progress], values: dict) -> Any:
    options = options_of(_c.ts_trainer_options, _c.library.ts_trainer_options_init)
    if "schedule" in values:
        values = {**values, "schedule": member(Schedule, values["schedule"], "schedule")}
    values = dict(values)
    communicator = values.pop("communicator", None)
    if communicator is not None:
        if not isinstance(communicator, Communicator):
            raise TypeError(f"communicator is a {type(communicator).__name__}, expected a Communicator")
        options.communicator = ctypes.pointer(communicator._c)
    initial = values.pop("initial", None)
    if initial is not None:
        options.initial = pointer_of(initial, Model)
    if "optimizer" in values:
        values = {**values, "optimizer": member(Optimizer, values["optimizer"], "optimizer")}
    if "precision" in values:
        values = {**values, "precision": member(Precision, values["precision"], "precision")}
    if "packing" in values:
        values = {**values, "packing": member(Packing, values["packing"], "packing")}
    fill(options, values, _OPTIONS)
    texts = path_array(text)
    options.text, options.text_count = texts, len(texts)
    if valid is not None:
        valids = path_array(valid)
        options.valid, options.valid_count = valids, len(valids)
    options.progress = progress_callback(progress)
    options.run_directory = None if run_directory is None else path_bytes(run_directory)
    return options
