"""The notebook: errors without a caller, shown under the cell that started their service.

A kernel shows nothing of what a background task writes to stderr once its cell is done. Where there
is no kernel, nothing here is loaded or done.
"""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from itertools import groupby
from operator import itemgetter
from typing import Any

from rxfero import markup
from rxfero.display import of_failure
from rxfero.events import Failure

KEPT = 5  # errors shown


class Board:
    """The errors, under one cell, of the services that it started and that nobody observes.

    Args:
        handle: What IPython gives for a display that can be updated.
        html: Makes a displayable of HTML.
    """

    def __init__(self, handle: Any, html: Any) -> None:
        self._handle, self._html = handle, html
        self._last: deque[tuple[str, Failure]] = deque(maxlen=KEPT)
        self.count = 0

    def of(self, name: str) -> Callable[[Failure], None]:
        """Give what shows an error of a service."""
        return partial(self.tell, name)

    def tell(self, name: str, failure: Failure) -> None:
        """Show one more."""
        self.count += 1
        self._last.append((name, failure))
        parts: list[str] = []
        for service, group in groupby(self._last, itemgetter(0)):
            parts.append(markup.title(service))
            parts.extend(part for _, one in group for part in of_failure(one))
        said = f"{self.count:,} errors that no observer of on('error') has seen; the last:"
        self._handle.update(self._html(markup.page(markup.line(said), *parts)))

    def __repr__(self) -> str:
        return f"<Board errors={self.count}>"


_boards: dict[tuple[int, int], Board] = {}  # that of the cell which runs, by its number


def attend(name: str) -> Callable[[Failure], None] | None:
    """Give what shows errors of a service in the cell that runs now; None without a kernel."""
    if "ipykernel" not in sys.modules or threading.current_thread() is not threading.main_thread():
        return None
    ipython: Any = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    if shell is None or getattr(shell, "kernel", None) is None:
        return None
    cell = (id(shell), shell.execution_count)
    if cell not in _boards:
        display: Any = sys.modules["IPython"].display
        handle = display.display(display.HTML(""), display_id=True)
        _boards.clear()
        _boards[cell] = Board(handle, display.HTML)
    return _boards[cell].of(name)
