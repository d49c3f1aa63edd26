"""The measuring: figures of real processes; what they are is no matter of tests, that they are is."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest

from rxfero.commands import measuring
from rxfero.commands.measuring import COLUMNS, Goal, served
from rxfero.commands.output import Output
from rxfero.errors import ConfigurationError, RequestTimeout

ROWS = [
    "messages sent", "messages received", "messages answered", "updates seen as changes",
    "round trip, p50", "round trip, p99",
]  # fmt: skip


@pytest.mark.parametrize("servers", [1, 2])
def test_figures_are_printed(rxfero: Any, servers: int) -> None:
    ended = rxfero("bench", "--records", "500", "--runs", "2", "--servers", str(servers), "--json")
    assert ended.status == 0, ended.err
    rows = [json.loads(line) for line in ended.lines]
    assert [row["what"] for row in rows] == ROWS
    for row in rows:
        assert list(row) == list(COLUMNS)
        assert (row["bytes"], row["servers"]) == (100, servers)
        assert 0 < row["least"] <= row["median"] <= row["most"]
    assert "500 records a run" in ended.err


@pytest.mark.parametrize(
    "given",
    [["--bytes", "0"], ["--bytes", "x"], ["--records", "1"], ["--servers", "0"], ["--servers", "10"],
     ["--runs", "0"], ["--sort", "size"], ["people"], ["counts", "updates"]],
    ids=" ".join,
)  # fmt: skip
def test_wrong_usage_is_2(rxfero: Any, given: list[str]) -> None:
    ended = rxfero("bench", "--records", "100", "--runs", "1", *given) if "--records" not in given \
        else rxfero("bench", *given)  # fmt: skip
    assert (ended.status, ended.out) == (2, "")
    assert ended.err.startswith("rxfero: ")


def test_only_the_loads_that_are_named_are_run(rxfero: Any) -> None:
    ended = rxfero("bench", "updates", "--records", "500", "--runs", "1", "--json")
    assert ended.status == 0, ended.err
    assert [json.loads(line)["what"] for line in ended.lines] == ["updates seen as changes"]


def test_the_loads_are_listed_and_those_of_the_repository_too(rxfero: Any) -> None:
    listed = rxfero("bench", "--list", "--json")
    assert listed.status == 0, listed.err
    names = [json.loads(line)["load"] for line in listed.lines]
    assert names[:3] == list(measuring.STEPS)
    assert {"speed", "growth", "nodes"} <= set(names[3:])


def test_a_load_of_the_repository_is_run_by_it(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[Any] = []

    class Done:
        returncode = 7

    def run(words: list[str], **more: Any) -> Any:
        ran.append((words[1:], more["cwd"]))
        return Done()

    assert measuring.beyond(["counts", "where"]) == ["counts", "where"]
    assert measuring.beyond(["updates"]) == measuring.beyond([]) == []
    monkeypatch.setattr(measuring.subprocess, "run", run)
    assert measuring.repository(["counts"], "tiny", Output(json=True)) == 7
    words = ["-m", "benchmarks", "counts", "--loads", "tiny", "--json"]
    assert ran == [(words, measuring.REPOSITORY)]


def test_without_the_repository_there_are_the_own_loads_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(measuring, "REPOSITORY", tmp_path)
    assert measuring.others() == []
    with pytest.raises(ConfigurationError, match="must be of messages, updates, trips$"):
        measuring.beyond(["all"])


def test_a_closed_pipe_ends_it_quietly(rxfero: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as pipe:
        monkeypatch.setattr("sys.stdout", pipe)
        ended = rxfero("bench", "--records", "100", "--runs", "1")
        monkeypatch.undo()
    assert ended.status == 0
    assert "Traceback" not in ended.err


async def test_the_servers_end_with_who_started_them() -> None:
    async with asyncio.timeout(30):
        async with served(2) as addresses:
            for address in addresses:
                host, port = address.split(":")
                _, writer = await asyncio.open_connection(host, int(port))
                writer.close()
        for address in addresses:
            host, port = address.split(":")
            with pytest.raises(OSError):  # noqa: PT011  (of many kinds)
                await asyncio.open_connection(host, int(port))


async def test_a_goal_is_reached_or_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    goal = Goal(3, "answers")
    goal.one(None)
    goal.add(2)
    goal.add(2)
    assert await goal.reached() > 0
    monkeypatch.setattr(measuring, "STEP_S", 0.01)
    missed = Goal(3, "answers")
    missed.one(None)
    with pytest.raises(RequestTimeout, match=r"answers \(2 left\)"):
        await missed.reached()
    assert "answers left=2" in repr(missed)
