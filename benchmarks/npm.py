"""The original: the npm package `fero`, installed outside this repository, to be compared with."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from pathlib import Path

PACKAGE, VERSION = "fero", "1.7.1"
INSTALL_S = 180.0


class Unavailable(RuntimeError):
    """The comparison cannot be run here; the reason is the message."""


def cache_folder() -> Path:
    """Give the folder the package is kept in: RXFERO_BENCHMARKS, or the user's cache."""
    chosen = os.environ.get("RXFERO_BENCHMARKS")
    if chosen:
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "rxfero-benchmarks"


async def install() -> Path:
    """Give the node_modules folder with the package; installs it when it is not there.

    Raises:
        Unavailable: no node, no npm, or npm failed.
    """
    if shutil.which("node") is None:
        raise Unavailable("node is not installed")
    folder = cache_folder()
    modules = folder / "node_modules"
    if (modules / PACKAGE / "package.json").is_file():
        return modules
    npm = shutil.which("npm")
    if npm is None:
        raise Unavailable("npm is not installed")
    print(f"installing {PACKAGE}@{VERSION} into {folder}", file=sys.stderr)
    folder.mkdir(parents=True, exist_ok=True)
    process = await asyncio.create_subprocess_exec(
        npm, "install", "--prefix", str(folder), "--no-audit", "--no-fund", "--silent",
        f"{PACKAGE}@{VERSION}", stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(INSTALL_S):
            _, told = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise Unavailable(f"npm took more than {INSTALL_S:g} s") from None
    if process.returncode != 0 or not (modules / PACKAGE).is_dir():
        raise Unavailable(f"npm install failed: {told.decode(errors='replace').strip()[-300:]}")
    return modules
