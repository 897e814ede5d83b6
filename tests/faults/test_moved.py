"""The state directory is moved, emptied or replaced under a running daemon: it ends, and people hear of it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.faults.harness import Stage
from tests.faults.outside import HOLE, LOST
from tests.support import wait_until


@pytest.mark.parametrize("what", ["everything", "the state database"])
def test_a_daemon_whose_files_are_gone_ends_and_the_next_says_so(tmp_path: Path, what: str) -> None:
    """It acknowledges nothing more, ends with exit code 1, and the next start tells people, before it is asked."""
    with Stage(tmp_path, influx=False) as stage:
        stage.begin()
        stage.sensors.fall_silent()
        state = stage.daemon.state
        if what == "everything":
            for path in state.iterdir():
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        else:
            for path in state.glob("state.db*"):
                path.unlink()
        assert stage.await_end(30) == 1
        stage.start()
        stage.await_ready()
        word = HOLE if what == "everything" else LOST
        wait_until(lambda: any(word in text for text in stage.texts()), 30, "people are told of what is lost")
