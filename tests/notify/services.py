"""Local servers that behave like the chat services: they check keys, signatures and sizes, and keep their limits.

Written from the services' public documentation; time comes from the test's clock.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

from tests.notify.parts import Clock
from tests.notify.receiver import Answer, Request

MINUTE = 60.0


def said(**content: Any) -> Answer:
    """HTTP 200 with a JSON body: what these services answer to everything."""
    return Answer(200, json.dumps(content).encode(), {"Content-Type": "application/json"})


class Rate:
    """Counts messages within the last minute; over ``most`` it refuses, for ``shut`` seconds if that is more."""

    def __init__(self, clock: Clock, most: int, shut: float = 0.0) -> None:
        self._clock, self._most, self._shut = clock, most, shut
        self._times: list[float] = []
        self._until = 0.0

    def allows(self) -> bool:
        """Count one message."""
        now = self._clock() / 1e9
        if now < self._until:
            return False
        self._times = [time for time in self._times if time > now - MINUTE]
        if len(self._times) >= self._most:
            self._until = now + self._shut
            return False
        self._times.append(now)
        return True


class Group:
    """What a robot's group has seen."""

    def __init__(self, clock: Clock, most: int = 20, shut: float = 0.0) -> None:
        self.clock = clock
        self.rate = Rate(clock, most, shut)
        self.texts: list[str] = []
        self.mentioned: list[list[str]] = []

    def decide(self, request: Request) -> Answer:
        """Take a message, or say why not."""
        raise AssertionError("each service has its own")


class WecomGroup(Group):
    """WeCom: key in the query, 2,048 bytes of text, 20 a minute."""

    def decide(self, request: Request) -> Answer:
        """Take a message."""
        if request.query.get("key") != "wecom-key":
            return said(errcode=93000, errmsg="invalid webhook url")
        text = request.json["text"]
        content: str = text["content"]
        if not content or len(content.encode()) > 2048:
            return said(errcode=40058, errmsg="content exceed max length")
        if not self.rate.allows():
            return said(errcode=45009, errmsg="api freq out of limit")
        self.texts.append(content)
        self.mentioned.append(text["mentioned_list"] + text["mentioned_mobile_list"])
        return said(errcode=0, errmsg="ok")


class DingtalkGroup(Group):
    """DingTalk: signature over milliseconds and secret, 20 a minute, then shut out for ten minutes."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock, 20, 600.0)

    def decide(self, request: Request) -> Answer:
        """Take a message."""
        query = request.query
        if query.get("access_token") != "ding-token":
            return said(errcode=300001, errmsg="token is not exist")
        stamp = query.get("timestamp", "0")
        wanted = hmac.new(b"SECding", f"{stamp}\nSECding".encode(), hashlib.sha256).digest()
        if abs(int(stamp) - self.clock() // 1_000_000) > 3_600_000 or query.get("sign") != b64(wanted):
            return said(errcode=310000, errmsg="sign not match")
        if not self.rate.allows():
            return said(errcode=130101, errmsg="send too fast, exceed 20 times per minute")
        body = request.json
        content: str = body["text"]["content"]
        called = [*body["at"]["atMobiles"], *body["at"]["atUserIds"]]
        self.texts.append(content)
        self.mentioned.append([who for who in called if f"@{who}" in content])
        return said(errcode=0, errmsg="ok")


class FeishuGroup(Group):
    """Feishu: signature over nothing, keyed with seconds and secret; 20 KiB a request, 100 a minute."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock, 100)

    def decide(self, request: Request) -> Answer:
        """Take a message."""
        if not request.path.endswith("/hook/feishu-token"):
            return said(code=19001, msg="param invalid: incoming webhook access token invalid")
        if len(request.body) > 20 * 1024:
            return Answer(400, b'{"code":9499,"msg":"Bad Request"}')
        body = request.json
        stamp = str(body.get("timestamp", "0"))
        wanted = hmac.new(f"{stamp}\nfeishu-secret".encode(), b"", hashlib.sha256).digest()
        if abs(int(stamp) - self.clock() // 1_000_000_000) > 3600 or body.get("sign") != b64(wanted):
            return said(code=19021, msg="sign match fail or timestamp is not within one hour from current time")
        if not self.rate.allows():
            return said(code=11232, msg="frequency limited psm[lark.oapi.app_platform_runtime]")
        self.texts.append(body["content"]["text"])
        return said(code=0, msg="success", data={})


class WecomOrganisation:
    """WeCom's server for applications: tokens that grow old, unknown users, duplicates dropped."""

    def __init__(self, clock: Clock, users: tuple[str, ...] = ("cadre01", "cadre02")) -> None:
        self._clock, self._users = clock, users
        self.tokens: dict[str, float] = {}
        self.inbox: list[tuple[str, str]] = []
        self.lifetime = 7200.0
        self.fetched = 0

    def decide(self, request: Request) -> Answer:
        """Give a token, or take a message."""
        return self._token(request.query) if "/gettoken" in request.path else self._message(request)

    def forget(self) -> None:
        """Declare every token invalid, as after the administrator changed something."""
        self.tokens.clear()

    def _token(self, query: dict[str, str]) -> Answer:
        if query != {"corpid": "ww1", "corpsecret": "app-secret"}:
            return said(errcode=40001, errmsg="invalid credential")
        self.fetched += 1
        token = f"token-{self.fetched}"
        self.tokens[token] = self._clock() / 1e9 + self.lifetime
        return said(errcode=0, errmsg="ok", access_token=token, expires_in=int(self.lifetime))

    def _message(self, request: Request) -> Answer:
        until = self.tokens.get(request.query.get("access_token", ""))
        if until is None:
            return said(errcode=40014, errmsg="invalid access_token")
        if until < self._clock() / 1e9:
            return said(errcode=42001, errmsg="access_token expired")
        body = request.json
        content: str = body["text"]["content"]
        if len(content.encode()) > 2048:
            return said(errcode=45002, errmsg="content size out of limit")
        wanted = body["touser"].split("|")
        known = [user for user in wanted if user in self._users]
        if not known:
            return said(errcode=81013, errmsg="user & party & tag all invalid")
        for user in known:
            if (user, content) not in self.inbox or not body["enable_duplicate_check"]:
                self.inbox.append((user, content))
        unknown = "|".join(user for user in wanted if user not in self._users)
        return said(errcode=0, errmsg="ok", invaliduser=unknown, msgid="m1")


def b64(raw: bytes) -> str:
    """Base64 as text."""
    return base64.b64encode(raw).decode()
