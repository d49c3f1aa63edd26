# ruff: noqa: E501
"""The pages made from tables say what the tables say.

``python -m tests.docs.test_pages`` writes them anew.
"""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from rxfero import errors, operators, sources
from rxfero.constants import Constants
from rxfero.core import frame
from rxfero.events import EVENTS

DOCS = Path(__file__).parents[2] / "docs"

EVENTS_HEAD = """# Events

`cache.on(name)` gives an Observable, `cache.once(name)` an awaitable of the next, `cache.on("*")` all
as (name, payload). The laws by which events are told are in `rxfero.events`.

| name | payload | when |
|---|---|---|
"""

WIRE_HEAD = """# The wire

A connection carries frames: `u32 length | u8 kind | u8 flags | body`, big endian; the length counts
what follows it. A body is one msgpack array. Limits are checked before anything is decoded: frames of
a handshake are at most 4 KiB, others at most `outbox.frag`; a body holds at most `limits.containers`
containers and `limits.records` records.

The handshake: both sides send HELLO (magic, protocol range, cluster, service, name, boot, role, group,
address, digest, nonce), with a secret then AUTH (HMAC-SHA256 over both HELLOs, within 5 s), then WELCOME. What
does not fit is refused with the reason, before any state moves.

Records travel as columns: fence, shards, terms as runs, numbers, kinds, sessions as runs, sequence
numbers, keys, verbs, values (each packed by itself), stamps, origins, expiries; requests likewise.

"""

ERRORS_HEAD = """# Errors

Every error is an `RxferoError` with `outcome` ("refused": nothing happened; "uncertain": it may have)
and `retry` (whether the same call can succeed later).

| error | kind of | when | outcome | retry |
|---|---|---|---|---|
"""

CONSTANTS_HEAD = """# Constants

All times are milliseconds. Sources, later wins: defaults, a TOML file, the environment
(`RXFERO_CONSTANTS__OUTBOX__MAX=0`), arguments handed in (`--constants.outbox.max=0`), and code
(`fero("users", constants={"outbox": {"max": 0}})`).

| name | default | least | most | what |
|---|---|---|---|---|
"""


def events() -> str:
    rows = [f"| `{n}` | `{e.payload}` | {e.when} |" for n, e in EVENTS.items()]
    return EVENTS_HEAD + "\n".join(rows) + "\n"


def wire() -> str:
    return WIRE_HEAD + frame.describe() + "\n"


def error_index() -> str:
    rows: list[str] = []
    for name, kind in vars(errors).items():
        if isinstance(kind, type) and issubclass(kind, errors.RxferoError):
            first = (inspect.getdoc(kind) or "").splitlines()[0]
            bases = ", ".join(f"`{b.__name__}`" for b in kind.__bases__)
            again = "yes" if kind.retry else "no"
            rows.append(f"| `{name}` | {bases} | {first} | {kind.outcome} | {again} |")
    return ERRORS_HEAD + "\n".join(rows) + "\n"


def constants() -> str:
    rows = [
        f"| `{k.name}` | {k.default} | {k.low} | {k.high} | {k.doc} |"
        for k in sources.knobs(Constants)
    ]
    return CONSTANTS_HEAD + "\n".join(rows) + "\n"


OPERATORS_HEAD = """# Operators

`from rxfero import operators as fop`; each goes into `.pipe(...)` of any RxPY Observable. Wrong arguments
are refused when the chain is built, with the names of operator and argument. Each has at least three
[laws](#laws), tried by hypothesis, and a drawing of a run: above the box what goes in, below it what comes
out, a second a dash. How they go together: [streams.md](streams.md).

| operator | what |
|---|---|
"""


LAWS_HEAD = """## Laws

What hypothesis tries to break, for each of them in `tests/operators/test_<operator>.py`; a run on marbles is
compared with its drawing in `tests/docs/test_drawn.py`.

| operator | laws |
|---|---|
"""


def laws() -> str:
    rows: list[str] = []
    for name in filter(str.islower, operators.__all__):
        text = (DOCS.parent / "tests" / "operators" / f"test_{name}.py").read_text(encoding="utf-8")
        found = re.findall(r"^(?:async )?def test_law_(\w+)", text, re.MULTILINE)
        rows.append(f"| `{name}` | {'; '.join(law.replace('_', ' ') for law in found)} |")
    return LAWS_HEAD + "\n".join(rows) + "\n"


def operator_index() -> str:
    rows: list[str] = []
    drawn: list[str] = []
    for name in operators.__all__:
        value = getattr(operators, name)
        doc = inspect.getdoc(value) or ""
        rows.append(f"| `{name}` | {doc.splitlines()[0]} |")
        if name.islower():
            about = doc.split("\nRaises:")[0].rstrip()
            about = "\n".join(about.splitlines()[2:])
            shape = str(inspect.signature(value, eval_str=False)).split(" -> ")[0]
            shape = shape.replace("'", "")
            picture = f"![{name}, as it ran](marbles/{name}.svg)"
            drawn.append(f"## {name}\n\n{picture}\n\n```text\n{name}{shape}\n\n{about}\n```\n")
    tables = "\n".join(rows) + "\n\n" + laws()
    return OPERATORS_HEAD + tables + "\n" + "\n".join(drawn)


PAGES = {
    "operators.md": operator_index,
    "events.md": events,
    "wire.md": wire,
    "errors.md": error_index,
    "constants.md": constants,
}


@pytest.mark.parametrize("page", PAGES)
def test_a_page_says_what_its_table_says(page: str) -> None:
    assert (DOCS / page).read_text(encoding="utf-8") == PAGES[page]()


@pytest.mark.parametrize(
    "page", [DOCS.parent / "README.md", *sorted(DOCS.rglob("*.md"))], ids=lambda page: page.name
)
def test_links_of_a_page_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if "://" not in link:
            assert (page.parent / link).exists(), link


if __name__ == "__main__":
    for name, make in PAGES.items():
        (DOCS / name).write_text(make(), encoding="utf-8")
