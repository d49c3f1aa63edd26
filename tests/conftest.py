"""What all tests share: every async test runs on asyncio's loop and on uvloop."""

from __future__ import annotations

import asyncio
import signal
import sys
import warnings
from collections.abc import Callable
from typing import Any

from hypothesis import settings

LoopFactory = Callable[[], asyncio.AbstractEventLoop]

# A law says what holds, not how soon: a busy machine must not refute it.
settings.register_profile("laws", deadline=None)
settings.load_profile("laws")

# A shell that starts tests in the background has them ignore Ctrl-C, and what they start would too.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_asyncio_loop_factories(config: Any, item: Any) -> dict[str, LoopFactory]:
    """Give the loops that async tests run on."""
    del config, item
    factories: dict[str, LoopFactory] = {"asyncio": asyncio.new_event_loop}
    if sys.platform != "win32":
        factories["uvloop"] = _uvloop
    return factories


def _uvloop() -> asyncio.AbstractEventLoop:
    """Give a loop that tells at its end what was left open.

    uvloop warns of it and closes it then; where warnings are errors it would wait for it for ever.
    """
    import uvloop

    class Loop(uvloop.Loop):
        def close(self) -> None:
            with warnings.catch_warnings(record=True) as left:
                warnings.simplefilter("always")
                super().close()
            assert not left, ", ".join(str(warning.message) for warning in left)

    return Loop()
