"""What a combination's text names: the rules that it looks at, and where their alerts stand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sensord.core.cases.case import Case
from sensord.core.cases.message import Names
from sensord.core.instant import format_duration
from sensord.core.place import PlaceKind, Places
from sensord.core.rules.rule import Logic, Part, Rule

_FORMS = {
    "zh": {
        Logic.ALL: ("与", "同时成立"),
        Logic.ANY: ("与", "成立"),
        Logic.SEQUENCE: ("，随后", ""),
        Logic.MISSING: ("之后 {within} 内没有", ""),
    },
    "en": {
        Logic.ALL: (" and ", " at the same time"),
        Logic.ANY: (" and ", ""),
        Logic.SEQUENCE: (", then ", ""),
        Logic.MISSING: (", and within {within} no ", ""),
    },
}
"""What stands between the parts, and after them."""
_NEAR = {"zh": "在 {within} 内先后成立", "en": " within {within}"}
"""What stands after them when one of all has ended already."""
_NAMED = 3
_PLACES = {"zh": ("（{}）", "、", "等 {} 处"), "en": (" ({})", ", ", " and others, {} in all")}


def parts_of(case: Case, rule: Rule, cases: Iterable[Case], names: Names, to: str) -> str:
    """Say in the language ``to`` which parts make the combination's alert, each with the places where it stands.

    ``cases`` are the open ones: they hold the alerts that stand.
    """
    assert rule.combination is not None
    parts, logic, places = rule.combination.parts, rule.combination.logic, names.places
    inside = places.within(case.place) if case.place in places.by_id else frozenset()
    nearby = [one for one in cases if one.place in inside]
    where = [_standing(part, nearby) for part in parts]
    between, after = _FORMS[to][logic]
    if logic is Logic.ALL and not all(where):
        after = _NEAR[to]
    told = [
        names.rule(part.rule, to) + _named(there, case.place, places, to)
        for part, there in zip(parts, where, strict=True)
        if there or logic is not Logic.ANY or not any(where)
    ]
    return (between.join(["{}"] * len(told)) + after).format(*told, within=format_duration(rule.combination.within))


def _standing(part: Part, cases: Sequence[Case]) -> list[str]:
    """The places at which a part's alerts stand at its level, or above."""
    start = f"{part.rule}:"
    return [
        one.place
        for one in cases
        if any(alert.startswith(start) and level >= part.at_least for alert, level in one.alerts.items())
    ]


def _named(there: Sequence[str], around: str, places: Places, to: str) -> str:
    """Where a part stands, unless that is where the combination is; what lies in one compound by its own name."""
    others = sorted({place for place in there if place != around}, key=places.index.__getitem__)
    if not others:
        return ""
    own = places.by_id[around].kind is PlaceKind.COMPOUND
    frame, joint, more = _PLACES[to]
    shown = joint.join(places.by_id[one].label(to) if own else places.name(one, to) for one in others[:_NAMED])
    return frame.format(shown + (more.format(len(others)) if len(others) > _NAMED else ""))
