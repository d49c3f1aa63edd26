"""The sources: where constants are given, read into one tree of checked values.

A group of constants is a frozen dataclass whose fields are knobs (made by :func:`knob`) or groups.
The functions here know such groups by their shape only, not which constants there are. Every
refusal names the constant, its value, and the source it came from.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, field, fields, is_dataclass
from pathlib import Path as File
from typing import Any, ClassVar, NamedTuple, cast

from rxfero.errors import ConfigurationError, nearest

INF = math.inf
ENVIRONMENT = "RXFERO_CONSTANTS__"
ARGUMENT = "--constants."


def knob(default: Any, low: float = 0, high: float = INF, doc: str = "") -> Any:
    """Define one constant: its default, and the smallest and largest value (both included)."""
    return field(default=default, metadata={"low": low, "high": high, "doc": doc})


class Group:
    """Constants that belong together; checks its fields at construction.

    Attributes:
        where: The name of the group from the top on.
    """

    __slots__ = ()
    where: ClassVar[str] = "constants"

    def __post_init__(self) -> None:
        for f in fields(cast("Any", self)):
            name, value = f"{self.where}.{f.name}", getattr(self, f.name)
            inner: Any = f.default_factory
            if inner is not MISSING:
                if type(value) is not inner:
                    raise ConfigurationError(name, value, "must be a group of constants")
            else:
                _check(name, value, f.default, f.metadata, "code")


class Knob(NamedTuple):
    """What there is to say of one constant."""

    name: str
    default: Any
    low: float
    high: float
    doc: str


def knobs(group: Any, where: str = "") -> Iterator[Knob]:
    """Give every constant of a group in the order of its definition (for a page of the docs)."""
    for f in fields(group):
        if f.default_factory is not MISSING:
            yield from knobs(f.default_factory, f"{where}{f.name}.")
        else:
            yield Knob(
                f"{where}{f.name}",
                f.default,
                f.metadata["low"],
                f.metadata["high"],
                f.metadata["doc"],
            )


# --- one value


def _check(name: str, value: Any, default: Any, rules: Mapping[str, Any], source: str) -> None:
    wanted, fits = _kind(default, value)
    if not fits:
        raise ConfigurationError(name, value, f"must be {wanted}", source)
    low, high = rules["low"], rules["high"]
    if isinstance(value, int | float) and not low <= value <= high:
        limits = f"at least {low}" if high == INF else f"within {low} and {high}"
        raise ConfigurationError(name, value, f"must be {limits}", source)


def _kind(default: Any, value: Any) -> tuple[str, bool]:
    """Say what a value of this constant must be, and whether this one is."""
    kind = cast("type[Any]", type(value))
    if isinstance(default, bool):
        return "true or false", kind is bool
    if isinstance(default, str):
        return "text of 1 to 255 characters", kind is str and 0 < len(value) <= 255
    if default == INF:
        return "a whole number or infinity", kind is int or (kind is float and value == INF)
    if isinstance(default, float):
        return "a number", kind is int or (kind is float and value == value)
    return "a whole number", kind is int


def _parse(text: str, default: Any) -> Any:
    """Read a value from text; what cannot be read stays text, and is refused as that."""
    if isinstance(default, str):
        return text
    lowered = text.strip().lower()
    if isinstance(default, bool):
        return _BOOLEANS.get(lowered, text)
    for kind in (int, float):
        try:
            return kind(lowered)
        except ValueError:
            continue
    return text


_BOOLEANS = {
    "true": True, "yes": True, "on": True, "1": True,
    "false": False, "no": False, "off": False, "0": False,
}  # fmt: skip


# --- trees of them


def as_dict(group: Any) -> dict[str, Any]:
    """Give all knobs as a nested dict."""
    return {
        f.name: as_dict(value) if is_dataclass(value := getattr(group, f.name)) else value
        for f in fields(group)
    }


def build(group: Any, tree: Mapping[str, Any]) -> Any:
    """Undo :func:`as_dict`."""
    return group(
        **{
            f.name: tree[f.name]
            if f.default_factory is MISSING
            else build(f.default_factory, tree[f.name])
            for f in fields(group)
        }
    )


def merge(
    group: Any, tree: dict[str, Any], changes: Any, source: str, *, text: bool = False
) -> None:
    """Check changes and put them into the tree of a group's values."""
    if not isinstance(changes, Mapping):
        raise ConfigurationError(group.where, changes, "must be a dict of names, values", source)
    known = {f.name: f for f in fields(group)}
    for key, value in cast("Mapping[Any, Any]", changes).items():
        head, _, rest = str(key).partition(".")
        found, name = known.get(head), f"{group.where}.{key}"
        if found is None:
            raise ConfigurationError(name, value, f"no such name; {nearest(head, known)}", source)
        below: Any = found.default_factory
        if below is not MISSING:
            inner: Any = {rest: value} if rest else value
            if type(inner) is below:
                inner = as_dict(inner)
            merge(below, tree[head], inner, source, text=text)
            continue
        if rest:
            raise ConfigurationError(
                name, value, f"{group.where}.{head} is one value, not a group", source
            )
        if text and isinstance(value, str):
            value = _parse(value, found.default)
        _check(name, value, found.default, found.metadata, source)
        tree[head] = value


# --- sources


def read_environment(env: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """Give variable, name and text of each ``RXFERO_CONSTANTS__GROUP__NAME=text``."""
    for variable, text in env.items():
        if variable.upper().startswith(ENVIRONMENT):
            yield variable, variable[len(ENVIRONMENT) :].lower().replace("__", "."), text


def read_toml(file: str | File) -> Any:
    """Give a file's table ``[constants]``, or all of it if it has none."""
    try:
        content = tomllib.loads(File(file).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError("constants", str(file), f"cannot be read: {error}") from error
    return content.get("constants", content)


def read_arguments(argv: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Give name and text of each ``--constants.name=text`` or ``--constants.name text``."""
    given = iter(argv)
    for argument in given:
        if not argument.startswith(ARGUMENT):
            continue
        key, equals, value = argument.removeprefix(ARGUMENT).partition("=")
        if not equals:
            value = next(given, "--")
            if value.startswith("--"):
                raise ConfigurationError(
                    f"constants.{key}", None, "needs a value", f"the argument {argument}"
                )
        yield key, value
