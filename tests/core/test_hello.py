"""The hello: written and read, every reason not to fit, and proofs bound to one connection."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxfero.core import hello
from rxfero.core.hello import Hello, Identity
from rxfero.errors import HandshakeRefused, ProtocolError

NODE_A = Identity("rxfero", "users", "a", 1, "server", None, "127.0.0.1", 5000, "d1")
NODE_B = Identity("rxfero", "users", "b", 2, "client", "web", "", 0, "d1", 1, 1, ("snap",))

texts = st.text(max_size=hello.TEXT_MAX)
identities = st.builds(
    Identity,
    cluster=texts,
    service=texts,
    name=texts.filter(bool),
    boot=st.integers(0, 2**64 - 1),
    role=st.sampled_from(["server", "client", "monitor"]),
    group=st.none() | texts,
    host=texts,
    port=st.integers(0, 65535),
    digest=texts,
    proto_min=st.just(1),
    proto_max=st.integers(1, 0xFFFF),
    features=st.lists(texts, max_size=4).map(tuple),
)
hellos = st.builds(
    Hello,
    identity=identities,
    secured=st.booleans(),
    wall_ms=st.integers(0, 2**53),
    nonce=st.binary(min_size=16, max_size=64),
)


def said(identity: Identity, **changes: object) -> Hello:
    """Give a HELLO as it would be sent."""
    return Hello(identity, False, 0, identity.name.encode() * 32)._replace(**changes)


def wired(sent: Hello) -> list:
    """Give the fields as they arrive: tuples have become lists."""
    return [list(v) if isinstance(v, tuple) else v for v in hello.write(sent)]


# --- reading


@given(hellos, st.booleans())
def test_what_is_written_is_read(sent, dialed):
    assert hello.read(wired(sent), NODE_A, dialed=dialed) == sent


@given(st.lists(st.integers(), max_size=3))
def test_more_fields_may_follow(more):
    assert hello.read([*wired(said(NODE_B)), *more], NODE_A, dialed=True).identity == NODE_B


@pytest.mark.parametrize("fields", [[], ["fero"], [None, 1, 1], [b"rxfero", 1, 1], [["x" * 99]]])
def test_another_magic_is_refused(fields):
    with pytest.raises(HandshakeRefused, match="this is no rxfero node") as caught:
        hello.read(fields, NODE_A, dialed=True)
    assert len(str(caught.value)) < 100


@pytest.mark.parametrize(
    ("dialed", "words"), [(True, "1 to 1 and 2 to 9"), (False, "2 to 9 and 1 to 1")]
)
def test_versions_are_named_the_dialer_first(dialed, words):
    with pytest.raises(HandshakeRefused, match=words):
        hello.read(["rxfero", 2, 9, "whatever the future brings"], NODE_A, dialed=dialed)


@pytest.mark.parametrize(
    ("mine", "theirs", "fit"),
    [
        ((1, 1), (1, 1), True),
        ((1, 3), (3, 5), True),
        ((3, 5), (1, 3), True),
        ((1, 2), (3, 4), False),
        ((3, 4), (1, 2), False),
        ((1, 9), (9, 8), False),
    ],
)
def test_two_ranges_of_versions_fit_when_they_overlap(mine, theirs, fit):
    me = NODE_A._replace(proto_min=mine[0], proto_max=mine[1])
    fields = wired(said(NODE_B._replace(proto_min=theirs[0], proto_max=theirs[1])))
    if fit:
        assert hello.read(fields, me, dialed=True)
    else:
        with pytest.raises(HandshakeRefused):
            hello.read(fields, me, dialed=True)


def test_every_field_is_checked():
    wrong = [None, True, -1, 2**64, 1.5, "x" * 256, b"short", [1], {}]
    good = wired(said(NODE_B))
    for position in range(1, hello.FIELDS):
        refused = 0
        for value in wrong:
            fields = [*good[:position], value, *good[position + 1 :]]
            try:
                hello.read(fields, NODE_A, dialed=True)
            except ProtocolError:
                refused += 1
        assert refused >= 7, f"field {position}"


@given(st.integers(1, hello.FIELDS - 1))
def test_a_short_one_is_a_protocol_error(length):
    with pytest.raises(ProtocolError, match="HELLO"):
        hello.read(wired(said(NODE_B))[:length], NODE_A, dialed=True)


@given(st.lists(st.none() | st.integers() | st.text() | st.binary() | st.lists(st.integers())))
def test_anything_behind_the_magic_is_read_or_refused(fields):
    with pytest.raises(ProtocolError):
        hello.read(["rxfero", *fields], NODE_A, dialed=False)


# --- fitting


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"cluster": "c2"}, "node 'a' has cluster 'rxfero', node 'b' has 'c2'"),
        ({"service": "s2"}, "node 'a' has service 'users', node 'b' has 's2'"),
        (
            {"digest": "d2"},
            "node 'a' has a configuration with digest 'd1', node 'b' has 'd2'",
        ),
    ],
)
def test_a_misfit_is_told_in_the_same_words_on_both_sides(changes, words):
    a, b = said(NODE_A), said(NODE_B._replace(**changes))

    assert hello.misfit(a, b, dialed=True) == words
    assert hello.misfit(b, a, dialed=False) == words


def test_who_has_no_secret_is_named_on_both_sides():
    a, b = said(NODE_A, secured=True), said(NODE_B)

    assert hello.misfit(a, b, dialed=True) == hello.misfit(b, a, dialed=False)
    assert hello.misfit(a, b, dialed=True) == "the cluster has a secret and node 'b' has none"
    assert hello.misfit(said(NODE_A, secured=True), said(NODE_B, secured=True), dialed=True) is None


def test_two_clients_do_not_fit():
    other = NODE_B._replace(name="c", boot=3)

    assert hello.misfit(said(NODE_B), said(other), dialed=True) == "'b' and 'c' are both clients"


@pytest.mark.parametrize("dialed", [True, False])
def test_a_monitor_of_every_service_fits_servers_of_its_cluster(dialed):
    monitor = NODE_B._replace(role="monitor", service=hello.EVERY, digest="")
    for mine, theirs in ((monitor, NODE_A), (NODE_A, monitor)):
        assert hello.misfit(said(mine), said(theirs), dialed=dialed) is None
    other = NODE_A._replace(cluster="other")
    assert "has cluster" in str(hello.misfit(said(monitor), said(other), dialed=dialed))
    named = monitor._replace(service="teams")
    assert "has service" in str(hello.misfit(said(named), said(NODE_A), dialed=dialed))
    client = NODE_A._replace(role="client")
    assert "are no servers" in str(hello.misfit(said(monitor), said(client), dialed=dialed))
    secured = said(NODE_A, secured=True)
    assert "has a secret" in str(hello.misfit(said(monitor), secured, dialed=dialed))
    server = NODE_A._replace(service=hello.EVERY)
    assert "has service" in str(hello.misfit(said(NODE_A._replace(name="c")), said(server), dialed=dialed))
    assert hello.misfit(said(NODE_A), said(NODE_B), dialed=True) is None


def test_a_node_does_not_fit_itself_nor_an_echo():
    again = said(NODE_A, nonce=b"another nonce...")
    echo = said(NODE_B, nonce=said(NODE_A).nonce)

    assert "connected to itself" in hello.misfit(said(NODE_A), again, dialed=True)
    assert "connected to itself" in hello.misfit(said(NODE_A), echo, dialed=True)
    assert (
        hello.misfit(said(NODE_A), said(NODE_A._replace(boot=9), nonce=b"x" * 16), dialed=1) is None
    )


@pytest.mark.parametrize(
    ("mine", "theirs", "elapsed", "refused"),
    [
        (0, 10**12, 0.0, False),
        (10**12, 0, 0.0, False),
        (1000, 61_000, 0.0, False),
        (1000, 61_001, 0.0, True),
        (1000, 61_500, 0.6, False),
        (10**9, 1000, 0.0, False),
    ],
)
def test_a_clock_may_be_ahead_by_the_skew(mine, theirs, elapsed, refused):
    reason = hello.clock_ahead(
        said(NODE_A, wall_ms=mine), said(NODE_B, wall_ms=theirs), elapsed, 60_000
    )

    assert (reason is not None) == refused
    assert reason is None or "node 'b' is 60 s ahead of 'a''s, 60 s are allowed" in reason


# --- proving


def test_a_proof_is_bound_to_everything():
    expected = hello.proof("secret", "server", True, b"own", b"other")
    others = {
        hello.proof("Secret", "server", True, b"own", b"other"),
        hello.proof("secret", "client", True, b"own", b"other"),
        hello.proof("secret", "server", False, b"own", b"other"),
        hello.proof("secret", "server", True, b"other", b"own"),
        hello.proof("secret", "server", True, b"owno", b"ther"),
        hello.proof("secret", "server", True, b"own", b"other."),
    }

    assert len(others) == 6
    assert expected not in others
    assert hello.proves(expected, hello.proof("secret", "server", True, b"own", b"other"))
    assert not any(hello.proves(other, expected) for other in others)


@pytest.mark.parametrize("given", [None, "", b"", b"\0" * 32, 1, [b""]])
def test_what_is_no_proof_proves_nothing(given):
    assert not hello.proves(given, hello.proof("s", "server", True, b"", b""))
