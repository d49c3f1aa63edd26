"""The containers of packed bytes: bounded at once, counted where it matters."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxfero.core import heads
from rxfero.core.heads import container_bound, containers
from rxfero.core.value import pack_body

leaves = st.none() | st.booleans() | st.integers(-(1 << 63), 1 << 63) | st.text(max_size=40)
bodies: Any = st.recursive(
    leaves | st.binary(max_size=40) | st.floats(),
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=30,
)


def count(body: Any) -> int:
    if isinstance(body, dict):
        return 1 + sum(map(count, body.values()))
    return 1 + sum(map(count, body)) if isinstance(body, list) else 0


@given(bodies)
def test_the_containers_of_a_body_are_bounded_and_counted(body: Any) -> None:
    packed = pack_body(body)
    exact = count(body)
    assert container_bound(packed) >= exact
    assert containers(packed, exact) == exact
    assert containers(packed, 10_000) == container_bound(packed)


def test_counting_stops_at_the_limit() -> None:
    assert containers(b"\x90" * 1000, 10) == 11


def test_large_values_are_passed_over_and_not_scanned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heads, "container_bound", lambda _: pytest.fail("they were scanned"))
    packed = pack_body([["k", b"\x90" * 100_000], [7, "\u0690" * 50_000]])
    assert containers(packed, 1 << 18) == 3
    assert containers(packed, 1) == 2


def test_many_small_values_are_scanned() -> None:
    packed = pack_body([["k"]] * 5000)
    assert containers(packed, 10_000) == container_bound(packed) >= 5001
    assert containers(packed, 100) == 101


def test_what_is_cut_off_is_counted_to_its_end() -> None:
    packed = pack_body([b"*" * 100_000, []])
    assert containers(packed[:50_000], 10) == 1
