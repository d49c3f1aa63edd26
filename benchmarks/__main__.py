"""All of them, one after the other: `python -m benchmarks speed growth`, or `all`.

Without names speed, commit, latency and streams. `--list` says what there is; `--loads quick` takes
a minute of these four, `--loads full` many; `--original` runs the npm package in turn, where it can
do the same; `--save FOLDER` writes a JSON document of all, and plots as SVG and PNG (matplotlib).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.command import tell
from benchmarks.figures import table
from benchmarks.loads import DRAWN, LOADS, SIZES, chosen, listed, shown
from benchmarks.npm import VERSION
from benchmarks.plots import curves, overview


def measured(name: str, words: Sequence[str]) -> Any:
    """Run one in a process of its own; gives its document.

    Raises:
        subprocess.CalledProcessError: it failed; why is on standard error.
    """
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", *words, "--json"],
        stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    return json.loads(done.stdout)


def machine() -> str:
    """Say what it ran on."""
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"{python}, {platform.system()} {platform.machine()}, {os.cpu_count()} cores"


def parser() -> argparse.ArgumentParser:
    """Give the options."""
    options = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    options.add_argument("names", nargs="*", metavar="LOAD", help="what to run; all: everything")
    options.add_argument("--list", action="store_true", help="say which loads there are")
    options.add_argument("--loads", choices=SIZES, default="quick", help="how large they are")
    options.add_argument("--original", action="store_true", help=f"beside npm's fero {VERSION}")
    options.add_argument("--save", type=Path, help="a folder for JSON documents and the plots")
    options.add_argument("--json", action="store_true", help="one JSON document on stdout")
    return options


def save(found: dict[str, Any], folder: Path, made: dict[str, str]) -> None:
    """Write the document and what plots there are of it."""
    folder.mkdir(parents=True, exist_ok=True)
    kept = json.dumps({**made, **found}, indent=1)
    (folder / "benchmarks.json").write_text(kept + "\n", encoding="utf-8")
    caption = f"{made['command']} on {made['machine']}"
    if found.keys() >= set(DRAWN):
        overview(found, folder / "benchmarks", caption)
    if "growth" in found:
        curves(found["growth"], folder / "growth", caption)
    tell(f"saved in {folder}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; gives the exit status: 1 when one of the loads failed."""
    options = parser()
    given = options.parse_args(arguments)
    if given.list:
        print(json.dumps(listed()) if given.json else table(listed()))
        return 0
    try:
        names = chosen(given.names)
    except ValueError as error:
        options.error(str(error))
    found: dict[str, Any] = {}
    for at, name in enumerate(names, 1):
        load = LOADS[name]
        words = str(getattr(load, given.loads)).split()
        words += ["--original"] if given.original and load.original else []
        tell(f"--- {at}/{len(names)} {name} {' '.join(words)}")
        try:
            found[name] = measured(name, words)
        except subprocess.CalledProcessError as error:
            tell(f"{name} failed: exit status {error.returncode}")
            continue
        if not given.json:
            print(f"{name}\n{shown(name, found[name])}", end="\n\n", flush=True)
    said = ["python -m benchmarks", *given.names, "--loads", given.loads]
    made = {"command": " ".join([*said, *["--original"] * given.original]), "machine": machine()}
    if given.json:
        print(json.dumps({**made, **found}))
    if given.save is not None:
        save(found, given.save, made)
    return 0 if len(found) == len(names) else 1


if __name__ == "__main__":
    sys.exit(main())
