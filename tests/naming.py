"""How cases are named: alike in every process, so that they can be run by several."""

from __future__ import annotations

import re

_WHERE = re.compile(r" at 0x[0-9a-f]+")


def named(value: object) -> str:
    """Give a value's repr without the place in memory where it happens to be."""
    return _WHERE.sub("", repr(value))
