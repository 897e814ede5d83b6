"""What several tests of this folder look at."""

from __future__ import annotations

import pytest

from tests.drivers.recount import Ran, run


@pytest.fixture(scope="session")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """A journal of eight days, counted by sensord and by hand."""
    return run(tmp_path_factory.mktemp("state"))
