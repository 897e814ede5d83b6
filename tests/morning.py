"""A morning in the small street, as the stores hold it: a crowd, a silence, five vehicles, and a report that is due."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sensord.config.load import Loaded, load, with_keys
from sensord.config.settings import Rollups
from sensord.core.alert import Transition
from sensord.core.cases.notification import Notification
from sensord.core.cases.reports import span_of
from sensord.core.instant import HOUR, MINUTE, SECOND, parse_instant
from sensord.core.points import Points
from sensord.core.record import Action, Group, Record, RecordKind
from sensord.core.site import Site, action_record, definition_record
from sensord.ports import Cursor, Entry
from sensord.reporting import Reporter, ReportTask
from sensord.store.rollups import RollupSink
from sensord.store.state import StateStore
from sensord.telemetry.metrics import PrometheusMeter
from tests.config.rejection import STREET
from tests.core.street import grouped

FIVE, DUE = parse_instant("2026-11-24 05:00"), parse_instant("2026-11-24 07:30")
NAME = "morning-20261124T0730"
CROWD = (FIVE + HOUR, FIVE + HOUR + 10 * MINUTE)
SILENCE = (FIVE + 90 * MINUTE, FIVE + 105 * MINUTE)
PLATES = ("苏E24680", "皖K13579", "粤B24681", "沪A12345", "沪B67890")


Built = tuple[Path, list[Group], list[Transition]]
"""Where it is, its journal, and how alarms changed."""


@dataclass
class Morning:
    """The stores after the morning, and what was put in."""

    loaded: Loaded
    directory: Path
    state: StateStore
    groups: list[Group]
    changes: list[Transition]

    def reporter(self) -> Reporter:
        """What makes reports of these stores."""
        return Reporter(lambda: self.loaded, self.state.history, self.directory)

    def task(self, now: int) -> ReportTask:
        """The task, at an instant."""
        return self.tasked(self.reporter(), lambda: now)

    def tasked(self, reporter: Reporter, clock: Callable[[], int], **more: Any) -> ReportTask:
        """The task of a reporter, by a clock."""
        parts = reporter, self.state.history, lambda: self.loaded
        return ReportTask(*parts, **{"meter": PrometheusMeter(), "clock": clock, "keeping": clock, **more})


def _records(loaded: Loaded) -> Iterator[Record]:
    """The lane fills at six and is answered for; its sensor falls silent at half past; five cars drive in, two out."""
    yield definition_record(loaded.definition, FIVE)
    for number in range(150 * 6):
        at = FIVE + number * 10 * SECOND
        if not SILENCE[0] < at < SILENCE[1]:
            inside = CROWD[0] <= at < CROWD[1]
            count = 417 if at == CROWD[0] + 5 * MINUTE else 400 if inside else 20
            payload = json.dumps({"count": count, "boot": 1, "seq": number}).encode()
            yield Record(RecordKind.MESSAGE, at, "linfen/C01/crowd/crowd-001", payload)
        if number % 60 == 0 and number < 60 * 7:
            way, plate = ("in", PLATES[number // 60]) if number < 300 else ("out", PLATES[number // 60 - 5])
            payload = json.dumps({"plate": plate, "direction": way, "confidence": 0.99}).encode()
            yield Record(RecordKind.MESSAGE, at + SECOND, "linfen/C01/plate/cam-C01-N", payload)
        if at == CROWD[0] + 4 * MINUTE:
            case = "L001-crowd-20261124T060102"
            yield action_record(Action("acknowledge", case, "居委干部-01"), at + 2 * SECOND)
    yield Record(RecordKind.TICK, DUE - SECOND)
    yield Record(RecordKind.TICK, DUE + SECOND)


def built(base: Path) -> Built:
    """The small street's folder with the state of that morning; the journal, and how alarms changed."""
    folder, directory = shutil.copytree(STREET, base / "street"), base / "street" / "state"
    path = folder / "sensord.yaml"
    path.write_text(f"{path.read_text(encoding='utf-8')}state_dir: state\n", encoding="utf-8")
    with (folder / "dispatch.yaml").open("a", encoding="utf-8") as file:
        file.write('reports: [{id: morning, at: ["07:30"], tell: [cadre, volunteer]}]\n')
    directory.mkdir()
    loaded = with_keys(load(path), FIVE)
    state, sink, points = StateStore(directory), RollupSink(directory, Rollups(), lambda: None), Points()
    site = Site(None, dict(loaded.secrets))
    groups, changes = grouped(list(_records(loaded)), [30], loaded.definition), []
    for group in groups:
        step = site.step(group)
        state.apply(step)
        changes += step.transitions
        made = points.points(group, [*step.transitions, *step.events])
        asyncio.run(sink.write(made, Cursor(group.seq, 0, b"")))
    asyncio.run(sink.close())
    state.close()
    return folder, groups, changes


def messages_of(morning: Morning) -> list[Notification]:
    """Everybody's message about the report, as the outbox holds it."""
    entries = morning.state.outbox.claim("people", DUE + HOUR, 100)
    return [entry.notification for entry in entries if span_of(entry.notification.event) is not None]


class Sent:
    """A channel that keeps what it is given."""

    name = "people"

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    async def send(self, entry: Entry) -> str:
        """Keep it."""
        self.entries.append(entry)
        return ""

    async def close(self) -> None:
        """Nothing."""
