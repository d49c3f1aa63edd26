"""The executed: notebooks run from a fresh kernel.

``python -m tests.docs.executed [notebooks/NN-name.ipynb ...]`` runs them (all, if none is named) and
saves what they gave, so that they read well where they are only shown.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
BOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
CELL_S = 180  # longest a cell may take
WIDGET = "application/vnd.jupyter.widget-view+json"


def executed(path: Path) -> Any:
    """Run a notebook in a kernel of its own; gives it with its outputs.

    Raises:
        CellExecutionError: a cell raised.
    """
    import nbformat
    from nbclient import NotebookClient

    book: Any = nbformat.read(path, as_version=4)
    for cell in book.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    client = NotebookClient(
        book, timeout=CELL_S, kernel_name="python3", record_timing=False,
        resources={"metadata": {"path": str(path.parent)}},
    )  # fmt: skip
    client.execute()
    return book


def save(book: Any, path: Path) -> None:
    """Save a notebook. Its widgets are gone with their kernel; their pages stay."""
    import nbformat

    book.metadata.pop("widgets", None)
    for cell in book.cells:
        for output in cell.get("outputs", ()):
            output.get("data", {}).pop(WIDGET, None)
    nbformat.write(book, path)


if __name__ == "__main__":
    for name in sys.argv[1:] or map(str, BOOKS):
        save(executed(Path(name).resolve()), Path(name))
        print(name)
