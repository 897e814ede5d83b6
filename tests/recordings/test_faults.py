"""Faults on purpose: each kind does what its name says, to its devices, in its time, and nothing else."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from sensord.config.faults import Fault, load_faults
from sensord.core.instant import HOUR, SECOND
from sensord.core.record import Record, RecordKind
from sensord.errors import ConfigError
from sensord.recordings.faults import Injector

START = 1_700_000_000 * SECOND


def message(second: int, device: str = "a") -> Record:
    """One message of a head-counting sensor."""
    at = START + second * SECOND
    body = {"device": device, "boot": 7, "seq": second, "at": at // 1_000_000, "count": second}
    return Record(RecordKind.MESSAGE, at, f"t/c/crowd/{device}", msgspec.json.encode(body))


def fault(kind: str, **changes: object) -> Fault:
    """A fault of device a, in the seconds 10 to 20."""
    values = {
        "kind": kind, "devices": frozenset({"a"}), "start": 10 * SECOND, "end": 20 * SECOND, "share": 1.0,
        "by": 5 * SECOND, "field": "count", "per_hour": 3600.0,
    }  # fmt: skip
    return Fault(**{**values, **changes})  # type: ignore[arg-type]


def broken(*faults: Fault, seconds: int = 30) -> list[tuple[int, dict[str, int] | bytes]]:
    """What arrives of device a: (second, body)."""
    records = [message(second, device) for second in range(seconds) for device in ("a", "b")]
    arrived = list(Injector(faults, 1, START).apply(records))
    assert [record.received_at for record in arrived] == sorted(record.received_at for record in arrived)
    assert [one for one in arrived if one.topic.endswith("b")] == [message(second, "b") for second in range(seconds)]
    found = []
    for record in arrived:
        if record.topic.endswith("a"):
            try:
                body = msgspec.json.decode(record.payload)
            except (msgspec.DecodeError, UnicodeDecodeError):
                body = record.payload
            found.append(((record.received_at - START) / SECOND, body))
    return found  # type: ignore[return-value]


def counts(*faults: Fault) -> list[int]:
    """The head-counts that arrive."""
    return [body["count"] for _, body in broken(*faults) if isinstance(body, dict)]


def test_outage() -> None:
    """Nothing arrives for ten seconds."""
    assert [second for second, _ in broken(fault("outage"))] == [*range(10), *range(20, 30)]


def test_a_covered_lens() -> None:
    """Plates do not arrive; what says that the camera is alive does."""
    bodies = [msgspec.json.encode(body) for body in ({"plate": "沪A12345", "direction": "in"}, {"uptime": 60})]
    records = [
        Record(RecordKind.MESSAGE, START + second * SECOND, "t/c/plate/a", bodies[second % 2]) for second in range(30)
    ]
    arrived = [(one.received_at - START) // SECOND for one in Injector([fault("covered")], 1, START).apply(records)]
    assert arrived == [second for second in range(30) if second % 2 or not 10 <= second < 20]


def test_stuck_zeros_and_drift() -> None:
    """Values freeze, vanish, or run away; stamps and counters go on."""
    assert counts(fault("stuck")) == [*range(10), *[9] * 10, *range(20, 30)]
    assert counts(fault("zeros")) == [*range(10), *[0] * 10, *range(20, 30)]
    assert counts(fault("drift"))[10:20] == [10 + 2 * n for n in range(10)]
    assert [body["seq"] for _, body in broken(fault("stuck")) if isinstance(body, dict)] == list(range(30))


def test_duplicates_and_garbage() -> None:
    """Messages come twice, or unreadable."""
    assert counts(fault("duplicates")).count(15) == 2
    assert len(broken(fault("garbage"))) == 30
    assert (
        sum(not isinstance(body, dict) or body.get("count") != second for second, body in broken(fault("garbage")))
        == 10
    )


def test_disorder_and_backlog() -> None:
    """Messages overtake one another; or come all together at the end, in their order."""
    mixed = counts(fault("disorder"))
    assert sorted(mixed) == list(range(30))
    assert mixed != sorted(mixed)
    late = [(second, body["count"]) for second, body in broken(fault("backlog")) if isinstance(body, dict)]
    stored = [(second, count) for second, count in late if count in range(10, 20)]
    assert [count for _, count in stored] == list(range(10, 20))
    assert [second for second, _ in stored] == pytest.approx([20.1 + 0.1 * n for n in range(10)])


def test_clock_and_reboot() -> None:
    """Stamps are ahead or behind; counters begin anew with another boot."""
    for by in (5, -5):
        stamps = [
            body["at"] - START // 1_000_000
            for _, body in broken(fault("clock", by=by * SECOND))
            if isinstance(body, dict)
        ]
        assert stamps[12] == (12 + by) * 1000
        assert stamps[25] == 25_000
    seen = [(body["boot"], body["seq"]) for _, body in broken(fault("reboot")) if isinstance(body, dict)]
    assert seen == [(7, n) for n in range(10)] + [(8, n) for n in range(20)]


def test_a_share_hits_a_share() -> None:
    """One in five is hit, the same ones every time."""
    some = fault("outage", start=0, end=HOUR, share=0.2)
    first, second = (broken(some, seconds=1000) for _ in range(2))
    assert first == second
    assert 720 < len(first) < 880


def test_faults_combine() -> None:
    """Several faults of one device act one after the other."""
    both = [fault("duplicates"), fault("zeros")]
    assert counts(*both)[10:30] == [0] * 20


def test_a_file_of_faults_is_checked(tmp_path: Path) -> None:
    """Unknown devices and a backlog without an end are refused with their positions."""
    path = tmp_path / "faults.yaml"
    path.write_text(
        "faults:\n  - {kind: backlog, devices: [crowd-01]}\n  - {kind: stuck, devices: all, start: 1m}\n", "utf-8"
    )
    with pytest.raises(ConfigError) as refused:
        load_faults(path, ["crowd-001"])
    text = str(refused.value)
    assert "faults.yaml:2:" in text
    assert "there is no device crowd-01" in text
    assert "needs a length" in text
