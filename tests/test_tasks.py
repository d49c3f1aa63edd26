"""Tasks: who forgets that it was cancelled is cancelled again, within bounds."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from rxfero import tasks
from rxfero.tasks import end_tasks


async def forgets(times: int) -> None:
    """Run until cancelled `times` times and once more."""
    for _ in range(times):
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            continue
    await asyncio.get_running_loop().create_future()


async def fails() -> None:
    try:
        await asyncio.get_running_loop().create_future()
    finally:
        raise ValueError("at its end")


async def begun(*coroutines: Coroutine[Any, Any, None]) -> list[asyncio.Task[None]]:
    running = [asyncio.ensure_future(c) for c in coroutines]
    await asyncio.sleep(0)
    return running


async def test_tasks_end() -> None:
    running = await begun(forgets(0), fails())
    assert await end_tasks(running) == set()
    assert all(t.done() for t in running)
    assert await end_tasks(running) == set()
    assert await end_tasks([]) == set()


async def test_a_task_that_forgets_is_told_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "AGAIN_S", 0.001)
    running = await begun(forgets(3))
    assert await end_tasks(running) == set()
    assert running[0].cancelled()


async def test_a_task_that_never_ends_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "AGAIN_S", 0.001)
    stubborn, meek = await begun(forgets(tasks.TRIES), forgets(0))
    assert await end_tasks([stubborn, meek]) == {stubborn}
    assert meek.cancelled()
    monkeypatch.undo()
    assert await end_tasks([stubborn]) == set()
