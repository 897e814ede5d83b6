"""Nobody who answers us fills our memory: receivers, databases, the daemon's own HTTP server, at real servers.

Mail servers: ``tests/notify/test_smtp.py``; services over apprise: ``tests/notify/test_apprise.py``.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator

import httpx
import pytest

from sensord.answers import LIMIT, Taking, ask, blocking_client, client, read
from sensord.config.settings import InfluxV1, InfluxV2, Webhook
from sensord.errors import DeliveryError
from sensord.notify.outcome import InDoubtError
from sensord.notify.webhook import WebhookChannel
from sensord.phrasebook import chinese
from sensord.ports import Cursor, Sink
from sensord.series.influx_v1 import InfluxV1Sink
from sensord.series.influx_v2 import InfluxV2Sink
from sensord.telemetry.metrics import PrometheusMeter
from tests.notify.parts import entry
from tests.notify.receiver import Answer, Receiver
from tests.series.parts import Cursors, some_points
from tests.support.bombs import BOMBS, NO_ANSWERS, ROOM, Growth, bombing

every_bomb = pytest.mark.parametrize("bomb", BOMBS)


def _webhook(url: str) -> WebhookChannel:
    return WebhookChannel(Webhook(name="desk", url=url, allow=("127.0.0.1",), timeout="20s"), None)


def _v1(url: str, cursors: Cursors) -> Sink:
    return InfluxV1Sink(InfluxV1(url=url, database="db"), "", cursors, PrometheusMeter(), timeout=20.0)


def _v2(url: str, cursors: Cursors) -> Sink:
    return InfluxV2Sink(InfluxV2(url=url, bucket="b"), "t", cursors, PrometheusMeter(), timeout=20.0)


both = pytest.mark.parametrize("make", [_v1, _v2], ids=["v1", "v2"])


async def _paged(url: str) -> DeliveryError:
    channel = _webhook(url)
    with pytest.raises(DeliveryError) as caught:
        await channel.send(entry())
    await channel.close()
    return caught.value


async def _written(make: Callable[[str, Cursors], Sink], url: str) -> DeliveryError:
    cursors = Cursors()
    sink = make(url, cursors)
    with pytest.raises(DeliveryError) as caught:
        await sink.write(some_points(3), Cursor(1, 1, b""))
    await sink.close()
    assert cursors.saved == {}, "the points may not be written"
    return caught.value


@every_bomb
async def test_a_receivers_answer_is_bounded_whatever_its_encoding(bomb: str) -> None:
    """A page that may have been taken is in doubt, and says why; the memory stays what it was."""
    with bombing(bomb) as url:
        growth = Growth()
        error = await _paged(url)
        assert growth.peak < ROOM
    assert isinstance(error, InDoubtError)
    assert ("compressed" if "gzip" in bomb else "64 KiB") in str(error)
    assert chinese(str(error)).endswith("压缩过的应答（并未要求压缩）" if "gzip" in bomb else "超过 64 KiB 的内容")


@every_bomb
async def test_a_receivers_refusal_counts_whatever_comes_with_it(bomb: str) -> None:
    """The status has said all: nothing was taken, and the same request would be refused again."""
    with bombing(bomb, "413 Content Too Large") as url:
        growth = Growth()
        error = await _paged(url)
        assert growth.peak < ROOM
    assert not error.retryable


@both
@every_bomb
async def test_a_databases_answer_is_bounded_whatever_its_encoding(
    bomb: str, make: Callable[[str, Cursors], Sink]
) -> None:
    """No database says that much to a write: the points are written again, and the error says why."""
    with bombing(bomb) as url:
        growth = Growth()
        error = await _written(make, url)
        assert growth.peak < ROOM
    assert error.retryable
    assert ("compressed" if "gzip" in bomb else "64 KiB") in str(error)
    assert chinese(str(error)).startswith("时序库 influxdb：数据库应答了 200，但带着")


@both
@every_bomb
@pytest.mark.parametrize(
    ("status", "retryable"), [("413 Content Too Large", False), ("400 Bad Request", True), ("500 Oops", True)]
)
async def test_a_databases_refusal_counts_whatever_comes_with_it(
    bomb: str, make: Callable[[str, Cursors], Sink], status: str, retryable: bool
) -> None:
    """What is no database's word leaves the points to be written again; too large is too large, whoever says so."""
    with bombing(bomb, status) as url:
        growth = Growth()
        error = await _written(make, url)
        assert growth.peak < ROOM
    assert error.retryable is retryable
    assert len(str(error)) < 400


@pytest.mark.parametrize("bomb", NO_ANSWERS)
async def test_an_answer_that_never_begins_is_none(bomb: str) -> None:
    """Headers without end are bounded, too; nobody knows what became of the page, and points come again."""
    with bombing(bomb) as url:
        growth = Growth()
        errors = [await _paged(url), await _written(_v1, url), await _written(_v2, url)]
        assert growth.peak < ROOM
    assert isinstance(errors[0], InDoubtError)
    assert all(error.retryable for error in errors)


async def test_nothing_compressed_is_asked_for_and_no_cookie_is_kept() -> None:
    """By either client; a cookie that came is not sent along, and does not add to others."""
    cookies = Answer(200, b"{}", {"Set-Cookie": "a=b; Path=/"})
    with Receiver(cookies, cookies) as receiver:
        pages, calls = client(5.0), blocking_client(5.0)
        for _ in range(2):
            await read(await pages.send(pages.build_request("GET", receiver.url), stream=True))
            ask(calls, calls.build_request("GET", receiver.url))
        await pages.aclose()
        calls.close()
    assert [request.headers["Accept-Encoding"] for request in receiver.requests] == ["identity"] * 4
    assert [request for request in receiver.requests if "Cookie" in request.headers] == []


@pytest.mark.parametrize(("size", "whole"), [(0, True), (LIMIT, True), (LIMIT + 1, False)])
async def test_the_bound_is_64_kib_to_the_byte(size: int, whole: bool) -> None:
    """What fits is whole, on either way; of what does not, the beginning is kept."""
    with Receiver(*[Answer(200, b"x" * size)] * 2) as receiver:
        pages, calls = client(5.0), blocking_client(5.0)
        found = [
            await read(await pages.send(pages.build_request("GET", receiver.url), stream=True)),
            ask(calls, calls.build_request("GET", receiver.url)),
        ]
        await pages.aclose()
        calls.close()
    assert [(len(answer.body), not answer.fault) for answer in found] == [(min(size, LIMIT), whole)] * 2


def test_an_encoding_of_nothing_is_no_fault() -> None:
    """Some servers put it on every answer, an empty one included; and ``identity`` is none."""
    assert Taking("gzip").fault == ""
    assert Taking("gzip").take(b"")
    assert Taking(" Identity ").take(b"{}")
    taking = Taking("gzip")
    assert not taking.take(gzip.compress(b"{}"))
    assert (taking.body, taking.fault) == (b"", "a compressed answer, which was not asked for")


def test_a_call_that_trickles_ends() -> None:
    """Each part comes in time, the whole does not: the thread comes back."""

    class Trickle(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            while True:
                yield b"1"

    calls = httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(200, stream=Trickle())), timeout=0.0)
    with pytest.raises(httpx.ReadTimeout):
        ask(calls, calls.build_request("GET", "http://database.example"))
