"""The drawings: marble diagrams that are run on virtual time, and drawn as they came out.

One for each operator, in docs/operators.md, and some more. ``python -m tests.docs.drawn`` draws
them anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

import reactivex
from reactivex import Observable
from reactivex import operators as ops
from reactivex.notification import OnError, OnNext
from reactivex.observable.marbles import parse
from reactivex.scheduler.eventloop import AsyncIOScheduler

from rxfero import operators as fop
from rxfero.core.change import Change
from rxfero.errors import RequestTimeout
from rxfero.testing import FakeCache, SimulatedCluster, simulate
from rxfero.testing.marbles import COMPLETED, ERROR, NEXT, Message
from tests.operators import fake

PLACE = Path(__file__).parents[2] / "docs" / "marbles"
STEP, LEFT, ROW, RADIUS, END_S = 44, 30, 56, 17, 16
COLOURS = {"a": "#8ecae6", "b": "#ffd166", "c": "#95d5b2", "x": "#f4a3a3"}
OTHER = "#dddddd"


class Drawing(NamedTuple):
    """What goes in, what is said of the operator, and what it makes of it (also a diagram)."""

    sources: tuple[str, ...]
    label: str
    chain: Callable[..., Any]
    wanted: str
    values: dict[str, Any] = {}


def letter(item: Any) -> str:
    """Give the key of an item: its first letter."""
    return str(item)[0]


def checked(item: Any) -> Any:
    """Refuse an x."""
    if item == "x":
        raise ValueError(item)
    return item


def shown(item: Any) -> str:
    """Say in few letters what an item is."""
    match item:
        case Change():
            return str(item.key)
        case fop.Window():
            return f"{item.key} {len(item.items)}"
        case {"type": kind}:
            return kind[:3]
        case tuple() | list():
            return "".join(str(part) for part in item)
        case _:
            return str(item)


# --- what the operators are applied to


class Late(fake.FakeCache):
    """Answers after some seconds each; what is refused at first is answered the second time."""

    def __init__(self, seconds: dict[str, float], refuses: str = "") -> None:
        super().__init__()
        self._seconds, self._refuses = seconds, refuses

    def ask(self, *what: Any) -> fake.FakeGuarantee:
        guarantee = super().ask(*what)
        item = what[-1]["value"] if isinstance(what[-1], dict) else what[-1]
        loop = asyncio.get_running_loop()
        if item in self._refuses:
            self._refuses = self._refuses.replace(item, "")
            loop.call_later(1, guarantee.fail, RequestTimeout(item, 1))
        else:
            loop.call_later(self._seconds[item], guarantee.settle, f"{item}!")
        return guarantee


def late(operator: Any) -> Callable[[Observable[Any]], Observable[Any]]:
    """Give a chain that asks for each item, and awaits: a after 4 seconds, others after 1."""
    return lambda source: source.pipe(
        fop.send(Late({"a": 4, "b": 1, "c": 1}), type="ask"), operator
    )


def written(operator: Callable[[FakeCache], Any], **held: Any) -> Callable[..., Observable[Any]]:
    """Give a chain that writes into a cache, and shows what was written."""

    def chain(source: Observable[Any]) -> Observable[Any]:
        cache = FakeCache(held)
        return source.pipe(operator(cache), ops.map(lambda _: change_of(cache)))

    return chain


def change_of(cache: FakeCache) -> str:
    """Say what the last change did."""
    change = cache.changes[-1]
    sign = {"update": "=", "add": ":", "push": "+", "remove": "-"}[change.type]
    return f"{change.key}{sign}{'' if change.value is None else change.value}"


async def upper(item: str) -> str:
    """Take four seconds for an a, and one for others."""
    await asyncio.sleep(4 if item == "a" else 1)
    return item.upper()


async def lines() -> AsyncGenerator[str]:
    """Give three items, two seconds apart."""
    for item in "abc":
        yield item
        await asyncio.sleep(2)


def pulled(source: Observable[Any]) -> Observable[Any]:
    """Take items two seconds apart."""

    async def take() -> AsyncIterator[Any]:
        async for item in source.pipe(fop.to_async_iter()):
            yield item
            await asyncio.sleep(2)

    return fop.from_async_iter(take())


def owned(source: Observable[Any]) -> Observable[Any]:
    """Own a alone."""
    cache = fake.FakeCache()
    cache.peers.owned = {"a"}
    return source.pipe(
        ops.map(lambda key: Change("update", key, 1)), fop.only_owned(cache), ops.map(shown)
    )


def resumed(source: Observable[Any], *, counted: bool = False) -> Observable[Any]:
    """Read the changes of a cache from what is saved; the first two are counted already."""
    words, totals = FakeCache({"a": 1, "b": 1}), FakeCache()
    for _ in range(2):  # the first time up to here, then anew
        chain = fop.resume(words, totals, "n").pipe(
            fop.checkpoint(totals, "n", lambda count, _: count + 1, 0)
        )
        if counted:
            break
        chain.subscribe().dispose()
    source.subscribe(lambda key: words.update(key, 1))
    if counted:
        return chain
    return fop.resume(words, totals, "n").pipe(ops.map(lambda change: change.key[0]))


async def grouped(source: Observable[Any], say: Callable[[Any], None]) -> None:
    """Handle what one of two members is dealt."""
    async with (
        SimulatedCluster(seed=1, servers=1, clients=2) as users,
        SimulatedCluster(seed=2, servers=1, clients=2, service="jobs") as jobs,
    ):

        async def handle(_: Change) -> None:
            await asyncio.sleep(0)

        for number in range(2):
            group = fop.in_group(
                users.clients[number].cache, jobs.clients[number].cache, handle,
                name="mail", member=f"m{number}", slots=8,
            )  # fmt: skip
            if number:
                group.subscribe()
            else:
                group.subscribe(lambda change: say(change.key[0]))
        await asyncio.sleep(10)  # both are there
        say(None)
        source.subscribe(lambda item: users.clients[0].cache.update(item, 1))
        await asyncio.sleep(END_S)


DRAWINGS: dict[str, Drawing] = {
    "send": Drawing(
        ("a-b---c--|",), 'send(cache, "ask", window=1)   (a is answered after 4 s)',
        lambda source: source.pipe(
            fop.send(Late({"a": 4, "b": 1, "c": 1}), type="ask", window=1),
            ops.map(lambda guarantee: f"g{guarantee.what[-1]['value']}"),
        ),
        "u---v-w--|", {"u": "ga", "v": "gb", "w": "gc"},
    ),
    "await_ack": Drawing(
        ("a-b-------c--|",), "send(cache), await_ack()   (a is answered after 4 s)",
        late(fop.await_ack()), "----(u,v)--w-|", {"u": "a!", "v": "b!", "w": "c!"},
    ),
    "await_commit": Drawing(
        ("a-b-------c--|",), "update(cache), await_commit()   (a takes 4 s)",
        late(fop.await_commit()), "----(u,v)--w-|", {"u": "a!", "v": "b!", "w": "c!"},
    ),
    "await_replicated": Drawing(
        ("a-b-------c--|",), "update(cache), await_replicated(1)   (a takes 4 s)",
        late(fop.await_replicated(1)), "----(u,v)--w-|", {"u": "a!", "v": "b!", "w": "c!"},
    ),
    "await_reply": Drawing(
        ("a-b-------c--|",), "send(cache), await_reply()   (a is answered after 4 s)",
        late(fop.await_reply()), "----(u,v)--w-|", {"u": "a!", "v": "b!", "w": "c!"},
    ),
    "retry_send": Drawing(
        ("a-b--------|",), "retry_send(cache, base=2)   (a times out once, after 1 s)",
        lambda source: source.pipe(
            fop.retry_send(Late({"a": 1, "b": 1}, "a"), type="ask", base=2.0, jitter=0.0)
        ),
        "----(u,v)--|", {"u": "a!", "v": "b!"},
    ),
    "update": Drawing(
        ("a--b--a-|",), "update(cache, key=letter, value=ord)",
        written(lambda cache: fop.update(cache, key=letter, value=ord)),
        "u--v--u-|", {"u": "a=97", "v": "b=98"},
    ),
    "add": Drawing(
        ("a--b----|",), "add(cache)",
        written(fop.add), "u--v----|", {"u": "1:a", "v": "2:b"},
    ),
    "push": Drawing(
        ("a--b----|",), 'push(cache, key=lambda _: "l")',
        written(lambda cache: fop.push(cache, key=lambda _: "l")),
        "u--v----|", {"u": "l.0:a", "v": "l.1:b"},
    ),
    "remove": Drawing(
        ("a--b----|",), "remove(cache)",
        written(fop.remove, a=1, b=2), "u--v----|", {"u": "a-", "v": "b-"},
    ),
    "of_type": Drawing(
        ("p--q--p-|",), 'of_type("add")',
        lambda source: source.pipe(fop.of_type("add"), ops.map(shown)),
        "u-----u-|",
        {"p": {"type": "add"}, "q": {"type": "update"}, "u": "add"},
    ),
    "under": Drawing(
        ("p--q--r-|",), 'under("a")',
        lambda source: source.pipe(fop.under("a"), ops.map(shown)),
        "u--v----|",
        {"p": ("a", 1), "q": ("a.x", 2), "r": ("b", 3), "u": "a1", "v": "a.x2"},
    ),
    "only_owned": Drawing(
        ("a--b--a-|",), "only_owned(cache)   (this server owns a)", owned, "a-----a-|",
    ),
    "by_key": Drawing(
        ("p--q--r-|",), "by_key(), of each group its count",
        lambda source: source.pipe(
            fop.by_key(),
            ops.flat_map(lambda group: group.pipe(
                ops.scan(lambda count, _: count + 1, 0),
                ops.map(lambda count: f"{group.key} {count}"),
            )),
        ),
        "u--v--w-|",
        {"p": ("a", 7), "q": ("b", 8), "r": ("a", 9), "u": "a 1", "v": "b 1", "w": "a 2"},
    ),
    "count_by": Drawing(
        ("a--b--a-|",), "count_by(letter)",
        lambda source: source.pipe(fop.count_by(letter), ops.map(shown)),
        "u--v--w-|", {"u": "a1", "v": "b1", "w": "a2"},
    ),
    "fold_by": Drawing(
        ("p--q--r-|",), "fold_by(letter, add, 0)",
        lambda source: source.pipe(
            fop.fold_by(letter, lambda total, item: total + int(item[1]), 0), ops.map(shown)
        ),
        "u--v--w-|",
        {"p": "a1", "q": "b5", "r": "a2", "u": "a1", "v": "b5", "w": "a3"},
    ),
    "join_latest": Drawing(
        ("a-----b-|", "--p-q---|"), "join_latest(other, key=letter)",
        lambda left, right: left.pipe(
            fop.join_latest(right, key=letter), ops.map(lambda pair: pair.left + pair.right[1])
        ),
        "--u---v-|",
        {"p": "a1", "q": "b2", "u": "a1", "v": "b2"},
    ),
    "window_by": Drawing(
        ("a-b-a---b--|",), "window_by(key, every=4)",
        lambda source: source.pipe(
            fop.window_by(letter, every=4.0),
            ops.map(shown),
        ),
        "----u-v----(w,|)", {"u": "a 2", "v": "b 1", "w": "b 1"},
    ),
    "conflate": Drawing(
        ("a-b-a----c----|",), "conflate(key, every=5)",
        lambda source: source.pipe(fop.conflate(letter, every=5.0)),
        "-----(a,b)----(c,|)",
    ),
    "buffer_bounded": Drawing(
        ("a-b--c-------|",), "buffer_bounded(2, within=3)",
        lambda source: source.pipe(fop.buffer_bounded(2, within=3.0), ops.map(" ".join)),
        "--u-----v----|", {"u": "a b", "v": "c"},
    ),
    "debounce": Drawing(
        ("a-b-----c---|",), "ops.debounce(2)",
        lambda source: source.pipe(ops.debounce(2.0)),
        "----b-----c-|",
    ),
    "map_async": Drawing(
        ("a-b-------c--|",), "map_async(upper, concurrency=2)   (a takes 4 s, others 1 s)",
        lambda source: source.pipe(fop.map_async(upper, concurrency=2)),
        "----(u,v)--w-|", {"u": "A", "v": "B", "w": "C"},
    ),
    "from_async_iter": Drawing(
        (), "from_async_iter(lines())", lambda: fop.from_async_iter(lines()), "a-b-c-|",
    ),
    "to_async_iter": Drawing(
        ("(a,b,c)---|",), "to_async_iter()   (taken 2 s apart)", pulled, "a-b-c-----|",
    ),
    "isolate": Drawing(
        ("a--x--b---|",), "isolate(ops.map(checked))",
        lambda source: source.pipe(fop.isolate(ops.map(checked), errors=lambda _: None)),
        "a-----b---|",
    ),
    "supervise": Drawing(
        ("a-b-#",), "supervise(base=2, retries=1)",
        lambda source: source.pipe(fop.supervise(base=2.0, retries=1, jitter=0.0)),
        "a-b---a-b-#",
    ),
    "tap_progress": Drawing(
        ("a-b-c---|",), "tap_progress(report, every=2)",
        lambda source: source.pipe(fop.tap_progress(lambda _: None, every=2)), "a-b-c---|",
    ),
    "resume": Drawing(
        ("--c--a---",), 'resume(words, totals, "n")   (what came before is counted)',
        resumed, "--c--a---",
    ),
    "checkpoint": Drawing(
        ("------c---a-",), 'checkpoint(totals, "n", count, 0)   (a and b were there)',
        lambda source: resumed(source, counted=True), "(u,v)-w---x-", {"u": 1, "v": 2, "w": 3, "x": 4},
    ),
    "in_group": Drawing(
        ("a-b-c-d-e",), "in_group(users, jobs, handle)   (this is one of two members)",
        grouped, "----c---e",
    ),
}  # fmt: skip


def messages(drawing: Drawing, diagram: str) -> list[Message]:
    """Read a diagram."""
    found: list[Message] = []
    for at, notification in parse(diagram, 1.0, 0.0, drawing.values):
        if isinstance(notification, OnNext):
            found.append(Message(float(at), NEXT, notification.value))
        else:
            kind = ERROR if isinstance(notification, OnError) else COMPLETED
            found.append(Message(float(at), kind))
    return found


def played(drawing: Drawing) -> list[Message]:
    """Run a chain on virtual time; give what came out, and when, in tenths of a second."""
    found: list[Message] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        begun = loop.time()

        def note(kind: str, value: Any = None) -> None:
            found.append(Message(round(loop.time() - begun, 1), kind, value))

        def said(value: Any) -> None:
            nonlocal begun
            if value is None:
                begun = loop.time()
                found.clear()
            else:
                note(NEXT, value)

        clock = AsyncIOScheduler(loop)
        sources = [
            reactivex.from_marbles(diagram, 1.0, lookup=drawing.values, scheduler=clock)
            for diagram in drawing.sources
        ]
        if asyncio.iscoroutinefunction(drawing.chain):
            await drawing.chain(*sources, said)
            return
        taken = drawing.chain(*sources).subscribe(
            lambda value: note(NEXT, value), lambda _: note(ERROR), lambda: note(COMPLETED),
            scheduler=clock,
        )  # fmt: skip
        await asyncio.sleep(END_S)
        taken.dispose()

    simulate(main())
    return found


def svg(name: str) -> str:
    """Draw a diagram."""
    drawing = DRAWINGS[name]
    went = [messages(drawing, diagram) for diagram in drawing.sources]
    came = played(drawing)
    width = LEFT * 2 + STEP * END_S
    parts: list[str] = []
    for number, said in enumerate(went):
        parts += line(said, ROW // 2 + number * ROW, width)
    top = len(went) * ROW
    parts.append(
        f'<rect x="4" y="{top}" width="{width - 8}" height="36" rx="6" fill="#f7f7f7"'
        ' stroke="#555"/>'
    )
    parts.append(text(width // 2, top + 23, drawing.label))
    parts += line(came, top + 36 + ROW // 2, width)
    height = top + 36 + ROW
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}"'
    style = ' font-family="monospace" font-size="14" text-anchor="middle">'
    back = f'<rect width="{width}" height="{height}" fill="#ffffff"/>'
    title = f"<title>{escape(drawing.label)}</title>"
    return "\n".join([head + style, title, back, *parts, "</svg>", ""])


def line(told: list[Message], y: int, width: int) -> list[str]:
    """Draw what happens in time."""
    parts = [f'<line x1="10" y1="{y}" x2="{width - 10}" y2="{y}" stroke="#555"/>']
    places: dict[float, int] = {}
    for message in told:
        same = places[message.at] = places.get(message.at, -1) + 1
        x = round(LEFT + message.at * STEP + same * (2 * RADIUS + 2))
        if message.kind == COMPLETED:
            x -= RADIUS - 4 if same else 0
            parts.append(f'<path d="M{x} {y - 20}v40" stroke="#000" stroke-width="3"/>')
        elif message.kind == ERROR:
            parts.append(f'<path d="M{x - 10} {y - 10}l20 20m0 -20l-20 20" stroke="#c00"/>')
        else:
            colour = COLOURS.get(letter(shown(message.value)), OTHER)
            parts.append(
                f'<circle cx="{x}" cy="{y}" r="{RADIUS}" fill="{colour}" stroke="#333"/>'
            )
            parts.append(text(x, y + 5, shown(message.value)))
    return parts


def text(x: int, y: int, said: str) -> str:
    """Write something."""
    return f'<text x="{x}" y="{y}">{escape(said)}</text>'


if __name__ == "__main__":
    PLACE.mkdir(exist_ok=True)
    for each in DRAWINGS:
        (PLACE / f"{each}.svg").write_text(svg(each), encoding="utf-8")
