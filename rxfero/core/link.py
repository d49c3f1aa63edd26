"""The link: one connection from its first byte to its end, and who is at the other one.

A link decides four things and nothing else: whether the peer is one of ours (handshake), whether
it is who it says (authentication), whether it is alive (heartbeat), and whether a frame may pass
(admission). It does not know sockets, what a frame above the handshake means, or other links.

**The handshake.** Both sides send HELLO at once (:mod:`rxfero.core.hello`); nobody waits for the
other. What does not fit ends in REFUSE with the reason, in the same words on both sides; nothing
outside this link has moved by then, and `peer` is still None. With a secret, both sides then send
AUTH, an HMAC over both HELLO bodies; nothing but HELLO is parsed before the proof is checked. Last,
both send WELCOME, and a link is open when the peer's WELCOME is there. WELCOME is sent only by a
side that has accepted the other, and everything else only by a side that is open, so no frame can
arrive before its time unless the peer lies: then it is a
:class:`~rxfero.errors.ProtocolError`. Who has sent its WELCOME says GOAWAY and not REFUSE, for the
peer may be open already.

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

from collections.abc import Callable
from typing import Any, ClassVar, Final, NamedTuple

from rxfero.core import frame, hello
from rxfero.core.hello import Hello, Identity
from rxfero.errors import HandshakeRefused, ProtocolError

__all__ = ["TRANSITIONS", "Identity", "Link", "keep"]

REASON_MAX: Final = 500  # most characters of a reason kept from a peer
AUTH_MS: Final = 5_000  # to prove that a secret is known: who does not is not kept waiting for long
_PONG_GAP_S: Final = 0.005  # least time between two PONGs: a peer cannot make us write without end

TRANSITIONS: Final[dict[str, dict[int, str]]] = {
    "hello": {frame.HELLO: "auth", frame.REFUSE: "closed"},
    "auth": {frame.AUTH: "welcome", frame.REFUSE: "closed"},  # passed at once without a secret
    "welcome": {frame.WELCOME: "open", frame.REFUSE: "closed"},
    "open": {frame.PING: "open", frame.PONG: "open", frame.GOAWAY: "closed"},
    "closed": {},
}
"""From a state, by a frame of a kind, to a state."""


class _Limits(NamedTuple):
    containers: int = 256  # in a frame of the link's own


_LIMITS: Final = _Limits()


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
        timeout_ms: Milliseconds within which the handshake must be done; with a secret, at most
            `AUTH_MS`.
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
        "_accept", "_admitted", "_born", "_dead_s", "_mine", "_my_body", "_ping_s", "_pinged",
        "_ponged", "_secret", "_skew_ms", "_their_body", "_theirs", "_timeout_s", "deadline",
        "dialed", "features", "id", "last_heard", "me", "out", "payloads", "peer", "ping_payload",
        "proto", "reason", "refused", "remote", "rtt", "state", "stranger",
    )  # fmt: skip

    def __init__(
        self, id: int, me: Identity, dialed: tuple[str, int] | None, now: float, *,
        ping_ms: float, dead_ms: float, timeout_ms: float, secret: str | None, nonce: bytes,
        accept: Callable[[Identity], str | None] | None = None,
        wall_ms: int = 0, skew_ms: float = 60_000,
    ) -> None:  # fmt: skip
        assert len(nonce) >= hello.NONCE_MIN, "a nonce is at least 16 random bytes"
        self.id, self.me, self.dialed = id, me, dialed
        self.state = "hello"
        self.peer: Identity | None = None
        self.proto = 0
        self.features: tuple[str, ...] = ()
        self.out: list[bytes] = []
        self.reason: str | None = None
        self.refused = False  # whether it ended in a refusal, by either side
        self.remote = False  # whether the peer ended it
        self.stranger = False  # whether the peer did not know the secret
        self.rtt: float | None = None
        self.last_heard = now
        self.payloads: list[Any] = []
        self.ping_payload: Callable[[], object] | None = None
        timeout_ms = timeout_ms if secret is None else min(timeout_ms, AUTH_MS)
        self._ping_s, self._dead_s, self._timeout_s = ping_ms / 1e3, dead_ms / 1e3, timeout_ms / 1e3
        self._secret, self._accept = secret, accept
        self._born, self._skew_ms = now, skew_ms
        self._pinged = -1  # when the PING in flight was sent, in our microseconds
        self._ponged = now - _PONG_GAP_S
        self._admitted: frozenset[int] = frozenset()
        self._theirs: Hello | None = None
        self._their_body = b""
        self.deadline: float | None = now + self._timeout_s
        self._mine = Hello(me, secret is not None, wall_ms, nonce)
        encoded = frame.encode(frame.HELLO, hello.write(self._mine))
        self._my_body = encoded[frame.HEADER.size :]
        self.out.append(encoded)

    @property
    def order(self) -> tuple[bool, bytes]:
        """What both ends see alike: of several links between two nodes keep the smallest."""
        mine, theirs, dialed = self._mine, self._theirs, self.dialed is not None
        if theirs is None:
            return True, mine.nonce
        nonces = (mine.nonce, theirs.nonce) if dialed else (theirs.nonce, mine.nonce)
        return not keep(mine.identity, theirs.identity, dialed), b"".join(nonces)

    def receive(self, kind: int, flags: int, body: bytes | memoryview, now: float) -> bool:
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
            self._handlers[kind](self, fields, bytes(body), now)
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
        dialed = self.dialed is not None
        theirs = hello.read(fields, self.me, dialed=dialed)
        reason = hello.misfit(self._mine, theirs, dialed=dialed) or hello.clock_ahead(
            self._mine, theirs, now - self._born, self._skew_ms
        )
        if reason is not None:
            raise HandshakeRefused(reason)
        self._theirs, self._their_body = theirs, body
        if self._secret is not None:
            proof = hello.proof(self._secret, self.me.role, dialed, self._my_body, body)
            self.out.append(frame.encode(frame.AUTH, [proof]))

    def _on_auth(self, fields: list[Any], body: bytes, now: float) -> None:
        del body, now
        theirs, secret = self._theirs, self._secret
        assert theirs is not None, "in auth after HELLO only"
        assert secret is not None, "in auth with a secret only"
        peer = theirs.identity
        expected = hello.proof(
            secret, peer.role, self.dialed is None, self._their_body, self._my_body
        )
        if not hello.proves(fields[0] if fields else None, expected):
            self.stranger = True
            raise HandshakeRefused(f"node {peer.name!r} does not know the secret")
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

    def _welcome(self) -> None:
        theirs = self._theirs
        assert theirs is not None, "a welcome after HELLO only"
        reason = None if self._accept is None else self._accept(theirs.identity)
        if reason is not None:
            raise HandshakeRefused(reason)
        proto = min(self.me.proto_max, theirs.identity.proto_max)
        common = [f for f in self.me.features if f in theirs.identity.features]
        self.out.append(frame.encode(frame.WELCOME, [proto, common]))

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

    _handlers: ClassVar[dict[int, Callable[[Link, list[Any], bytes, float], None]]] = {
        frame.HELLO: _on_hello,
        frame.AUTH: _on_auth,
        frame.WELCOME: _on_welcome,
        frame.REFUSE: _on_refuse,
        frame.PING: _on_ping,
        frame.PONG: _on_pong,
        frame.GOAWAY: _on_goaway,
    }

    def __repr__(self) -> str:
        who = "" if self.peer is None else f" to {self.peer.name}"
        why = "" if self.reason is None else f": {self.reason}"
        return f"<Link {self.id}{who} {self.state}{why}>"


def _farewell(state: str) -> int:
    """Give the kind that ends a link: who has our WELCOME may be open, and takes no REFUSE."""
    return frame.REFUSE if state in ("hello", "auth") else frame.GOAWAY


def _reason(fields: list[Any]) -> str:
    given = fields[0] if fields else None
    return given[:REASON_MAX] if type(given) is str and given else "the peer gave no reason"
