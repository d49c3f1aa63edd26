"""``python -m tests.fuzz.guided --target session --seconds 60``: inputs grown towards new code.

Needs atheris (``pip install atheris``), which watches the branches of `rxfero.core` and keeps what
reaches new ones. It begins with the corpus; inputs that crash or take too long are written to
``--out``. The exit status is not 0 if there was one.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from random import Random
from typing import Any

SLOW_S = 5
CEILING_MIB = 1024


def frames_of(data: bytes) -> list[tuple[int, int, bytes]]:
    """Read as many whole frames as there are in bytes; what is too short is one frame's body."""
    from rxfero.core.frame import HEADER  # noqa: PLC0415  (after instrumentation)

    found: list[tuple[int, int, bytes]] = []
    at = 0
    while len(data) - at >= HEADER.size and len(found) < 8:
        size, kind, flags = HEADER.unpack_from(data, at)
        found.append((kind, flags, data[at + HEADER.size : at + max(size, 2) + HEADER.size - 2]))
        at += HEADER.size + max(size, 2) - 2
    return found


def targets() -> dict[str, Callable[[bytes], None]]:
    """Give what takes bytes, by name: chances are drawn from the bytes themselves."""
    from tests.fuzz import targets  # noqa: PLC0415
    from tests.fuzz.targets import Frame, Session  # noqa: PLC0415

    session = Session()

    def take(data: bytes) -> None:
        for kind, flags, body in frames_of(data):
            if not session.ready:
                session.begin()
            session.take(Frame(kind, flags, body), Random(0))

    return {
        "decoder": lambda data: targets.decoder(data, Random(len(data))),
        "handshake": lambda data: targets.handshake(
            [Frame(*f) for f in frames_of(data)], Random(len(data))
        ),
        "session": take,
    }


def main() -> None:
    """Run the command; ends the process."""
    options = argparse.ArgumentParser(prog="python -m tests.fuzz.guided", description=__doc__)
    options.add_argument("--target", default="session", choices=("decoder", "handshake", "session"))
    options.add_argument("--seconds", type=int, default=60)
    options.add_argument("--out", type=Path, default=Path(), help="where crashing inputs go")
    given = options.parse_args()
    try:
        atheris: Any = import_module("atheris")
    except ImportError:
        sys.exit("atheris is not installed: pip install atheris, or use python -m tests.fuzz")
    with atheris.instrument_imports(include=["rxfero.core"]):
        take = targets()[given.target]
    from tests.fuzz.targets import CORPUS  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as grown:
        atheris.Setup(
            [
                sys.argv[0], grown, str(CORPUS), f"-max_total_time={given.seconds}",
                f"-timeout={SLOW_S}", f"-rss_limit_mb={CEILING_MIB}", "-max_len=8192",
                f"-artifact_prefix={given.out}/",
            ],
            take,
        )  # fmt: skip
        atheris.Fuzz()


if __name__ == "__main__":
    main()
