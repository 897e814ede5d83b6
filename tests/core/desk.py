"""A desk at which cases are handled: the case book, with a terse way to feed it."""

from __future__ import annotations

from typing import Any

import msgspec

from sensord.core.alert import Change, Transition, Vehicle, change_of, transition_id, unwatched
from sensord.core.cases.case import Case
from sensord.core.cases.casebook import BookState, CaseBook, Story
from sensord.core.cases.notice import Notice, Trouble
from sensord.core.definition import Definition
from sensord.core.instant import SECOND
from sensord.core.level import Level
from sensord.core.place import Places
from sensord.core.record import Action, Delivery, Receipt
from tests.core.street import START, definition


class Desk:
    """A case book with a terse way to feed it: seconds after START, levels by name."""

    def __init__(self, whole: Definition | None = None) -> None:
        self.definition = whole or definition()
        self.book = CaseBook(self.definition, Places(self.definition.places, self.definition.devices))
        self.levels: dict[tuple[str, str], Level] = {}

    def alert(self, second: int, level: Level, rule: str = "density", place: str = "G1-L1") -> Story:
        """An alert of a rule at a place moves to a level; nothing happens when it stands there already."""
        previous = self.levels.get((rule, place), Level.NONE)
        if level is previous:
            return Story()
        self.levels[rule, place] = level
        at, change = START + second * SECOND, change_of(previous, level)
        name = transition_id(rule, "v", place, at, change, level)
        story = Story()
        self.book.transition(
            Transition(name, rule, "v", place, place, change, level, previous, at, at, 2.5, 1.0, 3), story
        )
        return story

    def unwatched(self, second: int, rule: str = "density", place: str = "G1-L1") -> Story:
        """The hours of a rule are over while its alert stands."""
        previous, at, story = self.levels.pop((rule, place)), START + second * SECOND, Story()
        name = transition_id(rule, "v", place, at, Change.CLEARED, Level.NONE)
        over = Transition(name, rule, "v", place, place, Change.CLEARED, Level.NONE, previous, at, at, 2.5, 1.0, 3)
        self.book.transition(unwatched(over), story)
        return story

    def another(self, second: int, level: Level, rule: str, place: str = "G1-L1") -> Story:
        """An alert that stands at a level goes on with another vehicle."""
        at, story = START + second * SECOND, Story()
        vehicle = Vehicle(f"vehicle-{second}", f"苏E·**{second:03}", at)
        name = transition_id(rule, "v", place, at, Change.ANOTHER, level, vehicle.id)
        told = Transition(
            name, rule, "v", place, place, Change.ANOTHER, level, level, at, at, 1.0, 1.0, 1, vehicle=vehicle
        )
        self.book.transition(told, story)
        return story

    def act(self, second: int, verb: str, by: str = "居委干部-1", case: str | None = None, **more: Any) -> Story:
        """Somebody does something about the only open case."""
        story = Story()
        target = next(iter(self.book.open), "none") if case is None else case
        self.book.action(Action(verb, target, by, **more), START + second * SECOND, story)
        return story

    def receipt(self, second: int, key: str, delivery: str) -> Story:
        """A channel says what became of a message."""
        story = Story()
        self.book.receipt(Receipt(key, Delivery(delivery)), START + second * SECOND, story)
        return story

    def notice(self, second: int, trouble: str, active: bool, *orphans: Case) -> Story:  # as in the record
        """The daemon says of itself that a trouble begins, or is over."""
        story = Story()
        self.book.notice(Notice(Trouble(trouble), active, orphans), START + second * SECOND, story)
        return story

    def redefine(self, second: int, whole: Definition) -> Story:
        """Another definition comes into force."""
        story, before = Story(), self.definition
        self.book.advance(START + second * SECOND, story)
        self.definition = whole
        places = Places(whole.places, whole.devices)
        self.book.abandon(set(places.by_id), START + second * SECOND, story)
        self.book = CaseBook(whole, places, self.book.handed_over(whole, START + second * SECOND, story))
        self.book.begin(START + second * SECOND, before, story)
        self.book.advance(START + second * SECOND, story)
        return story

    def restart(self) -> None:
        """The book is saved, in the order in which a saved state keeps everything, and made again from its bytes."""
        saved = msgspec.msgpack.encode(self.book.state(), order="deterministic")
        state = msgspec.msgpack.decode(saved, type=BookState)
        self.book = CaseBook(self.definition, Places(self.definition.places, self.definition.devices), state)

    @property
    def case(self) -> Case:
        """The only open case."""
        (case,) = self.book.open.values()
        return case

    def wait(self, second: int) -> Story:
        """Time passes."""
        story = Story()
        self.book.advance(START + second * SECOND, story)
        return story


def told(story: Story) -> list[tuple[str, str, str]]:
    """Who was told over what, and why."""
    return [(one.receiver, one.channel, one.reason.value) for one in story.decisions.notifications]
