"""All of them: `python -m benchmarks` runs speed, commit, latency and streams, one after the other.

`--original` runs the npm package in turn; `--save FOLDER` writes a JSON document of each, and the
plot of them as SVG and PNG (matplotlib); `--loads quick` takes a minute, `--loads full` many.
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

from benchmarks.command import show, tell
from benchmarks.figures import table
from benchmarks.npm import VERSION
from benchmarks.plots import overview

LOADS: dict[str, dict[str, list[str]]] = {
    "tiny": {
        "speed": ["-m", "10,100", "-r", "300", "--runs", "1"],
        "commit": ["-r", "300", "-c", "1,2", "--runs", "1"],
        "latency": ["-r", "50", "--runs", "1"],
        "streams": ["-r", "2000", "--runs", "1"],
    },
    "quick": {
        "speed": ["-m", "10,100,1000", "-r", "100000", "--runs", "3"],
        "commit": ["-r", "2000", "--runs", "3", "--timeout", "60"],
        "latency": ["-r", "3000", "--runs", "3"],
        "streams": ["-r", "50000", "--runs", "3"],
    },
    "full": {
        "speed": ["-m", "10,100,1000", "-r", "1000000", "--runs", "5"],
        "commit": ["-r", "100000", "--runs", "5", "--timeout", "60"],
        "latency": ["-r", "10000", "--runs", "5"],
        "streams": ["-r", "200000", "--runs", "5"],
    },
}
SHOWN: dict[str, list[str]] = {
    "speed": ["tacks", "yacks", "sacks", "sacks MB/s", "client MiB", "server MiB"],
    "commit": ["commits", "MB/s", "client MiB", "server MiB"],
    "latency": ["ack p50", "ack p99", "reply p50", "reply p99", "bare p50", "reply / bare"],
}
BESIDE = SHOWN  # what the original can do


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


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; gives the exit status."""
    options = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    options.add_argument("--loads", choices=LOADS, default="quick")
    options.add_argument("--original", action="store_true", help=f"beside npm's fero {VERSION}")
    options.add_argument("--save", type=Path, help="a folder for JSON documents and the plot")
    options.add_argument("--json", action="store_true", help="one JSON document on stdout")
    given = options.parse_args(arguments)
    found: dict[str, Any] = {}
    for name, words in LOADS[given.loads].items():
        more = ["--original"] if given.original and name in BESIDE else []
        tell(f"--- {name} {' '.join([*words, *more])}")
        try:
            found[name] = measured(name, [*words, *more])
        except subprocess.CalledProcessError as error:
            tell(f"{name} failed: exit status {error.returncode}")
            return 1
        if not given.json:
            rows = found[name]
            shown = table(rows) if name == "streams" else show(rows["results"], SHOWN[name])
            print(shown, end="\n\n")
    words = ["python -m benchmarks", "--loads", given.loads]
    made = {"command": " ".join([*words, *["--original"] * given.original]), "machine": machine()}
    if given.json:
        print(json.dumps({**made, **found}))
    if given.save is not None:
        given.save.mkdir(parents=True, exist_ok=True)
        kept = json.dumps({**made, **found}, indent=1)
        (given.save / "benchmarks.json").write_text(kept + "\n", encoding="utf-8")
        overview(found, given.save / "benchmarks", f"{made['command']} on {made['machine']}")
        tell(f"saved in {given.save}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
