"""A rule with several levels that tells of each vehicle: of each at every level that it rises to, and of none twice."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from sensord.core.instant import HOUR, MINUTE
from sensord.core.level import Level
from sensord.core.record import Record
from sensord.core.rules.rule import Clear, LevelSpec
from sensord.core.site import Site, definition_record
from tests.core.street import grouped
from tests.core.traffic import SECRETS, START, definition, passage, rule, ticks

LEVELS = (LevelSpec(Level.BLUE, 3.0), LevelSpec(Level.YELLOW, 5.0))
SHORT = replace(
    rule("short", "short_visits", 3.0, {"event": ("passed",), "direction": ("out",)}, by="compound", each=True),
    levels=LEVELS, clear=Clear((0.0, 0.0), HOUR),
)  # fmt: skip
FIRST, OTHER = "粤B24681", "苏E24680"


def visits(plate: str, start: int, count: int) -> Iterator[Record]:
    """A vehicle comes every six minutes, for two; ``start`` in minutes."""
    for number in range(count):
        at = START + (start + number * 6) * MINUTE
        yield passage("C1-N", at, plate)
        yield passage("C1-N", at + 2 * MINUTE, plate, "out")


def said(size: int, *, restart: bool = False, aged: bool = False) -> list[tuple[str, str, str]]:
    """What becomes of two vehicles, the second half an hour after the first: the change, its level, whose it is."""
    records = [*visits(FIRST, 0, 6), *visits(OTHER, 35, 6), *ticks(START + 80 * MINUTE, START)]
    records.sort(key=lambda one: one.received_at)
    following, found = Site(None, SECRETS), list[tuple[str, str, str]]()
    begun = definition_record(definition(rules=(SHORT,)), START - MINUTE)
    for group in grouped([begun, *records], [size]):
        step = following.step(group)
        found += [(one.change, one.level.word, one.vehicle.mask[:2]) for one in step.transitions if one.vehicle]
        if restart:
            following = Site.restored(following.snapshot(), SECRETS)
        if aged:
            _age(following)
    return found


def _age(following: Site) -> None:
    """Leave of the state what earlier versions kept."""
    evaluator = following.engine.evaluator_of("short")
    assert evaluator is not None
    tables = dict(evaluator.tables())
    del tables["met_by"]["level"]
    evaluator.restored({}, tables)


RISES = [("raised", "blue", "粤B"), ("escalated", "yellow", "粤B"), ("another", "blue", "苏E")]


@pytest.mark.parametrize("size", [1, 9])
@pytest.mark.parametrize("restart", [False, True], ids=["on", "restarted"])
def test_a_vehicle_that_rises_to_where_another_stands_is_told_of(size: int, restart: bool) -> None:
    """The fifth visit is yellow whoever made five before; the sixth is no news."""
    assert said(size, restart=restart) == [*RISES, ("another", "yellow", "苏E")]


def test_what_earlier_versions_kept_counts_for_the_level_of_the_alert() -> None:
    """They did not say who had met which level: nobody is told of twice for it."""
    assert said(1, aged=True) == RISES
