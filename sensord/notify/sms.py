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

from sensord.config.channels import Sms, Success
from sensord.errors import DeliveryError
from sensord.notify.http import HttpSender, Reply, judge_status
from sensord.notify.outcome import InDoubtError
from sensord.notify.words import fill, plain_code, words_of
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
        if settings.success is not None:
            self._judge(reply, settings.success)
        return f"http {reply.status}"

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()

    def _judge(self, reply: Reply, success: Success) -> None:
        """Compare what the answer says with what it must say; the gateway's own words are not repeated."""
        if reply.json is None:
            raise InDoubtError(
                f"channel {self.name}: {reply.host} answered {reply.status} with something else than JSON"
            )
        found: object = reply.json
        for name in success.path.split("."):
            found = found.get(name) if isinstance(found, dict) else None
        if _written(found) != success.equals:
            code = plain_code(_written(found))
            raise DeliveryError(f"channel {self.name}: {reply.host} answered {success.path} {code or 'nothing'}")


def _written(value: object) -> str:
    """A JSON scalar as an operator writes it: ``0``, ``OK``, ``true``."""
    return value if isinstance(value, str) else "" if value is None else msgspec.json.encode(value).decode()
