"""A wild stretch of journal for the tests of recordings, and what the core decides on it."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from sensord.core.record import Action, Group, Record
from sensord.core.site import Site, action_record, definition_record
from sensord.drivers.replay import Piece, replay
from sensord.recordings.recording import groups
from tests.core.street import definition, stream_of


def journal(seed: int = 1) -> list[Record]:
    """Messages of every kind, garbage, commands, actions on real cases, and a change of the rules in the middle."""
    records = stream_of(seed)
    first = definition_record(definition(), records[0].received_at)
    site, acted = Site(), list[Record]()
    for record in [first, *records]:
        acted.append(record)
        for event in site.step(Group(1, (record,))).events:
            if event.happening == "level_rose":
                action = Action("acknowledge", event.case, "cadre-1", note="on my way, call 13800000000")
                acted.append(action_record(action, record.received_at))
                site.step(Group(1, (acted[-1],)))
    middle = len(acted) // 2
    fewer = definition(rules=definition().rules[1:])
    return [*acted[:middle], definition_record(fewer, acted[middle].received_at), *acted[middle:]]


def decisions(recorded: Iterable[Piece]) -> bytes:
    """Everything decided, in order."""
    return b"".join(step.decisions() for step in replay(recorded, Site()))


def live(records: list[Record], size: int = 3, until: int = 0) -> bytes:
    """What live running decides: groups as they were committed."""
    cut = [Group(n + 1, tuple(records[at : at + size])) for n, at in enumerate(range(0, len(records), size))]
    tail = list(groups([], None))
    if until:
        tail = [Group(len(cut) + 1, (Record(1, until),))]
    return decisions([*cut, *tail])


def lines(decided: bytes) -> list[dict[str, object]]:
    """Decisions as objects."""
    return [msgspec.json.decode(line) for line in decided.splitlines()]
