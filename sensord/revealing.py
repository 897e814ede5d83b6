"""Plates are shown, or leave with a recording, only to whoever may see them, and after that was written down.

May see them who is on the roster in a role with ``plates: plain``. Whoever asks and may not is written down as well.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from sensord.config.channels import ChannelSettings, for_plates_only, shows_plates
from sensord.config.load import Loaded, load
from sensord.core.alert import Vehicle
from sensord.core.cases.notification import Notification
from sensord.core.definition import Definition
from sensord.core.instant import format_instant
from sensord.core.snapshot import definition_of
from sensord.core.vehicles.pseudonym import Secrets
from sensord.drivers.reveal import Held, MaskFiller, PlateFiller, Revealer
from sensord.errors import SensordError, SnapshotError, StoreError
from sensord.store.access import AccessLog
from sensord.store.past import Past
from sensord.store.reader import DirectoryReader
from sensord.store.registers import Registers
from sensord.words import say

_PSEUDONYM = re.compile(r"[0-9a-f]{16}")


class Asker(NamedTuple):
    """Who on the roster asks for plates, and why."""

    by: str
    reason: str


def plate_filler(accesses: AccessLog, definition: Callable[[], Definition], secrets: Secrets) -> PlateFiller:
    """Make what puts plates into messages to the police, for the daemon whose journal is beside its ``accesses``."""
    return PlateFiller(lambda: _revealer(accesses.path.parent, definition(), secrets), accesses)


def _revealer(directory: Path, definition: Definition, secrets: Secrets) -> Revealer:
    """Make what finds plates in the journal of a state directory; saved states tell what was in force before."""

    def saved(at: int) -> Held | None:
        with suppress(StoreError, SnapshotError):
            found = Past(directory).snapshot_before(at)
            return None if found is None else Held(found[0], definition_of(found[1]))
        return None

    return Revealer(lambda: DirectoryReader(directory / "journal"), definition, secrets, saved)


class Discretion(MaskFiller):
    """Puts plates into the messages of one channel, or masks when others read them, too.

    On a channel that many read a plate is shown when its settings say so, those that it runs with and those in force,
    and nobody in force has a contact there who may not see plates: a refused configuration may have that.
    """

    def __init__(self, channel: ChannelSettings, plates: PlateFiller, loaded: Callable[[], Loaded]) -> None:
        self._channel, self._plates, self._loaded = channel, plates, loaded

    def fill(self, notification: Notification) -> Notification:
        """Return the message as all who read it may."""
        return self._plates.fill(notification) if self._alone() else super().fill(notification)

    def _alone(self) -> bool:
        """Whether nobody reads the channel who may not see plates."""
        loaded, name = self._loaded(), self._channel.name
        if not for_plates_only([self._channel]):
            return shows_plates(self._channel)
        seeing = {role.id for role in loaded.definition.roles if role.plates == "plain"}
        readers = {
            person.role
            for person in loaded.definition.people
            if any(contact.channel == name for contact in person.contacts)
        }
        return name in for_plates_only(loaded.settings.channels) and readers <= seeing


def reveal(config: Path, what: str, by: str, reason: str) -> Iterator[str]:
    """Yield the lines to show for a pseudonym or a case.

    Raises ``SensordError`` when nobody on the roster is called ``by``, when the role does not see plates, when there is
    no reason, when the journal does not hold the plate any more, or when the access cannot be written down: then
    nothing is shown.
    """
    loaded = _asked(config, by, reason, what)
    directory, zone = loaded.resolve(loaded.settings.state_dir), loaded.settings.timezone
    revealer = _revealer(directory, loaded.definition, loaded.secrets)
    if _PSEUDONYM.fullmatch(what):
        found = revealer.everywhere(what)
        case, shown = "", {what: [f"{one.plate}  {format_instant(one.at, zone)}  {one.device}" for one in found]}
    else:
        case, shown = what, _of_case(directory, what, revealer)
    for vehicle in shown:
        AccessLog(directory).append(
            at=format_instant(time.time_ns(), zone), by=by, reason=reason, vehicle=vehicle, via="reveal", case=case
        )
    _note_end(directory)
    lines = list(dict.fromkeys(line for lines in shown.values() for line in lines))
    if not lines:
        raise SensordError(say("日志中已没有这辆车的读数", "the journal holds no reading of this vehicle (any more)"))
    yield from lines


def admit_export(config: Path, journal: Path | None, asked: Asker, stretch: str) -> Loaded:
    """Write down that the plates of a stretch of a journal, or recording (None), are taken out; only then may they be.

    Returns the configuration, whose site keys follow the vehicles. Raises ``SensordError`` as :func:`reveal` does, and
    when the journal is not that of the configuration: its accesses are written down elsewhere.
    """
    by, reason = asked
    loaded = _asked(config, by, reason, f"* {stretch}")
    directory = loaded.resolve(loaded.settings.state_dir)
    if journal is not None and journal.resolve() != (directory / "journal").resolve():
        text = f"{journal} 不是 {config} 的日志目录", f"{journal} is not the journal of {config}"
        raise SensordError(say(*text))
    at = format_instant(time.time_ns(), loaded.settings.timezone)
    AccessLog(directory).append(at=at, by=by, reason=reason, vehicle=f"* {stretch}", via="export")
    _note_end(directory)
    return loaded


def _note_end(directory: Path) -> None:
    """Let the audit know where the access log ends; what it cannot take now it is told by the daemon."""
    with suppress(StoreError):
        Registers.of(directory).note(format_instant(time.time_ns(), "UTC"))


def _asked(config: Path, by: str, reason: str, what: str) -> Loaded:
    """Load the configuration; raises ``SensordError`` when ``by`` may not see plates, or nobody says why.

    That somebody who may not see plates asked for ``what`` is written down.
    """
    loaded = load(config)
    if not reason.strip():
        raise SensordError(say("需要理由", "a reason is needed"))
    refusal = _refusal(loaded.definition, by)
    if refusal:
        at = format_instant(time.time_ns(), loaded.settings.timezone)
        AccessLog(loaded.resolve(loaded.settings.state_dir)).append(
            at=at, by=by, reason=reason, vehicle=what, via="refused"
        )
        raise SensordError(refusal)
    return loaded


def _refusal(definition: Definition, by: str) -> str:
    """Why ``by`` may not see plates; "" for those who may."""
    role = next((person.role for person in definition.people if person.id == by), None)
    if role is None:
        return say(f"名册中没有 {by}", f"nobody on the roster is called {by}")
    if "plain" in (one.plates for one in definition.roles if one.id == role):
        return ""
    return say(
        f"{by} 的角色 {role} 不能查看号牌（dispatch.yaml 中 plates: plain 的角色才可以）",
        f"the role {role} of {by} may not see plates (roles with plates: plain in dispatch.yaml may)",
    )


def _of_case(directory: Path, case: str, revealer: Revealer) -> dict[str, list[str]]:
    """Return the plates of the vehicles that a case is about, by pseudonym.

    What a vehicle is taken for may come of several readings, and the one at its instant may show another plate: then
    the whole journal is searched.
    """
    past = Past(directory)
    causes = (past.transition(event.cause) for event in past.story(case))
    vehicles: list[Vehicle] = [one.vehicle for one in causes if one is not None and one.vehicle is not None]
    if not vehicles:
        raise SensordError(
            say(f"案件 {case} 不涉及具体车辆", f"the case {case} is not about an identified vehicle, or does not exist")
        )
    found: dict[str, list[str]] = {vehicle.id: [] for vehicle in vehicles}
    for vehicle in vehicles:
        found[vehicle.id] += [plate] if (plate := revealer.at(vehicle.id, vehicle.seen_at)) else []
    return {vehicle: plates or [one.plate for one in revealer.everywhere(vehicle)] for vehicle, plates in found.items()}
