"""The command line: its help, what it says without the extra, and that it starts fast."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from typing import Any

import pytest

import rxfero
from rxfero.cli import COMMANDS, main

Text = pytest.CaptureFixture[str]


@pytest.mark.parametrize("words", [["help"], ["--help"], ["-h"]])
def test_the_help_names_every_command(capsys: Text, words: list[str]) -> None:
    assert main(words) == 0
    out = capsys.readouterr().out
    assert all(f"  {name} " in out for name in COMMANDS)
    assert "130 interrupted" in out


def test_no_command_and_an_unknown_one_are_2(capsys: Text) -> None:
    assert main([]) == 2
    assert "usage" in capsys.readouterr().err
    assert main(["wach"]) == 2
    assert "'watch'" in capsys.readouterr().err


def test_the_version(capsys: Text) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"rxfero {rxfero.__version__}\n"


@pytest.mark.parametrize("command", [c for c in COMMANDS if c not in ("demo", "help")])
def test_each_command_has_a_help(capsys: Text, command: str) -> None:
    assert main([command, "--help"]) == 0
    own = {"bench": "--records", "completion": "powershell"}
    assert own.get(command, "--timeout") in capsys.readouterr().out


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "powershell"])
def test_a_shell_completes_commands_and_options(capsys: Text, shell: str) -> None:
    assert main(["completion", shell]) == 0
    out = capsys.readouterr().out
    assert all(word in out for word in (*COMMANDS, "since", "where"))


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
@pytest.mark.parametrize(("typed", "offered"), [("rxfero wa", "watch"), ("rxfero watch --si", "--since")])
def test_bash_takes_the_completion(typed: str, offered: str) -> None:
    line = shlex.split(typed)
    asked = f"COMP_WORDS=({typed}); COMP_CWORD={len(line) - 1}; _rxfero; echo ${{COMPREPLY[@]}}"
    done = subprocess.run(
        ["bash", "-c", f'eval "$({sys.executable} -m rxfero completion bash)"; {asked}'],
        capture_output=True, text=True, timeout=30, check=True,
    )  # fmt: skip
    assert offered in done.stdout.split()
    assert done.stderr == ""


def test_no_shell_and_an_unknown_one_are_2(capsys: Text) -> None:
    assert main(["completion"]) == 2
    assert main(["completion", "tcsh"]) == 2
    assert "bash" in capsys.readouterr().err


@pytest.mark.parametrize("library", ["cyclopts", "rich"])
def test_without_the_extra_only_the_demo_works(library: str) -> None:
    script = (
        f"import sys; sys.modules[{library!r}] = None\n"
        "from rxfero.cli import COMMANDS, main\n"
        "needing = [c for c in COMMANDS if c not in ('demo', 'help')]\n"
        "print(*{main([c, 'users']) for c in needing}, main(['demo', '-h']), main(['help']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout.splitlines()[-1] == "1 0 0"
    assert done.stderr.splitlines() == [
        f"rxfero: {command} needs the extra: pip install 'rxfero[cli]'"
        for command in COMMANDS if command not in ("demo", "help")
    ]  # fmt: skip


def test_ctrl_c_is_130(capsys: Text, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(words: Any) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("rxfero.commands.app.execute", interrupted)
    assert main(["ls"]) == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_the_help_loads_nothing_it_does_not_need() -> None:
    script = (
        "import sys; from rxfero.cli import main; main(['help']);"
        "print(*sorted({m.split('.')[0] for m in sys.modules}), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=True
    )
    loaded = set(done.stderr.split())
    assert not {"cyclopts", "rich", "reactivex", "uvloop", "msgpack", "asyncio"} & loaded
