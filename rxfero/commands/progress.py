"""The progress: how far long work is, on standard error: a bar on a terminal, else a line at times.

What is done within `QUIET_S` says nothing.
"""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any, Final

from rich.console import Console
from rich.progress import BarColumn, ProgressColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from rxfero.commands.output import note

QUIET_S: Final = 0.5
EVERY_S: Final = 5.0  # between two lines where there is no terminal


class Progress:
    """Shows how far something is.

    Args:
        what: What is being done.
        unit: What is counted.
    """

    def __init__(self, what: str, unit: str = "") -> None:
        self._what, self._unit = what, unit
        self._begun = time.monotonic()
        self._told = self._begun + QUIET_S - EVERY_S
        self._bars: Bars | None = None
        self._task: Any = None

    def show(self, done: int | None = None, total: int | None = None) -> None:
        """Show how far it is now; without a total how many, without either that it goes on."""
        now = time.monotonic()
        if now - self._begun < QUIET_S:
            return
        count = "" if done is None else f" {done:,}"
        whole = "" if total is None else f" of {total:,}"
        unit = f" {self._unit}" if count and self._unit else ""
        text = f"{self._what}{':' if count else ''}{count}{whole}{unit}"
        if sys.stderr.isatty():
            self._draw(text, done, total)
        elif now - self._told >= EVERY_S:
            self._told = now
            note(text)

    def _draw(self, text: str, done: int | None, total: int | None) -> None:
        if self._bars is None:
            columns: list[ProgressColumn] = [
                SpinnerColumn(), TextColumn("{task.description}"),
            ]  # fmt: skip
            if total is not None:
                columns.append(BarColumn())
            self._bars = Bars(
                *columns, TimeElapsedColumn(), console=Console(stderr=True), transient=True
            )
            self._task = self._bars.add_task(text, total=total)
            self._bars.start()
        self._bars.update(self._task, description=text, completed=done, total=total)

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        if self._bars is not None:
            self._bars.stop()

    def __repr__(self) -> str:
        return f"<Progress {self._what}{' drawn' if self._bars is not None else ''}>"
