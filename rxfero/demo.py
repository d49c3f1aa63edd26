"""The demo: a real cluster that is written to, hit, healed and checked, in under half a minute.

Processes of its own: servers and clients of `users`, and two services fed by operator chains over
its changes. Everybody writes; in the middle one server is killed without warning and started again.
At the end every acknowledged write is looked for on every node.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import socket
import sys
import time
from dataclasses import asdict, dataclass, field
from typing import Any

LIMIT_S = 60.0  # the whole demo ends by then, whatever happens
STEP_S = 20.0  # longest one step may take
EQUAL_S = 5.0  # longest the nodes may take to become equal after the last write


@dataclass
class Summary:
    """What came of it. `ok` only if every promise held."""

    servers: int = 0
    acknowledged: int = 0
    lost: int = 0
    failed: int = 0
    disorder: int = 0
    keys: int = 0
    equal: bool = False
    pipelines: bool = False
    takeover_ms: float = 0.0
    killed: str = ""
    owned_before: dict[str, int] = field(default_factory=dict[str, int])
    owned_during: dict[str, int] = field(default_factory=dict[str, int])
    owned_after: dict[str, int] = field(default_factory=dict[str, int])
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether all held."""
        return (
            self.acknowledged > 0
            and self.lost == self.failed == self.disorder == 0
            and self.equal
            and self.pipelines
        )


class Process:
    """One node of the demo, in a process of its own."""

    def __init__(self, role: str, name: str, ports: tuple[int, int]) -> None:
        self.role, self.name, self._ports = role, name, ports
        self.acked: list[str] = []
        self.failed: list[str] = []
        self.alive = False
        self._answers: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._written = asyncio.Event()
        self._written.set()

    async def start(self) -> Process:
        """Start it and wait until it is of use."""
        self._answers = asyncio.Queue()  # nothing said by a process before this one counts
        spec = json.dumps({"role": self.role, "name": self.name, "ports": self._ports})
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "rxfero.demo_node", spec,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=1 << 24,
        )  # fmt: skip
        self._reading = asyncio.create_task(self._read())
        self.alive = True
        await self.answer("ready")
        return self

    async def _read(self) -> None:
        stdout = self._process.stdout
        assert stdout is not None, "started with a pipe"
        while line := await stdout.readline():
            said = json.loads(line)
            if said["event"] == "acked":
                self.acked += said["writes"]
            elif said["event"] == "written":
                self.failed += said["failed"]
                self._written.set()
            else:
                self._answers.put_nowait(said)
        self.alive = False
        self._written.set()
        self._answers.put_nowait({"event": "gone"})

    async def answer(self, event: str) -> dict[str, Any]:
        """Wait for one answer."""
        said = await asyncio.wait_for(self._answers.get(), STEP_S)
        if said["event"] != event:
            raise RuntimeError(f"{self.name} said {said} instead of {event}")
        return said

    def tell(self, **ask: Any) -> None:
        """Tell it to do something."""
        assert self._process.stdin is not None, "started with a pipe"
        self._process.stdin.write((json.dumps(ask) + "\n").encode())

    async def ask(self, event: str, **ask: Any) -> dict[str, Any]:
        """Tell it to do something and wait for the answer."""
        self.tell(do=event, **ask)
        return await self.answer(event)

    def write(self, first: int, count: int, pace: float) -> None:
        """Let it write; :meth:`written` waits for the end."""
        self._written.clear()
        self.tell(do="write", first=first, count=count, pace=pace)

    async def written(self) -> None:
        """Wait until it has written all, or died."""
        await asyncio.wait_for(self._written.wait(), STEP_S * 2)

    async def kill(self) -> None:
        """End it as a power cut would."""
        os.kill(self._process.pid, signal.SIGKILL)
        await self._process.wait()
        await self._reading

    async def stop(self) -> None:
        """End it in good order; by force if it takes too long."""
        if self._process.returncode is not None:
            return
        assert self._process.stdin is not None, "started with a pipe"
        self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), 5)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        await self._reading


class Stage:
    """Tells what happens: a line each, and on a terminal a last line that is redrawn."""

    def __init__(self, processes: list[Process]) -> None:
        self._processes = processes
        self._born = time.monotonic()
        self._live = sys.stderr.isatty()

    def say(self, text: str) -> None:
        """Tell one thing."""
        clear = "\r\x1b[K" if self._live else ""
        print(f"{clear}{time.monotonic() - self._born:6.2f} s  {text}", file=sys.stderr, flush=True)

    async def watch(self) -> None:
        """Show how far the writes are, until cancelled."""
        while True:
            await asyncio.sleep(0.1 if self._live else 1.0)
            counts = "  ".join(
                f"{p.name} {len(p.acked)}" + ("" if p.alive else " (down)")
                for p in self._processes
            )
            if self._live:
                sys.stderr.write(f"\r\x1b[K          acknowledged: {counts}")
                sys.stderr.flush()
            else:
                self.say(f"acknowledged: {counts}")


async def demonstrate(servers: int, writes: int, seed: int, *, as_json: bool) -> int:
    """Run the demo; gives the exit status: 0 only if everything held."""
    rng = random.Random(seed)
    ports = free_ports(servers + 2)
    cluster = [Process("server", f"server-{i + 1}", ports) for i in range(servers)]
    clients = [Process("client", f"client-{i + 1}", ports) for i in range(2)]
    services = [Process(role, role, ports) for role in ("notifications", "counts")]
    everybody = [*cluster, *clients, *services]
    stage = Stage([*cluster, *clients])
    summary = Summary(servers=servers)
    started = time.monotonic()
    watching = asyncio.create_task(stage.watch())
    try:
        async with asyncio.timeout(LIMIT_S):
            await _play(cluster, clients, services, rng, writes, summary, stage)
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        await asyncio.gather(*[p.stop() for p in everybody if hasattr(p, "_process")])
    summary.seconds = round(time.monotonic() - started, 2)
    if as_json:
        print(json.dumps({"ok": summary.ok, **asdict(summary)}))
    else:
        print(table(summary))
    return 0 if summary.ok else 1


async def _play(
    cluster: list[Process], clients: list[Process], services: list[Process], rng: random.Random,
    writes: int, summary: Summary, stage: Stage,
) -> None:
    stage.say(f"starting {len(cluster)} servers, {len(clients)} clients and two services")
    await cluster[0].start()
    await asyncio.gather(*[p.start() for p in [*cluster[1:], *clients, *services]])
    everybody = [*cluster, *clients, *services]
    stable = await _stable(cluster, len(cluster))
    summary.owned_before = stable
    stage.say(f"the ring is agreed on; shards owned: {_shares(stable)}")
    writers = [*cluster, *clients]
    share = writes // len(writers)
    for process in writers:
        process.write(0, share, 0.005 + rng.random() * 0.005)
    victim = rng.choice(cluster)
    while sum(len(p.acked) for p in writers) < writes * 0.4:  # noqa: ASYNC110  (told by pipes)
        await asyncio.sleep(0.005)
    summary.killed = victim.name
    stage.say(f"SIGKILL for {victim.name}, while everybody writes")
    killed = time.monotonic()
    await victim.kill()
    survivors = [p for p in cluster if p is not victim]
    summary.owned_during = await _stable(survivors, len(survivors))
    summary.takeover_ms = round((time.monotonic() - killed) * 1000, 1)
    stage.say(
        f"its shards are served again after {summary.takeover_ms:.0f} ms: "
        f"{_shares(summary.owned_during)}"
    )
    await victim.start()
    stage.say(f"{victim.name} is back, and has caught up")
    summary.owned_after = await _stable(cluster, len(cluster))
    stage.say(f"shards owned: {_shares(summary.owned_after)}")
    victim.write(share, share // 4, 0.002)
    await asyncio.gather(*[p.written() for p in writers])
    await _check(everybody, writers, services, summary, stage)


async def _check(
    everybody: list[Process], writers: list[Process], services: list[Process], summary: Summary,
    stage: Stage,
) -> None:
    acknowledged = [w for p in writers for w in p.acked]
    summary.acknowledged = len(acknowledged)
    summary.failed = sum(len(p.failed) for p in writers)
    for text in [f for p in writers for f in p.failed][:5]:
        stage.say(f"a write failed: {text}")
    stage.say(f"{len(acknowledged)} writes acknowledged; looking for each on every node")
    states: list[dict[str, Any]] = []
    until = time.monotonic() + EQUAL_S
    while True:
        states = [await p.ask("state") for p in everybody]
        equal = len({s["sha"] for s in states}) == 1
        if (equal and _fed(states, services, everybody)) or time.monotonic() > until:
            break
        await asyncio.sleep(0.05)
    missing: set[str] = set()
    for process in everybody:
        missing.update((await process.ask("holds", writes=acknowledged))["missing"])
    summary.lost = len(missing)
    summary.disorder = sum(s["disorder"] for s in states)
    summary.equal = len({(s["sha"], s["keys"]) for s in states}) == 1
    summary.keys = states[0]["keys"]
    summary.pipelines = _fed(states, services, everybody)


def _fed(states: list[dict[str, Any]], services: list[Process], everybody: list[Process]) -> bool:
    """Whether the services show exactly what their chains had to make of the changes."""
    by_name = {p.name: s for p, s in zip(everybody, states, strict=True)}
    welcomed, counted = (by_name[p.name] for p in services)
    added = sum(1 for key in welcomed["own"] if key)
    expected = welcomed["keys"] - sum(key.endswith("-latest") for key in _latest(everybody))
    totals = counted["own"]
    return added == expected and sum(totals.values()) == counted["seen"]


def _latest(everybody: list[Process]) -> list[str]:
    return [f"{p.name}-latest" for p in everybody if any("-latest=" in w for w in p.acked)]


async def _stable(servers: list[Process], count: int) -> dict[str, int]:
    answers = await asyncio.gather(*[p.ask("stable", servers=count) for p in servers])
    return answers[0]["shares"]


def _shares(shares: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(shares.items()))


def table(summary: Summary) -> str:
    """Give the summary as lines to read."""
    rows = [
        ("writes acknowledged", str(summary.acknowledged)),
        ("writes lost", str(summary.lost)),
        ("writes failed", str(summary.failed)),
        ("out of order", str(summary.disorder)),
        ("keys", str(summary.keys)),
        ("state equal on every node", "yes" if summary.equal else "NO"),
        ("services fed by operator chains", "complete" if summary.pipelines else "INCOMPLETE"),
        (f"takeover after SIGKILL of {summary.killed}", f"{summary.takeover_ms:.0f} ms"),
        ("shards owned before", _shares(summary.owned_before)),
        ("without it", _shares(summary.owned_during)),
        ("and after it came back", _shares(summary.owned_after)),
        ("seconds", f"{summary.seconds:.1f}"),
    ]
    width = max(len(name) for name, _ in rows)
    verdict = "ALL HELD" if summary.ok else "SOMETHING DID NOT HOLD"
    return "\n".join([*(f"{name:<{width}}  {value}" for name, value in rows), verdict])


def free_ports(count: int) -> tuple[int, int]:
    """Find a run of free ports on loopback."""
    for _ in range(50):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            first = probe.getsockname()[1]
        if first + count < 65_536 and all(_free(port) for port in range(first, first + count)):
            return first, first + count - 1
    raise RuntimeError(f"no {count} free ports in a row on 127.0.0.1")


def _free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
