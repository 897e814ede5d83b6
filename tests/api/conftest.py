"""Fixtures of the API's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.api.parts import Daemon, Serving, client_of


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    """What stands behind the server."""
    made = Daemon(tmp_path)
    yield made
    if "state" in vars(made):
        made.state.close()


@pytest.fixture
def client(daemon: Daemon) -> Iterator[httpx.Client]:
    """A client without a token, of a server on a free port."""
    with Serving(daemon.app()) as url, client_of(url) as client:
        yield client
