"""What an open case costs those that come after it: the case book with few and with many cases open.

Method: a street of lanes; so many cases are opened and stay open, with reminders pending; then 2,000 changes of other
alerts and 2,000 ticks are taken, and timed on one core (processor time, best of three). Reference, measured in the same
run: the same changes and ticks with ten cases open. A ratio near one says that a step does not depend on how many
cases are open.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.machine import describe
from sensord.core.alert import Transition, change_of
from sensord.core.cases.case import Answer
from sensord.core.cases.casebook import CaseBook, Story
from sensord.core.cases.damping import Damping
from sensord.core.cases.policy import Policy, Step
from sensord.core.definition import Definition
from sensord.core.instant import HOUR, SECOND
from sensord.core.level import Level
from sensord.core.people.roster import Contact, Person
from sensord.core.place import Place, PlaceKind, Places
from sensord.core.rules.rule import Clear, LevelSpec, Rule

START = 1_700_000_000 * SECOND
CHANGES = 2_000


def street(lanes: int) -> Definition:
    """One grid with so many lanes, a cadre and an officer, and a plan with reminders."""
    places = [
        Place("street", PlaceKind.STREET, "街道"),
        Place("B1", PlaceKind.BLOCK, "街区", parent="street"),
        Place("G1", PlaceKind.GRID, "居民区", parent="B1"),
        Place("M1", PlaceKind.MICRO_GRID, "微网格", parent="G1"),
        Place("C1", PlaceKind.COMPOUND, "小区", parent="G1", micro_grids=("M1",)),
    ]
    places += [Place(f"L{n:05}", PlaceKind.LANE, "弄", parent="M1", compound="C1") for n in range(lanes)]
    steps = (Step(("cadre",)), Step(("officer",), after=HOUR, every=HOUR, until=Answer.ACKNOWLEDGED))
    rule = Rule("r", {"zh": "聚集"}, None, "lane", "crowd", (LevelSpec(Level.YELLOW, 1.0),), Clear((0.0,), 0))
    return Definition(
        site="bench",
        places=tuple(places),
        devices=(),
        rules=(rule,),
        policies=(Policy("crowd", {"zh": "聚集"}, steps, link="grid"),),
        people=(
            Person("居委干部-1", "cadre", "G1", (Contact("people"),)),
            Person("值班员-1", "officer", "street", (Contact("people", "o"),)),
        ),
        damping=Damping({"people": 15}, storm_at=600),
    )


def change(book: CaseBook, lane: int, at: int, before: Level, level: Level) -> None:
    """One alert moves."""
    place = f"L{lane:05}"
    one = Transition(
        f"{place}:{at}", "r", "v", place, place, change_of(before, level), level, before, at, at, 2.0, 1.0, 3
    )
    book.transition(one, Story())


def seconds(open_cases: int) -> float:
    """Processor time of the changes and ticks beside so many open cases."""
    definition = street(open_cases + 10)
    book = CaseBook(definition, Places(definition.places, definition.devices))
    for lane in range(open_cases):
        change(book, lane, START + lane * SECOND // 100, Level.NONE, Level.YELLOW)
    now = START + 2 * 60 * SECOND
    began = time.process_time()
    for number in range(CHANGES):
        lane, on = open_cases + number % 10, number // 10 % 2 == 0
        levels = (Level.NONE, Level.YELLOW) if on else (Level.YELLOW, Level.NONE)
        change(book, lane, now + number * SECOND, *levels)
        book.advance(now + number * SECOND + SECOND // 2, Story())
    return time.process_time() - began


def main() -> None:
    """Print the cost per change beside few and many open cases."""
    print(describe(__doc__))
    reference = min(seconds(10) for _ in range(3))
    print(f"{10:>6} open cases: {reference / CHANGES * 1e6:8.1f} us per change and tick (reference)")
    for open_cases in (1_000, 5_000):
        taken = min(seconds(open_cases) for _ in range(3))
        print(
            f"{open_cases:>6} open cases: {taken / CHANGES * 1e6:8.1f} us per change and tick, "
            f"{taken / reference:.2f} times the reference"
        )


if __name__ == "__main__":
    main()
