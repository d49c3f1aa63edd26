"""The call: one outgoing request, what became of it, and the words for that on the wire.

The module knows no sessions, shards or servers: :mod:`rxfero.core.requests` carries calls.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rxfero.core.position import Offset
from rxfero.errors import ConfigurationError

_DISKS = re.compile(r"durable(?:\((\d{1,3})\))?")

if TYPE_CHECKING:
    from rxfero.core.path import Path

# Reply statuses (REPLY, CONSISTENCY 3.4).
OK, GAP, RETRY, UNKNOWN, NOT_REPLICATED, TOO_BIG, OVERLOADED, FAILED = range(8)
COMPARE, MISSING, WRONG, REFUSED, NOT_ALLOWED, NO_QUORUM = range(8, 14)
# Outcomes decided here, never on the wire.
TIMEOUT, LOST, CLOSED = range(20, 23)

# Levels of acknowledgement: n > 0 is replicated(n), DURABLE - n is durable(n).
COMMIT, ALL, MAJORITY, AUTO = 0, -1, -2, -3
DURABLE = -16
LOWEST = DURABLE - 255

_NAMED = {"auto": AUTO, "commit": COMMIT, "majority": MAJORITY, "all": ALL}


def level_of(level: Any) -> int:
    """Read a level of durability.

    Raises:
        ConfigurationError: neither n >= 0 nor "auto", "commit", "majority", "all", "durable" or
            "durable(n)" with 1 <= n <= 255.
    """
    if type(level) is int and level >= 0:
        return level
    if isinstance(level, str):
        if level in _NAMED:
            return _NAMED[level]
        found = _DISKS.fullmatch(level)
        if found is not None and 1 <= int(found[1] or 1) <= DURABLE - LOWEST:
            return DURABLE - int(found[1] or 1)
    hint = "must be n >= 0, 'commit', 'majority', 'all', 'auto', 'durable' or 'durable(n)'"
    raise ConfigurationError("ack", level, hint)


CALL_BYTES = 64  # what a request is counted for beside its value
READ = "rxfero.read"  # the verb of a read at the owner
HOLDERS = "rxfero.holders"  # of a question to it: which servers hold a write of this session
QUESTIONS = frozenset((READ, HOLDERS))
WRITES = frozenset(("update", "add", "remove", "push", "patch"))
WINDOW = 256  # answers to one request that are on their way, or that nobody has taken yet
SID_MAX = 128  # characters of a session's id


class Call:
    """One outgoing request; the face's Guarantee is one of these.

    Use: `number` matches replies; (`shard`, `seq`) orders log writes (seq 0: not a log write).
    Invariant: once `done`, status, result and offset never change again.
    """

    number = 0
    seq = 0
    shard = -1
    level = AUTO
    expect: Any = None
    ttl_ms = 0
    acked = False
    done = False
    status = OK
    result: Any = None  # packed bytes; of a peer that lies whatever it sent, told when it is read
    content: Any = None  # the answer of a message, which comes decoded
    offset: Offset | None = None
    deadline = 0.0
    target: str | None = None
    handler: str | None = None  # who sends several answers
    streams = taken = 0  # answers that came before the last; those that the handler knows of
    watchers: tuple[Any, ...] = ()  # who is to be told of the outcome

    def __init__(
        self,
        verb: str,
        path: Path | tuple[Any, ...] | None,
        value: bytes,
        level: int = AUTO,
        expect: Any = None,
        ttl_ms: int = 0,
    ) -> None:
        self.verb, self.path, self.value, self.level = verb, path, value, level
        self.expect, self.ttl_ms = expect, ttl_ms

    public = False  # whether the program made it (the face's Guarantee did)

    def settled(self) -> None:
        """Called by the node when the outcome is known."""

    def received(self) -> None:
        """Called by the node when a server has received the request."""

    def partial(self, value: bytes) -> None:
        """Called by the node with each of several answers."""

    @property
    def size(self) -> int:
        """An estimate in bytes of what the request holds."""
        return len(self.value) + CALL_BYTES

    def __repr__(self) -> str:
        state = f"status={self.status}" if self.done else "pending"
        return f"<{type(self).__name__} #{self.number} {self.verb} {self.path} {state}>"


def weigh(calls: Sequence[Call]) -> int:
    """Give an estimate in bytes of what requests hold together: the sum of their sizes."""
    return sum([len(call.value) for call in calls]) + CALL_BYTES * len(calls)
