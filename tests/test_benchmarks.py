"""The benchmarks: their arithmetic, and that each runs with a tiny load."""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from benchmarks import (
    beside,
    brokers,
    command,
    commit,
    figures,
    growth,
    join,
    journal,
    latency,
    loads,
    nodes,
    npm,
    passing,
    plots,
    processes,
    sink,
    soak,
    speed,
    starts,
    streams,
    where,
    worker,
)
from rxfero import fero

ROOT = Path(__file__).parent.parent


def test_percentiles_are_linear_between_neighbours() -> None:
    ordered = [float(n) for n in range(1, 102)]
    assert [figures.percentile(ordered, p) for p in (0, 50, 99, 100)] == [1.0, 51.0, 100.0, 101.0]
    assert figures.percentile([1.0, 2.0], 25) == 1.25
    assert figures.percentile([7.0], 99.99) == 7.0
    for values, percent in (([], 50), ([1.0], -1), ([1.0], 101)):
        with pytest.raises(ValueError, match="percentile"):
            figures.percentile(values, percent)


def test_a_spread_is_in_microseconds_and_ordered() -> None:
    found = figures.spread([3e-6, 1e-6, 2e-6])
    assert list(found) == ["mean", "p10", "p50", "p90", "p99", "p99.9", "p99.99"]
    assert found["mean"] == pytest.approx(2.0)
    assert found["p50"] == pytest.approx(2.0)
    assert found["p10"] < found["p90"] < found["p99.99"]


def test_lists_give_every_permutation() -> None:
    assert figures.permutations(bytes=[10, 100], servers=[1, 2]) == [
        {"bytes": 10, "servers": 1}, {"bytes": 10, "servers": 2},
        {"bytes": 100, "servers": 1}, {"bytes": 100, "servers": 2},
    ]  # fmt: skip
    assert figures.wholes("10,100,1_000") == [10, 100, 1000]


@pytest.mark.parametrize("text", ["", "0", "-1", "1.5", "ten", "1,,2"])
def test_what_is_no_positive_number_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        figures.wholes(text)


def test_ratios_are_of_pairs_and_medians_of_columns() -> None:
    ours, theirs = [{"a": 4.0}, {"a": 9.0}, {"a": 1.0}], [{"a": 2.0}, {"a": 3.0}, {"a": 1.0}]
    pairs = figures.ratios(ours, theirs, ["a"])
    assert [pair["a"] for pair in pairs] == [2.0, 3.0, 1.0]
    assert figures.medians(pairs) == {"a": statistics.median([2.0, 3.0, 1.0])}
    with pytest.raises(ValueError, match="argument 2"):
        figures.ratios(ours, theirs[:1], ["a"])


def test_a_table_has_a_column_a_figure_and_a_dash_for_none() -> None:
    lines = figures.table([{"who": "a", "n": 1234567.0}, {"who": "bb", "x": 0.5}]).splitlines()
    assert lines[0].split() == ["who", "n", "x"]
    assert lines[2].split() == ["a", "1,234,567", "-"]
    assert lines[3].split() == ["bb", "-", "0.500"]


def test_free_ports_are_a_range_that_can_be_bound() -> None:
    first, last = processes.free_ports(3)
    assert last - first == 2
    for port in range(first, last + 1):
        with socket.socket() as probe:
            probe.bind((processes.HOST, port))


async def _all(results: AsyncGenerator[dict[str, Any], None]) -> list[dict[str, Any]]:
    return [result async for result in results]


class _Fails(processes.Cast):
    """An original of which every run fails."""

    def __init__(self) -> None:
        super().__init__(Path("nowhere"))


async def test_a_run_of_the_original_that_fails_is_repeated_and_counted() -> None:
    left = 2

    async def once(cast: processes.Cast, case: dict[str, int]) -> dict[str, float]:
        nonlocal left
        if cast.modules is not None and left:
            left -= 1
            raise processes.WorkerFailed("silent")
        return {"rate": 8.0 if cast.modules is None else 2.0}

    casts = [processes.Cast(), _Fails()]
    (found,) = await _all(command.compare(once, [{"bytes": 1}], casts, 3, ["rate"]))
    assert found["failed"] == {"original": 2}
    assert found["ratio"] == {"rate": 4.0}
    assert "original: 2 runs failed" in command.show([found], ["rate"])


async def test_an_original_that_always_fails_is_left_out_and_rxfero_may_not_fail() -> None:
    async def once(cast: processes.Cast, case: dict[str, int]) -> dict[str, float]:
        if cast.modules is not None:
            raise processes.WorkerFailed("silent")
        return {"rate": 1.0}

    casts = [processes.Cast(), _Fails()]
    (found,) = await _all(command.compare(once, [{"bytes": 1}], casts, 2, ["rate"]))
    assert "ratio" not in found
    assert list(found["medians"]) == ["rxfero"]

    async def ours(cast: processes.Cast, case: dict[str, int]) -> dict[str, float]:
        raise processes.WorkerFailed("silent")

    with pytest.raises(processes.WorkerFailed):
        await _all(command.compare(ours, [{"bytes": 1}], [processes.Cast()], 1, ["rate"]))


def test_a_failure_keeps_the_cases_before_it(capsys: pytest.CaptureFixture[str]) -> None:
    async def once(cast: processes.Cast, case: dict[str, int]) -> dict[str, float]:
        if case["bytes"] == 2:
            raise processes.WorkerFailed("silent")
        return {"rate": 7.0}

    options = command.parser("speed", "").parse_args(["--json", "--runs", "2"])
    cases = [{"bytes": 1}, {"bytes": 2}, {"bytes": 3}]
    assert command.perform(options, once, cases, ["rate"], ["rate"]) == 1
    told = capsys.readouterr()
    (result,) = json.loads(told.out)["results"]
    assert result["medians"] == {"rxfero": {"rate": 7.0}}
    assert "error: silent" in told.err


async def test_without_node_the_original_is_skipped_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(npm.Unavailable, match="node is not installed"):
        await npm.install()
    options = command.parser("speed", "").parse_args(["--original"])
    casts = await command.casts_of(options)
    assert [cast.name for cast in casts] == ["rxfero"]
    assert "skipped: node is not installed" in capsys.readouterr().err


async def test_a_package_that_is_there_is_not_installed_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    package = tmp_path / "node_modules" / "fero" / "package.json"
    package.parent.mkdir(parents=True)
    package.write_text("{}")
    node = tmp_path / "node"
    node.write_text("")
    node.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("RXFERO_BENCHMARKS", str(tmp_path))
    assert await npm.install() == tmp_path / "node_modules"


async def test_a_worker_that_dies_or_stays_silent_is_told_of() -> None:
    async def begin(code: str, timeout_s: float) -> processes.Worker:
        process = await processes.asyncio.create_subprocess_exec(
            sys.executable, "-c", code, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        return processes.Worker(process, timeout_s)

    for code, limit, told in (
        ("print('chatter')", 20.0, "ended before its ready"),
        ("print('{\"is\": \"failed\", \"error\": \"E7\"}')", 20.0, "E7"),
        ("input()", 0.1, "no ready within 0.1 s"),
    ):
        worker = await begin(code, limit)
        with pytest.raises(processes.WorkerFailed, match=told):
            await worker.hear("ready")
        await worker.end()
        assert worker.process.returncode is not None


async def test_of_a_flood_on_stderr_the_last_lines_are_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code = "import sys; [print(f'line {n}', file=sys.stderr) for n in range(5000)]; print('{}')"
    process = await processes.asyncio.create_subprocess_exec(
        sys.executable, "-c", code, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )  # fmt: skip
    worker = processes.Worker(process, 20.0)
    with pytest.raises(processes.WorkerFailed, match="ended before its ready"):
        await worker.hear("ready")
    await worker.end()
    told = capsys.readouterr().err.splitlines()
    assert told[0] == "(4,980 lines before these)"
    assert told[1:] == [f"line {n}" for n in range(4980, 5000)]


def _run(module: str, *arguments: str) -> Any:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", f"benchmarks.{module}", *arguments]
    done = subprocess.run(
        [*command, "--runs", "1", "--timeout", "30"],
        capture_output=True, text=True, env=environment, cwd=ROOT, timeout=60, check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_speed_reports_every_permutation() -> None:
    results = json.loads(_run("speed", "-m", "10,100", "-r", "300", "--json"))["results"]
    assert [result["case"]["bytes"] for result in results] == [10, 100]
    for result in results:
        median = result["medians"]["rxfero"]
        assert all(median[ack] > 0 for ack in ("tacks", "yacks", "sacks", "sacks MB/s"))
        assert median["client MiB"] > 1 or sys.platform == "win32"


def test_latency_is_never_below_the_bare_echo() -> None:
    (result,) = json.loads(_run("latency", "-r", "50", "--json"))["results"]
    median = result["medians"]["rxfero"]
    assert 0 < median["reply p10"] <= median["reply p50"] <= median["reply p99.99"]
    assert median["reply / bare"] > 1
    assert 0 < median["bare p10"] <= median["bare p50"]


def test_commit_sees_its_updates_with_each_copy_that_there_are_servers_for() -> None:
    shown = _run("commit", "-r", "200", "-c", "1,2").splitlines()
    assert shown[0].split()[:5] == ["who", "records", "bytes", "servers", "copies"]
    assert [line.split()[3:5] for line in shown[2:5]] == [["1", "0"], ["2", "0"], ["2", "1"]]


def test_a_copy_more_than_there_are_servers_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        commit.main(["-c", "1", "--copies", "1"])
    assert ended.value.code == 2
    assert "as many copies more as servers" in capsys.readouterr().err


async def test_keys_are_those_of_the_server_written_to_or_those_of_the_others() -> None:
    ports = processes.free_ports(2)
    async with (
        fero("keys", ports=ports) as first,
        fero("keys", ports=ports) as second,
        fero("keys", ports=ports, client=True) as client,
    ):
        for server in (first, second):
            await server.stable(2)
        await client.stable(2)
        await client.connected(1)
        (peer,) = client.peers.lists.connected
        door, other = (first, second) if peer.id == first.id else (second, first)
        for writer in (client, door):
            straight, far = (worker.owned(writer, 20, others) for others in (False, True))
            assert len({*straight, *far}) == 40
            assert all(door.peers.owner(key) == door.peers.me for key in straight)
            assert all(other.peers.owner(key) == other.peers.me for key in far)
        await second.destroy()
        await first.stable(1)
        with pytest.raises(RuntimeError, match="0 keys found, not 5, with 1 servers"):
            worker.owned(first, 5, True)


def test_passing_has_a_ratio_a_writer_and_figure(capsys: pytest.CaptureFixture[str]) -> None:
    assert passing.main(["-r", "50", "--runs", "1", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    named = [(row["writer"], row["figure"]) for row in rows]
    assert named == [(w, f) for w in passing.WRITERS for f in passing.FIGURES]
    assert all(row["ratio"] == row["passed on"] / row["straight"] for row in rows)


def test_a_ratio_of_what_is_passed_on_is_that_of_pairs() -> None:
    pairs = [({"a": 4.0}, {"a": 2.0}), ({"a": 1.0}, {"a": 3.0}), ({"a": 2.0}, {"a": 2.0})]
    row = passing.judged("client", "a", pairs)
    assert [row[name] for name in ("straight", "passed on")] == [2.0, 2.0]
    assert [row[name] for name in ("ratio", "lowest", "highest")] == [1.0, 0.5, 3.0]


def test_nodes_are_measured_on_sockets_simulated_and_as_rings(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["--process", "1,2", "--simulated", "1,3", "--ring", "2,5", "-r", "10", "--idle", "1"]
    assert nodes.main([*words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    sizes = {where: [row["nodes"] for row in rows] for where, rows in found.items()}
    assert sizes == {"process": [1, 2], "simulated": [1, 3], "ring": [2, 5]}
    for row in (*found["process"], *found["simulated"]):
        assert row["update / node"] * row["nodes"] == pytest.approx(row["update cpu us"])
    alone, three = found["simulated"]
    assert alone["frames/s"] == 0 < three["frames/s"]
    assert 0 < found["ring"][1]["moved %"] < found["ring"][0]["moved %"] < 100


def test_a_budget_ends_a_world_and_says_what_was_left_out(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["--process", "1", "--simulated", "1,50", "--ring", "1", "-r", "5", "--idle", "0.1"]
    assert nodes.main([*words, "--budget", "1e-9", "--json"]) == 0
    told = capsys.readouterr()
    last = json.loads(told.out)["simulated"][-1]
    assert (last["nodes"], "budget" in last["left out"]) == (1, True)
    assert "left out" in told.err


@pytest.mark.parametrize("module", [speed, latency, commit])
def test_bad_options_end_with_a_usage(module: Any, capsys: pytest.CaptureFixture[str]) -> None:
    for bad in (["-m", "0"], ["-r", "many"], ["--runs", "0"], ["--warm", "-1"], ["--unknown"]):
        with pytest.raises(SystemExit) as ended:
            module.main(bad)
        assert ended.value.code == 2
    assert "usage: python -m benchmarks." in capsys.readouterr().err


def test_the_journal_is_measured_both_ways(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--records", "10", "--batch", "3", "--runs", "1", "--dir", str(tmp_path)]
    assert journal.main([*arguments, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found) == {"files", "sqlite", "files / sqlite"}
    assert all(value > 0 for value in found.values())
    assert journal.main(arguments) == 0
    assert "records/s" in capsys.readouterr().out


def test_streams_are_measured_beside_the_plain_ways(capsys: pytest.CaptureFixture[str]) -> None:
    assert streams.main(["-r", "1000", "--runs", "1", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["what"] for row in rows} == set(streams.ROWS)
    assert all(row["rxfero ns"] > 0 and row["its ns"] > 0 and row["ratio"] > 0 for row in rows)
    assert streams.main(["-r", "10", "--runs", "1"]) == 0
    assert "asyncio.Queue" in capsys.readouterr().out


def test_a_slope_is_that_of_the_line_with_the_least_squares() -> None:
    assert soak.slope([(0.0, 1.0), (1.0, 3.0), (2.0, 5.0)]) == pytest.approx(2.0)
    assert soak.slope([(0.0, 1.0), (1.0, 1.0), (2.0, 1.0)]) == 0.0
    assert soak.slope([(1.0, 5.0)]) == soak.slope([]) == 0.0


def test_a_soak_while_others_come_and_go(capsys: pytest.CaptureFixture[str]) -> None:
    assert soak.main(["--minutes", "0.08", "--every", "0.5", "--rate", "200", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["writes"] > 0
    assert told["joins"] > 0
    assert told["equal"]
    assert [one["process"] for one in told["processes"]] == ["server 1", "server 2", "client"]
    for one in told["processes"]:
        assert one["samples"] > 0
        assert one["tasks"] > 0
        assert one["rss MiB"] > 0


def test_a_sink_that_is_slow_slows_its_source_or_is_read_from_the_log(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert sink.main(["--seconds", "3", "--rate", "1000", "--size", "100", "--json"]) == 0
    rows = {(row["load"], row["process"]): row for row in json.loads(capsys.readouterr().out)}
    assert rows["changes", "sink"]["waited at most"] <= sink.WAITING
    slow, fast = rows["changes", "sink"]["items a s"], rows["changes", "reader"]["items a s"]
    assert 0 < slow * 10 < fast
    asked, handled = rows["messages", "source"], rows["messages", "server"]
    assert 0 < handled["waited at most"] <= sink.WINDOW
    assert asked["items a s"] < 1000, "it could send many times as many"


def test_what_grew_or_waited_beyond_its_bound_is_told() -> None:
    row = {"rss MiB": 10.0, "rss MiB at the end": 12.0, "waited at most": 5}
    assert sink.within([row], 2)
    assert not sink.within([row, {**row, "rss MiB at the end": 12.5}], 2)
    assert not sink.within([{**row, "waited at most": sink.WAITING + 1}], 2)


@pytest.mark.parametrize("wrong", [["--minutes", "0"], ["--every", "-1"], ["--warm", "1"], ["--rate", "x"]])
def test_a_soak_that_cannot_be_is_refused(wrong: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        soak.main(wrong)
    assert ended.value.code == 2


def test_all_of_them_are_run_saved_and_drawn(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--loads", "tiny", "--save", str(tmp_path)],
        capture_output=True, text=True, env=environment, cwd=ROOT, timeout=80, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for title in ("sacks", "commits", "reply p50", "emit to one observer"):
        assert title in done.stdout
    kept = json.loads((tmp_path / "benchmarks.json").read_text(encoding="utf-8"))
    assert kept["command"] == "python -m benchmarks --loads tiny"
    assert set(kept) == {"command", "machine", "speed", "commit", "latency", "streams"}
    drawn = (tmp_path / "benchmarks.svg").read_text(encoding="utf-8")
    assert "<svg" in drawn
    assert (tmp_path / "benchmarks.png").read_bytes().startswith(b"\x89PNG")


def test_a_load_that_there_is_not_is_refused_and_the_others_are_listed() -> None:
    assert loads.chosen([]) == list(loads.DRAWN)
    assert loads.chosen(["growth", "speed", "growth"]) == ["growth", "speed"]
    assert loads.chosen(["growth", "all"])[0] == "growth"
    assert sorted(loads.chosen(["all"])) == sorted(loads.LOADS)
    with pytest.raises(ValueError, match="no load 'sped'; there are all, speed, commit"):
        loads.chosen(["speed", "sped"])


def test_every_benchmark_is_a_load() -> None:
    commands = {
        path.stem
        for path in (ROOT / "benchmarks").glob("*.py")
        if "\ndef main(arguments" in path.read_text(encoding="utf-8")
    }
    assert commands - {"__main__"} == set(loads.LOADS)
    assert all(row["what"] for row in loads.listed())


def test_tables_are_of_whatever_a_load_tells() -> None:
    assert loads.rendered([{"a": 1}]).split() == ["a", "-", "1"]
    told = loads.rendered({"n": 3, "of": {"a": 1}, "rows": [{"b": 2}], "none": []})
    assert told.split("\n\n")[0].split() == ["n", "-", "3"]
    assert told.split("\n\n")[2].split()[:2] == ["rows", "b"]
    assert "none" not in told


def test_a_load_that_fails_leaves_the_others() -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", "import sys; from benchmarks import loads, __main__ as all_\n"
         "loads.LOADS['where'] = loads.Load('-r 0', '', '')\n"
         "sys.exit(all_.main(['where', 'counts', '--loads', 'tiny', '--json']))"],
        capture_output=True, text=True, env=environment, cwd=ROOT, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert "where failed: exit status 2" in done.stderr
    assert set(json.loads(done.stdout)) == {"command", "machine", "counts"}


def test_growth_is_drawn_an_axis_a_panel(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    rows = [{"axis": a, "value": v, "cpu us": 30.0} for a in ("keys", "bytes") for v in (10, 1000)]
    svg, png = plots.curves(rows, tmp_path / "growth", "a caption")
    assert png.read_bytes().startswith(b"\x89PNG")
    assert [plots.numbered(value) for value in (1, 100, 1000, 10_000_000)] == ["1", "100", "1e3", "1e7"]
    first = svg.read_bytes()
    plots.curves(rows, tmp_path / "growth", "a caption")
    assert svg.read_bytes() == first


def test_a_plot_shows_what_there_is(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    percentiles = {f"{what} {p}": 5.0 for what in ("reply", "bare") for p in plots.PERCENTILES}
    case = {"records": 1, "bytes": 10, "servers": 1, "clients": 1}

    def of(figures: dict[str, float], *who: str) -> dict[str, Any]:
        return {"results": [{"case": case, "medians": dict.fromkeys(who, figures)}]}

    found = {
        "speed": of({"sacks": 1234567.0}, "rxfero", "original"),
        "commit": of({"commits": 77.0}, "rxfero"),
        "latency": of(percentiles, "rxfero", "original"),
        "streams": [
            {"what": "filter and map", "rxfero ns": 400.0, "beside": "RxPY", "its ns": 900.0}
        ],
    }
    assert plots.series(found["speed"]["results"], "sacks") == {
        "rxfero": [1234567.0], "original": [1234567.0],
    }  # fmt: skip
    svg, png = plots.overview(found, tmp_path / "plot", "a caption")
    assert (svg.name, png.name) == ("plot.svg", "plot.png")
    first = svg.read_bytes()
    plots.overview(found, tmp_path / "plot", "a caption")
    assert svg.read_bytes() == first  # the same figures, the same file
    assert [plots.short(v) for v in (None, 0.5, 12.0, 9499.0, 9500.0, 1234567.0)] == [
        "-", "0.50", "12", "9,499", "10k", "1,235k",
    ]  # fmt: skip


def test_a_goal_is_judged_by_the_median_of_its_pairs() -> None:
    pairs = [({"a": 8.0}, {"b": 4.0}), ({"a": 9.0}, {"b": 3.0}), ({"a": 1.0}, {"b": 1.0})]
    row = beside.judged(beside.Goal("a", "b", 2.0), pairs)
    assert [row[name] for name in ("ratio", "lowest", "highest", "pairs")] == [2.0, 1.0, 3.0, 3]
    assert (row["goal"], row["reached"]) == (">= 2x", "yes")
    assert beside.judged(beside.Goal("a", "b", 1.9, at_most=True), pairs)["reached"] == "no"
    assert beside.judged(beside.Goal("a", "b", None), pairs)["reached"] is None


def test_what_is_beside_us_runs_or_says_why_not(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--only", "uvloop", "--runs", "1", "--scale", "0.001", "--json"]
    assert beside.main(words) == 0
    rows = json.loads(capsys.readouterr().out)
    ours = next(row for row in rows if row["against"] == "bare uvloop echo")
    assert 1 < ours["ratio"] == ours["ours"] / ours["theirs"]
    assert all(row["ratio"] > 0 if "ratio" in row else row["reached"].startswith("skipped: ") for row in rows)


async def test_what_is_beside_us_is_measured_as_by_itself() -> None:
    cast = processes.Cast(timeout_s=30)
    ways = {"commits": beside.commits_of(cast, 50), "sacks": beside.speed_of(cast, 10, 50)}
    for figure, way in ways.items():
        assert (await way())[figure] > 0


async def test_a_broker_that_is_not_there_or_does_not_listen_is_unavailable() -> None:
    with pytest.raises(npm.Unavailable, match="not installed"):
        async with brokers.broker("rxfero-no-such-server"):
            pass
    with pytest.raises(npm.Unavailable, match="did not begin"):
        async with brokers.broker(sys.executable, "-c", "pass"):
            pass


def test_a_joining_server_is_timed_and_a_record_weighed(capsys: pytest.CaptureFixture[str]) -> None:
    assert join.main(["-r", "1000", "--runs", "1", "--json"]) == 0
    (result,) = json.loads(capsys.readouterr().out)["results"]
    median = result["medians"]["rxfero"]
    assert median["joined"] == pytest.approx(1000 / median["join s"])
    assert median["RSS B"] > 100 or sys.platform == "win32", "its value alone is as large"


def test_growth_has_a_row_a_point(capsys: pytest.CaptureFixture[str]) -> None:
    axes = {"keys": "100", "bytes": "10,1e5", "observers": "2", "servers": "2", "clients": "2"}
    words = [word for axis, values in axes.items() for word in (f"--{axis}", values)]
    assert growth.main([*words, "-r", "40", "--runs", "1", "--json"]) == 0
    rows = {(row["axis"], row["value"]): row for row in json.loads(capsys.readouterr().out)}
    assert len(rows) == 6
    assert all(row["us"] > 0 and row["cpu us"] > 0 for row in rows.values())
    assert rows["servers", 2]["cpu / unit"] * 2 == pytest.approx(rows["servers", 2]["cpu us"])
    assert rows["bytes", 100_000]["cpu / unit"] is None


def test_growth_of_a_server_alone_along_one_axis(capsys: pytest.CaptureFixture[str]) -> None:
    assert growth.main(["--axes", "keys", "--keys", "50,1e3", "--alone", "--runs", "2", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [(row["axis"], row["value"]) for row in rows] == [("keys", 50), ("keys", 1000)]
    with pytest.raises(SystemExit):
        growth.main(["--axes", "keys,size"])
    assert "no axis 'size'; there are keys, bytes" in capsys.readouterr().err


def test_a_point_has_records_enough_for_a_busy_machine() -> None:
    large = {**growth.STANDARD, "bytes": 1_000_000}
    assert growth.amount(large, 20_000) == growth.RECORDS_MIN
    assert growth.amount({**growth.STANDARD, "clients": 100}, 20_000) == 200
    assert growth.amount({**growth.STANDARD, "clients": 0}, 20_000) == 20_000


def test_starts_are_all_measured(capsys: pytest.CaptureFixture[str]) -> None:
    assert starts.main(["--runs", "1", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["what"] for row in rows] == list(starts.WAYS)
    assert all(row["lowest"] <= row["median"] <= row["highest"] for row in rows)


def test_a_profile_says_where_all_of_the_time_went(capsys: pytest.CaptureFixture[str]) -> None:
    assert where.main(["-r", "200", "--json"]) == 0
    for rows in json.loads(capsys.readouterr().out).values():
        assert sum(row["share %"] for row in rows) == pytest.approx(100)
        assert any(row["stage"] == "rxfero/node.py" or "others" in row["stage"] for row in rows)
        assert all(row["stage"] != "rxfero/errors.py" for row in rows), "a load that was refused"
