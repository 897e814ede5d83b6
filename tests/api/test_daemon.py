"""The whole way on real parts: a message with a link, the tap, the journal, the case; findings; the command line."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from sensord.core.record import RecordKind
from sensord.drivers.replay import journal_groups
from sensord.store.passages import tallies
from sensord.store.reader import DirectoryReader
from tests.notify.receiver import Receiver, until_heard
from tests.support import http, wait_until
from tests.support.broker import Mosquitto
from tests.support.daemon import Daemon, crowd, places

REPORT = "  - {id: report-1, stream: report, place: C1, period: 7d}\n"


@pytest.fixture
def daemon(tmp_path: Path, people: Receiver) -> Iterator[Daemon]:
    """A daemon whose messages carry links."""
    broker = Mosquitto(tmp_path).start()
    running = Daemon(tmp_path / "sensord", broker.port, f"{people.url}/notify", answers={"url": "http://links.example"})
    (running.directory / "places.yaml").write_text(places() + REPORT, encoding="utf-8")
    client = paho.Client(CallbackAPIVersion.VERSION2, "sensor", protocol=paho.MQTTv5)
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    running.start()
    try:
        for seq in range(40):
            client.publish(*crowd(1, 150, seq), 1).wait_for_publish(10)
            if any(request.json["link"] for request in people.requests):
                break
            wait_until(lambda: running.get("/readyz").status_code == 200, 10)
            until_heard(people)
        yield running
    finally:
        client.loop_stop()
        running.kill()
        broker.stop()


def records(daemon: Daemon, kind: RecordKind) -> list[Any]:
    """What the journal holds of a kind."""
    groups = journal_groups(DirectoryReader(daemon.state / "journal"))
    return [json.loads(record.payload) for group in groups for record in group.records if record.kind == kind]


def test_from_the_message_to_the_tap_to_the_case(daemon: Daemon, people: Receiver) -> None:
    """The link of a message answers its case in its receiver's name; receipts and the answer are in the journal."""
    wait_until(lambda: people.requests, 20, "somebody was told")
    message = people.requests[0].json
    path = message["link"].removeprefix("http://links.example")
    assert message["case"] in http.get(daemon.url + path).text
    assert http.post(f"{daemon.url}{path}/seen").status_code == 204
    assert "已记录" in http.post(daemon.url + path, data={"verb": "acknowledge"}).text
    wait_until(lambda: daemon.get(f"/api/v1/cases/{message['case']}").json()["acknowledged_at"], 10, "the core knows")
    story = daemon.get(f"/api/v1/cases/{message['case']}").json()
    assert story["acknowledged_by"] == message["receiver"]
    assert message["key"] in [one["key"] for one in story["messages"] if one["state"] == "sent"]
    assert "address" not in json.dumps(story)
    wait_until(lambda: {"key": message["key"], "delivery": "sent"} in records(daemon, RecordKind.RECEIPT), 10)
    assert {"key": message["key"], "delivery": "seen"} in records(daemon, RecordKind.RECEIPT)
    (action,) = records(daemon, RecordKind.ACTION)
    assert (action["via"], action["by"]) == ("link", message["receiver"])


def test_places_findings_and_tokens(daemon: Daemon, people: Receiver) -> None:
    """Live state of places; a finding goes the way of messages; a token of the command line works at once."""
    wait_until(lambda: people.requests, 20, "somebody was told")
    made = daemon.command("token", "create", "console", "--role", "viewer")
    assert made.returncode == 0, made.stderr
    headers = {"Authorization": f"Bearer {made.stdout.strip()}"}
    states = {
        one["id"]: one["state"] for one in http.get(f"{daemon.url}/api/v1/places", headers=headers).json()["places"]
    }
    assert states["L1"] in ("yellow", "orange")
    assert states["street"] == states["G1"] == states["L1"]
    assert states["L2"] == "unknown", "its sensor was never heard"
    body = {"device": "report-1", "severity": "orange", "text": "通道堵塞"}
    refused = http.post(f"{daemon.url}/api/v1/findings", headers=headers, json=body)
    assert refused.status_code == 403
    taken = http.post(f"{daemon.url}/api/v1/findings", headers=daemon.authorized(), json=body)
    assert taken.status_code == 202
    topics = [
        record.topic for group in journal_groups(DirectoryReader(daemon.state / "journal")) for record in group.records
    ]
    assert "t/C1/report/report-1" in topics
    wait_until(daemon.caught_up, 10)
    assert 'sensord_readings_total{outcome="accepted",stream="report"} 1.0' in daemon.get("/metrics").text
    assert daemon.command("token", "revoke", "console").returncode == 0
    assert http.get(f"{daemon.url}/api/v1/places", headers=headers).status_code == 401
    listed = daemon.command("token", "list")
    assert listed.stdout.split()[:2] == ["cli", "admin"]


def test_silences_and_approvals(daemon: Daemon, people: Receiver) -> None:
    """A silence is in force, is listed, ends; a case can be voided with a reason."""
    wait_until(lambda: people.requests, 20, "somebody was told")
    case = people.requests[0].json["case"]
    with httpx.Client(base_url=f"{daemon.url}/api/v1", headers=daemon.authorized(), trust_env=False) as api:
        body = {"id": "fair", "places": ["G2"], "until": _in_an_hour(), "note": "集市"}
        assert api.post("/silences", json=body).status_code == 202
        (silence,) = api.get("/silences").json()["silences"]
        assert (silence["id"], silence["by"], silence["scope"]["places"]) == ("fair", "cli", ["G2"])
        assert api.delete("/silences/fair").status_code == 202
        assert not api.get("/silences").json()["silences"]
        assert api.delete("/silences/fair").status_code == 404
        assert api.post(f"/cases/{case}/actions", json={"verb": "void", "note": "演练"}).status_code == 202
        wait_until(lambda: api.get(f"/cases/{case}").json()["state"] == "void", 10, "the case is void")
        story = api.get(f"/cases/{case}").json()
        (event,) = [event for event in story["events"] if event["happening"] == "void"]
        assert (event["cause"], event["via"], event["note"]) == ("cli", "cli", "演练")
        assert api.get("/cases", params={"state": "closed"}).json()["cases"][0]["id"] == case


def test_every_answer_over_the_command_line(daemon: Daemon, people: Receiver) -> None:
    """Answers, decisions and silences are one command each, and are in the case's story with who and how."""
    wait_until(lambda: people.requests, 20, "somebody was told")
    case = people.requests[0].json["case"]
    said = ["acknowledge", "on-the-way", "on-the-scene", "need-help", "dispersed"]
    for word in said:
        done = daemon.command(word, case, "--by", "居委干部-1")
        assert done.returncode == 0, done.stderr
    assert daemon.command("extend", case, "--note", "人多", "--until", _in_an_hour()).returncode == 0
    assert daemon.command("silence", "--place", "G2", "--for", "1h", "--note", "集市", "--id", "fair").returncode == 0
    assert daemon.command("unsilence", "fair").returncode == 0
    assert "fair" in daemon.command("unsilence", "fair").stderr
    assert "不是时间" in daemon.command("extend", case, "--note", "x", "--until", "noon").stderr
    wait_until(daemon.caught_up, 10)
    events = daemon.get(f"/api/v1/cases/{case}").json()["events"]
    told = [event["happening"] for event in events if event["cause"] == "居委干部-1"]
    assert told == [word.replace("-", "_") for word in said]
    (extended,) = [event for event in events if event["happening"] == "extend"]
    assert (extended["cause"], extended["via"]) == ("cli", "cli")


def test_vehicles_counted_by_hand(daemon: Daemon) -> None:
    """A guard's number is taken over the command line and the API, and written down with who it was."""
    done = daemon.command("count", "C1", "41", "--by", "居委干部-1", "--note", "夜里走了一遍")
    assert done.returncode == 0, done.stderr
    assert "在内 41 辆（此前记为 0 ±0）" in done.stdout
    for wrong, says in ((("C9", "3"), "没有场所 C9"), (("C1", "-3"), "不能小于零"), (("C1", "99999"), "10000")):
        refused = daemon.command("count", *wrong, "--by", "居委干部-1")
        assert refused.returncode == 1
        assert says in refused.stderr
    with httpx.Client(base_url=f"{daemon.url}/api/v1", headers=daemon.authorized(), trust_env=False) as api:
        body = {"vehicles": 40, "by": "居委干部-1"}
        assert api.post("/places/C1/vehicles", json=body).status_code == 422
        before = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
        old = api.post("/places/C1/vehicles", json={**body, "at": before}).json()
        assert (old["accepted"], old["verdict"]) == (False, "count_too_old")
        now = datetime.now(UTC).isoformat()
        answer = api.post("/places/C1/vehicles", json={**body, "at": now}).json()
        assert (answer["accepted"], answer["verdict"]) == (True, "counted")
        wait_until(daemon.caught_up, 10)
        noted = [one["about"] for one in api.get("/audit").json()["changes"] if one["what"] == "count"]
        assert noted[0] == {"case": "C1", "by": "居委干部-1", "vehicles": "40"}
    with tallies(daemon.state) as stored:
        counts = stored.by_hand(0, time.time_ns())
    assert [(one.compound, one.before, one.inside) for one in counts] == [("C1", 0, 41), ("C1", 41, 40)]


def _in_an_hour() -> str:
    return (datetime.now(UTC) + timedelta(hours=1)).isoformat()
