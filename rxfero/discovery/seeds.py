"""The seeds: a file with addresses, read again whenever it changes.

A line is an address as in `hosts=`: ``10.0.0.1:5000``, ``[::1]:5000``, ``db-1.example.org:5000``;
what follows ``#`` is a remark. Whoever deploys the nodes writes the file; nodes only read it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rxfero.discovery.hosts import parse_host
from rxfero.errors import ConfigurationError

if TYPE_CHECKING:
    from rxfero.ports import Seeker

EVERY_S: Final = 1.0  # between looks at the file
BYTES_MAX: Final = 1 << 20  # of the file that are read


class Seeds:
    """A :class:`~rxfero.ports.Finder` by a file.

    Args:
        path: The file; it need not be there yet.
        port: Where the servers of lines without a port listen.
        every_s: Seconds between looks at it.
    """

    def __init__(
        self, path: str | os.PathLike[str], port: int | None = None, *, every_s: float = EVERY_S
    ) -> None:
        if port is not None:
            parse_host(("seeds", port))
        if not every_s > 0:
            raise ConfigurationError("every_s", every_s, "must be seconds > 0")
        self.path, self.port, self.every_s = Path(path), port, every_s

    async def find(self, here: Seeker, found: Callable[[str, int], None]) -> None:
        """Read the file until cancelled; what it says is told again while nobody is connected.

        Raises:
            ConfigurationError: a line is no address; names the line.
        """
        seen: tuple[int, int] | None = None
        addresses: list[tuple[str, int]] = []
        while True:
            stamp = _stamp(self.path)
            if stamp != seen:
                seen, addresses = stamp, [] if stamp is None else self.read()
                for host, port in addresses:
                    found(host, port)
            elif here.alone():
                for host, port in addresses:
                    found(host, port)
            await asyncio.sleep(self.every_s)

    def read(self) -> list[tuple[str, int]]:
        """Give the addresses in the file, each once.

        Raises:
            ConfigurationError: a line is no address, or has no port and none was given.
        """
        try:
            with self.path.open("rb") as file:
                text = file.read(BYTES_MAX).decode(errors="replace")
        except OSError:
            return []  # gone between two looks, or not to be read now
        addresses: dict[tuple[str, int], None] = {}
        for number, line in enumerate(text.splitlines(), 1):
            entry = line.partition("#")[0].strip()
            if not entry:
                continue
            where = f"{self.path}:{number}"
            try:
                host, port = parse_host(entry)
            except ConfigurationError as error:
                raise ConfigurationError(where, entry, error.hint) from None
            if (port := port or self.port) is None:
                raise ConfigurationError(where, entry, "has no port, and none was given for all")
            addresses[host, port] = None
        return list(addresses)

    def __repr__(self) -> str:
        return f"<Seeds {self.path}>"


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size
