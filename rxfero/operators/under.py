"""under: only the changes, or messages, at a path or below it."""

from __future__ import annotations

from typing import Any

from reactivex import operators as ops

from rxfero.core.path import Path
from rxfero.errors import ConfigurationError, ValueRefused
from rxfero.operators.checks import Same, T, key_of


def under(path: Any) -> Same[T]:
    """Pass the items whose key is this path or begins with it.

        alice ---- alice.email ---- bob ---->
            under("alice")
        alice ---- alice.email ------------->

    A write above the path (of `alice`, seen from `alice.email`) does not pass, although it changes
    what is there. Messages without a key do not pass.

    Args:
        path: "a.b.c", an integer, or a tuple of those.

    Raises:
        ConfigurationError: it is not a path.
    """
    try:
        wanted = tuple(Path.parse(path))
    except ValueRefused as error:
        raise ConfigurationError("under.path", path, str(error)) from error
    size = len(wanted)

    def passes(item: Any) -> bool:
        key = key_of(item)
        return key is not None and tuple(Path.parse(key)[:size]) == wanted

    return ops.filter(passes)
