"""The monitor: asks nodes for their figures, and is neither a server nor a client of theirs.

It dials every address of the options, those the finders find, and those nodes tell of each other;
says in the handshake that it is a monitor, and is told figures and nothing else: no state moves. It
sees nodes of every service of a cluster, or of one. Nothing of it is left when it is closed.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final, NamedTuple, cast

from rxfero.core import frame
from rxfero.core.hello import EVERY
from rxfero.core.link import Identity, Link
from rxfero.discovery.hosts import parse_hosts
from rxfero.discovery.scan import candidates
from rxfero.errors import ProtocolError
from rxfero.options import Options
from rxfero.search import FIND_S, Here
from rxfero.surroundings import surroundings
from rxfero.tasks import end_tasks
from rxfero.transport import Frame, Transport

LOOK_S: Final = 2.0  # longest a look takes
FORGET_S: Final = 60.0  # after which one that does not answer any more is told no more
FRAME_MAX: Final = 1 << 20
PLACES_MAX: Final = 4096  # addresses that are remembered
ASK: Final = frame.encode(frame.MONITOR, [])


class Seen(NamedTuple):
    """One node as it was seen.

    Attributes:
        figures: What it told: see :mod:`rxfero.figures`.
        at: When, in monotonic seconds.
        answers: Whether it answered when it was asked last.
    """

    figures: dict[str, Any]
    at: float
    answers: bool

    @property
    def name(self) -> str:
        """The node's name."""
        return self.figures["name"]


class Monitor:
    """Looks at the nodes of a cluster. An async context manager.

    Args:
        service: The service whose nodes are looked at; None: those of every service.
        options: `hosts`, `ports`, `finders`, `cluster` and `security` say where and how to look.
    """

    def __init__(self, service: str | None, options: Options) -> None:
        self._options = options
        self.loop, self._monotonic, _, self._rng = surroundings()
        name = f"monitor-{self._rng.getrandbits(48):012x}"
        self._me = Identity(
            options.cluster, service or EVERY, name, self._rng.getrandbits(63), frame.WATCHER, None,
            "", 0, "",
        )  # fmt: skip
        self.refused: dict[str, None] = {}  # reasons why somebody would not talk to us
        self._nodes: dict[tuple[str, str], Seen] = {}
        self._links: dict[int, Link] = {}
        self._node_of: dict[int, tuple[str, str]] = {}
        self._places: dict[tuple[str, int], int | None] = {}  # and the connection to each
        self._waiting: set[int] = set()  # connections that have something to tell yet
        self._changed = asyncio.Event()
        self._finding: list[asyncio.Task[None]] = []
        self._begun = 0.0
        self._transport = Transport(
            self.loop, frame_max=FRAME_MAX, on_open=self._on_open, on_frames=self._on_frames,
            on_close=self._on_close, on_paused=lambda link_id, paused: None,
        )

    async def __aenter__(self) -> Monitor:
        me, secret = self._me, self._options.secret
        here = Here(me.cluster, me.service, me.name, "", 0, secret, lambda: True)
        for finder in self._options.finders:
            self._finding.append(self.loop.create_task(finder.find(here, self._place)))
        self._begun = self._monotonic()
        return self

    async def __aexit__(self, *_: object) -> None:
        await end_tasks(self._finding)
        await self._transport.aclose()

    async def look(self, timeout_s: float = LOOK_S) -> list[Seen]:
        """Ask every node that can be found; gives them in order of their names.

        Those that answered within `FORGET_S` and do not now are told as they were, with `answers`
        False, until another answers at their address.

        Raises:
            Exception: a finder failed, and no other one is there; its error.
        """
        asked_at = self._monotonic()
        places = parse_hosts(self._options.hosts, self._options.ports)
        for where in candidates(places, None, self._rng):
            self._places.setdefault(where, None)
        for where in list(self._places):
            self._dial(where)
        for link_id in self._node_of:
            self._ask(link_id)
        late = self._begun + FIND_S if self._finding else 0.0
        end = asked_at + timeout_s
        while (now := self._monotonic()) < end and (self._waiting or now < late):
            self._changed.clear()
            try:
                async with asyncio.timeout(min(end, end if self._waiting else late) - now):
                    await self._changed.wait()
            except TimeoutError:
                continue
        for link_id in self._waiting.copy():
            self._transport.close(link_id, "no answer in time")
        self._check_finders()
        taken = {seen.figures["address"] for seen in self._nodes.values() if seen.at >= asked_at}
        self._nodes = {
            key: seen._replace(answers=seen.at >= asked_at)
            for key, seen in self._nodes.items()
            if seen.at >= asked_at
            or (seen.at >= asked_at - FORGET_S and seen.figures["address"] not in taken)
        }
        return sorted(self._nodes.values(), key=lambda s: (s.figures["service"], s.name))

    def _check_finders(self) -> None:
        failed = [t for t in self._finding if t.done() and not t.cancelled() and t.exception()]
        if failed and len(failed) == len(self._finding) and not self._nodes:
            raise cast("BaseException", failed[0].exception())

    # --- places

    def _place(self, host: str, port: int) -> None:
        """Take an address at which a server may listen."""
        where = (host, port)
        if where not in self._places and len(self._places) < PLACES_MAX:
            self._places[where] = None
            self._dial(where)

    def _dial(self, where: tuple[str, int]) -> None:
        if self._places[where] is None:
            timeout_s = self._options.constants.connections.timeout / 1000
            link_id = self._places[where] = self._transport.dial(*where, timeout_s)
            self._waiting.add(link_id)

    def _ask(self, link_id: int) -> None:
        self._waiting.add(link_id)
        self._transport.send(link_id, ASK)

    # --- connections

    def _on_open(self, link_id: int, dialed: tuple[str, int] | None) -> None:
        beat = self._options.constants.heartbeat
        link = self._links[link_id] = Link(
            link_id, self._me, dialed, self._monotonic(), ping_ms=beat.ping,
            dead_ms=beat.suspect + beat.dead,
            timeout_ms=self._options.constants.connections.timeout,
            secret=self._options.secret, nonce=self._rng.randbytes(32),
        )  # fmt: skip
        self._say(link)

    def _on_frames(self, link_id: int, frames: list[Frame]) -> None:
        link = self._links[link_id]
        was = link.state
        try:
            for kind, flags, body in frames:
                if link.receive(kind, flags, body, self._monotonic()):
                    self._told(link_id, bytes(body))
        finally:
            self._say(link)
        link.payloads.clear()
        if link.state == "closed":
            if link.refused:
                self.refused[link.reason or "refused"] = None
            self._transport.close(link_id, link.reason or "closed")
        elif was != "open" and link.state == "open":
            self._transport.opened(link_id)
            self._ask(link_id)

    def _say(self, link: Link) -> None:
        if link.out:
            self._transport.send(link.id, list(link.out))
            link.out.clear()

    def _told(self, link_id: int, body: bytes) -> None:
        """Take a node's figures.

        Raises:
            ProtocolError: they cannot be read.
        """
        fields = frame.unpack(frame.MONITOR, body, self._options.constants.limits)
        figures = cast("dict[str, Any]", fields[0] if fields else None)
        if not _fits(figures):
            raise ProtocolError("a MONITOR frame without the figures of a node")
        key: tuple[str, str] = (figures["service"], figures["name"])
        self._nodes[key] = Seen(figures, self._monotonic(), True)
        self._done(link_id)
        if key in self._node_of.values() and self._node_of.get(link_id) != key:
            self._transport.close(link_id, "another connection to the node is there already")
            return  # one host by two names; its place stays taken, and is not dialed again
        self._node_of[link_id] = key
        for _, host, port in figures["others"]:
            self._place(host, port)

    def _on_close(self, link_id: int, reason: str) -> None:
        twin = link_id in self._links and link_id not in self._node_of
        self._links.pop(link_id, None)
        self._node_of.pop(link_id, None)
        for where, held in self._places.items():
            if held == link_id and not (twin and "another connection" in reason):
                self._places[where] = None
        self._done(link_id)

    def _done(self, link_id: int) -> None:
        self._waiting.discard(link_id)
        self._changed.set()

    def __repr__(self) -> str:
        return f"<Monitor of {self._me.service} nodes={len(self._nodes)}>"


_KINDS: Final[dict[str, type]] = {
    "service": str, "name": str, "role": str, "address": str, "status": str, "version": str,
    "keys": int, "shards": int, "commits": int, "members": int, "ring": int, "clients": int,
    "rss": int, "boot": int, "others": list,
}  # fmt: skip


def _fits(given: object) -> bool:
    """Whether figures are those of a node, as far as we use them."""
    if type(given) is not dict:
        return False
    figures = cast("dict[Any, Any]", given)
    if not all(type(figures.get(name)) is kind for name, kind in _KINDS.items()):
        return False
    if type(figures.get("uptime")) not in (int, float):
        return False
    others = cast("list[Any]", figures["others"])
    return all(
        type(row) is list and [type(v) for v in cast("list[Any]", row)] == [str, str, int]
        and 0 < cast("list[Any]", row)[2] < 65_536
        for row in others
    )  # fmt: skip


