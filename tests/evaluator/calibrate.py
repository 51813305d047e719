#!/usr/bin/env python3
"""Finds the weights of the embedded judge, and says how well it agrees with a language model's grades. Needs numpy.

usage: calibrate.py GRADED.csv STORIES OTHER_STORIES [--write lib/evaluator/embedded_weights.h]

GRADED.csv has the columns id, story, assessment, grammar, creativity, consistency and age group, with backslashes for quotes; STORIES is the text that the n-gram
model learns from. Every third row is held out: nothing is fitted or chosen on it. Weights are those of a ridge regression on ranks, scaled to the mean and the
deviation of the grades; its penalty is chosen by cross-validation on the other rows.

The stories were written to an instruction that the file does not have; what it asked for (dialogue, a bad ending, ...) can be told from the assessment, which always
speaks of it. Each row is used twice, with and without that, so that the weights are good for both; agreement is given for both.

All of these stories are fluent, so that weights alone would grade a jumble of words by its length. Two gates know better: how much of a text is whole (fluency),
learned from OTHER_STORIES some of whose words are replaced, and how much of it belongs together (coherence), from such stories some of whose sentences are those
of others. What a share of damage is worth (WHOLE, TOGETHER) is set by hand.
"""
import argparse
import csv
import os
import pathlib
import random
import re
import sys

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bindings" / "python"))

import tinystories as ts  # noqa: E402

AXES = ("grammar", "creativity", "consistency")
ASKED = {"Dialogue": r"dialogue", "BadEnding": r"bad ending|sad ending|tragic", "Twist": r"twist|unexpected", "MoralValue": r"moral",
         "Conflict": r"conflict", "Foreshadowing": r"foreshadow|setup"}
LANGUAGE = ("loss", "beginning", "worst", "surprises", "unknown", "novelty", "first", "common_worst", "odd_pairs", "opening", "misplaced", "copied")
UNUSED = ("carried", "copied")  # the file has no prompts, and no copies
# What can only be a fault, and what can only be a merit: a weight of the other sign is chance, and would praise what no graded story shows.
FAULTS = ("doubled", "small_starts", "open_quote", "unfinished", "articles", "repetition", "genders", "missed_ending", "loss", "beginning", "worst", "surprises",
          "unknown", "novelty", "first", "common_worst", "odd_pairs", "opening", "misplaced", "newcomers", "present")
MERITS = ("variety", "close", "followed", "returns")
PENALTIES = (30, 100, 300, 1000, 3000)

FLUENCY = ("loss", "unknown", "odd_pairs", "common_worst")
FLUENCY_WITHOUT = ("doubled", "small_starts", "newcomers", "little_words")
COHERENCE = ("returns", "newcomers", "close", "genders")
GOOD = ("returns", "close", "little_words")  # a gate's measures that only open it; the others only close it
USUAL = 0.1  # share of the graded stories that a gate may lower
MOST = 12.0  # of a measure in a gate, as in embedded_judge.c
WHOLE = {0: 1.0, 0.05: 0.8, 0.1: 0.6, 0.2: 0.3, 0.4: 0.05, 1: 0.0}  # by the share of words replaced
TOGETHER = {0: 1.0, 0.25: 0.7, 0.5: 0.4, 1: 0.0}  # by the share of sentences replaced


def ranks(values):
    order, out = np.argsort(values, kind="stable"), np.empty(len(values))
    out[order] = np.arange(len(values))
    for value in np.unique(values):
        out[values == value] = out[values == value].mean()
    return out


def spearman(a, b):
    a, b = ranks(a), ranks(b)
    return 0.0 if a.std() == 0 or b.std() == 0 else float(np.corrcoef(a, b)[0, 1])


def interval(a, b, seed=0, times=1000, against=None):
    """Of the correlation of a and b, or of how much more it is than that of `against` and b."""
    random, values = np.random.default_rng(seed), []
    for _ in range(times):
        drawn = random.integers(0, len(a), len(a))
        values.append(spearman(a[drawn], b[drawn]) - (0 if against is None else spearman(against[drawn], b[drawn])))
    return np.quantile(values, [0.025, 0.975])


def solve(x, y, penalty):
    """(weights, constant) of a ridge regression on standardized columns, in the columns' own units."""
    mean, scale = x.mean(0), x.std(0)
    scale[scale < 1e-9] = np.inf
    z = (x - mean) / scale
    w = np.linalg.solve(z.T @ z + penalty * np.eye(x.shape[1]), z.T @ (y - y.mean())) / scale
    return w, y.mean() - w @ mean


def cross_validated(x, y, penalty, groups, folds=10):
    guess = np.zeros(len(y))
    for fold in range(folds):
        test = groups % folds == fold
        w, constant = solve(x[~test], y[~test], penalty)
        guess[test] = x[test] @ w + constant
    return spearman(guess, y)


def fit(x, grades, groups, columns, names):
    """Weights that give grades (0 for other columns, then the constant): of the ranks' regression, scaled to the grades; and the penalty."""
    y, columns = ranks(grades), columns.copy()
    while True:
        penalty = max(PENALTIES, key=lambda one: cross_validated(x[:, columns], y, one, groups))
        w, constant = solve(x[:, columns], y, penalty)
        full = np.zeros(len(names))
        full[columns] = w
        wrong = [i for i, name in enumerate(names) if (name in FAULTS and full[i] > 0) or (name in MERITS and full[i] < 0)]
        if not wrong:
            break
        columns[wrong] = False
    line = np.polyfit(x @ full + constant, grades, 1)
    return np.append(full * line[0], constant * line[0] + line[1]), penalty


def gate(names, used, measures, wanted, weights):
    """Weights and the constant of a logistic function of some measures."""
    columns = [names.index(name) for name in used]
    while True:
        x = np.clip(measures[:, columns], -MOST, MOST)
        scale = x.std(0)
        x = np.hstack([x / scale, np.ones((len(x), 1))])
        w = np.zeros(x.shape[1])
        penalty = np.append(np.full(len(columns), 1.0), 0)
        for _ in range(100):
            p = 1 / (1 + np.exp(-x @ w))
            bend = (x * (weights * p * (1 - p) + 1e-9)[:, None]).T @ x + np.diag(penalty)
            w += np.clip(np.linalg.solve(bend, x.T @ (weights * (wanted - p)) - penalty * w), -1, 1)
        wrong = [i for i, column in enumerate(columns) if (w[i] < 0) == (names[column] in GOOD)]
        if not wrong:
            break
        columns = [column for i, column in enumerate(columns) if i not in wrong]
    full = np.zeros(len(names) + 1)
    full[columns], full[-1] = w[:-1] / scale, w[-1]
    return full


def opened(full, measures):
    return 1 / (1 + np.exp(-(np.clip(measures, -MOST, MOST) @ full[:-1] + full[-1])))


def sentences(story):
    return re.findall(r"[^.!?]+[.!?]+[\"\u201d]?\s*", story)


def damaged(path):
    """Stories, and what becomes of them: (kind, worth, text)."""
    stories = [story.strip() for story in open(path, encoding="utf-8").read().split("<|endoftext|>") if story.strip()][:300]
    draw = random.Random(1)
    words = [word for story in stories for word in re.findall("[A-Za-z]+", story)]
    pool = [sentence for story in stories for sentence in sentences(story)]
    for share, worth in WHOLE.items():
        for story in stories:
            yield "words", worth, re.sub("[A-Za-z]+", lambda match: draw.choice(words) if draw.random() < share else match.group(0), story)
    for share, worth in TOGETHER.items():
        for story in stories:
            yield "sentences", worth, "".join(draw.choice(pool) if draw.random() < share else sentence for sentence in sentences(story))
    for story in stories:
        shuffled = story.split()
        draw.shuffle(shuffled)
        yield "words", 0.0, " ".join(shuffled)
        yield "words", 0.0, " ".join("".join(draw.choice("abcdefghijklmnop") for _ in word) for word in story.split())


def gates(names, path, stories, graded):
    """The three gates, each with what counts as wholly open: what all but a tenth of the graded stories reach."""
    kinds, worths, measures = [], [], []
    with ts.Evaluator(text=stories) as evaluator:
        for kind, worth, text in damaged(path):
            evaluator.add(text)
            kinds.append(kind)
            worths.append(worth)
        measured = [evaluator.measures(i) for i in range(len(kinds))]
    measures, kinds, worths = np.array([[one[name] for name in names] for one in measured]), np.array(kinds), np.array(worths)
    out = []
    for kind, used in (("words", FLUENCY), ("words", FLUENCY_WITHOUT), ("sentences", COHERENCE)):
        of = kinds == kind
        x, wanted = np.vstack([measures[of], graded]), np.append(worths[of], np.ones(len(graded)))
        full = gate(names, used, x, wanted, np.ones(len(x)))
        usual = np.quantile(opened(full, graded), USUAL)
        out.append((full, usual))
        print(f"gate of {kind}: " + ", ".join(f"{name} {full[names.index(name)]:.3f}" for name in used) + "; "
              + ", ".join(f"{worth}: {(opened(full, measures[of & (worths == worth)]) / usual).clip(0, 1).mean():.2f}" for worth in sorted(set(worths[of])))
              + f"; graded {(opened(full, graded) / usual).clip(0, 1).mean():.2f}")
    return out


def read(path, stories, instructed):
    rows = list(csv.reader(open(path, newline="", encoding="utf-8"), escapechar="\\", doublequote=False))[1:]
    grades = np.array([[float(value) for value in row[3:6]] for row in rows])
    with ts.Evaluator(text=stories) as evaluator:
        for row in rows:
            asked = [name for name, pattern in ASKED.items() if re.search(pattern, row[2].lower())]
            evaluator.add(row[1].replace("\\n", "\n"), features=asked if instructed and asked else None)
        measured = [evaluator.measures(i) for i in range(len(rows))]
    names = list(measured[0])
    return names, np.array([[one[name] for name in names] for one in measured]), grades


def usable(names, with_language):
    return np.array([name not in UNUSED and (with_language or name not in LANGUAGE) for name in names])


def rows_of(values):
    written = [f"{value:.5g}" for value in values]
    return ",\n".join("     " + ", ".join(written[i:i + 10]) for i in range(0, len(written), 10))


def table(name, weights):
    lines = [f"static const double {name}[GRADED_AXES][TS_MEASURE_COUNT + 1] = {{"]
    for axis, row in zip(AXES, weights):
        lines.append(f"    {{ /* {axis} */")
        lines.append(rows_of(row) + "},")
    return "\n".join(lines) + "\n};\n"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("graded")
    parser.add_argument("stories")
    parser.add_argument("other_stories")
    parser.add_argument("--write")
    options = parser.parse_args()
    names, plain, grades = read(options.graded, options.stories, False)
    _, told, _ = read(options.graded, options.stories, True)
    ids = np.arange(len(grades))
    held, groups = ids % 3 == 2, ids // 3
    print(f"{(~held).sum()} stories to calibrate on, {held.sum()} held out")
    fluency, fluency_without, coherence = gates(names, options.other_stories, options.stories, plain[~held])
    tables = {}

    def judge(measures, axis, full, with_language):
        value = measures @ full[:-1] + full[-1]
        for weights, usual in ((fluency if with_language else fluency_without,) + ((coherence,) if AXES[axis] == "consistency" else ())):
            value = 1 + (value - 1) * np.minimum(opened(weights, measures) / usual, 1)
        return value

    for name, with_language in (("weights_with_language", True), ("weights_without", False)):
        columns, tables[name] = usable(names, with_language), []
        for axis in range(3):
            x = np.vstack([plain[~held], told[~held]])
            full, penalty = fit(x, np.tile(grades[~held, axis], 2), np.tile(groups[~held], 2), columns, names)
            tables[name].append(full)
            for kind, measures in (("story alone", plain), ("what was asked is known", told)):
                guess = judge(measures[held], axis, full, with_language)
                low, high = interval(guess, grades[held, axis])
                print(f"{AXES[axis]:12} {'with' if with_language else 'without'} n-gram model, {kind}: {spearman(guess, grades[held, axis]):.3f} "
                      f"({low:.3f} to {high:.3f}), penalty {penalty}")
    seen = np.vstack([plain[~held], told[~held]])
    for axis in range(3):
        for name, sign in (("length", 1), ("loss", -1)):
            values, full = sign * plain[held][:, names.index(name)], tables["weights_with_language"][axis]
            low, high = interval(values, grades[held, axis])
            less, more = interval(judge(plain[held], axis, full, True), grades[held, axis], against=values)
            print(f"{AXES[axis]:12} {name} alone: {spearman(values, grades[held, axis]):.3f} ({low:.3f} to {high:.3f}); the judge has {less:+.3f} to {more:+.3f} more")
    if options.write:
        text = ("/* Written by tests/evaluator/calibrate.py: what a unit of each measure adds to a grade, then the constant. */\n#ifndef TS_EVALUATOR_EMBEDDED_WEIGHTS_H\n"
                "#define TS_EVALUATOR_EMBEDDED_WEIGHTS_H\n\n#include \"evaluator/measures.h\"\n\nenum { GRADED_AXES = 3 };\n\n/* clang-format off */\n")
        text += "\n".join(table(name, weights) for name, weights in tables.items()) + "\n/* What the graded stories had of each measure. */\n"
        for name, values in (("measured_least", seen.min(0)), ("measured_most", seen.max(0))):
            text += f"static const double {name}[TS_MEASURE_COUNT] = {{\n" + rows_of(values) + "};\n"
        text += "\n/* The gates: a logistic function of measures, then its constant; and what it usually gives. */\n"
        for name, (full, usual) in (("fluency_with_language", fluency), ("fluency_without", fluency_without), ("coherence", coherence)):
            text += f"static const double {name}[TS_MEASURE_COUNT + 1] = {{\n" + rows_of(full) + f"}};\nstatic const double {name}_usual = {usual:.5g};\n"
        text += "/* clang-format on */\n\n#endif\n"
        with open(options.write + ".new", "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(options.write + ".new", options.write)


if __name__ == "__main__":
    main()
