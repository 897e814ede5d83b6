"""What people and their programs write into files: configuration, tables, recordings, keys."""

from __future__ import annotations

import gzip
from functools import cache
from pathlib import Path

from sensord.backtest.labels import read_incidents
from sensord.backtest.outcome import Outcome, PlaceInfo
from sensord.commands.rostering import _from_csv, _from_ics
from sensord.config.calendar import load_calendar
from sensord.config.connection import load_settings
from sensord.config.faults import load_faults
from sensord.config.mapping import Mapping, load_mapping
from sensord.config.people import load_roster
from sensord.config.places import load_places
from sensord.config.plan import load_dispatch
from sensord.config.platekeys import load_keys
from sensord.config.rules import load_rules
from sensord.config.ruletest import load_tests
from sensord.config.vehicles import load_vehicles
from sensord.config.yamlfile import parse_yaml
from sensord.errors import ConfigError, Problem
from sensord.recordings.lines import read_lines
from sensord.recordings.manifest import read_manifest
from sensord.recordings.series import read_series
from simulators.scenario import load_scenario
from tests.config.rejection import REJECTED, STREET, known, street, world
from tests.fuzz.target import Target, each, of_file, texts

ROOT = Path(__file__).resolve().parents[2]
_CONFIG, _ZONE = STREET / "sensord.yaml", "Asia/Shanghai"


def _seeds(kind: str, *others: Path) -> tuple[bytes, ...]:
    return texts(*REJECTED.glob(f"{kind}-*.yaml"), most=60) + texts(*others)


def _yaml(data: bytes) -> None:
    """Data and positions, or mistakes with their places."""
    problems: list[Problem] = []
    try:
        assert parse_yaml(data, "fuzz.yaml").position(()) >= (1, 1)
    except ConfigError as error:
        problems = error.problems
    assert all(problem.line >= 1 and problem.column >= 1 for problem in problems)


@cache
def _mapping() -> Mapping:
    return load_mapping(ROOT / "config/examples/nab/mapping.yaml")


@cache
def _outcome() -> Outcome:
    return Outcome("", "Asia/Shanghai", 0, 1, 0, {}, {"L1": PlaceInfo({"zh": "一弄"}, "G1", ("L1",))}, [], [], [])


_TABLE = each(
    "person,from,to,away,reason\n志愿者-1,2026-01-31 18:00,2026-01-31 20:00,,\n",
    "place,start,end,kind,level,must\nL1,2026-01-31T18:00:00,2026-01-31T20:00:00,crowd,red,yes\n",
    "place,yellow,orange\nL1,1.5,2.5\n",
    "time,device,count\n2026-01-31T18:00:00,a,3\n",
    '"\n,\x00,',
)
_ICS = each(
    "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nBEGIN:VEVENT\r\nUID:1\r\nSUMMARY:志愿者-1\r\n"
    "DTSTART:20260131T100000Z\r\nDTEND;TZID=Asia/Shanghai:20260131T200000\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n",
    "BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART;VALUE=DATE:20260131\nEND:VEVENT\nEND:VCALENDAR\n",
)
_LINE = b'{"received_at_ns":1763900000000000000,"topic":"t/C1/crowd/crowd-0","payload":"{}","kind":"message"}\n'
_MANIFEST = each(
    '{"format":"sensord-recording","version":1,"site":"s","zone":"Asia/Shanghai","start":1,"end":2,"counts":{},'
    '"devices":0,"definitions":[],"gaps":[],"lost":0,"plates":"plain","history":[],"files":[]}'
)
_RULE_TABLE = b"""rules: [{id: r, name: {zh: r}, stream: crowd, by: lane, value: last(count), dispatch: crowd,
  levels: {yellow: {above: 1}, orange: {above: 2}}, overrides: lanes.csv}]
"""


def _overrides(path: Path) -> None:
    rules = path.with_name("rules.yaml")
    rules.write_bytes(_RULE_TABLE)
    load_rules(rules, world())


def _lines(path: Path) -> None:
    for _ in read_lines(path):
        pass


TARGETS = (
    Target("yaml", _yaml, _seeds("yaml")),
    Target("yaml-settings", of_file(load_settings, "sensord.yaml"), _seeds("settings", ROOT / "config/sensord.yaml")),
    Target("yaml-places", of_file(load_places, "places.yaml"), _seeds("places", STREET / "places.yaml")),
    Target(
        "yaml-roster", of_file(lambda p: load_roster(p, known()), "r.yaml"), _seeds("roster", STREET / "roster.yaml")
    ),
    Target("yaml-dispatch", of_file(load_dispatch, "dispatch.yaml"), _seeds("dispatch", STREET / "dispatch.yaml")),
    Target(
        "yaml-rules",
        of_file(lambda path: load_rules(path, world()), "rules.yaml"),
        _seeds("rules", *(ROOT / "rules").glob("*.yaml")),
    ),
    Target(
        "yaml-vehicles",
        of_file(lambda path: load_vehicles(path, "Asia/Shanghai"), "vehicles.yaml"),
        _seeds("vehicles", ROOT / "config/vehicles.yaml"),
    ),
    Target(
        "yaml-calendar", of_file(load_calendar, "c.yaml"), each("holidays: ['2027-01-01..2027-01-03']\ndays: {a: []}\n")
    ),
    Target(
        "yaml-scenario",
        of_file(lambda path: load_scenario(path, street().definition), "scenario.yaml"),
        texts(*(ROOT / "config/scenarios").glob("*.yaml")),
    ),
    Target("yaml-mapping", of_file(load_mapping, "m.yaml"), texts(*(ROOT / "config/examples").rglob("mapping*.yaml"))),
    Target("yaml-faults", of_file(lambda path: load_faults(path, ["crowd-1"]), "f.yaml"), _seeds("faults")),
    Target(
        "yaml-ruletest",
        of_file(lambda path: load_tests(path, _CONFIG), "t.yaml"),
        _seeds("ruletest", *(ROOT / "rules/tests").glob("*.yaml")),
    ),
    Target("csv-overrides", of_file(_overrides, "lanes.csv"), _TABLE),
    Target("csv-duty", of_file(lambda path: list(_from_csv(path, _ZONE)), "duty.csv"), _TABLE),
    Target("ics-duty", of_file(lambda path: list(_from_ics(path, _ZONE)), "duty.ics"), _ICS),
    Target("csv-incidents", of_file(lambda path: read_incidents(path, _outcome()), "incidents.csv"), _TABLE),
    Target("csv-series", of_file(lambda path: read_series(path, _mapping()), "series.csv"), _TABLE),
    Target("jsonl-series", of_file(lambda path: read_series(path, _mapping()), "series.jsonl"), each(b'{"a":1}\n')),
    Target("recording-lines", of_file(_lines, "messages.jsonl"), (_LINE, b"", b"\n\n")),
    Target("recording-lines-packed", of_file(_lines, "messages.jsonl.gz"), (gzip.compress(_LINE * 3, mtime=0),)),
    Target("recording-manifest", of_file(lambda path: read_manifest(path.parent), "rec/manifest.json"), _MANIFEST),
    Target("site-keys", of_file(load_keys, "plate.keys"), each("k1 2026-01-01T00:00:00Z " + "A" * 43 + "=\n", "# x\n")),
)
