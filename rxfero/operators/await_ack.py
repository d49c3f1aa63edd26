"""await_ack: from requests to their numbers, once a server has received them."""

from __future__ import annotations

from collections.abc import Callable

from rxfero.operators.checks import Awaiter, optional, seconds, whole
from rxfero.operators.outcomes import outcomes
from rxfero.ports import GuaranteeLike, PeerLike


def await_ack(
    timeout: float | None = None, *, where: Callable[[PeerLike], bool] | None = None,
    window: int | None = None,
) -> Awaiter[int]:  # fmt: skip
    """Wait for each guarantee's "ack"; give the request's number, in the guarantees' order.

        g1  g2  g3 ---------------->
            await_ack()
        ---------- 1  2 ----- 3 --->

    A failure goes down `on_error` at its turn, after what came before it. That ends the chain;
    inside :func:`isolate` only this guarantee is lost.

    Args:
        timeout: Seconds for each; None leaves it to `constants.requests.timeout`.
        where: A function of a peer: wait until a server that it accepts holds the write, or, of a
            message, has received it; NotAcknowledged when it accepts none of those that do. As
            ``where=lambda peer: peer.host == "10.0.2.1"``. None: any server.
        window: So many may be in flight; one more fails with Overloaded. None: any number.

    Raises:
        ConfigurationError: an argument is of the wrong type or out of range.
    """
    limit = None if window is None else whole("await_ack.window", window, 1)
    wait = seconds("await_ack.timeout", timeout)
    accepts = optional("await_ack.where", where)

    def stage(guarantee: GuaranteeLike):
        return guarantee.on("ack") if accepts is None else guarantee.acknowledged(accepts)

    return outcomes("await_ack", stage, wait, limit)
