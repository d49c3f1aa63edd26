"""The link: two of them over a fake wire, every refusal, and a peer that sends anything."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rxfero.core import frame
from rxfero.core import link as links
from rxfero.core.frame import Decoder
from rxfero.core.link import Identity, Link, keep
from rxfero.errors import ProtocolError

NODE_A = Identity("rxfero", "users", "a", 1, "server", None, "127.0.0.1", 5000, "d1")
NODE_B = Identity("rxfero", "users", "b", 2, "server", None, "127.0.0.1", 5001, "d1")
CLIENT_C = Identity("rxfero", "users", "c", 3, "client", "web", "", 0, "d1")


def make(me: Identity, *, dialed: bool = False, now: float = 0.0, **options: object) -> Link:
    """Give a link with the settings that most tests share."""
    return Link(
        7,
        me,
        ("127.0.0.1", 5001) if dialed else None,
        now,
        **{
            "ping_ms": 500,
            "dead_ms": 2000,
            "timeout_ms": 1000,
            "secret": None,
            "nonce": me.name.encode().ljust(32, b"."),
            **options,
        },
    )


class Pair:
    """Two links and a wire between them that carries whole frames, when told to."""

    def __init__(self, a: Link, b: Link) -> None:
        self.a, self.b = a, b
        self.errors: list[ProtocolError] = []
        self.upper: list[tuple[str, int]] = []  # (name of the receiver, kind) admitted
        self._decoders = {id(a): Decoder(1 << 20), id(b): Decoder(1 << 20)}

    def carry(self, sender: Link, now: float = 0.0, most: int | None = None) -> int:
        """Deliver what a side has to send, at most so many frames; give how many there were."""
        receiver = self.b if sender is self.a else self.a
        data, sender.out[:most] = b"".join(sender.out[:most]), []
        decoder = self._decoders[id(receiver)]
        frames = decoder.feed(data)
        for kind, flags, body in frames:
            try:
                if receiver.receive(kind, flags, body, now):
                    self.upper.append((receiver.me.name, kind))
            except ProtocolError as error:
                self.errors.append(error)
        if receiver.state == "open" and not decoder.is_open:
            decoder.open()
        return len(frames)

    def settle(self, now: float = 0.0) -> Pair:
        """Deliver until nobody has anything more to say."""
        while self.carry(self.a, now) + self.carry(self.b, now):
            pass
        return self

    @property
    def states(self) -> tuple[str, str]:
        return self.a.state, self.b.state


def pair(a: Identity = NODE_A, b: Identity = NODE_B, *, of_a: dict | None = None, **of_b) -> Pair:
    """Give a pair that has not spoken yet; `a` has dialed `b`."""
    return Pair(make(a, dialed=True, **(of_a or {})), make(b, **of_b))


def open_pair(a: Identity = NODE_A, b: Identity = NODE_B, **options: object) -> Pair:
    """Give a pair whose handshake is done."""
    both = pair(a, b, of_a=options, **options).settle()
    assert both.states == ("open", "open")
    return both


def body_of(data: bytes) -> list:
    """Give the fields of an encoded frame."""
    decoder = Decoder(1 << 20)
    decoder.open()
    ((kind, _, body),) = decoder.feed(data)
    return frame.unpack(kind, body, links._LIMITS)


def hello(me: Identity, **changes: object) -> list:
    """Give the fields of a HELLO, some of them changed by position."""
    fields = body_of(make(me).out[0])
    for position, value in changes.items():
        fields[int(position[1:])] = value
    return fields


def give(link: Link, kind: int, fields: object, now: float = 0.0, flags: int = 0) -> bool:
    """Hand a frame to a link directly."""
    return link.receive(kind, flags, frame.encode(kind, fields)[6:], now)


# --- the handshake


def test_two_servers_open():
    both = pair()
    assert both.states == ("hello", "hello")
    assert both.a.peer is None

    both.settle()

    assert both.states == ("open", "open")
    assert both.a.peer == NODE_B
    assert both.b.peer == NODE_A
    assert both.a.proto == both.b.proto == 1
    assert both.a.reason is both.b.reason is None
    assert both.a.dialed == ("127.0.0.1", 5001)
    assert repr(both.a) == "<Link 7 to b open>"


def test_a_client_and_a_server_open():
    both = open_pair(CLIENT_C, NODE_A)

    assert both.b.peer == CLIENT_C
    assert both.b.peer.group == "web"
    assert both.a.peer == NODE_A


def test_the_steps_in_order():
    both = pair(secret="s", of_a={"secret": "s"})
    both.carry(both.a)
    assert both.states == ("hello", "auth")
    both.carry(both.b)
    assert both.states == ("welcome", "auth")  # HELLO and AUTH came together
    both.carry(both.a)
    assert both.states == ("welcome", "open")
    assert both.a.peer is None
    both.carry(both.b)
    assert both.states == ("open", "open")


def test_the_kinds_of_a_handshake_with_a_secret():
    both = pair(secret="s", of_a={"secret": "s"})
    said = [data[4] for data in both.a.out]
    both.carry(both.a)
    both.carry(both.b)
    said += [data[4] for data in both.a.out]

    assert said == [frame.HELLO, frame.AUTH, frame.WELCOME]


def test_features_in_common_are_agreed():
    a = NODE_A._replace(features=("snap", "relay", "x"))
    b = NODE_B._replace(features=("y", "x", "snap"))
    both = open_pair(a, b)

    assert both.a.features == ("snap", "x")
    assert both.b.features == ("x", "snap")


def test_the_highest_common_version_is_agreed():
    both = open_pair(
        NODE_A._replace(proto_min=2, proto_max=7), NODE_B._replace(proto_min=1, proto_max=4)
    )

    assert both.a.proto == both.b.proto == 4


def test_a_later_hello_may_have_more_fields():
    link = make(NODE_B)
    give(link, frame.HELLO, [*hello(NODE_A), "new", {"later": 1}])

    assert link.state == "welcome"


def test_an_unnamed_service_is_an_ordinary_name():
    star = NODE_A._replace(service="*")
    assert open_pair(star, NODE_B._replace(service="*")).states == ("open", "open")
    assert pair(star, NODE_B).settle().states == ("closed", "closed")


# --- refusals


REFUSALS: dict[str, tuple[Identity, Identity, dict, dict, str]] = {
    "cluster": (
        NODE_A, NODE_B._replace(cluster="other"), {}, {},
        "node 'a' has cluster 'rxfero', node 'b' has 'other'",
    ),
    "service": (
        NODE_A, NODE_B._replace(service="teams"), {}, {},
        "node 'a' has service 'users', node 'b' has 'teams'",
    ),
    "digest": (
        NODE_A, NODE_B._replace(digest="d2"), {}, {},
        "node 'a' has a configuration with digest 'd1', node 'b' has 'd2'",
    ),
    "version": (
        NODE_A._replace(proto_min=2, proto_max=3), NODE_B, {}, {},
        "no common version of the protocol: 2 to 3 and 1 to 1",
    ),
    "clients": (
        CLIENT_C, CLIENT_C._replace(name="d"), {}, {}, "'c' and 'd' are both clients",
    ),
    "itself": (NODE_A, NODE_A, {}, {}, "node 'a' is connected to itself"),
    "reflected": (
        NODE_A, NODE_B, {"nonce": b"n" * 32}, {"nonce": b"n" * 32}, "connected to itself",
    ),
    "no secret": (
        NODE_A, NODE_B, {"secret": "s"}, {}, "the cluster has a secret and node 'b' has none",
    ),
    "wrong secret": (
        NODE_A, NODE_B, {"secret": "s"}, {"secret": "t"}, "does not know the secret",
    ),
    "accept": (
        NODE_A, NODE_B, {"accept": lambda peer: f"{peer.name!r} is in use"}, {}, "'b' is in use",
    ),
    "clock": (
        NODE_A, NODE_B, {"wall_ms": 1_000_000}, {"wall_ms": 1_100_000},
        "the clock of node 'b' is 100 s ahead of 'a''s, 60 s are allowed",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSALS)
def test_a_refusal_ends_both_sides_with_the_reason_before_anything_moved(case):
    a, b, of_a, of_b, words = REFUSALS[case]
    both = pair(a, b, of_a=of_a, **of_b).settle()

    assert both.states == ("closed", "closed")
    assert words in both.a.reason
    two_faults = ("itself", "reflected", "wrong secret")  # each side finds one of its own
    if case not in two_faults:
        assert both.a.reason == both.b.reason
    assert both.a.refused
    assert both.b.refused
    assert both.a.peer is both.b.peer is None
    assert both.a.deadline is both.b.deadline is None
    assert both.errors == []
    assert not give(both.a, frame.APPEND, [])  # nothing passes any more


@pytest.mark.parametrize("case", REFUSALS)
def test_the_side_that_only_hears_of_it_knows_that_it_was_the_other(case):
    a, b, of_a, of_b, words = REFUSALS[case]
    both = pair(a, b, of_a=of_a, **of_b)
    while both.a.state != "closed":
        both.carry(both.b, most=1)
        if both.a.state != "closed":
            both.carry(both.a, most=1)
    assert words in both.a.reason
    both.settle()

    assert both.states == ("closed", "closed")
    assert both.a.remote != both.b.remote or not (both.a.remote or both.b.remote)


def test_a_refused_side_says_nothing_but_why():
    link = make(NODE_B, accept=lambda peer: "no room")
    link.out.clear()
    give(link, frame.HELLO, hello(NODE_A))

    assert [data[4] for data in link.out] == [frame.REFUSE]
    assert body_of(link.out[0]) == ["no room"]


def test_accept_is_asked_only_after_the_proof():
    asked: list[Identity] = []
    good = pair(secret="s", of_a={"secret": "s"}, accept=lambda peer: asked.append(peer))
    assert good.settle().states == ("open", "open")
    assert asked == [NODE_A]

    asked.clear()
    pair(secret="s", of_a={"secret": "t"}, accept=lambda peer: asked.append(peer)).settle()
    assert asked == []


@pytest.mark.parametrize("magic", ["fero", b"rxfero", None, 7, ["rxfero"]])
def test_another_magic_is_refused(magic):
    link = make(NODE_B)
    give(link, frame.HELLO, hello(NODE_A, f0=magic))

    assert link.state == "closed"
    assert "this is no rxfero node" in link.reason


def test_a_version_of_the_future_is_refused_whatever_follows():
    link = make(NODE_B)
    give(link, frame.HELLO, ["rxfero", 9, 12, {"all": "different"}])

    assert link.reason == "no common version of the protocol: 9 to 12 and 1 to 1"


def test_a_clock_behind_is_no_reason():
    assert pair(wall_ms=1, of_a={"wall_ms": 10**12}).settle().states == ("closed", "closed")
    behind = make(NODE_B, wall_ms=10**12)
    give(behind, frame.HELLO, hello(NODE_A, f14=1))

    assert behind.state == "welcome"


def test_a_hello_that_came_late_is_no_clock_ahead():
    link = make(NODE_B, wall_ms=1_000_000)
    give(link, frame.HELLO, hello(NODE_A, f14=1_061_000), now=0.9)
    assert link.state == "closed"

    link = make(NODE_B, wall_ms=1_000_000)
    give(link, frame.HELLO, hello(NODE_A, f14=1_060_900), now=0.9)
    assert link.state == "welcome"


@pytest.mark.parametrize(
    "changes",
    [
        {"f1": "1"}, {"f1": True}, {"f2": -1}, {"f2": None}, {"f3": 1}, {"f4": None}, {"f5": ""},
        {"f5": "x" * 256}, {"f6": -1}, {"f6": 1.5}, {"f7": "peer"}, {"f8": 3}, {"f9": None},
        {"f10": 65536}, {"f10": "5000"}, {"f11": b"d1"}, {"f12": "snap"}, {"f12": [1]}, {"f13": 1},
        {"f14": "now"}, {"f14": -1}, {"f15": "n" * 32}, {"f15": b"short"},
    ],
)  # fmt: skip
def test_a_malformed_hello_is_a_protocol_error(changes):
    link = make(NODE_B)
    with pytest.raises(ProtocolError, match="HELLO"):
        give(link, frame.HELLO, hello(NODE_A, **changes))

    assert link.state == "closed"
    assert "HELLO" in link.reason
    assert link.peer is None
    assert link.out[-1][4] == frame.REFUSE


@pytest.mark.parametrize("length", [1, 2, 3, 15])
def test_a_short_hello_is_a_protocol_error(length):
    with pytest.raises(ProtocolError, match="HELLO"):
        give(make(NODE_B), frame.HELLO, hello(NODE_A)[:length])


def test_an_empty_hello_is_of_another_magic():
    link = make(NODE_B)
    give(link, frame.HELLO, [])

    assert "no rxfero node" in link.reason


@pytest.mark.parametrize("proof", [[], [None], ["x" * 32], [b""], [bytes(32)]])
def test_a_wrong_proof_is_refused(proof):
    link = make(NODE_B, secret="s")
    give(link, frame.HELLO, hello(NODE_A, f13=True))
    give(link, frame.AUTH, proof)

    assert link.reason == "node 'a' does not know the secret"
    assert link.refused


def test_our_own_proof_sent_back_is_refused():
    link = make(NODE_B, secret="s")
    give(link, frame.HELLO, hello(NODE_A, f13=True))
    own = body_of(link.out[-1])
    give(link, frame.AUTH, own)

    assert link.state == "closed"


def test_a_proof_of_another_connection_is_refused():
    first = pair(secret="s", of_a={"secret": "s"})
    first.carry(first.b)
    recorded_hello, recorded_auth = (body_of(data) for data in first.a.out[:2])

    link = make(NODE_B, secret="s", nonce=b"another nonce of this connection")
    give(link, frame.HELLO, recorded_hello)
    give(link, frame.AUTH, recorded_auth)

    assert link.state == "closed"
    assert link.reason == "node 'a' does not know the secret"


def test_a_welcome_to_another_version_is_a_protocol_error():
    link = make(NODE_B)
    give(link, frame.HELLO, hello(NODE_A))
    with pytest.raises(ProtocolError, match="WELCOME to another version"):
        give(link, frame.WELCOME, [2, []])


# --- admission


@pytest.mark.parametrize("kind", [*sorted(set(frame.KINDS) - {frame.HELLO, frame.REFUSE}), 99])
def test_nothing_passes_before_the_handshake(kind):
    link = make(NODE_B)
    with pytest.raises(ProtocolError, match="in state 'hello' of the handshake"):
        give(link, kind, [])

    assert link.state == "closed"
    assert "'hello'" in link.reason


@pytest.mark.parametrize("kind", sorted(set(frame.KINDS) - {frame.AUTH, frame.REFUSE}))
def test_nothing_passes_before_the_proof(kind):
    link = make(NODE_B, secret="s")
    give(link, frame.HELLO, hello(NODE_A, f13=True))
    with pytest.raises(ProtocolError, match="in state 'auth'"):
        give(link, kind, b"not even parsed")


@pytest.mark.parametrize("kind", sorted(frame.KINDS))
@pytest.mark.parametrize("sender", [NODE_A, CLIENT_C])
@pytest.mark.parametrize("receiver", [NODE_B, CLIENT_C._replace(name="d")])
def test_an_open_link_admits_what_the_table_says(sender, receiver, kind):
    route = (sender.role, receiver.role)
    if route not in frame.ADMITTED:
        return
    both = open_pair(sender, receiver)
    if kind in frame.ADMITTED[route]:
        assert give(both.b, kind, [])
        assert both.b.state == "open"
    elif kind in (frame.PING, frame.PONG):
        assert not give(both.b, kind, [1, None])
        assert both.b.state == "open"
    elif kind == frame.GOAWAY:
        assert not give(both.b, kind, ["bye"])
        assert both.b.state == "closed"
    else:
        with pytest.raises(ProtocolError, match="not allowed"):
            give(both.b, kind, [])
        assert both.b.state == "closed"
        assert both.b.out[-1][4] == frame.GOAWAY


def test_an_unknown_kind_is_ignored_unless_it_must_be_understood():
    both = open_pair()
    assert not give(both.a, 99, [], now=3.0)
    assert both.a.state == "open"
    assert both.a.last_heard == 3.0

    with pytest.raises(ProtocolError, match="kind 99, which must be understood"):
        give(both.a, 99, [], flags=frame.MUST_UNDERSTAND)


def test_a_protocol_error_is_told_to_the_peer():
    both = open_pair()
    with pytest.raises(ProtocolError):
        give(both.a, frame.FEED, [])
    both.settle()

    assert both.states == ("closed", "closed")
    assert both.a.reason == both.b.reason
    assert both.b.remote
    assert not both.a.remote
    assert not both.b.refused


def test_a_frame_after_the_end_is_ignored():
    both = open_pair()
    both.a.close("enough", 0.0)
    for kind in frame.KINDS:
        assert not give(both.a, kind, b"anything")

    assert both.a.reason == "enough"


@pytest.mark.parametrize("kind", sorted(frame.CONTROL - {frame.HELLO, frame.REFUSE}))
def test_a_malformed_control_frame_is_a_protocol_error(kind):
    both = open_pair()
    with pytest.raises(ProtocolError):
        both.a.receive(kind, 0, b"\xc1", 0.0)

    assert both.a.state == "closed"


# --- the end


def test_close_before_open_refuses_and_after_open_says_goodbye():
    early, late = pair(), open_pair()
    early.a.close("no", 0.0)
    late.a.close("leaving", 0.0)
    assert early.a.out[-1][4] == frame.REFUSE
    assert late.a.out[-1][4] == frame.GOAWAY
    early.settle()
    late.settle()

    assert early.b.reason == "no"
    assert early.b.refused
    assert late.b.reason == "leaving"
    assert not late.b.refused
    assert late.b.remote
    assert late.b.peer == NODE_A


def test_who_has_our_welcome_is_told_goodbye_and_not_refused():
    both = pair()
    both.carry(both.a)
    both.carry(both.b)  # HELLO and WELCOME: a is open, its WELCOME is still on its way
    assert both.states == ("open", "welcome")

    both.b.close("changed my mind", 0.0)
    both.settle()

    assert both.errors == []
    assert both.a.reason == "changed my mind"


def test_a_closed_link_keeps_its_reason():
    both = open_pair()
    both.a.close("first", 0.0)
    both.a.close("second", 0.0)
    both.a.wake(1e9)

    assert both.a.reason == "first"
    assert len(both.a.out) == 1


@pytest.mark.parametrize("fields", [[], [None], [""], [b"x"], [["x"]]])
def test_a_peer_may_give_no_reason(fields):
    both = open_pair()
    give(both.a, frame.GOAWAY, fields)

    assert both.a.reason == "the peer gave no reason"


def test_a_long_reason_is_cut():
    both = open_pair()
    both.a.close("x" * 10_000, 0.0)
    both.settle()

    assert both.b.reason == "x" * links.REASON_MAX


# --- heartbeat


def test_pings_measure_and_carry_payloads():
    both = open_pair()
    both.a.ping_payload = lambda: {"digest": 1}
    both.b.ping_payload = lambda: {"digest": 2}
    assert both.a.deadline == 0.5

    both.a.wake(0.49)
    assert both.a.out == []
    both.a.wake(0.5)
    both.carry(both.a, 0.51)
    both.carry(both.b, 0.53)

    assert both.b.payloads == [{"digest": 1}]
    assert both.a.payloads == [{"digest": 2}]
    assert both.a.rtt == pytest.approx(0.03, abs=1e-5)
    assert both.b.rtt is None
    assert both.a.deadline == 1.0


def test_pings_go_on_while_the_link_is_busy():
    both = open_pair()
    for step in range(1, 21):
        now = step / 10
        give(both.a, frame.APPEND, [], now=now)
        both.a.wake(now)

    assert [data[4] for data in both.a.out] == [frame.PING] * 4


def test_silence_closes():
    both = open_pair()
    closed_at = None
    for step in range(1, 60):
        both.a.wake(step / 10)
        if both.a.state == "closed":
            closed_at = step / 10
            break

    assert closed_at is not None
    assert 2.0 <= closed_at <= 2.5
    assert both.a.reason == "nothing heard for 2 s"
    assert both.a.deadline is None
    assert not both.a.refused


def test_any_frame_is_life():
    both = open_pair()
    for step in range(1, 100):
        give(both.a, frame.APPENDED, [], now=step / 10)
        both.a.wake(step / 10)

    assert both.a.state == "open"


@pytest.mark.parametrize(("timeout_ms", "due_s"), [(10_000, 5.0), (1_000, 1.0)])
def test_with_a_secret_a_handshake_has_no_more_than_five_seconds(
    timeout_ms: int, due_s: float
) -> None:
    given = {"ping_ms": 100, "dead_ms": 500, "timeout_ms": timeout_ms, "nonce": b"n" * 16}
    assert Link(1, NODE_B, None, 10.0, secret="known to us", **given).deadline == 10.0 + due_s
    assert Link(1, NODE_B, None, 10.0, secret=None, **given).deadline == 10.0 + timeout_ms / 1000


def test_a_handshake_has_its_time():
    link = make(NODE_B, now=10.0)
    assert link.deadline == 11.0
    link.wake(10.9)
    assert link.state == "hello"
    link.wake(11.0)

    assert link.state == "closed"
    assert link.reason == "no handshake within 1 s"
    assert not link.refused
    assert link.out[-1][4] == frame.REFUSE


def test_frames_do_not_prolong_the_handshake():
    link = make(NODE_B, secret="s")
    give(link, frame.HELLO, hello(NODE_A, f13=True), now=0.9)
    link.wake(1.0)

    assert link.state == "closed"


def test_a_process_that_stood_still_does_not_blame_its_peers():
    both = open_pair()
    both.a.wake(0.5)
    both.carry(both.a, 0.5)
    both.carry(both.b, 0.5)
    assert both.a.deadline == 1.0

    both.a.wake(31.0)  # due 30 s ago: this process was stopped

    assert both.a.state == "open"
    for step in range(60):
        both.a.wake(31.0 + step / 10)
    assert both.a.state == "closed"


def test_a_process_that_stood_still_in_a_handshake_gets_the_time_again():
    link = make(NODE_B)
    link.wake(30.0)
    assert link.state == "hello"
    assert link.deadline == 30.5

    link.wake(30.5)
    assert link.state == "closed"


def test_a_flood_of_pings_is_not_answered_one_by_one():
    both = open_pair()
    for i in range(1000):
        give(both.a, frame.PING, [i, None], now=1.0)

    assert len(both.a.out) == 1
    give(both.a, frame.PING, [1, None], now=1.1)
    assert len(both.a.out) == 2


def test_a_pong_of_another_ping_measures_nothing():
    both = open_pair()
    both.a.wake(0.5)
    give(both.a, frame.PONG, [12345, "payload"], now=0.6)

    assert both.a.rtt is None
    assert both.a.payloads == ["payload"]


@pytest.mark.parametrize("kind", [frame.PING, frame.PONG])
@pytest.mark.parametrize("fields", [[], [1], ["1", None], [None, None]])
def test_a_malformed_heartbeat_is_a_protocol_error(kind, fields):
    both = open_pair()
    with pytest.raises(ProtocolError, match="without its time"):
        give(both.a, kind, fields)


# --- crossed dials


@pytest.mark.parametrize(("a", "b"), [(NODE_A, NODE_B), (NODE_B, NODE_A), (CLIENT_C, NODE_A)])
def test_of_two_crossed_connections_both_sides_keep_the_same(a, b):
    first_of_a, first_of_b = keep(a, b, True), keep(b, a, False)  # a dialed
    other_of_a, other_of_b = keep(a, b, False), keep(b, a, True)  # b dialed

    assert first_of_a == first_of_b
    assert other_of_a == other_of_b
    assert first_of_a != other_of_a
    assert keep(a, b, True) == (a.name < b.name)


def test_order_is_the_same_at_both_ends_and_different_for_every_link():
    first = open_pair()
    second = Pair(
        make(NODE_A, dialed=True, nonce=b"1" * 32), make(NODE_B, nonce=b"2" * 32)
    ).settle()
    third = Pair(make(NODE_A, nonce=b"3" * 32), make(NODE_B, dialed=True, nonce=b"4" * 32)).settle()
    for both in (first, second, third):
        assert both.a.order == both.b.order

    orders = [both.a.order for both in (first, second, third)]
    assert len(set(orders)) == 3
    assert max(orders) == third.a.order  # dialed by the larger name
    assert make(NODE_A).order[0]


# --- anything at all


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-10, 70000),
    st.text(max_size=8),
    st.binary(max_size=40),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=3), inner, max_size=2)
    ),
    max_leaves=8,
)
kinds = st.one_of(st.sampled_from(sorted(frame.KINDS)), st.integers(0, 255))


@st.composite
def mutated_hellos(draw: Callable) -> list:
    fields = hello(NODE_A)
    for _ in range(draw(st.integers(0, 3))):
        fields[draw(st.integers(0, len(fields) - 1))] = draw(values)
    return fields[: draw(st.integers(0, 16))] if draw(st.booleans()) else fields


steps = st.one_of(
    st.tuples(kinds, st.integers(0, 7), values.map(lambda v: frame.encode(1, v)[6:])),
    st.tuples(kinds, st.integers(0, 7), st.binary(max_size=60)),
    st.tuples(st.just(1), st.just(0), mutated_hellos().map(lambda v: frame.encode(1, v)[6:])),
    st.just((frame.WELCOME, 0, frame.encode(1, [1, []])[6:])),
    st.tuples(st.just(-1), st.just(0), st.just(b"")),
)


def check(link: Link) -> None:
    """Check what must hold between any two events."""
    assert link.state in links.TRANSITIONS
    assert (link.reason is None) == (link.state != "closed")
    assert (link.deadline is None) == (link.state == "closed")
    if link.state in ("hello", "auth", "welcome"):
        assert link.peer is None
    if link.state == "open":
        assert link.peer is not None
    if link.refused:
        assert link.state == "closed"


@settings(max_examples=300, deadline=None)
@given(
    st.lists(steps, max_size=12), st.sampled_from([None, "s"]), st.sampled_from([NODE_B, CLIENT_C])
)
def test_a_peer_that_sends_anything_gets_protocol_errors_and_nothing_else(frames, secret, me):
    link = make(me, secret=secret)
    now = 0.0
    for kind, flags, body in frames:
        now += 0.4
        was = link.state
        if kind == -1:
            link.wake(now)
        else:
            try:
                admitted = link.receive(kind, flags, body, now)
            except ProtocolError as error:
                assert link.state == "closed"
                assert link.reason == str(error)  # noqa: PT017 -- only some frames raise
                assert was != "closed"
            else:
                assert not admitted or (was == "open" == link.state)
        check(link)
        assert secret is None or link.state != "open"  # nobody here knows it
        for data in link.out:
            assert isinstance(body_of(data), list)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from("ab"), max_size=12), st.sampled_from([None, "s"]))
def test_every_order_of_delivery_opens(order, secret):
    both = pair(secret=secret, of_a={"secret": secret})
    for side in order:
        both.carry(both.a if side == "a" else both.b, most=1)
        check(both.a)
        check(both.b)
    both.settle()

    assert both.states == ("open", "open")
    assert both.errors == []


def test_the_table_of_transitions_agrees_with_the_table_of_kinds():
    for state, row in links.TRANSITIONS.items():
        for kind, following in row.items():
            assert state in frame.KINDS[kind].states
            assert following in links.TRANSITIONS
    for kind in frame.CONTROL:
        legal = {s for s, row in links.TRANSITIONS.items() if kind in row}
        assert legal == set(frame.KINDS[kind].states)
