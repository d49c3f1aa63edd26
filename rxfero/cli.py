"""The command line: `rxfero`: what needs nothing else is here, the rest in `rxfero.commands`.

Exit status: 0 all well, 1 failed, 2 wrong usage, 3 no cluster, 4 no answer in time, 130
interrupted.
A closed pipe is all well: whoever reads has had enough.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from typing import Final

COMMANDS: Final = {  # and what each does, in a line
    "ls": "list every server of every service, live on a terminal",
    "get": "print the value of a key, or all keys and values",
    "set": "apply change records, as watch --json prints them",
    "update": "set the value of a key",
    "remove": "remove a key",
    "add": "add a value under a key, or under the next free number",
    "push": "append to a list",
    "watch": "print changes as they come",
    "send": "send a message to a service's handler, print the answers",
    "history": "print what is retained of a key's changes",
    "conflicts": "print the writes that lost when a split was merged",
    "owners": "print which server owns a key",
    "serve": "run a service of yours: module:factory",
    "bench": "measure what this machine does, in some seconds",
    "demo": "start a cluster, kill a server, check every promise",
    "completion": "print what makes a shell complete these: bash, zsh, fish or powershell",
    "help": "print this, or what a command takes",
}
SHELLS: Final = ("bash", "zsh", "fish", "powershell")
USAGE: Final = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; gives the exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    logging.getLogger("rxfero").addHandler(logging.NullHandler())  # commands say what matters
    try:
        status = _run(words)
        sys.stdout.flush()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nothing at exit either
        return 0
    return status


def overview() -> str:
    """Give the help of the whole."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {what}" for name, what in COMMANDS.items()]
    return "\n".join([
        "usage: rxfero COMMAND ...", "",
        "Stateful reactive services: a cluster of equal nodes.", "",
        *lines, "",
        "rxfero COMMAND --help says what it takes. All but demo need the extra: rxfero[cli].",
        "Exit status: 0 well, 1 failed, 2 usage, 3 no cluster, 4 no answer in time,",
        "130 interrupted.",
    ])  # fmt: skip


def _run(words: list[str]) -> int:
    if not words:
        print(overview(), file=sys.stderr)
        return USAGE
    if words[0] in ("help", "--help", "-h"):
        if words[0] != "help" or len(words) == 1:
            print(overview())
            return 0
        words = [words[1], "--help"]
    if words[0] == "--version":
        import rxfero  # noqa: PLC0415

        print(f"rxfero {rxfero.__version__}")
        return 0
    if words[0] == "demo":
        return _demo(words[1:])
    if words[0] not in COMMANDS:
        return _unknown(words[0])
    try:
        if words[0] == "completion":
            return _completion(words[1:])
        from rxfero.commands.app import execute  # noqa: PLC0415  (an extra, and slow to load)
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] not in ("cyclopts", "rich"):
            raise
        needs = "needs the extra: pip install 'rxfero[cli]'"
        print(f"rxfero: {words[0]} {needs}", file=sys.stderr)
        return 1
    return execute(words)


def _unknown(word: str) -> int:
    from rxfero.errors import nearest  # noqa: PLC0415

    print(f"rxfero: no command {word!r}; {nearest(word, COMMANDS)}", file=sys.stderr)
    print("usage: rxfero COMMAND ... (rxfero help)", file=sys.stderr)
    return USAGE


def _completion(words: list[str]) -> int:
    from cyclopts import App  # noqa: PLC0415

    from rxfero.commands.app import app  # noqa: PLC0415

    parser = argparse.ArgumentParser(
        prog="rxfero completion", description="Print the completion of a shell.",
        epilog='bash: eval "$(rxfero completion bash)" in .bashrc; others alike.',
    )  # fmt: skip
    parser.add_argument("shell", choices=SHELLS)
    try:
        given = parser.parse_args(words)
    except SystemExit as end:
        return int(end.code or 0)
    known = {*app}
    for name in COMMANDS:
        if name not in known:
            app.command(App(name=name, help=COMMANDS[name]))
    print(app.generate_completion(prog_name="rxfero", shell=given.shell))
    return 0


def _demo(words: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="rxfero demo", description="Start a cluster, kill a server, check every promise."
    )
    parser.add_argument("--servers", type=int, default=3, help="server processes (2..9, default 3)")
    parser.add_argument("--writes", type=int, default=3000, help="writes in all (default 3000)")
    parser.add_argument("--seed", type=int, default=1, help="of who writes what and who is killed")
    parser.add_argument("--json", action="store_true", help="print the summary as one JSON object")
    try:
        given = parser.parse_args(words)
        if not 2 <= given.servers <= 9:
            parser.error(f"--servers {given.servers}: must be in 2..9")
        if not 100 <= given.writes <= 1_000_000:
            parser.error(f"--writes {given.writes}: must be in 100..1000000")
    except SystemExit as end:
        return int(end.code or 0)
    from rxfero.demo import demonstrate  # noqa: PLC0415
    from rxfero.service import run  # noqa: PLC0415

    return run(demonstrate(given.servers, given.writes, given.seed, as_json=given.json))
