"""The strategies: hypothesis's drawings of what a cache can hold and what its streams give.

Needs hypothesis (``pip install rxfero[testing]``). Each draws from the whole domain, its edges
included, and shrinks towards the short and plain.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Final

from hypothesis import strategies as st

from rxfero.core.change import DATA, Change, Record
from rxfero.core.path import DEPTH_MAX, Path, wire
from rxfero.core.position import Offset, Term
from rxfero.core.value import pack
from rxfero.testing.schedule import Schedule

INT_MIN: Final = -(1 << 63)
INT_MAX: Final = (1 << 64) - 1
KEY_CHARS: Final = 24  # 4 bytes each: 10 of them are within the 1024 bytes of a key

VERBS: Final = ("add", "update", "remove", "patch")


def texts(*, min_size: int = 0, max_size: int = 20) -> st.SearchStrategy[str]:
    """Text of every character but lone surrogates, which cannot be stored."""
    return st.text(
        st.characters(exclude_categories=["Cs"]), min_size=min_size, max_size=max_size
    )


def elements() -> st.SearchStrategy[str | int]:
    """What a path is made of: text, also with dots in it, and integers of 64 bits."""
    return texts(min_size=1, max_size=KEY_CHARS) | st.integers(INT_MIN, (1 << 63) - 1)


def paths(*, max_size: int = 10) -> st.SearchStrategy[Path]:
    """Paths of 1 to `max_size` elements (32 at most)."""
    sizes = st.lists(elements(), min_size=1, max_size=min(max_size, DEPTH_MAX))
    return sizes.map(Path.parse)


def instants() -> st.SearchStrategy[datetime]:
    """Times with a zone, in microseconds, of the years 1 to 9999."""
    zones = st.integers(-1439, 1439).map(lambda m: timezone(timedelta(minutes=m)))
    return st.datetimes(
        min_value=datetime(1, 1, 3),  # noqa: DTZ001  (the zone is drawn)
        max_value=datetime(9999, 12, 29),  # noqa: DTZ001
        timezones=st.just(UTC) | zones,
    )


def scalars() -> st.SearchStrategy[Any]:
    """Values that hold no others: None, truth, numbers, text, bytes, times."""
    return (
        st.none()
        | st.booleans()
        | st.integers(INT_MIN, INT_MAX)
        | st.sampled_from([INT_MIN, INT_MAX, (1 << 63) - 1, 1 << 63, -1, 127, 128, -32, -33])
        | st.floats()
        | texts()
        | st.binary(max_size=20)
        | instants()
    )


def values(*, max_leaves: int = 20) -> st.SearchStrategy[Any]:
    """Everything that can be stored: scalars, and lists and dicts of values."""
    keys = texts() | st.integers(INT_MIN, INT_MAX)
    return st.recursive(
        scalars(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
        max_leaves=max_leaves,
    )


def terms() -> st.SearchStrategy[Term]:
    """Terms: a counter and the boot id of an owner."""
    return st.builds(Term, st.integers(1, 1 << 40), st.integers(1, (1 << 64) - 1))


def offsets(*, shards: int = 2048) -> st.SearchStrategy[Offset]:
    """Positions in the logs of so many shards."""
    return st.builds(Offset, st.integers(0, shards - 1), terms(), st.integers(1, 1 << 40))


@st.composite
def changes(
    draw: st.DrawFn,
    keys: st.SearchStrategy[Any] | None = None,
    held: st.SearchStrategy[Any] | None = None,
) -> Change:
    """Changes as an observer gets them, each for itself.

    Args:
        draw: Given by hypothesis.
        keys: Of what paths; of all when None.
        held: Of what values; of all when None. A removal has None.
    """
    path = Path.parse(draw(paths() if keys is None else keys))
    verb = draw(st.sampled_from(VERBS))
    at = draw(offsets())
    if verb == "remove":
        value = None
    elif verb == "patch":
        value = draw(st.dictionaries(texts(min_size=1), scalars(), min_size=1, max_size=3))
    else:
        value = draw(values() if held is None else held)
    record = Record(
        at.term, at.number, DATA, draw(texts(min_size=1, max_size=8)), draw(st.integers(1, 999)),
        wire(path), verb, pack(value), draw(st.integers(1 << 16, (1 << 63) - 1)), None, 0,
    )  # fmt: skip
    return Change.of(at.shard, record)


def fault_schedules(
    *, servers: int = 3, seconds: float = 20.0
) -> st.SearchStrategy[Schedule]:
    """Faults for a simulated cluster of so many servers, to be played by `cluster.play`.

    Args:
        servers: How many.
        seconds: Virtual ones, after which all is whole again.
    """
    seeds = st.integers(0, (1 << 32) - 1)
    return seeds.map(lambda seed: Schedule.random(seed, servers, seconds))


@st.composite
def logs(
    draw: st.DrawFn,
    keys: st.SearchStrategy[Any] | None = None,
    held: st.SearchStrategy[Any] | None = None,
    *,
    max_size: int = 30,
) -> list[Change]:
    """The changes of one cache, as ``on("change")`` gives them: each shard's numbers rise.

    Args:
        draw: Given by hypothesis.
        keys: Of what top-level keys; "a" to "e" when None. One key stays in one shard.
        held: Of what values; small whole numbers when None.
        max_size: Most changes.
    """
    from_keys = st.sampled_from("abcde") if keys is None else keys
    from_values = st.integers(0, 9) if held is None else held
    term, found = Term(1, 1), list[Change]()
    shards: dict[Any, int] = {}
    ends: dict[int, int] = {}
    there: set[Any] = set()
    for _ in range(draw(st.integers(0, max_size))):
        key = draw(from_keys)
        shard = shards.setdefault(key, draw(st.integers(0, 2)))
        gone = key in there and draw(st.integers(0, 3)) == 0
        verb = "remove" if gone else "update" if key in there else "add"
        (there.discard if gone else there.add)(key)
        ends[shard] = number = ends.get(shard, 0) + draw(st.integers(1, 3))
        record = Record(
            term, number, DATA, "writer", len(found) + 1, wire(Path.parse(key)), verb,
            pack(None if gone else draw(from_values)), len(found) + 1 << 16, None, 0,
        )  # fmt: skip
        found.append(Change.of(shard, record))
    return found
