"""The costs: operations a record are within bounds. No clock is read, so no machine is too busy.

The bounds are data, a little above what was counted; who makes the path cheaper tightens them.
Packs, frames and writes are of a batch, so that they are far below one a record.
"""

from __future__ import annotations

import pytest

from benchmarks import counts

RECORDS = 3000
BOUNDS = {
    "messages": {"calls": 8.0, "packs": 0.1, "frames": 0.05, "writes": 0.03, "blocks": 0.5},
    "updates": {"calls": 42.0, "packs": 2.2, "frames": 0.08, "writes": 0.04, "blocks": 16.0},
}


async def test_operations_a_record_are_within_their_bounds() -> None:
    found = await counts.measure(RECORDS)
    over = {
        f"{figure} a record of {load}": (found[load][figure], bound)
        for load, bounds in BOUNDS.items()
        for figure, bound in bounds.items()
        if found[load][figure] > bound
    }
    assert not over, "counted and the bound"


async def test_the_counts_count() -> None:
    found = await counts.measure(counts.BURST)
    for load in counts.LOADS:
        assert all(found[load][figure] > 0 for figure in counts.FIGURES)
    assert found["updates"]["blocks"] > 1, "a record is kept"


@pytest.mark.parametrize("bounds", BOUNDS.values(), ids=BOUNDS)
def test_every_figure_has_a_bound(bounds: dict[str, float]) -> None:
    assert set(bounds) == {*counts.FIGURES, "blocks"}
