"""How people are reached under two definitions, one after the other: which contacts are others, and whose all are.

A channel of another type is another way, though it has its name: an address for the one is none for the other.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from sensord.core.cases.call import lose
from sensord.core.cases.case import Case
from sensord.core.definition import Definition


def changed(before: Definition, now: Definition) -> set[tuple[str, str]]:
    """The contacts (person, channel) that they do not share."""
    old = {(person.id, contact) for person in before.staff for contact in person.contacts}
    new = {(person.id, contact) for person in now.staff for contact in person.contacts}
    retyped = _retyped(before, now)
    others = (old ^ new) | {one for one in new if one[1].channel in retyped}
    return {(person, contact.channel) for person, contact in others}


def lost(before: Definition, now: Definition) -> set[tuple[str, str]]:
    """The contacts (person, channel) of before that are there no more, or have another address."""
    retyped, ways = _retyped(before, now), _ways(before)
    others = (ways - _ways(now)) | {way for way in ways if way[1] in retyped}
    return {(person, channel) for person, channel, _ in others}


def moved(before: Definition, now: Definition) -> set[str]:
    """Who is on the roster of both, and is reached now by nothing that was there before."""
    retyped, known = _retyped(before, now), {person.id for person in before.people}
    kept = {person for person, channel, _ in _ways(before) & _ways(now) if channel not in retyped}
    return {person.id for person in now.staff if person.contacts and person.id in known} - kept


def note(moved: Collection[str], lost: Iterable[tuple[str, str]], cases: Iterable[Case]) -> None:
    """Note in the ledgers of cases that these contacts (person, channel) are ``lost``, and who has wholly ``moved``."""
    ways: dict[str, list[str]] = {name: [] for name in moved}
    for person, channel in lost:
        ways.setdefault(person, []).append(channel)
    for case, name in [(one, name) for one in cases for name in one.told if name in ways]:
        lose(case.calls, name, ways[name], {} if name in moved else case.told[name].through)
        case.told[name].moved(ways[name], case.events + 1, wholly=name in moved)


def _ways(definition: Definition) -> set[tuple[str, str, str]]:
    return {(one.id, contact.channel, contact.address) for one in definition.staff for contact in one.contacts}


def _retyped(before: Definition, now: Definition) -> set[str]:
    """The channels that are of another type now; a definition of an earlier version does not say of which they were."""
    return {name for name, kind in before.channels.items() if now.channels.get(name, kind) != kind}
