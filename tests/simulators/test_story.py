"""The story's judge: complete only when seen, told to the right people, and ended; everything else is said."""

from __future__ import annotations

import msgspec
import pytest

from sensord.core.cases.policy import Mode, Policy, Step
from sensord.core.instant import SECOND
from sensord.core.level import Level
from simulators.scenario import Silence
from simulators.story import Story
from simulators.tracker import Event, Kind, SeenCase
from tests.simulators.pictures import notification
from tests.simulators.small import CROWD, START, definition, street

OPENED = START + 25 * SECOND
CLOSED = START + 95 * SECOND


def story(speed: float = 1.0, **parts: object) -> Story:
    """Make the story of a crowd in lane 1, at a speed."""
    return Story(
        definition(), street(1, **(parts or {"crowds": (CROWD,)})), lambda at: START + round((at - START) / speed)
    )


def seen(closed_at: int = 0, place: str = "L1", opened_at: int = OPENED) -> SeenCase:
    """Make a case in that place."""
    state = "closed" if closed_at else "dispatched"
    return SeenCase(f"{place}-1", place, "一弄", "Lane 1", "G1", "yellow", "orange", state, opened_at, closed_at)


def opened(place: str = "L1", opened_at: int = OPENED) -> Event:
    """The case opens."""
    return Event(Kind.OPENED, opened_at, seen(0, place, opened_at))


def closed(place: str = "L1") -> Event:
    """The case closes."""
    return Event(Kind.CLOSED, CLOSED, seen(CLOSED, place))


def told(receiver: str, reason: str = "case_opened", place: str = "L1") -> Event:
    """Somebody is told."""
    at = OPENED + SECOND if reason != "case_closed" else CLOSED + SECOND
    parts = {"case": f"{place}-1", "receiver": receiver, "reason": reason}
    return Event(Kind.NOTIFIED, at, received=notification(f"{place}{receiver}{reason}", at, **parts))


WHOLE = [opened(), told("cadre-1"), closed(), told("cadre-1", "case_closed")]


def test_a_story_is_complete_with_its_last_notification() -> None:
    """Opened, told, closed is not enough: whoever was told must have been told that it is over."""
    one = story()
    for event in WHOLE:
        assert not one.complete(CLOSED)
        one.take([event])
    assert one.complete(CLOSED)
    assert one.good(CLOSED)
    assert one.false_alarms == []


def test_notifications_may_come_before_their_case_is_seen() -> None:
    """A notification that is faster than the overview belongs to its case all the same."""
    one = story()
    one.take([WHOLE[1], WHOLE[0], WHOLE[3], WHOLE[2]])
    assert one.complete(CLOSED)


def test_people_of_another_grid_must_not_be_told() -> None:
    """Somebody who does not answer for the place spoils the story, and the summary counts them."""
    one = story()
    one.take([*WHOLE[:2], told("cadre-2"), closed(), told("cadre-1", "case_closed"), told("cadre-2", "case_closed")])
    assert one.complete(CLOSED)
    assert not one.good(CLOSED)
    assert "不负责此处的 1 人" in "\n".join(one.summary("zh"))
    assert "1 of them do not answer" in "\n".join(one.summary("en"))


@pytest.mark.parametrize(("at_least", "good"), [(Level.ORANGE, True), (Level.RED, False)])
def test_the_nearest_may_be_told_from_their_level_on(at_least: Level, good: bool) -> None:
    """Somebody of the grid beside is right where the plan calls the nearest at the case's level, and not before."""
    step = Step(("cadre",), at_least, mode=Mode.NEAREST, count=2)
    plan = Policy("crowd", {"zh": "聚集"}, (step,))
    one = Story(msgspec.structs.replace(definition(), policies=(plan,)), street(1, crowds=(CROWD,)), lambda at: at)
    one.take([*WHOLE[:2], told("cadre-2"), closed(), told("cadre-1", "case_closed"), told("cadre-2", "case_closed")])
    assert one.good(CLOSED) == good


def test_a_case_where_nothing_happened_is_a_false_alarm() -> None:
    """A case in a lane without an incident spoils the story."""
    one = story()
    one.take([*WHOLE, opened("L3")])
    assert not one.good(CLOSED)
    assert [chapter.case.place for chapter in one.false_alarms] == ["L3"]
    assert "误报：1" in one.summary("zh")


def test_an_earlier_case_is_not_that_of_the_incident() -> None:
    """A case of the lane that opened before the crowd began does not count as seeing it."""
    one = story()
    one.take([opened(opened_at=START)])
    assert one.chapter_of(one.incidents[0]) is None
    assert "没有立案" in "\n".join(one.summary("zh"))


def test_the_delay_is_counted_from_the_true_crossing() -> None:
    """From the true density at the level's threshold, in the clock's time, to the first notification."""
    for speed in (1.0, 2.0):
        one = story(speed)
        one.take(WHOLE)
        crossing = street(crowds=(CROWD,)).crossing(one.incidents[0], 1.0)
        assert crossing is not None
        seconds = (OPENED + SECOND - START - (crossing - START) / speed) / SECOND
        assert f"超过 1 人/平方米到第一条通知送达 {seconds:.1f} 秒" in "\n".join(one.summary("zh"))
    assert "立案 70 秒后结案；1/1 人收到解除通知" in "\n".join(one.summary("zh"))
    assert "closed 70 s after" in "\n".join(one.summary("en"))


def test_a_silence_is_told_without_a_threshold() -> None:
    """For a silent sensor the delay is counted from the beginning of the silence."""
    one = story(silences=(Silence("crowd-1", 5 * SECOND, 60 * SECOND),))
    one.take(WHOLE)
    assert one.good(CLOSED)
    assert "从事件开始到第一条通知送达 21.0 秒" in "\n".join(one.summary("zh"))


def test_an_everyday_is_complete_with_its_time() -> None:
    """Without incidents the story is over when its time is, and good when nothing alarmed."""
    one = story(crowds=())
    end = START + 600 * SECOND
    assert not one.complete(end - 1)
    assert one.good(end)
    one.take([opened("L2")])
    assert not one.good(end)


def test_whoever_was_told_and_did_not_answer_is_named() -> None:
    """Told twice is named once; who answered is not named."""
    one = story()
    one.take([opened(), told("cadre-1"), told("cadre-1", "level_rose"), told("volunteer-1")])
    (chapter,) = one.chapters()
    assert chapter.silent == ["cadre-1", "volunteer-1"]
    one.answered(chapter.case.id, "volunteer-1")
    assert "  who did not answer: cadre-1" in one.summary("en")
    one.answered(chapter.case.id, "cadre-1")
    assert "  每个人都答复了" in one.summary("zh")
