"""The markup: HTML and SVG that are well formed, whatever they show."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxfero import markup

# What XML cannot hold at all (controls) is no matter of escaping: HTML shows it as it likes.
texts = st.text(st.characters(exclude_categories=["Cc", "Cs", "Cn"], exclude_characters="\ufffe\uffff"))
floats = st.floats(0, 1e9)


def parsed(html: str) -> ElementTree.Element:
    return ElementTree.fromstring(html)  # noqa: S314  (ours)


def text_of(html: str) -> str:
    return "".join(parsed(html).itertext())


@given(texts, st.lists(st.tuples(texts, st.integers(), floats)))
def test_law_a_table_shows_every_cell_as_it_is(name: str, rows: list[tuple[str, int, float]]) -> None:
    html = markup.page(markup.title(name, *[r[0] for r in rows]), markup.table(("a", "b", "c"), rows))
    shown = text_of(f"<x>{html}</x>")
    assert name in shown
    for text, number, part in rows:
        assert markup.short(text) in shown
        assert f"{number:,}" in shown
        assert f"{part:,.1f}" in shown


def test_what_is_left_out_is_counted() -> None:
    assert "and 1,200 more" in markup.table(("a",), [(1,)], 1200)
    assert "more" not in markup.table(("a",), [(1,)], 0)
    assert "more" not in markup.table(("a",), [(1,)], -3)


@given(st.one_of(texts, st.lists(st.integers())), st.integers(1, 100))
def test_law_a_short_text_is_short(value: object, limit: int) -> None:
    text = markup.short(value, limit)
    whole = value if isinstance(value, str) else repr(value)
    assert len(text) <= limit
    assert text == whole or text[:-1] == whole[: limit - 1]


@given(st.lists(texts))
def test_law_a_name_has_one_colour(names: list[str]) -> None:
    hues = markup.colours(names)
    assert set(hues) == set(names)
    assert hues == markup.colours(reversed(names))


@given(st.lists(st.tuples(st.sampled_from(["a", "b", "<c>", "d & e"]), st.integers(1, 50)), max_size=20))
def test_law_a_ring_shows_who_has_what(arcs: list[tuple[str, int]]) -> None:
    shares = {name: sum(n for other, n in arcs if other == name) for name, _ in arcs}
    html = markup.donut(arcs, shares)
    owners = [name for name, count in arcs for _ in range(count)]
    circles = parsed(html).findall(".//circle")
    assert [c.get("stroke") for c in circles] == [markup.colours(shares)[n] for n in sorted(shares)]
    for name, circle in zip(sorted(shares), circles, strict=True):
        assert circle.get("pathLength") == str(len(owners))
        dashes = [int(length) for length in (circle.get("stroke-dasharray") or "").split()]
        assert len(dashes) % 2 == 0  # an odd number would be taken twice
        has = [turn % 2 == 0 for turn, length in enumerate(dashes) for _ in range(length)]
        assert has == [owner == name for owner in owners]
    shown = text_of(html)
    assert all(name in shown and f"{count:,}" in shown for name, count in shares.items())


@given(st.lists(floats, min_size=1, max_size=50))
def test_law_a_line_stays_in_its_box(values: list[float]) -> None:
    (line,) = parsed(markup.spark(values, 200, 40)).findall("polyline")
    points = [tuple(map(float, p.split(","))) for p in (line.get("points") or "").split()]
    assert len(points) == len(values)
    assert all(0 <= x <= 200 and 0 <= y <= 40 for x, y in points)
    top = min(y for _, y in points)
    assert points[values.index(max(values))][1] == top


def test_nothing_is_drawn_of_nothing() -> None:
    assert markup.spark([]) == ""
    assert "no changes" in markup.timeline([])
    assert "no changes" in markup.timeline([("a", [])])


@given(st.dictionaries(texts, st.lists(st.tuples(floats, st.sampled_from(["add", "update"])), min_size=1), min_size=1, max_size=5))
def test_law_every_event_stands_on_the_line_of_its_name(rows: dict[str, list[tuple[float, str]]]) -> None:
    root = parsed(f"<x>{markup.timeline(list(rows.items()), row=20)}</x>")
    dots = root.findall(".//circle")
    assert len(dots) == sum(map(len, rows.values()))
    lines = {line.get("y1") for line in root.findall(".//line")}
    assert {dot.get("cy") for dot in dots} == lines
    assert len(lines) == len(rows)


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", "a & b", "\"'>"])
def test_what_users_wrote_is_text(text: str) -> None:
    for html in (
        markup.title(text, text), markup.line(text), markup.table((text,), [(text,)]),
        markup.donut([(text, 1)], {text: 1}), markup.timeline([(text, [(1.0, text)])]),
    ):  # fmt: skip
        assert "<script>" not in html
        assert text in text_of(f"<x>{html}</x>")


def test_a_page_needs_nothing_from_elsewhere() -> None:
    html = markup.page(markup.donut([("a", 1)], {"a": 1}), markup.spark([1, 2]))
    assert not re.search(r"https?:|url\(|@import|<script", html)
