"""Decoded readings as Parquet files: one row a reading, in order of arrival, read back straight into batches.

Columns: ``received_at``, ``event_at`` (timestamps, UTC, ns), ``device``, ``stream`` and every label (dictionary-encoded
text), ``clock_suspect``, and every field (float64, null: the reading has none). No plate, no free text gets so far: a
vehicle is its pseudonym (``vehicle`` and the numbers beside it) and its mask.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from sensord.core.batch import CLOCK_SUSPECT, Batch, Int8, Int32, Sightings
from sensord.core.place import Places
from sensord.core.stream import BY_WORD, FIELDS, LABELS, Stream
from sensord.errors import ConfigError, Problem, StoreError

ROW_GROUP = 262_144
CHUNK = 65_536
"""So many readings become one batch: at 500 a second, two minutes."""
_TIMES = ("received_at", "event_at")
_WHO = ("vehicle", "vehicle_former", "vehicle_family", "vehicle_early", "vehicle_late")
_SPOT = "spot"
_SIGHTING = (*_WHO, "vehicle_seen_at", "vehicle_sure", "vehicle_mask")


@dataclass(frozen=True, slots=True)
class Columns:
    """Readings whose devices still have names; ``names[code]`` is the device of ``batch.device[i] == code``.

    Likewise ``spots[code]`` is the place of ``batch.spot[i] == code``.
    """

    names: tuple[str, ...]
    batch: Batch
    spots: tuple[str, ...] = ()

    def placed(self, places: Places) -> Batch:
        """The batch with positions of a registry; readings of devices that it does not know are left out."""
        device: Int32 = _positions(self.names, places)[self.batch.device]
        spot = None if self.batch.spot is None else _spots(self.spots, places)[self.batch.spot]
        batch = replace(self.batch, device=device, spot=spot)
        if len(device) and int(device.min()) < 0:
            return batch.select(np.flatnonzero(device >= 0))
        return batch


@lru_cache(maxsize=2)  # nearly every chunk of a file has the names of the one before
def _positions(names: tuple[str, ...], places: Places) -> Int32:
    """Where these devices stand in a registry; -1 for those that it does not know."""
    return np.array([places.device_index.get(name, -1) for name in names] or [-1], np.int32)


def _spots(names: tuple[str, ...], places: Places) -> Int32:
    """Where these places stand in a registry; -1 for those that it does not know, and for none (the last)."""
    return np.array([*(places.index.get(name, -1) for name in names), -1], np.int32)


def arrow() -> Any:
    """Import pyarrow with its Parquet part, or say how to get it."""
    try:
        import pyarrow as pa
        import pyarrow.parquet
    except ImportError as error:
        raise StoreError("Parquet needs the package pyarrow: pip install 'sensord[offline]'") from error
    return pa


class ReadingsWriter:
    """Writes batches of one registry to one file; at most a row group is kept in memory."""

    def __init__(self, path: Path) -> None:
        self.path, self.count, self.first, self.last = path, 0, 0, 0
        self._pa = arrow()
        self._schema = _schema(self._pa)
        texts = ["device", "stream", _SPOT, *LABELS]
        self._writer = self._pa.parquet.ParquetWriter(
            path,
            self._schema,
            compression="zstd",
            use_dictionary=texts,
            column_encoding=dict.fromkeys(_TIMES, "DELTA_BINARY_PACKED"),
            write_statistics=["received_at"],
        )
        self._waiting: list[Any] = []
        self._rows = 0

    def add(self, batch: Batch, places: Places) -> None:
        """Take readings; ``places`` is the registry that their devices are positions of."""
        if not len(batch):
            return
        self.first = self.first or int(batch.received_at[0])
        self.last = int(batch.received_at[-1])
        self.count += len(batch)
        self._waiting.append(_table(self._pa, self._schema, batch, places))
        self._rows += len(batch)
        if self._rows >= ROW_GROUP:
            self._flush()

    def _flush(self) -> None:
        if self._waiting:
            table = self._pa.concat_tables(self._waiting).unify_dictionaries()
            self._writer.write_table(table, row_group_size=ROW_GROUP)
            self._waiting, self._rows = [], 0

    def close(self) -> None:
        """Finish the file."""
        self._flush()
        self._writer.close()


def read_readings(path: Path, chunk: int = CHUNK, wanted: frozenset[str] | None = None) -> Iterator[Columns]:
    """Yield the readings of a file in its order; at most a row group is in memory.

    ``wanted`` names the fields and labels to read (None: all). Raises ``ConfigError`` when the file is none of ours.
    """
    pa = arrow()
    try:
        # Fields and labels that came with later versions are not in the files of earlier ones.
        have = set(pa.parquet.read_schema(path).names)
        texts = [name for name in ("device", "stream", _SPOT, *LABELS) if name in have]
        with pa.parquet.ParquetFile(path, read_dictionary=texts) as file:
            missing = {*_TIMES, "device", "stream", "clock_suspect"} - have
            if missing:
                raise ConfigError([Problem(str(path), 1, 1, f"no file of readings: it lacks {', '.join(missing)}")])
            extra = [name for name in (*FIELDS, *LABELS) if name in have and (wanted is None or name in wanted)]
            extra += [name for name in (*_SIGHTING, _SPOT) if name in have]
            names = [*_TIMES, "device", "stream", "clock_suspect", *extra]
            # One row group after the other: a single pass over all of them keeps memory for every one that it has read.
            for number in range(file.num_row_groups):
                for rows in file.iter_batches(chunk, row_groups=[number], columns=names, use_threads=False):
                    yield _columns(pa, rows)
    except (pa.ArrowException, OSError) as error:
        raise ConfigError([Problem(str(path), 1, 1, f"cannot be read as Parquet: {error}")]) from error


def _schema(pa: Any) -> Any:
    text, stamp = pa.dictionary(pa.int32(), pa.string()), pa.timestamp("ns", "UTC")
    columns = [("received_at", stamp), ("event_at", stamp), ("device", text), ("stream", text)]
    columns += [("clock_suspect", pa.bool_())]
    columns += [(name, text) for name in LABELS]
    columns += [(name, pa.float64()) for name in FIELDS]
    columns += [(name, pa.int64()) for name in (*_WHO, "vehicle_seen_at")]
    columns += [("vehicle_sure", pa.bool_()), ("vehicle_mask", pa.string()), (_SPOT, text)]
    return pa.schema(columns)


def _table(pa: Any, schema: Any, batch: Batch, places: Places) -> Any:
    count = len(batch)
    used, codes = np.unique(batch.device, return_inverse=True)
    columns = {
        "received_at": batch.received_at,
        "event_at": batch.event_at,
        "device": pa.DictionaryArray.from_arrays(
            pa.array(codes.astype(np.int32)), pa.array([places.devices[index].id for index in used], pa.string())
        ),
        "stream": pa.DictionaryArray.from_arrays(
            pa.array(batch.stream.astype(np.int32)), pa.array([stream.word for stream in Stream], pa.string())
        ),
        "clock_suspect": pa.array((batch.flags & CLOCK_SUSPECT) != 0),
    }
    for name, label in LABELS.items():
        marks = batch.labels.get(name)
        codes = np.full(count, -1, np.int32) if marks is None else marks.astype(np.int32)
        indices = pa.array(np.maximum(codes, 0), pa.int32(), mask=codes < 0)
        columns[name] = pa.DictionaryArray.from_arrays(indices, pa.array(label.words, pa.string()))
    for name in FIELDS:
        values = batch.fields.get(name)
        columns[name] = pa.nulls(count, pa.float64()) if values is None else pa.array(values, mask=np.isnan(values))
    columns |= _sighting_columns(pa, batch)
    columns[_SPOT] = _spot_column(pa, batch, places)
    arrays = [
        pa.array(columns[field.name]).cast(field.type) if field.name in _TIMES else columns[field.name]
        for field in schema
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


def _sighting_columns(pa: Any, batch: Batch) -> dict[str, Any]:
    """Who was seen; null where nobody was."""
    count, seen = len(batch), batch.sightings
    if seen is None:
        kinds = {"vehicle_sure": pa.bool_(), "vehicle_mask": pa.string()}
        return {name: pa.nulls(count, kinds.get(name, pa.int64())) for name in _SIGHTING}
    nobody = seen.who[:, 0] == 0
    columns = {name: pa.array(seen.who[:, number], mask=nobody) for number, name in enumerate(_WHO)}
    columns["vehicle_seen_at"] = pa.array(seen.seen_at, mask=nobody)
    columns["vehicle_sure"] = pa.array(seen.sure, mask=nobody)
    columns["vehicle_mask"] = pa.array(seen.masks, pa.string(), mask=nobody)
    return columns


def _spot_column(pa: Any, batch: Batch, places: Places) -> Any:
    """The places that findings name; null where none is named."""
    spot = np.full(len(batch), -1, np.int32) if batch.spot is None else batch.spot
    used, codes = np.unique(np.maximum(spot, 0), return_inverse=True)
    names = pa.array([places.places[index].id for index in used], pa.string())
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32), mask=spot < 0), names)


def _spotted(rows: Any) -> tuple[Int32 | None, tuple[str, ...]]:
    """The codes of the places that findings name (those without: one past the last), and the places."""
    if _SPOT not in rows.schema.names or rows[_SPOT].null_count == len(rows):
        return None, ()
    names = tuple(rows[_SPOT].dictionary.to_pylist())
    return rows[_SPOT].indices.fill_null(len(names)).to_numpy(zero_copy_only=False), names


def _sightings(pa: Any, rows: Any) -> Sightings | None:
    if "vehicle" not in rows.schema.names or rows["vehicle"].null_count == len(rows):
        return None
    nobody = np.asarray(rows["vehicle"].is_null().to_numpy(zero_copy_only=False), np.bool_)
    seen_at = rows["vehicle_seen_at"].fill_null(0).to_numpy(zero_copy_only=False)
    return Sightings(
        np.stack([rows[name].fill_null(0).to_numpy(zero_copy_only=False) for name in _WHO], axis=1),
        np.where(nobody, rows["received_at"].cast(pa.int64()).to_numpy(), seen_at),
        rows["vehicle_sure"].fill_null(False).to_numpy(zero_copy_only=False),
        rows["vehicle_mask"].fill_null("").to_numpy(zero_copy_only=False),
    )


def _columns(pa: Any, rows: Any) -> Columns:
    received_at = rows["received_at"].cast(pa.int64()).to_numpy()
    device = rows["device"]
    fields, labels = {}, {}
    for name in rows.schema.names:
        column = rows[name]
        if column.null_count == len(column):
            continue
        if name in FIELDS:
            fields[name] = column.to_numpy(zero_copy_only=False)
        elif name in LABELS:
            words = LABELS[name].words
            labels[name] = _codes(column, {word: code for code, word in enumerate(words)})
    spot, spots = _spotted(rows)
    batch = Batch(
        int(received_at[-1]),
        _codes(rows["stream"], {word: int(stream) for word, stream in BY_WORD.items()}),
        device.indices.to_numpy(),
        rows["event_at"].cast(pa.int64()).to_numpy(),
        received_at,
        np.where(rows["clock_suspect"].to_numpy(zero_copy_only=False), CLOCK_SUSPECT, 0).astype(np.int8),
        fields,
        labels,
        _sightings(pa, rows),
        spot,
    )
    return Columns(tuple(device.dictionary.to_pylist()), batch, spots)


def _codes(column: Any, known: dict[str, int]) -> Int8:
    """Turn dictionary-encoded text into our own codes; -1 for null and for a word that we do not know."""
    table = np.array([*(known.get(word, -1) for word in column.dictionary.to_pylist()), -1], np.int8)
    indices = column.indices.fill_null(len(table) - 1).to_numpy()
    codes: Int8 = table[indices]
    return codes
