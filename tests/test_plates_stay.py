"""A full run on real parts: a plate is in the journal and in what the police get, and in nothing else that leaves."""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from sensord.core.token import word
from sensord.store.access import AccessLog
from tests.notify.receiver import Receiver
from tests.support import wait_until
from tests.support.broker import Mosquitto
from tests.support.daemon import Daemon

PLATES = ("皖K13579", "苏E24680", "沪AD12345", "粤B1234D", "沪A5432警")
RULES = """
rules:
  - id: key-area
    name: {zh: 重点地区车辆}
    stream: visit
    where: {event: passed, class: key_area}
    by: gate
    value: count()
    levels: {yellow: {at_least: 1}}
    clear: {for: 5m}
    dispatch: vehicle
    message: {zh: "{place}：{vehicle}。"}
  - id: out-of-town
    name: {zh: 外地车辆}
    stream: visit
    where: {event: passed, class: out_of_town}
    by: gate
    value: count()
    window: 10s
    every: 1s
    levels: {blue: {at_least: 2}}
    clear: {for: 1s}
    dispatch: vehicle
"""
DISPATCH = """
roles:
  volunteer: {name: {zh: 志愿者}}
  cadre: {name: {zh: 居委干部}, plates: masked}
  police: {name: {zh: 派出所}, plates: plain}
policies:
  vehicle: {name: {zh: 车辆}, steps: [{tell: [volunteer, cadre, police]}]}
  crowd: {name: {zh: 人群}, steps: [{tell: [cadre]}]}
"""


@pytest.fixture
def people() -> Iterator[Receiver]:
    """Everybody's telephone, and the time-series database too: it keeps what it is sent."""
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def daemon(tmp_path: Path, people: Receiver) -> Iterator[Daemon]:
    """A daemon with every kind of output."""
    broker = Mosquitto(tmp_path, "persistence false").start()
    made = Daemon(
        tmp_path / "sensord",
        broker.port,
        people.url + "/notify",
        files={"rules": "rules", "vehicles": "vehicles.yaml"},
        log={"level": "debug"},
        sinks=[
            {"type": "rollups", "name": "rollups"},
            {"type": "influxdb1", "name": "influxdb", "url": people.url, "database": "sensord"},
        ],
    )
    (made.directory / "rules" / "crowd.yaml").unlink()
    (made.directory / "rules" / "vehicles.yaml").write_text(RULES, encoding="utf-8")
    (made.directory / "dispatch.yaml").write_text(DISPATCH, encoding="utf-8")
    (made.directory / "vehicles.yaml").write_text("key_areas: [{prefix: 皖K}]\n", encoding="utf-8")
    yield made.start()
    made.kill()
    broker.stop()


def drive(port: int) -> None:
    """Publish a passage of every vehicle, a misread one, and messages that cannot be used."""
    client = paho.Client(CallbackAPIVersion.VERSION2, "camera", protocol=paho.MQTTv5)
    client.connect("127.0.0.1", port)
    client.loop_start()
    bodies = [{"plate": plate, "direction": way, "confidence": 0.95} for plate in PLATES for way in ("in", "out")]
    bodies += [{"plate": plate, "direction": "in", "confidence": 0.3} for plate in PLATES]
    bodies += [{"plate": plate, "direction": "sideways"} for plate in PLATES]
    bodies += [{"plate": plate, "direction": "in", "device": plate} for plate in PLATES]
    texts = [json.dumps({**body, "seq": seq}, ensure_ascii=bool(seq % 2)) for seq, body in enumerate(bodies)]
    texts += ["{" + plate for plate in PLATES]
    for text in texts:
        client.publish("t/C1/plate/camera-1", text.encode(), 1).wait_for_publish(5)
    client.publish(f"t/C1/plate/{PLATES[0]}", b"{}", 1).wait_for_publish(5)
    client.disconnect()
    client.loop_stop()


def notices(people: Receiver, who: str) -> list[str]:
    """What somebody was told."""
    return [request.json["text"] for request in people.requests if request.path == f"/notify/{who}"]


def outputs(daemon: Daemon, people: Receiver) -> dict[str, bytes]:
    """Everything that left the daemon, by what it is: files, answers, messages, commands' outputs."""
    found = {"log": daemon.log.read_bytes()}
    for path in daemon.state.rglob("*"):
        if path.is_file() and "journal" not in path.relative_to(daemon.state).parts:
            found[path.name] = path.read_bytes()
    with closing(sqlite3.connect(daemon.state / "state.db")) as state:
        tables = [name for (name,) in state.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        found["state"] = repr([state.execute(f"SELECT * FROM {name}").fetchall() for name in tables]).encode()
        for (blob,) in [*state.execute("SELECT state FROM snapshots"), *state.execute("SELECT state FROM cursors")]:
            body = bytes(blob)
            found[f"saved state {len(found)}"] = zlib.decompress(body[9:]) if body[:4] == b"SNSD" else body
    for page in ("/metrics", "/api/v1/overview", "/healthz", "/readyz"):
        found[page] = daemon.get(page).content
    for request in people.requests:
        if request.path != "/notify/police-1":
            found[f"{request.path} {len(found)}"] = request.body
    for command in (
        ("report", "vehicles", "--day", "2026-01-01"),
        ("dead-letters",),
        ("cases",),
        ("audit", "list"),
        ("replay", str(daemon.state / "journal"), "--format", "json"),
    ):
        done = daemon.command(*command)
        assert done.returncode == 0, (command, done.stderr)
        found[" ".join(command)] = (done.stdout + done.stderr).encode()
    return found


def forms(plate: str) -> list[bytes]:
    """How a plate might be written: as it is, without its province, escaped, in another encoding."""
    escaped = plate.encode("unicode_escape")
    return [plate.encode(), plate[1:].encode(), escaped, plate.encode("utf-16-le"), plate.encode("gb18030")]


def test_a_plate_is_in_the_journal_and_with_the_police_and_nowhere_else(daemon: Daemon, people: Receiver) -> None:
    """Files, logs, metrics, time series, views, exports and everybody else's messages hold no plate."""
    drive(daemon_port(daemon))
    wait_until(lambda: notices(people, "police-1"), 20, "the police are told")
    wait_until(lambda: any("/write" in request.path for request in people.requests), 20, "points are written")
    wait_until(daemon.caught_up, 10, "everything is applied")
    wait_until(lambda: notices(people, "cadre-1"), 10, "cadres are told")
    assert any("皖K13579" in text for text in notices(people, "police-1"))
    assert any("皖K·**579" in text for text in notices(people, "cadre-1"))
    assert not any("579" in text for text in notices(people, "volunteer-1"))
    journal = b"".join(path.read_bytes() for path in (daemon.state / "journal").rglob("*") if path.is_file())
    assert journal
    assert daemon.stop() == 0
    daemon.start()
    for what, content in outputs(daemon, people).items():
        for plate in PLATES:
            assert not [form for form in forms(plate) if form in content], f"a plate is in {what}"


def daemon_port(daemon: Daemon) -> int:
    """The broker's port, from the daemon's configuration."""
    return int(next(line.split(": ")[1] for line in daemon.config.read_text().splitlines() if "  port: " in line))


def test_revealing_needs_a_reason_and_leaves_a_trace(daemon: Daemon, people: Receiver) -> None:
    """Without a reason or under an unknown name nothing is shown; what is shown is in a log that verifies."""
    drive(daemon_port(daemon))
    wait_until(lambda: notices(people, "police-1"), 20, "the police are told")
    wait_until(daemon.caught_up, 10, "everything is applied")
    case = next(request.json["case"] for request in people.requests if request.path == "/notify/police-1")
    log = AccessLog(daemon.state)
    before = log.verify()[0]
    assert before >= 1  # the message to the police
    assert daemon.command("reveal", case, "--by", "派出所-1").returncode == 2
    assert daemon.command("reveal", case, "--by", "派出所-1", "--reason", " ").returncode == 1
    assert log.verify()[0] == before
    for stranger in ("nobody", "居委干部-1"):
        done = daemon.command("reveal", case, "--by", stranger, "--reason", "沪A12345 协查")
        assert (done.returncode, "13579" in done.stdout + done.stderr) == (1, False)
    refused = list(log.entries())[before:]
    assert [(one.by, one.via, one.reason) for one in refused] == [
        (stranger, "refused", "*** 协查") for stranger in ("nobody", "居委干部-1")
    ]
    before = log.verify()[0]
    shown = daemon.command("reveal", case, "--by", "派出所-1", "--reason", "协查")
    assert shown.stdout.split() == ["皖K13579"]
    vehicle = list(log.entries())[-1].vehicle
    assert word(int(vehicle, 16)) == vehicle
    assert "皖K13579" in daemon.command("reveal", vehicle, "--by", "派出所-1", "--reason", "协查").stdout
    assert [entry.reason for entry in log.entries()][before:] == ["协查", "协查"]
    assert daemon.command("audit", "verify").returncode == 0
    path = daemon.state / "access.log"
    path.write_bytes(path.read_bytes().replace("协查".encode(), "其他".encode(), 1))
    broken = daemon.command("audit", "verify")
    assert broken.returncode == 1
    assert "access.log" in broken.stderr
