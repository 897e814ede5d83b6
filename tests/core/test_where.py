"""Where something happens, as people are told it: every compound has a north gate, and none is taken for another."""

from __future__ import annotations

import re

import msgspec
import pytest

from sensord.core.cases.digest import DigestWriter
from sensord.core.cases.notification import Notification, Reason
from sensord.core.instant import SECOND
from sensord.core.people.roster import Contact, Person
from sensord.core.place import Place, PlaceKind
from sensord.core.site import Site, definition_record
from sensord.drivers.overview import describe_case
from tests.core.street import grouped
from tests.core.traffic import GATES, SECRETS, START, definition, passage, places

NORTH = {"zh": "北门", "en": "North Gate"}
READERS = tuple(Person(language, "police", "street", (Contact("people"),), language) for language in NORTH)


def _place(one: Place) -> Place:
    """The place, a gate by a name that others have as well; C1's southern one says where it is."""
    if one.kind is not PlaceKind.GATE or one.id == "C1-S":
        return one
    return msgspec.structs.replace(one, name=NORTH["zh"], name_en=NORTH["en"])


@pytest.fixture(scope="module")
def told() -> tuple[Site, list[Notification]]:
    """Within seconds a vehicle of a key area comes in at each of the gates; somebody reads of it in each language."""
    whole = definition(people=READERS, places=tuple(_place(one) for one in places()))
    records = [passage(gate, START + number * SECOND, f"皖K1357{number}") for number, gate in enumerate(GATES, 1)]
    site = Site(None, SECRETS)
    steps = [site.step(group) for group in grouped([definition_record(whole, START), *records], [1])]
    return site, [one for step in steps for one in step.notifications if one.reason is Reason.CASE_OPENED]


def _bare(message: Notification) -> str:
    """The text without what differs anyway: its time and its case."""
    return re.sub(r"[0-9-]+ [0-9:]{8}", "", message.text.replace(message.case, ""))


@pytest.mark.parametrize("language", NORTH)
def test_no_two_gates_have_the_same_text(told: tuple[Site, list[Notification]], language: str) -> None:
    """Whoever is sent to the north gate knows of which compound; in the title and in the text."""
    mine = [one for one in told[1] if one.language == language]
    assert {one.place for one in mine} == set(GATES)
    assert len({one.title for one in mine}) == len({_bare(one) for one in mine}) == len(GATES)
    for one in mine:
        name = told[0].places.name(one.place, language)
        assert told[0].places.by_id[one.place[:2]].label(language)[-2:] in name
        assert name in one.title
        assert name in one.text


@pytest.mark.parametrize("language", NORTH)
def test_a_digest_names_each_gate(told: tuple[Site, list[Notification]], language: str) -> None:
    """Three north gates in one digest are three places."""
    site, messages = told
    north = [one for one in messages if one.language == language and one.place != "C1-S"]
    text = DigestWriter(site.places, {}, "Asia/Shanghai").write(north, language, site.book.open)[1]
    for one in north:
        assert site.places.name(one.place, language) in text


def test_a_list_of_open_cases_says_which_gate(told: tuple[Site, list[Notification]]) -> None:
    """What ``sensord cases`` prints, the page behind a link heads, and programs get."""
    site = told[0]
    cases = [describe_case(case, site) for case in site.book.open.values()]
    assert {case["place"] for case in cases} == set(GATES)
    named = {case["place"]: (case["place_name"], case["place_name_en"]) for case in cases}
    assert named["C3-N"] == ("小区C3 北门", "Compound C3 North Gate")
    assert len(set(named.values())) == len(GATES)
