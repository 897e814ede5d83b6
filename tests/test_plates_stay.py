"""A full run on real parts: a plate is in the journal and in what the police get, and in nothing else that leaves."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import paho.mqtt.client as paho
import pytest
from click.testing import CliRunner
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.subscribeoptions import SubscribeOptions

from sensord.cli import cli
from sensord.core.instant import DAY, format_instant, to_datetime
from sensord.core.token import word
from sensord.store.access import AccessLog
from tests.notify.receiver import Answer, Receiver, Request
from tests.support import http, wait_until
from tests.support.broker import Mosquitto
from tests.support.daemon import Daemon
from tests.support.leaks import PLATES, SPELT, files, forms, leaks, recorded

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
    with Receiver(decide=answer) as receiver:
        yield receiver


def answer(request: Request) -> Answer:
    """As a group's robot answers, or as a program does."""
    return Answer(body=b'{"errcode":0,"errmsg":"ok"}') if request.path.startswith("/robot") else Answer()


@pytest.fixture
def daemon(tmp_path: Path, people: Receiver) -> Iterator[Daemon]:
    """A daemon with every kind of output."""
    broker = Mosquitto(tmp_path, "persistence false").start()
    (tmp_path / "robot.key").write_text("a-key-of-the-group", encoding="ascii")
    (tmp_path / "robot.key").chmod(0o600)
    allow = [people.url.removeprefix("http://")]
    robot = {"url": people.url + "/robot", "key_file": str(tmp_path / "robot.key"), "allow": list(allow)}
    made = Daemon(
        tmp_path / "sensord",
        broker.port,
        people.url + "/notify",
        files={"rules": "rules", "vehicles": "vehicles.yaml"},
        log={"level": "debug"},
        channels=[
            {"type": "webhook", "name": "people", "url": people.url + "/notify", "allow": allow},
            {"type": "mqtt", "name": "grid"},
            {"type": "wecom-robot", "name": "group", **robot},
        ],
        sinks=[
            {"type": "rollups", "name": "rollups"},
            {"type": "influxdb1", "name": "influxdb", "url": people.url, "database": "sensord"},
        ],
    )
    (made.directory / "rules" / "crowd.yaml").unlink()
    with (made.directory / "places.yaml").open("a", encoding="utf-8") as registry:
        registry.write("  - {id: inspection-1, stream: report, place: C1, period: 1d}\n")
    (made.directory / "rules" / "vehicles.yaml").write_text(RULES, encoding="utf-8")
    (made.directory / "dispatch.yaml").write_text(DISPATCH, encoding="utf-8")
    (made.directory / "vehicles.yaml").write_text("key_areas: [{prefix: 皖K}]\n", encoding="utf-8")
    roster = made.directory / "roster.yaml"
    by_both = roster.read_text(encoding="utf-8")
    for address in ("volunteer-1", "police-1"):
        by_both = by_both.replace(f"address: {address}}}", f"address: {address}}}, {{channel: grid}}")
    by_both = by_both.replace("address: police-1}", "address: police-1}, {channel: group}")
    roster.write_text(by_both, encoding="utf-8")
    yield made.start()
    made.kill()
    broker.stop()


@pytest.fixture
def listened(daemon: Daemon) -> Iterator[list[paho.MQTTMessage]]:
    """Everything that is published at the broker but for what the cameras say."""
    heard: list[paho.MQTTMessage] = []
    client = paho.Client(CallbackAPIVersion.VERSION2, "neighbour", protocol=paho.MQTTv5)
    client.on_message = lambda _client, _data, message: heard.append(message)
    client.connect("127.0.0.1", daemon_port(daemon))
    client.subscribe([("t/alerts/#", SubscribeOptions(1)), ("t/results/#", SubscribeOptions(1))])
    client.loop_start()
    yield heard
    client.disconnect()
    client.loop_stop()


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
    for name in (PLATES[0], *SPELT):
        client.publish(f"t/C1/plate/{name}", b"{}", 1).wait_for_publish(5)
    client.disconnect()
    client.loop_stop()


def say(daemon: Daemon) -> None:
    """Somebody writes plates into a note and into a finding."""
    answer = ("need-help", the_case(daemon), "--by", "居委干部-1", "--note", f"{PLATES[0]}、{SPELT[0]}车主已联系")
    finding = ("finding", "--place", "C1", "--severity", "blue", "--by", "居委干部-1", "--text", f"{PLATES[1]}乱停")
    for command in (answer, finding):
        done = CliRunner().invoke(cli, [*command, "--config", str(daemon.config)])
        assert done.exit_code == 0, (done.output, done.exception)
    name_by_plates(daemon)
    wait_until(daemon.caught_up, 10, "it is applied")


def name_by_plates(daemon: Daemon) -> None:
    """Somebody writes plates where the names of something belong."""
    api = httpx.Client(base_url=daemon.url + "/api/v1", headers=daemon.authorized(), trust_env=False, timeout=10)
    until = format_instant(time.time_ns() + DAY, "Asia/Shanghai")
    scopes: list[dict[str, object]] = [{"labels": {"vehicle": PLATES[1]}}, {"labels": {PLATES[1]: "x"}}]
    scopes += [{part: [PLATES[1]]} for part in ("places", "rules", "people")]
    for scope in scopes:
        answer = api.post("/silences", json={"until": until, "note": "车已核实", **scope}).json()
        assert (answer["accepted"], answer["verdict"], PLATES[1] in str(answer)) == (False, "silence_of_nothing", False)
    act = {"verb": "acknowledge", "by": PLATES[1]}
    assert api.post(f"/cases/{the_case(daemon)}/actions", json=act).status_code == 422
    assert api.post("/receipts", json={"key": f"{PLATES[1]}:1:x:people", "delivery": "seen"}).status_code == 202
    said = {"scope": {"labels": {"vehicle": PLATES[2]}}, "note": "x", "until": time.time_ns() + DAY}
    client = paho.Client(CallbackAPIVersion.VERSION2, "post", protocol=paho.MQTTv5)
    client.connect("127.0.0.1", daemon_port(daemon))
    client.loop_start()
    for case, verb in ((PLATES[1], "acknowledge"), (the_case(daemon), PLATES[1]), (PLATES[2], "silence")):
        topic = f"t/commands/by/居委干部-1/{case}"
        client.publish(topic, json.dumps({"verb": verb, **said}).encode(), 1).wait_for_publish(5)
    client.disconnect()
    client.loop_stop()


def notices(people: Receiver, who: str) -> list[str]:
    """What somebody was told."""
    return [request.json["text"] for request in people.requests if request.path == f"/notify/{who}"]


def in_the_group(people: Receiver) -> list[str]:
    """What a robot said in the group."""
    return [request.json["text"]["content"] for request in people.requests if request.path.startswith("/robot")]


def outputs(daemon: Daemon, people: Receiver, heard: list[paho.MQTTMessage]) -> dict[str, bytes]:
    """Everything that left the daemon, by what it is: files, answers, messages, commands' outputs."""
    keep_report(daemon)
    found = {"log": daemon.log.read_bytes()} | files(daemon.state)
    for role in ("viewer", "operator", "admin"):
        found |= {f"{role} {path}": content for path, content in answers(daemon, token_of(daemon, role)).items()}
    for message in heard:
        found[f"{message.topic} {len(found)}"] = message.topic.encode() + message.payload
    for request in people.requests:
        if request.path != "/notify/police-1":
            found[f"{request.path} {len(found)}"] = unpacked(request)
    points = b"".join(content for what, content in found.items() if what.startswith("/write"))
    assert b"plate,class=key_area," in points, "the points can be read"
    return found | printed(daemon)


def unpacked(request: Request) -> bytes:
    """What was sent: points come compressed."""
    packed = request.headers.get("Content-Encoding") == "gzip"
    return gzip.decompress(request.body) if packed else request.body


def keep_report(daemon: Daemon) -> None:
    """Let today's report be made and kept, in every form and language."""
    day = to_datetime(time.time_ns(), "Asia/Shanghai").date().isoformat()
    address = f"{daemon.url}/api/v1/reports"
    made = http.post(address, json={"day": day}, headers=daemon.authorized(), timeout=30)
    assert made.status_code == 201, made.text
    kept = {path.name for path in (daemon.state / "reports").rglob("*") if path.is_file()}
    assert kept >= {f"{language}.{form}" for language in ("zh", "en") for form in ("md", "html")}


def token_of(daemon: Daemon, role: str) -> str:
    """A token that allows what a role may."""
    done = CliRunner().invoke(cli, ["token", "create", role, "--role", role, "--config", str(daemon.config)])
    assert done.exit_code == 0, done.output
    return done.stdout.split()[-1]


def answers(daemon: Daemon, token: str) -> dict[str, bytes]:
    """What the HTTP server says to whoever has this token: wherever something can be read, and by the feed."""
    bearer = {"Authorization": f"Bearer {token}"}
    known = {"place": "C1-N", "rule": "key-area", "name": "tasks", "person": "居委干部-1", "file": "vehicles.yaml"}
    (report,) = daemon.get("/api/v1/reports").json()["reports"]
    known |= {"case": the_case(daemon), "report": report, "shift": "none"}
    paths = daemon.get("/openapi.json").json()["paths"]
    addresses = {path: path.format_map(known) for path, operations in paths.items() if "get" in operations}
    del addresses["/api/v1/changes"]
    addresses |= {
        more: more for more in ("/metrics", "/healthz", "/readyz", "/api/v1/cases?state=all", "/openapi.json")
    }
    found = {}
    for path, address in addresses.items():
        answer = http.get(daemon.url + address, headers=bearer, timeout=10)
        assert answer.status_code in {200, 403, 503}, path
        found[path] = answer.content
    with httpx.stream(
        "GET", f"{daemon.url}/api/v1/changes?after=0", headers=bearer, timeout=10, trust_env=False
    ) as feed:
        found["feed"] = b""
        for part in feed.iter_bytes():
            found["feed"] += part
            if b"need_help" in found["feed"]:
                break
    return found


def the_case(daemon: Daemon) -> str:
    """The case of the vehicle from a key area."""
    cases = daemon.get("/api/v1/cases?state=all").json()["cases"]
    return str(next(case["id"] for case in cases if "key-area" in json.dumps(case)))


def printed(daemon: Daemon) -> dict[str, bytes]:
    """What every command prints that reads the state, the journal or a recording of it."""
    journal, config, case = str(daemon.state / "journal"), ("--config", str(daemon.config)), the_case(daemon)
    day = to_datetime(time.time_ns(), "Asia/Shanghai").date().isoformat()
    export = {form: str(daemon.directory / form) for form in ("both", "messages", "anonymous")}
    pages = {
        ("backtest", "--recording", journal): str(daemon.directory / "backtest.html"),
        ("replay", journal): str(daemon.directory / "replay.html"),
    }
    commands: list[tuple[str, ...]] = [
        *(("report", "vehicles", "--day", day, "--format", form) for form in ("md", "html", "csv", "json")),
        *(("report", "daily", "--day", day, "--format", form) for form in ("md", "json")),
        *(("list", which) for which in ("problems", "tasks", "responsibilities", "silent")),
        *(("replay", journal, "--show", what) for what in ("alerts", "cases", "notifications")),
        *(("backtest", "--recording", journal, "--format", form) for form in ("text", "json")),
        *((*command, "--format", "html", "--output", page) for command, page in pages.items()),
        ("report", "latest"),
        ("report", "kept"),
        ("explain", case),
        ("explain", "--rule", "key-area", "--key", "C1-N"),
        ("replay", journal, "--format", "json"),
        ("replay", journal, "--who"),
        ("dead-letters",),
        ("cases",),
        ("audit", "list"),
        ("audit", "verify"),
        ("roster", "check"),
        ("roster", "export"),
        ("recording", "export", journal, export["both"]),
        ("recording", "export", journal, export["messages"], "--no-readings"),
    ]
    found = {}
    for command in commands:
        done = CliRunner().invoke(cli, [*command, *config])
        # A roster of no shifts has no holes, or has.
        assert done.exit_code in ({0, 5} if command[0] == "roster" else {0}), (command, done.output, done.exception)
        found[" ".join(command)] = done.output.encode()
    assert "苏E 苏州" in found[f"report vehicles --day {day} --format md"].decode(), "the report is on what was driven"
    for command in (
        ("recording", "anonymise", export["both"], export["anonymous"]),
        ("recording", "info", export["both"]),
    ):
        done = CliRunner().invoke(cli, command)
        assert done.exit_code == 0, (command, done.output, done.exception)
        found[" ".join(command)] = done.output.encode()
    found |= {page: Path(page).read_bytes() for page in pages.values()}
    return found | recorded(daemon.directory, export.values())


@pytest.mark.parametrize("plate", [*PLATES, *SPELT])
def test_a_plate_that_is_somewhere_is_found(plate: str) -> None:
    """In whatever form it stands, bare or within other text."""
    found = {str(form): b"x" + form + b"y" for form in forms(plate)} | {"none": "沪A·**345".encode()}
    assert set(leaks(found)) == set(found) - {"none"}


def test_a_plate_is_in_the_journal_and_with_the_police_and_nowhere_else(
    daemon: Daemon, people: Receiver, listened: list[paho.MQTTMessage]
) -> None:
    """Files, logs, metrics, time series, answers, prints, exports and everybody else's messages hold no plate."""
    drive(daemon_port(daemon))
    wait_until(lambda: notices(people, "police-1"), 20, "the police are told")
    wait_until(lambda: any("/write" in request.path for request in people.requests), 20, "points are written")
    wait_until(daemon.caught_up, 10, "everything is applied")
    wait_until(lambda: notices(people, "cadre-1"), 10, "cadres are told")
    assert any("皖K13579" in text for text in notices(people, "police-1"))
    assert any("皖K·**579" in text for text in notices(people, "cadre-1"))
    assert not any("579" in text for text in notices(people, "volunteer-1"))
    wait_until(
        lambda: told_by_mqtt(listened) >= {"居委干部-1", "志愿者-1", "派出所-1"}, 10, "all hear of it over MQTT, too"
    )
    wait_until(lambda: in_the_group(people), 10, "the group hears of it")
    assert any("皖K·**579" in text for text in in_the_group(people)), "whoever is in the group: no plate goes there"
    masked = [message for message in listened if "皖K·**579".encode() in message.payload]
    assert told_by_mqtt(masked) == {"居委干部-1", "派出所-1"}, "many may read a topic: no plate goes there"
    journal = b"".join(path.read_bytes() for path in (daemon.state / "journal").rglob("*") if path.is_file())
    assert journal
    say(daemon)
    assert daemon.stop() == 0
    daemon.start()
    assert leaks(outputs(daemon, people, listened)) == []


def told_by_mqtt(heard: list[paho.MQTTMessage]) -> set[str]:
    """To whom alerts were addressed over MQTT."""
    return {json.loads(message.payload)["receiver"] for message in heard if message.topic.startswith("t/alerts/")}


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
    settings = daemon.config.read_text(encoding="utf-8")
    daemon.config.write_text(settings.replace("t/{compound}/{kind}", "u/{compound}/{kind}"), encoding="utf-8")
    for what in (case, vehicle):
        assert "皖K13579" in daemon.command("reveal", what, "--by", "派出所-1", "--reason", "协查").stdout, (
            "topics moved"
        )
    assert daemon.command("audit", "verify").returncode == 0
    path = daemon.state / "access.log"
    path.write_bytes(path.read_bytes().replace("协查".encode(), "其他".encode(), 1))
    broken = daemon.command("audit", "verify")
    assert (broken.returncode, "access.log" in broken.stderr) == (1, True)
    for name in ("access.log", "access.head"):
        (daemon.state / name).unlink()
    assert daemon.command("audit", "verify").returncode == 1, "gone is not as if nothing had been there"
    assert daemon.command("audit", "renew", "--reason", "测试").returncode == 0
    assert daemon.command("audit", "verify").returncode == 0
