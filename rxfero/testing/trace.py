"""The trace: what happened in a simulated world, a line each, and one digest over all of it.

Two runs are the same run when their digests are equal. The digest covers every line since the
world began; of the lines themselves the last `keep` are held. No line has an address of memory, a
hash or a time of the real world in it.
"""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Iterator
from hashlib import blake2b

LINES = 20_000


class Trace:
    """The lines of one world.

    Args:
        keep: How many lines are held, the last ones.

    Attributes:
        count: Lines since the world began.
    """

    def __init__(self, keep: int = LINES) -> None:
        self.count = 0
        self._lines: deque[str] = deque(maxlen=keep)
        self._sum = blake2b(digest_size=16)

    def note(self, now: float, what: str) -> None:
        """Add a line: virtual seconds, and what happened."""
        line = f"{now:.9f} {what}"
        self.count += 1
        self._lines.append(line)
        self._sum.update(line.encode("utf-8", "backslashreplace"))
        self._sum.update(b"\n")

    def sent(self, now: float, way: str, data: bytes) -> None:
        """Add the line of bytes that were sent."""
        self.note(now, f"{way} {len(data)} {zlib.crc32(data):08x}")

    @property
    def digest(self) -> str:
        """The sum over every line, 32 hexadecimal digits."""
        return self._sum.hexdigest()

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._lines))

    def __len__(self) -> int:
        return len(self._lines)

    def __str__(self) -> str:
        return "\n".join(self._lines)

    def __repr__(self) -> str:
        return f"<Trace {self.count} lines {self.digest}>"
