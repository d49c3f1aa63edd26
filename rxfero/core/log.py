"""The log: the records of one shard that are still kept, dense from the base to the end.

A record's number is its place: 1 is the first ever, and no number is used twice in one log. What
is at or below the base exists only as state. Every record carries the term of the owner that made
it, terms rise along the log, and a term is made by one owner only (R1). So two logs that have the
same term at a number are equal up to it (log matching, Raft 5.3, I2), and the greatest such number
follows from their histories alone: the list of terms with the number each begins at.

The log does not know what a record does, who follows, or what is safe to discard.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from rxfero.core.change import Record
from rxfero.core.position import ZERO_TERM, Term

History = Sequence[tuple[Term, int]]

OVERHEAD = 64  # what a record costs beside its value, roughly: see `Log.bytes`
TERMS_KEPT = 64  # terms before the base that stay in the history


class Gap(AssertionError):
    """A record that does not follow the end of the log. Nothing changed; ask for the rest (R3)."""


class Log:
    """One shard's log.

    Use: `base`, `base_term`, `end`, `last_term`, `records`, `hist` and `bytes` are read directly
    in hot loops and written only here. The record with number n is `records[n - base - 1]`.
    Invariant: `end == base + len(records)`; `hist` names the term at the base and every later one
    with its first number.
    """

    __slots__ = ("base", "base_term", "bytes", "end", "hist", "last_term", "records")

    def __init__(self) -> None:
        self.base = 0
        self.base_term: Term = ZERO_TERM
        self.end = 0
        self.last_term: Term = ZERO_TERM
        self.bytes = 0
        self.records: list[Record] = []
        self.hist: list[tuple[Term, int]] = []

    # --- growing

    def append(self, record: Record) -> None:
        """Take the next record. Costs O(1).

        Raises:
            Gap: the number is not end + 1. Nothing changed.
            AssertionError: the term is older than that of the last record. Nothing changed.
        """
        number, term = record.number, record.term
        if number != self.end + 1:
            raise Gap(f"record {number} does not follow {self.end}")
        if term != self.last_term:
            assert term > self.last_term, f"I2: {term} after {self.last_term} at {number}"
            self.hist.append((term, number))
            self.last_term = term
        self.records.append(record)
        self.end = number
        self.bytes += len(record.value) + OVERHEAD

    # --- reading

    def __getitem__(self, number: int) -> Record:
        if not self.base < number <= self.end:
            raise IndexError(f"record {number} is not among {self.base + 1}..{self.end}")
        return self.records[number - self.base - 1]

    def __len__(self) -> int:
        return len(self.records)

    def term_at(self, number: int) -> Term:
        """Give the term of the record with this number.

        Below the base the history answers as far back as it goes, then ZERO_TERM: so says 0 too.

        Raises:
            IndexError: beyond the end.
        """
        base = self.base
        if number > base:
            if number > self.end:
                raise IndexError(f"record {number} is beyond the end {self.end}")
            return self.records[number - base - 1].term
        if number == base:
            return self.base_term
        at = bisect_right(self.hist, number, key=_start) - 1
        return self.hist[at][0] if at >= 0 else ZERO_TERM

    def matches(self, term: Term, number: int) -> bool:
        """Whether this log holds that record, so that what follows it may be appended (R3).

        The start of every log is (ZERO_TERM, 0).
        """
        return 0 <= number <= self.end and self.term_at(number) == term

    def slice(self, first: int, count_max: int, bytes_max: int) -> list[Record]:
        """Give the records from `first` on, at most so many and (but for the first) so large.

        Raises:
            IndexError: `first` is at or below the base: only the state has it.
        """
        if first <= self.base:
            raise IndexError(f"record {first} is compacted away, the base is {self.base}")
        start = first - self.base - 1
        part = self.records[start : start + max(count_max, 0)]
        size = 0
        for i, record in enumerate(part):
            size += len(record.value) + OVERHEAD
            if size > bytes_max and i:
                return part[:i]
        return part

    # --- shrinking

    def cut(self, number: int) -> list[Record]:
        """Remove and give all records above `number`.

        Raises:
            AssertionError: below the base: what the state holds cannot be undone. Nothing changed.
        """
        assert number >= self.base, f"I15: cut at {number} below the base {self.base}"
        keep = number - self.base
        removed = self.records[keep:]
        if not removed:
            return removed
        del self.records[keep:]
        self.end = number
        self.bytes -= _size(removed)
        hist = self.hist
        while hist and hist[-1][1] > number:
            hist.pop()
        self.last_term = self.records[-1].term if self.records else self.base_term
        return removed

    def compact(self, to: int) -> int:
        """Forget the records up to and including `to`; the state has them (R13).

        Returns:
            How many records were dropped; at or below the base none.
        """
        to = min(to, self.end)
        if to <= self.base:
            return 0
        term = self.term_at(to)
        dropped = self.records[: to - self.base]
        del self.records[: to - self.base]
        self.bytes -= _size(dropped)
        self.base, self.base_term = to, term
        self._trim()
        return len(dropped)

    def reset(self, base: int, base_term: Term, hist: History = ()) -> None:
        """Begin anew above a snapshot.

        Args:
            base: The number of the last record that the snapshot's state has in it.
            base_term: The term of that record.
            hist: The history of the log up to there; what it says beyond is left out.
        """
        kept = [(t, start) for t, start in hist if start <= base and t != ZERO_TERM]
        if base and (not kept or kept[-1][0] != base_term):
            kept = [(base_term, base)]  # a history with a hole would claim too much in common
        elif not base:
            kept = []
        self.records.clear()
        self.base = self.end = base
        self.base_term = self.last_term = base_term if base else ZERO_TERM
        self.bytes = 0
        self.hist = kept
        self._trim()

    def _trim(self) -> None:
        below = bisect_right(self.hist, self.base, key=_start)
        if below > TERMS_KEPT:
            del self.hist[: below - TERMS_KEPT]

    # --- checking

    def invariants(self) -> None:
        """Check what must hold between any two events. Costs O(records)."""
        assert self.end == self.base + len(self.records), "the log is not dense"
        assert self.bytes == _size(self.records), "I14: bytes are miscounted"
        starts = [start for _, start in self.hist]
        assert starts == sorted(set(starts)), "I2: term starts do not rise"
        terms = [term for term, _ in self.hist]
        assert terms == sorted(set(terms)), "I2: terms do not rise"
        assert self.last_term == (terms[-1] if terms else ZERO_TERM), "the last term is wrong"
        begun = dict(self.hist)
        before = self.base_term
        assert self.base == 0 or self.base_term in begun, "the base has no term"
        for number, record in enumerate(self.records, self.base + 1):
            assert record.number == number, "the log is not dense"
            if record.term != before:
                assert begun.get(record.term) == number, "I2: a term that the history lacks"
                before = record.term

    def __repr__(self) -> str:
        return f"<Log {self.base}..{self.end} of {self.last_term}>"


def common(hist: History, end: int, other_hist: History, other_end: int) -> int:
    """Give the greatest number at which two logs agree, from their histories (R3).

    Terms rise along a log and each is made by one owner, so the logs agree up to where the newest
    term that both have ends in one of them. 0 says that they share nothing that is still known.
    """
    others = {term: i for i, (term, _) in enumerate(other_hist)}
    for i in range(len(hist) - 1, -1, -1):
        j = others.get(hist[i][0])
        if j is not None:
            last = hist[i + 1][1] - 1 if i + 1 < len(hist) else end
            other_last = other_hist[j + 1][1] - 1 if j + 1 < len(other_hist) else other_end
            return min(last, other_last)
    return 0


def _size(records: list[Record]) -> int:
    return sum(len(record.value) for record in records) + OVERHEAD * len(records)


def _start(entry: tuple[Term, int]) -> int:
    return entry[1]
