"""What can go wrong with devices, as YAML: for simulated streets and for recordings that faults are mixed into.

::

    faults:
      - {kind: stuck, devices: [crowd-003], start: 5m, length: 20m}
      - {kind: duplicates, devices: all, share: 0.02}
      - {kind: clock, devices: [camera-C01-N-1], by: 5m}

``start`` counts from the beginning; without ``length`` a fault lasts to the end. ``share`` is the part of the messages
that it hits.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta

from sensord.config.findings import Findings
from sensord.config.schema import Duration, Entry, Text, convert
from sensord.config.yamlfile import KeyPath, read_yaml
from sensord.core.instant import DAY

ALL = "all"
_FOREVER = 3660 * DAY
Share = Annotated[float, Meta(gt=0, le=1)]
Kind = Literal[
    "outage", "stuck", "zeros", "drift", "duplicates", "disorder", "backlog", "clock", "garbage", "reboot", "covered"
]


class FaultEntry(Entry, frozen=True, kw_only=True):
    """A fault.

    ``outage`` nothing is sent; ``stuck`` the same values again and again; ``zeros`` all values are 0; ``drift`` adds
    ``per_hour`` to ``field`` for every hour; ``duplicates`` sends twice; ``disorder`` delays by up to ``by``;
    ``backlog`` stores, and sends everything at the end; ``clock`` stamps are ahead ``by`` (``behind: true``: behind);
    ``garbage`` sends rubbish instead; ``reboot`` restarts the counters once, at ``start``; ``covered`` lets a camera
    see no vehicle, while it goes on saying that it is alive.
    """

    kind: Kind
    devices: Literal["all"] | Annotated[tuple[Text, ...], Meta(min_length=1)]
    start: Duration = "0s"
    length: Duration | None = None
    share: Share = 1.0
    by: Duration = "5s"
    behind: bool = False
    field: Text = "count"
    per_hour: float = 10.0


class FaultsFile(Entry, frozen=True, kw_only=True):
    """A file of faults on its own. ``seed`` decides which messages a share hits."""

    seed: Annotated[int, Meta(ge=0, le=2**32 - 1)] = 1
    faults: Annotated[tuple[FaultEntry, ...], Meta(min_length=1)]


@dataclass(frozen=True, slots=True)
class Fault:
    """A checked fault; times are ns since the beginning. ``devices`` None: all of them."""

    kind: str
    devices: frozenset[str] | None
    start: int
    end: int
    share: float
    by: int
    field: str
    per_hour: float

    def hits(self, device: str, since: int) -> bool:
        """Whether the fault concerns a device at an instant since the beginning (ns)."""
        return self.start <= since < self.end and (self.devices is None or device in self.devices)


def read_fault(findings: Findings, path: KeyPath, entry: FaultEntry, known: Collection[str]) -> Fault:
    """Check one fault against the known devices, noting every mistake."""
    if entry.devices != ALL:
        for index, device in enumerate(entry.devices):
            if device not in known:
                hint = findings.suggest(device, known)
                findings.error((*path, "devices", index), f"there is no device {device}", hint)
    start = findings.duration((*path, "start"), entry.start, 0, _FOREVER)
    length = _FOREVER if entry.length is None else findings.duration((*path, "length"), entry.length, 1, _FOREVER)
    if entry.kind == "backlog" and entry.length is None:
        findings.error(path, "a backlog needs a length: then what was stored is sent", "add length: 1h")
    by = findings.duration((*path, "by"), entry.by, 0, _FOREVER)
    devices = None if entry.devices == ALL else frozenset(entry.devices)
    sign = -1 if entry.behind else 1
    return Fault(entry.kind, devices, start, start + length, entry.share, sign * by, entry.field, entry.per_hour)


def load_faults(path: Path, known: Collection[str]) -> tuple[int, tuple[Fault, ...]]:
    """Read a file of faults; returns (seed, faults). Raises ``ConfigError`` with every mistake."""
    document = read_yaml(path)
    file = convert(document, FaultsFile)
    findings = Findings(document)
    faults = tuple(read_fault(findings, ("faults", index), entry, known) for index, entry in enumerate(file.faults))
    findings.finish()
    return file.seed, faults
