"""The core as a whole on vehicles: replay equals live however the journal is cut, and no plate leaves it."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensord.core.alert import Vehicle
from sensord.core.cases.damping import Damping
from sensord.core.cases.notification import PLATE, Notification
from sensord.core.instant import HOUR, MINUTE, SECOND
from sensord.core.people.roster import Contact
from sensord.core.record import Group, Record, RecordKind
from sensord.core.rules.rule import Clear
from sensord.core.site import Site, Step, definition_record
from sensord.core.snapshot import unseal
from sensord.core.token import word
from sensord.core.vehicles import trackerstate
from sensord.core.vehicles.plate import PlateRead
from sensord.core.vehicles.pseudonym import Pseudonymiser, check_value
from sensord.core.vehicles.sighting import Identifier
from sensord.core.vehicles.tally import SLOT
from sensord.core.vehicles.tracking import KeyArea, PlateAreas, PlateKey, Watched
from sensord.errors import PlateKeyError
from tests.core.street import grouped
from tests.core.traffic import (
    KEYS,
    PLATES,
    SECRETS,
    START,
    definition,
    passage,
    site,
    ticks,
    token,
    told,
    wild,
)

Inside = dict[tuple[int, str], tuple[int, int]]
Outcome = tuple[list[bytes], Counter[tuple[object, ...]], Inside, Counter[tuple[str, str]]]


def outcome(records: list[Record], sizes: list[int], restart_every: int = 0) -> Outcome:
    """Everything decided on the records, what passed, who was inside, and what was counted."""
    following, steps = Site(None, SECRETS), list[Step]()
    for number, group in enumerate(grouped(records, sizes, definition()), 1):
        steps.append(following.step(group))
        if restart_every and number % restart_every == 0:
            following = Site.restored(following.snapshot(), SECRETS)
    lines = [line for step in steps for line in step.decisions().splitlines()]
    # One step may bring several kinds; each kind has an order of its own.
    kinds = (b'"change":', b'"happening":', b'"receiver":')
    passed = Counter[tuple[object, ...]]()
    for step in steps:
        for one in step.passages:
            passed[one.start, one.gate, one.direction, one.sort, one.province, one.energy] += one.count
    counts = sum((Counter(step.counts) for step in steps), Counter[tuple[str, str]]())
    return (
        [line for kind in kinds for line in lines if kind in line],
        passed,
        {(one.at, one.compound): (one.inside, one.unsure) for step in steps for one in step.occupancy},
        counts,
    )


@pytest.fixture(scope="module")
def whole() -> dict[int, Outcome]:
    """The reference: one record a group."""
    return {seed: outcome(wild(seed), [1]) for seed in (1, 2)}


def test_the_stretch_is_wild_enough(whole: dict[int, Outcome]) -> None:
    """Every kind of rule has something to say in it, and every pairing occurs."""
    lines, passed, occupancy, counts = whole[1]
    raised = Counter(msgspec.json.decode(line)["rule"] for line in lines if b'"change":"raised"' in line)
    assert set(raised) >= {"out-of-town", "key-area", "overstay", "first-seen", "roaming", "cloned", "nearly-full"}
    pairings = {"merged", "entered", "left", "missed_entry", "missed_exit", "anonymous"}
    assert pairings <= {outcome for stream, outcome in counts if stream == "visit"}
    assert sum(passed.values()) > 250
    # Those from elsewhere are counted by city, those from here and those without a letter by province.
    assert {"苏E", "皖K", "粤B", "沪", ""} <= {str(kind[4]) for kind in passed}
    assert not {"苏", "沪A"} & {str(kind[4]) for kind in passed}
    quarters = {at for at, _ in occupancy}
    assert len(occupancy) == 3 * len(quarters)
    assert {later - earlier for earlier, later in pairwise(sorted(quarters))} == {SLOT}


@pytest.mark.parametrize("size", [7, 500, 20_000])
@pytest.mark.parametrize("seed", [1, 2])
def test_batch_sizes_do_not_matter(whole: dict[int, Outcome], seed: int, size: int) -> None:
    """Groups of 1, 7, 500 and 20,000 records give the same decisions and the same numbers."""
    assert outcome(wild(seed), [size]) == whole[seed]


@given(sizes=st.lists(st.integers(1, 900), min_size=1, max_size=8), restart=st.integers(4, 20))
@settings(max_examples=1)
def test_any_cut_and_any_restart(whole: dict[int, Outcome], sizes: list[int], restart: int) -> None:
    """Any sequence of group sizes, with a snapshot and restore at any rhythm, gives the same."""
    assert outcome(wild(2), sizes, restart) == whole[2]


def test_a_changed_definition_keeps_who_is_inside() -> None:
    """New lists and thresholds come into force, and the vehicles inside stay inside."""
    following = site()
    changed = definition(plates=PlateAreas(("沪",), (KeyArea("苏E"),)), rules=definition().rules[:3])
    records = [passage("C1-N", START, "苏E24680"), definition_record(changed, START + MINUTE)]
    records += [passage("C2-N", START + HOUR, "苏E24681")]
    steps = [following.step(group) for group in grouped(records, [1])]
    assert following.tracker.presence.compounds["C1"].inside == 1
    assert [one.rule for step in steps for one in step.transitions if one.change == "raised"][-1] == "key-area"


def notifications(records: list[Record], **changes: object) -> list[Notification]:
    """What is told of some records."""
    following = site(**changes)
    last = records[-1].received_at
    groups = grouped([*records, *ticks(last + MINUTE, last + SECOND, 5 * SECOND)], [1])
    return [one for group in groups for one in following.step(group).notifications]


def test_everybody_sees_as_much_of_a_plate_as_they_may() -> None:
    """Police get a mark that becomes the plate on delivery, cadres a mask, volunteers nothing."""
    told = [one for one in notifications([passage("C1-N", START, "皖K13579")]) if one.reason == "case_opened"]
    texts = {one.role: one.text for one in told}
    assert set(texts) == {"volunteer", "cadre", "police"}
    assert "皖K·**579（安徽阜阳）" in texts["cadre"]
    assert "579" not in texts["volunteer"]
    assert "安徽" not in texts["volunteer"]
    assert f"{PLATE}（安徽阜阳）" in texts["police"]
    assert {one.role: one.vehicle for one in told} == {
        "volunteer": None,
        "cadre": None,
        "police": Vehicle(word(token("皖K13579")), "皖K·**579", START),
    }


def test_every_vehicle_is_told_of_while_the_alert_is_active() -> None:
    """Another vehicle at the gate is another message; the same one again within the clearing time is none."""
    hold = {"clear": Clear((0.0,), MINUTE), "each": True}
    rules = tuple(msgspec.structs.replace(one, **hold) for one in definition().rules if one.id == "out-of-town")
    seconds = {0: "苏E24680", 10: "粤B24681", 20: "苏E24680", 30: "沪A12345", 50: "粤B24681", 85: "苏E24680"}
    passages = [passage("C1-N", START + second * SECOND, plate) for second, plate in seconds.items()]
    told = [one for one in notifications(passages, rules=rules) if one.role == "cadre"]
    assert [(one.reason.value, one.text.partition("·")[0][-2:]) for one in told] == [
        ("case_opened", "苏E"),
        ("another_vehicle", "粤B"),
        ("another_vehicle", "苏E"),
    ]


def test_a_digest_names_the_vehicles_of_its_messages() -> None:
    """Over budget, three strangers come as one message: police get three marks to be filled, cadres three masks."""
    hold = {"clear": Clear((0.0,), MINUTE), "each": True}
    rules = tuple(msgspec.structs.replace(one, **hold) for one in definition().rules if one.id == "key-area")
    plates = ["皖K13579", "皖K24680", "皖K11223", "皖K44556", "皖K24680"]
    passages = [passage("C1-N", START + nth * 5 * SECOND, plate) for nth, plate in enumerate(plates)]
    damping = Damping(per_hour=1, digest_every=30 * SECOND)
    people = tuple(msgspec.structs.replace(one, contacts=(Contact("people", one.id),)) for one in definition().people)
    told = notifications(passages, rules=rules, damping=damping, people=people)
    digests = {one.role: one for one in told if one.covers}
    police, cadre, volunteer = (digests[role] for role in ("police", "cadre", "volunteer"))
    assert [one.id for one in police.vehicles] == [word(token(plate)) for plate in plates[1:4]]
    assert (police.text.count(PLATE), cadre.vehicles, PLATE in cadre.text) == (3, (), False)
    assert all(mask in cadre.text for mask in ("皖K·**680", "皖K·**223", "皖K·**556"))
    assert "皖K" not in volunteer.text


@pytest.mark.parametrize(
    ("readings", "raised"),
    [([0.97], 1), ([0.6], 0), ([0.6, 0.7], 1), ([0.6, 0.95], 1)],
    ids=["sure", "one in doubt", "two that agree", "doubt, then sure"],
)
def test_one_doubtful_reading_calls_nobody_a_stranger(readings: list[float], raised: int) -> None:
    """A rule that asks for certainty hears of a vehicle that was read surely once, or alike twice."""
    rules = tuple(one for one in definition().rules if one.id == "key-area")
    passages = [passage("C1-N", START + nth * SECOND, "皖K13579", "in", sure) for nth, sure in enumerate(readings)]
    following = site(rules=rules)
    steps = [following.step(group) for group in grouped([*passages, *ticks(START + MINUTE, START + 9 * SECOND)], [1])]
    assert sum(one.change == "raised" for step in steps for one in step.transitions) == raised


def test_a_watched_vehicle_is_found_by_its_pseudonym() -> None:
    """The watch list names a pseudonym, and only while its entry is valid."""
    entry = Watched(word(token("沪A12345")), START, START + HOUR)
    plates = PlateAreas(("沪",), (), (entry,))
    rules = tuple(rule for rule in definition().rules if rule.id == "watched")

    def raised(at: int, plate: str) -> int:
        return len(notifications([passage("C1-N", at, plate)], plates=plates, rules=rules))

    assert raised(START, "沪A12345") > 0
    assert raised(START, "沪A12346") == 0
    assert raised(START + HOUR, "沪A12345") == 0


@pytest.mark.parametrize("latest_first", [False, True])
def test_a_vehicle_that_is_listed_twice_is_watched_under_either_entry(latest_first: bool) -> None:
    """Whichever stands last in the file: each entry counts for as long as it is valid, and not in between."""
    entries = [Watched(word(token("沪A12345")), START + since, START + since + HOUR) for since in (0, 3 * HOUR)]
    areas = PlateAreas(watch=tuple(entries[::-1] if latest_first else entries))
    identifier = Identifier(areas, Pseudonymiser(KEYS, 0, SECRETS))

    def listed(at: int) -> str:
        return identifier.see(PlateRead("沪A12345", 0.97), START + at).labels["list"]

    assert [listed(hours * HOUR) for hours in (0, 1, 3, 4)] == ["watch", "other", "watch", "other"]


def test_the_watch_list_outlives_a_rotation_for_the_overlap() -> None:
    """A pseudonym under the former key is found until the overlap ends, and one under the new key from then on, too."""
    old, new = (PlateKey(name, since, check_value(SECRETS[name])) for name, since in (("k1", 0), ("k2", START)))
    of_old, of_new = (word(Pseudonymiser((key,), 0, SECRETS).identify("沪A12345", START).token) for key in (old, new))

    def listed(vehicle: str, at: int) -> str:
        who = Pseudonymiser((old, new), HOUR, SECRETS)
        seen = Identifier(PlateAreas(watch=(Watched(vehicle),)), who).see(PlateRead("沪A12345", 0.97), at)
        return seen.labels["list"]

    assert [listed(of_old, START + at) for at in (-1, 0, HOUR - 1, HOUR)] == ["watch", "watch", "watch", "other"]
    assert [listed(of_new, START + at) for at in (-1, 0, HOUR)] == ["other", "watch", "watch"]


def test_nothing_that_is_stored_or_told_holds_a_plate() -> None:
    """State, decisions and counts of a wild stretch hold no plate, in whatever form."""
    following = Site(None, SECRETS)
    written = b""
    for group in grouped(wild(1), [50], definition()):
        step = following.step(group)
        written += step.decisions() + msgspec.json.encode([step.passages, step.dead, step.cases])
    written += unseal(following.snapshot())
    assert b"\xe7\x9a\x96K\xc2\xb7**579" in written  # the mask of one of them: this is where a plate would be
    for plate in filter(None, PLATES):
        assert plate.encode() not in written
        assert plate[1:].encode() not in written


@pytest.mark.parametrize("way", ["mqtt", "rest", "link", "cli"])
def test_a_plate_in_a_note_goes_no_further_than_the_journal(way: str) -> None:
    """The note is in the case's story without the plate, whichever way it came, and so in the saved state."""
    following = site()
    opened = [
        step for step in told([passage("C1-N", START, "皖K13579"), *ticks(START + MINUTE)], following) if step.cases
    ]
    case, at = opened[0].cases[0].id, START + HOUR
    notes = [("need_help", "沪A12345车主已联系"), ("false_alarm", "同前，ＷＪ沪1234Ｊ")]
    if way == "cli":  # others may not silence
        notes.append(("silence", "沪 A·D12345 的事"))

    def said(verb: str, note: str, nth: int) -> Record:
        about = case if verb != "silence" else "quiet"
        told = {"verb": verb, "note": note, "until": at + HOUR, "scope": {"rules": ["key-area"]}}
        if way == "mqtt":
            topic = f"t/commands/by/居委干部-1/{about}"
            return Record(RecordKind.MESSAGE, at + nth, topic, msgspec.json.encode(told))
        action = {**told, "case": about, "by": "居委干部-1", "via": way}
        return Record(RecordKind.ACTION, at + nth, "", msgspec.json.encode(action))

    steps = told([said(verb, note, nth) for nth, (verb, note) in enumerate(notes)], following)
    assert all(outcome.accepted for step in steps for outcome in step.outcomes)
    written = b"".join(step.decisions() + msgspec.json.encode(step.cases) for step in steps) + unseal(
        following.snapshot()
    )
    assert "***车主已联系".encode() in written
    assert way != "cli" or "*** 的事".encode() in written
    for plate in ("A12345", "D12345", "1234J", "ＷＪ"):
        assert plate.encode() not in written


def test_without_the_keys_a_journal_is_not_replayed() -> None:
    """A missing or another secret is refused in words, before anything is decided otherwise."""
    with pytest.raises(PlateKeyError, match="k1 is missing"):
        Site(definition())
    with pytest.raises(PlateKeyError, match="k1 is not the one"):
        Site(definition(), {"k1": bytes(32)})
    with pytest.raises(PlateKeyError):
        Site(None, {}).step(grouped(wild(1)[:3], [5], definition())[0])
    with pytest.raises(PlateKeyError):
        Site.restored(site().snapshot())


def test_a_lenient_site_goes_on_without_the_keys() -> None:
    """The running daemon must tell of crowds: vehicles are sorted, nobody is followed, and it is said why."""
    whole, records = definition(), wild(1)[:200]
    keyless = Site(None, {}, lenient=True)
    steps = [keyless.step(group) for group in grouped(records, [5], whole)]
    assert "k1 is missing" in keyless.unkeyed
    assert sum(amount for step in steps for amount in step.counts.values()) >= len(records) - 20
    assert not any(step.occupancy for step in steps)
    assert "not the one" in Site.restored(site().snapshot(), {"k1": bytes(32)}, lenient=True).unkeyed
    assert Site.restored(site().snapshot(), SECRETS, lenient=True).unkeyed == ""


def test_without_keys_vehicles_are_forgotten() -> None:
    """Live, where the keys were lost, and replayed, with keys, the core is the same from the new definition on."""
    records, whole = wild(2), definition()
    off = msgspec.structs.replace(whole, plate_keys=())
    lost, kept = Site(None, {}, lenient=True), Site(None, SECRETS)
    for one in (lost, kept):
        for group in grouped(records[:100], [7], whole):
            one.step(group)
        one.step(Group(1000, (definition_record(off, records[100].received_at),)))
    assert trackerstate.save(lost.tracker) == trackerstate.save(kept.tracker)
    assert (lost.tracker.on, kept.tracker.on, lost.unkeyed) == (False, False, "")
