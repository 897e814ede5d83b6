"""Finds scenarios, and writes a simulated street straight into a recording, with its truth beside it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

import msgspec

from sensord.backtest.labels import write_incidents
from sensord.config.load import Loaded, load
from sensord.core.instant import SECOND
from sensord.core.record import Record, RecordKind
from sensord.core.site import definition_record
from sensord.core.vehicles.pseudonym import MADE_UP_KEYS
from sensord.errors import StoreError
from sensord.recordings.lines import LineWriter
from sensord.recordings.manifest import Manifest
from sensord.recordings.writer import RecordingWriter
from sensord.words import language
from simulators.columns import batches
from simulators.scenario import find_scenario, load_scenario, scenario_files
from simulators.street import Message, Street
from simulators.truth import incidents

TRUTH = "truth.csv"
_SHIPPED = Path(__file__).resolve().parents[1] / "config" / "scenarios"


def load_street(loaded: Loaded, scenario_name: str, duration: float | None, start: int) -> Street:
    """Make the street of a configuration, with a scenario of its ``scenarios`` folder or of those shipped.

    ``duration`` is in seconds. Raises ``ConfigError`` for an unknown or wrong scenario.
    """
    scenario = load_scenario(find_scenario(scenario_name, _folder(loaded)), loaded.definition)
    return Street(loaded.definition, scenario, start, None if duration is None else round(duration * SECOND))


def write_recording(path: Path, messages: Iterable[Message]) -> int:
    """Write messages as JSON lines (through gzip when the name ends in ``.gz``), each received when it was sent.

    Returns how many there were. Raises ``StoreError`` when the file cannot be written.
    """
    try:
        writer = LineWriter(path)
        for message in messages:
            writer.add(Record(RecordKind.MESSAGE, message.at, message.topic, message.payload))
        writer.close()
    except OSError as error:
        raise StoreError(f"the recording {path} cannot be written ({error.strerror}); choose another place") from error
    return writer.count


def list_scenarios(config_path: Path) -> list[tuple[str, str]]:
    """Return (name, what people call it) of every scenario that a configuration can play."""
    loaded = load(config_path)
    files = scenario_files(_folder(loaded))
    return [(path.stem, load_scenario(path, loaded.definition).name[language()]) for path in files]


def _folder(loaded: Loaded) -> Path:
    own = loaded.base / "scenarios"
    return own if own.is_dir() else _SHIPPED


def record_simulation(
    config_path: Path,
    scenario_name: str,
    duration: float | None,
    target: Path,
    start: int | None = None,
    *,
    readings_only: bool = False,
) -> int:
    """Write a scenario as a recording's folder, or as a file of messages, at once; returns how many it holds.

    ``start`` is an instant (ns; None: now). Raises ``ConfigError``, ``StoreError``.
    """
    street = load_street(load(config_path), scenario_name, duration, time.time_ns() if start is None else start)
    if target.name.endswith((".jsonl", ".jsonl.gz")):
        return write_recording(target, street.messages())
    counts = write_street(target, street, messages=not readings_only).counts
    return counts.get("message", 0) or counts.get("reading", 0)


def write_street(folder: Path, street: Street, *, messages: bool = False) -> Manifest:
    """Write a street's readings (and, if wanted, its raw messages) as a recording with ``truth.csv`` inside.

    Without messages and faults the readings are made as columns, which is many times as fast. Plates are made up, so
    the recording says ``pseudonyms``.
    """
    history = [f"simulated: {street.scenario.name['en']}, seed {street.scenario.seed}"]
    # Vehicles that are made up may be followed under the key that everybody knows.
    definition = msgspec.structs.replace(street.world.definition, plate_keys=MADE_UP_KEYS)
    street = Street(definition, street.scenario, street.start, street.end - street.start)
    first = definition_record(definition, street.start)
    by_columns = not messages and not street.scenario.faults
    writer = RecordingWriter(folder, messages=messages, readings=True, plates="pseudonyms", history=history)
    try:
        if by_columns:
            writer.add(first)
            for batch in batches(street):
                writer.add_batch(batch)
        else:
            for record in chain([first], _records(street)):
                writer.add(record)
        manifest = writer.finish(street.end)
    except BaseException:
        writer.abandon()
        raise
    write_incidents(folder / TRUTH, incidents(street), street.world.definition.zone)
    return manifest


def _records(street: Street) -> Iterator[Record]:
    for message in street.messages():
        yield Record(RecordKind.MESSAGE, message.at, message.topic, message.payload)
