"""How values stand on a report's page: what is a number, and what a text must not do to the page around it."""

from __future__ import annotations

import math
from typing import Any, Dict, Iterable, List, Optional


def number(value: Any) -> Optional[float]:
    """A finite number, or None."""
    try:
        found = float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else math.nan
    except OverflowError:  # JSON has whole numbers of any size
        return None
    return found if math.isfinite(found) else None


def column(log: Iterable[Dict[str, Any]], x: str, y: str) -> tuple:
    """The points of a log where both are numbers. Its other lines repeat those of the step before them: a point is there once."""
    points = [(number(line.get(x)), number(line.get(y))) for line in log]
    whole = list(dict.fromkeys((a, b) for a, b in points if a is not None and b is not None))
    return [a for a, _ in whole], [b for _, b in whole]


def flat(data: Any, prefix: str = "") -> List[tuple]:
    """An object as rows (name, value): nested names joined, long lists told by their length."""
    rows: List[tuple] = []
    for key, value in data.items():
        name = f"{prefix}{key}".replace("_", " ")
        if isinstance(value, dict):
            rows += flat(value, f"{name} ")
        elif isinstance(value, list) and (len(value) > 12 or any(isinstance(one, (dict, list)) for one in value)):
            rows.append((name, f"{len(value)} entries"))
        elif isinstance(value, list):
            rows.append((name, ", ".join(map(plain, value))))
        else:
            rows.append((name, plain(value)))
    return rows


def plain(value: Any) -> str:
    """A value for people."""
    if value is None or type(value).__name__ == "ChainableUndefined":
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return "–" if not math.isfinite(value) else f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return str(value)


def fixed(value: Any, digits: int) -> str:
    """A number with so many decimals."""
    whole = number(value)
    return "–" if whole is None else f"{whole:.{digits}f}"


def share(value: Any) -> str:
    """A share of 0 to 1 for people."""
    whole = number(value)
    return "–" if whole is None else f"{100 * whole:.1f} %"


def duration(seconds: Any) -> str:
    value = number(seconds)
    if value is None:
        return "–"
    minutes, rest = divmod(int(value), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def spread(completions: Any, limit: int) -> List[Any]:
    """At most `limit` completions, of every model as many, those that seem to speak to the judge before the others."""
    models: Dict[str, List[Any]] = {}
    for one in completions:
        models.setdefault(str(one.get("model") if isinstance(one, dict) else ""), []).append(one)
    share = max(limit // max(len(models), 1), 1)
    first = [sorted(those, key=lambda one: not (isinstance(one, dict) and one.get("suspicion"))) for those in models.values()]
    return [one for those in first for one in those[:share]][:limit]


def grade(value: Any) -> str:
    """A grade of one story: whole numbers as they are, others to a tenth, which is more than they tell."""
    whole = number(value)
    return plain(value) if whole is None else f"{whole:.0f}" if whole == int(whole) else f"{whole:.1f}"


def column_of(items: Any, key: str) -> List[Any]:
    return [one.get(key) for one in items if isinstance(one, dict)] if isinstance(items, list) else []


def most_copied(items: Any, limit: int = 10) -> List[tuple]:
    """(index, item) of the completions with the longest copied runs."""
    copied = [(index, one) for index, one in enumerate(items if isinstance(items, list) else []) if isinstance(one, dict) and number(one.get("copied_words"))]
    return sorted(copied, key=lambda pair: -float(pair[1]["copied_words"]))[:limit]


def named(text: str) -> str:
    """A text with the numbers of what would not be seen, or would turn the text around it."""
    return "".join(one if one.isprintable() else f"‹{ord(one):X}›" for one in text)


def visible(token: Any) -> str:
    """A token on an axis or in a title: white space is seen too."""
    return named(str(token).replace("\n", "⏎").replace("\t", "⇥").replace(" ", "·")) or "∅"
