"""The app: every command of `rxfero` with its arguments and options, and what its end means.

Exit status: 0 all well, 1 failed, 2 wrong usage, 3 no cluster, 4 no answer in time, 130
interrupted.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any, Final

from cyclopts import App, CycloptsError, Parameter

from rxfero.cache import Cache
from rxfero.commands import actions, listing, measuring, serving
from rxfero.commands.output import Output, note, parse
from rxfero.commands.whereabouts import NoCluster, Whereabouts
from rxfero.errors import (
    ConfigurationError,
    RequestTimeout,
    RxferoError,
    UnknownEvent,
    ValueRefused,
)
from rxfero.service import run
from rxfero.writes import UNSET

FAILED: Final = 1
USAGE: Final = 2
NO_CLUSTER: Final = 3
TIMEOUT: Final = 4

Value = Annotated[str, Parameter(allow_leading_hyphen=True)]
Rest = Annotated[str | None, Parameter(allow_leading_hyphen=True)]

app = App(
    name="rxfero",
    help="Look at and write to services; see docs/cli.md.",
    version_flags=(),
    result_action="return_value",
    exit_on_error=False,
    print_error=False,
    suppress_keyboard_interrupt=False,
)


def execute(words: Sequence[str]) -> int:
    """Run a command; gives the exit status.

    Raises:
        KeyboardInterrupt, BrokenPipeError: as they come.
    """
    try:
        return int(app(words, print_error=False, exit_on_error=False) or 0)
    except CycloptsError as error:
        command = words[0] if words else ""
        note(f"{' '.join(str(error).split())} (rxfero {command} --help)")
        return USAGE
    except NoCluster as error:
        note(str(error))
        return NO_CLUSTER
    except RequestTimeout as error:
        note(str(error))
        return TIMEOUT
    except (ConfigurationError, ValueRefused, UnknownEvent) as error:
        note(str(error))
        return USAGE
    except RxferoError as error:
        note(f"{type(error).__name__}: {error}")
        return FAILED


def _with(
    service: str, where: Whereabouts, act: Callable[[Cache], Awaitable[int] | int]
) -> int:
    """Join a service, act, and leave."""

    async def main() -> int:
        async with where.join(service) as cache:
            outcome = act(cache)
            return outcome if isinstance(outcome, int) else await outcome

    return run(main())


def _write(
    service: str, where: Whereabouts, output: Output, verb: str, args: tuple[Any, ...],
    **options: Any,
) -> int:  # fmt: skip
    return _with(service, where, lambda cache: actions.write(
        cache, verb, args, where.timeout, output, **options
    ))  # fmt: skip


@app.command
def ls(
    service: str | None = None, /, *, once: bool = False, every: float = 1.0,
    where: Whereabouts = Whereabouts(), output: Output = Output(),
) -> int:  # fmt: skip
    """List every server of every service, live on a terminal.

    Args:
        service: Only servers of this one.
        once: Print and end; by default where there is no terminal, and with --json.
        every: Seconds between two looks.
    """
    if not 0.05 <= every < 1e6:
        raise ConfigurationError("--every", every, "must be at least 0.05 s")
    once = once or not output.live
    return run(listing.list_nodes(service, where, output, once=once, every_s=every))


@app.command
def get(
    service: str, key: Rest = None, /, *, default: Rest = None,
    where: Whereabouts = Whereabouts(), output: Output = Output(),
) -> int:  # fmt: skip
    """Print the value of a key as JSON, or all keys and values.

    Args:
        key: As deep as wanted: users.alice.email, or a JSON array of its elements.
        default: What to print where there is nothing, instead of failing.
    """
    return _with(service, where, lambda cache: actions.get(cache, key, default, output))


@app.command
def update(
    service: str, key: Value, value: Value, /, *, expect: Rest = None, ttl: float | None = None,
    ack: str = "auto", where: Whereabouts = Whereabouts(), output: Output = Output(),
) -> int:  # fmt: skip
    """Set the value of a key; prints the offset.

    Args:
        value: JSON if it is JSON, else text.
        expect: Only if this is there now; null for nothing.
        ttl: Seconds after which the key is removed again.
        ack: What to wait for: auto, commit, a number of servers, majority, all, durable.
    """
    options = {"expect": UNSET if expect is None else parse(expect), "ttl": ttl, "ack": parse(ack)}
    args = (actions.key_of(key), parse(value))
    return _write(service, where, output, "update", args, **options)


@app.command
def remove(
    service: str, key: Value, /, *, expect: Rest = None, ack: str = "auto",
    where: Whereabouts = Whereabouts(), output: Output = Output(),
) -> int:  # fmt: skip
    """Remove a key; prints the offset.

    Args:
        expect: Only if this is there now.
        ack: What to wait for.
    """
    options = {"expect": UNSET if expect is None else parse(expect), "ack": parse(ack)}
    args = (actions.key_of(key),)
    return _write(service, where, output, "remove", args, **options)


@app.command
def add(
    service: str, first: Value, second: Rest = None, /, *, ttl: float | None = None,
    ack: str = "auto", where: Whereabouts = Whereabouts(), output: Output = Output(),
) -> int:  # fmt: skip
    """Add a value: KEY VALUE, or VALUE alone under the next free number, which is printed.

    Args:
        first: The key, or the value.
        second: The value.
        ttl: Seconds after which the key is removed again.
        ack: What to wait for.
    """
    args = _key_and_value(first, second)
    return _write(service, where, output, "add", args, ttl=ttl, ack=parse(ack))


@app.command
def push(
    service: str, first: Value, second: Rest = None, /, *, ack: str = "auto",
    where: Whereabouts = Whereabouts(), output: Output = Output(),
) -> int:  # fmt: skip
    """Append to a list: KEY VALUE, or VALUE alone as add does.

    Args:
        first: The key of the list, or the value.
        second: The value.
        ack: What to wait for.
    """
    args = _key_and_value(first, second)
    return _write(service, where, output, "push", args, ack=parse(ack))


@app.command(name="set")
def set_(
    service: str, change: Value, /, *, ack: str = "auto",
    where: Whereabouts = Whereabouts(), output: Output = Output(),
) -> int:  # fmt: skip
    """Apply a change record, as watch --json prints them; - reads one a line from the input.

    Args:
        change: As {"type": "update", "key": "a", "value": 1}, or -.
        ack: What to wait for.
    """
    if change != "-":
        actions.read_change(change, "the change")
    return _with(service, where, lambda cache: actions.write_all(
        cache, change, sys.stdin, where.timeout, output, parse(ack)
    ))  # fmt: skip


@app.command
def watch(
    service: str, /, *, since: str = "now", under: Rest = None, count: int | None = None,
    where: Whereabouts = Whereabouts(), output: Output = Output(),
) -> int:  # fmt: skip
    """Print changes as they come.

    Args:
        since: now; state for what is there and then what follows; an offset or a position.
        under: Only what concerns this key; a change above it is shown as what it does there.
        count: End after so many.
    """
    return _with(service, where, lambda cache: actions.watch(cache, since, under, count, output))


@app.command
def send(
    service: str, type: str, value: Rest = None, /, *, key: Rest = None,
    where: Whereabouts = Whereabouts(),
) -> int:  # fmt: skip
    """Send a message to a service's handler; prints each answer as a line of JSON.

    Args:
        type: The verb.
        value: JSON if it is JSON, else text.
        key: The message goes to the owner of this key.
    """
    message: dict[str, Any] = {"type": type, "value": None if value is None else parse(value)}
    if key is not None:
        message["key"] = actions.key_of(key)
    return _with(service, where, lambda cache: actions.send(cache, message, where.timeout))


@app.command
def history(
    service: str, key: Value, /, *,
    where: Whereabouts = Whereabouts(), output: Output = Output(),
) -> int:  # fmt: skip
    """Print what is retained of a key's changes, oldest first."""
    return _with(service, where, lambda cache: actions.history(cache, key, output))


@app.command
def conflicts(
    service: str, /, *, follow: bool = False,
    where: Whereabouts = Whereabouts(), output: Output = Output(),
) -> int:  # fmt: skip
    """Print the writes that lost when the halves of a split cluster were merged.

    Args:
        follow: Go on with those that are still to come.
    """
    return _with(service, where, lambda cache: actions.conflicts(cache, output, follow=follow))


@app.command
def owners(
    service: str, key: Value, /, *keys: Value,
    where: Whereabouts = Whereabouts(), output: Output = Output(),
) -> int:  # fmt: skip
    """Print which server owns each key."""
    return _with(service, where, lambda cache: actions.owners(cache, (key, *keys), output))


@app.command
def serve(
    target: str, /, *, reload: bool = False, where: Whereabouts = Whereabouts()
) -> int:
    """Run a service of yours: a function that gives what fero() gives.

    Args:
        target: module:factory; options of the cluster go to a factory that takes **options.
        reload: Begin anew when a Python file beside the module changes.
    """
    if reload:
        serving.load(target)
        return run(serving.reload(target, where.words(), where.secret))
    return run(serving.serve(target, where.options()))


@app.command
def bench(
    *loads: str, bytes: int = 100, records: int = 50_000, servers: int = 1, runs: int = 5,
    list: Annotated[bool, Parameter(negative="")] = False, size: str = "quick",
    output: Output = Output(),
) -> int:  # fmt: skip
    """Measure messages, updates and round trips with servers of its own; takes some seconds.

    Args:
        loads: Which; --list says what there is. Of a repository also those of its benchmarks.
        bytes: Size of a value.
        records: Messages, and updates, of a run.
        servers: Server processes.
        runs: How often; the median is shown, and between what the runs were.
        list: Say which loads there are.
        size: Of the repository's loads: tiny, quick or full.
    """
    if list:
        return measuring.listed(output)
    if more := measuring.beyond(loads):
        return measuring.repository(more, size, output)
    return run(measuring.bench(bytes, records, servers, runs, output, loads))


def _key_and_value(first: str, second: str | None) -> tuple[Any, ...]:
    if second is None:
        return (parse(first),)
    return actions.key_of(first), parse(second)
