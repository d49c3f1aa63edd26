"""The view: a page in a notebook that stays up to date while its cell is long done.

It is drawn anew on the running loop at a steady pace, and sent only when it has changed; nothing is
drawn for a page that is not shown. A view ends with what it shows, or by :meth:`View.close`.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any, TypeVar, cast

from reactivex import Observable
from reactivex.abc import DisposableBase

from rxfero import markup
from rxfero.cache import Cache
from rxfero.core.change import Change
from rxfero.display import CHANGES, keys_of, ring_of, row_of
from rxfero.errors import Closed, ConfigurationError
from rxfero.extras import wanted
from rxfero.operators.checks import some_seconds, whole

T = TypeVar("T")

KEPT = 120  # paces whose rate is drawn
ESM = """
function render({ model, el }) {
  const show = () => { el.innerHTML = model.get("page"); };
  model.on("change:page", show);
  show();
  return () => model.off("change:page", show);
}
export default { render };
"""


class View:
    """A live page; the last thing of a cell shows it.

    Args:
        name: What it shows, for its repr.
        draw: Gives the parts of the page.
        every: Seconds between two drawings.

    Attributes:
        page: The HTML as it was drawn last.
    """

    def __init__(self, name: str, draw: Callable[[], Iterable[str]], every: float) -> None:
        some_seconds("view.every", every)
        try:
            self._loop = asyncio.get_running_loop()
        except RuntimeError as error:
            hint = "needs a running loop: call it in a cell of a notebook, or in a coroutine"
            raise ConfigurationError("view", name, hint) from error
        self._name, self._draw, self._every = name, draw, every
        self._timer: asyncio.TimerHandle | None = None
        self._widget: Any = None
        self.closed = False
        self.page = ""

    def refresh(self) -> None:
        """Draw now; what fails is shown instead."""
        try:
            page = markup.page(*self._draw())
        except Closed:
            return  # what was shown stays
        except Exception as error:  # noqa: BLE001  (a page must not end a loop)
            page = markup.page(markup.line(f"{type(error).__name__}: {error}", "bad"))
        if page != self.page:
            self.page = page
            if self._widget is not None:
                self._widget.page = page

    def end(self) -> None:
        """Close soon, on the view's loop; from any thread."""
        with suppress(RuntimeError):  # the loop is closed, so nothing is drawn any more
            self._loop.call_soon_threadsafe(self.close)

    def close(self) -> None:
        """Draw a last time and stop; what is shown stays."""
        if not self.closed:
            self.closed = True
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
                self.refresh()

    def _tick(self) -> None:
        self.refresh()
        self._timer = self._loop.call_later(self._every, self._tick)

    @property
    def widget(self) -> Any:
        """The widget that shows the page, made when it is first asked for.

        Raises:
            ConfigurationError: anywidget is not installed.
        """
        if self._widget is None:
            anywidget = wanted("anywidget", "notebook", "view")
            traitlets = wanted("traitlets", "notebook", "view")
            shape = {"_esm": ESM, "page": traitlets.Unicode("").tag(sync=True)}
            if not self.closed and self._timer is None:
                self._tick()
            self._widget = type("Page", (anywidget.AnyWidget,), shape)(page=self.page)
        return self._widget

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        """Give the widget, and the page as it is now where widgets cannot be shown."""
        del include, exclude
        shown: Any = self.widget._repr_mimebundle_()
        bundle: Any = cast("Any", shown)[0] if isinstance(shown, tuple) else shown
        return {**bundle, "text/plain": repr(self), "text/html": self.page}

    def __repr__(self) -> str:
        return f"<View of {self._name}{' closed' if self.closed else ''}>"


class Pace:
    """How fast a count grows, over the last paces."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._last: tuple[float, int] | None = None
        self.rates: deque[float] = deque(maxlen=KEPT)

    def note(self, count: int) -> float:
        """Take the count as it is now; gives how many a second came since the last time."""
        now = self._clock()
        if self._last is not None and now > self._last[0]:
            self.rates.append(max(0, count - self._last[1]) / (now - self._last[0]))
        self._last = (now, count)
        return self.rates[-1] if self.rates else 0.0


def view(
    cache: Cache, *, every: float = 0.5, rows: int = 20,
    reading: Callable[[Callable[[Cache], Any]], Any] | None = None,
) -> View:  # fmt: skip
    """Give a live page of a cache: figures, the rate of changes, the ring, and the first keys.

    Args:
        every: Seconds between two drawings.
        rows: Keys shown.
        reading: Calls a function of the cache where the cache lives; None: here.

    Raises:
        ConfigurationError: no running loop, or an argument is out of range.
    """
    whole("view.rows", rows, 1)
    pace = Pace(time.monotonic)

    def parts(cache: Cache) -> Iterator[str]:
        told = cache.stats()
        rate = pace.note(told["commits"])
        lag = max((peer.lag for peer in cache.peers), default=0)
        figures = {
            "changes/s": rate, "keys": told["keys"], "lag": lag,
            "pending": told["pending"], "servers": told["members"], "clients": told["clients"],
            "RSS MiB": told["rss"] / 2**20,
        }  # fmt: skip
        yield markup.title(cache.name, f"{cache.id} ({told['role']})", told["status"])
        yield markup.table(list(figures), [list(figures.values())])
        yield markup.beside(markup.spark(list(pace.rates)), ring_of(cache.ring))
        yield keys_of(cache, told["keys"], rows)

    def drawn(cache: Cache) -> list[str]:
        return list(parts(cache))

    def watched(cache: Cache) -> None:
        cache.on("destroy", lambda _: made.end())

    def here(function: Callable[[Cache], Any]) -> Any:
        return function(cache)

    read = reading or here
    made = View(cache.name, lambda: read(drawn), every)
    read(watched)
    return made


def live(source: Observable[T], *, every: float = 0.5, rows: int = 10) -> View:
    """Give a live page of any Observable: its rate and its last items. Subscribes at once.

    Raises:
        ConfigurationError: no Observable, no running loop, or an argument is out of range.
    """
    if not isinstance(source, Observable):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigurationError("live", source, "must be an Observable")
    whole("live.rows", rows, 1)
    last: deque[Any] = deque(maxlen=rows)
    count, ended = 0, ""
    pace = Pace(time.monotonic)

    def draw() -> Iterator[str]:
        yield markup.title("live", f"{count:,} items", f"{pace.note(count):,.1f} a second", ended)
        yield markup.spark(list(pace.rates))
        if all(isinstance(item, Change) for item in last):
            yield markup.table(CHANGES, map(row_of, last))
        else:
            yield markup.table(("item",), [(markup.short(item),) for item in last])

    def take(item: T) -> None:
        nonlocal count
        count += 1
        last.append(item)

    def end(why: str) -> None:
        nonlocal ended
        ended = why
        made.end()

    def failed(error: Exception) -> None:
        end(f"failed: {type(error).__name__}: {error}")

    made = _Live("a stream", draw, every)
    made.taken = source.subscribe(take, failed, lambda: end("completed"))
    return made


class _Live(View):
    """A view that has subscribed to something."""

    taken: DisposableBase | None = None

    def close(self) -> None:
        super().close()
        if self.taken is not None:
            self.taken.dispose()
