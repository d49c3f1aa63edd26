"""rxfero: stateful reactive services, a replicated cache whose every event is an Observable.

``users = await fero("users")`` starts or joins a cluster of equal nodes that share one state. The
names below load their modules at first use, so that ``import rxfero`` stays cheap.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rxfero import operators
    from rxfero.cache import Cache
    from rxfero.constants import Constants
    from rxfero.core.change import Change
    from rxfero.core.path import Path
    from rxfero.core.position import Offset, Position, Term
    from rxfero.errors import (
        AddressInUse,
        Closed,
        CompareFailed,
        ConfigurationError,
        HandshakeRefused,
        KeyMissing,
        LostWrites,
        MethodNotAllowed,
        NoQuorum,
        NotAcknowledged,
        NotConnected,
        NotDurable,
        NotFollowed,
        NotReplicated,
        Overloaded,
        ProtocolError,
        Refused,
        RemoteError,
        RequestTimeout,
        RxferoError,
        StorageDamaged,
        Uncertain,
        UnknownEvent,
        ValueRefused,
        WrongType,
    )
    from rxfero.events import Failure
    from rxfero.guarantee import Guarantee
    from rxfero.handler import Request
    from rxfero.partitions import Partition, Partitions
    from rxfero.peers import Peer, Peers
    from rxfero.service import connect, fero, run
    from rxfero.thread import Promise, Threaded, in_thread
    from rxfero.view import View, live
    from rxfero.writes import UNSET

__version__ = "0.1.0"

_HOMES = {
    "rxfero.cache": ("Cache",),
    "rxfero.constants": ("Constants",),
    "rxfero.core.change": ("Change",),
    "rxfero.core.path": ("Path",),
    "rxfero.core.position": ("Offset", "Position", "Term"),
    "rxfero.errors": (
        "AddressInUse", "Closed", "CompareFailed", "ConfigurationError", "HandshakeRefused",
        "KeyMissing", "LostWrites", "MethodNotAllowed", "NoQuorum", "NotConnected", "NotDurable",
        "NotAcknowledged", "NotFollowed", "NotReplicated", "Overloaded", "ProtocolError", "Refused",
        "RemoteError",
        "RequestTimeout", "RxferoError", "StorageDamaged", "Uncertain", "UnknownEvent",
        "ValueRefused", "WrongType",
    ),
    "rxfero.events": ("Failure",),
    "rxfero.guarantee": ("Guarantee",),
    "rxfero.handler": ("Request",),
    "rxfero.partitions": ("Partition", "Partitions"),
    "rxfero.peers": ("Peer", "Peers"),
    "rxfero.writes": ("UNSET",),
    "rxfero.service": ("connect", "fero", "run"),
    "rxfero.thread": ("Promise", "Threaded", "in_thread"),
    "rxfero.view": ("View", "live"),
}  # fmt: skip
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "UNSET",
    "AddressInUse",
    "Cache",
    "Change",
    "Closed",
    "CompareFailed",
    "ConfigurationError",
    "Constants",
    "Failure",
    "Guarantee",
    "HandshakeRefused",
    "KeyMissing",
    "LostWrites",
    "MethodNotAllowed",
    "NoQuorum",
    "NotAcknowledged",
    "NotConnected",
    "NotDurable",
    "NotFollowed",
    "NotReplicated",
    "Offset",
    "Overloaded",
    "Partition",
    "Partitions",
    "Path",
    "Peer",
    "Peers",
    "Position",
    "Promise",
    "ProtocolError",
    "Refused",
    "RemoteError",
    "Request",
    "RequestTimeout",
    "RxferoError",
    "StorageDamaged",
    "Term",
    "Threaded",
    "Uncertain",
    "UnknownEvent",
    "ValueRefused",
    "View",
    "WrongType",
    "__version__",
    "connect",
    "fero",
    "in_thread",
    "live",
    "operators",
    "run",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name == "operators":
        return import_module("rxfero.operators")
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'rxfero' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(home), name)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
