"""The handler: the user's verbs, run for each request, and their answers sent back.

A handler is a function of a request, or of a request and the cache. It may return a value, an
awaitable, an Observable or an async generator (a stream of replies), or raise; it may answer with
`request.reply(value)` instead. What it raises reaches the caller as a RemoteError and
``cache.on("error")``; the node goes on. When the caller goes away, a stream is stopped here.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any, cast

from reactivex import Observable

from rxfero.core.owner import Inbound, Moved, refusal
from rxfero.core.path import Path
from rxfero.core.position import Offset
from rxfero.core.requests import FAILED, OK
from rxfero.core.value import pack, unpack
from rxfero.errors import ConfigurationError, Refused

if TYPE_CHECKING:
    from rxfero.cache import Cache
    from rxfero.node import Node

_UNREAD: Any = object()


class Request:
    """One request, as a handler gets it.

    Attributes:
        type: The verb.
        key: The :class:`Path` it is for, or None.
        value: Its value; containers are read-only.
        peer: The name of the node that sent it.
    """

    __slots__ = ("_handling", "_inbound", "_value", "key", "type")

    def __init__(self, handling: Handling, inbound: Inbound) -> None:
        self._handling, self._inbound = handling, inbound
        self.type = inbound.verb
        self.key: Path | None = inbound.path
        self._value = _UNREAD

    @property
    def value(self) -> Any:
        """The value; decoded at the first access."""
        if self._value is _UNREAD:
            self._value = unpack(self._inbound.value)
        return self._value

    @property
    def peer(self) -> str:
        """The name of the node that sent the request."""
        return self._inbound.dest.to

    def reply(self, value: Any = None) -> None:
        """Answer now; what the handler returns later is ignored.

        Raises:
            ValueRefused: the value cannot be sent.
        """
        self._handling.answer(self._inbound, value)

    def next(self) -> Offset:
        """Apply the default verb (add, update, remove, push, patch); gives its offset.

        Raises:
            MethodNotAllowed: the request is none of those.
            Refused: the write is not possible.
        """
        return self._handling.apply(self._inbound)

    def __repr__(self) -> str:
        return f"<Request {self.type} {self.key!r} from {self.peer}>"


class Handling:
    """Runs one service's handler.

    Args:
        handler: The user's function of (request) or (request, cache).
    """

    def __init__(self, handler: Callable[..., Any], node: Node, cache: Cache) -> None:
        self._call = handler
        self._node, self._cache = node, cache
        self._wide = takes_cache(handler)
        self._tasks: set[asyncio.Task[None]] = set()

    def run(self, inbound: Inbound) -> None:
        """Give a request to the handler; its answer is sent when it is there."""
        request = Request(self, inbound)
        try:
            result = self._call(request, self._cache) if self._wide else self._call(request)
        except Exception as error:  # noqa: BLE001  (the caller gets it, the node goes on)
            self._failed(inbound, error)
            return
        if isinstance(result, Observable):
            self._stream(inbound, cast("Observable[Any]", result))
        elif isinstance(result, AsyncGenerator | AsyncIterator):
            self._start(inbound, self._iterate(inbound, cast("AsyncIterator[Any]", result)))
        elif inspect.isawaitable(result):
            self._start(inbound, self._await(inbound, result), result)
        else:
            self._finish(inbound, result)

    def _start(self, inbound: Inbound, work: Any, result: Any = None) -> None:
        task = self._node.loop.create_task(work)
        self._tasks.add(task)

        def ended(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
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
        try:
            async for value in source:
                self._partial(inbound, value)
        except Exception as error:  # noqa: BLE001
            self._failed(inbound, error)
        else:
            self._finish(inbound, None)
        finally:
            if isinstance(source, AsyncGenerator):
                await source.aclose()

    def _stream(self, inbound: Inbound, source: Observable[Any]) -> None:
        subscription = source.subscribe(
            lambda value: self._partial(inbound, value),
            lambda error: self._failed(inbound, error),
            lambda: self._finish(inbound, None),
        )

        def cancel() -> None:
            subscription.dispose()
            self._cancelled(inbound)

        inbound.cancel = cancel

    def _partial(self, inbound: Inbound, value: Any) -> None:
        if inbound.done:
            return
        self._node.replica.router.partial(inbound, pack(value))
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
                error, "request", context=f"{inbound.verb} {inbound.path}", peer=inbound.dest.to
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
