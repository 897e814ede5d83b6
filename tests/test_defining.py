"""Handing definitions to the journal: each once, in their order, whether the one before is durable yet or not."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sensord.config.load import load
from sensord.core.record import Record
from sensord.defining import Definitions
from sensord.errors import StoreError, UnavailableError
from sensord.telemetry.health import Health

SAMPLE = Path(__file__).parent / "config" / "street" / "sensord.yaml"
ONE = load(SAMPLE).definition
OTHER = msgspec.structs.replace(ONE, district="another")


class Queue:
    """A journal that takes nothing until the test says so."""

    def __init__(self) -> None:
        """Nothing waits."""
        self.waiting: list[Future[int]] = []
        self.closed = False

    def submit(self, record: Record, timeout: float) -> Future[int]:
        """Let it wait."""
        if self.closed:
            raise UnavailableError("closed")
        self.waiting.append(Future())
        return self.waiting[-1]


def test_what_is_in_force_is_not_journaled_again() -> None:
    """At most starts nothing has changed; without one in force the definition is journaled whatever it is."""
    queue = Queue()
    assert Definitions(queue.submit, lambda: 0, ONE.version).hand_over(ONE).durable.done()
    assert queue.waiting == []
    assert not Definitions(queue.submit, lambda: 0, None).hand_over(ONE).durable.done()
    assert len(queue.waiting) == 1


def test_one_that_waits_is_the_newest() -> None:
    """It is not handed over twice, and going back to the one in force is a change, for it will be in force by then."""
    queue = Queue()
    definitions = Definitions(queue.submit, lambda: 0, ONE.version)
    first = definitions.hand_over(OTHER)
    assert definitions.hand_over(OTHER) is first
    assert definitions.hand_over(ONE) is not first
    assert len(queue.waiting) == 2


def test_one_that_was_not_taken_is_tried_again() -> None:
    """A queue without a place keeps nothing."""
    queue = Queue()
    definitions = Definitions(queue.submit, lambda: 0, ONE.version)
    queue.closed = True
    with pytest.raises(UnavailableError):
        definitions.hand_over(OTHER)
    queue.closed = False
    assert not definitions.hand_over(OTHER).durable.done()


def test_one_that_was_not_journaled_is_tried_again() -> None:
    """Nor is what could not be written the newest."""
    queue = Queue()
    definitions = Definitions(queue.submit, lambda: 0, ONE.version)
    definitions.hand_over(OTHER)
    queue.waiting[0].set_exception(StoreError("full"))
    assert not definitions.hand_over(OTHER).durable.done()


@pytest.mark.parametrize("core_first", [False, True])
def test_one_that_the_core_refuses_is_not_in_force(core_first: bool) -> None:
    """Whoever waits for it hears so, and it is journaled again when it is asked for again."""
    queue = Queue()
    definitions = Definitions(queue.submit, lambda: 0, ONE.version)
    handed = definitions.hand_over(OTHER)
    definitions.hear(6, ONE.version)
    if core_first:
        definitions.hear(7, ONE.version)
    queue.waiting[0].set_result(7)
    assert handed.holds.done() == core_first
    definitions.hear(7, ONE.version)
    assert handed.holds.result() is False
    again = definitions.hand_over(OTHER)
    assert again is not handed
    definitions.hear(9, OTHER.version)
    queue.waiting[1].set_result(9)
    assert again.holds.result() is True
    assert definitions.hand_over(OTHER) is again


def test_two_who_know_at_once_say_it_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The core comes to the group while whoever journals it is about to say what the core made of it."""

    class Said(Future[bool]):
        def set_result(self, result: bool) -> None:
            if not came:
                came.append(7)
                definitions.hear(7, OTHER.version)
            super().set_result(result)

    queue, came = Queue(), list[int]()
    definitions = Definitions(queue.submit, lambda: 0, ONE.version)
    monkeypatch.setattr("sensord.defining.Future", Said)
    handed = definitions.hand_over(OTHER)
    queue.waiting[0].set_result(7)
    definitions.hear(7, OTHER.version)
    assert came == [7]
    assert handed.holds.result() is True


def test_whoever_puts_one_into_force_hears_what_the_core_makes_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A core that is far behind says nothing yet, and is not waited for."""
    queue = Queue()
    definitions = Definitions(queue.submit, lambda: 0, ONE.version)

    def asked(seq: int, *heard: str) -> bool:
        def submit(record: Record, timeout: float) -> Future[int]:
            done = queue.submit(record, timeout)
            done.set_result(seq)
            for version in heard:
                definitions.hear(seq, version)
            return done

        monkeypatch.setattr(definitions, "_submit", submit)
        return asyncio.run(definitions.put_into_force(OTHER))

    assert asked(7, ONE.version) is False
    assert asked(8, OTHER.version) is True
    assert asked(9) is True, "it is in force"
    assert len(queue.waiting) == 2
    monkeypatch.setattr("sensord.defining.PATIENCE", 0.0)
    definitions = Definitions(queue.submit, lambda: 0, ONE.version)
    assert asked(10) is True


def rules(health: Health) -> tuple[bool, str]:
    """How the fact stands."""
    facts: Any = health.ready()[1]["facts"]
    return facts["rules"]["ok"], facts["rules"]["detail"]


def test_a_start_says_whether_its_rules_are_durable() -> None:
    """Those before hold until then, and who asks is told so."""
    queue, health = Queue(), Health()
    definitions = Definitions(queue.submit, lambda: 0, ONE.version)
    definitions.begin(OTHER, health)
    assert rules(health) == (False, "the rules of this start wait for the journal; those before hold")
    queue.waiting[0].set_result(7)
    assert rules(health) == (True, "")


@pytest.mark.parametrize("complaint", ["", "refused"])
@pytest.mark.parametrize("core_first", [False, True])
def test_a_start_whose_rules_the_core_refuses_says_so(core_first: bool, complaint: str) -> None:
    """Those before hold, whatever else there is to be said."""
    queue, health = Queue(), Health()
    definitions = Definitions(queue.submit, lambda: 0, ONE.version)
    definitions.begin(OTHER, health, complaint)
    if core_first:
        definitions.hear(7, ONE.version)
    queue.waiting[0].set_result(7)
    definitions.hear(7, ONE.version)
    ok, said = rules(health)
    assert not ok
    assert "refused by a mistake of sensord" in said


def test_the_rules_of_a_refused_start_are_durable_and_yet_not_those_that_people_wrote() -> None:
    """The complaint stays, whether the journal has them already or takes them later."""
    queue, first, second = Queue(), Health(), Health()
    for definition, health in ((ONE, first), (OTHER, second)):
        Definitions(queue.submit, lambda: 0, ONE.version).begin(definition, health, "refused")
    queue.waiting[0].set_result(7)
    assert [rules(first), rules(second)] == [(False, "refused")] * 2


def test_a_start_that_is_durable_at_last_says_nothing_over_a_reload() -> None:
    """On a full disk the rules of a start wait; a reload is refused meanwhile, and that is what holds."""
    queue, health = Queue(), Health()
    Definitions(queue.submit, lambda: 0, ONE.version).begin(OTHER, health)
    health.set_fact("rules", False, "the last reload was refused: crowd.yaml:11:16")
    queue.waiting[0].set_result(7)
    assert rules(health) == (False, "the last reload was refused: crowd.yaml:11:16")
