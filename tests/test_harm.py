"""What is wrong with the small files of a state directory is a fact as soon as it is known, and as long as it is so."""

from __future__ import annotations

from pathlib import Path

import pytest

from sensord.errors import StoreError
from sensord.harm import Harm
from sensord.ports import Change
from sensord.telemetry.health import Health

CHANGE = Change("-", "cli", "admin", "reload", 0, {})


def test_a_register_that_takes_nothing_is_a_fact_at_once(tmp_path: Path) -> None:
    """Not after the next start; and what one register takes says nothing of the other."""
    health = Health()

    def registers() -> str:
        facts = health.ready()[1]["facts"]
        assert isinstance(facts, dict)
        return str(facts["registers"]["detail"])

    (tmp_path / "access.log").write_bytes(b"{}\n{}\n")
    harm = Harm(health, tmp_path)
    torn = registers()
    assert "access.log" in torn
    harm.audit.path.mkdir()
    with pytest.raises(StoreError):
        harm.audit.append(CHANGE)
    assert "audit.log" in registers()
    harm.audit.path.rmdir()
    harm.audit.append(CHANGE)
    assert registers() == torn
