"""The access log: who saw a plate, when, and why. A chained register (``chain``).

It holds pseudonyms, never a plate: one that somebody wrote into a reason, or asked for, is blotted out.

Source: the regulation on public-security video systems (in force 2025-04-01) asks for a register of access with
reason, content, unit and name.
"""

from __future__ import annotations

import os
import pwd
import time
from contextlib import suppress
from pathlib import Path

import msgspec

from sensord.core.cases.notification import Notification
from sensord.core.instant import format_instant
from sensord.core.vehicles.blot import without_plates
from sensord.store.chain import Chain

FILE, HEAD = "access.log", "access.head"
VERSION = 2
_LOGIN = Path("/proc/self/loginuid")
"""Linux: who logged in, whatever they have become since (sudo, su); see proc_pid_loginuid(5)."""
_NOBODY = 2**32 - 1
"""Nobody has logged in: a service."""


class Access(msgspec.Struct, frozen=True):
    """One access. ``at`` is RFC 3339, ``by`` a post of the roster, ``vehicle`` a pseudonym, ``via`` how shown.

    One that was ``refused`` is by whoever asked, in whatever words. ``version`` is that of the line's form; since 2 it
    has the ``account`` of the operating system, for ``by`` is what somebody wrote.
    """

    number: int
    at: str
    by: str
    reason: str
    vehicle: str
    via: str
    case: str
    before: str
    hash: str = ""
    version: int = VERSION
    account: str | msgspec.UnsetType = msgspec.UNSET


def account() -> str:
    """The account of the operating system that this runs as, and who logged in when that is another: ``root (li)``."""
    runs_as, logged_in = os.getuid(), _NOBODY
    with suppress(OSError, ValueError):
        logged_in = int(_LOGIN.read_text(encoding="ascii"))
    behind = "" if logged_in in (_NOBODY, runs_as) else f" ({_name(logged_in)})"
    return _name(runs_as) + behind


def _name(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name[:64]
    except KeyError:
        return f"uid {number}"


class AccessLog(Chain[Access]):
    """The log of a state directory; several processes may append."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, FILE, HEAD, Access, VERSION)

    def append(self, *, at: str, by: str, reason: str, vehicle: str, via: str, case: str = "") -> Access:
        """Write one access durably and return it; raises ``StoreError``, and then nothing may be shown."""
        by, reason, vehicle, case = map(without_plates, (by, reason, vehicle, case))
        said = at, by[:64], reason[:500], vehicle[:200], via, case
        return self.add(lambda number, before: Access(number, *said, before, account=account()))

    def sent(self, notification: Notification, zone: str) -> None:
        """Write down that a message shows its receiver a plate, at the site's time."""
        assert notification.vehicle is not None
        self.append(
            at=format_instant(time.time_ns(), zone),
            by=notification.receiver,
            reason=f"notification {notification.key}",
            vehicle=notification.vehicle.id,
            via=notification.channel,
            case=notification.case,
        )
