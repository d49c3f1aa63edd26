"""The notebook: errors that nobody observes come under the cell that started the service."""

from __future__ import annotations

import logging
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from rxfero import Failure, fero
from rxfero.events import Hub
from rxfero.notebook import KEPT, Board, attend
from tests.integration.cluster import until

CELL = """
import asyncio
from rxfero import fero
from reactivex import operators as ops

users = await fero("users")
await users.update("alice", 1)
print(get_ipython().complete(None, "users['al")[1])
users
"""
FAILS = """
users.on("change").pipe(ops.map(lambda change: 1 / change.value)).subscribe(print)
await users.update("a", 0)
await asyncio.sleep(0.3)
"""


class Handle:
    """What IPython gives for a display that can be updated."""

    def __init__(self) -> None:
        self.shown: list[str] = []

    def update(self, html: str) -> None:
        self.shown.append(html)


def failure(text: str) -> Failure:
    return Failure(ValueError(text), "change", "an observer")


def test_a_board_shows_the_last_errors_and_counts_all() -> None:
    handle = Handle()
    board = Board(handle, str)
    for n in range(KEPT + 3):
        board.of("teams" if n % 2 else "users")(failure(f"error {n}."))
    last = handle.shown[-1]
    assert f"{KEPT + 3} errors" in last
    assert "users" in last
    assert "teams" in last
    assert [n for n in range(KEPT + 3) if f"error {n}." in last] == list(range(3, KEPT + 3))
    assert f"errors={KEPT + 3}" in repr(board)


def test_there_is_none_without_a_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)
    assert attend("users") is None
    monkeypatch.setitem(sys.modules, "ipykernel", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: None))
    assert attend("users") is None


@pytest.mark.parametrize("handled", [False, True])
def test_errors_are_logged_too_where_logging_is_set_up(
    handled: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    hub = Hub("users")
    shown: list[Failure] = []
    hub.unseen = shown.append
    monkeypatch.setattr(logging.getLogger("rxfero"), "hasHandlers", lambda: handled)
    hub.emit("error", failure("one"))
    assert [str(f.error) for f in shown] == ["one"]
    assert ("one" in caplog.text) == handled
    hub.on("error").subscribe(lambda _: None)
    hub.emit("error", failure("two"))
    assert len(shown) == 1  # somebody observes


def test_a_board_that_fails_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    hub = Hub("users")

    def fail(_: Failure) -> None:
        raise OSError("no kernel any more")

    hub.unseen = fail
    hub.emit("error", failure("one"))
    assert "it could not be shown" in caplog.text


async def test_a_service_in_a_kernel_has_a_board(monkeypatch: pytest.MonkeyPatch) -> None:
    handle = Handle()
    display = SimpleNamespace(display=lambda *_, **__: handle, HTML=str)
    shell = SimpleNamespace(kernel=object(), execution_count=7)
    ipython = SimpleNamespace(get_ipython=lambda: shell, display=display)
    monkeypatch.setitem(sys.modules, "ipykernel", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    async with fero("users") as users:
        teller = attend("other")
        assert teller is not None
        teller(failure("first"))  # of the same cell, so on the same board

        def fail(_: Any) -> None:
            raise ValueError("bad observer")

        users.on("change", fail)
        await users.update("a", 1)
        await until(lambda: len(handle.shown) > 1, users)
        assert all(word in handle.shown[-1] for word in ("first", "bad observer", "2 errors"))
        shell.execution_count += 1
        teller = attend("users")
        assert teller is not None
        teller(failure("elsewhere"))
        assert "bad observer" not in handle.shown[-1]


def test_in_a_real_kernel() -> None:
    client = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    cells = [nbformat.v4.new_code_cell(text.strip()) for text in (CELL, FAILS, "await users.destroy()")]
    book = nbformat.v4.new_notebook(cells=cells)
    client.NotebookClient(book, timeout=60, kernel_name="python3").execute()
    outputs = book.cells[0].outputs
    shown = [str(o.data.get("text/html", "")) for o in outputs if "data" in o]
    assert any("<table>" in html and "server" in html for html in shown)  # the cache's page
    assert any("ZeroDivisionError" in html and "1 errors" in html for html in shown)
    assert [o.text for o in outputs if o.output_type == "stream"] == ["['alice']\n"]
    assert not [o for cell in book.cells for o in cell.outputs if o.output_type == "error"]
