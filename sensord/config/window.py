"""Reads a rule's ``window`` and ``every``: a stretch of time, a session, a number of readings, or none."""

from __future__ import annotations

from typing import NamedTuple

from sensord.config.findings import Findings
from sensord.config.ruletext import RuleText
from sensord.config.yamlfile import KeyPath
from sensord.core.instant import DAY, SECOND, format_duration
from sensord.core.rules.rule import Aggregate, Value

MOST_PANES = 1440
MOST_READINGS = 1000
LONGEST_WINDOW = 366 * DAY
_BY_ITSELF = (Aggregate.LAST, Aggregate.COUNT)


class Shape(NamedTuple):
    """A window: durations in ns, 0 for what it is not (see :class:`sensord.core.rules.rule.Rule`)."""

    window: int = 0
    session: int = 0
    readings: int = 0
    every: int = 0


class WindowReader:
    """Reads one rule's window; every method notes its own mistakes."""

    def __init__(self, findings: Findings, path: KeyPath, text: RuleText, value: Value | None) -> None:
        self.findings, self.path, self.text, self.value = findings, path, text, value

    def _error(self, key: str, message: str, hint: str = "") -> None:
        self.findings.error((*self.path, key), message, hint)

    def read(self) -> Shape:
        """Return the shape; without a window each reading counts by itself."""
        window = self.text.window
        if self.value is not None and self.value.aggregate is Aggregate.OCCUPANCY:
            return self._occupancy()
        if window is None:
            return self._none()
        if window.endswith("readings"):
            return self._readings(int(window.split()[0]))
        if window.startswith("session"):
            return self._session(window.split()[1])
        return self._stretch(window)

    def _none(self) -> Shape:
        if self.value is not None and self.value.aggregate not in _BY_ITSELF:
            message = f"{self.value} needs a window"
            self._error("value", message, "add window: 1m; without one only last(field) and count() make sense")
        for key in ("every", "min_samples", "flapping"):
            if self.value is not None and getattr(self.text, key) is not None:
                self._error(key, f"{key} has no meaning without a window", "add a window, or remove it")
        return Shape()

    def _stretch(self, text: str) -> Shape:
        window = self.findings.duration((*self.path, "window"), text, SECOND, LONGEST_WINDOW)
        every = window if self.text.every is None else self._every()
        self._divides(window, every, f"the window ({text})")
        return Shape(window=window, every=every)

    def _session(self, text: str) -> Shape:
        gap = self.findings.duration((*self.path, "window"), text, SECOND, DAY)
        self._fixed()
        every = self._needs_every("a session")
        self._divides(gap, every, f"the gap of the session ({text})")
        return Shape(session=gap, every=every)

    def _readings(self, number: int) -> Shape:
        if not 2 <= number <= MOST_READINGS:
            self._error("window", f"{number} readings is out of range", f"write 2 to {MOST_READINGS} readings")
        self._fixed()
        return Shape(readings=number, every=self._needs_every("a window of readings"))

    def _fixed(self) -> None:
        """Refuse what only a window of a fixed length gives."""
        aggregate = None if self.value is None else self.value.aggregate
        if aggregate is Aggregate.RATE:
            self._error("value", "rate() needs a window of a fixed length", "write sum(field), or window: 10m")
        elif aggregate is Aggregate.TOTAL:
            self._error("value", "total() needs a window of a fixed length", "write window: 1m")

    def _occupancy(self) -> Shape:
        if self.text.window is not None:
            message = "occupancy() has no window: it goes on from its time of day"
            self._error("window", message, "remove it, and write every: 10s")
        every = self._needs_every("occupancy()")
        return Shape(window=every, every=every)

    def _needs_every(self, what: str) -> int:
        if self.text.every is None:
            self.findings.error(self.path, f"{what} needs every: how often to look", "add every: 10s")
            return SECOND
        return self._every()

    def _every(self) -> int:
        return self.findings.duration((*self.path, "every"), self.text.every or "", SECOND, LONGEST_WINDOW)

    def _divides(self, window: int, every: int, what: str) -> None:
        if window % every:
            message = f"{what} is not a multiple of every ({self.text.every})"
            self._error("every", message, "change one of them")
        elif window // every > MOST_PANES:
            least = format_duration(-(-window // MOST_PANES // SECOND) * SECOND)
            message = f"the window has {window // every} steps; at most {MOST_PANES} are possible"
            self._error("every", message, f"write every: {least} or more")
