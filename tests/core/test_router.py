"""The router: requests on to the owner, answers back the way they came."""

from __future__ import annotations

from typing import Any

import pytest

from rxfero.core import frame
from rxfero.core.cluster import Cluster
from rxfero.core.owner import Owner
from rxfero.core.requests import Requests
from rxfero.core.router import Router
from tests.core.parts import cluster_of, said


def router_of(*others: str, **given: Any) -> tuple[Router, Cluster]:
    cluster = cluster_of(*others, **given)
    requests = Requests(cluster.name, cluster.rng, 30.0, (1024, 1 << 20))
    return Router(cluster, Owner(cluster), requests), cluster


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (frame.REPLY, ["there", "s", [1, 1], None, [1, 1], None, None]),
        (frame.PARTIAL, ["there", "s", 1, b"\x01"]),
    ],
)
@pytest.mark.parametrize("role", ["clients", "servers"])
def test_an_answer_goes_on_to_the_node_whose_request_went_through(
    kind: int, body: list[Any], role: str
) -> None:
    router, cluster = router_of("owner")
    take = router.on_reply if kind == frame.REPLY else router.on_partial
    take(body)
    assert said(cluster) == [], "nobody of that name is linked"
    getattr(cluster, role)["there"] = 9
    take(body)
    assert said(cluster) == [("there", kind, body)]
