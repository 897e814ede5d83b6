"""What was: cases with their stories, as the state database holds them. Reads only."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from sensord.core.alert import Transition
from sensord.core.cases.case import Case, CaseEvent
from sensord.core.cases.notification import Hold, Notification
from sensord.core.cases.reports import CASE as REPORT_CASE
from sensord.decoders import json_decoder
from sensord.store.database import Questions

_TRANSITION = json_decoder(Transition)
_EVENT = json_decoder(CaseEvent)
_CASE = json_decoder(Case)
_NOTIFICATION = json_decoder(Notification)
_HOLD = json_decoder(Hold)
_TEXT = "CAST(json AS TEXT)"
_WHICH = {"open": "WHERE closed_at = 0", "closed": "WHERE closed_at > 0", "all": ""}


class Since(NamedTuple):
    """Of what happened before these instants (ns) not all is known: it was deleted, or nobody was there yet.

    ``cases`` are those that have ended, ``alerts`` the transitions, stories of cases and messages.
    """

    cases: int
    alerts: int


class Message(NamedTuple):
    """A notification and what became of it: ``state`` is the outbox's, ``settled_at`` ns (0: not yet)."""

    notification: Notification
    state: str
    attempts: int
    settled_at: int
    possibly_repeated: bool
    error: str


class History:
    """Safe from any thread, and in nobody's way: looking for what was long ago holds up no decision and no page.

    A row that is not what was written is left out of lists, and said (``suspicion.py``).
    """

    def __init__(self, questions: Questions) -> None:
        self._questions = questions

    @property
    def since(self) -> Since:
        """From when on the state knows what was; asked after what was, for meanwhile some may go."""
        return Since(*self._questions.rows("looking at what is kept", "SELECT cases, alerts FROM kept")[0])

    def cases(self, which: str, limit: int) -> list[Case]:
        """Cases that are ``open``, ``closed`` or ``all``, newest first."""
        statement = f"SELECT json FROM cases {_WHICH[which]} ORDER BY opened_at DESC, id LIMIT ?"
        return self._questions.values("reading cases", _CASE.decode, statement, (limit,))

    def between(self, start: int, end: int) -> list[Case]:
        """Cases that were open at some time in [start, end) (ns), in the order in which they were opened."""
        statement = (
            "SELECT json FROM cases WHERE opened_at < ? AND (closed_at = 0 OR closed_at >= ?) ORDER BY opened_at, id"
        )
        return self._questions.values("reading cases", _CASE.decode, statement, (end, start))

    def case(self, name: str) -> Case | None:
        """The case of that id, or of that sixteen-digit code; None when there is none. Raises ``DamageError``."""
        one = partial(self._questions.value, "reading a case", _CASE.decode)
        found = one("SELECT json FROM cases WHERE id = ?", (name,))
        if found is None and name.isascii() and name.isdigit():
            found = one("SELECT json FROM cases WHERE code = ?", (name,))
        return found

    def events(self, case: str) -> list[CaseEvent]:
        """A case's events, in order."""
        statement = 'SELECT json FROM case_events WHERE "case" = ? ORDER BY seq, ord'
        return self._questions.values("reading a case", _EVENT.decode, statement, (case,))

    def messages(self, case: str) -> list[Message]:
        """Who was told of a case, over what, and what became of it, in the order of the decisions."""
        statement = (
            "SELECT json, state, attempts, settled_at, possibly_repeated, error FROM outbox "
            'WHERE "case" = ? ORDER BY seq, ord'
        )
        return self._questions.values("reading messages", _message, statement, (case,))

    def holds(self, case: str) -> list[Hold]:
        """Messages that were decided against while the case was open, in order."""
        of_case = 'FROM case_events WHERE "case" = ?'
        statement = (
            f"SELECT json FROM holds WHERE seq BETWEEN (SELECT min(seq) {of_case}) AND (SELECT max(seq) {of_case}) "
            "ORDER BY seq, ord"
        )
        found = self._questions.values("reading holds", _HOLD.decode, statement, (case, case))
        return [hold for hold in found if hold.case == case]

    def changes(self, after: int, upto: int) -> list[tuple[int, Transition | CaseEvent]]:
        """Transitions and case events of groups ``after < seq <= upto``, each with its group, in order."""
        where = "WHERE seq > ? AND seq <= ?"
        statement = (
            f"SELECT seq, 0, ord, json FROM transitions {where} UNION ALL "
            f"SELECT seq, 1, ord, json FROM case_events {where} ORDER BY 1, 2, 3"
        )
        return self._questions.values("reading changes", _change, statement, (after, upto, after, upto))

    def alarms(self, start: int, end: int) -> list[Transition]:
        """Transitions of [start, end), in order, after the last one of each alert before ``start``."""
        found = partial(self._questions.values, "reading alarms", lambda text, *_: _TRANSITION.decode(text))
        before = found(
            "SELECT json, max(seq * 1000000 + ord) AS newest FROM transitions WHERE at < ? "
            f"GROUP BY {_part('rule')}, {_part('key')} ORDER BY newest",
            (start,),
        )
        within = found("SELECT json FROM transitions WHERE at >= ? AND at < ? ORDER BY seq, ord", (start, end))
        return before + within

    def reports(self, after: int, since: int) -> list[tuple[int, str]]:
        """Scheduled reports decided in groups after ``after``, at or after the instant ``since`` (ns).

        Each as its journal group and the event that names it, in order.
        """
        told = f"SELECT DISTINCT seq, {_part('event')} FROM"
        return self._questions.values(
            "looking for reports",
            _report,
            f'{told} outbox WHERE "case" = ?1 AND seq > ?2 AND at >= ?3 UNION '
            f"{told} holds WHERE seq > ?2 AND at >= ?3 AND coalesce({_part('case')}, ?1) = ?1 ORDER BY 1",
            (REPORT_CASE, after, since),
        )


def _part(name: str) -> str:
    """What a row's value holds under a name, for a statement; nothing of a row that is not what was written."""
    return f"CASE WHEN json_valid({_TEXT}) THEN json_extract({_TEXT}, '$.{name}') END"


def _message(text: bytes, state: str, attempts: int, settled_at: int, repeated: int, error: str) -> Message:
    return Message(_NOTIFICATION.decode(text), str(state), int(attempts), int(settled_at), bool(repeated), str(error))


def _change(seq: int, rank: int, _place: int, text: bytes) -> tuple[int, Transition | CaseEvent]:
    return int(seq), (_EVENT if rank else _TRANSITION).decode(text)


def _report(seq: int, event: str | None) -> tuple[int, str]:
    if event is None:
        raise KeyError("event")
    return int(seq), str(event)
