"""A recording with known truth for the tests: five small crowds that are none, four big ones that are."""

from __future__ import annotations

from pathlib import Path

from sensord.backtest.labels import Incident, write_incidents
from sensord.core.instant import MINUTE, SECOND
from sensord.core.record import Action, Group, Record
from sensord.core.site import Site, action_record, definition_record
from sensord.recordings.writer import write
from sensord.source import Replacement
from tests.core.street import START, definition, devices, message

RULES = """\
rules:
  # A comment that a patch must keep.
  - id: crowd
    name: {zh: 聚集, en: Crowding}
    stream: crowd
    by: lane
    value: mean(density)
    window: 30s
    every: 10s
    levels:
      yellow: {above: 1.0}   # people/m2
      red: {above: 5.0, for: 10s}
    clear: {margin: 10%, for: 20s}
    dispatch: crowd
"""
SMALL, BIG = 1.5, 2.5
PEAKS = [SMALL, BIG, SMALL, BIG, SMALL, SMALL, BIG, BIG, SMALL]
"""People/m2 of one crowd after the other, ten minutes apart, two minutes long."""


def crowds() -> list[tuple[int, int, float]]:
    """(start, end, density) of each crowd, ns."""
    starts = [START + number * 10 * MINUTE + 5 * MINUTE for number in range(len(PEAKS))]
    return [(start, start + 2 * MINUTE, peak) for start, peak in zip(starts, PEAKS, strict=True)]


def messages() -> list[Record]:
    """A head-count every ten seconds in one lane; the others are heard and quiet."""
    found = []
    for second in range(0, len(PEAKS) * 600 + 300, 10):
        for number, device in enumerate(devices()[:4]):
            at = START + second * SECOND + number * SECOND
            here = next((peak for start, end, peak in crowds() if start <= at < end and number == 0), 0.1)
            body: dict[str, object] = {"count": round(here * 50), "at": at // 1_000_000, "boot": 1, "seq": second // 10}
            found.append(message(device, at, body))
    return found


def recording(folder: Path) -> Path:
    """The recording, with the answers that people gave to the cases of these rules."""
    rules = folder / "rules"
    rules.mkdir(parents=True)
    (rules / "crowd.yaml").write_text(RULES, "utf-8")
    whole = Replacement(definition(), rules)(definition())
    records = [definition_record(whole, START), *messages()]
    site, answered = Site(), list[Record]()
    for record in records:
        answered.append(record)
        for event in site.step(Group(1, (record,))).events:
            if event.happening == "level_rose":
                big = any(start <= record.received_at < end + MINUTE and peak == BIG for start, end, peak in crowds())
                action = Action("on_the_scene" if big else "false_alarm", event.case, "cadre-1")
                answered.append(action_record(action, record.received_at))
    write(folder / "recording", answered, answered[-1].received_at + MINUTE, readings=True)
    return folder


def labels(path: Path) -> Path:
    """The big crowds as incidents."""
    write_incidents(path, [Incident("G1-L1", a, b, "crowd") for a, b, peak in crowds() if peak == BIG], "Asia/Shanghai")
    return path
