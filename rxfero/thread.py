"""The thread: a node on a loop of its own, for programs and notebook cells that block.

A loop that is blocked for seconds sends no heartbeats, and its node is given up. In a thread of its
own the node goes on while the caller sleeps or computes. What is called here is done in that
thread, between two turns of the node, and every wait has its bound.
"""

from __future__ import annotations

import asyncio
import atexit
import inspect
import threading
from collections.abc import Callable, Coroutine, Generator, Iterator, Mapping
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from typing import Any, TypeVar

from reactivex.abc import DisposableBase, SchedulerBase
from reactivex.abc import Subscription as Subscribe
from reactivex.disposable import Disposable

from rxfero.cache import Cache
from rxfero.core.ring import Ring
from rxfero.errors import Closed, ConfigurationError, RequestTimeout
from rxfero.guarantee import Guarantee
from rxfero.service import Service, fero, loop_factory
from rxfero.shown import Shown
from rxfero.stages import Joint
from rxfero.streams import Clock, Stream
from rxfero.tables import plot
from rxfero.view import View, view
from rxfero.writes import UNSET, Key

T = TypeVar("T")
S = TypeVar("S")

TIMEOUT = 30.0  # seconds


def in_thread(
    name: str = "*", handler: Callable[..., Any] | None = None, *, within: float = TIMEOUT,
    **options: Any,
) -> Threaded:  # fmt: skip
    """Start or join a service in a thread of its own, on uvloop where it is installed.

    Args:
        name, handler, options: As of :func:`rxfero.fero`; a handler runs in that thread.
        within: Seconds for the start and for each call.

    Returns:
        The cache, to be used from any thread; also a context manager that closes it.
    Raises:
        ConfigurationError, AddressInUse: an option does not fit, or no port is free.
        RequestTimeout: it has not started in time.
    """
    if isinstance(within, bool) or not isinstance(within, int | float) or not within > 0:
        raise ConfigurationError("within", within, "must be seconds > 0")
    return Threaded(fero(name, handler, **options), name, within)


class Threaded(Mapping[str | int, Any], Shown):
    """A cache whose node lives in another thread. Made by :func:`in_thread`.

    Reads and writes are those of :class:`rxfero.Cache`; a write gives a :class:`Promise`. What else
    a cache has is reached by :meth:`call`.
    """

    def __init__(self, service: Service, name: str, within: float) -> None:
        self.name, self._within = name, within
        self._started: Future[Cache] = Future()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._main: asyncio.Task[None] | None = None
        self._thread = threading.Thread(
            target=self._run, args=(service,), name=f"rxfero {name}", daemon=True
        )
        self._thread.start()
        try:
            self._cache = self._started.result(within)
        except BaseException as error:
            self._end()
            if isinstance(error, TimeoutError) and not isinstance(error, RequestTimeout):
                raise RequestTimeout(f"in_thread({name!r})", within) from None
            raise
        atexit.register(self.close)

    # --- the other thread

    def _run(self, service: Service) -> None:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            try:
                runner.run(self._live(service))
            except asyncio.CancelledError:
                pass
            except BaseException as error:  # noqa: BLE001  (told to who waits)
                if not self._started.done():
                    self._started.set_exception(error)

    async def _live(self, service: Service) -> None:
        self._loop, self._main = asyncio.get_running_loop(), asyncio.current_task()
        async with service as cache:
            self._started.set_result(cache)
            await self._loop.create_future()

    def _end(self) -> None:
        loop, main = self._loop, self._main
        if loop is not None and main is not None and self._thread.is_alive():
            with suppress(RuntimeError):  # the loop has been closed meanwhile
                loop.call_soon_threadsafe(main.cancel)
        if not self.here:
            self._thread.join(self._within)

    @property
    def here(self) -> bool:
        """Whether the caller is in the node's thread."""
        return threading.current_thread() is self._thread

    def call(self, function: Callable[[Cache], Any], *, within: float | None = None) -> Any:
        """Call `function(cache)` in the node's thread; a coroutine is awaited there.

        Args:
            within: Seconds; None is those of :func:`in_thread`.

        Raises:
            Closed: the thread has ended.
            RequestTimeout: it takes too long; it is cancelled.
            ConfigurationError: a coroutine, called in the node's own thread.
        """
        if not self.here:
            return self._wait(_called(function, self._cache), repr(function), within)
        found = function(self._cache)
        if inspect.iscoroutine(found):
            found.close()
            hint = "would wait for itself: await it on the node's own loop instead"
            raise ConfigurationError("call", function, hint)
        return found

    def begin(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Start a coroutine in the node's thread.

        Raises:
            Closed: the thread has ended.
        """
        loop = self._loop
        if loop is not None and self._thread.is_alive():
            with suppress(RuntimeError):  # the loop has been closed meanwhile
                return asyncio.run_coroutine_threadsafe(work, loop)
        work.close()
        raise Closed(self.name)

    def _wait(self, work: Coroutine[Any, Any, T], what: str, within: float | None) -> T:
        future, seconds = self.begin(work), self._within if within is None else within
        try:
            return future.result(seconds)
        except CancelledError:
            raise Closed(self.name) from None
        except TimeoutError:
            if future.done():
                raise  # it is what was called that timed out
            future.cancel()
            raise RequestTimeout(what, seconds) from None

    def close(self) -> None:
        """Leave the cluster and end the thread. Idempotent."""
        atexit.unregister(self.close)
        self._end()

    def __enter__(self) -> Threaded:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- reading

    def __getitem__(self, key: Key) -> Any:
        return self.call(lambda cache: cache[key])

    def __iter__(self) -> Iterator[str | int]:
        keys: list[str | int] = self.call(list)
        return iter(keys)

    def __len__(self) -> int:
        return self.call(len)

    def at(self, path: Key, default: Any = None) -> Any:
        """Give the value at a path; see :meth:`Cache.at`."""
        return self.call(lambda cache: cache.at(path, default))

    def read(self, path: Key, default: Any = UNSET) -> Any:
        """Ask the owner of a path what is there; see :meth:`Cache.read`."""
        return self.call(lambda cache: cache.read(path, default))

    def stable(self, n: int) -> None:
        """Wait until n servers agree on the ring; see :meth:`Cache.stable`."""
        self.call(lambda cache: cache.stable(n, None))

    def stats(self) -> dict[str, Any]:
        """Give figures of the node; see :meth:`Cache.stats`."""
        return self.call(Cache.stats)

    @property
    def ring(self) -> Ring:
        """The hashring."""
        return self._cache.ring

    # --- writing

    def update(self, key: Key, value: Any, **options: Any) -> Promise:
        """Set the value at a path; see :meth:`Cache.update`."""
        return self._write("update", key, value, **options)

    def add(self, *given: Any, **options: Any) -> Promise:
        """Add a value under an id of its own; see :meth:`Cache.add`."""
        return self._write("add", *given, **options)

    def push(self, *given: Any, **options: Any) -> Promise:
        """Append to a list; see :meth:`Cache.push`."""
        return self._write("push", *given, **options)

    def patch(self, *given: Any, **options: Any) -> Promise:
        """Write several fields or keys; see :meth:`Cache.patch`."""
        return self._write("patch", *given, **options)

    def remove(self, key: Key, **options: Any) -> Promise:
        """Remove what is at a path; see :meth:`Cache.remove`."""
        return self._write("remove", key, **options)

    def send(self, message: Any) -> Promise:
        """Send a message to a handler; see :meth:`Peers.send`."""
        return Promise(self, self.call(lambda cache: cache.peers.send(message)))

    def _write(self, verb: str, *given: Any, **options: Any) -> Promise:
        def write(cache: Cache) -> Any:
            return getattr(cache, verb)(*given, **options)

        return Promise(self, self.call(write))

    # --- events

    def on(
        self, event: str, callback: Callable[[Any], None] | None = None, **options: Any
    ) -> Any:
        """Give an event as an Observable, or subscribe a callback; see :meth:`Cache.on`.

        Observers are called on the loop that runs where this is called, in turn, however long it
        was blocked; where none runs, in the node's thread, which they must not block.
        """
        loop = None if self.here else _running()
        if callback is not None and callable(callback):
            told = callback if loop is None else self._across(loop, callback)
            inner = self.call(lambda cache: cache.on(event, told, **options))
            return Disposable(lambda: self.dispose(inner))
        source: Stream[Any] = self.call(lambda cache: cache.on(event, callback, **options))

        def subscribe(observer: Any, scheduler: SchedulerBase | None = None) -> DisposableBase:
            return source.subscribe(observer, scheduler=scheduler)

        if loop is None:
            return _Afar[Any](self, source.clock, subscribe)
        clock = Clock(loop, self._failed)

        def subscribe_across(
            observer: Any, scheduler: SchedulerBase | None = None
        ) -> DisposableBase:
            del scheduler  # it is of this loop, and the source has its own
            calls = (observer.on_next, observer.on_error, observer.on_completed)
            given = [self._across(loop, call) for call in calls]
            inner = self.call(lambda _: source.subscribe(*given))
            return Disposable(lambda: self.dispose(inner))

        return Stream[Any](lambda: clock, subscribe_across)

    def _across(
        self, loop: asyncio.AbstractEventLoop, function: Callable[..., Any]
    ) -> Callable[..., None]:
        """Give what calls a function on another loop, soon; what it raises goes to `error`."""

        def called(*given: Any) -> None:
            try:
                function(*given)
            except Exception as error:  # noqa: BLE001  (an observer's fault)
                self._failed(error, "an observer", *given)

        def calls(*given: Any) -> None:
            with suppress(RuntimeError):  # its loop is closed: there is nobody to tell any more
                loop.call_soon_threadsafe(called, *given)

        return calls

    def _failed(self, error: Exception, context: str, item: Any = None) -> None:
        loop = self._loop
        with suppress(RuntimeError):
            assert loop is not None, "who observes has a node"
            loop.call_soon_threadsafe(self._cache.fail, error, context, item)

    def dispose(self, inner: DisposableBase) -> None:
        """End a subscription, in the node's thread."""
        with suppress(Closed):
            self.call(lambda _: inner.dispose())

    # --- in a notebook

    def view(self, *, every: float = 0.5, rows: int = 20) -> View:
        """Give a live page, drawn on the caller's loop; see :meth:`Cache.view`."""
        return view(self._cache, every=every, rows=rows, reading=self.call)

    def to_frame(self) -> Any:
        """Give the state as a pandas DataFrame; see :meth:`Cache.to_frame`."""
        return self.call(Cache.to_frame)

    def plot(self, axes: Any = None) -> Any:
        """Plot when how many changes came; see :meth:`Cache.plot`."""
        return plot(self.call(Cache.history), axes)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """Give the page of the cache."""
        return self.call(lambda cache: cache._repr_mimebundle_(include, exclude))

    def _ipython_key_completions_(self) -> list[str | int]:
        return list(self)

    def __repr__(self) -> str:
        state = "" if self._thread.is_alive() else " closed"
        return f"<Threaded {self._cache!r}{state}>"


class Promise:
    """What a write or message of another thread comes to: wait by `result()`, or await it.

    One that nobody waits for is as a :class:`Guarantee` that nobody awaits: its failure goes to
    `error`.
    """

    def __init__(self, thread: Threaded, guarantee: Guarantee | Joint) -> None:
        self._thread, self.guarantee = thread, guarantee

    def result(self, within: float | None = None) -> Any:
        """Wait in this thread for the outcome.

        Args:
            within: Seconds; None is those of :func:`in_thread`.

        Raises:
            RequestTimeout: not in time; it stays on its way.
            ConfigurationError: in the node's own thread.
        """
        return self._thread.call(lambda _: _awaited(self.guarantee), within=within)

    def __await__(self) -> Generator[Any, None, Any]:
        if self._thread.here:
            return self.guarantee.__await__()
        return asyncio.wrap_future(
            self._thread.begin(_awaited(self.guarantee))
        ).__await__()

    def __repr__(self) -> str:
        return f"<Promise of {self.guarantee!r}>"


class _Afar(Stream[T]):
    """A stream of the node's thread: whoever subscribes does so there."""

    def __init__(
        self, thread: Threaded, clock: Callable[[], SchedulerBase | None], subscribe: Subscribe[T]
    ) -> None:
        super().__init__(clock, subscribe)
        self._thread = thread

    def subscribe(
        self, on_next: Any = None, on_error: Any = None, on_completed: Any = None, *,
        scheduler: SchedulerBase | None = None,
    ) -> DisposableBase:  # fmt: skip
        """Subscribe an observer or callbacks, in the node's thread."""
        begun = super().subscribe
        inner: DisposableBase = self._thread.call(
            lambda _: begun(on_next, on_error, on_completed, scheduler=scheduler)
        )
        return Disposable(lambda: self._thread.dispose(inner))

    def _like(self, subscribe: Subscribe[S]) -> Stream[S]:
        return _Afar(self._thread, self.clock, subscribe)


async def _called(function: Callable[[Cache], Any], cache: Cache) -> Any:
    found = function(cache)
    return await found if inspect.iscoroutine(found) else found


def _running() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


async def _awaited(guarantee: Guarantee | Joint) -> Any:
    return await guarantee
