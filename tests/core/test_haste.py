"""Panes that are passed by at once leave the same levels and clocks as panes that are evaluated one by one."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sensord.core.batch import DERIVED, Batch
from sensord.core.failure import Failures
from sensord.core.instant import HOUR, SECOND
from sensord.core.level import Level
from sensord.core.place import Places
from sensord.core.rules.coming import Coming
from sensord.core.rules.evaluator import Setting
from sensord.core.rules.keys import KeyTable
from sensord.core.rules.ladder import Ladder
from sensord.core.rules.liveness import Liveness
from sensord.core.rules.paneclock import PaneClock
from sensord.core.rules.rule import Aggregate, Clear, Comparison, Flapping, LevelSpec, Stuck, Value
from sensord.core.rules.stuck import StuckRule
from sensord.core.schedule import Calendar
from sensord.core.stream import Stream
from tests.core import street

KEYS, EVERY = 3, 10 * SECOND
STREET = Places(street.places(), street.devices())
ALL = len(STREET.devices)
WEIGHT = np.arange(ALL, dtype=np.int64)

values = st.lists(
    st.tuples(*[st.sampled_from((0.0, 0.7, 0.9, 1.5, 1.9, 3.0, None)) for _ in range(KEYS)]), min_size=1, max_size=30
)


def ladder(comparison: Comparison, hold: int, clear: int, damped: bool) -> Ladder:
    """Three rungs, of which the second has to hold."""
    levels = (LevelSpec(Level.BLUE, 1.0), LevelSpec(Level.ORANGE, 1.7, hold * SECOND), LevelSpec(Level.RED, 2.5))
    if comparison is Comparison.BELOW:
        levels = (LevelSpec(Level.BLUE, 1.7), LevelSpec(Level.ORANGE, 1.0, hold * SECOND), LevelSpec(Level.RED, 0.8))
    flapping = Flapping(2, 60 * SECOND, 40 * SECOND) if damped else None
    rule = street.density_rule(
        levels=levels, clear=Clear((0.2, 0.0, 0.2), clear * SECOND), comparison=comparison, flapping=flapping
    )
    return Ladder(rule, KEYS)


def state(one: Ladder) -> dict[str, bytes]:
    """Everything that is saved of a ladder."""
    return {name: array.tobytes() for name, array in one.arrays().items()}


@given(
    rows=values,
    comparison=st.sampled_from((Comparison.ABOVE, Comparison.BELOW)),
    hold=st.sampled_from((0, 20)),
    clear=st.sampled_from((0, 10, 30)),
    damped=st.booleans(),
    reach=st.integers(1, 8),
)
@settings(max_examples=300)
def test_the_ladder_passes_by_what_changes_no_level(
    rows: list[tuple[float | None, ...]], comparison: Comparison, hold: int, clear: int, damped: bool, reach: int
) -> None:
    """As far as it passes by, and where it stops, it is where evaluation by evaluation leads."""
    value = np.array([[np.nan if one is None else one for one in row] for row in rows])
    known = ~np.isnan(value)
    ends = 10**18 + EVERY * np.arange(len(rows))
    singly, hasty = (ladder(comparison, hold, clear, damped) for _ in range(2))
    row = 0
    while row < len(rows):
        ahead = slice(row, row + reach)
        passed = hasty.pass_by(ends[ahead], value[ahead], known[ahead])
        for number in range(row, row + passed):
            assert not len(singly.evaluate(int(ends[number]), value[number], known[number]))
        assert state(hasty) == state(singly)
        assert hasty.resting == singly.resting
        row += passed
        if passed < len(ends[ahead]):
            changed = hasty.evaluate(int(ends[row]), value[row], known[row])
            assert len(changed)
            assert changed.tolist() == singly.evaluate(int(ends[row]), value[row], known[row]).tolist()
            row += 1


TOLD, MADE, OLD = "told", "made by the core", "stored for long"


def listening() -> Liveness:
    """Who is heard in the street."""
    return Liveness(STREET, 0, lambda _: 2 * SECOND, Failures())


def batch_of(arrivals: list[tuple[int, int, str]]) -> Batch:
    """Readings as (second of arrival, device, how they come)."""
    at = np.array([second * SECOND for second, _, _ in arrivals], np.int64)
    device = np.array([number for _, number, _ in arrivals], np.int32)
    flags = np.array([DERIVED if how == MADE else 0 for _, _, how in arrivals], np.int8)
    event_at = at - np.array([HOUR if how == OLD else 0 for _, _, how in arrivals], np.int64)
    stream = np.full(len(at), Stream.CROWD, np.int8)
    return Batch(100 * SECOND, stream, device, event_at, at, flags, {}, {})


@given(
    arrivals=st.lists(
        st.tuples(st.integers(0, 100), st.integers(0, ALL - 1), st.sampled_from((TOLD, TOLD, MADE, OLD))), max_size=30
    ).map(sorted),
    instants=st.lists(st.integers(1, 100), min_size=1, unique=True).map(sorted),
    by=st.sampled_from(("lane", "compound", "grid", "device")),
    noted=st.integers(0, 5),
)
@settings(max_examples=200)
def test_who_will_be_alive_is_who_is_alive_then(
    arrivals: list[tuple[int, int, str]], instants: list[int], by: str, noted: int
) -> None:
    """What is foreseen of each key's devices is what noting arrival by arrival finds."""
    table = KeyTable(street.density_rule(by=by), STREET)
    batch, noted = batch_of(arrivals), min(noted, len(arrivals))
    foreseeing, noting = listening(), listening()
    for one in (foreseeing, noting):
        one.note(batch, slice(0, noted))
    late = [second for second in instants if noted == 0 or second * SECOND > batch.received_at[noted - 1]]
    if not late:
        return
    coming, at = Coming(batch, noted, foreseeing, ()), np.array(late, np.int64) * SECOND
    found, weighed = coming.silent(at, table), coming.silent(at, table, WEIGHT)
    for row, second in enumerate(late):
        before = slice(noted, int(np.searchsorted(batch.received_at, second * SECOND)))
        noting.note(batch, before)
        alive = noting.alive(second * SECOND)
        assert (found[row] < table.counted()).tolist() == table.among(alive).tolist()
        assert (found[row] > 0).tolist() == table.among(~alive).tolist()
        assert weighed[row].tolist() == table.total(~alive, WEIGHT).tolist()


def setting() -> Setting:
    """What the street's rules stand in."""
    return Setting(STREET, "Asia/Shanghai", 0, Calendar(), np.arange(ALL, dtype=np.float64), PaneClock(0))


def test_nobody_can_foresee_what_a_rule_on_stillness_will_say() -> None:
    """It is settled until that rule is evaluated next; not at all while it holds a device for stuck."""
    rule = street.density_rule(
        id="stuck", by="device", stuck=Stuck("count", 100 * SECOND, 0), value=None, window=0, every=0
    )
    stuck = StuckRule(rule, KeyTable(rule, STREET), setting(), 0)
    coming = Coming(batch_of([]), 0, listening(), [stuck])
    lanes = KeyTable(street.density_rule(), STREET)
    gates = KeyTable(street.density_rule(stream=Stream.PLATE, by="gate", value=Value(Aggregate.COUNT)), STREET)
    assert coming.certain(lanes) == stuck.due < coming.certain(gates)
    stuck.frozen[0] = True
    assert coming.certain(lanes) == 0 < stuck.due < coming.certain(gates)
