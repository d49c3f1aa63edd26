"""The state: a fold equal to a naive one, snapshots that never change, and what verbs mean."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rxfero.core.change import DATA, LOST, Record
from rxfero.core.path import Path, wire
from rxfero.core.position import Term
from rxfero.core.state import State, pairs_of
from rxfero.core.tree import Tree
from rxfero.core.value import FrozenDict, FrozenList, pack, thaw, unpack
from rxfero.errors import (
    CompareFailed,
    KeyMissing,
    ProtocolError,
    Refused,
    RxferoError,
    ValueRefused,
    WrongType,
)

TERM = Term(1, 1)
NIL = pack(None)


def record(
    number: int, verb: str, path: tuple[Any, ...], value: bytes = NIL, expires: int = 0
) -> Record:
    return Record(TERM, number, DATA, f"s{number % 3}", number, wire(path), verb, value, number << 16,
                  None, expires)  # fmt: skip


class Writer:
    """An owner of one shard: resolves, logs, applies."""

    def __init__(self) -> None:
        self.state = State()
        self.log: list[Record] = []

    def write(
        self, verb: str, path: Any, value: Any = None, *, expect: Any = None, expires: int = 0
    ) -> Record:
        steps = tuple(Path.parse(path)) if path != () else ()
        verb, steps, packed = self.state.resolve(verb, steps, pack(value), expect=expect)
        fresh = record(len(self.log) + 1, verb, steps, packed, expires)
        self.log.append(fresh)
        self.state.apply(fresh)
        return fresh

    def __getitem__(self, key: str | int) -> Any:
        return self.state.get(key)


@pytest.fixture
def owner() -> Writer:
    """A shard with a map under "k" and a list in it."""
    writer = Writer()
    writer.write("update", "k", {"a": {"b": 1}, "l": [1, 2]})
    return writer


# --- reading


def test_values_are_packed_until_read(owner: Writer) -> None:
    assert type(owner.state.parts["k"]) is Record
    assert owner["k"] == {"a": {"b": 1}, "l": [1, 2]}
    assert type(owner.state.parts["k"]) is Tree
    assert owner["k"] is owner["k"], "a snapshot costs nothing"


def test_a_mapping_of_the_top_level_keys(owner: Writer) -> None:
    owner.write("update", (1,), "one")
    owner.write("update", ("1",), "text")
    state = owner.state
    assert list(state) == ["k", 1, "1"]
    assert len(state) == 3
    assert 1 in state
    assert 2 not in state
    assert dict(state.items()) == {"k": {"a": {"b": 1}, "l": [1, 2]}, 1: "one", "1": "text"}
    with pytest.raises(KeyError):
        state.get("x")


def test_items_are_drawn_while_keys_come_and_go(owner: Writer) -> None:
    owner.write("update", "z", 1)
    drawn: list[Any] = []
    for item in owner.state.items():
        drawn.append(item[0])
        owner.write("update", "new", 1)
        if "z" in owner.state:
            owner.write("remove", "z")
    assert drawn == ["k"]


def test_deep_reads(owner: Writer) -> None:
    at = owner.state.at
    assert at(("k", "a", "b")) == 1
    assert at(("k", "l", 1)) == at(("k", "l", "1")) == 2
    assert at(("k", "l")) == [1, 2]
    for path in ((), ("x",), ("k", "x"), ("k", "l", 2), ("k", "a", "b", "c")):
        assert at(path) is None
        assert at(path, 7) == 7


def test_what_a_reader_holds_is_read_only_and_stays(owner: Writer) -> None:
    whole, inner = owner["k"], owner.state.at(("k", "a"))
    owner.write("update", "k.a.b", 2)
    owner.write("push", "k.l", 3)
    owner.write("remove", "k.l.0")
    assert whole == {"a": {"b": 1}, "l": [1, 2]}
    assert inner == {"b": 1}
    assert owner["k"] == {"a": {"b": 2}, "l": [2, 3]}
    with pytest.raises(TypeError, match="snapshot"):
        whole["a"] = 1


# --- verbs


def test_update_add_and_verbs_of_the_users_own_set_the_value(owner: Writer) -> None:
    for verb in ("update", "add", "approve"):
        assert owner.write(verb, "k.a.b", verb).verb == verb
        assert owner["k"]["a"]["b"] == verb
        owner.write(verb, "k2", verb)
        assert owner["k2"] == verb


def test_missing_levels_become_maps(owner: Writer) -> None:
    owner.write("update", "new.x.0", 1)
    owner.write("update", ("new", "y", 0), 2)
    owner.write("update", "k.a.b.c", 3)
    assert owner["new"] == {"x": {"0": 1}, "y": {0: 2}}
    assert owner["k"]["a"] == {"b": {"c": 3}}


def test_push_is_resolved_to_an_index(owner: Writer) -> None:
    assert owner.write("push", "k.l", 3)[5:7] == (("k", "l", 2), "add")
    assert owner.write("push", "log", "first")[5:7] == (("log", 0), "add")
    assert owner.write("push", "log", "second").path == ("log", 1)
    assert owner.write("push", "k.n.m", 1).path == ("k", "n", "m", 0)
    assert owner.write("push", "k.l.3", 9).path == ("k", "l", 3, 0)
    owner.write("push", "k.l.3", 8)
    assert owner["log"] == ["first", "second"]
    assert owner["k"] == {"a": {"b": 1}, "l": [1, 2, 3, [9, 8]], "n": {"m": [1]}}


@pytest.mark.parametrize("path", ["k", "k.a", "k.a.b", "k.l.0", "n"])
def test_push_to_what_is_no_list_is_refused(owner: Writer, path: str) -> None:
    owner.write("update", "n", None)
    with pytest.raises(WrongType, match="is no list"):
        owner.write("push", path, 1)
    with pytest.raises(WrongType, match="no index"):
        owner.write("push", "k.l.9", 1)


def test_list_indices(owner: Writer) -> None:
    assert owner.write("update", "k.l.0", "x").path == ("k", "l", 0)
    owner.write("update", ("k", "l", 2), "end")
    owner.write("update", "k.l.3.deep", 1)
    assert owner["k"]["l"] == ["x", 2, "end", {"deep": 1}]
    owner.write("remove", "k.l.1")
    assert owner["k"]["l"] == ["x", "end", {"deep": 1}]
    for path in ("k.l.5", "k.l.-1", "k.l.x", "k.l.9.y"):
        with pytest.raises(WrongType, match="no index of a list of 3"):
            owner.write("update", path, 1)


def test_remove(owner: Writer) -> None:
    assert owner.write("remove", "k.a.b", "whatever").value == NIL
    assert owner["k"]["a"] == {}
    assert owner.write("remove", "k.l.0").path == ("k", "l", 0)
    for path in ("k.a.b", "k.l.7", "x", "x.y", "k.l.0.z"):
        with pytest.raises(KeyMissing) as caught:
            owner.write("remove", path)
        assert str(caught.value) == f"there is nothing at {path}"
    owner.write("remove", "k")
    assert "k" not in owner.state
    assert owner.state.stamp(("k",)) is None


def test_a_write_needs_a_key(owner: Writer) -> None:
    for verb in ("update", "push", "remove", "mine"):
        with pytest.raises(Refused, match="needs a key"):
            owner.write(verb, (), 1)


def test_a_refusal_changes_nothing(owner: Writer) -> None:
    before = owner.state.dump()
    for verb, path, value, expect in (
        ("push", "k.a", 1, None),
        ("remove", "k.zz", None, None),
        ("update", "k.l.9", 1, None),
        ("patch", "k", {"a.b": 2, "l.7": 1}, None),
        ("patch", "k", [["l", []], ["l.1", 1]], None),
        ("update", "k", 1, ("absent",)),
        ("update", "k.a.b", 1, ("value", pack(3))),
    ):
        with pytest.raises(Refused):
            owner.write(verb, path, value, expect=expect)
    assert owner.state.dump() == before


# --- patch


def test_a_patch_is_one_record_of_several_writes(owner: Writer) -> None:
    held = owner["k"]
    done = owner.write("patch", "k", {"a.b": 2, "c.d": {"e": 3}, "l.2": 4, 7: 5})
    assert owner["k"] == {"a": {"b": 2}, "l": [1, 2, 4], "c": {"d": {"e": 3}}, 7: 5}
    assert held == {"a": {"b": 1}, "l": [1, 2]}
    assert owner.state.stamp(("k",)) == (done.hlc, done.sid, done.seq, done.number)


def test_a_patch_of_pairs_takes_any_key_and_any_order(owner: Writer) -> None:
    owner.write("patch", "k", [[["x.y", "z"], 1], ["l", [0]], ["l.1", 2], [["l", 2], 3]])
    assert owner["k"] == {"a": {"b": 1}, "l": [0, 2, 3], "x.y": {"z": 1}}


def test_a_patch_makes_its_key(owner: Writer) -> None:
    owner.write("patch", "new", {"a": 1, "b.c": 2})
    owner.write("patch", "none", {})
    assert owner["new"] == {"a": 1, "b": {"c": 2}}
    assert "none" not in owner.state
    owner.write("patch", "new.b", {"d": 3})
    assert owner["new"]["b"] == {"c": 2, "d": 3}


def test_a_patch_without_a_key_writes_several(owner: Writer) -> None:
    owner.write("patch", (), {"k.a.b": 5, "other": 6})
    assert owner["k"]["a"]["b"] == 5
    assert owner["other"] == 6
    with pytest.raises(ValueRefused):
        owner.write("patch", (), [[[], 1]])


@pytest.mark.parametrize("value", [1, None, "x", [1], [["a"]], [["a", 1, 2]], [{"a": 1}]])
def test_what_is_no_patch_is_refused(owner: Writer, value: Any) -> None:
    with pytest.raises(WrongType, match="a patch is a map"):
        owner.write("patch", "k", value)


def test_a_patch_of_maps_does_not_cost_a_copy(owner: Writer) -> None:
    owner.write("update", "k.a.c", 1)
    inner = owner.state.parts["k"].root["a"]  # type: ignore[union-attr]
    owner.write("patch", "k", {"a.b": 2, "a.c": 3})
    assert owner.state.parts["k"].root["a"] is inner  # type: ignore[union-attr]


def test_pairs_of() -> None:
    assert pairs_of(unpack(pack({"a.b": 1, 2: 3}))) == [(("a", "b"), 1), ((2,), 3)]
    assert pairs_of(unpack(pack([["a.b", 1], [["a.b"], 2], [3, 4]]))) == [
        (("a", "b"), 1),
        (("a.b",), 2),
        ((3,), 4),
    ]
    with pytest.raises(ValueRefused):
        pairs_of(unpack(pack({"": 1})))
    with pytest.raises(ValueRefused):
        pairs_of(unpack(pack([[None, 1]])))


# --- compare and set


def test_compare_with_a_value(owner: Writer) -> None:
    owner.write("update", "k.a", 2, expect=("value", pack({"b": 1})))
    owner.write("update", "k", 3, expect=["value", pack({"l": [1, 2], "a": 2})])
    owner.write("update", "k", 4, expect=("value", pack(3)))
    with pytest.raises(CompareFailed) as caught:
        owner.write("update", "k", 5, expect=("value", pack(3)))
    assert (caught.value.expected, caught.value.actual) == (3, 4)
    with pytest.raises(CompareFailed):
        owner.write("update", "x", 5, expect=("value", NIL))
    owner.write("remove", "k", expect=("value", pack(4)))
    assert "k" not in owner.state


def test_compare_with_the_number_of_the_last_write(owner: Writer) -> None:
    last = owner.write("update", "k.a.b", 2).number
    with pytest.raises(CompareFailed) as caught:
        owner.write("update", "k", 1, expect=("number", 1))
    assert (caught.value.expected, caught.value.actual) == (1, last)
    owner.write("update", "k", 1, expect=("number", last))
    owner.write("update", "x", 1, expect=("number", 0))


def test_compare_with_nothing(owner: Writer) -> None:
    owner.write("add", "k.new", 1, expect=("absent",))
    owner.write("add", "fresh", None, expect=["absent"])
    for path in ("k", "k.new", "fresh"):
        with pytest.raises(CompareFailed):
            owner.write("add", path, 1, expect=["absent"])


@pytest.mark.parametrize(
    "expect", [(), [], 5, "absent", ("absent", 1), ("value",), ("value", 1), ("number", "1"), {}]
)
def test_a_condition_of_no_known_form_is_refused(owner: Writer, expect: Any) -> None:
    with pytest.raises(Refused, match="no known form"):
        owner.write("update", "k", 1, expect=expect)


def test_a_comparison_leaves_the_value_unshared(owner: Writer) -> None:
    owner.write("update", "k.a.b", 2)
    root = owner.state.parts["k"].root  # type: ignore[union-attr]
    owner.write("update", "k.a.b", 3, expect=("value", pack(2)))
    owner.write("update", "k.a.b", 4, expect=("number", 3))
    assert owner.state.parts["k"].root is root  # type: ignore[union-attr]


# --- limits and strange records


def nested(levels: int) -> Any:
    value: Any = 0
    for _ in range(levels):
        value = [value]
    return value


def test_a_value_that_could_not_be_written_again_is_refused(owner: Writer) -> None:
    owner.write("update", "k.a.b", nested(29))
    assert pack(owner["k"])
    for verb, path, value in (
        ("update", "k.a.b", nested(30)),
        ("push", "k.l", nested(30)),
        ("patch", "k", {"a.b": nested(30)}),
        ("update", tuple("x" * 32), [1]),
    ):
        with pytest.raises(ValueRefused, match="deeper than 32"):
            owner.write(verb, path, value)
    wide = [[i] for i in range(40)]
    owner.write("update", "k.a.b", wide)
    owner.write("patch", "k", {"a.b": wide})
    owner.write("push", "k.l", wide)


@pytest.mark.parametrize(
    "strange",
    [
        record(2, "update", ("k", "l", 9), pack(1)),
        record(2, "update", ("k", "l", "x", "y"), pack(1)),
        record(2, "update", (), pack(1)),
        record(2, "patch", ("k",), pack(1)),
        record(2, "patch", ("k",), pack([[[], 1]])),
        record(2, "patch", (), pack([])),
        record(2, "update", ("k", "a"), b"\xc1"),
        record(2, "remove", ("x", "y")),
        record(2, "remove", ("x",)),
    ],
)
def test_a_record_that_means_nothing_here_has_no_effect(owner: Writer, strange: Record) -> None:
    before = owner.state.dump()
    owner.state.apply(strange)
    assert owner.state.dump() == before


def test_a_value_that_cannot_be_read_harms_only_its_reader() -> None:
    state = State()
    state.apply(record(1, "update", ("bad",), b"\xc1"))
    state.apply(record(2, "update", ("bad", "x"), pack(1)))
    state.apply(record(3, "update", ("good",), pack(1)))
    assert state.get("good") == 1
    for read in (
        lambda: state.get("bad"),
        lambda: state.at(("bad", "x")),
        lambda: state.resolve("update", ("bad", "x"), NIL),
    ):
        with pytest.raises(ProtocolError):
            read()
    assert state.dump()[0][1] == b"\xc1"
    state.apply(record(4, "update", ("bad",), pack(2)))
    assert state.get("bad") == 2


# --- stamps and time to live


def test_a_part_carries_the_stamp_of_its_newest_write(owner: Writer) -> None:
    first = owner.log[0]
    assert owner.state.stamp(("k", "a")) == (first.hlc, first.sid, first.seq, 1)
    _ = owner["k"]
    assert owner.state.stamp(("k",)) == (first.hlc, first.sid, first.seq, 1)
    for write in (("update", "k.a.b", 2), ("remove", "k.a", None), ("update", "k", 3)):
        last = owner.write(*write)
        assert owner.state.stamp(("k",)) == (last.hlc, last.sid, last.seq, last.number)
    assert owner.state.stamp(("x",)) is None
    assert owner.state.stamp(()) is None


def test_keys_expire_in_the_order_of_their_ends() -> None:
    owner = Writer()
    for key, end in (("c", 300), ("a", 100), (7, 200), ("b", 100), ("never", 0)):
        owner.write("update", (key,), 1, expires=end)
    state = owner.state
    assert state.next_end == 100
    assert state.expired(99) == []
    assert state.expired(200) == ["a", "b", 7]
    assert state.expired(200) == ["a", "b", 7], "they stay until the log removes them"
    for key in state.expired(200):
        owner.write("remove", (key,))
    assert state.expired(200) == []
    assert state.next_end == 300
    owner.write("remove", "c")
    assert state.expired(1000) == []
    assert state.next_end == 0


def test_a_whole_write_replaces_the_time_to_live_and_a_deep_one_keeps_it() -> None:
    owner = Writer()
    owner.write("update", "k", {"a": 1}, expires=100)
    owner.write("update", "k.a", 2)
    assert owner.state.expired(100) == ["k"]
    owner.write("update", "k.a", 2, expires=200)
    assert owner.state.expired(199) == []
    assert owner.state.expired(200) == ["k"]
    owner.write("update", "k", {"a": 1})
    assert owner.state.expired(10**6) == []
    owner.write("update", "k", 1, expires=300)
    owner.write("update", "k", 2, expires=300)
    assert owner.state.expired(300) == ["k"], "once"
    owner.write("update", "deep.new", 1, expires=300)
    owner.write("patch", "p", {"a": 1, "b": 2}, expires=300)
    assert owner.state.expired(300) == ["deep", "k", "p"]


# --- against a naive fold, with snapshots held


def naive(state: dict[Any, Any], verb: str, path: tuple[Any, ...], value: Any) -> dict[Any, Any]:
    """The same fold without any sharing: everything is copied, every time."""
    if verb == "patch":
        pairs = value.items() if isinstance(value, dict) else value
        for below, item in pairs:
            state = naive(state, "update", (*path, *Path.parse(below)), item)
        return state
    state = deepcopy(state)
    node: Any = {"root": state}
    steps = ("root", *path)
    for depth, step in enumerate(steps[:-1]):
        at = int(step) if isinstance(node, list) else step
        known = at < len(node) if isinstance(node, list) else at in node
        if verb == "remove" and not (known and isinstance(node[at], dict | list)):
            return state
        if not known or not isinstance(node[at], dict | list):
            missing = not known and verb == "add" and depth == len(steps) - 2
            fresh: Any = [] if missing and steps[-1] == 0 and type(steps[-1]) is int else {}
            node.append(fresh) if isinstance(node, list) and not known else node.__setitem__(
                at, fresh
            )
        node = node[at]
    last = int(steps[-1]) if isinstance(node, list) else steps[-1]
    if verb == "remove":
        del node[last]
    elif isinstance(node, list) and last == len(node):
        node.append(deepcopy(value))
    else:
        node[last] = deepcopy(value)
    return state


leaves = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "x"])
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "b", "0", 0, 1]), inner, max_size=3)
    ),
    max_leaves=6,
)
elements = st.sampled_from(["a", "b", "0", "1", 0, 1, 2])
paths = st.lists(elements, min_size=1, max_size=4).map(tuple)
patches = st.lists(
    st.tuples(st.lists(elements, min_size=1, max_size=3), values).map(list), max_size=3
)
writes = (
    st.tuples(st.sampled_from(["update", "add", "push", "remove", "mine"]), paths, values)
    | st.tuples(st.just("patch"), paths | st.just(()), patches)
    | st.tuples(st.just("read"), paths, st.just(None))
)


@settings(max_examples=300, deadline=None)
@given(st.lists(writes, max_size=25), st.integers(0, 25))
def test_the_fold_is_the_naive_one_and_snapshots_never_change(
    steps: list[tuple[str, tuple[Any, ...], Any]], middle: int
) -> None:
    owner, model = Writer(), dict[Any, Any]()
    held: list[tuple[Any, Any]] = []
    states: list[list[Any]] = [owner.state.dump()]
    for verb, path, value in steps:
        if verb == "read":
            found = [owner.state.at(path), owner.state.at(path[:1])]
            held += [(value, thaw(value)) for value in found]
            continue
        try:
            done = owner.write(verb, path, value)
        except RxferoError:
            assert owner.state.dump() == states[-1], "a refusal changes nothing"
            continue
        model = naive(model, done.verb, done.path, thaw(unpack(done.value)))
        assert {k: thaw(v) for k, v in _peek(owner.state).items()} == model
        states.append(owner.state.dump())
    assert all(value == copy for value, copy in held), "a snapshot changed"
    _assert_replicas_agree(owner, states, min(middle, len(owner.log)))


def _peek(state: State) -> dict[Any, Any]:
    """Read everything without marking it as shared."""
    return {row[0]: unpack(row[1]) for row in state.dump()}


def _assert_replicas_agree(owner: Writer, states: list[list[Any]], middle: int) -> None:
    reader, late, again = State(), State(), State()
    for done in owner.log:
        reader.apply(done)
        _ = dict(reader.items())
    late.load(unpack(pack(states[middle])))
    for done in owner.log[middle:]:
        late.apply(done)
    again.rebuild(states[middle], owner.log[middle:])
    for replica in (reader, late, again):
        assert replica.dump() == owner.state.dump()
        assert replica.digest() == owner.state.digest()


def test_a_rebuild_takes_data_only(owner: Writer) -> None:
    lost = record(9, "update", ("lost",), pack(1))._replace(kind=LOST)
    state = State()
    state.apply(record(1, "update", ("old",), expires=5))
    state.rebuild(owner.state.dump(), [lost, record(10, "update", ("x",), pack(2))])
    assert list(state) == ["k", "x"]
    assert state.next_end == 0


def test_digests_tell_states_apart_but_not_their_order() -> None:
    one, other = State(), State()
    first, second = record(1, "update", ("a",), pack(1)), record(2, "update", (5,), pack(2))
    for state, order in ((one, (first, second)), (other, (second, first))):
        for done in order:
            state.apply(done)
    assert one.digest() == other.digest()
    other.apply(record(3, "update", ("a",), pack(1)))
    assert one.digest() != other.digest()
    one.clear()
    assert one.digest() == State().digest()


def test_a_dump_loads_lazily_and_keeps_the_ends() -> None:
    owner = Writer()
    owner.write("update", "k", {"a": 1}, expires=50)
    owner.write("update", "k.b", 2)
    state = State()
    state.load(owner.state.dump())
    assert type(state.parts["k"]) is Record
    assert state.expired(50) == ["k"]
    assert state.get("k") == {"a": 1, "b": 2}
    assert isinstance(state.get("k"), FrozenDict)
    assert state.stamp(("k",)) == owner.state.stamp(("k",))


@given(values)
def test_reading_a_value_does_not_change_its_bytes(value: Any) -> None:
    packed = pack(value)
    assert pack(unpack(packed)) == packed
    assert not isinstance(unpack(packed), list) or isinstance(unpack(packed), FrozenList)
