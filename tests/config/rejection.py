"""Runs a rejected file through the reader that its name asks for, against a small street."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

from sensord.config.connection import load_settings
from sensord.config.load import Loaded, load
from sensord.config.people import Known, load_roster
from sensord.config.places import load_places
from sensord.config.plan import load_dispatch
from sensord.config.rosterchanges import load_changes
from sensord.config.rules import World, load_rules
from sensord.config.ruletest import load_tests
from sensord.config.vehicles import load_vehicles
from sensord.config.yamlfile import read_yaml
from sensord.core.place import Places
from sensord.errors import ConfigError, Problem

HERE = Path(__file__).parent
REJECTED = HERE / "rejected"
STREET = HERE / "street"


@cache
def street() -> Loaded:
    """Load the small street that the rejected files are measured against."""
    return load(STREET / "sensord.yaml")


@cache
def _places() -> Places:
    return Places(street().definition.places, street().definition.devices)


def known() -> Known:
    """What a roster may speak of on the small street."""
    loaded = street()
    channels = [*(channel.name for channel in loaded.settings.channels), "police-group"]
    roles = loaded.definition.roles
    seeing = [role.id for role in roles if role.plates == "plain"]
    return Known([role.id for role in roles], _places(), channels, seeing=seeing, for_plates=["police-group"])


def world() -> World:
    """What rules may speak of on the small street."""
    return World(_places(), [policy.id for policy in street().definition.policies], ())


_READERS: dict[str, Callable[[Path], object]] = {
    "yaml": read_yaml,
    "settings": load_settings,
    "places": load_places,
    "rules": lambda path: load_rules(path, world()),
    "dispatch": load_dispatch,
    "ruletest": lambda path: load_tests(path, STREET / "sensord.yaml"),
    "vehicles": lambda path: load_vehicles(path, "Asia/Shanghai"),
    "changes": lambda path: load_changes(path, [person.id for person in street().definition.people], "Asia/Shanghai"),
    "roster": lambda path: load_roster(path, known()),
}


def problems_of(path: Path) -> list[Problem]:
    """Return the problems that the file is refused with; an empty list when it is accepted."""
    try:
        _READERS[path.stem.partition("-")[0]](path)
    except ConfigError as error:
        return error.problems
    return []
