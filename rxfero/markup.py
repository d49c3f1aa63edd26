"""The markup: tables and drawings as HTML and SVG, with all they need inside.

No script, no font and no address of another place: a notebook shows them where nothing else can be
loaded. Colours are readable on a light and on a dark page.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from typing import Any

PALETTE = (
    "#4c9be8", "#f2a541", "#5fbf8f", "#d96c6c", "#9a7fd1", "#3fb8c4", "#c7a13f", "#e284b3",
    "#7d9c5a", "#8b8fa3",
)  # fmt: skip
LINE = "#8888"
CELL_MAX = 80  # characters of a cell

STYLE = """<style>
.rxfero {font: 13px/1.4 system-ui, sans-serif; margin: 2px 0}
div.rxfero table {border-collapse: collapse; margin: 4px 0}
div.rxfero table th, div.rxfero table td {text-align: left !important; border: 0;
  padding: 2px 10px 2px 0; vertical-align: top; background: none;
  font: 12px/1.4 ui-monospace, monospace}
div.rxfero table th {font-weight: 600; border-bottom: 1px solid #8886}
div.rxfero table td.n {text-align: right !important}
.rxfero .dim {opacity: .65}
.rxfero .bad {color: #d03b3b}
.rxfero .row {display: flex; flex-wrap: wrap; gap: 24px; align-items: flex-start}
</style>"""


def page(*parts: str) -> str:
    """Give parts as one piece of HTML."""
    return f'{STYLE}<div class="rxfero">{"".join(parts)}</div>'


def beside(*parts: str) -> str:
    """Give parts side by side."""
    return f'<div class="row">{"".join(f"<div>{part}</div>" for part in parts)}</div>'


def line(text: str, kind: str = "") -> str:
    """Give a line of text."""
    return f'<div class="{kind}">{escape(text)}</div>'


def title(name: str, *more: str) -> str:
    """Give a heading: a name in bold, and what is said of it."""
    said = " · ".join(escape(part) for part in more if part)
    return f'<div><b>{escape(name)}</b> <span class="dim">{said}</span></div>'


def table(head: Sequence[str], rows: Iterable[Sequence[Any]], more: int = 0) -> str:
    """Give a table; numbers stand to the right, `more` says how many rows are left out."""
    cells = "".join(f"<th>{escape(name)}</th>" for name in head)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    rest = line(f"and {more:,} more", "dim") if more > 0 else ""
    return f"<table><thead><tr>{cells}</tr></thead><tbody>{body}</tbody></table>{rest}"


def _cell(value: Any) -> str:
    if type(value) in (int, float):
        shown = f"{value:,}" if type(value) is int else f"{value:,.1f}"
        return f'<td class="n">{shown}</td>'
    return f"<td>{escape(short(value))}</td>"


def short(value: Any, limit: int = CELL_MAX) -> str:
    """Give a value as text of at most so many characters."""
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def colours(names: Iterable[str]) -> dict[str, str]:
    """Give each name its colour, the same for the same names."""
    return {name: PALETTE[at % len(PALETTE)] for at, name in enumerate(sorted(set(names)))}


def donut(arcs: Sequence[tuple[str, int]], shares: Mapping[str, int], size: int = 160) -> str:
    """Draw a ring of arcs, (name, length) one after the other, and beside it what each name has.

    A name's arcs are the dashes of one circle: a ring of thousands of arcs takes some kB.
    """
    whole, hues = sum(length for _, length in arcs), colours(shares)
    circles: list[str] = []
    for name in sorted(hues):
        style = f'pathLength="{whole}" stroke-dasharray="{" ".join(_dashes(arcs, name))}"'
        circles.append(
            f'<circle cx="{size / 2:.0f}" cy="{size / 2:.0f}" r="{size * 0.38:.1f}" fill="none"'
            f' stroke="{hues[name]}" stroke-width="{size * 0.16:.0f}" {style}'
            f' transform="rotate(-90 {size / 2:.0f} {size / 2:.0f})"/>'
        )
    legend = "".join(
        f'<div><span style="color:{hues[name]}">■</span> {escape(name)} '
        f'<span class="dim">{count:,} ({count / (whole or 1):.0%})</span></div>'
        for name, count in sorted(shares.items())
    )
    drawn = f'<svg width="{size}" height="{size}" role="img">{"".join(circles)}</svg>'
    return beside(drawn, legend)


def _dashes(arcs: Sequence[tuple[str, int]], name: str) -> Iterator[str]:
    """Give the lengths that a name has and has not in turn, from the top on."""
    held, length = True, 0
    for owner, count in arcs:
        if (owner == name) != held:
            yield str(length)
            held, length = not held, 0
        length += count
    yield str(length)
    if held:
        yield "0"


def spark(values: Sequence[float], width: int = 240, height: int = 40) -> str:
    """Draw figures one after the other as a line, from 0 to the highest."""
    if not values:
        return ""
    top, step = max(*values, 1e-9), width / max(1, len(values) - 1)
    points = " ".join(
        f"{at * step:.1f},{height - 2 - value / top * (height - 4):.1f}"
        for at, value in enumerate(values)
    )
    drawn = f'<polyline points="{points}" fill="none" stroke="{PALETTE[0]}" stroke-width="1.5"/>'
    base = f'<line x1="0" y1="{height - 1}" x2="{width}" y2="{height - 1}" stroke="{LINE}"/>'
    return f'<svg width="{width}" height="{height}" role="img">{base}{drawn}</svg>'


def timeline(
    rows: Sequence[tuple[str, Sequence[tuple[float, str]]]], width: int = 420, row: int = 18
) -> str:
    """Draw events in time, a row of (seconds, kind) for each name; kinds have colours."""
    times = [at for _, events in rows for at, _ in events]
    if not times:
        return line("no changes", "dim")
    first, span = min(times), max(times) - min(times) or 1.0
    hues = colours(kind for _, events in rows for _, kind in events)
    left, height = 120, row * len(rows) + 4
    parts: list[str] = []
    for number, (name, events) in enumerate(rows):
        y = row * number + row / 2 + 2
        parts.append(
            f'<text x="{left - 8}" y="{y + 4:.0f}" text-anchor="end" font-size="11"'
            f' fill="currentColor" font-family="ui-monospace, monospace">'
            f"{escape(short(name, 16))}</text>"
            f'<line x1="{left}" y1="{y:.0f}" x2="{left + width}" y2="{y:.0f}" stroke="{LINE}"/>'
        )
        for at, kind in events:
            x = left + 4 + (at - first) / span * (width - 8)
            parts.append(
                f'<circle cx="{x:.1f}" cy="{y:.0f}" r="3.5" fill="{hues[kind]}"'
                f' fill-opacity=".75"/>'
            )
    drawn = f'<svg width="{left + width}" height="{height}" role="img">{"".join(parts)}</svg>'
    legend = " ".join(
        f'<span style="color:{hue}">●</span> {escape(kind)}' for kind, hue in hues.items()
    )
    said = f'<div class="dim">{span:,.1f} s · {legend}</div>'
    return drawn + said
