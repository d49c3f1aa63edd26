"""The notebooks: every cell runs from a fresh kernel, and what they gave is saved in them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.docs.executed import BOOKS, WIDGET, executed

NAMES = [
    "01-first-steps", "02-streams-and-operators", "03-a-live-cluster", "04-property-based-tests",
    "05-performance",
]  # fmt: skip
books = pytest.mark.parametrize("path", BOOKS, ids=lambda path: path.stem)


def shown(cells: list[Any]) -> list[dict[str, Any]]:
    """Give all that cells show, by its kind."""
    outputs = [output for cell in cells for output in cell.get("outputs", ())]
    return [o["data"] if "data" in o else {o["output_type"]: o.get("text", o)} for o in outputs]


def test_they_are_all_there() -> None:
    assert [path.stem for path in BOOKS] == NAMES


@books
@pytest.mark.timeout(400)
def test_a_notebook_runs(path: Path) -> None:
    pytest.importorskip("nbclient")
    cells = executed(path).cells
    given = shown(cells)
    assert not [one for one in given if "error" in one]
    saved = shown(json.loads(path.read_text(encoding="utf-8"))["cells"])
    kinds = [sorted({*one} - {WIDGET}) for one in given]
    assert [k for k in kinds if k != ["stream"]] == [
        sorted(one) for one in saved if sorted(one) != ["stream"]
    ], "what is saved is of another notebook: python -m tests.docs.executed"
    if path.stem == "01-first-steps":
        pages = [one["text/html"] for one in given if "text/html" in one]
        assert any("ZeroDivisionError" in page for page in pages)  # it came under the cell
        assert any("changes/s" in page for page in pages)


@books
def test_what_is_saved_reads_well(path: Path) -> None:
    book = json.loads(path.read_text(encoding="utf-8"))
    code = [cell for cell in book["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == [*range(1, len(code) + 1)]
    given = shown(book["cells"])
    assert not [one for one in given if "error" in one or WIDGET in one]
    assert [one for one in given if "text/html" in one or "image/png" in one]
    text = json.dumps(book["cells"])
    assert not re.search(r"/(home|root|tmp|work|Users)/", text), "it shows where it was run"
    assert not re.search(r"<script|https?://", json.dumps(given))
