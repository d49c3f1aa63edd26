"""in_group: each change is handled by one member of a group; what it leaves, by the others."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from hashlib import blake2b
from typing import Any, cast

import reactivex
from reactivex import Observable
from reactivex import operators as ops
from reactivex.abc import DisposableBase, ObserverBase, SchedulerBase
from reactivex.disposable import Disposable, SerialDisposable
from reactivex.scheduler.eventloop import AsyncIOScheduler

from rxfero.core.change import Change
from rxfero.core.position import Offset, Position
from rxfero.errors import ConfigurationError, RxferoError
from rxfero.operators.checkpoint import checkpoint
from rxfero.operators.checks import able, function, some_seconds, whole
from rxfero.operators.from_async_iter import from_async_iter
from rxfero.operators.map_async import map_async
from rxfero.operators.reports import report
from rxfero.operators.retry_send import DeadLetter
from rxfero.operators.saved import Counted, place
from rxfero.operators.supervise import supervise
from rxfero.ports import CacheLike


def in_group(
    source: CacheLike,
    registry: CacheLike,
    fn: Callable[[Change], Awaitable[Any]],
    *,
    name: str | None = None,
    member: str | None = None,
    slots: int = 16,
    lease: float = 10.0,
    attempts: int | None = None,
    dead: ObserverBase[Any] | Callable[[DeadLetter], object] | None = None,
) -> Observable[Change]:
    """Give the changes that this member of a group has handled.

        1 ---- 2 ---- 3 ---- 4 ---->
            in_group(users, jobs, mail)
        1 ----------- 3 ----------->     (2 and 4: by another member)

    The shards of `source` are dealt out in slots, each held by one member. A slot's changes are
    handled one after the other, in order, and how far it has come is committed to `registry`. When
    a member ends or comes, slots move; their new holder goes on after what was committed. So each
    change is handled at least once, and only once unless it was being handled, or not committed
    yet, when its slot moved. One whose `fn` fails is handled again after a while, and its slot
    waits for it; after so many `attempts` it is a dead letter, and the slot goes on.

    A new group begins with the history that `source` still has. Unsubscribing hands the slots over
    at once; a member that dies, or cannot reach `registry`, loses them after `lease`.

    Args:
        source: Whose changes are handled.
        registry: Another service, where the group keeps its members and its progress.
        fn: An async function of the change.
        name: The group's name. None: that of the client, ``fero("users", client="emails")``.
        member: This member's name, unlike any other's. None: `source.id`.
        slots: How many are handled at a time in the whole group; the same for every member.
        lease: Seconds without a sign of life after which a member is dead.
        attempts: How often this member tries a change. None: until it is handled.
        dead: An observer (such as a Subject) or a function, given a :class:`DeadLetter` for each
            change that is given up. None: they go to the cache's `error`.

    Raises:
        ConfigurationError: an argument is of the wrong type, or there is no name. Down `on_error`:
            another member has other slots, or follows other keys (`follow=`).
    """
    for method in ("on", "get", "stream"):
        able("in_group.source", source, method)
    able("in_group.source", getattr(source, "partitions", None), "position")
    name = _text("name", getattr(source, "group", None) if name is None else name)
    place("in_group", registry, name)
    if source is registry:
        hint = "must be another service than source: progress would be handled as well"
        raise ConfigurationError("in_group.registry", registry, hint)
    member = _text("member", getattr(source, "id", None) if member is None else member)
    function("in_group.fn", fn)
    whole("in_group.slots", slots, 1)
    some_seconds("in_group.lease", lease)
    if attempts is not None:
        whole("in_group.attempts", attempts, 1)
    if dead is not None and not callable(getattr(dead, "on_next", dead)):
        raise ConfigurationError("in_group.dead", dead, "must be an observer or a function")
    terms = {"slots": slots, "follow": getattr(source, "follow", None)}
    bury = cast("Callable[[DeadLetter], object] | None", getattr(dead, "on_next", dead))
    work = _Work(fn, attempts, bury)

    def grouped(live: Observable[Any]) -> Observable[Change]:
        del live

        def subscribe(
            observer: ObserverBase[Change], scheduler: SchedulerBase | None = None
        ) -> DisposableBase:
            clock = scheduler or AsyncIOScheduler(asyncio.get_running_loop())
            share = _Share(source, registry, name, work, member, terms, lease, observer, clock)
            share.begin()
            return Disposable(share.end)

        return Observable(subscribe)

    # By way of `on`, so that time is that of the loop of `source`.
    return source.on("change").pipe(grouped)


def _text(option: str, text: Any) -> str:
    if not isinstance(text, str) or not text:
        hint = "must be a text, not empty; a client of a group (client='emails') brings its own"
        raise ConfigurationError(f"in_group.{option}", text, hint)
    return text


def holder(members: Iterable[str], slot: int) -> str | None:
    """Give the member that holds a slot; None of none. One that goes moves no slots but its own."""

    def weight(member: str) -> tuple[bytes, str]:
        return blake2b(f"{slot}/{member}".encode(), digest_size=8).digest(), member

    return max(members, key=weight, default=None)


class _Work:
    """What is done with a change, and how often it is tried."""

    def __init__(
        self, fn: Callable[[Change], Awaitable[Any]], attempts: int | None,
        bury: Callable[[DeadLetter], object] | None,
    ) -> None:  # fmt: skip
        self._fn, self._attempts, self._bury = fn, attempts, bury
        self._failed: dict[Offset | None, int] = {}

    async def handle(self, change: Change, tell: Callable[[Exception], object]) -> Change:
        """Do it; raises what `fn` raises, but with the last attempt."""
        try:
            await self._fn(change)
        except Exception as error:
            tries = self._failed.get(change.offset, 0) + 1
            if self._attempts is None or tries < self._attempts:
                self._failed[change.offset] = tries
                raise
            tell(error) if self._bury is None else self._bury(DeadLetter(change, error, tries))
        self._failed.pop(change.offset, None)
        return change


class _Share:
    """A member's slots: those it holds by the members that it knows of."""

    def __init__(
        self,
        source: CacheLike,
        registry: CacheLike,
        name: str,
        work: _Work,
        member: str,
        terms: dict[str, Any],
        lease: float,
        observer: ObserverBase[Change],
        clock: SchedulerBase,
    ) -> None:
        self._source, self._registry, self._name, self._work = source, registry, name, work
        self._member, self._terms, self._lease = member, terms, lease
        self._slots: int = terms["slots"]
        self._observer, self._clock = observer, clock
        self._prefix = f"{name}:member:"
        self._members: set[str] = set()
        self._held: dict[int, DisposableBase] = {}
        self._watch, self._timer, self._resets = (SerialDisposable() for _ in range(3))
        self._ended = False

    def begin(self) -> None:
        """Be a member."""
        self._resets.disposable = self._registry.on("reset").subscribe(self._look)
        self._look()
        self._renew()

    def end(self) -> None:
        """Be none any more, and let the others know."""
        if self._stop():
            with suppress(RxferoError):
                self._sent(self._registry.remove((self._prefix + self._member,)))

    def _stop(self) -> bool:
        if self._ended:
            return False
        self._ended = True
        for part in (self._resets, self._watch, self._timer, *self._held.values()):
            part.dispose()
        self._held.clear()
        return True

    def _look(self, _: object = None) -> None:
        """Learn the members anew, and of each that comes and goes."""
        self._members.clear()
        coming = self._registry.on("change", since="state")
        self._watch.disposable = coming.subscribe(self._told, scheduler=self._clock)

    def _renew(self, _: object = None, __: object = None) -> None:
        try:
            key = (self._prefix + self._member,)
            self._sent(self._registry.update(key, self._terms, ttl=self._lease))
        except RxferoError as error:
            self._failed(error)
        if not self._ended:
            self._timer.disposable = self._clock.schedule_relative(self._lease / 3, self._renew)

    def _sent(self, guarantee: Any) -> None:
        guarantee.on("commit").subscribe(None, self._failed)

    def _failed(self, error: Exception) -> None:
        if not self._ended:
            report(self._clock, error, f"group {self._name}", None)

    def _told(self, change: Change) -> None:
        key = change.partition
        if self._ended or not isinstance(key, str) or not key.startswith(self._prefix):
            return
        who = key.removeprefix(self._prefix)
        if change.type == "remove":
            self._members.discard(who)
        elif change.value != self._terms:
            self._stop()
            hint = f"{who} has {change.value!r}: must be the same for every member of {self._name}"
            self._observer.on_error(ConfigurationError("in_group", self._terms, hint))
            return
        else:
            self._members.add(who)
        self._deal()

    def _deal(self) -> None:
        for slot in range(self._slots):
            mine = holder(self._members, slot) == self._member
            if mine and slot not in self._held:
                place_ = self._held[slot] = SerialDisposable()
                place_.disposable = self._chain(slot).subscribe(
                    None, self._failed, scheduler=self._clock
                )
            elif not mine and slot in self._held:
                self._held.pop(slot).dispose()

    def _chain(self, slot: int) -> Observable[int]:
        key = f"{self._name}:{slot}"

        def begun(scheduler: SchedulerBase) -> Observable[Any]:
            del scheduler
            counted = Counted(key, self._registry.get(key))
            # Where the other slots are does not matter here: their history may be gone by now.
            heads = cast("Any", self._source).partitions.position().offsets
            others = [offset for offset in heads if offset.shard % self._slots != slot]
            begin = Position((*counted.position().offsets, *others))

            def left(change: Change) -> bool:
                """Whether it is of this slot; and after a reset, that it was not handled before."""
                offset = change.offset
                assert offset is not None, "what the log tells has an offset"
                return offset.shard % self._slots == slot and counted.take(change)

            stream = cast("Any", self._source).stream("change", since=begin)
            return from_async_iter(stream).pipe(ops.filter(left))

        return reactivex.defer(begun).pipe(
            map_async(self._handle),
            ops.do_action(self._observer.on_next),
            checkpoint(self._registry, key, _count, 0),
            supervise(cap=self._lease, errors=self._failed),
        )

    async def _handle(self, change: Change) -> Change:
        return await self._work.handle(change, self._failed)


def _count(handled: int, change: Change) -> int:
    del change
    return handled + 1
