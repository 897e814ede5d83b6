"""Everything that people configured and that changes an outcome, as one value with one hash.

The journal holds it (as JSON) from the moment it comes into force, so a replay needs nothing but the journal. What does
not change an outcome (addresses of servers, passwords, log levels) is not part of it.
"""

from __future__ import annotations

import hashlib
from weakref import WeakValueDictionary

import msgspec

from sensord.core.cases.damping import Damping
from sensord.core.cases.mute import Inhibition, Maintenance
from sensord.core.cases.policy import Category, Policy, Role
from sensord.core.cases.reportplan import ReportPlan
from sensord.core.instant import SECOND
from sensord.core.people.duty import Duty
from sensord.core.people.roster import Person, without
from sensord.core.place import Device, Place
from sensord.core.rules.rule import Rule
from sensord.core.schedule import Calendar
from sensord.core.stream import Stream
from sensord.core.vehicles.tracking import PlateAreas, PlateKey, Tracking
from sensord.decoders import json_decoder

DEFAULT_LATENESS = 2 * SECOND


class Definition(msgspec.Struct, frozen=True, omit_defaults=True, weakref=True):
    """The rules of the game of one site (subdistrict).

    ``lateness`` is the allowed lateness (ns) per stream, by its word. ``topics`` is the template of reading topics,
    with the parts ``{compound}``, ``{kind}`` and ``{device}``; ``commands`` that of people's commands, with
    ``{user}`` and ``{case}``. ``plate_keys`` name the site keys of pseudonyms, oldest first; without any, vehicles are
    sorted but not followed. ``district`` is the six-digit code with which case codes begin. ``calendar`` holds the days
    that rules with active times go by. ``built_in`` names the plans of built-in rules (``cases/builtin.py``).
    ``channels`` says of which type the channels are that the roster uses: an address for one type is none for another.
    ``shut`` are those of them that do not run as the roster has them (see ``starting.py``).
    """

    site: str
    places: tuple[Place, ...]
    devices: tuple[Device, ...]
    rules: tuple[Rule, ...]
    roles: tuple[Role, ...] = ()
    policies: tuple[Policy, ...] = ()
    people: tuple[Person, ...] = ()
    categories: tuple[Category, ...] = ()
    district: str = "000000"
    duty: Duty = Duty()
    reports: tuple[ReportPlan, ...] = ()
    damping: Damping = Damping()
    inhibitions: tuple[Inhibition, ...] = ()
    maintenance: tuple[Maintenance, ...] = ()
    built_in: dict[str, str] = {}
    plates: PlateAreas = PlateAreas()
    plate_keys: tuple[PlateKey, ...] = ()
    tracking: Tracking = Tracking()
    lateness: dict[str, int] = {}
    zone: str = "Asia/Shanghai"
    calendar: Calendar = Calendar()
    topics: str = "linfen/{compound}/{kind}/{device}"
    commands: str = "linfen/commands/by/{user}/{case}"
    channels: dict[str, str] = {}
    shut: tuple[str, ...] = ()

    @property
    def staff(self) -> tuple[Person, ...]:
        """The people as they can be told: without contacts over channels that are shut."""
        return tuple(without(person, self.shut) for person in self.people) if self.shut else self.people

    def lateness_of(self, stream: Stream | None) -> int:
        """The allowed lateness of a stream (ns); absence rules (no stream) wait for nobody."""
        if stream is None:
            return 0
        if stream is Stream.VISIT:
            # A passage is decided up to ``settle`` after its reading, and its reading may be late itself.
            return self.lateness_of(Stream.PLATE) + self.tracking.settle
        return self.lateness.get(stream.word, DEFAULT_LATENESS)

    def encode(self) -> bytes:
        """The canonical JSON text: the same content gives the same bytes."""
        return msgspec.json.encode(self, order="deterministic")

    @property
    def version(self) -> str:
        """Twelve hexadecimal digits of the canonical text's hash."""
        return hashlib.sha256(self.encode()).hexdigest()[:12]


_DEFINITION = json_decoder(Definition)
_IN_USE = WeakValueDictionary[bytes, Definition]()


def decode_definition(text: bytes) -> Definition:
    """Read a definition's canonical text; raises ``msgspec.ValidationError`` when it is not one.

    While it is in use, whoever reads the same text has the same object: the core and each sink go by one.
    """
    found = _IN_USE.get(text)
    if found is None:
        found = _IN_USE.setdefault(text, _DEFINITION.decode(text))
    return found
