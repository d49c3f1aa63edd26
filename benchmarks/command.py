"""The command: what the three benchmarks have in common, from options to tables."""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Any

from benchmarks.figures import medians, ratios, table, warmth, whole
from benchmarks.npm import VERSION, Unavailable, install
from benchmarks.processes import Cast, WorkerFailed

Figures = dict[str, float]
Case = dict[str, int]
Once = Callable[[Cast, Case], Awaitable[Figures]]
ATTEMPTS = 3
ORIGINAL_S_MAX = 60


def parser(module: str, about: str) -> argparse.ArgumentParser:
    """Give a parser with the options that every benchmark has."""
    made = argparse.ArgumentParser(prog=f"python -m benchmarks.{module}", description=about)
    made.add_argument("--runs", type=whole, default=5, help="runs of each; medians are shown")
    made.add_argument("--warm", type=warmth, help="requests before the clock starts")
    made.add_argument("--json", action="store_true", help="one JSON document on stdout")
    made.add_argument(
        "--original", action="store_true",
        help=f"run the npm package fero {VERSION} in turn with rxfero (needs node and npm)",
    )
    made.add_argument("--timeout", type=whole, default=120, help="seconds a worker may be silent")
    return made


def tell(text: str) -> None:
    """Narrate, on stderr."""
    print(text, file=sys.stderr, flush=True)


def say_case(case: Case) -> str:
    """Name a case: its axes and values."""
    return ", ".join(f"{value:,} {name}" for name, value in case.items())


async def attempt(once: Once, cast: Cast, case: Case, failed: dict[str, int]) -> Figures:
    """Run a case once; the original's runs that never end are counted and run again.

    Raises:
        WorkerFailed: rxfero failed, or the original did several times in a row.
    """
    for at in range(ATTEMPTS):
        try:
            return await once(cast, case)
        except WorkerFailed as error:
            if cast.modules is None or at == ATTEMPTS - 1:
                raise
            failed[cast.name] = failed.get(cast.name, 0) + 1
            tell(f"  {cast.name} failed ({error}), once more")
    raise AssertionError("the last attempt returns or raises")


async def compare(
    once: Once, cases: Sequence[Case], casts: Sequence[Cast], runs: int, rates: Sequence[str]
) -> AsyncGenerator[dict[str, Any], None]:
    """Run every case so often, the implementations in turn; give runs, medians and ratios.

    Raises:
        WorkerFailed: rxfero failed; the cases before have been given.
    """
    for case in cases:
        tell(say_case(case))
        taken: dict[str, list[Figures]] = {cast.name: [] for cast in casts}
        failed: dict[str, int] = {}
        playing = list(casts)
        for run in range(runs):
            for cast in list(playing):
                try:
                    figures = await attempt(once, cast, case, failed)
                except WorkerFailed as error:
                    if cast.modules is None:
                        raise
                    tell(f"  {cast.name} is left out of this case: {error}")
                    playing.remove(cast)
                    continue
                taken[cast.name].append(figures)
                told = ", ".join(f"{name} {figures[name]:,.0f}" for name in rates)
                tell(f"  {cast.name} {run + 1}/{runs}: {told}")
        result: dict[str, Any] = {
            "case": case,
            "runs": taken,
            "failed": failed,
            "medians": {name: medians(each) for name, each in taken.items() if each},
        }
        if taken.get("original"):
            count = len(taken["original"])
            pairs = ratios(taken["rxfero"][:count], taken["original"], rates)
            result["ratios"] = pairs
            result["ratio"] = medians(pairs)
        yield result


def show(found: Sequence[dict[str, Any]], shown: Sequence[str], upright: bool = False) -> str:
    """Give the tables: medians, and the ratios to the original where it was run.

    Args:
        upright: A table a case with a line a figure, not a line an implementation.
    """
    if upright:
        blocks = [
            say_case(result["case"]) + "\n" + table([
                {"median": name, **{who: each.get(name) for who, each in result["medians"].items()}}
                for name in shown
            ])
            for result in found
        ]
    else:
        blocks = [table([
            {"who": who, **result["case"], **{name: figures.get(name) for name in shown}}
            for result in found
            for who, figures in result["medians"].items()
        ])]
    compared = [result for result in found if "ratio" in result]
    if compared:
        pairs = [
            {
                "rxfero / original": "median" if pair is result["ratio"] else f"pair {at}",
                **result["case"],
                **{name: float(value) for name, value in pair.items()},
            }
            for result in compared
            for at, pair in enumerate([*result["ratios"], result["ratio"]], 1)
        ]
        blocks.append(table(pairs))
    blocks += [
        f"{who}: {count} runs failed at {say_case(result['case'])}"
        for result in found
        for who, count in result["failed"].items()
    ]
    return "\n\n".join(blocks)


async def casts_of(options: argparse.Namespace) -> list[Cast]:
    """Give the implementations to run; without the original when it cannot be had."""
    casts = [Cast(timeout_s=options.timeout)]
    if options.original:
        try:
            casts.append(Cast(await install(), min(options.timeout, ORIGINAL_S_MAX)))
        except Unavailable as reason:
            tell(f"the original is skipped: {reason}")
    return casts


def perform(
    options: argparse.Namespace, once: Once, cases: Sequence[Case], rates: Sequence[str],
    shown: Sequence[str], *, upright: bool = False,
) -> int:
    """Run a benchmark and print it; gives the exit status.

    What was found before a failure or Ctrl-C is printed too.
    """

    found: list[dict[str, Any]] = []
    status = 0

    async def main() -> None:
        casts = await casts_of(options)
        async with aclosing(compare(once, cases, casts, options.runs, rates)) as compared:
            async for result in compared:
                found.append(result)  # noqa: PERF401  (one by one: a failure keeps them)

    try:
        asyncio.run(main())
    except WorkerFailed as error:
        tell(f"error: {error}")
        status = 1
    except KeyboardInterrupt:
        tell("stopped")
        status = 130
    if options.json:
        machine = {
            "python": platform.python_version(), "system": platform.system(),
            "machine": platform.machine(),
        }
        print(json.dumps({"machine": machine, "results": found}, indent=2))
    elif found:
        print(show(found, shown, upright))
    return status
