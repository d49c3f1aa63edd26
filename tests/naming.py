"""How cases and outcomes are named: alike in every process, so that they can be compared."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from rxfero.errors import ValueRefused

_WHERE = re.compile(r" at 0x[0-9a-f]+")


def named(value: object) -> str:
    """Give a value's repr without the place in memory where it happens to be."""
    return _WHERE.sub("", repr(value))


def outcome(ask: Callable[[], Any]) -> Any:
    """Give what is asked for, or the words of its refusal."""
    try:
        return ask()
    except ValueRefused as error:
        return str(error)
