"""The campaign: one seed, one run: a cluster under load and under faults, then peace and judgment.

What can happen is drawn by the seed too (swarm testing): some seeds have only crashes, some only
splits, some everything, some no client retention, so that one safety net does not hide a hole in
another.
"""

from __future__ import annotations

from random import Random
from typing import Any

from rxfero.core.call import DURABLE, OK, READ
from rxfero.core.path import Path
from rxfero.core.ring import shard_of
from rxfero.core.value import pack
from tests.simulation.world import REGISTER, Disk, Host, World, Write

FAULTS = ("split", "link", "oneway", "alone", "crash", "pause", "leave", "slow")


class Campaign:
    """A run of one seed."""

    def __init__(self, seed: int, duration: float = 20.0, **forced: Any) -> None:
        rng = Random(seed * 7919 + 1)
        self.retain = forced.get("retain", rng.random() < 0.5)
        self.servers = forced.get("servers", rng.choice((2, 3, 3, 3, 4, 5)))
        self.clients = forced.get("clients", rng.choice((0, 1, 1, 2)))
        self.handled = forced.get("handled", rng.random() < 0.15)
        self.history = forced.get("history", rng.choice((16, 64, 1024, 1024, 1024)))
        self.skew = forced.get("skew", rng.choice((0.0, 0.0, 3.0)))
        self.keys = forced.get("keys", rng.choice((4, 12, 40)))
        self.shape = forced.get("shape", rng.random() < 0.3)  # deep writes, pushes, conditions
        self.pace = forced.get("pace", rng.choice((0.3, 1.0, 2.0)))
        self.apart = forced.get("apart", rng.random() < 0.2)
        self.rest = forced.get("rest", 1.0)  # times the seconds between what a host asks for
        faults = forced.get("faults")
        if faults is None:
            faults = [f for f in FAULTS if rng.random() < 0.5] or ["crash"]
        self.faults: list[str] = list(faults)
        part = Random(seed * 104_729 + 3)  # not of `rng`: the other seeds stay what they were
        self.follow = forced.get("follow", ("k0", "k1", "list0") if part.random() < 0.25 else None)
        self.disks = forced.get("disks", rng.choice((0, 0, 1, 9)))  # servers that have one
        self.quorum = forced.get("quorum", False)  # majority of three or five voters with disks
        voters = 0
        if self.quorum:
            self.servers = forced.get("servers", rng.choice((3, 3, 5, 4, 6)))
            self.disks = voters = 5 if self.servers > 4 else 3
        self.duration = duration
        self.world = World(
            seed,
            {
                "retain.records": 1024 if self.retain else 0,
                "partitions.history.max": self.history,
                "takeover.timeout": 2000,
            },
            handled=self.handled,
            voters=tuple(f"n{i}" for i in range(voters)) if self.quorum else (),
        )
        self.world.hostile = forced.get("hostile", 0.0)
        self.world.fsync = forced.get("fsync", self.world.fsync)
        self.rng = self.world.rng

    def run(self) -> Campaign:
        """Do everything; raises AssertionError at the first broken promise."""
        world, rng = self.world, self.rng
        for i in range(self.servers + self.clients):
            client = i >= self.servers
            host = world.host(f"n{i}" if not client else f"x{i}", client=client, start=False)
            host.disk = Disk() if i < min(self.disks, self.servers) else None
            host.skew = (rng.random() * 2 - 1) * self.skew
            host.follow = self.follow if client else None
            world.after(rng.random() * 0.5, host.start)
            world.after(1.0 + rng.random(), self._step, host, 0)
            if self.quorum:
                world.after(1.0 + rng.random(), self._register, host, None, 0)
        if self.apart and self.servers > 1:  # founders that meet later
            world.split(["n0"], [n for n in world.hosts if n != "n0"])
        world.after(3.0, self._nemesis)
        world.after(0.5, self._look)
        world.run(self.duration)
        world.settle_down()
        self._probe()  # the first may end a session whose past is gone (R12)
        world.hops = 0
        failed = [(h.name, p) for h, p in self._probe() if p.status != OK]
        assert not failed, f"I10: some cannot write: {failed[:3]}"
        assert world.hops <= 2, f"I18: {world.hops} hops when nothing changes"
        world.quiet()
        return self

    def _probe(self) -> list[tuple[Host, Write]]:
        """Let everybody write to every shard."""
        world = self.world
        shards = world.constants.shards
        keys = {shard_of(f"probe{i}", shards): f"probe{i}" for i in range(shards * 20)}
        assert len(keys) == shards
        probes = [
            (host, Write("update", Path((key,)), pack(0), -3))
            for host in world.hosts.values() for key in keys.values()
        ]
        for host, probe in probes:
            host.submit(probe)
        assert world.run(5.0, lambda: all(p.told for _, p in probes)), "I10: no answers"
        world.run(1.0)
        return probes

    def _look(self) -> None:
        self.world.matching()
        if self.world.now < self.duration:
            self.world.after(0.5, self._look)

    def _step(self, host: Host, count: int) -> None:
        world, rng = self.world, self.rng
        if world.now >= self.duration:
            return
        for i in range(rng.choice((1, 1, 1, 3, 10))):
            host.submit(self._write(f"{host.name}#{host.epoch}.{count}.{i}"))
        world.after(self.rest * (0.05 + rng.random() * 0.1), self._step, host, count + 1)

    def _register(self, host: Host, last: Write | None, count: int) -> None:
        """Read or write a register, one operation a process at a time: for the check of I9."""
        world, rng = self.world, self.rng
        if world.now >= self.duration:
            return
        if last is None or last.told or last.epoch != host.epoch:
            last, path = None, Path((f"{REGISTER}{rng.randrange(4)}",))
            if host.up and not host.stopped and not host.leaving:
                if rng.random() < 0.5:
                    last = Write(READ, path, pack(None), 0)
                else:
                    last = Write("update", path, pack(f"{host.name}#{host.epoch}.{count}"), 0)
                host.submit(last)
        world.after(self.rest * (0.05 + rng.random() * 0.2), self._register, host, last, count + 1)

    def _write(self, value: str) -> Write:
        rng = self.rng
        key = f"k{rng.randrange(self.keys)}"
        level = rng.choice((0, 0, -3, -3, 1, 1, 2, -1, -2))
        if self.disks and rng.random() < 0.5:
            level = DURABLE - rng.choice((1, 1, 2))
        if not self.shape or rng.random() < 0.5:
            return Write("update", Path((key,)), pack(value), level)
        kind = rng.randrange(6)
        if kind == 0:
            return Write("push", Path((f"list{rng.randrange(4)}",)), pack(value), level)
        if kind == 1:
            return Write("remove", Path((key,)), pack(None), level)
        if kind == 2:
            return Write("update", Path((key,)), pack(value), level, expect=["absent"])
        if kind == 3:
            return Write("patch", Path((key,)), pack({"p": value, "q.r": 1}), level)
        if kind == 4:
            return Write("update", Path((key,)), pack(value), level, ttl_ms=500)
        return Write("update", Path((key, f"f{rng.randrange(3)}")), pack(value), level)

    def _nemesis(self) -> None:
        world, rng = self.world, self.rng
        if world.now >= self.duration:
            return
        names = list(world.hosts)
        servers = [n for n, h in world.hosts.items() if not h.client]
        fault = rng.choice([*self.faults, "heal"])
        if fault == "split" and len(servers) > 1:
            world.heal()
            k = rng.randint(1, len(servers) - 1)
            side = set(rng.sample(servers, k))
            side |= {n for n in names if n[0] == "x" and rng.random() < 0.5}
            world.split([n for n in names if n in side], [n for n in names if n not in side])
        elif fault in ("link", "oneway") and len(servers) > 1:
            a, b = rng.sample(servers, 2)
            world.cut(a, b)
            if fault == "link":
                world.cut(b, a)
        elif fault == "alone":
            a = rng.choice(names)
            world.heal()
            world.split([a], [n for n in names if n != a])
        elif fault == "heal":
            world.heal()
        elif fault == "slow":
            world.slowness = rng.choice((1.0, 10.0, 60.0))
        elif fault == "crash":
            host = world.hosts[rng.choice(names)]
            if host.up:
                host.crash()
                world.after(rng.random() * 3.0, self._restart, host)
        elif fault == "pause":
            world.hosts[rng.choice(names)].stop_for(rng.random() * rng.choice((0.5, 3.0, 8.0)))
        elif fault == "leave":
            host = world.hosts[rng.choice(servers)]
            host.leave()
            world.after(12.0, self._restart, host)
        world.after(rng.random() * 2.0 / self.pace, self._nemesis)

    def _restart(self, host: Host) -> None:
        if not host.up and self.world.now < self.duration:
            host.start()

    def __repr__(self) -> str:
        return (
            f"<Campaign seed={self.world.seed} servers={self.servers} clients={self.clients}"
            f" faults={self.faults} retain={self.retain} handled={self.handled}"
            f" history={self.history} skew={self.skew} shape={self.shape} disks={self.disks}"
            f" follow={self.follow} quorum={self.quorum} hostile={self.world.hostile}>"
        )
