"""Findings of inspections: the alert, and so the case, is where the finding was made."""

from __future__ import annotations

import msgspec
import pytest

from sensord.core.instant import HOUR, MINUTE, SECOND
from sensord.core.level import Level
from sensord.core.record import Action, Group, Record, RecordKind, Scope
from sensord.core.rules.rule import Aggregate, Clear, LevelSpec, Rule, Value
from sensord.core.site import Site, action_record, definition_record
from tests.core.street import START, definition, density_rule, devices, message, rules

REPORTER = devices()[5]


def found(*bodies: dict[str, object], **changes: object) -> tuple[Site, list[object]]:
    """A site that has taken these findings, one a second, and what it decided."""
    whole = definition(**changes)
    records = [definition_record(whole, START)]
    records += [
        message(REPORTER, START + number * SECOND, {"severity": "yellow", "seq": number, **body})
        for number, body in enumerate(bodies)
    ]
    site = Site()
    step = site.step(Group(1, tuple(records)))
    return site, [*step.transitions, *step.dead]


def test_a_case_stands_where_the_finding_says() -> None:
    """Two lanes are two cases, each told to who answers for it; without a place it is the device's."""
    site, _ = found({"place": "G2-L1"}, {"place": "G2-L2"}, {}, {"place": "G2-L1", "severity": "red"})
    cases = {case.place: (case.level, case.grid) for case in site.book.open.values() if case.rule == "finding"}
    assert cases == {"G2-L1": (Level.RED, "G2"), "G2-L2": (Level.YELLOW, "G2"), "C2": (Level.YELLOW, "G2")}
    told = {person for case in site.book.open.values() for person in case.told}
    assert told == {"志愿者-2", "居委干部-2", "派出所-1"}


def test_a_finding_elsewhere_is_refused() -> None:
    """A device speaks for its own place and what lies in it, as its topic says; a finding elsewhere is counted."""
    site, came = found({"place": "G1-L1"}, {"place": "nowhere"})
    assert [letter.reason for letter in came] == ["other_place", "other_place"]  # type: ignore[attr-defined]
    assert not [case for case in site.book.open.values() if case.rule == "finding"]


def test_rules_by_a_kind_of_place_count_what_was_found_there() -> None:
    """By lane, a finding counts for the lane that it names, one at the compound for none; ``where`` keeps to it."""
    counting = density_rule(
        id="finding",
        stream=rules()[-2].stream,
        by="lane",
        value=Value(Aggregate.COUNT),
        levels=(LevelSpec(Level.BLUE, 1.0),),
        clear=Clear((0.0,), 0),
        window=MINUTE,
        every=10 * SECOND,
        min_samples=0,
    )
    bodies: list[dict[str, object]] = [
        {"place": "G2-L2"},
        {"place": "G2-L1"},
        {"place": "G2-L2"},
        {},
        {},
        *({} for _ in range(20)),
    ]
    _, came = found(*bodies, rules=(counting,))
    assert [(one.key, one.place, one.value) for one in came] == [("G2-L2", "G2-L2", 2.0)]  # type: ignore[attr-defined]
    narrowed = msgspec.structs.replace(counting, where={"lane": ("G2-L1",)})
    assert found(*bodies, rules=(narrowed,))[1] == []


def each_finding() -> Rule:
    """The rule on findings, telling of each."""
    (rule,) = (one for one in rules() if one.id == "finding")
    return msgspec.structs.replace(rule, each=True, clear=Clear((0.0,) * len(rule.levels), HOUR))


@pytest.mark.parametrize("restart", [False, True], ids=["in one go", "restarted after each"])
def test_every_finding_is_told_however_close(restart: bool) -> None:
    """Three at one instant, of one grade at one place, are three, each with an id of its own."""
    reasons, ids, site = list[str](), set[str](), Site()
    records = [definition_record(definition(rules=(each_finding(),)), START)]
    records += [
        message(REPORTER, START + second * SECOND, {"severity": "yellow", "seq": number, "place": "G2-L1"})
        for number, second in enumerate((10, 10, 10), 1)
    ]
    for number, record in enumerate(records, 1):
        step = site.step(Group(number, (record,)))
        reasons += [one.reason.value for one in step.notifications if one.receiver == "居委干部-2"]
        ids |= {one.id for one in step.transitions}
        if restart:
            site = Site.restored(site.snapshot())
    assert reasons == ["case_opened", "another_alert", "another_alert"]
    assert len(ids) == 3


def test_all_findings_that_came_under_a_silence_are_told_when_it_ends() -> None:
    """None of them stands for another."""
    records = [definition_record(definition(rules=(each_finding(),)), START)]
    scope = Scope(places=("G2",), up_to=Level.RED)
    quiet = Action("silence", "", "operator", "api:desk", "试", START + 5 * MINUTE, scope)
    records.append(action_record(quiet, START + SECOND))
    records += [
        message(REPORTER, START + number * MINUTE, {"severity": "yellow", "seq": number, "place": "G2-L1"})
        for number in (1, 2, 3)
    ]
    records.append(Record(RecordKind.TICK, START + 6 * MINUTE))
    told = Site().step(Group(1, tuple(records))).notifications
    reasons = [one.reason.value for one in told if one.receiver == "居委干部-2"]
    assert reasons == ["mute_ended", "another_alert", "another_alert"]
