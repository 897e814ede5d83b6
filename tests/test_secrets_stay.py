"""A full run on real parts with secrets that nobody else has: they are in their files, and nowhere else.

The broker asks for a password, every kind of channel has a secret and fails with it, the databases refuse. Then
everything that can be looked at is searched: the process's command line and environment, the log at its most talkative,
every file of the state directory, every answer of the HTTP server, what the commands print, and a backup.
"""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sensord.config.load import load
from sensord.config.platekeys import load_keys
from sensord.config.secret import read_secret
from sensord.errors import ConfigError
from sensord.store.access import AccessLog
from sensord.store.backup import restore
from tests.notify.receiver import Answer, Receiver, Request
from tests.support import http, program, wait_until
from tests.support.broker import Mosquitto, paho_client
from tests.support.daemon import Daemon, crowd

BROKER, PLATE = "canary-broker-5f1c", base64.b64encode(b"canary-plate-key" * 2).decode()
SECRETS = {
    "broker": BROKER,
    "influx1": "canary-influx1-77aa",
    "influx2": "canary-influx2-91bd",
    "webhook": "canary-webhook-03fe",
    "wecom": "canary-wecom-robot-6c55",
    "app": "canary-wecom-app-d2d2",
    "dingtalk": "canary-dingtalk-1e0f",
    "dingsign": "canary-dingtalk-sign-4410",
    "feishu": "canary-feishu-8b8b",
    "feisign": "canary-feishu-sign-2a2a",
    "sms": "canary-sms-7070",
    "mail": "canary-mail-c3c3",
    "pager": "canary-alertmanager-9e9e",
    "answer": "canary-answer-key-f00d-f00d-f00d-f00d",
    "apprise": "canary-apprise-b7b7",
    "plate": PLATE,
}
CHANNELS = ("people", "wecom", "app", "dingtalk", "feishu", "sms", "mail", "pager", "any")
ROSTER = "people:\n" + "".join(
    f"  - {{id: 居委干部-{number}, role: cadre, serves: G1, contacts: [{{channel: {name}{address}}}]}}\n"
    for number, name in enumerate(CHANNELS)
    for address in ("" if name == "any" else f", address: user-{number}",)
)
READ = ("overview", "cases?state=all", "places", "rules", "roster", "policies", "silences", "cases/none")


def answer(request: Request) -> Answer:
    """Fail, and say what was asked: a receiver's answer must not bring a secret back into our log."""
    if request.path.startswith("/people"):
        return Answer()
    said = {"errcode": 40001, "errmsg": request.path, "code": 9, "msg": str(request.headers), "error": request.path}
    return Answer(500 if "write" in request.path else 200, json.dumps(said).encode())


def channels(server: Receiver) -> list[dict[str, Any]]:
    """One of each kind that has a secret, all towards one server."""

    def web() -> dict[str, Any]:
        return {"url": server.url, "allow": [server.host]}  # written out each time: YAML's aliases are refused

    return [
        {"type": "webhook", "name": "people", **web(), "url": f"{server.url}/people", "secret_file": "secrets/webhook"},
        {"type": "wecom-robot", "name": "wecom", **web(), "key_file": "secrets/wecom"},
        {"type": "wecom-app", "name": "app", **web(), "corp_id": "c", "agent_id": 1, "secret_file": "secrets/app"},
        {
            "type": "dingtalk-robot",
            "name": "dingtalk",
            **web(),
            "token_file": "secrets/dingtalk",
            "secret_file": "secrets/dingsign",
        },
        {
            "type": "feishu-robot",
            "name": "feishu",
            **web(),
            "token_file": "secrets/feishu",
            "secret_file": "secrets/feisign",
        },
        {
            "type": "sms",
            "name": "sms",
            **web(),
            "secret_file": "secrets/sms",
            "headers": {"Authorization": "Bearer {secret}"},
            "body": {"to": "{phone}"},
            "success": {"path": "ok", "equals": "yes"},
        },
        {
            "type": "smtp",
            "name": "mail",
            "host": "127.0.0.1",
            "port": int(server.host.rpartition(":")[2]),
            "username": "u",
            "password_file": "secrets/mail",
            "sender": "a@b.example",
            "timeout": "1s",
        },
        {"type": "alertmanager", "name": "pager", **web(), "username": "u", "password_file": "secrets/pager"},
        {"type": "apprise", "name": "any", "url_file": "secrets/apprise"},
        {"type": "mqtt", "name": "grid"},
    ]


@pytest.fixture
def server() -> Iterator[Receiver]:
    """Everybody's service, and both databases."""
    with Receiver(decide=answer) as receiver:
        yield receiver


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker that asks for a password."""
    passwords = tmp_path / "passwords"
    subprocess.run(
        [program("mosquitto_passwd"), "-c", "-b", str(passwords), "u", BROKER], check=True, capture_output=True
    )
    running = Mosquitto(tmp_path, listener=("allow_anonymous false", f"password_file {passwords}")).start()
    yield running
    running.stop()


def made(tmp_path: Path, broker: Mosquitto, server: Receiver) -> Daemon:
    """The daemon's files: every secret in one of its own, mode 0600."""
    daemon = Daemon(
        tmp_path / "sensord",
        broker.port,
        f"{server.url}/people",
        mqtt={
            "port": broker.port,
            "username": "u",
            "password_file": "secrets/broker",
            "readings": "t/{compound}/{kind}/{device}",
            "commands": "t/commands/by/{user}/{case}",
            "alerts": "t/alerts/{grid}",
            "results": "t/results/{case}",
        },
        log={"level": "debug"},
        answers={"url": "http://links.example", "key_file": "secrets/answer"},
        plates={"key_file": "secrets/plate"},
        sinks=[
            {"type": "influxdb1", "name": "one", "url": server.url, "database": "d", "username": "u"}
            | {"password_file": "secrets/influx1"},
            {"type": "influxdb2", "name": "two", "url": server.url, "bucket": "b", "token_file": "secrets/influx2"},
        ],
        channels=channels(server),
    )
    (daemon.directory / "secrets").mkdir(mode=0o700)
    texts = {**SECRETS, "plate": f"k1 2026-01-01T00:00:00Z {PLATE}"}
    texts["apprise"] = f"json://u:{SECRETS['apprise']}@{server.host}/any"
    for name, text in texts.items():
        path = daemon.directory / "secrets" / name
        path.write_text(text + "\n", encoding="utf-8")
        path.chmod(0o600)
    (daemon.directory / "roster.yaml").write_text(ROSTER, encoding="utf-8")
    daemon.fresh = True  # what /proc shows of it is that of its own start
    return daemon


@pytest.fixture
def daemon(tmp_path: Path, broker: Mosquitto, server: Receiver) -> Iterator[Daemon]:
    """A daemon with every kind of secret."""
    made_here = made(tmp_path, broker, server)
    yield made_here.start()
    made_here.kill()


def drive(port: int) -> None:
    """A crowd, a vehicle, and a message that cannot be used."""
    client = paho_client("sensor")
    client.username_pw_set("u", BROKER)
    client.connect("127.0.0.1", port)
    client.loop_start()
    messages = [crowd(1, 150, seq) for seq in range(8)] + [("t/C1/plate/camera-1", b'{"plate":null}')]
    for topic, payload in messages:
        client.publish(topic, payload, 1).wait_for_publish(5)
    client.disconnect()
    client.loop_stop()


def process(daemon: Daemon) -> dict[str, bytes]:
    """What ``ps`` shows to everybody on the machine, and what the daemon's own user can see."""
    assert daemon._process is not None
    folder = Path("/proc") / str(daemon._process.pid)
    return {name: (folder / name).read_bytes() for name in ("cmdline", "environ", "comm")}


def outputs(daemon: Daemon) -> dict[str, bytes]:
    """Everything that can be read somewhere, by where."""
    found = process(daemon) | {"log": daemon.log.read_bytes()}
    for path in daemon.state.rglob("*"):
        if path.is_file():
            found[str(path.relative_to(daemon.state))] = path.read_bytes()
    for address in ("/metrics", "/healthz", "/readyz", "/openapi.json", *(f"/api/v1/{name}" for name in READ)):
        found[address] = daemon.get(address).content
    case = daemon.get("/api/v1/cases").json()["cases"][0]["id"]
    found["case"] = daemon.get(f"/api/v1/cases/{case}").content
    found["refused"] = http.get(f"{daemon.url}/api/v1/cases", headers={"Authorization": "Bearer x"}).content
    for command in (("check",), ("doctor",), ("dead-letters",), ("list", "problems"), ("token", "list")):
        done = daemon.command(*command)
        found[" ".join(command)] = (done.stdout + done.stderr).encode()
    return found


def leaks(found: dict[str, bytes], homes: dict[str, str]) -> list[str]:
    """Where a secret stands that is not its home, in any of the forms in which it may be written."""
    return [
        f"{name} in {where}"
        for name, secret in homes.items()
        for where, content in found.items()
        for form in (secret, base64.b64encode(secret.encode()).decode().rstrip("="), secret.encode().hex())
        if form.encode() in content and where != name
    ]


@pytest.mark.timeout(300)
def test_secrets_are_in_their_files_and_nowhere_else(daemon: Daemon, broker: Mosquitto, server: Receiver) -> None:
    """Each was used, or tried; none shows; every file of ours is its owner's alone; a backup takes the keys along."""
    drive(broker.port)
    words = ("/people/", "key=canary", "access_token=canary", "/canary-feishu", "gettoken", "alerts", "/write", "/any")
    wait_until(lambda: all(any(word in one.path for one in server.requests) for word in words), 90, "all were asked")
    wait_until(lambda: b"channel mail" in daemon.log.read_bytes(), 60, "the mail server was, too")
    asked = "".join(f"{one.path}{one.headers}" for one in server.requests)
    assert all(SECRETS[name] in asked for name in ("wecom", "dingtalk", "feishu", "sms", "app", "influx2"))
    token = (daemon.state / "api.token").read_text().strip()
    AccessLog(daemon.state).append(at="-", by="派出所-1", reason="x", vehicle="0" * 16, via="reveal")
    backup = daemon.directory / "backup"
    assert daemon.command("backup", str(backup)).returncode == 0
    assert leaks(outputs(daemon), {**SECRETS, "api.token": token}) == []
    modes = {path.stat().st_mode & 0o077 for path in (daemon.state, *daemon.state.rglob("*"), *backup.rglob("*"))}
    assert modes == {0}
    assert "canary" not in repr(load(daemon.config))
    restore(backup, daemon.directory / "again")
    assert (daemon.directory / "again" / "api.token").read_text().strip() == token
    assert AccessLog(daemon.directory / "again").verify()[0] == 1


@pytest.mark.parametrize(("mode", "raw"), [(0o644, b"canary-x"), (0o604, b"canary-x"), (0o600, b"canary-x\xff")])
def test_a_secret_that_is_none_is_refused_without_being_shown(tmp_path: Path, mode: int, raw: bytes) -> None:
    """Readable by everybody, or no text: refused, naming the file, saying what to do, and never the content."""
    path = tmp_path / "secret"
    path.write_bytes(raw)
    path.chmod(mode)
    for read in (read_secret, load_keys):
        with pytest.raises(ConfigError, match=str(path)) as refused:
            read(path)
        assert "canary-x" not in f"{refused.value}{refused.value.problems}"


@pytest.mark.parametrize(
    "text",
    [
        "site: s\nmqtt: {password: canary-x}\n",
        "site: s\nmqtt: {password_file: [canary-x]}\n",
        "site: s\nchannels: [{type: webhook, name: w, url: 'http://u:canary-x@h.example/'}]\n",
        "site: s\nchannels: [{type: wecom-robot, name: w, key: canary-x}]\n",
        "site: s\nchannels: [{type: wecom-robot, name: w, key_file: k, url: 'https://h.example/send?key=canary-x'}]\n",
        "site: s\nsinks: [{type: influxdb2, url: 'http://u:canary-x@h.example', bucket: b}]\n",
        "site: s\nmqtt: {password: !secret canary-x}\n",
        "site: s\nmqtt: {password: 'canary-x}\n",
    ],
)
def test_a_secret_in_the_wrong_place_is_not_repeated(tmp_path: Path, text: str) -> None:
    """Whoever writes one into the configuration is told where it belongs; the message goes into tickets and chats."""
    path = tmp_path / "sensord.yaml"
    path.write_text(text, encoding="utf-8")
    daemon = Daemon.__new__(Daemon)
    daemon.config = path
    done = daemon.command("check")
    assert done.returncode == 3
    assert "canary-x" not in done.stdout + done.stderr
