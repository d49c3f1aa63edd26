"""The line: results that come at any time, given in the order in which they were begun.

Each item takes a place at the end. What comes for the first place is given at once, what comes for
a later one waits for its turn, errors too. An observer that raises stops nobody: the line goes on,
and the error is raised when it has come to rest.

It goes on after an error as well. Whoever subscribed through RxPY gets nothing after it; only
:func:`rxfero.operators.isolate` listens on.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from reactivex.abc import ObserverBase


class Place:
    """The place of one item in a line. `used` says whether a result has come for it."""

    __slots__ = ("done", "error", "used", "values")

    def __init__(self) -> None:
        self.values: deque[Any] = deque()
        self.error: Exception | None = None
        self.done = self.used = False


class Line:
    """Results in the order of their places.

    Args:
        observer: Who gets them.
    """

    def __init__(self, observer: ObserverBase[Any]) -> None:
        self._observer = observer
        self._places: deque[Place] = deque()
        self._moving = self._ended = False

    def __len__(self) -> int:
        return len(self._places)

    def enter(self) -> Place:
        """Take the place at the end."""
        place = Place()
        self._places.append(place)
        return place

    def give(self, place: Place, value: Any) -> None:
        """Take a result of a place; there may be several."""
        place.used = True
        place.values.append(value)
        self._move()

    def leave(self, place: Place, error: Exception | None = None) -> None:
        """Know that a place has no more results, or has failed."""
        if not place.done:
            place.done, place.error = True, error
            self._move()

    def end(self) -> None:
        """Know that no more places are taken."""
        self._ended = True
        self._move()

    def _move(self) -> None:
        if self._moving:
            return
        raised: list[Exception] = []
        self._moving = True
        try:
            self._advance(raised)
        finally:
            self._moving = False
        if len(raised) == 1:
            raise raised[0]
        if raised:
            raise ExceptionGroup("several results could not be given", raised)

    def _advance(self, raised: list[Exception]) -> None:
        places, observer = self._places, self._observer
        while places:
            place = places[0]
            try:
                while place.values:
                    observer.on_next(place.values.popleft())
                if not place.done:
                    return
                places.popleft()
                if place.error is not None:
                    observer.on_error(place.error)
            except Exception as error:  # noqa: BLE001  (raised again when the line rests)
                raised.append(error)
        if self._ended:
            observer.on_completed()
