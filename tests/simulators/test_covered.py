"""A covered lens in a simulated street: the shipped rule tells of it, of nothing else, and of no quiet night."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from sensord.config.faults import Fault
from sensord.config.load import load
from sensord.core.alert import Transition
from sensord.core.instant import DAY, HOUR, MINUTE
from sensord.core.intake.intake import Intake
from sensord.core.place import Places
from sensord.core.record import Record, RecordKind
from sensord.core.rules.engine import Engine
from simulators.scenario import BackgroundEntry
from tests.simulators.small import START, definition, street

ROOT = Path(__file__).resolve().parents[2]
CAMERAS = {"cam-entry", "cam-exit"}
COVERED = 4 * DAY + 22 * HOUR + 30 * MINUTE
"""From the start on a Sunday to Friday at ten."""


def test_a_covered_lens_is_told_of() -> None:
    """Within four hours, until half an hour after it sees again; the other camera and five nights are not."""
    fault = Fault("covered", frozenset({"cam-entry"}), COVERED, COVERED + 8 * HOUR, 1.0, 0, "", 0.0)
    rules = tuple(
        rule for rule in load(ROOT / "config" / "sensord.yaml").definition.rules if rule.id == "camera-covered"
    )
    whole = replace(definition(), rules=rules)
    places = Places(whole.places, whole.devices)
    intake, engine, said = Intake(whole, places), Engine(whole, places), list[Transition]()
    busy = BackgroundEntry(passages_per_hour=120.0)
    for message in street(duration=6 * DAY, background=busy, faults=(fault,)).messages(CAMERAS):
        record = Record(RecordKind.MESSAGE, message.at, message.topic, message.payload)
        said += engine.feed(intake.decode((record,), message.at).batch)
    raised, cleared = said
    assert (raised.key, raised.change.value, cleared.change.value) == ("cam-entry", "raised", "cleared")
    assert 3 * HOUR < raised.at - START - COVERED <= 5 * HOUR
    assert 8 * HOUR < cleared.at - START - COVERED <= 10 * HOUR
