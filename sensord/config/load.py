"""The entrance: reads ``sensord.yaml`` and every file that it names, and hands out one checked whole.

Rules: every mistake in every file is reported at once; a file that depends on a broken one is checked as far
as it can be. Nothing is half loaded: either ``Loaded`` or ``ConfigError``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from typing import TypeVar

import msgspec

from sensord.config.calendar import load_calendar
from sensord.config.channels import DIGEST_BYTES, Alertmanager, MqttChannel, Robot, for_plates_only, kinds
from sensord.config.connection import check_settings, load_settings
from sensord.config.dutyplan import with_public_days
from sensord.config.lint import (
    lint_calendar,
    lint_channels,
    lint_dispatch,
    lint_history,
    lint_lengths,
    lint_nearest,
    lint_silence,
    lint_threads,
)
from sensord.config.people import Known, Staff, find_holes, load_roster
from sensord.config.places import Registry, load_places
from sensord.config.plan import Dispatch, check_scopes, load_dispatch
from sensord.config.platekeys import KeyRing, add_key, load_keys, note_loss
from sensord.config.rosterchanges import CHANGES_FILE, Added, load_changes
from sensord.config.rules import RuleSet, World, load_rules
from sensord.config.secret import read_secret, read_signing_key, resolve_path
from sensord.config.settings import Settings
from sensord.config.vehicles import Vehicles, load_vehicles
from sensord.config.yamlfile import read_yaml
from sensord.core.cases.builtin import IDS
from sensord.core.cases.damping import Damping
from sensord.core.cases.score import Score
from sensord.core.definition import Definition
from sensord.core.instant import parse_duration, to_datetime
from sensord.core.place import Places
from sensord.core.schedule import Calendar
from sensord.core.vehicles.pseudonym import Secrets
from sensord.core.vehicles.tracking import PlateAreas, PlateKey, Tracking
from sensord.errors import ConfigError, Problem

__all__ = ["KEY_FILE", "Loaded", "key_file", "load", "load_bare", "read_secret", "resolve_path", "with_keys"]

T = TypeVar("T")
KEY_FILE = "plate.keys"


class Spare(Enum):
    """Parts that alerting can do without when their files, which no person edits, cannot be used."""

    PLATES = "plates"
    LINKS = "links"
    CHANGES = "changes"


@dataclass(frozen=True, slots=True)
class Loaded:
    """A checked configuration. ``base`` is the folder of ``sensord.yaml``; ``warnings`` are for people.

    ``secrets`` are the site keys that the definition names. ``score`` is the quarterly formula: it changes no outcome,
    and so is no part of the definition. ``link_key`` is the one that a person made to sign links, if one did.
    ``without`` says which parts are missing when it was loaded leniently, and why.
    """

    settings: Settings
    definition: Definition
    warnings: list[Problem]
    base: Path
    secrets: Secrets = field(repr=False)
    score: Score
    link_key: bytes | None = field(repr=False)
    without: Mapping[Spare, str] = field(default_factory=dict)

    def unfollowed(self, why: str) -> Loaded:
        """The same with vehicles not told apart, and why."""
        definition = msgspec.structs.replace(self.definition, plate_keys=())
        return replace(self, definition=definition, without={**self.without, Spare.PLATES: why})

    def resolve(self, text: str) -> Path:
        """Turn a path of ``sensord.yaml`` into a real one; raises ``ConfigError`` for an unknown variable."""
        return resolve_path(text, self.base)


def load(path: Path, rules_in: Path | None = None, *, lenient: bool = False) -> Loaded:
    """Load a configuration from its ``sensord.yaml``; raises ``ConfigError`` with every mistake.

    With ``rules_in`` the rules of that folder or file take the place of those that it names. Who is ``lenient`` goes on
    without what alerting can do without: a daemon must start, and be asked, whatever its small files look like.
    """
    base = path.parent
    document = read_yaml(path)
    settings = check_settings(document)
    folder = rules_in or resolve_path(settings.files.rules, base)
    parts = _read(settings, base, folder, lenient=lenient)
    definition = _definition(settings, parts)
    dispatch, staff, rules = parts.dispatch, parts.staff, parts.rules
    today = to_datetime(time.time_ns(), settings.timezone).date()
    warnings = [
        *lint_channels(document, settings.channels),
        *lint_threads(document, len(settings.channels) + len(settings.sinks)),
        *parts.registry.warnings,
        *rules.warnings,
        *find_holes(dispatch, staff.people, parts.places, rules.reach),
        *lint_dispatch(dispatch.document, dispatch.roles, dispatch.policies, rules.written, dispatch.built_in.values()),
        *lint_nearest(dispatch.document, dispatch.policies, parts.places, rules.reach),
        *parts.vehicles.warnings,
        *lint_history(dispatch.document, dispatch.reports, settings.kept),
        *lint_lengths(rules.written, parts.vehicles.tracking),
        *parts.added.warnings,
        *lint_calendar(str(path), parts.calendar, definition.rules, staff.duty, today),
        *lint_silence(str(folder), parts.places, definition.rules, rules.tables),
    ]
    whole = settings, definition, sorted(warnings), base.absolute(), parts.ring.secrets, dispatch.score
    return Loaded(*whole, parts.link_key, parts.without)


def load_bare(path: Path) -> Loaded:
    """Load what ``sensord.yaml`` says by itself, and keys; the definition is empty, the score's formula the default.

    That is enough to ask a daemon, or its state: mistakes in other files are the daemon's trouble, and it goes on.
    Keys are read leniently. Raises ``ConfigError`` when that one file is not sound.
    """
    settings, base, problems = load_settings(path), path.parent, _Problems(lenient=True)
    ring = problems.spare(Spare.PLATES, lambda: _ring(settings, base), KeyRing((), {})) or KeyRing((), {})
    link_key = problems.spare(Spare.LINKS, lambda: _link_key(settings, base), None)
    empty = Definition("", (), (), ())
    return Loaded(settings, empty, [], base.absolute(), ring.secrets, Score(), link_key, problems.without)


@dataclass(frozen=True, slots=True)
class _Parts:
    """What the files hold, each checked by itself and against those that it speaks of."""

    registry: Registry
    places: Places
    dispatch: Dispatch
    staff: Staff
    calendar: Calendar
    rules: RuleSet
    vehicles: Vehicles
    ring: KeyRing
    link_key: bytes | None
    added: Added
    without: Mapping[Spare, str]


def _read(settings: Settings, base: Path, folder: Path, *, lenient: bool) -> _Parts:
    """Read every file that is named; raises ``ConfigError`` with the mistakes of all of them."""
    problems, files = _Problems(lenient=lenient), settings.files
    registry = problems.attempt(lambda: load_places(resolve_path(files.places, base)))
    places = Places(registry.places, registry.devices) if registry is not None else None
    dispatch = problems.attempt(lambda: load_dispatch(resolve_path(files.dispatch, base), settings.timezone))
    roles = None if dispatch is None else frozenset(role.id for role in dispatch.roles)
    policies = None if dispatch is None else frozenset(policy.id for policy in dispatch.policies)
    channels = frozenset(channel.name for channel in settings.channels)
    seeing = None if dispatch is None else frozenset(role.id for role in dispatch.roles if role.plates == "plain")
    shared = for_plates_only(settings.channels)
    known = Known(roles, places, channels, settings.language, settings.timezone, seeing, shared)
    staff = problems.attempt(lambda: load_roster(resolve_path(files.roster, base), known))
    people = frozenset(person.id for person in staff.people) if staff is not None else frozenset()
    changes = resolve_path(settings.state_dir, base) / CHANGES_FILE
    added = problems.spare(Spare.CHANGES, lambda: load_changes(changes, people, settings.timezone), Added())
    calendar = problems.attempt(lambda: load_calendar(resolve_path(files.calendar, base) if files.calendar else None))
    world = World(places, policies, None if calendar is None else frozenset(calendar.named))
    rules = problems.attempt(lambda: load_rules(folder, world))
    vehicles = problems.attempt(lambda: _vehicles(settings, base))
    ring = problems.spare(Spare.PLATES, lambda: _ring(settings, base), KeyRing((), {}))
    link_key = problems.spare(Spare.LINKS, lambda: _link_key(settings, base), None)
    if dispatch is not None and rules is not None:
        names = frozenset(rule.id for rule in rules.rules) | IDS
        problems.attempt(lambda: check_scopes(dispatch, places, names))
    if problems.found or registry is None or places is None or dispatch is None or staff is None or calendar is None:
        raise ConfigError(problems.found)
    if rules is None or vehicles is None or ring is None or added is None:
        raise ConfigError(problems.found)
    return _Parts(registry, places, dispatch, staff, calendar, rules, vehicles, ring, link_key, added, problems.without)


def _definition(settings: Settings, parts: _Parts) -> Definition:
    """Put together what changes an outcome."""
    dispatch, staff, rules = parts.dispatch, parts.staff, parts.rules.rules
    duty = with_public_days(staff.duty, parts.calendar)
    used = {contact.channel for person in staff.people for contact in person.contacts}
    return Definition(
        site=settings.site,
        places=parts.registry.places,
        devices=parts.registry.devices,
        rules=tuple(rules),
        roles=dispatch.roles,
        policies=dispatch.policies,
        people=staff.people,
        categories=dispatch.categories,
        district=dispatch.district,
        duty=msgspec.structs.replace(duty, changes=duty.changes + parts.added.changes),
        reports=dispatch.reports,
        damping=with_channels(dispatch.damping, settings),
        inhibitions=dispatch.inhibitions,
        maintenance=dispatch.maintenance,
        built_in=dispatch.built_in,
        plates=parts.vehicles.areas,
        plate_keys=parts.ring.keys,
        tracking=parts.vehicles.tracking,
        lateness={word: parse_duration(text) for word, text in settings.lateness.items()},
        zone=settings.timezone,
        calendar=parts.calendar if any(rule.active or rule.baseline for rule in rules) else Calendar(),
        topics=settings.mqtt.readings,
        commands=settings.mqtt.commands,
        channels={name: kind for name, kind in kinds(settings.channels).items() if name in used},
    )


def _vehicles(settings: Settings, base: Path) -> Vehicles:
    path = settings.files.vehicles
    if not path:
        return Vehicles(PlateAreas(), Tracking(), [])
    return load_vehicles(resolve_path(path, base), settings.timezone)


def _ring(settings: Settings, base: Path) -> KeyRing:
    """Return the site keys; none when no file is named and the daemon has not made its own yet."""
    path = key_file(settings, base)
    return load_keys(path) if settings.plates.key_file or path.exists() else KeyRing((), {})


def _link_key(settings: Settings, base: Path) -> bytes | None:
    """Return the key that a person made to sign links; None when none is named."""
    named = settings.answers.key_file
    return read_signing_key(resolve_path(named, base)) if named else None


def with_keys(loaded: Loaded, now: int, named: tuple[PlateKey, ...] = ()) -> Loaded:
    """Make the site key of pseudonyms at a daemon's first start, unless the configuration names a file.

    Returns what was loaded, with the key; without one, and why, when the file cannot be made, and when vehicles were
    followed by keys (those that the definition in force ``named``) whose file has gone: then none is made.
    """
    keys = key_file(loaded.settings, loaded.base)
    if Spare.PLATES in loaded.without or keys.exists():  # what cannot be read may not be asked for, either
        return loaded
    try:
        if named:
            return loaded.unfollowed(note_loss(keys, named))
        add_key(keys, now)
    except OSError as error:
        return loaded.unfollowed(f"the site key cannot be made: {error.strerror}")
    ring = load_keys(keys)
    definition = msgspec.structs.replace(loaded.definition, plate_keys=ring.keys)
    return replace(loaded, definition=definition, secrets=ring.secrets)


def key_file(settings: Settings, base: Path) -> Path:
    """Return where the site keys are, or will be once the daemon has made them."""
    named = settings.plates.key_file
    return resolve_path(named, base) if named else resolve_path(settings.state_dir, base) / KEY_FILE


def with_channels(damping: Damping, settings: Settings) -> Damping:
    """Add what the channels say: how much a minute, how long a digest may be, to what kind of receiver each leads."""
    channels = settings.channels
    return msgspec.structs.replace(
        damping,
        per_minute={channel.name: most for channel in channels if (most := getattr(channel, "per_minute", None))},
        groups=tuple(channel.name for channel in channels if isinstance(channel, Robot)),
        digest_bytes={one.name: DIGEST_BYTES[type(one)] for one in channels if type(one) in DIGEST_BYTES},
        by_grid=tuple(channel.name for channel in channels if isinstance(channel, MqttChannel)),
        undamped=tuple(channel.name for channel in channels if isinstance(channel, Alertmanager)),
    )


class _Problems:
    """Gathers the mistakes of several files."""

    def __init__(self, *, lenient: bool) -> None:
        self._lenient = lenient
        self.found: list[Problem] = []
        self.without: dict[Spare, str] = {}

    def attempt(self, read: Callable[[], T]) -> T | None:
        """Return what ``read`` returns, or None after noting what is wrong."""
        try:
            return read()
        except (ConfigError, OSError) as error:
            self.found += _problems_of(error)
            return None

    def spare(self, part: Spare, read: Callable[[], T], instead: T) -> T | None:
        """As :meth:`attempt`; who is lenient gets ``instead``, and it is noted what is missing."""
        try:
            return read()
        except (ConfigError, OSError) as error:
            if not self._lenient:
                self.found += _problems_of(error)
                return None
            first = _problems_of(error)[0]
            self.without[part] = f"{Path(first.file).name}: {first.message}"
            return instead


def _problems_of(error: ConfigError | OSError) -> list[Problem]:
    """What a person is told; also of a file that may not even be asked for, because its folder is closed to us."""
    if isinstance(error, ConfigError):
        return list(error.problems)
    hint = "check the path, and that the daemon's user may read it"
    return [Problem(str(error.filename), 1, 1, f"cannot be read: {error.strerror}", hint)]
