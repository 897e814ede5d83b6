"""A webhook: POST of JSON, signed, to a checked address.

Receivers verify ``X-Sensord-Signature: sha256=<hex>``, the HMAC-SHA256 of ``<X-Sensord-Timestamp>.<body>``
with the shared secret. The timestamp (Unix seconds) lets them refuse old requests; ``Idempotency-Key`` (the
body's ``key``, percent-encoded) lets them drop repeated ones.

======================================  =================================================================
what came back                          what it means
======================================  =================================================================
2xx                                     delivered, unless the JSON body says otherwise
2xx with ``errcode``/``code`` not zero  failed; tried again unless the body has ``"retryable": false``
408, 425, 429, 5xx                      failed; tried again, ``Retry-After`` is honoured
502, 504, or nothing after the request  in doubt; tried again as possibly repeated
3xx                                     failed for good: redirects are never followed
any other 4xx                           failed for good
======================================  =================================================================
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import ssl
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import httpx
import msgspec

from sensord.config.settings import Webhook
from sensord.core.instant import SECOND, parse_duration
from sensord.errors import DeliveryError
from sensord.notify.body import encode_body
from sensord.notify.outcome import InDoubtError, parse_retry_after
from sensord.notify.target import resolve
from sensord.ports import Entry

_ANSWER_LIMIT = 65_536
_RETRYABLE_4XX = frozenset({408, 425, 429})
_IN_DOUBT = frozenset({502, 504})
"""A gateway's word: what stands behind it may have taken the request."""
_FINE = ("", "0", "ok", "success", "none")

# httpx logs every URL, and ours end with a contact's address.
for _name in ("httpx", "httpcore"):
    logging.getLogger(_name).setLevel(logging.WARNING)


class _Attempt:
    """Knows whether any part of a request has left: what fails before that has certainly not arrived."""

    def __init__(self) -> None:
        self.sent = False

    async def trace(self, event: str, _info: dict[str, Any]) -> None:
        """Listen to httpcore's events (https://www.encode.io/httpcore/extensions/#trace)."""
        self.sent = self.sent or event.endswith("send_request_headers.started")


class WebhookChannel:
    """A :class:`sensord.ports.Channel` over HTTP; ``secret`` signs the body, ``clock`` is Unix time in ns."""

    def __init__(self, settings: Webhook, secret: bytes | None, clock: Callable[[], int] = time.time_ns) -> None:
        self.name: str = settings.name
        self._url = httpx.URL(settings.url)
        self._secret = secret
        self._allow = settings.allow
        self._clock = clock
        self._timeout = parse_duration(settings.timeout) / SECOND
        self._client = httpx.AsyncClient(
            timeout=self._timeout,
            follow_redirects=False,
            trust_env=False,  # a proxy would resolve the name itself, past our check
            verify=ssl.create_default_context(),  # the system's authorities, an organisation's own included
        )

    async def send(self, entry: Entry) -> str:
        """POST the entry; the receipt is the status. Raises ``DeliveryError`` as the module's table says."""
        url = self._address(entry.notification.address)
        body = encode_body(entry)
        attempt = _Attempt()
        try:
            async with asyncio.timeout(self._timeout):
                headers = self._headers(entry.notification.key, body)
                response, text = await self._post(url, body, headers, attempt)
        except (TimeoutError, httpx.RequestError) as error:
            raise self._no_answer(error, attempt) from error
        self._judge(response, text)
        return f"http {response.status_code}"

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    def _address(self, address: str) -> httpx.URL:
        """Append a contact's address as one path segment; whatever it holds, it stays one."""
        if not address:
            return self._url
        if address in (".", ".."):
            raise DeliveryError(f"channel {self.name}: a contact's address is only dots", retryable=False)
        path, mark, query = self._url.raw_path.partition(b"?")
        segment = quote(address, safe="").encode()
        return self._url.copy_with(raw_path=path.rstrip(b"/") + b"/" + segment + mark + query)

    def _headers(self, key: str, body: bytes) -> dict[str, str]:
        timestamp = str(self._clock() // SECOND)
        headers = {
            "Content-Type": "application/json",
            "Host": self._url.netloc.decode(),
            "Idempotency-Key": quote(key, safe=":@/-_.~"),
            "X-Sensord-Timestamp": timestamp,
        }
        if self._secret is not None:
            digest = hmac.new(self._secret, timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
            headers["X-Sensord-Signature"] = f"sha256={digest}"
        return headers

    async def _post(
        self, url: httpx.URL, body: bytes, headers: dict[str, str], attempt: _Attempt
    ) -> tuple[httpx.Response, bytes]:
        """Try the host's addresses in turn, as long as nothing has been sent."""
        port = url.port or (443 if url.scheme == "https" else 80)
        addresses = await resolve(url.host, port, self._allow)
        extensions = {"sni_hostname": url.raw_host.decode(), "trace": attempt.trace}
        for address in addresses[:-1]:
            try:
                return await self._exchange(url.copy_with(host=address), body, headers, extensions)
            except httpx.RequestError:
                if attempt.sent:
                    raise
        return await self._exchange(url.copy_with(host=addresses[-1]), body, headers, extensions)

    async def _exchange(
        self, url: httpx.URL, body: bytes, headers: dict[str, str], extensions: dict[str, Any]
    ) -> tuple[httpx.Response, bytes]:
        request = self._client.build_request(
            "POST", url, content=body, headers=headers, timeout=self._timeout, extensions=extensions
        )
        response = await self._client.send(request, stream=True)
        try:
            text = b""
            async for part in response.aiter_bytes():
                text += part
                if len(text) > _ANSWER_LIMIT:
                    break
            return response, text
        finally:
            await response.aclose()

    def _no_answer(self, error: Exception, attempt: _Attempt) -> DeliveryError:
        kind = type(error).__name__
        if attempt.sent:
            return InDoubtError(f"channel {self.name}: {self._url.host} did not answer the request ({kind})")
        return DeliveryError(f"channel {self.name}: cannot connect to {self._url.host} ({kind}); is it up?")

    def _judge(self, response: httpx.Response, text: bytes) -> None:
        status = response.status_code
        if response.is_success:
            self._judge_body(text)
            return
        message = f"channel {self.name}: {self._url.host} answered {status}"
        if status in _IN_DOUBT:
            raise InDoubtError(message)
        if response.is_redirect:
            message = f"{message}: redirects are not followed, configure the final url"
        wish = parse_retry_after(response.headers.get("Retry-After"), self._clock())
        raise DeliveryError(message, retryable=status >= 500 or status in _RETRYABLE_4XX, retry_after=wish)

    def _judge_body(self, text: bytes) -> None:
        """Find the error code that some receivers (WeCom, DingTalk, Feishu) hide behind a 200."""
        try:
            answer = msgspec.json.decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return
        if not isinstance(answer, dict):
            return
        for name in ("errcode", "code"):
            code = str(answer.get(name, 0))[:40]
            if code.strip().lower() not in _FINE:
                raise DeliveryError(
                    f"channel {self.name}: {self._url.host} answered 200 with {name} {code}",
                    retryable=answer.get("retryable") is not False,
                )
