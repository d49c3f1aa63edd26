"""The errors: one tree, every error with its attributes, its outcome and whether to retry.

::

    RxferoError
    ├── ConfigurationError(ValueError)       an option or constant is wrong
    ├── ValueRefused(ValueError)             a key or value outside what can be stored
    ├── UnknownEvent(ValueError)             no such event
    ├── Refused                              the owner said no; nothing changed
    │   ├── CompareFailed                    `expect=` did not hold
    │   ├── KeyMissing(KeyError)             there is nothing at that path
    │   ├── WrongType(TypeError)             push to what is no list, an index out of range
    │   └── MethodNotAllowed                 a verb that nobody handles
    ├── RemoteError                          the service's handler raised
    ├── RequestTimeout(TimeoutError)         no answer in time; it may have happened
    ├── Uncertain                            the session or link ended; it may have happened
    │   ├── NotReplicated                    committed, but not on as many servers as asked
    │   │   └── NotDurable                   committed, but not on as many disks as asked
    │   ├── NotAcknowledged                  a server has it, but none that was asked for
    │   ├── LostWrites                       acknowledged writes that no server holds any more
    │   └── NoQuorum                         the voters that answer are no majority
    ├── Overloaded                           too much is waiting to be sent
    ├── NotConnected(ConnectionError)        no server is connected
    ├── NotFollowed(LookupError)             this client does not follow that key
    ├── Closed                               the cache was destroyed
    ├── AddressInUse(OSError)                no free port
    ├── StorageDamaged                       a disk lost what had been safe on it
    └── ProtocolError                        the peer broke the protocol
        └── HandshakeRefused(ConnectionError)  the two sides do not fit

Three questions are answered by the type: whose fault it is (`ConfigurationError`, `ValueRefused`
and `UnknownEvent` are the caller's, `ProtocolError` is the peer's), whether it happened (`outcome`:
``"refused"``, it did not, or ``"uncertain"``, it may have), and whether the same call can succeed
later (`retry`). What the sentence of an error says can also be read from its attributes. Errors can
be copied and pickled. Any other exception out of this library is a bug: please report it.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any, ClassVar, Literal

Outcome = Literal["refused", "uncertain"]


class RxferoError(Exception):
    """What every error of this library is.

    Attributes: outcome ("refused" or "uncertain"), retry (can the same call succeed later).
    """

    outcome: ClassVar[Outcome] = "refused"
    retry: ClassVar[bool] = False

    def __init__(self, *args: object) -> None:
        super().__init__()  # without arguments: OSError would take two of them for its own
        self.args = args

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (type(self), self.args, self.__dict__)


class ConfigurationError(RxferoError, ValueError):
    """An option or constant is unknown, of a wrong type or out of range.

    Attributes: option, value, hint (what would be right), source (where it was given).
    """

    def __init__(self, option: str, value: object, hint: str, source: str = "code") -> None:
        super().__init__(option, value, hint, source)
        self.option, self.value, self.hint, self.source = option, value, hint, source

    def __str__(self) -> str:
        where = "" if self.source == "code" else f" (from {self.source})"
        return f"{self.option}={_brief(self.value)}{where}: {self.hint}"


class ValueRefused(RxferoError, ValueError):
    """A key or value that cannot be stored. Attributes: path (the place inside it), why."""

    def __init__(self, path: str, why: str) -> None:
        super().__init__(path, why)
        self.path, self.why = path, why

    def __str__(self) -> str:
        return f"{self.path}: {self.why}"


class UnknownEvent(RxferoError, ValueError):
    """No such event. Attributes: name, valid (the names there are)."""

    def __init__(self, name: str, valid: tuple[str, ...]) -> None:
        super().__init__(name, valid)
        self.name, self.valid = name, valid

    def __str__(self) -> str:
        return f"there is no event {self.name!r}; {nearest(self.name, self.valid)}"


class Refused(RxferoError):
    """The owner refused a write or request; nothing changed. Attributes: message."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def __str__(self) -> str:
        return self.message


class CompareFailed(Refused):
    """`expect=` did not hold at the owner. Attributes: expected, actual."""

    retry = True

    def __init__(self, expected: object, actual: object) -> None:
        super().__init__(
            f"expected {_brief(expected)}, but there is {_brief(actual)}; read it and try again"
        )
        self.args = (expected, actual)
        self.expected, self.actual = expected, actual


class KeyMissing(Refused, KeyError):
    """There is nothing at that path. Attributes: path."""

    def __init__(self, path: object) -> None:
        super().__init__(f"there is nothing at {_brief(path, str)}")
        self.args = (path,)
        self.path = path


class WrongType(Refused, TypeError):
    """What stands at a path does not allow the write (push to what is no list, a bad index).

    Attributes: message.
    """


class MethodNotAllowed(Refused):
    """A verb that is no default one and that no handler took. Attributes: verb."""

    def __init__(self, verb: str) -> None:
        super().__init__(
            f"method not allowed: {_brief(verb)} is none of add, update, remove, push, patch, "
            "and no handler took it"
        )
        self.args = (verb,)
        self.verb = verb


class RemoteError(RxferoError):
    """The service's handler raised; what it did before that, it did.

    Attributes: type (the exception's name there), message.
    """

    outcome = "uncertain"

    def __init__(self, type: str, message: str) -> None:
        super().__init__(type, message)
        self.type, self.message = type, message

    def __str__(self) -> str:
        return f"the handler raised {self.type}: {self.message}"


class RequestTimeout(RxferoError, TimeoutError):
    """No answer came in time. Attributes: what, seconds, connected (servers then, on a client)."""

    outcome = "uncertain"
    retry = True

    def __init__(self, what: str, seconds: float, connected: int | None = None) -> None:
        super().__init__(what, seconds, connected)
        self.what, self.seconds, self.connected = what, seconds, connected

    def __str__(self) -> str:
        if self.connected == 0:
            why = "no server is connected: is one running, and do hosts and ports lead to it?"
        else:
            why = "it may still happen; ask again or raise the timeout"
        return f"{self.what}: no answer within {self.seconds:g} s; {why}"


class Uncertain(RxferoError):
    """The link or session ended before an answer; it may or may not have happened.

    Attributes: message.
    """

    outcome = "uncertain"
    retry = True

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def __str__(self) -> str:
        return self.message


class NotReplicated(Uncertain):
    """Committed, but not on as many other servers as asked. Attributes: wanted, got, offset."""

    def __init__(self, wanted: object, got: int, offset: object = None) -> None:
        at = "" if offset is None else f" at {offset}"
        super().__init__(
            f"committed{at}, but on {got} other servers instead of {wanted}; "
            "it stays unless all of those are lost"
        )
        self.args = (wanted, got, offset)
        self.wanted, self.got, self.offset = wanted, got, offset


class NotDurable(NotReplicated):
    """Committed, but not on as many disks as asked. Attributes: wanted, got, offset."""

    def __init__(self, wanted: object, got: int, offset: object = None) -> None:
        super().__init__(wanted, got, offset)
        at = "" if offset is None else f" at {offset}"
        self.message = (
            f"committed{at}, but on the disks of {got} servers instead of {wanted}: "
            "give servers storage=, or ask for fewer"
        )


class NotAcknowledged(Uncertain):
    """A server has it, but none that `where` accepts. Attributes: names, offset."""

    def __init__(self, names: Iterable[str], offset: object = None) -> None:
        held = sorted(names)
        what = "received" if offset is None else f"committed at {offset} and held"
        super().__init__(f"{what} by {', '.join(held)}: `where` accepts none of them")
        self.args = (held, offset)
        self.names, self.offset = held, offset


class LostWrites(Uncertain):
    """Acknowledged writes that no server holds any more, and that are no longer retained here.

    Attributes: shard, numbers (session sequence numbers; empty: the shard's owner has forgotten
    this node's session, and of no write it is known whether it is missing).
    """

    retry = False

    def __init__(self, shard: int, numbers: list[int]) -> None:
        some = ", ".join(map(str, numbers[:5])) + (", ..." if len(numbers) > 5 else "")
        super().__init__(
            f"{len(numbers)} acknowledged writes of shard {shard} are on no server any more "
            f"(sequence numbers {some}); write them again if they matter"
            if numbers else
            f"the owner of shard {shard} knows nothing of what this node wrote there before; "
            "read what matters and write it again if it is missing"
        )
        self.args = (shard, numbers)
        self.shard, self.numbers = shard, numbers


class NoQuorum(Uncertain):
    """The voters that answer are no majority. Attributes: message."""


class Overloaded(RxferoError):
    """Too much is waiting. Attributes: waiting, limit, unit (of both), knob (that sets it)."""

    retry = True

    def __init__(
        self,
        waiting: int,
        limit: int,
        unit: str = "bytes of requests",
        knob: str = "constants.requests.pending",
    ) -> None:
        super().__init__(waiting, limit, unit, knob)
        self.waiting, self.limit, self.unit, self.knob = waiting, limit, unit, knob

    def __str__(self) -> str:
        return (
            f"{self.waiting} {self.unit} are waiting, the limit is {self.limit} ({self.knob}): "
            "let some finish before more come"
        )


class NotConnected(RxferoError, ConnectionError):
    """No server is connected, or not that one. Attributes: message."""

    retry = True

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def __str__(self) -> str:
        return self.message


class NotFollowed(RxferoError, LookupError):
    """This client holds only some keys, and not that one. Attributes: key."""

    def __init__(self, key: object) -> None:
        super().__init__(key)
        self.key = key

    def __str__(self) -> str:
        return (
            f"this client does not follow {_brief(self.key)}: name it in follow=, "
            "or ask its owner: await cache.read(key)"
        )


class Closed(RxferoError):
    """The cache was destroyed; what was still on its way may have happened. Attributes: name."""

    outcome = "uncertain"

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name

    def __str__(self) -> str:
        return f"the cache {self.name!r} was destroyed; fero({self.name!r}) makes a new one"


class AddressInUse(RxferoError, OSError):
    """No free port. Attributes: host, ports, errno."""

    errno = errno.EADDRINUSE

    def __init__(self, host: str, ports: object) -> None:
        super().__init__(host, ports)
        self.host, self.ports = host, ports

    def __str__(self) -> str:
        return f"no free port on {self.host} in {self.ports}: give a wider range, or None for any"


class StorageDamaged(RxferoError):
    """A disk does not hold any more what had been safe on it. Attributes: message."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def __str__(self) -> str:
        return (
            f"{self.message}; a voter cannot go on with less than it promised: give it a new name "
            "and an empty directory, or the disk's backup"
        )


class ProtocolError(RxferoError):
    """The peer broke the protocol; its connection is closed. Attributes: message."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def __str__(self) -> str:
        return self.message


class HandshakeRefused(ProtocolError, ConnectionError):
    """The two sides of a connection do not fit. Attributes: reason."""

    @property
    def reason(self) -> str:
        """What does not fit."""
        return self.message


def nearest(name: str, valid: Iterable[object]) -> str:
    """Give a hint for a misspelt name: the nearest valid ones, or all."""
    names = sorted(map(str, valid))
    close = get_close_matches(name, names, n=3, cutoff=0.5)
    if close:
        return "did you mean " + " or ".join(repr(c) for c in close) + "?"
    return "valid are " + ", ".join(names)


def _brief(value: object, show: Any = repr) -> str:
    text: str = show(value)
    return text if len(text) <= 200 else f"{text[:180]}... ({len(text)} characters)"


def _restore(
    kind: type[RxferoError], args: tuple[object, ...], attributes: Mapping[str, Any]
) -> RxferoError:
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(attributes)
    return error
