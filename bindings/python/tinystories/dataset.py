"""Datasets: what is in files of stories, cleaning them, and TinyStories-Instruct."""

from __future__ import annotations

import ctypes
import dataclasses
import enum
import math
from typing import Any, Callable, Dict, Optional, Sequence, Tuple, Union

from . import _c
from ._handle import Handle, Path, Progress, Text, callback, fill, integer, interruptible, make, options_of, path_array, path_bytes, progress_callback, report_of, text_bytes
from .errors import BufferTooSmallError
from .generator import BatchReport, Chat, ChatReport, batch_report, chat_report, merge_journal, read_text
from .runtime import Runtime, runtime_pointer

_LENGTHS = ("min", "p5", "median", "p95", "max", "mean")


def dataset_stats(paths: Union[Path, Sequence[Path]], against: Union[Path, Sequence[Path], None] = None, progress: Optional[Progress] = None,
                  runtime: Optional[Runtime] = None, word_lists: Union[Path, Sequence[Path], None] = None, opening_words: int = 4) -> Dict[str, Any]:
    """Counts files of stories (.txt, .jsonl, .json, each also .gz, .tar of them; "-" is standard input): the object that `tinystories dataset stats
    --json` prints.

    Stories, words and 4-grams of words, and how many of them are distinct; the words of a story as quantiles and as a histogram of 25 words a bin (the
    last: 1,000 and more); shares of 4-grams that occur once and of stories with dialogue; the features of records; how well the text compresses. With
    `against`, files of other stories, also how well either text compresses at equal bytes: gzip_ratio below 1 says that this one is the more repetitive.
    `ngrams` of 1 to 4 words with their distinct share; `growth_words`, the distinct words among the first 10,000, 100,000 and 1,000,000 (0: there are fewer).
    Readability by Flesch and Kincaid; the most frequent first opening_words words of stories; how many words of `word_lists` are used and how much of the
    text they are: files of words, or vocabularies as the generator's, counted in any form and by `kinds` too (None: the built-in vocabulary). A share without a whole is None. progress(done, total) counts bytes. InvalidArgumentError: no story at all.
    """
    files, shared, watch = path_array(paths), runtime_pointer(runtime), progress_callback(progress)
    others = None if against is None else path_array(against)
    options, report = options_of(_c.ts_dataset_options, _c.library.ts_dataset_options_init), report_of(_c.ts_dataset_statistics)
    options.progress = watch
    fill(options, {"opening_words": opening_words}, ("opening_words",))
    if others is not None:
        options.against, options.against_count = others, len(others)
    lists = None if word_lists is None else path_array(word_lists)
    if lists is not None:
        options.word_lists, options.word_list_count = lists, len(lists)
    with interruptible():
        _c.library.ts_dataset_stats(ctypes.byref(report), shared, files, len(files), ctypes.byref(options))
    return _statistics(report)


def _share(value: float) -> Optional[float]:
    return None if math.isnan(value) else value


def _statistics(report: Any) -> Dict[str, Any]:
    values: Dict[str, Any] = {}
    for name, kind in report._fields_[1:]:
        value = getattr(report, name)
        values[name] = _share(value) if kind is ctypes.c_double else value
    values["histogram"] = list(report.histogram)
    openings = zip(report.openings, values.pop("opening_stories"))
    values["openings"] = [{"text": text.value.decode(errors="replace"), "stories": stories} for text, stories in openings if stories > 0]
    values["words_per_story"] = {name: values.pop(f"{name}_words") for name in _LENGTHS}
    ngrams = zip(report.ngrams, values.pop("distinct_ngrams"), values.pop("distinct_ngram_share"))
    values["ngrams"] = [{"words": n, "occurrences": seen, "distinct": kinds, "distinct_share": _share(share)}
                        for n, (seen, kinds, share) in enumerate(ngrams, 1)]
    values["growth_words"] = {str(10 ** (4 + i)): count for i, count in enumerate(report.growth_words)}
    columns = [values.pop(name) for name in ("kind_words", "kind_words_used", "kind_occurrences", "kind_share_used")]
    values["kinds"] = {kind: {"words": words, "used": used, "occurrences": seen, "share_used": _share(share)}
                       for kind, words, used, seen, share in zip(("verbs", "nouns", "adjectives"), *columns)}
    names = [_c.library.ts_feature_name(1 << bit).decode() for bit in range(_c.TS_FEATURE_COUNT)]
    values["features"] = {**dict(zip(names, report.features)), "other": values.pop("other_features")}
    return values


# ---- cleaning ----


class CleanStep(enum.IntFlag):
    """What is mended."""

    MOJIBAKE = _c.TS_CLEAN_MOJIBAKE
    PUNCTUATION = _c.TS_CLEAN_PUNCTUATION
    SPACES = _c.TS_CLEAN_SPACES


_RULES = {_c.library.ts_drop_name(reason).decode(): reason for reason in range(_c.TS_DROP_SHORT, _c.TS_DROP_ENDING + 1)}
_CLEAN = ("steps", "min_characters", "keep_duplicates", "near_duplicates", "jaccard", "shingle_words", "prompt_words")
_CLEAN_TEXTS = ("symbols", "endings", "source")


def _clean_options(values: Dict[str, Any]) -> Any:
    """Options without the files. `rules` is a list of names."""
    options, values = options_of(_c.ts_clean_options, _c.library.ts_clean_options_init), dict(values)
    rules = values.pop("rules", None)
    if rules is not None:
        unknown = [name for name in rules if name not in _RULES]
        if unknown:
            raise ValueError(f"no rule is called {unknown[0]!r}; there are {', '.join(_RULES)}")
        options.rules = sum(1 << _RULES[name] for name in set(rules))
    for name in _CLEAN_TEXTS:
        if values.get(name) is not None:
            setattr(options, name, text_bytes(values[name]))
        values.pop(name, None)
    return fill(options, values, _CLEAN)


def dataset_clean(paths: Union[Path, Sequence[Path]], out: Path, against: Union[Path, Sequence[Path], None] = None,
                  prompts: Union[Path, Sequence[Path], None] = None, dropped: Optional[Path] = None, scratch: Optional[Path] = None,
                  progress: Optional[Progress] = None, runtime: Optional[Runtime] = None, **options: Any) -> Dict[str, Any]:
    """Mends the stories of files, drops what is broken, cut off or there already, and writes the others: what `tinystories dataset clean` does. Gives its
    report; report["dropped"] is a dict of counts by reason.

    against: files of stories (a validation text) that no kept story may be the same as. prompts: files of prompts that none may have words in a row with.
    dropped: a .jsonl for what was dropped and why. scratch: folder for what near duplicates need on disk.
    Options: steps (CleanStep), rules (names of "short", "character", "symbol", "ending"), symbols, endings, source, min_characters, keep_duplicates,
    near_duplicates, jaccard, shingle_words, prompt_words; see tinystories/dataset.h.
    """
    files, shared, own = path_array(paths), runtime_pointer(runtime), _clean_options(options)
    others = None if against is None else path_array(against)
    asked = None if prompts is None else path_array(prompts)
    report = report_of(_c.ts_clean_report)
    own.progress = progress_callback(progress)
    if others is not None:
        own.against, own.against_count = others, len(others)
    if asked is not None:
        own.prompts, own.prompt_count = asked, len(asked)
    own.dropped = None if dropped is None else path_bytes(dropped)
    own.scratch = None if scratch is None else path_bytes(scratch)
    with interruptible():
        _c.library.ts_dataset_clean(ctypes.byref(report), shared, files, len(files), path_bytes(out), ctypes.byref(own))
    values = {name: getattr(report, name) for name, kind in report._fields_[1:]}
    reasons = range(_c.TS_DROP_SOURCE, _c.TS_DROP_NEAR_DUPLICATE + 1)
    values["dropped"] = {_c.library.ts_drop_name(reason).decode(): report.dropped[reason] for reason in reasons}
    return values


def clean_story(story: Text, **options: Any) -> Tuple[str, Optional[str]]:
    """(the story mended, the rule that drops it or None), by the options of dataset_clean."""
    text, own, size, reason = text_bytes(story), _clean_options(options), ctypes.c_size_t(), ctypes.c_uint32()
    capacity = 4 * len(text) + 1
    while True:
        mended = ctypes.create_string_buffer(capacity)
        try:
            _c.library.ts_story_clean(text, len(text), ctypes.byref(own), mended, capacity, ctypes.byref(size), ctypes.byref(reason))
            break
        except BufferTooSmallError:
            capacity = size.value + 1
    name = _c.library.ts_drop_name(reason.value).decode() if reason.value != _c.TS_DROP_NONE else None
    return mended.raw[: size.value].decode(errors="replace"), name


# ---- TinyStories-Instruct ----


class InstructField(enum.IntFlag):
    """What an entry may have before its story."""

    WORDS = _c.TS_INSTRUCT_WORDS
    FEATURES = _c.TS_INSTRUCT_FEATURES
    SUMMARY = _c.TS_INSTRUCT_SUMMARY
    SENTENCE = _c.TS_INSTRUCT_SENTENCE


_FIELDS = ("words", "features", "summary", "sentence", "story")


@dataclasses.dataclass(frozen=True)
class Instruct:
    """An entry of TinyStories-Instruct, or with story=None what a model of it is to be prompted with. What is None is not there; `order` names the fields
    in the order of their headers, those that it does not name follow."""

    words: Optional[Sequence[str]] = None
    features: Optional[Sequence[str]] = None
    summary: Optional[str] = None
    sentence: Optional[str] = None
    story: Optional[str] = None
    order: Sequence[InstructField] = ()

    def prompt(self) -> str:
        """The headers and "Story:", then the story if there is one. What a model writes behind a prompt begins with a space and newlines."""
        fields, kept = report_of(_c.ts_instruct), []
        for name in _FIELDS:
            value = getattr(self, name)
            if value is None:
                continue
            text = text_bytes(value if name not in ("words", "features") or isinstance(value, str) else ", ".join(value))
            kept.append(ctypes.create_string_buffer(text, len(text) + 1))
            setattr(fields, name, ctypes.cast(kept[-1], ctypes.POINTER(ctypes.c_char)))
            setattr(fields, f"{name}_size", len(text))
        if len(self.order) > _c.TS_INSTRUCT_COUNT:
            raise ValueError(f"order has {len(self.order)} fields, expected at most {_c.TS_INSTRUCT_COUNT}")
        fields.order = (ctypes.c_uint32 * 4)(*(int(one) for one in self.order))
        return read_text(_c.library.ts_instruct_prompt, ctypes.byref(fields))

    __str__ = prompt

    @classmethod
    def parse(cls, text: Text) -> "Instruct":
        """Reads an entry as the published files have it. FormatError: no "Story:", or a header twice."""
        fields, data = report_of(_c.ts_instruct), text_bytes(text)
        _c.library.ts_instruct_parse(ctypes.byref(fields), data, len(data))
        values: Dict[str, Any] = {}
        for name in _FIELDS:
            if getattr(fields, name):
                values[name] = ctypes.string_at(getattr(fields, name), getattr(fields, f"{name}_size")).decode(errors="replace")
        for name in ("words", "features"):
            if name in values:
                values[name] = [one.strip() for one in values[name].split(",") if one.strip()]
        return cls(order=tuple(InstructField(one) for one in fields.order if one), **values)


def _summarizer(summarize: Callable[[str], Optional[str]]) -> Any:
    def write(user: Any, story: Any, size: int, text: Any, capacity: int, written: Any) -> None:
        summary = text_bytes(summarize(ctypes.string_at(story, size).decode(errors="replace")) or "")[: capacity - 1]
        ctypes.memmove(text, summary, len(summary))
        written[0] = len(summary)

    return callback(_c.ts_summarizer, write)


def _instruct_options(seed: int, fields: Optional[int], always: int, chat: Optional[Chat], prompt: Optional[Path], shard: int, shards: int, **more: int) -> Any:
    options = options_of(_c.ts_instruct_options, _c.library.ts_instruct_options_init)
    values = {"seed": seed, "always": int(always), "shard": shard, "shards": shards, **more}
    if fields is not None:
        values["fields"] = int(fields)
    fill(options, values, ("seed", "fields", "always", "hold_out", "shard", "shards"))
    options.prompt = None if prompt is None else path_bytes(prompt)
    if chat is not None:
        options.chat = ctypes.pointer(chat._options)
    return options


def dataset_instruct(paths: Union[Path, Sequence[Path]], out: Path, seed: int = 0, fields: Optional[int] = None, always: int = 0, hold_out: int = 0,
                     held_out: Optional[Path] = None, summarize: Optional[Callable[[str], Optional[str]]] = None, progress: Optional[Progress] = None,
                     runtime: Optional[Runtime] = None, chat: Optional[Chat] = None, asking: Optional[Progress] = None, prompt: Optional[Path] = None,
                     shard: int = 0, shards: int = 1) -> Dict[str, Any]:
    """Makes entries of TinyStories-Instruct out of files of stories: what `tinystories dataset instruct` does. Gives its report;
    report["combinations"] has a count for each InstructField combination that occurs.

    fields: InstructField that may be drawn; None: all. always: those that every entry has whose story allows it. hold_out: entries with all of these go to
    the file held_out or are left out. summarize(story): the summary of a story that has none; None: sentences of its own.
    chat: a service that writes the summaries instead, whose journal keeps them; asking(answered, stories) is its progress, report["journal"] its ChatReport;
    prompt, the path of a template with {story}, {words} and {features}, is what it is asked; None: the built-in one. Summaries looks ahead and does batches.
    shard, shards: only stories whose number is `shard` modulo `shards`.
    """
    files, shared, report = path_array(paths), runtime_pointer(runtime), report_of(_c.ts_instruct_report)
    options = _instruct_options(seed, fields, always, chat, prompt, shard, shards, hold_out=int(hold_out))
    options.held_out = None if held_out is None else path_bytes(held_out)
    options.progress = progress_callback(progress)
    if summarize is not None:
        options.summarize = _summarizer(summarize)
    journal = report_of(_c.ts_chat_report)
    if chat is not None:
        options.chat_report = ctypes.pointer(journal)
        options.asking = progress_callback(asking)
    with interruptible():
        _c.library.ts_dataset_instruct(ctypes.byref(report), shared, files, len(files), path_bytes(out), ctypes.byref(options))
    counts = {name: getattr(report, name) for name in ("stories", "entries", "held_out", "without", "summarized", "unsummarized")}
    counts["combinations"] = {InstructField(bits): count for bits, count in enumerate(report.combinations) if count > 0}
    if chat is not None:
        counts["journal"] = ChatReport._of(journal)
    return counts


class Summaries(Handle):
    """The summaries that dataset_instruct with the same arguments asks `chat` for: to be looked at before, or asked for in another way. What is in the journal then
    dataset_instruct does not ask for; close() this before, a journal is one's at a time. len() is how many there are."""

    def __init__(self, paths: Union[Path, Sequence[Path]], chat: Chat, seed: int = 0, fields: Optional[int] = None, always: int = 0, prompt: Optional[Path] = None,
                 shard: int = 0, shards: int = 1, runtime: Optional[Runtime] = None) -> None:
        files, shared, options = path_array(paths), runtime_pointer(runtime), _instruct_options(seed, fields, always, chat, prompt, shard, shards)
        self._pointer = make(_c.ts_summaries, _c.library.ts_summaries_free,
                             lambda out: _c.library.ts_summaries_new(out, shared, files, len(files), ctypes.byref(options)), (shared,))

    def __len__(self) -> int:
        return int(_c.library.ts_summaries_count(self._c))

    def prompt(self, place: int) -> str:
        """What number `place` of them, from 0 on, is asked by."""
        return read_text(_c.library.ts_summaries_prompt, self._c, integer(place, "place", ctypes.c_uint64))

    def estimate(self) -> ChatReport:
        """What they would cost at most, those in the journal left out. Nothing is sent."""
        return chat_report(_c.library.ts_summaries_estimate, self._c)

    def chat_report(self) -> ChatReport:
        """What the journal holds and has cost."""
        return chat_report(_c.library.ts_summaries_chat_report, self._c)

    def merge(self, journal: Path) -> int:
        """Takes the replies of another shard's journal that this one lacks; gives their number."""
        return merge_journal(_c.library.ts_summaries_merge, self._c, journal)

    def batch_step(self) -> BatchReport:
        """One step by the service's batch endpoints, to be called again until `left` is 0: as Generator.batch_step."""
        return batch_report(_c.library.ts_summaries_batch_step, self._c)

    def batch_write(self, path: Path) -> BatchReport:
        """Writes what the journal lacks as OpenAI batch files: `path`, and on with .2, .3 before the ending."""
        return batch_report(_c.library.ts_summaries_batch_write, self._c, path_bytes(path))

    def batch_read(self, path: Path) -> BatchReport:
        """Reads a file of results or errors; `left` tells what is missing then."""
        return batch_report(_c.library.ts_summaries_batch_read, self._c, path_bytes(path))
