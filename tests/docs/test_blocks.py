"""Every Python block of README and docs is a program that runs and ends by itself.

What a block prints is what the `text` block behind it says. A block that cannot be run here has
`<!-- skip: next -->` above it, and the reason.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from sybil import Document, Example
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser

from tests.discovery.seeker import group_port
from tests.integration.cluster import free_ports

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BEHIND = re.compile(r"(?:```)?\n+(?:[^\n`#]+:\n\n)?```text\n(.*?)```", re.DOTALL)


class Programs(PythonCodeBlockParser):
    """Each block as a process of its own, on ports that are free (the group's too), with warnings as errors."""

    def evaluate(self, example: Example) -> None:
        text: str = example.document.text
        block = str(example.parsed)
        for ports in dict.fromkeys(re.findall(r"ports=\(\d+, \d+\)", block)):
            first, last = free_ports(10)
            block = block.replace(ports, f"ports=({first}, {last})")
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", block],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={**os.environ, "RXFERO_CONSTANTS__MULTICAST__PORT": str(group_port())},
        )
        assert done.returncode == 0, done.stderr
        assert not done.stderr
        behind = BEHIND.match(text, example.region.end)
        assert done.stdout == (behind.group(1) if behind else "")


def examples(page: Path) -> list[Example]:
    return list(Document.parse(str(page), Programs(), SkipParser()).examples())


@pytest.mark.parametrize("page", [p for p in PAGES if examples(p)], ids=lambda p: p.name)
def test_the_blocks_of_a_page_run(page: Path) -> None:
    for example in examples(page):
        example.evaluate()


def test_there_are_blocks_and_each_block_has_a_language() -> None:
    assert len(examples(ROOT / "README.md")) >= 3
    for page in PAGES:
        fences = re.findall(r"^```(.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
        assert all(fences[::2]), f"{page.name} has a block without a language"
        assert not any(fences[1::2]), f"{page.name} has a block that is not closed"
