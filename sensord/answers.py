"""Answers over HTTP, from whoever they come: at most 64 KiB of one are taken in, as they were sent.

Nothing is ever decompressed, for a few kilobytes can unfold into gigabytes. We ask for an answer without encoding; one
that has it all the same stays unread. What stands before a body is bounded by httpcore (100 KiB), and cookies, which
would be kept and sent along, are not taken.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpx

LIMIT = 65_536


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; ``body`` is what was taken in, ``fault`` why that is not the whole of it, or empty."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    fault: str = ""

    @property
    def success(self) -> bool:
        """Whether the status says that all went well."""
        return 200 <= self.status < 300


class Taking:
    """Takes the parts of one answer in until ``limit`` bytes are there; ``encoding`` is its Content-Encoding."""

    def __init__(self, encoding: str | None, limit: int = LIMIT) -> None:
        self.fault = ""
        self._plain = (encoding or "").strip().lower() in ("", "identity")
        self._limit = limit
        self._body = bytearray()

    def take(self, part: bytes) -> bool:
        """Take one more part; returns whether there is any use in another one."""
        if part and not self._plain:
            self.fault = "a compressed answer, which was not asked for"
        elif len(self._body) + len(part) > self._limit:
            self.fault = f"more than {self._limit >> 10} KiB"
        self._body += part[: self._limit - len(self._body)] if self._plain else b""
        return not self.fault

    @property
    def body(self) -> bytes:
        """What was taken in."""
        return bytes(self._body)


def client(timeout: float, base_url: str = "", auth: httpx.Auth | None = None) -> httpx.AsyncClient:
    """Return a client that asks for plain answers, follows nothing, keeps no cookies and knows no proxy."""
    return httpx.AsyncClient(**_manners(timeout), base_url=base_url, auth=auth)


def blocking_client(timeout: float) -> httpx.Client:
    """Return such a client for a thread, or for the command line."""
    return httpx.Client(**_manners(timeout))


async def read(response: httpx.Response) -> Answer:
    """Take in a streamed answer and let go of its connection; raises ``httpx.RequestError``."""
    taking = Taking(response.headers.get("Content-Encoding"))
    try:
        async for part in response.aiter_raw():
            if not taking.take(part):
                break
    finally:
        await response.aclose()
    return Answer(response.status_code, response.headers, taking.body, taking.fault)


def ask(asking: httpx.Client, request: httpx.Request, limit: int = LIMIT) -> Answer:
    """Send a request and take its answer in; raises ``httpx.RequestError``, also when the whole takes too long."""
    end = time.monotonic() + (asking.timeout.read or 0.0)
    response = asking.send(request, stream=True)
    taking = Taking(response.headers.get("Content-Encoding"), limit)
    try:
        for part in response.iter_raw():
            if not taking.take(part):
                break
            if time.monotonic() > end:
                raise httpx.ReadTimeout("the answer does not end", request=request)
    finally:
        response.close()
    return Answer(response.status_code, response.headers, taking.body, taking.fault)


def tls() -> ssl.SSLContext:
    """Whom we believe: whoever the system's authorities vouch for, those of an organisation's own included."""
    return ssl.create_default_context()


def _manners(timeout: float) -> dict[str, Any]:
    return {
        "timeout": timeout,
        "headers": {"Accept-Encoding": "identity"},
        "cookies": CookieJar(DefaultCookiePolicy(allowed_domains=())),
        "follow_redirects": False,
        "trust_env": False,  # a proxy would resolve names itself, past our checks
        "verify": tls(),
    }
