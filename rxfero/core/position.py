"""The position: where a record stands, as a term and as a public offset.

A term is made by one process only (its `boot` is part of it), so a log that holds a position holds
everything the owner of that term logged before it. Knows nothing of logs.
"""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple, cast

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
        if isinstance(pair, list | tuple) and len(cast("list[Any]", pair)) == 2:
            n, boot = cast("list[Any]", pair)
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


_OFFSET = re.compile(r"([0-9]{1,10}):([0-9]{1,20})\.([0-9]{1,20}):([0-9]{1,20})")
