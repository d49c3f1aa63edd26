"""The value: a round trip over the whole domain, a named place for all that lies outside."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from fractions import Fraction
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import msgpack
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rxfero.core import value as module
from rxfero.core.value import (
    CONTAINERS_MAX,
    DEPTH_MAX,
    FrozenDict,
    FrozenList,
    pack,
    pack_all,
    pack_body,
    pack_column,
    thaw,
    unpack,
    unpack_body,
    unpack_column,
)
from rxfero.errors import ProtocolError, ValueRefused
from tests.naming import named, outcome

INT_MIN, INT_MAX = -(1 << 63), (1 << 64) - 1

offsets = st.integers(-1439, 1439).map(lambda m: timezone(timedelta(minutes=m)))
instants = st.datetimes(
    min_value=datetime(1, 1, 2),  # noqa: DTZ001  (hypothesis adds the zone)
    max_value=datetime(9999, 12, 30),  # noqa: DTZ001
    timezones=st.just(UTC) | offsets,
)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(INT_MIN, INT_MAX)
    | st.sampled_from([INT_MIN, INT_MAX, (1 << 63) - 1, 1 << 63, -1, 0, 127, 128, -32, -33])
    | st.floats()
    | texts
    | st.binary(max_size=20)
    | instants
)
keys = texts | st.integers(INT_MIN, INT_MAX)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=20,
)


def same(one: Any, other: Any) -> bool:
    """Equality in which NaN is NaN, 1 is not 1.0 nor True, and -0.0 is not 0.0."""
    if isinstance(one, dict):
        return (
            isinstance(other, dict)
            and [*map(str, one)] == [*map(str, other)]
            and all(same(a, b) for a, b in zip(one, other, strict=True))
            and all(same(a, b) for a, b in zip(one.values(), other.values(), strict=True))
        )
    if isinstance(one, list):
        return (
            isinstance(other, list)
            and len(one) == len(other)
            and all(same(a, b) for a, b in zip(one, other, strict=True))
        )
    if isinstance(one, float):
        return type(other) is float and (
            math.isnan(other) if math.isnan(one) else (one, str(one)) == (other, str(other))
        )
    return type(one) is type(other) and one == other


# --- the laws


@given(values)
@example([])
@example({})
@example([[], {}, "", b""])
@example({"": {"": ""}, 0: {0: 0}, "0": None})
@example({1: "one", "1": "text one", -1: [math.nan, -0.0, math.inf]})
def test_what_is_packed_comes_back_equal(value: Any) -> None:
    back = unpack(pack(value))
    assert same(value, back)


@given(values)
def test_what_comes_back_is_frozen_and_packs_to_the_same_bytes(value: Any) -> None:
    packed = pack(value)
    back = unpack(packed)
    assert pack(back) == packed
    assert pack(thaw(back)) == packed
    layer = [back]
    while layer:
        for node in layer:
            assert type(node) not in (dict, list)
        layer = [
            child
            for node in layer
            if isinstance(node, dict | list)
            for child in (node.values() if isinstance(node, dict) else node)
        ]


@given(st.lists(values, max_size=5))
def test_a_column_is_its_values(column: list[Any]) -> None:
    packed = pack_column([pack(v) for v in column])
    assert same(list(unpack_column(packed)), column)
    assert packed[-sum(map(len, map(pack, column))) or len(packed) :] == b"".join(map(pack, column))


@given(values)
def test_packing_changes_nothing(value: Any) -> None:
    before = repr(value)
    pack(value)
    assert repr(value) == before


@given(instants)
def test_an_instant_comes_back_as_itself_in_utc(when: datetime) -> None:
    back = unpack(pack(when))
    assert back == when
    assert back.utcoffset() == timedelta(0)
    assert back.microsecond == when.microsecond


def test_instants_in_a_zone_and_in_its_fold() -> None:
    zone = ZoneInfo("Europe/Berlin")
    for fold, hour in ((0, 0), (1, 1)):
        when = datetime(2024, 10, 27, 2, 30, 0, 1, tzinfo=zone, fold=fold)
        assert unpack(pack(when)) == datetime(2024, 10, 27, hour, 30, 0, 1, tzinfo=UTC)
    assert unpack(pack([datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)])) == [
        datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)
    ]


# --- outside the domain: (value, place, words of the reason)


class Colour(Enum):
    RED = 1


class Level(IntEnum):
    LOW = 1


class Name(StrEnum):
    A = "a"


class Pair(NamedTuple):
    a: int


class Sub(dict[Any, Any]):
    pass


class Mine:
    pass


class Later(datetime):
    pass


WHEN = datetime(2024, 1, 1)  # noqa: DTZ001  (that is its fault)
REFUSED: list[tuple[Any, str, str]] = [
    ((1, 2), "value", "tuple.*use a list"),
    (Pair(1), "value", "Pair"),
    ({1, 2}, "value", "set.*use a list"),
    (frozenset(), "value", "use a list"),
    (Decimal("1.5"), "value", "Decimal.*text"),
    (Fraction(1, 2), "value", "text"),
    (date(2024, 1, 1), "value", "date.*datetime"),
    (timedelta(1), "value", "total_seconds"),
    (UUID(int=1), "value", r"str\(id\)"),
    (bytearray(b"x"), "value", "bytearray.*use bytes"),
    (memoryview(b"x"), "value", "use bytes"),
    (1j, "value", "complex"),
    (Colour.RED, "value", "Colour"),
    (Level.LOW, "value", "use a plain int"),
    (Name.A, "value", "use a plain str"),
    (Sub(), "value", "use a plain dict"),
    (Later(2024, 1, 1, tzinfo=UTC), "value", "use a plain datetime"),
    (Mine(), "value", "Mine.*dict of its fields"),
    (print, "value", "cannot be stored"),
    (msgpack.ExtType(1, b""), "value", "ExtType"),
    (msgpack.Timestamp(1, 1), "value", "Timestamp"),
    (INT_MAX + 1, "value", "64 bits"),
    (INT_MIN - 1, "value", "64 bits"),
    ("\ud800", "value", "surrogate"),
    (WHEN, "value", "time zone"),
    (datetime(9999, 12, 31, 23, tzinfo=timezone(timedelta(hours=-5))), "value", "9999"),
    (datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=5))), "value", "9999"),
    ({"users": [0, 1, 2, {"when": WHEN}]}, "value.users[3].when", "time zone"),
    ({"a": {"b": (1,)}}, "value.a.b", "tuple"),
    ([[], [{"x": {3: Decimal(1)}}]], "value[1][0].x[3]", "Decimal"),
    ({"a.b": {"ok": 1, "c d": {1}}}, "value['a.b']['c d']", "set"),
    ({"a": [1 << 64]}, "value.a[0]", "64 bits"),
    ({"a": ["ok", "\udfff"]}, "value.a[1]", "surrogate"),
    ({None: 1}, "value", r"key of type NoneType \(None\)"),
    ({"a": {True: 1}}, "value.a", r"key of type bool \(True\)"),
    ({"a": [{1.5: 1}]}, "value.a[0]", "key of type float"),
    ({b"k": 1}, "value", "key of type bytes"),
    ({(1, 2): 1}, "value", "key of type tuple"),
    ({"a": {Name.A: 1}}, "value.a", "key of type Name"),
    ({1 << 64: 1}, "value", "the key 18446744073709551616: needs more than 64 bits"),
    ({"\ud800": 1}, "value", "the key .*: not valid unicode"),
    (FrozenDict(a=FrozenList([(1,)])), "value.a[0]", "tuple"),
]


@pytest.mark.parametrize(("value", "place", "why"), REFUSED, ids=named)
def test_what_is_outside_is_refused_by_place_and_reason(value: Any, place: str, why: str) -> None:
    with pytest.raises(ValueRefused, match=why) as caught:
        pack(value)
    assert caught.value.path == place
    assert str(caught.value).startswith(place)
    assert unpack(pack("after a refusal the packer is clean")).startswith("after")


outside = st.sampled_from([value for value, place, _ in REFUSED if place == "value"])


@given(values, outside, st.data())
def test_one_bad_thing_anywhere_is_found(good: Any, bad: Any, data: st.DataObject) -> None:
    where, value = "", bad
    for keyed in data.draw(st.lists(st.booleans(), max_size=5)):
        value = {"good": good, "bad": value} if keyed else [good, value]
        where = (".bad" if keyed else "[1]") + where
    with pytest.raises(ValueRefused) as caught:
        pack(value)
    assert caught.value.path == "value" + where


@given(st.lists(values | outside, max_size=4))
def test_many_are_packed_as_each_of_them(column: list[Any]) -> None:
    assert outcome(lambda: pack_all(iter(column))) == outcome(lambda: list(map(pack, column)))


def nest(levels: int, leaf: Any = None) -> Any:
    value: Any = [] if leaf is None else leaf
    for level in range(levels - (leaf is None)):
        value = [value] if level % 2 else {"k": value}
    return value


def test_the_depth_limit_is_exact() -> None:
    assert unpack(pack(nest(DEPTH_MAX))) == nest(DEPTH_MAX)
    instant = nest(DEPTH_MAX, datetime(2024, 1, 1, tzinfo=UTC))
    assert unpack(pack(instant)) == instant
    with pytest.raises(ValueRefused, match="nested deeper than 32 levels") as caught:
        pack(nest(DEPTH_MAX + 1))
    assert caught.value.path.count("k") == DEPTH_MAX // 2
    raw = msgpack.packb(nest(DEPTH_MAX + 1))
    with pytest.raises(ProtocolError, match="deeper than 32"):
        unpack(raw)


def test_values_that_hold_themselves_are_refused_where_they_do() -> None:
    ring: dict[str, Any] = {"ok": [1]}
    ring["me"] = [ring]
    with pytest.raises(ValueRefused, match="holds itself") as caught:
        pack(ring)
    assert caught.value.path == "value.me[0]"
    twice: list[Any] = []
    twice += [twice, twice]
    with pytest.raises(ValueRefused, match="holds itself"):
        pack(twice)


def test_one_part_in_two_places_is_no_ring() -> None:
    part = [1]
    assert unpack(pack([part, {"a": part}, part])) == [[1], {"a": [1]}, [1]]


def test_a_small_value_that_would_unfold_without_end_is_refused_at_once() -> None:
    laughs: list[Any] = ["ha"]
    for _ in range(DEPTH_MAX - 1):
        laughs = [laughs, laughs]
    with pytest.raises(ValueRefused, match="more than 262144 lists"):
        pack(laughs)


def test_the_limit_of_containers_holds_on_both_sides() -> None:
    most: list[Any] = [[]] * (CONTAINERS_MAX - 1)
    assert len(unpack(pack(most))) == CONTAINERS_MAX - 1
    with pytest.raises(ValueRefused, match="several keys"):
        pack([*most, []])
    with pytest.raises(ProtocolError, match="262144"):
        unpack(msgpack.packb([*most, []]))
    text = "\u0400" * CONTAINERS_MAX  # bytes that look like headers are none within text
    assert unpack(pack([text])) == [text]


# --- bytes from others


@given(st.binary(max_size=60))
@settings(max_examples=400)
@example(b"")
@example(b"\xc1")
@example(b"\xc0\xc0")
@example(b"\x81\xc4\x01a\x01")  # a key of bytes
@example(b"\x81\xc0\x01")  # a key of None
@example(b"\x81\x90\x01")  # a key of a list
@example(b"\x82\x01\x01\xc3\x01")  # a key of True beside 1
@example(b"\xd4\x05x")  # an extension type
@example(b"\xd6\xff\x00\x00\x00\x01")  # a timestamp
@example(b"\x81\xd6\xff\x00\x00\x00\x01\x01")  # a timestamp as a key
@example(b"\xc7\x0c\xff\x00\x00\x00\x00\x7f\xff\xff\xff\xff\xff\xff\xff")  # beyond the year 9999
@example(b"\xc7\x0c\xff\xff\xff\xff\xff\x00\x00\x00\x00\x00\x00\x00\x01")  # too many nanoseconds
@example(b"\xa1\xff")  # text that is no UTF-8
@example(b"\xdd\xff\xff\xff\xff")  # an array without its items
@example(b"\xdf\xff\xff\xff\xff\x01")
@example(b"\x91" * 60)
@example(b"\x91" * 40 + b"\x01")
def test_bytes_are_a_value_of_the_domain_or_refused(data: bytes) -> None:
    try:
        value = unpack(data)
    except ProtocolError:
        return
    assert same(unpack(pack(value)), value)


@given(values, st.data())
def test_cut_or_lengthened_bytes_are_refused(value: Any, data: st.DataObject) -> None:
    packed = pack(value)
    cut = data.draw(st.integers(0, len(packed) - 1))
    with pytest.raises(ProtocolError):
        unpack(packed[:cut])
    with pytest.raises(ProtocolError):
        unpack(packed + b"\x00")


def test_keys_keep_their_kind_and_others_are_refused() -> None:
    value = {1: "a", "1": b"\xc4\xc5\xc6", -5: {"x": {2: b""}}}
    assert unpack(pack(value)) == value
    with pytest.raises(ProtocolError, match="neither text nor an integer"):
        unpack(msgpack.packb({"ok": {b"k": 1}}))
    with pytest.raises(ProtocolError, match="neither text nor an integer"):
        unpack(msgpack.packb({"ok": {1.5: 1}}))


def test_a_column_must_be_an_array() -> None:
    with pytest.raises(ProtocolError, match="no array"):
        unpack_column(pack({"a": 1}))
    with pytest.raises(ProtocolError, match="no array"):
        unpack_column(b"\x01")
    assert list(unpack_column(pack_column([]))) == []


# --- bodies


bodies = st.recursive(
    st.none() | st.booleans() | st.integers(INT_MIN, INT_MAX) | texts | st.binary(max_size=40),
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=30,
)


def count(body: Any) -> int:
    if isinstance(body, dict):
        return 1 + sum(map(count, body.values()))
    return 1 + sum(map(count, body)) if isinstance(body, list) else 0


@given(bodies)
def test_a_body_comes_back_plain(body: Any) -> None:
    packed = pack_body(body)
    back = unpack_body(packed, limit_items=1000)
    assert back == body
    assert type(back) is type(body)
    assert unpack_body(memoryview(packed)) == body


@given(st.binary(max_size=60), st.integers(0, 50))
@example(b"\x90" * 60, 20)
@example(b"\xc6\xff\xff\xff\xff", 0)
@example(b"\xd9", 0)
def test_any_bytes_are_a_body_within_the_limit_or_refused(data: bytes, limit: int) -> None:
    try:
        body = unpack_body(data, limit_items=limit)
    except ProtocolError:
        return
    assert len(data) <= limit or count(body) <= limit


def test_a_bomb_is_refused_before_anything_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    def decoded(*_: Any, **__: Any) -> Any:
        pytest.fail("it was decoded")

    bomb = b"\xdd\x00\x10\x00\x00" + b"\x90" * (1 << 20)
    monkeypatch.setattr(module, "_unpackb", decoded)
    with pytest.raises(ProtocolError, match="more than 1000 containers"):
        unpack_body(bomb, limit_items=1000)
    with pytest.raises(ProtocolError, match="262144"):
        unpack(bomb)


def test_a_body_declares_no_more_than_it_has() -> None:
    for head in (b"\xdd\x7f\xff\xff\xff", b"\xdf\x7f\xff\xff\xff", b"\xc6\x7f\xff\xff\xff"):
        with pytest.raises(ProtocolError):
            unpack_body(head)
    with pytest.raises(ProtocolError):
        unpack_body(pack_body(list(range(100))), limit_items=99)
    with pytest.raises(ProtocolError):
        unpack_body(b"\xd4\x01x")
