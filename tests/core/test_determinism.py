"""The promise of the core: however the same journal is cut, stopped or shared out, the outcome is the same bytes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensord.core.alert import Transition
from sensord.core.batch import Batch
from sensord.core.intake.intake import Intake
from sensord.core.place import Places
from sensord.core.record import Record, RecordKind
from sensord.core.rules.engine import Engine
from sensord.core.site import Site
from tests.core.street import decided, definition, grouped, stream_of


@pytest.fixture(scope="module")
def whole() -> dict[int, bytes]:
    """The reference: one record a group."""
    return {seed: decided(stream_of(seed), [1]) for seed in (1, 2, 3)}


@pytest.mark.parametrize("size", [7, 500, 20_000])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_batch_sizes_do_not_matter(whole: dict[int, bytes], seed: int, size: int) -> None:
    """Groups of 1, 7, 500 and 20,000 records give the same bytes."""
    assert whole[seed].count(b"raised") > 20
    assert decided(stream_of(seed), [size]) == whole[seed]


@given(
    sizes=st.lists(st.integers(1, 90), min_size=1, max_size=12),
    restart=st.integers(0, 9),
    seed=st.sampled_from((1, 2, 3)),
)
@settings(max_examples=8)
def test_any_cut_and_any_restart(whole: dict[int, bytes], sizes: list[int], restart: int, seed: int) -> None:
    """Any sequence of group sizes, with a snapshot and restore at any rhythm, gives the same bytes."""
    assert decided(stream_of(seed), sizes, restart) == whole[seed]


def test_ticks_add_nothing(whole: dict[int, bytes]) -> None:
    """Ticks between messages say only that time has passed, which the next message says anyway."""
    records = stream_of(1)
    ticked = [tick for record in records for tick in (Record(RecordKind.TICK, record.received_at), record)]
    assert decided(ticked, [3]) == whole[1]


def run(engine: Engine, batches: list[Batch]) -> list[Transition]:
    """Feed batches and collect what comes out."""
    return [transition for batch in batches for transition in engine.feed(batch)]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_shards_by_grid_add_up(seed: int) -> None:
    """Two engines that share the residential grids between them find together exactly what one finds alone."""
    whole = definition()
    places = Places(whole.places, whole.devices)
    records = stream_of(seed)
    intake = Intake(whole, places)
    batches = [intake.decode(group.records, group.received_at).batch for group in grouped(records, [40])]
    alone = run(Engine(whole, places), batches)
    shards = [run(Engine(whole, places, frozenset({grid})), batches) for grid in ("G1", "G2")]

    def order(one: Transition) -> tuple[int, str]:
        return one.at, one.id

    assert sorted((one for shard in shards for one in shard), key=order) == sorted(alone, key=order)
    assert len({one.place[:2] for one in alone}) > 1
    assert all(shards)


def test_ids_are_unique() -> None:
    """No two transitions, events or notifications of a run share an id."""
    site, seen = Site(), list[str]()
    for group in grouped(stream_of(2), [50], definition()):
        step = site.step(group)
        seen += [one.id for one in step.transitions] + [one.id for one in step.events]
        seen += [one.key for one in step.notifications]
    assert len(seen) == len(set(seen)) > 100
