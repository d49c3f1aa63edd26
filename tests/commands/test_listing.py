"""The listing: what rows say of nodes, and the live table on a terminal."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import struct
import sys
import termios
from fcntl import ioctl
from typing import Any

import pytest

from rxfero.commands.listing import COLUMNS, DROPPED, LOST, dressed, fitting, rows_of, summary
from rxfero.monitor import Seen
from tests.commands.conftest import begin

FIGURES: dict[str, Any] = {
    "service": "users", "name": "a", "address": "127.0.0.1:1", "role": "server", "status": "alive",
    "shards": 10, "keys": 5, "commits": 100, "clients": 0, "ring": 7, "rss": 3 << 20, "uptime": 200.0,
    "boot": 1,
}  # fmt: skip


def seen(at: float = 10.0, answers: bool = True, **changed: Any) -> Seen:
    return Seen({**FIGURES, **changed}, at, answers)


def test_lag_is_what_is_missing_of_the_most_in_the_service() -> None:
    rows = rows_of([seen(), seen(name="b", commits=90), seen(service="x", name="c", commits=1)], {})
    assert [row["lag"] for row in rows] == [0, 10, 0]
    assert {*rows[0]} == {*COLUMNS}
    assert rows[0]["rate"] is None


def test_the_rate_is_of_two_looks_at_one_life() -> None:
    before = {"users\0a\x001": seen(8.0, commits=50)}
    assert rows_of([seen()], before)[0]["rate"] == 25.0
    assert rows_of([seen(boot=2)], before)[0]["rate"] is None


def test_who_does_not_answer_is_lost_and_counts_no_more() -> None:
    nodes = [seen(), seen(name="b", answers=False, commits=1000, ring=9)]
    rows = rows_of(nodes, {})
    assert rows[1]["status"] == LOST
    assert (rows[0]["lag"], rows[1]["lag"]) == (0, None)
    good, lost = dressed(rows)
    assert (good["ring"].style, good["status"].style) == ("green", "green")
    assert (lost["ring"].style, lost["status"].style) == ("red", "red")
    assert summary(nodes).plain == "1 server of 1 service, 1 lost, rings agreed"


def test_rings_that_differ_are_seen() -> None:
    nodes = [seen(), seen(name="b", ring=8)]
    assert [row["ring"].style for row in dressed(rows_of(nodes, {}))] == ["red", "red"]
    assert "RINGS DIFFER" in summary(nodes).plain


@pytest.mark.parametrize(
    ("rss", "uptime", "texts"),
    [(0, 5.9, ("0 B", "5 s")), (3 << 20, 200.0, ("3 MiB", "3 min")), (5 << 40, 9e3, ("5 TiB", "2 h")),
     (1 << 60, 1e6, ("1048576 TiB", "11 d"))],
)  # fmt: skip
def test_sizes_and_times_are_for_the_eye(rss: int, uptime: float, texts: tuple[str, str]) -> None:
    (row,) = dressed(rows_of([seen(rss=rss, uptime=uptime)], {}))
    assert (row["rss"], row["uptime"]) == texts


def test_a_narrow_terminal_is_shown_what_tells_most() -> None:
    rows = dressed(rows_of([seen(name="a" * 12, address="127.0.0.1:12345")], {}))
    assert fitting(rows, 200) == list(COLUMNS)
    narrow = fitting(rows, 100)
    assert {"service", "name", "status", "shards", "commits", "lag", "rate", "ring"} <= {*narrow}
    assert "role" not in narrow
    assert fitting(rows, 1) == [name for name in COLUMNS if name not in DROPPED]


class Terminal:
    """A terminal of 160 columns and 30 lines, and a command in it."""

    def __init__(self, *words: str, **env: str) -> None:
        self._main, side = pty.openpty()
        ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 160, 0, 0))
        env = {**os.environ, "TERM": "xterm", **env}
        self.process = begin(*words, stdin=side, stdout=side, stderr=side, env=env)
        os.close(side)
        self.text = ""

    def until(self, pattern: str) -> None:
        """Read until something is shown."""
        while not re.search(pattern, self.text):
            ready, _, _ = select.select([self._main], [], [], 20)
            assert ready, self.text
            self.text += os.read(self._main, 1 << 16).decode()

    def end(self) -> int:
        """Press Ctrl-C; gives the exit status."""
        self.process.send_signal(signal.SIGINT)
        self.until("interrupted")
        status = self.process.wait(20)
        os.close(self._main)
        return status


@pytest.mark.skipif(sys.platform == "win32", reason="needs a terminal of POSIX")
@pytest.mark.parametrize("plain", [False, True])
def test_on_a_terminal_it_is_live_until_ctrl_c(people: str, plain: bool) -> None:
    env = {"NO_COLOR": "1"} if plain else {"FORCE_COLOR": "1"}
    terminal = Terminal("ls", "--every", "0.1", "--ports", people, **env)
    terminal.until(r"people")
    terminal.until(r"(?s)(alive.*){3}")  # drawn again and again
    assert terminal.end() == 130
    assert ("\x1b[32m" in terminal.text) != plain
    assert "Traceback" not in terminal.text
