"""Simulated streets as recordings: columns are what messages decode to, truth lies beside, shapes are as they say."""

from __future__ import annotations

from pathlib import Path
from random import Random

import numpy as np
import pytest

from sensord.backtest.labels import Incident
from sensord.core.instant import HOUR, MINUTE, SECOND
from sensord.core.intake.intake import Intake
from sensord.core.level import Level
from sensord.core.place import Places
from sensord.core.record import Record, RecordKind
from sensord.recordings.manifest import read_manifest
from simulators.columns import batches
from simulators.gathering import Crowd, Shape, gather
from simulators.recorded import list_scenarios, write_street
from simulators.rhythm import is_weekend
from simulators.scenario import BackgroundEntry, KeyAreaVehicle, Rain, Silence, VehicleWave, load_scenario
from simulators.score import CONFIG, score
from simulators.sensors import densities
from simulators.street import Street
from simulators.truth import incidents
from tests.simulators.small import START, definition, scenario, street, write

BUSY = BackgroundEntry(passages_per_hour=240.0, misread=0.1, tailgating=0.1)


def test_columns_are_what_messages_decode_to() -> None:
    """Without a message being made, the readings are the very ones that the core's intake would have decoded."""
    silence = Silence("crowd-2", 5 * MINUTE, 3 * MINUTE)
    made = Street(definition(), scenario(silences=(silence,), duration=25 * MINUTE, background=BUSY), START)
    intake = Intake(definition(), Places(definition().places, definition().devices))
    records = tuple(Record(RecordKind.MESSAGE, one.at, one.topic, one.payload) for one in made.messages())
    decoded = intake.decode(records, made.end).batch
    found = list(batches(made))
    assert len(found) == 3
    assert sum(map(len, found)) == len(decoded) > 500
    for name in ("stream", "device", "event_at", "received_at"):
        assert np.array_equal(np.concatenate([getattr(one, name) for one in found]), getattr(decoded, name)), name
    for name, column in decoded.fields.items():
        mine = [one.fields.get(name, np.full(len(one), np.nan)) for one in found]
        assert np.array_equal(np.concatenate(mine), column, equal_nan=True), name
    for name, codes in decoded.labels.items():
        assert np.array_equal(np.concatenate([one.labels.get(name, np.full(len(one), -1)) for one in found]), codes)


@pytest.mark.parametrize("shape", ["market", "school_gate", "queue", "festival", "crush"])
def test_shapes_reach_their_peak_within_their_length(shape: Shape) -> None:
    """Whatever the shape, the greatest density is the one asked for, and afterwards the lane is empty."""
    crowds = gather(shape, "L1", 0, HOUR, 4.0, Random(1))
    at = np.arange(0, 2 * HOUR, SECOND)
    dense = np.sum([crowd.densities(at) for crowd in crowds], axis=0)
    assert dense.max() == pytest.approx(4.0, rel=0.02)
    assert dense[at > 1.15 * HOUR].max() == 0
    assert dense[0] == 0


def test_rain_and_weekends(tmp_path: Path) -> None:
    """In the rain fewer people are out; at weekends more, when a scenario says so."""
    rain = Rain(MINUTE, 2 * MINUTE, 0.25)
    wet = street(rains=(rain,), crowds=(Crowd("L1", 0, SECOND, 2.0, HOUR, SECOND),))
    dry = street(crowds=(Crowd("L1", 0, SECOND, 2.0, HOUR, SECOND),))
    at = np.array([START + 30 * SECOND, START + 90 * SECOND])
    shares = densities("L1", at, wet.world) / densities("L1", at, dry.world)
    assert shares.tolist() == [1.0, 0.25]
    assert is_weekend(np.array([START, START + 13 * HOUR]), 8 * HOUR).tolist() == [True, False]
    busy = street(background=BackgroundEntry(weekend=2.0))
    calm = street(background=BackgroundEntry())
    assert densities("L2", at[:1], busy.world) == 2 * densities("L2", at[:1], calm.world)


def test_a_scenario_with_everything(tmp_path: Path) -> None:
    """Gatherings repeat, waves and faults are read; the faults change what arrives, and nothing else."""
    text = """\
seed: 4
duration: 30m
events:
  - {kind: gathering, shape: school_gate, lane: L1, start: 1m, length: 5m, peak_density: 2, repeat: 10m, times: 2}
  - {kind: vehicle_wave, gate: C1-N, start: 5m, length: 20m, per_hour: 200}
  - {kind: rain, start: 20m, length: 5m}
"""
    clean = Street(definition(), load_scenario(write(tmp_path, text), definition()), START)
    faulty = text + "faults:\n  - {kind: outage, devices: [crowd-2], start: 5m, length: 5m}\n"
    broken = Street(definition(), load_scenario(write(tmp_path, faulty), definition()), START)
    assert [crowd.start for crowd in clean.scenario.crowds] == [MINUTE, 11 * MINUTE]
    there, here = list(clean.messages()), list(broken.messages())
    lost = [one for one in there if one not in here]
    assert set(here) < set(there)
    assert {one.topic.rpartition("/")[2] for one in lost} == {"crowd-2"}
    assert len(lost) == 30
    kinds = {(one.kind, one.place, one.must) for one in incidents(broken)}
    assert kinds == {
        ("crowd", "L1", True), ("crowd_silence", "L2", True), ("out_of_town_arrivals", "C1-N", True),
    }  # fmt: skip


def test_truth_of_crowds_and_vehicles() -> None:
    """A crowd's level is the band that it stays in for two minutes; only planned vehicles must be told of."""
    crowd = Crowd("L1", MINUTE, MINUTE, 2.6, 4 * MINUTE, MINUTE)
    brief = Crowd("L2", MINUTE, SECOND, 1.5, 30 * SECOND, SECOND)
    vehicles = (KeyAreaVehicle("C1-N", "cam-entry", 3 * MINUTE),)
    waves = (VehicleWave("C1-N", "cam-entry", 0, 10 * MINUTE, 30.0),)
    found = incidents(street(crowds=(crowd, brief), vehicles=vehicles, waves=waves))
    by_kind = {(one.kind, one.place): one for one in found}
    assert by_kind["crowd", "L1"].level is Level.ORANGE
    assert START + MINUTE < by_kind["crowd", "L1"].start < START + 2 * MINUTE
    assert not by_kind["crowd", "L2"].must
    assert by_kind["key_area_vehicle", "C1-N"] == Incident(
        "C1-N", START + 3 * MINUTE, START + 3 * MINUTE, "key_area_vehicle"
    )
    assert not by_kind["out_of_town_arrivals", "C1-N"].must


@pytest.mark.parametrize("messages", [True, False])
def test_a_recording_with_its_truth(tmp_path: Path, messages: bool) -> None:
    """A simulated recording has its labels inside and its definition, in either form."""
    write_street(
        tmp_path / "made", street(crowds=(Crowd("L1", MINUTE, MINUTE, 2.6, 4 * MINUTE, MINUTE),)), messages=messages
    )
    manifest = read_manifest(tmp_path / "made")
    assert manifest.definitions
    assert manifest.devices == 6
    assert bool(manifest.of_kind("messages")) is messages
    lines = (tmp_path / "made" / "truth.csv").read_text("utf-8").splitlines()
    assert lines[0] == "place,start,end,kind,level,must"
    assert lines[1].startswith("L1,2025-11-23T11:3")
    assert lines[1].endswith(",crowd,orange,yes")


def test_the_shipped_rules_find_a_crush_and_survive_broken_devices() -> None:
    """The shipped rules catch what must be caught, without a false alarm, in two of the shipped scenarios."""
    for result in score(["crush", "broken-devices"]):
        assert not result.missed, result
        assert all(one.right == one.alerts for one in result.scores), result


def test_scenarios_are_listed() -> None:
    """Every shipped scenario has a name that people read."""
    names = dict(list_scenarios(CONFIG))
    assert len(names) >= 12
    assert all(text and text != name for name, text in names.items())
