"""How far behind we are: echoes by a clock that the test turns, and through a real session."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from sensord.config.settings import Mqtt
from sensord.ingest.backlog import AHEAD_OF_CORE, CLOSE, HOPELESS, OPEN, Backlog, Echoes
from sensord.telemetry.metrics import PrometheusMeter
from tests.ingest.support import MemoryJournal, Stage
from tests.support import wait_until
from tests.support.broker import Mosquitto, ScriptedBroker


class Clock:
    """Seconds, as the test sets them."""

    now = 0.0

    def __call__(self) -> float:
        """Return them."""
        return self.now


class Core:
    """A core that is as far behind as the test says."""

    behind, groups_behind = 0.0, 0


def _echo(echoes: Echoes) -> int:
    payload = echoes.next()
    assert payload is not None
    echoes.taken(number := echoes.number(payload))
    return number


def test_the_oldest_echo_that_is_out_tells_how_long_readings_wait() -> None:
    """Those that come back take all before them along: an echo that the broker has lost is not waited for for ever."""
    clock = Clock()
    echoes = Echoes(clock)
    numbers = list[int]()
    for second in range(10):
        clock.now = second
        numbers.append(_echo(echoes))
    assert echoes.age == 9
    echoes.returned(numbers[0])
    assert echoes.age == 8
    echoes.returned(numbers[4])
    assert echoes.age == 4
    echoes.returned(numbers[-1])
    assert echoes.age == 0


@pytest.mark.parametrize("payload", [b"", b"1 1", b"soon", b"\xff\xfe", b"9 9 9"])
def test_an_echo_of_another_run_is_none_of_ours(payload: bytes) -> None:
    """It may have waited at the broker since before a restart; nor does anybody else's word count."""
    assert Echoes().number(payload) == 0


@pytest.mark.parametrize("number", [b"9" * 5000, "²".encode(), b"-1", b"1_0", b"+1", b"2", b""])
def test_a_number_that_no_echo_of_ours_has_is_none(number: bytes) -> None:
    """Our run is no secret to whoever may read the topic; neither is a word of thousands of digits."""
    echoes = Echoes()
    payload = echoes.next()
    assert payload is not None
    run, _, _ = payload.partition(b" ")
    assert echoes.number(run + b" " + number) == 0
    assert echoes.number(payload) == 1


def test_what_is_waited_for_is_bounded() -> None:
    """After two hours no more are sent; the oldest still tells."""
    clock = Clock()
    echoes = Echoes(clock)
    while (payload := echoes.next()) is not None:
        echoes.taken(echoes.number(payload))
        clock.now += 1
    assert echoes.age == clock.now == 7200
    echoes.forget()
    assert echoes.age == 0
    assert echoes.next() is not None


def test_pressed_begins_late_and_ends_late() -> None:
    """Broker and core together; between the two limits it stays as it was."""
    clock, core, meter = Clock(), Core(), PrometheusMeter()
    echoes = Echoes(clock)
    backlog, seen = Backlog(echoes, core, meter, lambda: True), list[bool]()
    number = _echo(echoes)
    for clock.now, core.behind in ((OPEN - 1, 0.5), (OPEN - 1, 1.5), (OPEN - 1, 0.0), (OPEN + 9, 0.0)):
        backlog.look()
        seen.append(backlog.pressed)
    echoes.returned(number)
    for core.behind in (CLOSE + 0.5, CLOSE - 0.5, CLOSE + 0.5):
        backlog.look()
        seen.append(backlog.pressed)
    assert seen == [False, True, True, True, True, False, False]
    assert meter.value("reading_age_seconds") == CLOSE + 0.5


def test_a_broker_that_hangs_or_is_away_is_no_backlog() -> None:
    """An echo counts from when it was taken, and not beyond the end of the connection; then it is measured anew."""
    clock, link, meter = Clock(), SimpleNamespace(up=True), PrometheusMeter()
    echoes, seen = Echoes(clock), list[float]()
    backlog = Backlog(echoes, Core(), meter, lambda: link.up)
    payload = echoes.next()
    assert payload is not None
    for clock.now, link.up in ((40.0, True), (41.0, False), (600.0, True)):
        backlog.look()
        seen.append(backlog.seconds)
    echoes.taken(echoes.number(payload))  # it hung before it was away: what was sent then tells nothing
    waits = _echo(echoes)
    for clock.now, link.up in ((605.0, True), (640.0, False), (900.0, True)):
        backlog.look()
        seen.append(backlog.seconds)
    echoes.returned(waits)
    echoes.taken(_echo(echoes))
    clock.now += 2
    backlog.look()
    assert (*seen, backlog.seconds) == (0, 0, 0, 5, 0, 0, 2)


def test_an_echo_may_be_back_before_it_is_known_to_be_taken() -> None:
    """The broker answers one connection and hands it out on another: whichever is heard first."""
    echoes = Echoes(clock := Clock())
    payload = echoes.next()
    assert payload is not None
    echoes.returned(number := echoes.number(payload))
    echoes.taken(number)
    clock.now = 50
    assert echoes.age == 0


def test_readings_are_held_only_while_that_helps() -> None:
    """Pressed, and the core has enough to do; not when it works off an old journal, where nothing would be gained."""
    core = Core()
    backlog, held = Backlog(Echoes(), core, PrometheusMeter(), lambda: True), list[bool]()
    for core.behind, core.groups_behind in ((0.0, 9), (OPEN + 1, AHEAD_OF_CORE), (OPEN + 1, 9), (HOPELESS, 9)):
        backlog.look()
        held.append(backlog.holds())
    assert held == [False, False, True, False]


def test_an_echo_is_back_when_what_came_before_it_is_durable(broker: Mosquitto) -> None:
    """It waits in the session like a reading, is acknowledged in its turn, and leaves nothing in the journal."""
    echoes, journal = Echoes(), MemoryJournal()
    journal.gate.clear()
    with Stage(Mqtt(port=broker.port), journal=journal, echoes=echoes) as stage:
        wait_until(lambda: stage.receiver.connected)
        payload = echoes.next()
        assert payload is not None
        echoes.taken(echoes.number(payload))
        broker.publish_all([("linfen/c1/crowd/d1", b"before"), ("linfen/echo/sensord", payload)])
        assert journal.entered.wait(10)
        assert echoes.age > 0
        journal.gate.set()
        wait_until(lambda: echoes.age == 0)
        assert journal.payloads == [b"before"]
        wait_until(lambda: len(broker.log_lines("Received PUBACK from sensord")) == 2)


def test_a_broker_that_refuses_the_echo_still_gets_our_readings_session() -> None:
    """Only a subscription that we cannot do without is a reason to be not connected."""
    with ScriptedBroker(3, then=(135,)) as broker, Stage(Mqtt(port=broker.port)) as stage:
        wait_until(lambda: stage.receiver.connected)
