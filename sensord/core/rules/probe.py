"""Looking over the engine's shoulder: what a rule saw of a key, and why it did not know. Read only.

The evaluators themselves say what they have just seen (``Evaluator.look``), so that an explanation, a rule test and the
alert come from one evaluation. A probe changes nothing: with and without it the engine gives the same bytes.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple, Protocol

import msgspec

from sensord.core.batch import Batch
from sensord.core.level import Level

if TYPE_CHECKING:
    from sensord.core.rules.evaluator import Evaluator
    from sensord.core.rules.liveness import Liveness


class Doubt(IntEnum):
    """Why a value is unknown at an evaluation: it then neither raises nor clears anything."""

    NONE = 0
    """The value is known."""
    NO_VALUE = 1
    """No reading in the window carries the field."""
    TOO_FEW = 2
    """The window holds fewer readings than ``min_samples``."""
    WARMING_UP = 3
    """The rule has not been in force for the whole of its window yet."""
    BLIND = 4
    """No sensor of the key is heard, or all that are heard are stuck; or vehicles are not followed."""
    LEARNING = 5
    """The rule's baseline or trend has not seen enough of the key yet."""
    ASLEEP = 6
    """The rule is outside its active times: nothing is raised, and what is active runs out."""
    PARTLY_BLIND = 7
    """A sensor of the key is silent or stuck, and what the others saw does not raise or keep a level by itself."""
    RECOUNTED = 8
    """Vehicles are followed again, and those counted inside so far are not enough to raise or keep a level."""


class Sight(msgspec.Struct, frozen=True):
    """What a rule saw of one key at one evaluation.

    ``at`` is the journal time of the evaluation and ``end`` the end of the window (both ns). ``value`` is None when the
    window has none. ``level`` is the level after it. ``since`` holds, per rung, the instant from which its comparison
    holds, and ``quiet`` that from which the value is beyond threshold and margin; None while it is not so.
    ``derived`` is what a baseline or a trend makes of the value, and what the rungs are held against. ``flapping``: the
    key was raised too often lately, so that it stays up longer. ``unseen`` are the devices that are silent or stuck
    while others see a part (``Doubt.PARTLY_BLIND``). ``on`` says, per part of a combination, whether it is on, and
    ``since`` then when each was last on, None while it is on or never was.
    """

    at: int
    end: int
    value: float | None
    samples: int
    doubt: Doubt
    level: Level
    since: tuple[int | None, ...] = ()
    quiet: tuple[int | None, ...] = ()
    derived: float | None = None
    flapping: bool = False
    unseen: tuple[str, ...] = ()
    on: tuple[bool, ...] = ()


class Silence(NamedTuple):
    """A device that is not heard, or stuck: when it was heard last, or since when it is listened for in vain (ns)."""

    since: int
    never: bool


class Probe(Protocol):
    """An observer of the engine. It is called in the engine's order and must change nothing."""

    def taking(self, evaluator: Evaluator, batch: Batch) -> None:
        """Readings of the rule's stream are about to be taken; not all of them concern the rule."""
        ...

    def evaluated(self, evaluator: Evaluator, liveness: Liveness) -> None:
        """The rule has just been evaluated; ``evaluator.look`` says what it saw of a key."""
        ...
