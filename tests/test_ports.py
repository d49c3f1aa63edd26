"""The ports: what we hand out meets them, and so does whatever has their shape."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rxfero import ports
from rxfero.cache import Cache
from rxfero.guarantee import Guarantee
from rxfero.handler import Request
from rxfero.peers import Peer, Peers
from rxfero.stages import Joint
from tests.discovery.seeker import seeker

MEETS = [
    (Cache, ports.CacheLike),
    (Guarantee, ports.GuaranteeLike),
    (Joint, ports.GuaranteeLike),
    (Peer, ports.PeerLike),
    (Request, ports.RequestLike),
]


def members(protocol: type) -> dict[str, Any]:
    return {
        name: member
        for name, member in vars(protocol).items()
        if (not name.startswith("_") or name == "__await__") and callable(member)
    }


@pytest.mark.parametrize(("ours", "protocol"), MEETS, ids=lambda c: c.__name__)
def test_what_we_hand_out_takes_the_calls_of_its_port(ours: type, protocol: type) -> None:
    for name, wanted in members(protocol).items():
        given = inspect.signature(getattr(ours, name)).parameters
        for parameter in inspect.signature(wanted).parameters.values():
            if parameter.kind is parameter.POSITIONAL_ONLY:
                continue  # its name is free
            assert parameter.name in given, f"{ours.__name__}.{name}({parameter.name})"
            assert given[parameter.name].kind is parameter.kind, f"{ours.__name__}.{name}"


def test_peers_have_what_operators_ask_of_them() -> None:
    for name in members(ports.PeersLike):
        assert callable(getattr(Peers, name))


class Memory:
    """A storage as a user would write it: no import of ours."""

    def __init__(self) -> None:
        self.kept: dict[Any, Any] = {}

    def restore(self) -> dict[Any, Any]:
        return self.kept

    def add(self, change: Any) -> None:
        self.kept[change.key] = change.value

    update = add

    async def remove(self, change: Any) -> None:
        del self.kept[change.key]


class OnlyUpdates:
    def update(self, change: Any) -> None: ...


class Fixed:
    async def find(self, here: ports.Seeker, found: Callable[[str, int], None]) -> None:
        found("127.0.0.1", 7070)


def test_a_shape_is_enough() -> None:
    assert isinstance(Memory(), ports.Storage)
    assert isinstance(Fixed(), ports.Finder)
    assert not isinstance(OnlyUpdates(), ports.Storage)  # complete ones can be told from partial
    assert not isinstance(Memory(), ports.Finder)
    assert isinstance(seeker(), ports.Seeker)


async def test_a_finder_tells_by_the_function_it_is_given() -> None:
    found: list[tuple[str, int]] = []
    finder: ports.Finder = Fixed()
    await finder.find(seeker(), lambda host, port: found.append((host, port)))
    assert found == [("127.0.0.1", 7070)]


def test_handlers_of_one_and_of_two_arguments_are_handlers() -> None:
    def narrow(request: Any) -> Any:
        return request.value

    async def wide(request: Any, cache: Any) -> Any:
        return cache

    handlers: list[ports.Handler] = [narrow, wide]
    assert [len(inspect.signature(h).parameters) for h in handlers] == [1, 2]


def test_the_ports_import_nothing_of_ours() -> None:
    tree = ast.parse(Path(ports.__file__).read_text(encoding="utf-8"))
    imported = {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.module}
    assert not [module for module in imported if module.startswith("rxfero")]
