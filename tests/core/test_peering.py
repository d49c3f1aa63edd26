"""The peering: one contact a server, dialed again with a bounded backoff, removed when in vain."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxfero.core.peering import (
    CLIENT,
    CONNECTED,
    CONNECTING,
    DISCONNECTED,
    REMOVED,
    THROTTLED,
    Address,
    Contact,
    Peering,
)
from tests.core.parts import constants

A, B, C = Address("h", 1), Address("h", 2), Address("::1", 3)


def peering_of(client: bool = False, **given_: Any) -> Peering:
    return Peering(constants(**given_), client, Random(1))


def told(peering: Peering) -> list[str]:
    """Take the statuses that were told."""
    news, peering.news = peering.news, []
    return [status for status, _ in news]


def dial(peering: Peering, address: Address, link: int, now: float = 0.0) -> Contact:
    contact = peering.create(address, now)
    peering.dialing(contact, link)
    return contact


def meet(peering: Peering, link: int, address: Address, name: str, role: str = "server") -> Contact:
    return peering.met(link, address, name, 7, role, None, 0.0)


def test_a_server_is_dialed_met_of_use_and_throttled() -> None:
    peering = peering_of()
    contact = peering.create(A, 5.0)
    assert peering.create(A, 6.0) is contact
    assert (peering.due(4.9), peering.deadline) == ([], 5.0)
    assert peering.due(5.0) == [contact]
    peering.dialing(contact, 1)
    assert (peering.due(9.0), peering.deadline, peering.held) == ([], None, 1)
    assert meet(peering, 1, A, "a") is contact
    assert contact.name == "a"
    peering.connected(1)
    peering.connected(1)
    peering.throttled(1, True)
    peering.throttled(1, True)
    peering.throttled(1, False)
    assert told(peering) == [
        DISCONNECTED, CONNECTING, CONNECTING, CONNECTED, THROTTLED, CONNECTED
    ]  # fmt: skip
    for link in (1, 9):
        peering.closed(link, "gone", 9.0)
        peering.connected(link)
        peering.throttled(link, True)
    assert told(peering) == [DISCONNECTED]
    assert contact.reason == "gone"


def test_a_client_comes_and_goes_and_is_never_dialed() -> None:
    peering = peering_of()
    contact = meet(peering, 1, Address("", 0), "c", "client")
    peering.throttled(1, True)
    assert told(peering) == [CLIENT]
    assert (peering.clients, peering.held, peering.due(99.0)) == ({"c": contact}, 0, [])
    peering.closed(1, "gone", 9.0)
    assert told(peering) == [DISCONNECTED, REMOVED]
    assert not peering.clients


def test_the_end_of_a_clients_old_link_does_not_end_its_new_one() -> None:
    peering = peering_of()
    meet(peering, 1, Address("", 0), "c", "client")
    new = meet(peering, 2, Address("", 0), "c", "client")
    peering.closed(1, "replaced", 9.0)
    assert peering.clients == {"c": new}


@given(st.integers(0, 5000), st.integers(1, 10**4), st.integers(1, 10**6), st.floats(0, 1),
       st.integers(0, 99))  # fmt: skip
def test_the_wait_grows_to_the_cap_with_its_share_of_chance(
    attempts: int, base: int, cap: int, jitter: float, seed: int
) -> None:
    peering = peering_of(
        retries__base=base, retries__cap=cap, retries__jitter=jitter, retries__max=10**6
    )
    peering._rng = Random(seed)
    contact = dial(peering, A, 1)
    contact.attempts = attempts
    peering.closed(1, "", 50.0)
    longest = min(cap, base * 2**attempts) / 1000
    wait = contact.next_at - 50.0
    assert longest * (1 - jitter) - 1e-6 <= wait <= longest + 1e-6
    assert contact.attempts == attempts + 1


def test_after_so_many_failures_a_peer_is_removed_and_a_success_starts_anew() -> None:
    peering = peering_of(retries__max=2)
    contact = peering.create(A, 0.0)
    for attempt in range(2):
        peering.dialing(contact, attempt)
        peering.closed(attempt, "refused", 0.0)
        assert contact.status == DISCONNECTED
    peering.dialing(contact, 2)
    meet(peering, 2, A, "a")
    assert contact.attempts == 0
    for attempt in range(3, 6):
        peering.closed(attempt - 1, "refused", 0.0)
        if contact.status == DISCONNECTED:
            peering.dialing(contact, attempt)
    assert contact.status == REMOVED
    assert (peering.servers, peering.names, peering.links) == ({}, {}, {})
    assert told(peering)[-1] == REMOVED


def test_a_link_that_ends_for_good_is_not_dialed_again() -> None:
    peering = peering_of()
    contact = dial(peering, A, 1)
    peering.closed(1, "refused by the peer", 0.0, for_good=True)
    assert contact.status == REMOVED
    peering.remove(contact)
    assert told(peering).count(REMOVED) == 1
    assert peering.create(A, 1.0) is not contact


@pytest.mark.parametrize(
    ("client", "given_", "most"),
    [(True, {}, 1), (True, {"connections__max": {"client": 2}}, 2),
     (False, {"connections__max": {"server": 2}}, 2), (False, {}, 3)],
)  # fmt: skip
def test_no_more_connections_than_the_limit(client: bool, given_: Any, most: int) -> None:
    peering = peering_of(client, **given_)
    contacts = [peering.create(address, 0.0) for address in (A, B, C)]
    contacts[0].attempts = 3
    due = peering.due(1.0)
    assert len(due) == most
    assert contacts[0] not in due or most == 3, "who failed least is tried first"
    for link, contact in enumerate(due):
        peering.dialing(contact, link)
    assert peering.due(1.0) == []
    assert peering.deadline is None


# --- one server, however it is reached


def test_an_alias_of_an_address_is_the_same_contact() -> None:
    peering = peering_of()
    known = dial(peering, A, 1)
    meet(peering, 1, A, "a")
    alias = dial(peering, B, 2)
    assert meet(peering, 2, A, "a") is known
    assert list(peering.servers.values()) == [known]
    assert known.link == 2
    assert alias.name is None
    peering.closed(1, "crossed dials", 1.0)
    assert known.status == CONNECTING, "its other link is what counts"


def test_a_server_that_moved_keeps_its_contact() -> None:
    peering = peering_of()
    known = dial(peering, A, 1)
    meet(peering, 1, A, "a")
    peering.closed(1, "gone", 0.0)
    assert meet(peering, 2, B, "a") is known
    assert peering.servers == {B: known}
    assert peering.names == {"a": known}


def test_a_server_that_dialed_here_is_known() -> None:
    peering = peering_of()
    contact = meet(peering, 1, A, "a")
    assert (peering.servers, contact.status) == ({A: contact}, CONNECTING)
    peering.remove(contact)
    peering.closed(1, "gone", 0.0)
    assert contact.status == REMOVED


@pytest.mark.parametrize("jitter", [True, False])
def test_a_new_member_is_dialed_after_a_random_delay(jitter: bool) -> None:
    peering = peering_of(connections__jitter=200)
    contact = peering.create(A, 10.0, jitter=jitter)
    assert (10.0 < contact.next_at <= 10.2) if jitter else contact.next_at == 10.0
    assert [str(a) for a in (A, C)] == ["h:1", "[::1]:3"]
    assert repr(contact) == "<Contact ? h:1 disconnected>"
