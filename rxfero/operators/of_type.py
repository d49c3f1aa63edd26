"""of_type: only the changes, or messages, of some types."""

from __future__ import annotations

from typing import Any

from reactivex import operators as ops

from rxfero.errors import ConfigurationError
from rxfero.operators.checks import Same, T, type_of


def of_type(*types: str) -> Same[T]:
    """Pass the items of these types: `change.type`, or `message["type"]`.

        add ---- update ---- add ---->
            of_type("add")
        add ---------------- add ---->

    Items without a type do not pass.

    Raises:
        ConfigurationError: no type, or one that is not text.
    """
    if not types:
        raise ConfigurationError("of_type.types", types, "names at least one type")
    for name in types:
        if not isinstance(name, str) or not name:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigurationError("of_type.types", name, "must be text")
    wanted = frozenset(types)

    def passes(item: Any) -> bool:
        kind = type_of(item)
        return isinstance(kind, str) and kind in wanted

    return ops.filter(passes)
