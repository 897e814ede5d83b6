"""A webhook: POST of JSON, signed, to a checked address.

Receivers verify ``X-Sensord-Signature: sha256=<hex>``, the HMAC-SHA256 of ``<X-Sensord-Timestamp>.<body>``
with the shared secret. The timestamp (Unix seconds) lets them refuse old requests; ``Idempotency-Key`` (the
body's ``key``, percent-encoded) lets them drop repeated ones.

What an answer means is in ``notify/http.py``, and what the body of a 2xx says in ``notify/verdict.py``.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable
from urllib.parse import quote

import httpx

from sensord.config.settings import Webhook
from sensord.core.instant import SECOND
from sensord.errors import DeliveryError
from sensord.notify.body import encode_body
from sensord.notify.http import HttpSender, judge_status
from sensord.notify.verdict import judge_success
from sensord.ports import Entry


class WebhookChannel:
    """A :class:`sensord.ports.Channel` over HTTP; ``secret`` signs the body, ``clock`` is Unix time in ns."""

    def __init__(self, settings: Webhook, secret: bytes | None, clock: Callable[[], int] = time.time_ns) -> None:
        self.name: str = settings.name
        self._url = httpx.URL(settings.url)
        self._secret, self._success = secret, settings.success
        self._clock = clock
        self._http = HttpSender(settings.name, settings.timeout, settings.allow, clock)

    async def send(self, entry: Entry) -> str:
        """POST the entry; the receipt is the status. Raises ``DeliveryError`` as the module's table says."""
        url = self._address(entry.notification.address)
        body = encode_body(entry)
        reply = await self._http.send(url, body, self._headers(entry.notification.key, body))
        judge_status(self.name, reply)
        judge_success(self.name, reply, self._success)
        return f"http {reply.status}"

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()

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
            "Idempotency-Key": quote(key, safe=":@/-_.~"),
            "X-Sensord-Timestamp": timestamp,
        }
        if self._secret is not None:
            digest = hmac.new(self._secret, timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
            headers["X-Sensord-Signature"] = f"sha256={digest}"
        return headers
