"""The webhook channel against a real HTTP server: what it sends, where it may go, how it reads the answer."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import socket
import ssl
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from sensord.config.channels import Success
from sensord.config.reach import is_internal
from sensord.config.settings import Webhook
from sensord.errors import DeliveryError
from sensord.notify.outcome import InDoubtError
from sensord.notify.target import resolve
from sensord.notify.webhook import WebhookChannel
from sensord.ports import Entry
from tests.notify.parts import START, Clock, entry
from tests.notify.programs import make_certificate
from tests.notify.receiver import Answer, Receiver


def _channel(
    receiver: Receiver, path: str = "/hook", secret: bytes | None = None, timeout: str = "10s"
) -> WebhookChannel:
    settings = Webhook(name="desk", url=receiver.url + path, allow=(receiver.host,), timeout=timeout)
    return WebhookChannel(settings, secret, Clock())


async def _send(channel: WebhookChannel, one: Entry) -> str:
    try:
        return await channel.send(one)
    finally:
        await channel.close()


async def _fail(*answers: Answer) -> DeliveryError:
    with Receiver(*answers) as receiver, pytest.raises(DeliveryError) as caught:
        await _send(_channel(receiver, timeout="500ms"), entry())
    return caught.value


async def test_the_body_says_everything_but_the_address() -> None:
    """A program can act on the body alone; the contact's address stays in the path."""
    with Receiver() as receiver:
        receipt = await _send(_channel(receiver), entry(repeated=True, address="138"))
    assert receipt == "http 200"
    (request,) = receiver.requests
    assert request.json == {
        "key": "case-1:1:居委干部-03:desk",
        "possibly_repeated": True,
        "late_seconds": 0,
        "case": "case-1",
        "event": "case-1:1",
        "at": "2023-11-14T22:13:20.000+00:00",
        "reason": "case_opened",
        "receiver": "居委干部-03",
        "role": "cadre",
        "level": "red",
        "place": "lane-99",
        "grid": "G01",
        "title": "临汾路99弄 拥挤",
        "text": "text-that-no-log-may-hold",
        "language": "zh",
        "link": "",
    }
    assert unquote(request.headers["Idempotency-Key"]) == "case-1:1:居委干部-03:desk"
    assert request.headers["Host"] == receiver.host


async def test_the_signature_verifies_and_covers_time_and_body() -> None:
    """A receiver that computes the HMAC as documented gets the same; with another body or time it does not."""
    with Receiver() as receiver:
        await _send(_channel(receiver, secret=b"s3cret"), entry())
    (request,) = receiver.requests
    timestamp = request.headers["X-Sensord-Timestamp"]
    signed = hmac.new(b"s3cret", f"{timestamp}.".encode() + request.body, hashlib.sha256).hexdigest()
    assert timestamp == str(START // 1_000_000_000)
    assert request.headers["X-Sensord-Signature"] == f"sha256={signed}"


async def test_without_a_secret_there_is_no_signature() -> None:
    """Nobody must take an empty secret's signature for one."""
    with Receiver() as receiver:
        await _send(_channel(receiver), entry())
    assert "X-Sensord-Signature" not in receiver.requests[0].headers


@pytest.mark.parametrize(
    ("path", "address", "expected"),
    [
        ("/hook", "", "/hook"),
        ("/hook", "13800000000", "/hook/13800000000"),
        ("/hook/", "a/../b?c#d e", "/hook/a%2F..%2Fb%3Fc%23d%20e"),
        ("/hook?token=1", "居委", "/hook/%E5%B1%85%E5%A7%94?token=1"),
        ("", "x", "/x"),
    ],
)
async def test_an_address_is_one_path_segment(path: str, address: str, expected: str) -> None:
    """Whatever a roster holds, it cannot lead to another path or add a query."""
    with Receiver() as receiver:
        await _send(_channel(receiver, path), entry(address=address))
    assert receiver.requests[0].path == expected


async def test_an_address_of_dots_is_refused() -> None:
    """``..`` would be another path."""
    with Receiver() as receiver, pytest.raises(DeliveryError) as caught:
        await _send(_channel(receiver), entry(address=".."))
    assert (caught.value.retryable, receiver.requests) == (False, [])


@pytest.mark.parametrize("allow", [(), ("127.0.0.2",), ("127.0.0.1:1",)])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_internal_addresses_are_refused(host: str, allow: tuple[str, ...]) -> None:
    """Without the host on the list nothing is sent; the error says what to do, and blames no contact."""
    with Receiver() as receiver:
        url = receiver.url.replace("127.0.0.1", host)
        channel = WebhookChannel(Webhook(name="desk", url=url, allow=allow), None)
        with pytest.raises(DeliveryError, match="allow") as caught:
            await _send(channel, entry())
    assert (caught.value.retryable, receiver.requests) == (True, [])


@pytest.mark.parametrize("allow", [("127.0.0.1",), ("LOCALHOST",)])
async def test_listed_hosts_are_reached(allow: tuple[str, ...]) -> None:
    """A host on the list is reached at any port, whatever the case of its letters."""
    with Receiver() as receiver:
        url = receiver.url.replace("127.0.0.1", allow[0].lower())
        await _send(WebhookChannel(Webhook(name="desk", url=url, allow=allow), None), entry())
    assert len(receiver.requests) == 1


async def test_a_name_that_turns_inwards_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """One inward address among others is enough; and what was judged is what is connected to: nobody asks again."""
    answers: list[list[str]] = []

    async def getaddrinfo(_loop: object, _host: str, port: int, **_: object) -> list[Any]:
        return [(2, 1, 6, "", (address, port)) for address in answers.pop(0)]

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", getaddrinfo)
    with Receiver() as receiver:
        url = receiver.url.replace("127.0.0.1", "desk.example")
        answers.append(["1.1.1.1", "127.0.0.1"])
        with pytest.raises(DeliveryError, match=r"127\.0\.0\.1"):
            await _send(WebhookChannel(Webhook(name="desk", url=url), None), entry())
        answers += [["127.0.0.1"], ["192.0.2.1"]]
        await _send(WebhookChannel(Webhook(name="desk", url=url, allow=("desk.example",)), None), entry())
    assert (len(receiver.requests), len(answers)) == (1, 1)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
        "255.255.255.255", "::1", "::", "fe80::1%eth0", "fc00::1", "ff02::1", "::ffff:10.0.0.1", "64:ff9b::a00:1",
        "2002:a00:1::1", "2001:db8::1", "fec0::5", "fec0::5%eth0", "64:ff9b:1::a00:5", "192.0.0.8", "4000::1",
        "192.0.0.192", "192.88.99.1", "::127.0.0.1", "::ffff:0:127.0.0.1", "::ffff:192.0.0.192", "3fff::1",
    ],
)  # fmt: skip
def test_internal_is_what_is_not_global(address: str) -> None:
    """Loopback, private, link-local, reserved, multicast, and IPv4 hidden in IPv6."""
    assert is_internal(address)


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "192.0.1.1", "223.5.5.5", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"]
)
def test_global_addresses_are_not_internal(address: str) -> None:
    """The guard does not stop what it is not for."""
    assert not is_internal(address)


@pytest.mark.parametrize(("name", "reached"), [("DNS:localhost", True), ("DNS:elsewhere", False)])
async def test_the_certificate_must_be_the_hosts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, reached: bool
) -> None:
    """We connect to a checked address, yet it is the host's name that the certificate must hold."""
    certificate, key = make_certificate(tmp_path, name)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    with Receiver(tls=tls) as receiver:
        url = receiver.url.replace("127.0.0.1", "localhost")
        channel = WebhookChannel(Webhook(name="desk", url=url, allow=("localhost",)), None)
        if reached:
            await _send(channel, entry())
        else:
            with pytest.raises(DeliveryError, match=r"localhost shows a certificate .*Hostname mismatch") as caught:
                await _send(channel, entry())
            assert not isinstance(caught.value, InDoubtError)
    assert len(receiver.requests) == int(reached)


async def test_who_speaks_no_tls_is_told_from_who_is_down() -> None:
    """The address begins with https where the receiver expects http, or has its port."""
    with Receiver() as receiver:
        channel = WebhookChannel(Webhook(name="desk", url=f"https://{receiver.host}", allow=(receiver.host,)), None)
        with pytest.raises(DeliveryError, match=r"no TLS with 127\.0\.0\.1"):
            await _send(channel, entry())


async def test_an_unknown_host_may_be_known_later() -> None:
    """A name that does not resolve is retryable: DNS may be down."""
    with pytest.raises(DeliveryError) as caught:
        await resolve("no-such-host.invalid", 80, ())
    assert caught.value.retryable


@pytest.mark.parametrize("status", [413, 414, 422])
async def test_what_speaks_of_this_message_alone_is_final(status: int) -> None:
    """The same request would be refused again."""
    assert not (await _fail(Answer(status))).retryable


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 410, 421, 451])
async def test_what_may_be_said_to_everybody_is_tried_again(status: int) -> None:
    """A proxy whose backend restarts, a token that is being renewed: for some seconds, and then all is well."""
    error = await _fail(Answer(status, headers={"Retry-After": "7"}))
    assert (error.retryable, error.retry_after) == (True, 7.0)
    assert not isinstance(error, InDoubtError)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_redirects_are_not_followed(status: int) -> None:
    """A receiver cannot send us, and what we carry, somewhere else; when its portal has gone, the page is taken."""
    with Receiver() as elsewhere:
        error = await _fail(Answer(status, headers={"Location": elsewhere.url}))
    assert (error.retryable, elsewhere.requests) == (True, [])


@pytest.mark.parametrize("status", [408, 425, 429, 500, 503])
async def test_a_servers_trouble_is_retryable(status: int) -> None:
    """It answered, so nothing is in doubt; it may take it later."""
    error = await _fail(Answer(status))
    assert error.retryable
    assert not isinstance(error, InDoubtError)


@pytest.mark.parametrize(
    "answer", [Answer(hang=True), Answer(drop=True), Answer(502), Answer(504)], ids=["hang", "drop", "502", "504"]
)
async def test_no_answer_is_doubt(answer: Answer) -> None:
    """The request went out, and nobody knows what became of it."""
    assert isinstance(await _fail(answer), InDoubtError)


async def test_no_connection_is_no_doubt() -> None:
    """Nothing was sent where nobody listens."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(DeliveryError) as caught:
            await _send(WebhookChannel(Webhook(name="desk", url=url, allow=("127.0.0.1",)), None), entry())
    assert caught.value.retryable
    assert not isinstance(caught.value, InDoubtError)


@pytest.mark.parametrize("status", [429, 503])
async def test_retry_after_is_read(status: int) -> None:
    """Seconds and HTTP dates, both from the channel's clock; nonsense is ignored."""
    date = format_datetime(datetime.fromtimestamp(START // 10**9, UTC) + timedelta(seconds=90), usegmt=True)
    for text, seconds in [("7", 7.0), (date, 90.0), ("soon", None), ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0)]:
        error = await _fail(Answer(status, headers={"Retry-After": text}))
        assert error.retry_after == seconds


async def test_what_a_200_says_in_its_body_counts() -> None:
    """The whole table is in ``test_verdict.py``; without a code of its own any other 200 is a delivery."""
    assert not isinstance(await _fail(Answer(200, b'{"errcode": 93000}')), InDoubtError)
    assert isinstance(await _fail(Answer(200, b'{"code": 1}')), InDoubtError)
    with Receiver(Answer(200, b"thanks")) as receiver:
        assert await _send(_channel(receiver), entry()) == "http 200"


@pytest.mark.parametrize(
    ("body", "taken", "doubtful"),
    [
        (b'{"data": {"state": "queued"}, "code": 500}', True, False),
        (b'{"data": {"state": "failed"}}', False, False),
        (b'{"data": {"state": -1}}', False, False),
        (b'{"data": {"state": "accepted"}}', False, True),
        (b'{"data": {"state": null}}', False, True),
        (b'{"data": {}}', False, True),
        (b'{"error": "busy"}', False, True),
        (b"ok", False, True),
        (b"<html><form>login to wifi</form></html>", False, True),
    ],
)
async def test_what_a_receiver_must_say_can_be_configured(body: bytes, taken: bool, doubtful: bool) -> None:
    """Then nothing else counts, whatever its codes mean; an answer that does not say it leaves doubt."""
    with Receiver(Answer(200, body)) as receiver:
        success = Success(path="data.state", equals="queued")
        hook = WebhookChannel(Webhook(name="desk", url=receiver.url, allow=(receiver.host,), success=success), None)
        if taken:
            assert await _send(hook, entry()) == "http 200"
            return
        with pytest.raises(DeliveryError, match="answered") as caught:
            await _send(hook, entry())
    assert (caught.value.retryable, isinstance(caught.value, InDoubtError)) == (True, doubtful)


async def test_an_address_waits_for_no_resolver(monkeypatch: pytest.MonkeyPatch) -> None:
    """Receivers in the house are reached while the uplink, and the resolver with it, is dead."""

    async def getaddrinfo(_loop: object, *_: object, **__: object) -> list[Any]:
        raise AssertionError("nobody need be asked")

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", getaddrinfo)
    with Receiver() as receiver:
        assert await _send(_channel(receiver), entry()) == "http 200"


async def test_errors_name_no_address_and_no_text() -> None:
    """Errors are kept and logged: they hold neither the contact's address nor the message."""
    with Receiver(Answer(404)) as receiver, pytest.raises(DeliveryError) as caught:
        await _send(_channel(receiver), entry(address="13800000000"))
    assert "138" not in str(caught.value)
    assert "text" not in str(caught.value)
