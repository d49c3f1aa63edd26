"""The collector: fills the corpus with frames of every kind from simulated runs.

``python -m tests.fuzz.collect`` writes the files that are missing; it changes none.
"""

from __future__ import annotations

from typing import Any

from rxfero.core import columns, frame
from rxfero.core.change import DATA, LOST, MERGE, Record
from rxfero.core.messages import write_answers
from rxfero.core.position import Term
from rxfero.core.shard import Shard
from rxfero.core.value import pack, pack_scalars
from tests.fuzz.targets import CORPUS
from tests.simulation.campaign import Campaign
from tests.simulation.world import World

KEPT = 4  # of a kind
BYTES_MAX = 6000

TERM = Term(1, 7)
RECORDS = [
    Record(TERM, 1, DATA, "x0-1", 1, "k0", "update", b"\x01", 1 << 40, None, 0),
    Record(TERM, 2, LOST, "x0-1", 2, ("k0", "f"), "update", b"\xa1a", 2 << 40, (Term(1, 3), 9), 0),
    Record(TERM, 3, MERGE, "", 0, (), "", pack([[1, 3, 9, 9]]), 3 << 40, None, 0),
]


def _folded() -> list[Any]:
    shard = Shard(2)
    for record in RECORDS:
        shard.append(record)
    return shard.dump()


# What the simulated programs never say, or never need to.
WRITTEN: dict[int, list[list[Any]]] = {
    frame.AUTH: [[bytes(32)]],
    frame.REFUSE: [["another cluster"]],
    frame.PINGACK: [["n1", 20]],
    frame.RELAY: [["n0", "n1", frame.PINGREQ, b"\x91\xa2n1"], ["n1", "x0", 1, b"\x90"]],
    frame.PARTIAL: [["n0", "n0-000000000000", 1, b"\x01", "n1"], ["x0", "x0-0", 1, b"\xc0", "n1"]],
    frame.CANCEL: [["x0", "x0-000000000000", 1, 3]],
    frame.MORE: [["x0", "x0-000000000000", 1, "n1", 128]],
    frame.MESSAGE: [
        ["x0-000000000000", [1, 3], "ping", None, pack_scalars([1, "a", None])],
        ["x0-000000000000", [0, [4, 7]], ["a", "b"], ["k0", ["k1", "f"]], pack_scalars([1, 2])],
    ],
    frame.BRANCH: [columns.write(TERM, [2, 2, 2], RECORDS)],
    frame.SBRANCH: [[2, [_folded(), [[*TERM, -3]]]]],
    frame.ANSWER: [write_answers("n0-000000000000", [1, 2, 5], [1, "a", None])],
}


def main() -> None:
    """Run some seeds and keep frames of different sizes."""
    found: dict[int, dict[int, bytes]] = {}
    deliver = World._deliver

    def _deliver(world: World, wire: Any, end: int, what: str, data: Any) -> None:
        if what == "data" and len(data) <= BYTES_MAX:
            sizes = found.setdefault(data[4], {})
            size = len(data).bit_length()
            if len(sizes) < KEPT:
                sizes.setdefault(size, data)
        deliver(world, wire, end, what, data)

    World._deliver = _deliver
    for seed, forced in ((1, {"shape": True}), (3, {"history": 16}), (4, {"handled": True})):
        Campaign(seed, duration=8.0, clients=2, retain=False, **forced).run()
    Campaign(5, duration=8.0, servers=3, history=16, faults=["split", "link"], retain=False).run()
    Campaign(2, duration=4.0, quorum=True, servers=3).run()
    for kind, bodies in WRITTEN.items():
        found.setdefault(kind, {}).update(
            {-at: frame.encode(kind, body) for at, body in enumerate(bodies)}
        )
    for kind, frames in sorted(found.items()):
        for at, data in enumerate(frames.values()):
            file = CORPUS / f"{frame.name_of(kind).lower()}-{at}.bin"
            if not file.exists():
                file.write_bytes(data)
    missing = [frame.name_of(k) for k in frame.KINDS if k not in found]
    print(f"{len(list(CORPUS.iterdir()))} files, none of {missing}")


if __name__ == "__main__":
    main()
