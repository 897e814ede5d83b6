"""Experiments with pages that wait: the worst must go out first, newest or not; all go once the receiver is well."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

from sensord.core.instant import SECOND
from sensord.core.level import Level
from sensord.notify.recovery import OUTAGE
from sensord.notify.worker import Limits
from tests.faults.harness import Stage
from tests.faults.receivers import arrived
from tests.faults.sensors import FEW, MANY, Speech
from tests.faults.tally import Row
from tests.notify.receiver import Answer, Request
from tests.support import wait_until
from tests.support.daemon import RULES
from tests.support.launcher import PUT_OFF

LANES, NEWEST = 9, 10
"""So many lanes have crowds, a third of each level; and one more has a crowd that comes last, as bad as any."""
PEOPLE = {Level.YELLOW: 80, Level.ORANGE: 150, Level.RED: 300}
"""How many are a crowd of each level in a lane of 50 m²."""
_RULES = RULES.replace("    clear:", "      red: {above: 4, for: 1s}\n    clear:").replace("window: 4s", "window: 2s")
SLOW, SEND = 0.1, 29
"""Seconds for an answer once there are any, and for which the daemon waits for one."""
AT_ONCE = Limits().concurrency
"""So many pages are under way at a time: they may have left before a worse one was there."""


class Gate:
    """A receiver's patience: no answer while it is closed, then each after ``SLOW`` seconds."""

    def __init__(self) -> None:
        self._open = Event()

    def decide(self, _request: Request) -> Answer:
        """Take a page, sooner or later."""
        self._open.wait(SEND + 1)
        time.sleep(SLOW)
        return Answer()

    def open(self) -> None:
        """Answer from now on."""
        self._open.set()


def worst_first(directory: Path, rounds: Iterable[int], seed: int) -> Row:
    """Let pages of all levels pile up before a receiver, then a new crowd come; all red ones must overtake the rest.

    *Lost* counts red pages before which more of lower levels arrived than were under way. Recovery is from the first
    answer to the newest crowd's first red page.
    """
    dice, recovery, overtaken, waited = random.Random(seed), list[float](), 0, list[int]()
    stage = Stage(directory, seed, influx=False, speech=Speech(lanes=NEWEST, every=0.5, moods=None))
    host = stage.people.host
    channel = {"type": "webhook", "name": "people", "url": f"http://{host}/notify", "allow": [host]}
    stage.daemon.set(channels=[channel | {"timeout": f"{SEND}s"}, {"type": "mqtt", "name": "grid"}])
    (stage.daemon.directory / "rules" / "crowd.yaml").write_text(_RULES, encoding="utf-8")
    with stage:
        stage.begin()
        for _ in rounds:
            gate = Gate()
            stage.people.decide = gate.decide
            levels = _levels(dice)
            _come(stage, levels)
            _come(stage, {NEWEST: Level.RED})
            before, opened = len(stage.people.requests), time.monotonic()
            gate.open()
            wait_until(partial(_red, stage, before), 60, "the newest crowd is told of")
            recovery.append(time.monotonic() - opened)
            wait_until(lambda: not stage.daemon.overview()["notifications"]["pending"], 120, "every page has gone out")
            pages = stage.pages()[before:]
            overtaken += _overtaken(pages)
            waited.append(sum(page["level"] != Level.RED.word for page in pages))
            stage.sensors.counts.update(dict.fromkeys(stage.sensors.counts, FEW))
            wait_until(lambda: not stage.crowds(), 60, "the crowds are over")
        stage.settle()
        row = stage.verdict("pages of all levels wait for a slow receiver", len(recovery), recovery)
        row.lost += overtaken + sum(many <= AT_ONCE for many in waited)
        row.remark += (
            f"; {overtaken} red pages came after others of lower levels, of which {min(waited)} waited at least; "
            "recovery is from the receiver's first answer to the newest crowd's red page"
        )
        return row


def _levels(dice: random.Random) -> dict[int, Level]:
    """A level for each lane."""
    lanes = dice.sample(range(1, LANES + 1), LANES)
    return {lane: level for number, level in enumerate(PEOPLE) for lane in lanes[number :: len(PEOPLE)]}


def _come(stage: Stage, levels: dict[int, Level]) -> None:
    """Let crowds come, and wait until all that is to be said of them waits to go out."""
    stage.sensors.counts.update({lane: PEOPLE[level] for lane, level in levels.items()})
    wanted = {f"L{lane}": level.word for lane, level in levels.items()}
    wait_until(lambda: wanted.items() <= _open(stage).items(), 60, "the crowds have come")


def _open(stage: Stage) -> dict[str, str]:
    """The level of each place with an open case."""
    return {case["place"]: case["level"] for case in stage.daemon.overview()["cases"]}


def _red(stage: Stage, before: int) -> bool:
    return any((page["place"], page["level"]) == (f"L{NEWEST}", "red") for page in stage.pages()[before:])


def _overtaken(pages: list[dict[str, Any]]) -> int:
    """How many red pages came after more of lower levels than can have been under way already."""
    lower, found = 0, 0
    for page in pages:
        if page["level"] == Level.RED.word:
            found += lower > AT_ONCE
        else:
            lower += 1
    return found


PATIENCE = 600
"""Seconds until the next turn of a page that failed often, as the daemon has it here: twice as long as in the field."""


def well_again(directory: Path, rounds: Iterable[int], seed: int) -> Row:
    """Let all pages of a crowd fail, their next turn far away; once one arrives, all must follow long before that."""
    recovery = list[float]()
    with Stage(directory, seed, influx=False, speech=Speech(moods=None)) as stage:
        stage.begin({PUT_OFF: str(PATIENCE)})
        for number in rounds:
            stage.people.otherwise, refused = Answer(500), len(stage.people.refused)
            stage.sensors.counts[1] = MANY
            wait_until(partial(_refused, stage, refused + 2), 60, "people are to be told of a crowd")
            if number:  # a daemon that has not delivered anything yet does not know for how long nobody can
                time.sleep(OUTAGE / SECOND)
            stage.people.otherwise, before = Answer(), len(stage.people.requests)
            stage.sensors.counts[1] = FEW
            wait_until(partial(arrived, stage, before), 60, "people are told that it is over")
            well = time.monotonic()
            wait_until(lambda: not stage.daemon.overview()["notifications"]["pending"], PATIENCE / 5, "all is told")
            recovery.append(time.monotonic() - well)
        stage.settle()
        row = stage.verdict("receiver well again, pages put off for minutes", len(recovery), recovery)
        row.remark += (
            f"; the next turn of a page that fails is {PATIENCE} s later here; recovery is from the first page that "
            "arrives to the last that was put off"
        )
        return row


def _refused(stage: Stage, before: int) -> bool:
    return len(stage.people.refused) > before
