"""The site at a glance, as plain JSON values: what a view, a health check or a console shows."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from sensord.core.cases.case import Case
from sensord.core.cases.mute import Silence
from sensord.core.definition import Definition
from sensord.core.instant import format_instant
from sensord.core.level import Level
from sensord.core.place import PlaceKind, Places
from sensord.core.site import Site

Overview = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Standing:
    """How things stood when the core last looked: for those who read on other threads.

    ``levels`` holds the worst active alert of places that have one, ``unknown`` the places that are blind,
    ``undeliverable`` the contacts (person, channel) that are known not to deliver.
    """

    definition: Definition
    tree: Places
    levels: dict[str, Level]
    unknown: frozenset[str]
    silences: tuple[Silence, ...] = ()
    undeliverable: frozenset[tuple[str, str]] = frozenset()


def standing(site: Site) -> Standing:
    """Take down how things stand; called on the core's thread."""
    levels: dict[str, Level] = {}
    for alert in site.engine.active():
        levels[alert.place] = max(levels.get(alert.place, Level.NONE), alert.level)
    unknown = frozenset(site.engine.unknown())
    failing = frozenset((person, channel) for person, channel, _ in site.book.undeliverable)
    return Standing(site.definition, site.places, levels, unknown, tuple(site.book.silences), failing)


def build(site: Site) -> Overview:
    """Describe every residential grid (worst level, blind places) and every open case.

    ``at`` is journal time (RFC 3339, local). A grid's ``unknown`` counts its blind lanes, gates and compounds of
    ``total`` places that have sensors: a blind place is unknown, whatever its level.
    """
    zone = site.definition.zone
    levels = _levels(site)
    unknown, total = _blind(site)
    grids = {
        place.id: {
            "kind": place.kind.value,
            "name": place.name,
            "name_en": place.name_en or place.name,
            "block": place.parent,
            "level": levels.get(place.id, Level.NONE).word,
            "unknown": unknown[place.id],
            "total": total[place.id],
        }
        for place in site.places.places
        if place.kind is PlaceKind.GRID
    }
    return {
        "at": format_instant(site.engine.now, zone) if site.engine.now else None,
        "site": site.definition.site,
        "places": grids,
        "cases": [describe_case(case, site) for case in site.book.open.values()],
    }


def describe_case(case: Case, site: Site) -> Overview:
    """Describe one case in plain values; times are RFC 3339 or None."""
    zone = site.definition.zone
    return {
        "id": case.id,
        "code": case.code,
        "owner": case.owner,
        "place": case.place,
        "place_name": site.places.name(case.place, "zh"),
        "place_name_en": site.places.name(case.place, "en"),
        "grid": case.grid,
        "policy": case.policy,
        "level": case.level.word,
        "peak": case.peak.word,
        "state": case.state.value,
        "opened_at": format_instant(case.opened_at, zone),
        "closed_at": format_instant(case.closed_at, zone) if case.closed_at else None,
        "acknowledged_by": case.acknowledged_by,
    }


def _levels(site: Site) -> dict[str, Level]:
    """The worst active alert per grid."""
    worst: dict[str, Level] = {}
    for alert in site.engine.active():
        grid = site.places.above(alert.place, PlaceKind.GRID)
        if grid is not None:
            worst[grid] = max(worst.get(grid, Level.NONE), alert.level)
    return worst


def _blind(site: Site) -> tuple[Counter[str], Counter[str]]:
    """Per grid: places that are blind, and places that have a sensor."""
    unknown, total = Counter[str](), Counter[str]()
    blind = site.engine.unknown()
    for place in dict.fromkeys(device.place for device in site.places.devices):
        grid = site.places.above(place, PlaceKind.GRID)
        if grid is not None:
            total[grid] += 1
            unknown[grid] += place in blind
    return unknown, total
