"""Tells what truly happens in the simulated street, so that whoever watches can compare it with what sensord says.

Pure: instants (ns) are the wall clock's, ``to_scenario`` turns one into the scenario's.
"""

from __future__ import annotations

from collections.abc import Callable

from sensord.core.instant import SECOND
from simulators.captions import WORDS
from simulators.street import Incident, Street

_CROWDED = 0.95
"""Share of the peak from which a crowd is complete."""


class Narrator:
    """Knows the incidents of a street and in which phase each one is."""

    def __init__(self, street: Street, to_scenario: Callable[[int], int], language: str) -> None:
        self._street, self._to_scenario, self._words = street, to_scenario, WORDS[language]
        self._language = language
        self._phases: dict[Incident, str] = {}

    def news(self, now: int) -> list[str]:
        """Return a text for every incident whose phase is another one than at the last call."""
        found: list[str] = []
        for incident in self._street.truth():
            phase = self._phase(incident, self._to_scenario(now))
            if phase and self._phases.get(incident) != phase:
                found.append(self._text(incident, phase, self._to_scenario(now)))
            self._phases[incident] = phase
        return found

    def note(self, now: int) -> str:
        """Return one line about everything that is going on."""
        at = self._to_scenario(now)
        phases = ((incident, self._phase(incident, at)) for incident in self._street.truth())
        found = [self._text(incident, phase, at) for incident, phase in phases if phase]
        return f"{self._words['street']}  " + ("   ".join(found) or self._words["quiet"])

    def _phase(self, incident: Incident, at: int) -> str:
        """Name the phase, as a word of the captions; empty before the beginning."""
        if at < incident.start:
            return ""
        if incident.kind == "silence":
            return "silent" if at < incident.end else "back"
        if incident.kind != "crowd":
            return "vehicle"
        if at >= incident.end:
            return "dispersed"
        if self._street.density(incident.place, at) >= _CROWDED * incident.peak:
            return "crowded"
        rising = self._street.density(incident.place, at + SECOND) > self._street.density(incident.place, at)
        return "forming" if rising else "dispersing"

    def _text(self, incident: Incident, phase: str, at: int) -> str:
        place = self._street.places.by_id[incident.place].label(self._language)
        text = f"{incident.grid} {place} {self._words[phase]}"
        if incident.kind != "crowd":
            return text
        return f"{text} {self._street.density(incident.place, at):.1f} {self._words['density']}"
