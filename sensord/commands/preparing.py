"""``sensord prepare``: before an upgrade the new version makes what it will go on from, while the old daemon runs."""

from __future__ import annotations

import math
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from sensord import starting
from sensord.commands.progress import Show, bar
from sensord.config.load import Loaded, Spare
from sensord.drivers.preparing import Preparation
from sensord.drivers.restoring import unprepared
from sensord.errors import ConfigError, Problem
from sensord.store.looking import StateLook
from sensord.store.reader import DirectoryReader
from sensord.words import say

_BESIDE = 10
"""Added to our niceness: the daemon that runs goes first."""
_APART = 10.0
"""Seconds from one line about how far it is to the next."""


def prepare(config: Path, tell: Callable[[str], None]) -> tuple[str, bool]:
    """Make it; returns what a person reads of the outcome, and whether it was made whole.

    Where stderr is no terminal, ``tell`` takes a line from time to time about how far it is.
    SIGINT and SIGTERM end it early, and what is done by then is kept. Raises ``ConfigError`` for what a start would
    refuse, and when the site keys cannot be read; ``StoreError``.
    """
    start = starting.prepare(config)
    journal, states = _opened(start.loaded)
    loaded = start.begun(DirectoryReader(_journal(start.loaded)), states)
    if why := loaded.without.get(Spare.PLATES):
        said = f"what is made without the site keys would know no vehicle: {why}"
        raise ConfigError([Problem(str(config), 1, 1, said, "run this as the daemon's user or as root")])
    work = Preparation(journal, states, dict(loaded.secrets), loaded.definition, states.copies.prepare)
    if work.needless:
        en = "nothing is to be prepared: this version can read the saved state"
        return say("不需要准备：这个版本能读取保存的状态", en), True
    with suppress(OSError):
        os.nice(_BESIDE)
    ending = list[int]()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _frame: ending.append(number))
    with bar(work.end - work.first) as drawn:
        show = drawn or lines(work, tell)

        def go_on(stepped: int) -> bool:
            show(stepped)
            return not ending

        whole = work.run(go_on)
    stepped = work.position - work.first
    if whole:
        zh = f"已准备到第 {work.position} 组（重算 {stepped} 组）；现在可以换上这个版本并重启"
        en = f"prepared up to group {work.position} ({stepped} stepped); now put this version in place and restart"
    else:
        zh = f"已停在第 {work.position} 组，共 {work.end} 组；用同一命令继续"
        en = f"stopped at group {work.position} of {work.end}; the same command goes on"
    return say(zh, en), whole


def lines(work: Preparation, tell: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> Show:
    """Tell a line from time to time, for a log that somebody reads later; ``clock`` gives seconds."""
    began = told = clock()

    def show(stepped: int) -> None:
        nonlocal told
        now = clock()
        if now - told < _APART:
            return
        told, rate = now, max(stepped, 1) / (now - began)  # over a hole of the journal nothing is stepped
        minutes = math.ceil((work.end - work.position) / rate / 60)
        zh = f"第 {work.position} 组，共 {work.end} 组；每秒 {rate:.0f} 组，约还需 {minutes} 分钟"
        en = f"group {work.position} of {work.end}; {rate:.0f} a second, about {minutes} min left"
        tell(say(zh, en))

    return show


def to_be_stepped(loaded: Loaded) -> int:
    """So many groups are to be stepped before a start, for this version can read no saved state that is near enough.

    Raises ``StoreError`` when the files cannot be read.
    """
    return unprepared(*_opened(loaded))


def _opened(loaded: Loaded) -> tuple[DirectoryReader, StateLook]:
    journal = DirectoryReader(_journal(loaded))
    return journal, StateLook(loaded.resolve(loaded.settings.state_dir), journal)


def _journal(loaded: Loaded) -> Path:
    return loaded.resolve(loaded.settings.state_dir) / "journal"
