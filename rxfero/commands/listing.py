"""The listing: `rxfero ls`: every server of every service, as a monitor sees them, once or live."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from typing import Any, Final

from rich.console import Group
from rich.live import Live
from rich.text import Text

from rxfero.commands.output import Output, Row, table_of, text_of
from rxfero.commands.whereabouts import Whereabouts
from rxfero.monitor import LOOK_S, Monitor, Seen

COLUMNS: Final = (
    "service", "name", "address", "role", "status", "shards", "keys", "commits", "lag", "rate",
    "clients", "ring", "rss", "uptime",
)  # fmt: skip
DROPPED: Final = ("role", "clients", "rss", "address", "uptime", "keys")  # in turn, if too wide
LOST: Final = "lost"
_UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB")


async def list_nodes(
    service: str | None, where: Whereabouts, output: Output, *, once: bool, every_s: float
) -> int:
    """Show the nodes; gives the exit status.

    Raises:
        NoCluster: there are none.
    """
    loop = asyncio.get_running_loop()
    async with Monitor(service, where.read()) as monitor:
        end = loop.time() + where.timeout
        look_s = min(LOOK_S, where.timeout)
        while not (seen := await monitor.look(look_s)):
            if loop.time() >= end:
                raise await where.nobody(service)
            await asyncio.sleep(0.1)
        if once:
            output.show(output.select(rows_of(seen, {}), COLUMNS), COLUMNS)
            return 0
        if not output.live:
            before: dict[str, Seen] = {}
            while True:
                output.show(output.select(rows_of(seen, before), COLUMNS), COLUMNS)
                await asyncio.sleep(every_s)
                before, seen = _by_name(seen), await monitor.look(look_s)
        return await _live(monitor, seen, output, every_s, look_s)


async def _live(
    monitor: Monitor, seen: list[Seen], output: Output, every_s: float, look_s: float
) -> int:
    before: dict[str, Seen] = {}
    with Live(auto_refresh=False, vertical_overflow="crop") as live:
        while True:
            rows = output.select(rows_of(seen, before), COLUMNS)
            shown = dressed(rows)
            columns = fitting(shown, live.console.width)
            live.update(Group(summary(seen), table_of(shown, columns)), refresh=True)
            await asyncio.sleep(every_s)
            before, seen = _by_name(seen), await monitor.look(look_s)


def rows_of(seen: Sequence[Seen], before: dict[str, Seen]) -> list[Row]:
    """Give the rows of nodes.

    Args:
        seen: As a monitor saw them.
        before: The look before, for the rate; by service and name.
    """
    most: dict[str, int] = {}
    for node in seen:
        if node.answers:
            name, commits = node.figures["service"], node.figures["commits"]
            most[name] = max(most.get(name, 0), commits)
    rows: list[Row] = []
    for node in seen:
        f = node.figures
        rate: float | None = None
        last = before.get(_key(node))
        if last is not None and node.at > last.at and node.answers:
            rate = max(0.0, (f["commits"] - last.figures["commits"]) / (node.at - last.at))
        rows.append(
            {
                "service": f["service"], "name": f["name"], "address": f["address"],
                "role": f["role"], "status": f["status"] if node.answers else LOST,
                "shards": f["shards"], "keys": f["keys"], "commits": f["commits"],
                "lag": max(0, most.get(f["service"], 0) - f["commits"]) if node.answers else None,
                "rate": None if rate is None else round(rate, 1), "clients": f["clients"],
                "ring": f"{f['ring'] & 0xFFFFFFFF:08x}", "rss": f["rss"], "uptime": f["uptime"],
            }
        )  # fmt: skip
    return rows


def dressed(rows: Sequence[Row]) -> list[Row]:
    """Give rows for a human: units, and colours: of a status, and of a ring that all agree on."""
    rings: dict[str, set[str]] = {}
    for row in rows:
        if row["status"] != LOST:
            rings.setdefault(row["service"], set()).add(row["ring"])
    made: list[Row] = []
    for row in rows:
        agreed = len(rings.get(row["service"], ())) == 1 and row["status"] != LOST
        good = row["status"] == "alive"
        made.append(
            {
                **row,
                "status": Text(row["status"], "green" if good else "red"),
                "ring": Text(row["ring"], "green" if agreed else "red"),
                "rss": _bytes(row["rss"]), "uptime": _seconds(row["uptime"]),
            }
        )  # fmt: skip
    return made


def fitting(rows: Sequence[Row], width: int) -> list[str]:
    """Give the columns that fit side by side; the least telling ones go first."""
    wide = {n: max([len(n), *(len(text_of(row[n])) for row in rows)]) + 2 for n in COLUMNS}
    columns: list[str] = list(COLUMNS)
    for name in DROPPED:
        if sum(wide[n] for n in columns) <= width + 2:
            break
        columns.remove(name)
    return columns


def summary(seen: Sequence[Seen]) -> Text:
    """Give the line above the table."""
    alive = [node for node in seen if node.answers]
    services = {node.figures["service"] for node in seen}
    rings = {(node.figures["service"], node.figures["ring"]) for node in alive}
    lost = f", {len(seen) - len(alive)} lost" if len(alive) < len(seen) else ""
    agreed = "rings agreed" if len(rings) <= len(services) else "RINGS DIFFER"
    return Text(f"{_count(alive, 'server')} of {_count(services, 'service')}{lost}, {agreed}")


def _count(things: Collection[object], name: str) -> str:
    return f"{len(things)} {name}{'' if len(things) == 1 else 's'}"


def _by_name(seen: Sequence[Seen]) -> dict[str, Seen]:
    return {_key(node): node for node in seen}


def _key(node: Seen) -> str:
    return f"{node.figures['service']}\0{node.name}\0{node.figures['boot']}"


def _bytes(count: Any) -> str:
    size = float(count)
    power = 0
    while size >= 1024 and power < len(_UNITS) - 1:
        size, power = size / 1024, power + 1
    return f"{size:.0f} {_UNITS[power]}"


def _seconds(seconds: Any) -> str:
    whole = int(seconds)
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if whole >= 2 * size:
            return f"{whole // size} {unit}"
    return f"{whole} s"
