"""The loads: every benchmark that `python -m benchmarks` can run, and how large at each size.

A new benchmark is a line in `LOADS`; its options come after its name, as on its own command.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any, NamedTuple

from benchmarks.command import show
from benchmarks.figures import table

SIZES = ("tiny", "quick", "full")
DRAWN = ("speed", "commit", "latency", "streams")  # what runs without names, and one plot shows
ALL = "all"


class Load(NamedTuple):
    """The options of a benchmark at each size, and the figures its table shows, if not all."""

    tiny: str
    quick: str
    full: str
    shown: tuple[str, ...] = ()
    original: bool = False  # whether the npm package can do the same


LOADS: dict[str, Load] = {
    "speed": Load(
        "-m 10,100 -r 300 --runs 1", "-m 10,100,1000 -r 100000 --runs 3",
        "-m 10,100,1000 -r 1000000 --runs 5",
        ("tacks", "yacks", "sacks", "sacks MB/s", "client MiB", "server MiB"), True,
    ),
    "commit": Load(
        "-r 300 -c 1,2 --runs 1", "-r 2000 --runs 3 --timeout 60",
        "-r 100000 --runs 5 --timeout 60",
        ("commits", "confirmed", "MB/s", "client MiB", "server MiB"), True,
    ),
    "latency": Load(
        "-r 50 --runs 1", "-r 3000 --runs 3", "-r 10000 --runs 5",
        ("ack p50", "ack p99", "reply p50", "reply p99", "bare p50", "reply / bare"), True,
    ),
    "streams": Load("-r 2000 --runs 1", "-r 50000 --runs 3", "-r 200000 --runs 5"),
    "passing": Load("-r 200 --runs 1", "-r 20000 --runs 3", "-r 100000 --runs 5"),
    "join": Load(
        "-r 1000 --runs 1", "-r 100000 --runs 3", "-r 1000000 --runs 3 --timeout 600",
        ("joined", "join s", "RSS B"), True,
    ),
    "growth": Load(
        "--axes keys,clients --keys 100 --clients 2 -r 40 --runs 1", "-r 5000 --runs 1",
        "--keys 1e3,1e4,1e5,1e6 --runs 3",
    ),
    "nodes": Load(
        "--process 1,2 --simulated 1,2 --ring 1,10 -r 20 --idle 0.1",
        "--process 1,2,5,10 --simulated 1,2,5,10,20", "",
    ),
    "starts": Load("--runs 1", "--runs 3", "--runs 9"),
    "where": Load("-r 200", "-r 5000", "-r 100000"),
    "counts": Load("-r 1000", "-r 10000", "-r 100000"),
    "beside": Load(
        "--only uvloop --runs 1 --scale 0.001", "--must --runs 3 --scale 0.05", "--runs 5",
    ),
    "journal": Load("--records 50 --runs 1", "--records 10000 --runs 3", ""),
    "sink": Load("--seconds 1 --rate 1000 --size 100", "--seconds 5", ""),
    "soak": Load("--minutes 0.05 --every 0.5 --rate 100", "--minutes 1", "--minutes 60"),
}  # fmt: skip


def about(name: str) -> str:
    """Say in a line what a load measures: the promise of its module."""
    first = (import_module(f"benchmarks.{name}").__doc__ or "").splitlines()[0]
    return first.partition(": ")[2].rstrip(".")


def listed() -> list[dict[str, str]]:
    """Give a row a load."""
    return [{"load": name, "what": about(name)} for name in LOADS]


def shown(name: str, document: Any) -> str:
    """Give the tables of a load's JSON document."""
    if isinstance(document, dict) and "results" in document:
        return show(document["results"], LOADS[name].shown)
    return rendered(document)


def rendered(document: Any) -> str:
    """Give rows as a table; of a dict its plain figures as one, and one for each list in it."""
    if isinstance(document, list):
        return table(document)
    plain = {n: v for n, v in document.items() if not isinstance(v, list | dict)}
    rows = [{"": n, **v} for n, v in document.items() if isinstance(v, dict)]
    lists = [f"{n}\n{table(v)}" for n, v in document.items() if v and isinstance(v, list)]
    return "\n\n".join([*[table(r) for r in ([plain] if plain else [], rows) if r], *lists])


def chosen(names: Sequence[str]) -> list[str]:
    """Give the loads that names stand for, each once, in the order given.

    Raises:
        ValueError: there is no load of a name; says which there are.
    """
    if unknown := [name for name in names if name not in LOADS and name != ALL]:
        raise ValueError(f"no load {unknown[0]!r}; there are {ALL}, {', '.join(LOADS)}")
    some = [each for name in names for each in (LOADS if name == ALL else [name])]
    return list(dict.fromkeys(some or DRAWN))
