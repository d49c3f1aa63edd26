"""The announcement: what is said is what is read, and nothing else is read at all."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rxfero.discovery.announcement import (
    ASK,
    HERE,
    MAC_BYTES,
    SIZE_MAX,
    Announcement,
    decode,
    encode,
)

names = st.text(st.characters(exclude_categories=["Cs"]), max_size=50)
secrets = st.none() | st.text(min_size=8, max_size=20)
said = st.builds(
    Announcement, st.just(HERE), names, names, names, names, st.integers(1, 65_535)
) | st.builds(Announcement, st.just(ASK), names, names, names, names, st.just(0))


@settings(deadline=None)
@given(said, secrets)
def test_what_is_said_is_read(announcement: Announcement, secret: str | None) -> None:
    assert decode(encode(announcement, secret), secret) == announcement


@settings(deadline=None)
@given(said, secrets, secrets)
def test_only_who_has_the_same_secret_reads_it(
    announcement: Announcement, mine: str | None, theirs: str | None
) -> None:
    read = decode(encode(announcement, mine), theirs)
    assert read == (announcement if mine == theirs else None)


@settings(deadline=None)
@given(said, secrets, st.data())
def test_a_part_or_more_than_all_is_not_read(
    announcement: Announcement, secret: str | None, data: st.DataObject
) -> None:
    whole = encode(announcement, secret)
    cut = data.draw(st.integers(0, len(whole) - 1))
    assert decode(whole[:cut], secret) is None
    assert decode(whole + b"x", secret) is None


@settings(deadline=None)
@given(said, st.data())
def test_a_signed_one_cannot_be_changed(announcement: Announcement, data: st.DataObject) -> None:
    whole = bytearray(encode(announcement, "long enough"))
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] ^= data.draw(st.integers(1, 255))
    assert decode(bytes(whole), "long enough") is None


@settings(deadline=None)
@given(st.binary(max_size=200), secrets)
def test_anything_may_come(noise: bytes, secret: str | None) -> None:
    decode(noise, secret)
    decode(b"rxfd\x01\x01" + noise, secret)


def test_another_version_and_another_kind_are_not_read() -> None:
    whole = encode(Announcement(HERE, "c", "s", "n", "h", 1))
    assert decode(whole) is not None
    for place in (0, 4, 5):
        bent = bytearray(whole)
        bent[place] = 9
        assert decode(bytes(bent)) is None


def test_one_that_says_it_listens_nowhere_is_not_read() -> None:
    assert decode(encode(Announcement(HERE, "c", "s", "n", "h", 0))) is None
    assert decode(encode(Announcement(ASK, "c", "s", "n", "", 7))) is None


def test_a_text_that_is_none_is_not_read() -> None:
    whole = encode(Announcement(HERE, "c", "\x7f", "n", "h", 1))
    assert decode(whole.replace(b"\x7f", b"\xff")) is None


def test_the_largest_fits_and_a_larger_one_is_refused() -> None:
    wide = Announcement(HERE, "\U0001f600" * 64, "s" * 200, "\U0001f600" * 64, "h" * 255, 1)
    assert len(encode(wide, "long enough")) <= SIZE_MAX
    assert len(encode(wide, "long enough")) == len(encode(wide)) + MAC_BYTES
    with pytest.raises(ValueError, match="are the most"):
        encode(wide._replace(host="h" * SIZE_MAX))
