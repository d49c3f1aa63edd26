"""The router: requests on to the owner, answers back the way they came."""

from __future__ import annotations

from typing import Any

import pytest

from rxfero.core import frame, messages
from rxfero.core import router as module
from rxfero.core.batch import Batch
from rxfero.core.call import (
    COMMIT,
    COMPARE,
    DURABLE,
    FAILED,
    LOWEST,
    NO_QUORUM,
    NOT_ALLOWED,
    OK,
    READ,
    RETRY,
    Call,
)  # fmt: skip
from rxfero.core.messages import PENDING, Dest
from rxfero.core.parked import Parked
from rxfero.core.path import Path
from rxfero.core.position import ZERO_TERM
from rxfero.core.router import NIL, Router
from rxfero.core.rows import Row
from rxfero.core.value import pack, unpack
from rxfero.errors import ProtocolError
from tests.core.parts import (
    ONE,
    alone,
    bodies,
    own,
    request,
    ring_of,
    router_of,
    said,
    shape,
    turn,
    write_of,
)  # fmt: skip

# --- own requests


def test_a_key_is_placed_by_its_hash_and_no_key_at_the_counter() -> None:
    router, cluster = router_of()
    assert router.place("update", ("k", "x"), ONE) == cluster.shard_of("k")
    assert router.place("add", (), NIL) == cluster.shard_of("")


def test_a_key_is_placed_by_the_users_function_until_it_is_known_where_it_is() -> None:
    router, cluster = router_of()
    cluster.settings = cluster.settings._replace(partition=lambda change: change.value["of"])
    packed = pack({"of": "group"})
    assert router.place("update", ("k",), packed) == cluster.shard_of("group")
    cluster.index["k"] = 5
    assert router.place("update", ("k",), packed) == 5


def test_a_request_of_an_owner_is_carried_out_at_once() -> None:
    router, cluster = alone()
    call = write_of()
    router.submit(call, 100.0)
    assert turn(router) == []
    assert router.settled == router.acked == [call]
    assert (call.status, call.done) == (OK, True)
    assert call.offset == (cluster.shard_of("k"), (1, cluster.boot), 2)
    assert cluster.shards[cluster.shard_of("k")].state.get("k") == 1


def test_a_request_goes_to_the_owner_with_one_hop_and_its_answer_settles_it() -> None:
    router, cluster = router_of("owner")
    ring_of(cluster, "owner")
    call = write_of()
    router.submit(call, 100.0)
    ((name, kind, body),) = turn(router)
    sid = router.requests.sid
    assert (name, kind) == ("owner", frame.FORWARD)
    assert body == request(to="me", hops=1, sid=sid)
    assert router.acked == [call]
    router.on_reply(["me", "another session", [1, 1], None, [1, 1], [7], None])
    assert router.settled == []
    router.on_reply(["me", sid, [1, 1], None, [1, 1], [7], None])
    assert (router.settled, call.offset) == ([call], (cluster.shard_of("k"), (1, 1), 7))


def test_a_client_holds_requests_until_a_server_is_there() -> None:
    router, cluster = router_of("a", "b", client=True)
    servers, cluster.servers = cluster.servers, {}
    ring_of(cluster, "a")
    calls = [write_of("k"), Call("login", None, ONE), write_of("l"), write_of("k")]
    for call in calls:
        router.submit(call, 100.0)
    assert turn(router) == []
    assert router.requests.queue == calls
    cluster.servers = servers
    frames = turn(router)
    assert {name for name, kind, _ in frames if kind == frame.REQUEST} == {"a"}
    assert [b[3] for _, kind, b in frames if kind == frame.REQUEST] == [[0, [1, 3, 4]]]
    assert [b[1] for _, kind, b in frames if kind == frame.MESSAGE] == [[2, 1]]
    assert router.requests.queue == []


def test_a_client_without_a_link_to_the_owner_asks_any_server() -> None:
    router, cluster = router_of("a", client=True)
    ring_of(cluster, "far")
    router.submit(write_of(), 100.0)
    assert [(n, k) for n, k, _ in turn(router)] == [("a", frame.REQUEST)]


def batch_of(count: int) -> Batch:
    batch = Batch()
    for _ in range(count):
        batch.add("m", ONE, packed=True)
    return batch


def test_batches_go_to_the_servers_in_turn_a_frame_each() -> None:
    router, cluster = router_of("a", "b", client=True)
    for count in (2, 2, 1):
        router.requests.send(batch_of(count), 100.0)
    frames = [(name, messages.read(body, 99).numbers) for name, _, body in turn(router)]
    assert [list(numbers) for _, numbers in frames] == [[1, 2], [3, 4], [5]]
    assert {name for name, _ in frames} == {"a", "b"}
    assert [n for event, n in cluster.notices if event == "tack"] == [2, 2, 1]


def test_a_batch_for_which_no_frame_is_large_enough_goes_in_parts() -> None:
    router, _ = router_of("a", client=True, outbox__frag=1 << 13)
    batch = Batch()
    for text in ("x" * 3000, "y" * 3000, "z"):
        batch.add("m", text, packed=False)
    router.requests.send(batch, 100.0)
    frames = turn(router)
    assert [kind for _, kind, _ in frames] == [frame.REQUEST, frame.REQUEST]
    assert [body[3] for _, _, body in frames] == [[1, 1], [2, 2]]


def test_a_server_takes_its_own_messages_and_a_client_keeps_them_until_there_is_one() -> None:
    router, cluster = router_of("a", client=True)
    servers, cluster.servers = cluster.servers, {}
    router.requests.send(batch_of(2), 100.0)
    assert turn(router) == []
    assert router.requests.unsent
    cluster.servers = servers
    assert [kind for _, kind, _ in turn(router)] == [frame.MESSAGE]


def test_requests_leave_in_frames_of_bounded_size(monkeypatch: pytest.MonkeyPatch) -> None:
    router, cluster = router_of("owner", outbox__frag=1 << 13)
    ring_of(cluster, "owner")
    for value in ("x" * 3000, "x" * 3000, "y", "z"):
        router.submit(write_of("k", value), 100.0)
    assert [body[3] for _, _, body in turn(router)] == [[1, 1], [2, 3]]
    monkeypatch.setattr(module, "ROWS", 3)
    for _ in range(7):
        router.submit(write_of(), 100.0)
    assert [body[3] for _, _, body in turn(router)] == [[5, 3], [8, 3], [11, 1]]


# --- an id first, then the record under it


def counter_answers(router: Router, *replies: tuple[int, Any]) -> None:
    """Answer the counter's requests, each as soon as it is sent."""
    for status, value in replies:
        ((_, _, body),) = turn(router)
        router.on_reply([
            "me", router.requests.sid, body[3], [status], [1, 1], [5], [value],
        ])  # fmt: skip


def added() -> tuple[Router, Call]:
    router, cluster = router_of("owner")
    ring_of(cluster, "owner")
    call = Call("add", None, ONE, COMMIT)
    router.submit(call, 100.0)
    return router, call


def test_an_add_without_a_key_asks_the_counter_and_writes_under_the_id() -> None:
    router, call = added()
    counter_answers(router, (OK, pack(7)))
    ((_, _, body),) = turn(router)
    assert (body[4], body[5], body[9]) == ("add", [7], [["absent"]])
    router.on_reply(["me", router.requests.sid, body[3], None, [1, 1], [6], None])
    assert (router.settled, call.status, call.path) == ([call], OK, (7,))


def test_an_id_that_is_taken_is_followed_by_the_next() -> None:
    router, call = added()
    counter_answers(router, (OK, pack(7)), (COMPARE, pack([None, 1])), (OK, pack(8)))
    ((_, _, body),) = turn(router)
    assert (body[5], call.done) == ([8], False)


def test_an_id_of_which_only_is_known_that_it_was_given_is_followed_by_the_next() -> None:
    router, call = added()
    counter_answers(router, (OK, None))
    assert (router.settled, call.done) == ([], False)
    counter_answers(router, (OK, pack(8)))
    ((_, _, body),) = turn(router)
    assert body[5] == [8]


@pytest.mark.parametrize("result", [5, b"\xc1", NIL, pack("k"), pack(0), pack([1]), pack(True)])
def test_an_id_that_is_none_ends_the_add(result: Any) -> None:
    router, call = added()
    counter_answers(router, (OK, result))
    assert (router.settled, call.status) == ([call], FAILED)
    assert unpack(call.result or b"")[0] == "ProtocolError"


def test_a_counter_that_refuses_ends_the_add() -> None:
    router, call = added()
    counter_answers(router, (NOT_ALLOWED, pack("add")))
    assert (router.settled, call.status, call.result) == ([call], NOT_ALLOWED, pack("add"))


# --- others' requests


def test_a_clients_request_is_acknowledged_carried_out_and_answered() -> None:
    router, cluster = alone()
    router.on_request("c", request(to="a lie", hops=7), client=True)
    term = [1, cluster.boot]
    assert turn(router) == [
        ("c", frame.ACK, ["s", [1, 1]]), ("c", frame.REPLY, ["c", "s", [1, 1], None, term, [2], None])
    ]  # fmt: skip


def test_what_others_own_is_passed_on_with_a_hop_more() -> None:
    router, cluster = router_of("owner")
    ring_of(cluster, "owner")
    cluster.clients["c"] = 9
    body = request(to="far", hops=1, expects=[["absent"]], ttls=[9], levels=2)
    router.on_request("other", body, client=False)
    assert turn(router) == [("owner", frame.FORWARD, [*body[:1], 2, *body[2:]])]
    router.on_request("c", request(), client=True)
    assert turn(router)[1:] == [("owner", frame.FORWARD, request(to="c", hops=1))]


def test_after_so_many_hops_the_sender_has_to_look_again() -> None:
    router, cluster = router_of("owner")
    ring_of(cluster, "owner")
    most = cluster.constants.requests.hops
    router.on_request("owner", request(to="far", hops=most), client=False)
    assert [kind for _, kind, _ in turn(router)] == [frame.FORWARD]
    router.on_request("owner", request(to="far", hops=most + 1), client=False)
    assert turn(router) == [
        ("owner", frame.REPLY, ["far", "s", [1, 1], [RETRY], [0, 0], None, None])
    ]  # fmt: skip


def test_what_nobody_serves_waits_until_somebody_does() -> None:
    router, cluster = router_of()
    ring_of(cluster, "me")
    cluster.clients["c"] = 9
    router.on_request("c", request(), client=True)
    assert [kind for _, kind, _ in turn(router)] == [frame.ACK]
    router.unpark()
    assert router.parked == 1
    own(cluster, cluster.shard_of("k"))
    router.unpark()
    ((_, kind, body),) = turn(router)
    assert (kind, body[3], router.parked) == (frame.REPLY, None, 0)


def test_what_waited_goes_on_to_who_serves_it_now() -> None:
    router, cluster = router_of("owner")
    ring_of(cluster, "me")
    router.on_request("other", request(to="far", hops=1), client=False)
    assert (turn(router), router.parked) == ([], 1)
    ring_of(cluster, "owner")
    router.unpark()
    assert turn(router) == [("owner", frame.FORWARD, request(to="far", hops=2))]


def test_only_so_much_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    router, cluster = router_of()
    monkeypatch.setattr(router, "_parked", Parked(200))
    ring_of(cluster, "me")
    cluster.clients["c"] = 9
    for number in range(1, 5):
        router.on_request("c", request(numbers=[number, 1], seqs=[number]), client=True)
    assert router.parked == 3
    assert bodies_of(router, frame.REPLY) == [["c", "s", [4, 1], [RETRY], [0, 0], None, None]]
    own(cluster, cluster.shard_of("k"))
    router.unpark()
    assert bodies_of(router, frame.REPLY)[0][2] == [1, 3], "and all of it is let go again"
    assert repr(router._parked) == "<Parked 0 requests of 0 bytes>"


def bodies_of(router: Router, kind: int) -> list[Any]:
    return [body for _, of, body in turn(router) if of == kind]


def test_a_read_is_answered_by_the_owner_and_a_verb_of_nobody_is_refused() -> None:
    router, _ = alone()
    rows = request(
        numbers=[1, 4], verbs=["update", READ, "login", "update"], keys=["k", "k", None, "k"],
        values=[ONE, NIL, NIL, NIL], seqs=[1, 0, 0, 0],
    )  # fmt: skip
    router.on_request("c", rows, client=True)
    replies = bodies_of(router, frame.REPLY)
    found = {
        number: (status, value)
        for _, _, (first, count), statuses, _, _, values in map(unrolled, replies)
        for number, status, value in zip(
            range(first, first + count), statuses, values, strict=True
        )
    }
    refused = (NOT_ALLOWED, pack("login"))
    assert found == {1: (OK, None), 2: (OK, ONE), 3: refused, 4: (NOT_ALLOWED, pack("update"))}


def unrolled(body: list[Any]) -> list[Any]:
    """Give a REPLY with no column left out."""
    to, sid, spec, statuses, term, offsets, values = body
    count = spec[1]
    return [to, sid, spec, statuses or [OK] * count, term, offsets, values or [None] * count]


@pytest.mark.parametrize("client", [True, False])
@pytest.mark.parametrize(
    "given",
    [
        {"numbers": [1, 2]}, {"numbers": [0, ["1"]]}, {"numbers": [0, [None]]},
        {"numbers": [0, [1 << 62]]}, {"numbers": [1, 0]}, {"numbers": [1, 1 << 40]},
        {"sid": None}, {"sid": ""}, {"sid": "s" * 129}, {"sid": b"s"},
        {"hops": None}, {"hops": "1"}, {"hops": -1}, {"hops": True}, {"to": None}, {"to": 7},
        {"verbs": None}, {"verbs": [7]}, {"verbs": []}, {"verbs": ["update", "update"]},
        {"keys": None}, {"keys": "k"}, {"keys": [1.5]}, {"keys": [[None]]}, {"keys": [["a"] * 99]},
        {"keys": ["k" * 2000]}, {"keys": []}, {"values": None}, {"values": [1]}, {"values": ["1"]},
        {"values": [ONE, ONE]}, {"seqs": None}, {"seqs": [-1]}, {"seqs": ["1"]}, {"seqs": [1.0]},
        {"seqs": [True]}, {"levels": None}, {"levels": "all"}, {"levels": [1, 1]},
        {"levels": LOWEST - 1}, {"levels": DURABLE}, {"levels": -4}, {"expects": 5},
        {"expects": [None, None]}, {"ttls": 5}, {"ttls": ["5"]}, {"ttls": [-5]}, {"ttls": [1 << 62]},
        {"ttls": [(1 << 64) - 1]},
    ],
    ids=repr,
)  # fmt: skip
def test_requests_that_are_none_are_refused_and_change_nothing(
    given: dict[str, Any], client: bool
) -> None:
    router, cluster = alone()
    before = [shape(shard) for shard in cluster.shards]
    with pytest.raises(ProtocolError):
        router.on_request("c", request(**given), client=client)
    assert turn(router) == []
    assert [shape(shard) for shard in cluster.shards] == before


def test_a_client_whose_value_is_none_is_refused() -> None:
    router, _ = alone()
    with pytest.raises(ProtocolError):
        router.on_request("c", request(values=[b"\xc1"]), client=True)


# --- answers


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (frame.REPLY, ["there", "s", [1, 1], None, [1, 1], None, None]),
    ],
)
@pytest.mark.parametrize("role", ["clients", "servers"])
def test_an_answer_goes_on_to_the_node_whose_request_went_through(
    kind: int, body: list[Any], role: str
) -> None:
    router, cluster = router_of("owner")
    take = router.on_reply if kind == frame.REPLY else router.on_partial
    take(body)
    assert said(cluster) == [], "nobody of that name is linked"
    getattr(cluster, role)["there"] = 9
    take(body)
    assert said(cluster) == [("there", kind, body)]


@pytest.mark.parametrize(
    ("at", "column"),
    [
        (2, [1, 3]), (2, [0, ["1", "2"]]), (2, [1, 1 << 40]), (3, [0]), (3, [0, "0"]), (3, 0),
        (3, [0, -1]), (3, [0, NO_QUORUM + 1]), (3, [0, None]), (4, None), (4, [1]), (4, ["a", 1]),
        (5, [1]), (5, [1, "2"]), (5, [1, -2]), (5, 7), (6, [None]), (6, [None, "text"]),
        (6, [None, [1]]), (6, {}),
    ],
    ids=repr,
)  # fmt: skip
def test_an_answer_that_cannot_be_one_settles_nothing(at: int, column: Any) -> None:
    router, cluster = router_of("owner")
    ring_of(cluster, "owner")
    calls = [write_of(), write_of()]
    for call in calls:
        router.submit(call, 100.0)
    turn(router)
    body: list[Any] = ["me", router.requests.sid, [1, 2], [0, 0], [1, 1], [1, 2], [None, None]]
    body[at] = column
    with pytest.raises(ProtocolError):
        router.on_reply(body)
    assert (router.settled, list(router.requests.pending.values())) == ([], calls)


@pytest.mark.parametrize("body", [[], ["me"], [None] * 7, [b"me", "s", [1, 1], *[None] * 4]])
def test_a_reply_to_nobody_is_refused(body: list[Any]) -> None:
    with pytest.raises(ProtocolError):
        router_of()[0].on_reply(body)


def test_an_acknowledgement_says_what_has_been_received() -> None:
    router, cluster = router_of("a", client=True)
    call = write_of()
    router.submit(call, 100.0)
    turn(router)
    sid = router.requests.sid
    router.on_ack([sid, [1, 1]])
    assert router.acked == [], "nobody wants to know each"
    router.want_acks = True
    for spec in ([1, 9], [1, 1]):
        router.on_ack([sid, spec])
    router.on_ack(["another", [1, 1]])
    assert router.acked == [call], "once"
    assert [n for event, n in cluster.notices if event == "ack"] == [1, 9, 1]
    for body in ([], [sid], [sid, None], [sid, [1, 1 << 29]], [sid, [0, ["1"]]]):
        with pytest.raises(ProtocolError):
            router.on_ack(body)


def test_answers_to_messages_settle_them() -> None:
    router, _ = router_of("a", client=True)
    batch = batch_of(3)
    router.requests.send(batch, 100.0)
    turn(router)
    calls = list(batch)
    sid = router.requests.sid
    router.on_answers(messages.write_answers("another", [1], ["x"]))
    router.on_answers(messages.write_answers(sid, [1, 3, 4], ["x", "y", "z"]))
    assert router.settled == [calls[0], calls[2]]
    assert [c.content for c in calls] == ["x", None, "y"]
    with pytest.raises(ProtocolError):
        router.on_answers([sid, [2, 2], messages.write_answers(sid, [2], ["x"])[2]])
    assert not calls[1].done


# --- messages through the handler


def test_a_batch_of_messages_goes_to_the_handler_as_it_is() -> None:
    router, cluster = alone(handled=True)
    body = messages.write("s", [numbered(1), numbered(2)])
    router.on_messages("c", body)
    ((_, kind, ack),) = turn(router)
    (run,) = router._owner.inbox
    assert (kind, ack, run.dest) == (frame.ACK, ["s", [1, 2]], Dest("c", "c", "s"))
    router.on_messages("c", body)
    assert len(router._owner.inbox) == 1, "a repetition is no second request"
    ring_of(cluster, "owner")


def test_answers_at_once_are_the_receipt_too() -> None:
    router, _ = alone(handled=True)
    router.on_messages("c", messages.write("s", [numbered(1), numbered(2)]))
    (run,) = router._owner.inbox
    router._owner.answer_all(run, ["x", "y"], whole=True)
    ((_, kind, body),) = turn(router)
    assert (kind, body[1], body[3]) == (frame.ANSWER, [1, 2], True)
    assert turn(router) == []
    asks, cluster = router_of("a", client=True)
    asks.requests.send(batch_of(2), 100.0)
    turn(asks)
    sid = asks.requests.sid
    asks.on_answers(messages.write_answers(sid, [1, 2], ["x", "y"], receipt=True))
    assert [n for event, n in cluster.notices if event == "ack"] == [2]
    assert [b.answers for b in asks.requests.whole] == [["x", "y"]]


def test_what_is_not_answered_at_once_is_acknowledged() -> None:
    router, _ = alone(handled=True)
    router.on_messages("c", messages.write("s", [numbered(1), numbered(2)]))
    (run,) = router._owner.inbox
    router._owner.answer_all(run, ["x", PENDING], whole=False)
    assert [(kind, body[:2]) for _, kind, body in turn(router)] == [
        (frame.ANSWER, ["s", [1, 1]]), (frame.ACK, ["s", [1, 2]]),
    ]  # fmt: skip


def numbered(number: int, path: Path | None = None) -> Call:
    call = Call("m", path, ONE)
    call.number = number
    return call


def test_messages_with_keys_of_others_are_passed_on() -> None:
    router, cluster = router_of("owner", handled=True)
    ring_of(cluster, "owner")
    cluster.clients["c"] = 9
    router.on_messages("c", messages.write("s", [numbered(1), numbered(2, Path(("k",)))]))
    ((_, kind, body),) = turn(router)[1:]
    assert (kind, body[:4], body[5]) == (frame.FORWARD, ["c", 1, "s", [2, 1]], ["k"])
    (inbound,) = router._owner.inbox
    assert inbound.number == 1


def test_without_a_handler_a_message_is_refused() -> None:
    router, _ = alone()
    router.on_messages("c", messages.write("s", [numbered(1)]))
    (_, (_, _, body)) = turn(router)
    assert body == ["c", "s", [1, 1], [NOT_ALLOWED], [*ZERO_TERM], None, [pack("m")]]


def test_what_passes_by_is_told_to_who_wants_to_know() -> None:
    router, cluster = alone()
    router.want_proxy = lambda: True
    router.on_request("c", request(), client=True)
    row = Row(1, "update", ("k",), ONE, 1, COMMIT, None, 0)
    assert ("proxy", row) in cluster.notices
    assert bodies(cluster, frame.ACK)
    assert "parked=0" in repr(router)
