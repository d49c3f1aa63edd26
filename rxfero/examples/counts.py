"""The example counts: a service made of two others.

Two terminals: ``python -m rxfero.examples.counts serve`` holds users, events, and teams, which is
fed by operator chains over both; ``python -m rxfero.examples.counts play`` writes and reads.
"""

import asyncio
import os
import sys

from rxfero import Change, fero, run
from rxfero import operators as fop

FIRST = int(os.environ.get("PORTS", "5220"))
USERS, EVENTS, TEAMS = ((FIRST + n, FIRST + n + 1) for n in (0, 2, 4))


def tally(counts: dict[str, int], change: Change) -> dict[str, int]:
    """Count by team what was added."""
    team = change.value["team"] if change.type == "add" else None
    return {**counts, team: counts.get(team, 0) + 1} if team else counts


async def serve() -> None:
    """Count the members of each team, and what each team did: exactly once, also after a kill."""
    async with (
        fero("users", ports=USERS) as users,
        fero("events", ports=EVENTS) as events,
        fero("teams", ports=TEAMS) as teams,
    ):
        for source, what in ((users, "members"), (events, "events")):
            counted = fop.resume(source, teams, what).pipe(fop.checkpoint(teams, what, tally, {}))
            counted.pipe(fop.supervise()).subscribe()
        print(f"serving {teams!r}", flush=True)
        await asyncio.Event().wait()


async def play() -> None:
    """Join teams, do things, read the totals."""
    async with (
        fero("users", client=True, ports=USERS) as users,
        fero("events", client=True, ports=EVENTS) as events,
        fero("teams", client=True, ports=TEAMS) as teams,
    ):
        for name, team in (("alice", "red"), ("bob", "red"), ("carol", "blue")):
            await users.add(name, {"team": team})
            await events.add({"team": team, "what": "joined"})
        while sum(teams.at("events.value", {}).values()) < 3:
            await teams.once("change")
        print({what: dict(teams[what]["value"]) for what in ("members", "events")})


if __name__ == "__main__":
    run(serve() if sys.argv[1:] == ["serve"] else play())
