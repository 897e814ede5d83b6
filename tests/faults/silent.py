"""Experiment with sensors that fall silent, or were never heard: blind is not quiet."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from tests.faults.harness import Stage
from tests.faults.sensors import FEW, MANY, Speech
from tests.faults.tally import Row
from tests.support import wait_until
from tests.support.daemon import DISPATCH

PERIOD = 5
"""Seconds between two readings that a sensor promises here; three of them may pass."""
MUTE, NEVER = 1, 3
"""The lane whose sensor falls silent in the middle of a crowd, and the one of which nothing was ever heard."""
ALLOWED = 3
"""So many periods a sensor may be silent, by ``_RULE``."""
SILENT = "失联"
"""The rule's name: it is in every text of such a case."""
_LANE = re.compile(r"(\d+)弄")
_RULE = """
rules:
  - id: silent
    name: {zh: 失联}
    absent: {periods: 3}
    by: device
    stream: crowd
    level: yellow
    dispatch: device
    message: {zh: "{place}失联{value}秒。"}
"""
_PLAN = """  device:
    name: {zh: 设备}
    steps: [{tell: [cadre]}]
"""


def silent_sensors(directory: Path, rounds: Iterable[int], seed: int) -> Row:
    """Let a sensor die in the middle of a crowd: its place is unknown, people are told, and the crowd's case stays.

    *Lost* counts silences that nobody was told of, and cases of crowds that ended while nobody saw them.
    """
    recovery, ended = list[float](), 0
    stage = Stage(directory, seed, influx=False, speech=Speech(lanes=NEVER, moods=None))
    prepare(stage, PERIOD)
    with stage:
        stage.sensors.silent = {NEVER}
        stage.begin()
        wait_until(partial(_told, stage, NEVER, 1), 60, "people are told of the sensor that was never heard")
        blind = stage.metric("unknown_places")
        assert blind >= 1, "its place is unknown"
        for number in rounds:
            stage.sensors.counts[MUTE] = MANY
            wait_until(partial(_plans, stage, {"crowd"}), 30, "there is a crowd")
            stage.sensors.silent = {MUTE, NEVER}
            began = time.monotonic()
            wait_until(partial(_told, stage, MUTE, number + 1), 60, "people are told of the silence")
            recovery.append(time.monotonic() - began)
            wait_until(partial(_unknown, stage, blind + 1), 10, "its place is unknown, and that shows")
            ended += not _plans(stage, {"crowd", "device"})
            stage.sensors.counts[MUTE] = FEW
            stage.sensors.silent = {NEVER}
            wait_until(partial(_plans, stage, set()), 60, "it speaks of a few people: both cases end")
            wait_until(partial(_unknown, stage, blind), 10, "its place is known again")
        stage.sensors.silent = set()
        wait_until(lambda: not stage.crowds(), 60, "all are heard")
        stage.settle()
        row = stage.verdict("a sensor falls silent, another was never heard", len(recovery), recovery)
        row.lost += ended
        row.remark += (
            f"; {ended} times a crowd's case ended while nobody saw it; recovery is from the last word to the page, "
            f"with the {ALLOWED * PERIOD} s that a sensor may be silent"
        )
        return row


def prepare(stage: Stage, period: int) -> None:
    """Sensors of crowds that promise to speak every ``period`` seconds, a rule on silence, and a plan of its own."""
    folder = stage.daemon.directory
    places = folder / "places.yaml"
    lines = places.read_text("utf-8").splitlines(keepends=True)
    lines = [line.replace("period: 1h", f"period: {period}s") if "stream: crowd" in line else line for line in lines]
    places.write_text("".join(lines), "utf-8")
    (folder / "rules" / "silent.yaml").write_text(_RULE, "utf-8")
    (folder / "dispatch.yaml").write_text(DISPATCH + _PLAN, "utf-8")


def named(text: str) -> set[int]:
    """The lanes that a page names whose sensors are silent; none when it is about something else."""
    return {int(lane) for lane in _LANE.findall(text)} if SILENT in text else set()


def _told(stage: Stage, lane: int, least: int) -> bool:
    return sum(lane in named(text) and "秒" in text for text in stage.texts()) >= least


def _plans(stage: Stage, wanted: set[str]) -> bool:
    """Whether the lane has open cases of exactly these plans."""
    cases = stage.daemon.overview()["cases"]
    return {case["policy"] for case in cases if case["place"] == f"L{MUTE}"} == wanted


def _unknown(stage: Stage, many: float) -> bool:
    return stage.metric("unknown_places") == many
