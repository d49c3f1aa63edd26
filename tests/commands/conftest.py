"""What the tests of the commands share: one real server, and a command line to run in place."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from rxfero.cli import main
from tests.discovery.seeker import group_port
from tests.integration.cluster import free_ports

ROOT = Path(__file__).parents[2]
COMMAND = (sys.executable, "-m", "rxfero")


class Ended(NamedTuple):
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


def begin(*words: str, **options: Any) -> subprocess.Popen[str]:
    """Start a command as a process of its own."""
    return subprocess.Popen(
        [*COMMAND, *words], cwd=ROOT, text=True, **options
    )


def serve(*words: str) -> tuple[subprocess.Popen[str], list[str]]:
    """Start `rxfero serve` and wait until it says that it serves; gives what it has said too."""
    process = begin("serve", *words, stderr=subprocess.PIPE)
    assert process.stderr is not None
    said: list[str] = []
    for line in process.stderr:
        said.append(line.strip())
        if "is served at" in line:
            break
    else:
        raise AssertionError(said)
    return process, said


def stop(process: subprocess.Popen[str], number: int = signal.SIGTERM) -> list[str]:
    """Tell a service to stop; gives what it said then."""
    process.send_signal(number)
    with process:
        _, said = process.communicate(timeout=20)
    assert process.returncode == 0, said
    return said.splitlines()


@pytest.fixture(scope="session")
def ports() -> str:
    """The ports of the service `people`."""
    first, last = free_ports(3)
    return f"{first}-{last}"


@pytest.fixture(scope="session")
def people(ports: str) -> Iterator[str]:
    """A server of `people`; gives its ports."""
    process, _ = serve("tests.commands.service:people", "--ports", ports)
    yield ports
    stop(process)


@pytest.fixture
def rxfero(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run a command in this process; what looks by multicast meets nobody."""
    monkeypatch.setenv("RXFERO_CONSTANTS__MULTICAST__PORT", str(group_port()))
    monkeypatch.chdir(ROOT)
    for name in [name for name in os.environ if name in ("RXFERO_HOSTS", "RXFERO_PORTS")]:
        monkeypatch.delenv(name)

    def run(*words: str) -> Ended:
        capsys.readouterr()
        status = main(words)
        return Ended(status, *capsys.readouterr())

    return run
