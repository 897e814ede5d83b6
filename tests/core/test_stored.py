"""Passages that a camera stored for days, of vehicles that are known, but not in detail any more: they are history."""

from __future__ import annotations

import pytest

from sensord.core.instant import DAY, HOUR, SECOND
from sensord.core.record import Record
from sensord.core.vehicles.pseudonym import Pseudonymiser, check_value
from sensord.core.vehicles.tracking import PlateKey
from tests.core.follower import A_CONFUSED, A, B, Follower, at, tick
from tests.core.traffic import KEYS, SECRETS, START, passage, token

LEFT, BACK = 10.25 * 3600, 54 * 3600.0
"""When the vehicle left, and when the camera that had seen it before is back (seconds)."""


def followed() -> Follower:
    """Somebody who saw A leave two days ago, and before that the clock of the camera that comes back."""
    follower = Follower(rules=())
    follower.see(at(0, B), at(LEFT - 7200, A, gate="C1-S"), at(LEFT, A, "out", gate="C1-S"), tick(LEFT + 60))
    follower.see(*(tick(LEFT + hour * 3600) for hour in range(1, 42)), tick(BACK - 30))
    assert token(A) not in follower.tracker.presence.traces
    return follower


def stored(second: float, plate: str, way: str = "in", sureness: float = 0.97, after: float = 0.0) -> Record:
    """A reading of ``second`` that comes ``after`` the camera is back."""
    return passage("C1-N", START + round((BACK + after) * SECOND), plate, way, sureness, START + round(second * SECOND))


def hour_of(second: float) -> int:
    """The hour of a second since the start."""
    return (START + round(second * SECOND)) // HOUR


@pytest.mark.parametrize("second", [LEFT - 8 * 3600, LEFT - 600])
@pytest.mark.parametrize("way", ["in", "out"])
def test_a_stored_passage_of_who_has_left_changes_nothing(second: float, way: str) -> None:
    """It is older than the vehicle's last passage, in another hour or in the same: it is counted as history."""
    follower = followed()
    known, before = follower.tracker.presence.known[token(A)], follower.inside()
    follower.see(stored(second, A, way), tick(BACK + 60))
    assert follower.inside() == before
    assert follower.tracker.presence.known[token(A)] == known == hour_of(LEFT)
    assert follower.tracker.counts["visit", "history"] == 1


def test_a_stored_passage_after_all_that_is_known_counts() -> None:
    """A vehicle that came again an hour after it had left, and was not seen since, is inside."""
    follower = followed()
    follower.see(stored(LEFT + 3600, A), tick(BACK + 60))
    assert token(A) in follower.tracker.presence.compounds["C1"].visits


def test_a_stored_entry_that_turns_out_to_be_of_who_has_left_begins_no_visit() -> None:
    """It was read as a stranger's first: the vehicle that it shows in the end has passed since."""
    follower = followed()
    read = (A_CONFUSED, 0.95), (A, 0.8), (A, 0.8)
    follower.see(*(stored(3600 + number, one[0], "in", one[1], number / 10) for number, one in enumerate(read)))
    assert set(follower.tracker.presence.compounds["C1"].visits) == {token(B)}
    follower.see(stored(3700, A, "in", 0.97, 1), tick(BACK + 60))
    assert set(follower.tracker.presence.compounds["C1"].visits) == {token(B)}
    assert follower.tracker.presence.known[token(A)] == hour_of(LEFT)


def test_a_stored_exit_of_who_passed_later_leaves_the_visit_to_the_stranger() -> None:
    """Somebody came under a plate that A may be misread as, and left; A itself was elsewhere later on."""
    follower = followed()
    came = BACK - 40
    follower.see(at(came, A_CONFUSED, gate="C1-S"), stored(LEFT - 600, A, "out"), tick(BACK + 60))
    assert token(A_CONFUSED) in follower.tracker.presence.compounds["C1"].visits
    assert follower.tracker.presence.known[token(A)] == hour_of(LEFT)


def test_a_correction_takes_nothing_back_that_was_seen_since() -> None:
    """The vehicle that an entry was taken for has passed elsewhere meanwhile: it stays there, and is known by that."""
    follower = Follower(rules=())
    follower.see(at(600, A_CONFUSED, gate="C2-N"), at(660, A_CONFUSED, "out", gate="C2-N"), tick(3600))
    follower.see(at(7200, A_CONFUSED, "in", 0.95), at(7201, A_CONFUSED, gate="C3-N"))
    follower.see(*(at(7202 + number, A, "in", 0.8) for number in range(2)), tick(7300))
    presence = follower.tracker.presence
    trace = presence.traces[token(A_CONFUSED)]
    assert (trace.gate, trace.inside, [place for _, place in trace.entries]) == ("C3-N", "C3", ["C2", "C3"])
    assert presence.known[token(A_CONFUSED)] == hour_of(7201)
    assert (set(presence.compounds["C1"].visits), set(presence.compounds["C3"].visits)) == (
        {token(A)},
        {token(A_CONFUSED)},
    )


def test_who_left_elsewhere_meanwhile_is_inside_nowhere() -> None:
    """As above, but it left there: what it was taken for here is over, and it is believed to be nowhere."""
    follower = Follower(rules=())
    follower.see(at(600, A_CONFUSED, gate="C2-N"), at(660, A_CONFUSED, "out", gate="C2-N"), tick(3600))
    follower.see(at(7200, A_CONFUSED, "in", 0.95), at(7201, A_CONFUSED, "out", gate="C3-N"), tick(7206))
    follower.see(*(at(7207 + number, A, "in", 0.8) for number in range(2)), tick(7300))
    trace = follower.tracker.presence.traces[token(A_CONFUSED)]
    assert (trace.gate, trace.inside) == ("C3-N", "")


def test_who_is_known_under_both_keys_was_seen_at_the_later_hour() -> None:
    """A pseudonym that a vehicle takes over may be known already, from a reading that was stored."""
    new = PlateKey("k2", START + 2 * DAY, check_value(SECRETS["k2"]))
    presence = Follower(rules=(), plate_keys=(*KEYS, new)).tracker.presence
    other = Pseudonymiser((new,), 0, SECRETS).identify(A, START).token
    presence.known |= {token(A): 20, other: 10}
    presence.adopt(token(A), other)
    assert presence.known == {other: 20}
