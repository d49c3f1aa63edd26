"""Tests of the socket of a simulated connection."""

from __future__ import annotations

import socket

import pytest

from rxfero.testing.socket import Socket


def test_it_has_names_and_keeps_options() -> None:
    sock = Socket(("10.0.0.1", 5), ("10.0.0.2", 6))
    assert sock.getsockname() == ("10.0.0.1", 5)
    assert sock.getpeername() == ("10.0.0.2", 6)
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 0
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
    assert sock.fileno() == -1


def test_one_that_listens_has_no_other_end() -> None:
    with pytest.raises(OSError, match="not connected"):
        Socket(("10.0.0.1", 5), None).getpeername()
