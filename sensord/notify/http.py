"""One HTTP request to one checked address, and how it can end: what every channel over HTTP sends with.

======================================  =================================================================
what came back                          what it means (:func:`judge_status`)
======================================  =================================================================
2xx                                     taken; the body may say otherwise (``verdict.py``, the services)
2xx, too large or encoded               in doubt: what it says is not read (:mod:`sensord.answers`)
502, 504, or nothing after the request  in doubt; tried again as possibly repeated
413, 414, 422                           failed for good: this message, or its address, is what is wrong
anything else                           failed; tried again, ``Retry-After`` is honoured
======================================  =================================================================

What speaks of the url, the key or whoever stands before the receiver (401, 403, 404, a redirect, which is never
followed) is tried again: a proxy that restarts says the same for some seconds, and that must cost nobody a page.

Messages name the host only: a path or a query may hold a key or a contact's address.
"""

from __future__ import annotations

import asyncio
import re
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import msgspec

from sensord import answers
from sensord.config.reach import host_and_port
from sensord.core.instant import SECOND, parse_duration
from sensord.errors import DeliveryError
from sensord.notify.outcome import InDoubtError, parse_retry_after
from sensord.notify.target import resolve

_THIS_MESSAGE = frozenset({413, 414, 422})
"""RFC 9110: content too large, URI too long (it ends with the contact's address), unprocessable content."""

_IN_DOUBT = frozenset({502, 504})
"""A gateway's word: what stands behind it may have taken the request."""

_WHAT_TO_CHECK = {401: "check the channel's key or secret", 403: "check key and rights", 404: "check the url"}

_PAGE = re.compile(rb"<(!doctype\s+html|html|head|body)\b", re.IGNORECASE)
"""The content type says less: many a script leaves it at text/html whatever it answers."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back: ``retry_after`` is the receiver's wish in seconds, ``body`` its first 64 KiB at most."""

    host: str
    status: int
    retry_after: float | None
    body: bytes

    @property
    def web_page(self) -> bool:
        """Whether the body is a page for people: a portal that wants a login, a proxy that is sorry."""
        return _PAGE.search(self.body[:2048]) is not None

    @property
    def json(self) -> dict[str, Any] | None:
        """The body as a JSON object, or None when it is not one."""
        try:
            found = msgspec.json.decode(self.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        return found if isinstance(found, dict) else None


class _Attempt:
    """Knows whether any part of a request has left: what fails before that has certainly not arrived."""

    def __init__(self) -> None:
        self.sent = False

    async def trace(self, event: str, _info: dict[str, Any]) -> None:
        """Listen to httpcore's events (https://www.encode.io/httpcore/extensions/#trace)."""
        self.sent = self.sent or event.endswith("send_request_headers.started")


class HttpSender:
    """Sends requests for the channel ``name``; ``timeout`` is a duration, ``clock`` Unix time in ns."""

    def __init__(
        self, name: str, timeout: str, allow: tuple[str, ...], clock: Callable[[], int] = time.time_ns
    ) -> None:
        self.name = name
        self.clock = clock
        self._allow = allow
        self._timeout = parse_duration(timeout) / SECOND
        self._client = answers.client(self._timeout)

    async def send(
        self,
        url: httpx.URL,
        content: bytes = b"",
        headers: Mapping[str, str] | None = None,
        *,
        method: str = "POST",
    ) -> Reply:
        """Send one request; raises ``DeliveryError`` only when nothing came back that can be judged."""
        attempt = _Attempt()
        sending = {"Host": url.netloc.decode(), **(headers or {})}
        try:
            async with asyncio.timeout(self._timeout):
                return await self._try(method, url, content, sending, attempt)
        except (TimeoutError, httpx.RequestError) as error:
            raise self._no_answer(url.host, error, attempt) from error

    async def knock(self, url: str) -> None:
        """Go as far as a request does before any of it is sent; raises ``DeliveryError`` with what that would say."""
        host, port = host_and_port(url)
        try:
            async with asyncio.timeout(self._timeout):
                await _connect(host, port, await resolve(host, port, self._allow), url.startswith("https:"))
        except OSError as error:
            raise self._no_answer(host, error, _Attempt()) from error

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _try(
        self, method: str, url: httpx.URL, content: bytes, headers: dict[str, str], attempt: _Attempt
    ) -> Reply:
        """Try the host's addresses in turn, as long as nothing has been sent."""
        port = url.port or (443 if url.scheme == "https" else 80)
        addresses = await resolve(url.host, port, self._allow)
        extensions = {"sni_hostname": url.raw_host.decode(), "trace": attempt.trace}
        for number, address in enumerate(addresses, 1):
            request = self._client.build_request(
                method,
                url.copy_with(host=address),
                content=content,
                headers=headers,
                timeout=self._timeout,
                extensions=extensions,
            )
            try:
                return await self._exchange(request, url.host)
            except httpx.RequestError:
                if attempt.sent or number == len(addresses):
                    raise
        raise DeliveryError(f"host {url.host} has no address: check the url and this machine's DNS")

    async def _exchange(self, request: httpx.Request, host: str) -> Reply:
        answer = await answers.read(await self._client.send(request, stream=True))
        if answer.fault and answer.success:
            raise InDoubtError(f"channel {self.name}: {host} answered {answer.status}, but with {answer.fault}")
        wish = parse_retry_after(answer.headers.get("Retry-After"), self.clock())
        return Reply(host, answer.status, wish, answer.body)

    def _no_answer(self, host: str, error: Exception, attempt: _Attempt) -> DeliveryError:
        kind = type(error).__name__
        if attempt.sent:
            return InDoubtError(f"channel {self.name}: {host} did not answer the request ({kind})")
        fault = next((one for one in _causes(error) if isinstance(one, ssl.SSLError)), None)
        if isinstance(fault, ssl.SSLCertVerificationError):
            advice = "renew it, let this system trust who signed it, and check this machine's clock"
            why = f"{host} shows a certificate that is not trusted ({fault.verify_message}); {advice}"
        elif fault is not None:
            why = f"no TLS with {host} ({fault.reason}); check the url"
        else:
            why = f"cannot connect to {host} ({kind}); is it up?"
        return DeliveryError(f"channel {self.name}: {why}")


async def _connect(host: str, port: int, addresses: list[str], secure: bool) -> None:
    """Connect to the first address that lets us, and hang up; raises ``OSError`` as the last of them does."""
    context, name = (answers.tls(), host) if secure else (None, None)
    for number, address in enumerate(addresses, 1):
        try:
            _, writer = await asyncio.open_connection(address, port, ssl=context, server_hostname=name)
        except OSError:
            if number == len(addresses):
                raise
        else:
            writer.transport.abort()
            return


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error, and what it came of."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def judge_status(name: str, reply: Reply) -> None:
    """Return for 2xx; raise ``DeliveryError`` for everything else, as the module's table says."""
    status = reply.status
    if 200 <= status < 300:
        return
    message = f"channel {name}: {reply.host} answered {status}"
    if status in _IN_DOUBT:
        raise InDoubtError(message)
    advice = _WHAT_TO_CHECK.get(status, "")
    if 300 <= status < 400:
        advice = "redirects are not followed, configure the final url"
    message = f"{message}: {advice}" if advice else message
    raise DeliveryError(message, retryable=status not in _THIS_MESSAGE, retry_after=reply.retry_after)
