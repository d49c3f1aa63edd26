"""The guarantee: what a write or message came to, at the level its caller asks for.

Awaiting a guarantee waits for the default durability and gives the :class:`Offset` of a write, or
the reply to a message. Each stage (`ack`, `commit`, `reply`, `replicated(n)`, `durable(n)`) is an
Observable that can also be awaited. A guarantee that nobody looks at costs nothing more than its
request; if it fails, the failure goes to ``cache.on("error")``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from rxfero.core import call as status
from rxfero.core.call import AUTO, COMMIT, DURABLE, LOWEST, WINDOW, WRITES, Call, level_of
from rxfero.core.value import unpack
from rxfero.errors import (
    Closed,
    ConfigurationError,
    NoQuorum,
    NotReplicated,
    Refused,
    RequestTimeout,
    RxferoError,
    Uncertain,
    UnknownEvent,
)
from rxfero.outcome import refused
from rxfero.shown import Shown
from rxfero.stages import END, Acceptance, Stage

if TYPE_CHECKING:
    from rxfero.node import Node

Level = int | str
TAKES = ("reply", "")  # stages whose watchers take the answers of a stream
STAGES = ("ack", "commit", "reply", "replicated", "durable")


class Guarantee(Call, Shown):
    """The promise of one request.

    ``await g`` gives the offset of a write, or the reply to a message. ``g.on("ack")``,
    ``g.on("commit")``, ``g.on("reply")`` and ``g.replicated(n)`` are Observables that can be
    awaited. Cancelling an await leaves the request on its way.

    Raises (when awaited):
        Refused, CompareFailed, KeyMissing, WrongType, MethodNotAllowed: the owner said no.
        RemoteError: the service's handler raised.
        RequestTimeout, Uncertain, NotReplicated, Closed: it may have happened.
    """

    # What every request sets is a slot, and set here: there may be a million of them, and a dict
    # costs more than all of these. The rest has its default in the class.
    __slots__ = (
        "content", "deadline", "done", "level", "node", "number", "offset", "path", "seq", "shard",
        "target", "turn", "value", "verb",
    )  # fmt: skip

    public = True
    _asked = False
    _seconds = 0.0
    _partials: list[Any] | None = None  # the last of several answers
    _untaken: list[Any] | None = None  # those that came before anybody watched
    _took_last = 0  # of which the handler does not know yet

    def __init__(
        self, node: Node, verb: str, path: Any, value: bytes, level: int = AUTO,
        expect: Any = None, ttl_ms: int = 0,
    ) -> None:
        self.verb, self.path, self.value, self.level = verb, path, value, level
        self.node, self.turn = node, node.turns
        self.number = self.seq = 0
        self.shard = -1
        self.done = False
        self.deadline = 0.0
        self.content = self.offset = self.target = None
        if expect is not None:
            self.expect = expect
        if ttl_ms:
            self.ttl_ms = ttl_ms

    # --- asking

    def __await__(self) -> Generator[Any, None, Any]:
        self._asked = True
        return self._future("").__await__()

    def on(self, stage: str) -> Stage:
        """Give a stage: "ack" (a server has it), "commit" (it is in the log), "reply"."""
        if stage not in ("ack", "commit", "reply"):
            raise UnknownEvent(str(stage), ("ack", "commit", "reply"))
        if stage == "commit" and not self._asked and self._unsent and self.level == AUTO:
            self.level = COMMIT
        return Stage(self, stage)

    def replicated(self, servers: int | Literal["majority", "all"]) -> Stage:
        """Give the stage at which so many other servers hold the write too."""
        level = level_of(servers)
        if level in (COMMIT, AUTO):
            raise ConfigurationError("replicated", servers, "must be n >= 1, 'majority' or 'all'")
        return self._at(level, "replicated")

    def durable(self, disks: int = 1) -> Stage:
        """Give the stage at which the write is on the disks of so many servers, the owner's too."""
        if type(disks) is not int or not 1 <= disks <= DURABLE - LOWEST:
            raise ConfigurationError("durable", disks, "must be 1 <= n <= 255")
        return self._at(DURABLE - disks, "durable")

    def acknowledged(self, where: Callable[[Any], bool]) -> Acceptance:
        """Give the stage at which a server that `where` accepts has it; gives the number.

        Args:
            where: A function of a :class:`Peer`: one of the servers that hold the write; of a
                message, the one that received it.
        """
        if not callable(where):
            raise ConfigurationError("where", where, "must be a function of a peer")
        self._asked = True
        return Acceptance(self, where)

    def _at(self, level: int, stage: str) -> Stage:
        self._asked = True
        if self._unsent:
            self.level = level
        elif level != self.level or self.status == status.NOT_REPLICATED:
            self.node.replica.requests.again(self, level, self.node.now)
            self.node.mark()
        return Stage(self, stage)

    def timeout(self, seconds: float) -> Guarantee:
        """End it with RequestTimeout when no answer came within `seconds`; gives itself."""
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or seconds <= 0:
            raise ConfigurationError("timeout", seconds, "must be seconds > 0")
        self._seconds = seconds
        if not self.done:
            self.deadline = self.node.now + seconds
            self.node.replica.requests.sooner(self)
            self.node.mark()
        return self

    @property
    def answer(self) -> Any:
        """The reply of a settled request: the id of an `add`, a handler's answer; else None."""
        if self._partials is not None:
            return self._partials[-1]
        if self.verb == "add" and self.path and self.result is None:
            return self.path[0]
        return self.content if self.result is None else unpack(self.result)

    @property
    def _unsent(self) -> bool:
        return not self.done and self.turn == self.node.turns

    # --- watching

    def watch(
        self, stage: str, done: Callable[[Any], None], failed: Callable[[Exception], None],
        item: Callable[[Any], None] | None = None,
    ) -> Callable[[], None]:
        """Be told of a stage; gives the function that ends it.

        Args:
            done: Called once with the outcome; with END when there were several answers.
            failed: Called once instead, with the error.
            item: Called with each of several answers.
        """
        entry = _Watch(stage, done, failed, item)
        self._catch_up(entry)
        if self.done or (stage == "ack" and self.acked):
            self._tell(entry)
            return _nothing
        self.watchers = (*self.watchers, entry)
        if stage == "ack":
            self.node.replica.router.want_acks = True

        def stop() -> None:
            if entry in self.watchers:
                self.watchers = tuple(e for e in self.watchers if e is not entry)
                if stage == "reply" and not self.watchers and not self.done and not self.seq:
                    self.node.cancel(self)

        return stop

    def _future(self, stage: str) -> asyncio.Future[Any]:
        future: asyncio.Future[Any] = self.node.loop.create_future()

        def done(value: Any) -> None:
            if not future.done():
                future.set_result(value)

        def failed(error: Exception) -> None:
            if not future.done():
                future.set_exception(error)

        entry = _Watch(stage, done, failed, None)
        self._catch_up(entry)
        if self.done or (stage == "ack" and self.acked):
            self._tell(entry)
        else:
            self.watchers = (*self.watchers, entry)
            if stage == "ack":
                self.node.replica.router.want_acks = True
        return future

    def _tell(self, entry: _Watch) -> None:
        """Tell one watcher; what it raises harms no other."""
        stage, done, failed, _ = entry
        try:
            received = self.acked or (self.done and self.status < status.TIMEOUT)
            error = None if stage == "ack" and received else self.error
            if error is not None and not (stage == "commit" and isinstance(error, NotReplicated)):
                failed(error)
            elif stage == "ack":
                done(self.number)
            elif stage == "reply":
                if self._partials is not None:
                    done(END)
                else:
                    done(self.answer if self.answer is not None else self.offset)
            elif stage != "" and self.verb in WRITES and self.seq:
                done(self.offset)
            else:
                done(self._outcome())
        except Exception as raised:  # noqa: BLE001  (an observer's fault, or a value unreadable)
            self.node.fail(raised, stage or "reply", context=f"an observer of {self!r}")

    def _outcome(self) -> Any:
        return self.offset if self.seq else self.answer

    # --- told by the node

    def settled(self) -> None:
        if not self.watchers:
            if self.status == status.OK and (self.offset is not None or not self.seq):
                return
            error = self.error
            if error is not None and not isinstance(error, Closed):
                self.node.fail(error, "request", context=f"{self.verb} {self.path}", change=self)
            return
        watchers, self.watchers = self.watchers, ()
        for entry in watchers:
            self._tell(entry)

    def received(self) -> None:
        watchers = self.watchers
        waiting = [e for e in watchers if e.stage == "ack"]
        self.watchers = tuple(e for e in watchers if e.stage != "ack")
        for entry in waiting:
            self._tell(entry)

    def partial(self, value: bytes) -> None:
        item = unpack(value)
        self._partials = [item]
        if not any(entry.stage in TAKES for entry in self.watchers):
            self._untaken = [*(self._untaken or ()), item]
            return
        for entry in self.watchers:
            if entry in self.watchers:
                self._give(entry, item)
        self._took(1)

    def _give(self, entry: _Watch, item: Any) -> None:
        if entry.item is not None:
            try:
                entry.item(item)
            except Exception as error:  # noqa: BLE001  (an observer's fault)
                self.node.fail(error, "reply", context=f"an observer of {self!r}")

    def _catch_up(self, entry: _Watch) -> None:
        """Give the answers that came before anybody watched."""
        if self._untaken is not None and entry.stage in TAKES:
            untaken, self._untaken = self._untaken, None
            for item in untaken:
                self._give(entry, item)
            self._took(len(untaken))

    def _took(self, count: int) -> None:
        self._took_last += count
        if self._took_last >= WINDOW // 2 and not self.done:
            self.node.taken(self, self._took_last)
            self._took_last = 0

    @property
    def error(self) -> RxferoError | None:
        """Why a settled request failed; None when it did not (or is not settled)."""
        code = self.status
        if not self.done or code == status.OK:
            if self.done and self.seq and self.offset is None:
                return Refused(f"the handler answered {self.answer!r} without applying the write")
            return None
        what = f"{self.verb} {self.path if self.path is not None else ''}".strip()
        if code == status.TIMEOUT:
            node = self.node
            if node.replica.cluster.short_of_voters():
                return NoQuorum(f"{what}: less than a majority of the voters can be reached")
            seconds = self._seconds or node.replica.requests.timeout_s
            servers = len(node.replica.cluster.servers) if node.options.client else None
            return RequestTimeout(what, seconds, servers)
        if code == status.CLOSED:
            return Closed(self.node.service)
        if code == status.LOST:
            return Uncertain(f"{what}: the session ended before an answer; it may have happened")
        detail: Any = None if self.result is None else unpack(self.result)
        return refused(code, what, detail, self.path, self.offset)

    def __repr__(self) -> str:
        if not self.done:
            state = "acked" if self.acked else "pending"
        else:
            state = repr(self.error) if self.error else f"done {self._outcome()!r}"
        return f"<Guarantee {self.verb} {self.path!r} {state}>"


class _Watch(NamedTuple):
    """Somebody who waits for a stage; `item` takes each of several answers."""

    stage: str
    done: Callable[[Any], None]
    failed: Callable[[Exception], None]
    item: Callable[[Any], None] | None


def _nothing() -> None:
    """End a watch that has ended already."""
