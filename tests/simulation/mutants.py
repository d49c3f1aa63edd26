"""The mutants: one defect each in the protocol's core, and how soon the simulation notices.

``python -m tests.simulation.mutants`` plants every defect of :data:`MUTANTS` in a process of its own
(in memory, by an import hook: nothing on the disk changes), runs seeds of the campaign until one
breaks a promise, or plays the scene that was made for it, or a file of the tests, and prints a
table. A defect that nothing notices is a hole in the net: the exit status is 1. With names as arguments it does only those; ``--seeds N`` bounds the seeds for each.

Where a second net would catch what the first lets through, the settings turn the second one off.
"""

from __future__ import annotations

import argparse
import importlib.abc
import importlib.machinery
import io
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout
from pathlib import Path
from types import CodeType
from typing import Any, NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
SEEDS = 60
SECONDS = 12.0  # of load in a seed


class Mutant(NamedTuple):
    """One defect: `old` must occur once in the module."""

    name: str
    rule: str
    module: str
    old: str
    new: str
    settings: dict[str, Any] = {}
    suite: str = ""  # a test file, run instead of seeds
    scene: str = ""  # of `scenes` or `test_scenarios`, played instead of seeds


VOTERS = {"quorum": True}
DISKS = {"disks": 9, "retain": False}
BARE = {"disks": 0, "retain": False}
SLOW_DISKS = {
    **VOTERS, "servers": 3, "faults": ["crash", "link", "oneway"], "pace": 3.0, "fsync": 0.6,
}  # fmt: skip
HARSH = {"faults": ["split", "link", "oneway", "crash", "pause"], "pace": 2.0}
LONG = {  # splits that last until each side takes the other for dead
    **BARE, "faults": ["split", "alone"], "servers": 3, "clients": 1, "pace": 0.3, "handled": False,
}  # fmt: skip
BELOW = "what_is_below_a_promise_changes_nothing"
BESIDE = "a_record_that_does_not_match_is_answered_with_the_history"

MUTANTS = [
    Mutant("terms are not unique", "R1", "succession",
           "term = Term(self._counter, cluster.boot)", "term = Term(self._counter, 1)", HARSH),
    Mutant("an old owner's records are taken", "R2", "follower",
           "                if fence < shard.promised:\n                    fenced",
           "                if False:\n                    fenced", {**BARE, **HARSH}),
    Mutant("a lower term is promised", "R2", "succession",
           "                fenced.append([number, shard.promised])\n                continue\n",
           "                shard.promised = term\n", {**BARE, **HARSH}),
    Mutant("an owner stays one when it promises another", "R2", "shard",
           "        self.role, self.owner = FOLLOWER, None\n        return lost",
           "        return lost", HARSH),
    Mutant("records follow whatever stands before them", "R3", "shard",
           "                record.origin == (log.last_term, log.end) and record.term > log.last_term",
           "                record.term > log.last_term", {**BARE, **HARSH}),
    Mutant("the longest log wins, whatever its term", "R4", "takeover",
           "head > best[0]:", "head.end > best[0].end:", suite="core/test_takeover.py"),
    Mutant("a takeover fetches nothing", "R4", "takeover",
           "if donor == self.name or head <= (shard.log.last_term, shard.log.end):", "if True:",
           {**VOTERS, **HARSH}),
    Mutant("one promise is a majority", "R4", "takeover",
           "self._quorum.heard(self._given) >= self._quorum.need",
           "self._quorum.heard(self._given) >= 1", {**VOTERS, **HARSH}),
    Mutant("a promise is given before it is on the disk", "R4", "succession",
           "if cluster.quorum is None or cluster.journal is None:", "if True:",
           scene="a promise on its way to the disk"),
    Mutant("a promise is forgotten over a restart", "R4", "journal",
           "            shard.promised = max(shard.promised, Term.read(term))\n",
           "            pass\n", scene="a promise on the disk"),
    Mutant("what is logged counts as committed", "R5", "levels",
           "            end = shard.prefix.commit\n", "            end = shard.log.end\n",
           {**VOTERS, **HARSH}),
    Mutant("one disk is a majority", "R5", "quorum",
           "sorted(ends, reverse=True)[self.need - 1]", "sorted(ends, reverse=True)[0]",
           {**VOTERS, **HARSH}),
    Mutant("what is in memory counts as on the disk", "R5", "cluster",
           "min(shard.synced, shard.matched) for shard", "shard.matched for shard",
           SLOW_DISKS),
    Mutant("what is on the disk counts, whatever it is", "R5", "cluster",
           "min(shard.synced, shard.matched) for shard", "shard.synced for shard",
           suite="core/test_histories.py"),
    Mutant("records of an earlier term are committed alone", "R5", "levels",
           "if to > prefix.commit and to >= shard.log.hist[-1][1]:", "if to > prefix.commit:",
           suite="core/test_levels.py"),
    Mutant("followers commit what they cannot match", "R5", "follower",
           "cluster.commit(shard, min(shard.prefix.heard, shard.matched))",
           "cluster.commit(shard, shard.prefix.heard)", {**VOTERS, **HARSH}),
    Mutant("a suffix that is undone is forgotten", "R6", "catchup",
           "            shard.branches.append(kept)\n", "            pass\n", {**BARE, **HARSH}),
    Mutant("a state that is undone is forgotten", "R6", "catchup",
           "            shard.dumps.append([shard.dump(), [_head(log)]])\n", "            pass\n",
           {**BARE, **HARSH, "history": 16}),
    Mutant("a branch is not kept over a restart", "R6", "journal",
           "        shard.branches = [columns.read(body, 1 << 30).records for body in branches]\n",
           "", suite="core/test_journal.py"),
    Mutant("a branch is offered once", "R7", "branches",
           "    return kept[0][:MERGED_AT_ONCE] if kept else []",
           "    shard.branches = []\n    return kept[0][:MERGED_AT_ONCE] if kept else []",
           suite="core/test_branches.py"),
    Mutant("all below a merged record is covered", "R8", "shard",
           "if any(lo <= number <= hi for lo, hi", "if any(number <= hi for lo, hi",
           suite="core/test_branches.py"),
    Mutant("a merge does not look for what is there already", "R8", "branches",
           "= record.hlc\n                continue\n            yield self.outcome(record)\n        if fresh",
           "= record.hlc\n            yield self.outcome(record)\n        if fresh",
           HARSH),
    Mutant("a session's later write can lose to its earlier one", "R9", "branches",
           "    if one.sid == other.sid:\n        return one.seq > other.seq\n", "",
           suite="core/test_branches.py"),
    Mutant("a repeated write is written again", "R10", "owner",
           "        if not shard.sessions.is_next(sid, seq):", "        if False:", HARSH),
    Mutant("of many writes a repeated one is written again", "R10", "shard",
           "if not self.sessions.take(sid, seq, number, hlc):\n            return None",
           "if self.sessions.take(sid, seq, number, hlc) is None:\n            return None", HARSH),
    Mutant("of many writes some are logged where another owns", "R2", "owner",
           "mine = shard.role == OWNER", "mine = True", suite="core/test_owner.py"),
    Mutant("a live record of another term is followed", "R3", "shard",
           "number != log.end + 1 or term != log.last_term or kind", "number != log.end + 1 or kind",
           suite="core/test_shard.py"),
    Mutant("live records are followed whoever owns them", "R2", "follower",
           "s.owner == owner and s.promised == batch.fence", "s.owner == owner",
           suite="core/test_follower.py"),
    Mutant("answers to many writes do not wait for copies", "R5", "owner",
           "            if at_once:\n", "            if True:\n", suite="core/test_owner.py"),
    Mutant("a write for a hole of a merge undoes newer ones", "R10", "owner",
           '            late = verdict == "hole"\n', "            late = False\n",
           suite="core/test_owner.py"),
    Mutant("history is forgotten that some do not have", "R13", "replica",
           "                point = min(point, shard.stable)\n", "", {**HARSH, "history": 16}),
    Mutant("history is forgotten that readers have not seen", "I15", "replica",
           "                point = min(point, shard.prefix.number)  # I15",
           "                pass  # I15", {**VOTERS, **HARSH, "history": 16}),
    Mutant("an owner answers a read without asking the voters", "R16", "reads",
           "quorum.heard((*read.voices, cluster.name)) >= quorum.need", "True",
           suite="core/test_reads.py"),
    Mutant("a client hears of sessions beyond what it is shown", "R6", "shard",
           "self.prefix.sessions if seen and self.prefix else self.sessions", "self.sessions",
           suite="core/test_quorum.py"),
    Mutant("an answer outlives what it stood for", "R10", "owner",
           "            shelf.forget(number)  # what it logged has been undone since\n",
           "            self._repeat_served(inbound, known)\n            return\n",
           {**VOTERS, **HARSH, "handled": True}),
    Mutant("too few copies are enough", "I11", "levels",
           "return matches[level - 1] if len(matches) >= level else 0",
           "return shard.log.end", {**BARE, "faults": ["crash"], "pace": 2.0}),
    Mutant("too few disks are enough", "I11", "levels",
           "return ends[disks - 1] if len(ends) >= disks else 0", "return shard.log.end",
           suite="core/test_levels.py"),
    Mutant("a term is made again", "R1", "succession",
           "self._counter = max(self._counter, highest) + 1",
           "self._counter = max(self._counter, 1)", HARSH),
    Mutant("records below a promise are followed", "R2", "follower",
           """if fence < shard.promised:
                    fenced[number] = shard.promised
                    continue
                if cluster.promise(shard, fence):""",
           "if fence > shard.promised and cluster.promise(shard, fence):", scene=BELOW),
    Mutant("snapshots below a promise are taken", "R2", "follower",
           """cluster.client and fence < shard.promised:
            cluster.say(source, frame.FENCED, [[number, shard.promised]])
            return""",
           "cluster.client and fence < shard.promised:\n            fence = shard.promised",
           scene=BELOW),
    Mutant("a candidate below a promise is granted it", "R2", "succession",
           "if term < shard.promised:\n                fenced",
           "if False:\n                fenced", scene=BELOW),
    Mutant("records of any term follow", "R3", "shard",
           """if record.term == log.last_term if record.kind != TERM else (
                record.origin == (log.last_term, log.end) and record.term > log.last_term
            ):""",
           "if record.term >= log.last_term:", {**BARE, **HARSH}),
    Mutant("what comes after a gap counts as known", "R3", "shard",
           "if number > log.end:\n            return MISSES",
           "if number > log.end:\n            return KNOWN", scene=BESIDE),
    Mutant("another record counts as known", "R3", "shard",
           "if number <= log.base or log.term_at(number) == record.term:",
           "if number <= log.end:", scene=BESIDE),
    Mutant("the shortest log wins", "R4", "takeover",
           "if best is not None and head > best[0]:", "if best is not None and head < best[0]:",
           {**VOTERS, **HARSH}),
    Mutant("an answer does not wait for copies", "R5", "levels",
           "if (self._commit_waits or level != COMMIT) and self.reach(shard, level) < at:",
           "if self._commit_waits and self.reach(shard, level) < at:",
           {**BARE, "faults": ["crash", "alone"], "servers": 3}),
    Mutant("a merge does not say what it covers", "R8", "branches",
           "if fresh:\n            yield", "if False:\n            yield", LONG),
    Mutant("the older write wins a merge", "R9", "branches",
           "if overlaps(other.path, path) and newer(self._dated(other), record):",
           "if overlaps(other.path, path) and newer(record, self._dated(other)):",
           suite="core/test_branches.py"),
    Mutant("a write that was sent again counts as new", "R9", "branches",
           "return record if first is None or first >= record.hlc else", "return record if True else",
           suite="core/test_branches.py"),
    Mutant("what was asked over a lost link is not asked again", "R4", "succession",
           "if takeover.asking and name in takeover.silent:", "if False:",
           suite="core/test_succession.py"),
    Mutant("who follows a quiet shard is taken for one that has nothing", "R3", "histories",
           "if term.boot == member.boot and shard.log.last_term == term:", "if False:",
           suite="core/test_histories.py"),
    Mutant("who begins to follow is not told what is committed", "R5", "levels",
           "        if commits:\n", "        if False:\n",
           suite="core/test_levels.py"),
    Mutant("the last server goes while others join", "R14", "replica",
           "return JOINING not in states", "return True",
           suite="testing/test_machine.py"),
    Mutant("a gap in a session's numbers is not asked for", "R10", "sessions",
           'return "gap"\n        return', 'return "next"\n        return',
           scene="a_gap_in_the_numbers_is_filled_before_what_follows_it"),
    Mutant("a duplicate counts as new", "R10", "sessions",
           'return "duplicate" if session.has(seq) else "hole"', 'return "next"',
           scene="a_number_that_came_twice_has_one_effect_and_the_same_answer"),
    Mutant("every gap rewinds", "R11", "requests",
           "if now - self._rewound.get(call.shard, -REWIND_S) < REWIND_S:", "if False:",
           suite="core/test_requests.py"),
    Mutant("nothing is retained", "R12", "retained",
           "while len(calls) > records or held > size:", "while calls:",
           suite="core/test_requests.py"),
    Mutant("a server is in the ring before it has caught up", "R14", "replica",
           "if any(m.linked for m in alive) and not owing:", "if True:",
           scene="a_joiner_is_in_the_ring_when_it_has_all_that_was_there"),
    Mutant("what a broken link has lost is not sent again", "R3", "catchup",
           "self.miss(shard.id, known + 1)", "pass",
           scene="what_a_broken_link_has_lost_comes_by_a_third_server"),
    Mutant("what has no way to go is taken for sent", "R3", "cluster",
           "or not self.reaches(cursor.name):", "or False:", suite="core/test_histories.py"),
    Mutant("who stood still goes on", "R15", "replica",
           "if stall > self.members.suspect_s:", "if False:",
           scene="who_stood_still_owns_nothing_until_it_has_asked_anew"),
    Mutant("a read does not wait for the own term", "R16", "reads",
           "least = max(shard.prefix.commit, shard.log.hist[-1][1])",
           "least = shard.prefix.commit", {**VOTERS, **HARSH}),
    Mutant("a snapshot leaves the sessions as they are", "I6", "shard",
           "self.state, self.sessions, self.covers, self.count, self.marks = fold",
           "self.state, _, self.covers, self.count, self.marks = fold", {**LONG, "history": 16}),
    Mutant("a state is not the fold of its log", "I12", "shard",
           "        self.state.parts[key] = record\n        return record",
           "        if number % 50 != 49:\n"
           "            self.state.parts[key] = record\n        return record",
           {"faults": ["pause"]}),
    Mutant("a log goes back in silence", "I13", "succession",
           'if undone:\n            cluster.note("rollback", (shard.id, undone))\n        if before:',
           "if False:", LONG),
    Mutant("a merge is judged by what was before it", "R9", "succession",
           "for draft in drafts:", "for draft in list(drafts):",
           suite="core/test_succession.py"),
    Mutant("history has no end", "I14", "replica",
           "if point > log.base:\n                log.compact(point)",
           "if point > 1 << 60:\n                log.compact(point)", {**HARSH, "history": 16}),
]  # fmt: skip
# Defects that break no promise, and why: they run by name.
EQUIVALENT = [
    Mutant("what is acknowledged is not taken back by a NACK", "R3", "catchup",
           "    cursor.match[shard.id] = min(cursor.match.get(shard.id, 0), point)\n", "",
           {**BARE, **HARSH}),  # a follower only falls back by a counted loss, before the ack
    Mutant("a takeover waits for nobody", "R4", "takeover",
           "            return not self._waiting\n", "            return True\n", {**BARE, **HARSH}),
    # the others' longer logs become branches, and are merged
    Mutant("a writer does not send again what its owner lost", "R12", "requests",
           "                lost.append(call)\n", "                pass\n",
           {"retain": True, "disks": 0, **HARSH}),
    # the new owner's GAP makes it send again too
]  # fmt: skip
BY_NAME = {mutant.name: mutant for mutant in (*MUTANTS, *EQUIVALENT)}
SMOKE = [
    "terms are not unique",
    "an owner stays one when it promises another",
    "what is logged counts as committed",
    "one disk is a majority",
    "a suffix that is undone is forgotten",
    "a promise is given before it is on the disk",
    "a promise is forgotten over a restart",
]


def planted(mutant: Mutant, source: str) -> str:
    """Give a module's text with the defect.

    Raises:
        LookupError: the text to be replaced is not there, or more than once.
    """
    if source.count(mutant.old) != 1:
        times = source.count(mutant.old)
        raise LookupError(f"{mutant.name}: its text is {times} times in core/{mutant.module}.py")
    return source.replace(mutant.old, mutant.new)


class Planter(importlib.abc.MetaPathFinder):
    """Loads one module with a defect."""

    def __init__(self, mutant: Mutant) -> None:
        self._mutant = mutant
        self._name = f"rxfero.core.{mutant.module}"

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> Any:
        """Give the loader of the module with the defect; of others nothing."""
        if fullname != self._name:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        assert spec is not None, fullname
        assert spec.origin is not None, fullname
        spec.loader = Loader(fullname, spec.origin, self._mutant)
        return spec


class Loader(importlib.machinery.SourceFileLoader):
    """Compiles a module with its defect."""

    def __init__(self, fullname: str, path: str, mutant: Mutant) -> None:
        super().__init__(fullname, path)
        self._mutant = mutant

    def get_code(self, fullname: str) -> CodeType:
        """Give the code, never from a cache."""
        path = self.get_filename(fullname)
        source = planted(self._mutant, Path(path).read_text(encoding="utf-8"))
        return compile(source, path, "exec")


def hunt(mutant: Mutant, seeds: int) -> dict[str, Any]:
    """Run seeds in this process, which must not have imported the core yet."""
    assert f"rxfero.core.{mutant.module}" not in sys.modules, "too late to plant"
    sys.meta_path.insert(0, Planter(mutant))
    from tests.simulation import test_scenarios  # noqa: PLC0415  (after planting)
    from tests.simulation.campaign import Campaign  # noqa: PLC0415
    from tests.simulation.scenes import SCENES  # noqa: PLC0415

    if mutant.suite:
        return _tested(mutant)

    def play(name: str) -> None:
        if name in SCENES:
            SCENES[name]()
        else:
            getattr(test_scenarios, f"test_{name}")()

    for seed in range(1 if mutant.scene else seeds):
        try:
            if mutant.scene:
                play(mutant.scene)
            else:
                Campaign(seed, SECONDS, **mutant.settings).run()
        except (NameError, AttributeError):
            raise  # the defect itself is not written well
        except Exception as error:  # noqa: BLE001  (whatever it breaks, it is noticed)
            what = str(error) or type(error).__name__
            return {"seeds": seed + 1, "by": f"{type(error).__name__}: {what}"[:80]}
    return {"seeds": seeds, "by": None}


class _First:
    """Remembers the first test that failed."""

    def __init__(self) -> None:
        self.failed: str | None = None

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed and self.failed is None:
            self.failed = report.nodeid.rpartition("::")[2]


def _tested(mutant: Mutant) -> dict[str, Any]:
    first = _First()
    where = str(ROOT / "tests" / mutant.suite)
    known = "ignore:Module already imported"  # as it has to be, with the defect in it
    with redirect_stdout(io.StringIO()):
        pytest.main(["-q", "-x", "-W", known, "-p", "no:cacheprovider", where], plugins=[first])
    return {"seeds": 1, "by": first.failed}


def caught(mutant: Mutant, seeds: int) -> dict[str, Any]:
    """Hunt in a process of its own."""
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "tests.simulation.mutants", "--one", mutant.name,
         "--seeds", str(seeds)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"{mutant.name}: {done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return {**found, "took": time.monotonic() - begun}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; gives the exit status."""
    options = argparse.ArgumentParser(prog="python -m tests.simulation.mutants")
    options.add_argument("names", nargs="*", help="of defects; all when none is given")
    options.add_argument("--seeds", type=int, default=SEEDS)
    options.add_argument("--jobs", type=int, default=2)
    options.add_argument("--one", help=argparse.SUPPRESS)
    given = options.parse_args(arguments)
    if given.one:
        print(json.dumps(hunt(BY_NAME[given.one], given.seeds)))
        return 0
    chosen = [BY_NAME[name] for name in given.names] or MUTANTS
    missed = 0
    print(f"{'rule':<5}{'module':<12}{'seeds':>6}  {'defect':<56}noticed by")
    with ThreadPoolExecutor(given.jobs) as pool:
        for mutant, found in zip(
            chosen, pool.map(lambda m: caught(m, given.seeds), chosen), strict=True
        ):
            missed += found["by"] is None
            by = found["by"] or "NOT NOTICED"
            line = f"{mutant.rule:<5}{mutant.module:<12}{found['seeds']:>6}  {mutant.name:<56}{by}"
            print(line.replace("\n", " "), flush=True)
    print(f"{len(chosen) - missed} of {len(chosen)} noticed")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
