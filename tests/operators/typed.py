"""Chains whose types are asserted: checked by basedpyright, never run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, assert_type

from reactivex import Observable
from reactivex import operators as ops
from reactivex.observable import GroupedObservable

from rxfero import Cache, Change, Failure, Guarantee, Offset, Path, Peer
from rxfero import operators as fop
from rxfero.ports import GuaranteeLike
from rxfero.streams import Stream


async def length(text: str) -> int:
    return len(text)


def kind_of(change: Change) -> str:
    return change.type


def chains(users: Cache) -> None:
    changes = users.on("change")
    assert_type(changes, Stream[Change])
    assert_type(users.on("connected"), Stream[Peer])
    assert_type(users.on("error"), Stream[Failure])
    assert_type(users.on("reply"), Stream[Guarantee])
    assert_type(users.on("checksum"), Stream[int])
    assert_type(users.on("changes"), Stream[list[Change]])
    assert_type(users.on("replies"), Stream[Sequence[Guarantee]])

    kinds = changes.pipe(fop.of_type("add"), fop.under("users"), ops.map(lambda c: c.type))
    assert_type(kinds, Observable[str])
    assert_type(changes.pipe(fop.only_owned(users)), Observable[Change])
    assert_type(kinds.pipe(fop.map_async(length)), Observable[int])
    assert_type(kinds.pipe(fop.count_by(lambda kind: kind.upper())), Observable[tuple[str, int]])
    assert_type(changes.pipe(fop.count_by("type")), Observable[tuple[Any, int]])
    assert_type(
        changes.pipe(fop.fold_by(kind_of, lambda total, change: total + len(change.key), 0)),
        Observable[tuple[str, int]],
    )
    assert_type(changes.pipe(fop.buffer_bounded(10)), Observable[list[Change]])
    assert_type(changes.pipe(fop.conflate(lambda change: change.key)), Observable[Change])
    assert_type(changes.pipe(fop.by_key()), Observable[GroupedObservable[Any, Change]])
    assert_type(changes.pipe(fop.tap_progress(print)), Observable[Change])
    assert_type(changes.pipe(fop.isolate(ops.map(lambda c: c.key))), Observable[Path])
    assert_type(
        changes.pipe(fop.isolate(ops.map(lambda c: c.type), fop.map_async(length))),
        Observable[int],
    )
    sent = changes.pipe(fop.send(users, "approve"))
    assert_type(sent, Observable[GuaranteeLike])
    assert_type(sent.pipe(fop.await_ack(where=lambda peer: peer.id == "a")), Observable[int])
    assert_type(sent.pipe(fop.await_commit()), Observable[Offset])
    assert_type(sent.pipe(fop.await_replicated("majority")), Observable[Offset])
    assert_type(kinds.pipe(fop.update(users)), Observable[GuaranteeLike])
    assert_type(
        changes.pipe(fop.window_by(kind_of, size=10)), Observable[fop.Window[Change]]
    )
    assert_type(
        changes.pipe(fop.join_latest(kinds, kind_of, lambda kind: kind)),
        Observable[fop.Joined[Change, str]],
    )
    assert_type(changes.pipe(fop.supervise(retries=3)), Observable[Change])
