"""The outcome: each status that is not OK has its error, with what came with it."""

from __future__ import annotations

from typing import Any

import pytest

from rxfero import errors
from rxfero.core import call
from rxfero.core.call import DURABLE
from rxfero.core.position import Offset, Term
from rxfero.outcome import refused

WHERE = Offset(1, Term(2, 3), 4)


@pytest.mark.parametrize(
    ("code", "detail", "kind", "says"),
    [
        (call.NO_QUORUM, [1, 2], errors.NoQuorum, "update k: 1 voters can be reached, 2 are"),
        (call.NOT_REPLICATED, [2, 1], errors.NotReplicated, "1"),
        (call.NOT_REPLICATED, [DURABLE - 2, 1], errors.NotDurable, "1"),
        (call.COMPARE, [1, 2], errors.CompareFailed, "expected 1, but there is 2"),
        (call.MISSING, None, errors.KeyMissing, "nothing at k"),
        (call.WRONG, "no list", errors.WrongType, "no list"),
        (call.NOT_ALLOWED, "login", errors.MethodNotAllowed, "login"),
        (call.FAILED, ["OSError", "torn"], errors.RemoteError, "OSError: torn"),
        (call.RETRY, "moved", errors.Refused, "update k: moved"),
        (call.RETRY, None, errors.Refused, "update k was refused"),
    ],
)
def test_an_answer_that_is_not_ok_is_an_error(
    code: int, detail: Any, kind: type[Exception], says: str
) -> None:
    error = refused(code, "update k", detail, "k", WHERE)
    assert type(error) is kind
    assert says in str(error)
    if isinstance(error, errors.NotReplicated):
        assert (error.wanted, error.got, error.offset) == (2, 1, WHERE)
