"""The position: where a record stands, as a term and as a public offset, and where a node stands.

A term is made by one process only (its `boot` is part of it), so a log that holds a position holds
everything the owner of that term logged before it. Knows nothing of logs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple, cast
from urllib.parse import quote, unquote

from rxfero.errors import ProtocolError, ValueRefused

HIGHEST: Final = 1 << 63  # what every term's counter stays below


class Term(NamedTuple):
    """The reign of one owner over a shard: a counter, and the boot id of the owner's process."""

    n: int
    boot: int

    @classmethod
    def read(cls, pair: Any) -> Term:
        """Read a term as it travels: ``[n, boot]``.

        Raises:
            ProtocolError: it is none, or is so high that nobody could come after it.
        """
        if isinstance(pair, list | tuple) and len(cast("Sequence[Any]", pair)) == 2:
            n, boot = cast("Sequence[Any]", pair)
            if type(n) is int and type(boot) is int and 0 <= n < HIGHEST and 0 <= boot < 1 << 64:
                return cls(n, boot)
        raise ProtocolError(f"a term that cannot be read: {pair!r:.80}")

    def __str__(self) -> str:
        return f"{self.n}.{self.boot}"


ZERO_TERM = Term(0, 0)


class Offset(NamedTuple):
    """The position of a record: shard, term, and its number in the shard's log (from 1, dense).

    Offsets of one shard compare by term and number; those of different shards have no order that
    means anything. ``str(offset)`` can be kept and read again by :meth:`parse`.
    """

    shard: int
    term: Term
    number: int

    def __str__(self) -> str:
        return f"{self.shard}:{self.term}:{self.number}"

    @classmethod
    def parse(cls, text: str) -> Offset:
        """Read what `str` wrote.

        Raises:
            ValueRefused: the text is no offset.
        """
        found = _OFFSET.fullmatch(text) if isinstance(text, str) else None  # pyright: ignore[reportUnnecessaryIsInstance]
        if found is None:
            raise ValueRefused(
                f"offset {text!r:.80}", "no offset; one looks like 'shard:n.boot:number'"
            )
        shard, n, boot, number = map(int, found.groups())
        return cls(shard, Term(n, boot), number)


class Position:
    """Where somebody stands in the logs of all shards: at most one offset a shard. Immutable.

    A shard without an offset is one of which nothing was seen. ``str(position)`` can be kept and
    read again by :meth:`parse`.

    Args:
        offsets: Of each shard the last one counts.
        of: The cluster's and the service's name, as ``rxfero/users``, so that the position is not
            taken for one of another service. Empty: not known, and not checked.
    """

    __slots__ = ("_offsets", "of")

    def __init__(self, offsets: Iterable[Offset] = (), of: str = "") -> None:
        self._offsets = {offset.shard: offset for offset in offsets}
        self.of = of

    @property
    def offsets(self) -> tuple[Offset, ...]:
        """The offsets, by shard."""
        return tuple(self._offsets[shard] for shard in sorted(self._offsets))

    def get(self, shard: int) -> Offset | None:
        """Give the offset of a shard; None when nothing of it was seen."""
        return self._offsets.get(shard)

    def has(self, offset: Offset) -> bool:
        """Whether the record at an offset was seen."""
        seen = self._offsets.get(offset.shard)
        return seen is not None and seen[1:] >= offset[1:]

    def after(self, offset: Offset) -> Position:
        """Give the position once the record at an offset was seen too."""
        if self.has(offset):
            return self
        return Position((*self._offsets.values(), offset), self.of)

    def __len__(self) -> int:
        return len(self._offsets)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Position) and self._offsets == other._offsets

    def __hash__(self) -> int:
        return hash(self.offsets)

    def __str__(self) -> str:
        of = [quote(self.of)] if self.of else []
        return " ".join([*of, *map(str, self.offsets)])

    def __repr__(self) -> str:
        return f"<Position shards={len(self._offsets)}>"

    @classmethod
    def parse(cls, text: str) -> Position:
        """Read what `str` wrote.

        Raises:
            ValueRefused: the text is no position.
        """
        if not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ValueRefused("position", f"must be text, not {type(text).__name__}")
        offsets, of = text.split(), ""
        if offsets and "/" in offsets[0]:
            of = unquote(offsets.pop(0))
        return cls(map(Offset.parse, offsets), of)


_OFFSET = re.compile(r"([0-9]{1,10}):([0-9]{1,20})\.([0-9]{1,20}):([0-9]{1,20})")
