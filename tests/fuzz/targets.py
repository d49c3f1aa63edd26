"""The targets: what may be sent to a node by anybody, and what must never come of it.

`decoder` takes bytes, `handshake` frames of a stranger, `session` frames of a peer that has been let
in. Each takes one input and raises nothing but what is a bug: a typed refusal is a good answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path as File
from random import Random
from typing import Any, NamedTuple

from rxfero.core import frame
from rxfero.core.call import COMMIT
from rxfero.core.frame import Decoder
from rxfero.core.link import Identity, Link
from rxfero.core.path import Path
from rxfero.core.value import pack, pack_body, unpack_body
from rxfero.errors import ProtocolError
from tests.simulation.world import Host, World, Write

CORPUS = File(__file__).parent / "corpus"
SHAKING = frozenset((*frame.HANDSHAKE, frame.PING, frame.PONG, frame.GOAWAY))
FRAME_MAX = 1 << 16
LIVES = 400  # inputs before a session begins anew
AHEAD = bytes(range(32))

SERVER = Identity("rxfero", "users", "a", 1, "server", None, "127.0.0.1", 5000, "d1")
STRANGER = Identity("rxfero", "users", "b", 2, "server", None, "127.0.0.1", 5001, "d1")


class Frame(NamedTuple):
    """One frame, as it is kept in the corpus."""

    kind: int
    flags: int
    body: bytes

    @property
    def packed(self) -> bytes:
        return frame.HEADER.pack(len(self.body) + 2, self.kind, self.flags) + self.body


def corpus() -> list[Frame]:
    """Give the frames that are kept, in order of their files."""
    found: list[Frame] = []
    for file in sorted(CORPUS.glob("*.bin")):
        data = file.read_bytes()
        _, kind, flags = frame.HEADER.unpack_from(data)
        found.append(Frame(kind, flags, data[frame.HEADER.size :]))
    assert found, "an empty corpus"
    return found


# --- mutation


ODD: tuple[Any, ...] = (
    None, True, False, -1, 0, 1, 2, 15, 16, 255, 1 << 31, (1 << 63) - 1, (1 << 64) - 1, -(1 << 63),
    0.5, float("nan"), float("inf"), "", "a", "n0", "n1", "x0", "é" * 40, b"", b"\xc0", b"\x91\x01",
    b"\xff" * 20, [], [[]], [None], [0, 0], {}, {"a": 1}, [[[[]]]], ["k0"], [1 << 40, 1],
)


def bent(given: Frame, others: list[Frame], rng: Random) -> Frame:
    """Give a frame with something wrong in its bytes or in what they mean."""
    kind, flags, body = given
    if rng.random() < 0.04:
        kind = rng.choice([rng.randrange(256), rng.choice(others).kind])
    if rng.random() < 0.04:
        flags = rng.randrange(256)
    if rng.random() < 0.2:
        return Frame(kind, flags, scratched(body, rng))
    try:
        content: Any = unpack_body(body, limit_items=1 << 20)
    except ProtocolError:
        return Frame(kind, flags, scratched(body, rng))
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        content = _changed(content, rng)
    try:
        return Frame(kind, flags, pack_body(content))
    except (ProtocolError, TypeError, ValueError, OverflowError):
        return Frame(kind, flags, scratched(body, rng))


def scratched(data: bytes, rng: Random) -> bytes:
    """Give bytes with some flipped, cut out, put in or cut off."""
    work = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 5))):
        at = rng.randrange(len(work) + 1)
        match rng.randrange(4):
            case 0 if at < len(work):
                work[at] = rng.randrange(256)
            case 1:
                del work[at : at + rng.randrange(1, 9)]
            case 2:
                work[at:at] = rng.randbytes(rng.randrange(1, 9))
            case _:
                del work[at:]
    return bytes(work)


def _changed(content: Any, rng: Random) -> Any:
    if not isinstance(content, list) or not content or rng.random() < 0.05:
        if isinstance(content, bytes) and rng.random() < 0.5:
            return scratched(content, rng)
        if type(content) is int and rng.random() < 0.5:
            return content + rng.choice((-2, -1, 1, 2, 1 << 32))
        return rng.choice(ODD)
    work: list[Any] = list(content)
    at = rng.randrange(len(work))
    match rng.randrange(9):
        case 0:
            del work[at]
        case 1:
            work.insert(at, work[at])
        case 2:
            other = rng.randrange(len(work))
            work[at], work[other] = work[other], work[at]
        case _:
            work[at] = _changed(work[at], rng)
    return work


# --- targets


def decoder(data: bytes, rng: Random) -> None:
    """Feed bytes in pieces; the decoder holds no more than a frame."""
    machine = Decoder(FRAME_MAX)
    if rng.random() < 0.7:
        machine.open()
    at = 0
    while at < len(data):
        step = rng.choice((1, 3, 7, 64, 4096, len(data)))
        try:
            machine.feed(data[at : at + step])
        except ProtocolError:
            assert machine.failed is not None, "it raised and lives"
            assert not machine.buffered, "a dead decoder holds bytes"
            return
        at += step
        assert machine.buffered <= FRAME_MAX + frame.HEADER.size + step, "more than a frame"


def handshake(frames: Iterable[Frame], rng: Random) -> None:
    """Let a stranger say anything; nothing of it gets further before the link is open."""
    secret = rng.choice((None, "s"))
    link = Link(
        1, SERVER, rng.choice((None, ("127.0.0.1", 5001))), 0.0, ping_ms=500, dead_ms=2000,
        timeout_ms=1000, secret=secret, nonce=AHEAD,
    )
    now = 0.0
    for kind, flags, body in frames:
        now += rng.choice((0.0, 0.001, 0.3))
        try:
            admitted = link.receive(kind, flags, body, now)
        except ProtocolError:
            assert link.state == "closed", "it raised and lives"
            return
        assert not admitted or link.state == "open", "let in before the handshake"
        link.wake(now)
        assert sum(map(len, link.out)) < 64 * 1024, "a stranger makes it write without end"
    if secret is not None:
        assert link.peer is None, "a stranger without the secret is let in"


class Session:
    """A server in a small cluster that takes what its peers send it, right or wrong."""

    def __init__(self, seed: int = 1) -> None:
        self._seed, self._left = seed, 0
        self._host: Host

    @property
    def ready(self) -> bool:
        """Whether it has begun and goes on."""
        return self._left > 0

    def end(self) -> None:
        """Begin anew before the next input."""
        self._left = 0

    def begin(self) -> None:
        """Let a cluster come to rest, with something in it."""
        world = World(self._seed)
        hosts = [world.host("n0"), world.host("n1"), world.host("x0", client=True)]
        assert world.run(20.0, lambda: all(h.ready for h in hosts))
        for i in range(12):
            hosts[i % 3].submit(Write("update", Path((f"k{i}",)), pack(i), COMMIT))
        world.run(2.0)
        self._host, self._left = hosts[0], LIVES

    def take(self, given: Frame, rng: Random) -> bool:
        """Receive a frame of a peer, and do what follows from it; give whether it was accepted."""
        if not self._left:
            self.begin()
        self._left -= 1
        replica, world = self._host.replica, self._host.world
        links = [n for n, link in replica.links.items() if link.state == "open"]
        if rng.random() < 0.995:  # what a link does not admit ends it
            links = [n for n in links if given.kind in replica.links[n]._admitted]
        if not links:
            return False
        world.now += 0.0005
        fine = True
        try:
            replica.receive(rng.choice(links), *given, world.now)
        except ProtocolError:
            fine = False
        if not any(link.state == "open" for link in replica.links.values()):
            self._left = 0
        if world.now >= replica.deadline:
            replica.wake(world.now)
        replica.ready(world.now)
        if self._left % 16 == 0:
            replica.invariants()
        return fine


def inputs(rng: Random, frames: list[Frame]) -> Iterator[Frame]:
    """Give bent frames without end."""
    while True:
        yield bent(rng.choice(frames), frames, rng)
