"""The serving: `rxfero serve module:factory` runs a user's service until it is told to stop.

The factory is called without arguments, or with the options of the command line if it takes any.
What it gives is awaited until it is a cache (or several), which live until SIGINT or SIGTERM and
then leave their cluster. With `--reload` the service lives in a process of its own, which is
stopped in the same way and begun anew whenever a Python file beside the module changes.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import os
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, cast

from rxfero.cache import Cache
from rxfero.commands.output import note
from rxfero.commands.progress import Progress
from rxfero.errors import ConfigurationError

LOOK_S: Final = 0.3  # between looks at the files
STOP_S: Final = 15.0  # until a child that does not leave is killed


def load(target: str) -> Callable[..., Any]:
    """Give the factory that `module:factory` names; the current directory is looked in first.

    Raises:
        ConfigurationError: there is no such module, or nothing to call of that name in it.
    """
    name, colon, factory = target.partition(":")
    if not colon or not name or not factory:
        raise ConfigurationError("serve", target, "must be module:factory, as app.main:users")
    if "" not in sys.path and os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        found: Any = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not (name + ".").startswith(error.name + "."):
            raise  # something else that the module wants
        raise ConfigurationError("serve", target, f"there is no module {error.name!r}") from None
    for part in factory.split("."):
        found = getattr(found, part, None)
    if not callable(found):
        raise ConfigurationError("serve", target, f"there is no function {factory!r} in {name!r}")
    return found


async def serve(target: str, options: Mapping[str, Any]) -> int:
    """Run a service until SIGINT or SIGTERM, or until its coroutine ends; gives the exit status."""
    factory = load(target)
    stopped = _until_stopped()
    started = asyncio.ensure_future(_start(factory, options))
    stopping = asyncio.ensure_future(stopped.wait())
    first = asyncio.FIRST_COMPLETED
    try:
        with Progress(f"starting {target}") as progress:
            waiting = (started, stopping)
            while not (await asyncio.wait(waiting, timeout=LOOK_S, return_when=first))[0]:
                progress.show()
        if not started.done():
            note("stopped before it was ready")
            return 130
        caches = started.result()
        if not caches:
            return 0  # a program of its own that has ended
        for cache in caches:
            figures = cache.stats()
            note(f"{cache.name!r} is served at {figures['address']} by {figures['name']}")
        await stopping
    finally:
        for future in (started, stopping):
            future.cancel()
        ended = await asyncio.gather(started, return_exceptions=True)
        for cache in ended[0] if isinstance(ended[0], list) else ():
            await cache.destroy()
    note("left the cluster")
    return 0


def _until_stopped() -> asyncio.Event:
    """Give what SIGINT and SIGTERM set."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    return stopped


async def _start(factory: Callable[..., Any], options: Mapping[str, Any]) -> list[Cache]:
    found: Any = factory(**options) if options and _takes(factory) else factory()
    while inspect.isawaitable(found):
        found = await found
    if isinstance(found, Cache):
        return [found]
    several: Any = list(cast("Mapping[Any, Any]", found).values()) if _is_map(found) else found
    if found is None:
        return []
    if isinstance(several, list | tuple) and all(
        isinstance(c, Cache) for c in cast("list[Any]", several)
    ):
        return list(cast("list[Cache]", several))
    hint = f"must give a cache (as fero() does) or several, not {type(found).__name__}"
    raise ConfigurationError("serve", getattr(factory, "__name__", "factory"), hint)


def _takes(factory: Callable[..., Any]) -> bool:
    kinds = {p.kind for p in inspect.signature(factory).parameters.values()}
    return inspect.Parameter.VAR_KEYWORD in kinds


def _is_map(value: Any) -> bool:
    return isinstance(value, Mapping)


# --- beginning anew


async def reload(target: str, words: list[str], secret: str | None) -> int:
    """Run a service in a process of its own, and begin anew when its files change.

    Args:
        target: module:factory.
        words: The other arguments of the command.
        secret: The cluster's; it goes by the environment, where nobody sees it.
    """
    folder = _folder(target)
    env = {**os.environ, **({} if secret is None else {"RXFERO_SECRET": secret})}
    stopped = _until_stopped()
    while True:
        stamps = _stamps(folder)
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "rxfero", "serve", target, *words, start_new_session=True, env=env
        )
        ended = asyncio.ensure_future(child.wait())
        changed = False
        while not (stopped.is_set() or changed):
            await asyncio.sleep(LOOK_S)
            changed = _stamps(folder) != stamps
        if not ended.done():
            child.terminate()
            try:
                async with asyncio.timeout(STOP_S):
                    await asyncio.shield(ended)
            except TimeoutError:
                child.kill()
        await ended
        if stopped.is_set():
            return 0
        note(f"a file in {folder} has changed: beginning anew")


def _folder(target: str) -> Path:
    """Give the folder whose files are watched: that of the module's top package."""
    name = target.partition(":")[0].split(".")[0]
    here = Path.cwd()
    for folder in (here / name, here):
        if (folder / "__init__.py").exists() or (folder / f"{name}.py").exists():
            return folder
    return here


def _stamps(folder: Path) -> dict[str, int]:
    stamps: dict[str, int] = {}
    for path in folder.rglob("*.py"):
        try:
            stamps[str(path)] = path.stat().st_mtime_ns
        except OSError:
            continue  # gone between the two
    return stamps
