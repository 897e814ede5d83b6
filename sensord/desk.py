"""Behind the HTTP interface: answers its questions from the stores and the core's last glance, journals its changes.

Reads happen on worker threads and never touch the core's live state; changes go into the same queue as messages from
the broker, so the journal knows their order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

import msgspec

from sensord.api.plain import plain
from sensord.api.refusal import Refused
from sensord.core.alert import Transition
from sensord.core.cases.case import Case
from sensord.core.definition import Definition
from sensord.core.instant import SECOND, format_instant
from sensord.core.level import Level
from sensord.core.outcome import Outcome
from sensord.core.place import Places
from sensord.core.record import Action, Receipt, Record, RecordKind, Verb
from sensord.core.site import action_record, receipt_record
from sensord.drivers import onduty
from sensord.drivers.live import LiveCore
from sensord.drivers.overview import Standing
from sensord.ingest.clock import ArrivalClock
from sensord.ingest.queue import ArrivalQueue
from sensord.store.journal import Journal
from sensord.store.state import StateStore

_PATIENCE = 5.0
"""Seconds that a change waits for room in the queue."""
_MESSAGE = ("key", "at", "reason", "receiver", "role", "channel", "level", "title", "covers")

Plain = dict[str, Any]


class Desk:
    """Implements the API's ``Backend``."""

    def __init__(
        self, core: LiveCore, state: StateStore, journal: Journal, queue: ArrivalQueue, clock: ArrivalClock
    ) -> None:
        self._core, self._state, self._journal = core, state, journal
        self._queue, self._clock = queue, clock

    # -- reading -----------------------------------------------------------------------------------------------------

    @property
    def definition(self) -> Definition:
        """The definition in force."""
        return self._core.standing.definition

    def overview(self) -> Plain:
        """The site at a glance."""
        return {
            **self._core.overview,
            "counts": {"received": self._journal.last_seq, "applied": self._state.applied},
            "lag_seconds": max(0.0, (self._clock() - self._core.site.engine.now) / SECOND),
            "notifications": self._state.outbox.totals(),
        }

    def cases(self, which: str, limit: int) -> list[Plain]:
        """Cases, newest first."""
        return [self._case(case) for case in self._state.history.cases(which, limit)]

    def case(self, case: str) -> Plain | None:
        """One case with its story; where a part of that is deleted, ``known_since`` says from when on it is whole."""
        history, zone = self._state.history, self.definition.zone
        found = history.case(case)
        if found is None:
            return None
        case = found.id
        messages = [
            {
                **{name: value for name, value in plain(message.notification, zone).items() if name in _MESSAGE},
                "state": message.state,
                "attempts": message.attempts,
                "settled_at": plain({"at": message.settled_at}, zone)["at"],
                "possibly_repeated": message.possibly_repeated,
                "error": message.error,
            }
            for message in history.messages(case)
        ]
        story = {"events": plain(history.events(case), zone), "holds": plain(history.holds(case), zone)}
        since = history.since.alerts  # asked last: meanwhile some of it may go
        known = {"known_since": format_instant(since, zone)} if since > found.opened_at else {}
        return {**self._case(found), **story, "messages": messages, **known}

    def _case(self, case: Case) -> Plain:
        tree, place = self._core.standing.tree, case.place
        names = {"place_name": tree.name(place, "zh"), "place_name_en": tree.name(place, "en")}
        return {**plain(case, self.definition.zone), **names}

    def places(self) -> list[Plain]:
        """Every place with its live state."""
        return describe_places(self._core.standing, self._core.standing.tree)

    def silences(self) -> list[Plain]:
        """Silences in force or to come."""
        zone = self.definition.zone
        return [
            {**plain(one, zone), "start": format_instant(one.start, zone), "end": format_instant(one.end, zone)}
            for one in self._core.standing.silences
        ]

    def on_duty(self, at: int | None, place: str) -> Plain:
        """Who is on duty at an instant (None: now), for the whole street or for one place."""
        now, stands = (self._clock() if at is None else at), self._core.standing
        if place and place not in stands.tree.by_id:
            raise Refused(404, f"there is no place {place}")
        return onduty.describe(stands.definition, stands.tree, stands.undeliverable, now, place)

    @property
    def applied(self) -> int:
        """The last journal group whose changes can be read."""
        return self._state.applied

    def changes(self, after: int, upto: int) -> list[tuple[int, str, Plain]]:
        """Changes of alerts and cases, in order."""
        zone = self.definition.zone
        return [
            (seq, "transition" if isinstance(change, Transition) else "case", plain(change, zone))
            for seq, change in self._state.history.changes(after, upto)
        ]

    # -- changing ----------------------------------------------------------------------------------------------------

    def act(self, action: Action) -> Future[int]:
        """Journal an action. Raises ``Refused`` when there is nothing that it could be about.

        When somebody has counted is told by the host's clock. Ours may be on its way to what somebody has set that to.
        """
        if action.verb == Verb.UNSILENCE:
            if action.case not in {silence.id for silence in self._core.standing.silences}:
                raise Refused(404, f"no silence is called {action.case}")
        elif action.verb == Verb.COUNT:
            if action.case not in self._core.standing.tree.by_id:
                raise Refused(404, f"there is no place {action.case}")
        elif action.verb != Verb.SILENCE and not self._knows(action.case):
            raise Refused(404, f"no case is called {action.case}")
        now = self._clock()
        if action.at:
            action = msgspec.structs.replace(action, at=action.at - self._clock.apart)
        return self._submit(action_record(action, now))

    def became(self, seq: int, action: Action) -> Outcome | None:
        """What became of an action that a group holds; None until the core has decided."""
        who = (action.verb, action.by, action.via)
        found = [one for one in self._core.decided.get(seq, ()) if (one.verb, one.by, one.via) == who]
        return next((one for one in found if one.case == action.case), found[0] if found else None)

    def _knows(self, case: str) -> bool:
        return case in self._core.site.book.open or self._state.history.case(case) is not None

    def report(self, topic: str, payload: bytes) -> Future[int]:
        """Journal a message, as if it had come from the broker."""
        return self._submit(Record(RecordKind.MESSAGE, self._clock(), topic, payload))

    def receipts(self, receipts: Sequence[Receipt]) -> Future[int]:
        """Journal what became of messages; the future is the last one's."""
        *others, last = [receipt_record(receipt, self._clock()) for receipt in receipts]
        for record in others:
            self._submit(record)
        return self._submit(last)

    def _submit(self, record: Record) -> Future[int]:
        return self._queue.submit(record, timeout=_PATIENCE)


def describe_places(standing: Standing, tree: Places) -> list[Plain]:
    """Describe every place: the worst level at or below it, and how many of the watched places there are blind.

    ``state`` is that level; without one it is ``unknown`` as soon as something below is blind, ``unwatched`` where no
    sensor stands, and ``normal`` only where all is seen and well.
    """
    level: dict[str, Level] = {}
    unknown, total = Counter[str](), Counter[str]()
    for place, worst in standing.levels.items():
        for above in tree.path(place).values():
            level[above] = max(level.get(above, Level.NONE), worst)
    for place in dict.fromkeys(device.place for device in tree.devices):
        for above in tree.path(place).values():
            total[above] += 1
            unknown[above] += place in standing.unknown
    return [
        {
            "id": place.id,
            "kind": place.kind.value,
            "name": place.name,
            "name_en": place.label("en"),
            "parent": place.parent,
            "state": _state(level.get(place.id, Level.NONE), unknown[place.id], total[place.id]),
            "level": level.get(place.id, Level.NONE).word,
            "unknown": unknown[place.id],
            "total": total[place.id],
        }
        for place in tree.places
    ]


def _state(level: Level, unknown: int, total: int) -> str:
    if level > Level.NONE:
        return level.word
    if not total:
        return "unwatched"
    return "unknown" if unknown else "normal"
