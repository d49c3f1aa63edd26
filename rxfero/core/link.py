"""The link: one connection from its first byte to its end, and who is at the other one.

A link decides four things and nothing else: whether the peer is one of ours (handshake), whether
it is who it says (authentication), whether it is alive (heartbeat), and whether a frame may pass
(admission). It does not know sockets, what a frame above the handshake means, or other links.

**The handshake.** Both sides send HELLO at once; nobody waits for the other. A HELLO names magic,
protocol versions, cluster, service, node and boot, role and group, the address the node listens
on, and a digest of the configuration that all nodes must share. Its first three fields are the
same in every version there will ever be, so that a newer peer is refused by its version and not by
a field that moved. What does not fit ends in REFUSE with the reason, in the same words on both
sides; nothing outside this link has moved by then, and `peer` is still None. With a secret, both
sides then send AUTH: HMAC-SHA256 over the sender's role and side and both HELLO bodies, its own
first. The HELLOs hold fresh nonces, so no proof can be replayed; own-first and the side make the
two proofs differ, so none can be reflected; a HELLO with our own nonce is refused for the same
reason. Nothing but HELLO is parsed before the proof is checked. Last, both send WELCOME, and a
link is open when the peer's WELCOME is there. WELCOME is sent only by a side that has accepted the
other, and everything else only by a side that is open, so no frame can arrive before its time
unless the peer lies: then it is a :class:`~rxfero.errors.ProtocolError`.

**Heartbeat.** An open link sends PING every `ping_ms`, also a busy one: its payload carries the
digests by which two nodes notice that a frame got lost. Any frame counts as life; silence for
`dead_ms` closes the link (CONSISTENCY 3.6). A `wake` that comes late by more than a heartbeat means
that *this* process stood still, and the time it stood still is not held against the peer (R15).

The machine is the table :data:`TRANSITIONS`; a state and a kind of frame that are not in it are a
protocol error, and a link that raised one is closed with that reason. Own decisions to close
(:meth:`Link.close`, :meth:`Link.wake`) lead to "closed" from every state.

Sources: the habit of a table in one file is h11's; the two-sided HELLO with frozen first fields
follows TLS's version negotiation; the heartbeat is CONSISTENCY 3.6 and R15.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Any, Final, NamedTuple, TypeVar, cast

from rxfero.core import frame
from rxfero.errors import HandshakeRefused, ProtocolError

MAGIC: Final = "rxfero"
PROTO_MIN, PROTO_MAX = 1, 1  # versions of the protocol this program speaks
REASON_MAX: Final = 500  # most characters of a reason kept from a peer
NONCE_MIN: Final = 16
_PONG_GAP_S: Final = 0.005  # least time between two PONGs: a peer cannot make us write without end
_TEXT_MAX: Final = 255
_T = TypeVar("_T")

TRANSITIONS: Final[dict[str, dict[int, str]]] = {
    "hello": {frame.HELLO: "auth", frame.REFUSE: "closed"},
    "auth": {frame.AUTH: "welcome", frame.REFUSE: "closed"},  # passed at once without a secret
    "welcome": {frame.WELCOME: "open", frame.REFUSE: "closed"},
    "open": {frame.PING: "open", frame.PONG: "open", frame.GOAWAY: "closed"},
    "closed": {},
}
"""From a state, by a frame of a kind, to a state."""


class Identity(NamedTuple):
    """What a node tells of itself in the handshake."""

    cluster: str
    service: str
    name: str  # of the node; one live boot a name
    boot: int  # of the process, 64 bits, random
    role: str  # "server" or "client"
    group: str | None
    host: str
    port: int  # where the node listens; 0 for clients
    digest: str  # of what all nodes must have in common: shards, vnodes, hash, quorum
    proto_min: int = PROTO_MIN
    proto_max: int = PROTO_MAX
    features: tuple[str, ...] = ()


class _Limits(NamedTuple):
    containers: int = 256  # in a frame of the link's own


_LIMITS: Final = _Limits()


class _Hello(NamedTuple):
    identity: Identity
    secured: bool
    wall_ms: int
    nonce: bytes


def keep(mine: Identity, theirs: Identity, dialed_by_me: bool) -> bool:
    """Whether to keep this one of two crossed connections between the same two nodes.

    Both sides keep the connection dialed by the side with the smaller name, so both keep the same.
    Two connections dialed by the same side are told apart by :attr:`Link.order`.
    """
    return dialed_by_me == (mine.name < theirs.name)


class Link:
    """One connection's handshake, authentication, heartbeat and admission.

    The owner sends what is in `out` after every call, also after one that raised, and closes the
    connection when `state` is "closed" (what `out` holds then still goes out first).

    Args:
        id: The owner's number of the connection.
        me: This node.
        dialed: The address dialed, or None when the peer dialed.
        now: Monotonic seconds.
        ping_ms: Milliseconds between PINGs.
        dead_ms: Milliseconds of silence after which the peer is given up.
        timeout_ms: Milliseconds within which the handshake must be done.
        secret: The cluster's shared secret, or None.
        nonce: At least 16 fresh random bytes, different for every link.
        accept: Asked last, with the (authenticated) peer: a reason to refuse it, or None.
        wall_ms: Wall clock in ms at `now`; 0 leaves the peer's clock unchecked.
        skew_ms: Most milliseconds a peer's wall clock may be ahead of ours.

    Use: `peer`, `proto`, `features` are set when the link opens, and stay when it closes;
        `payloads` collects what the peer's PINGs and PONGs carried, the owner empties it;
        `ping_payload` gives what ours carry.
    Invariant: `reason` is None exactly while `state` is not "closed"; `deadline` is None exactly
        when it is.
    """

    __slots__ = (
        "_accept", "_admitted", "_born", "_dead_s", "_hello", "_ping_s", "_pinged", "_ponged",
        "_secret", "_skew_ms", "_theirs", "_their_hello", "_timeout_s", "_wall_ms", "deadline",
        "dialed", "features", "id", "last_heard", "me", "nonce", "out", "payloads", "peer",
        "ping_payload", "proto", "reason", "refused", "remote", "rtt", "state",
    )  # fmt: skip

    def __init__(
        self, id: int, me: Identity, dialed: tuple[str, int] | None, now: float, *,
        ping_ms: float, dead_ms: float, timeout_ms: float, secret: str | None, nonce: bytes,
        accept: Callable[[Identity], str | None] | None = None,
        wall_ms: int = 0, skew_ms: float = 60_000,
    ) -> None:  # fmt: skip
        assert len(nonce) >= NONCE_MIN, "a nonce is at least 16 random bytes"
        self.id, self.me, self.dialed = id, me, dialed
        self.state = "hello"
        self.peer: Identity | None = None
        self.proto = 0
        self.features: tuple[str, ...] = ()
        self.out: list[bytes] = []
        self.reason: str | None = None
        self.refused = False  # whether it ended in a refusal, by either side
        self.remote = False  # whether the peer ended it
        self.rtt: float | None = None
        self.last_heard = now
        self.payloads: list[Any] = []
        self.ping_payload: Callable[[], object] | None = None
        self.nonce = nonce
        self._ping_s, self._dead_s, self._timeout_s = ping_ms / 1e3, dead_ms / 1e3, timeout_ms / 1e3
        self._secret, self._accept = secret, accept
        self._born, self._wall_ms, self._skew_ms = now, wall_ms, skew_ms
        self._pinged = -1  # when the PING in flight was sent, in our microseconds
        self._ponged = now - _PONG_GAP_S
        self._admitted: frozenset[int] = frozenset()
        self._theirs: _Hello | None = None
        self._their_hello = b""
        self.deadline: float | None = now + self._timeout_s
        encoded = frame.encode(frame.HELLO, self._say_hello())
        self._hello = encoded[frame.HEADER.size :]
        self.out.append(encoded)

    @property
    def order(self) -> tuple[bool, bytes]:
        """What both ends see alike: of several links between two nodes keep the smallest."""
        mine, theirs = self.me, self._theirs
        if theirs is None:
            return True, self.nonce
        nonces = (self.nonce, theirs.nonce)
        return (
            not keep(mine, theirs.identity, self.dialed is not None),
            b"".join(nonces if self.dialed is not None else reversed(nonces)),
        )

    def receive(self, kind: int, flags: int, body: bytes, now: float) -> bool:
        """Take a frame. Send `out` and look at `state` after it.

        Returns:
            Whether the frame is one of the upper layer, and admitted. False: it was for the link,
            or is to be ignored.
        Raises:
            ProtocolError: the peer broke the protocol; the link is closed with that reason.
        """
        if kind in self._admitted:  # nothing is admitted unless the link is open
            self.last_heard = now
            return True
        state = self.state
        if state == "closed":
            return False
        try:
            following = TRANSITIONS[state].get(kind)
            if following is None:
                self._illegal(kind, flags)
                self.last_heard = now
                return False
            fields = frame.unpack(kind, body, _LIMITS)
            _HANDLERS[kind](self, fields, body, now)
            if following != "closed":
                self.state = following
            if following == "auth" and self._secret is None:
                self._welcome()
                self.state = TRANSITIONS["auth"][frame.AUTH]
        except HandshakeRefused as refusal:
            self._end(refusal.message, frame.REFUSE, refused=True)
        except ProtocolError as error:
            self._end(str(error), _farewell(state))
            raise
        self.last_heard = now
        return False

    def wake(self, now: float) -> None:
        """Do what time makes due; call it when `deadline` has passed (earlier does no harm)."""
        deadline = self.deadline
        if deadline is None or now < deadline:
            return
        late = now - deadline
        if self.state != "open":
            if late > self._ping_s:
                self.deadline = now + self._ping_s
            else:
                self.close(f"no handshake within {self._timeout_s:g} s", now)
            return
        if late > self._ping_s:
            self.last_heard += late
        if now - self.last_heard >= self._dead_s:
            self.close(f"nothing heard for {self._dead_s:g} s", now)
            return
        self._pinged = int(now * 1e6)
        self.out.append(frame.encode(frame.PING, [self._pinged, self._payload()]))
        self.deadline = now + self._ping_s

    def close(self, reason: str, now: float) -> None:
        """End the link and tell the peer why. A closed link stays as it is."""
        del now
        if self.state != "closed":
            self._end(reason, _farewell(self.state))

    # --- what a frame does

    def _on_hello(self, fields: list[Any], body: bytes, now: float) -> None:
        theirs = self._read_hello(fields)
        self._check(theirs, now)
        self._theirs, self._their_hello = theirs, body
        if self._secret is not None:
            proof = self._proof(self.me.role, self.dialed is not None, self._hello, body)
            self.out.append(frame.encode(frame.AUTH, [proof]))

    def _on_auth(self, fields: list[Any], body: bytes, now: float) -> None:
        del body, now
        theirs = self._theirs
        assert theirs is not None, "in auth after HELLO only"
        expected = self._proof(
            theirs.identity.role, self.dialed is None, self._their_hello, self._hello
        )
        given = fields[0] if fields else None
        if type(given) is not bytes or not hmac.compare_digest(given, expected):
            raise HandshakeRefused(f"node {theirs.identity.name!r} does not know the secret")
        self._welcome()

    def _on_welcome(self, fields: list[Any], body: bytes, now: float) -> None:
        del body
        theirs = self._theirs
        assert theirs is not None, "in welcome after HELLO only"
        if not fields or fields[0] != min(self.me.proto_max, theirs.identity.proto_max):
            raise ProtocolError("a WELCOME to another version of the protocol than agreed")
        self.peer = theirs.identity
        self.proto = fields[0]
        self.features = tuple(f for f in self.me.features if f in theirs.identity.features)
        self._admitted = frame.ADMITTED[theirs.identity.role, self.me.role]
        self.deadline = now + self._ping_s

    def _on_refuse(self, fields: list[Any], body: bytes, now: float) -> None:
        del body, now
        self._end(_reason(fields), None, refused=True)
        self.remote = True

    def _on_goaway(self, fields: list[Any], body: bytes, now: float) -> None:
        del body, now
        self._end(_reason(fields), None)
        self.remote = True

    def _on_ping(self, fields: list[Any], body: bytes, now: float) -> None:
        del body
        if len(fields) < 2 or type(fields[0]) is not int:
            raise ProtocolError("a PING without its time and payload")
        self.payloads.append(fields[1])
        if now - self._ponged >= _PONG_GAP_S:
            self._ponged = now
            self.out.append(frame.encode(frame.PONG, [fields[0], self._payload()]))

    def _on_pong(self, fields: list[Any], body: bytes, now: float) -> None:
        del body
        if len(fields) < 2 or type(fields[0]) is not int:
            raise ProtocolError("a PONG without its time and payload")
        self.payloads.append(fields[1])
        if fields[0] == self._pinged:
            self.rtt = max(0.0, now - self._pinged / 1e6)
            self._pinged = -1

    # --- the handshake's parts

    def _say_hello(self) -> list[Any]:
        me = self.me
        return [
            MAGIC, me.proto_min, me.proto_max, me.cluster, me.service, me.name, me.boot, me.role,
            me.group, me.host, me.port, me.digest, me.features, self._secret is not None,
            self._wall_ms, self.nonce,
        ]  # fmt: skip

    def _read_hello(self, fields: list[Any]) -> _Hello:
        """Read a HELLO: magic and versions first, the rest only in a version we speak."""
        magic = fields[0] if fields else None
        if magic != MAGIC:
            raise HandshakeRefused(f"magic {str(magic)[:20]!r} is not {MAGIC!r}: this is no rxfero node")
        if len(fields) < 3 or not all(_whole(v, 1, 0xFFFF) for v in fields[1:3]):
            raise ProtocolError("a HELLO without versions of the protocol")
        low, high = fields[1:3]
        me = self.me
        if max(low, me.proto_min) > min(high, me.proto_max):
            mine, theirs = f"{me.proto_min} to {me.proto_max}", f"{low} to {high}"
            raise HandshakeRefused("no common version of the protocol: {} and {}".format(
                *self._in_order(mine, theirs)
            ))  # fmt: skip
        if len(fields) < 16:
            raise ProtocolError(f"a HELLO of {len(fields)} fields, the least is 16")
        cluster, service, name, boot, role, group, host, port, digest = fields[3:12]
        features, secured, wall_ms, nonce = fields[12:16]
        texts = [cluster, service, name, role, host, digest, "" if group is None else group]
        if type(features) is not list or type(secured) is not bool or type(nonce) is not bytes:
            raise ProtocolError("a HELLO whose features, secured or nonce are malformed")
        texts += cast("list[Any]", features)
        if not all(type(text) is str and len(text) <= _TEXT_MAX for text in texts):
            raise ProtocolError(f"a HELLO with a text that is none, or over {_TEXT_MAX} characters")
        if not (_whole(boot, 0, 2**64 - 1) and _whole(port, 0, 65535) and _whole(wall_ms, 0, 2**53)):
            raise ProtocolError("a HELLO whose boot, port or time is out of range")
        if role not in (frame.SERVER, frame.CLIENT) or not name or len(nonce) < NONCE_MIN:
            raise ProtocolError("a HELLO whose role, name or nonce is malformed")
        identity = Identity(
            cluster, service, name, boot, role, group, host, port, digest, low, high,
            tuple(cast("list[str]", features)),
        )  # fmt: skip
        return _Hello(identity, secured, wall_ms, nonce)

    def _check(self, hello: _Hello, now: float) -> None:
        """Refuse whoever is none of ours, in words that are the same on both sides."""
        me, peer = self.me, hello.identity
        first, second = self._in_order(me, peer)
        if hello.nonce == self.nonce or (peer.name == me.name and peer.boot == me.boot):
            raise HandshakeRefused(f"node {me.name!r} is connected to itself")
        for what, a, b in (
            ("cluster", first.cluster, second.cluster),
            ("service", first.service, second.service),
            ("a configuration with digest", first.digest, second.digest),
        ):
            if a != b:
                raise HandshakeRefused(
                    f"node {first.name!r} has {what} {a!r}, node {second.name!r} has {b!r}"
                )
        if (me.role, peer.role) == (frame.CLIENT, frame.CLIENT):
            raise HandshakeRefused(f"{first.name!r} and {second.name!r} are both clients")
        if hello.secured != (self._secret is not None):
            bare = peer.name if self._secret is not None else me.name
            raise HandshakeRefused(f"the cluster has a secret and node {bare!r} has none")
        if hello.wall_ms and self._wall_ms:
            ahead = hello.wall_ms - self._wall_ms - (now - self._born) * 1000
            if ahead > self._skew_ms:
                raise HandshakeRefused(
                    f"the clock of node {peer.name!r} is {ahead / 1000:.0f} s ahead of"
                    f" {me.name!r}'s, {self._skew_ms / 1000:g} s are allowed"
                )

    def _welcome(self) -> None:
        theirs = self._theirs
        assert theirs is not None, "a welcome after HELLO only"
        reason = None if self._accept is None else self._accept(theirs.identity)
        if reason is not None:
            raise HandshakeRefused(reason)
        proto = min(self.me.proto_max, theirs.identity.proto_max)
        common = [f for f in self.me.features if f in theirs.identity.features]
        self.out.append(frame.encode(frame.WELCOME, [proto, common]))

    def _proof(self, role: str, dialer: bool, own: bytes, other: bytes) -> bytes:
        assert self._secret is not None, "a proof needs a secret"
        side = "dialer" if dialer else "listener"
        head = f"{MAGIC}1|{role}|{side}|{len(own)}|".encode()
        return hmac.digest(self._secret.encode(), head + own + other, "sha256")

    # --- small things

    def _in_order(self, mine: _T, theirs: _T) -> tuple[_T, _T]:
        return (mine, theirs) if self.dialed is not None else (theirs, mine)

    def _illegal(self, kind: int, flags: int) -> None:
        """Refuse a frame that no row of the tables allows, unless it may be ignored."""
        name = frame.name_of(kind)
        if self.state != "open":
            raise ProtocolError(f"a {name} frame in state {self.state!r} of the handshake")
        if kind in frame.KINDS:
            role = "" if self.peer is None else f" from a {self.peer.role}"
            raise ProtocolError(f"a {name} frame{role}, to a {self.me.role}, is not allowed")
        if flags & frame.MUST_UNDERSTAND:
            raise ProtocolError(f"a frame of {name}, which must be understood and is not")

    def _payload(self) -> object:
        return None if self.ping_payload is None else self.ping_payload()

    def _end(self, reason: str, kind: int | None, *, refused: bool = False) -> None:
        self.state, self.reason, self.refused = "closed", reason, refused
        self.deadline = None
        self._admitted = frozenset()
        if kind is not None:
            self.out.append(frame.encode(kind, [reason[:REASON_MAX]]))

    def __repr__(self) -> str:
        who = "" if self.peer is None else f" to {self.peer.name}"
        why = "" if self.reason is None else f": {self.reason}"
        return f"<Link {self.id}{who} {self.state}{why}>"


_HANDLERS: Final[dict[int, Callable[[Link, list[Any], bytes, float], None]]] = {
    frame.HELLO: Link._on_hello,  # pyright: ignore[reportPrivateUsage]
    frame.AUTH: Link._on_auth,  # pyright: ignore[reportPrivateUsage]
    frame.WELCOME: Link._on_welcome,  # pyright: ignore[reportPrivateUsage]
    frame.REFUSE: Link._on_refuse,  # pyright: ignore[reportPrivateUsage]
    frame.PING: Link._on_ping,  # pyright: ignore[reportPrivateUsage]
    frame.PONG: Link._on_pong,  # pyright: ignore[reportPrivateUsage]
    frame.GOAWAY: Link._on_goaway,  # pyright: ignore[reportPrivateUsage]
}


def _farewell(state: str) -> int:
    """Give the kind that ends a link: who has our WELCOME may be open, and takes no REFUSE."""
    return frame.REFUSE if state in ("hello", "auth") else frame.GOAWAY


def _whole(value: object, least: int, most: int) -> bool:
    return type(value) is int and least <= value <= most


def _reason(fields: list[Any]) -> str:
    given = fields[0] if fields else None
    return given[:REASON_MAX] if type(given) is str and given else "the peer gave no reason"
