"""Reports, lists, scores, ledgers and the audit over HTTP, from real stores."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import httpx
import pytest

from sensord.api.tokens import Role
from sensord.core.cases.case import Case, State
from sensord.core.cases.told import Told
from sensord.core.instant import DAY, HOUR, MINUTE, parse_instant
from sensord.core.level import Level
from sensord.core.site import Step
from sensord.core.stream import Stream
from sensord.core.vehicles.blind import Blind
from sensord.core.vehicles.tally import PassageCount
from tests.api.parts import CASE, START, Daemon
from tests.notify.parts import notification

T0 = parse_instant("2026-11-24 10:00")
NEVER = "body.day: 9999-12-31 超出范围：日期须在 1970 至 2199 年之间"
SPAN = {"from": "2026-11-24T00:00:00+08:00", "to": "2026-11-25T00:00:00+08:00"}


@pytest.fixture
def viewer(client: httpx.Client, daemon: Daemon) -> httpx.Client:
    """A viewer's client, of a daemon with one case that two were told of and one answered."""
    told = {
        "居委干部-01": Told("cadre", T0, 0, {"day": 1}, [], 1, T0, acknowledged_at=T0 + 2 * MINUTE),
        "志愿者-01": Told("volunteer", T0, 1, {"day": 2}, ["day"], 2, T0),
    }
    case = Case(
        "L001-crowd-1", "crowd", "L001", "G01", "lane-crowding", State.CLOSED, Level.NONE, Level.RED, T0,
        code="3101060408000001", filed=1, closed_at=T0 + HOUR, acknowledged_at=T0 + 2 * MINUTE, told=told,
    )  # fmt: skip
    daemon.state.apply(Step(1, T0 + HOUR, cases=[case]))
    client.headers.update(daemon.bearer(Role.VIEWER))
    return client


def test_a_report_is_made_listed_and_fetched_in_each_form(viewer: httpx.Client, daemon: Daemon) -> None:
    """By an operator, of a day that has begun; then there as data and as documents, and in the audit."""
    operator = daemon.bearer(Role.OPERATOR)
    assert viewer.post("/api/v1/reports", json={"day": "2026-11-24"}).status_code == 403
    made = viewer.post("/api/v1/reports", json={"day": "2026-11-24"}, headers=operator)
    assert (made.status_code, made.json()) == (201, {"report": "day-20261124"})
    assert viewer.get("/api/v1/reports").json() == {"reports": ["day-20261124"]}
    data = viewer.get("/api/v1/reports/day-20261124").json()
    assert (data["cases"]["opened"], data["cases"]["levels"]["red"], data["cases"]["acknowledge"]) == (1, 1, 2.0)
    assert [one["person"] for one in data["silent"]] == ["志愿者-01"]
    for form, kind in (("txt", "text/plain"), ("md", "text/markdown"), ("html", "text/html"), ("csv", "text/csv")):
        asked = {"form": form, "language": "en", **({"table": "cases"} if form == "csv" else {})}
        answer = viewer.get("/api/v1/reports/day-20261124", params=asked)
        assert answer.headers["content-type"] == f"{kind}; charset=utf-8"
        assert "3101060408000001" in answer.text
        assert "default-src 'none'" in answer.headers["content-security-policy"]
    glance = viewer.get("/api/v1/reports/day-20261124", params={"form": "csv", "language": "en"}).text
    assert glance.startswith("item,value\nopened,1\n"), "without a name it is the first table"
    for wrong in ({"form": "csv", "table": "everything"}, {"form": "html", "table": "cases"}, {"table": "cases"}):
        assert viewer.get("/api/v1/reports/day-20261124", params=wrong).status_code == 422
    (daemon.folder / "reports/day-20261124/report.json").write_bytes(b"{}")
    old = viewer.get("/api/v1/reports/day-20261124", params={"form": "csv"})
    assert (old.status_code, "txt、md 或 html" in old.json()["detail"]) == (404, True)
    assert viewer.get("/api/v1/reports/day-20200101").status_code == 404
    assert viewer.get("/api/v1/reports/day-20200101", params={"form": "csv"}).status_code == 404
    tomorrow = viewer.post("/api/v1/reports", json={"day": "2199-01-01"}, headers=operator)
    assert (tomorrow.status_code, "has not begun" in tomorrow.json()["detail_en"]) == (422, True)
    never = viewer.post("/api/v1/reports", json={"day": "9999-12-31"}, headers=operator)
    assert (never.status_code, never.json()["detail"]) == (422, NEVER)
    audit = viewer.get("/api/v1/audit", headers=daemon.bearer(Role.ADMIN)).json()["changes"]
    assert [(one["token"], one["what"], one["about"]) for one in audit] == [
        ("t-operator", "report", {"report": "day-20261124"})
    ]


def test_vehicles_of_any_time_are_told_in_each_form(viewer: httpx.Client, daemon: Daemon) -> None:
    """A day, a shift; as data and as documents; what has not begun or runs backwards is refused."""
    camera, gate = next((one.id, one.place) for one in daemon.loaded.definition.devices if one.stream is Stream.PLATE)
    passages = [PassageCount(T0, gate, "in", "out_of_town", "苏E", "fuel", 42)]
    daemon.state.apply(Step(2, T0 + 20 * HOUR, passages=passages, blind=[Blind(camera, 0, T0 - 10 * HOUR)]))

    def ask(**query: str) -> httpx.Response:
        return viewer.get("/api/v1/vehicles", params=query)

    for asked, inward in (
        ({"day": "2026-11-24"}, 42),
        ({"from": "2026-11-24T07:30:00+08:00", "to": "2026-11-24T19:30:00+08:00"}, 42),
        ({"from": "2026-11-24T10:15:00+08:00", "to": "2026-11-24T19:30:00+08:00"}, 0),
    ):
        (street,) = (line for line in ask(**asked).json()["lines"] if line["kind"] == "street")
        assert (street["counted"]["inward"], street["before"]) == (inward, None)
    for form, kind in (("txt", "text/plain"), ("md", "text/markdown"), ("html", "text/html"), ("csv", "text/csv")):
        answer = ask(day="2026-11-24", form=form, language="en")
        assert answer.headers["content-type"] == f"{kind}; charset=utf-8"
        assert "42" in answer.text
    (row,) = (line for line in ask(day="2026-11-24", form="csv", table="provinces").text.splitlines() if gate in line)
    assert row.endswith(",江苏,苏E,苏州,42")
    refused = ask(day="2026-11-24", form="csv", table="everything").json()
    assert "vehicles-by-hour" in refused["detail"]
    assert "vehicles-by-hour" in refused["detail_en"]
    refused = ask(day="2026-11-24", form="txt", table="provinces").json()
    assert refused["detail"] == "query.table：只用于 form=csv"
    for wrong in (
        {"day": "2199-01-01"},
        {"day": "9999-12-31"},
        {"day": "0001-01-01"},
        {"day": "2026-11-24", "to": SPAN["to"]},
        {"from": SPAN["to"], "to": SPAN["from"]},
        {"from": "1990-01-01T00:00:00Z"},
        {"to": "2300-01-01T00:00:00Z"},
        {"day": "yesterday"},
    ):
        assert ask(**wrong).status_code == 422, wrong


def test_lists_and_scores_are_data_and_documents(viewer: httpx.Client) -> None:
    """Cases, the ledger's lines, who was silent, points; no address, and no span without an end."""

    def ask(path: str, **query: str) -> httpx.Response:
        return viewer.get(f"/api/v1/{path}", params={**SPAN, **query})

    (problem,) = ask("lists/problems").json()["problems"]
    assert (problem["code"], problem["peak"]) == ("3101060408000001", "red")
    assert problem["closed_at"] == "2026-11-24T11:00:00+08:00"
    tasks = ask("lists/tasks").json()["tasks"]
    answered = [(one["person"], one["acknowledged_at"] is not None) for one in tasks]
    assert answered == [("居委干部-01", True), ("志愿者-01", False)]
    assert ask("lists/silent").json()["silent"][0]["unanswered"] == 1
    assert "| 志愿者-01 |" in ask("lists/silent", form="md").text
    scores = viewer.get("/api/v1/scores", params={"quarter": "2026Q4"}).json()["scores"]
    assert [(one["grid"], one["role"], one["points"]) for one in scores] == [
        ("G01", "", 40.0), ("G01", "cadre", 60.0), ("G01", "volunteer", 20.0)
    ]  # fmt: skip
    assert ask("lists/responsibilities").json()["responsibilities"] == scores
    before = viewer.get("/api/v1/scores", params={"quarter": "2026Q1"}).json()
    assert before["scores"] == []
    assert before["known_since"] > "2026-11", "nobody was there to see anything: that is not none"
    assert viewer.get("/api/v1/scores", params={"quarter": "2026Q5"}).status_code == 422
    assert viewer.get("/api/v1/lists/tasks", params={"from": "1990-01-01T00:00:00Z"}).status_code == 422
    assert viewer.get("/api/v1/lists/tasks", params={"to": "2263-01-01T00:00:00Z"}).status_code == 422
    assert viewer.get("/api/v1/lists/everything").status_code == 422


def test_a_person_and_a_shift_have_a_ledger(viewer: httpx.Client) -> None:
    """Told, answered, silent: of one person, or of everybody on the shift."""
    person = viewer.get("/api/v1/people/志愿者-01/ledger", params=SPAN).json()
    assert (person["pages"], person["unanswered"], person["lines"][0]["times"]) == (1, 1, 2)
    shift = viewer.get("/api/v1/shifts/day/ledger", params=SPAN).json()
    assert (shift["pages"], shift["unanswered"]) == (2, 1)
    assert viewer.get("/api/v1/shifts/night/ledger", params=SPAN).json()["lines"] == []


def test_every_change_is_in_the_audit(client: httpx.Client, daemon: Daemon, tmp_path: Path) -> None:
    """Who, what, about which case, in which journal group; a line that a crash cut off hides nothing else."""
    client.post(f"/api/v1/cases/{CASE}/actions", json={"verb": "acknowledge"}, headers=daemon.bearer(Role.OPERATOR))
    silence = {"places": ["L1"], "until": "2030-01-01T00:00:00Z", "note": "a fair"}
    client.post("/api/v1/silences", json=silence, headers=daemon.bearer(Role.OPERATOR))
    client.post("/api/v1/reload", headers=daemon.bearer())
    with (tmp_path / "audit.log").open("ab") as file:
        file.write(b'{"at":"20')
    headers = daemon.bearer(Role.ADMIN)
    found = client.get("/api/v1/audit", headers=headers).json()["changes"]
    assert [(one["what"], one["token"], one["seq"]) for one in found] == [
        ("reload", "t-admin", 0), ("silence", "t-operator", 7), ("acknowledge", "t-operator", 7)
    ]  # fmt: skip
    assert found[2]["about"]["case"] == CASE
    written = (tmp_path / "audit.log").read_text(encoding="utf-8")
    assert "a fair" not in written, "what somebody wrote stays in the journal"
    only = client.get("/api/v1/audit", params={"token": "t-admin", "limit": 1}, headers=headers).json()["changes"]
    assert [one["what"] for one in only] == ["reload"]


def test_the_link_of_a_report_shows_it_whole(client: httpx.Client, daemon: Daemon) -> None:
    """Whoever got the message reads the report without a token; an answer to it is none."""
    client.post("/api/v1/reports", json={"day": "2023-11-14"}, headers=daemon.bearer(Role.OPERATOR))
    for name, status in (("day-20231114", 200), ("day-20231113", 404)):
        message = notification(key=f"report:{name}:居委干部-01:people", at=START + 3000 * DAY)
        link = daemon.links.link(message).removeprefix("https://s.example")
        shown = client.get(link)
        assert (shown.status_code, shown.headers["content-type"]) == (status, "text/html; charset=utf-8")
        assert client.post(link, data={"verb": "acknowledge"}).status_code == status
    assert daemon.journal == []


def test_looks_at_a_year_of_cases_take_turns(
    viewer: httpx.Client, daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eight at once are looked up one after the other, and meanwhile everybody else gets an answer."""
    under_way, most, begun, go_on = 0, 0, Event(), Event()

    def between(*_: int) -> list[Case]:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        begun.set()
        go_on.wait(10)
        under_way -= 1
        return []

    monkeypatch.setattr(daemon.state.history, "between", between)
    with ThreadPoolExecutor(8) as people:
        asked = [people.submit(viewer.get, "/api/v1/lists/problems", params=SPAN) for _ in range(8)]
        assert begun.wait(10)
        assert viewer.get("/api/v1/overview").status_code == 200
        go_on.set()
        assert [one.result().json()["problems"] for one in asked] == [[]] * 8
    assert most == 1
