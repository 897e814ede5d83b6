"""The core at work: what it shows, and when it renews that."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from sensord.core.cases.caseflow import Flow
from sensord.core.failure import Failure, Part
from sensord.core.instant import HOUR, SECOND
from sensord.core.level import Level
from sensord.core.record import Action, Record, RecordKind, Scope
from sensord.core.rules.absence import AbsenceRule
from sensord.core.rules.engine import Engine
from sensord.core.rules.rule import Aggregate, Clear, LevelSpec, Value
from sensord.core.site import Site, Step, action_record, definition_record
from sensord.drivers.failures import AGAIN, MOST, SHOWN, Heard
from sensord.drivers.live import LiveCore
from sensord.store.journal import Journal
from sensord.store.state import StateStore
from sensord.telemetry.metrics import PrometheusMeter
from tests.core.failing import fail
from tests.core.street import START, definition, density_rule, devices, message
from tests.ingest.support import Beats
from tests.support import wait_until


class Pressed:
    """As the test says."""

    pressed = True


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """A journal that begins with a definition."""
    opened = Journal(tmp_path / "journal")
    opened.append([definition_record(definition(), START)])
    yield opened
    opened.close()


@pytest.fixture
def core(journal: Journal, tmp_path: Path) -> Iterator[LiveCore]:
    """A core that follows it; it runs once the test starts it."""
    with ExitStack() as stack:
        state = StateStore(tmp_path)
        stack.callback(state.close)
        made = LiveCore(journal.reader(), state, PrometheusMeter(), Beats(), on_outcomes=lambda _told: None)
        stack.callback(made.stop)
        yield made


def test_what_is_shown_gives_way_while_more_comes_in_than_is_taken(
    journal: Journal, core: LiveCore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pressed, it is renewed once in a while only, and as ever when that is over."""
    pressure, glances, seconds = Pressed(), list[float](), [1000.0]
    monkeypatch.setattr("sensord.drivers.live.time.monotonic", lambda: seconds[0])
    monkeypatch.setattr(core, "_glance", lambda: glances.append(seconds[0]))
    core.pressure = pressure
    for number in range(20):
        seconds[0] += 1.0
        pressure.pressed = number < 12
        journal.append([Record(RecordKind.MESSAGE, START + number, "no/topic/of/ours", b"a dead letter")])
        core._turn()  # one turn of the thread, without the thread
    assert glances == [1001.0, 1006.0, 1011.0, *(1016.0 + number for number in range(5))]


def test_an_answer_is_given_once_what_it_says_is_shown(
    journal: Journal, core: LiveCore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever hears that there is a silence finds it, however long a look takes, and pressed or not."""
    glance, seconds, shown = core._glance, [1000.0], list[list[str]]()

    def slow() -> None:
        seconds[0] += 0.1
        glance()

    monkeypatch.setattr("sensord.drivers.live.time.monotonic", lambda: seconds[0])
    monkeypatch.setattr(core, "_glance", slow)
    monkeypatch.setattr(core, "_on_outcomes", lambda _told: shown.append([one.id for one in core.standing.silences]))
    core.pressure = Pressed()
    core._turn()
    silence = Action("silence", "fair", "operator", "api:desk", "试", START + HOUR, Scope(("G1",)))
    seq = journal.append([action_record(silence, START)])
    core._turn()
    assert (shown, core.decided) == ([], {})
    seconds[0] += 1.1
    core._turn()
    assert shown == [["fair"]]
    assert [one.verdict for one in core.decided[seq]] == ["silenced"]
    assert core._state.applied == seq


def test_a_stop_gives_the_answers_that_wait(journal: Journal, core: LiveCore, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was decided is said, also when nothing more is shown."""
    told = list[str]()
    monkeypatch.setattr(core, "_on_outcomes", lambda outcomes: told.extend(one.verdict for one in outcomes))
    monkeypatch.setattr("sensord.drivers.live.GLANCES", 1e9)
    core._turn()
    journal.append([action_record(Action("unsilence", "fair", "operator", "api:desk"), START)])
    core._turn()
    assert told == []
    core.start()
    core.stop()
    assert told == ["unknown_silence"]


def test_what_is_held_is_counted_by_its_reason(journal: Journal, core: LiveCore) -> None:
    """A silence on the grid, then a crowd in it: nobody is told, and that shows."""
    silence = Action(
        "silence", "", "operator", "api:desk", "试", START + 3600 * SECOND, Scope(("G1",), up_to=Level.RED)
    )
    journal.append([action_record(silence, START)])
    for second in range(60):
        record = Record(RecordKind.MESSAGE, START + second * SECOND, "t/C1/crowd/crowd-1", b'{"count": 900}')
        journal.append([record])
    core.start()
    wait_until(lambda: core.groups_behind == 0)
    assert isinstance(core._meter, PrometheusMeter)
    assert core._meter.value("messages_held_total", reason="held_silenced") > 0


def test_how_far_it_is_behind_is_known(journal: Journal, core: LiveCore) -> None:
    """In groups and seconds; nothing once it has caught up, however long nothing comes."""
    assert core.groups_behind == 1
    core.start()
    wait_until(lambda: core.groups_behind == 0)
    assert core.behind == 0.0
    core.stop()
    journal.append([Record(RecordKind.TICK, START + 1)])
    assert core.groups_behind == 1
    assert core.behind > 0


@pytest.mark.usefixtures("in_service")
def test_a_case_that_cannot_be_handled_is_logged_counted_and_said(
    journal: Journal, core: LiveCore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The core goes on; for an hour it says what failed. A start that steps it again says so, too."""
    plate = "沪A12345"

    def mistaken(*_: object) -> None:
        raise KeyError(plate)

    monkeypatch.setattr(Flow, "raised", mistaken)
    for second in range(60):
        record = Record(RecordKind.MESSAGE, START + second * SECOND, "t/C1/crowd/crowd-1", b'{"count": 900}')
        journal.append([record])
    with capture_logs() as logs:
        while core.groups_behind:
            core._turn()
    assert "could not be handled (KeyError)" in core.failed
    (first, *_) = [entry for entry in logs if entry["event"].startswith("something could not be handled")]
    assert (first["log_level"], first["why"]) == ("error", "KeyError")
    assert "in _take" in first["trace"]
    assert plate not in str(first)
    assert isinstance(core._meter, PrometheusMeter)
    assert core._meter.value("failures_total", part="case") > 0
    again = LiveCore(journal.reader(), core._state, core._meter, Beats(), on_outcomes=lambda _told: None)
    again.recover()
    assert again.failed == core.failed
    later = time.monotonic() + SHOWN + 1
    monkeypatch.setattr("sensord.drivers.failures.time.monotonic", lambda: later)
    assert core.failed == ""


@pytest.mark.usefixtures("in_service")
def test_a_rule_that_fails_again_and_again_ends_nothing(
    journal: Journal, core: LiveCore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each time is counted, the log has it once in a while; a start comes to the same, and to the same state."""

    def mistaken(*_: object) -> None:
        raise KeyError

    monkeypatch.setattr(AbsenceRule, "evaluate", mistaken)
    for second in range(90):
        record = Record(RecordKind.MESSAGE, START + second * SECOND, "t/C1/crowd/crowd-1", b'{"count": 900}')
        journal.append([record, Record(RecordKind.TICK, START + second * SECOND + 1)])
    with capture_logs() as logs:
        while core.groups_behind:
            core._turn()
    assert isinstance(core._meter, PrometheusMeter)
    count = core._meter.value("failures_total", part="rule")
    assert count > 20
    assert (
        core.failed == "the rule silent failed (KeyError) and began anew; watch its places, and report it with the log"
    )
    said = [entry for entry in logs if entry["event"].startswith("something could not be handled")]
    assert [(entry["what"], entry["unlogged"]) for entry in said] == [("silent", 0)]
    assert "G1-L2" in {case.place for case in core.site.book.open.values()}
    core._apply(Step(core.position, core.site.engine.now))
    again = LiveCore(journal.reader(), core._state, core._meter, Beats(), on_outcomes=lambda _told: None)
    again.recover()
    assert again.failed == core.failed
    assert again.site.snapshot() == core.site.snapshot()
    assert core._meter.value("failures_total", part="rule") == 2 * count


@pytest.mark.usefixtures("in_service")
def test_a_state_that_cannot_be_made_keeps_nobody_from_hearing(
    journal: Journal, core: LiveCore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Positions are saved, alerts come, it is said; the next one that can be made is saved, and a start goes by it."""

    def mistaken(*_: object) -> bytes:
        raise KeyError

    with monkeypatch.context() as patch:
        patch.setattr(Site, "snapshot", mistaken)
        for second in range(60):
            journal.append(
                [Record(RecordKind.MESSAGE, START + second * SECOND, "t/C1/crowd/crowd-1", b'{"count": 900}')]
            )
        core._snapshot_interval = 0.0
        with capture_logs():
            while core.groups_behind:
                core._turn()
    assert [case.place for case in core.site.book.open.values() if case.rule == "density"] == ["G1-L2"]
    assert (
        core.failed == "the core's state cannot be saved (KeyError): a start will take longer; report it with the log"
    )
    assert isinstance(core._meter, PrometheusMeter)
    assert core._meter.value("failures_total", part="state") > 0
    assert isinstance(core._state, StateStore)
    assert (core._state.applied, core._state.snapshot_seq) == (core.position, 0)
    core._save()
    again = LiveCore(journal.reader(), core._state, PrometheusMeter(), Beats(), on_outcomes=lambda _told: None)
    again.recover()
    assert again.site.snapshot() == core.site.snapshot()


def test_the_log_is_not_flooded_with_what_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same comes again after ten minutes, with how often it came; only so many things are told apart."""
    now, meter = [1000.0], PrometheusMeter()
    monkeypatch.setattr("sensord.drivers.failures.time.monotonic", lambda: now[0])
    heard, failure = Heard(meter), Failure(Part.RULE, "density", START, "KeyError")
    with capture_logs() as logs:
        for now[0] in (1000.0, 1001.0, 1002.0, 1001.0 + AGAIN):
            heard.hear([failure])
        heard.hear(Failure(Part.MESSAGE, f"t/{number}", START, "KeyError") for number in range(2 * MOST))
    assert [entry["unlogged"] for entry in logs if entry["what"] == "density"] == [0, 2]
    assert len(logs) == 2 + MOST - 1
    assert meter.value("failures_total", part="message") == 2 * MOST
    now[0] += AGAIN
    with capture_logs() as logs:
        heard.hear([Failure(Part.MESSAGE, "t/another", START, "KeyError")])
    assert [entry["what"] for entry in logs] == ["t/another"]
    assert heard.said == "a message of t/another could not be read (KeyError); report it with the log"


def test_what_an_occupancy_had_to_be_corrected_by_is_shown(core: LiveCore, journal: Journal) -> None:
    """More left than had come in: the number stays at zero, and the metric says by how many it was wrong."""
    rule = density_rule(
        value=Value(Aggregate.OCCUPANCY, anchor=4 * HOUR),
        window=10 * SECOND,
        every=10 * SECOND,
        levels=(LevelSpec(Level.YELLOW, 8.0),),
        clear=Clear((0.0,), 0),
    )
    whole, device = definition(rules=(rule,)), devices()[0]
    body: dict[str, object] = {"count": 0, "enter": 1, "exit": 2}
    left = [message(device, START + second * SECOND, body) for second in range(10, 60, 10)]
    ends = Record(RecordKind.TICK, START + 100 * SECOND)
    journal.append([definition_record(whole, START + 1), *left, ends])
    core._turn()
    core._glance()  # however busy the machine is
    assert b'sensord_occupancy_drift{rule="density"} 5.0' in core._meter.text()  # type: ignore[attr-defined]


@pytest.mark.usefixtures("in_service")
def test_it_says_which_definition_holds(journal: Journal, core: LiveCore, monkeypatch: pytest.MonkeyPatch) -> None:
    """After each group that brings one: a new one, one that cannot be read, one over which it fails."""
    heard = list[tuple[int, str]]()
    core.on_definition = lambda seq, version: heard.append((seq, version))
    first, new = definition(), definition(rules=definition().rules[1:])
    journal.append([Record(RecordKind.DEFINITION, START + 1, "", b"no definition")])
    journal.append([Record(RecordKind.MESSAGE, START + 2, "no/topic/of/ours", b"a dead letter")])
    core._turn()  # one turn of the thread, without the thread
    assert heard == [(1, first.version), (2, first.version)]
    with monkeypatch.context() as patch:
        patch.setattr(Engine, "carry_over", fail)
        journal.append([definition_record(new, START + 3)])
        core._turn()
    journal.append([definition_record(new, START + 4)])
    core._turn()
    assert heard[2:] == [(4, first.version), (5, new.version)]
