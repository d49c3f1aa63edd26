"""The shown: a page for notebooks, text for everything else."""

from __future__ import annotations

import subprocess
import sys

from rxfero.core.change import Change
from rxfero.core.ring import Ring
from rxfero.shown import Shown


class Plain(Shown):
    """Something that has no page."""

    def __repr__(self) -> str:
        return "<Plain>"


def test_a_page_and_its_text() -> None:
    change = Change("add", "a", {"b": 1})
    shown = change._repr_mimebundle_()
    assert shown["text/plain"] == repr(change)
    assert "<table>" in shown["text/html"]


def test_what_is_asked_for() -> None:
    ring = Ring(["a", "b"])
    assert set(ring._repr_mimebundle_()) == {"text/plain", "text/html"}
    assert set(ring._repr_mimebundle_(include={"text/plain"})) == {"text/plain"}
    assert set(ring._repr_mimebundle_(exclude={"text/plain"})) == {"text/html"}


def test_without_a_page_there_is_the_text() -> None:
    assert Plain()._repr_mimebundle_() == {"text/plain": "<Plain>"}


def test_no_page_is_loaded_before_one_is_shown() -> None:
    script = (
        "import sys; from rxfero import Change; c = Change('add', 'a', 1); "
        "print('rxfero.display' in sys.modules); c._repr_mimebundle_(); "
        "print('rxfero.display' in sys.modules, 'anywidget' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout.split() == ["False", "True", "False"]
