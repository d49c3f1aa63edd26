"""The path: where in the state a key points, as a tuple of text and integers.

``"a.b.c"`` splits at its dots; a tuple is taken as it is, so that any text can be a key. A path
equals the tuple it is, its dotted text (unless an element has a dot of its own), and with one
element that element; it hashes like its text, so that it finds what a plain text key put into a
dict. A deeper path therefore does not find what a plain tuple put there.

The module knows no values and no state.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from itertools import repeat
from typing import Any, Final, cast

from rxfero.errors import ProtocolError, ValueRefused

Element = str | int
Elements = tuple[Any, ...] | list[Any]

KEY_BYTES_MAX: Final = 1024
"""Most bytes of all elements together, text as UTF-8 and integers as 8."""

DEPTH_MAX: Final = 32
"""Most elements."""


_new: Callable[..., Any] = cast("Any", tuple).__new__


class Path(tuple[Element, ...]):
    """An immutable path. ``str(path)`` is its dotted text."""

    __slots__ = ()

    @classmethod
    def parse(cls, key: Any) -> Path:
        """Read a key: dotted text, an integer, or a tuple or list of elements.

        Raises:
            ValueRefused: empty, too deep (32), too long (1024 bytes in all), or of a wrong type.
        """
        if type(key) is cls:
            return key
        if type(key) is str:
            if "." not in key and key.isascii() and 0 < len(key) <= KEY_BYTES_MAX:
                return _new(cls, (key,))
            return _parse_text(key)
        if type(key) is int:
            return cls(_check((key,), key))
        if isinstance(key, tuple | list):
            return cls(_check(cast("tuple[Any, ...]", key), cast("object", key)))
        if isinstance(key, str):
            return _parse_text(str.__str__(key))
        raise ValueRefused(
            _short(key), f"a key is text, an integer or a tuple of those, not {type(key).__name__}"
        )

    @classmethod
    def parse_all(cls, keys: Iterable[Any]) -> list[Path]:
        """Give paths, each as :meth:`parse` does it.

        Raises:
            ValueRefused: as :meth:`parse`; of the first that is no key.
        """
        keys = list(keys)
        if set(map(type, keys)) == {str}:
            sizes, text = list(map(len, keys)), "".join(keys)
            plain = text.isascii() and "." not in text
            if plain and min(sizes) > 0 and max(sizes) <= KEY_BYTES_MAX:
                return list(map(_new, repeat(cls), zip(keys, strict=True)))
        return list(map(cls.parse, keys))

    def __eq__(self, other: object) -> bool:
        kind = type(other)
        if kind is str:
            if len(self) == 1:
                return self[0] == other
            text = str(self)
            return text == other and text.count(".") == len(self) - 1
        if kind is int:
            return len(self) == 1 and self[0] == other
        if isinstance(other, tuple):
            return super().__eq__(cast("object", other))
        return NotImplemented

    def __ne__(self, other: object) -> bool:
        equal = self.__eq__(other)
        return equal if equal is NotImplemented else not equal

    def __hash__(self) -> int:
        return hash(self[0]) if len(self) == 1 else hash(str(self))

    def __str__(self) -> str:
        try:
            return ".".join(cast("tuple[str, ...]", self))
        except TypeError:
            return ".".join(map(str, self))

    def __repr__(self) -> str:
        if len(self) == 1 and (type(self[0]) is int or "." not in cast("str", self[0])):
            return repr(self[0])
        if len(self) > 1 and all(type(e) is str and "." not in e for e in self):
            return repr(str(self))
        return repr(tuple(self))


@lru_cache(maxsize=1 << 12)
def _parse_text(text: str) -> Path:
    return Path(_check(text.split("."), text))


def _check(elements: Elements, key: object) -> Elements:
    """Give the elements as plain text and integers, all of them checked."""
    if not elements:
        raise ValueRefused(_short(key), "a key cannot be empty")
    if len(elements) > DEPTH_MAX:
        raise ValueRefused(_short(key), f"{len(elements)} levels deep, the limit is {DEPTH_MAX}")
    size, strict = 0, True
    for element in elements:
        kind = cast("type[Any]", type(element))
        if kind is int:
            if not -(1 << 63) <= element < 1 << 63:
                raise ValueRefused(_short(key), "an integer element beyond 64 bits; use text")
            size += 8
        elif kind is str or isinstance(element, str):
            strict = strict and kind is str
            size += _text_size(element, key)
        else:
            raise ValueRefused(
                _short(key), f"an element of type {kind.__name__}; text or integers only"
            )
    if size > KEY_BYTES_MAX:
        raise ValueRefused(_short(key), f"{size} bytes long, the limit is {KEY_BYTES_MAX}")
    if strict:
        return elements
    return [str.__str__(e) if isinstance(e, str) else e for e in elements]


def _text_size(element: str, key: object) -> int:
    if not element:
        raise ValueRefused(_short(key), "an empty element; use a tuple for keys that contain dots")
    if element.isascii():
        return len(element)
    try:
        return len(element.encode())
    except UnicodeEncodeError:
        raise ValueRefused(_short(key), "not valid unicode (a lone surrogate)") from None


def _short(key: Any) -> str:
    if isinstance(key, str | tuple | list) and len(cast("Elements", key)) > 60:
        key = cast("Elements", key)[:60]
    text = repr(cast("object", key))
    return f"key {text if len(text) <= 80 else text[:70] + '...'}"


def wire(path: tuple[Element, ...]) -> Element | tuple[Element, ...]:
    """Give a path as it travels and is logged: a bare element, or a tuple of elements."""
    return path[0] if len(path) == 1 else tuple(path)


def from_wire(key: Any) -> Path:
    """Read a key as it travels.

    Raises:
        ProtocolError: not a key.
    """
    elements = cast("list[Any]", key) if type(key) is list else [key]
    try:
        return Path(_check(elements, elements))
    except ValueRefused as error:
        raise ProtocolError(f"a key that cannot be: {error}") from error


def under(path: tuple[Any, ...], prefix: tuple[Any, ...]) -> bool:
    """Whether a path is at or below another."""
    return tuple(path[: len(prefix)]) == tuple(prefix)


def overlaps(one: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    """Whether a write to one path touches the other: equal, above or below."""
    shared = min(len(one), len(other))
    return tuple(one[:shared]) == tuple(other[:shared])
