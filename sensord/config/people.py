"""``dispatch.yaml`` (roles and plans) and ``roster.yaml`` (who is on duty where), checked.

Rules: people appear by the name of their post (``居委干部-03``), never by their own; how they are reached is
the business of a channel. Somebody who cannot be reached must not look like somebody who can: no contact is
an error.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta

from sensord.config.findings import Findings
from sensord.config.ruletext import LevelWord
from sensord.config.schema import Duration, Entry, Identifier, LocalText, Text, convert
from sensord.config.yamlfile import MAX_BYTES_REGISTER, Document, read_yaml
from sensord.core.instant import DAY
from sensord.core.level import BY_WORD
from sensord.core.place import Places
from sensord.core.policy import Policy, Role, Step
from sensord.core.roster import Contact, Person
from sensord.errors import Problem

Word = Annotated[
    str,
    Meta(
        pattern=r"^[a-z][a-z0-9_-]{0,39}(?!\n)$",
        description="lower-case letters, digits, hyphens and underscores, at most 40",
    ),
]
Post = Annotated[
    str,
    Meta(
        pattern=r"^[^\s:/#+@]{1,40}$",
        description="the name of a post: at most 40 characters, no spaces, no : / # + @",
    ),
]


class RoleText(Entry, frozen=True, kw_only=True):
    """An audience: what it is called, and what is asked of it (an order, or a request).

    ``plates`` is how much of a plate ``{vehicle}`` shows it: ``none``, ``masked`` (沪A·**345), or ``plain``.
    """

    name: LocalText
    ask: LocalText | None = None
    plates: Literal["none", "masked", "plain"] = "none"


class StepText(Entry, frozen=True, kw_only=True):
    """Tell these roles once the case has stood at ``at_least`` for ``after``.

    With ``unless_acknowledged`` the step is dropped when somebody acknowledged in time.
    """

    tell: Annotated[tuple[Word, ...], Meta(min_length=1)]
    at_least: LevelWord = "blue"
    after: Duration = "0s"
    unless_acknowledged: bool = False


class PolicyText(Entry, frozen=True, kw_only=True):
    """A plan. ``close``: ``when_clear`` (the sensors suffice) or ``after_report`` (a person reports, too)."""

    name: LocalText
    close: Literal["when_clear", "after_report"] = "when_clear"
    steps: Annotated[tuple[StepText, ...], Meta(min_length=1)]


class DispatchFile(Entry, frozen=True, kw_only=True):
    """``dispatch.yaml`` as a whole."""

    roles: Annotated[dict[Word, RoleText], Meta(min_length=1)]
    policies: Annotated[dict[Word, PolicyText], Meta(min_length=1)]


class ContactText(Entry, frozen=True, kw_only=True):
    """A way to reach someone: a channel of ``sensord.yaml``, and the address there, if it needs one."""

    channel: Text
    address: Annotated[str, Meta(max_length=500)] = ""


class PersonText(Entry, frozen=True, kw_only=True):
    """Someone on the roster. ``serves`` is the place; ``language`` is the site's when it is not given."""

    id: Post
    role: Text
    serves: Identifier
    contacts: tuple[ContactText, ...] = ()
    language: Literal["zh", "en"] | None = None


class RosterFile(Entry, frozen=True, kw_only=True):
    """``roster.yaml`` as a whole."""

    people: tuple[PersonText, ...]


@dataclass(frozen=True, slots=True)
class Dispatch:
    """What ``dispatch.yaml`` says, as the core takes it; ``document`` is kept to point into it later."""

    roles: tuple[Role, ...]
    policies: tuple[Policy, ...]
    document: Document


@dataclass(frozen=True, slots=True)
class Known:
    """What a roster may speak of. None: that file has mistakes of its own; then not checked."""

    roles: Collection[str] | None = None
    places: Places | None = None
    channels: Collection[str] | None = None
    language: str = "zh"


def load_dispatch(path: Path) -> Dispatch:
    """Read ``dispatch.yaml``; raises ``ConfigError`` with every mistake and its position."""
    return check_dispatch(read_yaml(path))


def check_dispatch(document: Document) -> Dispatch:
    """Check a parsed ``dispatch.yaml`` and convert it; raises ``ConfigError``."""
    file, findings = convert(document, DispatchFile), Findings(document)
    roles = tuple(
        Role(word, text.name.both(), text.ask.both() if text.ask is not None else {}, text.plates)
        for word, text in file.roles.items()
    )
    policies = tuple(
        Policy(
            id=word,
            name=text.name.both(),
            steps=tuple(_step(findings, word, index, step, file.roles) for index, step in enumerate(text.steps)),
            close=text.close,
        )
        for word, text in file.policies.items()
    )
    findings.finish()
    return Dispatch(roles, policies, document)


def _step(findings: Findings, policy: str, index: int, text: StepText, roles: Collection[str]) -> Step:
    path = ("policies", policy, "steps", index)
    for position, role in enumerate(text.tell):
        if role not in roles:
            hint = findings.suggest(role, roles)
            findings.error((*path, "tell", position), f"there is no role {role} under roles", hint)
    after = findings.duration((*path, "after"), text.after, 0, 7 * DAY)
    if text.unless_acknowledged and not after:
        message = "unless_acknowledged has no meaning without after: nobody can acknowledge at once"
        findings.error((*path, "unless_acknowledged"), message, "add after: 5m, or remove it")
    return Step(tuple(dict.fromkeys(text.tell)), BY_WORD[text.at_least], after, text.unless_acknowledged)


def load_roster(path: Path, known: Known) -> tuple[Person, ...]:
    """Read ``roster.yaml``; raises ``ConfigError`` with every mistake and its position."""
    return check_roster(read_yaml(path, MAX_BYTES_REGISTER), known)


def check_roster(document: Document, known: Known) -> tuple[Person, ...]:
    """Check a parsed ``roster.yaml`` and convert it; raises ``ConfigError``."""
    file, findings = convert(document, RosterFile), Findings(document)
    seen: set[str] = set()
    for index, person in enumerate(file.people):
        if person.id in seen:
            findings.error(("people", index, "id"), f"{person.id} is on the roster twice", "ids are unique")
        seen.add(person.id)
        _person(findings, index, person, known)
    findings.finish()
    return tuple(
        Person(
            id=person.id,
            role=person.role,
            serves=person.serves,
            contacts=tuple(Contact(contact.channel, contact.address) for contact in person.contacts),
            language=person.language or known.language,
        )
        for person in file.people
    )


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
        self._circles: dict[str, list[frozenset[str]]] = {}

    def without(self, role: str, places: Collection[str]) -> list[str]:
        """Return the places without anybody of ``role``, sorted."""
        posts = self._posts.get(role, set())
        if posts & {place.id for place in self._places.places if place.parent is None}:
            return []
        return sorted(place for place in places if all(posts.isdisjoint(circle) for circle in self._of(place)))

    def _of(self, place: str) -> list[frozenset[str]]:
        if place not in self._circles:
            self._circles[place] = self._places.responsible(place)
        return self._circles[place]
