"""Datasets: what is in files of stories."""

from __future__ import annotations

import ctypes
import math
from typing import Any, Dict, Optional, Sequence, Union

from . import _c
from ._handle import Path, Progress, interruptible, options_of, path_array, progress_callback, report_of
from .runtime import Runtime, runtime_pointer

_LENGTHS = ("min", "p5", "median", "p95", "max", "mean")


def dataset_stats(paths: Union[Path, Sequence[Path]], against: Union[Path, Sequence[Path], None] = None, progress: Optional[Progress] = None,
                  runtime: Optional[Runtime] = None) -> Dict[str, Any]:
    """Counts files of stories (.txt, .jsonl, each also .gz; "-" is standard input): the object that `tinystories dataset stats --json` prints.

    Stories, words and 4-grams of words, and how many of them are distinct; the words of a story as quantiles and as a histogram of 25 words a bin (the
    last: 1,000 and more); shares of 4-grams that occur once and of stories with dialogue; the features of records; how well the text compresses. With
    `against`, files of other stories, also how well either text compresses at equal bytes: gzip_ratio below 1 says that this one is the more repetitive.
    A share without a whole is None. progress(done, total) counts bytes. InvalidArgumentError: no story at all.
    """
    files, shared, watch = path_array(paths), runtime_pointer(runtime), progress_callback(progress)
    others = None if against is None else path_array(against)
    options, report = options_of(_c.ts_dataset_options, _c.library.ts_dataset_options_init), report_of(_c.ts_dataset_statistics)
    options.progress = watch
    if others is not None:
        options.against, options.against_count = others, len(others)
    with interruptible():
        _c.library.ts_dataset_stats(ctypes.byref(report), shared, files, len(files), ctypes.byref(options))
    return _statistics(report)


def _statistics(report: Any) -> Dict[str, Any]:
    values: Dict[str, Any] = {}
    for name, kind in report._fields_[1:]:
        value = getattr(report, name)
        values[name] = None if kind is ctypes.c_double and math.isnan(value) else value
    values["histogram"] = list(report.histogram)
    values["words_per_story"] = {name: values.pop(f"{name}_words") for name in _LENGTHS}
    names = [_c.library.ts_feature_name(1 << bit).decode() for bit in range(_c.TS_FEATURE_COUNT)]
    values["features"] = {**dict(zip(names, report.features)), "other": values.pop("other_features")}
    return values
