"""What people must hear is not damped away: calls for help, graver news; and nobody owes an answer to what waits."""

from __future__ import annotations

import msgspec
import pytest

from sensord.core.cases.case import Case
from sensord.core.cases.damping import Damping
from sensord.core.cases.notification import Notification, Reason
from sensord.core.cases.policy import Mode, Policy, Role, Step
from sensord.core.cases.score import Score, mark
from sensord.core.cases.story import Story
from sensord.core.instant import MINUTE, SECOND
from sensord.core.level import Level
from sensord.core.people.roster import Contact, Person
from sensord.core.site import Site
from tests.core.desk import Desk, told
from tests.core.street import START, definition, grouped, stream_of

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


def case_at(one: Desk, place: str) -> Case:
    """The open case of a place."""
    return next(case for case in one.book.open.values() if case.place == place)


@pytest.mark.parametrize("damping", [Damping(per_hour=1, digest_every=15 * MINUTE), Damping(storm_at=1)])
def test_calls_questions_and_disagreements_are_never_damped(damping: Damping) -> None:
    """Over the budget, and in a storm: whoever is to help, to approve or to follow up hears it at once."""
    one = desk(damping)
    one.alert(0, Level.ORANGE)
    one.alert(1, Level.YELLOW, place="G1-L2")
    case = case_at(one, "G1-L1").id
    for second in (60, 400):
        assert ("值班员-1", "people", "help_needed") in told(one.act(second, "need_help", MINE, case, note="有人昏迷"))
    assert ("值班员-1", "people", "approval_asked") in told(one.act(410, "void", MINE, case, note="误报"))
    one.act(420, "dispersed", MINE, case)
    assert ("值班员-1", "people", "disagreement") in told(one.wait(500))


def test_a_call_for_help_has_room_in_a_robots_minute_and_is_no_line_of_a_digest() -> None:
    """Red and calls may use all of it; one for which even that is too late goes out in its own words when it can."""
    other = msgspec.structs.replace(PEOPLE[0], id="居委干部-3", contacts=(Contact("people", "c1"),))
    one = desk(Damping({"people": 2}), people=(other, PEOPLE[2]))
    one.alert(0, Level.ORANGE)
    one.alert(1, Level.YELLOW, place="G1-L2")
    case = case_at(one, "G1-L1").id
    assert ("居委干部-3", "people", "help_needed") in told(one.act(2, "need_help", "值班员-1", case, note="有人昏迷"))
    story = one.act(10, "need_help", "operator", case, note="快叫救护车")
    assert [hold.receiver for hold in story.decisions.holds] == ["居委干部-3"]
    (held,) = story.decisions.holds
    late = one.wait(200).decisions.notifications
    assert (late[0].key, late[0].reason) == (held.key, Reason.HELP_NEEDED)
    assert "快叫救护车" in late[0].text
    assert late[0].at == START + 60 * SECOND
    assert [len(note.covers) for note in late[1:]] == [1], "the yellow alert that waited comes as a digest"


def test_an_event_counts_once_however_many_contacts_hear_of_it() -> None:
    """Two an hour: two events over both contacts, and the third waits on both."""
    one = desk(Damping(per_hour=2))
    heard = [told(one.alert(second, Level.BLUE, place=place)) for second, place in ((0, "G1-L1"), (1, "G1-L2"))]
    assert heard == [[(MINE, "people", "case_opened"), (MINE, "group", "case_opened")]] * 2
    assert told(one.alert(2, Level.YELLOW, rule="crowd-sum", place="G1")) == []


def test_the_second_way_to_tell_of_an_event_is_free() -> None:
    """The event was counted when the first way was taken; that one did not deliver, and the next is not held for it."""
    ways = (Contact("people", "c1"), Contact("sms", "13800000000", 2 * MINUTE))
    one = desk(Damping(per_hour=1), people=(Person(MINE, "cadre", "G1", ways),))
    one.alert(0, Level.YELLOW)
    assert told(one.wait(130)) == [(MINE, "sms", "not_delivered")]
    assert one.book.state().damped.people == {MINE: [START]}


def test_what_is_graver_than_all_that_somebody_was_told_goes_through() -> None:
    """Lesser alerts use the budget up; a rise of what was told, and what begins or was held at orange, come at once."""
    one = desk(Damping(per_hour=1), people=PEOPLE[1:2], steps=STEPS[:1])
    assert told(one.alert(0, Level.BLUE, place="G2-L1")) != []
    assert told(one.alert(10, Level.YELLOW, place="G2-L2")) == [], "it begins, and is not grave"
    assert told(one.alert(20, Level.YELLOW, place="G2-L1")) != [], "it rises above the blue that was told"
    assert told(one.alert(30, Level.ORANGE, place="G2-L2")) != [], "nothing of it was told"
    one.alert(40, Level.YELLOW, place="G2-L2")
    assert told(one.alert(50, Level.ORANGE, place="G2-L2")) == [], "it stands where it was told"


def test_an_alarm_that_comes_back_is_graver_than_the_calm() -> None:
    """A new round begins: orange is told anew, over the budget or not."""
    one = desk(Damping(per_hour=1), people=PEOPLE[1:2], close="after_report")
    for second, level in ((0, Level.ORANGE), (10, Level.NONE)):
        one.alert(second, level, place="G2-L1")
    assert told(one.alert(20, Level.ORANGE, place="G2-L1")) == [("居委干部-2", "people", "case_relapsed")]


def test_what_waits_for_a_digest_asks_nobody_until_it_goes_out() -> None:
    """No stand-in is called for somebody who was not told; their minutes, and the stand-in's, begin with the digest."""
    one = desk(Damping(per_hour=1, digest_every=10 * MINUTE), steps=STEPS)
    one.alert(0, Level.YELLOW)
    one.act(1, "acknowledge", MINE)
    one.alert(10, Level.YELLOW, place="G1-L2")
    line = case_at(one, "G1-L2").told[MINE]
    assert (line.times, line.silent, line.held) == (0, False, ["2"])
    one.restart()
    assert told(one.wait(609)) == []
    story = one.wait(610)
    assert [note.receiver for note in digests(story)] == [MINE, MINE]
    line = case_at(one, "G1-L2").told[MINE]
    assert (line.times, line.at, line.held, line.level) == (1, START + 610 * SECOND, [], Level.YELLOW)
    assert [case.place for case in story.changed.values()] == ["G1-L2"]
    assert ("居委干部-2", "people", "replacement") in told(one.wait(610 + 180))


def test_the_score_counts_from_when_a_digest_went_out() -> None:
    """Two minutes after the digest are two minutes, though the alert is twelve minutes old."""
    one = desk(Damping(per_hour=1, digest_every=10 * MINUTE))
    one.alert(0, Level.YELLOW)
    one.alert(10, Level.YELLOW, place="G1-L2")
    one.wait(610)
    case = case_at(one, "G1-L2")
    one.act(730, "acknowledge", MINE, case.id)
    assert mark([case], Score()).acknowledged == 1.0


def test_whoever_hears_of_a_case_only_after_its_end_was_never_asked() -> None:
    """The digest says that it is over; it counts as no page."""
    one = desk(Damping(per_hour=1, digest_every=10 * MINUTE))
    one.alert(0, Level.YELLOW)
    one.alert(10, Level.YELLOW, place="G1-L2")
    name = case_at(one, "G1-L2").id
    one.alert(70, Level.NONE, place="G1-L2")
    assert digests(one.wait(620))[0].title == "【汇总 2 条·最高黄色，已解除】"
    ended = one.book.find(name)
    assert ended is not None
    assert mark([ended], Score()).pages == 0


def test_the_second_way_of_a_digest_speaks_of_the_gravest_in_it() -> None:
    """The digest did not get through: one short message, two minutes after it, not one for each that waited."""
    ways = (Contact("people", "c1"), Contact("sms", "13800000000", 2 * MINUTE))
    one = desk(Damping(per_hour=1, digest_every=10 * MINUTE), people=(Person(MINE, "cadre", "G1", ways),))
    (first,) = one.alert(0, Level.BLUE).decisions.notifications
    one.receipt(1, first.key, "sent")
    one.alert(10, Level.BLUE, place="G1-L2")
    one.alert(20, Level.YELLOW, rule="crowd-sum", place="G1")
    assert told(one.wait(600)) == []
    assert [len(note.covers) for note in digests(one.wait(610))] == [2]
    late = one.wait(800).decisions.notifications
    assert [(note.channel, note.place, note.at) for note in late] == [("sms", "G1", START + 730 * SECOND)]


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


def _grids(one: Desk) -> list[tuple[str, set[str]]]:
    """For each digest on the grids' topics: its grid, and the grids of what it covers."""
    found = digests(one.wait(3600))
    return [
        (note.grid, {one.book.find(key.rsplit(":", 3)[0]).grid for key in note.covers})  # type: ignore[union-attr]
        for note in found
        if note.channel == "mqtt"
    ]


TOPICS = tuple(msgspec.structs.replace(person, contacts=(Contact("mqtt"),)) for person in PEOPLE[:2])


def test_a_grids_topic_gets_the_digests_of_that_grid_and_no_others() -> None:
    """Contacts without an address are not one robot for the whole street."""
    one = desk(Damping(storm_at=1, by_grid=("mqtt",)), people=TOPICS)
    for place in ("G1-L1", "G1-L2", "G2-L1", "G2-L2"):
        one.alert(0, Level.YELLOW, place=place)
    assert sorted(_grids(one)) == [("G1", {"G1"}), ("G2", {"G2"})]


def test_what_waited_for_one_robot_is_parted_when_it_turns_out_to_be_several() -> None:
    """The state of a version that knew no grids here: each grid gets its own all the same."""
    one = desk(Damping(storm_at=1), people=TOPICS)
    for place in ("G1-L1", "G1-L2", "G2-L1", "G2-L2"):
        one.alert(0, Level.YELLOW, place=place)
    whole = msgspec.structs.replace(one.definition, damping=Damping(storm_at=1, by_grid=("mqtt",)))
    one.redefine(5, whole)
    assert sorted(_grids(one)) == [("G1", {"G1"}), ("G2", {"G2"})]


def test_a_channel_that_gathers_by_itself_gets_every_message() -> None:
    """Neither budget nor storm; nor does it use up the budget of whoever has it as a contact."""
    watcher = Person("值班员-1", "cadre", "street", (Contact("am", "duty"),))
    one = desk(Damping({}, per_hour=1, storm_at=1, undamped=("am",)), people=(watcher,))
    heard = [told(one.alert(n, level, place=place)) for n, (level, place) in enumerate(_CHANGES)]
    assert [len(story) for story in heard] == [1] * len(_CHANGES)
    assert one.book.state().damped.people == {}


_CHANGES = ((Level.YELLOW, "G1-L1"), (Level.YELLOW, "G1-L2"), (Level.ORANGE, "G1-L2"), (Level.NONE, "G1-L2"))


@pytest.mark.parametrize(("size", "restart_every"), [(500, 0), (7, 3)])
def test_what_is_damped_is_the_same_however_the_journal_is_cut(size: int, restart_every: int) -> None:
    """Groups of another size, and restarts between them, hold and tell the same."""
    whole = _decided(1, 0)
    assert b"held_budget" in whole
    assert b"digest" in whole
    assert _decided(size, restart_every) == whole


def _decided(size: int, restart_every: int) -> bytes:
    street = definition(damping=Damping(per_hour=3, digest_every=MINUTE, by_grid=("mqtt",)))
    site, lines = Site(), list[bytes]()
    for number, group in enumerate(grouped(stream_of(1), [size], street), 1):
        lines.append(site.step(group).decisions())
        if restart_every and number % restart_every == 0:
            site = Site.restored(site.snapshot())
    return b"".join(lines)


@pytest.mark.parametrize(
    "left", [PEOPLE[1:], (msgspec.structs.replace(PEOPLE[0], contacts=(Contact("group"),)), *PEOPLE[1:])]
)
def test_a_digest_goes_to_nobody_who_has_left(left: tuple[Person, ...]) -> None:
    """Whoever is no longer on the roster, or not with that contact, may not read what waited for them; it is said."""
    one = desk(Damping(per_hour=1, digest_every=10 * MINUTE), people=(PEOPLE[0], *PEOPLE[1:]))
    one.alert(0, Level.YELLOW)
    held = one.alert(1, Level.YELLOW, place="G1-L2").decisions.holds
    assert {hold.reason for hold in held} == {Reason.HELD_BUDGET}
    one.redefine(60, msgspec.structs.replace(one.definition, people=left))
    story = one.wait(700)
    assert "people" not in {note.channel for note in digests(story) if note.receiver == MINE}
    assert Reason.HELD_OFF_DUTY in {hold.reason for hold in story.decisions.holds if hold.receiver == MINE}
