"""Judges the demonstration: was everything that truly happened seen, were the right people told, and did it end?

A story is complete when every true incident has had its case, the case has closed, and everybody who was told of it
has been told that it is over. A case in a place where nothing happened is a false alarm.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from sensord.core.cases.notification import Reason
from sensord.core.cases.policy import Mode
from sensord.core.definition import Definition
from sensord.core.instant import SECOND
from sensord.core.level import BY_WORD
from sensord.core.people.roster import Roster
from sensord.core.place import Places
from simulators.captions import WORDS
from simulators.receiver import KEPT, Received
from simulators.street import Incident, Street
from simulators.tracker import Event, Kind, SeenCase

_CLOSED = "case_closed"


@dataclass(slots=True)
class Chapter:
    """A case with what was told of it, in order of arrival, and who has answered."""

    case: SeenCase
    told: list[Received] = field(default_factory=list)
    ended: list[Received] = field(default_factory=list)
    answered: set[str] = field(default_factory=set)

    @property
    def silent(self) -> list[str]:
        """Who was told and has not answered."""
        return sorted({one.text("receiver") for one in self.told} - self.answered)

    @property
    def complete(self) -> bool:
        """Closed, and everybody who was told knows it."""
        told = {one.text("receiver") for one in self.told}
        return self.case.closed_at > 0 and bool(told) and told <= {one.text("receiver") for one in self.ended}


class Story:
    """Collects what happens; ``to_clock`` turns a scenario's instant into the wall clock's (both ns)."""

    def __init__(self, definition: Definition, street: Street, to_clock: Callable[[int], int]) -> None:
        self.incidents = street.truth()
        self._definition, self._street, self._to_clock = definition, street, to_clock
        places = Places(definition.places, definition.devices)
        self._roster = Roster(definition.people, places, definition.duty, definition.zone)
        self._roles = {person.id: person.role for person in definition.people}
        self._chapters: dict[str, Chapter] = {}
        self._orphans: deque[Received] = deque(maxlen=KEPT)

    def take(self, events: Sequence[Event]) -> None:
        """Take new events, in order."""
        for event in events:
            if event.case is not None:
                self._chapter(event.case).case = event.case
            elif event.received is not None and event.kind is Kind.NOTIFIED:
                self._notified(event.received)

    def _chapter(self, case: SeenCase) -> Chapter:
        if case.id not in self._chapters:
            self._chapters[case.id] = Chapter(case)
            waiting = list(self._orphans)
            self._orphans.clear()
            for received in waiting:
                self._notified(received)
        return self._chapters[case.id]

    def _notified(self, received: Received) -> None:
        chapter = self._chapters.get(received.text("case"))
        if chapter is None:
            self._orphans.append(received)
        elif received.text("reason") == _CLOSED:
            chapter.ended.append(received)
        else:
            chapter.told.append(received)

    def chapter_of(self, incident: Incident) -> Chapter | None:
        """Return the case of an incident: the first one in its place that opened after it began."""
        began = self._to_clock(incident.start) - 2 * SECOND
        found = [
            one for one in self._chapters.values() if one.case.place == incident.place and one.case.opened_at >= began
        ]
        return min(found, key=lambda one: one.case.opened_at, default=None)

    def chapters(self) -> list[Chapter]:
        """Return every case that has been seen, in the order in which it was."""
        return list(self._chapters.values())

    def answered(self, case: str, person: str) -> None:
        """Note that somebody has answered."""
        self._chapters[case].answered.add(person)

    @property
    def false_alarms(self) -> list[Chapter]:
        """Cases in places where nothing happened."""
        places = {incident.place for incident in self.incidents}
        return [chapter for chapter in self._chapters.values() if chapter.case.place not in places]

    def complete(self, now: int) -> bool:
        """Whether the story is over at ``now`` (ns); an everyday without incidents is over with its time."""
        if not self.incidents:
            return now >= self._to_clock(self._street.end)
        found = [self.chapter_of(incident) for incident in self.incidents]
        return all(chapter is not None and chapter.complete for chapter in found)

    def outsiders(self, chapter: Chapter) -> list[str]:
        """Return those who were told and neither answer for the case's place nor are called as the nearest."""
        told = {one.text("receiver") for one in chapter.told if one.text("reason") != Reason.REPLACEMENT}
        return sorted(person for person in told if person not in self._expected(self._roles.get(person, ""), chapter))

    def _expected(self, role: str, chapter: Chapter) -> set[str]:
        """Who of a role may be told: whoever answers for the place; from a plan's level on, the nearest as well."""
        place, at = chapter.case.place, self._to_clock(self._street.start)
        expected = {one.id for one in self._roster.responsible(role, place, at)}
        for step in (step for policy in self._definition.policies for step in policy.steps if role in step.tell):
            if step.mode is Mode.NEAREST and BY_WORD[chapter.case.peak] >= step.at_least:
                expected |= {one.id for one in self._roster.nearest(role, place, at, step.count)}
        return expected

    def good(self, now: int) -> bool:
        """Complete, nobody told without reason."""
        no_outsiders = not any(self.outsiders(chapter) for chapter in self._chapters.values())
        return self.complete(now) and not self.false_alarms and no_outsiders

    def summary(self, language: str) -> list[str]:
        """Tell the story in a few lines."""
        lines = [line for incident in self.incidents for line in self._tell(incident, language)]
        false = len(self.false_alarms)
        return [*lines, _say(language, f"误报：{false}", f"False alarms: {false}")]

    def _tell(self, incident: Incident, language: str) -> list[str]:
        chapter = self.chapter_of(incident)
        place = self._street.places.by_id[incident.place].label(language)
        if chapter is None:
            return [_say(language, f"{place}：没有立案", f"{place}: no case was opened")]
        lines = [f"{place}（{incident.grid}）" if language == "zh" else f"{place} ({incident.grid})"]
        if chapter.told:
            lines.append("  " + self._delay(incident, chapter, language))
        lines.append("  " + self._audience(chapter, language))
        lines.append("  " + _silent(chapter, language))
        lines.append("  " + _ending(chapter, language))
        return lines

    def _delay(self, incident: Incident, chapter: Chapter, language: str) -> str:
        """Say how long it took from the truth to the first phone."""
        first = chapter.told[0]
        threshold = self._threshold(first.text("level")) if incident.kind == "crowd" else None
        crossed = None if threshold is None else self._street.crossing(incident, threshold)
        seconds = (first.at - self._to_clock(incident.start if crossed is None else crossed)) / SECOND
        if crossed is None or threshold is None:
            return _say(
                language,
                f"从事件开始到第一条通知送达 {seconds:.1f} 秒",
                f"{seconds:.1f} s from its beginning to the first notification",
            )
        return _say(
            language,
            f"从实际密度超过 {threshold:g} 人/平方米到第一条通知送达 {seconds:.1f} 秒",
            f"{seconds:.1f} s from truly more than {threshold:g} people/m2 to the first notification",
        )

    def _threshold(self, word: str) -> float | None:
        """Return the threshold of the crowd rule at which a level begins."""
        thresholds = [
            rung.threshold
            for rule in self._definition.rules
            if rule.value is not None and rule.value.field == "density"
            for rung in rule.levels
            if rung.level is BY_WORD.get(word)
        ]
        return min(thresholds, default=None)

    def _audience(self, chapter: Chapter, language: str) -> str:
        people = {one.text("receiver"): one.text("role") for one in chapter.told}
        words = WORDS[language]
        roles = ", ".join(f"{words.get(role, role)} {count}" for role, count in Counter(people.values()).items())
        outsiders = len(self.outsiders(chapter))
        return _say(
            language,
            f"通知了 {len(people)} 人（{roles}）；其中不负责此处的 {outsiders} 人",
            f"{len(people)} people were told ({roles}); {outsiders} of them do not answer for this place",
        )


def _silent(chapter: Chapter, language: str) -> str:
    names = ", ".join(chapter.silent)
    if not names:
        return _say(language, "每个人都答复了", "everybody has answered")
    return _say(language, f"没有答复的：{names}", f"who did not answer: {names}")


def _ending(chapter: Chapter, language: str) -> str:
    told, ended = ({one.text("receiver") for one in notes} for notes in (chapter.told, chapter.ended))
    if not chapter.case.closed_at:
        return _say(language, "尚未结案", "not closed yet")
    seconds = (chapter.case.closed_at - chapter.case.opened_at) / SECOND
    return _say(
        language,
        f"立案 {seconds:.0f} 秒后结案；{len(told & ended)}/{len(told)} 人收到解除通知",
        f"closed {seconds:.0f} s after it was opened; {len(told & ended)} of {len(told)} were told that it is over",
    )


def _say(language: str, zh: str, en: str) -> str:
    return zh if language == "zh" else en
