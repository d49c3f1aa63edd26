"""The faults: what can happen to a simulated cluster: its network, its members and their clocks.

Each is one call that takes effect at once; :mod:`rxfero.testing.schedule` has them by a plan.
"""

from __future__ import annotations

from collections.abc import Iterable

from rxfero.testing.host import Host
from rxfero.testing.member import Member
from rxfero.testing.network import Network

Who = Member | str
Part = Who | Iterable[Who]


class Faults:
    """What a cluster can be made to suffer. A part is a member, its name, or several of them.

    Attributes:
        network: The network.
        servers, clients: The members.
    """

    network: Network
    servers: list[Member]
    clients: list[Member]

    @property
    def members(self) -> list[Member]:
        """All members: the servers, then the clients."""
        return [*self.servers, *self.clients]

    def __getitem__(self, name: Who) -> Member:
        """Give a member by its name.

        Raises:
            KeyError: there is none.
        """
        for member in self.members:
            if name in (member.name, member):
                return member
        raise KeyError(name)

    # --- the network

    def split(self, *parts: Part) -> None:
        """Cut the network in parts that do not reach each other.

        Args:
            *parts: Members that are in none make one more part.
        """
        groups = [self._hosts(part) for part in parts]
        named = {host for group in groups for host in group}
        rest = [m.host for m in self.members if m.host not in named]
        groups += [rest] if rest else []
        for one in groups:
            for other in groups:
                if one is not other:
                    self._cut(one, other)

    def cut(self, source: Part, target: Part, *, both: bool = True) -> None:
        """Cut single links: every one from `source` to `target`, and with `both` those back."""
        self._cut(self._hosts(source), self._hosts(target))
        if both:
            self._cut(self._hosts(target), self._hosts(source))

    def _cut(self, source: list[Host], target: list[Host]) -> None:
        for a in source:
            for b in target:
                self.network.cut(a, b)

    def slow(
        self, source: Part, target: Part | None = None, *, latency_s: float | None = None,
        jitter_s: float | None = None, bandwidth: float | None = None, buffer: int | None = None,
    ) -> None:  # fmt: skip
        """Change what the links between two parts are like, in both directions, until a heal.

        Args:
            target: None: all other members.
            latency_s, jitter_s, bandwidth, buffer: As of :class:`rxfero.testing.Quality`; what is
                not given stays as it is.
        """
        given = {
            "latency_s": latency_s, "jitter_s": jitter_s, "bandwidth": bandwidth, "buffer": buffer
        }
        changes = {name: value for name, value in given.items() if value is not None}
        for a, b in self._pairs(source, target):
            self.network.note(f"slow {a.name}>{b.name} {changes}")
            for link in (self.network.link(a, b), self.network.link(b, a)):
                link.quality = link.quality.but(**changes)

    def heal(self, source: Part | None = None, target: Part | None = None) -> None:
        """Mend the links between two parts, and let them be as at first; without parts all links.

        Args:
            target: None: all other members.
        """
        if source is None:
            self.network.heal()
            return
        for a, b in self._pairs(source, target):
            self.network.mend(a, b)
            self.network.mend(b, a)

    def reset(self, source: Part, target: Part | None = None) -> None:
        """End every connection between two parts with an error on both sides."""
        for a, b in self._pairs(source, target):
            for stream in self.network.between([a], [b]):
                self.network.note(f"reset {stream.way}")
                stream.reset()
                if stream.peer is not None:
                    stream.peer.reset()

    def half_open(self, source: Part, target: Part | None = None) -> None:
        """End every connection between two parts for the side of `source` only.

        The other side learns nothing: what it sends is swallowed.
        """
        for a, b in self._pairs(source, target):
            for stream in self.network.between([a], [b]):
                self.network.note(f"half-open {stream.way}")
                stream.break_off()

    # --- members

    def crash(self, who: Who, *, power: bool = False) -> None:
        """End a member at once; see :meth:`Member.crash`."""
        self[who].crash(power=power)

    def pause(self, who: Who) -> None:
        """Let a member stand still, as by SIGSTOP; its host goes on taking bytes for it."""
        self[who].pause()

    def resume(self, who: Who) -> None:
        """Let a paused member go on."""
        self[who].resume()

    def fill_disk(self, who: Who, full: bool = True) -> None:
        """Let the disk of a member take no more; with `full=False` let it take again."""
        member = self[who]
        self.network.note(f"{member.name} has {'no' if full else 'some'} room on its disk")
        member.host.disk_full = full

    def skew(self, who: Who, seconds: float) -> None:
        """Set how far a member's wall clock is ahead; its node reads it when it starts."""
        member = self[who]
        self.network.note(f"skew {member.name} {seconds:.6f}")
        member.host.skew_s = seconds

    # --- who is meant

    def _hosts(self, part: Part) -> list[Host]:
        found = [part] if isinstance(part, Member | str) else list(part)
        return [self[who].host for who in found]

    def _pairs(self, source: Part, target: Part | None) -> list[tuple[Host, Host]]:
        near = self._hosts(source)
        far = [m.host for m in self.members] if target is None else self._hosts(target)
        return [(a, b) for a in near for b in far if a is not b]
