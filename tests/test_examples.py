"""The examples, each as the two commands that its docstring names."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.integration.cluster import free_ports

EXPECTED = {
    ("register_login", "ask"): [
        "register [201, 'welcome, alice']",
        "login [200, 'ok']",
        "login [401, 'who are you?']",
        "delete the handler raised ValueError: 405: delete is not allowed",
    ],
    ("counts", "play"): [
        "{'members': {'red': 2, 'blue': 1}, 'events': {'red': 2, 'blue': 1}}",
    ],
}


def start(example: str, command: str, first: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", f"rxfero.examples.{example}", command],
        stdout=subprocess.PIPE, text=True, env={**os.environ, "PORTS": str(first)},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("example", "command"),
    [("register_login", "ask"), ("notifications", "join"), ("counts", "play")],
)
def test_an_example_runs_as_two_commands(example: str, command: str) -> None:
    first, _ = free_ports(10)
    server = start(example, "serve", first)
    try:
        assert server.stdout is not None
        assert server.stdout.readline().startswith("serving ")
        asking = start(example, command, first)
        said, _ = asking.communicate(timeout=30)
        assert asking.returncode == 0
        if (example, command) in EXPECTED:
            assert said.splitlines() == EXPECTED[example, command]
        else:
            welcomed = {server.stdout.readline().split()[1] for _ in range(3)}
            assert welcomed == {"alice@x.org:", "bob@x.org:", "carol@x.org:"}
    finally:
        server.kill()
        server.communicate()
