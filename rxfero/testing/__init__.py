"""rxfero.testing: whole clusters of real nodes on virtual time, and what is said of their runs."""

from rxfero.testing.link import Quality
from rxfero.testing.loop import Standstill, VirtualLoop, simulate
from rxfero.testing.member import Member
from rxfero.testing.network import Network
from rxfero.testing.schedule import Schedule
from rxfero.testing.simulated import SimulatedCluster
from rxfero.testing.trace import Trace

__all__ = [
    "Member",
    "Network",
    "Quality",
    "Schedule",
    "SimulatedCluster",
    "Standstill",
    "Trace",
    "VirtualLoop",
    "simulate",
]
