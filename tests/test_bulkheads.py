"""Calls that never return cost their own part its threads, and nobody else anything."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from sensord.bulkheads import Bulkheads, ended, part
from sensord.errors import UnavailableError
from tests.notify.parts import until


@pytest.fixture
def never() -> Iterator[threading.Event]:
    """What hung calls wait for; it comes when the test is over."""
    event = threading.Event()
    yield event
    event.set()


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
    assert len([one for one in threading.enumerate() if one.name.startswith("mail_")]) == 2
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

    async def run() -> None:
        asyncio.get_running_loop().set_default_executor(Bulkheads(2))
        await hang(never, "mail", 2)

    asyncio.run(run())
    hung = [one for one in threading.enumerate() if one.name.startswith("mail_")]
    assert [one.daemon for one in hung] == [True, True]


@pytest.mark.parametrize("alive", [[], [False, False], [False, True]])
def test_what_threads_have_open_is_closed_when_all_have_ended(alive: list[bool]) -> None:
    """One that hangs goes with the process: closing a database under it would crash."""
    assert ended(*(SimpleNamespace(alive=one) for one in alive)) is not any(alive)
