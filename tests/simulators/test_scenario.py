"""Scenario files: what is shipped is right, and every mistake is found where it stands."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from sensord.config.places import load_places
from sensord.core.definition import Definition
from sensord.core.instant import SECOND
from sensord.core.place import PlaceKind, Places
from sensord.errors import ConfigError
from simulators.scenario import find_scenario, load_scenario, scenario_files
from simulators.street import Street
from simulators.truth import incidents
from tests.simulators.small import definition, write

CONFIG = Path(__file__).resolve().parents[2] / "config"
CROWD = "{kind: crowd, lane: L1, start: 1s, rise: 2s, peak_density: 3, hold: 4s, fall: 5s}"


def shipped(name: str) -> tuple[Definition, Path]:
    """Return the shipped street without its rules, and the file of a shipped scenario."""
    registry = load_places(CONFIG / "places.yaml")
    return Definition("linfen", registry.places, registry.devices, ()), find_scenario(name, CONFIG / "scenarios")


@pytest.mark.parametrize("name", [path.stem for path in scenario_files(CONFIG / "scenarios")])
def test_shipped_scenarios_fit_the_shipped_street(name: str) -> None:
    """Every shipped scenario can be played in the shipped street."""
    street, path = shipped(name)
    scenario = load_scenario(path, street)
    assert all(crowd.end < scenario.duration for crowd in scenario.crowds)
    assert all(silence.end < scenario.duration for silence in scenario.silences)


def test_the_default_story_happens_in_the_one_real_address() -> None:
    """The crowd of ``lane-crowd`` forms in 临汾路99弄, within 30 s, and stays above orange for about 40 s."""
    street, path = shipped("lane-crowd")
    (crowd,) = load_scenario(path, street).crowds
    places = Places(street.places, street.devices)
    compound = places.above(crowd.lane, PlaceKind.COMPOUND)
    assert compound is not None
    assert places.by_id[compound].name == "临汾路99弄"
    assert crowd.start + crowd.rise <= 30 * SECOND
    above = sum(crowd.density(second * SECOND) > 2.17 for second in range(200))
    assert 38 <= above <= 52


def test_two_crowds_are_in_two_grids() -> None:
    """The crowds of ``two-crowds`` are in different residential grids and overlap in time."""
    street, path = shipped("two-crowds")
    first, second = load_scenario(path, street).crowds
    places = Places(street.places, street.devices)
    assert places.above(first.lane, PlaceKind.GRID) != places.above(second.lane, PlaceKind.GRID)
    assert second.start < first.end


def test_a_crowd_anywhere_is_chosen_by_the_seed(tmp_path: Path) -> None:
    """``lane: any``: the same lane for the same seed, another one for another crowd; ``grid``: a lane of its own."""
    text = "seed: SEED\nduration: 60s\nevents:\n" + "".join(f"  - {CROWD}\n".replace("L1", "any") for _ in range(3))
    chosen = {}
    for seed in range(6):
        lanes = [load_scenario(write(tmp_path, text.replace("SEED", str(seed))), definition()).crowds for _ in range(2)]
        assert lanes[0] == lanes[1]
        assert len({crowd.lane for crowd in lanes[0]}) == 3
        chosen[seed] = lanes[0][0].lane
    assert len(set(chosen.values())) > 1
    of_grid = f"duration: 60s\nevents: [{CROWD}]\n".replace("lane: L1", "grid: G2")
    assert load_scenario(write(tmp_path, of_grid), definition()).crowds[0].lane == "L3"


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("duration: 60\n", 1, "duration"),
        ("duration: 60s\nspeed: 2\n", 2, "unknown key"),
        ("duration: 60s\nbackground: {out_of_town: 0.8, key_area: 0.4}\n", 2, "more than 1"),
        (f"duration: 60s\nevents:\n  - {CROWD}\n".replace("L1", "L9"), 3, "there is no lane"),
        (f"duration: 60s\nevents:\n  - {CROWD}\n".replace("lane: L1, ", ""), 3, "either 'lane' or 'grid'"),
        (f"duration: 60s\nevents:\n  - {CROWD}\n".replace("lane: L1", "lane: L1, grid: G1"), 3, "either 'lane'"),
        (f"duration: 60s\nevents:\n  - {CROWD}\n".replace("lane: L1", "grid: G9"), 3, "in the grid G9"),
        (f"duration: 60s\nevents:\n  - {CROWD}\n".replace("rise: 2s", "rise: 0s"), 3, "at least 1s"),
        (
            "duration: 60s\nevents:\n  - {kind: silence, device: crowd-7, start: 1s, length: 9s}\n",
            3,
            "no device crowd-7",
        ),
        ("duration: 60s\nevents:\n  - {kind: key_area_vehicle, gate: L1, at: 1s}\n", 3, "no gate with a plate camera"),
        ("duration: 60s\nevents:\n  - {kind: flood, at: 1s}\n", 3, "flood"),
    ],
)
def test_mistakes_are_found_where_they_stand(tmp_path: Path, text: str, line: int, says: str) -> None:
    """A wrong scenario is refused with the line of the mistake and a sentence about it."""
    with pytest.raises(ConfigError) as refused:
        load_scenario(write(tmp_path, text), definition())
    assert any(problem.line == line and says in str(problem) for problem in refused.value.problems), refused.value


def test_key_areas_must_be_configured_first(tmp_path: Path) -> None:
    """Without ``key areas`` no vehicle can come from a key area: the scenario is refused and says what to do."""
    path = write(tmp_path, "duration: 60s\nevents:\n  - {kind: key_area_vehicle, gate: C1-N, at: 1s}\n")
    assert load_scenario(path, definition()).vehicles[0].device == "cam-entry"
    bare = definition()
    bare = Definition(bare.site, bare.places, bare.devices, ())
    with pytest.raises(ConfigError, match="key_areas"):
        load_scenario(path, bare)


def test_vehicles_that_live_in_the_street_have_a_truth() -> None:
    """Cameras show who lives in the street, the same every time, and stays of a day and cloned plates are labelled."""
    definition, path = shipped("long-stays")
    begin = 1_764_032_400 * SECOND  # nine in the morning in Shanghai
    street, again = (Street(definition, load_scenario(path, definition), begin) for _ in range(2))
    shown = street.driving()
    assert shown == again.driving()
    assert all(street.start <= one.at < street.end for one in shown)
    assert [one.at for one in shown] == sorted(one.at for one in shown)
    assert set(street.driving({"cam-C01-N-entry"})) == {one for one in shown if one.topic.endswith("/cam-C01-N-entry")}
    labelled = Counter(incident.kind for incident in incidents(street) if incident.must)
    assert labelled["overstay"] > 1
    assert labelled["cloned_plate"] > 1


def test_an_unknown_scenario_names_the_known_ones() -> None:
    """Asking for a scenario that is not there lists those that are."""
    with pytest.raises(ConfigError, match="lane-crowd"):
        find_scenario("lane-crowds", CONFIG / "scenarios")
    with pytest.raises(ConfigError):
        find_scenario("../places", CONFIG / "scenarios")
