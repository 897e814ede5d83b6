"""``sensord doctor``: what is reachable and what is not, one finding a line, each with what to do."""

from __future__ import annotations

import os
import shutil
import socket
import sqlite3
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode

from sensord.commands.remote import overview, readiness
from sensord.config.broker import broker
from sensord.config.channels import Apprise, MqttChannel, Smtp
from sensord.config.load import Loaded, load, read_secret
from sensord.config.settings import InfluxV1, InfluxV2, Rollups
from sensord.errors import SensordError
from sensord.ingest.receiver import tls_context
from sensord.words import say

TIMEOUT = 5.0
LOW_SPACE = 1 << 30


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at; ``ok`` None means that it was not looked at, or that it is only a remark."""

    subject: str
    ok: bool | None
    detail: str


def examine(config: Path) -> Iterator[Finding]:
    """Look at everything that the daemon needs; raises ``ConfigError`` when the configuration is wrong."""
    loaded = load(config)
    yield Finding(
        say("配置", "configuration"), True, say(f"{len(loaded.warnings)} 条提醒", f"{len(loaded.warnings)} warnings")
    )
    yield _state_directory(loaded)
    yield Finding("SQLite", True, sqlite3.sqlite_version)
    yield _broker(loaded)
    for sink in loaded.settings.sinks:
        match sink:
            case InfluxV1():
                yield _http(f"sink {sink.name}", f"{sink.url.rstrip('/')}/ping")
            case InfluxV2():
                yield _http(f"sink {sink.name}", f"{sink.url.rstrip('/')}/health")
            case Rollups():
                yield Finding(f"sink {sink.name}", True, say("内置（状态目录）", "embedded, in the state directory"))
    for channel in loaded.settings.channels:
        match channel:
            case MqttChannel():
                yield Finding(f"channel {channel.name}", None, say("使用上面的 MQTT 服务器", "uses the broker above"))
            case Apprise():
                yield _secret_file(f"channel {channel.name}", loaded, channel.url_file)
            case Smtp():
                yield _listens(f"channel {channel.name}", f"smtp://{channel.host}:{channel.port}")
            case _:
                yield _listens(f"channel {channel.name}", channel.url)
    yield from _daemon(config)


def _state_directory(loaded: Loaded) -> Finding:
    directory, subject = loaded.resolve(loaded.settings.state_dir), say("状态目录", "state directory")
    nearest = next(path for path in (directory, *directory.parents) if path.exists())
    if not os.access(nearest, os.W_OK | os.X_OK):
        return Finding(subject, False, say(f"{nearest} 不可写", f"{nearest} is not writable for this user"))
    free = shutil.disk_usage(nearest).free
    text = say(f"{directory}，可用 {free >> 20} MiB", f"{directory}, {free >> 20} MiB free")
    return Finding(subject, free >= LOW_SPACE, text)


def _broker(loaded: Loaded) -> Finding:
    """Connect as the daemon would, but with a client id of our own so that it is not disturbed."""
    mqtt = loaded.settings.mqtt
    subject = f"MQTT {mqtt.host}:{mqtt.port}"
    answered, answer = threading.Event(), list[str]()

    def connected(_client: object, _data: object, _flags: object, code: ReasonCode, _properties: object) -> None:
        answer.append("" if not code.is_failure else str(code))
        answered.set()

    client = paho.Client(CallbackAPIVersion.VERSION2, f"{mqtt.client_id}-doctor-{os.getpid()}", protocol=paho.MQTTv5)
    client.on_connect = connected
    try:
        mqtt, password = broker(loaded)
        if mqtt.username is not None:
            client.username_pw_set(mqtt.username, password)
        if mqtt.tls is not None:
            client.tls_set_context(tls_context(mqtt.tls))
        client.connect_timeout = TIMEOUT
        client.connect(mqtt.host, mqtt.port)
        client.loop_start()
        answered.wait(TIMEOUT)
        client.disconnect()
        client.loop_stop()
    except (OSError, SensordError) as error:
        return Finding(subject, False, str(error))
    if not answer:
        return Finding(subject, False, say("没有应答", "no answer"))
    return Finding(subject, not answer[0], answer[0] or say("已连接", "connected"))


def _http(subject: str, url: str) -> Finding:
    try:
        answer = httpx.get(url, timeout=TIMEOUT)
    except httpx.HTTPError as error:
        return Finding(subject, False, f"{url}: {error}")
    return Finding(subject, answer.status_code < 400, f"{url}: HTTP {answer.status_code}")


def _listens(subject: str, url: str) -> Finding:
    """A channel is not tried for real: somebody would be paged."""
    parts = urlsplit(url)
    address = (parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80))
    try:
        socket.create_connection(address, TIMEOUT).close()
    except OSError as error:
        return Finding(subject, False, f"{address[0]}:{address[1]}: {error.strerror or error}")
    return Finding(
        subject, True, say(f"{address[0]}:{address[1]} 可连接", f"{address[0]}:{address[1]} accepts connections")
    )


def _secret_file(subject: str, loaded: Loaded, path: str) -> Finding:
    return _tried(subject, lambda: f"{len(read_secret(loaded.resolve(path)).splitlines())} URL")


def _daemon(config: Path) -> Iterator[Finding]:
    """The daemon at a glance, and each thing that it says of itself is not as it should be; it may not run now."""
    subject = say("守护进程", "daemon")
    try:
        lag = overview(config)["lag_seconds"]
        yield Finding(subject, True, say(f"运行中，延迟 {lag:.1f} 秒", f"running, lag {lag:.1f} s"))
        for name, detail in readiness(config).items():
            yield Finding(f"{subject} {name}", False, detail)
    except SensordError as error:
        yield Finding(subject, None, str(error))


def _tried(subject: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(subject, True, look())
    except SensordError as error:
        return Finding(subject, False, str(error))
