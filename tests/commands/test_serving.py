"""The serving: services of a user, started, begun anew, and told to stop."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from rxfero.commands.serving import load, serve
from rxfero.errors import ConfigurationError
from tests.commands import service
from tests.commands.conftest import COMMAND, ROOT, stop
from tests.commands.conftest import serve as started
from tests.integration.cluster import free_ports

HERE = "tests.commands.service"


def test_a_factory_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert load(f"{HERE}:plain").__name__ == service.plain.__name__


@pytest.mark.parametrize(
    "wrong", [HERE, f"{HERE}:", ":plain", f"{HERE}:nothing", f"{HERE}:ROOT", "tests.no_such:plain",
              "no_such_at_all:plain"]
)  # fmt: skip
def test_what_is_no_factory_is_2(rxfero: Any, wrong: str) -> None:
    with pytest.raises(ConfigurationError, match="serve="):
        load(wrong)
    assert rxfero("serve", wrong).status == 2


def test_what_gives_no_service_is_2_and_a_program_that_ends_is_0(rxfero: Any) -> None:
    assert rxfero("serve", f"{HERE}:wrong").status == 2
    assert rxfero("serve", f"{HERE}:program").status == 0


async def test_what_the_module_itself_lacks_is_told_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lacking.py").write_text("import no_such_at_all\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="no_such_at_all"):
        await serve("lacking:main", {})


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_several_services_are_served_until_a_signal(number: int) -> None:
    process, said = started(f"{HERE}:both", "--no-multicast")
    assert "'people' is served at" in said[0]
    assert stop(process, number)[-1] == "rxfero: left the cluster"


def test_a_service_is_begun_anew_when_its_file_changes(tmp_path: Path) -> None:
    file = tmp_path / "app.py"
    program = "from rxfero import fero\n\ndef make(**options):\n    return fero('one', **options)\n"
    file.write_text(program, encoding="utf-8")
    ports = "{}-{}".format(*free_ports(2))
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [*COMMAND, "serve", "app:make", "--reload", "--ports", ports],
        cwd=tmp_path, env=env, text=True, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stderr is not None
    try:
        for line in process.stderr:
            if "'one' is served" in line:
                file.write_text(program.replace("one", "other"), encoding="utf-8")
            elif "'other' is served" in line:
                break
        else:
            raise AssertionError("ended")
    finally:
        process.terminate()
        rest = process.stderr.read()
        assert process.wait(20) == 0
        process.stderr.close()
    assert "left the cluster" in rest
