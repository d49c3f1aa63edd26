"""The commits: updates sent without awaiting, until the client has seen them all as changes.

`python -m benchmarks.commit -r 100000 -c 1,2,3 --copies 0,1`. Copies are the other servers that
hold a write before it is confirmed: 0 is `ack="commit"`, 1 is `replicated(1)`, which is also the
default where there are two servers or more; the original confirms without knowing, whatever is
asked. `commits` are seen as changes, `confirmed` are the answers, a second. Give `-r 5000` with
`--original`: its time grows with the square of the updates that its servers pass on to each other,
and some of its runs never end; those are counted.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from benchmarks.command import Case, Figures, Once, parser, perform
from benchmarks.figures import MIB, permutations, warmth, whole, wholes
from benchmarks.processes import Cast, results

WARM_MAX = 2_000


def once(keys: int, warm: int | None, *, bulk: bool = False) -> Once:
    """Give what runs a case once."""

    async def run(cast: Cast, case: Case) -> Figures:
        records = case["records"]
        params = {
            "load": "commit", "echo": False, "bytes": case["bytes"], "count": records,
            "keys": keys, "warm": min(records, WARM_MAX) if warm is None else warm,
            "ack": case["copies"], "bulk": bulk,
        }
        async with cast.playing(case["servers"], 1, params) as (servers, clients):
            (told,) = await results(clients)
            held = await results(servers)
        seconds = told["times"]["seen"]
        confirmed = told["times"].get("confirmed")  # the original has no answer to a write
        return {
            "commits": records / seconds,
            **({} if confirmed is None else {"confirmed": records / confirmed}),
            "MB/s": records * case["bytes"] / seconds / MIB,
            "client MiB": told["rss"] / MIB,
            "server MiB": max(one["rss"] for one in held) / MIB,
        }

    return run


def levels(text: str) -> list[int]:
    """Read whole numbers with commas between them, 0 too; an argparse type."""
    return [warmth(part) for part in text.split(",")]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; gives the exit status."""
    options = parser("commit", __doc__ or "")
    options.add_argument("-m", dest="sizes", type=wholes, default=[100], help="bytes of a value")
    options.add_argument("-r", dest="records", type=wholes, default=[100_000], help="updates")
    options.add_argument("-c", dest="servers", type=wholes, default=[1, 2, 3], help="servers")
    options.add_argument(
        "--copies", type=levels, default=[0, 1], help="servers more that hold a write, 0 too"
    )
    options.add_argument("-k", dest="keys", type=whole, default=1000, help="keys they go round")
    options.add_argument(
        "--bulk", action="store_true",
        help="update_many, and the changes as batches; the original has no such verbs",
    )
    given = options.parse_args(arguments)
    every = permutations(
        records=given.records, bytes=given.sizes, servers=given.servers, copies=given.copies
    )
    cases = [case for case in every if case["copies"] < case["servers"]]
    if not cases:
        options.error("--copies: there are as many copies more as servers, or more")
    shown = ["commits", "confirmed", "MB/s", "client MiB", "server MiB"]
    run = once(given.keys, given.warm, bulk=given.bulk)
    return perform(given, run, cases, ["commits"], shown)


if __name__ == "__main__":
    sys.exit(main())
