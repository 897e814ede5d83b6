"""The change feed over a real connection."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

import httpx
import pytest
from fastapi.routing import APIRoute

from sensord.api import feed
from sensord.api.refusal import Refused
from sensord.api.tokens import Role
from tests.api.parts import Daemon


@contextmanager
def following(client: httpx.Client, daemon: Daemon, query: str = "", **headers: str) -> Iterator[Iterator[list[str]]]:
    """Open a stream; yields its events, each as its lines, comments left out."""
    with client.stream("GET", f"/api/v1/changes{query}", headers={**daemon.bearer(Role.VIEWER), **headers}) as stream:
        assert stream.status_code == 200
        assert stream.headers["content-type"].startswith("text/event-stream")
        yield _events(stream.iter_lines())


def _events(lines: Iterator[str]) -> Iterator[list[str]]:
    event: list[str] = []
    for line in lines:
        if line and not line.startswith((":", "retry")):
            event.append(line)
        elif event and not line:
            yield event
            event = []


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "POLL", 0.02)


def test_what_happens_is_told_as_it_happens(client: httpx.Client, daemon: Daemon) -> None:
    """A stream that starts afresh begins with what comes next, each event with its group and kind."""
    with following(client, daemon) as events:
        daemon.history.append((4, "transition", {"id": "t", "change": "raised"}))
        daemon.applied = 4
        assert next(events) == ["id: 4", "event: transition", 'data: {"id":"t","change":"raised"}']


@pytest.mark.parametrize("how", ["query", "header"])
def test_who_comes_back_misses_nothing(client: httpx.Client, daemon: Daemon, how: str) -> None:
    """From ``after`` or ``Last-Event-ID`` on, in order, over more groups than one look reads."""
    daemon.history = [(seq, "case", {"n": seq}) for seq in range(1, 1201)]
    daemon.applied = 1200
    query, headers = ("?after=10", {}) if how == "query" else ("", {"Last-Event-ID": "10"})
    with following(client, daemon, query, **headers) as events:
        told = [json.loads(next(events)[2].removeprefix("data: "))["n"] for _ in range(1190)]
    assert told == list(range(11, 1201))


def test_streams_are_bounded_and_end(client: httpx.Client, daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    """One too many is told to come again; when one has gone there is room."""
    monkeypatch.setattr(feed, "STREAMS", 1)
    daemon.history = [(4, "case", {})]
    daemon.applied = 4
    with following(client, daemon, "?after=3") as events:
        next(events)
        refused = client.get("/api/v1/changes", headers=daemon.bearer())
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "10")
    for _ in range(500):
        with client.stream("GET", "/api/v1/changes", headers=daemon.bearer()) as again:
            if again.status_code == 200:
                return
    pytest.fail("the place of a stream that has ended is not given back")


async def test_a_stream_counts_from_when_it_is_granted(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many ask at once before the first has begun; one that never begins gives its place back."""
    monkeypatch.setattr(feed, "STREAMS", 1)
    (route,) = (one for one in feed.Feed(daemon).routes().routes if isinstance(one, APIRoute))
    granted = await route.endpoint()
    with pytest.raises(Refused):
        await route.endpoint()

    async def gone(*_: object) -> NoReturn:
        raise ConnectionResetError

    with suppress(BaseException):
        await granted({"type": "http"}, gone, gone)
    assert (await route.endpoint()).status_code == 200
