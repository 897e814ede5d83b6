"""A mistake of ours while a digest is written keeps nobody from hearing of what waited for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sensord.core.cases.damping import Damping
from sensord.core.cases.digest import DigestWriter
from sensord.core.cases.digester import Digester
from sensord.core.cases.dispatch import Dispatcher
from sensord.core.cases.notification import Notification, Reason
from sensord.core.cases.policy import Policy, Step
from sensord.core.level import Level
from sensord.core.people.roster import Contact, Person
from tests.core.desk import Desk
from tests.core.failing import MistakeError, broken_once, fail
from tests.core.street import definition

pytestmark = pytest.mark.usefixtures("in_service")
CADRES = tuple(Person(f"居委干部-{n}", "cadre", f"G{n}", (Contact("people", "1"),)) for n in (1, 2))
PLAN = (Policy("crowd", {"zh": "聚集"}, (Step(("cadre",)),)),)
LANES = ("G1-L1", "G1-L2", "G2-L1", "G2-L2")


def held_back(*, restarts: bool = False, **damping: Any) -> tuple[Desk, list[str]]:
    """Four crowds of which the first is told at once, or more; the keys of what waits."""
    limits = Damping(**damping or {"per_minute": {"people": 2}})
    desk, keys = Desk(definition(policies=PLAN, people=CADRES, damping=limits)), list[str]()
    for place in LANES:
        keys += [one.key for one in desk.alert(1, Level.YELLOW, place=place).decisions.holds if one.key]
    if restarts:
        desk.restart()
    return desk, keys


def alone(desk: Desk, until: int, what: str, *, restarts: bool) -> list[Notification]:
    """What is told until then while something fails: nothing in a digest."""
    said, failed = list[Notification](), set[str]()
    for second in range(30, until, 5):
        story = desk.wait(second)
        said += story.decisions.notifications
        failed |= {one.what for one in story.failures}
        if restarts:
            desk.restart()
    assert failed == {what}, "the mistake is known"
    assert all(one.reason is not Reason.DIGEST for one in said)
    return said


@pytest.mark.parametrize("restarts", [False, True])
@pytest.mark.parametrize(
    "where", [(DigestWriter, "write"), (Digester, "_is_there"), (Digester, "_event")], ids=["text", "duty", "name"]
)
def test_what_waited_is_told_by_itself(
    where: tuple[object, str], restarts: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each in its own words, at the robot's rate, and once; who is told is asked from then on."""
    desk, keys = held_back(restarts=restarts)
    monkeypatch.setattr(*where, fail)
    said = alone(desk, 300, "a digest", restarts=restarts)
    assert sorted(one.key for one in said) == sorted(keys)
    assert len({one.at for one in said}) == len(said) == 3
    assert [case.told[one.receiver].times for one in said for case in [desk.book.open[one.case]]] == [1] * 3
    assert not desk.wait(4000).failures


def test_a_budget_has_no_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then all that waited is told at once."""
    desk, keys = held_back(per_hour=1)
    monkeypatch.setattr(DigestWriter, "write", fail)
    said = desk.wait(3600).decisions.notifications
    assert sorted(one.key for one in said) == sorted(keys)
    assert len({one.at for one in said}) == 1


def test_a_mistake_that_comes_once_costs_one_message_of_the_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    """The gravest goes out by itself, the others in the next digest."""
    desk, keys = held_back()
    (graver,) = desk.alert(2, Level.ORANGE, place="G2-L2").decisions.holds
    monkeypatch.setattr(DigestWriter, "write", broken_once(DigestWriter.write))
    first, second = desk.wait(300).decisions.notifications
    assert (first.key, first.reason.value) == (graver.key, "level_rose")
    assert sorted(second.covers) == sorted(keys)


def broken_for(whole: Callable[..., Any], place: str) -> Callable[..., Any]:
    """The same, but that it fails for the cases of a place."""

    def half(self: object, case: Any, *args: Any, **more: Any) -> Any:
        if case.place == place:
            raise MistakeError
        return whole(self, case, *args, **more)

    return half


def test_a_case_that_cannot_be_noted_keeps_none_of_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """The digest has gone out: whom it tells of the others is asked; the one that failed is named."""
    desk, keys = held_back()
    monkeypatch.setattr(Dispatcher, "told_late", broken_for(Dispatcher.told_late, "G1-L2"))
    story = desk.wait(60)
    (digest,) = story.decisions.notifications
    assert sorted(digest.covers) == sorted(keys)
    assert [one.what[:5] for one in story.failures] == ["G1-L2"]
    times = {case.place: told.times for case in desk.book.open.values() for told in case.told.values()}
    assert times == {"G1-L1": 1, "G1-L2": 0, "G2-L1": 1, "G2-L2": 1}
