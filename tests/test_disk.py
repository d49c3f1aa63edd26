"""The disk: torn ends, flipped bytes, a full disk, and whose a directory is."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rxfero.core.journal import BEGIN, WHOLE, Entry
from rxfero.disk import MAGIC, Disk, Found
from rxfero.errors import ConfigurationError, StorageDamaged

OWNER = {"cluster": "c", "service": "s", "name": "n", "digest": "d"}
KIND = 1
WAIT_S = 10.0


class Opened:
    """An open disk, and what it said."""

    def __init__(self, path: Path, *, fsync: Any = "group", strict: bool = False) -> None:
        self.said: list[tuple[int, bool, OSError | None]] = []
        self._news = threading.Condition()
        self.disk = Disk(path, OWNER, fsync, self._done)
        self.found: Found = self.disk.open(strict=strict)

    def _done(self, batches: int, safe: bool, error: OSError | None) -> None:
        with self._news:
            self.said.append((batches, safe, error))
            self._news.notify_all()

    def write(self, *entries: Entry) -> None:
        """Write a batch, and wait until the disk has told what became of it."""
        before = len(self.said)
        self.disk.write(list(entries))
        self.wait(lambda: len(self.said) > before)

    def wait(self, predicate: Callable[[], bool]) -> None:
        with self._news:
            assert self._news.wait_for(predicate, WAIT_S), "the disk says nothing"


@contextmanager
def opened(path: Path, **options: Any) -> Iterator[Opened]:
    one = Opened(path, **options)
    try:
        yield one
    finally:
        one.disk.close()


def told(found: Found) -> list[bytes]:
    return [body for kind, body in found.entries if kind == KIND]


def segment(path: Path) -> Path:
    (one,) = path.glob("*.journal")
    return one


def test_what_was_written_is_found(tmp_path: Path) -> None:
    with opened(tmp_path) as one:
        assert one.found == Found([], True, None)
        one.write((KIND, b"a"), (KIND, b""))
        one.write((KIND, b"b" * 100_000))
        assert one.said == [(1, True, None), (1, True, None)]
    with opened(tmp_path) as one:
        assert told(one.found) == [b"a", b"", b"b" * 100_000]
        assert one.found.whole
        assert one.found.damage is None
        one.write((KIND, b"c"))
    with opened(tmp_path) as one:
        assert told(one.found)[-1] == b"c"


def test_a_new_beginning_replaces_the_old(tmp_path: Path) -> None:
    with opened(tmp_path) as one:
        one.write((KIND, b"old"))
        one.write((BEGIN, b""), (KIND, b"half"))
        assert len(list(tmp_path.glob("*.journal"))) == 2, "the old one is needed still"
    with opened(tmp_path) as one:
        assert told(one.found) == [b"old", b"half"]
        one.write((KIND, b"more"), (WHOLE, b""))
        assert segment(tmp_path).name == "00000002.journal"
    with opened(tmp_path) as one:
        assert told(one.found) == [b"half", b"more"]
        assert not one.found.whole


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_a_torn_end_is_cut_off(tmp_path_factory: pytest.TempPathFactory, data: Any) -> None:
    path = tmp_path_factory.mktemp("torn")
    with opened(path) as one:
        one.write((KIND, b"safe"))
    file = segment(path)
    safe = file.stat().st_size
    with opened(path) as one:
        one.write((KIND, b"x" * 50))
    whole = file.read_bytes()
    # what a crash leaves of a write that was never fsynced: any beginning of it
    cut = data.draw(st.integers(safe, safe + 60))
    file.write_bytes(whole[:cut])
    with opened(path) as one:
        assert told(one.found)[:1] == [b"safe"]
        assert one.found.damage is None
        one.write((KIND, b"next"))
    with opened(path) as one:
        assert told(one.found)[-1] == b"next"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_a_flipped_byte_is_told(tmp_path_factory: pytest.TempPathFactory, data: Any) -> None:
    path = tmp_path_factory.mktemp("flip")
    with opened(path) as one:
        first = one.disk.size
        for i in range(5):
            one.write((KIND, b"%d" % i * 20))
        last = one.disk.size
    file = segment(path)
    raw = bytearray(file.read_bytes())
    at = data.draw(st.integers(first, last - 1))
    raw[at] ^= data.draw(st.integers(1, 255))
    file.write_bytes(raw)
    with pytest.raises(StorageDamaged, match="safe at byte"), opened(path, strict=True):
        pass
    assert file.read_bytes() == raw, "what a voter refuses is left as it is"
    with opened(path) as one:
        kept = told(one.found)
        assert kept == [b"%d" % i * 20 for i in range(len(kept))]
        assert len(kept) < 5
        assert one.found.damage is not None
        one.write((KIND, b"on"))
    assert file.with_suffix(".damaged").read_bytes() == raw, "and otherwise set aside"
    with opened(path) as one:
        assert told(one.found) == [*kept, b"on"]
        assert one.found.damage is None


def test_a_disk_belongs_to_one_node(tmp_path: Path) -> None:
    assert Disk.owner_of(tmp_path) is None
    with opened(tmp_path):
        with pytest.raises(ConfigurationError, match="in use by another process"):
            Opened(tmp_path)
        assert Disk.owner_of(tmp_path) == {**OWNER, "format": 1}
    other = Disk(tmp_path, {**OWNER, "service": "t"}, "group", lambda *_: None)
    with pytest.raises(ConfigurationError, match="service is 's', not 't'"):
        other.open(strict=False)
    with opened(tmp_path):
        pass


def test_files_that_are_no_journal_are_damage(tmp_path: Path) -> None:
    (tmp_path / "00000001.journal").write_bytes(b"something else")
    with pytest.raises(ConfigurationError, match="None, not"), opened(tmp_path):
        pass


def test_a_write_that_fails_ends_the_segment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(tmp_path) as one:
        one.write((KIND, b"safe"))
        real = os.write
        full = True

        def write(file: int, data: Any) -> int:
            if full:
                raise OSError(28, "No space left on device")
            return real(file, data)

        monkeypatch.setattr(os, "write", write)
        one.write((KIND, b"lost"))
        batches, safe, error = one.said[-1]
        assert (batches, safe) == (0, False)
        assert error is not None
        assert error.errno == 28
        one.disk.write([(KIND, b"ignored")])
        full = False
        one.disk.mend()
        one.write((BEGIN, b""), (KIND, b"again"), (WHOLE, b""))
        assert one.said[-1] == (1, True, None)
        assert len(one.said) == 3, "nothing is told of what came in between"
    with opened(tmp_path) as one:
        assert told(one.found) == [b"again"]


def test_an_fsync_that_fails_is_a_fault_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(tmp_path) as one:
        real = os.fsync

        def fsync(file: int) -> None:
            raise OSError(5, "Input/output error")

        monkeypatch.setattr(os, "fsync", fsync)
        one.write((KIND, b"who knows"))
        assert one.said[-1][2] is not None
        monkeypatch.setattr(os, "fsync", real)


def test_never_fsynced_is_never_safe(tmp_path: Path) -> None:
    with opened(tmp_path, fsync="never") as one:
        one.write((KIND, b"a"))
        assert one.said == [(1, False, None)]
    with opened(tmp_path) as one:
        assert told(one.found) == [b"a"]


def test_an_interval_gathers_what_comes_meanwhile(tmp_path: Path) -> None:
    with opened(tmp_path, fsync=0.05) as one:
        one.write((KIND, b"first"))
        for _ in range(20):
            one.disk.write([(KIND, b"more")])
        one.wait(lambda: sum(batches for batches, _, _ in one.said) == 21)
        assert len(one.said) < 21


def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OSError, match="file"):
        Opened(tmp_path / "file" / "below")


def test_close_writes_what_is_left(tmp_path: Path) -> None:
    one = Opened(tmp_path)
    for i in range(100):
        one.disk.write([(KIND, b"%d" % i)])
    one.disk.close()
    one.disk.close()
    with opened(tmp_path) as again:
        assert told(again.found) == [b"%d" % i for i in range(100)]
    assert (tmp_path / "00000001.journal").read_bytes().startswith(MAGIC)
