"""What a case book is saved as."""

from __future__ import annotations

import msgspec

from sensord.core.cases.case import Case
from sensord.core.cases.damping import Damped
from sensord.core.cases.mute import Silence
from sensord.core.cases.titles import Titles
from sensord.core.cases.watch import Watched


class BookState(msgspec.Struct):
    """Everything that later decisions depend on; cases in the order in which they were opened."""

    open: list[Case] = []
    ended: list[Case] = []
    codes: dict[str, int] = {}
    silences: list[Silence] = []
    damped: Damped = msgspec.field(default_factory=Damped)
    watched: Watched = msgspec.field(default_factory=Watched)
    titles: Titles = msgspec.field(default_factory=Titles)
