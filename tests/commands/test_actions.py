"""The actions: keys and changes as they are read and shown."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rxfero.commands import actions
from rxfero.commands.actions import key_of, read_change, row_of, shown_key
from rxfero.commands.output import Output, dumps
from rxfero.core.change import Change
from rxfero.errors import ConfigurationError, ValueRefused
from rxfero.testing import FakeCache
from tests.integration.cluster import Cluster

elements = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8) | st.integers(
    -(1 << 63), (1 << 63) - 1
)


@settings(deadline=None)
@given(st.lists(elements, min_size=1, max_size=4))
def test_a_key_that_is_shown_is_read(key: list[str | int]) -> None:
    assert list(key_of(shown_key(key))) == key


@pytest.mark.parametrize(
    ("text", "key"),
    [("a", ("a",)), ("a.b", ("a", "b")), ("a.0", ("a", 0)), ("7", (7,)), ("007", ("007",)),
     ("-1", (-1,)), ('["a.b", "0"]', ("a.b", "0")), ("2026-01", ("2026-01",))],
)  # fmt: skip
def test_keys_are_read(text: str, key: tuple[Any, ...]) -> None:
    assert key_of(text) == key


@pytest.mark.parametrize("wrong", ["[1", "[]", '{"a": 1}'[:0] + "[1.5]", "[null]", "a" * 2000])
def test_what_is_no_key_is_refused(wrong: str) -> None:
    with pytest.raises(ValueRefused):
        key_of(wrong)


@settings(deadline=None)
@given(st.sampled_from(["add", "update", "remove", "push"]), st.lists(elements, min_size=1, max_size=3),
       st.none() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])))  # fmt: skip
def test_a_change_that_is_shown_is_read(verb: str, key: list[Any], value: Any) -> None:
    if isinstance(value, int) and not -(1 << 63) <= value < 1 << 64:
        value = None
    change = Change(verb, key, value)
    again = read_change(dumps(row_of(change)), "line 1")
    assert (again.type, again.key, again.value) == (change.type, change.key, change.value)


@pytest.mark.parametrize("wrong", ["", "{", "[]", "7", '{"value": 1}'])
def test_what_is_no_change_is_refused(wrong: str) -> None:
    with pytest.raises(ValueRefused, match="line 9"):
        read_change(wrong, "line 9")


def test_get_and_history_of_a_cache(capsys: pytest.CaptureFixture[str]) -> None:
    cache = FakeCache(values={"a": {"b": 1}})
    assert actions.get(cache, "a.b", None, Output()) == 0
    assert actions.get(cache, "a.c", None, Output()) == 1
    assert actions.get(cache, None, None, Output(json=True)) == 0
    assert actions.history(cache, "a", Output()) == 0
    assert actions.history(cache, "z", Output()) == 1
    out, err = capsys.readouterr()
    assert out.splitlines()[:2] == ["1", '{"key": "a", "value": {"b": 1}}']
    assert "nothing at 'a.c'" in err


@pytest.mark.parametrize("since", ["", "yesterday", "1:2"])
async def test_a_beginning_that_is_none_is_refused(since: str) -> None:
    with pytest.raises(ConfigurationError, match="--since"):
        await actions.watch(FakeCache(), since, None, None, Output())


async def test_a_cache_is_written_to_and_asked(capsys: pytest.CaptureFixture[str]) -> None:
    async with Cluster() as cluster:
        server = await cluster.server()
        client = await cluster.client()
        assert await actions.write(client, "update", ("a", 1), 5.0, Output()) == 0
        assert await actions.write(client, "add", ("text",), 5.0, Output(json=True)) == 0
        assert json.loads(capsys.readouterr().out.splitlines()[1])["key"] == 1
        assert await actions.watch(client, "state", "a", 1, Output(json=True)) == 0
        assert json.loads(capsys.readouterr().out)["value"] == 1
        assert actions.owners(client, ["a"], Output(json=True)) == 0
        assert json.loads(capsys.readouterr().out)["owner"] == server.id
        assert await actions.conflicts(client, Output(json=True), follow=False) == 0
        assert not client.partitions.conflicts()
