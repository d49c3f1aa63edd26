"""The hosts: every way to write an address, and every way to write none."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxfero.discovery.hosts import Place, parse_host, parse_hosts
from rxfero.errors import ConfigurationError, RxferoError


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("10.0.0.1", ("10.0.0.1", None)),
        ("10.0.0.1:5000", ("10.0.0.1", 5000)),
        ("localhost", ("localhost", None)),
        ("db-1.my-site.example:65535", ("db-1.my-site.example", 65535)),
        ("::1", ("::1", None)),
        ("fe80::1%eth0", ("fe80::1%eth0", None)),
        ("[::1]", ("::1", None)),
        ("[::1]:5000", ("::1", 5000)),
        (("::1", 5000), ("::1", 5000)),
        (["h", 1], ("h", 1)),
    ],
)
def test_an_entry_gives_host_and_port(entry, expected):
    assert parse_host(entry) == expected


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("", "'' is no host"),
        (":5000", "'' is no host"),
        ("host:", "'' is no port"),
        ("host:http", "'http' is no port"),
        ("host:-1", "'-1' is no port"),
        ("host:\u0661", "is no port"),
        ("host:0", "port 0 is not in 1..65535"),
        ("host:65536", "port 65536 is not"),
        ("host:123456", "'123456' is no port"),
        ("my host", "'my host' is no host"),
        ("http://host", "is no port"),
        ("host/path", "'host/path' is no host"),
        ("a,b", "'a,b' is no host"),
        ("[::1", "must be a host"),
        ("[::1]5000", "must be a host"),
        ("[host]:5000", "must be a host"),
        ("[]:5000", "must be a host"),
        ("[::1]:", "'' is no port"),
        ("::1]", "is no host"),
        (("h",), "must be a host"),
        (("h", 1, 2), "must be a host"),
        (("h", "1"), "'1' is no port"),
        (("h", True), "True is no port"),
        (("h", None), "None is no port"),
        (("", 1), "'' is no host"),
        ((1, 1), "1 is no host"),
        (("h", 70000), "port 70000 is not"),
        (5000, "must be a host"),
        (None, "must be a host"),
        (b"host", "must be a host"),
    ],
)
def test_what_is_no_address_is_named(entry, words):
    with pytest.raises(ConfigurationError) as caught:
        parse_host(entry)

    assert words in str(caught.value)
    assert repr(entry) in str(caught.value)
    assert caught.value.option == "hosts"
    assert caught.value.value == entry


def test_entries_without_a_port_get_the_ports():
    entries = ["a", "b:7", ("::1", 8), "c"]

    assert parse_hosts(entries, (5000, 5002)) == [
        Place("a", 5000, 5002),
        Place("b", 7, 7),
        Place("::1", 8, 8),
        Place("c", 5000, 5002),
    ]
    assert parse_hosts(["a"], 5000) == [Place("a", 5000, 5000)]


def test_without_ports_only_full_addresses_are_places():
    assert parse_hosts(["a", "b:7"]) == [Place("b", 7, 7)]
    assert parse_hosts([], (1, 2)) == []


def test_an_entry_written_twice_is_one_place():
    assert parse_hosts(["a", "a", "a:5", ("a", 5)], 5) == [Place("a", 5, 5)]


def test_one_bad_entry_refuses_all():
    with pytest.raises(ConfigurationError, match="'b:x'"):
        parse_hosts(["a", "b:x"], 5)


@given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)), st.integers(1, 65535))
def test_every_numeric_address_is_read(address, port):
    text = str(address)
    bracketed = f"[{text}]" if isinstance(address, ipaddress.IPv6Address) else text

    assert parse_host(text) == (text, None)
    assert parse_host(f"{bracketed}:{port}") == (text, port)
    assert parse_host((text, port)) == (text, port)


@given(st.text(max_size=30))
def test_any_text_is_an_address_or_refused(text):
    try:
        host, port = parse_host(text)
    except RxferoError:
        return
    assert host
    assert host in text
    assert port is None or 0 < port < 65536
