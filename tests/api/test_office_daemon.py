"""The records and files of a real daemon: a report reconciles with its journal, changes are journaled."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from sensord.core.instant import zone_info
from sensord.core.record import Record, RecordKind
from sensord.drivers.replay import journal_groups
from sensord.store.reader import DirectoryReader
from tests.notify.receiver import Receiver, until_heard
from tests.support import wait_until
from tests.support.broker import Mosquitto
from tests.support.daemon import RULES, Daemon, crowd, places

REPORT = "  - {id: report-1, stream: report, place: C1, period: 7d}\n"
PLATES = ("苏E24680", "沪A12345", "皖K13579")
LEAVE = {
    "from": "2030-02-01T08:00:00+08:00",
    "to": "2030-02-02T08:00:00+08:00",
    "reason": "swap",
    "away": "居委干部-1",
    "stands_in": "居委干部-2",
}


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon on whose street a crowd has gathered and three cars have come in."""
    tmp_path: Path = tmp_path_factory.mktemp("office")
    broker = Mosquitto(tmp_path).start()
    with Receiver() as people:
        running = Daemon(tmp_path / "sensord", broker.port, f"{people.url}/notify")
        (running.directory / "places.yaml").write_text(places() + REPORT, encoding="utf-8")
        try:
            running.start()
            for number, plate in enumerate(PLATES):
                body = {"plate": plate, "direction": "in", "confidence": 0.99, "boot": 1, "seq": number}
                broker.publish("t/C1/plate/camera-1", json.dumps(body).encode())
            for seq in range(60):
                broker.publish(*crowd(1, 150 + seq, seq))
                if people.requests:
                    break
                until_heard(people)
            yield running
        finally:
            running.kill()
            broker.stop()


def _records(daemon: Daemon, kind: RecordKind) -> list[Record]:
    groups = journal_groups(DirectoryReader(daemon.state / "journal"))
    return [record for group in groups for record in group.records if record.kind == kind]


def _definition(daemon: Daemon) -> dict[str, Any]:
    """The newest definition in the journal."""
    found: dict[str, Any] = json.loads(_records(daemon, RecordKind.DEFINITION)[-1].payload)
    return found


def test_a_report_reconciles_with_the_journal(daemon: Daemon) -> None:
    """Peak, gates, cases and who was told are what a replay of the journal gives; the command line says the same."""
    today = datetime.now(zone_info("Asia/Shanghai")).date().isoformat()
    name = f"day-{today.replace('-', '')}"
    with httpx.Client(base_url=f"{daemon.url}/api/v1", headers=daemon.authorized(), trust_env=False) as api:

        def report() -> dict[str, Any]:
            assert api.post("/reports", json={"day": today}).status_code == 201
            made: dict[str, Any] = api.get(f"/reports/{name}").json()
            return made

        def agrees() -> bool:
            """Whether the report says what the journal gives; the case may still be rising meanwhile."""
            found, ledger = report(), api.get("/people/志愿者-1/ledger").json()
            groups = list(journal_groups(DirectoryReader(daemon.state / "journal")))
            site = daemon.site()
            steps = [site.step(group) for group in groups]
            messages = [one for group in groups for one in group.records if one.topic.endswith("/crowd-1")]
            opened = {event.case for step in steps for event in step.events}
            told = [one for step in steps for one in step.notifications if one.receiver == "志愿者-1"]
            cars = [one for step in steps for one in step.passages]
            return bool(
                found["lanes"][0]["peak"] == max(json.loads(one.payload)["count"] for one in messages)
                and found["cases"]["opened"] == len(found["case_list"]) == len(opened) > 0
                and sum(line["times"] for line in ledger["lines"]) == len(told) > 0
                and found["vehicles"]["lines"][0]["counted"]["inward"] == sum(one.count for one in cars) == len(PLATES)
                and found["vehicles"]["lines"][0]["counted"]["out_of_town"]
                == sum(one.count for one in cars if one.sort == "out_of_town")
                == 2
            )

        wait_until(agrees, 30, "the report reconciles with the journal")
        found = api.get(f"/reports/{name}").json()
        page = api.get(f"/reports/{name}", params={"form": "html"}).text
        asked = api.get("/vehicles", params={"day": today}).json()
    assert found["lanes"][1]["peak"] is None
    assert found["lanes"][1]["unknown"] > 0, "never heard is not quiet"
    assert not [plate for plate in PLATES if plate in page or plate[1:] in page]
    printed = json.loads(daemon.command("report", "show", name, "--format", "json").stdout)
    assert printed["cases"] == found["cases"]
    alone = json.loads(daemon.command("report", "vehicles", "--day", today, "--format", "json").stdout)
    street = [made["lines"][0]["counted"] for made in (found["vehicles"], asked, alone)]
    assert street[0] == street[1] == street[2], "kept, over the API, on the command line"


def test_the_duty_plan_and_the_rules_change_without_a_restart(daemon: Daemon) -> None:
    """Journaled and in force; kept by a reload and a restart; what is refused journals nothing."""
    with httpx.Client(base_url=f"{daemon.url}/api/v1", headers=daemon.authorized(), trust_env=False, timeout=30) as api:
        made = api.post("/roster/changes", json=LEAVE)
        assert made.status_code == 201, made.text
        assert [change["off"] for change in _definition(daemon)["duty"]["changes"]] == ["居委干部-1"]
        assert api.post("/reload").json()["version"] == made.json()["version"], "a reload does not lose it"
        known = api.get("/rule-files/crowd.yaml").json()
        assert known["text"] == RULES
        before = len(_records(daemon, RecordKind.DEFINITION))
        bad = api.put("/rule-files/crowd.yaml", json={"text": RULES.replace("above: 1", "above: one"), **_hash(known)})
        assert (bad.status_code, bad.json()["problems"][0]["line"]) == (422, 11)
        assert len(_records(daemon, RecordKind.DEFINITION)) == before
        good = api.put("/rule-files/crowd.yaml", json={"text": RULES.replace("above: 2", "above: 3"), **_hash(known)})
        assert (good.status_code, good.json()["changed"]) == (200, ["crowding"])
        audit = [(one["token"], one["what"]) for one in api.get("/audit", params={"limit": 3}).json()["changes"]]
        assert audit == [("cli", "rule file"), ("cli", "reload"), ("cli", "roster change")]
        filed = daemon.command(
            "finding", "--place", "C1-N", "--severity", "red", "--by", "居委干部-1", "--kind", "占道"
        )
        assert (filed.returncode, "report-1" in filed.stdout) == (0, True), filed.stderr
        _refused_is_said(daemon, api)
        _change_the_roster_by_command(daemon)
    version = _definition(daemon)
    assert daemon.stop() == 0
    daemon.start()
    assert daemon.get("/api/v1/roster/changes").json()["changes"][0]["stands_in"] == "居委干部-2"
    assert _definition(daemon) == version, "a restart finds the configuration that is in force"


def _refused_is_said(daemon: Daemon, api: httpx.Client) -> None:
    """Closing a case while the sensors alarm, by command and over the API: refused, with the reason, twice over."""
    case = next(one for one in api.get("/cases").json()["cases"] if one["place"] == "L1")
    closed = daemon.command("close", case["code"] or case["id"], "--by", "居委干部-1")
    assert (closed.returncode, "被拒绝：" in closed.stderr) == (1, True), closed.stdout + closed.stderr
    answer = api.post(f"/cases/{case['id']}/actions", json={"verb": "extend"}).json()
    assert (answer["accepted"], answer["verdict"]) == (False, "needs_note")
    assert (answer["detail"], answer["detail_en"]) == ("延时要写明原因", "extend needs a note that says why")


def _ask_who_is_on_duty(daemon: Daemon, at: str) -> None:
    """The swap shows at once, at both posts; a place that is none is said in Chinese."""
    shown = daemon.command("roster", "now", "--at", at, "--format", "json")
    posts = {(post["role"], post["place"]): post for post in json.loads(shown.stdout)["posts"]}
    assert (posts["cadre", "G1"]["people"], posts["cadre", "G1"]["away"][0]["stands_in"]) == ([], "居委干部-2")
    assert posts["cadre", "G2"]["people"][0]["stands_in_for"] == "居委干部-1"
    table = daemon.command("roster", "now", "--at", at, "--place", "L1").stdout
    assert ("居委干部-1 调班至" in table, "居委干部-2 顶班" in table, "无人" in table) == (True, True, True)
    assert "没有场所 L99" in daemon.command("roster", "now", "--place", "L99").stderr


def _change_the_roster_by_command(daemon: Daemon) -> None:
    """A swap and its taking back, as a duty officer does them; a mistake is said; all of it is in a whole audit."""
    times = ("--from", "2030-03-01T08:00", "--to", "2030-03-01 20:00")
    swapped = daemon.command("roster", "swap", "居委干部-1", "居委干部-2", *times, "--note", "看病")
    assert swapped.returncode == 0, swapped.stderr
    name = re.search("[0-9a-f]{12}", swapped.stdout)
    assert name is not None
    listed = daemon.command("roster", "changes").stdout
    assert "居委干部-1 不在，居委干部-2 顶班" in listed
    assert "2030-03-01 08:00 – 2030-03-01 20:00" in listed
    _ask_who_is_on_duty(daemon, times[1])
    assert daemon.command("roster", "leave", "无此人", *times).returncode == 1
    assert daemon.command("roster", "cancel", name[0]).returncode == 0
    assert name[0] not in daemon.command("roster", "changes").stdout
    assert daemon.command("token", "create", "console", "--role", "viewer").returncode == 0
    changed = daemon.command("audit", "changes").stdout.splitlines()
    what = ("roster change ", "roster change taken back", "token  name=console")
    assert [word for word, line in zip(what, (changed[-4], changed[-2], changed[-1]), strict=True) if word in line]
    verified = daemon.command("audit", "verify")
    assert (verified.returncode, f"{len(changed)} 次修改" in verified.stdout) == (0, True), verified.stderr
    register = daemon.state / "audit.log"
    register.write_text(register.read_text().replace("roster change taken back", "reload"), encoding="utf-8")
    forged = daemon.command("audit", "verify")
    assert (forged.returncode, f"{register}:" in forged.stderr) == (1, True)


def _hash(known: dict[str, Any]) -> dict[str, str]:
    return {"hash": known["hash"]}
