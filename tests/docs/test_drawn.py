"""The drawings in the pages are of chains that were run, and come out as said."""

from __future__ import annotations

import pytest

from rxfero.testing import Marbles
from tests.docs.drawn import DRAWINGS, PLACE, svg


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_chain_comes_to_what_is_said(name: str) -> None:
    drawing, marbles = DRAWINGS[name], Marbles()
    sources = [marbles.cold(diagram) for diagram in drawing.sources]
    marbles.expect(drawing.chain(*sources), drawing.wanted, drawing.values)


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_drawing_is_what_came_out(name: str) -> None:
    assert (PLACE / f"{name}.svg").read_text(encoding="utf-8") == svg(name)
