"""The waiting: until the members of a cluster know each other, hold the same, or whatever it is.

Works on virtual time and on the real one: it looks every 10 ms at what is waited for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from rxfero.testing.checkers import same

if TYPE_CHECKING:
    from rxfero.cache import Cache
    from rxfero.node import Node

LOOK_S = 0.01
WAIT_S = 60.0


class One(Protocol):
    """A member, as far as it can be waited for."""

    @property
    def name(self) -> str: ...
    @property
    def id(self) -> str: ...
    @property
    def client(self) -> bool: ...
    @property
    def running(self) -> bool: ...
    @property
    def cache(self) -> Cache: ...
    @property
    def node(self) -> Node: ...


class Waiting:
    """A cluster that can be waited for.

    Attributes:
        members: All of it.
    """

    @property
    def members(self) -> Sequence[One]:
        """All members: the servers, then the clients."""
        raise NotImplementedError

    @property
    def running(self) -> list[One]:
        """The members that are ready, neither down nor paused."""
        return [member for member in self.members if member.running]

    def _named(self, who: One | str) -> One:
        for member in self.members:
            if who in (member.name, member):
                return member
        raise KeyError(who)

    async def until(
        self, predicate: Callable[[], bool], *, timeout_s: float = WAIT_S, what: str = "it"
    ) -> None:
        """Wait until something holds; looked at every 10 ms.

        Raises:
            TimeoutError: it did not hold within so many seconds.
        """
        loop = asyncio.get_running_loop()
        limit = loop.time() + timeout_s
        while not predicate():
            if loop.time() >= limit:
                raise TimeoutError(f"{what} did not come to be within {timeout_s:g} s")
            await asyncio.sleep(LOOK_S)

    async def whole(self, *, timeout_s: float = WAIT_S) -> None:
        """Wait until the running members know all running servers as the cluster, and no other."""
        await self.until(self._is_whole, timeout_s=timeout_s, what="the whole cluster")

    def _is_whole(self) -> bool:
        servers = sorted(m.id for m in self.running if not m.client)
        for member in self.running:
            known = {s for s in member.node.replica.cluster.servers if s != member.id}
            enough = 1 if member.client else len(servers) - 1
            if len(known) < enough or not known <= set(servers):
                return False
            if sorted(member.cache.ring.members) != servers:
                return False
        return True

    async def same(self, *who: One | str, timeout_s: float = WAIT_S) -> dict[Any, Any]:
        """Wait until members (all running ones) hold the same, and give it.

        What a heal undid on a server is offered to the owner and merged again; that is waited for.

        Raises:
            TimeoutError: they did not within so many seconds; names a key that differs.
        """
        members = [self._named(one) for one in who] or self.running
        try:
            await self.until(lambda: self._difference(members) is None, timeout_s=timeout_s)
        except TimeoutError:
            found = self._difference(members)
            raise TimeoutError(f"not the same after {timeout_s:g} s: {found}") from None
        return dict(members[0].cache)

    @staticmethod
    def _difference(members: list[One]) -> str | None:
        for member in members:
            for shard in member.node.replica.cluster.shards:
                if shard.branches or shard.dumps:
                    return f"{member.name} has something to merge in shard {shard.id}"
        whole = [m for m in members if m.cache.follow is None] or members
        first = dict(whole[0].cache)
        for member in members:
            other, cluster = dict(member.cache), member.node.replica.cluster
            for key in [*first, *other]:
                if cluster.follows is not None and cluster.find(key) not in cluster.follows:
                    continue
                one, two = first.get(key, "nothing"), other.get(key, "nothing")
                if not same(one, two):
                    return f"{key!r} is {one!r} on {whole[0].name}, {two!r} on {member.name}"
        return None

