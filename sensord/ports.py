"""Where adapters meet: the protocols and values that cross between them, so that they never import each other.

Sequence numbers (``seq``) count journal groups from 1. Instants are ns since the epoch (UTC).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple, Protocol

import msgspec

from sensord.core.alert import Transition
from sensord.core.cases.case import CaseEvent
from sensord.core.cases.notification import Notification
from sensord.core.intake.reader import DeadLetter
from sensord.core.level import Level
from sensord.core.point import Point
from sensord.core.record import Group, Receipt, Record


class CrowdSlot(NamedTuple):
    """What one sensor of crowds said in a slot of time that begins at ``at``.

    ``last_at`` is its last reading there, ``most`` the largest head count (None: it counted none).
    """

    at: int
    last_at: int
    most: float | None


class JournalWriter(Protocol):
    """The one place where records become durable."""

    def append(self, records: Sequence[Record]) -> int:
        """Commit the records as one group and return its ``seq``; they survive a power cut from here on.

        Raises ``StoreError`` when the disk refuses (full: nothing was written, try again later).
        """
        ...


class Room(Protocol):
    """Whether the disk has room for readings, and space that is kept back for what must go on without."""

    def available(self) -> bool:
        """Say whether readings may be journaled now; gives the reserve up, or fills it again. Costs microseconds."""
        ...

    def release(self) -> None:
        """Give the reserve up: somebody could not write."""
        ...

    def spare(self) -> int:
        """Say how many bytes of what was given up the newest readings may still take; 0: none."""
        ...


class Saved(NamedTuple):
    """A saved state of the core: up to which group it has come, journal time there (ns), and the state.

    One that was not lived but made by stepping the journal again says what it has ``decided`` (``drivers/again.py``):
    that need not be what is written down.
    """

    seq: int
    at: int
    state: bytes
    decided: bytes = b""


class JournalReader(Protocol):
    """Reads groups in order; every reader has its own position."""

    def read(self, after: int, limit: int = 256) -> list[Group]:
        """Return up to ``limit`` committed groups with ``seq > after``, in order; an empty list at the end."""
        ...

    def wait(self, after: int, timeout: float) -> bool:
        """Block until a group with ``seq > after`` is there (True) or ``timeout`` seconds have passed (False)."""
        ...

    @property
    def first_seq(self) -> int:
        """The oldest kept group's ``seq``; 0 when there is none."""
        ...

    @property
    def last_seq(self) -> int:
        """The newest committed group's ``seq``; 0 when there is none."""
        ...


class Attachment(msgspec.Struct, frozen=True):
    """A file that a message brings: its name, its media type (``text/…``), and what is in it, in UTF-8."""

    name: str
    media_type: str
    content: bytes


class Entry(msgspec.Struct, frozen=True):
    """An outbox row that a worker has claimed. ``possibly_repeated``: an earlier attempt's outcome is unknown.

    ``link`` is the address at which its receiver can answer with one tap; empty when there is none. ``attachments`` are
    for channels that can bring files. ``since``: for how long (ns) the channel had been at work at its first try.
    ``unclear``: so many answers may have meant either. ``late``: for how long (ns) it has waited to be sent.
    """

    notification: Notification
    attempts: int
    possibly_repeated: bool
    link: str = ""
    attachments: tuple[Attachment, ...] = ()
    since: int = 0
    unclear: int = 0
    late: int = 0


class Outbox(Protocol):
    """Notifications on their way; every method commits before it returns. Called from worker threads."""

    def claim(self, channel: str, now: int, limit: int, at_least: Level = Level.NONE, worked: int = 0) -> list[Entry]:
        """Take due rows of a channel, red first, then oldest; each counts as possibly sent from here on.

        ``worked`` is for how long (ns) the channel has been at work until now: a row keeps that of its first try.
        """
        ...

    def done(self, key: str, now: int, receipt: str) -> None:
        """Record that the receiver took it; ``receipt`` is short and holds no secret."""
        ...

    def retry(self, key: str, due: int, error: str) -> None:
        """Record a failure that is known not to have delivered; try again at ``due``."""
        ...

    def repeat(self, key: str, due: int, error: str) -> None:
        """Record an answer that may mean either, and count it; send again at ``due``, as possibly repeated."""
        ...

    def leave_open(self, key: str, now: int, error: str) -> None:
        """Record that it is sent no more, and that nobody knows whether it was delivered."""
        ...

    def fail(self, key: str, now: int, error: str) -> None:
        """Record that it will never be delivered on this channel."""
        ...

    def let_go(self, channel: str, now: int, limit: int, spared: Collection[str]) -> int:
        """Make the first ``limit`` rows due that wait, red first, then oldest, but for those keys that are ``spared``.

        Returns how many others than these still have to wait.
        """
        ...

    def next_due(self, channel: str, at_least: Level = Level.NONE) -> int | None:
        """The earliest instant at which a row of the channel, of at least that level, is due, or None."""
        ...

    def recent(self, channel: str, since: int) -> list[int]:
        """When the channel last ended sends, since an instant: what a new process needs to keep its pace."""
        ...

    def worked(self, channel: str) -> int:
        """For how long (ns) the channel is known to have been at work, over all runs."""
        ...

    def work(self, channel: str, worked: int) -> None:
        """Record for how long (ns) it has been by now."""
        ...


class Settled(Protocol):
    """What became of notifications, until the journal knows it. Called from worker threads."""

    def give_up(self, running: Collection[str], now: int) -> dict[str, int]:
        """Record that what waits for other channels than those that run will never be delivered.

        Returns how many these are, by channel.
        """
        ...

    def unreported(self, limit: int) -> list[Receipt]:
        """Outcomes that were not ticked off yet, the oldest notifications first."""
        ...

    def reported(self, keys: Sequence[str]) -> None:
        """Tick off outcomes that the journal holds."""
        ...


class Links(Protocol):
    """Makes the addresses at which people answer."""

    def link(self, notification: Notification) -> str:
        """The address at which the receiver can answer with one tap; empty when there is nothing to answer."""
        ...


class Filling(Protocol):
    """Puts into messages on their way out what is stored nowhere in them: a plate, the numbers of a report."""

    def concerns(self, notification: Notification) -> bool:
        """Whether there is something to fill in."""
        ...

    def fill(self, notification: Notification) -> Notification:
        """Return the message as its receiver may read it; raises ``DeliveryError`` when that cannot be done now."""
        ...


class Attaching(Protocol):
    """Knows the files that go with a message. Called from worker threads; raises nothing."""

    def files(self, notification: Notification) -> tuple[Attachment, ...]:
        """Return them; none for most messages."""
        ...


class Change(msgspec.Struct, frozen=True):
    """A change over the API: when (RFC 3339), whose token and role, what, and which things it was about.

    ``seq`` is the journal group that holds it; 0: it only changed files.
    """

    at: str
    token: str
    role: str
    what: str
    seq: int
    about: dict[str, str]


class AuditRegister(Protocol):
    """Where it is written down who changed what."""

    def append(self, change: Change) -> None:
        """Write it down durably; raises ``StoreError``."""
        ...

    def last(self, limit: int, name: str = "") -> list[Change]:
        """The newest changes first; those of one token when ``name`` is given. Raises ``StoreError``."""
        ...


class AccessRegister(Protocol):
    """Where it is written down that somebody saw a plate."""

    def sent(self, notification: Notification, zone: str) -> None:
        """Write down that this message shows its receiver a plate; raises ``StoreError`` when that is impossible.

        ``zone`` is the site's, for the instant.
        """
        ...


class Channel(Protocol):
    """A way to reach people."""

    name: str

    async def send(self, entry: Entry) -> str:
        """Deliver, or raise ``DeliveryError``; returns a short receipt. Must honour ``entry.notification.key``."""
        ...

    async def close(self) -> None:
        """Release connections."""
        ...


class Cursor(msgspec.Struct, frozen=True):
    """How far a consumer of the journal has come.

    ``seq`` is the last group it finished; ``state`` its decoder's state after group ``checkpoint`` (at or before
    ``seq``), from which it decodes again after a crash. So the state, which is large, is not written with every step.
    """

    seq: int
    checkpoint: int
    state: bytes


class Changes(Protocol):
    """What the core decided, by journal position."""

    @property
    def applied(self) -> int:
        """The last group that the core has applied."""
        ...

    def between(self, after: int, upto: int) -> list[Transition | CaseEvent]:
        """Return transitions and case events of groups ``after < seq <= upto``, in order."""
        ...


class CursorStore(Protocol):
    """Durable cursors by consumer name."""

    def load(self, name: str) -> Cursor | None:
        """Return the saved cursor, or None."""
        ...

    def save(self, name: str, cursor: Cursor) -> None:
        """Save durably."""
        ...


class DeadLetters(Protocol):
    """What could not be used, for people to look at."""

    def put_aside(self, seq: int, letters: Sequence[DeadLetter]) -> None:
        """Keep what came of the groups up to ``seq`` and could not be used; the same letter again changes nothing.

        All of them or none.

        Raises ``StoreError``.
        """
        ...


class Sink(Protocol):
    """Somewhere that points go."""

    name: str

    async def position(self) -> Cursor | None:
        """Where this sink stands, or None when it has never written."""
        ...

    async def write(self, points: Sequence[Point], cursor: Cursor) -> None:
        """Write the points, then move to ``cursor``; writing the same points twice changes nothing.

        Raises ``DeliveryError``: retryable (down, throttled: ``retry_after``), or not (the batch holds a bad point).
        """
        ...

    async def close(self) -> None:
        """Release connections."""
        ...


class Meter(Protocol):
    """Counts what happens; names and labels are declared in ``telemetry.metrics``. Safe from any thread."""

    def count(self, name: str, amount: float = 1, **labels: str) -> None:
        """Add to a counter."""
        ...

    def gauge(self, name: str, value: float, **labels: str) -> None:
        """Set a gauge."""
        ...

    def observe(self, name: str, value: float, **labels: str) -> None:
        """Add to a histogram (seconds, bytes: as declared)."""
        ...


class Pressure(Protocol):
    """Whether more comes in than we take: then what can wait gives way to alerting."""

    @property
    def pressed(self) -> bool:
        """Whether that is so now. Costs nothing; safe from any thread."""
        ...


class _AtEase:
    """Never pressed."""

    pressed = False


AT_EASE: Pressure = _AtEase()
"""For whoever works without a stream of readings."""


class Pulse(Protocol):
    """Progress of named workers; the watchdog is fed only while every worker's pulse is fresh."""

    def beat(self, worker: str) -> None:
        """Say that ``worker`` has just completed a turn of its loop (idle turns included)."""
        ...


class Standing(Pulse, Protocol):
    """A pulse, and whether a worker that is alive gets through to whom it works for."""

    def went(self, worker: str, why: str = "") -> None:
        """Say how an attempt of ``worker`` went: why it failed, or nothing when it got through."""
        ...
