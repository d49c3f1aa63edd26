"""The stages: what a guarantee comes to on its way, as Observables that can be awaited."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Sequence
from typing import TYPE_CHECKING, Any, Literal

from reactivex import Observable, operators
from reactivex.abc import DisposableBase, ObserverBase, SchedulerBase
from reactivex.disposable import Disposable, SerialDisposable, SingleAssignmentDisposable

from rxfero.core.call import HOLDERS, WRITES
from rxfero.core.value import pack
from rxfero.errors import NotAcknowledged, NotReplicated, ProtocolError
from rxfero.streams import Stream

if TYPE_CHECKING:
    from rxfero.guarantee import Guarantee

END: Any = object()
"""Instead of an outcome: there were several, and they have been given."""


class Stage(Stream[Any]):
    """One stage of a guarantee: an Observable of its outcome, and an awaitable of the last."""

    def __init__(self, guarantee: Guarantee, stage: str) -> None:
        super().__init__(guarantee.node.hub.clock, self._subscribed)
        self._guarantee, self._stage = guarantee, stage

    def _subscribed(
        self, observer: ObserverBase[Any], scheduler: SchedulerBase | None = None
    ) -> DisposableBase:
        del scheduler
        guarantee, stage = self._guarantee, self._stage

        def done(value: Any) -> None:
            if value is not END:
                observer.on_next(value)
            observer.on_completed()

        item = observer.on_next if stage == "reply" else None
        return Disposable(guarantee.watch(stage, done, observer.on_error, item))

    def __await__(self) -> Generator[Any, None, Any]:
        return self._last().__await__()

    async def _last(self) -> Any:
        value = await self._guarantee._future(self._stage)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        return self._guarantee.answer if value is END else value

    def timeout_after(self, seconds: float) -> Stage:
        """As :meth:`Guarantee.timeout`, for a stage; gives itself."""
        self._guarantee.timeout(seconds)
        return self

    def __repr__(self) -> str:
        return f"<Stage {self._stage} of {self._guarantee!r}>"


class Acceptance(Stream[int]):
    """The stage at which a server that a predicate accepts holds a write, or received a message.

    The owner of the key is asked who holds the write; as long as none of those will do, it is
    awaited on one more server. It ends with NotAcknowledged when there is no further one in time.
    """

    def __init__(self, guarantee: Guarantee, where: Callable[[Any], bool]) -> None:
        super().__init__(guarantee.node.hub.clock, self._subscribed)
        self._guarantee, self._where = guarantee, where

    def _subscribed(
        self, observer: ObserverBase[int], scheduler: SchedulerBase | None = None
    ) -> DisposableBase:
        del scheduler
        guarantee, node = self._guarantee, self._guarantee.node
        watching = SerialDisposable()
        held: list[str] = []
        least = 0  # other servers that were asked for

        def watch(stage: str, of: Guarantee, done: Callable[[Any], None]) -> None:
            slot = watching.disposable = SingleAssignmentDisposable()
            slot.disposable = Disposable(of.watch(stage, done, failed))  # may call watch, inside

        def failed(error: Exception) -> None:
            if held and isinstance(error, NotReplicated):
                observer.on_error(NotAcknowledged(held, guarantee.offset))
            else:
                observer.on_error(error)

        def received(_: object) -> None:
            held[:] = [guarantee.target or node.replica.identity.name]
            if not accepted():
                observer.on_error(NotAcknowledged(held))

        def committed(_: object) -> None:
            asked = type(guarantee)(node, HOLDERS, guarantee.path, pack(guarantee.seq))
            node.submit(asked)
            watch("reply", asked, told)

        def told(names: Any) -> None:
            nonlocal least
            try:
                held[:] = [str(name) for name in names]
            except TypeError:
                observer.on_error(ProtocolError(f"no names of servers: {names!r:.80}"))
                return
            if not accepted():
                least = max(least + 1, len(held))
                guarantee.replicated(least)
                watch("replicated", guarantee, committed)

        def accepted() -> bool:
            try:
                peers = [node.peer_named(name) for name in held]
                found = any(peer is not None and self._where(peer) for peer in peers)
            except Exception as error:  # noqa: BLE001  (it goes down the chain)
                observer.on_error(error)
                return True
            if found:
                observer.on_next(guarantee.number)
                observer.on_completed()
            return found

        if guarantee.verb in WRITES:
            watch("", guarantee, committed)
        else:
            watch("ack", guarantee, received)
        return watching

    def __await__(self) -> Generator[Any, None, int]:
        future: asyncio.Future[int] = self._guarantee.node.loop.create_future()

        def done(number: int) -> None:
            if not future.done():
                future.set_result(number)

        def failed(error: Exception) -> None:
            if not future.done():
                future.set_exception(error)

        taken = self.subscribe(done, failed)
        future.add_done_callback(lambda _: taken.dispose())
        return future.__await__()

    def __repr__(self) -> str:
        return f"<Acceptance of {self._guarantee!r}>"


class Joint:
    """Several guarantees as one: done when all are. Gives the list of their outcomes."""

    def __init__(self, parts: list[Guarantee]) -> None:
        self.parts = parts

    def __await__(self) -> Generator[Any, None, list[Any]]:
        return self._all().__await__()

    async def _all(self) -> list[Any]:
        return [await part for part in self.parts]

    def on(self, stage: str) -> Observable[Any]:
        """Give the stage of all parts, merged."""
        return self._merged([part.on(stage) for part in self.parts])

    def replicated(self, servers: int | Literal["majority", "all"]) -> Observable[Any]:
        """Give the stage of all parts, merged."""
        return self._merged([part.replicated(servers) for part in self.parts])

    def durable(self, disks: int = 1) -> Observable[Any]:
        """Give the stage of all parts, merged."""
        return self._merged([part.durable(disks) for part in self.parts])

    def acknowledged(self, where: Callable[[Any], bool]) -> Observable[int]:
        """Give the stage of all parts, merged."""
        return self._merged([part.acknowledged(where) for part in self.parts])

    def _merged(self, stages: Sequence[Observable[Any]]) -> Observable[Any]:
        return stages[0].pipe(operators.merge(*stages[1:]))

    def timeout(self, seconds: float) -> Joint:
        """End each part that has no answer within `seconds`."""
        for part in self.parts:
            part.timeout(seconds)
        return self

    def __repr__(self) -> str:
        return f"<Joint of {len(self.parts)} guarantees>"
