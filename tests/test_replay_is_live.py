"""Replay = live, byte for byte: of every shipped scenario a part, through a real mosquitto and the real daemon.

Scenarios last hours, so each is squeezed into seconds (the devices' stamps are renewed on the way) and only its stage
is played, at most 700 messages from its middle: the places where something happens, the broken devices with their
faults, and a few others. The rules are the demonstration's, whose windows are short.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest

from sensord.config.load import load
from sensord.core.instant import MINUTE, SECOND
from sensord.core.site import Site
from sensord.drivers.replay import replay
from sensord.recordings.recording import open_recording
from sensord.recordings.writer import write
from sensord.source import Source, journal_records
from sensord.store.reader import DirectoryReader
from sensord.store.state import StateStore
from simulators.publish import publish
from simulators.recorded import load_street
from simulators.scenario import Scenario, scenario_files
from simulators.stage import SHIPPED, Stage, set_stage
from simulators.street import Message, Street
from tests.support import program

SECONDS = 2.5
"""How long each scenario takes."""
MOST = 700
"""So many of a scenario's messages are sent."""


def involved(scenario: Scenario, street: Street) -> set[str]:
    """The devices that a scenario is about, and a few others."""
    lanes = {crowd.lane for crowd in scenario.crowds}
    gates = {vehicle.gate for vehicle in scenario.vehicles} | {wave.gate for wave in scenario.waves}
    found = {device.id for device in street.places.devices if device.place in lanes | gates}
    found |= {silence.device for silence in scenario.silences}
    found |= {name for fault in scenario.faults for name in fault.devices or ()}
    return found | {device.id for device in street.places.devices[:10]}


def played(stage: Stage, name: str) -> list[Message]:
    """The messages of a scenario's stage, thinned to what fits."""
    street = load_street(stage.loaded, name, None, 1_764_000_000 * SECOND)
    mine = list(street.messages(involved(street.scenario, street)))
    # Whole stretches are kept, so that counters and crowds stay as they are; the middle is where things happen.
    first = max((len(mine) - MOST) // 3, 0)
    return mine[first : first + MOST]


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The state of a daemon that has lived through every scenario."""
    program("mosquitto")
    folder = tmp_path_factory.mktemp("live")
    with set_stage(folder, "zh", "mosquitto") as stage:
        for path in scenario_files(SHIPPED / "scenarios"):
            messages = played(stage, path.stem)
            length = (messages[-1].at - messages[0].at) / SECOND
            done = asyncio.run(publish(stage.loaded.settings.mqtt, messages, max(length / SECONDS, 1.5)))
            assert done.acknowledged == len(messages)
    return folder / "state"


def written(state: Path) -> bytes:
    """What the daemon decided and wrote down."""
    store = StateStore(state)
    try:
        return store.decisions()
    finally:
        store.close()


def test_the_journal_replays_to_what_was_decided_live(state: Path) -> None:
    """The daemon's journal, replayed, gives the bytes that it wrote down; and it was no quiet day."""
    secrets = load(state.parent / "sensord.yaml").secrets
    reader = DirectoryReader(state / "journal")
    groups = list(reader.read(0, 1_000_000))
    while more := reader.read(groups[-1].seq, 1_000_000):
        groups += more
    store = StateStore(state)
    applied = store.applied
    store.close()
    groups = [group for group in groups if group.seq <= applied]
    decided = b"".join(step.decisions() for step in replay(groups, Site(secrets=secrets)))
    assert decided == written(state)
    for word in (b'"change":"raised"', b'"happening":"file"', b'"reason":"case_opened"'):
        assert word in decided, "the day was too quiet to prove anything"


@pytest.mark.parametrize("raw", [True, False])
def test_a_recording_of_it_replays_the_same(state: Path, tmp_path: Path, raw: bool) -> None:
    """Exported, as raw messages or as decoded readings, the day decides the same, whatever the groups were."""
    config = state.parent / "sensord.yaml"
    secrets = load(config).secrets
    records = list(journal_records(state / "journal"))
    write(tmp_path / "day", records, records[-1].received_at, readings=True, secrets=secrets)
    manifest = open_recording(tmp_path / "day").manifest
    assert manifest is not None
    assert manifest.counts["message"] > 4_000
    opened = Source(tmp_path / "day", raw=raw).open()
    decided = b"".join(step.decisions() for step in replay(opened.recorded(), Site(secrets=secrets)))
    live = written(state)
    # Ticks after the last applied group may decide a little more.
    assert decided[: len(live)] == live
    rest = [msgspec.json.decode(line) for line in decided[len(live) :].splitlines()]
    assert all(one["at"] > records[-1].received_at - MINUTE for one in rest)


def test_nothing_of_the_rubbish_stopped_anything(state: Path) -> None:
    """Garbage became dead letters with reasons, duplicates were counted, and both are the same in the replay."""
    secrets = load(state.parent / "sensord.yaml").secrets
    site, dead, repeats = Site(secrets=secrets), 0, 0
    opened = Source(state / "journal").open()
    for step in replay(opened.recorded(), site):
        dead += len(step.dead)
        repeats += sum(amount for (_, outcome), amount in step.counts.items() if outcome == "duplicate")
    assert dead > 0
    assert repeats > 0
