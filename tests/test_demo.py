"""The demo, as a user runs it, with fewer writes."""

from __future__ import annotations

import json
import subprocess
import sys


def test_the_demo_holds_its_promises() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "rxfero", "demo", "--writes", "600", "--seed", "7", "--json"],
        capture_output=True, text=True, timeout=80, check=False,
    )  # fmt: skip

    summary = json.loads(done.stdout)
    assert done.returncode == 0, done.stderr
    assert summary["ok"]
    assert summary["lost"] == summary["failed"] == summary["disorder"] == 0
    assert summary["acknowledged"] > 0


def test_wrong_usage_is_told() -> None:
    for words in (["demo", "--servers", "1"], ["demo", "--writes", "x"], ["nothing"], []):
        done = subprocess.run(
            [sys.executable, "-m", "rxfero", *words],
            capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip
        assert done.returncode == 2
        assert "usage" in done.stderr + done.stdout
