"""The samples in ``config/`` and ``rules/`` and the published schemas: they load, agree, and are up to date."""

from __future__ import annotations

import copy
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from sensord.config import export
from sensord.config.generate import Numbers, generate_roster, generate_street
from sensord.config.load import Loaded, load
from sensord.config.people import Known, check_roster
from sensord.config.places import check_places
from sensord.config.settings import MqttChannel, Webhook
from sensord.config.yamlfile import MAX_BYTES_REGISTER, parse_yaml
from sensord.core.place import PlaceKind, Places
from sensord.core.stream import Stream

ROOT = Path(__file__).parents[2]
_SCHEMAS = {
    "config/sensord.yaml": "sensord",
    "config/places.yaml": "places",
    "config/roster.yaml": "roster",
    "config/dispatch.yaml": "dispatch",
    "config/vehicles.yaml": "vehicles",
    **{f"rules/{path.name}": "rules" for path in sorted((ROOT / "rules").glob("*.yaml"))},
    **{f"rules/tests/{path.name}": "ruletest" for path in sorted((ROOT / "rules" / "tests").glob("*.yaml"))},
    **{f"rules/tests/street/{kind}.yaml": kind for kind in ("sensord", "places", "roster")},
}


@cache
def _sample() -> Loaded:
    return load(ROOT / "config" / "sensord.yaml")


def test_the_samples_load_without_error_or_warning() -> None:
    """What we ship is what we ask of others."""
    assert _sample().warnings == []


def test_the_sample_roster_tells_nobody_over_a_topic_that_nobody_reads() -> None:
    """Nothing subscribes on a new machine: the first crowd would make the channel bad, and a day later its contacts."""
    named = {contact.channel for person in _sample().definition.people for contact in person.contacts}
    kinds = {channel.name: type(channel) for channel in _sample().settings.channels}
    assert {kinds[name] for name in named} == {Webhook}
    assert MqttChannel in kinds.values(), "the one to name once a screen is there"


def test_the_sample_street_has_the_numbers_of_the_subdistrict() -> None:
    """4 blocks, 20 residential grids, 125 micro-grids, 38 compounds and 50 gates, each micro-grid with a lane."""
    definition = _sample().definition
    kinds = Counter(place.kind for place in definition.places)
    assert kinds == {
        PlaceKind.STREET: 1,
        PlaceKind.BLOCK: 4,
        PlaceKind.GRID: 20,
        PlaceKind.MICRO_GRID: 125,
        PlaceKind.COMPOUND: 38,
        PlaceKind.GATE: 50,
        PlaceKind.LANE: 125,
    }
    assert {place.parent for place in definition.places if place.kind is PlaceKind.LANE} == {
        place.id for place in definition.places if place.kind is PlaceKind.MICRO_GRID
    }
    areas = [place.area_m2 for place in definition.places if place.kind is PlaceKind.LANE]
    assert all(area is not None and 60 <= area <= 400 for area in areas)


def test_the_sample_street_has_its_devices() -> None:
    """A crowd sensor for each lane, two cameras for each gate, a gauge where there is parking, terminals in grids."""
    definition = _sample().definition
    parking = sum(1 for place in definition.places if place.parking)
    assert Counter(device.stream for device in definition.devices) == {
        Stream.CROWD: 125,
        Stream.PLATE: 100,
        Stream.LEVEL: parking,
        Stream.REPORT: 20,
    }


def test_only_one_sample_address_is_real() -> None:
    """Every compound but 临汾路99弄 says by its name that it is an example."""
    compounds = [place.name for place in _sample().definition.places if place.kind is PlaceKind.COMPOUND]
    assert compounds[0] == "临汾路99弄"
    assert all(name.startswith("示例小区") for name in compounds[1:])


@pytest.mark.parametrize(
    "numbers",
    [
        Numbers(blocks=1, grids=1, micro_grids=1, compounds=1, gates=1),
        Numbers(blocks=2, grids=3, micro_grids=7, compounds=5, gates=20, lanes=3, crowd=2),
        Numbers(lanes=10, cameras=False, gauges=False, reports=False),
    ],
)
def test_a_generated_street_of_any_size_is_good(numbers: Numbers) -> None:
    """Places and roster pass every check, whatever the numbers."""
    registry = check_places(parse_yaml(generate_street("s", numbers=numbers).encode(), "p", MAX_BYTES_REGISTER))
    assert registry.warnings == []
    assert sum(place.kind is PlaceKind.GATE for place in registry.places) == numbers.gates
    lanes = numbers.micro_grids * numbers.lanes
    assert sum(device.stream is Stream.CROWD for device in registry.devices) == lanes * numbers.crowd
    known = Known(places=Places(registry.places, registry.devices))
    staff = check_roster(parse_yaml(generate_roster("s", numbers).encode(), "r", MAX_BYTES_REGISTER), known)
    assert len(staff.people) == 2 + numbers.blocks + 2 * numbers.grids + 2 * numbers.micro_grids


@pytest.mark.parametrize("numbers", [Numbers(compounds=126), Numbers(gates=37), Numbers(blocks=0)])
def test_an_impossible_street_is_refused(numbers: Numbers) -> None:
    """More compounds than micro-grids, a compound without a gate, no block at all."""
    with pytest.raises(ValueError, match="a street needs"):
        generate_street(numbers=numbers)


@pytest.mark.parametrize("name", sorted(_SCHEMAS))
def test_a_sample_names_its_schema_and_fits_it(name: str) -> None:
    """Editors take the schema from the first line; it accepts what the loader accepts."""
    path = ROOT / name
    text = path.read_text(encoding="utf-8")
    up = "../" * name.count("/")
    assert text.splitlines()[0] == f"# yaml-language-server: $schema={up}docs/schema/{_SCHEMAS[name]}.json"
    data = parse_yaml(text.encode(), name, MAX_BYTES_REGISTER).data
    jsonschema.Draft202012Validator(export.schemas()[_SCHEMAS[name]]).validate(data)


def test_nothing_else_lies_among_the_schemas() -> None:
    """A schema of something that is gone would mislead."""
    names = {f"schema/{path.name}" for path in (ROOT / "docs" / "schema").iterdir()}
    assert names == {name for name in export.texts() if name.startswith("schema/")}


@pytest.mark.parametrize("name", sorted(export.schemas()))
def test_every_schema_is_a_schema(name: str) -> None:
    """The documents are valid under the dialect that they name."""
    jsonschema.Draft202012Validator.check_schema(export.schemas()[name])


_RULES: dict[str, Any] = {
    "rules": [
        {
            "id": "a",
            "name": {"zh": "a"},
            "stream": "crowd",
            "by": "lane",
            "value": "mean(density)",
            "window": "1m",
            "levels": {"yellow": {"above": 1, "for": "5s"}},
            "dispatch": "crowd",
        }
    ]
}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("levels", {"amber": {"above": 1}}),
        ("levels", {}),
        ("levels", {"yellow": {"over": 1}}),
        ("window", "60"),
        ("id", "A rule"),
        ("by", "house"),
        ("densty", 1),
    ],
)
def test_the_schema_shows_an_editor_what_is_wrong(key: str, value: object) -> None:
    """An editor underlines what the loader would refuse, as far as a schema can say it."""
    validator = jsonschema.Draft202012Validator(export.schemas()["rules"])
    validator.validate(_RULES)
    wrong = copy.deepcopy(_RULES)
    wrong["rules"][0][key] = value
    with pytest.raises(jsonschema.ValidationError):
        validator.validate(wrong)
