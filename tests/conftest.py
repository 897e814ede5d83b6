"""What all tests share: loud failures, logs as tests read them, a broker, who is told, a morning for reports."""

from __future__ import annotations

import gc
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import HealthCheck, settings

from sensord.cli import collect_less
from sensord.config.load import load
from sensord.core.failure import Failure, Failures
from sensord.store.state import StateStore
from tests.morning import Built, Morning, built
from tests.notify.receiver import Receiver
from tests.support.broker import Mosquitto

# How long an example takes to make says how busy the machine is, not what the code does.
settings.register_profile("sensord", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("sensord")

# Without the values of variables: to show them takes seconds for a large object, and a test then waits in vain.
structlog.configure(
    processors=[
        *structlog.get_config()["processors"][:-1],
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
    ]
)

# As in service. What was imported and collected lives as long as the process: nobody need look at it again.
collect_less()


def pytest_collection_finish() -> None:
    """Spare the garbage collector all that is there before the first test."""
    gc.collect()
    gc.freeze()


_LONGEST = "test_supervision.py"
"""Five minutes by itself, nearly all of them waiting."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that wait for daemons most of the time and files that compute take turns, so that no processor is idle.

    The longest begins, and the last quarter only computes, a little at a time: nobody waits long for whoever ends last.
    """
    here = Path(__file__).parent
    waits = {item.path: "faults" in item.path.parts or item.path.parent == here for item in items}
    turns = dict[Path, float]()
    for kind, share in ((True, 0.75), (False, 1.0)):
        files = [path for path, waiting in waits.items() if waiting is kind]
        turns |= {path: share * number / len(files) for number, path in enumerate(files, 1)}
    turns |= {path: 0.0 for path in turns if path.name == _LONGEST}
    items.sort(key=lambda item: (turns[item.path], item.path))


_NOTE = Failures.note


def raise_it(_failures: Failures, failure: Failure) -> None:
    """Fail the test."""
    raise AssertionError(f"{failure.part} {failure.what} could not be handled: {failure.why}\n{failure.trace}")


@pytest.fixture(scope="session", autouse=True)
def loud() -> Iterator[None]:
    """What the core catches in service, so that the rest of the street is told, fails a test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Failures, "note", raise_it)
        yield


@pytest.fixture
def in_service(monkeypatch: pytest.MonkeyPatch) -> None:
    """Failures are caught, as in service: for tests of just that."""
    monkeypatch.setattr(Failures, "note", _NOTE)


@pytest.fixture
def people() -> Iterator[Receiver]:
    """Everybody's telephone."""
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker."""
    started = Mosquitto(tmp_path).start()
    yield started
    started.stop()


@pytest.fixture(scope="session")
def built_morning(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """A morning in the small street."""
    return built(tmp_path_factory.mktemp("morning"))


@pytest.fixture
def morning(built_morning: Built, tmp_path: Path) -> Iterator[Morning]:
    """A copy of it for one test."""
    folder, groups, changes = built_morning
    loaded = load(shutil.copytree(folder, tmp_path / "street") / "sensord.yaml")
    directory = loaded.resolve(loaded.settings.state_dir)
    state = StateStore(directory)
    yield Morning(loaded, directory, state, groups, changes)
    state.close()
