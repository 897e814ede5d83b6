"""What a daemon lived through, and what comes of it again: the halves of "replay = live"."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from sensord.config.load import load
from sensord.core.record import Record
from sensord.core.site import Site, Step
from sensord.core.stream import Stream
from sensord.drivers.replay import journal_groups, replay
from sensord.recordings.writer import write
from sensord.source import Source, journal_records
from sensord.store.reader import DirectoryReader
from sensord.store.state import StateStore
from simulators.recorded import load_street
from simulators.scenario import Scenario
from simulators.stage import Stage
from simulators.street import Message, Street

START = 1_764_000_000 * 10**9


def involved(scenario: Scenario, street: Street) -> set[str]:
    """The devices that a scenario is about, and a few others: sensors of crowds, and cameras."""
    lanes = {crowd.lane for crowd in scenario.crowds}
    gates = {vehicle.gate for vehicle in scenario.vehicles} | {wave.gate for wave in scenario.waves}
    found = {device.id for device in street.places.devices if device.place in lanes | gates}
    found |= {silence.device for silence in scenario.silences}
    found |= {name for fault in scenario.faults for name in fault.devices or ()}
    cameras = [device.id for device in street.places.devices if device.stream is Stream.PLATE]
    return found | {device.id for device in street.places.devices[:10]} | set(cameras[:10])


def played(stage: Stage, name: str, most: int) -> list[Message]:
    """The messages of a scenario's stage, thinned to so many."""
    street = load_street(stage.loaded, name, None, START)
    mine = list(street.messages(involved(street.scenario, street)))
    # Whole stretches are kept, so that counters and crowds stay as they are; the middle is where things happen.
    first = max((len(mine) - most) // 3, 0)
    return mine[first : first + most]


def lived(state: Path) -> bytes:
    """What the daemon decided and wrote down."""
    store = StateStore(state)
    try:
        return store.decisions()
    finally:
        store.close()


def again(state: Path) -> bytes:
    """What its journal decides, replayed as far as the daemon had come."""
    return b"".join(step.decisions() for step in _steps(state))


def _steps(state: Path) -> Iterator[Step]:
    """Its journal, stepped again as far as the daemon had come."""
    with closing(StateStore(state)) as store:
        applied = store.applied
    secrets = load(state.parent / "sensord.yaml").secrets
    return replay(journal_groups(DirectoryReader(state / "journal"), upto=applied), Site(secrets=secrets))


Tallies = dict[str, set[tuple[object, ...]]]
"""What reports on vehicles are made of: who passed, who was inside, and when nobody could see; rows by table."""


def tallied(state: Path) -> Tallies:
    """What the daemon added up."""
    address = f"file:{state / 'state.db'}?mode=ro"
    with closing(sqlite3.connect(address, uri=True)) as database:
        return {name: set(database.execute(f"SELECT * FROM {name}")) for name in ("passages", "occupancy", "blind")}


def tallied_again(state: Path) -> Tallies:
    """What its journal adds up to, replayed as far as the daemon had come."""
    passed = Counter[tuple[object, ...]]()
    inside, blind = dict[tuple[object, ...], tuple[object, ...]](), dict[tuple[object, ...], tuple[object, ...]]()
    for step in _steps(state):
        for one in step.passages:
            passed[one.start, one.gate, one.direction, one.sort, one.province, one.energy] += one.count
        inside |= {(one.at, one.compound): (one.inside, one.unsure) for one in step.occupancy}
        blind |= {(one.device, one.since): (one.until,) for one in step.blind}
    passages = {(*kind, count) for kind, count in passed.items()}
    occupancy, stretches = ({(*key, *rest) for key, rest in table.items()} for table in (inside, blind))
    return {"passages": passages, "occupancy": occupancy, "blind": stretches}


def record(state: Path, folder: Path) -> list[Record]:
    """Write its journal as a recording, plates as they are; return the records."""
    records = list(journal_records(state / "journal"))
    secrets = load(state.parent / "sensord.yaml").secrets
    write(folder, records, records[-1].received_at, readings=True, secrets=secrets)
    return records


def recorded_again(state: Path, folder: Path, *, raw: bool) -> bytes:
    """What the recording decides: as messages, or as readings that were decoded before."""
    secrets = load(state.parent / "sensord.yaml").secrets
    opened = Source(folder, raw=raw).open()
    return b"".join(step.decisions() for step in replay(opened.recorded(), Site(secrets=secrets)))
