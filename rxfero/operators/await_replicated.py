"""await_replicated: from writes to their offsets, once other servers hold them too."""

from __future__ import annotations

from typing import Literal

from rxfero.core.position import Offset
from rxfero.errors import ConfigurationError
from rxfero.operators.checks import Awaiter, seconds, whole
from rxfero.operators.outcomes import outcomes


def await_replicated(
    n: int | Literal["majority", "all"], timeout: float | None = None, *, window: int | None = None
) -> Awaiter[Offset]:
    """Wait until so many other servers hold each write; give Offsets in the guarantees' order.

        g1  g2  g3 ------------------->
            await_replicated(1)
        ---------- o1  o2 ----- o3 --->

    A failure goes down `on_error` at its turn, after what came before it. That ends the chain;
    inside :func:`isolate` only this guarantee is lost.

    Args:
        n: How many others, at least 1; or "majority", or "all".
        timeout: Seconds for each; None leaves it to `constants.requests.timeout`.
        window: So many may be in flight; one more fails with Overloaded. None: any number.

    Raises:
        ConfigurationError: an argument is out of range.
    """
    if n not in ("majority", "all") and (type(n) is not int or n < 1):
        raise ConfigurationError("await_replicated.n", n, "must be n >= 1, 'majority' or 'all'")
    limit = None if window is None else whole("await_replicated.window", window, 1)
    wait = seconds("await_replicated.timeout", timeout)
    return outcomes("await_replicated", lambda g: g.replicated(n), wait, limit)
