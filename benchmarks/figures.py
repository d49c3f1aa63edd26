"""The figures: lists of sizes, permutations, percentiles and the tables they are shown in."""

from __future__ import annotations

import argparse
import itertools
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

PERCENTILES = (10.0, 50.0, 90.0, 99.0, 99.9, 99.99)
MIB = 1 << 20


def whole(text: str) -> int:
    """Read a positive whole number; an argparse type."""
    try:
        value = int(text.replace("_", ""))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number") from None
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is not positive")
    return value


def warmth(text: str) -> int:
    """Read a whole number, 0 too; an argparse type."""
    return 0 if text == "0" else whole(text)


def wholes(text: str) -> list[int]:
    """Read positive whole numbers with commas between them; an argparse type."""
    return [whole(part) for part in text.split(",")]


def permutations(**axes: Sequence[int]) -> list[dict[str, int]]:
    """Give every combination of the axes' values, the last axis changing fastest."""
    return [
        dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())
    ]


def percentile(ordered: Sequence[float], percent: float) -> float:
    """Give the percentile of sorted values, linear between the two nearest of them.

    Raises:
        ValueError: no values, or not 0 to 100 percent.
    """
    if not ordered or not 0 <= percent <= 100:
        raise ValueError(f"no {percent} percentile of {len(ordered)} values")
    place = (len(ordered) - 1) * percent / 100
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def spread(seconds: Iterable[float]) -> dict[str, float]:
    """Give mean and percentiles, in microseconds."""
    ordered = sorted(seconds)
    found = {"mean": statistics.fmean(ordered) * 1e6}
    for percent in PERCENTILES:
        found[f"p{percent:g}"] = percentile(ordered, percent) * 1e6
    return found


def medians(runs: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Give the median of each figure over several runs."""
    return {name: statistics.median([run[name] for run in runs]) for name in runs[0]}


def ratios(
    ours: Sequence[Mapping[str, float]], theirs: Sequence[Mapping[str, float]],
    names: Sequence[str],
) -> list[dict[str, float]]:
    """Give ours/theirs of each pair of runs, for the figures of these names."""
    return [
        {name: mine[name] / other[name] for name in names}
        for mine, other in zip(ours, theirs, strict=True)
    ]


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Give rows as aligned text, the columns in the order they first appear."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    cells = [names, *[[_cell(row.get(name)) for name in names] for row in rows]]
    widths = [max(len(line[at]) for line in cells) for at in range(len(names))]
    lines = [
        "  ".join(
            text.ljust(width) if at == 0 else text.rjust(width)
            for at, (text, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in cells
    ]
    return "\n".join([lines[0], "-" * max(map(len, lines)), *lines[1:]])


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        places = 0 if value >= 1000 else 1 if value >= 10 else 3
        return f"{value:,.{places}f}"
    return f"{value:,}" if type(value) is int else str(value)
