"""The drawings: marble diagrams that are run, and drawn as they came out.

``python -m tests.docs.drawn`` draws them anew.
"""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

from reactivex import Observable
from reactivex import operators as ops

from rxfero import operators as fop
from rxfero.testing import Marbles
from rxfero.testing.marbles import COMPLETED, ERROR, Message

PLACE = Path(__file__).parents[2] / "docs" / "marbles"
STEP, LEFT, ROW, RADIUS, END_S = 44, 30, 56, 17, 16
COLOURS = {"a": "#8ecae6", "b": "#ffd166", "c": "#95d5b2", "x": "#f4a3a3"}
OTHER = "#dddddd"


class Drawing(NamedTuple):
    """What goes in, what is said of the operator, and what it makes of it (also a diagram)."""

    sources: tuple[str, ...]
    label: str
    chain: Callable[..., Observable[Any]]
    wanted: str
    values: dict[str, Any] = {}


def letter(item: Any) -> str:
    """Give the key of an item: its first letter."""
    return str(item)[0]


def checked(item: Any) -> Any:
    """Refuse an x."""
    if item == "x":
        raise ValueError(item)
    return item


DRAWINGS: dict[str, Drawing] = {
    "window_by": Drawing(
        ("a-b-a---b--|",), "window_by(key, every=4)",
        lambda source: source.pipe(
            fop.window_by(letter, every=4.0),
            ops.map(lambda window: f"{window.key} {len(window.items)}"),
        ),
        "----u-v----(w,|)", {"u": "a 2", "v": "b 1", "w": "b 1"},
    ),
    "conflate": Drawing(
        ("a-b-a----c----|",), "conflate(key, every=5)",
        lambda source: source.pipe(fop.conflate(letter, every=5.0)),
        "-----(a,b)----(c,|)",
    ),
    "buffer_bounded": Drawing(
        ("a-b--c-------|",), "buffer_bounded(2, within=3)",
        lambda source: source.pipe(fop.buffer_bounded(2, within=3.0), ops.map(" ".join)),
        "--u-----v----|", {"u": "a b", "v": "c"},
    ),
    "debounce": Drawing(
        ("a-b-----c---|",), "ops.debounce(2)",
        lambda source: source.pipe(ops.debounce(2.0)),
        "----b-----c-|",
    ),
    "isolate": Drawing(
        ("a--x--b---|",), "isolate(ops.map(checked))",
        lambda source: source.pipe(fop.isolate(ops.map(checked), errors=lambda _: None)),
        "a-----b---|",
    ),
}  # fmt: skip


def played(drawing: Drawing) -> tuple[list[list[Message]], list[Message]]:
    """Give what goes in and what comes out; both are run."""
    alone = [Marbles() for _ in drawing.sources]
    went = [m.seen(m.cold(diagram)) for m, diagram in zip(alone, drawing.sources, strict=True)]
    marbles = Marbles()
    sources = [marbles.cold(diagram) for diagram in drawing.sources]
    return went, marbles.seen(drawing.chain(*sources))


def svg(name: str) -> str:
    """Draw a diagram."""
    drawing = DRAWINGS[name]
    went, came = played(drawing)
    width = LEFT * 2 + STEP * END_S
    parts: list[str] = []
    for number, messages in enumerate(went):
        parts += line(messages, ROW // 2 + number * ROW, width)
    top = len(went) * ROW
    parts.append(
        f'<rect x="4" y="{top}" width="{width - 8}" height="36" rx="6" fill="#f7f7f7"'
        ' stroke="#555"/>'
    )
    parts.append(text(width // 2, top + 23, drawing.label))
    parts += line(came, top + 36 + ROW // 2, width)
    height = top + 36 + ROW
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}"'
    style = ' font-family="monospace" font-size="14" text-anchor="middle">'
    back = f'<rect width="{width}" height="{height}" fill="#ffffff"/>'
    title = f"<title>{escape(drawing.label)}</title>"
    return "\n".join([head + style, title, back, *parts, "</svg>", ""])


def line(messages: list[Message], y: int, width: int) -> list[str]:
    """Draw what happens in time."""
    parts = [f'<line x1="10" y1="{y}" x2="{width - 10}" y2="{y}" stroke="#555"/>']
    places: dict[float, int] = {}
    for message in messages:
        same = places[message.at] = places.get(message.at, -1) + 1
        x = round(LEFT + message.at * STEP + same * (2 * RADIUS + 2))
        if message.kind == COMPLETED:
            x -= RADIUS - 4 if same else 0
            parts.append(f'<path d="M{x} {y - 20}v40" stroke="#000" stroke-width="3"/>')
        elif message.kind == ERROR:
            parts.append(f'<path d="M{x - 10} {y - 10}l20 20m0 -20l-20 20" stroke="#c00"/>')
        else:
            colour = COLOURS.get(letter(message.value), OTHER)
            parts.append(
                f'<circle cx="{x}" cy="{y}" r="{RADIUS}" fill="{colour}" stroke="#333"/>'
            )
            parts.append(text(x, y + 5, str(message.value)))
    return parts


def text(x: int, y: int, said: str) -> str:
    """Write something."""
    return f'<text x="{x}" y="{y}">{escape(said)}</text>'


if __name__ == "__main__":
    PLACE.mkdir(exist_ok=True)
    for each in DRAWINGS:
        (PLACE / f"{each}.svg").write_text(svg(each), encoding="utf-8")
