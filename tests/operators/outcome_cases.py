"""What holds for every operator that awaits guarantees."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from reactivex.subject import Subject

from rxfero import operators as fop
from rxfero.errors import Overloaded, Refused, ValueRefused
from tests.operators.fake import FakeGuarantee, Seen, refused

ORDERS = st.integers(0, 6).flatmap(lambda n: st.permutations(range(n)))
FATES = st.lists(st.booleans(), max_size=6)


def made(count: int) -> list[FakeGuarantee]:
    return [FakeGuarantee(("test", n)) for n in range(count)]


def fed(operator: Any, guarantees: list[FakeGuarantee]) -> tuple[Subject[Any], Seen]:
    source: Subject[Any] = Subject()
    seen = Seen(source.pipe(operator))
    for guarantee in guarantees:
        source.on_next(guarantee)
    return source, seen


def order_holds(operator: Any, order: list[int]) -> None:
    """Whatever the order of settling, the outcomes come in the order of the guarantees."""
    guarantees = made(len(order))
    source, seen = fed(operator, guarantees)
    source.on_completed()
    settled: set[int] = set()
    for n in order:
        assert not seen.completed
        guarantees[n].settle(n)
        settled.add(n)
        ready = next((i for i in range(len(order)) if i not in settled), len(order))
        assert seen.values == list(range(ready))
    assert seen.completed


def failure_holds(operator: Any, fates: list[bool]) -> None:
    """What precedes the first failure is given, then the failure, then nothing."""
    guarantees = made(len(fates))
    _, seen = fed(operator, guarantees)
    for n in reversed(range(len(fates))):
        if fates[n]:
            guarantees[n].settle(n)
        else:
            guarantees[n].fail(Refused(f"no {n}"))
    first = fates.index(False) if False in fates else len(fates)
    assert seen.values == list(range(first))
    assert (seen.error is None) == all(fates)
    if seen.error is not None:
        assert str(seen.error) == f"no {first}"
        assert all(g.watched == 0 for g in guarantees)


def isolation_holds(operator: Any, fates: list[bool]) -> None:
    """Isolated, each failure goes aside and every other outcome is given, in order."""
    failed: list[fop.Isolated] = []
    guarantees = made(len(fates))
    source, seen = fed(fop.isolate(operator, errors=failed.append), guarantees)
    source.on_completed()
    for n in reversed(range(len(fates))):
        if fates[n]:
            guarantees[n].settle(n)
        else:
            guarantees[n].fail(Refused(str(n)))
    assert seen.values == [n for n, fine in enumerate(fates) if fine]
    assert [str(f.error) for f in failed] == [str(n) for n, fine in enumerate(fates) if not fine]
    assert seen.completed
    assert seen.error is None


def a_window_holds(make: Any) -> None:
    guarantees = made(3)
    source, seen = fed(make(window=2), guarantees)
    assert isinstance(seen.error, Overloaded)
    assert all(g.watched == 0 for g in guarantees)
    guarantees = made(3)
    source, seen = fed(make(window=2), guarantees[:2])
    guarantees[0].settle(0)
    source.on_next(guarantees[2])
    assert seen.error is None


def unsubscribing_watches_no_more(operator: Any) -> None:
    guarantees = made(2)
    _, seen = fed(operator, guarantees)
    assert [g.watched for g in guarantees] == [1, 1]
    seen.subscription.dispose()
    assert [g.watched for g in guarantees] == [0, 0]


def only_guarantees_are_taken(operator: Any, name: str) -> None:
    source, seen = fed(operator, [])
    source.on_next(5)
    assert isinstance(seen.error, ValueRefused)
    assert name in str(seen.error)


def arguments_are_checked(make: Any, name: str) -> None:
    for wrong in (0, -1, "5", True, float("nan")):
        refused(f"{name}.timeout", lambda wrong=wrong: make(timeout=wrong))
    for wrong in (0, 1.5, "5", True):
        refused(f"{name}.window", lambda wrong=wrong: make(window=wrong))


def a_timeout_is_set(make: Any) -> None:
    guarantees = made(2)
    fed(make(timeout=1.5), guarantees)
    assert [g.timeouts for g in guarantees] == [[1.5], [1.5]]
    guarantees = made(1)
    fed(make(), guarantees)
    assert guarantees[0].timeouts == []
