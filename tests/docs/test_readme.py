"""Every Python block of the README is a program that runs and ends by itself."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.cluster import free_ports

README = Path(__file__).parents[2] / "README.md"
BLOCKS = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
PRINTS = {0: "a@x.org\na@x.org 1\n"}


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_a_block_runs(number: int) -> None:
    first, last = free_ports(10)
    block = re.sub(r"ports=\(\d+, \d+\)", f"ports=({first}, {last})", BLOCKS[number])

    done = subprocess.run(
        [sys.executable, "-c", block], capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout == PRINTS.get(number, "")
