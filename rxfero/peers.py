"""The peers: the other nodes of a service as this one sees them, and messages to them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID

from rxfero.core.call import CALL_BYTES, WRITES
from rxfero.core.change import Change
from rxfero.core.path import Path
from rxfero.core.peering import (
    CLIENT,
    CONNECTED,
    CONNECTING,
    DISCONNECTED,
    REMOVED,
    STATUSES,
    THROTTLED,
    Address,
    Contact,
)
from rxfero.core.value import pack
from rxfero.errors import ConfigurationError, NotConnected, ValueRefused
from rxfero.guarantee import Guarantee, level_of
from rxfero.message import Many, make, messages
from rxfero.message import message as message_at
from rxfero.shown import Shown

if TYPE_CHECKING:
    from rxfero.node import Node

VERB_MAX = 255  # characters
CHUNK = 512  # values of many that are looked at together
_FIELDS = frozenset(("type", "key", "value"))


class Peer(Shown):
    """One node of the service: a server, a client connected here, or this node itself.

    Attributes:
        host, port: Where it listens (a client: where it came from, port 0).
    """

    __slots__ = ("_contact", "_node")

    def __init__(self, node: Node, contact: Contact) -> None:
        self._node, self._contact = node, contact

    @property
    def host(self) -> str:
        """The host it listens on."""
        return self._contact.address.host

    @property
    def port(self) -> int:
        """The port it listens on; 0 for clients."""
        return self._contact.address.port

    @property
    def address(self) -> str:
        """host:port."""
        return str(self._contact.address)

    @property
    def id(self) -> str:
        """The node's name; the address until it is known."""
        return self._contact.name or self.address

    @property
    def uuid(self) -> UUID:
        """Identifies the process, from its boot id."""
        return UUID(int=self._contact.boot)

    @property
    def status(self) -> str:
        """disconnected, connecting, connected, throttled, client or removed."""
        return self._contact.status

    @property
    def client(self) -> bool | str:
        """Whether it is a client; the group's name if it has one."""
        return self._contact.group or self._contact.role == "client"

    @property
    def lag(self) -> int:
        """Records it still has to get from this node."""
        cluster = self._node.replica.cluster
        cursor = cluster.cursors.get(self.id) or cluster.feeds.get(self.id)
        return 0 if cursor is None else cursor.lag(cluster.shards)

    @property
    def outbox_bytes(self) -> int:
        """Bytes that wait in its connection's buffer."""
        link = self._contact.link
        return 0 if link is None else self._node.transport.buffered(link)

    @property
    def rtt(self) -> float | None:
        """Seconds of the last heartbeat's round trip; None before the first."""
        link = self._node.replica.links.get(self._contact.link or -1)
        return None if link is None else link.rtt

    def send(self, message: Any) -> Guarantee:
        """Send a message to this very server; with a key, its owner still handles it.

        Raises:
            NotConnected: it is not connected.
            ValueRefused: the message cannot be sent.
        """
        contact = self._contact
        replica = self._node.replica
        reached = contact.name == replica.identity.name or (
            contact.role == "server" and contact.name in replica.cluster.servers
        )
        if not reached:
            raise NotConnected(f"{self.id} is {self.status}; messages go to connected servers")
        return send(self._node, message, target=contact.name)

    def __repr__(self) -> str:
        return f"<Peer {self.id} {self.address} {self.status}>"


class Lists:
    """The peers by status: ``lists.connected``, ``lists["client"]``, ``lists.all``."""

    __slots__ = ("_peers",)

    def __init__(self, peers: Peers) -> None:
        self._peers = peers

    def __getitem__(self, status: str) -> list[Peer]:
        if status != "all" and status not in STATUSES:
            raise ConfigurationError("status", status, f"must be one of {', '.join(STATUSES)}, all")
        return [p for p in self._peers if status in ("all", p.status)]

    @property
    def connected(self) -> list[Peer]:
        """Servers connected and in sync."""
        return self[CONNECTED]

    @property
    def connecting(self) -> list[Peer]:
        """Servers being dialed, greeted or synced."""
        return self[CONNECTING]

    @property
    def disconnected(self) -> list[Peer]:
        """Servers to be dialed again."""
        return self[DISCONNECTED]

    @property
    def throttled(self) -> list[Peer]:
        """Servers that take no more for the moment."""
        return self[THROTTLED]

    @property
    def client(self) -> list[Peer]:
        """Clients connected here."""
        return self[CLIENT]

    @property
    def removed(self) -> list[Peer]:
        """Always empty: removed peers are no longer known."""
        return self[REMOVED]

    @property
    def all(self) -> list[Peer]:
        """Every known peer."""
        return self["all"]

    def __repr__(self) -> str:
        counts = {s: len(self[s]) for s in STATUSES}
        return f"<Lists {' '.join(f'{s}={n}' for s, n in counts.items() if n) or 'empty'}>"


class Peers(Shown):
    """The known nodes of a service. Iterates over :class:`Peer`.

    Attributes:
        name: The service's name.
        me: This server's own Peer; False on a client.
        lists: The peers by status.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._views: dict[Contact, Peer] = {}
        node.batch.make = messages  # and of those after it
        node.news.many = Many
        self.name = node.service
        self.lists = Lists(self)
        self.me: Peer | Literal[False] = False
        identity = node.replica.identity
        self._own = Contact(Address(identity.host, identity.port), 0.0)
        self._own.name, self._own.boot, self._own.status = identity.name, identity.boot, CONNECTED
        if not node.options.client:
            self.me = self.of(self._own)

    def of(self, contact: Contact) -> Peer:
        """Give the one Peer of a contact."""
        peer = self._views.get(contact)
        if peer is None:
            peer = self._views[contact] = Peer(self._node, contact)
        if contact.status == REMOVED:
            del self._views[contact]
        return peer

    def create(self, host: str, port: int) -> Peer:
        """Know a server by its address; it is dialed at once.

        Raises:
            ConfigurationError: no host, or a port outside 1..65535.
        """
        if not isinstance(host, str) or not host:
            raise ConfigurationError("host", host, "must be a host's name or address")
        if type(port) is not int or not 0 < port < 65_536:
            raise ConfigurationError("port", port, "must be in 1..65535")
        peering, now = self._node.replica.peering, self._node.now
        contact = peering.create(Address(host, port), now, soon=True)
        self._node.mark()
        return self.of(contact)

    def remove(self, peer: Peer) -> None:
        """Close the connection to a peer; a member of the cluster will be found again."""
        contact = peer._contact  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        link = contact.link
        self._node.replica.peering.remove(contact)
        if link is not None:
            self._node.transport.close(link, "the peer was removed")
        self._node.mark()

    def send(self, message: Any) -> Guarantee:
        """Send a message: with a key to its owner, without to any server.

        Args:
            message: A dict with "type" and optionally "key" and "value"; a Change; or any value,
                which is sent with the type "message".

        Returns:
            A Guarantee whose reply is the handler's answer.
        Raises:
            ValueRefused: the message cannot be sent.
            Overloaded, Closed.
        """
        if message.__class__ is dict and len(message) == 2:
            node = self._node
            batch = node.batch
            try:
                verb, value = message["type"], message["value"]
            except KeyError:
                return send(node, message)
            if value.__class__ is str and value.isascii():
                room = batch.room - len(value) - CALL_BYTES
                if room >= 0 and verb == batch.fast:
                    batch.room = room
                    made, values = make(), batch.values
                    made.batch, made.place = batch, len(values)
                    values.append(value)
                    return made
                if verb.__class__ is str and 0 < len(verb) <= VERB_MAX and verb not in WRITES:
                    return message_at(*node.post(verb, value, packed=False))
        return send(self._node, message)

    def send_many(self, type: str, values: Iterable[Any]) -> Many:
        """Send messages of one type and without keys: for bulk work, as columns from the start.

        Args:
            type: The verb of them all.
            values: One a message.

        Returns:
            Their guarantees; awaiting them gives the list of answers.
        Raises:
            ValueRefused: one cannot be sent; those before it have been.
            Overloaded, Closed.
        """
        _check_verb(type)
        if type in WRITES:
            raise ValueRefused("type", f"{type!r} is a write: see update_many")
        many, rest = Many(), list(values)
        for first in range(0, len(rest), CHUNK):
            chunk = rest[first : first + CHUNK]
            size = _size_of_text(chunk)
            if size is None:
                for value in chunk:
                    many.add(*_posted(self._node, type, value), 1)
                continue
            fit = self._node.fit(len(chunk), size + CALL_BYTES * len(chunk))
            for at in range(0, len(chunk), fit):
                self._send_all(type, chunk[at : at + fit], many)
        return many

    def _send_all(self, verb: str, values: list[str], many: Many) -> None:
        """Send text of ASCII: in halves, where it is more than a frame takes."""
        count = len(values)
        posted = self._node.post_all(verb, values)
        if posted is not None:
            many.add(*posted, count)
        elif count > 1:
            self._send_all(verb, values[: count // 2], many)
            self._send_all(verb, values[count // 2 :], many)
        else:
            many.add(*_posted(self._node, verb, values[0]), 1)

    def owner(self, key: Any) -> Peer | None:
        """Give the server that owns a key (or a change's key); None while there is none."""
        cluster = self._node.replica.cluster
        path = key.key if isinstance(key, Change) else Path.parse(key)
        number = self._node.replica.router.place("update", path, b"\xc0")
        shard = cluster.shards[number]
        name = cluster.ring.owners[number] or shard.owner
        return None if name is None else self.named(name)

    def named(self, name: str) -> Peer | None:
        """Give the server of this name; None if it is not known here."""
        if name == self._own.name:
            return self.of(self._own)
        contact = self._node.replica.peering.names.get(name)
        if contact is None:
            member = self._node.replica.cluster.members.table.get(name)
            if member is None:
                return None
            contact = Contact(Address(member.host, member.port), 0.0)
            contact.name, contact.boot = name, member.boot
            return Peer(self._node, contact)
        return self.of(contact)

    def __iter__(self) -> Iterator[Peer]:
        peering = self._node.replica.peering
        for contact in [*peering.servers.values(), *peering.clients.values()]:
            yield self.of(contact)

    def __len__(self) -> int:
        peering = self._node.replica.peering
        return len(peering.servers) + len(peering.clients)

    def __repr__(self) -> str:
        return f"<Peers of {self.name} {self.lists!r}>"


def send(node: Node, message: Any, target: str | None = None) -> Guarantee:
    """Make a request of a message and submit it."""
    path: Path | None = None
    if isinstance(message, Change):
        verb, path, value = message.type, message.key, message
    elif _is_message(message):
        extra = set(message) - _FIELDS
        if extra:
            raise ValueRefused("message", f"has unknown fields {sorted(map(str, extra))}")
        verb = message["type"]
        _check_verb(verb)
        if message.get("key") is not None:
            path = Path.parse(message["key"])
        value = message.get("value")
    else:
        verb, value = "message", message
    if path is None and target is None and verb not in WRITES:
        return message_at(*_posted(node, verb, value))
    packed = value.packed if isinstance(value, Change) else pack(value)
    if path is None and verb in WRITES and verb != "add":
        raise ValueRefused("message.key", f"a {verb} needs a key")
    check_size(node, packed)
    guarantee = Guarantee(node, verb, path, packed, level_of(node.options.ack))
    guarantee.target = target
    node.submit(guarantee)
    return guarantee


def _size_of_text(values: list[Any]) -> int | None:
    """Give the bytes of a column of text of ASCII; None if it is not all that."""
    text = "".join(values) if set(map(type, values)) == {str} else "\xff"
    return len(text) if text.isascii() else None


def _check_verb(verb: Any) -> None:
    if not isinstance(verb, str) or not 0 < len(verb) <= VERB_MAX:
        raise ValueRefused("message.type", f"must be text of 1 to 255 characters, not {verb!r}")


def _posted(node: Node, verb: str, value: Any) -> tuple[Any, int]:
    """Ask for a message without a key: it goes with the others of its turn; give its place."""
    plain = type(value) is bytes or (type(value) is str and value.isascii())
    packed = value if plain else pack(value)
    check_size(node, packed)
    return node.post(verb, packed, packed=not plain)


def _is_message(message: Any) -> bool:
    return isinstance(message, dict) and "type" in message


def check_size(node: Node, packed: str | bytes) -> None:
    """Refuse a value that no frame can carry."""
    limit = node.value_max
    if len(packed) > limit:
        raise ValueRefused(
            "value", f"{len(packed)} bytes packed, the limit is {limit} (constants.outbox.frag)"
        )
