"""The path: what it equals, what it refuses, and how it travels."""

from __future__ import annotations

import copy
import pickle
from enum import Enum, StrEnum
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rxfero.core import path as module
from rxfero.core.path import DEPTH_MAX, KEY_BYTES_MAX, Path, from_wire, overlaps, under, wire
from rxfero.core.value import pack_body, unpack_body
from rxfero.errors import ProtocolError, ValueRefused
from tests.naming import outcome

words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
plain = words.filter(lambda word: "." not in word)
numbers = st.integers(-(1 << 63), (1 << 63) - 1)
elements = words | numbers
paths = st.lists(elements, min_size=1, max_size=DEPTH_MAX).map(tuple)


# --- reading


@given(st.lists(plain, min_size=1, max_size=8))
def test_dotted_text_and_a_tuple_of_its_parts_are_one_path(parts: list[str]) -> None:
    text = ".".join(parts)
    path = Path.parse(text)
    assert path == Path.parse(tuple(parts)) == Path.parse(parts)
    assert tuple(path) == tuple(parts)
    assert str(path) == text
    assert Path.parse(path) is path


@given(paths)
def test_a_tuple_is_taken_as_it_is(parts: tuple[Any, ...]) -> None:
    path = Path.parse(parts)
    assert path == parts
    assert [type(e) for e in path] == [type(e) for e in parts]
    assert str(path) == ".".join(map(str, parts))


def test_an_integer_is_one_element_and_differs_from_its_text() -> None:
    assert tuple(Path.parse(7)) == (7,)
    assert Path.parse(7) == 7
    assert Path.parse(7) != "7"
    assert Path.parse("7") == "7"
    assert Path.parse("7") != 7
    assert tuple(Path.parse("list.0")) == ("list", "0")


KEYS = words | numbers | paths | st.sampled_from(["a.b", "", "ж", "x" * 1025, None, 1.5, "a\udfff"])


@given(st.lists(plain, max_size=6) | st.lists(KEYS, max_size=4))
def test_many_keys_are_read_as_each_of_them(keys: list[Any]) -> None:
    found = outcome(lambda: Path.parse_all(iter(keys)))
    assert found == outcome(lambda: list(map(Path.parse, keys)))
    assert isinstance(found, str) or {type(path) for path in found} <= {Path}


class Name(StrEnum):
    ALICE = "alice"


class Mixed(str, Enum):  # noqa: UP042  (its str() is not its text)
    DOTTED = "a.b"


def test_kinds_of_text_become_plain_text() -> None:
    for key, parts in (
        (Name.ALICE, ("alice",)),
        (Mixed.DOTTED, ("a", "b")),
        ((Name.ALICE, 1, Mixed.DOTTED), ("alice", 1, "a.b")),
    ):
        path = Path.parse(key)
        assert path == parts
        assert all(type(element) in (str, int) for element in path)


@pytest.mark.parametrize(
    ("key", "why"),
    [
        ("", "empty element"),
        ((), "cannot be empty"),
        ([], "cannot be empty"),
        ("a..b", "empty element; use a tuple"),
        (".a", "empty element"),
        ("a.", "empty element"),
        (("a", ""), "empty element"),
        (None, "not NoneType"),
        (True, "not bool"),
        (1.5, "not float"),
        (b"a", "not bytes"),
        ({"a"}, "not set"),
        ({"a": 1}, "not dict"),
        (("a", True), "element of type bool"),
        (("a", None), "element of type NoneType"),
        (("a", ("b",)), "element of type tuple"),
        (("a", b"b"), "element of type bytes"),
        ("\ud800", "surrogate"),
        (("ok", "\udfff"), "surrogate"),
        (1 << 63, "64 bits"),
        (-(1 << 63) - 1, "64 bits"),
        (("a", 1 << 64), "64 bits"),
        (".".join("a" * (DEPTH_MAX + 1)), "33 levels deep, the limit is 32"),
        (("a",) * 5_000, "5000 levels deep"),
        ("x" * (KEY_BYTES_MAX + 1), "1025 bytes long, the limit is 1024"),
        ("ж" * 513, "1026 bytes long"),
        (("x" * 600, "y" * 600), "1200 bytes long"),
    ],
    ids=lambda v: repr(v)[:30],
)
def test_a_key_that_cannot_be_is_refused_by_name(key: Any, why: str) -> None:
    with pytest.raises(ValueRefused, match=why) as caught:
        Path.parse(key)
    assert caught.value.path.startswith("key ")
    assert len(caught.value.path) < 90
    assert repr(key)[:10] in str(caught.value)


def test_the_limits_are_exact() -> None:
    assert len(Path.parse(".".join("a" * DEPTH_MAX))) == DEPTH_MAX
    assert Path.parse("x" * KEY_BYTES_MAX) == "x" * KEY_BYTES_MAX
    assert Path.parse("ж" * 512)[0] == "ж" * 512
    assert Path.parse((-(1 << 63), (1 << 63) - 1)) == (-(1 << 63), (1 << 63) - 1)


def test_the_cache_of_texts_is_bounded_and_keeps_no_refusal() -> None:
    cached = module._parse_text
    assert cached.cache_info().maxsize == 1 << 12
    before = cached.cache_info().currsize
    with pytest.raises(ValueRefused):
        Path.parse("refused..here")
    assert cached.cache_info().currsize == before
    assert Path.parse("kept.here") is Path.parse("kept.here")


# --- equality


@given(paths)
@example(("a.b",))
@example(("a", "b"))
@example(("a.b", "c"))
@example(("a", 0))
@example((0,))
def test_equal_to_its_tuple_always_and_to_its_text_where_that_is_unambiguous(
    parts: tuple[Any, ...],
) -> None:
    path = Path(parts)
    assert path == parts
    assert path == Path(parts)
    assert not path != parts  # noqa: SIM202  (the operator itself is meant)
    text = ".".join(map(str, parts))
    dotted = any("." in e for e in parts if isinstance(e, str))
    assert (path == text) is (parts == (text,) or (len(parts) > 1 and not dotted))
    assert (path != text) is not (path == text)
    if path == text:
        assert text == path
        assert hash(path) == hash(text)


@given(elements)
def test_one_element_is_found_wherever_that_element_is(element: str | int) -> None:
    path = Path((element,))
    assert path == element
    assert hash(path) == hash(element)
    assert {element: "found"}[path] == "found"  # type: ignore[index]
    assert {path: "found"}[element] == "found"  # type: ignore[index]


@given(paths, paths)
def test_equal_paths_hash_alike(one: tuple[Any, ...], other: tuple[Any, ...]) -> None:
    assert (Path(one) == Path(other)) is (one == other)
    if one == other:
        assert hash(Path(one)) == hash(Path(other))


def test_nothing_else_is_equal() -> None:
    path = Path(("a", "b"))
    for other in (None, 1, 1.0, b"a.b", ["a", "b"], object(), "a", "a.b.c", ("a",)):
        assert path != other
    assert Path((1,)) != 1.5


@given(paths)
def test_what_is_shown_reads_back(parts: tuple[Any, ...]) -> None:
    path = Path(parts)
    assert Path.parse(eval(repr(path))) == path
    assert copy.deepcopy(path) == path
    back = pickle.loads(pickle.dumps(path))
    assert (type(back), back) == (Path, path)


def test_how_it_is_shown() -> None:
    shown = [repr(Path(parts)) for parts in [("a",), (1,), ("a", "b"), ("a.b",), ("a", 0)]]
    assert shown == ["'a'", "1", "'a.b'", "('a.b',)", "('a', 0)"]


# --- travelling


@given(paths)
def test_it_comes_back_from_the_wire(parts: tuple[Any, ...]) -> None:
    sent = wire(Path(parts))
    assert type(sent) in (str, int, tuple)
    assert (type(sent) is tuple) is (len(parts) > 1)
    back = from_wire(unpack_body(pack_body(sent)))
    assert type(back) is Path
    assert back == parts


@pytest.mark.parametrize(
    "sent",
    [None, True, 1.5, b"a", {}, {"a": 1}, [], [[]], ["a", None], ["a", True], [""], "", ["a"] * 33,
     "x" * 1025, 1 << 63, [["a"]]],
    ids=lambda v: repr(v)[:20],
)  # fmt: skip
def test_what_is_no_key_on_the_wire_is_the_peers_fault(sent: Any) -> None:
    with pytest.raises(ProtocolError, match="a key that cannot be"):
        from_wire(sent)


def test_dots_on_the_wire_split_nothing() -> None:
    assert tuple(from_wire("a.b")) == ("a.b",)


# --- relations


@given(paths, st.integers(0, DEPTH_MAX))
def test_a_path_is_under_all_its_beginnings(parts: tuple[Any, ...], length: int) -> None:
    assert under(Path(parts), parts[:length])
    assert under(parts, Path(parts))
    assert not under(parts[:-1], parts)
    assert overlaps(parts, parts[:length])
    assert overlaps(parts[:length], parts)


@given(paths, paths)
def test_two_paths_overlap_when_one_is_under_the_other(
    one: tuple[Any, ...], other: tuple[Any, ...]
) -> None:
    assert overlaps(one, other) is (under(one, other) or under(other, one))


def test_neighbours_do_not_overlap() -> None:
    assert not overlaps(("a", "b"), ("a", "c"))
    assert not under(("ab",), ("a",))
    assert under(("a",), ())
