"""What is held back, why, and that none of it is lost: mutes, budgets, rates, storms, digests."""

from __future__ import annotations

import random
from collections import Counter

from sensord.core.cases.damping import Damping
from sensord.core.cases.mute import Inhibition, Maintenance
from sensord.core.cases.notification import Notification, Reason
from sensord.core.cases.policy import Policy, Role, Step
from sensord.core.instant import DAY, HOUR, MINUTE, SECOND, parse_instant
from sensord.core.level import Level
from sensord.core.people.duty import Shift
from sensord.core.people.roster import Contact, Person
from sensord.core.place import Place, PlaceKind
from sensord.core.record import Scope
from tests.core.desk import Desk, told
from tests.core.street import START, definition, density_rule, places

CADRE = (Person("居委干部-1", "cadre", "G1", (Contact("people"),)),)
PLAN = (Policy("crowd", {"zh": "聚集"}, (Step(("cadre",)),)),)


def held(story: object) -> list[str]:
    """Why somebody was not told."""
    return [hold.reason.value for hold in story.decisions.holds]  # type: ignore[attr-defined]


def test_a_larger_alarm_inhibits_the_lesser_ones_below_it() -> None:
    """While the grid's alarm stands at orange, its lanes are not told; another grid's are; a worse one is; then all."""
    inhibitions = (Inhibition(("crowd-sum",), ("density",)),)
    desk = Desk(definition(policies=PLAN, inhibitions=inhibitions))
    desk.alert(0, Level.ORANGE, rule="crowd-sum", place="G1")
    assert held(desk.alert(5, Level.YELLOW)) == ["held_inhibited"]
    assert told(desk.alert(6, Level.YELLOW, place="G2-L1")) != []
    assert told(desk.alert(7, Level.RED)) != []
    assert held(desk.alert(8, Level.YELLOW, place="G1-L2")) == ["held_inhibited"]
    desk.alert(20, Level.NONE, rule="crowd-sum", place="G1")
    assert {reason for _, _, reason in told(desk.wait(70))} == {"mute_ended"}


def test_a_muted_alarm_mutes_no_other() -> None:
    """The grid's alarm is silenced itself: its lanes are told, for nobody else says it."""
    desk = Desk(definition(policies=PLAN, inhibitions=(Inhibition(("crowd-sum",), ("density",)),)))
    desk.act(0, "silence", case="s", scope=Scope(rules=("crowd-sum",)), note="试", until=START + HOUR)
    assert held(desk.alert(1, Level.ORANGE, rule="crowd-sum", place="G1")) == ["held_silenced"]
    assert told(desk.alert(5, Level.YELLOW)) != []


def two_of_a_grid() -> Desk:
    """A desk with two rules on grids, of which the sum inhibits those on lanes."""
    kinds = (("density", "lane"), ("sum", "grid"), ("other", "grid"))
    rules = tuple(density_rule(id=name, by=kind) for name, kind in kinds)
    return Desk(definition(policies=PLAN, rules=rules, inhibitions=(Inhibition(("sum",), ("density",)),)))


def test_a_muted_alarm_mutes_no_other_beside_a_graver_one() -> None:
    """Of the case that it stands in people hear, but not of it: the lanes below are told until its silence is over."""
    desk = two_of_a_grid()
    desk.act(0, "silence", case="s", scope=Scope(rules=("sum",)), note="试", until=START + HOUR)
    assert told(desk.alert(1, Level.RED, rule="other", place="G1")) != []
    assert told(desk.alert(2, Level.ORANGE, rule="sum", place="G1")) == []
    assert told(desk.alert(3, Level.YELLOW)) != []
    desk.wait(3600)
    assert held(desk.alert(3601, Level.YELLOW, place="G1-L2")) == ["held_inhibited"]


def test_an_alarm_beside_a_muted_one_mutes_others() -> None:
    """A graver alarm of its case is silenced, and people hear of this one: of the lanes below they need not."""
    desk = two_of_a_grid()
    scope = Scope(rules=("other",), up_to=Level.RED)
    desk.act(0, "silence", case="s", scope=scope, note="试", until=START + HOUR)
    assert told(desk.alert(1, Level.RED, rule="other", place="G1")) == []
    assert told(desk.alert(2, Level.ORANGE, rule="sum", place="G1")) != []
    assert held(desk.alert(3, Level.YELLOW)) == ["held_inhibited"]


def test_two_that_would_mute_each_other_do_not_both_fall_silent() -> None:
    """The second is not told for the first; the first goes on being told."""
    rules = (density_rule(), density_rule(id="queue", dispatch="queue"))
    plans = tuple(Policy(name, {}, (Step(("cadre",), every=5 * MINUTE),)) for name in ("crowd", "queue"))
    inhibitions = (Inhibition(("queue",), ("density",)), Inhibition(("density",), ("queue",)))
    desk = Desk(definition(policies=plans, rules=rules, inhibitions=inhibitions))
    assert told(desk.alert(1, Level.ORANGE)) != []
    assert held(desk.alert(2, Level.ORANGE, rule="queue")) == ["held_inhibited"]
    assert {one.policy for one in desk.wait(700).decisions.notifications} == {"crowd"}


def test_maintenance_recurs_and_never_hides_red() -> None:
    """From six to nine local time nobody hears of the lane; red is told; the window's end tells the rest."""
    window = Maintenance(
        "market", Scope(places=("G1",)), Shift("market", 360, 540), START + 30 * DAY, "街道值班-01", "早市"
    )
    desk = Desk(definition(policies=PLAN, maintenance=(window,)))
    seven, nine = ((parse_instant(f"2023-11-16 {at}") - START) // SECOND for at in ("07:00", "09:00"))
    assert held(desk.alert(seven, Level.YELLOW)) == ["held_maintenance"]
    assert told(desk.alert(seven + 1, Level.RED, place="G1-L2")) != []
    assert told(desk.wait(nine - 1)) == []
    assert {reason for _, _, reason in told(desk.wait(nine))} == {"mute_ended"}
    assert told(desk.alert(nine + 5, Level.YELLOW, place="G2-L1")) != []


def test_a_silence_for_one_person_holds_only_theirs() -> None:
    """The other people of the plan hear it."""
    desk = Desk(definition(policies=(Policy("crowd", {}, (Step(("volunteer", "cadre")),)),)))
    scope = Scope(people=("志愿者-1",))
    desk.act(0, "silence", case="", scope=scope, note="家中有事", until=START + HOUR)
    story = desk.alert(5, Level.YELLOW)
    assert {receiver for receiver, _, _ in told(story)} == {"居委干部-1"}
    assert [(hold.receiver, hold.reason.value) for hold in story.decisions.holds] == [("志愿者-1", "held_silenced")]


def test_over_the_budget_comes_one_digest_but_never_for_red_or_police() -> None:
    """Two messages an hour to a cadre; the third waits for the digest; red and the police do not."""
    roles = (Role("cadre", {"zh": "干部"}, {}), Role("police", {"zh": "派出所"}, {}, unlimited=True))
    plan = (Policy("crowd", {"zh": "聚集"}, (Step(("cadre", "police")),)),)
    damping = Damping(per_hour=2, digest_every=10 * MINUTE)
    people = (*CADRE, Person("派出所-1", "police", "street", (Contact("people", "p"),)))
    desk = Desk(definition(roles=roles, policies=plan, people=people, damping=damping))
    for second in range(4):
        desk.alert(second * 60, (Level.BLUE, Level.NONE)[second % 2])
    story = desk.alert(240, Level.BLUE)
    assert [(hold.receiver, hold.reason.value) for hold in story.decisions.holds] == [("居委干部-1", "held_budget")]
    assert told(story) == [("派出所-1", "people", "case_opened")]
    assert ("居委干部-1", "people", "level_rose") in told(desk.alert(250, Level.RED))
    (digest,) = desk.wait(240 + 600).decisions.notifications
    assert (digest.reason, digest.receiver) == (Reason.DIGEST, "居委干部-1")
    assert digest.covers == (story.decisions.holds[0].key,) or story.decisions.holds[0].key in digest.covers
    assert told(desk.alert(4000, Level.NONE)) != []


def test_a_digest_tells_the_ledgers_of_all_that_it_covers() -> None:
    """Its receipt is the receipt of every message in it."""
    desk = Desk(definition(policies=PLAN, people=CADRE, damping=Damping(per_minute={"people": 2})))
    desk.alert(0, Level.BLUE)
    desk.alert(1, Level.BLUE, place="G1-L2")
    (digest,) = desk.wait(31).decisions.notifications
    desk.receipt(33, digest.key, "sent")
    lines = [case.told["居委干部-1"].sent_at for case in desk.book.open.values()]
    assert lines == [0, START + 33 * SECOND]


def _many_lanes(count: int) -> tuple[Place, ...]:
    lanes = (
        Place(f"{grid}-X{n}", PlaceKind.LANE, f"{n}弄", "", f"{grid}-1", f"C{grid[1]}")
        for n in range(count)
        for grid in ("G1", "G2")
    )
    return (*places(), *lanes)


def test_five_thousand_alerts_in_a_minute() -> None:
    """The first red is out at once, no robot speaks more than 15 times a minute, and no message is lost."""
    damping = Damping(per_minute={"people": 15}, storm_at=300)
    plan = (Policy("crowd", {"zh": "聚集"}, (Step(("volunteer", "cadre")), Step(("police",), Level.RED))),)
    desk = Desk(definition(places=_many_lanes(2500), policies=plan, damping=damping))
    dice = random.Random(4)
    sent: list[Notification] = []
    wanted: set[str] = set()
    first_red = 0
    for number in range(5000):
        level = Level.RED if number == 2500 or dice.random() < 0.01 else Level(dice.randint(1, 3))
        place = f"G{1 + number % 2}-X{number // 2}"
        story = desk.alert(number * 60 // 5000, level, place=place)
        sent += story.decisions.notifications
        wanted |= {hold.key for hold in story.decisions.holds if hold.key}
        if level is Level.RED and not first_red:
            first_red = START + number * 60 // 5000 * SECOND
    sent += desk.wait(1200).decisions.notifications
    red = next(one for one in sent if one.level is Level.RED and one.reason is not Reason.DIGEST)
    assert red.at - first_red <= 5 * SECOND
    covered = [key for one in sent for key in one.covers]
    assert set(covered) == wanted
    assert len(covered) == len(wanted) > 9000
    assert len({one.key for one in sent}) == len(sent)
    robots = Counter(f"{one.channel} {one.address}" for one in sent if one.channel == "people")
    assert robots
    for robot in robots:
        instants = [one.at for one in sent if f"{one.channel} {one.address}" == robot]
        assert all(later - first >= MINUTE for first, later in zip(instants, instants[15:], strict=False))
    digests = [one for one in sent if one.reason is Reason.DIGEST]
    assert all(len(one.text) < 600 for one in digests), "one line per group"
    assert len(desk.book.open) == 5000
