"""The scan: all addresses but our own, in an order that the seed decides."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from rxfero.discovery.hosts import Place, parse_hosts
from rxfero.discovery.scan import candidates

places = st.lists(
    st.builds(
        lambda host, first, count: Place(host, first, first + count),
        st.sampled_from(["a", "b", "::1"]),
        st.integers(1, 50),
        st.integers(0, 10),
    ),
    max_size=5,
)


@given(places, st.integers())
def test_every_address_comes_once(places, seed):
    found = candidates(places, None, Random(seed))

    assert len(found) == len(set(found))
    assert set(found) == {(p.host, n) for p in places for n in range(p.first, p.last + 1)}


@given(places, st.sampled_from(["a", "::1", "c"]), st.integers(1, 60), st.integers())
def test_our_own_address_is_left_out(places, host, port, seed):
    everything = set(candidates(places, None, Random(seed)))

    assert set(candidates(places, (host, port), Random(seed))) == everything - {(host, port)}


def test_the_order_is_the_seeds():
    wide = parse_hosts(["a", "b"], (1, 50))

    assert candidates(wide, None, Random(1)) == candidates(wide, None, Random(1))
    assert candidates(wide, None, Random(1)) != candidates(wide, None, Random(2))
    assert candidates(wide, None, Random(1)) != sorted(candidates(wide, None, Random(1)))


def test_no_places_no_addresses():
    assert candidates([], ("a", 1), Random(0)) == []
