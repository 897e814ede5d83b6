"""SMS over any gateway with an HTTP interface: its address, headers and body are configuration.

Rules: a placeholder's value never becomes part of the request's structure: bodies are encoded after filling in, and in
a value that is itself JSON text (template parameters of some gateways are) the words are escaped. Most gateways are not
idempotent, so a message in doubt may arrive twice; ``{key}`` is there for those that can tell.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from urllib.parse import urlencode

import httpx
import msgspec

from sensord.config.channels import Sms
from sensord.errors import DeliveryError
from sensord.notify.http import HttpSender, judge_status
from sensord.notify.verdict import judge_success
from sensord.notify.words import fill, words_of
from sensord.ports import Entry

_TYPES = {"json": "application/json; charset=utf-8", "form": "application/x-www-form-urlencoded; charset=utf-8"}


class SmsChannel:
    """A :class:`sensord.ports.Channel`; a contact's address is the phone number, ``secret`` what ``{secret}`` means."""

    def __init__(self, settings: Sms, secret: str | None, clock: Callable[[], int] = time.time_ns) -> None:
        self.name: str = settings.name
        self._settings, self._secret = settings, secret or ""
        self._url = httpx.URL(settings.url)
        self._http = HttpSender(settings.name, settings.timeout, settings.allow, clock)

    async def send(self, entry: Entry) -> str:
        """Hand one message to the gateway. Raises ``DeliveryError``: for good when the contact has no number."""
        if not entry.notification.address:
            raise DeliveryError(f"channel {self.name}: the contact has no address (a phone number)", retryable=False)
        settings = self._settings
        words = words_of(entry, settings.characters, self._secret)
        body = {name: fill(value, words) for name, value in settings.body.items()}
        content = msgspec.json.encode(body) if settings.format == "json" else urlencode(body).encode()
        headers = {name: fill(value, words) for name, value in settings.headers.items()}
        headers = {"Content-Type": _TYPES[settings.format], **headers}
        reply = await self._http.send(self._url, content, headers, method=settings.method)
        judge_status(self.name, reply)
        judge_success(self.name, reply, settings.success)
        return f"http {reply.status}"

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()
