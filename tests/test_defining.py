"""Handing definitions to the journal: each once, in their order, whether the one before is durable yet or not."""

from __future__ import annotations

from concurrent.futures import Future
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sensord.config.load import load
from sensord.core.record import Record
from sensord.defining import Definitions
from sensord.errors import UnavailableError
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
    assert Definitions(queue.submit, lambda: 0, ONE.version).hand_over(ONE).done()
    assert queue.waiting == []
    assert not Definitions(queue.submit, lambda: 0, None).hand_over(ONE).done()
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
    assert not definitions.hand_over(OTHER).done()


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
