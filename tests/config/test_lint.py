"""What is allowed but probably not meant is warned of, where it stands, and refuses nothing."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from sensord.config.load import load
from sensord.config.rules import World, load_rules
from sensord.core.place import Places
from sensord.errors import Problem
from sensord.phrasebook import chinese
from tests.config.rejection import STREET, street

WARNED = Path(__file__).parent / "warned"
_FILES = sorted(WARNED.glob("*.yaml"))
_EXPECT = re.compile(r"^# expect: (\d+):(\d+): (.+)$", re.MULTILINE)


@pytest.mark.parametrize("path", _FILES, ids=lambda path: path.stem)
def test_a_rule_that_is_probably_not_meant_so(path: Path) -> None:
    """Each weakness is found at its line and column, in the expected words, and nothing else is found."""
    definition = street().definition
    world = World(Places(definition.places, definition.devices), [policy.id for policy in definition.policies])
    warnings = sorted(load_rules(path, world).warnings)
    expected = _EXPECT.findall(path.read_text(encoding="utf-8"))
    assert [(str(one.line), str(one.column)) for one in warnings] == [(line, column) for line, column, _ in expected]
    for warning, (_, _, fragment) in zip(warnings, expected, strict=True):
        assert fragment in f"{warning.message} ({warning.hint})"
        assert warning.severity == "warning"


def test_there_are_warned_files() -> None:
    """An empty folder would pass the test above without testing anything."""
    assert len(_FILES) >= 8


def edited(folder: Path, name: str, old: str, new: str) -> list[Problem]:
    """The warnings of the small street with one text changed."""
    shutil.copytree(STREET, folder)
    path = folder / name
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    return load(folder / "sensord.yaml").warnings


def _grids(number: int) -> str:
    """So many channels of the small street, which has one more, and one sink."""
    return "\n".join(f"  - {{type: mqtt, name: grid-mqtt{each or ''}}}" for each in range(number))


EDITS = {
    "a level below every step": (
        "rules/vehicles.yaml",
        "levels: {blue: {at_least: 3}}",
        "levels: {blue: {at_least: 3}, yellow: {at_least: 9}}",
        None,
    ),
    "steps from orange on": (
        "dispatch.yaml",
        "at_least: yellow}\n      - {tell: [cadre], after",
        "at_least: orange}\n      - {tell: [cadre], at_least: orange, after",
        r"crowd.yaml:11:15: warning: yellow of lane-crowding tells nobody: the policy crowd begins at orange",
    ),
    "a policy without a rule": (
        "dispatch.yaml",
        "policies:\n",
        "policies:\n  spare: {name: {zh: 备用}, steps: [{tell: [cadre]}]}\n",
        r"dispatch.yaml:\d+:\d+: warning: no rule uses the policy spare",
    ),
    "a channel at an internal address": (
        "sensord.yaml",
        ', allow: ["127.0.0.1:8787"]',
        "",
        r"sensord.yaml:5:40: warning: nothing will be sent: 127.0.0.1 is an internal address.*127.0.0.1:8787",
    ),
    "a channel whose host is allowed": ("sensord.yaml", 'allow: ["127.0.0.1:8787"]', 'allow: ["127.0.0.1"]', None),
    "100 channels and sinks": ("sensord.yaml", "  - {type: mqtt, name: grid-mqtt}", _grids(98), None),
    "101 channels and sinks": (
        "sensord.yaml",
        "  - {type: mqtt, name: grid-mqtt}",
        _grids(99),
        r"sensord.yaml:5:3: warning: 101 channels and sinks need more threads .*add 8 to TasksMax for each above 100",
    ),
    "a role without a plan": (
        "dispatch.yaml",
        "roles:\n",
        "roles:\n  neighbour: {name: {zh: 邻居}}\n",
        r"dispatch.yaml:\d+:\d+: warning: no policy tells the role neighbour",
    ),
    "no rule on silence": (
        "rules/vehicles.yaml",
        "absent: {periods: 3}\n    by: device",
        "absent: {periods: 3}\n    stream: crowd\n    by: device",
        r"rules:1:1: warning: no rule notices when 1 plate devices fall silent, for example cam-C01-N",
    ),
}


@pytest.mark.parametrize("name", EDITS)
def test_files_that_do_not_fit_together(tmp_path: Path, name: str) -> None:
    """Plans, roles, rules and sensors are held against each other."""
    file, old, new, expected = EDITS[name]
    warnings = [str(warning) for warning in edited(tmp_path / "street", file, old, new)]
    if expected is None:
        assert warnings == []
    else:
        assert any(re.search(expected, warning) for warning in warnings), warnings


@pytest.mark.parametrize(
    ("every", "kept", "journal", "needed"),
    [
        ("quarter", "190d", "1d", "191d"),
        ("quarter", "191d", "1d", None),
        ("week", "14d", "1d", "15d"),
        ("week", "1d", "30d", None),
        ("day", "8d", "1d", "9d"),
        ("day", "9d", "1d", None),
    ],
)
def test_a_report_that_looks_back_too_far(
    tmp_path: Path, every: str, kept: str, journal: str, needed: str | None
) -> None:
    """Whoever keeps less than a report is made of hears of it where the report is written."""
    shutil.copytree(STREET, folder := tmp_path / "street")
    with (folder / "sensord.yaml").open("a", encoding="utf-8") as file:
        file.write(f"\nhistory: {{keep: {kept}}}\njournal: {{keep: {journal}}}\n")
    with (folder / "dispatch.yaml").open("a", encoding="utf-8") as file:
        file.write(f'\nreports:\n  - {{id: made, every: {every}, at: ["07:30"], tell: [cadre]}}\n')
    warnings = [str(one) for one in load(folder / "sensord.yaml").warnings]
    expected = f"the report made looks back on {needed}, but cases and counts are kept for {kept}"
    assert [expected in one for one in warnings] == ([True] if needed else [])


LENGTHS = {
    "stay of 800 hours": (("stay", 800), ".*blue of long can never fire: vehicles.yaml says tracking.remember: 30d"),
    "stay of 720 hours": (
        ("stay", 720),
        ".*blue of long fires only for vehicles that live here.*believed: 4d in vehicles",
    ),
    "stay of four days": (("stay", 96), None),
    "away for 60 days": (("days_away", 60), ".*blue of long can never fire: vehicles.yaml says tracking.remember: 30d"),
    "away for 30 days": (("days_away", 30), None),
    "31 nights": (("nights", 31), ".*blue of long can never fire"),
    "five nights": (("nights", 5), ".*blue of long fires only for vehicles that live here"),
    "40 visits": (("visits", 40), None),
}


@pytest.mark.parametrize("name", LENGTHS)
def test_lengths_that_no_visit_reaches(tmp_path: Path, name: str) -> None:
    """A threshold beyond what is remembered or believed is warned of where it stands, and names the other place."""
    (field, threshold), expected = LENGTHS[name]
    rule = (
        "rules:\n  - id: long\n    name: {zh: 久}\n    stream: visit\n    by: compound\n    each: vehicle\n"
        f"    value: last({field})\n    clear: {{for: 1h}}\n    levels: {{blue: {{at_least: {threshold}}}}}\n"
        "    dispatch: crowd\n"
    )
    warnings = [str(one) for one in edited(tmp_path / "street", "rules/vehicles.yaml", "rules:\n", rule)]
    about = [one for one in warnings if "of long" in one]
    assert [bool(re.match(expected or "^$", one)) for one in about] == [True] * (expected is not None), warnings
    assert all("vehicles.yaml:9:" in one for one in about)


def test_a_vehicle_that_is_on_the_watch_list_twice(tmp_path: Path) -> None:
    """Each entry counts, so one that was forgotten goes on: every further one is named, in both languages."""
    (tmp_path / "vehicles.yaml").write_text(
        "watch:\n"
        '  - {vehicle: "3fa94c0e5b7712d8", reason: 协查1, until: 2026-12-31}\n'
        '  - {vehicle: "0fa94c0e5b7712d8", reason: 协查1}\n'
        '  - {vehicle: "3fa94c0e5b7712d8", reason: 协查2, since: 2027-01-01}\n',
        encoding="utf-8",
    )
    files = "files: {rules: rules, vehicles: ../vehicles.yaml}"
    (warning,) = edited(tmp_path / "street", "sensord.yaml", "files: {rules: rules}", files)
    assert (Path(warning.file).name, warning.line, warning.column) == ("vehicles.yaml", 4, 15)
    assert warning.message == "this vehicle is on the watch list more than once"
    assert (chinese(warning.message), chinese(warning.hint)) == (
        "这辆车在布控名单里不止一条",
        "每一条在各自的日期内有效：除非是两项任务，只留一条",
    )
