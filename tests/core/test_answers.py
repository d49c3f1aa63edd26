"""The answers: several to one request, no more on their way than their caller takes."""

from __future__ import annotations

from typing import Any

import pytest

from rxfero.core import frame
from rxfero.core.answers import MOST, Answers
from rxfero.core.call import WINDOW, Call
from rxfero.core.cluster import Cluster
from rxfero.core.path import Path
from rxfero.core.router import Router
from rxfero.errors import ProtocolError
from tests.core.parts import ONE, alone, request, ring_of, router_of, said, turn


def answers_of(router: Router) -> Answers:
    return Answers(router._cluster, router._owner, router.requests, router.server_of)


def asked(*others: str, **given: Any) -> tuple[Answers, Cluster, Call]:
    """Give the answers of a node that asked for a stream, 20 s ago."""
    router, cluster = router_of(*others, **given)
    ring_of(cluster, *others)
    call = Call("watch", Path(("k",)), ONE)
    router.submit(call, 100.0)
    turn(router)
    cluster.now = 120.0
    return answers_of(router), cluster, call


def handled() -> tuple[Answers, Cluster, list[Any]]:
    """Give a server whose handler has a stream open for the client c."""
    router, cluster = alone(handled=True)
    router.on_request("c", request(verbs="watch", seqs=[0]), client=True)
    (inbound,) = router._owner.inbox
    told: list[Any] = []
    inbound.cancel = lambda: told.append("stop")
    inbound.more = told.append
    said(cluster)
    answers = answers_of(router)
    answers.send(inbound, ONE)
    assert said(cluster) == [("c", frame.PARTIAL, ["c", "s", 1, ONE, "me"])]
    return answers, cluster, told


def test_parts_of_an_answer_keep_its_request_alive() -> None:
    answers, _, call = asked("a", client=True)
    sid = answers._requests.sid
    for of, number in ((sid, 1), ("another", 1), (sid, 2)):
        answers.on_partial(["me", of, number, ONE, "a"])
    assert (answers.came, call.deadline) == ([(call, ONE)], 150.0)
    for body in (
        [], ["me"], ["me", 1, 2, 3, 4, 5], ["me", sid, 1, b"\xc1", "a"], ["me", sid, 1, 7, "a"],
        ["me", sid, 1, ONE, 7],
    ):  # fmt: skip
        with pytest.raises((ProtocolError, TypeError)):
            answers.on_partial(body)


@pytest.mark.parametrize("role", ["clients", "servers"])
def test_a_part_goes_on_to_the_node_whose_request_went_through(role: str) -> None:
    router, cluster = router_of("owner")
    answers, body = answers_of(router), ["there", "s", 1, ONE, "owner"]
    answers.on_partial(body)
    assert said(cluster) == [], "nobody of that name is linked"
    getattr(cluster, role)["there"] = 9
    answers.on_partial(body)
    assert said(cluster) == [("there", frame.PARTIAL, body)]


def test_a_stream_stops_when_its_reader_says_so_or_goes_and_goes_on_when_asked() -> None:
    answers, _, told = handled()
    answers.on_word(frame.CANCEL, ["c", "s", 2, 0])
    answers.gone("another")
    assert told == []
    answers.on_word(frame.MORE, ["c", "s", 1, 0, 128])
    answers.on_word(frame.CANCEL, ["c", "s", 1, 0])
    answers.gone("c")
    assert told == [128, "stop", "stop"]


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (frame.CANCEL, ["c"]),
        (frame.CANCEL, ["c", "s", 1, 0, 5]),
        (frame.CANCEL, ["c", "s", [], 0]),
        (frame.MORE, ["c", "s", 1, 0]),
        (frame.MORE, ["c", "s", 1, 0, 0]),
        (frame.MORE, ["c", "s", 1, 0, -1]),
        (frame.MORE, ["c", "s", 1, 0, MOST + 1]),
        (frame.MORE, ["c", "s", 1, 0, True]),
        (frame.MORE, ["c", "s", 1, 0, "5"]),
    ],
)
def test_a_word_that_cannot_be_is_refused(kind: int, body: list[Any]) -> None:
    answers, _, told = handled()
    with pytest.raises(ProtocolError):
        answers.on_word(kind, body)
    assert told == []


@pytest.mark.parametrize("shard", [None, "3", -1, 8, 1 << 70])
@pytest.mark.parametrize(("kind", "rest"), [(frame.CANCEL, []), (frame.MORE, [9])])
def test_a_word_is_passed_on_to_the_owner(kind: int, rest: list[int], shard: Any) -> None:
    router, cluster = router_of("owner")
    ring_of(cluster, "owner")
    answers = answers_of(router)
    answers.on_word(kind, ["c", "s", 1, shard, *rest])
    assert said(cluster) == []
    answers.on_word(kind, ["c", "s", 1, 3, *rest])
    answers.on_word(kind, ["c", "s", 1, "gone", *rest])
    answers.on_word(kind, ["c", "s", 1, "owner", *rest])
    where = [body[3] for name, of, body in said(cluster) if (name, of) == ("owner", kind)]
    assert where == [3, "owner"]


def test_a_caller_tells_where_its_request_went() -> None:
    answers, cluster, call = asked("owner")
    shard, sid = cluster.shard_of("k"), answers._requests.sid
    answers.more(call, 128)
    answers.late([call])
    assert said(cluster) == [("owner", frame.MORE, ["me", sid, 1, shard, 128])]
    answers.on_partial(["me", sid, 1, ONE, "third"])  # who had the shard when it came
    answers.late([call, Call("other", None, ONE)])
    answers.more(call, 5)
    answers.cancel(call)
    assert said(cluster) == [
        ("owner", frame.CANCEL, ["me", sid, 1, "third"]),  # of what is late, only a stream
        ("owner", frame.MORE, ["me", sid, 1, "third", 5]),
        ("owner", frame.CANCEL, ["me", sid, 1, "third"]),
    ]
    assert answers._requests.pending == {}
    call.done = True
    answers.more(call, 1)
    assert said(cluster) == [], "it has ended"


def test_a_request_that_is_being_answered_is_not_sent_again_unless_who_answers_is_lost() -> None:
    answers, cluster, call = asked("owner", "other")
    requests = answers._requests
    requests.resend(cluster.now)
    assert requests.drain(cluster.now) == [call]
    answers.on_partial(["me", requests.sid, 1, ONE, "owner"])
    answers.on_partial(["me", requests.sid, 1, ONE, "other"])
    assert answers.came == [(call, ONE)], "two streams are not mixed"
    requests.resend(cluster.now)
    requests.resend(cluster.now, lost="third")
    assert requests.drain(cluster.now) == []
    requests.resend(cluster.now, lost="owner")
    assert requests.drain(cluster.now) == [call]
    answers.on_partial(["me", requests.sid, 1, ONE, "other"])
    assert len(answers.came) == 2


def test_a_peer_that_minds_no_window_is_refused() -> None:
    answers, _, call = asked("owner")
    sid = answers._requests.sid
    for _ in range(WINDOW):
        answers.on_partial(["me", sid, 1, ONE, "owner"])
    answers.more(call, WINDOW)
    for _ in range(8 * WINDOW):
        answers.on_partial(["me", sid, 1, ONE, "owner"])
    with pytest.raises(ProtocolError, match="window"):
        answers.on_partial(["me", sid, 1, ONE, "owner"])


def test_a_request_cancelled_before_it_was_sent_is_never_sent() -> None:
    router, cluster = router_of("owner")
    ring_of(cluster, "owner")
    call, other = (Call("watch", Path(("k",)), ONE) for _ in range(2))
    for one in (call, other):
        router.submit(one, 100.0)
    answers_of(router).cancel(call)
    assert [body[3] for _, kind, body in turn(router) if kind == frame.FORWARD] == [[2, 1]]
