"""What a digest says of many vehicles."""

from __future__ import annotations

import msgspec

from sensord.core.alert import Vehicle
from sensord.core.cases.damping import Damped, Damper, Damping, Entry
from sensord.core.cases.digest import DigestWriter
from sensord.core.cases.notification import Notification, Reason
from sensord.core.instant import DAY, MINUTE
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


def test_what_two_people_hear_over_one_channel_is_counted_once() -> None:
    """Each of the grid's cadres is told of five vehicles over the grid's topic: that is five, in title and line."""
    waiting = [
        msgspec.structs.replace(message(number, Level.BLUE), event=f"case:{number}", receiver=person)
        for number in range(5)
        for person in ("居委干部-1", "居委干部-2")
    ]
    writer = DigestWriter(Places(places(), devices()), {"vehicle": {"zh": "车辆"}}, "Asia/Shanghai")
    title, text, covered, _ = writer.write(waiting, "zh", {"case"})
    assert "汇总 5 条" in title
    assert "：5 条，最高蓝色，" in text
    assert len(covered) == 10


def test_whom_a_digest_told_is_known_as_long_as_it_may_be_tried() -> None:
    """Whatever number of others follows in a day; later its receipt is nobody's, and a key of another kind never is."""
    damper = Damper(Damping(), frozenset(), Damped())
    for minute in range(0, 24 * 60, 2):
        at = START + minute * MINUTE
        key = f"G1-crowd:digest-{at}{'+' * (minute % 4 // 2)}:居委干部-1:people"
        damper.remember(msgspec.structs.replace(message(1, Level.BLUE), key=key, at=at), [Entry(key, "居委干部-1")])
    first = f"G1-crowd:digest-{START}:居委干部-1:people"
    assert damper.state.told_by(first) == [Entry(first, "居委干部-1")]
    assert damper.state.told_by("G1-crowd:2:居委干部-1:people") is None
    late = START + 3 * DAY
    last = msgspec.structs.replace(message(1, Level.BLUE), key=f"G1-crowd:digest-{late}:居委干部-1:people", at=late)
    damper.remember(last, [Entry("G1-crowd", "居委干部-1")])
    assert [key for key, _ in damper.state.digests] == [last.key]


def test_a_digest_of_an_earlier_version_is_read() -> None:
    """It told as many people of as many cases; of which of their events is not known."""
    damped = msgspec.msgpack.decode(
        msgspec.msgpack.encode({"digests": [("case:digest-1:居委干部-1:people", [("case", "居委干部-1")])]}),
        type=Damped,
    )
    assert damped.told_by("case:digest-1:居委干部-1:people") == [Entry("case", "居委干部-1", 0)]
