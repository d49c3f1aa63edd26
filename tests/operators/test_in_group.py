"""in_group: one member handles a change, and the others what a dead one left.

`RXFERO_GROUP=100000` is the full size (with `--timeout 600`).
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter, defaultdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxfero import operators as fop
from rxfero.core.change import Change
from rxfero.errors import ConfigurationError
from rxfero.operators.in_group import holder
from rxfero.testing import FakeCache, FeroCluster, SimulatedCluster, simulate
from tests.operators.fake import Seen, refused

CHANGES = int(os.environ.get("RXFERO_GROUP", "400"))
BURST = 50
MEMBERS = st.sets(st.text(min_size=1, max_size=8), min_size=1, max_size=8)


@given(MEMBERS, st.integers(0, 1000))
def test_law_a_slot_has_one_holder_whoever_asks(members: set[str], slot: int) -> None:
    assert holder(sorted(members), slot) == holder(sorted(members, reverse=True), slot)
    assert holder(members, slot) in members


@given(MEMBERS, st.integers(0, 1000))
def test_law_who_goes_moves_no_slot_but_its_own(members: set[str], slot: int) -> None:
    before = holder(members, slot)
    for gone in members - {before}:
        assert holder(members - {gone}, slot) == before


@given(MEMBERS, st.text(min_size=1, max_size=8), st.integers(0, 1000))
def test_law_who_comes_takes_slots_for_itself_alone(
    members: set[str], other: str, slot: int
) -> None:
    assert holder(members | {other}, slot) in (holder(members, slot), other)


def test_nobody_holds_a_slot_of_no_group() -> None:
    assert holder([], 1) is None


class Member:
    """A member of a group, on a client of each of two services."""

    def __init__(self, name: str, source: Any, registry: Any, log: list[tuple[str, Any]]) -> None:
        self.name, self.alive = name, True

        async def handle(change: Change) -> None:
            try:
                await asyncio.sleep(0.02)
            except asyncio.CancelledError:
                log.append(("lost", change))
                raise
            log.append((name if self.alive else "lost", change))

        source.on("reset", lambda shard: log.append(("reset", shard)))
        group = fop.in_group(source, registry, handle, name="emails", member=name, lease=3)
        self.subscription = group.subscribe(on_error=lambda error: log.append(("error", error)))


async def kills() -> tuple[list[tuple[str, Any]], dict[str, int]]:
    """Write with a group of three; two of its members die on the way. Gives what was handled."""
    log: list[tuple[str, Any]] = []
    small: dict[str, Any] = {"constants": {"shards": 32, "requests": {"timeout": 60_000}}}
    async with (
        SimulatedCluster(seed=5, servers=1, clients=3, **small) as users,
        SimulatedCluster(seed=6, servers=1, clients=3, service="jobs", **small) as jobs,
    ):
        members = [
            Member(a.name, a.cache, b.cache, log)
            for a, b in zip(users.clients, jobs.clients, strict=True)
        ]
        writer = users.servers[0].cache
        for first in range(0, CHANGES, BURST):
            for n in range(first, first + BURST):
                writer.update(f"k{n % 40}", n)
            await asyncio.sleep(0.05)  # some are handled, some are on their way
            if first in (CHANGES // 4 // BURST * BURST, CHANGES // 2 // BURST * BURST):
                dead = members.pop()
                dead.alive = False
                users.crash(dead.name)
                jobs.crash(dead.name)
            await asyncio.sleep(0.1)
        for _ in range(1000):
            if len({change.value for who, change in log if who[0] == "c"}) >= CHANGES:
                break
            await asyncio.sleep(1)
        await asyncio.sleep(5)  # virtual: the last commits
        kept = {
            key: value["value"]
            for key, value in jobs.servers[0].cache.items()
            if not str(key).startswith("emails:member:")
        }
        for member in members:
            member.subscription.dispose()
    return log, kept


def test_each_change_is_handled_though_members_die() -> None:
    log, kept = simulate(kills())
    assert not [what for who, what in log if who in ("error", "reset")]
    lost = [change for who, change in log if who == "lost"]
    assert lost, "somebody died while at work"
    log = [(who, change) for who, change in log if who[0] == "c"]
    times = Counter(change.value for _, change in log)
    assert set(times) == set(range(CHANGES)), "every change was handled"
    again = sum(times.values()) - CHANGES
    # Two moved slots of one key each time: what was on its way or not committed yet.
    assert again <= 4 * BURST, f"{again} handled again"
    assert {who for who, _ in log} == {"c1", "c2", "c3"}, "all had a share"
    seen: dict[Any, list[int]] = defaultdict(list)
    for _, change in log:
        if change.value not in seen[change.key]:
            seen[change.key].append(change.value)
    assert all(values == sorted(values) for values in seen.values()), "each key in order"
    assert sum(kept.values()) == CHANGES, "each is counted once"


@pytest.mark.parametrize("seed", range(3))
def test_what_the_other_side_of_a_split_wrote_is_handled_too(seed: int) -> None:
    async def main() -> None:
        log: list[tuple[str, Any]] = []
        small: dict[str, Any] = {"constants": {"shards": 8}}
        async with (
            SimulatedCluster(seed=seed, servers=3, clients=2, **small) as users,
            SimulatedCluster(seed=seed, servers=1, clients=2, service="jobs", **small) as jobs,
        ):
            for a, b in zip(users.clients, jobs.clients, strict=True):
                Member(a.name, a.cache, b.cache, log)
            users.split(["s1", "c1"])
            await asyncio.sleep(60)
            keys = [f"{name}.{n}" for name in ("s1", "s2", "s3") for n in range(20)]
            writes = [users[key[:2]].cache.update((key,), key) for key in keys]
            await asyncio.sleep(60)
            handled = {change.value for _, change in log}
            assert handled < {*keys}, "each side has its own"
            users.heal()
            await users.whole()
            await asyncio.gather(*writes)
            await asyncio.sleep(60)
            assert "reset" in {who for who, _ in log}
            assert sorted(change.value for who, change in log if who != "reset") == sorted(keys)

    simulate(main())


async def test_each_change_is_handled_over_real_sockets_too() -> None:
    small: dict[str, Any] = {"constants": {"shards": 32, "requests": {"timeout": 120_000}}}
    handled: list[tuple[str, Change]] = []
    values: set[int] = set()
    alive = ["c1", "c2", "c3"]
    changed = asyncio.Event()

    def handler(name: str) -> Any:
        async def handle(change: Change) -> None:
            await asyncio.sleep(0)
            if name in alive:
                handled.append((name, change))
                values.add(change.value)
                changed.set()

        return handle

    async def until(count: int) -> None:
        async with asyncio.timeout(30 + CHANGES / 500):
            while len(values) < count:
                changed.clear()
                await changed.wait()

    # The writer does not wait for the group: what a dead member has left has to be there still.
    long = {"constants": {**small["constants"], "partitions": {"history": {"max": CHANGES}}}}
    async with (
        FeroCluster(servers=1, clients=3, **long) as users,
        FeroCluster(servers=1, clients=3, service="jobs", **small) as jobs,
    ):
        groups = {
            name: fop.in_group(
                users[name].cache, jobs[name].cache, handler(name), name="emails", member=name,
                lease=1,
            ).subscribe()
            for name in alive
        }
        writer = users["s1"].cache
        for first in range(0, CHANGES, BURST):
            numbers = range(first, min(CHANGES, first + BURST))
            await asyncio.gather(*(writer.update(f"k{n % 40}", n) for n in numbers))
            if len(alive) > 1 and first >= CHANGES * (4 - len(alive)) // 4:
                name = alive.pop()
                groups.pop(name).dispose()
                await jobs[name].cache.destroy()
                await users[name].cache.destroy()
        await until(CHANGES)
        for group in groups.values():
            group.dispose()
    assert values == set(range(CHANGES)), "every change was handled"
    seen: dict[Any, list[int]] = defaultdict(list)
    for _, change in handled:
        if change.value not in seen[change.key]:
            seen[change.key].append(change.value)
    assert all(numbers == sorted(numbers) for numbers in seen.values()), "each key in order"
    print(f"{len(handled) - CHANGES} of {CHANGES} handled again", Counter(n for n, _ in handled))


def test_a_slot_goes_on_though_the_history_of_others_is_gone() -> None:
    users = FakeCache(constants={"shards": 2, "partitions": {"history": {"max": 16}}})
    jobs = FakeCache()
    by_shard: dict[int, str] = {}
    for key in "abcdefgh":
        users.update(key, -1)
        offset = users.changes[-1].offset
        assert offset is not None
        by_shard[offset.shard] = key
    busy, quiet = by_shard[0], by_shard[1]
    handled: list[tuple[str, int]] = []

    async def handle(change: Change) -> None:
        handled.append((str(change.key), change.value))

    def settle() -> None:
        for _ in range(10):
            jobs.advance(0.1)
            users.advance(1)

    def begin(member: str) -> Seen:
        seen = Seen(fop.in_group(users, jobs, handle, name="g", member=member, slots=2))
        settle()
        return seen

    first = begin("a")
    for number in range(200):
        users.update(busy, number)
    users.update(quiet, 0)
    settle()
    first.subscription.dispose()
    settle()
    assert len(users.history()) < 100, "most of it is gone"
    users.update(busy, 200)
    users.update(quiet, 1)
    resets: list[int] = []
    users.on("reset", resets.append)
    second = begin("b")
    assert not resets
    assert [value for key, value in handled if key == busy] == list(range(-1, 201))
    assert [value for key, value in handled if key == quiet] == [-1, 0, 1]
    assert [change.value for change in second.values] in ([200, 1], [1, 200])
    second.subscription.dispose()


def test_what_fails_too_often_is_a_dead_letter_and_the_others_go_on() -> None:
    users, jobs = FakeCache(constants={"shards": 1}), FakeCache()
    handled: list[int] = []
    letters: list[fop.DeadLetter] = []

    async def handle(change: Change) -> None:
        if change.value == 2:
            raise ValueError("no such address")
        handled.append(change.value)

    options: dict[str, Any] = {"name": "g", "member": "m", "slots": 1}
    group = fop.in_group(users, jobs, handle, **options, attempts=3, dead=letters.append)
    failures: list[Any] = []
    users.on("error", failures.append)
    seen = Seen(group)
    for number in (1, 2, 3):
        users.update("k", number)
    for _ in range(40):
        jobs.advance(0.5)
        users.advance(0.5)
    assert handled == [1, 3]
    assert [c.value for c in seen.values] == [1, 2, 3]
    ((change, error, tries),) = letters
    assert (change.value, str(error), tries) == (2, "no such address", 3)
    assert len(failures) == 2, "the attempts before are told too"
    assert jobs["g:0"]["value"] == 3, "it is not handled again by another"
    seen.subscription.dispose()


async def test_a_client_brings_its_group_and_a_member_that_follows_other_keys_is_told() -> None:
    handled: list[Change] = []
    done = asyncio.Event()

    async def handle(change: Change) -> None:
        handled.append(change)
        done.set()

    options: dict[str, Any] = {"constants": {"shards": 32}}
    async with (
        FeroCluster(servers=1, clients=0, **options) as users,
        FeroCluster(servers=1, clients=1, service="jobs", **options) as jobs,
    ):
        one = await users.add_client(client="emails")
        part = await users.add_client(client="emails", follow=["k"])
        registry = jobs["c1"].cache
        first = fop.in_group(one.cache, registry, handle).subscribe()
        await users["s1"].cache.update("k", 1)
        async with asyncio.timeout(20):
            await done.wait()
        failed: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()
        fop.in_group(part.cache, registry, handle).subscribe(on_error=failed.set_result)
        async with asyncio.timeout(20):
            error = await failed
        assert isinstance(error, ConfigurationError)
        assert "must be the same for every member of emails" in str(error)
        assert [change.value for change in handled] == [1]
        first.dispose()


def test_members_with_other_slots_are_told() -> None:
    async def handle(change: Change) -> None:
        del change

    async def run() -> None:
        users, jobs = FakeCache(), FakeCache()
        first = Seen(fop.in_group(users, jobs, handle, name="g", member="a", slots=2))
        second = Seen(fop.in_group(users, jobs, handle, name="g", member="b", slots=3))
        assert isinstance(second.error, ConfigurationError)
        first.subscription.dispose()

    asyncio.run(run())


async def nothing(change: Change) -> None:
    del change


@pytest.mark.parametrize(
    ("option", "given"),
    [
        ("source", {"source": 5}),
        ("cache", {"registry": 5}),
        ("name", {"name": "a.b"}),
        ("name", {"name": 5}),
        ("member", {"member": ""}),
        ("fn", {"fn": 5}),
        ("slots", {"slots": 0}),
        ("lease", {"lease": 0}),
        ("attempts", {"attempts": 0}),
        ("dead", {"dead": 5}),
        ("name", {"name": None}),
    ],
)
def test_arguments_are_checked(option: str, given: dict[str, Any]) -> None:
    right: dict[str, Any] = {
        "source": FakeCache(), "registry": FakeCache(), "name": "g", "fn": nothing, "member": "m",
    }  # fmt: skip
    refused(f"in_group.{option}", lambda: fop.in_group(**{**right, **given}))


def test_progress_is_not_kept_in_the_source() -> None:
    cache = FakeCache()
    refused("in_group.registry", lambda: fop.in_group(cache, cache, nothing, name="g", member="m"))
