"""The socket: what `get_extra_info("socket")` gives of a simulated connection."""

from __future__ import annotations

import socket
from typing import Any

Address = tuple[str, int]


class Socket:
    """Looks like a socket to who asks for names or sets options; has no descriptor.

    Args:
        sockname: Its own address.
        peername: The other end's; None where there is none.
    """

    family = socket.AF_INET
    type = socket.SOCK_STREAM
    proto = socket.IPPROTO_TCP

    def __init__(self, sockname: Address, peername: Address | None) -> None:
        self._sockname, self._peername = sockname, peername
        self._options: dict[tuple[int, int], Any] = {}

    def getsockname(self) -> Address:
        """Give its own address."""
        return self._sockname

    def getpeername(self) -> Address:
        """Give the other end's address.

        Raises:
            OSError: it is connected to none.
        """
        if self._peername is None:
            raise OSError("the socket is not connected")
        return self._peername

    def setsockopt(self, level: int, option: int, value: Any) -> None:
        """Note an option."""
        self._options[level, option] = value

    def getsockopt(self, level: int, option: int) -> Any:
        """Give an option that was set, else 0."""
        return self._options.get((level, option), 0)

    def fileno(self) -> int:
        """Give -1: there is none."""
        return -1

    def __repr__(self) -> str:
        return f"<Socket {self._sockname} {self._peername}>"
