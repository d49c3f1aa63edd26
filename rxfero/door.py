"""The door: who may try to prove that it knows the secret: not too many at once, not too often.

Only where there is a secret. Whoever has failed `FAILED_MAX` times in a minute is turned away for
the rest of it, and of connections that have proved nothing yet `UNPROVEN_MAX` are held: an attacker
costs a node neither its memory nor its time. It knows no sockets and no clock.
"""

from __future__ import annotations

from typing import Final

FAILED_MAX: Final = 5
MINUTE_S: Final = 60.0
UNPROVEN_MAX: Final = 64
HOSTS_MAX: Final = 1024  # remembered to have failed


class Door:
    """The connections that others have begun, until they are let in or gone.

    Use: :meth:`knock` for each that comes; then :meth:`gone` when it is let in or has ended.
    """

    def __init__(self) -> None:
        self._unproven: dict[int, str] = {}
        self._failed: dict[str, list[float]] = {}

    def knock(self, link_id: int, host: str, now: float) -> str | None:
        """Give why a connection is turned away, or None."""
        failed = [at for at in self._failed.pop(host, ()) if now - at < MINUTE_S]
        if failed:
            self._failed[host] = failed
        if len(failed) >= FAILED_MAX:
            return f"{host} did not know the secret {len(failed)} times in a minute"
        if len(self._unproven) >= UNPROVEN_MAX:
            return f"{UNPROVEN_MAX} connections have not proved yet that they know the secret"
        self._unproven[link_id] = host
        return None

    def gone(self, link_id: int) -> None:
        """Note that it has proved what it had to, or has ended."""
        self._unproven.pop(link_id, None)

    def failed(self, link_id: int, now: float) -> None:
        """Note that it did not know the secret."""
        host = self._unproven.pop(link_id, None)
        if host is None:
            return
        while len(self._failed) >= HOSTS_MAX and host not in self._failed:
            del self._failed[next(iter(self._failed))]
        self._failed.setdefault(host, []).append(now)

    def __repr__(self) -> str:
        return f"<Door {len(self._unproven)} unproven, {len(self._failed)} hosts failed>"
