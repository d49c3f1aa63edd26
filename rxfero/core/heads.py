"""The heads: the containers in packed bytes, counted without decoding anything.

A frame of half a MiB of empty lists becomes 35 MiB of objects, so what comes from outside is
counted first. The first byte of every array and map is one of few; how many such bytes there are is
an upper bound at the speed of a memory scan, and only above the limit are the headers walked. Even
that scan is a third of what a value of a megabyte costs, so a few steps are walked before it: where
values are large there are few headers.
https://github.com/msgpack/msgpack/blob/master/spec.md#overview
"""

from __future__ import annotations

HEADS = bytes((*range(0x80, 0xA0), *range(0xDC, 0xE0)))
"""The first bytes of arrays and maps."""

SPARSE = 2048
"""Bytes for which one header is walked before they are scanned; a scan of them takes longer."""


def container_bound(data: bytes | memoryview) -> int:
    """Give an upper bound of the containers in packed bytes, at the speed of a memory scan."""
    raw = bytes(data)
    return len(raw) - len(raw.translate(None, HEADS))


def containers(data: bytes | memoryview, limit: int) -> int:
    """Count the containers in packed bytes, or bound them; exactly where that matters.

    Stops when it has found more than `limit`.
    """
    raw = bytes(data)
    found = _count(raw, limit, len(raw) // SPARSE)
    if found is not None:
        return found
    bound = container_bound(raw)
    if bound <= limit:
        return bound
    found = _count(raw, limit, len(raw))
    assert found is not None, "a step is a byte or more"
    return found


def _count(raw: bytes, limit: int, steps: int) -> int | None:
    """Walk the headers of packed bytes, passing over text and bytes; stops at what is cut off.

    Gives None when it has not come to the end in so many steps.
    """
    at, found, size = 0, 0, len(raw)
    while at < size and found <= limit:
        if not steps:
            return None
        steps -= 1
        head = raw[at]
        at += 1
        if 0x80 <= head <= 0x9F or 0xDC <= head <= 0xDF:
            found += 1
            at += 0 if head < 0xA0 else 2 if head in (0xDC, 0xDE) else 4
        elif 0xA0 <= head <= 0xBF:
            at += head & 0x1F
        elif head in _LENGTHS:
            width, extra = _LENGTHS[head]
            at += width + extra + int.from_bytes(raw[at : at + width], "big")
        else:
            at += _FIXED.get(head, 0)
    return found


# First bytes that a length follows: its width, and how much more; and those of a fixed width.
_LENGTHS = {
    0xC4: (1, 0), 0xC5: (2, 0), 0xC6: (4, 0), 0xC7: (1, 1), 0xC8: (2, 1), 0xC9: (4, 1),
    0xD9: (1, 0), 0xDA: (2, 0), 0xDB: (4, 0),
}  # fmt: skip
_FIXED = {
    0xCA: 4, 0xCB: 8, 0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8, 0xD0: 1, 0xD1: 2, 0xD2: 4, 0xD3: 8,
    0xD4: 2, 0xD5: 3, 0xD6: 5, 0xD7: 9, 0xD8: 17,
}  # fmt: skip
