"""The model takes what can be, and nothing else."""

from __future__ import annotations

import pytest

from rxfero.testing.checkers import Violation
from rxfero.testing.model import ABSENT, Model


def judged(model: Model, shown: dict[str, object], *, strict: bool = False) -> str:
    """Give the promise that the model says is broken; nothing if none is."""
    try:
        model.judge(shown, 100.0 if strict else None)
    except Violation as error:
        return error.promise
    return ""


def test_any_write_may_be_the_last_after_a_split_but_not_in_good_order() -> None:
    model = Model({"k0": 1})
    for now, value in ((1.0, 2), (2.0, 3)):
        model.end(model.begin("k0", value, now), now + 0.5)
    assert [judged(model, {"k0": value}) for value in (1, 2, 3, 4)] == ["", "", "", "kept"]
    told = [judged(model, {"k0": value}, strict=True) for value in (1, 2, 3)]
    assert told == ["linearizable", "linearizable", ""]


def test_a_write_without_an_answer_may_have_happened_or_not() -> None:
    model = Model({})
    model.begin("k0", 2, 1.0)
    assert [judged(model, shown, strict=True) for shown in ({}, {"k0": 2})] == ["", ""]


def test_a_removal_that_found_nothing_has_read_that() -> None:
    model = Model({"k0": 1})
    model.end(model.begin("k0", ABSENT, 1.0), 2.0, found_nothing=True)
    assert judged(model, {"k0": 1}) == ""
    assert judged(model, {"k0": 1}, strict=True) == "linearizable"


@pytest.mark.parametrize(
    ("items", "promise"),
    [([1, 2], ""), ([1, 2, 3], ""), ([2, 1], ""), ([1], "kept"), ([2], "kept"),
     ([1, 2, 2], "once"), ([1, 2, 4], "kept")],
)  # fmt: skip
def test_what_was_pushed_is_there_once(items: list[int], promise: str) -> None:
    model = Model({"l0": [1]})
    model.pushed.update({("l0", 2): True, ("l0", 3): False})
    assert judged(model, {"l0": items}) == promise
