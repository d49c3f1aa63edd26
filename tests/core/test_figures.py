"""The figures: one frame, made anew at most so often."""

from __future__ import annotations

from typing import Any

from rxfero.core import frame
from rxfero.core.figures import EVERY_S, Figures
from rxfero.core.value import unpack_body


def test_the_answer_is_made_anew_only_when_it_is_old() -> None:
    figures, taken = Figures(), []

    def take() -> dict[str, Any]:
        taken.append(1)
        return {"keys": len(taken)}

    figures.take = take
    first = figures.answer(5.0)
    assert unpack_body(first[frame.HEADER.size :]) == [{"keys": 1}]
    assert first[4] == frame.MONITOR
    assert figures.answer(5.0 + EVERY_S / 2) is first
    assert unpack_body(figures.answer(5.0 + EVERY_S * 2)[frame.HEADER.size :]) == [{"keys": 2}]
    assert "bytes" in repr(figures)
