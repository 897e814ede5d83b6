"""What is kept of open cases beside a state that was made by stepping again: enough to tell of them, and no more."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from sensord.core.cases.policy import Policy, Step
from sensord.core.instant import SECOND
from sensord.core.site import Step as SiteStep
from sensord.core.site import definition_record
from sensord.drivers import again
from sensord.drivers.again import Again
from tests.core.failing import DENSITY, Following, crowd, street, tick
from tests.core.street import START

PLANS = (
    Policy("crowd", {"zh": "聚集"}, (Step(("cadre",)),), close="after_report"),
    Policy("device", {"zh": "设备"}, (Step(("nobody",)),)),
)


def relapses(times: int) -> tuple[Following, list[SiteStep]]:
    """A crowd that comes and goes so often, and that nobody reports on: the steps that tell of its only case."""
    site, steps = Following(DENSITY), list[SiteStep]()
    site.step(definition_record(replace(street(DENSITY), policies=PLANS), START + SECOND))
    for second in range(10, 10 + times * 120, 5):
        steps.append(site.step(crowd(second, 100 if second % 120 < 60 else 0), tick(second + 1)))
    (case,) = site.site.book.open
    return site, [step for step in steps if any(event.case == case for event in step.events)]


def test_of_a_case_that_nobody_closes_its_beginning_and_its_latest_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """However often it relapses; what is read again is what was kept."""
    monkeypatch.setattr(again, "MOST", 10)
    site, steps = relapses(20)
    made, sizes = Again(), list[int]()
    for step in steps:
        made.note(step, site.site.book.open)
        sizes.append(len(made.packed()))
    assert len(steps) > 30
    assert max(sizes) < 2 * sizes[9]
    wanted = steps[:5] + steps[-5:]
    for one in (made, Again.of(made.packed())):
        told = one.unheard(())
        assert [step.seq for step in told] == [step.seq for step in wanted]
        assert b"".join(step.decisions() for step in told) == b"".join(step.decisions() for step in wanted)


def test_of_a_case_with_few_steps_all_is_kept() -> None:
    """In their order."""
    site, steps = relapses(3)
    made = Again()
    for step in steps:
        made.note(step, site.site.book.open)
    assert [step.seq for step in made.unheard(())] == [step.seq for step in steps]
