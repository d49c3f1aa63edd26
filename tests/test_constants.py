"""The constants: the original's defaults, five sources in their order, and no knob nobody reads."""

from __future__ import annotations

import ast
import copy
import pickle
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import rxfero.constants
from rxfero.constants import Constants, Heartbeat, Outbox
from rxfero.errors import ConfigurationError
from rxfero.sources import INF, Knob, knobs

KNOBS = {knob.name: knob for knob in knobs(Constants)}

# The table of the original, where a knob of that name exists.
ORIGINAL = {
    "dht.vnodes": 200,
    "retries.base": 100,
    "retries.cap": 60_000,
    "retries.max": 5,
    "retries.jitter": 0.5,
    "connections.timeout": 10_000,
    "connections.jitter": 200,
    "connections.max.server": INF,
    "connections.max.client": 1,
    "multicast.ip": "224.0.0.251",
    "multicast.host": "127.0.0.1",
    "multicast.port": 3130,
    "multicast.ttl": 128,
    "multicast.jitter": 2000,
    "multicast.retry": False,
    "multicast.monitor": True,
    "outbox.max": 2**16,
    "restore.wait": 1000,
}
OURS = {
    "partitions.history.max": 1024,  # bounded, where the original keeps all
    "outbox.frag": 2**20,  # the largest frame; the original never read it
    "requests.timeout": 30_000,
    "requests.hops": 2,
    "requests.pending": 2**28,
    "retain.records": 1024,
    "retain.bytes": 4 << 20,
    "heartbeat.ping": 500,
    "heartbeat.suspect": 2000,
    "heartbeat.dead": 3000,
    "takeover.timeout": 2000,
    "shards": 2048,
    "clock.skew": 60_000,
    "limits.records": 65_536,
    "forget.after": 86_400_000,
}


def at(constants: Any, name: str) -> Any:
    for part in name.split("."):
        constants = getattr(constants, part)
    return constants


@pytest.mark.parametrize(("name", "value"), [*ORIGINAL.items(), *OURS.items()])
def test_the_defaults_are_those_of_the_table(name: str, value: Any) -> None:
    assert at(Constants(), name) == value
    assert type(at(Constants(), name)) is type(value)


@pytest.mark.parametrize("knob", KNOBS.values(), ids=KNOBS.keys())
def test_every_knob_has_a_meaning_and_a_default_within_its_range(knob: Knob) -> None:
    assert knob.doc
    if type(knob.default) in (int, float):
        assert knob.low <= knob.default <= knob.high


@pytest.mark.parametrize(
    "knob", [k for k in KNOBS.values() if type(k.default) in (int, float)], ids=lambda k: k.name
)
def test_every_range_is_exact(knob: Knob) -> None:
    # The two of the heartbeat depend on each other.
    other = {"heartbeat.ping": {"heartbeat.suspect": 3_600_000},
             "heartbeat.suspect": {"heartbeat.ping": 10}}.get(knob.name, {})  # fmt: skip
    for edge in (knob.low, knob.high):
        value = edge if edge == INF else type(knob.default)(edge)
        if knob.default != INF or edge == INF:
            assert at(Constants.of({**other, knob.name: value}), knob.name) == edge
    for beyond in (knob.low - 1, knob.high + 1):
        if beyond != INF:
            value = int(beyond) if type(knob.default) is int or knob.default == INF else beyond
            with pytest.raises(ConfigurationError, match=r"must be (within|at least)") as caught:
                Constants.of({**other, knob.name: value})
            assert caught.value.option == f"constants.{knob.name}"


def test_every_knob_is_read_by_some_module() -> None:
    home = Path(rxfero.constants.__file__).parent
    read: set[str] = set()
    for file in home.rglob("*.py"):
        if file.name not in ("constants.py", "sources.py"):
            tree = ast.parse(file.read_text(encoding="utf-8"))
            read |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    for name in KNOBS:
        parts = name.split(".")
        assert set(parts) <= read, f"nobody reads constants.{name}"


# --- sources


def test_nothing_given_is_the_defaults() -> None:
    assert Constants.of(None) == Constants.load() == Constants.of({}) == Constants()


def test_later_sources_win(tmp_path: Path) -> None:
    file = tmp_path / "rxfero.toml"
    file.write_text(
        "[constants]\nshards = 1\n[constants.dht]\nvnodes = 1\n[constants.retries]\nbase = 1\n"
        "[constants.outbox]\nmax = 1\n",
        encoding="utf-8",
    )
    env = {"RXFERO_CONSTANTS__DHT__VNODES": "2", "RXFERO_CONSTANTS__RETRIES__BASE": "2",
           "RXFERO_CONSTANTS__OUTBOX__MAX": "2", "HOME": "/"}  # fmt: skip
    argv = ["--constants.retries.base=3", "--constants.outbox.max", "3", "--verbose"]
    code = {"outbox": {"max": 4}}
    made = Constants.load(code, toml=file, env=env, argv=argv)
    assert (made.shards, made.dht.vnodes, made.retries.base, made.outbox.max) == (1, 2, 3, 4)
    assert made.retries.cap == 60_000


def test_constants_in_code_say_everything() -> None:
    given_ = Constants.of({"shards": 7})
    assert Constants.of(given_) is given_
    assert Constants.load(given_, env={"RXFERO_CONSTANTS__SHARDS": "9"}) is given_


@pytest.mark.parametrize(
    ("sources", "words"),
    [
        ({"code": {"outbx": {"max": 1}}}, ["constants.outbx", "did you mean 'outbox'"]),
        ({"code": {"outbox.mx": 1}}, ["constants.outbox.mx=1", "did you mean 'max'"]),
        ({"code": {"outbox": {"max": -1}}}, ["constants.outbox.max=-1", "within 0 and"]),
        ({"code": {"outbox": 5}}, ["constants.outbox=5", "must be a dict"]),
        ({"code": 5}, ["constants=5", "must be a dict"]),
        ({"env": {"RXFERO_CONSTANTS__OUTBOX__MAX": "lots"}},
         ["constants.outbox.max='lots'", "the environment, RXFERO_CONSTANTS__OUTBOX__MAX"]),
        ({"env": {"RXFERO_CONSTANTS__OUTBOX": "1"}}, ["constants.outbox='1'", "must be a dict"]),
        ({"argv": ["--constants.shards=0"]},
         ["constants.shards=0", "the argument --constants.shards", "within 1 and 65536"]),
        ({"argv": ["--constants.shrads=1"]}, ["constants.shrads", "did you mean 'shards'"]),
        ({"argv": ["--constants.shards"]}, ["constants.shards", "needs a value"]),
        ({"toml": "no/such/file.toml"}, ["no/such/file.toml", "cannot be read"]),
    ],
    ids=repr,
)  # fmt: skip
def test_a_wrong_one_names_itself_its_source_and_what_would_be_right(
    sources: dict[str, Any], words: list[str]
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Constants.load(**sources)
    for word in words:
        assert word in str(caught.value)


def test_a_wrong_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text("[constants.outbox]\nmax = '5'\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"from the file .*c\.toml.*whole number"):
        Constants.load(toml=file)


# --- what one can do with them


@given(st.sampled_from(sorted(KNOBS)), st.data())
def test_replacing_one_leaves_all_others(name: str, data: st.DataObject) -> None:
    knob = KNOBS[name]
    if type(knob.default) is bool:
        value: Any = not knob.default
    elif type(knob.default) is str:
        value = data.draw(st.text(min_size=1, max_size=9))
    elif type(knob.default) is int:
        value = data.draw(st.integers(int(knob.low), int(knob.high)))
    else:
        value = data.draw(st.sampled_from([knob.default, 1]))
    try:
        made = Constants().replace({name: value})
    except ConfigurationError as error:
        if not name.startswith("heartbeat"):  # these two depend on each other
            raise
        assert "must be more than" in str(error)  # noqa: PT017
        return
    assert at(made, name) == value
    assert made == Constants.of(made.as_dict())
    for other in KNOBS:
        if other != name:
            assert at(made, other) == at(Constants(), other)


def test_replacing_by_groups() -> None:
    made = Constants().replace(outbox={"max": 0}, shards=64)
    assert (made.outbox.max, made.outbox.frag, made.shards) == (0, 1 << 20, 64)
    assert made.replace({"outbox.max": 1}, shards=8).outbox.max == 1
    assert Constants.of({"outbox": Outbox(max=5)}).outbox.max == 5
    assert Constants().outbox.max == 1 << 16


def test_they_are_frozen_and_can_be_kept() -> None:
    constants = Constants()
    with pytest.raises(AttributeError):
        constants.shards = 1  # type: ignore[misc]
    with pytest.raises(AttributeError):
        constants.outbox.max = 1  # type: ignore[misc]
    assert hash(constants) == hash(Constants())
    assert copy.deepcopy(constants) == pickle.loads(pickle.dumps(constants)) == constants
    assert constants != constants.replace(shards=1)


def test_a_peer_is_suspected_only_after_it_was_pinged() -> None:
    with pytest.raises(ConfigurationError, match=r"heartbeat\.suspect=500: must be more than"):
        Constants.of({"heartbeat.suspect": 500})
    with pytest.raises(ConfigurationError, match=r"heartbeat\.ping=2000, or all are suspected"):
        Heartbeat(ping=2000)
    # Only the whole counts, whichever source said which part.
    made = Constants.load({"heartbeat.suspect": 9000}, argv=["--constants.heartbeat.ping=5000"])
    assert (made.heartbeat.ping, made.heartbeat.suspect) == (5000, 9000)
