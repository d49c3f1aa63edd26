"""The hello: what two nodes tell each other first, and every reason why they do not fit.

The first three fields of a HELLO (magic, lowest and highest version of the protocol) are the same
in every version there will ever be, so that a newer peer is refused by its version and not by a
field that moved; more fields may follow at the end. Reasons are written from the dialing side's
view on both sides, so that both logs say the same words.

It knows no connection and keeps no state: :mod:`rxfero.core.link` does.
"""

from __future__ import annotations

import hmac
from typing import Any, Final, NamedTuple, TypeVar, cast

from rxfero.core.frame import CLIENT, SERVER, WATCHER
from rxfero.errors import HandshakeRefused, ProtocolError

MAGIC: Final = "rxfero"
VOTERS = "|"  # in a digest: what follows only servers have to have in common
PROTO_MIN, PROTO_MAX = 1, 1  # versions of the protocol this program speaks
NONCE_MIN: Final = 16  # bytes
TEXT_MAX: Final = 255  # characters of a name
FIELDS: Final = 16
EVERY: Final = "*"  # service of a monitor that asks nodes of every service
_T = TypeVar("_T")


class Identity(NamedTuple):
    """What a node tells of itself in the handshake."""

    cluster: str
    service: str
    name: str  # of the node; one live boot a name
    boot: int  # of the process, 64 bits, random
    role: str  # "server", "client" or "monitor"
    group: str | None
    host: str
    port: int  # where the node listens; 0 for clients
    digest: str  # of what all nodes must have in common: shards, vnodes, hash, quorum
    proto_min: int = PROTO_MIN
    proto_max: int = PROTO_MAX
    features: tuple[str, ...] = ()


class Hello(NamedTuple):
    """One side's HELLO."""

    identity: Identity
    secured: bool  # whether its side has a secret
    wall_ms: int  # its wall clock when it was sent; 0: not told
    nonce: bytes


def write(hello: Hello) -> list[Any]:
    """Give the fields of a HELLO."""
    me = hello.identity
    return [
        MAGIC, me.proto_min, me.proto_max, me.cluster, me.service, me.name, me.boot, me.role,
        me.group, me.host, me.port, me.digest, me.features, hello.secured, hello.wall_ms,
        hello.nonce,
    ]  # fmt: skip


def read(fields: list[Any], me: Identity, *, dialed: bool) -> Hello:
    """Read a peer's HELLO: magic and versions first, the rest only in a version we speak.

    Raises:
        HandshakeRefused: another magic, or no version in common.
        ProtocolError: anything is missing, of a wrong type or out of range.
    """
    magic = fields[0] if fields else None
    if magic != MAGIC:
        said = repr(magic)[:30]
        raise HandshakeRefused(f"magic {said} is not {MAGIC!r}: this is no rxfero node")
    if len(fields) < 3 or not all(_whole(v, 1, 0xFFFF) for v in fields[1:3]):
        raise ProtocolError("a HELLO without versions of the protocol")
    low, high = fields[1:3]
    if max(low, me.proto_min) > min(high, me.proto_max):
        mine, theirs = f"{me.proto_min} to {me.proto_max}", f"{low} to {high}"
        first, second = _in_order(mine, theirs, dialed)
        raise HandshakeRefused(f"no common version of the protocol: {first} and {second}")
    if len(fields) < FIELDS:
        raise ProtocolError(f"a HELLO of {len(fields)} fields, the least is {FIELDS}")
    cluster, service, name, boot, role, group, host, port, digest = fields[3:12]
    features, secured, wall_ms, nonce = fields[12:FIELDS]
    if type(features) is not list or type(secured) is not bool or type(nonce) is not bytes:
        raise ProtocolError("a HELLO whose features, secured or nonce are malformed")
    named = cast("list[Any]", features)
    texts = [cluster, service, name, role, host, digest, group or "", *named]
    if not all(type(text) is str and len(text) <= TEXT_MAX for text in texts):
        raise ProtocolError(f"a HELLO with a text that is none, or over {TEXT_MAX} characters")
    numbers = ((boot, 2**64 - 1), (port, 65_535), (wall_ms, 2**53))
    if not all(_whole(number, 0, most) for number, most in numbers):
        raise ProtocolError("a HELLO whose boot, port or time is out of range")
    if role not in (SERVER, CLIENT, WATCHER) or not name or len(nonce) < NONCE_MIN:
        raise ProtocolError("a HELLO whose role, name or nonce is malformed")
    identity = Identity(
        cluster, service, name, boot, role, group, host, port, digest, low, high, tuple(named)
    )
    return Hello(identity, secured, wall_ms, nonce)


def misfit(mine: Hello, theirs: Hello, *, dialed: bool) -> str | None:
    """Give the reason why two nodes do not fit, or None.

    A HELLO with our own nonce is our own, sent back: an echo, or somebody's reflection.
    """
    me, peer = mine.identity, theirs.identity
    first, second = _in_order(me, peer, dialed)
    if theirs.nonce == mine.nonce or (peer.name == me.name and peer.boot == me.boot):
        return f"node {me.name!r} is connected to itself"
    for what, a, b in (
        ("cluster", first.cluster, second.cluster),
        ("service", *_served(first, second)),
        ("a configuration with digest", *_comparable(first, second)),
    ):
        if a != b:
            return f"node {first.name!r} has {what} {a!r}, node {second.name!r} has {b!r}"
    if SERVER not in (me.role, peer.role):
        both = "both clients" if me.role == peer.role == CLIENT else "no servers"
        return f"{first.name!r} and {second.name!r} are {both}"
    if mine.secured != theirs.secured:
        bare = me.name if theirs.secured else peer.name
        return f"the cluster has a secret and node {bare!r} has none"
    return None


def _served(first: Identity, second: Identity) -> tuple[str, str]:
    """Give the services as they have to agree: a monitor may ask for every one."""
    if any(node.role == WATCHER and node.service == EVERY for node in (first, second)):
        return EVERY, EVERY
    return first.service, second.service


def _comparable(first: Identity, second: Identity) -> tuple[str, str]:
    """Give the digests as they have to agree: a client need not know the voters."""
    if WATCHER in (first.role, second.role):
        return "", ""  # it takes no part in anything
    if CLIENT in (first.role, second.role):
        return first.digest.partition(VOTERS)[0], second.digest.partition(VOTERS)[0]
    return first.digest, second.digest


def clock_ahead(mine: Hello, theirs: Hello, elapsed_s: float, skew_ms: float) -> str | None:
    """Give the reason to refuse a peer whose wall clock is too far ahead of ours, or None.

    Ours has gone on by `elapsed_s` since `mine` was written. Time on the way makes a peer's clock
    look behind, never ahead, so a slow connection is no reason; a peer behind will refuse us.
    """
    if not mine.wall_ms or not theirs.wall_ms:
        return None
    ahead = theirs.wall_ms - mine.wall_ms - elapsed_s * 1000
    if ahead <= skew_ms:
        return None
    return (
        f"the clock of node {theirs.identity.name!r} is {ahead / 1000:.0f} s ahead of"
        f" {mine.identity.name!r}'s, {skew_ms / 1000:g} s are allowed"
    )


def proof(secret: str, role: str, dialer: bool, own: bytes, other: bytes) -> bytes:
    """Give what shows that a side knows the secret, bound to both HELLO bodies of this connection.

    HMAC-SHA256 over the side's role, whether it dialed, its own body and the other's. The nonces in
    the bodies keep a proof from being replayed; the order keeps it from being sent back.
    """
    side = "dialer" if dialer else "listener"
    head = f"{MAGIC}1|{role}|{side}|{len(own)}|".encode()
    return hmac.digest(secret.encode(), head + own + other, "sha256")


def proves(given: object, expected: bytes) -> bool:
    """Whether a proof is the expected one, in time that tells nothing about it."""
    return type(given) is bytes and hmac.compare_digest(given, expected)


def _in_order(mine: _T, theirs: _T, dialed: bool) -> tuple[_T, _T]:
    return (mine, theirs) if dialed else (theirs, mine)


def _whole(value: object, least: int, most: int) -> bool:
    return type(value) is int and least <= value <= most
