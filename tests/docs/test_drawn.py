"""The drawings in the pages are of chains that were run, and come out as said; all operators'."""

from __future__ import annotations

import pytest

from rxfero import operators
from tests.docs.drawn import DRAWINGS, PLACE, messages, played, svg


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_chain_comes_to_what_is_said(name: str) -> None:
    drawing = DRAWINGS[name]
    assert played(drawing) == messages(drawing, drawing.wanted)


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_drawing_is_what_came_out(name: str) -> None:
    assert (PLACE / f"{name}.svg").read_text(encoding="utf-8") == svg(name)


def test_every_operator_is_drawn() -> None:
    assert {name for name in operators.__all__ if name.islower()} <= set(DRAWINGS)
