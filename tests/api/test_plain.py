"""What the API shows of the core's values, and what it does not."""

from __future__ import annotations

import json

from sensord.api.plain import plain
from sensord.core.cases.case import Answer, Case, State
from sensord.core.cases.told import Told
from sensord.core.level import Level
from sensord.core.people.roster import Contact, Person
from sensord.core.stream import Stream
from tests.api.parts import START
from tests.core.street import density_rule


def test_times_levels_and_words() -> None:
    """Instants are RFC 3339 with the site's offset, 0 is null, levels and the like are words."""
    case = Case("c", "crowd", "L1", "G1", "r", State.HANDLING, Level.RED, Level.RED, START)
    case.answer, case.told = Answer.ON_THE_WAY, {"居委干部-1": Told("cadre", START)}
    case.alerts, case.deadline = {"r:L1": Level.ORANGE}, START
    shown = plain(case, "Asia/Shanghai")
    assert shown["opened_at"] == shown["deadline"] == "2023-11-15T06:13:20+08:00"
    assert (shown["closed_at"], shown["level"], shown["alerts"]) == (None, "red", {"r:L1": "orange"})
    assert (shown["answer"], shown["state"], shown["samples"]) == ("on_the_way", "handling", 0)
    assert shown["told"]["居委干部-1"]["sent_at"] is None
    assert plain(density_rule(), "UTC")["stream"] == Stream.CROWD.word
    json.dumps(shown)


def test_nothing_personal() -> None:
    """Neither addresses nor what stands for a plate."""
    person = Person("居委干部-1", "cadre", "G1", (Contact("sms", "13800000000"),))
    assert plain(person, "UTC")["contacts"] == [{"channel": "sms", "after": 0}]
    assert "vehicle" in Case.__struct_fields__
    case = Case("c", "vehicle", "L1", "G1", "r", State.FILED, Level.RED, Level.RED, START)
    assert "vehicle" not in plain(case, "UTC")
