"""Bulkheads between the parts of the daemon: each has threads of its own for calls that block.

asyncio hands whatever blocks (a database, a name to resolve, a mail server) to one pool of threads for the whole
process, six of them on two cores. A few calls that never return would fill it, and with it hold up every channel, every
sink and the watchdog. ``Bulkheads`` takes that pool's place. Which part calls is a context variable, which tasks
inherit: so the calls of libraries are told apart, too, and no part can use up another's threads.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Any, ParamSpec, TypeVar

from sensord.core.point import Point
from sensord.ports import Channel, Cursor, Entry, Sink

THREADS = 4
"""Threads of a part at most: a channel has so many sends under way."""
GRACE = 3.0
"""Seconds that calls get to return when the daemon stops; those that hang go with the process."""
_PART: ContextVar[str] = ContextVar("part", default="daemon")

P = ParamSpec("P")
T = TypeVar("T")
_Call = tuple[Future[Any], Callable[[], Any]]


@contextmanager
def part(name: str) -> Iterator[None]:
    """Let what blocks in here, and in tasks that begin in here, have the threads of a part."""
    token = _PART.set(name)
    try:
        yield
    finally:
        _PART.reset(token)


class Bulkheads(ThreadPoolExecutor):
    """The event loop's default executor. asyncio wants one of this class, whose own threads are never started."""

    def __init__(self, threads: int = THREADS) -> None:
        """``threads`` bounds those of each part."""
        super().__init__(max_workers=1)
        self._size, self._parts, self._guard = threads, dict[str, _Compartment](), Lock()

    def submit(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Call a function on a thread of the part that asks."""
        name = _PART.get()
        with self._guard:
            compartment = self._parts.setdefault(name, _Compartment(name, self._size))
            return compartment.submit(lambda: function(*args, **kwargs))

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the threads; one that hangs is waited for no longer than ``GRACE``."""
        super().shutdown(wait=wait, cancel_futures=cancel_futures)
        with self._guard:
            parts, self._parts = list(self._parts.values()), {}
        ends = time.monotonic() + (GRACE if wait else 0.0)
        for compartment in parts:
            compartment.close()
        for compartment in parts:
            compartment.join(ends)


class _Compartment:
    """The threads of one part, started when there is work; an interpreter that ends does not wait for them."""

    def __init__(self, name: str, size: int) -> None:
        self._name, self._size = name, size
        self._work: SimpleQueue[_Call | None] = SimpleQueue()
        self._threads, self._open, self._counting = list[Thread](), 0, Lock()

    def submit(self, call: Callable[[], T]) -> Future[T]:
        future = Future[T]()
        with self._counting:
            self._open += 1
            if self._open > len(self._threads) and len(self._threads) < self._size:
                name = f"{self._name}_{len(self._threads)}"
                self._threads.append(Thread(target=self._serve, name=name, daemon=True))
                self._threads[-1].start()
        self._work.put((future, call))
        return future

    def close(self) -> None:
        for _ in self._threads:
            self._work.put(None)

    def join(self, ends: float) -> None:
        for thread in self._threads:
            thread.join(max(0.0, ends - time.monotonic()))

    def _serve(self) -> None:
        while (item := self._work.get()) is not None:
            _answer(*item)
            del item  # a thread that waits keeps nothing of its last call alive
            with self._counting:
                self._open -= 1


def _answer(future: Future[Any], call: Callable[[], Any]) -> None:
    """Call, unless whoever asked has given up meanwhile."""
    if not future.set_running_or_notify_cancel():
        return
    try:
        future.set_result(call())
    except BaseException as error:  # noqa: BLE001  # whatever it is belongs to whoever asked
        future.set_exception(error)


class ChannelApart:
    """Wraps a channel: a call that never returns holds up its later messages, and not even its own worker."""

    def __init__(self, channel: Channel) -> None:
        self.name, self._channel = channel.name, channel

    async def send(self, entry: Entry) -> str:
        """Deliver on threads of its own."""
        with part(f"send-{self.name}"):
            return await self._channel.send(entry)

    async def close(self) -> None:
        """Release connections."""
        await self._channel.close()


class SinkApart:
    """Wraps a sink likewise."""

    def __init__(self, sink: Sink) -> None:
        self.name, self._sink = sink.name, sink

    async def position(self) -> Cursor | None:
        """Where it stands."""
        with part(f"write-{self.name}"):
            return await self._sink.position()

    async def write(self, points: Sequence[Point], cursor: Cursor) -> None:
        """Write on threads of its own."""
        with part(f"write-{self.name}"):
            await self._sink.write(points, cursor)

    async def close(self) -> None:
        """Release connections."""
        with part(f"write-{self.name}"):
            await self._sink.close()
