"""The speed: messages sent without awaiting, until sent, received and answered.

`python -m benchmarks.speed -m 10,100,1000 -r 1000000 -l 1 -c 1`. Lists give every permutation.
tacks: handed to the socket; yacks: received by a server; sacks: handled, the reply seen here.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from benchmarks.command import Case, Figures, Once, parser, perform
from benchmarks.figures import MIB, permutations, wholes
from benchmarks.processes import Cast, results

ACKS = ("tacks", "yacks", "sacks")
WARM_MAX = 20_000


def once(prepared: bool, warm: int | None, *, bulk: bool = False) -> Once:
    """Give what runs a case once."""

    async def run(cast: Cast, case: Case) -> Figures:
        share = max(1, case["records"] // case["clients"])
        records, size = share * case["clients"], case["bytes"]
        params = {
            "load": "speed", "echo": True, "bytes": size, "count": share, "prepared": prepared,
            "bulk": bulk,
            "warm": min(share, WARM_MAX) if warm is None else warm,
        }
        async with cast.playing(case["servers"], case["clients"], params) as (servers, clients):
            told = await results(clients)
            held = await results(servers)
        figures: Figures = {}
        for ack in ACKS:
            seconds = max(one["times"][ack] for one in told)
            figures[ack] = records / seconds
            figures[f"{ack} MB/s"] = records * size / seconds / MIB
        figures["client MiB"] = max(one["rss"] for one in told) / MIB
        figures["server MiB"] = max(one["rss"] for one in held) / MIB
        return figures

    return run


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; gives the exit status."""
    options = parser("speed", __doc__ or "")
    options.add_argument("-m", dest="sizes", type=wholes, default=[10, 100, 1000], help="bytes")
    options.add_argument("-r", dest="records", type=wholes, default=[1_000_000], help="records")
    options.add_argument("-l", dest="clients", type=wholes, default=[1], help="clients")
    options.add_argument("-c", dest="servers", type=wholes, default=[1], help="servers")
    options.add_argument(
        "--serialise", action="store_true",
        help="let the original serialise while the clock runs, as rxfero always does; its own "
        "benchmark, and this one without the option, hands it messages serialised before",
    )
    options.add_argument(
        "--bulk", action="store_true",
        help="send_many, and the replies as batches; the original has no such verbs",
    )
    given = options.parse_args(arguments)
    cases = permutations(
        records=given.records, bytes=given.sizes, clients=given.clients, servers=given.servers
    )
    shown = [*ACKS, *[f"{ack} MB/s" for ack in ACKS], "client MiB", "server MiB"]
    run = once(not given.serialise, given.warm, bulk=given.bulk)
    return perform(given, run, cases, ACKS, shown)


if __name__ == "__main__":
    sys.exit(main())
