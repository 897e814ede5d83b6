"""What a digest says of many vehicles."""

from __future__ import annotations

import msgspec

from sensord.core.alert import Vehicle
from sensord.core.cases.digest import DigestWriter
from sensord.core.cases.notification import Notification, Reason
from sensord.core.level import Level
from sensord.core.place import Places
from tests.core.street import START, devices, places


def message(number: int, level: Level) -> Notification:
    """A message about a vehicle, of which the receiver sees the mask."""
    return Notification(
        f"key-{number}", "case", "event", START + number, Reason.ANOTHER_VEHICLE, "居委干部-1", "cadre", "people", "",
        level, "C1-N", "G1", "zh", "title", "text", policy="vehicle", mask=f"苏E·**{number:03}",
    )  # fmt: skip


def test_the_gravest_vehicles_are_named_first() -> None:
    """Of ten vehicles eight are named: the two grave ones, which came last, and the first six of the others."""
    ordinary, grave = [message(number, Level.BLUE) for number in range(8)], message(100, Level.ORANGE)
    marked = msgspec.structs.replace(message(101, Level.ORANGE), mask="", vehicle=Vehicle("id", "沪A·**101", START))
    writer = DigestWriter(Places(places(), devices()), {"vehicle": {"zh": "车辆"}}, "Asia/Shanghai")
    _, text, _, vehicles = writer.write([*ordinary, grave, marked], "zh", {"case"})
    named = text.partition("；车辆：")[2]
    assert named.startswith("苏E·**100、")
    assert "苏E·**005等 10 辆" in named
    assert vehicles == (Vehicle("id", "沪A·**101", START),)
