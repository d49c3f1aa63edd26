"""``python -m tests.chaos --mode memory,disks,quorum --seconds 60 --seed 1``: see `storm`.

Prints the figures of each storm; the exit status is 0 only if nothing was lost, doubled or out of
order, and every wait came to an end.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence

from rxfero import run
from tests.chaos.hosts import INSIDE, enter
from tests.chaos.storm import MODES, Storm


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; gives the exit status."""
    options = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    options.add_argument("--mode", default=",".join(MODES), help="of " + ", ".join(MODES))
    options.add_argument("--seconds", type=float, default=60.0, help="of faults, for each mode")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--clients", type=int, default=2)
    options.add_argument(
        "--hosts", action="store_true", help="each server on a host of its own; links are cut, too"
    )
    options.add_argument("--json", action="store_true")
    given = options.parse_args(arguments)
    if given.hosts and not os.environ.get(INSIDE):
        return enter("tests.chaos", sys.argv[1:] if arguments is None else arguments)
    sound = True
    for mode in given.mode.split(","):
        storm = Storm(mode, given.seconds, given.seed, given.clients, hosts=given.hosts)
        try:
            figures = run(storm.run())
        except BaseException:
            print(f"{storm!r} ended early; its faults: {', '.join(storm.told)}", file=sys.stderr)
            raise
        sound = sound and not figures["lost"] + figures["doubled"] + figures["disordered"]
        if given.json:
            print(json.dumps(figures), flush=True)
        else:
            print("\n".join(f"{name:>40}  {value}" for name, value in figures.items()), flush=True)
    return 0 if sound else 1


if __name__ == "__main__":
    sys.exit(main())
