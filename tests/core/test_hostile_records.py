"""Whatever comes in over the API or MQTT as an action, a receipt or a finding: the core goes on, and can be saved."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sensord.core.instant import DAY, SECOND
from sensord.core.level import Level
from sensord.core.record import Action, Delivery, Group, Receipt, Record, RecordKind, Scope, Verb
from sensord.core.site import Site, action_record, definition_record, receipt_record
from tests.core.street import START, definition

NOW = START + 100 * SECOND
_KNOWN = st.sampled_from(["", "G1", "G1-L1", "density", "居委干部-1", "a:b:c:d", "::::"])
_WORDS = _KNOWN | st.text(max_size=20)
_NAMES = st.lists(_WORDS, max_size=2).map(tuple)
_TIMES = st.integers(-(2**70), 2**70) | st.integers(START, START + 90 * DAY)
_VERBS = st.sampled_from([verb.value for verb in Verb]) | st.text(max_size=8)
_LABELS = st.dictionaries(_WORDS, _WORDS, max_size=2)
_SCOPES = st.builds(Scope, _NAMES, _NAMES, _NAMES, _LABELS, _NAMES, st.sampled_from(Level))
_CASES, _WAYS, _NOTES = st.just("*") | _WORDS, st.sampled_from(["cli", "api:x", "mqtt"]), st.just("why") | _WORDS
_ACTIONS = st.builds(Action, _VERBS, _CASES, _WORDS, _WAYS, _NOTES, _TIMES, st.none() | _SCOPES)
_RECEIPTS = st.builds(Receipt, _WORDS, st.sampled_from(Delivery))


def topic(compound: str, kind: str, device: str) -> str:
    """A reading topic of the street."""
    text = definition().topics
    for part, word in (("compound", compound), ("kind", kind), ("device", device)):
        text = text.replace("{" + part + "}", word)
    return text


def street() -> Site:
    """A site with open cases."""
    site, crowd = Site(), topic("C1", "crowd", "crowd-0")
    seconds = range(0, 90, 5)
    records = [Record(RecordKind.MESSAGE, START + second * SECOND, crowd, b'{"count":200}') for second in seconds]
    site.step(Group(1, (definition_record(definition(), START), *records)))
    assert site.book.open
    return site


@given(action=_ACTIONS, receipt=_RECEIPTS)
@example(action=Action("extend", "*", "console", "api:x", "why", 2**70), receipt=Receipt("", Delivery.SEEN))
@example(
    action=Action("silence", "s", "x", "api:x", "why", 2**70, Scope(("G1",))), receipt=Receipt("::", Delivery.SENT)
)
@settings(max_examples=20)
def test_no_record_stops_the_core(action: Action, receipt: Receipt) -> None:
    """Each ends in an outcome or a dead letter; the state is saved and restored, and time goes on for a day."""
    site = street()
    if action.case == "*":
        action = msgspec.structs.replace(action, case=next(iter(site.book.open)))
    step = site.step(Group(2, (action_record(action, NOW), receipt_record(receipt, NOW))))
    assert len(step.outcomes) + len(step.dead) >= 1
    msgspec.json.encode(step.cases)
    again = Site.restored(site.snapshot())
    again.step(Group(3, (Record(RecordKind.TICK, NOW + DAY),)))
    again.snapshot()


@pytest.mark.parametrize("at", ['"0001-01-01T00:00:00Z"', '"9999-12-31T23:59:59-12:00"', "1e300", "-1e15", '""'])
def test_no_stamp_of_a_finding_stops_the_core(at: str) -> None:
    """Times that no clock shows are flagged or refused."""
    site = street()
    payload = f'{{"severity":"red","at":{at}}}'.encode()
    step = site.step(Group(2, (Record(RecordKind.MESSAGE, NOW, topic("C2", "report", "report-0"), payload),)))
    assert sum(count for (stream, _), count in step.counts.items() if stream == "report") + len(step.dead) >= 1
    Site.restored(site.snapshot())
