"""The value: what can be stored, and how it is packed, unpacked and kept from being changed.

Values are None, booleans, integers of 64 bits, floats, text, bytes, lists, dicts with text or
integer keys, and datetimes that know their time zone. Anything else is refused at the call, naming
the place inside the value. Decoded containers are read-only (:class:`FrozenDict`,
:class:`FrozenList`): what a reader holds is a snapshot, and `copy()` gives a plain one to change.

This is the only module that knows msgpack; frames are packed here too (`pack_body`).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, NoReturn, cast

import msgpack

from rxfero.errors import ProtocolError, ValueRefused

DEPTH_MAX = 32
VALUE_BYTES_MAX = 1 << 31

_INT_MIN, _INT_MAX = -(1 << 63), (1 << 64) - 1
_SCALARS = frozenset((type(None), bool, int, float, str, bytes))
_CONTAINER_HEADS = bytes((*range(0x80, 0xA0), *range(0xDC, 0xE0)))


def _frozen(self: object, *_: object, **__: object) -> NoReturn:
    raise TypeError(
        "this is a read-only snapshot of the state: change it through the cache "
        "(cache.update(...)), or take .copy() and change that"
    )


class FrozenDict(dict[Any, Any]):
    """A dict that cannot be changed; equal to a plain dict with the same items.

    `shared` is the state's own mark: a reader may hold this object, copy before writing.
    """

    __slots__ = ("shared",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.shared = False

    __setitem__ = __delitem__ = clear = pop = popitem = setdefault = update = _frozen  # type: ignore[assignment]
    __ior__ = _frozen  # type: ignore[assignment]

    def copy(self) -> dict[Any, Any]:
        """Give a plain dict, deeply: everything in it can be changed."""
        return {key: thaw(value) for key, value in self.items()}

    def __copy__(self) -> dict[Any, Any]:
        return self.copy()

    def __deepcopy__(self, memo: object) -> dict[Any, Any]:
        return self.copy()

    def __reduce__(self) -> tuple[Any, ...]:
        return (dict, (self.copy(),))


class FrozenList(list[Any]):
    """A list that cannot be changed; equal to a plain list with the same items.

    `shared` is the state's own mark: a reader may hold this object, copy before writing.
    """

    __slots__ = ("shared",)

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.shared = False

    __setitem__ = __delitem__ = __iadd__ = __imul__ = _frozen  # type: ignore[assignment]
    append = extend = insert = pop = remove = clear = sort = reverse = _frozen  # type: ignore[assignment]

    def copy(self) -> list[Any]:
        """Give a plain list, deeply: everything in it can be changed."""
        return [thaw(value) for value in self]

    def __copy__(self) -> list[Any]:
        return self.copy()

    def __deepcopy__(self, memo: object) -> list[Any]:
        return self.copy()

    def __reduce__(self) -> tuple[Any, ...]:
        return (list, (self.copy(),))


def thaw(value: Any) -> Any:
    """Give a plain copy of a value that may be changed."""
    if isinstance(value, FrozenDict | FrozenList):
        return value.copy()
    return value


def _default(value: Any) -> Any:
    kind = type(value)
    if kind is FrozenDict:
        return dict(cast("dict[Any, Any]", value))
    if kind is FrozenList:
        return list(cast("list[Any]", value))
    raise TypeError(f"type {kind.__name__}")


_packer = msgpack.Packer(default=_default, strict_types=True, datetime=True)
_pack = _packer.pack
_body_packer = msgpack.Packer()
_body_pack = _body_packer.pack


def pack(value: Any) -> bytes:
    """Pack one value.

    Raises:
        ValueRefused: the value, or something inside it, cannot be stored; names where.
    """
    if type(value) not in _SCALARS:
        _check(value, "value", 0)
    try:
        return _pack(value)
    except (TypeError, ValueError, OverflowError, UnicodeError, RecursionError):
        _packer.reset()
        _explain(value, "value")
        raise


def _check(value: Any, where: str, depth: int) -> None:
    """Refuse what msgpack would pack but could not give back."""
    kind = type(value)
    if kind is dict or kind is FrozenDict:
        for key, item in cast("dict[Any, Any]", value).items():
            if type(key) is not str and type(key) is not int:
                raise ValueRefused(
                    where, f"a key of type {type(key).__name__} ({key!r}); text or integers only"
                )
            if type(item) not in _SCALARS:
                _deeper(depth, where)
                _check(item, f"{where}.{key}", depth + 1)
    elif kind is list or kind is FrozenList:
        for index, item in enumerate(cast("list[Any]", value)):
            if type(item) not in _SCALARS:
                _deeper(depth, where)
                _check(item, f"{where}[{index}]", depth + 1)
    elif kind is datetime:
        if value.utcoffset() is None:
            raise ValueRefused(where, "a datetime without a time zone; use datetime.now(UTC)")
    elif kind not in _SCALARS:
        hint = {"tuple": "; use a list", "set": "; use a list", "Decimal": "; use text or a float"}
        raise ValueRefused(
            where, f"type {kind.__name__} cannot be stored{hint.get(kind.__name__, '')}"
        )


def _deeper(depth: int, where: str) -> None:
    if depth >= DEPTH_MAX:
        raise ValueRefused(where, f"nested deeper than {DEPTH_MAX} levels (or within itself)")


def _explain(value: Any, where: str) -> None:
    """Find what the packer refused, and say where it is."""
    kind = type(value)
    if kind is dict or kind is FrozenDict:
        for key, item in cast("dict[Any, Any]", value).items():
            _explain(key, f"{where} (a key)")
            _explain(item, f"{where}.{key}")
    elif kind is list or kind is FrozenList:
        for index, item in enumerate(cast("list[Any]", value)):
            _explain(item, f"{where}[{index}]")
    elif kind is int and not _INT_MIN <= value <= _INT_MAX:
        raise ValueRefused(where, f"the integer {value} needs more than 64 bits")
    elif kind is str:
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ValueRefused(where, "text that is not valid unicode (a lone surrogate)") from None
    elif kind not in _SCALARS and kind is not datetime:
        raise ValueRefused(where, f"type {kind.__name__} cannot be stored")


def unpack(data: bytes) -> Any:
    """Unpack one value; its containers are read-only.

    Raises:
        ProtocolError: the bytes are no packed value.
    """
    try:
        return msgpack.unpackb(
            data, object_hook=FrozenDict, list_hook=FrozenList, strict_map_key=False, timestamp=3,
            ext_hook=_no_ext,
        )
    except (ValueError, TypeError, OverflowError, msgpack.UnpackException) as error:
        raise ProtocolError(f"bytes that are no value: {error}") from error


def _no_ext(code: int, _: bytes) -> NoReturn:
    raise ValueError(f"extension type {code}")


def pack_all(values: list[Any]) -> bytes:
    """Pack a column of values as one array."""
    return pack(values)


def unpack_all(data: bytes) -> list[Any]:
    """Unpack a column of values at once."""
    values = unpack(data)
    if type(values) is not FrozenList:
        raise ProtocolError("a column of values that is no array")
    return values


def pack_body(body: Any) -> bytes:
    """Pack the body of a frame: lists, dicts, text, bytes, integers; nothing is checked."""
    return _body_pack(body)


def unpack_body(data: bytes | memoryview, *, limit_items: int = 1 << 24) -> Any:
    """Unpack the body of a frame, with limits checked before anything is built.

    Raises:
        ProtocolError: malformed, or more containers or items than `limit_items`.
    """
    if len(data) > limit_items and containers(data, limit_items) > limit_items:
        raise ProtocolError(f"a body of more than {limit_items} containers")
    try:
        return msgpack.unpackb(
            data, max_array_len=limit_items, max_map_len=limit_items, max_ext_len=0,
            strict_map_key=False, ext_hook=_no_ext,
        )
    except (ValueError, TypeError, OverflowError, msgpack.UnpackException) as error:
        raise ProtocolError(f"a body that cannot be read: {error}") from error


def container_bound(data: bytes | memoryview) -> int:
    """Give an upper bound of the containers in packed bytes, at the speed of a memory scan."""
    raw = bytes(data)
    return len(raw) - len(raw.translate(None, _CONTAINER_HEADS))


def containers(data: bytes | memoryview, limit: int) -> int:
    """Count the containers in packed bytes; exactly where the cheap bound is above `limit`."""
    bound = container_bound(data)
    return bound if bound <= limit else _count(bytes(data))


def _count(raw: bytes) -> int:
    """Walk the headers of packed bytes, passing over text and bytes; stops at what is cut off."""
    at, found, size = 0, 0, len(raw)
    while at < size:
        head = raw[at]
        at += 1
        if 0x80 <= head <= 0x9F or 0xDC <= head <= 0xDF:
            found += 1
            at += 0 if head < 0xA0 else 2 if head in (0xDC, 0xDE) else 4
        elif 0xA0 <= head <= 0xBF:
            at += head & 0x1F
        elif head in _LENGTHS:
            width, extra = _LENGTHS[head]
            at += width + extra + int.from_bytes(raw[at : at + width], "big")
        else:
            at += _FIXED.get(head, 0)
    return found


# Header bytes of msgpack: those followed by a length (its width, extra bytes), and fixed widths.
_LENGTHS = {
    0xC4: (1, 0), 0xC5: (2, 0), 0xC6: (4, 0), 0xC7: (1, 1), 0xC8: (2, 1), 0xC9: (4, 1),
    0xD9: (1, 0), 0xDA: (2, 0), 0xDB: (4, 0),
}
_FIXED = {
    0xCA: 4, 0xCB: 8, 0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8, 0xD0: 1, 0xD1: 2, 0xD2: 4, 0xD3: 8,
    0xD4: 2, 0xD5: 3, 0xD6: 5, 0xD7: 9, 0xD8: 17,
}
