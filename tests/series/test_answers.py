"""What both sinks make of a database's answers, against the local HTTP receiver."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from sensord.config.settings import InfluxV1, InfluxV2, Rollups, Settings
from sensord.errors import ConfigError, DeliveryError, Problem
from sensord.ports import Cursor, Sink
from sensord.series.build import build_sinks
from sensord.series.influx_v1 import InfluxV1Sink
from sensord.series.influx_v2 import InfluxV2Sink
from sensord.series.lineprotocol import encode_lines
from sensord.telemetry.metrics import PrometheusMeter
from tests.notify.receiver import Answer, Receiver
from tests.series.parts import Cursors, MemorySink, some_points

MakeSink = Callable[[str, Cursors], Sink]


def _v1(url: str, cursors: Cursors) -> Sink:
    settings = InfluxV1(url=url, database="db", username="u")
    return InfluxV1Sink(settings, "p", cursors, PrometheusMeter(), timeout=0.5)


def _v2(url: str, cursors: Cursors) -> Sink:
    return InfluxV2Sink(InfluxV2(url=url, org="o", bucket="b"), "t", cursors, PrometheusMeter(), timeout=0.5)


both = pytest.mark.parametrize("make", [_v1, _v2], ids=["v1", "v2"])


async def _refusal(make: MakeSink, answer: Answer) -> DeliveryError:
    cursors = Cursors()
    with Receiver(answer) as receiver:
        sink = make(receiver.url, cursors)
        with pytest.raises(DeliveryError) as caught:
            await sink.write(some_points(3), Cursor(1, 1, b""))
        await sink.close()
    assert cursors.saved == {}, "a refused write must not move the cursor"
    return caught.value


@pytest.mark.parametrize(
    ("make", "target", "authorization"),
    [
        pytest.param(_v1, "/write?db=db&precision=ns", "Basic dTpw", id="v1"),
        pytest.param(_v2, "/api/v2/write?org=o&bucket=b&precision=ns", "Token t", id="v2"),
    ],
)
async def test_a_write_is_compressed_lines(make: MakeSink, target: str, authorization: str) -> None:
    """One request with every point, gzip, in nanoseconds, with the credentials."""
    with Receiver(Answer(204, b"")) as receiver:
        sink = make(receiver.url, Cursors())
        await sink.write(some_points(50), Cursor(1, 1, b""))
        await sink.close()
    (request,) = receiver.requests
    assert request.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(request.body).decode() == encode_lines(some_points(50))[0]
    assert (request.path, request.headers["Authorization"]) == (target, authorization)


@both
async def test_no_points_only_move_the_cursor(make: MakeSink) -> None:
    """A quiet stretch costs the database nothing."""
    cursors = Cursors()
    with Receiver() as receiver:
        sink = make(receiver.url, cursors)
        await sink.write([], Cursor(9, 9, b"s"))
        assert await sink.position() == Cursor(9, 9, b"s")
        await sink.close()
    assert receiver.requests == []


@both
@pytest.mark.parametrize("status", [429, 503])
async def test_throttling_says_when(make: MakeSink, status: int) -> None:
    """``Retry-After`` in seconds and as a date; a throttled write is retryable."""
    error = await _refusal(make, Answer(status, headers={"Retry-After": "17"}))
    assert (error.retryable, error.retry_after) == (True, 17.0)
    date = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    error = await _refusal(make, Answer(status, headers={"Retry-After": date}))
    assert error.retry_after is not None
    assert 3000 < error.retry_after <= 3600
    assert (await _refusal(make, Answer(status, headers={"Retry-After": "later"}))).retry_after is None


@both
@pytest.mark.parametrize("status", [400, 413, 422])
async def test_a_bad_batch_is_not_retryable(make: MakeSink, status: int) -> None:
    """The feeder has to take it apart; the database's reason is kept."""
    error = await _refusal(make, Answer(status, b'{"error":"field type conflict"}'))
    assert not error.retryable
    assert "field type conflict" in str(error)


@both
@pytest.mark.parametrize(
    ("body", "dropped"),
    [
        (b'{"error":"partial write: points beyond retention policy dropped=17"}', 17),
        (b'{"code":"invalid","message":"failure: partial write: field type conflict: x\\ndropped dropped=3"}', 3),
        (b'{"error":"unable to parse dropped=5: missing fields"}', None),
    ],
)
async def test_how_many_a_database_cannot_hold_is_taken_from_its_words(
    make: MakeSink, body: bytes, dropped: int | None
) -> None:
    """As InfluxDB says it where it has kept the rest; nobody else's word is taken for it."""
    error = await _refusal(make, Answer(400, body))
    assert (error.retryable, error.dropped) == (False, dropped)
    assert (await _refusal(make, Answer(503, body))).dropped is None


@both
@pytest.mark.parametrize("status", [400, 422])
@pytest.mark.parametrize("body", [b"<html>400 Bad Request</html>", b'{"message":"no route"}', b"[1]", b""])
async def test_a_stranger_has_not_looked_at_the_points(make: MakeSink, status: int, body: bytes) -> None:
    """What says no without a database's word costs no point: it is tried again, and says what to check."""
    error = await _refusal(make, Answer(status, body))
    assert error.retryable
    assert "check url of this sink" in str(error)


@both
@pytest.mark.parametrize(
    "answer",
    [
        Answer(400, b"cannot read data", headers={"X-Influxdb-Version": "1.8.0"}),
        Answer(400, b'{"code":"invalid","message":"partial write"}'),
        Answer(400, b'{"error":"partial write","data":[' + b'{"line":1},' * 9000),
        Answer(413, b"<html><title>413 Request Entity Too Large</title></html>"),
    ],
)
async def test_the_word_of_a_database_is_known(make: MakeSink, answer: Answer) -> None:
    """By its header or by the form of what it says, even when that is too long to be taken in."""
    assert not (await _refusal(make, answer)).retryable


@both
@pytest.mark.parametrize(
    ("status", "advice"), [(401, "token"), (403, "grant"), (404, "create"), (307, "redirects are not followed")]
)
async def test_a_wrong_configuration_costs_no_points(make: MakeSink, status: int, advice: str) -> None:
    """It is retryable, because somebody will mend it, and says what to mend."""
    error = await _refusal(make, Answer(status, headers={"Location": "http://127.0.0.1:9/"}))
    assert error.retryable
    assert advice in str(error)


@both
@pytest.mark.parametrize("answer", [Answer(500), Answer(502), Answer(drop=True), Answer(hang=True)])
async def test_a_broken_database_is_retryable(make: MakeSink, answer: Answer) -> None:
    """Errors, lost connections and silence pass."""
    assert (await _refusal(make, answer)).retryable


@both
async def test_nobody_listening_is_retryable(make: MakeSink) -> None:
    """A refused connection is a database that is down."""
    with Receiver() as receiver:
        url = receiver.url
    sink = make(url, Cursors())
    with pytest.raises(DeliveryError) as caught:
        await sink.write(some_points(1), Cursor(1, 1, b""))
    await sink.close()
    assert caught.value.retryable


async def test_sinks_are_built_as_configured() -> None:
    """In the file's order, each of its class and batch size, with secrets read from their files."""
    rollups = MemorySink()
    settings = Settings(
        site="linfen",
        sinks=(
            InfluxV2(name="two", url="http://127.0.0.1:1", bucket="b", token_file="/token", batch=7),
            Rollups(),
            InfluxV1(name="one", url="http://127.0.0.1:1", database="d", username="u", password_file="/pw"),
        ),
    )
    read: list[str] = []
    off: list[str] = []

    def secret(path: str) -> str:
        read.append(path)
        return "s\n"

    plans = build_sinks(
        settings, secret, Cursors(), PrometheusMeter(), lambda _: rollups, lambda sink, _: off.append(sink)
    )
    assert off == []
    assert [type(plan.sink) for plan in plans] == [InfluxV2Sink, MemorySink, InfluxV1Sink]
    assert [plan.batch for plan in plans] == [7, 5000, 5000]
    assert read == ["/token", "/pw"]
    for plan in plans:
        await plan.sink.close()


async def test_a_sink_without_its_secret_is_left_out_alone() -> None:
    """It is said which and why; those before and after it are built."""
    sinks = (
        InfluxV1(name="one", url="http://127.0.0.1:1", database="d", username="u", password_file="/gone"),
        Rollups(),
        InfluxV1(name="three", url="http://127.0.0.1:1", database="d", username="u", password_file="/there"),
    )
    off: dict[str, ConfigError] = {}

    def secret(path: str) -> str:
        if path == "/gone":
            raise ConfigError([Problem(path, 1, 1, "the secret cannot be read")])
        return "s"

    settings, parts = Settings(site="linfen", sinks=sinks), (Cursors(), PrometheusMeter())
    plans = build_sinks(settings, secret, *parts, lambda _: MemorySink(), off.__setitem__)
    assert [type(plan.sink) for plan in plans] == [MemorySink, InfluxV1Sink]
    assert [(sink, error.problems[0].file) for sink, error in off.items()] == [("one", "/gone")]
    for plan in plans:
        await plan.sink.close()
