"""A rule or a plan is taken out while cases speak of it: people read its title all the same, and never its id."""

from __future__ import annotations

import msgspec
import pytest
from msgspec.structs import replace

from sensord.core.cases.bookstate import BookState
from sensord.core.cases.casebook import REMEMBERED, CaseBook
from sensord.core.cases.damping import Damping
from sensord.core.cases.policy import Policy, Step
from sensord.core.cases.titles import Titles
from sensord.core.definition import Definition
from sensord.core.instant import MINUTE, SECOND
from sensord.core.level import Level
from sensord.core.people.duty import Duty
from sensord.core.record import Action, Verb
from sensord.core.rules.rule import LevelSpec
from sensord.core.site import Site, action_record, definition_record
from tests.core.desk import Desk
from tests.core.failing import DENSITY, tick
from tests.core.street import START
from tests.core.test_handover import CHANGE as SHIFT_CHANGE
from tests.core.test_handover import EARLY, LATE, SHIFTS
from tests.core.test_withdrawn import CHANGED, OTHER, Street, whole

CROWDED = replace(DENSITY, name={"zh": "弄内拥挤", "en": "A crowded lane"})
ELSE = replace(OTHER, name={"zh": "别的", "en": "Something else"})


def stranded(first: Definition, *others: Definition, restart: bool = False) -> Street:
    """A crowd over which the rule is taken out, by a definition or several, one a second."""
    street = Street(CROWDED)
    street.change(0, first)
    street.until(CHANGED, 100, 1)
    for second, one in enumerate(others, CHANGED):
        street.change(second, one)
        if restart:
            street.site = Site.restored(street.site.snapshot())
    return street


def end(street: Street, second: int) -> list[str]:
    """Somebody says that it is over: what people read then of the lane, after the title."""
    (case,) = [one for one in street.site.book.open.values() if one.place == "G1-L1"]
    word = Action(Verb.DISPERSED, case.id, next(iter(case.told)))
    told = street.step(action_record(word, START + second * SECOND)).notifications
    texts = [one.text for one in told if one.reason.value == "case_closed"]
    assert texts
    return texts


@pytest.mark.parametrize("restart", [False, True])
def test_the_end_of_its_alert_names_it(restart: bool) -> None:
    """By the title that it had last, however many definitions have followed."""
    renamed = replace(CROWDED, name={"zh": "弄内人多"})
    street = stranded(
        whole(CROWDED), whole(renamed, ELSE), whole(ELSE), whole(ELSE, OTHER), whole(ELSE), restart=restart
    )
    texts = end(street, CHANGED + 60)
    assert all("弄内人多已解除" in text for text in texts)
    assert not any("density" in text for text in texts)


def test_it_is_told_in_each_language() -> None:
    """English, too."""
    people = tuple(replace(one, language="en") for one in whole().people)
    street = stranded(replace(whole(CROWDED), people=people), replace(whole(ELSE), people=people))
    texts = end(street, CHANGED + 60)
    assert all("A crowded lane is over" in text for text in texts)


def test_whoever_comes_on_duty_reads_it() -> None:
    """They are asked to verify, as those were who were on duty when the rule went."""

    def shifts(definition: Definition) -> Definition:
        return replace(definition, people=(EARLY, LATE), duty=Duty(SHIFTS))

    street = stranded(shifts(whole(CROWDED)), shifts(whole(ELSE)), restart=True)
    (told,) = street.step(tick(SHIFT_CHANGE)).notifications
    assert (told.receiver, told.reason.value) == (LATE.id, "verifying_asked")
    assert "弄内拥挤的规则于" in told.text
    assert "density" not in told.text


def test_another_rule_of_the_case_is_named_beside_it() -> None:
    """The case goes on by the one that is left; when that is over, people read what both were called."""
    street = stranded(whole(CROWDED), whole(CROWDED, ELSE))
    street.until(CHANGED + 60, 100, CHANGED + 1)
    street.change(CHANGED + 60, whole(ELSE))
    street.until(CHANGED + 120, 0, CHANGED + 61)
    assert all("弄内拥挤、别的已解除" in text for text in end(street, CHANGED + 120))


def test_a_digest_names_the_plan_of_what_has_waited_for_it() -> None:
    """The plan is gone, and its cases go by another; what waits was decided under it."""
    limits = Damping(per_hour=1, digest_every=10 * MINUTE)
    first = replace(whole(CROWDED), damping=limits)
    desk = Desk(first)
    for second, place in enumerate(("G1-L1", "G1-L2", "G2-L1")):
        desk.alert(second, Level.YELLOW, place=place)
    other = Policy("people", {"zh": "人群"}, (Step(("cadre",)),))
    desk.redefine(60, replace(first, policies=(other,), rules=(replace(ELSE, dispatch="people"),)))
    desk.restart()
    digests = [one for one in desk.wait(660).decisions.notifications if one.reason.value == "digest"]
    assert digests
    assert all(" 聚集：" in one.text for one in digests)


def test_a_rule_that_is_back_has_its_own_title() -> None:
    """The title of before is forgotten."""
    street = stranded(whole(CROWDED), whole(ELSE), whole(replace(CROWDED, name={"zh": "新名"}, by="grid"), ELSE))
    assert street.site.book.state().titles == Titles()
    assert all("新名" in text for text in end(street, CHANGED + 60))


def test_titles_are_kept_no_longer_than_cases() -> None:
    """Once the case is forgotten nobody can be told of it any more, and no more rules than it names are known."""
    street = stranded(
        whole(CROWDED, replace(OTHER, id="unheard", levels=(LevelSpec(Level.YELLOW, 50.0),))), whole(ELSE)
    )
    kept = street.site.book.state().titles
    assert kept == Titles({"density": CROWDED.name})
    assert end(street, CHANGED + 60)
    street.change(CHANGED + 120, whole(ELSE, OTHER))
    assert street.site.book.state().titles == kept
    later = CHANGED + 120 + REMEMBERED // SECOND
    street.step(tick(later))
    street.step(definition_record(whole(CROWDED, ELSE), START + (later + 1) * SECOND))
    assert street.site.book.state().titles == Titles()


def test_a_state_of_before_has_no_titles_and_goes_on() -> None:
    """What an earlier version saved is read, and what it did not keep has its id."""
    street = stranded(whole(CROWDED), whole(ELSE))
    state = msgspec.msgpack.decode(msgspec.msgpack.encode(street.site.book.state()))
    del state["titles"]
    before = msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=BookState)
    street.site.book = CaseBook(street.site.definition, street.site.places, before)
    assert all("density已解除" in text for text in end(street, CHANGED + 60))
