"""What tests share: waiting for a condition, free ports, and real services (see the modules of this package)."""

from __future__ import annotations

import itertools
import os
import secrets
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

POLL = 0.02
_FIRST_PORT, _PORTS, _WORKERS = 15_000, 2_000, 8


def _ports() -> Iterator[int]:
    """Ports below those that systems give to outgoing connections; no two test processes share any of them.

    None comes again soon: a service that was ended may be started again on its own.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % _WORKERS
    for number in itertools.count(secrets.randbelow(_PORTS)):
        yield _FIRST_PORT + worker * _PORTS + number % _PORTS


_NEXT = _ports()


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on now."""
    for port in _NEXT:
        with socket.socket() as unused, suppress(OSError):
            unused.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            unused.bind(("127.0.0.1", port))
            return port
    raise AssertionError("ports never end")


def wait_until(condition: Callable[[], object], deadline: float = 10.0, what: str | Callable[[], str] = "") -> None:
    """Poll until the condition holds; raises ``AssertionError`` naming ``what`` after ``deadline`` seconds."""
    end = time.monotonic() + deadline
    while not condition():
        if time.monotonic() > end:
            said = what() if callable(what) else what
            raise AssertionError(f"not within {deadline:g} s: {said or condition}")
        time.sleep(POLL)


def program(name: str) -> str:
    """Return the path of a service's program; without it the test is skipped, and fails where everything must run."""
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin:/opt/homebrew/sbin:/usr/local/bin")
    if path is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"{name} is not installed: run `make services`")
    return path
