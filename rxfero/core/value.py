"""The value: what can be stored, how it is packed and unpacked, and kept from being changed.

Values are None, booleans, integers of 64 bits, floats, text, bytes, lists, dicts with text or
integer keys, and datetimes that know their time zone, at most 32 containers deep. Anything else is
refused at the call, naming the place inside the value. What :func:`pack` takes, :func:`unpack`
gives back equal; what :func:`unpack` gives, :func:`pack` takes, whoever sent the bytes. Decoded
containers are read-only (:mod:`rxfero.core.frozen`): what a reader holds is a snapshot.

This is the only module that knows msgpack, so the bodies of frames are packed here too
(:func:`pack_body`). It knows no keys of the state, no records and no frames.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final, NoReturn, cast

import msgpack

from rxfero.core.frozen import FrozenDict, FrozenList, thaw
from rxfero.core.heads import HEADS, container_bound, containers
from rxfero.errors import ProtocolError, ValueRefused

__all__ = [
    "CONTAINERS_MAX", "DEPTH_MAX", "SCALARS", "FrozenDict", "FrozenList", "check_all", "pack",
    "pack_all", "pack_body", "pack_body_of", "pack_column", "pack_scalars", "thaw", "unpack",
    "unpack_body", "unpack_column",
]  # fmt: skip

DEPTH_MAX: Final = 32
"""Most containers within each other."""

CONTAINERS_MAX: Final = 1 << 18
"""Most lists and dicts in one value: 256 KiB of empty lists would become 25 MiB of objects."""

_INT_MIN, _INT_MAX = -(1 << 63), (1 << 64) - 1
_SCALARS = frozenset((type(None), bool, int, float, str, bytes))
_KEYS = frozenset((str, int))
_HEAD_SET = frozenset(HEADS)


_CONTAINERS = frozenset((dict, list, FrozenDict, FrozenList))


# --- packing


def _plain(value: Any) -> Any:
    kind = cast("type[Any]", type(value))
    if kind is FrozenDict:
        return dict(value)
    if kind is FrozenList:
        return list(value)
    raise TypeError(f"type {kind.__name__}")


_packer = msgpack.Packer(default=_plain, strict_types=True, datetime=True)
_pack = _packer.pack
_body_pack = msgpack.Packer().pack
_unpackb = msgpack.unpackb
_MALFORMED = (ValueError, TypeError, OverflowError, msgpack.UnpackException)


def pack(value: object) -> bytes:
    """Pack one value.

    Raises:
        ValueRefused: the value, or something inside it, cannot be stored; names where.
    """
    if type(value) not in _SCALARS and not _fits(value, 1, [CONTAINERS_MAX]):
        raise _refusal(value, _TOO_MANY)
    try:
        return _pack(value)
    except (TypeError, ValueError, OverflowError) as error:
        _packer.reset()
        raise _refusal(value, str(error)) from error


def pack_all(values: Iterable[Any]) -> list[bytes]:
    """Pack values, each as :func:`pack` does it.

    Raises:
        ValueRefused: as :func:`pack`; of the first that cannot be stored.
    """
    values = list(values)
    if _SCALARS.issuperset(map(type, values)):
        try:
            return list(map(_pack, values))
        except (TypeError, ValueError, OverflowError):
            _packer.reset()
    return list(map(pack, values))


def pack_scalars(values: list[Any]) -> bytes:
    """Pack a column of text, bytes, numbers, booleans and Nones as one array.

    Raises:
        ValueRefused: one of them cannot be stored.
    """
    try:
        return _pack(values)
    except (TypeError, ValueError, OverflowError) as error:
        _packer.reset()
        raise _refusal(values, str(error)) from error


def pack_column(packed: list[bytes]) -> bytes:
    """Give packed values as one packed array."""
    return b"\xdd" + len(packed).to_bytes(4, "big") + b"".join(packed)


SCALARS: Final = _SCALARS
"""The types of the values that hold no others, without the datetimes."""


def _fits(value: Any, depth: int, left: list[int]) -> bool:
    """Whether msgpack would not only pack a value but also give it back."""
    kind = cast("type[Any]", type(value))
    if kind is dict or kind is FrozenDict:
        left[0] -= 1
        if depth > DEPTH_MAX or left[0] < 0:
            return False
        for key, item in value.items():
            if type(key) is not str and type(key) is not int:
                return False
            if type(item) not in _SCALARS and not _fits(item, depth + 1, left):
                return False
        return True
    if kind is list or kind is FrozenList:
        left[0] -= 1
        if depth > DEPTH_MAX or left[0] < 0:
            return False
        for item in value:
            if type(item) not in _SCALARS and not _fits(item, depth + 1, left):
                return False
        return True
    return _is_instant(value)


def _is_instant(value: Any) -> bool:
    """Whether it is a datetime that UTC can tell; subclasses would not come back as they were."""
    if type(value) is not datetime or value.utcoffset() is None:
        return False
    try:
        value.astimezone(UTC)
    except OverflowError:
        return False
    return True


# --- refusing: only here, when all is lost anyway, is the place of the fault computed

_TOO_MANY = f"more than {CONTAINERS_MAX} lists and dicts; store it as several keys"
_HINTS = {
    "tuple": "use a list",
    "set": "use a list",
    "frozenset": "use a list",
    "Decimal": "use text, or a float",
    "Fraction": "use text, or a float",
    "date": "use a datetime with a time zone, or text (isoformat())",
    "time": "use text (isoformat())",
    "timedelta": "use its total_seconds()",
    "UUID": "use text (str(id)) or its bytes",
    "bytearray": "use bytes(...)",
    "memoryview": "use bytes(...)",
    "complex": "use a list of two floats",
}


def _refusal(value: Any, otherwise: str) -> ValueRefused:
    """Give the refusal that names the first thing in a value that cannot be stored."""
    found = _fault(value, "value", 1, {}, set())
    return ValueRefused(*(found or ("value", otherwise)))


def _fault(
    value: Any, where: str, depth: int, seen: dict[int, int], around: set[int]
) -> tuple[str, str] | None:
    if type(value) not in _CONTAINERS:
        why = _fault_of_leaf(value)
        return None if why is None else (where, why)
    me = id(value)
    if me in around:
        return where, "holds itself; a value is a tree"
    if depth > DEPTH_MAX:
        return where, f"nested deeper than {DEPTH_MAX} levels"
    if seen.get(me, 0) >= depth:
        return None  # known to be good, also as deep as this
    around.add(me)
    if isinstance(value, dict):
        steps = [(_step(key), key, item) for key, item in cast("dict[Any, Any]", value).items()]
    else:
        steps = [(f"[{index}]", 0, item) for index, item in enumerate(value)]
    for step, key, item in steps:
        why = _fault_of_key(key)
        if why is not None:
            return where, why
        found = _fault(item, where + step, depth + 1, seen, around)
        if found is not None:
            return found
    around.remove(me)
    seen[me] = depth
    return None


def _step(key: Any) -> str:
    return f".{key}" if type(key) is str and key.isidentifier() else f"[{key!r}]"


def _fault_of_key(key: Any) -> str | None:
    if type(key) not in _KEYS:
        return f"a key of type {type(key).__name__} ({key!r}); use text or integers"
    why = _fault_of_leaf(key)
    return None if why is None else f"the key {key!r:.60}: {why}"


def _fault_of_leaf(value: Any) -> str | None:
    kind = cast("type[Any]", type(value))
    if kind is int and not _INT_MIN <= value <= _INT_MAX:
        return "needs more than 64 bits; use text"
    if kind is str:
        try:
            value.encode()
        except UnicodeEncodeError:
            return "not valid unicode (a lone surrogate); use bytes"
    elif kind is datetime:
        if value.utcoffset() is None:
            return "a datetime without a time zone; use datetime.now(UTC) or .astimezone()"
        return None if _is_instant(value) else "a datetime outside the years 1 to 9999 of UTC"
    elif kind not in _SCALARS:
        return f"type {kind.__name__} cannot be stored; {_hint(value)}"
    return None


def _hint(value: Any) -> str:
    name = type(value).__name__
    if name in _HINTS:
        return _HINTS[name]
    for base in (bool, int, float, str, bytes, dict, list, datetime):
        if isinstance(value, base):
            return f"use a plain {base.__name__}"
    return "use a dict of its fields"


# --- unpacking


def unpack(data: bytes) -> Any:
    """Unpack one value; its containers are read-only.

    Raises:
        ProtocolError: the bytes are no packed value that :func:`pack` could have made.
    """
    if not data or data[0] not in _HEAD_SET:
        try:
            return _unpackb(data, timestamp=3, ext_hook=_no_ext)
        except _MALFORMED as error:
            raise ProtocolError(f"bytes that are no value: {error}") from error
    if len(data) > CONTAINERS_MAX and containers(data, CONTAINERS_MAX) > CONTAINERS_MAX:
        raise ProtocolError(f"a value of {_TOO_MANY}")
    # msgpack itself refuses all keys but text and bytes, at no cost. Bytes, and with them the check
    # of each key, are only possible where one of their three headers is.
    strict = not (0xC4 in data or 0xC5 in data or 0xC6 in data)
    value = _decode(data, strict=strict)
    if len(data) > DEPTH_MAX and container_bound(data) > DEPTH_MAX:
        _check_shape(value)
    return value


def unpack_column(data: bytes) -> list[Any]:
    """Unpack a column of values at once, each as :func:`unpack` does it.

    Raises:
        ProtocolError: as :func:`unpack`, or no array.
    """
    if not data or data[0] not in _HEAD_SET:
        raise ProtocolError("a column of values that is no array")
    if len(data) > CONTAINERS_MAX and containers(data, CONTAINERS_MAX) > CONTAINERS_MAX:
        raise ProtocolError(f"values of {_TOO_MANY}")
    strict = not (0xC4 in data or 0xC5 in data or 0xC6 in data)
    values = _decode(data, strict=strict)
    if not isinstance(values, list):
        raise ProtocolError("a column of values that is no array")
    column = cast("list[Any]", values)
    if not _CONTAINERS.isdisjoint(map(type, column)):
        _check_shape(column, DEPTH_MAX + 1)
    return column


def check_all(values: list[bytes]) -> None:
    """Refuse a column in which something is no packed value, at the speed of msgpack.

    The column is read as one array, so what is cut or has a tail spoils it. Two faults made to
    cancel each other out get through; whoever reads those values gets the error then.

    Raises:
        ProtocolError: something is no value.
    """
    data = pack_column(values)
    if len(data) > CONTAINERS_MAX and containers(data, CONTAINERS_MAX) > CONTAINERS_MAX:
        raise ProtocolError(f"values of {_TOO_MANY}")
    try:
        _unpackb(data, strict_map_key=False, timestamp=0, ext_hook=_no_ext)
    except _MALFORMED as error:
        raise ProtocolError(f"bytes that are no value: {error}") from error


def _decode(data: bytes, *, strict: bool) -> Any:
    try:
        return _unpackb(
            data,
            object_hook=FrozenDict if strict else _keyed,
            list_hook=FrozenList,
            strict_map_key=strict,
            timestamp=3,
            ext_hook=_no_ext,
        )
    except _MALFORMED as error:
        if strict and "strict_map_key" in str(error):
            return _decode(data, strict=False)
        raise ProtocolError(f"bytes that are no value: {error}") from error


def _keyed(items: dict[Any, Any]) -> FrozenDict:
    if not _KEYS.issuperset(map(type, items)):
        raise ValueError("a key that is neither text nor an integer")
    return FrozenDict(items)


def _no_ext(code: int, _: bytes) -> NoReturn:
    raise ValueError(f"extension type {code}")


def _check_shape(value: Any, depth: int = DEPTH_MAX) -> None:
    level: list[Any] = [value]
    for _ in range(depth):
        below: list[Any] = []
        for node in level:
            items: Iterable[Any] = (
                cast("dict[Any, Any]", node).values() if isinstance(node, dict) else node
            )
            below += [item for item in items if type(item) in _CONTAINERS]
        if not below:
            return
        level = below
    raise ProtocolError(f"a value nested deeper than {DEPTH_MAX} levels")


# --- the bodies of frames


def pack_body(body: object) -> bytes:
    """Pack the body of a frame: lists, dicts, text, bytes, integers; nothing is checked."""
    return _body_pack(body)


def pack_body_of(fields: list[Any], blob: bytes) -> tuple[bytes, bytes]:
    """Pack the body of a frame whose last field is a large blob: what is before it, and itself."""
    head = bytearray(_body_pack(fields))
    head[0] += 1  # one field more: a body has few
    return b"%b\xc6%b" % (head, len(blob).to_bytes(4, "big")), blob


def unpack_body(data: bytes | memoryview, *, limit_items: int = 1 << 24) -> Any:
    """Unpack the body of a frame, with limits checked before anything is built.

    Raises:
        ProtocolError: malformed, more containers than `limit_items`, or one with more items.
    """
    if len(data) > limit_items and containers(data, limit_items) > limit_items:
        raise ProtocolError(f"a body of more than {limit_items} containers")
    longest = min(limit_items, len(data))  # an array is allocated at the length it declares
    try:
        return _unpackb(
            data,
            max_array_len=longest,
            max_map_len=longest,
            max_ext_len=0,
            strict_map_key=False,
            ext_hook=_no_ext,
        )
    except _MALFORMED as error:
        raise ProtocolError(f"a body that cannot be read: {error}") from error
