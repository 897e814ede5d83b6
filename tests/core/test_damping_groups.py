"""A group chat is one robot, whoever is mentioned: its messages share one rate and one digest."""

from __future__ import annotations

import msgspec
import pytest

from sensord.core.cases.damping import Damped, Damper, Damping
from sensord.core.cases.notification import Reason
from sensord.core.cases.policy import Policy, Step
from sensord.core.definition import Definition
from sensord.core.instant import MINUTE, SECOND
from sensord.core.level import Level
from sensord.core.people.roster import Contact, Person
from tests.core.desk import Desk
from tests.core.street import definition
from tests.core.test_damping import CADRE
from tests.notify.parts import START, notification


def test_whoever_is_mentioned_the_group_has_one_rate() -> None:
    """Four a minute: of yellow messages two go out, to whomever; over a channel to persons everybody has their own."""
    damper = Damper(Damping(per_minute={"group": 4, "desk": 4}, groups=("group",)), frozenset(), Damped())
    told = {
        channel: [
            damper.offer(
                [notification(n, channel, address=f"1380000000{n}", level=Level.YELLOW, at=START + n * SECOND)]
            )
            for n in range(6)
        ]
        for channel in ("group", "desk")
    }
    assert [held is None for (held,) in told["group"]] == [True, True, False, False, False, False]
    assert {held[0] for (held,) in told["group"] if held} == {Reason.HELD_RATE}
    assert told["desk"] == [[None]] * 6


def test_one_digest_holds_what_the_group_was_not_told() -> None:
    """Everything that waits, whoever it was meant for; a red message finds room meanwhile."""
    damper = Damper(Damping(per_minute={"group": 4}, groups=("group",)), frozenset(), Damped())
    messages = [
        notification(n, "group", address=f"1380000000{n}", level=Level.YELLOW, at=START + n * SECOND) for n in range(6)
    ]
    waiting = [message for message in messages if damper.offer([message]) != [None]]
    assert damper.offer([notification(9, "group", address="13900000000", at=START + 7 * SECOND)]) == [None]
    assert damper.flush("group", START + 2 * MINUTE) == waiting


@pytest.mark.parametrize("longest", [200, 400, 0])
def test_a_digest_that_is_too_long_for_one_message_goes_on_in_the_next(longest: int) -> None:
    """Each part is one message of the robot's minute, fits, and ends with a whole line; together they cover all."""
    damping = Damping(
        {"people": 4}, storm_at=1, groups=("people",), digest_bytes={"people": longest} if longest else {}
    )
    plans = tuple(Policy(f"plan-{n}", {"zh": f"预案{n:02}"}, (Step(("cadre",)),)) for n in range(12))
    rules = [msgspec.structs.replace(definition().rules[0], id=plan.id, dispatch=plan.id) for plan in plans]
    desk = Desk(definition(rules=tuple(rules), policies=plans, people=CADRE, damping=damping))
    holds = [hold for plan in plans for hold in desk.alert(0, Level.YELLOW, rule=plan.id).decisions.holds]
    digests = desk.wait(600).decisions.notifications
    assert sorted(key for one in digests for key in one.covers) == sorted(hold.key for hold in holds)
    assert len({one.key for one in digests}) == len(digests) == {200: 6, 400: 3, 0: 1}[longest]
    for one in digests:
        assert one.title.startswith(f"【汇总 {len(one.covers)} 条")
        assert [len(line) > 20 for line in one.text.splitlines()] == [True] * len(one.covers)
        assert not longest or len(one.text.encode()) <= longest
    instants = [one.at for one in digests]
    assert all(later - first >= MINUTE for first, later in zip(instants, instants[4:], strict=False))


def test_two_digests_of_one_person_at_one_instant_are_two() -> None:
    """What waits since the channel led to a group comes due with what waits for the person: one is no repetition."""
    person = Person("居委干部-1", "cadre", "G1", (Contact("people", "1"),))

    def desk_of(limits: Damping) -> Definition:
        return definition(
            policies=(Policy("crowd", {"zh": "聚集"}, (Step(("cadre",)),)),), people=(person,), damping=limits
        )

    desk = Desk(desk_of(Damping(per_hour=1, digest_every=600 * SECOND, groups=("people",))))
    desk.alert(0, Level.YELLOW)
    desk.alert(5, Level.YELLOW, "crowd-max")
    desk.redefine(6, desk_of(Damping(per_hour=1, digest_every=597 * SECOND)))
    desk.alert(8, Level.YELLOW, "crowd-min")
    digests = desk.wait(3600).decisions.notifications
    assert [(one.at, len(one.covers)) for one in digests] == [(START + 605 * SECOND, 1)] * 2
    assert len({one.key for one in digests}) == 2
