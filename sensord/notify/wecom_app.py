"""Messages to persons through an application of a WeCom organisation.

https://developer.work.weixin.qq.com/document/path/90236 (sending) and .../91039 (the access token). The token lives two
hours and is fetched anew shortly before its end, or when the service says that it is no longer good. The service drops
a text that it has had in the last four hours, so a repeat under doubt is sent as it was: the person sees it once.

It names those whom it has not told, for it does not know them or the organisation has no license for them, in an answer
whose ``errcode`` is 0.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import httpx
import msgspec

from sensord.config.channels import WecomApp
from sensord.core.instant import SECOND
from sensord.errors import DeliveryError
from sensord.notify.http import HttpSender
from sensord.notify.robot import Codes
from sensord.notify.text import text_of
from sensord.ports import Entry

_CODES = Codes("errcode", {45009: 60.0, 45033: 5.0, -1: 1.0}, frozenset({40058, 44004, 81013}))
_TOKEN_IS_OLD = frozenset({40014, 42001})
_LONGEST = 2048
_REMEMBERED = 14_400
"""Seconds for which the service recognises a repeated text: the most that it offers."""
_MARGIN = 300.0


class WecomAppChannel:
    """A :class:`sensord.ports.Channel`; a contact's address is a user id (several with ``,``). ``clock`` is in ns."""

    def __init__(self, settings: WecomApp, secret: str, clock: Callable[[], int] = time.time_ns) -> None:
        self.name: str = settings.name
        self._base = httpx.URL(settings.url.rstrip("/") + "/cgi-bin/")
        self._corp, self._agent, self._secret = settings.corp_id, settings.agent_id, secret
        self._clock = clock
        self._http = HttpSender(settings.name, settings.timeout, settings.allow, clock)
        self._token, self._good_until = "", 0
        self._fetching = asyncio.Lock()

    async def send(self, entry: Entry) -> str:
        """Write to the person. Raises ``DeliveryError``: for good when nobody of that id can be reached."""
        if not entry.notification.address:
            raise DeliveryError(f"channel {self.name}: the contact has no address (a user id)", retryable=False)
        fresh = self._clock() - entry.notification.at < _REMEMBERED * SECOND
        if fresh:  # the same words at each attempt, or the service would not know a repeat
            entry = msgspec.structs.replace(entry, possibly_repeated=False, late=0)
        return await self._write(text_of(entry, _LONGEST), entry.notification.address)

    async def _write(self, text: str, address: str) -> str:
        body, token = self._body(text, address), await self._current_token()
        answer = await self._post(body, token)
        if answer is None:
            answer = await self._post(body, await self._current_token(refused=token))
        if answer is None:
            raise DeliveryError(f"channel {self.name}: {self._base.host} refuses a token that it has just given")
        unknown, barred = _users(answer.get("invaliduser")), _users(answer.get("unlicenseduser"))
        left = {part.strip().lower() for part in address.split(",")} - unknown
        if not left:
            raise DeliveryError(f"channel {self.name}: the service does not know a contact's user id", retryable=False)
        if left <= barred:
            raise DeliveryError(f"channel {self.name}: the organisation has no valid license for this contact")
        partly = f", {len(unknown | barred)} not reached" if unknown | barred else ""
        return f"msgid {str(answer.get('msgid', ''))[:80]}{partly}"

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()

    def _body(self, text: str, address: str) -> bytes:
        return msgspec.json.encode(
            {
                "touser": "|".join(part.strip() for part in address.split(",")),
                "msgtype": "text",
                "agentid": self._agent,
                "text": {"content": text},
                "enable_duplicate_check": 1,
                "duplicate_check_interval": _REMEMBERED,
            }
        )

    async def _post(self, body: bytes, token: str) -> dict[str, Any] | None:
        """Return the answer, or None when the token is no longer good; raises ``DeliveryError`` for the rest."""
        url = self._base.join("message/send").copy_merge_params({"access_token": token})
        reply = await self._http.send(url, body, {"Content-Type": "application/json; charset=utf-8"})
        answer = reply.json
        if answer is not None and answer.get("errcode") in _TOKEN_IS_OLD:
            return None
        return _CODES.judge(self.name, reply)

    async def _current_token(self, *, refused: str = "") -> str:
        """Return a token that is good for some minutes and not the ``refused`` one; one request at a time asks."""
        async with self._fetching:
            if self._token and self._token != refused and self._clock() < self._good_until:
                return self._token
            query = {"corpid": self._corp, "corpsecret": self._secret}
            url = self._base.join("gettoken").copy_merge_params(query)
            try:
                answer = _CODES.judge(self.name, await self._http.send(url, method="GET"))
            except DeliveryError as error:  # nothing was sent to anybody: no doubt about that, and no contact to blame
                raise DeliveryError(str(error), retry_after=error.retry_after) from error
            token, lives = answer.get("access_token"), answer.get("expires_in")
            if not isinstance(token, str) or not isinstance(lives, int | float):
                raise DeliveryError(f"channel {self.name}: {url.host} gave no access token")
            self._token = token
            self._good_until = self._clock() + round((lives - min(_MARGIN, lives / 2)) * SECOND)
            return token


def _users(value: object) -> set[str]:
    """The user ids in an answer, in small letters: the service does not tell large ones apart."""
    found = value if isinstance(value, list) else str(value or "").split("|")
    return {str(one).strip().lower() for one in found if one}
