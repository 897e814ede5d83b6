"""A new definition renames, moves or removes cameras and gates: who is inside stays there, and is told of there."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
from msgspec.structs import replace

from sensord.core.instant import MINUTE, SECOND
from sensord.core.place import Device, Place, Places
from sensord.core.stream import Stream
from sensord.core.vehicles.moves import Moves
from sensord.core.vehicles.news import news
from sensord.core.vehicles.trackerstate import save
from tests.core.follower import A_CONFUSED, A, B, C, Follower, at, short, tick
from tests.core.traffic import START, devices, places, token

GAUGE = Device("parking-C1", Stream.LEVEL, "C1", MINUTE)
Registry = Mapping[str, tuple[Place, ...] | tuple[Device, ...]]


def cameras(change: Callable[[Device], Device | None]) -> Registry:
    """The street with other cameras, and a gauge that is registered last."""
    changed = [change(device) for device in devices()]
    return {"devices": (*(device for device in changed if device is not None), GAUGE)}


def gate(change: Callable[[Place], Place], now: str = "C1-N") -> Registry:
    """The street with another gate in the place of ``C1-N``, and the same camera there."""
    moved = [replace(device, place=now) if device.place == "C1-N" else device for device in devices()]
    return {
        "places": tuple(change(place) if place.id == "C1-N" else place for place in places()),
        "devices": (*moved, GAUGE),
    }


def of_c1_north(change: Callable[[Device], Device | None]) -> Callable[[Device], Device | None]:
    """Change the north gate's camera only."""
    return lambda device: change(device) if device.id == "cam-C1-N" else device


RENAMED = cameras(of_c1_north(lambda device: replace(device, id="cam-new")))
MOVED = cameras(of_c1_north(lambda device: replace(device, place="C2-N")))
REMOVED = cameras(of_c1_north(lambda device: None))
ANOTHER_STREAM = cameras(of_c1_north(lambda device: replace(device, stream=Stream.CROWD)))
GATE_RENAMED = gate(lambda place: replace(place, id="C1-X"), "C1-X")
GATE_MOVED = gate(lambda place: replace(place, parent="C2", micro_grid="M2"))
BOTH_RENAMED: Registry = {
    **GATE_RENAMED,
    "devices": (*(replace(one, id="new") if one.place == "C1-X" else one for one in devices()[1:]), GAUGE),
}


def redefined(old: Follower, second: float, registry: Registry) -> Follower:
    """Go on under another registry from a second on."""
    new = Follower(**registry)
    new.tracker.carry_over(old.tracker, START + round(second * SECOND))
    return new


def test_a_camera_that_stays_goes_on_with_its_visits() -> None:
    """Not the other one of its gate, whichever is registered first."""
    twins = [replace(device, id="a-twin") for device in devices() if device.id == "cam-C1-N"]
    street = Places(places(), (*twins, *devices()))
    assert Moves(street, street).camera("C1", "cam-C1-N") == "cam-C1-N"


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize(
    ("registry", "where"),
    [
        (RENAMED, "C1-N"),
        (MOVED, "C1-S"),
        (REMOVED, "C1-S"),
        (ANOTHER_STREAM, "C1-S"),
        (GATE_RENAMED, "C1-X"),
        (GATE_MOVED, "C1-S"),
        (BOTH_RENAMED, "C1-S"),
    ],
)
def test_a_visit_keeps_its_compound(registry: Registry, where: str, restart: bool) -> None:
    """It goes on with its camera while that stands there, else with another of the gate, or of the compound."""
    follower = Follower(devices=(*devices(), GAUGE))
    follower.see(at(0, B), tick(60))
    if restart:
        follower.restart()
    after = redefined(follower, 600, registry)
    assert short(after.see(tick(7260))) == [(7200, "staying", f"{where} in", B)]
    assert (after.inside("C1"), after.inside("C2")) == ((1, 0), (0, 0))


def test_a_compound_without_cameras_is_silent_until_it_has_one() -> None:
    """Its only camera goes to another compound: what there is to say of the vehicle here waits until it is back."""
    follower = Follower()
    follower.see(at(0, B, gate="C2-N"), tick(60))
    away = cameras(lambda device: replace(device, place="C1-N") if device.id == "cam-C2-N" else device)
    follower = redefined(follower, 600, away)
    assert follower.see(tick(7260)) == []
    assert follower.inside("C2") == (1, 0)
    back = redefined(follower, 7300, {})
    ((rule, batch),) = news(back.tracker, follower.tracker, START + 7300 * SECOND)
    assert batch.sightings is not None
    said = [int(column[0]) for column in (batch.device, batch.event_at, batch.sightings.who[:, 0])]
    assert (rule, *said) == ("overstay", back.places.device_index["cam-C2-N"], START + 7300 * SECOND, token(B))
    assert {(row.event, row.where, row.vehicle) for row in back.see(tick(90_000))} == {("overnight", "C2-N in", B)}


@pytest.mark.parametrize("registry", [GATE_RENAMED, GATE_MOVED, BOTH_RENAMED])
def test_who_is_seen_elsewhere_has_left(registry: Registry) -> None:
    """It came by a gate that is no more: seen in another compound, it is not in the first one."""
    follower = Follower()
    follower.see(at(0, A), tick(60))
    after = redefined(follower, 600, registry)
    rows = after.see(at(3600, A, gate="C2-N"), tick(3700))
    assert [(row.event, row.vehicle) for row in rows] == [("ended", A), ("passed", A)]
    assert (after.inside("C1"), after.inside("C2")) == ((0, 1), (1, 0))


@pytest.mark.parametrize("registry", [GATE_RENAMED, GATE_MOVED, BOTH_RENAMED])
def test_a_clone_is_found_by_the_compound_of_a_gate_that_is_no_more(registry: Registry) -> None:
    """It left by that gate, and is seen in another compound sooner than anybody drives there."""
    follower = Follower()
    follower.see(at(0, A), at(600, A, "out"), tick(604))
    rows = redefined(follower, 605, registry).see(at(615, A, gate="C2-N"))
    assert [(row.event, row.vehicle) for row in rows] == [("passed", A), ("cloned", A)]


def test_a_passage_in_doubt_is_decided_at_its_gate_under_the_new_name() -> None:
    """The gate gets another name between the reading and the decision."""
    follower = Follower()
    follower.see(at(0, A, "in", 0.7))
    after = redefined(follower, 1, GATE_RENAMED)
    assert short(after.see(tick(60))) == [(0, "passed", "C1-X in", A)]
    assert after.inside() == (1, 0)


def test_a_passage_in_doubt_goes_on_with_another_camera() -> None:
    """Its own goes to another compound: nothing is said there, and the vehicle is where it drove in."""
    follower = Follower()
    follower.see(at(0, A, "in", 0.7))
    two = (*devices(), Device("second", Stream.PLATE, "C1-N", MINUTE))
    follower = redefined(follower, 1, {"devices": two})
    away = tuple(replace(one, place="C2-N") if one.id == "cam-C1-N" else one for one in two)
    after = redefined(follower, 2, {"devices": away})
    assert short(after.see(tick(60))) == [(0, "passed", "C1-N in", A)]
    assert (after.inside("C1"), after.inside("C2")) == ((1, 0), (0, 0))


@pytest.mark.parametrize(("registry", "where"), [(GATE_RENAMED, "C1-X"), (MOVED, "C1-N")])
def test_a_visit_that_was_taken_to_be_over_comes_back_to_its_compound(registry: Registry, where: str) -> None:
    """Another was taken for it elsewhere; the gate by which it had come has another name, or another camera."""
    follower = Follower()
    follower.see(at(0, A_CONFUSED), tick(60), at(3600, A_CONFUSED, "in", 0.95, "C2-N"))
    after = redefined(follower, 3601, registry)
    after.see(*(at(3602 + number, A, "in", 0.8, "C2-N") for number in range(2)))
    presence = after.tracker.presence
    trace, visit = presence.traces[token(A_CONFUSED)], presence.compounds["C1"].visits[token(A_CONFUSED)]
    assert (trace.gate, trace.inside) == (where, "C1")
    camera = after.places.devices[after.places.device_index[visit.read.device]]
    assert after.places.by_id[camera.place].parent == "C1"


def test_a_vehicle_of_a_compound_that_is_gone_comes_as_any_other() -> None:
    """Nobody drives from where nothing is: it neither left there, nor is it two."""
    follower = Follower()
    follower.see(at(0, A, gate="C3-N"), at(5, C, gate="C3-N"), tick(20))
    gone: Registry = {
        "places": tuple(place for place in places() if place.parent not in ("C3", "G2") and place.id != "G2"),
        "devices": tuple(one for one in devices() if one.place != "C3-N"),
    }
    rows = redefined(follower, 30, gone).see(at(31, A), at(40, C))
    assert [(row.event, row.vehicle) for row in rows] == [("passed", A), ("passed", C)]


def test_what_is_carried_over_is_the_same_after_a_restart() -> None:
    """The state says all: live, and from a snapshot, the new definition goes on with the same bytes."""
    saved = set[bytes]()
    for restart in (False, True):
        follower = Follower()
        follower.see(at(0, A), at(60, B, gate="C2-N"), at(90, A, "out"), at(95, A_CONFUSED, "in", 0.7))
        if restart:
            follower.restart()
        after = redefined(follower, 96, GATE_MOVED)
        if restart:
            after.restart()
        saved.add(save(after.tracker))
    assert len(saved) == 1
