"""The command line: `rxfero demo` runs a cluster that shows and checks itself.

Exit status: 0 all well, 1 something did not hold, 2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; gives the exit status."""
    import rxfero  # noqa: PLC0415

    parser = argparse.ArgumentParser(
        prog="rxfero", description="Stateful reactive services: a cluster of equal nodes."
    )
    parser.add_argument("--version", action="version", version=f"rxfero {rxfero.__version__}")
    commands = parser.add_subparsers(dest="command", metavar="command")
    demo = commands.add_parser("demo", help="start a cluster, kill a server, check every promise")
    demo.add_argument("--servers", type=int, default=3, help="server processes (2..9, default 3)")
    demo.add_argument("--writes", type=int, default=3000, help="writes in all (default 3000)")
    demo.add_argument("--seed", type=int, default=1, help="of who writes what and who is killed")
    demo.add_argument("--json", action="store_true", help="print the summary as one JSON object")
    given = parser.parse_args(argv)
    if given.command is None:
        parser.print_help()
        return 2
    if not 2 <= given.servers <= 9:
        parser.error(f"--servers {given.servers}: must be in 2..9")
    if not 100 <= given.writes <= 1_000_000:
        parser.error(f"--writes {given.writes}: must be in 100..1000000")
    from rxfero.demo import demonstrate  # noqa: PLC0415
    from rxfero.service import run  # noqa: PLC0415

    try:
        return run(demonstrate(given.servers, given.writes, given.seed, as_json=given.json))
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        return 1
