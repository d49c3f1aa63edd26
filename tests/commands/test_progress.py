"""The progress: a bar on a terminal, a line at times elsewhere, and silence about what is quick."""

from __future__ import annotations

import io
import re
import sys

import pytest

from rxfero.commands import progress
from rxfero.commands.progress import Progress


class Screen(io.StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_what_is_quick_says_nothing(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    with Progress("syncing users", "records") as shown:
        shown.show(1)
        clock[0] += progress.QUIET_S - 0.01
        shown.show(2)
    assert capsys.readouterr() == ("", "")


def test_without_a_terminal_there_is_a_line_at_times(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    with Progress("syncing users", "records") as shown:
        for step in range(12):
            clock[0] += 1.0
            shown.show(1000 * step)
        shown.show(5, 10)
        clock[0] += progress.EVERY_S
        shown.show(5, 10)
        clock[0] += progress.EVERY_S
        shown.show()
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "rxfero: syncing users: 0 records", "rxfero: syncing users: 5,000 records",
        "rxfero: syncing users: 10,000 records", "rxfero: syncing users: 5 of 10 records",
        "rxfero: syncing users",
    ]  # fmt: skip


@pytest.mark.parametrize("total", [None, 10])
def test_on_a_terminal_it_is_drawn_and_gone_at_the_end(
    total: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(progress, "QUIET_S", 0.0)
    with Progress("measuring", "steps") as shown:
        shown.show(5, total)
        assert "drawn" in repr(shown)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.getvalue())
    assert f"measuring: 5{' of 10' if total else ''} steps" in text
    assert screen.getvalue().endswith("\x1b[2K")  # the line is cleared
