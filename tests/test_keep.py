"""The keep: servers with a disk, restarted one by one and all at once."""

from __future__ import annotations

import asyncio
import os
import re
from pathlib import Path
from typing import Any

import pytest

from rxfero import ConfigurationError, NotDurable, StorageDamaged, fero
from rxfero.disk import Disk
from rxfero.keep import Keep
from tests.integration.cluster import Cluster, Process, stable, until

SOON = {"requests.timeout": 2_000}


async def test_a_server_finds_again_what_it_had(tmp_path: Path) -> None:
    async with Cluster(ports=2) as cluster:
        first = await cluster.server(storage=tmp_path)
        await first.update("alice", {"age": 30})
        await first.update("alice.age", 31)
        await first.push("list", 1)
        await first.push("list", 2)
        given = [first.add("x"), first.add("y")]
        ids = [(await g, g.answer)[1] for g in given]
        await first.update("gone", 1)
        await first.remove("gone").durable()
        name = first.peers.name
        await first.destroy()
        second = await cluster.server(storage=tmp_path)
        assert dict(second) == {"alice": {"age": 31}, "list": [1, 2], ids[0]: "x", ids[1]: "y"}
        assert second.peers.name == name, "the name is kept too"
        another = second.add("z")
        await another
        assert another.answer not in ids
        assert str(tmp_path) in repr(second._node._keep)


async def test_restore_is_not_run_again_over_a_disk(tmp_path: Path) -> None:
    runs: list[int] = []

    async def restore() -> dict[str, int]:
        runs.append(1)
        return {"a": 1}

    async with Cluster(ports=2) as cluster:
        for _ in range(2):
            cache = await cluster.server(storage=tmp_path, restore=restore)
            await until(lambda cache=cache: cache.get("a") == 1, cache)
            await cache.update("b", 2).durable()
            await cache.destroy()
    assert runs == [1]


async def test_kill_all_processes_at_once(tmp_path: Path) -> None:
    async with Cluster(ports=4) as cluster:
        names = ("one", "two", "three")

        async def start(name: str) -> Process:
            return await Process.start(
                cluster.name, cluster.ports, name, storage=str(tmp_path / name)
            )

        servers = [await start(name) for name in names]
        client = await cluster.client()
        await until(lambda: len(client.ring.members) == 3, client, what="three servers")
        await asyncio.gather(*(client.update(f"k{i}", i).durable(2) for i in range(500)))
        for server in servers:
            server.process.kill()
        for server in servers:
            await server.kill()
        await client.destroy()
        servers = await asyncio.gather(*map(start, names))
        try:
            witness = await cluster.server()
            await until(lambda: len(witness.ring.members) == 4, witness, what="four servers")
            await until(lambda: len(witness) == 500, witness, what="every durable write")
            assert {witness[f"k{i}"] for i in range(500)} == set(range(500))
        finally:
            for server in servers:
                await server.kill()


async def test_a_tail_that_others_never_had_comes_back(tmp_path: Path) -> None:
    async with Cluster(ports=3) as cluster:
        left = await cluster.server(storage=tmp_path / "left", id="left")
        right = await cluster.server(storage=tmp_path / "right", id="right")
        await stable(left, right)
        await left.update("both", 1).durable(2)
        await right.destroy()
        await left.update("left only", 2).durable()
        await left.destroy()
        right = await cluster.server(storage=tmp_path / "right", id="right")
        assert "left only" not in right
        await right.update("right only", 3).durable()
        left = await cluster.server(storage=tmp_path / "left", id="left")
        await stable(left, right)
        merged = {"both": 1, "left only": 2, "right only": 3}
        for cache in (left, right):
            await until(lambda cache=cache: dict(cache) == merged, cache, what="the merge")


async def test_durable_counts_disks_not_servers(tmp_path: Path) -> None:
    async with Cluster(ports=3, constants=SOON) as cluster:
        kept = await cluster.server(storage=tmp_path)
        memory = await cluster.server()
        await stable(kept, memory)
        await memory.update("a", 1, ack="durable")
        await kept.update("a", 2).durable(1)
        with pytest.raises(NotDurable, match="on the disks of 1 servers instead of 2") as caught:
            await memory.update("b", 1, ack="durable(2)")
        assert (caught.value.wanted, caught.value.got) == (2, 1)
        assert memory["b"] == 1
        with pytest.raises(NotDurable):
            await kept.update("c", 1).durable(3)


async def test_a_full_disk_is_told_and_mended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rxfero.keep.MEND_S", 0.05)
    real, full = os.write, [True]

    def write(file: int, data: Any) -> int:
        if full[0]:
            raise OSError(28, "No space left on device")
        return real(file, data)

    async with Cluster(ports=2, constants=SOON) as cluster:
        cache = await cluster.server(storage=tmp_path)
        await cache.update("a", 1).durable()
        monkeypatch.setattr("rxfero.disk.os.write", write)
        await cache.update("b", 2)
        await until(lambda: bool(cluster.errors), cache, what="an error")
        assert cluster.errors[0].event == "storage"
        assert cluster.errors[0].error.errno == 28
        with pytest.raises(NotDurable):
            await cache.update("c", 3).durable()
        full[0] = False
        await cache.update("d", 4).timeout(10).durable()
        await cache.destroy()
        again = await cluster.server(storage=tmp_path)
        assert dict(again) == {"a": 1, "b": 2, "c": 3, "d": 4}


async def test_a_large_journal_begins_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rxfero.disk.ROLL_BYTES", 4096)
    async with Cluster(ports=2) as cluster:
        cache = await cluster.server(storage=tmp_path)
        for i in range(200):
            await cache.update("same", f"{i}" * 200)
        await cache.update("last", 1).durable()
        directory = tmp_path / cluster.name
        await until(lambda: int(min(directory.glob("*.journal")).stem) > 1, cache)
        await cache.destroy()
        again = await cluster.server(storage=tmp_path)
        assert again["same"] == "199" * 200
        assert again["last"] == 1


async def test_damage_is_told_and_what_is_before_it_kept(tmp_path: Path) -> None:
    async with Cluster(ports=2) as cluster:
        cache = await cluster.server(storage=tmp_path)
        for i in range(50):
            await cache.update(f"k{i}", "x" * 100).durable()
        await cache.destroy()
        (file,) = (tmp_path / cluster.name).glob("*.journal")
        raw = bytearray(file.read_bytes())
        raw[raw.find(b"k25")] ^= 1
        file.write_bytes(raw)
        told: list[Any] = []
        again = await cluster.server(storage=tmp_path)
        again.on("error", told.append)
        assert set(again) == {f"k{i}" for i in range(25)}
        assert file.with_suffix(".damaged").exists()


async def test_one_node_a_directory(tmp_path: Path) -> None:
    async with Cluster(ports=2) as cluster:
        await cluster.server(storage=tmp_path, id="mine")
        with pytest.raises(ConfigurationError, match="in use by another process"):
            await cluster.server(storage=tmp_path)
    with pytest.raises(ConfigurationError, match="name is 'mine', not 'other'"):
        await fero(cluster.name, storage=tmp_path, id="other")
    with pytest.raises(ConfigurationError, match="cluster is 'rxfero', not 'c2'"):
        await fero(cluster.name, storage=tmp_path, cluster="c2")
    with pytest.raises(ConfigurationError, match="digest is"):
        await fero(cluster.name, storage=tmp_path, constants={"shards": 64})


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        ({"storage": 7}, "must be the path of a directory"),
        ({"storage": ""}, "must be the path of a directory"),
        ({"storage": "x", "client": True}, "a client keeps nothing"),
        ({"fsync": "often"}, "must be 'group', 'never' or 1 to 60000 ms"),
        ({"fsync": 0}, "must be 'group'"),
        ({"ack": "durable(0)"}, "or 'durable(n)'"),
        ({"ack": "durable(x)"}, "or 'durable(n)'"),
    ],
)
async def test_bad_options(options: dict[str, Any], hint: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(hint)):
        await fero("x", **options)


async def test_a_directory_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ConfigurationError, match="storage"):
        await fero("x", storage=tmp_path / "file")


async def test_a_service_with_an_odd_name_has_a_directory(tmp_path: Path) -> None:
    cache = await fero("a/b*", storage=tmp_path)
    assert isinstance(cache._node._keep, Keep)
    await cache.update("k", 1).durable()
    await cache.destroy()
    assert os.listdir(tmp_path) == ["a%2Fb%2A"]


async def test_an_entry_that_cannot_be_read(tmp_path: Path) -> None:
    cache = await fero("x", storage=tmp_path)
    await cache.destroy()
    directory = tmp_path / "x"
    owner = Disk.owner_of(directory)
    assert owner is not None
    owner.pop("format")
    disk = Disk(directory, owner, "group", lambda *_: None)
    disk.open(strict=False)
    disk.write([(1, b"\xc1")])
    disk.close()
    with pytest.raises(StorageDamaged, match="x:"):
        await fero("x", storage=tmp_path)
