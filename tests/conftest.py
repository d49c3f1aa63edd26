"""What all tests share: every async test runs on asyncio's loop and on uvloop."""

from __future__ import annotations

import asyncio
import signal
import sys
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
        import uvloop

        factories["uvloop"] = uvloop.new_event_loop
    return factories
