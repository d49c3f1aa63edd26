"""The settings: what a node is born with.

The module knows nothing of what they are used for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from rxfero.constants import Constants
    from rxfero.core.quorum import Quorum


class Settings(NamedTuple):
    """What a node is born with; never changes."""

    name: str
    boot: int
    client: bool
    constants: Constants
    rng: Random
    hash: Callable[[bytes], int] | None
    partition: Callable[[Any], Any] | None
    handled: bool
    quorum: Quorum | None = None  # of a server in quorum mode
    follow: tuple[str | int, ...] | None = None  # keys that a client holds; None: all
