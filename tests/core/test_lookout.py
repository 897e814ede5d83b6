"""Who is inside when somebody begins to look out for it is told of: a changed list, or an entry that begins."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import pytest

from sensord.core.instant import MINUTE, SECOND
from sensord.core.record import Record
from sensord.core.rules.rule import Clear
from sensord.core.site import Site, definition_record
from sensord.core.token import word
from sensord.core.vehicles.pseudonym import Pseudonymiser, check_value
from sensord.core.vehicles.tracking import KeyArea, PlateAreas, PlateKey, Watched
from tests.core.follower import A, B, C, at, tick
from tests.core.street import grouped
from tests.core.test_heard_late import messages
from tests.core.traffic import KEYS, SECRETS, START, definition, rule, token

ENTERED = {"event": ("passed", "recognised"), "direction": ("in",)}
RULES = (
    rule("key-area", None, 1.0, ENTERED | {"class": ("key_area",)}, each=True, clear=Clear((0.0,), MINUTE)),
    rule("watched", None, 1.0, {"event": ("passed", "recognised"), "list": ("watch",)}, each=True),
    rule("away", "days_away", 1.0, ENTERED, each=True),
)
BEFORE = definition(rules=RULES, plates=PlateAreas())
RELOAD, BEGINS = START + 600 * SECOND, START + 1200 * SECOND


def watching(*plates: str, since: int = 0, until: int = 1 << 62) -> PlateAreas:
    """A list of these vehicles."""
    return PlateAreas(watch=tuple(Watched(word(token(plate)), since, until) for plate in plates))


def definitions(*changes: tuple[int, PlateAreas]) -> list[Record]:
    """Definitions with other lists, from these instants on."""
    return [definition_record(msgspec.structs.replace(BEFORE, plates=plates), at) for at, plates in changes]


def raised(records: Iterable[Record], size: int = 1, restarts: frozenset[int] = frozenset()) -> list[tuple[float, str]]:
    """(second, rule) of what is raised on vehicles; the site is restored before some of its groups."""
    following, found = Site(BEFORE, SECRETS), list[tuple[float, str]]()
    for number, group in enumerate(grouped(sorted(records, key=lambda record: record.received_at), [size])):
        if number in restarts:
            following = Site.restored(following.snapshot(), SECRETS)
        step = following.step(group)
        made = [one for one in step.transitions if one.rule != "away" and one.level > one.previous]
        made += [one for one in step.transitions if one.rule != "away" and one.change.value == "another"]
        found += [((one.at - START) / SECOND, one.rule) for one in made]
    return found


INSIDE = [at(0, A), at(20, B), at(40, C), at(100, B, "out")]
TIME = [tick(second) for second in range(700, 3000, 100)]


@pytest.mark.parametrize(
    ("plates", "said"),
    [
        (watching(A), [(600, "watched")]),
        (watching(B), []),
        (PlateAreas(key=(KeyArea("皖K"),)), [(600, "key-area")]),
        (PlateAreas(key=(KeyArea("皖"),), watch=watching(A).watch), [(600, "watched"), (600, "key-area")]),
        (watching(A, since=BEGINS), [(1200, "watched")]),
        (PlateAreas(key=(KeyArea("皖K", BEGINS),)), [(1200, "key-area")]),
        (watching(A, until=RELOAD), []),
        (PlateAreas(key=(KeyArea("苏"),)), []),
    ],
)
def test_who_is_inside_when_it_is_listed_is_told_of(plates: PlateAreas, said: list[tuple[float, str]]) -> None:
    """At the change, or when its entry begins; not who has left, and of an area whose prefix the mask shows."""
    assert raised([*INSIDE, *definitions((RELOAD, plates)), *TIME]) == said


def test_who_leaves_before_its_entry_begins_is_not_told_of_by_then() -> None:
    """Only as it leaves, when it is on the list by then."""
    records = [*INSIDE, at(900, A, "out"), *definitions((RELOAD, watching(A, since=BEGINS))), *TIME]
    assert raised(records) == []


def test_it_is_told_of_once() -> None:
    """Whatever else changes: a list that is written again, an entry that goes and comes back, who was told of."""
    twice = definitions((RELOAD, watching(A)), (RELOAD + 100 * SECOND, watching(A, C)), (BEGINS, PlateAreas()))
    again = definitions((BEGINS + 300 * SECOND, watching(A)))
    assert raised([*INSIDE, *twice, *again, *TIME]) == [(600, "watched"), (700, "watched")]
    early = definitions((START - SECOND, watching(A)), (RELOAD, watching(A, B)))
    assert raised([*INSIDE, *early, *TIME]) == [(0, "watched")]


def test_a_restart_repeats_and_leaves_out_nothing() -> None:
    """However the journal is cut, restored anywhere: between the change and what follows, before and after a start."""
    changes = definitions((RELOAD, watching(A, C, since=BEGINS)), (RELOAD + SECOND, watching(A, B)))
    changes += definitions((BEGINS + 1, watching(B, C, since=BEGINS)))
    records = [*INSIDE, *changes, at(650, B, "in", 0.8), *TIME]
    whole = raised(records)
    assert whole == [(601, "watched"), (653, "watched"), (1200 + 1e-9, "watched")]
    for size in (1, 2, 3, 7, 40):
        for restart in range(0, len(records) // size + 1, 3):
            assert raised(records, size, frozenset({restart, restart + 1})) == whole


def test_an_entry_that_begins_is_not_forgotten_by_a_restart() -> None:
    """Wherever that is, before it and after it."""
    records = [*INSIDE, *definitions((RELOAD, watching(A, since=BEGINS))), *TIME]
    for restart in range(len(records)):
        assert raised(records, 1, frozenset({restart})) == [(1200, "watched")]


def test_a_passage_that_is_yet_to_be_decided_is_sorted_by_the_list_of_now() -> None:
    """It was read before the entry begins, and comes in after that."""
    records = [at(1199, A, "in", 0.8), *definitions((RELOAD, watching(A, since=BEGINS))), *TIME]
    assert raised(records) == [(1202, "watched")]


def test_the_former_pseudonym_of_a_vehicle_inside_counts() -> None:
    """A list that was written before the keys changed names it by that."""
    new = PlateKey("k2", START - MINUTE, check_value(SECRETS["k2"]))
    keys = (*KEYS, new)
    assert Pseudonymiser(keys, BEFORE.tracking.overlap, SECRETS).identify(A, START).former == token(A)
    rotated = msgspec.structs.replace(BEFORE, plate_keys=keys)
    listed = msgspec.structs.replace(rotated, plates=watching(A))
    records = [definition_record(rotated, START - SECOND), at(0, A), definition_record(listed, RELOAD), *TIME]
    assert raised(records) == [(600, "watched")]


def test_the_message_says_when_it_came_in() -> None:
    """People read that it has been inside since then."""
    following = Site(BEFORE, SECRETS)
    records = sorted([*INSIDE, *definitions((RELOAD, watching(A))), *TIME], key=lambda record: record.received_at)
    steps = [following.step(group) for group in grouped(records, [1])]
    assert any("watched" not in one and "11-24 08:00:00 驶入" in one for one in messages(steps, "居委干部-1"))
