"""Who may approve: supervisors, and accounts whose right was checked where they came in."""

from __future__ import annotations

import msgspec
import pytest

from sensord.core.cases.case import Happening, State
from sensord.core.cases.policy import Role
from sensord.core.instant import DAY
from sensord.core.level import Level
from sensord.core.people.roster import Person
from sensord.core.record import Scope
from tests.core.desk import Desk
from tests.core.street import START, definition


@pytest.mark.parametrize(
    ("by", "via", "approved"),
    [
        ("console", "api:console", True),
        ("cli", "cli", True),
        ("console", "mqtt", False),
        ("somebody", "link", False),
        ("somebody", "api", False),
        ("居委干部-1", "api:console", False),
        ("居委干部-1", "link", False),
    ],
)
def test_a_void_that_nobody_checked_is_only_asked_for(by: str, via: str, approved: bool) -> None:
    """Over MQTT and links a name is only a claim: the case stays open, and the supervisors hear the wish."""
    desk = Desk()
    desk.alert(0, Level.YELLOW)
    (case,) = desk.book.open.values()
    story = desk.act(10, "void", by, via=via, note="twice the same")
    happened = [event.happening for event in story.events]
    assert (Happening.VOID in happened, Happening.ASK in happened) == (approved, not approved)
    assert (case.state is State.VOID) == approved


@pytest.mark.parametrize("until", [0 - 2**70, START, START + 367 * DAY, 2**63, 2**70])
def test_a_deadline_that_makes_no_sense_is_refused(until: int) -> None:
    """Past, beyond a year, beyond what a snapshot can hold: refused, and the state can still be saved."""
    desk = Desk()
    desk.alert(0, Level.YELLOW)
    (outcome,) = desk.act(10, "extend", "console", via="api:console", note="why", until=until).outcomes
    assert not outcome.accepted
    msgspec.msgpack.encode(desk.book.state())


def test_a_deadline_within_a_year_is_taken() -> None:
    """The limit of the stage is the one that was asked for."""
    desk = Desk()
    desk.alert(0, Level.YELLOW)
    (case,) = desk.book.open.values()
    desk.act(10, "extend", "console", via="api:console", note="why", until=START + 30 * DAY)
    assert case.deadline == START + 30 * DAY


@pytest.mark.parametrize(
    ("by", "via", "silenced"), [("居委干部-1", "cli", True), ("值班员-1", "mqtt", True), ("居委干部-1", "mqtt", False)]
)
def test_over_mqtt_only_who_approves_silences(by: str, via: str, silenced: bool) -> None:
    """A cadre's account at the broker mutes nothing, and ends nobody's mute; an approving post and an operator do."""
    roles = (Role("cadre", {}, {}), Role("officer", {}, {}, approves=True))
    people = (Person("居委干部-1", "cadre", "G1", ()), Person("值班员-1", "officer", "street", ()))
    desk = Desk(definition(roles=roles, people=people))
    (outcome,) = desk.act(0, "silence", by, "s", via=via, note="why", scope=Scope(("G1",)), until=START + DAY).outcomes
    assert outcome.accepted == silenced
    if not silenced:
        desk.act(1, "silence", "cli", "s", note="why", scope=Scope(("G1",)), until=START + DAY)
    (outcome,) = desk.act(2, "unsilence", by, "s", via=via).outcomes
    assert outcome.accepted == silenced
