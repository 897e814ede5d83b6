"""Neighbours are found by their hashes: the same ones that a look at every plate finds."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from sensord.core.instant import MINUTE, SECOND
from sensord.core.record import Record
from sensord.core.site import Site
from sensord.core.vehicles import compound, lasting
from sensord.core.vehicles.compound import Compound
from sensord.core.vehicles.nearby import Nearby, Neighbourhood
from sensord.core.vehicles.passage import CERTAIN, DOUBTFUL, Passage, Read
from sensord.core.vehicles.pseudonym import neighbours
from sensord.core.vehicles.visit import Visit
from tests.core.street import grouped
from tests.core.traffic import SECRETS, START, definition, passage, ticks, wild


def signed(word: int) -> int:
    """The word as identities hold it."""
    return word - (1 << 64) if word >> 63 else word


def plates(seed: int, count: int) -> list[Neighbourhood]:
    """Neighbourhoods whose hashes are few, so that many meet: at the same place, at another one, and at none."""
    dice = random.Random(seed)

    def half() -> int:
        hashes = (dice.choice((0, 1, 0x8000, 0xFFFF, dice.randrange(200))) for _ in range(4))
        return signed(sum(one << 16 * place for place, one in enumerate(hashes)))

    return [(half(), half()) for _ in range(count)]


@pytest.mark.parametrize("seed", range(5))
def test_neighbours_are_those_that_a_look_at_each_finds(seed: int) -> None:
    """Whoever came, left, or was seen to be another meanwhile."""
    dice, known, index = random.Random(seed), dict[int, Neighbourhood](), Nearby()
    found = 0
    for step, plate in enumerate(plates(seed, 900)):
        name = dice.randrange(120) - 60
        if dice.random() < 0.4:
            known.pop(name, None)
            index.drop(name)
        else:
            known[name] = plate
            index.put(name, *plate)
        if step % 7 == 0:
            asked = plates(1000 * seed + step, 1)[0]
            expected = {one for one, other in known.items() if neighbours(*asked, *other)}
            assert index.near(*asked) == expected
            found += len(expected)
            assert Nearby(known.items()).near(*asked) == expected
    assert found > 200


def test_nothing_is_kept_of_who_is_gone() -> None:
    """Neither of a name that was asked for, nor of one that was not."""
    index = Nearby()
    for name, plate in enumerate(plates(3, 50)):
        index.put(name, *plate)
        if name == 30:
            index.near(1, 1)
    for name in range(51):
        index.drop(name)
    assert not any(vars(index).values())


def test_another_reading_of_an_entry_is_the_one_that_is_looked_at() -> None:
    """Once it is surer who came, whoever leaves is held against that plate."""

    def read(early: int, late: int) -> Read:
        return Read(1, 1, "cam", 0.9, 7, 0, 0, early, late, True, "", 0, 0, 0, 0, 0)

    def leaves(early: int, late: int) -> Passage:
        return Passage([read(early, late)], [1], 9, 9, 0)

    first, better = ((0x0001_0002_0003_0004 + n, 0x0005_0006_0007_0008 + n) for n in (0, 0x0010_0010_0010_0010))
    here = Compound(None)
    here.add(7, Visit(read(*first), 1, 99, DOUBTFUL, []))
    assert here.only_near(leaves(*first)) == 7
    here.show(7, read(*better), CERTAIN)
    assert here.only_near(leaves(*better)) == 7
    assert here.only_near(leaves(*first)) == 0
    assert here.visits[7].certainty == CERTAIN


class Each(Nearby):
    """Looks at each plate, as plain as can be."""

    def near(self, early: int, late: int) -> set[int]:
        """Every neighbour."""
        return {name for name, one in self.names.items() if neighbours(early, late, *one)}


def decided(seed: int, restart: bool) -> list[object]:
    """What is decided on four wild hours and two nights after them; the saved state stands at the end."""
    site, said = Site(definition(), SECRETS), list[object]()
    records = [*wild(seed), *fleet(seed)]
    records.sort(key=lambda record: record.received_at)
    records += ticks(START + 44 * 60 * MINUTE, START + 5 * 60 * MINUTE, 30 * MINUTE)
    for number, group in enumerate(grouped(records, [9])):
        step = site.step(group)
        said += [step.decisions(), step.passages, step.counts, step.occupancy]
        for here in site.tracker.presence.compounds.values():
            held_against(here)
        if restart and number % 11 == 0:
            site = Site.restored(site.snapshot(), SECRETS)
    return [*said, site.snapshot()]


def held_against(here: Compound) -> None:
    """Those inside of whom somebody is held against are the first that came, as they were read."""
    inside = {one: (at.read.early, at.read.late) for one, at in here.visits.items()}
    assert here._nearby.names.items() <= inside.items()
    assert set(here._nearby.names) == set(list(inside)[: len(here._nearby.names)])
    known = {one for one in here._nearby.names if here.visits[one].kin}
    assert {one for relatives in here._kin.values() for one in relatives} == known


def fleet(seed: int) -> Iterator[Record]:
    """Vehicles whose plates differ in one character or two, read well and badly; some make short visits."""
    dice = random.Random(seed)
    for _ in range(600):
        at = START + dice.randrange(4 * 60 * 60) * SECOND
        plate = (
            f"苏E2468{dice.randrange(10)}" if dice.random() < 0.5 else f"沪A{dice.randrange(3)}234{dice.randrange(5)}"
        )
        sure = dice.choice((0.6, 0.8, 0.97))
        gate = dice.choice(("C1-N", "C1-S", "C2-N"))
        yield passage(gate, at, plate, "in", sure)
        if dice.random() < 0.6:
            misread = plate[:-1] + dice.choice("0123456789?") if dice.random() < 0.4 else plate
            yield passage(gate, at + dice.randrange(20, 400) * SECOND, misread, "out", dice.choice((0.6, 0.97)))


def test_the_same_is_decided(monkeypatch: pytest.MonkeyPatch) -> None:
    """Byte for byte, and in the saved state; a restart finds the same ones, and who is inside is who is looked at."""
    found = decided(1, restart=False)
    assert decided(1, restart=True) == found
    for module in (compound, lasting):
        monkeypatch.setattr(module, "Nearby", Each)
    assert decided(1, restart=False) == found
