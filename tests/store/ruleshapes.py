"""What the core keeps of a rule of each kind, as text: the names of its arrays, tables and numbers (see ``shapes``)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec.structs import replace

from sensord.core.definition import Definition
from sensord.core.instant import MINUTE, SECOND
from sensord.core.place import Places
from sensord.core.rules.carry import pack_rule
from sensord.core.rules.derived import Baseline, Season, Trend
from sensord.core.rules.making import Maker
from sensord.core.rules.rule import Aggregate, Capacity, Clear, Flapping, Rule
from sensord.core.snapshot import PackedArray
from tests.core.failing import both, frozen
from tests.core.street import START, definition, density_rule, rules, value_of

_SESSION = {"window": 0, "session": MINUTE}
_READINGS = {"window": 0, "readings": 20}
_WHOLE = frozenset((Aggregate.OCCUPANCY, Aggregate.TOTAL))
"""Of a window only."""


def _kinds() -> Iterator[tuple[str, Rule]]:
    """A rule of each kind that keeps something else, with the words for it."""
    for one in Aggregate:
        yield f"{one} of a window", density_rule(value=value_of(one))
        if one not in _WHOLE:
            yield f"{one} of a session", density_rule(value=value_of(one), **_SESSION)
            yield f"{one} of some readings", density_rule(value=value_of(one), **_READINGS)
    for season in Season:
        yield f"baseline of the {season}", density_rule(baseline=Baseline(season))
    yield "in percent", density_rule(percent_of=Capacity.CAPACITY)
    yield "flapping", density_rule(flapping=Flapping(2, 20 * MINUTE, 5 * MINUTE))
    yield "trend", density_rule(trend=Trend(MINUTE, 10 * MINUTE))
    single = density_rule(window=0, every=0, clear=Clear((0.2, 0.5), 10 * SECOND))
    yield "each reading", single
    yield "each finding", replace(next(one for one in rules() if one.id == "finding"), each=True)
    yield "each vehicle", replace(next(one for one in rules() if one.id == "key-area"), each=True)
    yield "absence", next(one for one in rules() if one.absent)
    yield "stuck", frozen()


def rules_kept() -> Iterator[str]:
    """The lines of all kinds."""
    for words, rule in _kinds():
        yield from _kept(words, rule)
    parts = density_rule(), density_rule(id="empty")
    yield from _kept("combination", *parts, both())


def _kept(words: str, *some: Rule) -> Iterator[str]:
    """What the last of these rules keeps."""
    whole: Definition = definition(rules=some)
    maker = Maker(whole, Places(whole.places, whole.devices), None, followed=True)
    packed = pack_rule(maker.all(START)[-1])
    yield f"rule: {words}"
    for name, arrays in (("key", packed.arrays), ("device", packed.device_arrays)):
        yield from _named(f"by {name}", arrays)
    for name, table in packed.tables.items():
        yield from _named(f"table {name}", table)
    if packed.numbers:
        yield f"  numbers: {', '.join(packed.numbers)}"


def _named(words: str, arrays: Mapping[str, PackedArray]) -> Iterator[str]:
    """A line that names arrays with the kind of number in each and all its axes but the last."""
    if arrays:
        yield f"  {words}: " + ", ".join(f"{name} {_form(one)}" for name, one in arrays.items())


def _form(packed: PackedArray) -> str:
    return "x".join([packed.dtype.lstrip("<|"), *map(str, packed.shape[:-1])])
