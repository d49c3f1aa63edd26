"""The whereabouts: arguments become options."""

from __future__ import annotations

from typing import Any

import pytest

from rxfero.commands.whereabouts import NoCluster, Whereabouts
from rxfero.discovery import Multicast
from rxfero.errors import ConfigurationError
from tests.integration.cluster import Cluster, free_ports


@pytest.mark.parametrize(
    ("given", "options"),
    [
        ({}, {"multicast": True}),
        ({"ports": "5100"}, {"ports": [5100]}),
        ({"ports": "5100-5109"}, {"ports": [5100, 5109]}),
        ({"hosts": "a:1, b:2"}, {"hosts": ["a:1", "b:2"]}),
        ({"hosts": "a:1", "multicast": True}, {"hosts": ["a:1"], "multicast": True}),
        ({"multicast": False}, {}),
        ({"interface": "10.0.0.5"}, {"multicast": {"host": "10.0.0.5"}}),
        ({"secret": "long enough"}, {"multicast": True, "security": {"secret": "long enough"}}),
    ],
    ids=str,
)
def test_arguments_become_options(given: dict[str, Any], options: dict[str, Any]) -> None:
    where = Whereabouts(**given)
    assert where.options() == {"cluster": "rxfero", **options}
    finders = where.read().finders
    assert [type(f) for f in finders] == ([Multicast] if "multicast" in options else [])


def test_the_same_is_said_again_to_a_process_but_for_the_secret() -> None:
    where = Whereabouts(hosts="a:1,b:2", ports="1-2", secret="long enough", multicast=False)
    said = where.words()
    assert said == ["--hosts=a:1,b:2", "--ports=1-2", "--cluster=rxfero", "--no-multicast"]


@pytest.mark.parametrize(
    "wrong", [{"ports": "x"}, {"ports": "1-2-3"}, {"ports": "0"}, {"hosts": ""}, {"timeout": 0}], ids=str
)
def test_what_does_not_fit_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        Whereabouts(**wrong).read()


async def test_a_client_comes_and_goes() -> None:
    async with Cluster() as cluster:
        server = await cluster.server()
        where = Whereabouts(ports="{}-{}".format(*cluster.ports))
        async with where.join("test") as cache:
            await cache.update("a", 1)
            assert len(server.peers.lists.client) == 1
        assert server["a"] == 1
        with pytest.raises(NoCluster, match="there is: test"):
            async with Whereabouts(ports=where.ports, timeout=0.2).join("other"):
                raise AssertionError


async def test_what_was_looked_at_is_told() -> None:
    port = free_ports(1)[0]
    where = Whereabouts(ports=str(port), timeout=0.1)
    assert f"ports {port}-{port}" in str(await where.nobody("a"))


async def test_a_large_state_is_waited_for_as_long_as_more_of_it_comes() -> None:
    async with Cluster() as cluster:
        server = await cluster.server()
        await server.patch({f"k{n}": "*" * 1000 for n in range(3000)})
        where = Whereabouts(ports="{}-{}".format(*cluster.ports), timeout=0.3)
        async with where.join("test") as cache:
            assert len(cache) == 3000
