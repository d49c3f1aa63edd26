"""only_owned: only the changes of keys that this server owns, so that a cluster reacts once."""

from __future__ import annotations

from typing import Any

from reactivex import operators as ops

from rxfero.errors import ConfigurationError
from rxfero.operators.checks import Same, T, able
from rxfero.ports import CacheLike


def only_owned(cache: CacheLike) -> Same[T]:
    """Pass the changes whose key this server owns now.

        a ---- b ---- c ---->      (a and c are owned here)
            only_owned(cache)
        a ----------- c ---->

    Every server of a service sees every change; with this, one of them reacts. While a key changes
    its owner, two servers may react to a change, or none: it is asked when the change comes by.
    Nothing passes on a client.

    Raises:
        ConfigurationError: `cache` is none.
    """
    peers = able("only_owned.cache", getattr(cache, "peers", None), "owner")
    if not hasattr(peers, "me"):
        raise ConfigurationError("only_owned.cache", cache, "must be a cache: its peers lack `me`")

    def passes(change: Any) -> bool:
        me = peers.me
        return me is not False and peers.owner(change) is me

    return ops.filter(passes)
