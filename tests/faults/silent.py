"""Experiment with sensors that fall silent, or were never heard: blind is not quiet."""

from __future__ import annotations

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
SILENT = "失联"
RULE = """
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
    _prepare(stage)
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
            f"with the {3 * PERIOD} s that a sensor may be silent"
        )
        return row


def _prepare(stage: Stage) -> None:
    """Sensors that promise to speak often, a rule on their silence, and a plan of its own for that."""
    folder = stage.daemon.directory
    places = folder / "places.yaml"
    places.write_text(places.read_text("utf-8").replace("period: 1h", f"period: {PERIOD}s"), "utf-8")
    (folder / "rules" / "silent.yaml").write_text(RULE, "utf-8")
    add_plan(folder)


def add_plan(folder: Path) -> None:
    """Add the plan of what is done when a device is silent."""
    (folder / "dispatch.yaml").write_text(DISPATCH + _PLAN, "utf-8")


def _told(stage: Stage, lane: int, least: int) -> bool:
    return sum(f"{lane}弄" in text and SILENT in text and "秒" in text for text in stage.texts()) >= least


def _plans(stage: Stage, wanted: set[str]) -> bool:
    """Whether the lane has open cases of exactly these plans."""
    cases = stage.daemon.overview()["cases"]
    return {case["policy"] for case in cases if case["place"] == f"L{MUTE}"} == wanted


def _unknown(stage: Stage, many: float) -> bool:
    return stage.metric("unknown_places") == many
