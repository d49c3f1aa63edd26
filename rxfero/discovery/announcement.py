"""The announcement: one datagram of discovery: who speaks, for which service, where it listens.

``4 bytes magic | u8 version | u8 kind | u16 length | body``, big endian, and with a secret 32 bytes
more: an HMAC-SHA256 over all before it. `length` counts the body, which is five texts (cluster,
service, name, host), each a u16 length and UTF-8, and a u16 port. Who has a secret hears only what
is signed with it; who has none hears only what is not signed. A datagram that was recorded and
sent again yields an address to dial and nothing more: the handshake is what admits a node.

It has no socket. What cannot be read is None, never an error: anybody may send anything to a group.
"""

from __future__ import annotations

import hmac
from struct import Struct
from typing import Final, NamedTuple

MAGIC: Final = b"rxfd"
VERSION: Final = 1
HERE: Final = 1  # a server says where it listens
ASK: Final = 2  # somebody asks the servers to say so

ANY_SERVICE: Final = "*"  # of an ASK: servers of every service may answer
SIZE_MAX: Final = 1400  # bytes of a datagram; what most networks carry in one piece
MAC_BYTES: Final = 32
_HEAD: Final = Struct(">4sBBH")
_SHORT: Final = Struct(">H")
_CONTEXT: Final = b"rxfero discovery\0"  # so that no proof of another use is one of this


class Announcement(NamedTuple):
    """What one datagram says.

    Attributes:
        kind: HERE or ASK.
        cluster, service: Of the node; an ASK for every service has `ANY_SERVICE`.
        name: The node's.
        host: Where it listens; "" stands for the address the datagram came from.
        port: Where it listens; 0: it does not.
    """

    kind: int
    cluster: str
    service: str
    name: str
    host: str = ""
    port: int = 0


def encode(said: Announcement, secret: str | None = None) -> bytes:
    """Give the datagram of an announcement.

    Raises:
        ValueError: it would be larger than `SIZE_MAX`.
    """
    body = bytearray()
    for text in said[1:5]:
        packed = str(text).encode()
        body += _SHORT.pack(len(packed)) + packed
    body += _SHORT.pack(said.port)
    data = _HEAD.pack(MAGIC, VERSION, said.kind, len(body)) + body
    if secret is not None:
        data += _mac(secret, data)
    if len(data) > SIZE_MAX:
        raise ValueError(f"an announcement of {len(data)} bytes, {SIZE_MAX} are the most")
    return data


def decode(data: bytes, secret: str | None = None) -> Announcement | None:
    """Read a datagram; None when it is not one of ours, whole, and signed as it has to be."""
    if not _HEAD.size <= len(data) <= SIZE_MAX:
        return None
    magic, version, kind, length = _HEAD.unpack_from(data)
    if magic != MAGIC or version != VERSION or kind not in (HERE, ASK):
        return None
    end = _HEAD.size + length
    if len(data) != end + (0 if secret is None else MAC_BYTES):
        return None
    if secret is not None and not hmac.compare_digest(data[end:], _mac(secret, data[:end])):
        return None
    texts: list[str] = []
    at = _HEAD.size
    for _ in range(4):
        if at + 2 > end:
            return None
        (size,) = _SHORT.unpack_from(data, at)
        at += 2 + size
        if at > end:
            return None
        try:
            texts.append(data[at - size : at].decode())
        except UnicodeDecodeError:
            return None
    if at + 2 != end:
        return None
    (port,) = _SHORT.unpack_from(data, at)
    if (kind == HERE) != bool(port):
        return None
    cluster, service, name, host = texts
    return Announcement(kind, cluster, service, name, host, port)


def _mac(secret: str, data: bytes) -> bytes:
    return hmac.digest(secret.encode(), _CONTEXT + data, "sha256")
