"""The batches of a process: found by numbers, taken out whole, counted."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rxfero.core.batch import Batch
from rxfero.core.batches import Batches


def batch_of(first: int, count: int, deadline: float = 30.0) -> Batch:
    batch = Batch()
    for _ in range(count):
        batch.add("m", b"\x01", packed=True)
    batch.number(first, deadline)
    return batch


def test_a_batch_waits_is_sent_and_goes() -> None:
    batches = Batches()
    one, two = batch_of(1, 3), batch_of(4, 2, 20.0)
    batches.add(one)
    batches.add(two)
    assert (batches.count, batches.flying, batches.oldest, batches.due) == (5, 0, 1, 20.0)
    assert batches.send("a", 2) is None, "no room"
    assert batches.send("a", 3) is one
    assert (one.target, batches.count, batches.flying) == ("a", 5, 3)
    assert batches.bytes == one.size + two.size
    batches.remove(one)
    assert (batches.count, batches.flying, batches.oldest) == (2, 0, 4)
    assert batches.take_waiting() == [two]
    assert (batches.count, batches.oldest, batches.bytes) == (0, None, 0)
    assert batches.due == float("inf")
    assert batches.send("a", 99) is None
    assert repr(batches) == "<Batches sent=0 waiting=0 messages=0>"


@given(st.lists(st.integers(1, 5), min_size=1, max_size=6), st.data())
def test_one_is_found_by_just_its_numbers(sizes: list[int], data: st.DataObject) -> None:
    batches, made, first = Batches(), list[Batch](), 1
    for size in sizes:
        made.append(batch_of(first, size))
        batches.add(made[-1])
        assert batches.send("a", 99) is made[-1]
        first += size
    low = data.draw(st.integers(1, first))
    high = data.draw(st.integers(low, first))
    found = batches.of(range(low, high + 1))
    exact = [b for b in made if (b.first, b.first + len(b) - 1) == (low, high)]
    assert found is (exact[0] if exact else None)
    within = batches.take(lambda b: b.first <= high)
    assert within == [b for b in made if b.first <= high]
    assert batches.flying == sum(len(b) for b in made if b.first > high)


def test_numbers_with_holes_are_those_of_no_batch() -> None:
    batches = Batches()
    batches.add(batch_of(1, 3))
    batches.send("a", 9)
    assert batches.of([1, 2, 4]) is None
    assert batches.of([1, 2, 3]) is not None
