"""The handler: the user's verbs, run for each request, and their answers sent back.

A handler is a function of a request, or of a request and the cache. It may return a value, an
awaitable, an Observable or an async generator (a stream of replies), or raise; it may answer with
`request.reply(value)` instead. A stream goes at the pace of its caller
(:mod:`rxfero.core.answers`). What a handler raises reaches the caller as a RemoteError and
``cache.on("error")``; the node goes on. When the caller goes away, a stream is stopped here.
"""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any, ClassVar, cast

from reactivex import Observable
from reactivex.disposable import SingleAssignmentDisposable

from rxfero.core.call import FAILED, OK, WINDOW
from rxfero.core.messages import PENDING, Inbound, Run
from rxfero.core.owner import Moved, refusal
from rxfero.core.position import Offset
from rxfero.core.value import SCALARS, pack
from rxfero.errors import ConfigurationError, Overloaded, Refused, ValueRefused

if TYPE_CHECKING:
    from rxfero.cache import Cache
    from rxfero.node import Node

WAITING = 65_536  # answers of an Observable that wait for a caller who takes them more slowly


class Request(Inbound):
    """One request, as a handler gets it.

    Attributes:
        type: The verb.
        key: The :class:`Path` it is for, or None.
        value: Its value; containers are read-only.
    """

    __slots__ = ()

    _handling: ClassVar[Handling]

    @property
    def peer(self) -> str:
        """The name of the node that sent the request."""
        return self.dest.to

    def reply(self, value: Any = None) -> None:
        """Answer now; what the handler returns later is ignored.

        Raises:
            ValueRefused: the value cannot be sent.
        """
        self._handling.answer(self, value)

    def next(self) -> Offset:
        """Apply the default verb (add, update, remove, push, patch); gives its offset.

        Raises:
            MethodNotAllowed: the request is none of those.
            Refused: the write is not possible.
        """
        return self._handling.apply(self)

    def __repr__(self) -> str:
        return f"<Request {self.type} {self.key!r} from {self.peer}>"


class Pace:
    """The answers of one stream: WINDOW are on their way, further ones wait for their caller.

    Args:
        send: Sends one, packed.
    """

    def __init__(self, inbound: Inbound, send: Callable[[Inbound, bytes], None]) -> None:
        self._inbound, self._send = inbound, send
        self._room = WINDOW
        self._waiting: deque[bytes] = deque()
        self._then: Callable[[], None] | None = None
        self._wake: asyncio.Future[None] | None = None
        inbound.more = self._more

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def give(self, value: Any) -> None:
        """Send one, or let it wait."""
        packed = pack(value)
        if self._room > 0:
            self._room -= 1
            self._send(self._inbound, packed)
        else:
            self._waiting.append(packed)

    async def room(self) -> None:
        """Wait until none waits and one more may go."""
        while self._room <= 0:
            self._wake = asyncio.get_running_loop().create_future()
            await self._wake

    def then(self, end: Callable[[], None]) -> None:
        """Do something when all have gone."""
        if self._waiting:
            self._then = end
        else:
            end()

    def _more(self, count: int) -> None:
        self._room += count
        while self._waiting and self._room > 0:
            self._room -= 1
            self._send(self._inbound, self._waiting.popleft())
        if self._then is not None and not self._waiting:
            end, self._then = self._then, None
            end()
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    def __repr__(self) -> str:
        return f"<Pace room={self._room} waiting={self.waiting}>"


class Handling:
    """Runs one service's handler.

    Args:
        handler: The user's function of (request) or (request, cache).
    """

    def __init__(self, handler: Callable[..., Any], node: Node, cache: Cache) -> None:
        self._call = handler
        self._node, self._cache = node, cache
        self._wide = takes_cache(handler)
        self.kind: type[Request] = type(
            "Request", (Request,), {"__slots__": (), "_handling": self}
        )
        self._tasks: dict[asyncio.Task[None], None] = {}  # in the order of their begin

    def run(self, entries: list[Inbound | Run]) -> None:
        """Give requests to the handler; each answer is sent when it is there."""
        for entry in entries:
            if type(entry) is Run:
                self._run_all(entry)
            else:
                self._run(cast("Request", entry))

    def _run(self, request: Request) -> None:
        try:
            result = self._call(request, self._cache) if self._wide else self._call(request)
        except Exception as error:  # noqa: BLE001  (the caller gets it, the node goes on)
            self._failed(request, error)
        else:
            self._outcome(request, result)

    def _run_all(self, run: Run) -> None:
        """Handle a batch of messages; those that are answered at once share a frame."""
        call, cache, wide, scalars = self._call, self._cache, self._wide, SCALARS
        answers: list[Any] = []
        add, whole = answers.append, True
        for request in run:
            try:
                result = call(request, cache) if wide else call(request)
            except Exception as error:  # noqa: BLE001  (the caller gets it, the node goes on)
                add(PENDING)
                whole = False
                self._failed(request, error)
                continue
            if type(result) in scalars and not request.done:
                add(result)
            else:
                add(PENDING)
                whole = False
                self._node.replica.owner.begun(request)
                self._outcome(request, result)
        try:
            self._node.replica.answer_all(run, answers, self._node.now, whole=whole)
        except ValueRefused:  # one by one, so that only the caller of the bad one is told
            for request, answer in zip(run, answers, strict=True):
                if answer is not PENDING:
                    self._finish(request, answer)
        self._node.mark()

    def _outcome(self, request: Inbound, result: Any) -> None:
        if type(result) in SCALARS:
            self._finish(request, result)
        elif isinstance(result, Observable):
            self._stream(request, cast("Observable[Any]", result))
        elif isinstance(result, AsyncGenerator | AsyncIterator):
            self._start(request, self._iterate(request, cast("AsyncIterator[Any]", result)))
        elif inspect.isawaitable(result):
            self._start(request, self._await(request, result), result)
        else:
            self._finish(request, result)

    def _start(self, inbound: Inbound, work: Any, result: Any = None) -> None:
        task = self._node.loop.create_task(work)
        self._tasks[task] = None

        def ended(task: asyncio.Task[None]) -> None:
            self._tasks.pop(task, None)
            if task.cancelled():  # maybe before its first step, so nothing in it has run
                if inspect.iscoroutine(result):
                    result.close()
                self._cancelled(inbound)

        task.add_done_callback(ended)

        def cancel() -> None:
            task.cancel()

        inbound.cancel = cancel

    async def _await(self, inbound: Inbound, result: Awaitable[Any]) -> None:
        try:
            value = await result
        except Exception as error:  # noqa: BLE001
            self._failed(inbound, error)
        else:
            if isinstance(value, Observable):
                self._stream(inbound, cast("Observable[Any]", value))
            else:
                self._finish(inbound, value)

    async def _iterate(self, inbound: Inbound, source: AsyncIterator[Any]) -> None:
        pace = Pace(inbound, self._send)
        try:
            async for value in source:
                pace.give(value)
                await pace.room()
        except Exception as error:  # noqa: BLE001
            self._failed(inbound, error)
        else:
            self._finish(inbound, None)
        finally:
            if isinstance(source, AsyncGenerator):
                await source.aclose()

    def _stream(self, inbound: Inbound, source: Observable[Any]) -> None:
        pace = Pace(inbound, self._send)
        subscription = SingleAssignmentDisposable()

        def give(value: Any) -> None:
            if pace.waiting >= WAITING:
                subscription.dispose()
                knob = "an async generator waits for its caller instead"
                self._failed(inbound, Overloaded(pace.waiting, WAITING, "answers", knob))
            else:
                pace.give(value)

        def cancel() -> None:
            subscription.dispose()
            self._cancelled(inbound)

        inbound.cancel = cancel
        subscription.disposable = source.subscribe(
            give,
            lambda error: pace.then(lambda: self._failed(inbound, error)),
            lambda: pace.then(lambda: self._finish(inbound, None)),
        )

    def _send(self, inbound: Inbound, packed: bytes) -> None:
        if not inbound.done:
            self._node.replica.answers.send(inbound, packed)
            self._node.mark()

    def _finish(self, inbound: Inbound, value: Any) -> None:
        if not inbound.done:
            try:
                self.answer(inbound, value)
            except Exception as error:  # noqa: BLE001
                self._failed(inbound, error)

    def answer(self, inbound: Inbound, value: Any) -> None:
        """Send the last answer of a request."""
        packed = None if value is None or isinstance(value, Offset) else pack(value)
        limit = self._node.value_max
        if packed is not None and len(packed) > limit:
            raise ValueRefused(
                "answer", f"{len(packed)} bytes, the limit is {limit} (constants.outbox.frag)"
            )
        self._node.replica.answer(inbound, OK, packed, self._node.now)
        self._node.mark()

    def apply(self, inbound: Inbound) -> Offset:
        """Carry out the default verb."""
        offset = self._node.replica.apply(inbound, self._node.now)
        self._node.mark()
        return offset

    def _failed(self, inbound: Inbound, error: Exception) -> None:
        if inbound.done:
            return
        if not isinstance(error, Moved):
            self._node.fail(
                error, "request", context=f"{inbound.type} {inbound.key}", peer=inbound.dest.to
            )
        if isinstance(error, Refused | Moved):
            code, packed = refusal(error)
        else:  # also an error of ours: that of a call the handler made says nothing of this one
            text = str(error).encode("utf-8", "backslashreplace").decode()
            code, packed = FAILED, pack([type(error).__name__, text])
        self._node.replica.answer(inbound, code, packed, self._node.now)
        self._node.mark()

    def _cancelled(self, inbound: Inbound) -> None:
        if not inbound.done:
            code, packed = refusal(RuntimeError("the stream was cancelled"))
            self._node.replica.answer(inbound, code, packed, self._node.now)
            self._node.mark()

    async def stop(self) -> None:
        """End what still runs."""
        for inbound in list(self._node.replica.owner.open.values()):
            if inbound.cancel is not None:
                inbound.cancel()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def __repr__(self) -> str:
        return f"<Handling {self._call!r} running={len(self._tasks)}>"


def takes_cache(handler: Any) -> bool:
    """Whether a handler takes (request, cache) rather than (request).

    Raises:
        ConfigurationError: it is no function of one or two arguments.
    """
    if not callable(handler):
        raise ConfigurationError("handler", handler, "must be a function of (request[, cache])")
    try:
        signature = inspect.signature(handler)
    except (TypeError, ValueError):
        return False
    for count in (2, 1):
        try:
            signature.bind(*range(count))
        except TypeError:
            continue
        return count == 2
    raise ConfigurationError("handler", handler, "must take (request) or (request, cache)")
