"""What comes ahead of its turn counts once, and what it overtook is history; nobody's clock is misread for it."""

from __future__ import annotations

import json
import random
from collections import Counter

import pytest

from sensord.core.batch import CLOCK_SUSPECT
from sensord.core.instant import SECOND
from sensord.core.intake.intake import Intake
from sensord.core.intake.repeats import AHEAD, RANGES, Number, Repeats
from sensord.core.place import Places
from sensord.core.record import Group, Record, RecordKind
from sensord.core.site import Site, definition_record
from tests.core.street import START, definition

CROWD = "t/C1/crowd/crowd-0"
Heard = list[tuple[float, float, str]]


def message(at: float, body: dict[str, int], *, ahead: bool = False) -> Record:
    """A message of the lane's sensor that arrives so many seconds after the start."""
    return Record(RecordKind.MESSAGE, START + round(at * SECOND), CROWD, json.dumps(body).encode(), ahead=ahead)


def stamped(said: float, at: float, count: int, *, ahead: bool = False, **number: int) -> Record:
    """The same, with a stamp."""
    return message(at, {"count": count, "at": START // 10**6 + round(said * 1000), **number}, ahead=ahead)


class Ear:
    """An intake, and what came of each message: when it was true (s after the start), how many people, the verdict."""

    def __init__(self) -> None:
        self.whole = definition()
        self.intake = Intake(self.whole, Places(self.whole.places, self.whole.devices))
        self.heard: Heard = []
        self.gaps = 0
        self.counts = Counter[str]()
        self.suspect = list[bool]()

    def hear(self, *records: Record) -> Heard:
        """Take messages one by one; returns what came of these."""
        before = len(self.heard)
        for record in records:
            out = self.intake.decode((record,), record.received_at)
            self.gaps += sum(out.gaps.values()) - sum(out.filled.values())
            outcome = "/".join(sorted(outcome for _, outcome in out.counts if outcome != "clock_suspect"))
            self.counts[outcome] += 1
            for row in range(len(out.batch)):
                at = (int(out.batch.event_at[row]) - START) / SECOND
                self.heard.append((at, float(out.batch.fields["count"][row]), outcome))
                self.suspect.append(bool(out.batch.flags[row] & CLOCK_SUSPECT))
        return self.heard[before:]


def test_a_numbered_message_counts_once_and_what_it_overtook_is_late() -> None:
    """Ahead it counts as any other; what it overtook is true no later than it came, and its own turn is a repeat."""
    ear = Ear()
    ear.hear(message(0, {"count": 1, "boot": 1, "seq": 0}))
    assert ear.hear(message(10, {"count": 90, "boot": 1, "seq": 9}, ahead=True)) == [(10, 90, "accepted")]
    backlog = [message(30 + seq / 10, {"count": seq, "boot": 1, "seq": seq}) for seq in range(1, 10)]
    assert ear.hear(*backlog) == [(10, seq, "late") for seq in range(1, 9)]
    assert ear.hear(message(31, {"count": 7, "boot": 1, "seq": 10})) == [(31, 7, "accepted")]
    assert (ear.gaps, ear.counts["duplicate"]) == (0, 1)


def test_each_overtaken_message_is_bound_by_the_first_that_overtook_it() -> None:
    """Between two that came ahead, the second one says when at the latest."""
    ear = Ear()
    for at, seq in ((0, 0), (10, 10), (20, 20)):
        ear.hear(message(at, {"count": 1, "boot": 1, "seq": seq}, ahead=seq > 0))
    assert ear.hear(*(message(40, {"count": 1, "boot": 1, "seq": seq}) for seq in (1, 9, 11, 19))) == [
        (10, 1, "late"),
        (10, 1, "late"),
        (20, 1, "late"),
        (20, 1, "late"),
    ]


@pytest.mark.parametrize("numbered", [True, False])
def test_a_stamped_backlog_keeps_its_own_times_and_teaches_nothing(numbered: bool) -> None:
    """The clock's offset is learnt from what came ahead; a backlog in its usual pace is not taken for a set clock."""
    ear = Ear()

    def say(said: float, at: float, seq: int, *, ahead: bool = False) -> Record:
        number = {"boot": 1, "seq": seq} if numbered else {}
        return stamped(said, at, seq, ahead=ahead, **number)

    ear.hear(*(say(second - 100, second, second) for second in range(20)))
    for second in range(40, 80):
        ear.hear(say(second - 100, second, second, ahead=True), say(second - 120, second, second - 20))
    assert ear.heard[:20] == [(-100, 0, "late"), *((second, second, "accepted") for second in range(1, 20))]
    ahead, behind = ear.heard[20::2], ear.heard[21::2]
    assert ahead[:20] == [(second, second, "accepted") for second in range(40, 60)]
    assert behind[:20] == [(second, second, "late") for second in range(20, 40)]
    assert not any(ear.suspect[3:]), "until then it is not known that the clock is behind"
    assert (len(ear.heard), ear.counts["duplicate"], ear.gaps) == (20 + 40 + 20, 20, 0)


def test_a_later_boot_overtakes_all_of_an_earlier_one() -> None:
    """A device that restarted within the backlog: what it said before is older than what came ahead."""
    ear = Ear()
    ear.hear(message(0, {"count": 1, "boot": 1, "seq": 0}), message(9, {"count": 2, "boot": 2, "seq": 5}, ahead=True))
    assert ear.hear(message(20, {"count": 3, "boot": 1, "seq": 1})) == [(9, 3, "late")]
    assert ear.hear(*(message(21, {"count": 4, "boot": 2, "seq": seq}) for seq in range(7))) == [
        *((9, 4, "late") for _ in range(5)),
        (21, 4, "accepted"),
    ]


def test_what_could_not_be_told_apart_from_a_new_message_waits_for_its_turn() -> None:
    """Without number and stamp it is left, and counts when its turn comes, each time."""
    ear = Ear()
    assert ear.hear(message(1, {"count": 5}, ahead=True)) == []
    assert ear.hear(message(9, {"count": 5}), message(10, {"count": 5})) == [(9, 5, "accepted"), (10, 5, "accepted")]


def test_what_a_message_left_out_by_coming_ahead_is_filled_in_its_turn() -> None:
    """In the end only what never came is missing."""
    ear = Ear()
    ear.hear(*(message(seq, {"count": 1, "boot": 1, "seq": seq}, ahead=seq == 9) for seq in (0, 9)))
    ear.hear(*(message(20, {"count": 1, "boot": 1, "seq": seq}) for seq in range(1, 12) if seq != 4))
    assert ear.gaps == 1


def test_a_backlog_raises_and_clears_nothing_out_of_order() -> None:
    """A crowd that is told of ahead stands while the quiet before it drains."""
    site = Site()
    site.step(Group(1, (definition_record(definition(), START),)))
    active, seq = list[int](), 1
    for second in range(1, 60):
        records = [message(second, {"count": 200, "boot": 1, "seq": 1000 + second}, ahead=True)]
        records += [message(second, {"count": 0, "boot": 1, "seq": 20 * second + part}) for part in range(20)]
        seq += 1
        site.step(Group(seq, tuple(record for record in records if record.ahead or second < 45)))
        active.append(len([alert for alert in site.engine.active() if alert.rule == "density"]))
    raised = active.index(max(active))
    assert max(active) > 0
    assert set(active[raised:]) == {max(active)}


def test_what_is_remembered_is_bounded() -> None:
    """Of a long time ahead some marks are forgotten, the first one never; holes are bounded as ever."""
    repeats = Repeats()
    for number in range(RANGES):
        assert repeats.numbered(1, 10 * number)[0] is Number.FURTHER
        repeats.lead(1, 10 * number, number + 1)
    leads = repeats.windows[0].leads
    assert len(leads) <= AHEAD
    assert leads[0] == (0, 1)
    assert repeats.overtaken(1, 10 * (RANGES - 1) - 1) == RANGES
    assert leads == [(10 * (RANGES - 1), RANGES)]
    assert not any(repeats.await_content(identity) for identity in range(3 * AHEAD))
    assert len(repeats.awaited) == AHEAD
    assert repeats.content(3 * AHEAD - 1)
    assert len(repeats.awaited) == AHEAD - 1


@pytest.mark.parametrize("size", [1, 7, 100, 1000])
def test_replay_is_the_same_whatever_the_groups_and_restarts(size: int) -> None:
    """Messages at random ahead of their turn: the same decisions and points in time, saved and restored in between."""
    assert _decisions(size, restart=size > 1) == _decisions(50, restart=False)


def _decisions(size: int, *, restart: bool) -> bytes:
    dice, records, waiting = random.Random(5), list[Record](), list[Record]()
    for number in range(900):
        at, count = number / 5, dice.choice((0, 1, 150))
        said = stamped(at, at, count, boot=1, seq=number) if number % 2 else stamped(at, at, count)
        if number > 200 and dice.random() < 0.3:
            records.append(Record(0, said.received_at, said.topic, said.payload, ahead=True))
        waiting.append(said)
        while waiting and (number < 200 or number > 600 or dice.random() < 0.4):
            late = waiting.pop(0)
            records.append(Record(0, said.received_at, late.topic, late.payload))
            if not waiting:
                break
    site, decided = Site(), b""
    decided += site.step(Group(1, (definition_record(definition(), START),))).decisions()
    for place in range(0, len(records), size):
        decided += site.step(Group(place + 2, tuple(records[place : place + size]))).decisions()
        if restart:
            site = Site.restored(site.snapshot())
    return decided
