"""Calls that never return cost their own part its threads, and nobody else anything."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from sensord.bulkheads import Bulkheads, ChannelApart, ended, part
from sensord.config.settings import Apprise
from sensord.errors import UnavailableError
from sensord.notify.apprise_channel import AppriseChannel
from sensord.notify.outcome import InDoubtError
from sensord.notify.worker import OutboxWorker
from sensord.phrasebook import chinese
from sensord.ports import Entry
from sensord.telemetry.metrics import PrometheusMeter
from sensord.upkeep import Upkeep
from tests.notify.parts import QUICK, START, Pulse, ScriptedChannel, StoredOutbox, entry, notification, outcomes, until


@pytest.fixture
def never() -> Iterator[threading.Event]:
    """What hung calls wait for; it comes when the test is over."""
    event = threading.Event()
    yield event
    event.set()


Scarce = Callable[[str, int], None]


@pytest.fixture
def scarce(monkeypatch: pytest.MonkeyPatch) -> Scarce:
    """Have the next so many threads of a part not start, as where a service has as many as it may have."""
    left, start = dict[str, int](), threading.Thread.start

    def try_to(thread: threading.Thread) -> None:
        name = thread.name.rpartition("_")[0]
        if left.get(name, 0) > 0:
            left[name] -= 1
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", try_to)
    return left.__setitem__


def threads_of(name: str) -> list[str]:
    """The threads that a part has."""
    return [one.name for one in threading.enumerate() if one.name.startswith(f"{name}_")]


async def hang(never: threading.Event, name: str, calls: int) -> list[asyncio.Task[bool]]:
    """Make so many calls of a part that never return; ends once as many have begun as it has threads."""
    begun = list[str]()

    def call() -> bool:
        begun.append(name)
        return never.wait()

    async def ask() -> bool:
        with part(name):
            return await asyncio.to_thread(call)

    tasks = [asyncio.create_task(ask()) for _ in range(calls)]
    await until(lambda: len(begun) == 2)
    return tasks


async def test_a_part_that_hangs_holds_nobody_else_up(never: threading.Event) -> None:
    """Not the calls of other parts, not what a library asks of the loop by itself; its own calls wait."""
    loop = asyncio.get_running_loop()
    loop.set_default_executor(Bulkheads(2))
    waiting = await hang(never, "mail", 20)
    async with asyncio.timeout(10):
        with part("people"):
            child = asyncio.create_task(asyncio.to_thread(lambda: threading.current_thread().name))
        assert await child == "people_0"
        assert await loop.getaddrinfo("127.0.0.1", 80, type=socket.SOCK_STREAM)
    assert len(threads_of("mail")) == 2
    assert not any(one.done() for one in waiting)


async def test_a_call_that_nobody_wants_any_more_is_not_made(never: threading.Event) -> None:
    """It was given up while all threads of its part hung: they go on with those that somebody waits for."""
    asyncio.get_running_loop().set_default_executor(Bulkheads(2))
    waiting, made = await hang(never, "mail", 2), list[str]()
    with part("mail"):
        given_up = asyncio.create_task(asyncio.to_thread(made.append, "given up"))
        wanted = asyncio.create_task(asyncio.to_thread(made.append, "wanted"))
    await asyncio.sleep(0)
    given_up.cancel()
    await asyncio.wait({given_up})
    never.set()
    await asyncio.gather(wanted, *waiting)
    assert made == ["wanted"]


async def test_calls_that_hang_are_counted_and_those_that_wait_are_bounded(
    never: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was given up in the queue makes room; beyond the bound a call is refused with a word."""
    monkeypatch.setattr("sensord.bulkheads.QUEUE", 2)
    bulkheads = Bulkheads(2)
    asyncio.get_running_loop().set_default_executor(bulkheads)
    hung = await hang(never, "mail", 2)
    assert bulkheads.stuck() == {"mail": 0}
    for task in hung:
        task.cancel()
    await asyncio.wait(hung)
    assert bulkheads.stuck() == {"mail": 2}
    with part("mail"):
        for _ in range(5):
            bulkheads.submit(max, 1, 2).cancel()
        waiting = [bulkheads.submit(max, 1, 2) for _ in range(2)]
        with pytest.raises(UnavailableError, match="threads of mail"):
            bulkheads.submit(max, 1, 2)
    never.set()
    assert [call.result(10) for call in waiting] == [2, 2]
    await until(lambda: bulkheads.stuck() == {"mail": 0})


async def test_an_error_is_whose_call_it_was() -> None:
    """It reaches whoever asked, and the thread goes on."""
    asyncio.get_running_loop().set_default_executor(Bulkheads(1))
    with pytest.raises(ValueError, match="x"):
        await asyncio.to_thread(int, "x")
    assert await asyncio.to_thread(int, "1") == 1


def test_an_end_does_not_wait_for_what_hangs(never: threading.Event, monkeypatch: pytest.MonkeyPatch) -> None:
    """What can return does so before the loop has ended; the rest are daemon threads, which end with the process."""
    monkeypatch.setattr("sensord.bulkheads.GRACE", 0.05)

    Bulkheads(2).run(hang(never, "mail", 2))
    hung = [one for one in threading.enumerate() if one.name.startswith("mail_")]
    assert [one.daemon for one in hung] == [True, True]


def test_a_thread_that_cannot_be_started_deafens_no_part(scarce: Scarce) -> None:
    """Who asks hears of it; the next call is made, and the end is one in good order."""
    scarce("mail", 2)

    async def run() -> int:
        with part("mail"):
            for _ in range(2):
                with pytest.raises(UnavailableError, match="no thread can be started for mail"):
                    await asyncio.to_thread(int)
            return await asyncio.to_thread(int, "7")

    assert Bulkheads(2).run(run()) == 7


def test_an_end_needs_no_thread_that_would_have_to_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is no crash, however many threads the machine has left."""

    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async def run() -> int:
        number = await asyncio.to_thread(int, "7")
        monkeypatch.setattr(threading.Thread, "start", refuse)
        return number

    assert Bulkheads(2).run(run()) == 7


async def test_a_part_with_fewer_threads_than_it_wants_goes_on_with_those(
    scarce: Scarce, never: threading.Event
) -> None:
    """A second thread cannot be started: the first makes all the calls, one after the other."""
    asyncio.get_running_loop().set_default_executor(Bulkheads(2))
    begun, made = threading.Event(), list[int]()

    def first() -> None:
        begun.set()
        never.wait()

    with part("mail"):
        calls = [asyncio.create_task(asyncio.to_thread(first))]
        await until(begun.is_set)
        scarce("mail", 1000)
        calls += [asyncio.create_task(asyncio.to_thread(made.append, number)) for number in range(5)]
        await asyncio.sleep(0)
        never.set()
        async with asyncio.timeout(10):
            await asyncio.gather(*calls)
    assert made == [0, 1, 2, 3, 4]


async def test_what_waits_is_made_when_threads_can_be_started_again(scarce: Scarce, never: threading.Event) -> None:
    """Nobody else needs to call: who asks for the calls that hang sees to it, and so does a thread that goes on."""
    bulkheads = Bulkheads(3)
    asyncio.get_running_loop().set_default_executor(bulkheads)
    together, first = threading.Barrier(2), threading.Event()
    with part("mail"):
        hung = asyncio.create_task(asyncio.to_thread(first.wait))
        await until(lambda: len(threads_of("mail")) == 1)
        scarce("mail", 1000)
        waiting = [asyncio.create_task(asyncio.to_thread(int, "7"))]
        await asyncio.sleep(0)
        assert bulkheads.stuck() == {"mail": 0}
        scarce("mail", 0)
        assert bulkheads.stuck() == {"mail": 0}
        async with asyncio.timeout(10):
            assert await asyncio.gather(*waiting) == [7]
        scarce("mail", 1000)
        other = asyncio.create_task(asyncio.to_thread(never.wait))
        both = [asyncio.create_task(asyncio.to_thread(together.wait, 10)) for _ in range(2)]
        await asyncio.sleep(0)
        scarce("mail", 0)
        first.set()
        async with asyncio.timeout(10):
            await asyncio.gather(hung, *both)
    never.set()
    await other


async def test_a_part_that_goes_on_starts_no_more_threads_than_it_may_have(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls that come in pairs, again and again, find the threads of the ones before: to start one takes long."""
    started, start = list[str](), threading.Thread.start

    def count(thread: threading.Thread) -> None:
        started.append(thread.name)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", count)
    asyncio.get_running_loop().set_default_executor(Bulkheads(4))
    together = threading.Barrier(2)
    with part("mail"):
        for _ in range(100):
            await asyncio.gather(*(asyncio.to_thread(together.wait, 10) for _ in range(2)))
    assert len(started) <= 4


async def test_threads_are_given_back_but_for_one(scarce: Scarce, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others may need them; who was served once needs none that would have to be started."""
    monkeypatch.setattr("sensord.bulkheads.IDLE", 0.01)
    asyncio.get_running_loop().set_default_executor(Bulkheads(4))
    together = threading.Barrier(4)
    with part("mail"):
        for _ in range(3):
            await asyncio.gather(*(asyncio.to_thread(together.wait, 10) for _ in range(4)))
            await until(lambda: len(threads_of("mail")) == 1)
        scarce("mail", 1000)
        assert await asyncio.to_thread(int, "7") == 7


async def test_a_trickle_of_calls_keeps_no_threads_that_it_does_not_need(monkeypatch: pytest.MonkeyPatch) -> None:
    """One call at a time takes one thread, or two by turns, and not each of the four a moment of its idleness."""
    monkeypatch.setattr("sensord.bulkheads.IDLE", 0.5)
    asyncio.get_running_loop().set_default_executor(Bulkheads(4))
    together = threading.Barrier(4)

    async def trickle() -> None:
        while True:
            await asyncio.to_thread(int)

    with part("mail"):
        await asyncio.gather(*(asyncio.to_thread(together.wait, 10) for _ in range(4)))
        calls = asyncio.create_task(trickle())
        await until(lambda: len(threads_of("mail")) <= 2)
    calls.cancel()
    await asyncio.wait({calls})


async def test_a_page_goes_out_though_its_worker_had_no_thread_for_a_while(scarce: Scarce, tmp_path: Path) -> None:
    """Nor had the channel itself: nothing had gone out then, so the page has no mark."""
    asyncio.get_running_loop().set_default_executor(Bulkheads())
    outbox, meter, pulse = StoredOutbox(tmp_path, notification()), PrometheusMeter(), Pulse()

    class Blocking(ScriptedChannel):
        async def send(self, entry: Entry) -> str:
            await asyncio.to_thread(int)
            return await super().send(entry)

    channel = Blocking()
    scarce("notify-desk", 1)
    scarce("send-desk", 1)
    worker = OutboxWorker(ChannelApart(channel), outbox, meter, pulse, lambda: START + time.monotonic_ns(), QUICK)
    with part("notify-desk"):
        task = asyncio.create_task(worker.run())
    await until(lambda: outbox.states() == ["sent"])
    task.cancel()
    await asyncio.wait({task})
    assert (outcomes(meter)["retried"], [one.possibly_repeated for one in channel.entries]) == (1, [False])
    assert pulse.attempts[0].startswith("no thread can be started for send-desk")
    assert chinese(pulse.attempts[0]).startswith("无法为 send-desk 启动线程")


async def test_of_several_services_some_may_have_been_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call for which there is no place leaves doubt where another one was made."""
    monkeypatch.setattr("sensord.bulkheads.QUEUE", 0)
    asyncio.get_running_loop().set_default_executor(Bulkheads(1))
    channel = AppriseChannel(Apprise(name="services", url_file="urls.txt"), ["json://127.0.0.1:1"] * 2)
    with pytest.raises(InDoubtError, match="too many calls wait"):
        await channel.send(entry())


async def test_upkeep_goes_on_when_it_has_no_thread(scarce: Scarce, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it looks after waits for its next turn; its end would be the daemon's."""
    asyncio.get_running_loop().set_default_executor(Bulkheads())
    monkeypatch.setattr("sensord.upkeep.INTERVAL", 0.001)
    monkeypatch.setattr("sensord.upkeep.DAILY", 0.0)
    done = list[str]()
    upkeep = Upkeep.__new__(Upkeep)
    monkeypatch.setattr(upkeep, "_daily", lambda: done.append("daily"), raising=False)
    monkeypatch.setattr(upkeep, "state", lambda: done.append("state"))
    scarce("upkeep", 1)
    with part("upkeep"):
        task = asyncio.create_task(upkeep.run())
    await until(lambda: done[:2] == ["daily", "state"])
    task.cancel()
    await asyncio.wait({task})


@pytest.mark.parametrize("alive", [[], [False, False], [False, True]])
def test_what_threads_have_open_is_closed_when_all_have_ended(alive: list[bool]) -> None:
    """One that hangs goes with the process: closing a database under it would crash."""
    assert ended(*(SimpleNamespace(alive=one) for one in alive)) is not any(alive)
