"""What is said of readings that wait: facts for those who ask, and a page when it lasts."""

from __future__ import annotations

from concurrent.futures import Future
from types import SimpleNamespace
from typing import cast

import msgspec
import pytest

from sensord.core.cases.notice import Notice, Trouble
from sensord.core.instant import SECOND
from sensord.core.record import Record
from sensord.errors import UnavailableError
from sensord.ingest.clock import ArrivalClock
from sensord.ingest.committer import Reserve
from sensord.supervisor import LATE, Conditions, Troubles
from sensord.telemetry.health import Health
from sensord.telemetry.metrics import PrometheusMeter


class Parts:
    """Committer, backlog and lane in one, as the test says."""

    blocked, seconds, pressed, open, missing, unkept = False, 0.0, False, False, "", ""

    def __init__(self) -> None:
        self.reserve = Reserve()


class Submitted:
    """What was submitted, as the queue to the committer takes it, or refuses it."""

    def __init__(self) -> None:
        self.notices, self.futures, self.refuses = list[tuple[Trouble, bool]](), list[Future[int]](), False

    def __call__(self, record: Record, _timeout: float) -> Future[int]:
        """Take a record, or do not."""
        if self.refuses:
            raise UnavailableError("the queue is full")
        notice = msgspec.json.decode(record.payload, type=Notice)
        self.notices.append((notice.trouble, notice.active))
        self.futures.append(Future())
        return self.futures[-1]


def test_readings_that_are_late_for_long_are_told_of_until_nothing_waits() -> None:
    """A few seconds are nobody's business; once it was said, it is over when we are pressed no more."""
    parts, health, meter, clock, said = Parts(), Health(), PrometheusMeter(), ArrivalClock(), list[tuple[bool, bool]]()
    noticed = list[bool]()

    def submit(record: Record, _timeout: float) -> Future[int]:
        notice = msgspec.json.decode(record.payload, type=Notice)
        assert notice.trouble is Trouble.BROKER_BEHIND
        noticed.append(notice.active)
        return Future()

    troubles = Troubles(submit, clock, meter, {})
    conditions = Conditions(health, troubles, parts, parts, parts, meter, clock=clock, applied=clock)  # type: ignore[arg-type]
    for parts.seconds, parts.pressed in ((0.0, False), (LATE - 1, True), (LATE + 1, True), (2.0, True), (0.5, False)):
        parts.open = parts.pressed
        conditions.state()
        fact = health.ready()[1]["facts"]["readings"]  # type: ignore[index]
        said.append((fact["ok"], "the newest go ahead" in fact["detail"]))
    assert said == [(True, False), (True, True), (False, True), (True, True), (True, False)]
    assert noticed == [True, False]
    assert meter.value("troubles_total", trouble="broker-behind") == 1


def test_pages_that_wait_for_long_are_a_fact() -> None:
    """Two minutes are given; the channel is named."""
    parts, health, meter, now = Parts(), Health(), PrometheusMeter(), 10**18
    clock = cast("ArrivalClock", lambda: now)
    troubles = Troubles(lambda _record, _timeout: Future(), clock, meter, {})
    conditions = Conditions(health, troubles, parts, parts, parts, meter, clock=clock, applied=clock)  # type: ignore[arg-type]
    seen = list[object]()
    for waits in (0, 119, 121):
        conditions.state_outbox({"desk": now - waits * SECOND, "other": 0})
        seen.append(health.ready()[1]["facts"]["channels"])  # type: ignore[index]
    assert seen == [{"ok": True, "detail": ""}] * 2 + [{"ok": False, "detail": "a page for desk waits for 121 s"}]
    assert meter.value("outbox_oldest_seconds", channel="desk") == 121


def test_a_sink_that_gets_no_further_is_told_of() -> None:
    """After ten minutes, by its name, whatever holds it up; and it is over as soon as it moves."""
    parts, health, clock, meter = Parts(), Health(), ArrivalClock(), PrometheusMeter()
    since, submit = {"rollups": 1.0, "influxdb": 0.0}, Submitted()
    troubles = Troubles(submit, clock, meter, {})
    several = health, troubles, parts, parts, parts, meter
    conditions = Conditions(*several, clock=clock, applied=clock, stalled=lambda: since)  # type: ignore[arg-type]
    seen = list[object]()
    for since["influxdb"] in (599.0, 600.0, 0.0):
        conditions.state()
        seen.append(health.ready()[1]["facts"]["series"])  # type: ignore[index]
    good = {"ok": True, "detail": ""}
    assert seen == [good, {"ok": False, "detail": "sink influxdb gets no further for 600 s"}, good]
    assert submit.notices == [(Trouble.SERIES_STALLED, True), (Trouble.SERIES_STALLED, False)]
    assert meter.value("sink_stalled_seconds", sink="rollups") == 1


def test_a_broker_that_is_away_is_told_of_after_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is started anew is nobody's business; a street that nobody sees is, until the connection is back."""
    parts, clock, submit, now, here = Parts(), ArrivalClock(), Submitted(), [0.0], [False]
    monkeypatch.setattr("sensord.supervisor.time", SimpleNamespace(monotonic=lambda: now[0]))
    troubles = Troubles(submit, clock, PrometheusMeter(), {})
    several = Health(), troubles, parts, parts, parts, PrometheusMeter()
    conditions = Conditions(*several, clock=clock, applied=clock, connected=lambda: here[0])  # type: ignore[arg-type]
    told = list[int]()
    for now[0], here[0] in ((59.0, False), (60.0, True), (119.0, False), (120.0, False), (200.0, False), (201.0, True)):
        conditions.state()
        told.append(len(submit.notices))
    assert told == [0, 0, 0, 1, 1, 2]
    assert submit.notices == [(Trouble.BROKER_AWAY, True), (Trouble.BROKER_AWAY, False)]


def test_a_missing_permission_is_a_fact() -> None:
    """With the line that the access list lacks; it is good again once it is there."""
    parts, health, clock, meter = Parts(), Health(), ArrivalClock(), PrometheusMeter()
    troubles = Troubles(lambda _record, _timeout: Future(), clock, meter, {})
    conditions = Conditions(health, troubles, parts, parts, parts, meter, clock=clock, applied=clock)  # type: ignore[arg-type]
    seen = list[object]()
    for parts.missing in ("topic readwrite linfen/echo/+", ""):
        conditions.state()
        seen.append(health.ready()[1]["facts"]["fresh"])  # type: ignore[index]
    assert seen == [{"ok": False, "detail": "topic readwrite linfen/echo/+"}, {"ok": True, "detail": ""}]


def test_a_full_disk_says_whether_people_are_still_told_of_crowds() -> None:
    """As long as there is a reserve; then that is a trouble of its own, and no fact says that the newest go ahead."""
    parts, health, clock, meter = Parts(), Health(), ArrivalClock(), PrometheusMeter()
    submit = Submitted()
    troubles = Troubles(submit, clock, meter, {})
    conditions = Conditions(health, troubles, parts, parts, parts, meter, clock=clock, applied=clock)  # type: ignore[arg-type]
    parts.blocked = parts.pressed = parts.open = True
    said = list[tuple[str, bool]]()
    for left in (12 << 20, 0):
        parts.reserve.look(left)
        conditions.state()
        facts = health.ready()[1]["facts"]
        said.append((facts["journal"]["detail"], "go ahead" in facts["readings"]["detail"]))  # type: ignore[index]
    wait = "the disk is full: readings wait at the broker, "
    assert said == [
        (wait + "and the newest go on from 12 MiB of reserve (lasts: as long as nobody else takes it)", True),
        (wait + "nobody is told of new crowds; free some space now", False),
    ]
    parts.blocked = False
    conditions.state()
    on, off = (Trouble.DISK_FULL, True), (Trouble.DISK_FULL, False)
    assert submit.notices == [on, (Trouble.DISK_RESERVE_USED, True), off, (Trouble.DISK_RESERVE_USED, False)]


def test_a_clock_that_was_set_and_a_journal_that_was_cut_are_told_of() -> None:
    """Beyond a minute, either way, and from the first day given up; each is a fact and a trouble."""
    wall, cut, submit = 10**18, 0, Submitted()
    parts, health, meter = Parts(), Health(), PrometheusMeter()
    clock = ArrivalClock(0, lambda: wall, lambda: 0)
    clock.arrival()

    troubles = Troubles(submit, clock, meter, {})
    conditions = Conditions(
        health,
        troubles,
        parts,  # type: ignore[arg-type]
        parts,  # type: ignore[arg-type]
        parts,  # type: ignore[arg-type]
        meter,
        clock=clock,
        applied=clock,
        given_up=lambda: cut,
    )
    seen = list[tuple[object, object]]()
    for off, cut in ((59, 0), (61, 0), (-61, 2), (0, 2)):  # noqa: B007  # ``given_up`` reads it
        wall = 10**18 + off * 10**9
        conditions.state()
        facts = health.ready()[1]["facts"]
        seen.append((facts["clock"]["ok"], facts["keeping"]["ok"]))  # type: ignore[index]
    assert seen == [(True, True), (False, True), (False, False), (True, False)]
    clock_on, clock_off = (Trouble.HOST_CLOCK, True), (Trouble.HOST_CLOCK, False)
    assert submit.notices == [clock_on, (Trouble.JOURNAL_CUT, True), clock_off]


def test_a_journal_that_cannot_be_kept_up_is_a_fact() -> None:
    """With the reason; it is good again once what is past its keeping goes."""
    parts, health, clock, meter = Parts(), Health(), ArrivalClock(), PrometheusMeter()
    troubles = Troubles(lambda _record, _timeout: Future(), clock, meter, {})
    conditions = Conditions(health, troubles, parts, parts, parts, meter, clock=clock, applied=clock)  # type: ignore[arg-type]
    seen = list[object]()
    for parts.unkept in ("journal.db: is malformed", ""):
        conditions.state()
        seen.append(health.ready()[1]["facts"]["keeping"])  # type: ignore[index]
    said = "what is past its keeping cannot be deleted: journal.db: is malformed"
    assert seen == [{"ok": False, "detail": said}, {"ok": True, "detail": ""}]


ENDS, BEGINS = (Trouble.JOURNAL_DAMAGED, False), (Trouble.JOURNAL_DAMAGED, True)


def test_each_loss_that_a_start_finds_is_told_of() -> None:
    """Though the core takes the one before for active, or does not know of it yet: that is over, and this begins."""
    submit = Submitted()
    troubles = Troubles(submit, ArrivalClock(), PrometheusMeter(), {Trouble.JOURNAL_DAMAGED: True})
    troubles.lose((), damaged=True)
    troubles.find(Trouble.STATE_LOST)
    assert submit.notices == [ENDS, BEGINS, (Trouble.STATE_LOST, False), (Trouble.STATE_LOST, True)]
    troubles.go_on()
    troubles.report(Trouble.STATE_LOST, True)
    assert len(submit.notices) == 4, "said once"
    troubles.report(Trouble.STATE_LOST, False)
    assert submit.notices[4:] == [(Trouble.STATE_LOST, False)]


def test_a_loss_is_forgotten_when_it_is_durably_said_and_not_before() -> None:
    """The queue takes nothing, then the commit fails; what was found is kept for the next start until it is said."""
    submit, forgotten = Submitted(), list[str]()
    submit.refuses = True
    troubles = Troubles(submit, ArrivalClock(), PrometheusMeter(), {Trouble.JOURNAL_DAMAGED: True})
    troubles.lose((), damaged=True, then=lambda: forgotten.append("told"))
    submit.refuses = False
    troubles.go_on()
    assert submit.notices == [ENDS, BEGINS]
    for future in submit.futures:
        future.set_exception(UnavailableError("the disk is full"))
    assert forgotten == []
    troubles.go_on()
    assert submit.notices == [ENDS, BEGINS] * 2
    for future in submit.futures[2:]:
        future.set_result(7)
    troubles.go_on()
    assert (forgotten, len(submit.notices)) == (["told"], 4)


def test_what_could_not_be_journaled_is_said_again() -> None:
    """A change whose commit failed was not said."""
    submit = Submitted()
    troubles = Troubles(submit, ArrivalClock(), PrometheusMeter(), {})
    troubles.report(Trouble.DISK_FULL, True)
    submit.futures[0].set_exception(UnavailableError("the disk is full"))
    troubles.report(Trouble.DISK_FULL, True)
    assert submit.notices == [(Trouble.DISK_FULL, True)] * 2


def test_series_that_were_stuck_are_so_until_a_sink_gets_on() -> None:
    """A start proves nothing: that it is over is said once a sink has got further since."""
    submit, parts, stalled, unproven = Submitted(), Parts(), 0.0, True
    troubles = Troubles(submit, ArrivalClock(), PrometheusMeter(), {Trouble.SERIES_STALLED: True})
    conditions = Conditions(
        Health(),
        troubles,
        parts,  # type: ignore[arg-type]
        parts,  # type: ignore[arg-type]
        parts,  # type: ignore[arg-type]
        PrometheusMeter(),
        clock=ArrivalClock(),
        applied=ArrivalClock(),
        stalled=lambda: {"influxdb": stalled},
        unproven=lambda: unproven,
    )
    conditions.state()
    stalled = 3600.0
    conditions.state()
    assert submit.notices == []
    stalled, unproven = 0.0, False
    conditions.state()
    assert submit.notices == [(Trouble.SERIES_STALLED, False)]


def test_a_state_that_is_still_being_made_again_is_no_other_loss() -> None:
    """The starts between, before all of it is made again, tell nobody that it is over and has begun anew."""
    submit = Submitted()
    Troubles(submit, ArrivalClock(), PrometheusMeter(), {}).lose_state(lost=True, anew=True)
    assert submit.notices == [(Trouble.STATE_LOST, False), (Trouble.STATE_LOST, True)]
    Troubles(submit, ArrivalClock(), PrometheusMeter(), {Trouble.STATE_LOST: True}).lose_state(lost=True, anew=False)
    assert len(submit.notices) == 2
    Troubles(submit, ArrivalClock(), PrometheusMeter(), {Trouble.STATE_LOST: True}).lose_state(lost=False, anew=False)
    assert submit.notices[2:] == [(Trouble.STATE_LOST, False)]


def test_what_could_not_be_handled_is_told_of_once() -> None:
    """As long as it is said; another one after that is told of again."""
    parts, health, meter, clock, said = Parts(), Health(), PrometheusMeter(), ArrivalClock(), Submitted()
    troubles, failed, facts = Troubles(said, clock, meter, {}), [""], list[object]()
    more = {"clock": clock, "applied": clock, "failed": lambda: failed[0]}
    conditions = Conditions(health, troubles, parts, parts, parts, meter, **more)  # type: ignore[arg-type]
    for failed[0] in ("", "density:G1-L1 (KeyError)", "density:G1-L1 (KeyError)", "", "G1-L2-crowd (KeyError)"):
        conditions.state()
        facts.append(health.ready()[1]["facts"]["handling"]["ok"])  # type: ignore[index]
    assert facts == [True, False, False, True, False]
    assert said.notices == [(Trouble.HANDLING_FAILED, active) for active in (True, False, True)]
