"""What people say is read without plates, wherever they write one; names of people and places stay what they are."""

from __future__ import annotations

import msgspec
import pytest

from sensord.core.intake.spoken import Names, action, command
from sensord.core.record import Action, Scope
from sensord.core.site import action_record
from sensord.errors import DecodeError

ARMY = "BA12345"
"""Somebody may be called so: it looks like a plate of the army."""
NAMES = Names(people={"cadre-1", ARMY}, places={"C1", "C1-N", ARMY}, zone="Asia/Shanghai")
PLATE = "苏E·24680"


def test_every_text_of_an_action_is_blotted() -> None:
    """Whatever it is the name of."""
    scope = Scope((PLATE, "C1"), (PLATE,), (PLATE,), {PLATE: PLATE}, (PLATE, "cadre-1"))
    told = action(action_record(Action(PLATE, PLATE, PLATE, PLATE, PLATE, 5, scope), 7), NAMES)
    bare = Scope(("***", "C1"), ("***",), ("***",), {"***": "***"}, ("***", "cadre-1"))
    assert told == Action("***", "***", "***", "***", "***", 5, bare)
    said = {"verb": PLATE, "note": PLATE, "scope": msgspec.to_builtins(scope)}
    assert command(msgspec.json.encode(said), PLATE, "cadre-1", NAMES) == Action(
        "***", "***", "cadre-1", "mqtt", "***", 0, bare
    )


@pytest.mark.parametrize(
    "case", [f"{ARMY}-vehicle-20261130T230820", "C1-N-vehicle-20261130T230820", "3101060408000001"]
)
def test_what_has_such_a_name_keeps_it(case: str) -> None:
    """A place, with its cases, and a person."""
    told = Action("acknowledge", case, ARMY, scope=Scope(places=(ARMY,), people=(ARMY,)))
    assert action(action_record(told, 7), NAMES) == told


def test_a_plate_behind_the_name_of_a_place_goes() -> None:
    """As the name of a case it is nobody's."""
    assert action(action_record(Action("acknowledge", f"C1-N-{PLATE}", "x"), 7), NAMES).case == "C1-N-***"


def test_silences_that_are_called_by_plates_are_two() -> None:
    """Neither keeps its name; each gets one of its own, so the second is no repetition of the first."""
    assert action(action_record(Action("silence", PLATE, "x"), 7), NAMES).case == ""


def test_a_count_says_how_many() -> None:
    """One that does not, or calls it otherwise, would empty the compound."""
    with pytest.raises(DecodeError, match="how many"):
        command(b'{"verb": "count", "count": 20}', "C1", "cadre-1", NAMES)
    assert command(b'{"verb": "count", "vehicles": 0}', "C1", "cadre-1", NAMES).vehicles == 0


def test_an_action_of_a_count_is_of_its_arrival_unless_it_says_otherwise() -> None:
    """Earlier versions journaled none that said it, and took them; of other actions nobody asks for a time."""
    told = Action("count", "C1", "cadre-1", vehicles=3)
    assert action(action_record(told, 7), NAMES).at == 7
    assert action(action_record(msgspec.structs.replace(told, at=5), 7), NAMES).at == 5
    assert action(action_record(msgspec.structs.replace(told, verb="close"), 7), NAMES).at == 0


@pytest.mark.parametrize("at", [b'"then"', b"1e300", b"[1]", b"true", b"1" * 400])
def test_when_somebody_counted_is_a_time(at: bytes) -> None:
    """What is none is refused; in a command that asks for no time nobody looks at it."""
    with pytest.raises(DecodeError) as refused:
        command(b'{"verb": "count", "vehicles": 3, "at": %b}' % at, "C1", "cadre-1", NAMES)
    assert refused.value.reason == "bad_time"
    assert command(b'{"verb": "acknowledge", "at": %b}' % at, "case-1", "cadre-1", NAMES).at == 0
