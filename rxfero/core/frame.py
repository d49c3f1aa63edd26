"""The frame: what travels on a connection, and the table of every kind there is.

A frame is ``u32 length | u8 kind | u8 flags | body``, big endian; `length` counts what follows it
(kind, flags and body), and the body is one msgpack array. :data:`KINDS` is the protocol at a
glance: each kind's number, who may send it to whom, in which states of a
:class:`~rxfero.core.link.Link` it is legal, and its fields. The decoder, the link's admission, the
page ``docs/wire.md`` and the fuzz tests all read this one table; if you change it, the page is to
be printed again with :func:`describe`.

Limits are checked on the header, before anything is buffered, and on the body before anything is
decoded, so a peer can make this process hold at most one frame of bytes, and a body of at most
`limits.containers` arrays and maps. Whatever a peer can do wrong ends in one
:class:`~rxfero.errors.ProtocolError` and a decoder that stays dead.

The module does not know connections, links or what a body means to the upper layer.
"""

from __future__ import annotations

from struct import Struct
from typing import Any, Final, NamedTuple, Protocol

from rxfero.core.value import pack_body, unpack_body
from rxfero.errors import ProtocolError

# Handshake and liveness, handled by the link itself.
HELLO: Final = 1
AUTH: Final = 2
WELCOME: Final = 3
REFUSE: Final = 4
PING: Final = 5
PONG: Final = 6
GOAWAY: Final = 7
# Membership.
MEMBERS: Final = 10
PINGREQ: Final = 11
PINGACK: Final = 12
RELAY: Final = 13
# Takeover.
PREPARE: Final = 20
PROMISE: Final = 21
FENCED: Final = 22
FETCH: Final = 23
FETCHED: Final = 24
# Replication.
APPEND: Final = 30
APPENDED: Final = 31
NACK: Final = 32
SNAP: Final = 33
HEADS: Final = 34
FEED: Final = 35
COMMITTED: Final = 36
ROUND: Final = 37
ROUNDED: Final = 38
# Branches of a split.
BRANCH: Final = 40
WANT: Final = 41
OFFER: Final = 42
SBRANCH: Final = 43
# Requests and their answers.
REQUEST: Final = 50
FORWARD: Final = 51
ACK: Final = 52
REPLY: Final = 53
PARTIAL: Final = 54
CANCEL: Final = 55
MORE: Final = 62
SAFE: Final = 56
GONE: Final = 57
RESET: Final = 58
MESSAGE: Final = 59
ANSWER: Final = 61
# Observation.
MONITOR: Final = 60

MUST_UNDERSTAND: Final = 1  # flag: a receiver that does not know the kind must give up

HELLO_MAX: Final = 4096  # most bytes of a frame before the handshake is done
_LARGE: Final = 1 << 13  # bytes which it is worth not to copy
HEADER: Final = Struct(">IBB")
_HEAD: Final = HEADER.size  # 6: the length and what every frame has
_PREFIX: Final = 4  # of those, the length itself
_LEAST: Final = _HEAD - _PREFIX

SERVER, CLIENT, WATCHER = "server", "client", "monitor"
_SS: Final = (SERVER, SERVER)
_CS: Final = (CLIENT, SERVER)
_SC: Final = (SERVER, CLIENT)
_WS: Final = (WATCHER, SERVER)
_SW: Final = (SERVER, WATCHER)
_DATA: Final = (_SS, _CS, _SC)
_ANY: Final = (*_DATA, _WS, _SW)
_OPEN: Final = ("open",)
_BEFORE: Final = ("hello", "auth", "welcome")


class Kind(NamedTuple):
    """One row of the table: a kind of frame."""

    number: int
    name: str
    routes: tuple[tuple[str, str], ...]  # (role of the sender, role of the receiver)
    states: tuple[str, ...]  # of the receiving link
    fields: str


_ROWS: Final = (
    Kind(HELLO, "HELLO", _ANY, ("hello",),
         "magic, proto min, proto max, cluster, service, name, boot, role, group, host, port,"
         " config digest, features, secured, wall ms, nonce"),
    Kind(AUTH, "AUTH", _ANY, ("auth",), "HMAC-SHA256 over both HELLOs"),
    Kind(WELCOME, "WELCOME", _ANY, ("welcome",), "protocol version, common features"),
    Kind(REFUSE, "REFUSE", _ANY, _BEFORE, "reason"),
    Kind(PING, "PING", _ANY, _OPEN, "sent at, payload"),
    Kind(PONG, "PONG", _ANY, _OPEN, "sent at of the PING, payload"),
    Kind(GOAWAY, "GOAWAY", _ANY, _OPEN, "reason"),
    Kind(MEMBERS, "MEMBERS", (_SS, _SC), _OPEN, "rows of members, ring checksum"),
    Kind(PINGREQ, "PINGREQ", (_SS,), _OPEN, "name of the member asked about"),
    Kind(PINGACK, "PINGACK", (_SS,), _OPEN, "name, ms since it was heard"),
    Kind(RELAY, "RELAY", (_SS,), _OPEN, "target, origin, kind, body of the frame inside"),
    Kind(PREPARE, "PREPARE", (_SS,), _OPEN, "term, shards wanted"),
    Kind(PROMISE, "PROMISE", (_SS,), _OPEN, "term, what the promiser has of each shard"),
    Kind(FENCED, "FENCED", (_SS,), _OPEN, "pairs of shard and promised term"),
    Kind(FETCH, "FETCH", (_SS,), _OPEN, "term, shards and where to start"),
    Kind(FETCHED, "FETCHED", (_SS,), _OPEN, "term, records or parts of a snapshot"),
    Kind(APPEND, "APPEND", (_SS,), _OPEN, "fencing term, columns of records"),
    Kind(APPENDED, "APPENDED", (_SS,), _OPEN, "term, shards, numbers reached, numbers on disk"),
    Kind(NACK, "NACK", (_SS, _CS), _OPEN, "fencing term, histories of shards with a gap"),
    Kind(SNAP, "SNAP", (_SS, _SC), _OPEN, "term, shard, part of its snapshot"),
    Kind(
        HEADS, "HEADS", _DATA, _OPEN,
        "ask, done, tell, told: heads (and what is followed), nil, shards, histories",
    ),
    Kind(FEED, "FEED", (_SC,), _OPEN, "columns of records for a client"),
    Kind(COMMITTED, "COMMITTED", (_SS,), _OPEN, "term, shards, numbers a majority has on disk"),
    Kind(ROUND, "ROUND", (_SS,), _OPEN, "number of the round, shards, terms"),
    Kind(ROUNDED, "ROUNDED", (_SS,), _OPEN, "number of the round, shards still followed"),
    Kind(BRANCH, "BRANCH", (_SS,), _OPEN, "records of a branch"),
    Kind(WANT, "WANT", (_SS,), _OPEN, "ranges of a branch that are not covered"),
    Kind(OFFER, "OFFER", (_SS,), _OPEN, "ranges of a branch"),
    Kind(SBRANCH, "SBRANCH", (_SS,), _OPEN, "state of a branch whose records are gone"),
    Kind(REQUEST, "REQUEST", (_CS,), _OPEN, "columns of a client's requests"),
    Kind(FORWARD, "FORWARD", (_SS,), _OPEN, "columns of requests, hops so far"),
    Kind(ACK, "ACK", (_SS, _SC), _OPEN, "session, numbers of the requests received"),
    Kind(REPLY, "REPLY", (_SS, _SC), _OPEN, "columns of answers"),
    Kind(PARTIAL, "PARTIAL", (_SS, _SC), _OPEN, "name, session, number, answer, by whom"),
    Kind(CANCEL, "CANCEL", (_SS, _CS), _OPEN, "name, session, number, shard or server"),
    Kind(MORE, "MORE", (_SS, _CS), _OPEN, "name, session, number, server, answers taken"),
    Kind(SAFE, "SAFE", (_SS, _SC), _OPEN, "term, shards, numbers every live server holds"),
    Kind(GONE, "GONE", (_SS,), _OPEN, "name of a client that has gone"),
    Kind(RESET, "RESET", (_SC,), _OPEN, "shards whose history is gone"),
    Kind(MESSAGE, "MESSAGE", (_CS,), _OPEN, "session, numbers, verbs, keys, values"),
    Kind(ANSWER, "ANSWER", (_SC,), _OPEN, "session, numbers, values, whether it is their ACK"),
    Kind(MONITOR, "MONITOR", (_WS, _SW), _OPEN, "nothing; a map of the node's figures"),
)  # fmt: skip

KINDS: Final = {row.number: row for row in _ROWS}
HANDSHAKE: Final = frozenset(row.number for row in _ROWS if "open" not in row.states)
CONTROL: Final = HANDSHAKE | {PING, PONG, GOAWAY}  # what never reaches the upper layer


def _admitted(sender: str, receiver: str) -> frozenset[int]:
    rows = (row for row in _ROWS if (sender, receiver) in row.routes)
    return frozenset(row.number for row in rows if row.number not in CONTROL)


ADMITTED: Final[dict[tuple[str, str], frozenset[int]]] = {r: _admitted(*r) for r in _ANY}
"""For (role of the sender, role of the receiver): the upper layer's kinds an open link takes."""


class Limits(Protocol):
    """What of the constants bounds the decoding of a body."""

    @property
    def containers(self) -> int:
        """Most arrays and maps, nested ones counted, in one body, and most items in one of them."""
        ...


def name_of(kind: int) -> str:
    """Give a kind's name for a sentence; an unknown kind is named by its number."""
    row = KINDS.get(kind)
    return f"kind {kind}" if row is None else row.name


def describe() -> str:
    """Print the table as the rows of a Markdown table, for the page of the wire."""
    lines = ["| number | kind | from -> to | legal in | fields |", "|---|---|---|---|---|"]
    for row in _ROWS:
        routes = "any" if row.routes == _ANY else ", ".join(f"{a} -> {b}" for a, b in row.routes)
        states = ", ".join(row.states)
        lines.append(f"| {row.number} | {row.name} | {routes} | {states} | {row.fields} |")
    return "\n".join(lines)


def encode(kind: int, body: object, flags: int = 0) -> bytes:
    """Give the bytes of a frame whose body is still to be packed."""
    return encode_raw(kind, pack_body(body), flags)


def encode_raw(kind: int, packed: bytes, flags: int = 0, blob: bytes = b"") -> bytes:
    """Give the bytes of a frame whose body is packed already (one packing serves every peer).

    Args:
        kind, flags: The frame's.
        packed: The body, or what is before its blob.
        blob: A large last part of it, which is copied but once.
    """
    return b"".join((HEADER.pack(_LEAST + len(packed) + len(blob), kind, flags), packed, blob))


def unpack(kind: int, body: bytes | memoryview, limits: Limits) -> list[Any]:
    """Give the fields of a body.

    Raises:
        ProtocolError: the body has more than `limits.containers` arrays and maps (nothing was
            decoded then), is malformed, or is no array.
    """
    try:
        fields: Any = unpack_body(body, limit_items=limits.containers)
    except ProtocolError as error:
        raise ProtocolError(f"a malformed {name_of(kind)} frame: {error}") from error
    if fields.__class__ is not list:
        raise ProtocolError(
            f"a malformed {name_of(kind)} frame: {type(fields).__name__}, not an array"
        )
    return fields


class Decoder:
    """Cuts a connection's bytes into frames, for one direction of one connection.

    Before :meth:`open` a frame has at most 4096 bytes and is one of the handshake's, and what
    follows a WELCOME stays undecoded: the peer may send at once after it, but only the owner of the
    connection knows whether that WELCOME was in its place. So the owner, when its link is open,
    calls :meth:`open` and then feeds ``b""`` to get what was held.

    Invariant: `failed` never goes back to None; a dead decoder holds no bytes.
    """

    __slots__ = (
        "_limit", "_limit_open", "_need", "_parts", "_size", "_welcomed", "failed", "is_open",
    )  # fmt: skip

    def __init__(self, frame_max: int) -> None:
        self.failed: ProtocolError | None = None
        self.is_open = False
        self._welcomed = False
        self._limit_open = frame_max
        self._limit = min(HELLO_MAX, frame_max)
        self._parts: list[bytes] = []
        self._size = 0  # bytes in parts
        self._need = _HEAD  # bytes without which nothing can be decided

    def open(self) -> None:
        """Take frames of every kind and size from now on: the handshake is done."""
        self.is_open = True
        self._limit = self._limit_open

    @property
    def buffered(self) -> int:
        """Bytes that are no whole frame yet, or that wait for :meth:`open`."""
        return self._size

    @property
    def held(self) -> bool:
        """Whether bytes wait for :meth:`open`; stop reading from the socket then."""
        return self._welcomed and not self.is_open and self._size > 0

    def feed(self, data: bytes) -> list[tuple[int, int, bytes | memoryview]]:
        """Take what came from the socket; give (kind, flags, body) of each whole frame.

        A large body is a view of what came, which lives as long as that; who keeps it copies it.

        Frames of a kind unknown here are left out unless they must be understood. When a bad frame
        follows good ones, the good ones are given, `failed` is set and the next call raises.

        Raises:
            ProtocolError: a frame too large or too small, a kind that must be understood and is
                not, or one that is illegal before the handshake. The decoder is dead for good.
        """
        if self.failed is not None:
            raise self.failed
        if self._parts or (self._welcomed and not self.is_open):
            self._parts.append(data)
            self._size += len(data)
            if self._size < self._need or self.held:
                return []
            frames = self._go_on(data)
        else:
            frames = self._cut(data, 0)
        if self.failed is not None:
            self._size = 0
            if not frames:
                raise self.failed
        return frames

    def _go_on(self, data: bytes) -> list[tuple[int, int, bytes | memoryview]]:
        """Take what came behind something that waits; of large data only the part it waits for."""
        parts, begun = self._parts, self._need - (self._size - len(data))
        self._parts = []
        if len(data) < _LARGE or self._need == _HEAD or not self.is_open:
            return self._cut(b"".join(parts), 0)
        parts[-1] = data[:begun]
        frames = self._cut(b"".join(parts), 0)
        return frames if self.failed is not None else frames + self._cut(data, begun)

    def _cut(self, data: bytes, at: int) -> list[tuple[int, int, bytes | memoryview]]:
        frames: list[tuple[int, int, bytes | memoryview]] = []
        end, need = len(data), _HEAD
        limit, is_open, header, kinds = self._limit, self.is_open, HEADER.unpack_from, KINDS
        while end - at >= _HEAD:
            length, kind, flags = header(data, at)
            if not _LEAST <= length <= limit or kind not in kinds or not is_open:
                self.failed = self._verdict(length, kind, flags)
                if self.failed is not None:
                    return frames
            stop = at + _PREFIX + length
            if stop > end:
                need = stop - at
                break
            if kind in kinds:
                large = length > _LARGE and is_open
                body = memoryview(data)[at + _HEAD : stop] if large else data[at + _HEAD : stop]
                frames.append((kind, flags, body))
            at = stop
            if kind == WELCOME and not is_open:
                self._welcomed = True
                break
        self._size = end - at
        self._need = need
        if at < end:
            self._parts.append(data[at:] if at else data)
        return frames

    def _verdict(self, length: int, kind: int, flags: int) -> ProtocolError | None:
        """Judge a header that is not plainly good."""
        if length < _LEAST:
            return ProtocolError(f"a frame of {length} bytes, the least is {_LEAST}")
        if length > self._limit:
            name, before = name_of(kind), "" if self.is_open else " before the handshake is done"
            return ProtocolError(
                f"a {name} frame of {length} bytes, the limit is {self._limit}{before}"
            )
        if not self.is_open and kind not in HANDSHAKE:
            return ProtocolError(f"a {name_of(kind)} frame before the handshake is done")
        if kind not in KINDS and flags & MUST_UNDERSTAND:
            return ProtocolError(f"a frame of kind {kind}, which must be understood and is not")
        return None

    def __repr__(self) -> str:
        state = "dead" if self.failed else "open" if self.is_open else "handshake"
        return f"<Decoder {state} buffered={self._size}>"
