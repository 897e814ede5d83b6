"""Bulkheads between the parts of the daemon: each has threads of its own for calls that block.

asyncio hands whatever blocks (a database, a name to resolve, a mail server) to one pool of threads for the whole
process, six of them on two cores. A few calls that never return would fill it, and with it hold up every channel, every
sink and the watchdog. ``Bulkheads`` takes that pool's place. Which part calls is a context variable, which tasks
inherit: so the calls of libraries are told apart, too, and no part can use up another's threads.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Condition, Lock, Thread
from typing import Any, ParamSpec, Protocol, TypeVar

import structlog

from sensord.core.point import Point
from sensord.errors import UnavailableError
from sensord.ports import Channel, Cursor, Entry, Sink

THREADS = 4
"""Threads of a part at most: a channel has so many sends under way."""
GRACE = 3.0
"""Seconds that calls get to return when the daemon stops; those that hang go with the process."""
LETTING_GO = 5.0
"""Seconds that a channel or sink gets to close."""
IDLE = 30.0
"""Seconds without a call until a thread is given back."""
QUEUE = 1000
"""Calls that may wait for the threads of a part."""
_PART: ContextVar[str] = ContextVar("part", default="daemon")

P = ParamSpec("P")
T = TypeVar("T")

log = structlog.get_logger()


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

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """Run it like ``asyncio.run``, on an event loop whose default executor these are; its end ends them."""
        with asyncio.Runner(loop_factory=lambda: _Loop(self)) as runner:
            return runner.run(main)

    def submit(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Call a function on a thread of the part that asks.

        Raises ``UnavailableError`` when too many wait, or when the part has no thread and none can be started.
        """
        name = _PART.get()
        with self._guard:
            compartment = self._parts.setdefault(name, _Compartment(name, self._size))
            return compartment.submit(lambda: function(*args, **kwargs))

    def stuck(self) -> dict[str, int]:
        """How many calls of each part still run though nobody waits for them any more: threads that it lacks.

        Who asks for this now and then also has calls made that came when no thread could be started.
        """
        with self._guard:
            for compartment in self._parts.values():
                compartment.catch_up()
            return {name: compartment.stuck for name, compartment in self._parts.items()}

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


class _Loop(asyncio.SelectorEventLoop):
    """An event loop that ends where no thread can be started: asyncio would take one more, to end its executor on."""

    def __init__(self, bulkheads: Bulkheads) -> None:
        super().__init__()
        self._bulkheads = bulkheads
        self.set_default_executor(bulkheads)

    async def shutdown_default_executor(self, _timeout: float | None = None) -> None:
        self._bulkheads.shutdown()  # nothing else runs here any more


class _Call(Future[Any]):
    """What a thread is to do; ``left`` when whoever asked for it stopped waiting while it ran."""

    def __init__(self, function: Callable[[], Any]) -> None:
        super().__init__()
        self._function, self.left = function, False

    def cancel(self) -> bool:
        """Cancel it unless it runs; then it is left to itself."""
        self.left = not super().cancel()
        return not self.left

    def work(self) -> None:
        """Do it, unless nobody wants it any more."""
        if not self.set_running_or_notify_cancel():
            return
        try:
            self.set_result(self._function())
        except BaseException as error:  # noqa: BLE001  # whatever it is belongs to whoever asked
            self.set_exception(error)


class _Compartment:
    """The threads of one part, started when there is work, and given back when idle for ``IDLE``, but for one.

    That one stays: who was served once is served for good, however few threads the machine has left. An interpreter
    that ends does not wait for them.
    """

    def __init__(self, name: str, size: int) -> None:
        self._name, self._size = name, size
        self._lock, self._closed = Lock(), False
        self._waiting, self._running = deque[_Call](), set[_Call]()
        self._threads = dict[int, Thread]()
        self._idle = list[Condition]()  # the last is called first: those that a trickle of calls does not need go

    @property
    def stuck(self) -> int:
        with self._lock:
            return sum(call.left for call in self._running)

    def submit(self, function: Callable[[], T]) -> Future[T]:
        call = _Call(function)
        with self._lock:
            if len(self._running) + len(self._waiting) >= len(self._threads) and not self._grow():
                self._make_room()
            self._waiting.append(call)
            if self._idle:
                self._idle.pop().notify()
        return call

    def catch_up(self) -> None:
        """Start the threads that could not be started when calls came which still wait."""
        with self._lock:
            self._catch_up()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            while self._idle:
                self._idle.pop().notify()

    def join(self, ends: float) -> None:
        with self._lock:
            threads = list(self._threads.values())
        for thread in threads:
            thread.join(max(0.0, ends - time.monotonic()))

    def _catch_up(self) -> None:
        while not self._closed and len(self._running) + len(self._waiting) > len(self._threads) and self._grow():
            pass

    def _grow(self) -> bool:
        """Start one more thread, if it may be and can be; raises ``UnavailableError`` when there is none at all."""
        number = next(number for number in range(self._size + 1) if number not in self._threads)
        if number == self._size:
            return False
        thread = Thread(target=self._serve, args=(number,), name=f"{self._name}_{number}", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # the service, or the machine, has as many as it may have
            if self._threads:
                return False
            said = f"no thread can be started for {self._name}: this service has as many as it may have (TasksMax)"
            raise UnavailableError(said) from error
        self._threads[number] = thread
        return True

    def _make_room(self) -> None:
        """Forget what was given up while it waited for a thread; raises ``UnavailableError`` when too many wait."""
        self._waiting = deque(call for call in self._waiting if not call.cancelled())
        if len(self._waiting) >= QUEUE:
            raise UnavailableError(f"too many calls wait for the threads of {self._name}: something there hangs")

    def _serve(self, number: int) -> None:
        turn = Condition(self._lock)
        while (call := self._next(number, turn)) is not None:
            call.work()
            with self._lock:
                self._running.discard(call)
            del call  # a thread that waits keeps nothing of its last call alive

    def _next(self, number: int, turn: Condition) -> _Call | None:
        """Wait for a call; None when this thread is to end."""
        with self._lock:
            while not self._waiting:
                if self._closed:
                    return None
                self._idle.append(turn)
                turn.wait(IDLE)
                if turn in self._idle:  # nobody called
                    self._idle.remove(turn)
                    if len(self._threads) - len(self._running) > 1:  # another one waits, too
                        del self._threads[number]
                        return None
            call = self._waiting.popleft()
            self._running.add(call)
            self._catch_up()
            return call


class _Carrier(Protocol):
    """What holds connections."""

    name: str

    async def close(self) -> None:
        """Release them."""
        ...


async def cancel(tasks: Sequence[asyncio.Task[None]]) -> None:
    """End tasks, and wait until they have ended."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


class _Thread(Protocol):
    """What has the stores open on a thread of its own."""

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        ...


def ended(*threads: _Thread) -> bool:
    """Whether these have ended, and what they use may be closed: a database that is closed under a thread crashes."""
    if any(thread.alive for thread in threads):
        log.error("a thread does not end; the databases are left as they are, and it goes with the process")
        return False
    return True


async def let_go(carrier: _Carrier) -> None:
    """Close it; what hangs goes with the process."""
    try:
        async with asyncio.timeout(LETTING_GO):
            await carrier.close()
    except TimeoutError:
        log.warning("a part does not close; its connections end with the process", part=carrier.name)


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
