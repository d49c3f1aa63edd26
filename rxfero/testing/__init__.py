"""rxfero.testing: whole clusters of real nodes inside a test, on virtual time or on loopback.

The names below load their modules at first use, so that the pytest plugin costs a test run nothing
that does not use it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rxfero.testing.fake import FakeCache
    from rxfero.testing.link import Quality
    from rxfero.testing.loop import Standstill, VirtualLoop, simulate
    from rxfero.testing.marbles import Marbles
    from rxfero.testing.member import Member
    from rxfero.testing.network import Network
    from rxfero.testing.real import FeroCluster
    from rxfero.testing.schedule import Schedule
    from rxfero.testing.simulated import SimulatedCluster
    from rxfero.testing.trace import Trace

_HOME_OF = {
    "FakeCache": "fake",
    "FeroCluster": "real",
    "Marbles": "marbles",
    "Member": "member",
    "Network": "network",
    "Quality": "link",
    "Schedule": "schedule",
    "SimulatedCluster": "simulated",
    "Standstill": "loop",
    "Trace": "trace",
    "VirtualLoop": "loop",
    "simulate": "loop",
}

__all__ = [
    "FakeCache", "FeroCluster", "Marbles", "Member", "Network", "Quality", "Schedule",
    "SimulatedCluster", "Standstill", "Trace", "VirtualLoop", "simulate",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'rxfero.testing' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"rxfero.testing.{home}"), name)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
