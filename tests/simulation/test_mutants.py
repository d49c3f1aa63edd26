"""The mutants: each can be planted, and some that are noticed soon are noticed here too."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.simulation import mutants
from tests.simulation.mutants import BY_NAME, MUTANTS, SMOKE, Mutant, caught, planted

CORE = Path(__file__).parents[2] / "rxfero" / "core"


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_defect_can_be_planted(mutant: Mutant) -> None:
    source = (CORE / f"{mutant.module}.py").read_text(encoding="utf-8")
    compile(planted(mutant, source), mutant.module, "exec")


def test_a_defect_whose_place_is_gone_is_told() -> None:
    with pytest.raises(LookupError, match="is 0 times in"):
        planted(MUTANTS[0], "")


@pytest.mark.parametrize("name", SMOKE)
def test_a_defect_is_noticed(name: str) -> None:
    found = caught(BY_NAME[name], 10)
    assert found["by"] is not None, f"{name}: not noticed in {found['seeds']} seeds"


def test_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert mutants.main([SMOKE[0], "--seeds", "3"]) == 0
    assert "1 of 1 noticed" in capsys.readouterr().out
