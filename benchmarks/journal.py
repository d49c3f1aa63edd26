"""The journal: batches of records made safe on a disk, by appended files and by SQLite.

`python -m benchmarks.journal --records 50000 --batch 64 --dir .` writes the same packed entries
both ways, each batch safe before the next is begun, and prints records a second and the ratio.
SQLite runs with a write-ahead log and `synchronous=FULL`: an fsync a transaction, as the files do.
Both write on a thread of their own, as a node has to: its loop may not wait for a disk.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rxfero.core import columns
from rxfero.core.change import DATA, Record
from rxfero.core.journal import RECORDS
from rxfero.core.position import ZERO_TERM, Term
from rxfero.core.value import pack, pack_body
from rxfero.disk import Disk


def batches(records: int, batch: int, size: int) -> list[bytes]:
    """Give packed entries of so many records each."""
    term, value = Term(1, 1), pack("x" * size)
    made: list[bytes] = []
    for first in range(1, records + 1, batch):
        part = [
            Record(term, n, DATA, "session", n, f"key{n % 1000}", "update", value, n, None, 0)
            for n in range(first, min(first + batch, records + 1))
        ]
        made.append(pack_body(columns.write(ZERO_TERM, [0], part)))
    return made


def by_files(path: Path, entries: list[bytes]) -> float:
    """Give the seconds that the node's own journal takes."""
    safe = threading.Semaphore(0)
    disk = Disk(path, {}, "group", lambda *_: safe.release())
    disk.open(strict=True)
    begun = time.perf_counter()
    for entry in entries:
        disk.write([(RECORDS, entry)])
        safe.acquire()
    seconds = time.perf_counter() - begun
    disk.close()
    return seconds


def by_sqlite(path: Path, entries: list[bytes]) -> float:
    """Give the seconds that SQLite takes."""
    path.mkdir()
    database = sqlite3.connect(
        path / "journal.db", isolation_level=None, check_same_thread=False
    )
    database.execute("pragma journal_mode=wal")
    database.execute("pragma synchronous=full")
    database.execute("create table entries (n integer primary key, kind integer, body blob)")

    def write(entry: bytes) -> None:
        database.execute("begin")
        database.execute("insert into entries (kind, body) values (?, ?)", (RECORDS, entry))
        database.execute("commit")

    with ThreadPoolExecutor(1) as writer:
        begun = time.perf_counter()
        for entry in entries:
            writer.submit(write, entry).result()
        seconds = time.perf_counter() - begun
    database.close()
    return seconds


WAYS: dict[str, Callable[[Path, list[bytes]], float]] = {"files": by_files, "sqlite": by_sqlite}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; gives the exit status."""
    options = argparse.ArgumentParser(prog="python -m benchmarks.journal", description=__doc__)
    options.add_argument("--records", type=int, default=50_000)
    options.add_argument("--batch", type=int, default=64, help="records made safe at a time")
    options.add_argument("--bytes", type=int, default=100, help="of a value")
    options.add_argument("--runs", type=int, default=5)
    options.add_argument("--dir", type=Path, default=None, help="on the disk to be measured")
    options.add_argument("--json", action="store_true")
    given = options.parse_args(arguments)
    entries = batches(given.records, given.batch, given.bytes)
    rates: dict[str, list[float]] = {name: [] for name in WAYS}
    with tempfile.TemporaryDirectory(dir=given.dir) as place:
        for run in range(given.runs):
            for name, way in WAYS.items():
                seconds = way(Path(place) / f"{name}{run}", entries)
                rates[name].append(given.records / seconds)
    ratios = [f / s for f, s in zip(rates["files"], rates["sqlite"], strict=True)]
    figures = {
        **{name: round(statistics.median(found)) for name, found in rates.items()},
        "files / sqlite": round(statistics.median(ratios), 3),
    }
    if given.json:
        print(json.dumps(figures))
    else:
        print(f"{given.records:,} records of {given.bytes} bytes, {given.batch} at a time,"
              f" median of {given.runs} runs")
        for name, figure in figures.items():
            print(f"{name:>16}  {figure:,}" + ("" if "/" in name else " records/s"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
