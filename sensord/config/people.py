"""``roster.yaml`` (who is on duty where, and when), checked.

Rules: people appear by the name of their post (``居委干部-03``), never by their own; how they are reached is
the business of a channel. Somebody who cannot be reached must not look like somebody who can: no contact is
an error.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from sensord.config.dutyplan import read_duty
from sensord.config.findings import Findings
from sensord.config.plan import Dispatch
from sensord.config.rostertext import PersonText, RosterFile
from sensord.config.schema import convert
from sensord.config.yamlfile import MAX_BYTES_REGISTER, Document, KeyPath, read_yaml
from sensord.core.instant import HOUR
from sensord.core.people.duty import Duty
from sensord.core.people.roster import Contact, Person
from sensord.core.place import Places
from sensord.errors import Problem


@dataclass(frozen=True, slots=True)
class Staff:
    """What ``roster.yaml`` says, as the core takes it."""

    people: tuple[Person, ...]
    duty: Duty


@dataclass(frozen=True, slots=True)
class Known:
    """What a roster may speak of. None: that file has mistakes of its own; then not checked."""

    roles: Collection[str] | None = None
    places: Places | None = None
    channels: Collection[str] | None = None
    language: str = "zh"
    zone: str = "Asia/Shanghai"
    seeing: Collection[str] | None = None
    """The roles that see plates; ``for_plates`` are the channels that many read, all of whom may."""
    for_plates: Collection[str] = ()


def load_roster(path: Path, known: Known) -> Staff:
    """Read ``roster.yaml``; raises ``ConfigError`` with every mistake and its position."""
    return check_roster(read_yaml(path, MAX_BYTES_REGISTER), known)


def check_roster(document: Document, known: Known) -> Staff:
    """Check a parsed ``roster.yaml`` and convert it; raises ``ConfigError``."""
    file, findings = convert(document, RosterFile), Findings(document)
    seen: set[str] = set()
    for index, person in enumerate(file.people):
        if person.id in seen:
            findings.error(("people", index, "id"), f"{person.id} is on the roster twice", "ids are unique")
        seen.add(person.id)
        _person(findings, index, person, known)
    duty = read_duty(findings, file, known.zone)
    people = tuple(
        Person(
            id=person.id,
            role=person.role,
            serves=person.serves,
            contacts=_contacts(findings, index, person),
            language=person.language or known.language,
            shifts=person.shifts,
        )
        for index, person in enumerate(file.people)
    )
    findings.finish()
    return Staff(people, duty)


def _contacts(findings: Findings, index: int, person: PersonText) -> tuple[Contact, ...]:
    made = []
    for nth, contact in enumerate(person.contacts):
        path: KeyPath = ("people", index, "contacts", nth, "after")
        made.append(Contact(contact.channel, contact.address, findings.duration(path, contact.after, 0, HOUR)))
    if made and all(contact.after for contact in made):
        message = f"every contact of {person.id} has after: there is no first way to reach them"
        findings.error(("people", index, "contacts"), message, "remove after from the first one")
    return tuple(made)


def _person(findings: Findings, index: int, person: PersonText, known: Known) -> None:
    path = ("people", index)
    if known.roles is not None and person.role not in known.roles:
        hint = findings.suggest(person.role, known.roles)
        findings.error((*path, "role"), f"there is no role {person.role} in dispatch.yaml", hint)
    if known.places is not None and person.serves not in known.places.by_id:
        hint = findings.suggest(person.serves, known.places.by_id)
        findings.error((*path, "serves"), f"there is no place {person.serves} in places.yaml", hint)
    if not person.contacts:
        findings.error(path, f"{person.id} has no contacts: nobody could reach them", "add contacts: [{channel: ...}]")
    channels: set[str] = set()
    for position, contact in enumerate(person.contacts):
        where = (*path, "contacts", position, "channel")
        if known.channels is not None and contact.channel not in known.channels:
            hint = findings.suggest(contact.channel, known.channels)
            findings.error(where, f"there is no channel {contact.channel} in sensord.yaml", hint)
        elif contact.channel in channels:
            # A notification's idempotency key names receiver and channel: the second one would never be sent.
            findings.error(where, f"{person.id} has two contacts on channel {contact.channel}", "keep one of them")
        elif known.seeing is not None and contact.channel in known.for_plates and person.role not in known.seeing:
            message = (
                f"the channel {contact.channel} shows plates to all who read it, and {person.role} may not see them"
            )
            findings.error(where, message, "remove plates: plain from the channel, or take another channel here")
        channels.add(contact.channel)


def find_holes(
    dispatch: Dispatch, people: tuple[Person, ...], places: Places, reach: dict[str, set[str]]
) -> list[Problem]:
    """Warn of every step and role that finds nobody for places where an alert with this policy can fire.

    ``reach`` holds those places per policy. Whoever serves the street answers everywhere.
    """
    holes = _Holes(people, places)
    problems = []
    for policy in dispatch.policies:
        fires = reach.get(policy.id, set())
        for index, step in enumerate(policy.steps):
            for position, role in enumerate(step.tell):
                missing = holes.without(role, fires)
                if missing:
                    path = ("policies", policy.id, "steps", index, "tell", position)
                    message = (
                        f"nobody on the roster is {role} for {len(missing)} of {len(fires)} places "
                        f"where policy {policy.id} can be needed, for example {missing[0]}"
                    )
                    hint = f"add somebody with role {role} there, or for the whole street"
                    problems.append(dispatch.document.problem(path, message, hint, severity="warning"))
    return problems


class _Holes:
    """Looks for places that nobody of a role answers for, in the circles that the core's ``Roster`` asks."""

    def __init__(self, people: tuple[Person, ...], places: Places) -> None:
        self._places = places
        self._posts: dict[str, set[str]] = {}
        for person in people:
            self._posts.setdefault(person.role, set()).add(person.serves)
        self._circles: dict[str, frozenset[str]] = {}

    def without(self, role: str, places: Collection[str]) -> list[str]:
        """Return the places without anybody of ``role``, sorted."""
        posts = self._posts.get(role, set())
        if posts & {place.id for place in self._places.places if place.parent is None}:
            return []
        return sorted(place for place in places if posts.isdisjoint(self._of(place)))

    def _of(self, place: str) -> frozenset[str]:
        if place not in self._circles:
            self._circles[place] = frozenset().union(*self._places.responsible(place))
        return self._circles[place]
