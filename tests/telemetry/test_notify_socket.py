"""The service manager's protocol, against a socket that plays the manager."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from sensord.telemetry.notify_socket import NotifySocket


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    """Listen on a path or an abstract name; yields the socket and what ``NOTIFY_SOCKET`` would say."""
    name = str(tmp_path / "notify") if request.param == "path" else f"@sensord-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(name.replace("@", "\0", 1))
        listener.settimeout(5)
        yield listener, name


def test_every_notification(manager: tuple[socket.socket, str]) -> None:
    """Each method sends the datagram that sd_notify(3) describes; a status stays on one line."""
    listener, name = manager
    notify = NotifySocket({"NOTIFY_SOCKET": name})

    def heard() -> list[str]:
        return listener.recv(4096).decode().split("\n")

    assert notify.ready("two\nlines")
    assert heard() == ["READY=1", "STATUS=two lines"]
    assert notify.watchdog()
    assert heard() == ["WATCHDOG=1"]
    assert notify.extend(1.5, "2 of 3")
    assert heard() == ["EXTEND_TIMEOUT_USEC=1500000", "WATCHDOG=1", "STATUS=2 of 3"]
    assert notify.stopping()
    assert heard() == ["STOPPING=1"]
    assert notify.reloading()
    reloading, monotonic = heard()
    assert reloading == "RELOADING=1"
    assert monotonic.removeprefix("MONOTONIC_USEC=").isdecimal()


def test_without_a_manager_nothing_happens(tmp_path: Path) -> None:
    """Without the variable, or with a manager that is gone, nobody is told and nothing fails."""
    assert not NotifySocket({}).ready()
    assert not NotifySocket({"NOTIFY_SOCKET": str(tmp_path / "gone")}).watchdog()


@pytest.mark.timeout(30)
def test_a_manager_that_does_not_read_holds_nothing_up(manager: tuple[socket.socket, str]) -> None:
    """When its queue is full, pings are given up at once, and a change of state after a while."""
    notify = NotifySocket({"NOTIFY_SOCKET": manager[1]})
    told = [notify.watchdog() for _ in range(10_000)]
    assert told[0]
    assert not told[-1]
    assert not notify.stopping()


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_the_watchdog_interval(environment: dict[str, str], expected: float | None) -> None:
    """Half of the manager's limit; none when there is no limit, or it is meant for another process."""
    assert NotifySocket(environment).watchdog_interval() == expected
