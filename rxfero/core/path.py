"""The path: where in the state a key points, as a tuple of strings and integers.

``"a.b.c"`` splits at its dots; a tuple is taken as it is, so that any string can be a key. A path
equals the tuple it is, its dotted text, and (with one element) that element; it hashes like its
text, so that it finds what a plain string key put into a dict.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, cast

from rxfero.errors import ProtocolError, ValueRefused

Element = str | int

KEY_BYTES_MAX = 1024
DEPTH_MAX = 32


class Path(tuple[Element, ...]):
    """An immutable path. ``str(path)`` is its dotted text."""

    __slots__ = ()

    @classmethod
    def parse(cls, key: Any) -> Path:
        """Read a key: dotted text, an integer, or a sequence of elements.

        Raises:
            ValueRefused: empty, too deep (32), too long (1024 bytes in all), or of a wrong type.
        """
        kind = type(key)
        if kind is cls:
            return key
        if kind is str:
            return _parse_text(key)
        if kind is int:
            return cls((key,))
        if isinstance(key, tuple | list):
            return cls(_check(tuple(cast("tuple[Any, ...]", key)), key))
        if isinstance(key, str):
            return _parse_text(str(key))
        raise ValueRefused(
            f"key {key!r}", f"a key is text, an integer or a tuple of those, not {kind.__name__}"
        )

    def __eq__(self, other: object) -> bool:
        if isinstance(other, tuple):
            return tuple.__eq__(self, cast("tuple[Any, ...]", other))
        if isinstance(other, str | int) and not isinstance(other, bool):
            if len(self) == 1:
                return self[0] == other
            return isinstance(other, str) and self._plain and str(self) == other
        return NotImplemented

    def __ne__(self, other: object) -> bool:
        equal = self.__eq__(other)
        return equal if equal is NotImplemented else not equal

    def __hash__(self) -> int:
        return hash(self[0]) if len(self) == 1 else hash(str(self))

    @property
    def _plain(self) -> bool:
        return all(type(e) is str and "." not in e for e in self)

    def __str__(self) -> str:
        return ".".join(map(str, self))

    def __repr__(self) -> str:
        if self._plain or (len(self) == 1 and type(self[0]) is int):
            return repr(self[0]) if len(self) == 1 else repr(str(self))
        return tuple.__repr__(self)


@lru_cache(maxsize=1 << 14)
def _parse_text(text: str) -> Path:
    return Path(_check(tuple(text.split(".")), text))


def _check(elements: tuple[Any, ...], key: object) -> tuple[Element, ...]:
    if not elements:
        raise ValueRefused(f"key {key!r}", "a key cannot be empty")
    if len(elements) > DEPTH_MAX:
        raise ValueRefused(_short(key), f"{len(elements)} levels deep, the limit is {DEPTH_MAX}")
    size = 0
    for element in elements:
        if type(element) is int:
            if not -(1 << 63) <= element < 1 << 63:
                raise ValueRefused(_short(key), "an integer element beyond 64 bits")
            size += 8
        elif type(element) is str:
            if not element:
                raise ValueRefused(
                    _short(key), "an empty element; use a tuple for keys that contain dots"
                )
            try:
                size += len(element.encode())
            except UnicodeEncodeError:
                raise ValueRefused(_short(key), "not valid unicode (a lone surrogate)") from None
        else:
            raise ValueRefused(
                _short(key), f"an element of type {type(element).__name__}; text or integers only"
            )
    if size > KEY_BYTES_MAX:
        raise ValueRefused(_short(key), f"{size} bytes long, the limit is {KEY_BYTES_MAX}")
    return elements


def _short(key: object) -> str:
    text = repr(key)
    return f"key {text if len(text) < 80 else text[:60] + '...'}"


def from_wire(key: Any) -> Path:
    """Read a key as it travels: a bare element, or an array of elements.

    Raises:
        ProtocolError: not a key.
    """
    try:
        return Path(_check(tuple(key) if type(key) is list else (key,), key))
    except ValueRefused as error:
        raise ProtocolError(f"a key that cannot be: {error}") from error


def wire(path: tuple[Element, ...]) -> Any:
    """Give a path as it travels."""
    return path[0] if len(path) == 1 else list(path)


def under(path: tuple[Any, ...], prefix: tuple[Any, ...]) -> bool:
    """Whether a path is at or below another."""
    return path[: len(prefix)] == tuple(prefix)


def overlaps(one: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    """Whether a write to one path touches the other: equal, above or below."""
    shared = min(len(one), len(other))
    return tuple(one[:shared]) == tuple(other[:shared])
