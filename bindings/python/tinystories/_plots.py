"""The pictures of the report: plots by matplotlib, each an image inside the page, and attention maps of squares with titles that show without scripts."""

from __future__ import annotations

import base64
import io
import itertools
import math
import re
from typing import Any, Dict, List, Optional, Sequence

import matplotlib

matplotlib.use("Agg")

from markupsafe import Markup, escape  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402

from ._texts import column, number, visible  # noqa: E402

COLOURS = ("#2b6cb0", "#c05621", "#2f855a", "#b83280", "#6b46c1", "#975a16", "#2c7a7b", "#4a5568")
STROKES, MARKERS = ("-", "--", "-.", ":"), "os^DvPX*"  # and these tell what has no colours on paper
FONTS = "system-ui, -apple-system, 'Segoe UI', 'Noto Sans', sans-serif"
STYLE = {"svg.fonttype": "none", "font.family": "sans-serif", "font.size": 10, "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True,
         "grid.color": "#e5e5e5", "axes.edgecolor": "#888888", "axes.axisbelow": True}


def _label(text: Any) -> str:
    """A text that matplotlib takes as it is: no mathematics, no control characters, shown in legends."""
    clean = "".join(c if c.isprintable() and not 0xD800 <= ord(c) < 0xE000 else "?" for c in str(text))[:60].replace("$", r"\$")
    return " " + clean if clean.startswith("_") else clean


def _image(figure: Figure, alternative: str) -> Markup:
    data = io.BytesIO()
    figure.savefig(data, format="svg", bbox_inches="tight", metadata={"Date": None, "Creator": None})
    font = r"(<[^<>]* style=\"[^\"]*?font(?:-family:|: [^;\"]*?px)) [^;\"]*"  # matplotlib says it in one of these ways or in the other
    drawn = re.sub(font, r"\1 " + FONTS, data.getvalue().decode())  # the page's own, which matplotlib need not know
    source = base64.b64encode(drawn.encode()).decode()
    return Markup('<img class="plot" alt="{}" src="data:image/svg+xml;base64,{}">').format(alternative, Markup(source))


def _figure(width: float = 5.6, height: float = 3.2) -> tuple:
    figure = Figure(figsize=(width, height))
    return figure, figure.add_subplot()


def _legend(axes: Any, below: bool = False) -> None:
    """What lines are, beside them while there are few, or else `below` the axis, or the picture grows wide, and its text small."""
    names = [name for name in axes.get_legend_handles_labels()[1]]
    longest = max(map(len, names), default=1)
    if below or len(names) > 4 or longest > 30:
        axes.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.1 if below else -0.2), ncols=max(1, min(len(names), 56 // (longest + 5))))
    else:
        axes.legend(frameon=False)


def _logarithmic(axes: Any, x_label: str, y_label: str) -> None:
    """Both axes by logarithms, after all is drawn: numbers that people read, and no more of them than have room."""
    axes.set(xscale="log", yscale="log", xlabel=x_label, ylabel=y_label)
    for axis, (low, high), form in ((axes.xaxis, axes.get_xlim(), matplotlib.ticker.EngFormatter()), (axes.yaxis, axes.get_ylim(), matplotlib.ticker.FormatStrFormatter("%.3g"))):
        decades = math.log10(high / low)
        told = (1, 2, 3, 5, 7) if decades < 1.2 else (1, 2, 5) if decades < 2.3 else (1,)
        axis.set_major_locator(matplotlib.ticker.MaxNLocator(5, steps=(1, 2, 5, 10)) if decades < 0.7 else matplotlib.ticker.LogLocator(subs=told))
        axis.set_minor_locator(matplotlib.ticker.NullLocator() if decades < 0.7 else matplotlib.ticker.LogLocator(subs=range(1, 10), numticks=99))
        axis.set_major_formatter(form)
        axis.set_minor_formatter(matplotlib.ticker.NullFormatter())


def _steps(axes: Any) -> None:
    """An axis of whole numbers up to millions."""
    axes.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(6, integer=True))
    axes.xaxis.set_major_formatter(matplotlib.ticker.EngFormatter())


def _smooth(values: Sequence[float]) -> List[float]:
    """The mean of about a thirtieth of the run around each value, of fewer near its ends, where losses fall fast: the line begins and ends where the run does."""
    sums, result = [0.0, *itertools.accumulate(values)], []
    for index in range(len(values)):
        reach = min(index // 4, len(values) // 60, len(values) - 1 - index)
        result.append((sums[index + reach + 1] - sums[index - reach]) / (2 * reach + 1))
    return result


def curves(runs: Sequence[Any], x: str, y: str, x_label: str, y_label: str, smooth: bool = False, scale: float = 1,
           changes: bool = False) -> Optional[Markup]:
    """A line a run; None when no log has two such points: one is in the table. `changes`: a log repeats its last measurement, which is one point, until the next."""
    with matplotlib.rc_context(STYLE):
        figure, axes = _figure()
        ends = []
        for index, run in enumerate(runs):
            xs, ys = column(run.log, x, y)
            if not xs:
                continue
            if changes:
                kept = [i for i, value in enumerate(ys) if i == 0 or value != ys[i - 1]]
                xs, ys = [xs[i] for i in kept], [ys[i] for i in kept]
            colour, stroke, xs = COLOURS[index % len(COLOURS)], STROKES[index % len(STROKES)], [value * scale for value in xs]
            if smooth and len(xs) > 30:
                axes.plot(xs, ys, color=colour, alpha=0.25, linewidth=0.8)
                ys = _smooth(ys)
            axes.plot(xs, ys, stroke, color=colour, linewidth=1.6, marker=MARKERS[index % len(MARKERS)] if len(xs) < 30 else None, markersize=3, label=_label(run.name))
            ends.append(f"{run.name} ends at {ys[-1]:.4g}")
        if all(len(line.get_xdata()) < 2 for line in axes.lines):
            return None
        if x == "step":
            _steps(axes)
        axes.set_xlabel(x_label)
        axes.set_ylabel(y_label)
        if len(ends) > 1:
            _legend(axes)
        return _image(figure, f"{y_label} over {x_label}: " + "; ".join(ends))


def histogram(counts: Sequence[Any], width: float, x_label: str, y_label: str) -> Optional[Markup]:
    """Bars of counts, each of values from `width` times its index on; the last takes the rest, and says so."""
    values = [value if isinstance(value, (int, float)) and math.isfinite(value) else 0 for value in counts]
    used = max((index for index, value in enumerate(values) if value), default=-1)
    if used < 0:
        return None
    with matplotlib.rc_context(STYLE):
        figure, axes = _figure(5.6, 2.6)
        bars = axes.bar([width * index for index in range(used + 1)], values[:used + 1], width=width * 0.92, align="edge", color=COLOURS[0])
        if used == len(values) - 1:
            axes.bar_label(bars, [""] * used + ["and more"], fontsize=9)
        axes.set_xlim(0)
        axes.yaxis.set_major_locator(matplotlib.ticker.MaxNLocator(integer=True))
        axes.set_xlabel(f"{x_label}, {width:g} a bar")
        axes.set_ylabel(y_label)
        axes.grid(axis="x", visible=False)
        return _image(figure, f"{y_label} by {x_label}, most at {width * values.index(max(values)):g}")


def novel_grams(grams: Sequence[Any]) -> Optional[Markup]:
    """g of each k: what share of the k-grams the training text never has, and how often it has the others, in half decades."""
    rows = [one for one in grams if isinstance(one, dict) and isinstance(one.get("histogram"), list) and (number(one.get("count")) or 0) > 0]
    if not rows:
        return None
    with matplotlib.rc_context(STYLE):
        figure, axes = _figure(5.6, 3.4)
        used = sorted({place for one in rows for place, value in enumerate(one["histogram"]) if place and number(value)})
        first, last = (used[0], used[-1]) if used else (1, 1)
        width = 0.8 / len(rows)
        for index, one in enumerate(rows):
            shown = [one["histogram"][0], 0, *one["histogram"][first:last + 1]]  # a gap between what never comes and what does
            places = [place + (index - (len(rows) - 1) / 2) * width for place in range(len(shown))]
            axes.bar(places, [100 * (number(value) or 0) / one["count"] for value in shown], width, color=COLOURS[index % len(COLOURS)], label=f"{plain_k(one.get('k'))}-grams")
        axes.set_yscale("log")
        axes.set_ylim(0.1, 110)
        axes.set_yticks([0.1, 1, 10, 100], ["0.1 %", "1 %", "10 %", "100 %"])
        edges = [place for place in range(first, last + 1) if place % 2]  # bin i begins at 10 to the -10 + (i - 1) / 2
        axes.set_xticks([0, *(2 + place - first - 0.5 for place in edges)], ["never", *(f"$10^{{{(place - 21) // 2}}}$" for place in edges)])
        axes.set_xlabel("g: how often the training text has it, as a share of all of its k-grams")
        axes.set_ylabel("share of the k-grams told")
        axes.grid(axis="x", visible=False)
        axes.legend(frameon=False, ncols=len(rows), loc="upper center", bbox_to_anchor=(0.5, 1.15), handlelength=1, columnspacing=1, handletextpad=0.4)
        never = "; ".join(f"{plain_k(one.get('k'))}-grams {100 * (number(one['histogram'][0]) or 0) / one['count']:.1f} %" for one in rows)
        return _image(figure, f"k-grams by how often the training text has them; never: {never}")


def plain_k(k: Any) -> str:
    return str(k) if isinstance(k, int) else "?"


def _twentieths(values: Sequence[Any]) -> tuple:
    """(those that are numbers of 0 to 1, how many are in each twentieth)"""
    whole, counts = [value for value in map(number, values) if value is not None and 0 <= value <= 1], [0] * 20
    for value in whole:
        counts[min(int(value * 20), 19)] += 1
    return whole, counts


def shares(values: Sequence[Any], label: str, reference: Sequence[Any] = ()) -> Optional[Markup]:
    """A histogram of numbers of 0 to 1, in twenty bars, with their mean; a line for those of the true endings, if there are any."""
    (whole, counts), (endings, of_endings) = _twentieths(values), _twentieths(reference)
    if not whole:
        return None
    mean = sum(whole) / len(whole)
    with matplotlib.rc_context(STYLE):
        figure, axes = _figure(5.6, 2.6)
        axes.bar([index / 20 for index in range(20)], counts, 0.046, align="edge", color=COLOURS[0])
        axes.axvline(mean, color=COLOURS[1], linestyle="--", linewidth=1.2, label="mean")
        if endings:
            axes.stairs([count * len(whole) / len(endings) for count in of_endings], [index / 20 for index in range(21)], color="#1f2933", linewidth=1.2, label="true endings")
        axes.legend(frameon=False)
        axes.set_xlim(0, 1)
        axes.set_xlabel(label)
        axes.set_ylabel("completions")
        axes.yaxis.set_major_locator(matplotlib.ticker.MaxNLocator(integer=True))
        axes.grid(axis="x", visible=False)
        return _image(figure, f"{len(whole)} completions by {label}, mean {mean:.3f}")


def judge_of(data: Dict[str, Any]) -> str:
    """Who graded, for the pictures of grades, which may leave the page."""
    return "the embedded judge" if data.get("judge") == "embedded" else str(data.get("judge_model") or data.get("judge") or "a judge without a name")


def _graded(axes: Any, judge: str) -> None:
    axes.set_ylabel("grade of 10")
    axes.set_title(_label(f"graded by {judge}"), fontsize=10)


def grades(models: Sequence[Dict[str, Any]], judge: str) -> Optional[Markup]:
    """Means with their intervals, axis by axis, a colour a model."""
    named = [one for one in models if isinstance(one, dict) and isinstance(one.get("grades"), dict)]
    axes_of = [axis for axis in ("grammar", "creativity", "consistency", "plot")
               if any(number((one["grades"].get(axis) or {}).get("mean")) is not None for one in named)]
    if not axes_of:
        return None
    with matplotlib.rc_context(STYLE):
        figure, axes = _figure(5.6, 3)
        step = 0.8 / len(named)
        for index, one in enumerate(named):
            for place, axis in enumerate(axes_of):
                grade = one["grades"].get(axis) or {}
                mean, low, high = (number(grade.get(key)) for key in ("mean", "low", "high"))
                if mean is None:
                    continue
                error = [[max(mean - low, 0)], [max(high - mean, 0)]] if low is not None and high is not None else None
                axes.errorbar(place + (index - (len(named) - 1) / 2) * step, mean, yerr=error, fmt=MARKERS[index % len(MARKERS)], capsize=4, color=COLOURS[index % len(COLOURS)],
                              label=_label(one.get("model") or "a model without a name") if place == 0 else None)
        axes.set_xticks(range(len(axes_of)), axes_of)
        axes.set_ylim(0, 10.3)
        _graded(axes, judge)
        if len(named) > 1:
            _legend(axes, below=True)
        return _image(figure, f"grades by model with their intervals, graded by {judge}")


def _power_law(xs: Sequence[float], ys: Sequence[float]) -> Optional[tuple]:
    """(factor, exponent) of y = factor x^exponent by least squares of the logarithms."""
    if len(set(xs)) < 3:
        return None
    a, b = [math.log(x) for x in xs], [math.log(y) for y in ys]
    mean_a, mean_b = sum(a) / len(a), sum(b) / len(b)
    slope = sum((x - mean_a) * (y - mean_b) for x, y in zip(a, b)) / sum((x - mean_a) ** 2 for x in a)
    return math.exp(mean_b - slope * mean_a), slope


def scaling(points: Sequence[Dict[str, Any]], x: str, y: str, x_label: str, y_label: str) -> Optional[Markup]:
    """Models as points on two logarithmic axes, with a power law through three or more sizes; None for less than two sizes."""
    named = [(one.get("name") or one.get("model") or "", number(one.get(x)), number(one.get(y))) for one in points if isinstance(one, dict)]
    whole = [(name, a, b) for name, a, b in named if a and b and a > 0 and b > 0]
    if len({a for _, a, _ in whole}) < 2:
        return None
    with matplotlib.rc_context(STYLE):
        figure, axes = _figure()
        for index, (name, a, b) in enumerate(whole):
            axes.plot(a, b, "o", color=COLOURS[index % len(COLOURS)])
            axes.annotate(_label(name), (a, b), textcoords="offset points", xytext=(0, 6), ha="center", fontsize=9)
        law = _power_law([a for _, a, _ in whole], [b for _, _, b in whole])
        if law:
            ends = [min(a for _, a, _ in whole), max(a for _, a, _ in whole)]
            axes.plot(ends, [law[0] * end ** law[1] for end in ends], color="#888888", linewidth=1, linestyle="--")
            axes.set_title(f"{y_label} = {law[0]:.3g} × {x_label}$^{{{law[1]:.3f}}}$", fontsize=10)
        axes.margins(0.15)
        _logarithmic(axes, x_label, y_label)
        return _image(figure, f"{y_label} by {x_label} of {len(whole)} models")


# ---- studies ----


def _laws(data: Dict[str, Any], x: str) -> Optional[tuple]:
    """(factor, exponent, low, high) of a study's law by `x`."""
    for law in data.get("laws") or []:
        if isinstance(law, dict) and law.get("x") == x:
            factor, exponent, low, high = (number(law.get(key)) for key in ("factor", "exponent", "exponent_low", "exponent_high"))
            if factor is not None and exponent is not None:
                return factor, exponent, low, high
    return None


def _draw_law(axes: Any, law: Optional[tuple], xs: Sequence[float], x_label: str) -> str:
    """The dashed line of a law over `xs`, told in the title; gives what it says."""
    if law is None or not xs or min(xs) == max(xs):
        return ""
    factor, exponent, low, high = law
    ends = [min(xs), max(xs)]
    axes.plot(ends, [factor * end ** exponent for end in ends], color="#555555", linewidth=1.2, linestyle="--", zorder=1)
    interval = f" ({low:.3f} to {high:.3f})" if low is not None and high is not None else ""
    axes.set_title(f"{factor:.3g} × {x_label}$^{{{exponent:.3f}}}${interval}", fontsize=10)
    return f"; power law with exponent {exponent:.3f}{interval}"


def _positive(value: Any) -> Optional[float]:
    found = number(value)
    return found if found is not None and found > 0 else None


def _depth(depth: Any) -> str:
    return f"depth {depth}" if isinstance(depth, int) else "another depth"


def _depths(data: Dict[str, Any]) -> List[str]:
    """The depths of a study's models, in the order of their colours in all of its plots."""
    return [*map(_depth, sorted({one["depth"] for one in data["models"] if isinstance(one, dict) and isinstance(one.get("depth"), int)})), _depth(None)]


def study_sizes(data: Dict[str, Any], x: str = "parameters", x_label: str = "parameters") -> Optional[Markup]:
    """Losses of a grid's models by size: a colour a depth, models of one depth joined."""
    whole = [(_depth(one.get("depth")), a, b) for one in data["models"] if isinstance(one, dict)
             for a, b in [(_positive(one.get(x)), _positive(one.get("bits_per_byte")))] if a is not None and b is not None]
    if len(whole) < 2:
        return None
    with matplotlib.rc_context(STYLE):
        figure, axes = _figure()
        for index, depth in enumerate(_depths(data)):
            points = sorted((a, b) for one, a, b in whole if one == depth)
            if points:
                axes.plot([a for a, _ in points], [b for _, b in points], MARKERS[index % len(MARKERS)] + "-", linewidth=0.8, markersize=4.5,
                          color=COLOURS[index % len(COLOURS)], label=depth)
        told = _draw_law(axes, _laws(data, x), [a for _, a, _ in whole], x_label)
        _logarithmic(axes, x_label, "bits per byte")
        if len(_depths(data)) > 1:
            _legend(axes)
        return _image(figure, f"bits per byte by {x_label} of {len(whole)} models{told}")


def study_compute(data: Dict[str, Any]) -> Optional[Markup]:
    """Every validation of every model by the compute until then, in the colours of the depths, and the law through the best."""
    lines = []
    for one in data["models"]:
        points = [(_positive(point.get("compute")), _positive(point.get("bits_per_byte"))) for point in one.get("points") or [] if isinstance(point, dict)]
        lines.append((_depth(one.get("depth")), [(a, b) for a, b in points if a is not None and b is not None]))
    every = [point for _, points in lines for point in points]
    if len(every) < 2:
        return None
    best = sorted({(a, b) for a, b in every if not any(c <= a and d <= b and (c, d) != (a, b) for c, d in every)}) if len(every) <= 5000 else []
    with matplotlib.rc_context(STYLE):
        figure, axes = _figure()
        for index, depth in enumerate(_depths(data)):
            for count, points in enumerate([points for one, points in lines if one == depth and points]):
                axes.plot([a for a, _ in points], [b for _, b in points], ".-", linewidth=0.8, markersize=3.5, color=COLOURS[index % len(COLOURS)], alpha=0.7,
                          label=None if count else depth)
        axes.plot([a for a, _ in best], [b for _, b in best], "o", markersize=5, markerfacecolor="none", color="#1a202c", label="best for its compute")
        told = _draw_law(axes, _laws(data, "compute"), [a for a, _ in best], "compute")
        _logarithmic(axes, "compute in floating point operations: 6 × parameters × tokens", "bits per byte")
        _legend(axes)
        return _image(figure, f"bits per byte by compute, {len(every)} validations of {len(lines)} models{told}")


def study_grades(data: Dict[str, Any]) -> Optional[Markup]:
    """Grades by loss with their intervals: a colour an axis. None without a judge: nobody knows whose they are."""
    if not data.get("judge"):
        return None
    with matplotlib.rc_context(STYLE):
        figure, axes = _figure()
        for index, axis in enumerate(("grammar", "creativity", "consistency")):
            points = sorted((a, b, _positive(one.get(f"{axis}_low")) or b, _positive(one.get(f"{axis}_high")) or b) for one in data["models"] if isinstance(one, dict)
                            for a, b in [(_positive(one.get("bits_per_byte")), _positive(one.get(axis)))] if a is not None and b is not None)
            if len(points) > 1:
                ends = [[max(b - low, 0) for _, b, low, _ in points], [max(high - b, 0) for _, b, _, high in points]]
                axes.errorbar([a for a, *_ in points], [b for _, b, *_ in points], ends, fmt=MARKERS[index] + "-", linewidth=0.6, elinewidth=0.8, capsize=2, markersize=4.5,
                              color=COLOURS[index], label=axis)
        if not axes.lines:
            return None
        axes.invert_xaxis()
        axes.set_xlabel("bits per byte, better to the right")
        _graded(axes, judge_of(data))
        _legend(axes)
        return _image(figure, f"grades by loss, graded by {judge_of(data)}")


# ---- attention ----


def _colour(weight: float) -> str:
    """From white to dark blue."""
    share = min(max(weight, 0), 1) ** 0.6
    return "#%02x%02x%02x" % tuple(round(255 + share * (end - 255)) for end in (26, 54, 110))


LEAST = 0.02  # that a square is drawn for


def attention_scale() -> Markup:
    """What the colours of the maps are."""
    shown = (LEAST, 0.1, 0.25, 0.5, 0.75, 1)
    parts = [f'<rect x="{60 + 34 * index}" y="1" width="34" height="10" fill="{_colour(value)}" class="ground"/><text x="{77 + 34 * index}" y="22" text-anchor="middle">{value:g}</text>'
             for index, value in enumerate(shown)]
    return Markup(f'<svg class="map scale" viewBox="0 0 {62 + 34 * len(shown)} 26" role="img" aria-label="attention from {LEAST:g}, light, to 1, dark; less is left white">'
                  '<text x="0" y="10">attention</text>' + "".join(parts) + "</svg>")


def attention_map(tokens: Sequence[str], weights: Sequence[Sequence[Any]], labels: bool, name: str) -> Markup:
    """Rows are queries, columns keys; a square's title says both and the weight. With `labels` tokens stand at both axes."""
    names = [visible(token) for token in tokens[:64]]
    cell, margin = 12, 10 + 6 * max((min(len(name), 13) for name in names), default=0) if labels else 1
    size = margin + cell * len(names) + 1
    parts = [f'<svg class="map" viewBox="0 0 {size} {size}" style="max-width: {1.4 * size:.0f}px" role="img" aria-label="attention map of {escape(name)}"><rect x="{margin}" y="{margin}" width="{cell * len(names)}" '
             f'height="{cell * len(names)}" fill="#fff" class="ground"/>']
    for index, name in enumerate(names if labels else []):
        at = margin + cell * index + 9
        parts.append(f'<text x="{margin - 4}" y="{at}" text-anchor="end">{escape(name[:13])}</text>'
                     f'<text transform="translate({at},{margin - 4}) rotate(-90)">{escape(name[:13])}</text>')
    for query, row in enumerate(list(weights)[:len(names)]):
        for key, weight in enumerate(list(row)[:query + 1]):
            value = number(weight)
            if value is None or value < LEAST:
                continue
            title = f"{names[query]} looks at {names[key]}: {value:.2f}"
            parts.append(f'<rect x="{margin + cell * key}" y="{margin + cell * query}" width="{cell}" height="{cell}" fill="{_colour(value)}">'
                         f"<title>{escape(title)}</title></rect>")
    return Markup("".join(parts) + "</svg>")


def attribution(data: Dict[str, Any]) -> Optional[Markup]:
    """Who is for the next token: the sums that make its logit, and the heads and neurons that add or take most."""
    found = data.get("attribution")
    if not isinstance(found, dict):
        return None
    bars = [(key.replace("from_", ""), number(found.get(key))) for key in ("from_embedding", "from_heads", "from_neurons", "from_biases", "logit")]
    parts = []
    for what, names, colour in (("head", "heads", COLOURS[0]), ("neuron", "neurons", COLOURS[2])):
        for one in found.get(names) or []:
            if isinstance(one, dict) and number(one.get("logit")) is not None:
                parts.append((float(one["logit"]), f"layer {plain_k(one.get('layer'))}, {what} {plain_k(one.get(what))}", colour))
    if not parts or any(value is None for _, value in bars):
        return None
    parts.sort(key=lambda part: part[0])
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(5.6, 1.4 + 0.2 * (len(bars) + len(parts))))  # axes and labels, and as much for each bar
        whole, single = figure.subplots(2, 1, height_ratios=[len(bars), len(parts)])
        whole.barh([name for name, _ in bars][::-1], [value for _, value in bars][::-1], color=[COLOURS[-1], *["#a0aec0"] * 4])
        single.barh(range(len(parts)), [value for value, _, _ in parts], color=[colour for _, _, colour in parts])
        single.set_yticks(range(len(parts)), [name for _, name, _ in parts], fontsize=9)
        whole.set_xlabel("logit")
        single.set_xlabel(f"added to the logit of “{_label(visible(found.get('token')))}”")
        for axes in (whole, single):
            axes.axvline(0, color="#888888", linewidth=0.8)
            axes.grid(axis="y", visible=False)
        figure.tight_layout()
        return _image(figure, f"logit of {visible(found.get('token'))} {bars[-1][1]:.2f}: " + "; ".join(f"{name} {value:.2f}" for name, value in bars[:-1]))


def map_of(data: Dict[str, Any], layer: Any, head: Any) -> Optional[list]:
    """The weights of a head, if the maps have them."""
    try:
        weights = data["maps"]["weights"][layer][head]
        return weights if isinstance(weights, list) else None
    except (KeyError, IndexError, TypeError):
        return None


TELLING = (  # a name of heads, the measure that chooses which of them is shown, and what its map shows
    ("previous", "previous", "looks most at the token before: {:.0f} % of its attention"),
    ("induction", "induction", "looks at what followed the same token: {:.0f} % of its attention where tokens are said twice"),
    ("distance", "distance", "goes by distance: {:.0f} % of its choosing is by how far off the tokens are"),
    ("semantic", "content", "goes by meaning: {:.0f} % of its choosing is by what the tokens are"),
)
NAMELESS = (("", "focus", "no head has a name; of all it is the least even: {:.0f} % of its attention would have to move"),)


def telling_heads(data: Dict[str, Any]) -> List[tuple]:
    """(what is seen, head) of the heads worth a large map: the greatest of each score, each head once."""
    heads = [one for one in data.get("heads", []) if isinstance(one, dict) and map_of(data, one.get("layer"), one.get("head")) is not None]
    chosen: List[tuple] = []
    for kind, measure, seen in TELLING if any(kind in one.get("kinds", []) for kind, _, _ in TELLING for one in heads) else NAMELESS:
        left = [(value, one) for one in heads for value in [number(one.get(measure))]
                if value is not None and (not kind or kind in one.get("kinds", [])) and all(one is not other for _, other in chosen)]
        if left:
            value, one = max(left, key=lambda pair: pair[0])
            chosen.append((seen.format(100 * value), one))
    return chosen
