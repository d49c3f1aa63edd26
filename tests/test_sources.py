"""The sources: text, tables and dicts become one tree of checked values, or are refused by name."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxfero.errors import ConfigurationError
from rxfero.sources import (
    INF,
    Group,
    Knob,
    as_dict,
    build,
    knob,
    knobs,
    merge,
    read_arguments,
    read_environment,
    read_toml,
)


@dataclass(frozen=True, slots=True)
class Inner(Group):
    where = "constants.inner"

    size: int = knob(8, 1, 16, "a size")
    share: float = knob(0.5, 0, 1, "a share")
    most: float = knob(INF, 1, INF, "the most")


@dataclass(frozen=True, slots=True)
class Whole(Group):
    inner: Inner = field(default_factory=Inner)
    flag: bool = knob(False, doc="a flag")
    text: str = knob("word", doc="a text")


def merged(changes: Any, *, text: bool = False) -> Whole:
    tree = as_dict(Whole())
    merge(Whole, tree, changes, "here", text=text)
    return build(Whole, tree)


def test_a_tree_is_built_from_what_it_was_taken_from() -> None:
    assert build(Whole, as_dict(Whole())) == Whole()
    assert as_dict(Whole()) == {
        "inner": {"size": 8, "share": 0.5, "most": INF},
        "flag": False,
        "text": "word",
    }


@pytest.mark.parametrize(
    "changes",
    [
        {"inner": {"size": 9}, "flag": True},
        {"inner.size": 9, "flag": True},
        {"inner": Inner(size=9), "flag": True},
    ],
)
def test_nested_and_dotted_and_whole_groups_say_the_same(changes: Any) -> None:
    assert merged(changes) == Whole(Inner(size=9), flag=True)


@pytest.mark.parametrize(
    ("changes", "option", "why"),
    [
        ({"innr": 1}, "constants.innr", "did you mean 'inner'"),
        ({"inner": {"siz": 1}}, "constants.inner.siz", "did you mean 'size'"),
        ({"inner.siz": 1}, "constants.inner.siz", "did you mean 'size'"),
        ({"zzzz": 1}, "constants.zzzz", "valid are flag, inner, text"),
        ({1: 1}, "constants.1", "no such name"),
        ({"": 1}, "constants.", "no such name"),
        ({"flag.x": 1}, "constants.flag.x", "constants.flag is one value, not a group"),
        ({"inner": 1}, "constants.inner", "must be a dict"),
        ({"inner": None}, "constants.inner", "must be a dict"),
        ({"inner": Whole()}, "constants.inner", "must be a dict"),
        (7, "constants", "must be a dict"),
        ({"flag": 1}, "constants.flag", "must be true or false"),
        ({"flag": "true"}, "constants.flag", "must be true or false"),
        ({"text": ""}, "constants.text", "must be text of 1 to 255"),
        ({"text": "x" * 256}, "constants.text", "must be text of 1 to 255"),
        ({"text": 1}, "constants.text", "must be text"),
        ({"inner.size": 1.0}, "constants.inner.size", "must be a whole number"),
        ({"inner.size": True}, "constants.inner.size", "must be a whole number"),
        ({"inner.size": "8"}, "constants.inner.size", "must be a whole number"),
        ({"inner.size": None}, "constants.inner.size", "must be a whole number"),
        ({"inner.size": 0}, "constants.inner.size", "must be within 1 and 16"),
        ({"inner.size": 17}, "constants.inner.size", "must be within 1 and 16"),
        ({"inner.share": float("nan")}, "constants.inner.share", "must be a number"),
        ({"inner.share": -0.1}, "constants.inner.share", "must be within 0 and 1"),
        ({"inner.share": "half"}, "constants.inner.share", "must be a number"),
        ({"inner.most": 0}, "constants.inner.most", "must be at least 1"),
        ({"inner.most": 1.5}, "constants.inner.most", "a whole number or infinity"),
        ({"inner.most": -INF}, "constants.inner.most", "a whole number or infinity"),
    ],
    ids=lambda v: repr(v)[:30],
)
def test_what_does_not_fit_is_refused_by_name_source_and_hint(
    changes: Any, option: str, why: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        merged(changes)
    assert caught.value.option == option
    assert caught.value.source == "here"
    assert why in str(caught.value)
    assert "(from here)" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("inner.size", " 9 ", 9),
        ("inner.share", "0.25", 0.25),
        ("inner.share", "1", 1),
        ("inner.most", "inf", INF),
        ("inner.most", "Infinity", INF),
        ("inner.most", "3", 3),
        ("flag", "TRUE", True),
        ("flag", "yes", True),
        ("flag", "on", True),
        ("flag", "1", True),
        ("flag", "0", False),
        ("flag", "off", False),
        ("text", "1", "1"),
    ],
)
def test_text_is_read_as_what_the_constant_is(name: str, text: str, value: Any) -> None:
    tree = as_dict(merged({name: text}, text=True))
    for part in name.split("."):
        tree = tree[part]
    assert tree == value
    assert type(tree) is type(value)


@pytest.mark.parametrize(
    ("name", "text"),
    [("inner.size", ""), ("inner.size", "many"), ("inner.size", "1.5"), ("inner.share", "nan"),
     ("flag", "maybe"), ("flag", "2"), ("text", ""), ("inner.most", "1e3")],
)  # fmt: skip
def test_text_that_is_none_of_it_is_refused(name: str, text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        merged({name: text}, text=True)
    assert caught.value.option == f"constants.{name}"


@given(st.integers(1, 16), st.floats(0, 1), st.booleans())
def test_whatever_fits_comes_through(size: int, share: float, flag: bool) -> None:
    made = merged({"inner": {"size": size, "share": share}, "flag": flag})
    assert (made.inner.size, made.inner.share, made.flag) == (size, share, flag)
    texts = {"inner.size": str(size), "inner.share": repr(share), "flag": str(flag)}
    assert merged(texts, text=True) == made


def test_groups_made_by_hand_are_checked_too() -> None:
    with pytest.raises(ConfigurationError, match=r"constants\.inner\.size=99: must be within"):
        Inner(size=99)
    with pytest.raises(ConfigurationError, match="must be a group of constants"):
        Whole(inner={"size": 1})  # type: ignore[arg-type]
    with pytest.raises(AttributeError):
        Inner().size = 9  # type: ignore[misc]


def test_every_knob_says_what_it_is() -> None:
    found = list(knobs(Whole))
    assert found[0] == Knob("inner.size", 8, 1, 16, "a size")
    assert [k.name for k in found] == ["inner.size", "inner.share", "inner.most", "flag", "text"]


def test_a_file_gives_its_table_or_all_of_itself(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text("[constants]\nflag = true\n[other]\nx = 1\n", encoding="utf-8")
    assert read_toml(file) == {"flag": True}
    file.write_text("flag = true\n[inner]\nmost = inf\n", encoding="utf-8")
    assert merged(read_toml(str(file))) == Whole(Inner(most=INF), flag=True)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"none\.toml.*cannot be read"):
        read_toml(tmp_path / "none.toml")
    bad = tmp_path / "bad.toml"
    bad.write_text("flag = = true", encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"bad\.toml.*cannot be read"):
        read_toml(bad)
    bad.write_bytes(b"text = '\xff'")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_toml(bad)


def test_the_environment_gives_what_begins_with_our_name() -> None:
    env = {"PATH": "/bin", "RXFERO_CONSTANTS__INNER__SIZE": "9", "RXFERO_OTHER": "1",
           "rxfero_constants__flag": "1"}  # fmt: skip
    assert [*read_environment(env)] == [
        ("RXFERO_CONSTANTS__INNER__SIZE", "inner.size", "9"),
        ("rxfero_constants__flag", "flag", "1"),
    ]


def test_arguments_give_both_forms_and_leave_the_rest() -> None:
    argv = ["demo", "--constants.flag=1", "-v", "--constants.inner.size", "9", "--seed", "4",
            "--constants.text=a=b", "--constants.inner.most", "-1"]  # fmt: skip
    assert [*read_arguments(argv)] == [
        ("flag", "1"),
        ("inner.size", "9"),
        ("text", "a=b"),
        ("inner.most", "-1"),
    ]


@pytest.mark.parametrize("rest", [[], ["--seed"], ["--constants.flag=1"]])
def test_an_argument_without_its_value_is_refused(rest: list[str]) -> None:
    with pytest.raises(ConfigurationError, match="needs a value") as caught:
        list(read_arguments(["--constants.inner.size", *rest]))
    assert caught.value.option == "constants.inner.size"
