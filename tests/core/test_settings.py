"""Tests of the settings."""

from __future__ import annotations

from random import Random

import pytest

from rxfero.constants import Constants
from rxfero.core.settings import Settings


def settings() -> Settings:
    return Settings("a", 7, False, Constants(), Random(1), None, None, True)


def test_a_node_holds_every_key_and_has_no_voters_unless_told() -> None:
    assert settings().follow is None
    assert settings().quorum is None


def test_what_a_node_is_born_with_never_changes() -> None:
    with pytest.raises(AttributeError):
        settings().name = "b"  # type: ignore[misc]
    assert settings()._replace(name="b").name == "b"
