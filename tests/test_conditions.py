"""What is said of readings that wait: facts for those who ask, and a page when it lasts."""

from __future__ import annotations

from concurrent.futures import Future

import msgspec

from sensord.core.cases.notice import Notice, Trouble
from sensord.core.record import Record
from sensord.ingest.clock import ArrivalClock
from sensord.ingest.committer import Reserve
from sensord.supervisor import LATE, Conditions, Troubles
from sensord.telemetry.health import Health
from sensord.telemetry.metrics import PrometheusMeter


class Parts:
    """Committer, backlog and lane in one, as the test says."""

    blocked, seconds, pressed, open, missing = False, 0.0, False, False, ""

    def __init__(self) -> None:
        self.reserve = Reserve()


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
    noticed = list[tuple[Trouble, bool]]()

    def submit(record: Record, _timeout: float) -> Future[int]:
        notice = msgspec.json.decode(record.payload, type=Notice)
        noticed.append((notice.trouble, notice.active))
        return Future()

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
        (wait + "and the newest go on from 12 MiB of reserve", True),
        (wait + "nobody is told of new crowds; free some space now", False),
    ]
    parts.blocked = False
    conditions.state()
    on, off = (Trouble.DISK_FULL, True), (Trouble.DISK_FULL, False)
    assert noticed == [on, (Trouble.DISK_RESERVE_USED, True), off, (Trouble.DISK_RESERVE_USED, False)]
