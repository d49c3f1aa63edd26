"""The batch: messages without keys that were asked for in one go, on their way as one frame.

A program may send a million messages a second and look at none of them. So what is asked for goes
into columns, and what is kept of one message is its place in them: its number, deadline and answer
are made when somebody looks (:meth:`Batch.show`). A batch that is answered as a whole settles as a
whole. Whatever concerns only some of its messages (an answer that is late, a repetition, a timeout)
splits it first, and then each of them goes its own way, as any other call.

The module knows no sessions and servers: :mod:`rxfero.core.requests` numbers batches and keeps
them, :mod:`rxfero.core.router` sends them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from rxfero.core.call import AUTO, CALL_BYTES, Call
from rxfero.core.value import pack, pack_body_of, pack_column, pack_scalars

_MIXED: Final[Any] = object()  # equal to no verb


class Batch:
    """Some messages, as columns.

    Args:
        turn: In which turn of the node they are asked for.
        node: The node that asks, for the calls; not known here.
        make: Makes what stands for the messages at some places; plain calls if not given.
        room: Bytes that it may take before it is to be sent.

    Attributes:
        fast: The verb of them all while their values are as they came; else equal to no verb.
        values: Text of ASCII and bytes as they came; or, when `packed`, anything packed.
        calls: Those at which somebody has looked, or that go their own way, by their place.
        first: The number of the first; 0 before they are numbered.
        room: Bytes that it may take yet.
        size: What they weigh, in bytes; 0 before they are numbered.
    """

    __slots__ = (
        "_began", "acked", "answers", "calls", "deadline", "fast", "first", "make", "node",
        "packed", "room", "size", "target", "turn", "values", "verb", "verbs",
    )  # fmt: skip

    def __init__(
        self, turn: int = 0, node: Any = None,
        make: Callable[[Batch, Iterable[int]], Iterator[Call]] | None = None, room: int = 0,
    ) -> None:
        self.turn, self.node = turn, node
        self._began = self.room = room  # the former as it was before the first message
        self.make = _shown if make is None else make
        self.fast: Any = _MIXED
        self.verb = ""
        self.verbs: list[str] | None = None
        self.values: list[Any] = []
        self.packed = False
        self.calls: dict[int, Call] = {}
        self.first = self.size = 0
        self.deadline = 0.0
        self.acked = False
        self.target: str | None = None
        self.answers: list[Any] | None = None

    def add(self, verb: str, value: str | bytes, *, packed: bool) -> int:
        """Take one more; `value` is packed, or else text of ASCII or bytes. Gives its place.

        :meth:`rxfero.peers.Peers.send` does the same in place where the verb is `fast`.
        """
        values, place = self.values, len(self.values)
        if not place:
            self.verb, self._began = verb, self.room
        elif self.verbs is not None:
            self.verbs.append(verb)
        elif verb != self.verb:
            self.verbs = [self.verb] * place
            self.verbs.append(verb)
        if packed and not self.packed:
            self.values = values = list(map(pack, values))
            self.packed = True
        self.room -= len(value) + CALL_BYTES
        kept: Any = pack(value) if self.packed and not packed else value
        values.append(kept)
        self.fast = _MIXED if self.packed or self.verbs is not None else verb
        return place

    def extend(self, verb: str, values: list[str], size: int) -> int:
        """Take many more, all text of ASCII, that weigh `size`; gives the place of the first."""
        place, room = len(self.values), self.room - size
        self.add(verb, values[0], packed=False)
        self.room = room
        rest = values[1:]
        self.values += map(pack, rest) if self.packed else rest
        if self.verbs is not None:
            self.verbs += [verb] * len(rest)
        return place

    def __len__(self) -> int:
        return len(self.values)

    @property
    def weight(self) -> int:
        """An estimate in bytes of what the messages hold, as that of :class:`Call`."""
        return self._began - self.room if self.values else 0

    def number(self, first: int, deadline: float) -> float:
        """Number the messages from `first` on; gives the soonest deadline of one of them."""
        self.first, self.deadline, self.size = first, deadline, self.weight
        for place, call in self.calls.items():
            call.number = first + place
            call.deadline = call.deadline or deadline
        return self.due

    @property
    def due(self) -> float:
        """The soonest deadline of a message."""
        return min([self.deadline, *[call.deadline for call in self.calls.values()]])

    def body(self, sid: str) -> tuple[bytes, bytes]:
        """Give the packed body of a MESSAGE (:mod:`rxfero.core.messages`), and its last part."""
        verbs = self.verb if self.verbs is None else self.verbs
        values = self.values
        column = pack_column(values) if self.packed else pack_scalars(values)
        return pack_body_of([sid, [self.first, len(values)], verbs, None], column)

    def sent(self, target: str) -> None:
        """Note to which server the frame goes."""
        self.target = target
        for call in self.calls.values():
            call.target = target

    def show(self, call: Call, place: int) -> None:
        """Give the message at a place what a call has of its own."""
        value = self.values[place]
        call.verb = self.verb if self.verbs is None else self.verbs[place]
        call.value = value if self.packed else pack(value)
        call.number = self.first + place if self.first else 0
        call.deadline, call.target, call.acked = self.deadline, self.target, self.acked
        call.path = call.content = None
        call.level = AUTO
        if self.answers is None:
            call.done = False
            self.calls[place] = call
        else:
            call.done, call.content = True, self.answers[place]

    def settle(self, answers: list[Any]) -> None:
        """Take the answers to all."""
        self.answers = answers
        for place, call in self.calls.items():
            call.content, call.done = answers[place], True

    def split(self) -> list[Call]:
        """Give the messages as calls that go their own ways."""
        return list(map(self.call, range(len(self.values))))

    def call(self, place: int) -> Call:
        """Give the call of a message: the one that was looked at, else a new one."""
        return self.calls.get(place) or next(self.make(self, (place,)))

    def __iter__(self) -> Iterator[Call]:
        places = range(len(self.values))
        return map(self.call, places) if self.calls else self.make(self, places)

    def __repr__(self) -> str:
        state = "answered" if self.answers is not None else "sent" if self.target else "waiting"
        return f"<Batch of {len(self.values)} messages from #{self.first} on, {state}>"


def _shown(batch: Batch, places: Iterable[int]) -> Iterator[Call]:
    for place in places:
        call = Call("", None, b"")
        batch.show(call, place)
        yield call
