"""Channels of ``sensord.yaml`` beyond their schema: addresses without secrets, placeholders, labels, durations."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from sensord.config.channels import (
    SMS_PLACEHOLDERS,
    Alertmanager,
    AliyunSms,
    Apprise,
    ChannelSettings,
    DingtalkRobot,
    FeishuRobot,
    MqttChannel,
    Sms,
    Smtp,
    Success,
    TencentSms,
    Webhook,
    WecomApp,
    WecomRobot,
)
from sensord.config.findings import Findings
from sensord.config.yamlfile import KeyPath
from sensord.core.instant import DAY, MINUTE, SECOND

_PLACEHOLDER = re.compile(r"\{([\w ]*)\}")
_NO_NAME = re.compile(r"|\$.*|/.*|.*\[.*\]")
"""What stands between the dots of a path in another notation: JSONPath, a JSON pointer, or nothing at all."""
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*", re.ASCII)
_HEADER = re.compile(r"[A-Za-z0-9-]+", re.ASCII)
_TAKEN = ("alertname", "case", "place", "grid", "receiver", "severity", "site")


def check_channel(findings: Findings, path: KeyPath, channel: ChannelSettings) -> None:
    """Note every mistake of one entry of ``channels``."""
    if isinstance(channel, MqttChannel | Apprise):
        return
    findings.duration((*path, "timeout"), channel.timeout, SECOND, 2 * MINUTE)
    if isinstance(channel, Smtp):
        _smtp(findings, path, channel)
        return
    check_address(findings, (*path, "url"), channel.url)
    match channel:
        case WecomRobot() | WecomApp() | DingtalkRobot() | FeishuRobot():
            _no_key(findings, (*path, "url"), channel.url)
        case Webhook():
            _success(findings, path, channel.success)
        case Sms():
            _success(findings, path, channel.success)
            _sms(findings, path, channel)
        case AliyunSms() | TencentSms():
            _cloud_sms(findings, path, channel)
        case Alertmanager():
            _alertmanager(findings, path, channel)


def _success(findings: Findings, path: KeyPath, success: Success | None) -> None:
    """Refuse what is in no answer: each page would go out three times."""
    if success is not None and any(_NO_NAME.fullmatch(part) for part in success.path.split(".")):
        message = f"{success.path!r} is not names with dots between them: no answer has that"
        findings.error((*path, "success", "path"), message, "write for example data.code")


def check_address(findings: Findings, path: KeyPath, url: str) -> None:
    """Note what is wrong with the address of an HTTP server."""
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good:
        findings.error(path, "this is not an address", "write for example http://127.0.0.1:8086")
    elif parts.username is not None or parts.password is not None:
        findings.error(path, "the address holds a password", "put it into a file and name that file")


def _no_key(findings: Findings, path: KeyPath, url: str) -> None:
    """Refuse the address as the service shows it, which ends with the robot's key."""
    if "?" in url or re.search(r"/hook/[\w-]{16,}", url):
        hint = "put only the key into a file (chmod 600), name that file, and leave url out"
        findings.error(path, "the address holds a key", hint)


def _smtp(findings: Findings, path: KeyPath, channel: Smtp) -> None:
    if not re.search(r"[^@\s<>]@[^@\s<>]", channel.sender):
        findings.error((*path, "sender"), "this is not a mailbox", "write for example sensord@example.org")
    _login(findings, path, channel.username, channel.password_file)
    if channel.username is not None and channel.security == "none":
        hint = "write security: starttls or tls, or leave username out"
        findings.error((*path, "security"), "the password would be sent without encryption", hint)


def _login(findings: Findings, path: KeyPath, username: str | None, password_file: str | None) -> None:
    if username is not None and password_file is None:
        findings.error((*path, "username"), "there is a username but no password", "add password_file: ...")


def _sms(findings: Findings, path: KeyPath, channel: Sms) -> None:
    _placeholders(findings, (*path, "body"), channel.body)
    _placeholders(findings, (*path, "headers"), channel.headers)
    if not any("{phone}" in value for value in channel.body.values()):
        hint = "add {phone} where the gateway expects the number"
        findings.error((*path, "body"), "the body does not say whom to reach", hint)
    for name, value in channel.headers.items():
        if _HEADER.fullmatch(name) is None or not value.isascii():
            findings.error((*path, "headers", name), "this cannot be a header", "headers are ASCII", key=True)
    used = any("{secret}" in value for value in (*channel.body.values(), *channel.headers.values()))
    if used and channel.secret_file is None:
        findings.error(path, "{secret} is used, but there is no secret", "add secret_file: ...")


def _cloud_sms(findings: Findings, path: KeyPath, channel: AliyunSms | TencentSms) -> None:
    given = channel.parameters
    templates: dict[str, str] | dict[int, str] = given if isinstance(given, dict) else dict(enumerate(given))
    _placeholders(findings, (*path, "parameters"), templates)
    for name, template in templates.items():
        if "{secret}" in template:
            findings.error((*path, "parameters", name), "the secret would be sent to the phone", "remove {secret}")


def _placeholders(findings: Findings, path: KeyPath, templates: Mapping[str, str] | Mapping[int, str]) -> None:
    for name, template in templates.items():
        for word in _PLACEHOLDER.findall(template):
            if word not in SMS_PLACEHOLDERS:
                hint = findings.suggest(word, SMS_PLACEHOLDERS)
                findings.error((*path, name), f"{{{word}}} is no placeholder", hint)


def _alertmanager(findings: Findings, path: KeyPath, channel: Alertmanager) -> None:
    findings.duration((*path, "expires"), channel.expires, 10 * MINUTE, 30 * DAY)
    _login(findings, path, channel.username, channel.password_file)
    for name in channel.labels:
        if _LABEL.fullmatch(name) is None:
            hint = "letters, digits and underscores, not beginning with a digit"
            findings.error((*path, "labels", name), f"{name!r} cannot be a label", hint, key=True)
        elif name in _TAKEN:
            findings.error((*path, "labels", name), f"the label {name} is set by sensord", "use another name", key=True)
