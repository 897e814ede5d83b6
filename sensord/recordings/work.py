"""What the commands on recordings do: each reads recordings and writes one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path

from sensord.config.faults import load_faults
from sensord.config.load import load
from sensord.config.mapping import load_mapping
from sensord.core.definition import decode_definition
from sensord.core.instant import format_duration, format_instant, parse_duration
from sensord.core.record import Record, RecordKind
from sensord.core.site import definition_record
from sensord.core.stream import BY_WORD, STREAMS
from sensord.core.vehicles.pseudonym import Secrets
from sensord.errors import ConfigError, Problem
from sensord.recordings.anonymise import anonymise
from sensord.recordings.faults import Injector
from sensord.recordings.manifest import Manifest
from sensord.recordings.recording import Recording, open_recording
from sensord.recordings.series import read_series
from sensord.recordings.transform import cut, merge, scale, shift
from sensord.recordings.writer import GAP, PLAIN, PSEUDONYMS, write
from sensord.words import say

WHOLE = (0, 2**63 - 1)
_SCALE = re.compile(r"([a-z]+)\.([a-z_]+)=(\d+(?:\.\d+)?)", re.ASCII)


def export(
    records: Iterable[Record],
    target: Path,
    span: tuple[int, int],
    key: bytes | None,
    *,
    readings: bool = True,
    messages: bool = True,
    secrets: Secrets | None = None,
) -> Manifest:
    """Write a stretch of journal: with made-up plates under ``key``; without one, with plates as they are.

    True plates are for the eyes of whoever asked for them (files of mode 0600), and asking is to be written down before
    (``sensord.revealing``). ``secrets`` are the site's keys, by which their vehicles are followed in readings.
    """
    stretch = anonymise(cut(records, *span), key)
    history = [
        "exported from a journal, " + ("anonymised" if key is not None else "with true plates, no other persons")
    ]
    plates = PLAIN if key is None else PSEUDONYMS
    return write(
        target,
        stretch,
        messages=messages,
        readings=readings,
        plates=plates,
        history=history,
        secrets=secrets,
        private=key is None,
    )


def import_table(table: Path, mapping: Path, target: Path) -> Manifest:
    """Write a foreign table as a recording that brings its own small street."""
    how = load_mapping(mapping)
    series = read_series(table, how)
    first = [definition_record(series.definition, record.received_at) for record in islice(series.records, 1)]
    records = chain(first, series.records)
    history = [f"imported from {table.name} with {mapping.name}"]
    if series.empty:
        history.append(f"{series.empty} rows without a value left out")
    return write(target, records, readings=True, history=history, gap=max(GAP, 3 * parse_duration(how.period)))


def described(source: Path) -> Manifest:
    """The manifest of a recording, its checksums verified; raises ``ConfigError``."""
    manifest = open_recording(source).manifest
    if manifest is None:
        raise ConfigError([Problem(str(source), 1, 1, "a bare file has no manifest: give a recording's folder")])
    return manifest


def zone_of(source: Path) -> str:
    """The time zone of a recording (Asia/Shanghai for a bare file)."""
    manifest = open_recording(source).manifest
    return manifest.zone if manifest is not None else "Asia/Shanghai"


def changed(
    source: Path,
    target: Path,
    span: tuple[int, int],
    by: str | None,
    scales: Iterable[str],
    faults: Path | None,
    *,
    config: Path | None = None,
    readings: bool = True,
) -> Manifest:
    """Write a changed copy: cut, then scaled, then with faults, then shifted. Raises ``ConfigError``.

    ``config`` gives messages that were recorded without a definition the one to go with them.
    """
    recording = _with_messages(source)
    history = _history(recording)
    records: Iterable[Record] = _defined(recording.records(), config)
    if span != WHOLE:
        records = cut(records, *span)
        history.append(f"cut to [{span[0]}, {span[1]})")
    for text in scales:
        stream, name, factor = _scale(text)
        records = scale(records, stream, name, factor)
        history.append(f"scaled {text}")
    if faults is not None:
        records = _broken(records, faults)
        history.append(f"mixed with faults of {faults.name}")
    if by is not None:
        records = shift(records, _signed(by))
        history.append(f"shifted by {by}")
    secrets, plates = {} if config is None else load(config).secrets, _plates([recording])
    return write(
        target,
        records,
        readings=readings,
        plates=plates,
        history=history,
        secrets=secrets,
        private=plates == PLAIN,
    )


def _signed(text: str) -> int:
    sign = -1 if text.startswith("-") else 1
    try:
        return sign * parse_duration(text.lstrip("+-"))
    except ValueError as error:
        raise ConfigError([Problem("--shift", 1, 1, str(error))]) from error


def _scale(text: str) -> tuple[str, str, float]:
    found = _SCALE.fullmatch(text)
    fields = [field.name for field in STREAMS[BY_WORD[found[1]]].fields] if found and found[1] in BY_WORD else []
    if found is None or found[2] not in fields:
        hint = "write for example crowd.count=1.5"
        raise ConfigError([Problem("--scale", 1, 1, f"{text!r} names no field of a stream", hint)])
    return found[1], found[2], float(found[3])


def _defined(records: Iterable[Record], config: Path | None) -> Iterator[Record]:
    """Put a configuration's definition before the first record."""
    definition = None if config is None else load(config).definition
    for record in records:
        if definition is not None:
            yield definition_record(definition, record.received_at)
            definition = None
        yield record


def _broken(records: Iterable[Record], faults: Path) -> Iterator[Record]:
    """Mix with faults; they count from the first record, which must be a definition: it names the devices."""
    stream = iter(records)
    first = next(stream, None)
    if first is None:
        return
    if first.kind != RecordKind.DEFINITION:
        message = "the messages come without a definition, so no device is known"
        raise ConfigError([Problem(str(faults), 1, 1, message, "give --config")])
    devices = [device.id for device in decode_definition(first.payload).devices]
    seed, found = load_faults(faults, devices)
    yield from Injector(found, seed, first.received_at).apply(chain([first], stream))


def merged(sources: Iterable[Path], target: Path, *, readings: bool) -> Manifest:
    """Write several recordings as one, in order of arrival."""
    recordings = [_with_messages(source) for source in sources]
    history = [f"merged from {', '.join(recording.path.name for recording in recordings)}"]
    stream, plates = merge(*(recording.records() for recording in recordings)), _plates(recordings)
    return write(target, stream, readings=readings, plates=plates, history=history, private=plates == PLAIN)


def anonymised(source: Path, target: Path, key: bytes, *, readings: bool) -> Manifest:
    """Write a copy without persons in it."""
    recording = _with_messages(source)
    history = [*_history(recording), "anonymised"]
    stream = anonymise(recording.records(), key)
    return write(target, stream, readings=readings, plates=PSEUDONYMS, history=history)


def _with_messages(source: Path) -> Recording:
    recording = open_recording(source)
    if not recording.has_messages:
        raise ConfigError([Problem(str(source), 1, 1, "this needs raw messages, and the recording has readings only")])
    return recording


def _history(recording: Recording) -> list[str]:
    return list(recording.manifest.history) if recording.manifest is not None else []


def _plates(recordings: Iterable[Recording]) -> str:
    """What the plates of a copy are; one with true plates is for the eyes of whoever makes it, as an export is."""
    made_up = all(one.manifest is not None and one.manifest.plates == PSEUDONYMS for one in recordings)
    return PSEUDONYMS if made_up else PLAIN


def told(manifest: Manifest) -> str:
    """One line on a recording that was made."""
    count = sum(number for kind, number in manifest.counts.items() if "/" not in kind)
    days = len({file.date for file in manifest.files})
    size = sum(file.size for file in manifest.files) / 1e6
    return say(
        f"已写入：{count:,} 条记录，{days} 天，{size:,.1f} MB，缺口 {len(manifest.gaps)} 处",
        f"written: {count:,} records, {days} days, {size:,.1f} MB, {len(manifest.gaps)} gaps",
    )


def summary(source: Path) -> str:
    """Describe a recording for people; its checksums are verified."""
    manifest = described(source)
    start, end = (format_instant(at, manifest.zone) for at in (manifest.start, manifest.end))
    plates = (
        say("号牌为假号牌", "plates are made up")
        if manifest.plates == PSEUDONYMS
        else say("含真实号牌", "plates are true")
    )
    lines = [
        say(f"站点 {manifest.site}，{manifest.zone}，{plates}", f"site {manifest.site}, {manifest.zone}, {plates}"),
        f"{start} – {end} ({format_duration((manifest.end - manifest.start) // 10**9 * 10**9)})",
        say(f"设备 {manifest.devices}，丢失（按编号）{manifest.lost}",
            f"{manifest.devices} devices, {manifest.lost} messages lost by their numbers"),
        "  ".join(f"{kind} {count:,}" for kind, count in manifest.counts.items()),
    ]  # fmt: skip
    lines += [
        say("缺口 ", "gap ") + f"{format_instant(gap.start, manifest.zone)} – {format_instant(gap.end, manifest.zone)}"
        for gap in manifest.gaps
    ]
    lines += [f"{file.path}  {file.count:,}  {file.size:,} B  sha256 {file.sha256[:16]}…" for file in manifest.files]
    lines += [f"· {step}" for step in manifest.history]
    return "\n".join([*lines, say("校验和全部正确", "every checksum is right")])
