"""The errors: every class is in the printed tree, answers the three questions, and travels."""

from __future__ import annotations

import copy
import errno
import inspect
import pickle
import re
from collections.abc import Iterator
from typing import Any

import pytest

from rxfero import errors
from rxfero.errors import RxferoError, nearest

# One of each, with attributes as the code gives them and words that its sentence must have.
SAMPLES: dict[type[RxferoError], tuple[tuple[Any, ...], list[str]]] = {
    errors.ConfigurationError: (
        ("ports", "x" * 500, "must be (first, last)", "the file a.toml"),
        ["ports='xx", "must be (first, last)", "a.toml"],
    ),
    errors.ValueRefused: (("value.a[0]", "type set cannot be stored"), ["value.a[0]", "set"]),
    errors.UnknownEvent: (("chnge", ("change", "commit")), ["'chnge'", "did you mean 'change'"]),
    errors.Refused: (("a patch needs a key",), ["a patch needs a key"]),
    errors.CompareFailed: (({"a": 1}, "z" * 900), ["{'a': 1}", "zz", "try again"]),
    errors.KeyMissing: (("a.b",), ["a.b"]),
    errors.WrongType: (("push to a: a str is no list",), ["push to a"]),
    errors.MethodNotAllowed: (("login",), ["'login'", "not allowed", "no handler"]),
    errors.RemoteError: (("ZeroDivisionError", "by zero"), ["ZeroDivisionError: by zero"]),
    errors.RequestTimeout: (("update a", 2.5, 0), ["update a", "2.5 s", "no server is connected"]),
    errors.Uncertain: (("the session ended",), ["the session ended"]),
    errors.NotAcknowledged: ((['a', 'b'], '3:1.9:7'), ["3:1.9:7", "held by a, b"]),
    errors.NotReplicated: ((2, 1, "3:1.9:7"), ["3:1.9:7", "1 other", "instead of 2"]),
    errors.NotDurable: ((2, 1, "3:1.9:7"), ["3:1.9:7", "disks of 1", "instead of 2"]),
    errors.StorageDamaged: (("a.journal: byte 9",), ["a.journal: byte 9", "new name"]),
    errors.LostWrites: ((5, [1, 2, 3, 4, 5, 6]), ["6 acknowledged", "shard 5", "5, ..."]),
    errors.NoQuorum: (("1 of 3 voters",), ["1 of 3"]),
    errors.Overloaded: ((300, 256), ["300 bytes", "256", "constants.requests.pending"]),
    errors.NotConnected: (("b is connecting",), ["b is connecting"]),
    errors.NotFollowed: (("bob",), ["does not follow 'bob'", "follow=", "cache.read(key)"]),
    errors.Closed: (("users",), ["'users'", "destroyed", "fero('users')"]),
    errors.AddressInUse: (("::1", (7000, 7009)), ["::1", "(7000, 7009)", "wider"]),
    errors.ProtocolError: (("a frame of 0 bytes",), ["a frame of 0 bytes"]),
    errors.HandshakeRefused: (("another cluster",), ["another cluster"]),
}
UNCERTAIN = {
    errors.RequestTimeout, errors.Uncertain, errors.NotReplicated, errors.NotDurable,
    errors.LostWrites, errors.NoQuorum, errors.Closed, errors.RemoteError, errors.NotAcknowledged,
}  # fmt: skip
RETRY = {
    errors.CompareFailed, errors.RequestTimeout, errors.Uncertain, errors.NotReplicated,
    errors.NotDurable, errors.NoQuorum, errors.Overloaded, errors.NotConnected,
    errors.NotAcknowledged,
}  # fmt: skip
BUILTINS = {
    errors.ConfigurationError: ValueError,
    errors.ValueRefused: ValueError,
    errors.UnknownEvent: ValueError,
    errors.KeyMissing: KeyError,
    errors.WrongType: TypeError,
    errors.RequestTimeout: TimeoutError,
    errors.NotConnected: ConnectionError,
    errors.NotFollowed: LookupError,
    errors.AddressInUse: OSError,
    errors.HandshakeRefused: ConnectionError,
}

each = pytest.mark.parametrize("kind", SAMPLES, ids=lambda kind: kind.__name__)


def classes() -> list[type[RxferoError]]:
    found = [c for _, c in inspect.getmembers(errors, inspect.isclass)]
    return [c for c in found if issubclass(c, RxferoError)]


def make(kind: type[RxferoError]) -> RxferoError:
    return kind(*SAMPLES[kind][0])


def printed() -> Iterator[tuple[str, str, str | None]]:
    """Read (class, parent, builtin) from the tree in the module's docstring."""
    above: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"    ([│├└─ ]*)(\w+)(?:\((\w+)\))?(?:  |$)", line)
        if found is None:
            continue
        depth = len(found[1]) // 4
        above[depth:] = [found[2]]
        yield found[2], above[depth - 1] if depth else "", found[3]


def test_every_class_has_a_sample() -> None:
    assert {*classes()} == {RxferoError, *SAMPLES}


def test_the_printed_tree_is_the_tree() -> None:
    tree = {name: (parent, builtin) for name, parent, builtin in printed()}
    assert set(tree) == {c.__name__ for c in classes()}
    for kind in SAMPLES:
        parent, builtin = tree[kind.__name__]
        assert kind.__bases__[0].__name__ == parent
        assert builtin == (BUILTINS[kind].__name__ if kind in BUILTINS else None)


@each
def test_it_is_documented_with_its_attributes(kind: type[RxferoError]) -> None:
    text = kind.__doc__ or ""
    named = re.search(r"Attributes:(.*)", text, re.DOTALL)
    assert named
    for attribute in vars(make(kind)):
        if attribute != "message" or kind.__init__ is kind.__bases__[0].__init__:
            assert re.search(rf"\b({attribute}|reason)\b", named[1]), attribute


@each
def test_it_says_what_happened_in_one_short_sentence(kind: type[RxferoError]) -> None:
    text = str(make(kind))
    for words in SAMPLES[kind][1]:
        assert words in text
    assert len(text) < 400
    assert "\n" not in text


@each
def test_it_answers_whether_it_happened_and_whether_to_retry(kind: type[RxferoError]) -> None:
    error = make(kind)
    assert error.outcome == ("uncertain" if kind in UNCERTAIN else "refused")
    assert error.retry is (kind in RETRY)
    assert isinstance(error, BUILTINS.get(kind, Exception))


@each
@pytest.mark.parametrize(
    "carry", [copy.copy, copy.deepcopy, lambda e: pickle.loads(pickle.dumps(e))]
)
def test_it_can_be_copied_and_pickled(kind: type[RxferoError], carry: Any) -> None:
    error = make(kind)
    error.add_note("seen on node a")
    made = carry(error)
    assert type(made) is kind
    assert vars(made) == vars(error)
    assert made.args == error.args
    assert str(made) == str(error)


@each
def test_it_is_shown_by_its_arguments(kind: type[RxferoError]) -> None:
    assert repr(make(kind)).startswith(f"{kind.__name__}({SAMPLES[kind][0][0]!r}")


def test_the_operating_systems_fields_hold_nothing_of_ours() -> None:
    timeout = make(errors.RequestTimeout)
    assert isinstance(timeout, TimeoutError)
    assert timeout.errno is None
    taken = make(errors.AddressInUse)
    assert isinstance(taken, OSError)
    assert taken.errno == errno.EADDRINUSE


def test_optional_parts() -> None:
    assert "(from" not in str(errors.ConfigurationError("a", 1, "hint"))
    assert "may still happen" in str(errors.RequestTimeout("update a", 30))
    assert "may still happen" in str(errors.RequestTimeout("update a", 30, 2))
    assert str(errors.NotReplicated("all", 0)).startswith("committed, but on 0")
    assert "..." not in str(errors.LostWrites(1, [7]))
    assert "knows nothing of what this node wrote" in str(errors.LostWrites(1, []))
    assert "9 items are waiting, the limit is 8 (maxsize)" in str(
        errors.Overloaded(9, 8, "items", "maxsize")
    )
    assert errors.HandshakeRefused("another version").reason == "another version"


def test_the_nearest_names() -> None:
    assert nearest("vnode", ["vnodes", "shards"]) == "did you mean 'vnodes'?"
    assert nearest("zzz", {"b", "a"}) == "valid are a, b"
    assert nearest("max", ["max", "mix"]).startswith("did you mean 'max' or 'mix'")
