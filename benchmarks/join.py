"""The join: what a record costs in a server's memory, and how fast a new server gets them all.

`python -m benchmarks.join -r 1000000 -m 100`. Records a second count from the start of the new
server's node (its connecting, its synchronising) until it holds every record; the memory is what
the first server's process grew by, an unused one's after a collection of garbage.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from benchmarks.command import Case, Figures, parser, perform
from benchmarks.figures import permutations, wholes
from benchmarks.processes import Cast


async def once(cast: Cast, case: Case) -> Figures:
    """Run a case once."""
    holders = Cast(cast.modules, cast.timeout_s, ("benchmarks.holder",), holder=True)
    params = {"count": case["records"], "bytes": case["bytes"]}
    async with holders.playing(2, 0, params) as ((first, second), _):
        grown, seconds = first.ready["grown"], second.ready["seconds"]
    records = case["records"]
    return {"joined": records / seconds, "join s": seconds, "RSS B": grown / records}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; gives the exit status."""
    options = parser("join", __doc__ or "")
    options.add_argument("-m", dest="sizes", type=wholes, default=[100], help="bytes of a value")
    options.add_argument("-r", dest="records", type=wholes, default=[100_000], help="records")
    given = options.parse_args(arguments)
    cases = permutations(records=given.records, bytes=given.sizes)
    return perform(given, once, cases, ["joined", "RSS B"], ["joined", "join s", "RSS B"])


if __name__ == "__main__":
    sys.exit(main())
