"""await_reply: from requests to the answers of their handlers."""

from __future__ import annotations

from typing import Any

from rxfero.operators.checks import Awaiter, seconds, whole
from rxfero.operators.outcomes import outcomes


def await_reply(
    timeout: float | None = None, retries: int = 0, *, window: int | None = None
) -> Awaiter[Any]:
    """Wait for each guarantee's "reply"; give the answers in the guarantees' order.

        g1  g2  g3 ------------------->
            await_reply()
        ---------- r1  r2 ----- r3 --->

    A handler that streams gives several answers, all before those of the next guarantee.
    A failure goes down `on_error` at its turn, after what came before it. That ends the chain;
    inside :func:`isolate` only this guarantee is lost.

    Args:
        timeout: Seconds for each attempt; None leaves it to `constants.requests.timeout`.
        retries: So often a request is made again after a timeout, or after an error whose `retry`
            is true, if no answer has come. It is a new request: one that timed out may have been
            handled, so handlers should not mind doing it twice.
        window: So many may be in flight; one more fails with Overloaded. None: any number.

    Raises:
        ConfigurationError: an argument is out of range.
    """
    again = whole("await_reply.retries", retries, 0)
    limit = None if window is None else whole("await_reply.window", window, 1)
    wait = seconds("await_reply.timeout", timeout)
    return outcomes("await_reply", lambda g: g.on("reply"), wait, limit, again)
