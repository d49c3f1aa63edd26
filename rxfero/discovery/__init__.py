"""Discovery: where other nodes may be. One way to find them a module; all give addresses only."""

from rxfero.discovery.dns import Dns
from rxfero.discovery.multicast import Multicast
from rxfero.discovery.seeds import Seeds

__all__ = ["Dns", "Multicast", "Seeds"]
