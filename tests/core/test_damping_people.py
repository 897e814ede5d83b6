"""What people must hear is not damped away: calls for help, graver news; and nobody owes an answer to what waits."""

from __future__ import annotations

import pytest

from sensord.core.cases.damping import Damping
from sensord.core.cases.notification import Notification, Reason
from sensord.core.cases.policy import Mode, Policy, Role, Step
from sensord.core.cases.story import Story
from sensord.core.instant import MINUTE
from sensord.core.level import Level
from sensord.core.people.roster import Contact, Person
from tests.core.desk import Desk
from tests.core.street import definition

PEOPLE = (
    Person("居委干部-1", "cadre", "G1", (Contact("people", "c1"), Contact("group"))),
    Person("居委干部-2", "cadre", "G2", (Contact("people", "c2"),)),
    Person("值班员-1", "officer", "street", (Contact("people", "o1"),)),
)
ROLES = (Role("cadre", {"zh": "干部"}, {}), Role("officer", {"zh": "值班员"}, {}, approves=True))
STEPS = (Step(("cadre",)), Step(("cadre",), after=3 * MINUTE, mode=Mode.REPLACEMENT))
MINE = "居委干部-1"


def desk(
    damping: Damping,
    *,
    people: tuple[Person, ...] = PEOPLE,
    steps: tuple[Step, ...] = STEPS[:1],
    close: str = "when_clear",
) -> Desk:
    """A street whose cadres hear of crowds, and whose duty officer supervises."""
    plan = Policy("crowd", {"zh": "聚集"}, steps, close, supervisors=("officer",), agree_within=MINUTE)
    return Desk(definition(people=people, roles=ROLES, policies=(plan,), damping=damping))


def digests(story: Story) -> list[Notification]:
    """The digests among what was told."""
    return [one for one in story.decisions.notifications if one.reason is Reason.DIGEST]


@pytest.mark.parametrize(
    ("language", "title", "text"),
    [
        ("zh", "【汇总 3 条·最高黄色】", "居民区G1 聚集：3 条，最高黄色，06:13–06:13：小区C1 2弄；已解除：小区C1 1弄"),
        (
            "en",
            "[digest of 3, up to yellow]",
            "Grid G1 crowd: 3, up to yellow, 06:13-06:13: 小区C1 Lane 2; over: 小区C1 Lane 1",
        ),
    ],
)
def test_a_digest_says_what_is_over(language: str, title: str, text: str) -> None:
    """The places that are calm by now stand apart."""
    one = desk(Damping(storm_at=1), people=(Person(MINE, "cadre", "G1", (Contact("people"),), language), PEOPLE[1]))
    one.alert(0, Level.BLUE, place="G2-L1")
    one.alert(1, Level.BLUE)
    one.alert(2, Level.YELLOW, place="G1-L2")
    one.alert(25, Level.NONE)
    (digest,) = digests(one.wait(100))
    assert (digest.title, digest.text) == (title, text)


@pytest.mark.parametrize(("language", "title"), [("zh", "【汇总 1 条·已解除】"), ("en", "[digest of 1, over]")])
def test_a_digest_of_ends_alone_has_no_level(language: str, title: str) -> None:
    """Not "up to normal": it says that it is over."""
    person = Person(MINE, "cadre", "G1", (Contact("people"),), language)
    one = desk(Damping(per_hour=1, digest_every=10 * MINUTE), people=(person,))
    one.alert(0, Level.YELLOW)
    one.alert(10, Level.NONE)
    (digest,) = digests(one.wait(700))
    assert digest.title == title
    assert "正常" not in digest.text
    assert digest.text.endswith({"zh": "；已解除：小区C1 1弄", "en": "; over: 小区C1 Lane 1"}[language])
