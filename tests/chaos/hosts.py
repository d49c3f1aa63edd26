"""The hosts: network namespaces on one bridge, so that real packets can get lost between processes.

This process must be in a namespace of its own: :func:`enter` starts the command again in one. Each
host is a namespace held by a process that only waits, joined to the bridge by a pair of veth links.
A route to nowhere on one of two hosts makes their connections half open (what one sends vanishes,
what the other sends arrives), on both it cuts them; nothing is closed and nothing is told. When the
processes end the kernel removes all of it.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence

INSIDE = "RXFERO_CHAOS_INSIDE"
NET = "10.99.0."
HERE = NET + "1"
OWN = ("unshare", "--map-root-user", "--net")
HOLD = "import sys; print(flush=True); sys.stdin.read()"


def missing() -> str:
    """Say why this machine does not allow it, or nothing."""
    for tool in ("ip", "unshare", "nsenter"):
        if shutil.which(tool) is None:
            return f"there is no {tool}"
    script = "ip link add near0 type veth peer name far0 && ip link add name bridge0 type bridge"
    tried = subprocess.run([*OWN, "sh", "-c", script], capture_output=True, text=True, check=False)
    return tried.stderr.strip().splitlines()[-1] if tried.returncode else ""


def enter(module: str, arguments: Sequence[str]) -> int:
    """Run a module again in a network namespace of its own; gives its exit status.

    Raises:
        OSError: this machine does not allow it.
    """
    why = missing()
    if why:
        raise OSError(f"no network namespaces here: {why}")
    command = [*OWN, sys.executable, "-m", module, *arguments]
    return subprocess.run(command, env={**os.environ, INSIDE: "1"}, check=False).returncode


class Hosts:
    """Some hosts.

    Args:
        count: How many; the first has the address 10.99.0.2. This process has 10.99.0.1.
    """

    def __init__(self, count: int) -> None:
        self.addresses = [f"{NET}{n + 2}" for n in range(count)]
        self._holders: list[asyncio.subprocess.Process] = []
        self._cuts: set[tuple[int, str]] = set()

    async def start(self) -> None:
        """Make them."""
        assert os.environ.get(INSIDE), "only in a namespace of its own: see enter()"
        await _run("ip", "link", "set", "lo", "up")
        await _run("ip", "link", "add", "name", "bridge0", "type", "bridge")
        await _run("ip", "address", "add", f"{HERE}/24", "dev", "bridge0")
        await _run("ip", "link", "set", "bridge0", "up")
        for number, address in enumerate(self.addresses):
            holder = await asyncio.create_subprocess_exec(
                "unshare", "--net", sys.executable, "-c", HOLD,
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            )  # fmt: skip
            self._holders.append(holder)
            assert holder.stdout is not None
            await holder.stdout.readline()
            near, far = f"near{number}", f"far{number}"
            await _run("ip", "link", "add", "name", near, "type", "veth", "peer", "name", far)
            await _run("ip", "link", "set", far, "netns", str(holder.pid))
            await _run("ip", "link", "set", near, "master", "bridge0", "up")
            inside = self.command(number)
            await _run(*inside, "ip", "link", "set", "lo", "up")
            await _run(*inside, "ip", "address", "add", f"{address}/24", "dev", far)
            await _run(*inside, "ip", "link", "set", far, "up")

    def command(self, host: int) -> list[str]:
        """Give what a command begins with that is to run on a host."""
        return ["nsenter", "--target", str(self._holders[host].pid), "--net"]

    async def blackhole(self, host: int, address: str) -> None:
        """Let all vanish that a host sends to an address."""
        if (host, address) not in self._cuts:
            self._cuts.add((host, address))
            await _run(*self.command(host), "ip", "route", "add", "blackhole", f"{address}/32")

    async def heal(self) -> None:
        """Undo every blackhole."""
        cuts, self._cuts = self._cuts, set()
        for host, address in cuts:
            await _run(*self.command(host), "ip", "route", "del", "blackhole", f"{address}/32")

    async def unplug(self, host: int) -> None:
        """Take a host off the network: nothing comes and nothing goes, multicast included."""
        await _run("ip", "link", "set", f"near{host}", "down")

    async def plug(self, host: int) -> None:
        """Put a host back on the network."""
        await _run("ip", "link", "set", f"near{host}", "up")

    async def close(self) -> None:
        """Let them go."""
        for holder in self._holders:
            assert holder.stdin is not None
            holder.stdin.close()
            await holder.wait()

    def __repr__(self) -> str:
        return f"<Hosts {self.addresses} cuts={len(self._cuts)}>"


async def _run(*command: str) -> None:
    process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
    _, told = await process.communicate()
    if process.returncode:
        raise OSError(f"{' '.join(command)}: {told.decode().strip()}")
