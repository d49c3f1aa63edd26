"""The frame: encoding, the table of kinds, and a decoder that no bytes can hurt."""

from __future__ import annotations

from struct import pack
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxfero.core import frame
from rxfero.core.frame import Decoder
from rxfero.errors import ProtocolError


class Limits(NamedTuple):
    containers: int = 1000


def opened(frame_max: int = 1 << 20) -> Decoder:
    decoder = Decoder(frame_max)
    decoder.open()
    return decoder


bodies = st.lists(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.text(), st.binary()),
    max_size=8,
)
open_kinds = st.sampled_from(sorted(set(frame.KINDS) - frame.HANDSHAKE))
sent = st.lists(st.tuples(open_kinds, st.integers(0, 255), bodies), max_size=8)


# --- encoding


def test_a_frame_is_length_kind_flags_body():
    packed = b"\x91\x01"

    assert frame.encode(frame.PING, [1], 3) == b"\x00\x00\x00\x04" + b"\x05\x03" + packed
    assert frame.encode_raw(frame.PING, packed, 3) == frame.encode(frame.PING, [1], 3)


@given(sent)
def test_what_is_encoded_is_decoded(frames):
    data = b"".join(frame.encode(kind, body, flags) for kind, flags, body in frames)

    found = opened().feed(data)

    assert [(k, f, frame.unpack(k, b, Limits(10**5))) for k, f, b in found] == frames


@given(sent, st.data())
def test_frames_do_not_depend_on_how_the_bytes_arrive(frames, data):
    wire = b"".join(frame.encode(kind, body, flags) for kind, flags, body in frames)
    whole = opened().feed(wire)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(wire)), max_size=8)))

    decoder, found = opened(), []
    for first, after in zip([0, *cuts], [*cuts, len(wire)], strict=True):
        found += decoder.feed(wire[first:after])

    assert found == whole
    assert decoder.buffered == 0


LARGE_SIZES = st.lists(st.sampled_from([0, 1, 100, 8_189, 8_191, 8_193, 30_000]), max_size=8)


@given(LARGE_SIZES, st.data())
def test_large_frames_come_whole_and_in_order_however_their_bytes_arrive(sizes, data):
    bodies = [bytes([number]) * size for number, size in enumerate(sizes)]
    wire = b"".join(frame.encode_raw(frame.APPEND, body) for body in bodies)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(wire)), max_size=8)))

    decoder, found = opened(), []
    for first, after in zip([0, *cuts], [*cuts, len(wire)], strict=True):
        found += decoder.feed(wire[first:after])

    assert [bytes(body) for _, _, body in found] == bodies
    assert {type(body) for _, _, body in found if len(body) > 10_000} <= {memoryview}
    assert decoder.buffered == 0


def test_a_bad_frame_behind_a_large_one_that_was_cut_is_refused():
    good, bad = frame.encode_raw(frame.APPEND, bytes(9_000)), b"\x00\x00\x00\x01\x05\x00"
    decoder = opened()
    assert decoder.feed(good[:100]) == []
    (found,) = decoder.feed(good[100:] + bad + bytes(9_000))
    assert found[2] == bytes(9_000)
    with pytest.raises(ProtocolError, match="a frame of 1 bytes"):
        decoder.feed(b"")
    assert decoder.buffered == 0


def test_a_byte_at_a_time():
    wire = frame.encode(frame.HEADS, [1, "two", b"three"]) * 3
    decoder, found = opened(), []
    for i in range(len(wire)):
        found += decoder.feed(wire[i : i + 1])

    assert len(found) == 3
    assert decoder.buffered == 0


def test_a_body_may_be_empty_bytes_for_the_decoder():
    assert opened().feed(frame.encode_raw(frame.SAFE, b"")) == [(frame.SAFE, 0, b"")]


# --- limits


def test_a_frame_too_large_is_refused_by_its_header_alone():
    decoder = opened(1000)
    decoder.feed(frame.encode_raw(frame.APPEND, bytes(998)))  # just allowed

    with pytest.raises(ProtocolError, match=r"APPEND frame of 1001 bytes, the limit is 1000"):
        decoder.feed(pack(">IBB", 1001, frame.APPEND, 0))
    assert decoder.buffered == 0


def test_before_the_handshake_the_limit_is_4096():
    decoder = Decoder(1 << 20)
    assert decoder.feed(frame.encode_raw(frame.HELLO, bytes(4094))) != []

    with pytest.raises(ProtocolError, match=r"4097 bytes, the limit is 4096 before the handshake"):
        decoder.feed(pack(">IBB", 4097, frame.HELLO, 0))


def test_a_small_frame_max_holds_before_the_handshake_too():
    with pytest.raises(ProtocolError, match="the limit is 100 "):
        Decoder(100).feed(pack(">IBB", 101, frame.HELLO, 0))


@pytest.mark.parametrize("length", [0, 1])
def test_a_frame_too_small_is_refused(length):
    with pytest.raises(ProtocolError, match=rf"of {length} bytes, the least is 2"):
        opened().feed(pack(">IBB", length, frame.PING, 0))


def test_a_header_is_judged_as_soon_as_it_is_there():
    decoder = opened(1000)
    assert decoder.feed(b"\xff\xff\xff\xff\x05") == []

    with pytest.raises(ProtocolError, match="4294967295 bytes"):
        decoder.feed(b"\x00")


@pytest.mark.parametrize("kind", [*sorted(set(frame.KINDS) - frame.HANDSHAKE), 0, 99, 255])
def test_before_the_handshake_only_its_kinds_are_taken(kind):
    with pytest.raises(ProtocolError, match="before the handshake is done"):
        Decoder(1 << 20).feed(frame.encode(kind, []))


def test_what_another_protocol_says_is_refused():
    with pytest.raises(ProtocolError, match="the limit is 4096"):
        Decoder(1 << 20).feed(b"GET / HTTP/1.1\r\n\r\n")


def test_an_unknown_kind_is_left_out():
    decoder = opened()

    found = decoder.feed(frame.encode(99, [1]) + frame.encode(frame.PING, [1, None]))

    assert [kind for kind, _, _ in found] == [frame.PING]


def test_an_unknown_kind_that_must_be_understood_is_refused():
    with pytest.raises(ProtocolError, match="kind 99, which must be understood"):
        opened().feed(frame.encode(99, [], frame.MUST_UNDERSTAND))


def test_a_dead_decoder_stays_dead():
    decoder = opened(1000)
    with pytest.raises(ProtocolError) as first:
        decoder.feed(pack(">IBB", 1 << 30, frame.PING, 0))

    with pytest.raises(ProtocolError) as second:
        decoder.feed(frame.encode(frame.PING, []))
    assert second.value is first.value
    assert "dead" in repr(decoder)


def test_good_frames_before_a_bad_one_are_given():
    decoder = opened(1000)

    found = decoder.feed(frame.encode(frame.PING, []) + pack(">IBB", 1 << 30, frame.PING, 0) + b"x")

    assert [kind for kind, _, _ in found] == [frame.PING]
    assert isinstance(decoder.failed, ProtocolError)
    assert decoder.buffered == 0
    with pytest.raises(ProtocolError):
        decoder.feed(b"")


# --- the end of the handshake


@pytest.mark.parametrize("split", range(0, 40, 3))
def test_what_follows_a_welcome_waits_for_open(split):
    welcome = frame.encode(frame.WELCOME, [1, []])
    big = frame.encode_raw(frame.APPEND, bytes(9000))
    wire = welcome + big + frame.encode(frame.PING, [1, None])
    decoder = Decoder(1 << 20)

    found = decoder.feed(wire[:split]) + decoder.feed(wire[split:])
    assert [kind for kind, _, _ in found] == [frame.WELCOME]
    assert decoder.held
    assert decoder.buffered == len(wire) - len(welcome)

    decoder.open()
    assert not decoder.held
    assert [kind for kind, _, _ in decoder.feed(b"")] == [frame.APPEND, frame.PING]


def test_a_welcome_alone_holds_nothing():
    decoder = Decoder(1 << 20)
    assert decoder.feed(frame.encode(frame.WELCOME, [])) != []
    assert not decoder.held
    assert decoder.feed(b"") == []

    assert decoder.feed(frame.encode(frame.PING, [])) == []
    assert decoder.held
    assert "handshake" in repr(decoder)
    decoder.open()
    assert decoder.feed(frame.encode(frame.PONG, []))[1][0] == frame.PONG
    assert "open" in repr(decoder)


# --- bodies


@given(bodies)
def test_unpack_undoes_encode(body):
    (found,) = opened().feed(frame.encode(frame.HEADS, body))

    assert frame.unpack(frame.HEADS, found[2], Limits(10**5)) == body


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", ""),
        (b"\xc1", ""),
        (b"\x92\x01", ""),
        (b"\x91\x01\x01", ""),
        (b"\x91\xa1\xff", ""),
        (b"\xc7\x01\x05x", ""),
        (b"\x91\xd4\x05x", ""),
        (b"\x01", "int, not an array"),
        (b"\x80", "dict, not an array"),
        (b"\xc0", "NoneType, not an array"),
    ],
)
def test_a_malformed_body_is_refused_by_name(body, words):
    with pytest.raises(ProtocolError, match=rf"malformed SNAP frame: .*{words}"):
        frame.unpack(frame.SNAP, body, Limits())


@pytest.mark.parametrize(
    "bomb",
    [
        b"\x91" * 1001 + b"\xc1",  # malformed at its end: decoding would say so
        b"\xdd\x00\x00\x04\x00" + b"\x80" * 1024,
        b"\x92" + b"\xdc\x00\x00\xde\x00\x00\xdf\x00\x00\x00\x00\x05\xa2ab\xc4\x01x" * 400,
    ],
)
def test_a_body_of_too_many_containers_is_refused_before_decoding(bomb):
    with pytest.raises(
        ProtocolError, match="malformed APPEND frame: a body of more than 1000 containers"
    ):
        frame.unpack(frame.APPEND, bomb, Limits())


@pytest.mark.parametrize(
    "text",
    [
        "\u4e00\u5000" * 5000,
        "\u0400" * 5000,
        b"\x90" * 70000,
        b"\x91" * 200,
        "\u0400" * 12,
        1.5,
        2**60,
    ],
)
def test_text_that_looks_like_containers_is_none(text):
    body = [[text] * 20, b"\x90" * 1200, -(2**40), 3, None]
    (found,) = opened(1 << 24).feed(frame.encode(frame.APPEND, body))

    assert frame.unpack(frame.APPEND, found[2], Limits()) == body


@pytest.mark.parametrize("end", [b"\xc7\x01\x05x", b"\xcd\x01", b"\xc1", b"\xc6\xff\xff\xff\xff"])
def test_what_is_malformed_behind_much_text_is_refused(end):
    body = b"\x92\xc5\x05\xdc" + b"\x90" * 1500 + end

    with pytest.raises(ProtocolError, match="malformed APPEND frame"):
        frame.unpack(frame.APPEND, body, Limits())


@given(st.binary(max_size=300))
def test_random_bodies_raise_nothing_but_protocol_errors(body):
    try:
        fields = frame.unpack(frame.REQUEST, body, Limits(100))
    except ProtocolError as refused:
        fields = [refused.message]
        assert "REQUEST" in fields[0]

    assert type(fields) is list


@given(st.lists(st.binary(max_size=60), max_size=10), st.booleans())
def test_random_bytes_raise_nothing_but_protocol_errors(chunks, is_open):
    decoder = Decoder(5000)
    if is_open:
        decoder.open()
    for chunk in chunks:
        try:
            decoder.feed(chunk)
        except ProtocolError:
            assert decoder.failed is not None
        if decoder.failed is not None:
            assert decoder.buffered == 0
        else:
            assert decoder.buffered <= 5004


# --- the table


def test_the_table_names_every_constant():
    constants = {
        name: value
        for name, value in vars(frame).items()
        if name.isupper() and type(value) is int and not name.startswith("_")
    }
    for other in ("MUST_UNDERSTAND", "HELLO_MAX"):
        del constants[other]

    assert {row.name: row.number for row in frame.KINDS.values()} == constants


def test_the_table_is_complete():
    for number, row in frame.KINDS.items():
        assert row.number == number
        assert 0 < number < 256
        assert row.routes
        assert row.states
        assert row.fields
    assert frozenset({1, 2, 3, 4}) == frame.HANDSHAKE


def test_who_may_send_what():
    servers = frame.ADMITTED[frame.SERVER, frame.SERVER]
    to_client = frame.ADMITTED[frame.SERVER, frame.CLIENT]
    from_client = frame.ADMITTED[frame.CLIENT, frame.SERVER]

    assert from_client == {
        frame.REQUEST, frame.MESSAGE, frame.NACK, frame.HEADS, frame.CANCEL, frame.MORE,
    }  # fmt: skip
    assert frame.ADMITTED[frame.WATCHER, frame.SERVER] == {frame.MONITOR}
    assert frame.ADMITTED[frame.SERVER, frame.WATCHER] == {frame.MONITOR}
    assert frame.FEED in to_client
    assert frame.FEED not in servers
    assert frame.REQUEST not in servers
    assert frame.APPEND not in to_client
    assert not (servers | to_client | from_client) & frame.CONTROL
    assert (frame.CLIENT, frame.CLIENT) not in frame.ADMITTED


def test_the_table_is_printed_for_the_docs():
    page = frame.describe()

    assert page.count("\n") == len(frame.KINDS) + 1
    assert "| 1 | HELLO | any | hello |" in page
    assert "| 35 | FEED | server -> client | open |" in page


def test_names_for_sentences():
    assert frame.name_of(frame.SNAP) == "SNAP"
    assert frame.name_of(77) == "kind 77"
