"""Alerts in a real Alertmanager."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from sensord.config.channels import Alertmanager
from sensord.core.cases.notification import Reason
from sensord.core.level import Level
from sensord.errors import DeliveryError
from sensord.notify.alertmanager import AlertmanagerChannel
from tests.notify.parts import entry
from tests.notify.receiver import Answer, Receiver
from tests.support import free_port, http, program, wait_until

QUIET = """\
route: {receiver: nobody, group_by: [alertname, place]}
receivers: [{name: nobody}]
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Debian's prometheus-alertmanager on a free port; it ends with the tests."""
    folder, port = tmp_path_factory.mktemp("alertmanager"), free_port()
    (folder / "alertmanager.yml").write_text(QUIET, encoding="utf-8")
    command = [
        program("prometheus-alertmanager"),
        f"--config.file={folder / 'alertmanager.yml'}",
        f"--storage.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    ]
    with Path(folder / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            url = f"http://127.0.0.1:{port}"
            wait_until(lambda: _ready(url), 20, "alertmanager is ready")
            yield url
        finally:
            process.terminate()


def _ready(url: str) -> bool:
    try:
        return http.get(f"{url}/-/ready").status_code == 200
    except httpx.HTTPError:
        return False


def channel(url: str, **changes: Any) -> AlertmanagerChannel:
    """The channel; ``changes`` are settings."""
    settings: dict[str, Any] = {"name": "am", "url": url, "labels": {"team": "linfen"}, "allow": ("127.0.0.1",)}
    return AlertmanagerChannel(Alertmanager(**(settings | changes)), "linfen", "am-secret")


def shown(url: str, case: str) -> list[dict[str, Any]]:
    """The case's alerts that Alertmanager holds to be active."""
    found: list[dict[str, Any]] = http.get(f"{url}/api/v2/alerts", params={"filter": f'case="{case}"'}).json()
    return found


async def test_a_case_is_shown_with_its_present_level_until_it_ends(server: str) -> None:
    """Yellow, then red instead of yellow, a repeat that changes nothing, then nothing."""
    one = channel(server)
    await one.send(entry(1, level=Level.YELLOW, at=time.time_ns(), case="case-a", link="https://s.example/a/x"))
    (alert,) = shown(server, "case-a")
    assert alert["labels"] == {
        "alertname": "sensord_case",
        "site": "linfen",
        "team": "linfen",
        "case": "case-a",
        "place": "lane-99",
        "grid": "G01",
        "severity": "yellow",
    }
    assert alert["annotations"]["summary"] == "临汾路99弄 拥挤"
    assert alert["generatorURL"] == "https://s.example/a/x"
    for _ in range(2):
        await one.send(entry(2, level=Level.RED, at=time.time_ns(), case="case-a"))
    assert [alert["labels"]["severity"] for alert in shown(server, "case-a")] == ["red"]
    await one.send(entry(3, level=Level.NONE, at=time.time_ns(), case="case-a", reason=Reason.CASE_CLOSED))
    wait_until(lambda: not shown(server, "case-a"), 20, "the alert has ended")
    await one.close()


async def test_a_lesser_alert_leaves_the_case_where_it_stands(server: str) -> None:
    """A blue vehicle in an orange case: whoever is paged for orange is not told that it is over."""
    one, now = channel(server), time.time_ns()
    await one.send(entry(1, level=Level.ORANGE, case_level=Level.ORANGE, at=now, case="case-d"))
    lesser = entry(2, level=Level.BLUE, case_level=Level.ORANGE, at=now, case="case-d", title="又一辆")
    await one.send(lesser)
    (alert,) = shown(server, "case-d")
    assert (alert["labels"]["severity"], alert["annotations"]["summary"]) == ("orange", "又一辆")
    await one.close()


async def test_cases_are_told_apart_and_receivers_are_labels(server: str) -> None:
    """Two cases are two alerts; a contact's address is what routes can look at."""
    one, now = channel(server), time.time_ns()
    await one.send(entry(1, at=now, case="case-b", address="police"))
    await one.send(entry(2, at=now, case="case-c", grid=""))
    assert [alert["labels"]["receiver"] for alert in shown(server, "case-b")] == ["police"]
    assert "grid" not in shown(server, "case-c")[0]["labels"]
    await one.close()


async def test_it_logs_in_and_retries_when_the_server_is_ill() -> None:
    """Basic authentication from the file; 503 passes, and so may a stranger's 400."""
    with Receiver(Answer(503), Answer(), Answer(400)) as receiver:
        one = channel(receiver.url, username="sensord", password_file="p")
        with pytest.raises(DeliveryError) as caught:
            await one.send(entry())
        await one.send(entry())
        with pytest.raises(DeliveryError) as refused:
            await one.send(entry())
        await one.close()
    assert (caught.value.retryable, refused.value.retryable) == (True, True)
    assert {request.headers["Authorization"] for request in receiver.requests} == {"Basic c2Vuc29yZDphbS1zZWNyZXQ="}
    assert receiver.requests[0].path == "/api/v2/alerts"


async def test_a_portals_page_is_no_alertmanager() -> None:
    """Whatever answers 200 in its place: the alerts are posted again, which changes nothing there."""
    with Receiver(
        Answer(200, b"<html>log in</html>"), Answer(200, b'{"status": "error"}'), Answer(200, b"")
    ) as receiver:
        one = channel(receiver.url)
        for _ in range(2):
            with pytest.raises(DeliveryError) as caught:
                await one.send(entry())
            assert caught.value.retryable
        await one.send(entry())
        await one.close()
