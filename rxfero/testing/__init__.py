"""rxfero.testing: whole clusters of real nodes inside a test, on virtual time or on loopback.

The names below load their modules at first use, so that the pytest plugin costs a test run nothing
that does not use it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rxfero.testing.fake import FakeCache
    from rxfero.testing.laws import (
        assert_exactly_once,
        assert_gap_free,
        assert_prefix_consistent,
    )
    from rxfero.testing.link import Quality
    from rxfero.testing.loop import Standstill, VirtualLoop, simulate
    from rxfero.testing.machine import ClusterMachine
    from rxfero.testing.marbles import Marbles
    from rxfero.testing.member import Member
    from rxfero.testing.network import Network
    from rxfero.testing.real import FeroCluster
    from rxfero.testing.schedule import Schedule
    from rxfero.testing.simulated import SimulatedCluster
    from rxfero.testing.strategies import (
        changes,
        fault_schedules,
        logs,
        offsets,
        paths,
        values,
    )
    from rxfero.testing.trace import Trace

_HOME_OF = {
    "ClusterMachine": "machine",
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
    "assert_exactly_once": "laws",
    "assert_gap_free": "laws",
    "assert_prefix_consistent": "laws",
    "changes": "strategies",
    "fault_schedules": "strategies",
    "logs": "strategies",
    "offsets": "strategies",
    "paths": "strategies",
    "simulate": "loop",
    "values": "strategies",
}

__all__ = [
    "ClusterMachine", "FakeCache", "FeroCluster", "Marbles", "Member", "Network", "Quality",
    "Schedule", "SimulatedCluster", "Standstill", "Trace", "VirtualLoop", "assert_exactly_once",
    "assert_gap_free", "assert_prefix_consistent", "changes", "fault_schedules", "logs", "offsets",
    "paths", "simulate", "values",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'rxfero.testing' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"rxfero.testing.{home}"), name)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
