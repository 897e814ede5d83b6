"""Who is on duty at an instant: post by post, with ends, stand-ins, and channels that fail."""

from __future__ import annotations

from datetime import date

from sensord.core.instant import parse_instant
from sensord.core.people.duty import Change, ChangeReason, Duty, Rotation, Shift
from sensord.core.people.present import Away, OnDuty, Post, posts
from sensord.core.people.roster import Contact, Person, Roster
from sensord.core.place import Places
from tests.core.street import devices, places

ZONE = "Asia/Shanghai"
WAYS = (Contact("people"), Contact("phone"))
PEOPLE = (
    Person("甲", "cadre", "G1", WAYS, shifts=("day",)),
    Person("乙", "cadre", "G1", WAYS, shifts=("night",)),
    Person("丙", "cadre", "G2", WAYS, shifts=("day",)),
    Person("丁", "volunteer", "G1-1", (Contact("people"),)),
    Person("戊", "duty_officer", "street", (Contact("people"),), shifts=("day", "night")),
)


def at(text: str) -> int:
    """A local time as an instant."""
    return parse_instant(text, ZONE)


DUTY = Duty(
    shifts=(Shift("day", 480, 1200), Shift("night", 1200, 480)),
    rotations=(Rotation("none", "night", ("乙",), date(2026, 1, 1).toordinal()),),
    changes=(
        Change(at("2026-01-07 10:00"), at("2026-01-07 12:00"), ChangeReason.SWAP, "甲", "丙"),
        Change(at("2026-01-08 00:00"), at("2026-01-09 00:00"), ChangeReason.LEAVE, "丙"),
    ),
)


def look(when: str, place: str = "", failing: tuple[tuple[str, str], ...] = ()) -> dict[tuple[str, str], Post]:
    """The posts at a local time, by role and place."""
    where = Places(places(), devices())
    roster = Roster(PEOPLE, where, DUTY, ZONE)
    roster.undeliverable = failing
    return {(post.role, post.place): post for post in posts(roster, where, at(when), place)}


def test_a_shift_ends_and_duty_that_goes_on_does_not() -> None:
    """By day 甲 until evening; 戊 is relieved by nobody: the night is theirs as well."""
    found = look("2026-01-05 09:00")
    cadres = found["cadre", "G1"].people
    assert cadres == (OnDuty("甲", "day", at("2026-01-05 20:00"), "", ("people", "phone"), ()),)
    assert found["duty_officer", "street"].people[0].until == 0
    assert found["volunteer", "G1-1"].people[0].until == 0


def test_who_is_away_and_who_stands_in_is_said() -> None:
    """The one who is away at their post, the one who stands in at theirs, each until the change ends."""
    found = look("2026-01-07 11:00")
    assert found["cadre", "G1"].people == ()
    assert found["cadre", "G1"].away == (Away("甲", "swap", at("2026-01-07 12:00"), "丙"),)
    assert found["cadre", "G1"].next == at("2026-01-07 12:00")
    assert [(one.person, one.stands_in_for) for one in found["cadre", "G2"].people] == [("丙", "甲")]


def test_an_empty_post_says_when_somebody_comes() -> None:
    """At night nobody of G2's cadres is there, and leave covers the next day."""
    post = look("2026-01-07 21:00")["cadre", "G2"]
    assert (post.people, post.next) == ((), at("2026-01-09 08:00"))


def test_failing_channels_are_told_apart() -> None:
    """What is known not to deliver is no way to reach somebody."""
    one = look("2026-01-05 09:00", failing=(("甲", "phone"),))["cadre", "G1"].people[0]
    assert (one.channels, one.failing) == (("people",), ("phone",))


def test_of_a_place_the_posts_that_answer_for_it_come_nearest_first() -> None:
    """Its micro-grid's, its grid's, the street's; not another grid's."""
    assert list(look("2026-01-05 09:00", "G1-1")) == [
        ("volunteer", "G1-1"),
        ("cadre", "G1"),
        ("duty_officer", "street"),
    ]
