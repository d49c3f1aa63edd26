"""rxfero: stateful reactive services, replicated, without a broker."""

from rxfero.service import connect, fero, run

__all__ = ["connect", "fero", "run"]
