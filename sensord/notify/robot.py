"""Robots in group chats: WeCom, DingTalk, Feishu. One channel class; what differs is how a request is made.

Rules: HTTP 200 says nothing; the code in the body does. Codes that speak of the rate are tried again after the wait
that the service asks for; codes that speak of this message alone (its text, whom it mentions) are failed at once; every
other code is tried again, a wrong key or signature too: by it a service answers a clock that is wrong for a minute. An
answer without a code is in doubt: it may be some proxy's page.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import quote

import httpx
import msgspec

from sensord.config.channels import DingtalkRobot, FeishuRobot, Robot, WecomRobot
from sensord.core.instant import MILLISECOND, SECOND
from sensord.errors import DeliveryError
from sensord.notify.http import HttpSender, Reply, judge_status
from sensord.notify.mention import Mentions, mentions
from sensord.notify.outcome import InDoubtError
from sensord.notify.text import text_of
from sensord.ports import Entry

_JSON = {"Content-Type": "application/json; charset=utf-8"}


@dataclass(frozen=True, slots=True)
class Codes:
    """What a service's codes mean: ``wait`` maps codes of the rate to seconds, ``final`` are those of one message.

    ``older`` is where the code stands in answers of older versions of the service.
    """

    field: str
    wait: dict[int, float]
    final: frozenset[int]
    older: str = ""

    def judge(self, name: str, reply: Reply) -> dict[str, Any]:
        """Return the answer when its code, and its status, say that all is well; raises ``DeliveryError`` otherwise."""
        answer = reply.json
        code = answer.get(self.field, answer.get(self.older)) if answer is not None else None
        if answer is None or not isinstance(code, int) or isinstance(code, bool):
            judge_status(name, reply)
            raise InDoubtError(f"channel {name}: {reply.host} answered {reply.status} without {self.field}")
        if code == 0:
            judge_status(name, reply)
            return answer
        raise DeliveryError(
            f"channel {name}: {reply.host} answered {self.field} {code}; see docs/channels.md",
            retryable=code not in self.final,
            retry_after=self.wait.get(code, reply.retry_after),
        )


class Service(Protocol):
    """How one service is spoken to: ``longest`` is what a text may have (bytes)."""

    codes: Codes
    longest: int

    def request(self, text: str, whom: Mentions, now: int) -> tuple[httpx.URL, dict[str, Any]]:
        """Return address and body of a message; ``now`` is Unix time in ns."""
        ...


class RobotChannel:
    """A :class:`sensord.ports.Channel` to a group; a contact's address is who is mentioned."""

    def __init__(self, settings: Robot, service: Service, clock: Callable[[], int] = time.time_ns) -> None:
        self.name: str = settings.name
        self._service = service
        self._clock = clock
        self._http = HttpSender(settings.name, settings.timeout, settings.allow, clock)

    async def send(self, entry: Entry) -> str:
        """Write into the group. Raises ``DeliveryError`` as the module's rules say."""
        whom = mentions(entry.notification.address)
        url, body = self._service.request(text_of(entry, self._service.longest), whom, self._clock())
        reply = await self._http.send(url, msgspec.json.encode(body), _JSON)
        self._service.codes.judge(self.name, reply)
        return f"{self._service.codes.field} 0"

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()


class Wecom:
    """WeCom: https://developer.work.weixin.qq.com/document/path/91770. At most 20 messages a minute and robot."""

    codes = Codes("errcode", {45009: 60.0, 45033: 5.0, -1: 1.0}, frozenset({40058, 44004}))
    longest = 2048

    def __init__(self, settings: WecomRobot, key: str) -> None:
        self._url = httpx.URL(settings.url).copy_merge_params({"key": key})

    def request(self, text: str, whom: Mentions, now: int) -> tuple[httpx.URL, dict[str, Any]]:
        """Mention by number or by user id; ``@all`` stands in either list."""
        users = [*whom.users, *(["@all"] if whom.everybody else [])]
        content = {"content": text, "mentioned_list": users, "mentioned_mobile_list": list(whom.mobiles)}
        return self._url, {"msgtype": "text", "text": content}


class Dingtalk:
    r"""DingTalk: https://open.dingtalk.com/document/orgapp/custom-robot-access.

    At most 20 messages a minute and robot; who sends more is shut out for ten minutes. Mentions show only where the
    text holds them. The signature is HMAC-SHA256 over ``milliseconds\nsecret``, keyed with the secret.
    """

    codes = Codes("errcode", {130101: 600.0, 90018: 600.0, -1: 1.0}, frozenset({40035}))
    longest = 20_000 - 600
    """A request may have 20,000 bytes; the rest of it, with a dozen mentions, is less than 600."""

    def __init__(self, settings: DingtalkRobot, token: str, secret: str | None) -> None:
        self._url = httpx.URL(settings.url).copy_merge_params({"access_token": token})
        self._secret = secret

    def request(self, text: str, whom: Mentions, now: int) -> tuple[httpx.URL, dict[str, Any]]:
        """Sign in the query; mention in text and list."""
        url = self._url
        if self._secret is not None:
            stamp = str(now // MILLISECOND)
            digest = hmac.new(self._secret.encode(), f"{stamp}\n{self._secret}".encode(), hashlib.sha256).digest()
            signed = f"&timestamp={stamp}&sign={quote(base64.b64encode(digest), safe='')}".encode()
            url = url.copy_with(raw_path=url.raw_path + signed)
        called = " ".join(f"@{who}" for who in (*whom.mobiles, *whom.users))
        at = {"atMobiles": list(whom.mobiles), "atUserIds": list(whom.users), "isAtAll": whom.everybody}
        content = f"{text}\n{called}" if called else text
        return url, {"msgtype": "text", "text": {"content": content}, "at": at}


class Feishu:
    r"""Feishu: https://open.feishu.cn/document/client-docs/bot-v3/add-custom-bot.

    At most 100 messages a minute and robot, 20 KiB a request. The signature is HMAC-SHA256 over *nothing*, keyed with
    ``seconds\nsecret``. Mentions are tags in the text, by ``open_id`` or user id only.
    """

    codes = Codes("code", {9499: 5.0, 11232: 60.0, 11233: 60.0}, frozenset(), "StatusCode")
    longest = 18_000

    def __init__(self, settings: FeishuRobot, token: str, secret: str | None) -> None:
        self._url = httpx.URL(f"{settings.url.rstrip('/')}/{quote(token, safe='')}")
        self._secret = secret

    def request(self, text: str, whom: Mentions, now: int) -> tuple[httpx.URL, dict[str, Any]]:
        """Sign in the body; what looks like a tag in the text is made harmless."""
        names = [*whom.users, *(["all"] if whom.everybody else [])]
        called = "".join(f'<at user_id="{name}"></at>' for name in names)
        harmless = text.replace("<", "＜").replace(">", "＞")
        body: dict[str, Any] = {
            "msg_type": "text",
            "content": {"text": f"{harmless}\n{called}" if called else harmless},
        }
        if self._secret is not None:
            stamp = str(now // SECOND)
            digest = hmac.new(f"{stamp}\n{self._secret}".encode(), b"", hashlib.sha256).digest()
            body |= {"timestamp": stamp, "sign": base64.b64encode(digest).decode()}
        return self._url, body
