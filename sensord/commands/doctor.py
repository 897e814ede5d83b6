"""``sensord doctor``: what is reachable and what is not, one finding a line, each with what to do."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode

from sensord import answers
from sensord.commands.preparing import to_be_stepped
from sensord.commands.remote import overview, readiness
from sensord.config.broker import broker
from sensord.config.channels import Apprise, ChannelSettings, MqttChannel, Sms, Smtp, Webhook
from sensord.config.load import Loaded, load, load_bare, read_secret
from sensord.config.reach import host_and_port
from sensord.config.settings import InfluxV1, InfluxV2, Rollups
from sensord.errors import ConfigError, DeliveryError, SensordError, StoreError
from sensord.ingest.receiver import tls_context
from sensord.notify import smtp
from sensord.notify.http import HttpSender
from sensord.phrasebook import shown, shown_problem, told
from sensord.store.lock import holder
from sensord.store.registers import Registers
from sensord.store.room import files_left
from sensord.store.starts import Starts
from sensord.store.versions import refuse_newer
from sensord.telemetry.startprogress import how_far
from sensord.words import say

TIMEOUT = 5.0
LOW_SPACE, FEW_FILES = 1 << 30, 1000
_SECRETS = ("secret_file", "token_file", "key_file", "password_file", "url_file")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at; ``ok`` None means that it was not looked at, or that it is only a remark."""

    subject: str
    ok: bool | None
    detail: str


def examine(config: Path) -> Iterator[Finding]:
    """Look at everything that the daemon needs; raises ``ConfigError`` when ``sensord.yaml`` itself is wrong."""
    loaded, said = _configuration(config)
    yield from said
    for part, why in loaded.without.items():
        yield Finding(part.value, False, told(why))
    yield _state_directory(loaded)
    yield from _state_files(loaded)
    yield Finding("SQLite", True, sqlite3.sqlite_version)
    yield _broker(loaded)
    for sink in loaded.settings.sinks:
        yield from _secrets(f"sink {sink.name}", loaded, sink)
        match sink:
            case InfluxV1():
                yield _http(f"sink {sink.name}", f"{sink.url.rstrip('/')}/ping")
            case InfluxV2():
                yield _http(f"sink {sink.name}", f"{sink.url.rstrip('/')}/health")
            case Rollups():
                yield Finding(f"sink {sink.name}", True, say("内置（状态目录）", "embedded, in the state directory"))
    for channel in loaded.settings.channels:
        yield from _secrets(f"channel {channel.name}", loaded, channel)
        match channel:
            case MqttChannel():
                yield Finding(f"channel {channel.name}", None, say("使用上面的 MQTT 服务器", "uses the broker above"))
            case Apprise():
                pass  # its addresses are in its file, and only it can read them
            case Smtp():
                yield from _certificates(f"channel {channel.name} ca_file", loaded, channel)
                yield _listens(f"channel {channel.name}", channel.host, channel.port)
            case _:
                yield _reached(channel.name, channel.url, channel.allow)
                yield from _guessed(channel)
    yield from _daemon(config, loaded.resolve(loaded.settings.state_dir))


def _configuration(config: Path) -> tuple[Loaded, list[Finding]]:
    """What can be loaded, and each mistake: a daemon that runs goes on under the rules in force, and so do we."""
    subject = say("配置", "configuration")
    try:
        loaded = load(config, lenient=True)
    except ConfigError as refused:
        return load_bare(config), [Finding(subject, False, shown_problem(problem)) for problem in refused.problems]
    count = len(loaded.warnings)
    return loaded, [Finding(subject, True, say(f"{count} 条提醒", f"{count} warnings"))]


def _state_directory(loaded: Loaded) -> Finding:
    directory, subject = loaded.resolve(loaded.settings.state_dir), say("状态目录", "state directory")
    nearest = next(path for path in (directory, *directory.parents) if path.exists())
    if not os.access(nearest, os.W_OK | os.X_OK):
        return Finding(subject, False, say(f"{nearest} 不可写", f"{nearest} is not writable for this user"))
    free, files = shutil.disk_usage(nearest).free, files_left(os.statvfs(nearest))
    text = say(f"{directory}，可用 {free >> 20} MiB", f"{directory}, {free >> 20} MiB free")
    if files is not None and files < FEW_FILES:
        text += say(f"，只能再建 {files} 个文件（inode）", f", takes only {files} more files (inodes)")
    return Finding(subject, free >= LOW_SPACE and (files is None or files >= FEW_FILES), text)


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
        return Finding(subject, False, shown(error))
    if not answer:
        return Finding(subject, False, say("没有应答", "no answer"))
    return Finding(subject, not answer[0], answer[0] or say("已连接", "connected"))


def _http(subject: str, url: str) -> Finding:
    try:
        with answers.blocking_client(TIMEOUT) as asking:
            status = answers.ask(asking, asking.build_request("GET", url)).status
    except httpx.HTTPError as error:
        return Finding(subject, False, f"{url}: {error}")
    return Finding(subject, status < 400, f"{url}: HTTP {status}")


def _reached(name: str, url: str, allow: tuple[str, ...]) -> Finding:
    """As far as sending goes before somebody is paged: address, allow list, connection, certificate."""

    async def knock() -> None:
        sender = HttpSender(name, f"{TIMEOUT:.0f}s", allow)
        try:
            await sender.knock(url)
        finally:
            await sender.close()

    subject, (host, port) = f"channel {name}", host_and_port(url)
    try:
        asyncio.run(knock())
    except DeliveryError as error:
        return Finding(subject, False, f"{host}:{port}: {told(str(error).removeprefix(f'{subject}: '))}")
    return _open(subject, host, port)


def _guessed(channel: ChannelSettings) -> Iterator[Finding]:
    """Answers that nobody has configured are read by what common receivers mean; some say the opposite.

    Whether those that somebody has configured come like that is known by a message only, and the doctor sends none.
    """
    if not isinstance(channel, Sms | Webhook):
        return
    zh = "应答按 docs/channels.zh-CN.md 的表来理解；如果它应答 JSON，最好写明 success:"
    en = "its answers are read by the table in docs/channels.md; if it answers JSON, better write success:"
    if (success := channel.success) is not None:
        zh = f"应答里 {success.path} 是 {success.equals} 才算送达；没有这一项的会发三次："
        zh += "请真的发一条，再运行 sensord doctor"
        en = f"a delivery is answered with {success.path} {success.equals}; without it each page goes out three times: "
        en += "page somebody, then run sensord doctor again"
    yield Finding(f"channel {channel.name} success", None, say(zh, en))


def _listens(subject: str, host: str, port: int) -> Finding:
    """A mail server is not spoken to."""
    try:
        socket.create_connection((host, port), TIMEOUT).close()
    except OSError as error:
        return Finding(subject, False, f"{host}:{port}: {error.strerror or error}")
    return _open(subject, host, port)


def _open(subject: str, host: str, port: int) -> Finding:
    return Finding(subject, True, say(f"{host}:{port} 可连接", f"{host}:{port} accepts connections"))


def _state_files(loaded: Loaded) -> Iterator[Finding]:
    """Each database that this program could not work with, and each register that nothing can be added to."""
    directory = loaded.resolve(loaded.settings.state_dir)
    for name, torn in Registers.of(directory).look().items():
        yield Finding(name, False, told(torn))
    for path in sorted((*directory.glob("*.db"), *directory.glob("journal/*.db"))):
        try:
            refuse_newer(path)
        except StoreError as error:
            yield Finding(path.name, False, shown(error))
    with suppress(StoreError):  # what cannot be read was said above, or there is nothing yet
        if groups := to_be_stepped(loaded):
            zh = f"这个版本读不了；先运行 sensord prepare（约 {groups} 组）再重启，否则会忘记以前的事"
            en = f"this version cannot read it; run sensord prepare first (about {groups} groups), then restart: else "
            yield Finding(say("保存的状态", "saved state"), False, say(zh, en + "what was before is forgotten"))


def _secrets(subject: str, loaded: Loaded, part: object) -> Iterator[Finding]:
    """Each secret file of a channel or sink that the daemon could not use."""
    for name in _SECRETS:
        path = getattr(part, name, None)
        if path is not None:
            try:
                read_secret(loaded.resolve(path))
            except ConfigError as error:
                yield Finding(f"{subject} {name}", False, shown(error))


def _certificates(subject: str, loaded: Loaded, channel: Smtp) -> Iterator[Finding]:
    """A file of certificates that a mail channel could not use."""
    try:
        smtp.tls_context(channel, loaded.resolve)
    except ConfigError as error:
        yield Finding(subject, False, shown(error))


def _daemon(config: Path, directory: Path) -> Iterator[Finding]:
    """The daemon at a glance, and each thing that it says of itself is not as it should be; it may not run now."""
    subject = say("守护进程", "daemon")
    try:
        lag = overview(config)["lag_seconds"]
        yield Finding(subject, True, say(f"运行中，延迟 {lag:.1f} 秒", f"running, lag {lag:.1f} s"))
        for name, detail in readiness(config).items():
            yield Finding(f"{subject} {name}", False, detail)
    except SensordError as error:
        yield _silent(subject, directory, shown(error))


def _silent(subject: str, directory: Path, why: str) -> Finding:
    """What it means that no daemon answers: it was stopped, hangs, or dies again and again."""
    pid, deaths = holder(directory), Starts(directory).deaths()
    stepped = how_far(directory)
    if pid is not None and stepped is not None:
        zh = f"进程 {pid} 正在启动：重算到第 {stepped.groups} 组，共 {stepped.of} 组；此前不会通知任何人"
        en = f"process {pid} starts: {stepped.groups} of {stepped.of} groups stepped again; until then nobody is told"
        return Finding(subject, False, say(zh, en))
    if pid is not None:
        return Finding(subject, False, say(f"进程 {pid} 在运行，但{why}", f"process {pid} runs, but {why}"))
    if deaths:
        zh = f"没有运行；启动后不久就退出，已连续 {deaths} 次，请看日志"
        en = f"does not run; it ended soon after its start, {deaths} times in a row: see the log"
        return Finding(subject, False, say(zh, en))
    return Finding(subject, None, why)
