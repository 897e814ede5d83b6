"""What a recording's folder says of itself: what, when, how many, which gaps; each file with its checksum.

::

    NAME/
      manifest.json
      site=linfen/date=2026-11-24/messages.jsonl.gz     raw records, in order of arrival
      site=linfen/date=2026-11-24/readings.parquet      decoded readings, in order of arrival (optional)
      site=linfen/date=2026-11-24/records.jsonl.gz      beside readings: what else happened between them

``date`` is the local day of arrival. The same records give the same bytes, the manifest included.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import msgspec

from sensord.decoders import json_decoder
from sensord.errors import ConfigError, Problem

NAME = "manifest.json"
FORMAT = "sensord-recording"
VERSION = 1


class FileEntry(msgspec.Struct, frozen=True):
    """One file: ``kind`` is ``messages``, ``readings`` or ``records``; ``first`` and ``last`` arrivals are ns."""

    path: str
    kind: str
    date: str
    count: int
    size: int
    sha256: str
    first: int
    last: int


class Gap(msgspec.Struct, frozen=True):
    """A stretch (ns) in which nothing at all was journaled, not even a tick: nobody was listening."""

    start: int
    end: int


class Manifest(msgspec.Struct, frozen=True):
    """A recording as a whole.

    ``start`` and ``end`` are journal time (ns). ``counts`` counts records by kind and messages by stream; ``lost``
    counts messages that devices numbered and that never came. ``plates`` is ``plain`` or ``pseudonyms``. ``history``
    says in words what was done to it.
    """

    format: str
    version: int
    site: str
    zone: str
    start: int
    end: int
    counts: dict[str, int]
    devices: int
    definitions: list[str]
    gaps: list[Gap]
    lost: int
    plates: str
    history: list[str]
    files: list[FileEntry]

    def of_kind(self, kind: str) -> list[FileEntry]:
        """Return the files of a kind in order of time."""
        return sorted((file for file in self.files if file.kind == kind), key=lambda file: file.path)


_MANIFEST = json_decoder(Manifest)


def sha256(path: Path) -> str:
    """Return a file's checksum in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def describe_file(folder: Path, path: Path, kind: str, count: int, span: tuple[int, int]) -> FileEntry:
    """Measure a finished file; ``span`` is (first, last) arrival (ns)."""
    date = path.parent.name.removeprefix("date=")
    return FileEntry(
        str(path.relative_to(folder)), kind, date, count, path.stat().st_size, sha256(path), span[0], span[1]
    )


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest: with it the recording is complete."""
    text = msgspec.json.format(msgspec.json.encode(manifest), indent=1)
    (folder / NAME).write_bytes(text + b"\n")


def read_manifest(folder: Path) -> Manifest:
    """Read a recording's manifest; raises ``ConfigError`` when there is none that this version understands."""
    path = folder / NAME
    try:
        manifest = _MANIFEST.decode(path.read_bytes())
    except OSError as error:
        hint = "make one with sensord recording export"
        raise _refused(path, f"this folder is no recording: {error.strerror}", hint) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _refused(path, f"the manifest cannot be read: {error}") from error
    if manifest.format != FORMAT or manifest.version != VERSION:
        found = f"{manifest.format} version {manifest.version}"
        raise _refused(path, f"this is {found}, not {FORMAT} version {VERSION}")
    return manifest


def damage(folder: Path, manifest: Manifest) -> Iterator[Problem]:
    """Yield what is wrong with the files: missing, of another size, or of another checksum."""
    for entry in manifest.files:
        path = folder / entry.path
        if not path.resolve().is_relative_to(folder.resolve()):
            yield Problem(str(folder / NAME), 1, 1, f"{entry.path} lies outside of the recording")
        elif not path.is_file():
            yield Problem(str(path), 1, 1, "the file is missing", "copy the recording again")
        elif path.stat().st_size != entry.size:
            size = path.stat().st_size
            yield Problem(str(path), 1, 1, f"the file has {size} bytes, the manifest says {entry.size}")
        elif sha256(path) != entry.sha256:
            yield Problem(str(path), 1, 1, "the file was changed: its checksum is another", "copy the recording again")


def _refused(path: Path, message: str, hint: str = "") -> ConfigError:
    return ConfigError([Problem(str(path), 1, 1, message, hint)])
