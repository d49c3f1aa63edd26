"""The clock: stamps only grow, stay near the wall clock, and follow what was seen."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rxfero.core.clock import COUNTER_BITS, Clock, wall_ms_of

NOW = 1_700_000_000_000
SKEW = 60_000

walls = st.integers(NOW - 100_000, NOW + 100_000)
steps = st.lists(
    st.tuples(st.just("tick"), walls)
    | st.tuples(st.just("next"), st.just(0))
    | st.tuples(st.just("first"), st.tuples(walls, st.integers(1, 100_000)))
    | st.tuples(st.just("observe"), st.integers(0, (NOW + 10_000_000) << COUNTER_BITS)),
    max_size=30,
)


@given(steps)
def test_every_stamp_is_above_all_given_and_all_believed(history: list[tuple[str, object]]) -> None:
    clock = Clock(max_clock_skew_ms=SKEW)
    wall, given_last, seen = 0, -1, 0
    for verb, argument in history:
        count = 1
        match verb, argument:
            case "tick", int(wall):
                stamp = clock.tick(wall)
            case "first", (int(wall), int(count)):
                stamp = clock.first(wall, count)
            case "observe", int(foreign):
                clock.observe(foreign)
                seen = max(seen, foreign)
                continue
            case _:
                stamp = clock.next()
        limit = (wall + SKEW) << COUNTER_BITS
        assert stamp > given_last
        assert stamp > min(seen, limit)
        assert stamp >= wall << COUNTER_BITS
        assert stamp <= max(given_last, limit, wall << COUNTER_BITS) + 1
        given_last = stamp + count - 1
        assert clock.last == given_last
        seen = 0


def test_stamps_of_one_millisecond_count_up() -> None:
    clock = Clock()
    first = clock.tick(NOW)
    assert first == NOW << COUNTER_BITS
    assert [clock.next(), clock.tick(NOW), clock.next()] == [first + 1, first + 2, first + 3]
    assert wall_ms_of(clock.tick(NOW + 1)) == NOW + 1
    assert clock.next() == (NOW + 1 << COUNTER_BITS) + 1


def test_next_uses_the_last_wall_clock() -> None:
    clock = Clock()
    clock.wall_ms = NOW
    assert clock.next() == NOW << COUNTER_BITS


def test_a_wall_clock_that_goes_back_stops_no_stamp() -> None:
    clock = Clock()
    high = clock.tick(NOW)
    assert clock.tick(NOW - 5_000) == high + 1


def test_a_run_is_dense_and_may_carry_into_the_next_millisecond() -> None:
    clock = Clock()
    first = clock.first(NOW, 1 << COUNTER_BITS)
    assert first == NOW << COUNTER_BITS
    assert wall_ms_of(clock.last) == NOW
    assert wall_ms_of(clock.tick(NOW)) == NOW + 1


def test_a_clock_that_never_ticked_is_not_poisoned() -> None:
    clock = Clock(max_clock_skew_ms=SKEW)
    clock.observe(1 << 62)
    assert wall_ms_of(clock.tick(NOW)) == NOW + SKEW
    assert clock.clamped == 1


def test_an_idle_clock_still_follows_what_was_said_now() -> None:
    clock = Clock(max_clock_skew_ms=SKEW)
    clock.tick(NOW)
    later = NOW + 3_600_000
    foreign = (later + 30_000) << COUNTER_BITS  # their clock is 30 s ahead: within the skew
    clock.observe(foreign)
    assert clock.tick(later) == foreign + 1
    assert clock.clamped == 0


def test_a_clock_shows_its_time() -> None:
    clock = Clock()
    clock.first(NOW, 3)
    assert repr(clock) == f"<Clock {NOW} ms + 2>"
