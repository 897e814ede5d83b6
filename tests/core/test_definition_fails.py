"""A mistake of ours over a new definition: it is refused, all is as before it, and everybody decides the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from sensord.core.cases.casebook import CaseBook
from sensord.core.failure import Failure, Part
from sensord.core.instant import SECOND
from sensord.core.record import Group, Record, RecordKind
from sensord.core.rules.engine import Engine
from sensord.core.site import Site, definition_record
from tests.core.failing import MistakeError, fail
from tests.core.street import START, definition, grouped, stream_of

pytestmark = pytest.mark.usefixtures("in_service")
AT = START + 200 * SECOND
AFTER = replace(definition(), rules=definition().rules[1:])
"""The first rule, and its alerts, are taken out by it."""
NONE = Record(RecordKind.DEFINITION, AT, "", b"no definition")


def journal(then: Record) -> list[Group]:
    """A wild stretch, and in the middle of it something that is taken by itself."""
    records = sorted([*stream_of(5, 6), then], key=lambda record: record.received_at)
    return grouped(records, [40], definition())


def decided(groups: Sequence[Group], restart_every: int = 0) -> tuple[bytes, list[Failure], Site]:
    """Everything that was decided, and what failed."""
    site, said, failures = Site(), b"", list[Failure]()
    for number, group in enumerate(groups, 1):
        step = site.step(group)
        said, failures = said + step.decisions(), failures + step.failures
        assert {letter.reason for letter in step.dead if not letter.topic} <= {"bad_definition"}
        if restart_every and number % restart_every == 0:
            site = Site.restored(site.snapshot())
    return said, failures, site


def mistaken(whole: Callable[..., Any]) -> Callable[..., Any]:
    """The same, but that it fails over the new definition once it has done what it should."""

    def some(*args: Any, **more: Any) -> Any:
        result = whole(*args, **more)
        if AT in args or AFTER in args:
            raise MistakeError
        return result

    return some


WHERE = {
    "built": (Engine, "__init__"),
    "carried over": (Engine, "carry_over"),
    "withdrawn": (CaseBook, "handed_over"),
    "told": (CaseBook, "begin"),
}


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("restart", [0, 2])
def test_it_is_as_if_it_had_not_come(where: str, restart: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when alerts have been withdrawn by it, and people told: these stand, and nobody is told."""
    wanted, none, alone = decided(journal(NONE))
    assert not none
    owner, name = WHERE[where]
    monkeypatch.setattr(owner, name, mistaken(getattr(owner, name)))
    said, failures, site = decided(journal(definition_record(AFTER, AT)), restart)
    assert [(one.part, one.what, one.at, one.why) for one in failures] == [
        (Part.DEFINITION, "definition", AT, "MistakeError")
    ]
    assert said == wanted
    assert site.snapshot() == alone.snapshot()


def test_a_sound_one_holds_also_when_no_state_can_be_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is nothing to go back to, and nothing to go back from."""
    site = Site()
    site.step(Group(1, (definition_record(definition(), START),)))
    monkeypatch.setattr(Engine, "snapshot", fail)
    step = site.step(Group(2, (definition_record(AFTER, AT),)))
    assert step.definition
    assert [failure.part for failure in step.failures] == [Part.STATE]
    assert site.definition == AFTER
