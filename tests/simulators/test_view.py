"""The terminal view, rendered to text: what is wrong is seen, what is blind is not called normal."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from rich.console import Console

from sensord.core.instant import SECOND
from simulators.receiver import Inbox
from simulators.tracker import Event, SeenCase, Tracker
from simulators.view import View, line, render
from tests.simulators.pictures import case, notification, overview
from tests.simulators.small import START


def draw(picture: dict[str, Any], **options: Any) -> str:
    """Render a picture to plain text of 130 x 40."""
    console = Console(file=io.StringIO(), width=130, height=40, color_system=None, force_terminal=False)
    received = options.pop("received", [])
    console.print(render(picture, received, **options))
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


def seen(*cases: dict[str, Any]) -> list[SeenCase]:
    """Return the cases as the tracker knows them."""
    tracker = Tracker()
    tracker.update(overview(*cases), [], 0, START)
    return tracker.cases


def test_every_grid_is_there_by_block() -> None:
    """All 20 residential grids are drawn, the five of a block in one row."""
    text = draw(overview())
    rows = [row for row in text.splitlines() if "G06" in row]
    assert len(rows) == 1
    assert all(name in rows[0] for name in ("G06", "G07", "G08", "G09", "G10"))
    assert all(f"G{number:02d}" in text for number in range(1, 21))
    assert text.count("正常") == 20
    assert "暂无案件" in text
    assert "暂无通知" in text


def test_levels_are_told_in_words() -> None:
    """A grid at a level says so by word, not by colour alone, in both languages."""
    picture = overview(G03={"level": "orange"}, G12={"level": "red"})
    chinese, english = draw(picture), draw(picture, language="en")
    assert "橙色" in chinese
    assert "红色" in chinese
    assert "orange" in english
    assert "red" in english
    assert not any("\u4e00" <= character <= "\u9fff" for character in english)


def test_blind_places_are_never_normal() -> None:
    """A grid with blind places is unknown instead of normal, and says how many of how many; an alarm stays one."""
    text = draw(overview(G05={"unknown": 6}, G06={"unknown": 2}, G07={"unknown": 1, "level": "yellow"}))
    assert text.count("正常") == 17
    assert "未知 6/6" in text
    assert "未知 2/6" in text
    assert "G07 ▒1/6" in text
    assert "黄色" in text


def case_lines(text: str) -> str:
    """Return the two lines of the case of lane L001: what it is, and below it its id."""
    lines = text.splitlines()
    below = next(number for number, line in enumerate(lines) if "L001-crowd-1" in line)
    return "\n".join(lines[below - 1 : below + 1])


def test_cases_show_place_level_state_and_age() -> None:
    """An open case shows where, how bad, its state and its age; a closed one its peak."""
    found = case_lines(draw(overview(), cases=seen(case(level="orange")), now=START + 75 * SECOND))
    assert all(word in found for word in ("G01", "一弄", "橙色", "处置中", "1:15"))
    found = case_lines(draw(overview(), cases=seen(case(state="dispatched")), now=START, language="en"))
    assert all(word in found for word in ("Lane 1", "yellow", "dispatched"))
    tracker = Tracker()
    tracker.update(overview(case(peak="red")), [], 0, START)
    tracker.update(overview(), [], 0, START + 65 * SECOND)
    found = case_lines(draw(overview(), cases=tracker.cases, now=START + 900 * SECOND))
    assert all(word in found for word in ("红色", "已结案", "1:05"))


def test_notifications_show_when_to_whom_and_what() -> None:
    """The newest notifications are shown with time, receiver, role and title; the text itself is not needed."""
    received = [notification(str(number), START + number * SECOND, receiver=f"cadre-{number}") for number in range(60)]
    text = draw(overview(), received=received)
    assert "cadre-3 " not in text
    rows = [row for row in text.splitlines() if "cadre-" in row]
    assert ["cadre-59" in rows[0], "cadre-58" in rows[1]] == [True, True]
    assert all(word in rows[0] for word in ("11:30:59", "居委干部", "【黄色预警】一弄"))


def test_the_header_has_clock_rate_lag_and_what_was_sent() -> None:
    """The header shows the site's time, messages per second, lag, the notifications' counts, and below it the note."""
    head = draw(overview(), rate=42.4, note="一弄 正在聚集").splitlines()[:3]
    words = ("linfen", "11:31:30", "消息/秒 42", "滞后 0.4 s", "已发出 5", "待发 1")
    assert all(word in head[1] for word in words)
    assert "一弄 正在聚集" in head[2]


@pytest.mark.parametrize("height", [24, 31, 32, 50])
def test_a_small_terminal_shows_every_part(height: int) -> None:
    """Down to 24 lines every grid, the open case and the newest notification are on the screen."""
    console = Console(file=io.StringIO(), width=100, height=height, color_system=None, force_terminal=False)
    shown = render(overview(), [notification("1")], cases=seen(case()), now=START, height=height)
    console.print(shown)
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert all(f"G{number:02d}" in text for number in range(1, 21))
    assert "L001-crowd-1" in text
    assert "居委干部-G01-1" in text


@pytest.mark.parametrize("picture", [{}, {"places": {}, "cases": []}, {"at": None, "site": "x"}])
def test_a_daemon_that_has_said_nothing_yet_can_be_drawn(picture: dict[str, Any]) -> None:
    """An empty or early overview is drawn as waiting."""
    assert "等待" in draw(picture)


def test_events_are_plain_lines() -> None:
    """Without a terminal each event is one line: opened, told, closed."""
    tracker = Tracker()
    events = tracker.update(overview(case()), [notification("1")], 1, START)
    events += tracker.update(overview(), [notification("1")], 1, START + 90 * SECOND)
    lines = [line(event, "zh") for event in events]
    assert lines == [
        "11:30:00  立案  G01 一弄  黄色  L001-crowd-1",
        "11:31:20  通知  居委干部-G01-1 (居委干部)  【黄色预警】一弄",
        "11:31:30  已结案  G01 一弄  (最高: 黄色)  L001-crowd-1",
    ]
    assert line(events[0], "en") == "11:30:00  case opened  G01 Lane 1  yellow  L001-crowd-1"


@pytest.fixture
def daemon() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Serve overviews: each request gets the first of the list, and the last one stays."""
    script: list[dict[str, Any]] = [overview(), overview(case()), overview(case()), overview()]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(script.pop(0) if len(script) > 1 else script[0]).encode()
            self.send_response(200 if self.path == "/api/v1/overview" else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}", script
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("terminal", [False, True])
def test_the_view_follows_a_daemon_until_it_is_told_to_stop(
    daemon: tuple[str, list[dict[str, Any]]], terminal: bool
) -> None:
    """Polling gives the events in order; plain lines without a terminal, a picture with one."""
    console = Console(file=io.StringIO(), width=130, height=40, force_terminal=terminal)
    inbox, kinds = Inbox(), list[str]()
    inbox.add(notification("1"))
    view = View(daemon[0], inbox, "zh", console)

    def on_turn(events: Sequence[Event]) -> bool:
        kinds.extend(event.kind.value for event in events)
        return "closed" not in kinds

    view.run(on_turn)
    assert kinds == ["notified", "opened", "closed"]
    file = console.file
    assert isinstance(file, io.StringIO)
    assert ("居民区" in file.getvalue()) is terminal
    assert ("立案  G01 一弄" in file.getvalue()) is not terminal


def test_a_daemon_that_does_not_answer_leaves_the_view_standing() -> None:
    """While nobody answers there are no events, and no error."""
    view = View("http://127.0.0.1:9", Inbox(), "zh", Console(file=io.StringIO()))
    assert view.turn() == []
