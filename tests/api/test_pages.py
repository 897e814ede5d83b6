"""The page behind a link, as a phone and as the preview of a chat program would see it."""

from __future__ import annotations

import time
from concurrent.futures import Future

import httpx
import pytest
from fastapi.routing import iter_route_contexts

from sensord.api import recording
from sensord.core.instant import HOUR
from sensord.core.record import ANSWERS, Action, Delivery, Receipt
from sensord.errors import UnavailableError
from tests.api.parts import CASE, KEY, START, Daemon


@pytest.fixture
def link(daemon: Daemon) -> str:
    """The path of a good link."""
    return f"/a/{daemon.links.token(KEY, time.time_ns() + HOUR)}"


def test_opening_a_link_changes_nothing(client: httpx.Client, daemon: Daemon, link: str) -> None:
    """Previews open every link, some with HEAD: nothing is journaled, and the page shows what to press."""
    for _ in range(3):
        page = client.get(link)
    client.head(link)
    assert daemon.journal == []
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    for verb in ANSWERS:
        assert f'value="{verb.value}"' in page.text
    assert "红色预警" in page.text
    assert "居委干部-03" in page.text


@pytest.mark.parametrize("verb", ANSWERS)
def test_the_button_answers(client: httpx.Client, daemon: Daemon, link: str, verb: str) -> None:
    """One tap: the action is journaled for the link's case in the name of its receiver, and the page says so."""
    page = client.post(link, data={"verb": verb, "note": "  带两人 "})
    assert page.status_code == 200
    assert "已记录" in page.text
    assert daemon.journal == [Action(verb, CASE, "居委干部-03", "link", "带两人")]


@pytest.mark.parametrize("form", [{}, {"verb": "close"}, {"verb": "void"}, {"verb": ["x", "y"]}, {"note": "x" * 9000}])
def test_a_link_is_good_for_answers_only(client: httpx.Client, daemon: Daemon, link: str, form: dict[str, str]) -> None:
    """Decisions need more than a link; the page asks again."""
    page = client.post(link, data=form)
    assert page.status_code == 422
    assert daemon.journal == []


@pytest.mark.parametrize("body", [b"\xff\xfe", b"verb=acknowledge&" * 50, b"verb=%ff", b"{}"])
def test_a_strange_form_is_no_error_of_ours(client: httpx.Client, daemon: Daemon, link: str, body: bytes) -> None:
    """Whatever is posted, the page asks again."""
    page = client.post(link, content=body)
    assert page.status_code == 422
    assert daemon.journal == []


def test_seen_is_told_by_the_script_only(client: httpx.Client, daemon: Daemon, link: str) -> None:
    """The page's script says that a browser shows it; that becomes one receipt, however often it is opened."""
    for _ in range(3):
        assert client.post(f"{link}/seen").status_code == 204
    assert daemon.journal == [[Receipt(KEY, Delivery.SEEN)]]


def test_an_old_link_says_what_to_do(client: httpx.Client, daemon: Daemon) -> None:
    """410, in words, for the page, the button and the script; nothing is journaled."""
    old = f"/a/{daemon.links.token(KEY, START)}"
    assert "已过期" in client.get(old).text
    answers = [client.get(old), client.post(old, data={"verb": "acknowledge"}), client.post(f"{old}/seen")]
    assert [answer.status_code for answer in answers] == [410] * 3
    assert daemon.journal == []


def test_a_wrong_link_is_no_link(client: httpx.Client, daemon: Daemon, link: str) -> None:
    """404, whatever is changed."""
    for wrong in (link[:-1], link + "A", "/a/x"):
        assert client.get(wrong).status_code == 404
        assert client.post(wrong, data={"verb": "acknowledge"}).status_code == 404
        assert client.post(f"{wrong}/seen").status_code == 404
    assert daemon.journal == []


def test_what_could_not_be_recorded_says_so(client: httpx.Client, daemon: Daemon, link: str) -> None:
    """The person must not believe that it is noted."""

    def full(_future: Future[int]) -> None:
        raise UnavailableError("the disk is full")

    daemon.answer = full
    page = client.post(link, data={"verb": "acknowledge"})
    assert page.status_code == 503
    assert "已记录" not in page.text
    assert "暂时没能记录" in page.text


def test_the_page_leaks_nothing_and_loads_nothing(client: httpx.Client, link: str) -> None:
    """No referrer, no cache, nothing from elsewhere; what comes from outside is escaped."""
    page = client.get(link)
    assert page.headers["referrer-policy"] == "no-referrer"
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    assert "<b>" not in page.text
    assert "http" not in page.text.replace("http-equiv", "")


def test_it_speaks_english_to_english_browsers(client: httpx.Client, link: str) -> None:
    """By the browser's wish or by the switch at the bottom; Chinese otherwise."""
    assert "On the way" in client.get(link, headers={"Accept-Language": "en-GB,en;q=0.9"}).text
    assert "On the way" in client.get(f"{link}?lang=en").text
    assert "正在路上" in client.get(f"{link}?lang=zh", headers={"Accept-Language": "en"}).text
    assert "正在路上" in client.get(link, headers={"Accept-Language": "fr"}).text


def test_a_case_that_has_ended_can_still_be_answered(client: httpx.Client, daemon: Daemon, link: str) -> None:
    """Late answers are kept; the page says that it is over."""
    daemon.found["closed_at"], daemon.found["level"] = "2023-11-15T07:13:20+08:00", "none"
    assert "案件已结束" in client.get(link).text
    client.post(link, data={"verb": "dispersed"})
    assert len(daemon.journal) == 1


def test_the_page_says_what_became_of_the_answer(client: httpx.Client, daemon: Daemon, link: str) -> None:
    """Accepted or refused, and why, in the page's language; what was refused can be said again."""
    daemon.verdict = (
        True,
        "sensors_given_time",
        "已记录；传感器仍报红色，稍候核对",
        "noted; the sensors still report red",
    )
    page = client.post(link, data={"verb": "dispersed"})
    assert "「人群已疏散」已记录；传感器仍报红色，稍候核对。" in page.text
    assert 'value="dispersed"' not in page.text
    daemon.verdict = (False, "too_many_late", "案件已结案，答复太多", "the case is closed already")
    page = client.post(f"{link}?lang=en", data={"verb": "dispersed"})
    assert "“The crowd is gone” was not accepted: the case is closed already." in page.text
    assert 'value="dispersed"' in page.text


def test_what_is_not_decided_in_time_is_said_to_be_recorded(
    client: httpx.Client, daemon: Daemon, link: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The core may be behind: nobody is told that it is accepted."""
    monkeypatch.setattr(recording, "DECIDING", 0.05)
    daemon.verdict = None
    assert "「误报」已记录，结果稍后可在这里看到。" in client.post(link, data={"verb": "false_alarm"}).text


def test_only_a_crowd_is_dispersed(client: httpx.Client, daemon: Daemon, link: str) -> None:
    """A case of a sensor or of a finding is dealt with."""
    assert "人群已疏散" in client.get(link).text
    daemon.found["rule"] = "silent"
    page = client.post(link, data={"verb": "on_the_scene"})
    assert ("人群已疏散" in page.text, ">已处置完毕<" in page.text) == (False, True)


def test_a_case_whose_alarm_is_over_is_calm(client: httpx.Client, daemon: Daemon, link: str) -> None:
    """While it is verified its level is none: the page says the worst, and that it is over."""
    daemon.found["level"] = "none"
    assert "曾为红色预警，11-15 06:13起，现已平静。" in client.get(link).text


def test_a_case_that_is_gone_cannot_be_answered(client: httpx.Client, daemon: Daemon) -> None:
    """No button promises what would be refused, and a late tap hears the same."""
    other = f"/a/{daemon.links.token(KEY.replace('L1', 'L2'), time.time_ns() + HOUR)}"
    page = client.get(other)
    assert ("无法反馈" in page.text, "<button" in page.text) == (True, False)
    late = client.post(other, data={"verb": "acknowledge"})
    assert (late.status_code, "无法反馈" in late.text) == (404, True)
    assert daemon.journal == []


def test_without_an_address_there_are_no_pages(daemon: Daemon) -> None:
    """A daemon whose messages have no links has nothing to show."""
    app = daemon.app(linked=False)
    assert not [route for route in iter_route_contexts(app.routes) if (route.path or "").startswith("/a/")]
