"""The measuring: `rxfero bench`: what this machine does with rxfero, in some seconds.

Server processes of its own and a client here, on loopback. Messages are sent without awaiting and
answered by a handler; updates are sent without awaiting and counted when they come back as changes;
round trips are awaited one by one. Each is warmed up, then done `runs` times. `python -m
rxfero.commands.measuring` is the server: it ends with its standard input.

Who has the repository has more loads, in `benchmarks/`: those are run by `python -m benchmarks`.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter
from typing import Any, Final

from rxfero.cache import Cache
from rxfero.commands.output import Output, Row, note
from rxfero.commands.progress import Progress
from rxfero.errors import ConfigurationError, RequestTimeout
from rxfero.handler import Request
from rxfero.service import fero, run

COLUMNS: Final = ("what", "bytes", "servers", "median", "least", "most", "unit")
HOST: Final = "127.0.0.1"
KEYS: Final = 1000  # written in turn
TRIPS: Final = 2000  # round trips of a run
STEP_S: Final = 60.0  # longest a step may take

Step = Callable[[Cache, str, int], Awaitable[dict[str, tuple[str, float]]]]


def answer(request: Request) -> Any:
    """Answer a message; everything else as it is without a handler."""
    return "done" if request.type == "bench" else request.next()


async def server(others: list[str]) -> None:
    """Serve until the input ends."""
    async with fero("bench", answer, hosts=[HOST, *others]) as cache:
        me = cache.peers.me
        assert me is not False, "it is a server"
        sys.stdout.write(f"{me.address}\n")
        sys.stdout.flush()
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


@asynccontextmanager
async def served(count: int) -> AsyncGenerator[list[str], None]:
    """Run servers in processes of their own; gives their addresses."""
    processes: list[asyncio.subprocess.Process] = []
    addresses: list[str] = []
    pipe = asyncio.subprocess.PIPE
    try:
        for _ in range(count):
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", __name__, *addresses, stdin=pipe, stdout=pipe
            )
            processes.append(process)
            assert process.stdout is not None, "started with a pipe"
            line = await asyncio.wait_for(process.stdout.readline(), STEP_S)
            if not line:
                raise ConfigurationError("bench", None, "a server did not start; see above")
            addresses.append(line.decode().strip())
        yield addresses
    finally:
        for process in processes:
            assert process.stdin is not None, "started with a pipe"
            process.stdin.close()
        await asyncio.gather(*(_ended(process) for process in processes))


async def _ended(process: asyncio.subprocess.Process) -> None:
    try:
        await asyncio.wait_for(process.wait(), 10)
    except TimeoutError:
        process.kill()
        await process.wait()


class Goal:
    """Counts what comes, and tells when so many have come.

    Args:
        count: How many.
        what: What, for the error of :meth:`reached`.
    """

    def __init__(self, count: int, what: str) -> None:
        self.left, self._what = count, what
        self._at: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    def add(self, count: int) -> None:
        """So many have come."""
        self.left -= count
        if self.left <= 0 and not self._at.done():
            self._at.set_result(perf_counter())

    def one(self, _: object) -> None:
        """One has come."""
        self.add(1)

    async def reached(self) -> float:
        """Wait for the moment at which the last came; gives the clock then.

        Raises:
            RequestTimeout: it has not come in time.
        """
        try:
            return await asyncio.wait_for(self._at, STEP_S)
        except TimeoutError:
            raise RequestTimeout(f"{self._what} ({self.left:,} left)", STEP_S) from None

    def __repr__(self) -> str:
        return f"<Goal {self._what} left={self.left}>"


async def messages(cache: Cache, text: str, count: int) -> dict[str, tuple[str, float]]:
    """Send messages; how many a second were sent, received, and answered."""
    goals = {name: Goal(count, f"messages {name}") for name in ("sent", "received", "answered")}
    taken = [
        cache.on("tack", goals["sent"].add), cache.on("ack", goals["received"].add),
        cache.on("reply", goals["answered"].one),
    ]  # fmt: skip
    send, begun = cache.peers.send, perf_counter()
    for _ in range(count):
        send({"type": "bench", "value": text})
    found = {
        f"messages {name}": ("/s", count / (await goal.reached() - begun))
        for name, goal in goals.items()
    }
    for subscription in taken:
        subscription.dispose()
    return found


async def updates(cache: Cache, text: str, count: int) -> dict[str, tuple[str, float]]:
    """Update keys; how many a second were committed and seen here as changes."""
    goal = Goal(count, "updates seen as changes")
    taken = cache.on("change", goal.one)
    update, begun = cache.update, perf_counter()
    for number in range(count):
        update(f"key {number % KEYS}", text)
    seconds = await goal.reached() - begun
    taken.dispose()
    return {"updates seen as changes": ("/s", count / seconds)}


async def trips(cache: Cache, text: str, count: int) -> dict[str, tuple[str, float]]:
    """Ask, wait, ask again: microseconds to the answer."""
    took: list[float] = []
    for _ in range(min(count, TRIPS)):
        begun = perf_counter()
        await cache.peers.send({"type": "bench", "value": text})
        took.append((perf_counter() - begun) * 1e6)
    cuts = quantiles(took, n=100)
    return {"round trip, p50": ("us", cuts[49]), "round trip, p99": ("us", cuts[98])}


STEPS: Final[dict[str, Step]] = {"messages": messages, "updates": updates, "trips": trips}
REPOSITORY: Final = Path(__file__).parents[2]


def others() -> list[Row]:
    """Give the loads of the repository that this package is run from; none of an installed one."""
    if not (REPOSITORY / "benchmarks" / "loads.py").is_file():
        return []
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--list", "--json"], cwd=REPOSITORY,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return json.loads(done.stdout) if done.returncode == 0 else []


def listed(output: Output) -> int:
    """Print a row a load; gives the exit status."""
    own = [
        {"load": name, "what": (step.__doc__ or "").splitlines()[0]} for name, step in STEPS.items()
    ]
    columns = ("load", "what")
    output.show(output.select([*own, *others()], columns), columns)
    return 0


def beyond(names: Sequence[str]) -> list[str]:
    """Give those of the names that are loads of the repository.

    Raises:
        ConfigurationError: there is no load of a name, or they are mixed with this command's own.
    """
    wanted = [name for name in names if name not in STEPS]
    if not wanted:
        return []
    known = ["all", *(str(row["load"]) for row in others())]
    there = ", ".join([*STEPS, *known[len(known) == 1 :]])
    for name in wanted:
        if name not in known[len(known) == 1 :]:
            raise ConfigurationError("LOAD", name, f"must be of {there}")
    if len(wanted) < len(names):
        raise ConfigurationError("LOAD", wanted[0], f"is not run together with {', '.join(STEPS)}")
    return wanted


def repository(names: Sequence[str], size: str, output: Output) -> int:
    """Run loads of the repository; gives the exit status."""
    more = ["--json"] if output.json else []
    words = [sys.executable, "-m", "benchmarks", *names, "--loads", size, *more]
    return subprocess.run(words, cwd=REPOSITORY, check=False).returncode


async def bench(
    size: int, records: int, servers: int, runs: int, output: Output, names: Sequence[str] = ()
) -> int:
    """Measure, and print a row a figure; gives the exit status.

    Args:
        names: Which of `STEPS`; all without.

    Raises:
        ConfigurationError: an argument is out of range.
        RequestTimeout: something took longer than `STEP_S`.
    """
    steps = [step for name, step in STEPS.items() if not names or name in names]
    for name, value, least, most in (
        ("--bytes", size, 1, 500_000), ("--records", records, 100, 10_000_000),
        ("--servers", servers, 1, 9), ("--runs", runs, 1, 100),
    ):  # fmt: skip
        if not least <= value <= most:
            raise ConfigurationError(name, value, f"must be in {least}..{most}")
    text, total = "*" * size, runs * len(steps)
    figures: dict[str, tuple[str, list[float]]] = {}
    with Progress(f"measuring on {servers} servers", "steps") as progress:
        async with served(servers) as addresses:
            pending = {"requests": {"pending": 1 << 30}}
            async with fero("bench", client=True, hosts=addresses, constants=pending) as cache:
                await cache.connected(1)
                await cache.stable(servers)
                for step in steps:
                    await step(cache, text, min(records, 2000))  # to be warm
                for number in range(total):
                    progress.show(number, total)
                    for what, (unit, figure) in (
                        await steps[number % len(steps)](cache, text, records)
                    ).items():
                        figures.setdefault(what, (unit, []))[1].append(figure)
    rows: list[Row] = [
        {
            "what": what, "bytes": size, "servers": servers, "median": round(median(every), 1),
            "least": round(min(every), 1), "most": round(max(every), 1), "unit": unit,
        }
        for what, (unit, every) in figures.items()
    ]  # fmt: skip
    output.show(output.select(rows, COLUMNS), COLUMNS)
    note(f"{records:,} records a run, {runs} runs; a client and {servers} servers on loopback")
    return 0


if __name__ == "__main__":
    run(server(sys.argv[1:]))
