"""Second ways of what a digest told late: whatever becomes of its cases, nobody is left with wrong knowledge."""

from __future__ import annotations

import pytest

from sensord.core.cases.damping import Damping
from sensord.core.cases.notification import Notification, Reason
from sensord.core.cases.policy import Policy, Step
from sensord.core.cases.story import Story
from sensord.core.instant import HOUR, MINUTE, SECOND
from sensord.core.level import Level
from sensord.core.people.roster import Contact, Person
from sensord.core.record import Scope
from tests.core.desk import Desk
from tests.core.street import START, definition

CADRE = Person("居委干部-1", "cadre", "G1", (Contact("people", "1"), Contact("sms", "2", MINUTE)))
RATE = Damping(per_minute={"people": 2})
LIMITS = [RATE, Damping(per_hour=1, digest_every=2 * MINUTE), Damping(storm_at=1)]


def street(damping: Damping = RATE) -> Desk:
    """A cadre with a second way hears of crowds, and a case ends as soon as nothing alarms."""
    plan = Policy("crowd", {"zh": "聚集"}, (Step(("cadre",)),))
    return Desk(definition(people=(CADRE,), policies=(plan,), damping=damping))


def by_sms(story: Story) -> list[tuple[int, str, Level, str]]:
    """What is said over the second way: when, of which place, at which level, and why."""
    told = (one for one in story.decisions.notifications if one.channel == "sms")
    return [((one.at - START) // SECOND, one.place, one.level, one.reason.value) for one in told]


def digest_of_two(desk: Desk) -> Notification:
    """One is told, and two are told late, of which one is graver: their digest, at 31 s."""
    first = desk.alert(0, Level.YELLOW, place="G1-L1").decisions.notifications[0]
    desk.receipt(0, first.key, "sent")
    desk.alert(1, Level.ORANGE, place="G1-L2")
    desk.alert(2, Level.YELLOW, rule="crowd-sum", place="G1")
    (digest,) = desk.wait(31).decisions.notifications
    assert (digest.reason, len(digest.covers)) == (Reason.DIGEST, 2)
    return digest


@pytest.mark.parametrize("ends", [40, 91])
def test_when_the_gravest_is_over_the_second_way_speaks_of_what_stands(ends: int) -> None:
    """The digest did not get through: the lesser crowd, of which nobody knows, is said when the graver would have."""
    desk = street()
    digest_of_two(desk)
    story = desk.alert(ends, Level.NONE, place="G1-L2")
    assert (by_sms(story) == []) is (ends < 91)
    desk.restart()
    later = by_sms(desk.wait(400))
    assert later == ([(91, "G1", Level.YELLOW, "not_delivered")] if ends < 91 else []), "once"


def test_a_digest_that_got_through_needs_no_second_way_for_what_stands() -> None:
    """Heard of before or after the graver one has ended."""
    for arrives in (35, 60):
        desk = street()
        digest = digest_of_two(desk)
        if arrives == 35:
            desk.receipt(35, digest.key, "sent")
        desk.alert(40, Level.NONE, place="G1-L2")
        desk.restart()
        desk.receipt(60, digest.key, "delivered")
        assert by_sms(desk.wait(400)) == []


def test_whoever_has_done_something_since_about_what_is_over_has_read_it() -> None:
    """They know of the other one, too."""
    desk = street()
    digest = digest_of_two(desk)
    desk.act(35, "acknowledge", case=digest.case)
    desk.alert(40, Level.NONE, place="G1-L2")
    assert by_sms(desk.wait(400)) == []


def test_when_the_gravest_is_muted_the_second_way_speaks_of_what_is_not() -> None:
    """Its place is silenced since; the other one stands."""
    desk = street()
    digest_of_two(desk)
    desk.act(
        40, "silence", "operator", "quiet", scope=Scope(places=("G1-L2",)), note="施工", until=START + HOUR, via="cli"
    )
    assert by_sms(desk.wait(400)) == [(91, "G1", Level.YELLOW, "not_delivered")]


def test_when_all_of_a_digest_is_over_nothing_of_it_is_said() -> None:
    """But the ends, where they fail."""
    desk = street()
    digest_of_two(desk)
    desk.alert(40, Level.NONE, place="G1-L2")
    desk.alert(50, Level.NONE, rule="crowd-sum", place="G1")
    assert by_sms(desk.wait(400)) == []


@pytest.mark.parametrize("damping", LIMITS, ids=["rate", "budget", "storm"])
@pytest.mark.parametrize("ends", [10, 35, 60, 100, 200])
def test_where_the_first_way_fails_the_end_is_the_last_that_is_heard(damping: Damping, ends: int) -> None:
    """Over before its digest, or soon after: the beginning need not be said any more, the end always is."""
    desk, failing, heard = street(damping), list[str](), list[str]()

    def take(story: Story) -> None:
        for one in story.decisions.notifications:
            if one.channel == "people":
                failing.append(one.key)
            else:
                heard.extend(key for key in one.covers or (one.key,) if key.startswith("G1-L2"))

    take(desk.alert(0, Level.YELLOW))
    take(desk.alert(1, Level.YELLOW, place="G1-L2"))
    for second in range(2, 500):
        keys, failing = failing, []
        for key in keys:
            take(desk.receipt(second, key, "failed"))
        if second == ends:
            take(desk.alert(second, Level.NONE, place="G1-L2"))
        take(desk.wait(second))
    (over,) = (case for case in desk.book.ended.values() if case.place == "G1-L2")
    assert heard[-1].split(":")[1] in over.told[CADRE.id].ended_over.values()


def apart() -> Desk:
    """The same, and troubles of contacts belong to another case."""
    plans = Policy("crowd", {"zh": "聚集"}, (Step(("cadre",)),)), Policy("roster", {"zh": "值班"}, ())
    return Desk(definition(people=(CADRE,), policies=plans, built_in={"others": "roster"}, damping=RATE))


@pytest.mark.parametrize("fails", [35, 200])
def test_a_digest_that_is_given_up_leaves_nobody_without_its_lesser_cases(fails: int) -> None:
    """The second way waits for the gravest alone; the others are said as soon as the first is known to have failed."""
    desk = apart()
    digest = digest_of_two(desk)
    desk.restart()
    said = by_sms(desk.wait(fails - 1))
    said += by_sms(desk.receipt(fails, digest.key, "failed")) + by_sms(desk.receipt(fails + 1, digest.key, "failed"))
    assert sorted(said + by_sms(desk.wait(1000))) == sorted(
        [(91, "G1-L2", Level.ORANGE, "not_delivered"), (fails, "G1", Level.YELLOW, "not_delivered")]
    )


def test_what_the_second_way_has_said_of_a_lesser_case_it_does_not_say_again() -> None:
    """When the gravest ends that had the way."""
    desk = apart()
    digest = digest_of_two(desk)
    assert len(by_sms(desk.receipt(35, digest.key, "failed"))) == 1
    desk.alert(40, Level.NONE, place="G1-L2")
    assert by_sms(desk.wait(1000)) == []


def test_nothing_more_is_said_of_a_digest_that_another_first_way_carries() -> None:
    """Or that somebody has answered, or who has gone home."""
    both = Person(CADRE.id, "cadre", "G1", (Contact("people", "1"), Contact("mqtt"), Contact("sms", "2", MINUTE)))
    plan = Policy("crowd", {"zh": "聚集"}, (Step(("cadre",)),))
    desk = Desk(definition(people=(both,), policies=(plan,), damping=RATE))
    for second, place in enumerate(("G1-L1", "G1-L2", "G2-L1")):
        for one in desk.alert(second, Level.YELLOW, place=place).decisions.notifications:
            desk.receipt(second, one.key, "delivered")
    (digest,) = (one for one in desk.wait(40).decisions.notifications if one.reason is Reason.DIGEST)
    assert by_sms(desk.receipt(50, digest.key, "failed")) == []
    answered = apart()
    digest = digest_of_two(answered)
    answered.act(33, "acknowledge", case=next(name for name in answered.book.open if name.startswith("G1-crowd")))
    assert by_sms(answered.receipt(35, digest.key, "failed")) == []
