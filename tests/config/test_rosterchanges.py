"""The file of duty changes that people make over the API."""

from __future__ import annotations

from pathlib import Path

from sensord.config.rosterchanges import AddedChange, load_changes, write_changes


def test_a_note_keeps_no_plate(tmp_path: Path) -> None:
    """It says why somebody is away, and is read by all who plan; a vehicle has no place in it."""
    entry = AddedChange(
        id="0" * 12,
        start="2026-12-01 08:00",
        end="2026-12-01 12:00",
        reason="leave",
        away="居委干部-01",
        stands_in=None,
        by="console",
        at="2026-11-30 12:00",
        note="去处理皖K13579乱停",
    )
    path = tmp_path / "roster.changes.yaml"
    write_changes(path, [entry])
    assert path.stat().st_mode & 0o777 == 0o600
    assert "13579" not in path.read_text(encoding="utf-8")
    (kept,) = load_changes(path, {"居委干部-01"}, "Asia/Shanghai").entries
    assert kept.note == "去处理***乱停"
