"""Visits: what cameras say at which second, and who is believed to be inside."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from sensord.core.instant import HOUR, SECOND
from sensord.core.stream import DIRECTION
from sensord.core.vehicles.passage import DOUBTFUL
from sensord.core.vehicles.pseudonym import Pseudonymiser, check_value
from tests.core.follower import A_CONFUSED, A_STRAY, GREEN, NIGHT, A, B, C, Follower, at, short, tick
from tests.core.traffic import SECRETS, START, definition, passage, places, token


def test_a_visit_has_a_length() -> None:
    """In and out again: the visit ends, its length is known, and nobody is inside or unsure."""
    follower = Follower()
    (entered,) = follower.see(at(0, A))
    assert follower.inside() == (1, 0)
    assert entered.numbers["inside"] == 1
    assert entered.numbers["filled"] == 25.0
    (left,) = follower.see(at(1800, A, "out"), tick(1810))
    assert left.numbers["stay"] == 0.5
    assert follower.inside() == (0, 0)


def test_an_entry_while_inside_means_a_missed_exit() -> None:
    """The first visit ends without a length, the second begins, and the number inside is unsure by one."""
    follower = Follower()
    follower.see(at(0, A))
    ended, passed = follower.see(at(3600, A))
    assert (ended.event, passed.event, "stay" in ended.numbers) == ("ended", "passed", False)
    assert follower.inside() == (1, 1)


def test_an_exit_while_outside_means_a_missed_entry() -> None:
    """A vehicle that was never seen coming has no length of stay."""
    follower = Follower()
    (left,) = follower.see(at(0, A, "out"), tick(5))
    assert "stay" not in left.numbers
    assert follower.inside() == (0, 1)
    assert follower.tracker.counts["visit", "missed_entry"] == 1


def test_seen_elsewhere_means_a_missed_exit() -> None:
    """A vehicle in another compound has left the first, unseen."""
    follower = Follower()
    follower.see(at(0, A))
    rows = follower.see(at(3600, A, gate="C2-N"))
    assert short(rows) == [(3600, "ended", "C1-N in", A), (3600, "passed", "C2-N in", A)]
    assert (follower.inside("C1"), follower.inside("C2")) == ((0, 1), (1, 0))


@pytest.mark.parametrize("misread", [A_CONFUSED, A_STRAY])
def test_a_misread_entry_is_paired_with_the_true_exit(misread: str) -> None:
    """One confused character, or any when another reading of the entry had it right, does not lose a visit."""
    follower = Follower()
    follower.see(at(0, misread, "in", 0.95), *([at(1, A, "in", 0.7)] if misread is A_STRAY else []))
    (left,) = follower.see(at(3600, A, "out"), tick(3610))
    assert left.numbers["stay"] == 1.0
    assert follower.inside() == (0, 0)


def test_a_later_majority_corrects_an_entry() -> None:
    """A sure reading that two later ones contradict is corrected: the vehicle inside is theirs."""
    follower = Follower()
    follower.see(at(0, A_CONFUSED, "in", 0.95), at(1, A, "in", 0.8), at(2, A, "in", 0.8))
    assert set(follower.tracker.presence.compounds["C1"].visits) == {token(A)}


def test_a_corrected_entry_leaves_the_other_vehicle_as_it_was() -> None:
    """The plate that was read by mistake is a known vehicle's: it is no stranger then, and still inside elsewhere."""
    follower = Follower()
    follower.see(at(1800, A_CONFUSED, gate="C3-N"), at(2400, A_CONFUSED, "out", gate="C3-N"), tick(2500))
    follower.see(at(3600, A_CONFUSED, gate="C2-N"))
    presence = follower.tracker.presence
    before = msgspec.msgpack.encode(presence.traces[token(A_CONFUSED)]), presence.known[token(A_CONFUSED)]
    follower.see(at(7200, A_CONFUSED, "in", 0.95), at(7201, A, "in", 0.8), at(7202, A, "in", 0.8))
    assert (msgspec.msgpack.encode(presence.traces[token(A_CONFUSED)]), presence.known[token(A_CONFUSED)]) == before
    assert [set(presence.compounds[where].visits) for where in ("C1", "C2")] == [{token(A)}, {token(A_CONFUSED)}]
    assert follower.inside("C2") == (1, 0)
    marked = follower.see(tick(3600 + 7200))
    assert short(marked) == [(10_800, "staying", "C2-N in", A_CONFUSED)]
    (left,) = follower.see(at(11_000, A_CONFUSED, "out", gate="C2-N"), tick(11_100))
    assert (left.event, left.numbers["stay"]) == ("passed", round(7400 / 3600, 3))


def test_a_corrected_entry_that_seemed_a_clone_leaves_the_other_inside() -> None:
    """Read by mistake sooner than anybody drives there, the known vehicle is where it was before."""
    follower = Follower()
    follower.see(at(0, A_CONFUSED, gate="C3-N"))
    rows = follower.see(at(10, A_CONFUSED, "in", 0.95), at(11, A, "in", 0.8), at(12, A, "in", 0.8))
    assert [(row.event, row.vehicle) for row in rows] == [
        ("passed", A_CONFUSED),
        ("cloned", A_CONFUSED),
        ("recognised", A),
    ]
    presence = follower.tracker.presence
    assert presence.traces[token(A_CONFUSED)].inside == "C3"
    assert set(presence.compounds["C3"].visits) == {token(A_CONFUSED)}


def test_a_corrected_entry_is_followed_on() -> None:
    """A vehicle whose entry was corrected reaches the marks of its stay like any other."""
    follower = Follower()
    follower.see(at(0, A_CONFUSED, "in", 0.95), at(1, A, "in", 0.8), at(2, A, "in", 0.8))
    assert short(follower.see(tick(7200))) == [(7200, "staying", "C1-N in", A)]


def test_unread_vehicles_count_and_are_unsure() -> None:
    """Unread entries raise the number inside; the exit of a vehicle never seen coming may be one of them."""
    follower = Follower()
    follower.see(at(0, None), at(100, None), tick(200))
    assert follower.inside() == (2, 2)
    follower.see(at(300, A, "out"), tick(400))
    assert follower.inside() == (1, 1)
    follower.see(at(500, None, "out"), at(600, None, "out"), tick(700))
    assert follower.inside() == (0, 1)


def test_old_readings_that_come_late_change_nobody_inside() -> None:
    """A stored passage older than what is known of its vehicle is counted, and changes nothing else."""
    follower = Follower()
    follower.see(at(0, B, gate="C2-N"), at(7200, A))
    stored = passage("C1-S", START + 7300 * SECOND, A, "out", stamp=START + 3600 * SECOND)
    follower.see(passage("C1-S", START + 100 * SECOND, C), stored, tick(7400))
    assert token(A) in follower.tracker.presence.compounds["C1"].visits
    assert follower.tracker.counts["visit", "history"] == 1


def test_a_cloned_plate_by_speed() -> None:
    """One plate at two compounds faster than anyone drives is two vehicles; a minute is enough to drive."""
    assert "cloned" in [row.event for row in Follower().see(at(0, A), at(10, A, gate="C3-N"))]
    assert "cloned" not in [row.event for row in Follower().see(at(0, A), at(31, A, gate="C3-N"))]


def test_a_cloned_plate_by_distance() -> None:
    """Two gates 3 km apart: at 60 km/h nobody is there within three minutes; a gate's own position comes first."""
    lie = {"C1": (31.30, 121.45), "C3": (31.30, 121.45), "C3-N": (31.30 + 3000 / 111_320, 121.45)}
    far = tuple(msgspec.structs.replace(place, position=lie.get(place.id)) for place in places())

    def seen(seconds: float) -> list[str]:
        return [row.event for row in Follower(places=far).see(at(0, A), at(seconds, A, gate="C3-N"))]

    assert "cloned" in seen(179)
    assert "cloned" not in seen(181)
    # Nobody says where C2 lies: there the least time counts.
    assert "cloned" not in [row.event for row in Follower(places=far).see(at(0, A), at(31, A, gate="C2-N"))]


def test_a_vehicle_that_came_back_unseen_is_no_clone() -> None:
    """An exit a day and more after the vehicle was seen elsewhere is a missed entry, not a second vehicle."""
    follower = Follower()
    follower.see(at(0, A), at(3600, A, gate="C3-N"), at(5400, A, "out", gate="C3-N"), tick(5500))
    rows = follower.see(at(3600 + 86_400, A, "out"), tick(3610 + 86_400))
    assert [row.event for row in rows] == ["passed"]
    assert "stay" not in rows[0].numbers


def test_a_cloned_plate_by_presence() -> None:
    """A plate that leaves where it was believed to have left, having been elsewhere meanwhile, is two vehicles."""
    follower = Follower()
    follower.see(at(0, A), at(3600, A, gate="C3-N"), at(5400, A, "out", gate="C3-N"), tick(5500))
    rows = follower.see(at(7200, A, "out"), tick(7210))
    assert [row.event for row in rows] == ["passed", "cloned"]
    assert rows[0].numbers["stay"] == 2.0


def test_staying_is_said_at_the_rules_thresholds() -> None:
    """The rule on stays of two hours makes the tracker speak after two hours, once, unless the vehicle has left."""
    follower = Follower()
    follower.see(at(0, B), at(60, A), at(3600, A, "out"), tick(7199))
    assert short(follower.see(tick(7200), tick(20_000))) == [(7200, "staying", "C1-N in", B)]


def test_an_unread_exit_is_not_undone_by_the_night() -> None:
    """Who left unread is still gone the next day, and the number still unsure; when it comes back, all is well."""
    follower = Follower()
    follower.see(at(0, A), at(100, None, "out"), tick(NIGHT + 60))
    assert follower.inside() == (0, 1)
    follower.restart()
    follower.see(tick(NIGHT + 3600 + 86_400))
    assert follower.inside() == (0, 2), "and a visit of two days, which is A's, may be over"
    follower.see(at(NIGHT + 90_100, A))
    assert follower.inside() == (1, 0)


def test_unread_passages_that_nothing_explains_are_forgotten() -> None:
    """An unread entry and an unread exit a day later are one vehicle; one that nothing explains goes after a while."""
    follower = Follower(rules=())
    follower.see(at(0, None), tick(NIGHT + 60), at(NIGHT + 100, None, "out"), tick(NIGHT + 86_400))
    assert follower.inside() == (0, 0)
    follower.see(at(NIGHT + 86_500, None), tick(NIGHT + 4 * 86_400 + 60))
    assert follower.inside() == (1, 1)
    follower.restart()
    follower.see(tick(NIGHT + 6 * 86_400 + 60))
    assert follower.inside() == (0, 0)


def test_the_usual_number_of_missing_passages_makes_unsure_by_its_root() -> None:
    """Without a usual number those found missing count in full; four a day lead astray by two; twenty are no chance."""
    follower = Follower(rules=())
    here = follower.tracker.presence.compounds["C1"]
    for _ in range(3):
        here.lack(4)
        assert here.unsure == 4
        here.night(4)
    assert here.unsure == 2
    here.lack(8)
    assert here.unsure == 2
    here.lack(12)
    follower.restart()
    here = follower.tracker.presence.compounds["C1"]
    assert here.unsure == 2 + 12


@pytest.mark.parametrize("known", [False, True])
def test_a_stray_misreading_is_recognised_when_it_leaves(known: bool) -> None:
    """Any one character wrong when it came, under a plate never seen before: the neighbour that leaves is it."""
    follower = Follower()
    if known:
        follower.see(at(-7200, A), at(-7100, A, "out"), tick(-7000))
    follower.see(at(0, A_STRAY))
    (left,) = follower.see(at(3600, A, "out"), tick(3700))
    assert (left.event, left.numbers["stay"], left.vehicle) == ("passed", 1.0, A if known else A_STRAY)
    assert follower.inside() == (0, 0)


def test_a_known_vehicle_does_not_leave_under_its_neighbours_plate() -> None:
    """Who was seen before is itself: the exit of a neighbour whose entry was missed leaves it inside."""
    follower = Follower()
    follower.see(at(-7200, A_STRAY), at(-7100, A_STRAY, "out"), tick(-7000), at(0, A_STRAY))
    (left,) = follower.see(at(3600, A, "out"), tick(3700))
    assert "stay" not in left.numbers
    assert follower.inside() == (1, 1)


@pytest.mark.parametrize(
    ("inside", "sureness", "known", "left"),
    [
        ((A,), 0.7, False, A),
        ((A,), 0.97, False, A_STRAY),
        ((A,), 0.7, True, A_STRAY),
        ((A, A_CONFUSED), 0.7, False, A_STRAY),
    ],
)
def test_a_known_vehicle_leaves_under_a_doubtful_plate_that_nobody_knows(
    inside: tuple[str, ...], sureness: float, known: bool, left: str
) -> None:
    """Any one character may be wrong, if one vehicle only can be meant; a sure plate or a known one is itself."""
    follower = Follower()
    for number, plate in enumerate((*inside, A_STRAY) if known else inside):
        second = 600 * number - 7200
        follower.see(at(second, plate), at(second + 60, plate, "out"), tick(second + 120))
    follower.see(*[at(60 * number, plate) for number, plate in enumerate(inside)])
    (row,) = follower.see(at(3600, A_STRAY, "out", sureness), tick(3700))
    assert (row.vehicle, row.numbers.get("stay")) == (left, 1.0 if left == A else None)
    assert follower.inside()[0] == len(inside) - (left == A)


@pytest.mark.parametrize(
    ("came", "read"), [(A, "沪A1?345"), (A, "沪A1中345"), (GREEN, "沪A012345"), (GREEN, "沪AD1234B")]
)
def test_who_leaves_with_one_character_illegible_is_the_one_inside(came: str, read: str) -> None:
    """What is read has no plate's form, but one vehicle inside has all its other characters; read again, it is that."""
    follower = Follower()
    follower.see(at(0, came), at(60, B))
    rows = follower.see(at(3600, read, "out"), at(3615, read, "out"), tick(3621))
    assert [(row.event, row.vehicle, row.numbers["stay"]) for row in rows] == [("passed", came, 1.0)]
    follower.see(at(3630, came, "out"), tick(3700))
    assert follower.inside() == (1, 0)
    assert "missed_entry" not in {name for _, name in follower.tracker.counts}


@pytest.mark.parametrize(("inside", "read"), [((A, A_CONFUSED), "沪A1?345"), ((A,), "沪A1??45"), ((A,), "沪B1?345")])
def test_who_leaves_unread_may_be_anybody(inside: tuple[str, ...], read: str) -> None:
    """Two vehicles inside have the other characters, or two are illegible, or another is another: one has left."""
    follower = Follower()
    follower.see(*[at(60 * number, plate) for number, plate in enumerate(inside)])
    (row,) = follower.see(at(3600, read, "out"), tick(3700))
    assert (row.vehicle, "stay" in row.numbers) == ("", False)
    assert follower.inside() == (len(inside) - 1, 1)


def test_who_comes_after_an_unread_exit_has_not_left_by_it() -> None:
    """What is decided late may have been before the vehicle came."""
    follower = Follower()
    follower.see(at(0, "沪A1?345", "out"), at(10, A), tick(60))
    assert follower.inside() == (0, 1)


def test_first_seen_short_visits_and_roaming() -> None:
    """The numbers of a passage: days away, recent visits, short visits, compounds entered within the hour."""
    follower = Follower()
    follower.see(tick(0))
    rows = follower.see(
        at(3600, A),
        at(3700, A, "out"),
        at(4000, A, gate="C2-N"),
        at(4100, A, "out", gate="C2-N"),
        at(4200, A),
        tick(4300),
    )
    assert [row.numbers.get("days_away") for row in rows] == [30.0, None, 0.003, None, 0.001]
    assert [row.numbers.get("visits") for row in rows] == [1, None, 2, None, 3]
    assert [row.numbers.get("short_visits") for row in rows] == [None, 1, None, 2, None]
    assert [row.numbers.get("compounds") for row in rows] == [1, None, 2, None, 2]


def test_a_rotated_key_loses_nobody() -> None:
    """A vehicle that came under the former key leaves under the new one: one visit, and its history goes on."""
    keys = definition().plate_keys
    second = msgspec.structs.replace(keys[0], id="k2", since=START + 1800 * SECOND, check=check_value(SECRETS["k2"]))
    follower = Follower(plate_keys=(*keys, second))
    follower.names |= {Pseudonymiser((second,), 0, SECRETS).identify(A, START).token: A}
    follower.see(at(0, A))
    (left,) = follower.see(at(3600, A, "out"), tick(3610))
    assert left.numbers["stay"] == 1.0
    assert len(follower.tracker.presence.known) == 1


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond its bounds the tracker forgets who was not seen for longest, and counts it."""
    monkeypatch.setattr("sensord.core.vehicles.acquaintance.MOST_KNOWN", 40)
    monkeypatch.setattr("sensord.core.vehicles.presence.MOST_INSIDE", 20)
    follower = Follower()
    follower.names = dict.fromkeys((token(f"沪B{number:05}") for number in range(100)), "")
    follower.see(*(at(60 * number, f"沪B{number:05}") for number in range(100)))
    presence = follower.tracker.presence
    assert len(presence.known) <= 40
    assert len(presence.compounds["C1"].visits) == 20
    assert follower.tracker.counts["visit", "forgotten"] > 80


@pytest.mark.parametrize("read", [A_CONFUSED, "沪A1?345"])
def test_who_leaves_misread_is_shown_as_it_came(read: str) -> None:
    """The mask, and the message that shows the plate, are those of the entry: no car bears the other plate."""
    follower = Follower()
    entered = follower.intake.decode((at(0, A),), START).batch
    follower.tracker.take(entered)
    follower.tracker.take(follower.intake.decode((at(3600, read, "out", 0.7),), START + HOUR).batch)
    said = follower.tracker.take(follower.intake.decode((tick(3700),), START + 3700 * SECOND).batch)
    assert said.sightings is not None
    assert entered.sightings is not None
    (row,) = np.flatnonzero(said.labels["direction"] == DIRECTION.words.index("out"))
    assert said.sightings.who[row, 0] == token(A)
    assert said.labels["certainty"][row] == DOUBTFUL
    assert said.sightings.masks[row] == entered.sightings.masks[0] != ""
    assert said.sightings.seen_at[row] == START


def test_a_certain_and_known_vehicle_is_not_taken_for_a_certain_one_inside() -> None:
    """Its entry was missed; the neighbour goes on, and leaves by itself."""
    follower = Follower()
    follower.see(at(0, A), at(600, A, "out"), at(1200, A_CONFUSED), at(1800, A_CONFUSED, "out"), at(3600, A))
    follower.see(at(7200, A_CONFUSED, "out"), tick(7300))
    assert set(follower.tracker.presence.compounds["C1"].visits) == {token(A)}
    (left,) = follower.see(at(9000, A, "out"), tick(9100))
    assert (left.vehicle, left.numbers["stay"]) == (A, 1.5)
