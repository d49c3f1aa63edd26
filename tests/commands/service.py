"""The service that the tests of the commands talk to, and factories as users may write them."""

from __future__ import annotations

import asyncio
from typing import Any

from rxfero import fero


async def stream(request: Any) -> Any:
    for number in range(request.value):
        yield number


async def slow(request: Any) -> Any:
    await asyncio.sleep(60)


def handler(request: Any, cache: Any) -> Any:
    match request.type:
        case "count":
            return stream(request)
        case "slow":
            return slow(request)
        case "fail":
            raise ValueError("as asked")
        case "echo":
            return {"key": request.key and list(request.key), "value": request.value}
    return request.next()


def people(**options: Any) -> Any:
    """A service."""
    return fero("people", handler, **options)


async def both(**options: Any) -> Any:
    """Two services."""
    return await fero.all(["people", "teams"], **{**options, "ports": None})


def plain() -> Any:
    """A factory that takes nothing."""
    return fero("plain")


async def program() -> None:
    """A program of its own that ends."""


def wrong() -> int:
    """No service."""
    return 7
