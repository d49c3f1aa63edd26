"""The example counts: a service made of two others.

Two terminals: ``python -m rxfero.examples.counts serve`` holds users, events, and teams, which is
fed by operator chains over both; ``python -m rxfero.examples.counts play`` writes and reads.
"""

import asyncio
import os
import sys

from rxfero import fero, run
from rxfero import operators as fop

FIRST = int(os.environ.get("PORTS", "5220"))
USERS, EVENTS, TEAMS = ((FIRST + n, FIRST + n + 1) for n in (0, 2, 4))


async def serve() -> None:
    """Count the members of each team, and what each team did."""
    async with (
        fero("users", ports=USERS) as users,
        fero("events", ports=EVENTS) as events,
        fero("teams", ports=TEAMS) as teams,
    ):
        for source, what in ((users, "members"), (events, "events")):
            source.on("change").pipe(
                fop.of_type("add"),
                fop.count_by(lambda change: change.value["team"]),
                fop.update(
                    teams,
                    key=lambda pair, what=what: (pair[0], what),
                    value=lambda pair: pair[1],
                ),
            ).subscribe()
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
        while teams.at("red.events") != 2 or teams.at("blue.events") != 1:
            await teams.once("change")
        print({team: dict(teams[team]) for team in sorted(teams, key=str)})


if __name__ == "__main__":
    run(serve() if sys.argv[1:] == ["serve"] else play())
