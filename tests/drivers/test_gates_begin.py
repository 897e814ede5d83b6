"""Since when a report knows a gate: with its first camera, and no sooner; another camera takes nothing away."""

from __future__ import annotations

from msgspec.structs import replace

from sensord.core.cases.reports import Span
from sensord.core.instant import DAY, HOUR, MINUTE
from sensord.core.place import Device, Places
from sensord.core.stream import Stream
from sensord.core.vehicles.blind import Blind
from sensord.core.vehicles.tally import PassageCount
from sensord.drivers.vehiclepages import VehiclePages
from sensord.drivers.vehiclereport import Counts, Kept, build
from tests.core.traffic import MONDAY, definition

NOWHERE = Places((), ())
SPAN = Span("day", MONDAY + 7 * DAY, MONDAY + 8 * DAY)
LATER = SPAN.end + HOUR


def counts() -> list[PassageCount]:
    """Passages a week before: at a gate that is there, and at one that is no more."""
    return [PassageCount(MONDAY + HOUR, gate, "in", "local", "沪", "fuel", 900) for gate in ("C1-N", "gone")]


def seen(*blind: Blind) -> list[Blind]:
    """Every camera was first heard as the same weekday before began, and was blind as said."""
    return [*(Blind(device.id, 0, MONDAY) for device in definition().devices), *blind]


def test_a_gate_has_no_past_before_its_first_camera() -> None:
    """One that was renamed, or that a camera came to, is unknown until then: neither zero, nor to compare."""
    noon = SPAN.start + 12 * HOUR
    came = [Blind("cam-C3-N", 0, noon), Blind("cam-C3-N", MONDAY + DAY, MONDAY + 2 * DAY)]
    others = [one for one in seen() if one.device != "cam-C3-N"]
    made = build(definition(), SPAN, Kept(counts(), (), [*others, *came], LATER), LATER)
    of = {one.place: one for one in made.lines}
    assert (of["C3-N"].unknown, of["C3-N"].before) == (12 * HOUR, None)
    assert made.street.before_unknown == DAY
    assert made.before_strays == 900
    notes = VehiclePages(made, NOWHERE, "zh").notes(), VehiclePages(made, NOWHERE, "en").notes()
    assert [sum("900" in note for note in said) for said in notes] == [1, 1]


def test_a_second_camera_leaves_a_gate_its_past() -> None:
    """Before it came the first saw the gate; from then on the gate is blind while either is."""
    whole = definition()
    second = Device("cam-second", Stream.PLATE, "C1-S", MINUTE)
    more = replace(whole, devices=(*whole.devices, second))
    came = SPAN.start + 12 * HOUR
    elsewhere = Blind("cam-second", MONDAY + HOUR, MONDAY + 2 * HOUR)
    late = elsewhere, Blind("cam-second", 0, came), Blind("cam-second", came, came + HOUR)
    made = build(more, SPAN, Kept(counts(), (), seen(*late), LATER), LATER)
    gate = next(one for one in made.lines if one.place == "C1-S")
    assert (gate.unknown, gate.before_unknown, gate.before) == (HOUR, 0, Counts())
    never = build(more, SPAN, Kept(counts(), (), seen(Blind("cam-second", 0, 0)), LATER), LATER)
    assert next(one for one in never.lines if one.place == "C1-S").unknown == DAY
