"""What a fuzzer needs to know of something that reads input: how to feed it, and what good input looks like."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from sensord.errors import SensordError


@dataclass(frozen=True, slots=True)
class Target:
    """``feed`` takes any bytes and raises nothing: what it raises is a finding. ``seeds`` are where to begin."""

    name: str
    feed: Callable[[bytes], None]
    seeds: tuple[bytes, ...]


def refusing(read: Callable[[bytes], object], *meant: type[Exception]) -> Callable[[bytes], None]:
    """Feed ``read``; its refusals (``SensordError``, or exactly what is ``meant``) are no findings."""
    expected = meant or (SensordError,)

    def feed(data: bytes) -> None:
        with suppress(*expected):
            read(data)

    return feed


def of_file(read: Callable[[Path], object], name: str, *meant: type[Exception]) -> Callable[[bytes], None]:
    """Feed a reader of files: the bytes become a file of that name."""

    def feed(data: bytes) -> None:
        path = _folder() / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        path.chmod(0o600)
        read(path)

    return refusing(feed, *meant)


@cache
def _folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="sensord-fuzz-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def texts(*paths: Path, most: int = 8) -> tuple[bytes, ...]:
    """The content of some files, the smallest first: seeds."""
    return tuple(sorted((path.read_bytes() for path in paths), key=len)[:most])


def each(*seeds: str | bytes) -> tuple[bytes, ...]:
    """Seeds written out."""
    return tuple(seed.encode() if isinstance(seed, str) else seed for seed in seeds)


def named(targets: Sequence[Target]) -> dict[str, Target]:
    """The targets by name; a name that is there twice is a mistake."""
    found = {target.name: target for target in targets}
    assert len(found) == len(targets)
    return found
