"""The example register-login: a service with verbs of its own.

Two terminals: ``python -m rxfero.examples.register_login serve`` (as often as you like), and
``python -m rxfero.examples.register_login ask``.
"""

import asyncio
import hashlib
import os
import sys
from typing import Any

from rxfero import Cache, RemoteError, Request, fero, run

PORTS = (int(os.environ.get("PORTS", "5200")), int(os.environ.get("PORTS", "5200")) + 9)


def digest(password: str, salt: str) -> str:
    """Give what is kept of a password."""
    return hashlib.scrypt(password.encode(), salt=salt.encode(), n=1024, r=8, p=1).hex()


async def handler(request: Request, users: Cache) -> Any:
    """Answer with a status and a message; refuse what is no verb of ours."""
    name = "" if request.key is None else str(request.key[0])
    match request.type:
        case "register" if name in users:
            return [409, f"{name} is taken"]
        case "register":
            await users.update((name,), {"password": digest(request.value, name)})
            return [201, f"welcome, {name}"]
        case "login":
            known = users.get(name)
            right = known is not None and known["password"] == digest(request.value, name)
            return [200, "ok"] if right else [401, "who are you?"]
        case "update" if request.peer == users.id:  # register's own
            return request.next()
        case verb:
            raise ValueError(f"405: {verb} is not allowed")


async def serve() -> None:  # noqa: D103
    async with fero("users", handler, ports=PORTS) as users:
        print(f"serving {users!r}", flush=True)
        await asyncio.Event().wait()


async def ask() -> None:  # noqa: D103
    async with fero("users", client=True, ports=PORTS) as users:
        await users.connected()
        for verb, password in [("register", "x"), ("login", "x"), ("login", "y"), ("delete", "")]:
            message = {"type": verb, "key": "alice", "value": password}
            try:
                print(verb, await users.peers.send(message))
            except RemoteError as error:
                print(verb, error)


if __name__ == "__main__":
    run(serve() if sys.argv[1:] == ["serve"] else ask())
