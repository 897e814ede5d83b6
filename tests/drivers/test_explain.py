"""Explanations: why it fired and why it did not, from the evaluators themselves, in plain words."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sensord.commands.answer import Answer
from sensord.commands.explaining import Question, Recorded, answer
from sensord.config.load import load
from sensord.core.cases.damping import Damping
from sensord.core.cases.mute import Maintenance
from sensord.core.cases.notification import Reason
from sensord.core.instant import HOUR, MINUTE, SECOND, parse_instant
from sensord.core.level import Level
from sensord.core.people.duty import Shift
from sensord.core.record import Action, Group, Scope
from sensord.core.rules.probe import Doubt
from sensord.core.rules.windowed import WindowedRule
from sensord.core.site import Site, action_record, definition_record
from sensord.drivers.explain import explain
from sensord.errors import SensordError
from sensord.recordings.lines import read_messages
from sensord.recordings.recording import groups
from tests.drivers.recordings import STREET, write_recording
from tests.support.cli import sensord

START = parse_instant("2026-03-02T08:00:00")


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve minutes: a crowd comes to lane 1 and goes, lane 2 falls silent, vehicles come, a backlog drains."""
    return write_recording(
        tmp_path_factory.mktemp("explain") / "street.jsonl",
        "{device: crowd-1, every: 10s, send: {count: 10*6 55*18 5*48}}",
        "{device: crowd-2, every: 10s, send: {count: 10*12 200*18 10*3}, delay: 0s*12 3m..10s*18 0s*3}",
        "{device: camera-1, from: 1m, every: 30s,"
        " send: {plate: key_area#1 local key_area#2 local*16, direction: in in out*2 in*15}}",
        "{device: parking-1, every: 1m, send: {value: 50*12}}",
    )


def said(recording: Path, *, language: str = "en", **question: str) -> str:
    """The answer to a question about the recording."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SENSORD_LANGUAGE", language)
        return "\n".join(answer(Question(**question), STREET, Recorded(recording, STREET)))


ANSWERS = """
lane-crowding L1 08:00:25   unknown: only 2 readings in the window, 3 are needed.
lane-crowding L1 08:01:00   no alert. 0.2 (from 5 readings). It is not above 1.08 (yellow).
lane-crowding L1 08:02:25   It has been above 1.08 (yellow) for 20s of 30s; 10s to go.
lane-crowding L1 08:03:30   yellow. 1.1 (from 6 readings). It is not above 2.17 (orange).
lane-crowding L1 08:03:30   It has been above 1.08 (yellow) for 1m20s, 30s are asked for.
lane-crowding L1 08:03:30   It is left once the value stays beyond 0.972 for 2m.
lane-crowding L1 08:05:00   yellow: beyond 0.972 for 40s of 2m; 1m20s to go.
lane-crowding L1 08:12:00   no alert. 0.1 (from 6 readings).
lane-crowding L2 08:04:00   unknown: every sensor here is silent or stuck. What is unknown neither raises nor clears
lane-crowding L2 08:04:00   crowd-2 has been silent for 2m10s (last heard at 03-02 08:01:50)
lane-crowding L2 08:05:20   20s late: does not count
key-area-vehicle C1-N 08:00:59   No reading was at least 1 (yellow).
key-area-vehicle C1-N 08:02:30   yellow. each reading by itself. yellow: it ends after 5m without another.
key-area-vehicle C1-N 08:02:30   class=key_area direction=out event=passed  not what the rule looks for: does not count
sensor-silent crowd-2 08:02:15   silent for 25 s. That is less than 3 of the device's periods
sensor-silent crowd-2 08:03:00   blue. silent for
parking-nearly-full C1 08:03:30   the rule has not been in force for a whole window (5m) yet
"""


@pytest.mark.parametrize("row", ANSWERS.strip().splitlines())
def test_what_is_said(recording: Path, row: str) -> None:
    """Each thing that can hold an alert back, or let it go, has its sentence."""
    asked, _, expected = row.partition("   ")
    rule, key, at = asked.split()
    assert expected in said(recording, rule=rule, key=key, at=at)


def test_it_fits_on_a_screen_in_both_languages(recording: Path) -> None:
    """Forty lines are enough, and Chinese is what is spoken unless English is asked for."""
    for language, sentence in (("zh", "高于 1.08（黄色）已 20s，要持续 30s，还差 10s。"), ("en", "10s to go")):
        text = said(recording, language=language, rule="lane-crowding", key="L1", at="2026-03-02T08:02:25")
        assert sentence in text
        assert len(text.splitlines()) < 40


MUTES: dict[str, tuple[dict[str, object], Action | None]] = {
    "silenced": ({}, Action("silence", "", "desk", note="works", until=START + HOUR, scope=Scope(places=("L1",)))),
    "alert storm": ({"damping": Damping(storm_at=1)}, None),
    "maintenance": (
        {"maintenance": (Maintenance("m", Scope(rules=("lane-crowding",)), Shift("m", 0, 0), 2 * START, "desk", "."),)},
        None,
    ),
}


@pytest.mark.parametrize("why", MUTES)
def test_who_is_not_told_is_said_beside_what_the_rule_says(recording: Path, why: str) -> None:
    """The first line says why people do not hear of the alert, and says nothing of it while there is none."""
    changes, action = MUTES[why]
    whole = definition_record(msgspec.structs.replace(load(STREET).definition, **changes), 0)
    records = [record for group in groups(read_messages(recording), whole) for record in group.records]
    if action is not None:
        records.append(action_record(action, START + SECOND))
    records.sort(key=lambda record: record.received_at)
    for at, said in ((START + 200 * SECOND, True), (START + 100 * SECOND, False)):
        found = explain([Group(1, tuple(records))], Site(), "lane-crowding", "L1", at)
        assert found is not None
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SENSORD_LANGUAGE", "en")
            first = list(Answer(found, "Asia/Shanghai", lambda _case: {}).lines())[1]
        assert (f"People are not told: {why}" in first) == said


@pytest.mark.parametrize("silenced", ["lane-crowding", "lane-busy"])
def test_of_two_alerts_of_a_case_each_has_a_silence_of_its_own(recording: Path, silenced: str) -> None:
    """The graver one by which the case goes, and the lesser one: only of the one that is silenced it is said so."""
    street = load(STREET).definition
    (crowding,) = (rule for rule in street.rules if rule.id == "lane-crowding")
    calm = msgspec.structs.replace(crowding.levels[0], level=Level.BLUE)
    clear = msgspec.structs.replace(crowding.clear, margin=crowding.clear.margin[:1])
    busy = msgspec.structs.replace(crowding, id="lane-busy", levels=(calm,), clear=clear)
    whole = definition_record(msgspec.structs.replace(street, rules=(*street.rules, busy)), 0)
    records = [record for group in groups(read_messages(recording), whole) for record in group.records]
    silence = Action("silence", "", "desk", note="works", until=START + HOUR, scope=Scope(rules=(silenced,)))
    records.append(action_record(silence, START + SECOND))
    records.sort(key=lambda record: record.received_at)
    for rule in ("lane-crowding", "lane-busy"):
        found = explain([Group(1, tuple(records))], Site(), rule, "L1", START + 200 * SECOND)
        assert found is not None
        assert found.level
        assert found.withheld == ((Reason.HELD_SILENCED,) if rule == silenced else ())


@pytest.mark.usefixtures("in_service")
@pytest.mark.parametrize(
    ("language", "line"),
    [
        ("en", "Failed     03-02 08:03:32  the rule lane-crowding failed (KeyError) and began anew; watch its places"),
        ("zh", "出错  03-02 08:03:32  规则 lane-crowding 出错（KeyError），已从头开始；请人工关注其地点"),
    ],
)
def test_a_rule_that_fails_is_why_it_is_silent(
    recording: Path, language: str, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That is said of the rule, with how often, and of no other."""
    whole = WindowedRule.evaluate

    def mistaken(rule: WindowedRule, *args: Any) -> Any:
        if rule.rule.id == "lane-crowding" and rule.due >= START + 2 * MINUTE:
            raise KeyError
        return whole(rule, *args)

    monkeypatch.setattr(WindowedRule, "evaluate", mistaken)
    text = said(recording, language=language, rule="lane-crowding", key="L1", at="08:03:40")
    assert line in text
    assert ("（10 次）" if language == "zh" else "(10 times)") in text
    assert line[:10] not in said(recording, language=language, rule="crowd-coming", key="L1", at="08:03:40")


def test_a_case_tells_its_story(recording: Path) -> None:
    """Asked for a case, the answer says what opened it, who was told and why, who was not, and how it stands."""
    text = said(recording, what="L1-crowd-20260302T080232")
    assert "yellow. 1.1 (from 6 readings)" in text
    lines = [line.strip() for line in text.splitlines()]
    assert "→ 居委干部-01 (grid): the case was opened" in lines
    assert "→ 居委干部-02 (grid): stands in for somebody silent" in lines
    assert any(line.endswith("every alert cleared") for line in lines)
    assert lines[-1] == "✗ duty_officer: the level has fallen"


def test_an_alert_is_found_by_its_id(recording: Path) -> None:
    """A transition's id, and ``rule:key``, name an alert."""
    version = next(rule.version for rule in load(STREET).definition.rules if rule.id == "lane-crowding")
    name = f"lane-crowding@{version}:L1:{START + 150 * SECOND}:raised-yellow"
    assert "2026-03-02T08:02:32" in said(recording, what=name)
    assert "2026-03-02T08:03:00" in said(recording, what="lane-crowding:L1", at="08:03")


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ({"rule": "lane-crowdin", "key": "L1"}, "no rule lane-crowdin was in force then (did you mean lane-crowding?)"),
        ({"rule": "lane-crowding", "key": "L9"}, "does not look at L9"),
        ({"rule": "lane-crowding", "key": "L1", "at": "07:59:59"}, "what is recorded begins at 2026-03-0"),
        ({"rule": "lane-crowding", "key": "L1", "at": "breakfast"}, "'breakfast' is no time"),
        ({"rule": "lane-crowding", "key": "L1", "at": "25:99"}, "'25:99' is no time"),
        ({"what": "L1-crowd-20200101T000000"}, "there is no case"),
        ({"what": "lane-crowding@000000000000:L1:1:raised-red"}, "there is no alert"),
    ],
)
def test_what_cannot_be_explained_is_said(recording: Path, question: dict[str, str], expected: str) -> None:
    """A wrong word is answered with what was probably meant."""
    with pytest.raises(SensordError, match=re.escape(expected)):
        said(recording, **question)


def test_what_is_meant_is_said_in_the_language_of_the_rest(recording: Path) -> None:
    """No English hint after a Chinese sentence."""
    with pytest.raises(SensordError) as refused:
        said(recording, language="zh", rule="lane-crowdin", key="L1")
    assert str(refused.value) == "那时没有规则 lane-crowdin（是不是想写 lane-crowding？）"


def test_a_device_that_never_spoke_has_no_last_message(tmp_path: Path) -> None:
    """Nobody looks for a message of an hour at which there was none."""
    path = write_recording(tmp_path / "street.jsonl", "{device: crowd-1, every: 10s, send: {count: 10*6}}")
    asked = {"rule": "lane-crowding", "key": "L2", "at": "2026-03-02T08:00:50"}
    text = said(path, **asked)
    assert "crowd-2 was never heard (since 03-02 08:00:00)" in text
    assert "last heard" not in text
    assert "crowd-2 从未有过消息（自 03-02 08:00:00 起）" in said(path, language="zh", **asked)


def test_from_a_saved_state_the_answer_is_the_same(recording: Path) -> None:
    """Stepping on from a snapshot in the middle shows the same evaluations as stepping from the beginning."""
    record = definition_record(load(STREET).definition, 0)
    every = list(groups(read_messages(recording), record))
    at = START + 4 * MINUTE
    whole = explain(every, Site(), "lane-crowding", "L1", at)
    site = Site()
    small = [group for one in every for group in _split(one)]
    for group in small[:35]:
        site.step(group)
    later = explain(small[35:], Site.restored(site.snapshot()), "lane-crowding", "L1", at)
    assert whole is not None
    assert later is not None
    assert len(later.sights) > 5
    assert later.sights == whole.sights[-len(later.sights) :]
    assert later.readings == whole.readings[-len(later.readings) :]
    assert (later.level, later.transitions) == (Level.YELLOW, whole.transitions[-len(later.transitions) :])
    assert later.sights[-1].doubt is Doubt.NONE


def _split(group: Group) -> list[Group]:
    return [Group(group.seq, (record,)) for record in group.records]


def test_the_command(recording: Path) -> None:
    """It prints the answer; without a question it says how to ask."""
    ask = ("explain", "--config", str(STREET), "--source", str(recording))
    done = sensord(*ask, "--rule", "lane-crowding", "--key", "L1", "--at", "08:02:25")
    assert (done.returncode, done.stderr) == (0, "")
    assert "10s to go" in done.stdout
    assert sensord(*ask).returncode == 2
    assert sensord(*ask, "--rule", "lane-crowding").returncode == 2
    wrong = sensord(*ask, "--rule", "lane-crowding", "--key", "L9")
    assert wrong.returncode == 1
    assert "L9" in wrong.stderr
