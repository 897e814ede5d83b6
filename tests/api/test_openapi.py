"""The description of the API against the API: whatever fits it, or nearly does, never makes the server fail."""

from __future__ import annotations

from collections import Counter
from typing import Any
from unittest.mock import patch

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode

from sensord.api import guard
from sensord.api.pace import Rate
from sensord.api.tokens import Role
from tests.api.parts import Daemon
from tests.api.test_access import LEAST

METHODS = {"get", "post", "put", "delete"}
OPERATIONS = sorted(operation for operation in LEAST if operation != ("GET", "/api/v1/changes"))
"""What is tried. The feed never ends and has tests of its own; the probes take nothing."""


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Daemon:
    """One daemon for all examples."""
    return Daemon(tmp_path_factory.mktemp("api"))


@pytest.fixture(scope="module")
def api(daemon: Daemon) -> Any:
    """The application with its own description, for one who asks without a pause."""
    most = Rate(1_000_000, 1.0)  # the guard is made with the first request
    with patch.multiple(guard, READING=most, CHANGING=most):
        return schemathesis.openapi.from_asgi("/openapi.json", daemon.app())


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_no_request_makes_the_server_fail(api: Any, daemon: Daemon, method: str, path: str) -> None:
    """Requests that fit the description and such that do not, with an admin's token: never a 5xx."""
    modes = [GenerationMode.POSITIVE, GenerationMode.NEGATIVE]
    statuses: Counter[int] = Counter()

    @given(data=st.data())
    @settings(max_examples=16, derandomize=True, suppress_health_check=list(HealthCheck), database=None)
    def try_one(data: st.DataObject) -> None:
        mode = data.draw(st.sampled_from(modes))
        try:
            case = data.draw(api[path][method].as_strategy(generation_mode=mode))
        except Unsatisfiable:  # nothing can be wrong about a request without parameters
            return
        statuses[case.call(headers=daemon.bearer(Role.ADMIN)).status_code] += 1

    try_one()
    assert set(statuses) - {401}
    assert set(statuses) <= {200, 201, 202, 400, 401, 404, 405, 409, 413, 422}


def test_the_description_is_tried_as_a_whole(daemon: Daemon) -> None:
    """No route of the API is left out of the list above but the feed."""
    paths = daemon.app().openapi()["paths"]
    described = {(method.upper(), path) for path, item in paths.items() for method in item if path.startswith("/api/")}
    assert described == {*OPERATIONS, ("GET", "/api/v1/changes")}


def test_every_route_says_what_it_needs(daemon: Daemon) -> None:
    """Each route below /api has a summary and names the bearer scheme."""
    paths = daemon.app().openapi()["paths"]
    for path, item in paths.items():
        for method, operation in item.items():
            if path.startswith("/api/"):
                assert method in METHODS
                assert operation["summary"]
                assert operation["security"] == [{"HTTPBearer": []}]
