"""Rotation of the site key: in the overlap every vehicle stays who it is, and after it the former key says nothing."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensord.core.definition import Definition
from sensord.core.instant import DAY, HOUR, MINUTE, SECOND
from sensord.core.record import Record
from sensord.core.site import Site, Step
from sensord.core.snapshot import unseal
from sensord.core.token import word
from sensord.core.vehicles.pseudonym import Pseudonymiser, check_value
from sensord.core.vehicles.tracking import PlateAreas, PlateKey, Tracking, Watched
from sensord.errors import PlateKeyError
from tests.core.follower import A_CONFUSED, A_STRAY, NIGHT, A, B, C, Follower, Row, at, tick
from tests.core.street import grouped
from tests.core.test_lasting import nightly
from tests.core.traffic import PLATES, SECRETS, START, definition, passage, token, wild

TURN, OVERLAP = 1800.0, 4 * 3600.0
"""When the second key comes into force, and how long the first one is still made beside it (seconds)."""
OLD = PlateKey("k1", 0, check_value(SECRETS["k1"]))
NEW = PlateKey("k2", START + round(TURN * SECOND), check_value(SECRETS["k2"]))
TRACKING = Tracking(recent=2 * HOUR, roaming=HOUR, short=5 * MINUTE, overlap=round(OVERLAP * SECOND))


def rotating(**changes: object) -> Definition:
    """The street whose key is changed half an hour after the start."""
    return definition(**{"plate_keys": (OLD, NEW), "tracking": TRACKING, **changes})


def follower() -> Follower:
    """Somebody who follows vehicles there, and knows them under both keys."""
    made = Follower(plate_keys=(OLD, NEW), tracking=TRACKING)
    made.names |= {under(NEW, plate): plate for plate in made.names.values() if plate}
    return made


def under(key: PlateKey, plate: str) -> int:
    """A plate's pseudonym under one key."""
    return Pseudonymiser((key,), 0, SECRETS).identify(plate, START).token


def said(rows: list[Row]) -> list[tuple[float, str, str]]:
    """What happened to whom, and when."""
    return [(row.at, row.event, row.vehicle) for row in rows if row.event != "staying"]


def test_a_visit_that_spans_the_rotation_closes() -> None:
    """It ends under the new pseudonym, with its whole length, and nobody of the old one stays inside."""
    following = follower()
    following.see(at(0, A))
    left = following.see(at(TURN + 1800, A, "out"), tick(TURN + 1810))[-1]
    assert (left.event, left.vehicle, left.numbers["stay"]) == ("passed", A, 1.0)
    assert following.inside() == (0, 0)
    assert list(following.tracker.presence.known) == [under(NEW, A)]


def test_a_vehicle_is_no_stranger_after_the_rotation() -> None:
    """How long it was away and how often it came is counted on; a stranger is one under both keys."""
    following = follower()
    following.see(at(0, A), at(600, A, "out"), tick(610))
    (came,) = following.see(at(TURN + 600, A))
    assert (came.numbers["visits"], came.numbers["days_away"]) == (2, round((TURN) / 86400, 3))
    (stranger,) = following.see(at(TURN + 700, B))
    assert stranger.numbers["visits"] == 1


def test_a_stay_goes_on_in_silence() -> None:
    """Nobody reads a parked vehicle: its stay reaches the thresholds of rules as if the key had not changed."""
    following = follower()
    following.see(at(0, A))
    rows = following.see(*(tick(minute * 60.0) for minute in range(1, 150)))
    assert [(row.at, row.event, row.vehicle) for row in rows] == [(7200.0, "staying", A)]


@pytest.mark.parametrize("restart", [False, True])
def test_who_lives_here_lives_here_under_the_new_pseudonym(restart: bool) -> None:
    """Its nights are counted on: two under the former key and one under the new one make a resident."""
    turn = msgspec.structs.replace(NEW, since=START + 2 * DAY + HOUR)
    following = Follower(rules=(), plate_keys=(OLD, turn))
    following.names[under(NEW, A)] = A
    for day in range(3):
        following.see(*nightly(day))
        if restart:
            following.restart()
    came = 3 * DAY / SECOND + 36_000
    following.see(at(came, A), tick(came + 2 * 86_400))
    assert following.inside() == (1, 0)
    assert following.see(tick(came + 10 * 86_400)) == []
    assert following.tracker.presence.homes == {under(NEW, A): 4}


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("left", [TURN - 600, TURN + 600])
def test_who_was_read_twice_goes_under_the_new_pseudonym(left: float, restart: bool) -> None:
    """Two readings were two vehicles; the one that is there passes again under the new key: the other one goes."""
    following = follower()
    following.names[under(OLD, A_STRAY)] = A_STRAY
    following.see(at(0, A), at(1, A_STRAY), tick(10))
    if restart:
        following.restart()
    following.see(at(left, A, "out"), tick(left + 60), at(TURN + 1200, A), tick(TURN + 1260))
    assert said(following.see(tick(NIGHT + 60))) == [(NIGHT, "ended", A_STRAY), (NIGHT, "overnight", A)]
    assert list(following.tracker.presence.compounds["C1"].visits) == [under(NEW, A)]


def test_one_reading_of_an_entry_shows_who_leaves_under_the_new_pseudonym() -> None:
    """A vehicle that was known, and came misread in one of two readings, leaves after the rotation."""
    following = follower()
    following.see(at(-7200, A), at(-7100, A, "out"), tick(-7000))
    following.see(at(0, A_STRAY), at(1, A, "in", 0.7), tick(TURN))
    left = following.see(at(TURN + 1800, A, "out"), tick(TURN + 1810))[-1]
    assert (left.vehicle, left.numbers["stay"]) == (A, 1.0)


def test_a_clone_is_found_across_the_rotation() -> None:
    """It was elsewhere under the old pseudonym, and leaves from where it never left under the new one."""
    following = follower()
    following.see(at(0, A), at(900, A, gate="C3-N"), at(1500, A, "out", gate="C3-N"), tick(TURN))
    assert (9000.0, "cloned", A) in said(following.see(at(9000, A, "out"), tick(9010)))


def test_readings_of_one_plate_on_both_sides_are_one_passage() -> None:
    """The camera reads a vehicle a second before the rotation, and again a second after it."""
    following = follower()
    rows = following.see(at(TURN - 1, A, "in", 0.8), at(TURN + 1, A, "in", 0.8), tick(TURN + 60))
    assert said(rows) == [(TURN - 1, "passed", A)]
    assert following.inside() == (1, 0)


@pytest.mark.parametrize("second", [TURN - 60, TURN + 60, TURN + OVERLAP + 60])
def test_misread_readings_are_one_passage_on_either_side(second: float) -> None:
    """A confused character is recognised under whichever key is in force."""
    following = follower()
    rows = following.see(at(second, A_CONFUSED, "in", 0.6), at(second + 2, A, "in", 0.8), tick(second + 60))
    assert said(rows) == [(second, "passed", A)]


def test_after_the_overlap_a_vehicle_is_another() -> None:
    """Who was not seen in the overlap is a stranger, and the visit that nobody saw end ends by itself."""
    following = follower()
    following.see(at(0, A), tick(TURN))
    left = following.see(at(TURN + OVERLAP + 1, A, "out"), tick(TURN + OVERLAP + 10))[-1]
    assert (left.event, "stay" in left.numbers) == ("passed", False)
    assert following.tracker.counts["visit", "missed_entry"] == 1


def test_in_the_overlap_both_pseudonyms_are_made_and_then_only_one() -> None:
    """From the last instant of the overlap on nothing that is computed of a plate depends on the former key."""
    who, alone = (Pseudonymiser(keys, TRACKING.overlap, SECRETS) for keys in ((OLD, NEW), (NEW,)))
    end = NEW.since + TRACKING.overlap
    assert who.identify(A, NEW.since - 1) == Pseudonymiser((OLD,), 0, SECRETS).identify(A, START)
    assert (who.identify(A, NEW.since).former, who.identify(A, end - 1).former) == (under(OLD, A), under(OLD, A))
    assert who.identify(A, end) == alone.identify(A, end)
    assert who.identify(A, end).former == 0


def test_a_definition_without_the_former_key_cannot_say_who_it_was() -> None:
    """When the old line is gone from the key file, the old pseudonym cannot be made, and an old journal is refused."""
    assert under(OLD, A) not in Pseudonymiser((NEW,), TRACKING.overlap, {"k2": SECRETS["k2"]}).every(A)
    with pytest.raises(PlateKeyError, match="k1 is missing"):
        Pseudonymiser((OLD, NEW), TRACKING.overlap, {"k2": SECRETS["k2"]})


@pytest.mark.parametrize(("second", "told"), [(TURN - 60, 1), (TURN + 60, 1), (TURN + OVERLAP + 60, 0)])
def test_a_watch_list_by_old_pseudonyms_is_heard_in_the_overlap(second: float, told: int) -> None:
    """The police hear of a vehicle that the list names by its former pseudonym, until the overlap has passed."""
    listed = PlateAreas(("沪",), (), (Watched(word(under(OLD, C))),))
    following = Site(
        rotating(plates=listed, rules=tuple(one for one in definition().rules if one.id == "watched")), SECRETS
    )
    steps = stepped(following, [passage("C1-N", START + round(second * SECOND), C)], [1])
    assert sum(change.change == "raised" for step in steps for change in step.transitions) == told


def stepped(following: Site, records: list[Record], sizes: list[int]) -> list[Step]:
    """What comes of records."""
    return [following.step(group) for group in grouped(records, sizes)]


BRIEF = msgspec.structs.replace(TRACKING, overlap=30 * MINUTE)
"""An overlap that ends before the busy stretch does."""


def busy() -> list[Record]:
    """A wild stretch over the rotation and the end of the overlap, with a vehicle on both sides of either."""
    edges = [NEW.since, NEW.since + BRIEF.overlap]
    sides = [
        passage(gate, edge + way * 2 * SECOND, plate, "in", 0.8)
        for edge in edges
        for way in (-1, 1)
        for gate, plate in (("C1-N", A), ("C2-N", B), ("C3-N", A_CONFUSED))
    ]
    return sorted([*wild(3, hours=1), *wild(4, hours=1), *sides], key=lambda record: record.received_at)


def decided(sizes: list[int], restart_every: int = 0) -> list[bytes]:
    """Everything that is decided on the busy stretch; each kind of thing has an order of its own."""
    following, lines = Site(None, SECRETS), list[bytes]()
    for number, group in enumerate(grouped(busy(), sizes, rotating(tracking=BRIEF)), 1):
        lines += following.step(group).decisions().splitlines()
        if restart_every and number % restart_every == 0:
            following = Site.restored(following.snapshot(), SECRETS)
    return [line for kind in (b'"change":', b'"happening":', b'"receiver":') for line in lines if kind in line]


@pytest.fixture(scope="module")
def live() -> list[bytes]:
    """What was decided one record after the other."""
    return decided([1])


def test_the_stretch_has_something_to_say(live: list[bytes]) -> None:
    """Alerts are raised before the rotation and after it."""
    raised = [msgspec.json.decode(line)["at"] for line in live if b'"change":"raised"' in line]
    assert min(raised) < NEW.since < max(raised)


@pytest.mark.parametrize("size", [7, 20_000])
def test_replay_is_live_across_a_rotation(live: list[bytes], size: int) -> None:
    """Groups of any size give the same decisions, also when one holds both sides of the rotation."""
    assert decided([size]) == live


@given(sizes=st.lists(st.integers(1, 90), min_size=1, max_size=8), restart=st.integers(5, 25))
@settings(max_examples=2)
def test_a_restart_at_any_point_changes_nothing(live: list[bytes], sizes: list[int], restart: int) -> None:
    """Also between the rotation and the first reading under the new key."""
    assert decided(sizes, restart) == live


def test_the_saved_state_knows_nobody_twice() -> None:
    """Whoever was read in the overlap stands in the state under the new pseudonym only; and no plate does."""
    following = Site(rotating(), SECRETS)
    stepped(following, [passage("C1-N", START + at, A) for at in (0, NEW.since - START + SECOND)], [1])
    assert following.tracker.presence.known.keys() == {under(NEW, A)}
    assert not any(plate.encode() in unseal(following.snapshot()) for plate in PLATES if plate)
    assert token(A) == under(OLD, A)
