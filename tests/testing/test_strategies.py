"""The strategies draw what can be stored and nothing else, the edges of the domain too."""

from __future__ import annotations

from typing import Any

from hypothesis import find, given
from hypothesis import strategies as st

from rxfero.core.change import Change
from rxfero.core.path import Path
from rxfero.core.position import Offset
from rxfero.core.value import pack, unpack
from rxfero.testing import (
    Schedule,
    changes,
    fault_schedules,
    logs,
    offsets,
    paths,
    strategies,
    values,
)
from rxfero.testing.strategies import INT_MAX, INT_MIN


@given(values())
def test_every_value_can_be_stored(value: Any) -> None:
    assert pack(unpack(pack(value))) == pack(value)


def test_the_edges_of_the_domain_are_drawn() -> None:
    for edge in (INT_MIN, INT_MAX):
        assert find(values(), lambda value, edge=edge: value == edge) == edge
    assert find(values(), lambda value: isinstance(value, dict) and len(value) > 1)
    assert find(strategies.scalars(), lambda value: isinstance(value, bytes)) == b""
    assert find(strategies.instants(), lambda _: True).tzinfo is not None


@given(paths())
def test_every_path_is_one(path: Path) -> None:
    assert Path.parse(tuple(path)) == path
    assert 1 <= len(path) <= 10


@given(offsets())
def test_every_offset_can_be_written_and_read(offset: Offset) -> None:
    assert Offset.parse(str(offset)) == offset


@given(changes())
def test_a_change_is_as_an_observer_gets_it(change: Change) -> None:
    assert change.offset is not None
    assert change.type in strategies.VERBS
    assert change.origin
    assert (change.type != "remove") or change.value is None


@given(fault_schedules(servers=2, seconds=5.0))
def test_a_schedule_undoes_its_faults_by_its_end(schedule: Schedule) -> None:
    *_, last = schedule
    assert last == (5.0, "heal")
    assert all(when <= 5.0 for when, *_ in schedule)
    assert "s3" not in str(schedule.steps)


@given(logs(keys=st.sampled_from(["x", "y"]), held=st.just(7)))
def test_a_log_rises_in_each_shard_and_a_key_stays_in_its_shard(log: list[Change]) -> None:
    ends: dict[int, int] = {}
    homes: dict[Any, int] = {}
    there: set[Any] = set()
    for change in log:
        offset = change.offset
        assert offset is not None
        assert offset.number > ends.get(offset.shard, 0)
        ends[offset.shard] = offset.number
        assert homes.setdefault(change.key[0], offset.shard) == offset.shard
        assert (change.type == "add") == (change.key[0] not in there)
        (there.discard if change.type == "remove" else there.add)(change.key[0])
        assert change.value == (None if change.type == "remove" else 7)
