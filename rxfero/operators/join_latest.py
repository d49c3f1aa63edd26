"""join_latest: two streams side by side, the latest of each key."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, NamedTuple, TypeVar

from reactivex import Observable
from reactivex.abc import DisposableBase, ObserverBase, SchedulerBase
from reactivex.disposable import CompositeDisposable

from rxfero.core.change import Change
from rxfero.errors import ConfigurationError
from rxfero.operators.checks import Selector, attribute, key_of

L = TypeVar("L")
R = TypeVar("R")


class Joined(NamedTuple, Generic[L, R]):
    """The latest items of both streams that have this key."""

    key: Any
    left: L
    right: R


def join_latest(
    other: Observable[R],
    key: str | Callable[[L], Any] | None = None,
    other_key: str | Callable[[R], Any] | None = None,
) -> Callable[[Observable[L]], Observable[Joined[L, R]]]:
    """Give the latest items of both streams, key by key, each time one of them has a new one.

        a1 -------- b1 -------- a2 ------------>
        ---- A1 ---------- B1 ------------ A2 -->
            join_latest(other)
        ---- a1A1 -------- b1B1 -- a2A1 -- a2A2 ->

    Nothing is given before both have one. A change that removes its key takes its side away.
    It ends when both streams have, and fails when one does. Memory is one item a key and side.

    Args:
        other: The stream beside this one; subscribed first.
        key: A function of the item that gives a hashable key; or an attribute's name. None: the key
            of a change or message, the first of a (key, value) pair.
        other_key: The same of the other stream; None: as `key`.

    Raises:
        ConfigurationError: an argument is of the wrong type.
    """
    if not isinstance(other, Observable):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigurationError("join_latest.other", other, "must be an Observable")
    of_left = key_of if key is None else attribute("join_latest.key", key)
    of_right = of_left if other_key is None else attribute("join_latest.other_key", other_key)

    def joined(source: Observable[L]) -> Observable[Joined[L, R]]:
        def subscribe(
            observer: ObserverBase[Joined[L, R]], scheduler: SchedulerBase | None = None
        ) -> DisposableBase:
            lefts: dict[Any, Any] = {}
            rights: dict[Any, Any] = {}
            ended = 0

            def taking(kept: dict[Any, Any], select: Selector) -> Callable[[Any], None]:
                def on_next(item: Any) -> None:
                    try:
                        name = select(item)
                        if isinstance(item, Change) and item.type == "remove":
                            kept.pop(name, None)
                            return
                        kept[name] = item
                        both = name in lefts and name in rights
                    except Exception as error:  # noqa: BLE001  (it goes down the chain)
                        observer.on_error(error)
                        return
                    if both:
                        observer.on_next(Joined(name, lefts[name], rights[name]))

                return on_next

            def end() -> None:
                nonlocal ended
                ended += 1
                if ended == 2:
                    observer.on_completed()

            taken = CompositeDisposable()
            for stream, kept, select in ((other, rights, of_right), (source, lefts, of_left)):
                taken.add(
                    stream.subscribe(
                        taking(kept, select), observer.on_error, end, scheduler=scheduler
                    )
                )
            return taken

        return Observable(subscribe)

    return joined
