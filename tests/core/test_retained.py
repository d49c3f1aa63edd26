"""The retained writes: the newest within the limits, and their weight."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rxfero.core.call import COMMIT, Call
from rxfero.core.retained import Retained

STEPS = st.lists(
    st.tuples(st.sampled_from(["add", "add_all", "drop"]), st.integers(0, 9)), max_size=40
)
SIZES = st.lists(st.integers(0, 200), min_size=10, max_size=10)


def write(size: int) -> Call:
    return Call("update", ("k",), bytes(size), COMMIT)


@given(STEPS, SIZES, st.integers(0, 6), st.integers(0, 600))
def test_the_oldest_go_until_both_limits_hold(
    steps: list[tuple[str, int]], sizes: list[int], records: int, size: int
) -> None:
    retained, calls = Retained((records, size)), [write(length) for length in sizes]
    model: dict[int, Call] = {}
    for what, number in steps:
        call = calls[number]
        if what == "drop":
            if model.pop(number, None) is not None:
                retained.drop(number)
            continue
        if what == "add":
            retained.add(number, call)
        elif number not in model:
            retained.add_all([number], [call], call.size)
        model[number] = call
        assert retained.bytes == sum(one.size for one in model.values())
    retained.trim()
    while len(model) > records or sum(one.size for one in model.values()) > size:
        del model[next(iter(model))]
    assert list(retained.calls) == list(model)
    assert retained.bytes == sum(one.size for one in model.values())
    assert len(retained) == len(model)


def test_one_that_comes_again_keeps_its_place_and_is_weighed_once() -> None:
    retained = Retained((9, 999))
    first, other = write(10), write(20)
    retained.add(1, first)
    retained.add(2, other)
    retained.add(1, first)
    assert list(retained.calls) == [1, 2]
    assert retained.bytes == first.size + other.size
    assert (1 in retained, 3 in retained) == (True, False)
    assert repr(retained) == f"<Retained 2 writes of {retained.bytes} bytes>"
