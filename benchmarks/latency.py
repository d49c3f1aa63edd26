"""The latency: one message at a time, until it is received (ack) or answered (reply).

`python -m benchmarks.latency -m 10 -r 10000`. Microseconds. rxfero's two processes also talk over a
bare TCP echo of as many bytes, a block of echoes and a block of messages in turn: what the echo
takes is the floor, and rxfero's medians are shown as a multiple of it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from benchmarks.command import Case, Figures, Once, parser, perform
from benchmarks.figures import PERCENTILES, permutations, spread, wholes
from benchmarks.processes import Cast, results

STAGES = ("ack", "reply")
WARM_MAX = 1_000
SPREAD = ("mean", *[f"p{percent:g}" for percent in PERCENTILES])


def once(warm: int | None) -> Once:
    """Give what runs a case once."""

    async def run(cast: Cast, case: Case) -> Figures:
        size, count = case["bytes"], case["records"]
        first = min(count, WARM_MAX) if warm is None else warm
        figures: Figures = {}
        floor: list[float] = []
        for stage in STAGES:
            params = {
                "load": "latency", "echo": True, "stage": stage, "bytes": size, "count": count,
                "warm": first,
            }
            async with cast.playing(1, 1, params) as (_, clients):
                (told,) = await results(clients)
            found = spread(told["times"]["seconds"])
            figures |= {f"{stage} {name}": value for name, value in found.items()}
            if bare := told["times"].get("bare"):
                figures[f"{stage} / bare"] = found["p50"] / spread(bare)["p50"]
                floor += bare
        if floor:
            figures |= {f"bare {name}": value for name, value in spread(floor).items()}
        return figures

    return run


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; gives the exit status."""
    options = parser("latency", __doc__ or "")
    options.add_argument("-m", dest="sizes", type=wholes, default=[10], help="bytes")
    options.add_argument("-r", dest="records", type=wholes, default=[10_000], help="messages")
    given = options.parse_args(arguments)
    cases = permutations(records=given.records, bytes=given.sizes)
    rates = [f"{stage} {name}" for stage in STAGES for name in ("mean", "p50")]
    shown = [f"{stage} {name}" for stage in (*STAGES, "bare") for name in SPREAD]
    shown += [f"{stage} / bare" for stage in STAGES]
    return perform(given, once(given.warm), cases, rates, shown, upright=True)


if __name__ == "__main__":
    sys.exit(main())
