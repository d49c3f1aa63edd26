"""The view: a page that follows what it shows, and ends with it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import reactivex as rx
from reactivex import operators as ops
from reactivex.subject import Subject

import rxfero
from rxfero.errors import ConfigurationError
from rxfero.view import KEPT, Pace, View, live, view
from tests.integration.cluster import Cluster

WAIT_S = 20.0


def drawn(made: View) -> Callable[[Callable[[str], bool]], Awaitable[str]]:
    """Give what waits for a page on which something holds."""
    pages: asyncio.Queue[str] = asyncio.Queue()
    made.widget.observe(lambda change: pages.put_nowait(change["new"]), "page")

    async def until(holds: Callable[[str], bool]) -> str:
        page = made.page
        async with asyncio.timeout(WAIT_S):
            while not holds(page):
                page = await pages.get()
        return page

    return until


async def test_a_view_follows_a_cache_until_it_ends() -> None:
    async with Cluster() as cluster:
        node = await cluster.server()
        made = node.view(every=0.01)
        assert made.page == ""  # nothing is drawn for nobody
        until = drawn(made)
        assert node.id in made.page
        await node.update("alice", {"email": "a@x.org"})
        page = await until(lambda page: "a@x.org" in page)
        assert all(word in page for word in ("changes/s", "lag", "<svg", "alice", "dict 1"))
        await node.destroy()
        async with asyncio.timeout(WAIT_S):
            while not made.closed:
                await asyncio.sleep(0)
        assert "alice" in made.page
        assert "closed" in repr(made)


async def test_a_view_sends_only_what_has_changed() -> None:
    shown = ["a"]
    made = View("test", lambda: shown, 0.001)
    sent: list[str] = []
    made.widget.observe(lambda change: sent.append(change["new"]), "page")
    first = made.page
    made.refresh()
    made.refresh()
    assert sent == []
    shown[0] = "b"
    made.refresh()
    assert len(sent) == 1
    assert sent[0] != first
    made.close()


async def test_a_view_that_cannot_draw_says_so_and_goes_on() -> None:
    shown: list[str] | None = None

    def draw() -> list[str]:
        if shown is None:
            raise ValueError("no picture")
        return shown

    made = View("test", draw, 0.001)
    until = drawn(made)
    assert "ValueError: no picture" in made.page
    shown = ["fine"]
    assert "no picture" not in await until(lambda page: "fine" in page)
    made.close()


async def test_a_view_can_be_closed_and_is_still() -> None:
    count = 0

    def draw() -> list[str]:
        nonlocal count
        count += 1
        return [str(count)]

    made = View("test", draw, 0.001)
    until = drawn(made)
    await until(lambda page: "3" in page)
    made.close()
    made.close()
    last = made.page
    await asyncio.sleep(0.01)
    assert made.page == last
    assert made._timer is None


async def test_what_a_notebook_is_given() -> None:
    made = View("test", lambda: ["a page"], 1.0)
    bundle = made._repr_mimebundle_()
    assert "a page" in bundle["text/html"]  # where widgets cannot be shown
    assert bundle["text/plain"] == "<View of test>"
    assert "application/vnd.jupyter.widget-view+json" in bundle
    made.close()


async def test_without_anywidget_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "anywidget", None)
    made = View("test", lambda: [], 1.0)
    with pytest.raises(ConfigurationError, match=r"pip install 'rxfero\[notebook\]'"):
        made._repr_mimebundle_()


async def test_a_stream_lives() -> None:
    source: Subject[Any] = Subject()
    made = live(source, every=0.001, rows=2)
    until = drawn(made)
    for n in range(5):
        source.on_next(n)
    page = await until(lambda page: "5 items" in page)
    assert "<td>4</td>" in page
    assert "<td>2</td>" not in page  # the last two only
    source.on_completed()
    await until(lambda page: "completed" in page)
    assert made.closed


async def test_a_stream_that_fails_says_so() -> None:
    made = live(rx.throw(ValueError("torn")), every=0.001)
    await drawn(made)(lambda page: "failed: ValueError: torn" in page)


async def test_a_closed_view_has_let_go_of_its_stream() -> None:
    source: Subject[Any] = Subject()
    made = live(source)
    assert source.observers
    made.close()
    assert not source.observers


async def test_a_chain_of_a_cache_lives() -> None:
    async with Cluster() as cluster:
        node = await cluster.server()
        made = node.on("change").live(every=0.001)
        keys = node.on("change").pipe(ops.map(lambda change: f"key {change.key}"))
        names = rxfero.live(keys, every=0.001)
        await node.update("alice", 1)
        page = await drawn(made)(lambda page: "alice" in page)
        assert "update" in page  # changes are rows
        await drawn(names)(lambda page: "key alice" in page)
        assert keys.live().__class__ is names.__class__
        made.close()
        names.close()


@pytest.mark.parametrize("rows", [0, -1, 1.5, "a", None, True])
async def test_rows_that_cannot_be(rows: Any) -> None:
    async with Cluster() as cluster:
        node = await cluster.server()
        for make in (lambda: live(rx.never(), rows=rows), lambda: view(node, rows=rows)):
            with pytest.raises(ConfigurationError, match="rows"):
                make()


@pytest.mark.parametrize("every", [0, -1, "a", None, True, float("nan")])
async def test_paces_that_cannot_be(every: Any) -> None:
    with pytest.raises(ConfigurationError, match="every"):
        live(rx.never(), every=every)


async def test_what_is_no_stream() -> None:
    with pytest.raises(ConfigurationError, match="must be an Observable"):
        live([1, 2])  # type: ignore[arg-type]


def test_without_a_loop() -> None:
    with pytest.raises(ConfigurationError, match="needs a running loop"):
        live(rx.never())


def test_the_pace_of_a_count() -> None:
    now = 0.0
    pace = Pace(lambda: now)
    assert pace.note(10) == 0.0  # of what was there before nothing is known
    now = 2.0
    assert pace.note(30) == 10.0
    assert pace.note(30) == 10.0  # no time has gone by
    now = 3.0
    assert pace.note(20) == 0.0  # a count that began again
    for _ in range(2 * KEPT):
        now += 1.0
        pace.note(20)
    assert len(pace.rates) == KEPT
