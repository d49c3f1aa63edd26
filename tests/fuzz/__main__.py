"""``python -m tests.fuzz --inputs N``: the targets, for as many inputs as wanted.

Prints inputs, crashes, the slowest input and the peak of memory. The exit code says whether there
was a crash, a hang or memory beyond its ceiling; what did it is written to a file to keep.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
import traceback
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

from tests.fuzz import targets
from tests.fuzz.targets import Frame, Session

HANG_S = 1.0  # of CPU time for one input
CEILING_MIB = 256.0  # of the whole process


class Tally:
    """What a run has come to."""

    def __init__(self) -> None:
        self.inputs = 0
        self.accepted = 0
        self.crashes: dict[str, tuple[str, bytes]] = {}
        self.slowest: tuple[float, str] = (0.0, "")

    def take(self, name: str, data: bytes, act: Callable[[], Any]) -> None:
        """Carry out one input, and note what came of it."""
        begun = time.process_time()
        self.inputs += 1
        try:
            self.accepted += bool(act())
        except Exception as error:  # noqa: BLE001 - any is a finding
            last = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{name}: {type(error).__name__} at {last.filename}:{last.lineno}"
            self.crashes.setdefault(where, (traceback.format_exc(), data))
        took = time.process_time() - begun
        if took > self.slowest[0]:
            self.slowest = (took, f"{name}, {len(data)} bytes")


def run(count: int, seed: int, keep: Callable[[float], bool] = lambda _: True) -> Tally:
    """Run the targets for `count` inputs in all; the same seed gives the same inputs.

    Args:
        keep: Asked now and then with the number of inputs: whether to go on.
    """
    rng, frames, tally = Random(seed), targets.corpus(), Tally()
    session = Session(seed)
    hands = [f for f in frames if f.kind in targets.SHAKING]
    bent = targets.inputs(rng, [f for f in frames if f.kind not in targets.SHAKING])
    shaken = targets.inputs(rng, hands)
    while tally.inputs < count and keep(tally.inputs):
        chance = rng.random()
        if chance < 0.1:
            data = targets.scratched(b"".join(f.packed for f in islice(bent, 4)), rng)
            tally.take("decoder", data, lambda data=data: targets.decoder(data, rng))
        elif chance < 0.3:
            said = [next(shaken) if rng.random() < 0.5 else rng.choice(hands) for _ in range(4)]
            data = b"".join(f.packed for f in said)
            tally.take("handshake", data, lambda said=said: targets.handshake(said, rng))
        else:
            one: Frame = next(bent)
            if not session.ready:
                session.begin()
            tally.take("session", one.packed, lambda one=one: session.take(one, rng))
            if any(where.startswith("session") for where in tally.crashes):
                session.end()
    return tally


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--inputs", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, help="a directory for the inputs that crashed")
    given = parser.parse_args()
    begun = time.monotonic()
    tally = run(given.inputs, given.seed)
    took = time.monotonic() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    slowest, what = tally.slowest
    for at, (where, (trace, data)) in enumerate(tally.crashes.items()):
        print(where, trace, data.hex()[:400], sep="\n")
        if given.out is not None:
            given.out.mkdir(parents=True, exist_ok=True)
            (given.out / f"crash-{at}.bin").write_bytes(data)
    print(
        f"{tally.inputs} inputs in {took:.0f} s, {tally.inputs / took:.0f} a second, "
        f"{tally.accepted} frames accepted, {len(tally.crashes)} kinds of crash, "
        f"slowest {slowest * 1e3:.1f} ms ({what}), peak memory {peak:.0f} MiB"
    )
    return bool(tally.crashes or slowest > HANG_S or peak > CEILING_MIB)


if __name__ == "__main__":
    sys.exit(main())
