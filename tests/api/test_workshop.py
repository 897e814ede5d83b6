"""Changes of the duty plan and rule files over HTTP: checked, in force at once, all or nothing, kept by a reload."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from sensord.api.tokens import Role
from sensord.commands.rostering import check
from sensord.config.load import load
from sensord.core.instant import DAY, parse_instant
from sensord.errors import ConfigError, Problem
from tests.api.parts import Daemon

LEAVE: dict[str, Any] = {
    "from": "2030-01-01T08:00:00+08:00",
    "to": "2030-01-02T08:00:00+08:00",
    "reason": "leave",
    "away": "居委干部-01",
    "note": "探亲",
}
RULES = "/api/v1/rule-files"


@pytest.fixture
def admin(client: httpx.Client, daemon: Daemon) -> httpx.Client:
    """An admin's client."""
    client.headers.update(daemon.bearer(Role.ADMIN))
    return client


def rule(name: str, above: str) -> str:
    """A rule file with one rule."""
    return f"""rules:
  - id: {name}
    name: {{zh: 试}}
    stream: crowd
    by: lane
    value: mean(density)
    window: 1m
    levels: {{yellow: {{above: {above}}}}}
    dispatch: crowd
"""


def test_leave_is_in_force_and_kept(admin: httpx.Client, daemon: Daemon) -> None:
    """The definition has it, the roster's check sees it, a reload keeps it, and it can be taken back."""
    made = admin.post("/api/v1/roster/changes", json=LEAVE)
    assert made.status_code == 201, made.text
    name = made.json()["id"]
    assert made.json()["version"] == daemon.loaded.definition.version
    (change,) = load(daemon.config).definition.duty.changes
    assert (change.off, change.start) == ("居委干部-01", parse_instant("2030-01-01 08:00"))
    whole, before = (check(daemon.config, 3, parse_instant("2029-12-31 00:00") + shift)[0] for shift in (0, -9 * DAY))
    assert whole.fallback != before.fallback, "the check of those days sees that somebody is away"
    (shown,) = admin.get("/api/v1/roster/changes").json()["changes"]
    assert shown == {
        "id": name, "from": "2030-01-01 08:00", "to": "2030-01-02 08:00", "reason": "leave", "away": "居委干部-01",
        "stands_in": None, "by": "t-admin", "at": shown["at"], "note": "探亲",
    }  # fmt: skip
    assert admin.delete(f"/api/v1/roster/changes/{name}").status_code == 200
    assert load(daemon.config).definition.duty.changes == ()
    assert admin.delete(f"/api/v1/roster/changes/{name}").status_code == 404
    assert daemon.causes == ["api:t-admin", "api:t-admin"]
    assert [one.what for one in daemon.audit.last(9)] == ["roster change taken back", "roster change"]


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"away": "谁"}, "nobody on the roster is called 谁"),
        ({"reason": "swap"}, "a swap needs stands_in"),
        ({"reason": "swap", "stands_in": LEAVE["away"]}, "nobody stands in for themselves"),
        ({"to": LEAVE["from"]}, "to must be later"),
        ({"from": "2020-01-01T00:00:00Z", "to": "2020-01-02T00:00:00Z"}, "to is past"),
        ({"from": "2030-01-01T08:00:00"}, "from"),
        ({"to": "2263-01-01T00:00:00Z"}, "too far ahead"),
    ],
)
def test_a_change_that_is_none_is_refused(
    admin: httpx.Client, daemon: Daemon, wrong: dict[str, str], says: str
) -> None:
    """422 with what is wrong; no file, no reload, nothing in the audit."""
    answer = admin.post("/api/v1/roster/changes", json={**LEAVE, **wrong})
    assert (answer.status_code, says in answer.json()["detail_en"]) == (422, True), answer.text
    assert not (daemon.config.parent.parent / "roster.changes.yaml").exists()
    assert (daemon.causes, daemon.audit.last(9)) == ([], [])


def test_a_broken_configuration_takes_no_change(admin: httpx.Client, daemon: Daemon) -> None:
    """What somebody else broke on the disk is said with its position; the change is not kept for later."""
    with (daemon.config.parent / "roster.yaml").open("a", encoding="utf-8") as file:
        file.write("nonsense: 1\n")
    answer = admin.post("/api/v1/roster/changes", json=LEAVE)
    assert answer.status_code == 422
    assert "nonsense" in answer.json()["problems"][0]["message"]
    assert not (daemon.config.parent.parent / "roster.changes.yaml").exists()


def test_a_change_for_somebody_who_left_is_passed_over(admin: httpx.Client, daemon: Daemon) -> None:
    """A person's leaving the roster must not refuse the whole configuration; it is a warning."""
    admin.post("/api/v1/roster/changes", json={**LEAVE, "away": "志愿者-02"})
    roster = daemon.config.parent / "roster.yaml"
    kept = [line for line in roster.read_text(encoding="utf-8").splitlines() if "志愿者-02" not in line]
    roster.write_text("\n".join(kept) + "\n", encoding="utf-8")
    loaded = load(daemon.config)
    assert loaded.definition.duty.changes == ()
    assert any("志愿者-02 is not on the roster any more" in warning.message for warning in loaded.warnings)


def test_a_damaged_file_of_changes_is_refused_with_its_position(admin: httpx.Client, daemon: Daemon) -> None:
    """It is part of the configuration, so its mistakes are said like those of the other files."""
    path = daemon.config.parent.parent / "roster.changes.yaml"
    path.write_text('changes: [{id: "0123456789ab", from: "2030-01-01"}]\n', encoding="utf-8")
    with pytest.raises(ConfigError) as refused:
        load(daemon.config)
    assert {problem.file for problem in refused.value.problems} == {str(path)}
    assert admin.get("/api/v1/roster/changes").status_code == 422


def test_rules_are_fetched_checked_and_put_live(admin: httpx.Client, daemon: Daemon) -> None:
    """What check says of a candidate is what ``sensord check`` would; what is put is in force and on the disk."""
    names = [one["file"] for one in admin.get(RULES).json()["files"]]
    assert names == ["crowd.yaml", "vehicles.yaml"]
    crowd = admin.get(f"{RULES}/crowd.yaml").json()
    assert crowd["text"] == (daemon.config.parent / "rules" / "crowd.yaml").read_text(encoding="utf-8")
    assert admin.get(f"{RULES}/none.yaml").status_code == 404
    good = admin.post(f"{RULES}/check", json={"file": "new.yaml", "text": rule("new-rule", "2")})
    assert good.status_code == 200
    assert "new-rule" not in {one.id for one in daemon.loaded.definition.rules}, "a check changes nothing"
    put = admin.put(f"{RULES}/new.yaml", json={"text": rule("new-rule", "2")})
    assert put.status_code == 200, put.text
    assert "new-rule" in {one.id for one in daemon.loaded.definition.rules}
    stale = admin.put(f"{RULES}/crowd.yaml", json={"text": rule("x", "1"), "hash": "0" * 64})
    assert (stale.status_code, "changed by somebody else" in stale.json()["detail_en"]) == (409, True)
    changed = admin.put(f"{RULES}/crowd.yaml", json={"text": crowd["text"] + "\n", "hash": crowd["hash"]})
    assert changed.status_code == 200
    known = admin.get(f"{RULES}/new.yaml").json()["hash"]
    assert admin.delete(f"{RULES}/new.yaml", params={"hash": known}).status_code == 200
    assert "new-rule" not in {one.id for one in daemon.loaded.definition.rules}
    assert [one.what for one in daemon.audit.last(9)] == ["rule file deleted", "rule file", "rule file"]


@pytest.mark.parametrize("name", ["new.yaml", "crowd.yaml"])
def test_a_refused_rule_file_changes_nothing(admin: httpx.Client, daemon: Daemon, name: str) -> None:
    """422 with file, line and column where the file would stand; disk, definition and audit are as before."""
    folder = daemon.config.parent / "rules"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    known = admin.get(f"{RULES}/{name}").json().get("hash", "")
    text = rule("lane-crowding", "lots")
    for answer in (
        admin.put(f"{RULES}/{name}", json={"text": text, "hash": known}),
        admin.post(f"{RULES}/check", json={"file": name, "text": text}),
    ):
        assert answer.status_code == 422
        problem = answer.json()["problems"][0]
        assert (problem["file"], problem["line"]) == (str(folder / name), 8)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert (daemon.causes, daemon.audit.last(9)) == ([], [])


@pytest.mark.parametrize("name", ["..", "a.txt", ".hidden.yaml", "UPPER.yaml", "%2e%2e%2fx.yaml"])
def test_a_file_of_another_name_is_never_written(
    admin: httpx.Client, daemon: Daemon, name: str, tmp_path: Path
) -> None:
    """Only rule files in the folder of rules."""
    assert daemon.config.exists()
    before = sorted(tmp_path.rglob("*"))
    assert admin.put(f"{RULES}/{name}", json={"text": rule("x", "1")}).status_code in (404, 405, 422)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_folder_that_cannot_be_written_is_said(admin: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """503 with what to do about it."""

    def refuse(path: Path, content: bytes) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("sensord.workshop.write_whole", refuse)
    answer = admin.put(f"{RULES}/new.yaml", json={"text": rule("new-rule", "2")})
    assert (answer.status_code, "ReadWritePaths" in answer.json()["detail_en"]) == (503, True)


@pytest.mark.parametrize("name", ["new.yaml", "crowd.yaml"])
def test_a_reload_that_is_refused_after_all_puts_the_file_back(admin: httpx.Client, daemon: Daemon, name: str) -> None:
    """What is on the disk is what is in force, so that the next start is no surprise."""
    folder = daemon.config.parent / "rules"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    known = admin.get(f"{RULES}/{name}").json().get("hash", "")
    daemon.refusal = (Problem("roster.yaml", 1, 1, "the roster uses the channel sms, which does not run yet"),)
    answer = admin.put(f"{RULES}/{name}", json={"text": rule("new-rule", "2"), "hash": known})
    assert (answer.status_code, answer.json()["problems"][0]["file"]) == (422, "roster.yaml")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert daemon.audit.last(9) == []
