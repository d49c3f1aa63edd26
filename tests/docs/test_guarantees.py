"""The guarantees: every promise on the page names a test that there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "guarantees.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (.+?) \| `(tests/.+?\.py)::(\w+)` \|$", PAGE, re.MULTILINE)


@pytest.mark.parametrize(("promise", "file", "name"), ROWS)
def test_a_promise_has_its_test(promise: str, file: str, name: str) -> None:
    text = (ROOT / file).read_text(encoding="utf-8")
    assert re.search(rf"^(async )?def {name}\(", text, re.MULTILINE), promise


def test_no_row_is_left_out() -> None:
    table = PAGE.split("## Shown by", 1)[1]
    assert len(ROWS) == sum(line.startswith("| ") for line in table.splitlines()) - 1
