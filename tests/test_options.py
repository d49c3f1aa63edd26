"""The options: all of them are checked at the call, and say what would be right."""

from __future__ import annotations

from typing import Any

import pytest

from rxfero.constants import Constants
from rxfero.discovery import Dns, Multicast, Seeds
from rxfero.errors import ConfigurationError
from rxfero.options import Options, read_options
from tests.naming import named

GOOD: list[dict[str, Any]] = [
    {},
    {"client": True},
    {"client": "monitor"},
    {"ports": 7000},
    {"ports": (7000, 7009)},
    {"ports": [7000]},
    {"ports": None},
    {"hosts": ["127.0.0.1", "localhost:7000"]},
    {"hash": len},
    {"partition": str},
    {"restore": dict},
    {"security": {"secret": "long enough"}},
    {"constants": {"outbox": {"max": 0}}},
    {"constants": {"outbox.max": 0}},
    {"constants": Constants()},
    {"id": "alice"},
    {"cluster": "staging"},
    {"client": True, "follow": ["alice", 7]},
    {"client": "emails", "follow": {"alice"}},
    {"ack": 0},
    {"ack": 2},
    {"ack": "majority"},
    {"multicast": True},
    {"finders": [Dns("users.svc", 5000), Seeds("seeds")]},
]
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"port": 7000}, "no such option; did you mean 'ports'"),
    ({"name": "x"}, "no such option"),
    ({"client": 1}, "client=1"),
    ({"follow": ["a"]}, "is for clients"),
    ({"follow": [], "client": True}, "not empty"),
    ({"follow": "alice", "client": True}, "must be a list"),
    ({"follow": [""], "client": True}, "top-level keys"),
    ({"follow": [True], "client": True}, "top-level keys"),
    ({"follow": [("a", "b")], "client": True}, "top-level keys"),
    ({"follow": ["a"], "client": True, "partition": str}, "partition="),
    ({"client": ""}, "client="),
    ({"client": "x" * 65}, "client="),
    ({"ports": 0}, "ports=0"),
    ({"ports": 65_536}, "ports="),
    ({"ports": True}, "ports=True"),
    ({"ports": (7009, 7000)}, "ports="),
    ({"ports": (1, 2, 3)}, "ports="),
    ({"ports": "7000"}, "ports="),
    ({"ports": ()}, "ports="),
    ({"hosts": "127.0.0.1"}, "hosts="),
    ({"hosts": []}, "hosts="),
    ({"hosts": 7}, "hosts="),
    ({"hosts": ["127.0.0.1:99999"]}, "hosts"),
    ({"hash": 7}, "hash=7"),
    ({"partition": "x"}, "partition="),
    ({"restore": {}}, "restore="),
    ({"multicast": 1}, "multicast=1"),
    ({"multicast": {"prot": 1}}, "multicast.prot"),
    ({"multicast": {"port": 0}}, "multicast.port"),
    ({"multicast": {"host": "lo"}}, "multicast.host"),
    ({"finders": [object()]}, "finders="),
    ({"finders": Dns("users.svc", 5000)}, "finders="),
    ({"storage": object()}, "storage="),
    ({"quorum": "majority"}, "quorum="),
    ({"security": "secret"}, "security="),
    ({"security": {"secrets": "long enough"}}, "security="),
    ({"security": {"secret": 12_345_678}}, "security="),
    ({"id": ""}, "id="),
    ({"id": 7}, "id=7"),
    ({"cluster": "x" * 65}, "cluster="),
    ({"ack": -1}, "ack=-1"),
    ({"ack": True}, "ack=True"),
    ({"ack": "most"}, "ack='most'"),
    ({"constants": {"outbox": 7}}, "outbox"),
    ({"constants": {"shards": 0}}, "shards"),
    ({"constants": 7}, "constants"),
]


@pytest.mark.parametrize("given", GOOD, ids=str)
def test_options_that_are_right_are_taken(given: dict[str, Any]) -> None:
    assert isinstance(read_options(given), Options)


@pytest.mark.parametrize(("given", "says"), WRONG, ids=named)
def test_options_that_are_wrong_are_refused_by_name(given: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_options(given)
    assert says in str(caught.value)


def test_settings_of_multicast_are_those_of_the_constants() -> None:
    given = {"multicast": {"port": 7, "retry": True}, "constants": {"multicast": {"ttl": 1}}}
    options = read_options(given)
    (finder,) = options.finders
    assert isinstance(finder, Multicast)
    settings = finder.settings
    assert settings == options.constants.multicast
    assert (settings.port, settings.retry, settings.ttl, settings.host) == (7, True, 1, "127.0.0.1")
    assert read_options({"multicast": False}).finders == ()


def test_a_secret_is_never_shown() -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_options({"security": {"secret": "short"}})
    assert "'short'" not in str(caught.value)


def test_ports_are_a_range_and_hosts_a_tuple() -> None:
    assert read_options({"ports": 7000}).ports == (7000, 7000)
    assert read_options({"ports": [7000, 7009]}).ports == (7000, 7009)
    assert read_options({"hosts": ["a", "b"]}).hosts == ("a", "b")


def test_what_is_derived() -> None:
    assert read_options({"client": "monitor"}).group == "monitor"
    assert read_options({"client": True}).group is None
    assert read_options({}).secret is None
    assert read_options({"security": {"secret": "long enough"}}).secret == "long enough"


def test_constants_of_the_environment_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RXFERO_CONSTANTS__OUTBOX__MAX", "0")
    assert read_options({}).constants.outbox.max == 0
    assert read_options({"constants": {"outbox.max": 7}}).constants.outbox.max == 7


def test_options_cannot_be_changed() -> None:
    options = read_options({})
    with pytest.raises(AttributeError):
        options.client = True  # type: ignore[misc]
