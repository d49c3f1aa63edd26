"""Tasks: how those that run until they are cancelled come to their end.

One ``cancel()`` is not always enough: ``asyncio.wait_for`` of Python 3.11 forgets it when what it
waits for comes in the same turn of the loop (python/cpython#86296), and code of others may catch
it. So who is cancelled here is cancelled again until it has ended, and nobody is waited for
without a bound.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, Final

AGAIN_S: Final = 0.1
TRIES: Final = 20


async def end_tasks(tasks: Iterable[asyncio.Task[Any]]) -> set[asyncio.Task[Any]]:
    """Cancel tasks until all have ended, at most `TRIES` times, `AGAIN_S` seconds apart.

    Gives those that go on nevertheless. What the others raised is not looked at.
    """
    pending = set(tasks)
    for _ in range(TRIES):
        for task in pending:
            task.cancel()
        if not pending:
            break
        ended, pending = await asyncio.wait(pending, timeout=AGAIN_S)
        for task in ended:
            if not task.cancelled():
                task.exception()  # or asyncio tells that nobody did
    return pending
