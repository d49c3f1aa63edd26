"""The scenes: each ends well."""

from __future__ import annotations

import pytest

from tests.simulation.scenes import SCENES


@pytest.mark.parametrize("name", SCENES)
def test_a_scene_ends_well(name: str) -> None:
    SCENES[name]()
