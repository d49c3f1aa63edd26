"""await_ack: from requests to their numbers, once a server has received them."""

from __future__ import annotations

from rxfero.operators.checks import Operator, seconds, whole
from rxfero.operators.outcomes import outcomes


def await_ack(timeout: float | None = None, *, window: int | None = None) -> Operator:
    """Wait for each guarantee's "ack"; give the request's number, in the guarantees' order.

        g1  g2  g3 ---------------->
            await_ack()
        ---------- 1  2 ----- 3 --->

    A failure goes down `on_error` at its turn, after what came before it. That ends the chain;
    inside :func:`isolate` only this guarantee is lost.

    Args:
        timeout: Seconds for each; None leaves it to `constants.requests.timeout`.
        window: So many may be in flight; one more fails with Overloaded. None: any number.

    Raises:
        ConfigurationError: an argument is out of range.
    """
    limit = None if window is None else whole("await_ack.window", window, 1)
    return outcomes(
        "await_ack", lambda g: g.on("ack"), seconds("await_ack.timeout", timeout), limit
    )
