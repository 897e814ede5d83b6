"""SMS by the interfaces of Aliyun and Tencent Cloud: templates only, each request signed, the answer's code judged.

Rules: both answer HTTP 200 to what they refuse, so only the code counts; one that speaks of key, clock, signature or
template is tried again, for it is not this number's. What a template's parameters say comes from the configuration; a
value is cut to ``characters``, for the services refuse longer ones. Neither service recognises a repeat: a message in
doubt may arrive twice.

Sources: https://help.aliyun.com/zh/sdk/product-overview/v3-request-structure-and-signature (ACS3-HMAC-SHA256) and
https://help.aliyun.com/zh/sms/developer-reference/api-dysmsapi-2017-05-25-sendsms;
https://cloud.tencent.com/document/api/382/52072 (TC3-HMAC-SHA256) and https://cloud.tencent.com/document/api/382/55981.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol
from urllib.parse import quote

import httpx
import msgspec

from sensord.config.channels import AliyunSms, TencentSms
from sensord.core.instant import SECOND
from sensord.errors import DeliveryError
from sensord.notify.http import HttpSender, Reply, judge_status
from sensord.notify.outcome import InDoubtError
from sensord.notify.words import fill, plain_code, words_of
from sensord.ports import Entry

_JSON = "application/json; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Codes:
    """Beginnings of codes: ``final`` speak of one number or text, ``wait`` maps those of the rate to seconds."""

    final: tuple[str, ...]
    wait: dict[str, float]


class Service(Protocol):
    """How one cloud is spoken to."""

    codes: Codes

    def request(self, phone: str, words: Mapping[str, str], now: int) -> tuple[httpx.URL, bytes, dict[str, str]]:
        """Return address, body and headers of a message; ``now`` is Unix time in ns."""
        ...

    def code(self, answer: Mapping[str, object]) -> str | None:
        """The code in the answer: empty when all is well, None when there is none."""
        ...


class CloudSmsChannel:
    """A :class:`sensord.ports.Channel`; a contact's address is the phone number."""

    def __init__(
        self, settings: AliyunSms | TencentSms, service: Service, clock: Callable[[], int] = time.time_ns
    ) -> None:
        self.name: str = settings.name
        self._service, self._characters, self._clock = service, settings.characters, clock
        self._http = HttpSender(settings.name, settings.timeout, settings.allow, clock)

    async def send(self, entry: Entry) -> str:
        """Hand one message to the cloud. Raises ``DeliveryError`` as the module's rules say."""
        if not entry.notification.address:
            raise DeliveryError(f"channel {self.name}: the contact has no address (a phone number)", retryable=False)
        words = words_of(entry, self._characters)
        url, body, headers = self._service.request(entry.notification.address, words, self._clock())
        reply = await self._http.send(url, body, headers)
        self._judge(reply)
        return "accepted"

    def _judge(self, reply: Reply) -> None:
        answer = reply.json
        code = self._service.code(answer) if answer is not None else None
        if code is None:
            judge_status(self.name, reply)
            raise InDoubtError(f"channel {self.name}: {reply.host} answered {reply.status} without a code")
        if code:
            wait = next((seconds for word, seconds in self._service.codes.wait.items() if code.startswith(word)), None)
            raise DeliveryError(
                f"channel {self.name}: {reply.host} answered {plain_code(code)}; see docs/channels.md",
                retryable=not code.startswith(self._service.codes.final),
                retry_after=wait if wait is not None else reply.retry_after,
            )
        judge_status(self.name, reply)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()


class Aliyun:
    """Aliyun's short message service; its parameters stand in the query."""

    codes = Codes(
        ("isv.MOBILE_NUMBER_ILLEGAL", "isv.INVALID_JSON_PARAM", "isv.PARAM_", "isv.BLACK_KEY_CONTROL_LIMIT"),
        {"isv.BUSINESS_LIMIT_CONTROL": 60.0, "isv.DAY_LIMIT_CONTROL": 3600.0, "Throttling": 5.0},
    )  # fmt: skip

    def __init__(self, settings: AliyunSms, secret: str, nonce: Callable[[], str] = secrets.token_hex) -> None:
        self._settings, self._secret, self._nonce = settings, secret, nonce

    def request(self, phone: str, words: Mapping[str, str], now: int) -> tuple[httpx.URL, bytes, dict[str, str]]:
        """A signed ``SendSms``."""
        settings, limit = self._settings, self._settings.characters
        parameters = {name: fill(template, words)[:limit] for name, template in settings.parameters.items()}
        query = {
            "PhoneNumbers": phone,
            "SignName": settings.sign_name,
            "TemplateCode": settings.template,
            "TemplateParam": msgspec.json.encode(parameters).decode(),
            "OutId": words["key"],
        }
        url = httpx.URL(settings.url)
        host, written = url.netloc.decode(), canonical_query(query)
        headers = {
            "host": host,
            "x-acs-action": "SendSms",
            "x-acs-content-sha256": hashlib.sha256(b"").hexdigest(),
            "x-acs-date": datetime.fromtimestamp(now // SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "x-acs-signature-nonce": self._nonce(),
            "x-acs-version": "2017-05-25",
        }
        signed = acs3(settings.access_key_id, self._secret, written, headers)
        sent = {name: value for name, value in headers.items() if name != "host"}
        return url.copy_with(raw_path=f"/?{written}".encode()), b"", {**sent, "Authorization": signed}

    def code(self, answer: Mapping[str, object]) -> str | None:
        """``Code``, which is OK when all is well."""
        code = answer.get("Code")
        return None if not isinstance(code, str) else "" if code == "OK" else code


class Tencent:
    """Tencent Cloud's short message service."""

    codes = Codes(
        ("InvalidParameterValue.IncorrectPhoneNumber", "InvalidParameterValue.ContentLengthLimit",
        "InvalidParameterValue.TemplateParameter", "FailedOperation.PhoneNumberInBlacklist",
        "FailedOperation.ContainSensitiveWord"),
        {"LimitExceeded.PhoneNumberThirtySecondLimit": 30.0, "LimitExceeded": 60.0, "RequestLimitExceeded": 5.0},
    )  # fmt: skip

    def __init__(self, settings: TencentSms, secret: str) -> None:
        self._settings, self._secret = settings, secret

    def request(self, phone: str, words: Mapping[str, str], now: int) -> tuple[httpx.URL, bytes, dict[str, str]]:
        """A signed ``SendSms``; a mainland number gets its country's code."""
        settings, limit = self._settings, self._settings.characters
        mainland = len(phone) == 11 and phone.isdigit() and phone.startswith("1")
        body = msgspec.json.encode(
            {
                "PhoneNumberSet": [f"+86{phone}" if mainland else phone],
                "SmsSdkAppId": settings.app_id,
                "SignName": settings.sign_name,
                "TemplateId": settings.template,
                "TemplateParamSet": [fill(template, words)[:limit] for template in settings.parameters],
                "SessionContext": words["key"][:512],
            }
        )
        url = httpx.URL(settings.url).copy_with(raw_path=b"/")
        headers = {
            "Content-Type": _JSON,
            "X-TC-Action": "SendSms",
            "X-TC-Timestamp": str(now // SECOND),
            "X-TC-Version": "2021-01-11",
            "X-TC-Region": settings.region,
        }
        signed = tc3(settings.secret_id, self._secret, ("sms", url.netloc.decode(), "SendSms"), body, now)
        return url, body, {**headers, "Authorization": signed}

    def code(self, answer: Mapping[str, object]) -> str | None:
        """The error of the request, else the status of the one number; ``Ok`` when all is well."""
        response = answer.get("Response")
        if not isinstance(response, dict):
            return None
        states = response.get("SendStatusSet")
        found = response.get("Error") or (states[0] if isinstance(states, list) and states else None)
        code = found.get("Code") if isinstance(found, dict) else None
        return None if not isinstance(code, str) else "" if code == "Ok" else code


def canonical_query(query: Mapping[str, str]) -> str:
    """Write a query as RFC 3986 says, in the order of its names."""
    return "&".join(f"{quote(name, safe='~')}={quote(value, safe='~')}" for name, value in sorted(query.items()))


def acs3(key: str, secret: str, query: str, headers: Mapping[str, str]) -> str:
    """The Authorization of a POST without a body; all ``headers`` (lower case) are signed."""
    names = ";".join(sorted(headers))
    lines = "".join(f"{name}:{headers[name].strip()}\n" for name in sorted(headers))
    request = f"POST\n/\n{query}\n{lines}\n{names}\n{headers['x-acs-content-sha256']}"
    text = f"ACS3-HMAC-SHA256\n{hashlib.sha256(request.encode()).hexdigest()}"
    signature = hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()
    return f"ACS3-HMAC-SHA256 Credential={key},SignedHeaders={names},Signature={signature}"


def tc3(key: str, secret: str, target: tuple[str, str, str], body: bytes, now: int) -> str:
    """The Authorization of a POST of JSON; ``target`` is (service, host, action), ``now`` Unix time in ns."""
    service, host, action = target
    names = "content-type;host;x-tc-action"
    lines = f"content-type:{_JSON}\nhost:{host}\nx-tc-action:{action.lower()}\n"
    request = f"POST\n/\n\n{lines}\n{names}\n{hashlib.sha256(body).hexdigest()}"
    day = datetime.fromtimestamp(now // SECOND, UTC).strftime("%Y-%m-%d")
    scope = f"{day}/{service}/tc3_request"
    text = f"TC3-HMAC-SHA256\n{now // SECOND}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    signing = f"TC3{secret}".encode()
    for part in (day, service, "tc3_request"):
        signing = hmac.new(signing, part.encode(), hashlib.sha256).digest()
    signature = hmac.new(signing, text.encode(), hashlib.sha256).hexdigest()
    return f"TC3-HMAC-SHA256 Credential={key}/{scope}, SignedHeaders={names}, Signature={signature}"
