"""Replay = live, byte for byte: of every shipped scenario a part, through a real mosquitto and the real daemon.

Scenarios last hours, so each is squeezed into seconds (the devices' stamps are renewed on the way) and only its stage
is played, at most 700 messages from its middle: the places where something happens, the broken devices with their
faults, and a few others. The rules are the demonstration's, whose windows are short.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest

from sensord.config.load import load
from sensord.core.instant import MINUTE, SECOND
from sensord.core.site import Site
from sensord.drivers.replay import replay
from sensord.recordings.recording import open_recording
from sensord.source import Source
from simulators.publish import publish
from simulators.scenario import scenario_files
from simulators.stage import SHIPPED, set_stage
from tests.support import program
from tests.support.lived import again, lived, played, record, recorded_again, tallied, tallied_again

SECONDS = 2.5
"""How long each scenario takes."""
MOST = 700
"""So many of a scenario's messages are sent."""


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The state of a daemon that has lived through every scenario."""
    program("mosquitto")
    folder = tmp_path_factory.mktemp("live")
    with set_stage(folder, "zh", "mosquitto") as stage:
        for path in scenario_files(SHIPPED / "scenarios"):
            messages = played(stage, path.stem, MOST)
            length = (messages[-1].at - messages[0].at) / SECOND
            done = asyncio.run(publish(stage.loaded.settings.mqtt, messages, max(length / SECONDS, 1.5)))
            assert done.acknowledged == len(messages)
    return folder / "state"


def test_the_journal_replays_to_what_was_decided_live(state: Path) -> None:
    """The daemon's journal, replayed, gives the bytes that it wrote down; and it was no quiet day."""
    decided = again(state)
    assert decided == lived(state)
    for word in (b'"change":"raised"', b'"happening":"file"', b'"reason":"case_opened"'):
        assert word in decided, "the day was too quiet to prove anything"


def test_the_journal_adds_up_to_what_was_added_up_live(state: Path) -> None:
    """Who passed, who was inside, and when nobody could see."""
    live = tallied(state)
    assert tallied_again(state) == live
    assert all(live.values()), "nothing was added up that could differ"


@pytest.mark.parametrize("raw", [True, False])
def test_a_recording_of_it_replays_the_same(state: Path, tmp_path: Path, raw: bool) -> None:
    """Exported, as raw messages or as decoded readings, the day decides the same, whatever the groups were."""
    records = record(state, tmp_path / "day")
    manifest = open_recording(tmp_path / "day").manifest
    assert manifest is not None
    assert manifest.counts["message"] > 4_000
    decided, live = recorded_again(state, tmp_path / "day", raw=raw), lived(state)
    # Ticks after the last applied group may decide a little more.
    assert decided[: len(live)] == live
    rest = [msgspec.json.decode(line) for line in decided[len(live) :].splitlines()]
    assert all(one["at"] > records[-1].received_at - MINUTE for one in rest)


def test_nothing_of_the_rubbish_stopped_anything(state: Path) -> None:
    """Garbage became dead letters with reasons, duplicates were counted, and both are the same in the replay."""
    secrets = load(state.parent / "sensord.yaml").secrets
    site, dead, repeats = Site(secrets=secrets), 0, 0
    opened = Source(state / "journal").open()
    for step in replay(opened.recorded(), site):
        dead += len(step.dead)
        repeats += sum(amount for (_, outcome), amount in step.counts.items() if outcome == "duplicate")
    assert dead > 0
    assert repeats > 0
