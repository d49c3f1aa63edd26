"""The disk: a node's journal in files, written and fsynced by one thread, many batches at a time.

A directory holds numbered segments. A segment is a magic word and frames of
``u32 length | u32 crc32 | u8 kind | body``; its first frame says whose it is. Before each write
goes a MARK that says how much of the segment had been fsynced by then. So a bad frame is told: at
the end, not yet fsynced, it is the rest of a write that a crash tore, and is cut off; where a later
MARK says that it had been safe, the disk has lost what it promised (R14).

When a segment has grown to several times what a whole image of the node takes, the node begins a
new one (:mod:`rxfero.core.journal`) and the older are deleted once it is whole and fsynced.

Measured on Linux with 100-byte records in batches of 64, each fsynced (benchmarks/journal.py): see
docs/decisions/007-disk.md, also for why this is no database.
"""

from __future__ import annotations

import contextlib
import os
import struct
import threading
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

from rxfero.core.journal import BEGIN, WHOLE, Entry
from rxfero.core.value import pack_body, unpack_body
from rxfero.errors import ConfigurationError, StorageDamaged

MAGIC = b"rxfero\x00\x01"
FRAME = struct.Struct(">IIB")
NUMBER = struct.Struct(">Q")
HEADER, MARK = 16, 17  # kinds of frames of the disk itself
ROLL_BYTES = 8 << 20  # a smaller segment is never begun anew
ROLL_TIMES = 3  # nor one that is less than so many times what it began with
FRAME_MAX = 1 << 31

Fsync = Literal["group", "never"] | float


class Found(NamedTuple):
    """What was on a disk."""

    entries: list[Entry]
    whole: bool  # whether nothing came before the first entry
    damage: str | None  # what could not be read, if it had been safe once


class Disk:
    """The segments of one node.

    Args:
        path: The directory; made if it is not there. One process at a time holds it.
        owner: Whose it is, as plain values; kept, and compared when it is opened again.
        fsync: "group" (each batch of writes, as many at a time as have come), seconds between
            fsyncs, or "never" (the operating system's choice: nothing counts as durable).
        done: Called on the writer's thread with the number of batches written and whether they
            are safe, or with the error that ended the segment.
    """

    def __init__(
        self, path: str | os.PathLike[str], owner: dict[str, Any], fsync: Fsync,
        done: Callable[[int, bool, OSError | None], None],
    ) -> None:
        self.path, self.owner, self._fsync, self._done = Path(path), owner, fsync, done
        self.size = 0  # bytes in the segment that is written
        self.began_with = 0  # and how many when it was whole
        self.broken = False
        self._number = 0
        self._synced = 0
        self._file = -1
        self._lock = -1
        self._queue: deque[list[Entry]] = deque()
        self._wake = threading.Condition()
        self._ended = False
        self._thread: threading.Thread | None = None

    # --- opening

    @staticmethod
    def owner_of(path: str | os.PathLike[str]) -> dict[str, Any] | None:
        """Give whose a directory is; None when it is nobody's yet."""
        for segment in reversed(_segments(Path(path))):
            with segment.open("rb") as file:
                for kind, body, _ in _frames(file.read(1 << 16)):
                    if kind == HEADER:
                        return unpack_body(body)
                    break
        return None

    def open(self, *, strict: bool) -> Found:
        """Take the directory, and read what it holds.

        Args:
            strict: Whether a disk that lost what had been safe is refused.

        Raises:
            ConfigurationError: it is in use, or belongs to another node.
            StorageDamaged: it is damaged, and `strict`. It was left as it is.
            OSError: it cannot be read or made.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        self._take_lock()
        try:
            found = self._read(strict=strict)
        except BaseException:
            self._release()
            raise
        self._begin_thread()
        return found

    def _begin_thread(self) -> None:
        self._thread = threading.Thread(target=self._write_all, name="rxfero-disk", daemon=True)
        self._thread.start()

    def _take_lock(self) -> None:
        self._lock = os.open(self.path / "LOCK", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            _lock(self._lock)
        except OSError as error:
            os.close(self._lock)
            self._lock = -1
            hint = "is in use by another process: each node needs a directory of its own"
            raise ConfigurationError("storage", str(self.path), hint) from error

    def _release(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _read(self, *, strict: bool) -> Found:
        segments = _segments(self.path)
        if not segments:
            self._begin(1)
            self._append([(WHOLE, b"")])
            self._sync()
            self.began_with = self.size
            return Found([], True, None)
        parts = [_Segment(path) for path in segments]
        first = max((i for i, part in enumerate(parts) if part.whole), default=0)
        entries: list[Entry] = []
        damage: str | None = None
        last = first
        for i, part in enumerate(parts[first:], first):
            self._check_owner(part)
            entries += part.entries
            last = i
            if part.damage is not None:
                damage = f"{part.path}: {part.damage}"
            if part.end < part.size:
                break  # what comes after it hangs in the air
        fresh = parts[first].number == 1
        if damage is not None and strict:
            raise StorageDamaged(damage)
        for part in parts[last + 1 :]:
            part.path.rename(part.path.with_suffix(".unused"))
        part = parts[last]
        if damage is not None:
            kept = part.path.with_suffix(".damaged")
            kept.write_bytes(part.path.read_bytes())
        self._number = part.number
        self._file = os.open(part.path, os.O_RDWR)
        os.ftruncate(self._file, part.end)
        os.lseek(self._file, part.end, os.SEEK_SET)
        os.fsync(self._file)
        self.size = self._synced = part.end
        self.began_with = part.whole_at or part.end
        for old in parts[:first]:
            old.path.unlink()
        return Found(entries, fresh or not parts[first].whole, damage)

    def _check_owner(self, part: _Segment) -> None:
        for name, value in self.owner.items():
            there = part.owner.get(name)
            if there != value:
                hint = f"belongs to a node whose {name} is {there!r}, not {value!r}"
                raise ConfigurationError("storage", str(self.path), hint)

    # --- writing: from the loop

    def write(self, entries: list[Entry]) -> None:
        """Hand over a batch; `done` tells when it is written."""
        with self._wake:
            self._queue.append(entries)
            self._wake.notify()

    def mend(self) -> None:
        """Take batches again after a fault; the first has to be a new beginning."""
        with self._wake:
            self._queue.clear()
            self.broken = False

    @property
    def large(self) -> bool:
        """Whether a new beginning would make it much smaller."""
        return self.size > max(ROLL_BYTES, ROLL_TIMES * self.began_with)

    def close(self) -> None:
        """Write what was handed over, end the thread, give the directory back. Idempotent."""
        with self._wake:
            self._ended = True
            self._wake.notify()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self._release()

    # --- writing: the thread

    def _write_all(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._queue or self._ended)
                batches = list(self._queue)
                self._queue.clear()
            if not batches:
                if self._file >= 0 and self._fsync != "never":
                    with contextlib.suppress(OSError):
                        self._seal()
                return
            if not self.broken:
                self._write(batches)

    def _write(self, batches: list[list[Entry]]) -> None:
        try:
            whole = self._put(batches)
            safe = self._fsync != "never"
            if safe:
                self._sync()
            if whole:
                self._forget()
        except OSError as error:
            self.broken = True
            os.close(self._file)
            self._file = -1
            self._done(0, False, error)
            return
        self._done(len(batches), safe, None)
        if isinstance(self._fsync, float):
            with self._wake:
                self._wake.wait_for(lambda: self._ended, self._fsync)

    def _put(self, batches: list[list[Entry]]) -> bool:
        """Write batches, in a new segment from each BEGIN on; give whether one became whole."""
        whole = False
        part: list[Entry] = []
        for batch in batches:
            for entry in batch:
                if entry[0] == BEGIN:
                    if part:
                        self._append(part)
                        part = []
                    if self._file >= 0 and self._fsync != "never":
                        self._seal()
                    self._begin(self._number + 1)
                    continue
                part.append(entry)
                if entry[0] == WHOLE:
                    self._append(part)
                    part, whole, self.began_with = [], True, self.size
        if part:
            self._append(part)
        return whole

    def _begin(self, number: int) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
        path = self.path / f"{number:08}.journal"
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        self._number, self._synced = number, 0
        header = pack_body({**self.owner, "format": 1})
        data = MAGIC + _frame(HEADER, header)
        _write_whole(self._file, data)
        self.size = len(data)
        _sync_directory(self.path)

    def _append(self, entries: list[Entry]) -> None:
        data = [_frame(MARK, NUMBER.pack(self._synced))]
        data += [_frame(kind, body) for kind, body in entries]
        joined = b"".join(data)
        _write_whole(self._file, joined)
        self.size += len(joined)

    def _seal(self) -> None:
        """Fsync, and say so in the segment itself."""
        self._sync()
        self._append([])
        self._sync()

    def _sync(self) -> None:
        os.fsync(self._file)
        self._synced = self.size

    def _forget(self) -> None:
        """Delete the segments before the one that has just become whole."""
        if self._fsync == "never":
            os.fsync(self._file)
        for segment in _segments(self.path):
            if int(segment.stem) < self._number:
                segment.unlink()

    def __repr__(self) -> str:
        return f"<Disk {self.path} segment {self._number} of {self.size} bytes>"


class _Segment:
    """What one file holds."""

    def __init__(self, path: Path) -> None:
        data = path.read_bytes()
        self.path, self.number, self.size = path, int(path.stem), len(data)
        self.entries: list[Entry] = []
        self.owner: dict[str, Any] = {}
        self.whole, self.whole_at = False, 0
        self.end = 0
        self.damage: str | None = None
        for kind, body, end in _frames(data):
            self.end = end
            if kind == HEADER:
                self.owner = unpack_body(body)
            elif kind != MARK:
                self.entries.append((kind, body))
                if kind == WHOLE:
                    self.whole, self.whole_at = True, end
        if self.end < self.size and _safe_once(data, self.end):
            self.damage = f"what was safe at byte {self.end} cannot be read any more"


def _frame(kind: int, body: bytes) -> bytes:
    crc = zlib.crc32(body, kind)
    return FRAME.pack(len(body), crc, kind) + body


def _frames(data: bytes) -> Iterator[tuple[int, bytes, int]]:
    """Give (kind, body, where it ends) of the good frames up to the first that is not."""
    at = len(MAGIC)
    if data[:at] != MAGIC:
        return
    while at + FRAME.size <= len(data):
        length, crc, kind = FRAME.unpack_from(data, at)
        end = at + FRAME.size + length
        if end > len(data):
            return
        body = data[at + FRAME.size : end]
        if zlib.crc32(body, kind) != crc:
            return
        yield kind, body, end
        at = end


def _safe_once(data: bytes, bad: int) -> bool:
    """Whether a good MARK behind a bad frame says that the frame had been fsynced."""
    start = NUMBER.size.to_bytes(4, "big")
    at = data.find(start, bad)
    while at >= 0 and at + FRAME.size + NUMBER.size <= len(data):
        _, crc, kind = FRAME.unpack_from(data, at)
        body = data[at + FRAME.size : at + FRAME.size + NUMBER.size]
        if kind == MARK and zlib.crc32(body, kind) == crc and NUMBER.unpack(body)[0] > bad:
            return True
        at = data.find(start, at + 1)
    return False


def _segments(path: Path) -> list[Path]:
    return sorted(p for p in path.glob("*.journal") if p.stem.isdigit())


def _write_whole(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]


def _sync_directory(path: Path) -> None:
    if os.name == "posix":
        file = os.open(path, os.O_RDONLY)
        try:
            os.fsync(file)
        finally:
            os.close(file)


def _lock(file: int) -> None:
    if os.name == "posix":
        import fcntl  # noqa: PLC0415  (not on every system)

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    else:
        import msvcrt  # noqa: PLC0415

        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
