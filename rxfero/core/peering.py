"""The peering: which addresses this node knows, which it should dial, and when again.

Each server is known by its address and, once a handshake told it, by its name. Statuses follow the
original's: `disconnected -> connecting -> connected`, `throttled` while a slow peer takes no more,
`client` for a client that connected here, `removed` after `retries.max` failed attempts. Attempts
back off exponentially with a cap and jitter (Brooker, "Exponential Backoff and Jitter", 2015):
``min(cap, base * 2**attempt) * (1 - jitter * random())``.

Addresses that discovery proposes are probed: nothing is known of them until somebody answers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from random import Random

    from rxfero.constants import Constants

DISCONNECTED, CONNECTING, CONNECTED = "disconnected", "connecting", "connected"
THROTTLED, CLIENT, REMOVED = "throttled", "client", "removed"
DOUBLINGS = 32  # of a wait: beyond any cap
HELD = frozenset((CONNECTED, CONNECTING, THROTTLED))  # statuses that take one of the connections
STATUSES = (DISCONNECTED, CONNECTING, CONNECTED, THROTTLED, CLIENT, REMOVED)


class Address(NamedTuple):
    """Where a server listens."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


class Contact:
    """One peer as it is known here: the state behind the face's Peer."""

    __slots__ = (
        "address", "attempts", "boot", "checksum", "group", "link", "name", "next_at", "reason",
        "role", "status",
    )

    def __init__(self, address: Address, now: float) -> None:
        self.address = address
        self.name: str | None = None
        self.boot = 0
        self.role = "server"
        self.group: str | None = None
        self.status = DISCONNECTED
        self.link: int | None = None
        self.attempts = 0
        self.next_at = now
        self.reason = ""
        self.checksum: int | None = None

    def __repr__(self) -> str:
        return f"<Contact {self.name or '?'} {self.address} {self.status}>"


class Peering:
    """The book of addresses of one node.

    Use: `news` collects (status, contact) pairs for the status events; drained by the replica.
    """

    def __init__(self, constants: Constants, client: bool, rng: Random) -> None:
        self._constants, self._client, self._rng = constants, client, rng
        self.servers: dict[Address, Contact] = {}
        self.clients: dict[str, Contact] = {}
        self.names: dict[str, Contact] = {}
        self.links: dict[int, Contact] = {}
        self.changed = True  # whether the next dial may be due earlier than it was
        self.news: list[tuple[str, Contact]] = []

    @property
    def limit(self) -> float:
        """Most server connections to hold."""
        most = self._constants.connections.max
        return most.client if self._client else most.server

    @property
    def held(self) -> int:
        """Server connections open or on their way."""
        return sum(contact.status in HELD for contact in self.servers.values())

    def create(
        self, address: Address, now: float, *, jitter: bool = False, soon: bool = False
    ) -> Contact:
        """Know a server by its address; it is dialed when due, with `soon` at once."""
        contact = self.servers.get(address)
        if contact is None:
            contact = self.servers[address] = Contact(address, now)
            if jitter:
                contact.next_at += self._rng.random() * self._constants.connections.jitter / 1000
            self._status(contact, DISCONNECTED)
        if soon:
            contact.next_at, self.changed = now, True
        return contact

    def due(self, now: float) -> list[Contact]:
        """Give the servers to dial now."""
        free = self.limit - self.held
        waiting = [
            c for c in self.servers.values() if c.status == DISCONNECTED and c.next_at <= now
        ]
        waiting.sort(key=lambda c: c.attempts)
        return waiting if len(waiting) <= free else waiting[: max(0, int(free))]

    @property
    def deadline(self) -> float | None:
        """When the next dial is due, in monotonic seconds."""
        held, soonest = 0, None
        for contact in self.servers.values():
            if contact.status == DISCONNECTED:
                if soonest is None or contact.next_at < soonest:
                    soonest = contact.next_at
            elif contact.status in HELD:
                held += 1
        return soonest if held < self.limit else None

    def dialing(self, contact: Contact, link: int) -> None:
        """Note that a link to a server is being opened."""
        contact.link = link
        self.links[link] = contact
        self._status(contact, CONNECTING)

    def met(
        self, link: int, address: Address, name: str, boot: int, role: str, group: str | None,
        now: float,
    ) -> Contact:
        """Note who is at the other end of a link whose handshake is done."""
        dialed = self.links.get(link)
        if role == "client":
            contact = Contact(address, now)
            self.clients[name] = contact
        else:
            contact = self.names.get(name) or self.servers.get(address) or dialed
            if contact is None:
                contact = Contact(address, now)
            if contact.address != address:
                self.servers.pop(contact.address, None)
                contact.address = address
            self.servers[address] = contact
            self.names[name] = contact
            if dialed is not None and dialed is not contact:
                self.servers.pop(dialed.address, None)  # an alias of this address
        contact.name, contact.boot, contact.role, contact.group = name, boot, role, group
        contact.link = link
        contact.attempts = 0
        self.links[link] = contact
        self._status(contact, CLIENT if role == "client" else CONNECTING)
        return contact

    def connected(self, link: int) -> None:
        """Note that a server has told all it had to tell: it is of use now."""
        contact = self.links.get(link)
        if contact is not None and contact.status == CONNECTING:
            self._status(contact, CONNECTED)

    def throttled(self, link: int, paused: bool) -> None:
        """Note that a connected peer takes no more for the moment, or takes again."""
        contact = self.links.get(link)
        if contact is None or contact.role == "client":
            return
        if paused and contact.status == CONNECTED:
            self._status(contact, THROTTLED)
        elif not paused and contact.status == THROTTLED:
            self._status(contact, CONNECTED)

    def closed(self, link: int, reason: str, now: float, *, for_good: bool = False) -> None:
        """Note the end of a link and decide when to dial again."""
        contact = self.links.pop(link, None)
        if contact is None or contact.link != link:
            return
        contact.link, contact.reason = None, reason
        if contact.role == "client":
            if self.clients.get(contact.name or "") is contact:
                del self.clients[contact.name or ""]
            self._status(contact, DISCONNECTED)
            self._status(contact, REMOVED)
            return
        retries = self._constants.retries
        wait = min(retries.cap, retries.base * 2 ** min(contact.attempts, DOUBLINGS)) / 1000
        contact.next_at = now + wait * (1 - retries.jitter * self._rng.random())
        contact.attempts += 1
        self._status(contact, DISCONNECTED)
        if for_good or contact.attempts > retries.max:
            self.remove(contact)

    def remove(self, contact: Contact) -> None:
        """Forget a peer; its link, if it has one, is nobody's from now on."""
        if contact.link is not None:
            self.links.pop(contact.link, None)
            contact.link = None
        self.servers.pop(contact.address, None)
        if contact.name is not None and self.names.get(contact.name) is contact:
            del self.names[contact.name]
        if contact.status != REMOVED:
            self._status(contact, REMOVED)

    def _status(self, contact: Contact, status: str) -> None:
        contact.status, self.changed = status, True
        self.news.append((status, contact))

    def __repr__(self) -> str:
        return f"<Peering servers={list(self.servers.values())} clients={len(self.clients)}>"
