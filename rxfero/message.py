"""The message: the guarantee of one of a batch, made when somebody looks, and that of many.

A program may send a million messages and look at none of their guarantees; so what `send` gives
holds no more than its place in a batch (:mod:`rxfero.core.batch`) until something is asked of it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from typing import Any, cast, overload

from rxfero.core.batch import Batch
from rxfero.guarantee import Guarantee
from rxfero.shown import Shown


class _Seen(Guarantee):
    """The guarantee of one of a batch of messages, at which somebody has looked."""

    __slots__ = ("batch", "place")


class Message(_Seen):
    """The guarantee of one of a batch of messages: what it holds is made when somebody looks.

    Whatever is asked of it first makes it a guarantee like any other, or, where the batch has had
    to make one for its place that goes its own way, another name of that one.

    Use: made by :func:`message` or :func:`messages`, and where they are sent: a million of them a
    second may be made, and a constructor in Python would be half of what one costs.
    """

    __slots__ = ()
    __init__: Any = object.__init__

    def __getattribute__(self, name: str) -> Any:
        own, become = object.__getattribute__, object.__setattr__
        batch, place = own(self, "batch"), own(self, "place")
        if place in batch.calls:
            become(self, "__class__", _Alias)
        else:
            become(self, "__class__", _Seen)
            self.node, self.turn = batch.node, batch.turn
            self.seq, self.shard, self.offset = 0, -1, None
            batch.show(self, place)
        return getattr(self, name)


class _Alias(_Seen):
    """A message for which its batch has made another: it is that one, whatever is asked of it."""

    __slots__ = ()

    def __getattribute__(self, name: str) -> Any:
        own = object.__getattribute__
        return getattr(own(self, "batch").calls[own(self, "place")], name)

    def __setattr__(self, name: str, value: Any) -> None:
        own = object.__getattribute__
        setattr(own(self, "batch").calls[own(self, "place")], name, value)


make: Callable[[], Message] = cast("Any", Message)
"""Makes one that is none yet: its batch and place are to be set."""


def message(batch: Batch, place: int) -> Message:
    """Give the message at a place of a batch."""
    return next(messages(batch, (place,)))


def messages(batch: Batch, places: Iterable[int]) -> Iterator[Message]:
    """Give the messages at some places of a batch."""
    for place in places:
        made = make()
        made.batch, made.place = batch, place
        yield made


class Many(Shown, Sequence[Guarantee]):
    """The guarantees of many messages that were sent at once, made when they are asked for.

    Awaiting gives the list of all answers, in order; it raises the error of one that failed, and
    those of others go to `error`. It is a sequence of the single guarantees.

    Args:
        batch: One to begin with, the whole of it.
    """

    def __init__(self, batch: Batch | None = None) -> None:
        self._parts: list[tuple[Batch, int, int]] = []
        if batch is not None:
            self._parts.append((batch, 0, len(batch)))

    def add(self, batch: Batch, first: int, count: int) -> None:
        """Take so many places of a batch, from one on."""
        end = first + count
        if self._parts and self._parts[-1][0] is batch and self._parts[-1][2] == first:
            _, first, _ = self._parts.pop()
        self._parts.append((batch, first, end))

    def __len__(self) -> int:
        return sum([end - first for _, first, end in self._parts])

    def __iter__(self) -> Iterator[Guarantee]:
        for batch, first, end in self._parts:
            yield from messages(batch, range(first, end))

    @overload
    def __getitem__(self, at: int) -> Guarantee: ...

    @overload
    def __getitem__(self, at: slice) -> list[Guarantee]: ...

    def __getitem__(self, at: int | slice) -> Guarantee | list[Guarantee]:
        if isinstance(at, slice):
            return [self[place] for place in range(*at.indices(len(self)))]
        at = at + len(self) if at < 0 else at
        for batch, first, end in self._parts:
            if 0 <= at < end - first:
                return message(batch, first + at)
            at -= end - first
        raise IndexError("no so many messages were sent")

    def __await__(self) -> Generator[Any, None, list[Any]]:
        return self._all().__await__()

    async def _all(self) -> list[Any]:
        answers: list[Any] = []
        for batch, first, end in self._parts:
            if batch.answers is None:
                await message(batch, end - 1)  # with it the whole batch, but for what was late
            if batch.answers is not None:
                answers += batch.answers[first:end]
            else:
                answers += [await one for one in messages(batch, range(first, end))]
        return answers

    def __repr__(self) -> str:
        return f"<Many {len(self)} messages>"
