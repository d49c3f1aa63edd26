"""The app: every command against a real server, and against everything that is not there."""

from __future__ import annotations

import io
import json
import os
import re
from typing import Any

import pytest

from tests.integration.cluster import free_ports

OFFSET = re.compile(r"\d+:\d+\.\d+:\d+")
COMMANDS: dict[str, tuple[str, ...]] = {  # one that prints something, if it can
    "ls": (),
    "get": ("there",),
    "set": ('{"type": "update", "key": ["there"], "value": 1}',),
    "update": ("there", "1"),
    "remove": ("gone",),
    "add": ("1",),
    "push": ("items", "1"),
    "watch": ("--since", "state", "--count", "1"),
    "send": ("echo", "1"),
    "history": ("there",),
    "conflicts": (),
    "owners": ("there",),
}
BAD: dict[str, tuple[str, ...]] = {  # no JSON where JSON has begun, or no key
    "ls": ("--where", "keys"),
    "get": ("[1",),
    "set": ("{bad",),
    "update": ("[1", "{"),
    "remove": ("[]",),
    "add": ("[1", "1"),
    "push": ('["a", 1.5]', "1"),
    "watch": ("--under", "[1"),
    "send": ("echo", "1", "--key", "[1"),
    "history": ("[1",),
    "conflicts": ("--where", "x"),
    "owners": ("[1",),
}


def words(command: str, rest: tuple[str, ...], where: str, service: str = "people") -> list[str]:
    return [command, service, *rest, "--ports", where]


# --- what is not there


@pytest.mark.parametrize("command", COMMANDS)
def test_no_cluster_is_3(rxfero: Any, command: str) -> None:
    nowhere = str(free_ports(1)[0])
    ended = rxfero(*words(command, COMMANDS[command], nowhere), "--timeout", "0.1")
    assert (ended.status, ended.out) == (3, "")
    assert f"no server at 127.0.0.1 ports {nowhere}-{nowhere}" in ended.err


@pytest.mark.parametrize("command", COMMANDS)
def test_a_wrong_name_is_3_and_the_right_ones_are_told(
    rxfero: Any, people: str, command: str
) -> None:
    ended = rxfero(*words(command, COMMANDS[command], people, "poeple"), "--timeout", "0.3")
    assert (ended.status, ended.out) == (3, "")
    assert "no server of 'poeple'" in ended.err
    assert "there is: people" in ended.err


@pytest.mark.parametrize("command", BAD)
def test_bad_json_is_2(rxfero: Any, people: str, command: str) -> None:
    ended = rxfero(*words(command, BAD[command], people))
    assert (ended.status, ended.out) == (2, "")
    assert ended.err.startswith("rxfero: ")
    assert "Traceback" not in ended.err


@pytest.mark.parametrize("command", COMMANDS)
def test_a_closed_pipe_ends_it_quietly(
    rxfero: Any, people: str, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key in ("there", "gone"):
        assert rxfero(*words("update", (key, "1"), people)).status == 0
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as pipe:
        monkeypatch.setattr("sys.stdout", pipe)
        ended = rxfero(*words(command, COMMANDS[command], people))
        monkeypatch.undo()
    assert (ended.status, ended.err) == (0, "")


@pytest.mark.parametrize(
    "given",
    [["get"], ["get", "people", "a", "b"], ["update", "people", "a", "1", "--bogus"],
     ["watch", "people", "--since", "yesterday"], ["watch", "people", "--count", "0"],
     ["ls", "--every", "0"], ["ls", "--ports", "1-2-3"], ["ls", "--timeout", "0"],
     ["ls", "--timeout", "x"], ["ls", "--json", "--table"], ["ls", "--sort", "size"],
     ["update", "people", "a", "1", "--ack", "most"], ["get", ""], ["ls", "--secret", "short"],
     ["update", "people", "a", "1", "--ttl", "-1"]],
    ids=" ".join,
)  # fmt: skip
def test_wrong_usage_is_2(rxfero: Any, people: str, given: list[str]) -> None:
    more = [] if "--ports" in given else ["--ports", people]
    ended = rxfero(*given, *more)
    assert (ended.status, ended.out) == (2, "")
    assert ended.err.startswith("rxfero: ")


def test_no_secret_is_told_as_the_reason(rxfero: Any, people: str) -> None:
    ended = rxfero("ls", "--ports", people, "--secret", "long enough", "--timeout", "0.2")
    assert ended.status == 3
    assert "refused" in ended.err
    assert "secret" in ended.err


def test_where_to_look_may_be_in_the_environment(
    rxfero: Any, people: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RXFERO_PORTS", people)
    assert rxfero("update", "people", "env", "1").status == 0
    assert rxfero("get", "people", "env").out == "1\n"


def test_the_help_of_a_command(rxfero: Any) -> None:
    ended = rxfero("help", "watch")
    assert ended.status == 0
    for word in ("--since", "--under", "--json", "--ports", "--timeout"):
        assert word in ended.out


# --- what is there


def test_what_is_written_is_read(rxfero: Any, people: str) -> None:
    def run(*given: str) -> Any:
        return rxfero(*given, "--ports", people)

    assert OFFSET.fullmatch(run("update", "people", "alice.email", "a@x.org").out.strip())
    assert OFFSET.fullmatch(json.loads(run("update", "people", "alice.age", "7", "--json").out)["offset"])
    assert json.loads(run("get", "people", "alice").out) == {"email": "a@x.org", "age": 7}
    assert run("get", "people", '["alice", "age"]').out == "7\n"
    assert run("get", "people", "alice.phone").status == 1
    assert run("get", "people", "alice.phone", "--default", "none").out == '"none"\n'
    assert run("update", "people", "alice.age", "-8", "--expect", "7").status == 0
    assert run("update", "people", "alice.age", "9", "--expect", "7").status == 1
    assert run("update", "people", "alice.age", "9", "--expect", "null").status == 1
    assert run("add", "people", "alice", "1").status == 0
    assert run("remove", "people", "alice").status == 0
    assert run("remove", "people", "alice").status == 1
    number = json.loads(run("add", "people", '{"n": 1}', "--json").out)["key"]
    assert json.loads(run("get", "people", f"{number}.n").out) == 1
    assert run("push", "people", "list", "[1, 2]").status == 0
    assert run("push", "people", "list", "text").status == 0
    assert json.loads(run("get", "people", "list").out) == [[1, 2], "text"]
    every = [json.loads(line) for line in run("get", "people", "--json", "--where", "key=list").lines]
    assert every == [{"key": "list", "value": [[1, 2], "text"]}]


def test_changes_of_one_service_are_written_to_another(
    rxfero: Any, people: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(*given: str) -> Any:
        return rxfero(*given, "--ports", people)

    for number in range(3):
        run("update", "people", f"copy.{number}", str(number))
    told = run("history", "people", "copy", "--json")
    assert [json.loads(line)["value"] for line in told.lines] == [0, 1, 2]
    monkeypatch.setattr("sys.stdin", io.StringIO(told.out.replace('"copy"', '"again"') + "\n"))
    assert len(run("set", "people", "-").lines) == 3
    assert json.loads(run("get", "people", "again").out) == {"0": 0, "1": 1, "2": 2}
    monkeypatch.setattr("sys.stdin", io.StringIO('{"key": ["last"], "value": 1}\n[1]\n'))
    ended = run("set", "people", "-")
    assert ended.status == 2
    assert "line 2" in ended.err


def test_changes_are_watched_from_the_state_and_from_an_offset(rxfero: Any, people: str) -> None:
    def run(*given: str) -> Any:
        return rxfero(*given, "--ports", people)

    first = run("update", "people", "w.a", "1").out.strip()
    run("update", "people", "w.b", "2")
    state = run("watch", "people", "--since", "state", "--under", "w", "--count", "1", "--json")
    assert json.loads(state.out)["value"] == {"a": 1, "b": 2}
    later = run("watch", "people", "--since", first, "--under", "w", "--count", "1", "--json")
    assert json.loads(later.out)["key"] == ["w", "b"]
    some = run("watch", "people", "--since", "state", "--where", "key=w", "--count", "1")
    assert some.out.startswith("update\tw\t{")


def test_messages_are_answered(rxfero: Any, people: str) -> None:
    def run(*given: str) -> Any:
        return rxfero("send", "people", *given, "--ports", people)

    assert run("count", "3").lines == ["0", "1", "2"]
    assert json.loads(run("echo", '{"a": 1}', "--key", "b.c").out) == {
        "key": ["b", "c"], "value": {"a": 1},
    }  # fmt: skip
    assert json.loads(run("echo", "text").out) == {"key": None, "value": "text"}
    failed = run("fail")
    assert (failed.status, failed.out) == (1, "")
    assert "as asked" in failed.err
    assert run("nothing").status == 1


def test_no_answer_in_time_is_4(rxfero: Any, people: str) -> None:
    ended = rxfero("send", "people", "slow", "--ports", people, "--timeout", "0.5")
    assert (ended.status, ended.out) == (4, "")
    assert "0.5 s" in ended.err


def test_owners_and_conflicts(rxfero: Any, people: str) -> None:
    owned = rxfero("owners", "people", "a", "b", "--ports", people, "--json")
    rows = [json.loads(line) for line in owned.lines]
    assert [row["key"] for row in rows] == ["a", "b"]
    assert all(row["owner"] and row["address"].startswith("127.0.0.1:") for row in rows)
    none = rxfero("conflicts", "people", "--ports", people, "--json")
    assert (none.status, none.out) == (0, "")
    assert rxfero("history", "people", "never", "--ports", people).status == 1


def test_the_nodes_are_listed(rxfero: Any, people: str) -> None:
    row = json.loads(rxfero("ls", "--json", "--ports", people).out)
    assert (row["service"], row["status"], row["shards"], row["lag"]) == ("people", "alive", 2048, 0)
    assert rxfero("ls", "--json", "--ports", people, "--where", "status!=alive").out == ""
    plain = rxfero("ls", "people", "--ports", people, "--sort", "-keys")
    assert plain.lines[0].startswith("service\tname")
    table = rxfero("ls", "--table", "--ports", people)
    assert row["name"] in table.out
    assert "\t" not in table.out
