"""Where the nearest free spaces are: nobody is sent on a guess."""

from __future__ import annotations

import msgspec
import pytest

from sensord.core.cases.policy import Policy
from sensord.core.cases.policy import Step as Telling
from sensord.core.instant import HOUR, MINUTE, SECOND
from sensord.core.level import Level
from sensord.core.place import Device, Place, PlaceKind
from sensord.core.record import Record, RecordKind
from sensord.core.rules.rule import Aggregate, Clear, Comparison, LevelSpec, Rule, Value
from sensord.core.site import Site, definition_record
from sensord.core.stream import Stream
from sensord.core.vehicles.tracking import Tracking
from tests.core.street import grouped
from tests.core.test_vehicles import notifications
from tests.core.traffic import GATES, ROOM, SECRETS, START, definition, devices, passage, places, sign, ticks

BRIEF = Tracking(believed=30 * MINUTE, remember=HOUR)
"""Numbers are in doubt for so long after a silence, and after a beginning."""


def fill(*silences: tuple[str, int, int]) -> list[Record]:
    """C1 fills up; C2 and C3 have room. Every camera is heard for two hours before, but for silences in minutes."""
    came = [("C3-N", "沪A10001"), ("C2-N", "沪A10002"), *(("C1-N", f"沪A2000{nth}") for nth in range(3))]
    passages = [passage(gate, START + nth * MINUTE, plate) for nth, (gate, plate) in enumerate(came)]
    passages += [passage("C2-N", START + 301 * SECOND, "沪A30001")]
    alive = [
        sign(gate, START + minute * MINUTE + nth)
        for minute in range(-120, 5)
        for nth, gate in enumerate(GATES)
        if not any(gate == silent and since <= minute < until for silent, since, until in silences)
    ]
    return sorted([*passages, *alive], key=lambda record: record.received_at)


def sent_to(records: list[Record], **changes: object) -> str:
    """What the cadre of C1 is told when it is nearly full."""
    rules = tuple(one for one in definition().rules if one.id == "nearly-full")
    told = notifications(records, **{"rules": rules, "tracking": BRIEF, **changes})
    return next(one.text for one in told if (one.role, one.place, one.reason) == ("cadre", "C1", "case_opened"))


def test_a_full_compound_sends_people_to_the_nearest_free_spaces() -> None:
    """The message names the compounds with room, nearest first, as they stood when the alert was raised."""
    # In one residential grid with C1 is C2; where positions say that C3 is nearer, it comes first.
    assert "最近的空车位：小区C2 3 个、小区C3 3 个" in sent_to(fill())
    lie = {"C1": (31.300, 121.45), "C2": (31.310, 121.45), "C3": (31.302, 121.45)}
    located = tuple(msgspec.structs.replace(place, position=lie.get(place.id)) for place in places())
    assert "最近的空车位：小区C3 3 个、小区C2 3 个" in sent_to(fill(), places=located)


@pytest.mark.parametrize(
    ("silence", "named"),
    [
        (("C3-N", 1, 5), False),  # it is silent: who has come since, nobody knows
        (("C3-N", -31, -21), False),  # who left then may still be counted, who came is not
        (("C3-N", -42, -31), True),
        (("C3-N", -22, -20), True),  # no longer than it may be
        (("C3-N", -120, -50), False),  # it is new: who stood there before is not counted
        (("C3-N", -120, -58), True),
    ],
)
def test_nobody_is_sent_where_the_number_is_in_doubt(silence: tuple[str, int, int], named: bool) -> None:
    """A compound is not named while a camera is silent, nor too soon after that, or after it was installed."""
    assert ("小区C3 3 个" in sent_to(fill(silence))) is named
    assert "小区C2 3 个" in sent_to(fill(silence))


def test_nobody_is_sent_where_a_gate_has_no_camera() -> None:
    """What passes there is in no number; nor is what passes where there is no camera any more."""
    more = Place("C3-S", PlaceKind.GATE, "C3南门", "", "C3", micro_grid="M3")
    assert "最近的空车位：小区C2 3 个。" in sent_to(fill(), places=(*places(), more))
    whole = definition(rules=definition().rules[-2:-1], tracking=BRIEF)
    less = msgspec.structs.replace(whole, devices=tuple(one for one in whole.devices if one.place != "C3-N"))
    gone = definition_record(less, START + MINUTE + SECOND // 2)
    records = sorted([*fill(), gone], key=lambda record: record.received_at)
    assert "最近的空车位：小区C2 3 个。" in opened([definition_record(whole, records[0].received_at), *records], [7])


def test_whoever_is_told_late_is_sent_nowhere() -> None:
    """What was free when the alert was raised may be full minutes later: nobody says that it is free now."""
    full = msgspec.structs.replace(definition().rules[-2], clear=Clear((0.0,), HOUR))
    steps = (Telling(("cadre",)), Telling(("police",), after=5 * MINUTE), Telling(("volunteer",), after=6 * MINUTE))
    plan, records = Policy("vehicle", {"zh": "车辆"}, steps), fill()
    end = records[-1].received_at
    records += ticks(end + 10 * MINUTE, end, 30 * SECOND)
    told = notifications(records, rules=(full,), tracking=BRIEF, policies=(plan,))
    texts = {one.role: one.text for one in told if one.place == "C1"}
    assert "最近的空车位：小区C2 3 个" in texts["cadre"]
    assert "最近的空车位：小区C2 3 个" in texts["police"]
    assert "附近目前的空车位情况不明" in texts["volunteer"]


def test_cameras_are_known_before_a_rule_asks_for_spaces() -> None:
    """Whoever asks for free spaces from today on does not wait for a month; a restart makes no difference."""
    asking, records = definition(tracking=BRIEF), fill()
    silent = msgspec.structs.replace(asking, rules=())
    change = len(records) - 30
    following, texts = Site(silent, SECRETS), list[str]()
    for nth, one in enumerate(records):
        batch = [definition_record(asking, one.received_at), one] if nth == change else [one]
        for group in grouped(batch, [2]):
            texts += [told.text for told in following.step(group).notifications]
        if nth % 50 == 0:
            following = Site.restored(following.snapshot(), SECRETS)
    assert any("最近的空车位：小区C2 3 个、小区C3 3 个" in text for text in texts)


def test_who_is_inside_is_not_known_when_vehicles_are_followed_again() -> None:
    """Without site keys everybody was forgotten, however steadily cameras were heard: it is as after installing."""
    asking = definition(rules=definition().rules[-2:-1], tracking=BRIEF)
    records = fill()
    for minute, one in ((-20, msgspec.structs.replace(asking, plate_keys=())), (-10, asking)):
        records.append(definition_record(one, START + minute * MINUTE + SECOND // 2))
    records.sort(key=lambda record: record.received_at)
    following = Site(asking, SECRETS)
    steps = [following.step(group) for group in grouped(records, [7])]
    told = [one for step in steps for one in step.notifications]
    (text,) = {one.text for one in told if (one.role, one.place, one.reason) == ("cadre", "C1", "case_opened")}
    assert "附近小区也没有已知的空车位" in text


GAUGES = tuple(Device(f"gauge-{place}", Stream.LEVEL, place, MINUTE) for place in ("C1", "C2", "C3"))
FULL = Rule(
    "full", {"zh": "满"}, Stream.LEVEL, "compound", "vehicle", (LevelSpec(Level.YELLOW, 1.0),),
    Clear((0.0,), MINUTE), Comparison.AT_MOST, value=Value(Aggregate.LAST, "value"), message=ROOM,
)  # fmt: skip
"""A gauge shows hardly a space."""


def shown(place: str, second: int, value: int) -> Record:
    """What the gauge of a compound shows."""
    at, topic = START + second * SECOND, f"t/{place}/level/gauge-{place}"
    return Record(RecordKind.MESSAGE, at, topic, b'{"value": %d}' % value)


def opened(records: list[Record], sizes: list[int]) -> str:
    """What the cadre of C1 is told when a case is opened there, in one cut of the journal."""
    following = Site(None, SECRETS)
    told = [one for group in grouped(records, sizes) for one in following.step(group).notifications]
    return next(one.text for one in told if (one.role, one.place, one.reason) == ("cadre", "C1", "case_opened"))


@pytest.mark.parametrize("sizes", [[1], [3, 2], [9]])
def test_of_one_instant_only_what_came_before_counts(sizes: list[int]) -> None:
    """Readings of one instant have an order, too: who has just said that nothing is free is not named."""
    whole = definition(rules=(FULL,), devices=GAUGES)
    said = [shown("C2", 1, 12), shown("C3", 2, 30), shown("C2", 50, 0), shown("C1", 50, 0), shown("C3", 50, 7)]
    assert "最近的空车位：小区C3 30 个。" in opened([definition_record(whole, START), *said], sizes)


def test_a_gate_is_seen_since_the_first_message_that_arrived() -> None:
    """Whichever of its cameras sent it, and whatever the other had stored: however the journal is cut."""
    other = Device("cam-C2-N2", Stream.PLATE, "C2-N", MINUTE)
    first = msgspec.structs.replace(sign("C2-N", START + SECOND), topic="t/C2/status/cam-C2-N2")
    stored = passage("C2-N", START + 2 * SECOND, "沪A10001", stamp=START - HOUR)
    records = [definition_record(definition(devices=(*devices(), other)), START), first, stored]
    states = set[bytes]()
    for sizes in ([1], [9]):
        following = Site(None, SECRETS)
        for group in grouped(records, sizes):
            following.step(group)
        states.add(following.spaces.save())
    assert len(states) == 1


def test_what_is_known_within_a_batch_does_not_depend_on_what_was_asked_before() -> None:
    """Position after position, backwards, or each by itself."""
    records = fill(("C3-N", -31, -21))
    site = Site(definition(), SECRETS)
    batch = site.tracker.take(site.intake.decode(tuple(records), records[-1].received_at).batch)
    stops = range(0, len(batch) + 1, 7)
    onwards = {stop: site.spaces._until(batch, stop) for stop in stops}
    backwards = {stop: site.spaces._until(batch, stop) for stop in reversed(stops)}
    alone = {stop: Site(definition(), SECRETS).spaces._until(batch, stop) for stop in stops}
    assert onwards == backwards == alone
    assert onwards[0] != onwards[stops[-1]]


def test_gauges_show_on_when_vehicles_are_followed_no_more() -> None:
    """Without site keys it is forgotten who is inside, and not what gauges showed a minute before."""
    whole = definition(rules=(FULL,), devices=(*devices(), *GAUGES))
    off = definition_record(msgspec.structs.replace(whole, plate_keys=()), START + 10 * SECOND)
    said = [shown("C2", 1, 12), shown("C3", 2, 30), off, shown("C1", 50, 0)]
    assert "小区C2 12 个、小区C3 30 个。" in opened([definition_record(whole, START), *said], [1])


def test_gauges_say_where_there_is_room_while_they_are_heard() -> None:
    """A rule on gauges names what gauges show; one that is silent is not named, nor one with hardly a space left."""
    said = [("C3", 0, 30), ("C2", 1, 12), ("C1", 2, 1), ("C1", 300, 40), ("C2", 301, 14), ("C1", 400, 0)]
    told = notifications([shown(*one) for one in said], rules=(FULL,), devices=GAUGES)
    texts = [one.text for one in told if one.role == "cadre" and one.reason == "case_opened"]
    assert "小区C2 12 个、小区C3 30 个" in texts[0]
    assert "小区C2 14 个。" in texts[1]
    assert "C3" not in texts[1]
