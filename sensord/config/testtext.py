"""The schema of rule tests, as people write them; ``ruletest.py`` gives it its meaning.

A test says what sensors send and what people do, and what must be so at which instants. Instants are durations since
the beginning of the test. Nothing happens at an instant before everything that was sent up to it has arrived.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from sensord.config.ruletext import LevelWord
from sensord.config.schema import Duration, Entry, Text

Pattern = Annotated[str, Meta(max_length=20_000)] | float
"""See ``pattern.py``."""
AnyLevel = Literal["none", "blue", "yellow", "orange", "red"]


class SeriesText(Entry, frozen=True, kw_only=True):
    """What a device sends: the first message at ``from``, then one ``every`` so often.

    ``send`` maps keys of the native message to series: ``10*6`` is ten six times, ``20..60*5`` five even steps, ``_`` a
    turn without a message; a single value holds for all turns. ``plate`` takes classes instead of plates:
    ``out_of_town*3`` are three vehicles, ``out_of_town#1*3`` the same one three times. With ``delay`` (a series of
    durations) each message carries the stamp of its turn and arrives so much later. ``as: status`` sends signs of life.
    """

    device: Text
    start: Duration = msgspec.field(default="0s", name="from")
    every: Duration
    send: Annotated[dict[Text, Pattern], Meta(min_length=1)]
    delay: Annotated[str, Meta(max_length=20_000)] | None = None
    kind: Literal["status"] | None = msgspec.field(default=None, name="as")


class ActionText(Entry, frozen=True, kw_only=True):
    """What a person does about the open case of a place (and of a ``policy``, when there are several).

    With the verb ``count`` there are so many ``vehicles`` inside the compound ``place``.
    """

    at: Duration
    verb: Text
    place: Text
    policy: Text | None = None
    by: Text
    note: Text = "-"
    vehicles: int = 0


class CaseText(Entry, frozen=True, kw_only=True):
    """An open case; what is left out is not compared."""

    place: Text
    policy: Text | None = None
    level: AnyLevel | None = None
    state: Text | None = None


class ChangeText(Entry, frozen=True, kw_only=True):
    """One change of an alert, at the journal time at which it was decided."""

    at: Duration
    rule: Text
    key: Text
    to: AnyLevel


class CheckText(Entry, frozen=True, kw_only=True):
    """What must be so at an instant; what is left out is not compared, what is there is compared whole.

    ``alerts``: every active alert by rule and key. ``values``: what the rules saw last, or ``unknown``. ``unknown``:
    every blind place. ``cases``: every open case. Since the check before: ``changes`` of alerts, the people ``told``
    (``post`` or ``post reason``) and the sends ``held`` back (``role`` or ``role reason``).
    """

    at: Duration
    alerts: dict[Text, dict[Text, LevelWord]] | None = None
    values: dict[Text, dict[Text, float | Literal["unknown"]]] = msgspec.field(default_factory=dict)
    unknown: tuple[Text, ...] | None = None
    cases: tuple[CaseText, ...] | None = None
    changes: tuple[ChangeText, ...] | None = None
    told: tuple[Text, ...] | None = None
    held: tuple[Text, ...] | None = None


class RuleTestText(Entry, frozen=True, kw_only=True):
    """One test: its name says what must be so."""

    name: Text
    readings: tuple[SeriesText, ...] = ()
    actions: tuple[ActionText, ...] = ()
    expect: Annotated[tuple[CheckText, ...], Meta(min_length=1)]


class RuleTestFile(Entry, frozen=True, kw_only=True):
    """A file of rule tests.

    ``config`` is the ``sensord.yaml`` whose places, people and rules are used; ``rules`` are the ids of those that take
    part (all of them when it is left out). ``start`` is the local time at which each test begins.
    """

    config: Text
    rules: Annotated[tuple[Text, ...], Meta(min_length=1)] | None = None
    start: Text = "2026-03-02T08:00:00"
    tests: Annotated[tuple[RuleTestText, ...], Meta(min_length=1)]
