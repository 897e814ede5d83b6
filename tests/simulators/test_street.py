"""The simulated street: deterministic, in order, in the native format, and true to its own truth."""

from __future__ import annotations

import json
import re
from collections import Counter
from itertools import pairwise, product
from typing import Any

import pytest

from sensord.core.definition import Definition
from sensord.core.instant import MILLISECOND, MINUTE, SECOND, parse_instant
from sensord.core.intake.intake import Intake
from sensord.core.place import Device, Places
from sensord.core.record import Record, RecordKind
from sensord.core.stream import Stream
from sensord.core.vehicles.plate import PlateTable
from simulators.scenario import BackgroundEntry, KeyAreaVehicle, Silence, TrafficEntry
from simulators.street import Message, Street
from simulators.vehicleday import watched
from tests.core.traffic import GATES
from tests.core.traffic import definition as gates
from tests.simulators.small import CROWD, START, definition, scenario, street

KINDS = ("plate", "status")


def of(messages: list[Message], kind: str, device: str = "") -> list[tuple[int, dict[str, Any]]]:
    """Return the messages of a kind (and device) as (at, body)."""
    found = [message for message in messages if message.topic.split("/")[2] == kind]
    return [(one.at, json.loads(one.payload)) for one in found if one.topic.endswith(device)]


def test_the_same_seed_gives_the_same_street() -> None:
    """Two streets of one seed send the same bytes; another seed sends others."""
    assert list(street(3).messages()) == list(street(3).messages())
    one = street(3)
    assert list(one.messages()) == list(one.messages())
    assert list(street(3).messages()) != list(street(4).messages())


def test_cameras_send_status_in_every_period() -> None:
    """As the installation guide asks of real ones: no quiet gate is taken for a silent one."""
    street_now = street(3)
    days = watched(definition(), START, 1, 5, silences={})
    sources = [
        [(message.at, message.topic) for message in street_now.messages()],
        [(record.received_at, record.topic) for record in days if record.kind == RecordKind.MESSAGE],
    ]
    for said, device in product(sources, definition().devices):
        if device.stream is Stream.PLATE:
            signs = [at for at, topic in said if topic.endswith(f"/status/{device.id}")]
            assert len(signs) > 5
            assert max(later - earlier for earlier, later in pairwise(signs)) <= device.period


def test_a_camera_stamps_all_that_it_says_by_one_clock() -> None:
    """The vehicles that live in the street, and its signs of life: both are off by the same."""
    calm = BackgroundEntry(passages_per_hour=0.0)
    whole = Street(gates(), scenario(background=calm, traffic=TrafficEntry(vehicles=2000)), START)
    said = list(whole.messages())
    assert whole.traffic is not None
    for gate in GATES:
        camera = f"cam-{gate}"
        plates, signs = ([body["at"] - at // MILLISECOND for at, body in of(said, kind, camera)] for kind in KINDS)
        assert set(signs) == {whole.traffic.skew(camera) // MILLISECOND} != {0}
        assert plates
        # Whatever a camera sees takes up to 0.6 s to arrive, or half a minute when it comes again.
        assert all(signs[0] - 31_000 < off <= signs[0] for off in plates)


def test_another_device_changes_no_other_one() -> None:
    """Each device has dice of its own: with a new device in the register the others say what they said before."""
    bigger = definition()
    devices = (*bigger.devices, Device("crowd-extra", Stream.CROWD, "L2", 10 * SECOND))
    bigger = Definition(bigger.site, bigger.places, devices, (), plates=bigger.plates)
    more = [one for one in Street(bigger, scenario(), START).messages() if not one.topic.endswith("crowd-extra")]
    assert more == list(street().messages())


def test_messages_are_in_order_within_the_duration() -> None:
    """Messages come in order of time, from the start up to but not including the end."""
    whole = street()
    times = [message.at for message in whole.messages()]
    assert times == sorted(times)
    assert whole.start <= times[0]
    assert times[-1] < whole.end
    short = Street(definition(), scenario(), START, 30 * SECOND)
    assert [one.at for one in short.messages()] == [at for at in times if at < START + 30 * SECOND]


def test_the_daemon_understands_every_message() -> None:
    """The core's intake takes every message: no dead letter, no duplicate, no gap, nothing late or suspect."""
    whole = street(crowds=(CROWD,))
    records = tuple(Record(RecordKind.MESSAGE, one.at, one.topic, one.payload) for one in whole.messages())
    decoded = Intake(definition(), whole.places).decode(records, whole.end)
    assert decoded.dead == []
    assert decoded.gaps.total() == 0
    assert sum(decoded.counts.values()) == len(records)
    assert {outcome for _, outcome in decoded.counts} == {"accepted"}


def test_crowd_sensors_speak_every_period_with_their_own_phase() -> None:
    """A crowd sensor of 10 s speaks 60 times in ten minutes, exactly a period apart, and not all at once."""
    messages = list(street().messages())
    phases = set()
    for device in ("crowd-1", "crowd-2", "crowd-3"):
        times = [at for at, _ in of(messages, "crowd", device)]
        assert len(times) == 60
        assert {after - before for before, after in pairwise(times)} == {10 * SECOND}
        phases.add((times[0] - START) // SECOND)
    assert len(phases) > 1


def test_counts_follow_the_true_density() -> None:
    """During the plateau the counts scatter around density times area; before and after they are near nothing."""
    messages = list(street(crowds=(CROWD,)).messages())
    inside, outside = [], []
    for at, body in of(messages, "crowd", "crowd-1"):
        since = at - START
        if CROWD.start + CROWD.rise <= since < CROWD.end - CROWD.fall:
            inside.append(body["count"] / 100.0)
        elif not CROWD.start <= since < CROWD.end:
            outside.append(body["count"] / 100.0)
    assert len(inside) == 4
    assert all(2.4 < density < 3.8 for density in inside)
    assert max(outside) < 0.5
    assert max(body["count"] for _, body in of(messages, "crowd", "crowd-2")) < 30


def test_crossings_add_up_to_the_count() -> None:
    """What entered less what left is the change of the count, message by message."""
    bodies = [body for _, body in of(list(street(crowds=(CROWD,)).messages()), "crowd", "crowd-1")]
    assert bodies
    for before, after in pairwise(bodies):
        assert after["count"] - before["count"] == after["enter"] - after["exit"]
        assert min(after["enter"], after["exit"], after["count"]) >= 0


def test_truth_says_what_happens() -> None:
    """The truth lists each incident with its place, its grid, and its times on the clock."""
    silence = Silence("crowd-3", 30 * SECOND, 60 * SECOND)
    vehicle = KeyAreaVehicle("C1-N", "cam-entry", 45 * SECOND)
    truth = street(crowds=(CROWD,), silences=(silence,), vehicles=(vehicle,)).truth()
    assert [(one.kind, one.place, one.grid) for one in truth] == [
        ("crowd", "L1", "G1"),
        ("silence", "L3", "G2"),
        ("key_area_vehicle", "C1-N", "G1"),
    ]
    assert [(one.start - START) // SECOND for one in truth] == [10, 30, 45]
    assert [(one.end - START) // SECOND for one in truth] == [80, 90, 45]
    late = Street(definition(), scenario(crowds=(CROWD,)), START, 5 * SECOND)
    assert late.truth() == []


def test_crossing_is_when_the_true_density_reaches_the_threshold() -> None:
    """The crossing lies within the rise, the truth is below just before it, and an unreached threshold has none."""
    crowded = street(crowds=(CROWD,))
    (incident,) = crowded.truth()
    at = crowded.crossing(incident, 1.0)
    assert at is not None
    assert CROWD.start < at - START < CROWD.start + CROWD.rise
    assert crowded.density("L1", at) >= 1.0 > crowded.density("L1", at - SECOND // 2)
    assert crowded.crossing(incident, 9.0) is None


def test_a_silent_device_says_nothing_and_comes_back_with_the_next_boot() -> None:
    """During its silence a device sends nothing at all; afterwards it counts from zero again in a new boot."""
    silence = Silence("cam-entry", 60 * SECOND, 200 * SECOND)
    messages = [one for one in street(silences=(silence,)).messages() if one.topic.endswith("cam-entry")]
    assert not [one for one in messages if silence.start <= one.at - START < silence.end]
    bodies = [json.loads(one.payload) for one in messages]
    boots = sorted({body["boot"] for body in bodies})
    assert boots == [START // SECOND, START // SECOND + 1]
    for boot in boots:
        numbers = [body["seq"] for body in bodies if body["boot"] == boot]
        assert numbers == list(range(len(numbers)))


def test_cameras_see_vehicles_in_both_directions_and_give_signs_of_life() -> None:
    """The entry camera sees vehicles drive in, the exit camera out; each gives a sign of life every minute."""
    messages = list(street().messages())
    assert {body["direction"] for _, body in of(messages, "plate", "cam-entry")} == {"in"}
    assert {body["direction"] for _, body in of(messages, "plate", "cam-exit")} == {"out"}
    passages = len(of(messages, "plate"))
    assert 20 <= passages <= 110, "240 an hour at this gate, about 50 in these ten minutes"
    beats = [at for at, _ in of(messages, "status", "cam-entry")]
    assert len(beats) == 10
    assert {after - before for before, after in pairwise(beats)} == {MINUTE}


def sort(body: dict[str, Any]) -> str:
    """Sort what a camera sent as the daemon does."""
    return PlateTable(definition().plates).classify(body["plate"], body["confidence"], START)


def test_plates_have_the_shares_that_were_asked_for() -> None:
    """The daemon sorts the synthetic plates into the classes of the scenario, roughly in its shares."""
    background = BackgroundEntry(passages_per_hour=3600.0, out_of_town=0.3, key_area=0.1)
    messages = list(street(background=background, duration=30 * MINUTE).messages())
    sorts = Counter(sort(body) for _, body in of(messages, "plate"))
    total = sum(sorts.values())
    assert total > 1000
    assert set(sorts) == {"local", "out_of_town", "key_area", "none", "unread"}
    assert sorts["out_of_town"] / total == pytest.approx(0.29, abs=0.05)
    assert sorts["key_area"] / total == pytest.approx(0.097, abs=0.03)
    assert sorts["unread"] / total == pytest.approx(0.02, abs=0.015)


def test_a_planned_vehicle_drives_in_at_its_time() -> None:
    """The scenario's vehicle from a key area passes its gate at its instant, and is readable."""
    vehicle = KeyAreaVehicle("C1-N", "cam-entry", 45_678 * MILLISECOND)
    background = BackgroundEntry(passages_per_hour=0.0)
    messages = list(street(vehicles=(vehicle,), background=background).messages())
    ((at, body),) = of(messages, "plate")
    assert at == START + vehicle.at
    assert body["direction"] == "in"
    assert sort(body) == "key_area"


def test_free_spaces_follow_the_vehicles() -> None:
    """Between two messages of the car park its free spaces change by the vehicles that the cameras saw."""
    messages = list(street().messages())
    passages = of(messages, "plate")
    gauge = of(messages, "level", "parking-1")
    assert len(gauge) == 10
    assert len({body["value"] for _, body in gauge}) > 1
    for (before, old), (after, new) in pairwise(gauge):
        moves = [-1 if body["direction"] == "in" else 1 for at, body in passages if before < at <= after]
        if len(moves) < old["value"] < 40 - len(moves):
            assert new["value"] - old["value"] == sum(moves)
        assert 0 <= new["value"] <= 40


def test_stamps_are_the_instants_of_the_messages() -> None:
    """Every stamp, a number or a text with its offset, is the message's instant to the millisecond."""
    texts = 0
    for message in street().messages():
        stamp = json.loads(message.payload)["at"]
        if isinstance(stamp, str):
            texts += 1
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+08:00", stamp)
            stamp = parse_instant(stamp) // MILLISECOND
        assert stamp * MILLISECOND == message.at
    assert texts > 0


def test_topics_name_the_compound_of_the_device() -> None:
    """Topics follow the definition's template, with the compound in which the device stands."""
    places = Places(definition().places, definition().devices)
    topics = {message.topic for message in street().messages()}
    assert "linfen/C1/crowd/crowd-1" in topics
    assert "linfen/C2/crowd/crowd-3" in topics
    assert "linfen/C1/status/cam-exit" in topics
    assert "linfen/C1/level/parking-1" in topics
    assert {topic.rsplit("/", 1)[1] for topic in topics} == {device.id for device in places.devices}
