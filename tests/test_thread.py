"""The thread: a node that goes on while its user blocks."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from reactivex import operators as ops

from rxfero import fero, in_thread
from rxfero import operators as fop
from rxfero.cache import Cache
from rxfero.errors import (
    AddressInUse,
    Closed,
    CompareFailed,
    ConfigurationError,
    RequestTimeout,
    ValueRefused,
)
from tests.integration.cluster import WAIT_S, free_ports


def alive() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("rxfero")]


def test_reads_and_writes_without_a_loop() -> None:
    with in_thread("users") as users:
        assert alive() == ["rxfero users"]
        offset = users.update("alice", {"email": "a@x.org"}).result()
        assert offset.number > 0
        assert users["alice"] == {"email": "a@x.org"}
        assert users.at("alice.email") == "a@x.org"
        assert users.at("alice.age", 7) == 7
        assert users.read("alice") == {"email": "a@x.org"}
        assert "alice" in users
        assert "bob" not in users
        with pytest.raises(KeyError):
            users["bob"]
        users.patch({"bob": 1, "eve": 2}).result()
        users.push("list", 1).result()
        key = users.add("zoe", 3).result()
        assert key is not None
        assert set(users) == {"alice", "bob", "eve", "list", "zoe"}
        users.remove("zoe").result()
        assert len(users) == 4
        assert users.stats()["keys"] == 4
        users.stable(1)
        assert len(users.ring) == 1
        assert users._ipython_key_completions_() == list(users)
        assert "users" in repr(users)
        assert "<table>" in users._repr_mimebundle_()["text/html"]
    assert alive() == []
    assert "closed" in repr(users)


def test_a_node_goes_on_while_its_user_blocks() -> None:
    ports = free_ports(2)
    with in_thread("users", ports=ports) as one, in_thread("users", ports=ports) as two:
        one.stable(2)
        before = one.stats()["turns"]
        time.sleep(0.5)  # what a cell does that computes
        assert one.stats()["turns"] > before + 2
        two.update("a", 1, ack="all").result()
        assert one["a"] == 1


async def test_from_a_loop_a_promise_can_be_awaited() -> None:
    ports = free_ports(2)
    with in_thread("users", ports=ports) as threaded:
        async with fero("users", client=True, ports=ports) as client:
            await client.update("a", 1)
            offset = await threaded.update("a", 2)
            await client.reached(offset)
            assert client["a"] == 2
            promise = threaded.update("a", 3, expect=7)
            with pytest.raises(CompareFailed):
                await promise
            with pytest.raises(CompareFailed):
                promise.result()
            assert "CompareFailed" in repr(promise)


def test_observers_are_called_in_the_node_s_thread() -> None:
    with in_thread("users") as users:
        told = threading.Event()
        seen: list[tuple[str, bool]] = []

        def take(change: Any) -> None:
            seen.append((str(change.key), users.here))
            assert users["a"] == 1  # a read there is a plain read
            told.set()

        before = threading.active_count()
        subscription = users.on("change", take)
        chain = users.on("change").pipe(
            ops.filter(lambda change: change.key == "a"), ops.debounce(0.01), ops.map(lambda c: c.key)
        )
        keys: list[str] = []
        done = threading.Event()

        def key_of(key: Any) -> None:
            keys.append(str(key))
            done.set()

        other = chain.subscribe(key_of)
        users.update("a", 1).result()
        assert told.wait(WAIT_S)
        assert done.wait(WAIT_S)
        assert threading.active_count() == before  # debounce waits on the node's loop
        assert seen == [("a", True)]
        assert keys == ["a"]
        subscription.dispose()
        other.dispose()
        users.update("a", 2).result()
        assert (len(seen), len(keys)) == (1, 1)


async def test_on_a_loop_observers_are_called_there() -> None:
    with in_thread("users") as users:
        items = users.on("change", since="state").pipe(fop.to_async_iter())
        told: asyncio.Queue[tuple[Any, bool]] = asyncio.Queue()
        users.on("change", lambda change: told.put_nowait((change.value, users.here)))
        delayed: asyncio.Queue[Any] = asyncio.Queue()
        users.on("change").pipe(ops.delay(0.01)).subscribe(delayed.put_nowait)
        for n in range(10):
            users.update("a", n).result()  # it blocks this loop, and nothing else
        async with asyncio.timeout(WAIT_S):
            assert [(await anext(items)).value for _ in range(10)] == list(range(10))
            assert [await told.get() for _ in range(10)] == [(n, False) for n in range(10)]
            assert [(await delayed.get()).value for _ in range(10)] == list(range(10))
        await items.aclose()


async def test_what_an_observer_on_a_loop_raises_is_told() -> None:
    with in_thread("users") as users:
        failures: asyncio.Queue[Any] = asyncio.Queue()
        users.on("error", failures.put_nowait)
        seen: list[Any] = []

        def fail(change: Any) -> None:
            seen.append(change.value)
            raise ValueError("bad observer")

        users.on("change", fail)
        users.on("change").subscribe(fail)
        await users.update("a", 1)
        async with asyncio.timeout(WAIT_S):
            for _ in range(2):
                failure = await failures.get()
                assert isinstance(failure.error, ValueError)
                assert failure.change.value == 1
        assert seen == [1, 1]


def test_what_a_subscriber_raises_is_told() -> None:
    with in_thread("users") as users:
        told = threading.Event()
        failures: list[Any] = []

        def tell(failure: Any) -> None:
            failures.append(failure)
            told.set()

        def fail(_: Any) -> None:
            raise ValueError("bad observer")

        users.on("error", tell)
        users.on("change", fail)
        users.update("a", 1).result()
        assert told.wait(WAIT_S)
        assert isinstance(failures[0].error, ValueError)


def test_a_promise_that_nobody_waits_for_fails_aloud() -> None:
    with in_thread("users") as users:
        told = threading.Event()
        users.on("error", lambda _: told.set())
        users.update("a", 1, expect=2)
        assert told.wait(WAIT_S)


def test_anything_of_the_cache_by_a_call() -> None:
    with in_thread("users", lambda request: request.next()) as users:

        async def doubled(cache: Cache, key: str) -> Any:
            await cache.update(key, 2)
            return cache[key] * 2

        assert users.call(lambda cache: doubled(cache, "a")) == 4
        assert users.call(lambda cache: cache.id) == users.call(Cache.stats)["name"]
        with pytest.raises(ZeroDivisionError):
            users.call(lambda _: 1 / 0)
        assert users.send({"type": "update", "key": "b", "value": 1}).result() is not None
        assert users["b"] == 1


def test_bad_input_is_refused_at_the_call() -> None:
    with in_thread("users") as users:
        with pytest.raises(ValueRefused):
            users.update("a", object())
        with pytest.raises(ConfigurationError):
            users.on("change", 7)  # type: ignore[arg-type]
    for bad in (0, -1, "a", None, True):
        with pytest.raises(ConfigurationError, match="within"):
            in_thread("users", within=bad)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError):
        in_thread("users", no_such_option=1)
    with pytest.raises(AddressInUse), in_thread("a", ports=(port := free_ports(1))) as first:
        del first
        in_thread("b", ports=port)
    assert alive() == []


def test_every_wait_has_its_end() -> None:
    with in_thread("users") as users:
        with pytest.raises(RequestTimeout, match=r"0\.05"):
            users.call(lambda _: asyncio.sleep(60), within=0.05)
        raised: list[BaseException] = []
        told = threading.Event()

        def wait_here(_: Any) -> None:
            try:
                users.update("b", 1).result()
            except BaseException as error:  # noqa: BLE001
                raised.append(error)
            told.set()

        users.on("change", wait_here)
        users.update("a", 1).result()
        assert told.wait(WAIT_S)
        assert isinstance(raised[0], ConfigurationError)  # it would wait for itself
        assert "would wait for itself" in str(raised[0])


def test_after_its_end() -> None:
    users = in_thread("users")
    pending = users.begin(asyncio.sleep(60))
    users.close()
    users.close()
    with pytest.raises(Closed):
        users["a"]
    with pytest.raises(Closed):
        users.update("a", 1)
    assert pending.cancelled() or pending.done()
    assert alive() == []


def test_a_start_that_takes_too_long() -> None:
    with pytest.raises(RequestTimeout, match="in_thread"):
        in_thread("users", restore=lambda: asyncio.sleep(60), within=0.2)
    assert alive() == []


@pytest.mark.parametrize("closing", [True, False])
def test_a_program_ends_though_nobody_closed_it(closing: bool, tmp_path: Path) -> None:
    script = (
        "import rxfero\n"
        f"users = rxfero.in_thread('users', storage={str(tmp_path)!r})\n"
        "print(users.update('a', 1).result().number > 0)\n"
        f"{'users.close()' if closing else ''}\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "True\n", "")
