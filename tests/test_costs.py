"""The costs: operations a record are within bounds. No clock is read, so no machine is too busy.

The bounds are data, a little above what was counted; who makes the path cheaper tightens them.
Packs, frames and writes are of a batch, so that they are far below one a record.
"""

from __future__ import annotations

import pytest

from benchmarks import counts
from rxfero.testing import simulate

RECORDS = 3000
BOUNDS = {
    "messages": {"calls": 5.0, "packs": 0.02, "frames": 0.01, "writes": 0.01, "blocks": 0.5},
    "updates": {"calls": 26.0, "packs": 1.1, "frames": 0.02, "writes": 0.01, "blocks": 12.0},
}


def test_operations_a_record_are_within_their_bounds() -> None:
    found = simulate(counts.measure(RECORDS))
    over = {
        f"{figure} a record of {load}": (found[load][figure], bound)
        for load, bounds in BOUNDS.items()
        for figure, bound in bounds.items()
        if found[load][figure] > bound
    }
    assert not over, "counted and the bound"


def test_the_counts_count_and_are_the_same_again() -> None:
    one, two = (simulate(counts.measure(counts.BURST)) for _ in range(2))
    for load in counts.LOADS:
        assert all(one[load][figure] > 0 for figure in counts.FIGURES)
        assert [one[load][f] for f in counts.FIGURES] == [two[load][f] for f in counts.FIGURES]
    assert one["updates"]["blocks"] > 1, "a record is kept"


@pytest.mark.parametrize("bounds", BOUNDS.values(), ids=BOUNDS)
def test_every_figure_has_a_bound(bounds: dict[str, float]) -> None:
    assert set(bounds) == {*counts.FIGURES, "blocks"}
