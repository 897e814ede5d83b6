"""One failure is its own: whatever goes wrong in one part of the core, the rest of the street is told.

A mistake of ours that raises while a case, a rule, a message or vehicles are handled would end the daemon, and do so
again at each start, for what raised it is in the journal: nobody would hear of any crowd. So it is caught where each
part is handled by itself, the step carries it (``Step.failures``), and the part goes on from what is sure:

==========  ============================================================  ========================================
part        what is kept apart                                            what becomes of it
==========  ============================================================  ========================================
case        one alert, answer or due item, and in it what one person      what was done holds; the book is made anew
            is to hear (``cases/apart.py``)
rule        whatever one rule does (``rules/engine.py``)                  its alerts stand, the rest begins anew
liveness    who is heard, at an instant or by a reading                    unknown just then; tried again each time
            (``rules/liveness.py``)
message     one message (``intake/reader.py``, ``intake/memory.py``)      a dead letter ``internal``; or it counts as
                                                                          of its arrival, and its device is new to us
vehicles    the tracker, free spaces, when cameras were blind (``site``)  followed anew, as when site keys come back
definition  a new definition that comes into force (``site``)             refused; all is as it was before it
state       making the core's state (``drivers/live.py``)                 left out; a start steps more again
==========  ============================================================  ========================================

What belongs to no part (the clock of the engine, columns of a whole group) has no such boundary.

A replay fails likewise: whoever steps a journal, live, after a restart or in a replay, cuts it in the same places. What
happens at an instant of its own (an evaluation) fails at that instant however readings are cut; what looks at a whole
group at once (readings that a rule takes, a combination, vehicles, who will be heard) fails with the group that holds
it. A recording bundles records into other groups, and may begin such a rule anew some readings earlier or later than
the daemon did.
"""

from __future__ import annotations

import traceback
from enum import StrEnum

import msgspec

_LINES = 40
"""So many calls of a trace are kept, the last ones."""


class Part(StrEnum):
    """What was kept apart."""

    CASE = "case"
    RULE = "rule"
    LIVENESS = "liveness"
    MESSAGE = "message"
    VEHICLES = "vehicles"
    DEFINITION = "definition"
    STATE = "state"


class Failure(msgspec.Struct, frozen=True):
    """Something that could not be handled as it should, at an instant (ns): a mistake of ours.

    ``what`` is the id of a case, an alert, a rule or a device, ``why`` an exception's type or what cannot be, ``trace``
    the lines of code that led there. None of them quotes anybody, so there is no plate in them.
    """

    part: Part
    what: str
    at: int
    why: str
    trace: str = ""


class Failures(list[Failure]):
    """Failures, in order. ``note`` is the one way in; in our own tests it raises."""

    def note(self, failure: Failure) -> None:
        """Something could not be handled as it should."""
        self.append(failure)

    def caught(self, part: Part, what: str, at: int, error: Exception) -> None:
        """Note an exception by its type and where it came from: its text may quote anybody.

        A lack of memory is raised again: it says how the process stands, and a replay would not raise it.
        """
        if isinstance(error, MemoryError):
            raise error
        trace = "".join(traceback.format_tb(error.__traceback__, -_LINES))
        self.note(Failure(part, what, at, type(error).__name__, trace))

    def apart(self, part: Part, what: str, at: int) -> _Apart:
        """Handle something by itself, in a ``with``: what it raises is noted, and goes no further."""
        return _Apart(self, part, what, at)


class _Apart:
    """See ``Failures.apart``."""

    def __init__(self, failures: Failures, part: Part, what: str, at: int) -> None:
        self._failures, self._about = failures, (part, what, at)

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        if not isinstance(error, Exception):
            return False
        self._failures.caught(*self._about, error)
        return True
