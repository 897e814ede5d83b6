"""Clients that speak or listen too slowly, and too many of them: let go, and nobody else notices."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from urllib.parse import urlsplit

import httpx
import pytest
from fastapi import FastAPI
from starlette.responses import PlainTextResponse

from sensord.api import connection, guard
from tests.api.parts import Daemon, Serving, client_of
from tests.support import wait_until

CONNECTIONS = 20
HEAD = b"POST /api/v1/silences HTTP/1.1\r\nHost: x\r\n"


@pytest.fixture
def serving(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Serving, str]]:
    """A server that has little patience, and little room."""
    monkeypatch.setattr(connection, "HEAD", 0.5)
    monkeypatch.setattr(connection, "READING", 0.5)
    monkeypatch.setattr(connection, "CONNECTIONS", CONNECTIONS)
    monkeypatch.setattr(guard, "BODY_TIME", 0.5)
    app = daemon.app()
    add_large_page(app)
    with (made := Serving(app)) as url:
        yield made, url


def add_large_page(app: FastAPI) -> None:
    """A page of more than any buffer on the way holds."""
    app.add_route("/large", lambda _: PlainTextResponse("x" * (32 << 20)))


def token(daemon: Daemon) -> bytes:
    """The header's line of somebody who may do everything."""
    return f"Authorization: {daemon.bearer()['Authorization']}\r\n".encode()


def dropped(serving: tuple[Serving, str]) -> dict[str, float]:
    """How many connections were let go, by reason."""
    found = re.findall(r'http_connections_dropped_total{reason="(\w+)"} (.+)', serving[0].meter.text().decode())
    return {why: float(count) for why, count in found}


def call(url: str, *parts: bytes) -> socket.socket:
    """Connect, and say something."""
    caller = socket.create_connection((str(urlsplit(url).hostname), urlsplit(url).port or 0), 10)
    caller.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    for part in parts:
        caller.sendall(part)
    return caller


def is_closed(caller: socket.socket) -> bool:
    """Whether the other end goes, after whatever it may still say."""
    caller.settimeout(10)
    try:
        while caller.recv(65536):
            pass
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False
    return True


@pytest.mark.parametrize("said", [(), (HEAD,), (HEAD, b"X-A: b\r\n")])
def test_a_head_that_never_ends_is_not_waited_for(serving: tuple[Serving, str], said: tuple[bytes, ...]) -> None:
    """Nothing at all, half a head, and a line of it now and then: the clock is not wound up again."""
    with call(serving[1], *said) as caller:
        assert is_closed(caller)
    assert dropped(serving) == {"slow_head": 1}


def test_the_second_head_of_a_connection_has_a_clock_too(serving: tuple[Serving, str]) -> None:
    """A connection that was used well once may not be held with half a head either."""
    with call(serving[1], b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n") as caller:
        assert caller.recv(65536).startswith(b"HTTP/1.1 ")
        caller.sendall(HEAD)
        wait_until(lambda: dropped(serving) == {"slow_head": 1}, 10, "it is let go")


def test_a_body_that_never_ends_is_refused(serving: tuple[Serving, str], daemon: Daemon) -> None:
    """408, and the connection is closed."""
    with call(serving[1], HEAD, token(daemon), b"Content-Length: 100\r\n\r\n", b"{") as caller:
        caller.settimeout(10)
        assert b" 408 " in caller.recv(65536).partition(b"\r\n")[0]
        assert is_closed(caller)


def test_an_answer_that_nobody_reads_is_not_kept(serving: tuple[Serving, str], daemon: Daemon) -> None:
    """Who asks for much and takes nothing of it is let go."""
    with call(serving[1], b"GET /large HTTP/1.1\r\nHost: x\r\n", token(daemon), b"\r\n"):
        wait_until(lambda: dropped(serving) == {"slow_reader": 1}, 10, "it is let go")


def test_too_many_slow_ones_shut_nobody_out(serving: tuple[Serving, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """For each that comes beyond the limit the slowest goes; whoever speaks at once is served."""
    monkeypatch.setattr(connection, "HEAD", 60.0)
    with ExitStack() as stack:
        callers = [stack.enter_context(call(serving[1], HEAD)) for _ in range(2 * CONNECTIONS)]
        wait_until(lambda: dropped(serving) == {"too_many": CONNECTIONS}, 10, "the limit holds")
        assert is_closed(callers[0])
        with client_of(serving[1]) as client:
            for _ in range(5):
                answer: httpx.Response = client.get("/metrics")
                assert answer.status_code == 200


def test_a_request_of_two_lengths_is_refused(serving: tuple[Serving, str], daemon: Daemon) -> None:
    """400, and the connection is closed: a proxy may have taken what follows for the rest of this one."""
    lengths = b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
    rest = b"0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    with call(serving[1], HEAD + token(daemon) + lengths + rest) as caller:  # at once: what came later would be reset
        said = b"".join(iter(lambda: caller.recv(65536), b""))
    assert said.startswith(b"HTTP/1.1 400 ")
    assert said.count(b"HTTP/1.1 ") == 1
