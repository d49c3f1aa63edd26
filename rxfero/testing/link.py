"""The link: one direction between two hosts: how long, how wide, how reliable, and whether cut.

A :class:`Flow` is what keeps its order over a link: one direction of one connection. A cut loses no
byte of it: what was under way is sent again after the heal, as TCP does.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rxfero.testing.host import Host
    from rxfero.testing.network import Network

RETRANSMIT_S = 0.2  # longest a heal takes to be noticed by a connection that waits


@dataclass(frozen=True, slots=True)
class Quality:
    """What a link is like.

    Attributes:
        latency_s: Seconds a byte is under way at least.
        jitter_s: Most seconds more, drawn anew for each write.
        bandwidth: Bytes a second.
        buffer: Most bytes of one connection on their way or not read yet, so of what a sender is
            rid of; at least 1.
        loss: Share of datagrams that are lost.
        duplicate: Share of datagrams that come twice.
    """

    latency_s: float = 0.0005
    jitter_s: float = 0.0002
    bandwidth: float = math.inf
    buffer: int = 256 << 10
    loss: float = 0.0
    duplicate: float = 0.0

    def but(self, **changes: Any) -> Quality:
        """Give this with some changed."""
        return replace(self, **changes)


class Link:
    """One direction between two hosts.

    Attributes:
        cut: Whether nothing passes.
        held: What waits for the heal: (flow, number in it, size, callback, args).
    """

    __slots__ = ("_free_at", "cut", "held", "network", "quality", "source", "target")

    def __init__(self, network: Network, source: Host, target: Host, quality: Quality) -> None:
        self.network, self.source, self.target, self.quality = network, source, target, quality
        self.cut = False
        self.held: list[tuple[Flow, int, int, Callable[..., object], tuple[Any, ...]]] = []
        self._free_at = 0.0

    def arrival(self, size: int) -> float:
        """Give when so many bytes, sent now, arrive."""
        quality, now = self.quality, self.network.loop.time()
        if quality.bandwidth != math.inf:
            now = self._free_at = max(self._free_at, now) + size / quality.bandwidth
        return now + quality.latency_s + quality.jitter_s * self.network.rng.random()

    def heal(self) -> None:
        """Let everything pass again; what waited is sent once more."""
        if not self.cut:
            return
        self.cut = False
        held, self.held = self.held, []
        pauses: dict[Flow, float] = {}
        for flow, number, size, callback, args in held:
            pause = pauses.setdefault(flow, self.network.rng.uniform(0.0, RETRANSMIT_S))
            flow.again(number, pause, size, callback, args)

    def __repr__(self) -> str:
        return f"<Link {self.source.name}>{self.target.name}{' cut' if self.cut else ''}>"


class Flow:
    """What keeps its order over a link: what arrives early waits for what comes before it.

    Attributes:
        blackhole: Whether all that is sent is lost, as when the other end forgot the connection
            and something between swallows its answers.
        silent: Whether that is because its host lost power: one that is up again resets.
    """

    __slots__ = ("_early", "_last", "_next", "_sent", "blackhole", "link", "silent")

    def __init__(self, link: Link) -> None:
        self.link = link
        self.blackhole = self.silent = False
        self._last = 0.0
        self._sent = self._next = 0
        self._early: dict[int, tuple[Callable[..., object], tuple[Any, ...]]] = {}

    def send(self, size: int, callback: Callable[..., object], *args: Any) -> None:
        """Call something when so many bytes have arrived at the other end."""
        if not self.blackhole:
            number, self._sent = self._sent, self._sent + 1
            self._under_way(number, size, callback, args)

    def _under_way(
        self, number: int, size: int, callback: Callable[..., object], args: tuple[Any, ...]
    ) -> None:
        if self.link.cut:
            self.link.held.append((self, number, size, callback, args))
        else:
            self.again(number, 0.0, size, callback, args)

    def once(self, callback: Callable[..., object], *args: Any) -> None:
        """As :meth:`send` what nobody sends again: a cut loses it."""
        if not self.link.cut and not self.blackhole:
            self._last = max(self._last, self.link.arrival(0))
            self.link.network.at(self._last, self._arrive_once, callback, args)

    def drop(self) -> None:
        """Forget what waits for the heal: its sender has thrown the connection away."""
        self.link.held = [entry for entry in self.link.held if entry[0] is not self]

    def again(
        self, number: int, pause_s: float, size: int, callback: Callable[..., object],
        args: tuple[Any, ...],
    ) -> None:  # fmt: skip
        """Send what has its number already, after a pause."""
        self._last = max(self._last, self.link.arrival(size) + pause_s)
        self.link.network.at(self._last, self._arrive, number, size, callback, args)

    def _arrive(
        self, number: int, size: int, callback: Callable[..., object], args: tuple[Any, ...]
    ) -> None:
        if self.blackhole:
            return
        if self.link.cut:
            self.link.held.append((self, number, size, callback, args))
            return
        self._early[number] = callback, args
        while self._next in self._early:
            callback, args = self._early.pop(self._next)
            self._next += 1
            callback(*args)

    def _arrive_once(self, callback: Callable[..., object], args: tuple[Any, ...]) -> None:
        if not self.link.cut and not self.blackhole:
            callback(*args)
