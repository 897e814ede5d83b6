"""Replay: the same core over recorded data, as fast as it goes. No clock, no outputs but what the caller prints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from sensord.core.record import Group
from sensord.core.site import Site, Step
from sensord.ports import JournalReader


def replay(groups: Iterable[Group], site: Site) -> Iterator[Step]:
    """Step the site through the groups."""
    for group in groups:
        yield site.step(group)


def journal_groups(journal: JournalReader, after: int = 0, upto: int | None = None) -> Iterator[Group]:
    """Yield the groups of a journal in order, from ``after`` to ``upto`` (both sequence numbers; None: its end)."""
    while groups := journal.read(after):
        for group in groups:
            if upto is not None and group.seq > upto:
                return
            yield group
            after = group.seq


@dataclass(slots=True)
class Tally:
    """What a replay amounted to."""

    groups: int = 0
    transitions: int = 0
    cases: int = 0
    notifications: int = 0
    dead: Counter[str] = field(default_factory=Counter)
    readings: Counter[str] = field(default_factory=Counter)

    def add(self, step: Step) -> None:
        """Count one step."""
        self.groups += 1
        self.transitions += len(step.transitions)
        self.notifications += len(step.notifications)
        self.cases += sum(event.happening == "close" for event in step.events)
        self.dead.update(letter.reason for letter in step.dead)
        for (_, outcome), amount in step.counts.items():
            self.readings[outcome] += amount
