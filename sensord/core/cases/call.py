"""What must come through to somebody: a notice to supervisors, a question for approval, a request to verify.

Whoever is paged owes an answer, and so it is known when they were not reached. To a notice nobody owes one: the case
keeps what it said, and to whom it went over what, until that matters no more.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import msgspec

from sensord.core.cases.notification import Reason, digest_at, event_number

MOST_CALLS = 20
"""Of so many a case knows whom they have reached, the latest."""


class Call(msgspec.Struct):
    """One of them: why, at which instant (ns), and of which event it speaks (its ``cause`` and ``note``).

    ``events`` are the numbers of those by which it was said, the first one first; ``people`` holds the channels over
    which it went, by person, and so who was told; what was lost with its channel went over none.
    """

    reason: Reason
    cause: str
    note: str
    at: int
    events: list[str]
    people: dict[str, list[str]] = {}

    def went(self, person: str, channels: Iterable[str]) -> None:
        """Somebody is told of it over these channels."""
        self.people[person] = list(dict.fromkeys((*self.people.get(person, ()), *channels)))

    def may_be(self, person: str, event: str) -> bool:
        """Whether what somebody was told by an event (its number, or a digest) was this, or came after it."""
        instant = digest_at(event)
        since = event_number(event) >= int(self.events[0]) if instant is None else instant >= self.at
        return person in self.people and since


def lose(calls: Iterable[Call], person: str, channels: Collection[str], through: Mapping[str, int]) -> None:
    """These channels lead somebody elsewhere from now on, if anywhere: what has not come through may be lost with them.

    ``through`` is, by channel, the number of the latest event whose message has.
    """
    for call in calls:
        if person in call.people:
            lost = {one for one in channels if through.get(one, 0) < int(call.events[-1])}
            call.people[person] = [channel for channel in call.people[person] if channel not in lost]


def by_event(calls: Iterable[Call], event: str) -> Call | None:
    """The call of which people are told by an event (its number), if any."""
    return next((call for call in calls if event in call.events), None)
