"""await_commit: from writes to their offsets, once they are committed."""

from __future__ import annotations

from rxfero.core.position import Offset
from rxfero.operators.checks import Awaiter, seconds, whole
from rxfero.operators.outcomes import outcomes


def await_commit(timeout: float | None = None, *, window: int | None = None) -> Awaiter[Offset]:
    """Wait for each guarantee's "commit"; give the write's Offset, in the guarantees' order.

        g1  g2  g3 ------------------->
            await_commit()
        ---------- o1  o2 ----- o3 --->

    A failure goes down `on_error` at its turn, after what came before it. That ends the chain;
    inside :func:`isolate` only this guarantee is lost.

    Args:
        timeout: Seconds for each; None leaves it to `constants.requests.timeout`.
        window: So many may be in flight; one more fails with Overloaded. None: any number.

    Raises:
        ConfigurationError: an argument is out of range.
    """
    limit = None if window is None else whole("await_commit.window", window, 1)
    wait = seconds("await_commit.timeout", timeout)
    return outcomes("await_commit", lambda g: g.on("commit"), wait, limit)
