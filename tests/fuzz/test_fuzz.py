"""Fuzzing, in small: raw bytes, frames that are nearly right, and frames of any content."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rxfero.core import frame
from rxfero.core.value import pack_body
from tests.fuzz import targets
from tests.fuzz.__main__ import HANG_S, run
from tests.fuzz.targets import Frame, Session, corpus

KINDS = sorted(frame.KINDS)
SESSION = Session()

contents = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(max_size=9)
    | st.binary(max_size=9) | st.sampled_from(["n0", "n1", "x0", "k0"]),
    lambda inner: st.lists(inner, max_size=7),
    max_leaves=25,
)  # fmt: skip
frames = st.builds(
    lambda kind, flags, body: Frame(kind, flags, pack_body(body)),
    st.sampled_from(KINDS), st.sampled_from([0, 0, 0, 1, 255]), st.lists(contents, max_size=8),
)  # fmt: skip
chances = st.integers(0, 2**32).map(Random)


def take(given: Frame, rng: Random) -> None:
    if not SESSION.ready:
        SESSION.begin()
    SESSION.take(given, rng)


@given(st.binary(max_size=5000), chances)
def test_any_bytes_are_frames_or_refused(data: bytes, rng: Random) -> None:
    targets.decoder(data, rng)


@given(st.lists(frames, max_size=8), chances)
def test_a_stranger_may_say_anything(said: list[Frame], rng: Random) -> None:
    targets.handshake(said, rng)


@given(frames, chances)
@settings(deadline=None)
def test_a_peer_may_send_any_content(said: Frame, rng: Random) -> None:
    take(said, rng)


@given(st.data(), chances)
@settings(deadline=None)
def test_a_peer_may_send_what_is_nearly_right(data: Any, rng: Random) -> None:
    take(targets.bent(data.draw(st.sampled_from(corpus())), corpus(), rng), rng)


@pytest.mark.parametrize("kept", corpus(), ids=lambda f: frame.name_of(f.kind))
def test_what_is_in_the_corpus_can_be_read_and_taken(kept: Frame) -> None:
    SESSION.end()
    if kept.kind not in targets.SHAKING:
        take(kept, Random(1))
        SESSION.end()
    decoder = frame.Decoder(1 << 20)
    decoder.open()
    assert decoder.feed(kept.packed) == [tuple(kept)]


def test_the_corpus_has_every_kind_that_is_handled() -> None:
    unused = {"WANT", "OFFER", "RESET"}  # in the table, and of no use yet
    unused.add("MONITOR")  # of monitors alone; a session of theirs is in test_monitor.py
    there = {frame.name_of(f.kind) for f in corpus()}
    assert there == {frame.name_of(k) for k in KINDS} - unused


def test_thousands_of_inputs_crash_nothing() -> None:
    tally = run(6_000, seed=3)
    assert tally.inputs == 6_000
    assert not tally.crashes
    assert tally.accepted > 500
    assert tally.slowest[0] < HANG_S


def test_the_same_seed_gives_the_same_inputs() -> None:
    frames = corpus()
    one, other = (targets.inputs(Random(5), frames) for _ in range(2))
    assert [next(one) for _ in range(300)] == [next(other) for _ in range(300)]
