"""Backtests: the diff, the scores, the sweep and the suggestion are what a person finds by hand."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from sensord.backtest.compare import Difference, compare
from sensord.backtest.outcome import Collector, Episode, Outcome, Page, PlaceInfo
from sensord.backtest.page import backtest_page, replay_page, replayed
from sensord.backtest.report import Question, Report, answer, to_json
from sensord.backtest.run import Setup, run
from sensord.backtest.suggest import in_words
from sensord.backtest.sweep import knee
from sensord.backtest.text import lasting, print_report, setting_name
from sensord.backtest.variant import Point, find_settings, parse_sweep
from sensord.cli import cli
from sensord.core.instant import HOUR, MINUTE, SECOND
from sensord.core.level import Level
from sensord.core.people.duty import Duty, Shift
from sensord.core.rules.windowed import WindowedRule
from sensord.core.site import Site
from sensord.drivers.replay import Piece, replay
from sensord.errors import ConfigError
from sensord.source import Source
from tests.backtest.parts import BIG, PEAKS
from tests.core.street import START, definition


def asked(folder: Path, **changes: object) -> Report:
    """The report on the stricter candidate."""
    values = {"rules": folder / "rules", "candidate": folder / "strict", "labels": folder / "labels.csv"} | changes
    return answer(Setup.of(Source(folder / "recording")), Question(**values))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def report(folder: Path) -> Report:
    """Everything at once."""
    return asked(folder, sweeps=("levels.yellow.above=0.5:3:0.5",), suggest=True)


def test_the_diff(report: Report) -> None:
    """The stricter rule loses the five small crowds and sees the four big ones later."""
    assert report.diff is not None
    assert report.diff.count(Difference.REMOVED) == PEAKS.count(1.5) == 5
    assert report.diff.count(Difference.ADDED) == 0
    assert report.diff.count(Difference.LATER) == PEAKS.count(BIG) == 4
    assert all(pair.shift == 10 * SECOND for pair in report.diff.pairs if Difference.LATER in pair.differences)
    row = report.diff.by_rule[0]
    assert (row.name, row.before, row.after, row.counts) == ("crowd", 9, 4, {"removed": 5, "later": 4})
    pages = {(name, shift): (before, after) for name, _, shift, before, after in report.diff.pages}
    assert pages
    assert sum(after for _, after in pages.values()) < sum(before for before, _ in pages.values())


def test_the_scores(report: Report) -> None:
    """Nine alerts of which four are right; then four of four; nothing missed either way."""
    before, after = (scores.total for scores in report.scores)
    assert (before.alerts, before.right, before.caught, before.truths) == (9, 4, 4, 4)
    assert (after.alerts, after.right, after.caught, after.truths) == (4, 4, 4, 4)
    assert (before.precision, after.precision, after.recall) == (4 / 9, 1.0, 1.0)
    assert before.false_per_week == pytest.approx(5 / before.weeks)
    assert after.delay == (before.delay or 0) + 10


def test_the_sweep_and_its_knee(report: Report) -> None:
    """Recall holds up to the big crowds' density; the knee is where no false alarm is left and nothing is missed."""
    curve = report.curves[0]
    assert [point.value for point in curve.points] == ["0.5", "1", "1.5", "2", "2.5", "3"]
    assert [point.recall for point in curve.points] == [1, 1, 1, 1, 0, 0]
    assert [point.alerts for point in curve.points] == [9, 9, 4, 4, 0, 0]
    assert curve.knee is not None
    assert curve.points[curve.knee].value == "1.5"


def test_the_suggestion(report: Report, folder: Path) -> None:
    """From the answers alone: a threshold that spares every false alarm and keeps every true case, as a patch."""
    suggestion = report.suggestions[0]
    assert (suggestion.setting, suggestion.false, suggestion.spared, suggestion.true) == (
        "crowd:levels.yellow.above", 5, 5, 4,
    )  # fmt: skip
    assert 1.5 <= float(suggestion.new) < 2.5
    removed = [line for line in suggestion.patch.splitlines() if line.startswith("-") and not line.startswith("---")]
    assert removed == ["-      yellow: {above: 1.0}   # people/m2"]
    assert f"+      yellow: {{above: {suggestion.new}}}   # people/m2" in suggestion.patch


def test_higher_levels_have_suggestions_of_their_own(report: Report, folder: Path, tmp_path: Path) -> None:
    """Every crowd reaches red: a higher red spares the small ones the rise; yellow cannot pass red, so it stays."""
    rules = tmp_path / "crowd.yaml"
    text = (folder / "rules" / "crowd.yaml").read_text("utf-8").replace("above: 5.0", "above: 1.2")
    rules.write_text(text, "utf-8")
    (red,) = asked(folder, rules=rules, candidate=None, suggest=True).suggestions
    (yellow,) = report.suggestions
    assert (yellow.level, yellow.lowest, red.level, red.lowest) == (Level.YELLOW, True, Level.RED, False)
    assert (red.setting, red.false, red.spared, red.true) == ("crowd:levels.red.above", 5, 5, 4)
    assert 1.5 <= float(red.new) < 2.5
    assert "red" in in_words(red) or "红" in in_words(red)
    assert in_words(red) != in_words(yellow)


def test_answers_serve_as_labels(folder: Path) -> None:
    """Without labels the cases that people confirmed are the truth."""
    report = asked(folder, labels=None)
    assert report.from_answers
    assert (report.scores[0].total.caught, report.scores[0].total.right) == (4, 4)


def test_processes_and_forms_do_not_matter(folder: Path) -> None:
    """Two processes, raw messages or readings, alone or together: the same outcomes."""
    plain = Setup.of(Source(folder / "recording"))
    both = [plain.candidate("a", folder / "rules"), plain.candidate("b", folder / "strict")]
    reference = run(plain, both)
    seen = list[Piece]()

    def watch(recorded: Iterable[Piece], _total: int | None) -> Iterator[Piece]:
        for item in recorded:
            seen.append(item)
            yield item

    assert run(Setup.of(Source(folder / "recording"), processes=2), both, watch) == reference
    assert seen, "with several processes, too, somebody sees how far it is"
    assert [run(plain, [one])[0] for one in both] == reference
    raw = run(Setup.of(Source(folder / "recording", raw=True)), both)
    assert [one.episodes for one in raw] == [one.episodes for one in reference]


def test_what_is_over_is_forgotten(folder: Path) -> None:
    """Who was told of what is kept for open cases only, so that it does not grow with the recording."""
    opened, site = Source(folder / "recording").open(), Site()
    collector = Collector("x", site)
    for step in replay(opened.recorded(), site):
        collector.take(step)
    assert len(collector.outcome.pages) > len(PEAKS)
    assert set(collector._told) <= set(site.book.open)


@pytest.mark.parametrize("tongue", ["zh", "en"])
def test_the_page(report: Report, folder: Path, tongue: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One file that fetches nothing, in either language, with every part; strange names do not become markup."""
    monkeypatch.setenv("SENSORD_LANGUAGE", tongue)
    report.before.places["G1-L1"] = PlaceInfo({"zh": "<script>一", "en": "<script>1"}, "G1", ("G1-L1", "G1"))
    page = backtest_page(report)
    body = page[page.index("<body>") :]
    assert not re.findall(r"<(?:script|link|img|iframe)[^>]+(?:src|href)=", page[:2000] + body)
    assert "<td><script>" not in body
    assert "&lt;script&gt;" in body
    words = (
        ("规则回测报告", "名单若不全", "参数扫描", "候选规则里是", "建议")
        if tongue == "zh"
        else ("Backtest", "list is not complete", "Sweep", "The candidate&#x27;s value", "Suggestion")
    )
    assert all(word in body for word in words)
    assert body.count("plotly-graph-div") >= 7
    alone = replay_page(replayed(Setup.of(Source(folder / "recording"))))
    assert ("案件" if tongue == "zh" else "Cases") in alone


def test_the_same_report_twice_is_the_same_json(folder: Path, report: Report) -> None:
    """The JSON is complete and the same in every run."""
    one, two = (to_json(asked(folder)) for _ in range(2))
    assert one == two
    plain = json.loads(one)
    assert plain["scores"][0]["total"]["precision"] == pytest.approx(4 / 9)
    print_report(report, 3)


@pytest.mark.usefixtures("in_service")
@pytest.mark.parametrize("tongue", ["zh", "en"])
def test_what_failed_is_said(
    report: Report, folder: Path, tongue: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the terminal and on both pages: a rule that fails says too little."""

    def mistaken(*_: object) -> None:
        raise KeyError

    monkeypatch.setenv("SENSORD_LANGUAGE", tongue)
    monkeypatch.setenv("COLUMNS", "400")
    with monkeypatch.context() as patch:
        patch.setattr(WindowedRule, "evaluate", mistaken)
        failed = replayed(Setup.of(Source(folder / "recording")))
    (said, times), *_ = failed.failures.items()
    assert times > 10
    rule = next(rule for rule in failed.rules if f" {rule} " in said)
    line = f"规则 {rule} 出错（KeyError）" if tongue == "zh" else f"the rule {rule} failed (KeyError)"
    print_report(msgspec.structs.replace(report, after=failed), 3)
    assert line in capsys.readouterr().out
    assert line in replay_page(failed)
    assert line in backtest_page(msgspec.structs.replace(report, after=failed))


def test_from_the_command_line(folder: Path, tmp_path: Path) -> None:
    """Text, JSON and page; a sweep that is not clear is refused with a hint."""
    command = ["backtest", "--recording", str(folder / "recording"), "--rules", str(folder / "rules")]
    command += ["--candidate", str(folder / "strict"), "--labels", str(folder / "labels.csv")]
    run_ = CliRunner()
    text = run_.invoke(cli, command, env={"SENSORD_LANGUAGE": "en", "COLUMNS": "160"})
    assert text.exit_code == 0, text.output
    assert "Had the candidate been live: " in text.output
    assert "Held against the list of incidents" in text.output
    written = run_.invoke(cli, [*command, "--output", str(tmp_path / "report.txt")], env={"SENSORD_LANGUAGE": "en"})
    assert (written.exit_code, written.output) == (0, "")
    assert "Held against the list of incidents" in (tmp_path / "report.txt").read_text("utf-8")
    assert run_.invoke(cli, [*command, "--format", "json", "--limit", "3"]).exit_code == 2
    page = run_.invoke(cli, [*command, "--format", "html", "--output", str(tmp_path / "page.html")])
    assert page.exit_code == 0, page.output
    assert (tmp_path / "page.html").read_text("utf-8").startswith("<!doctype html>")
    refused = run_.invoke(cli, [*command, "--sweep", "levels.blue.above=1:2:1"])
    assert isinstance(refused.exception, ConfigError)
    assert "no rule has levels.blue.above" in str(refused.exception)


# -- parts -----------------------------------------------------------------------------------------------------------


def outcome(*episodes: Episode, pages: tuple[Page, ...] = ()) -> Outcome:
    """An outcome with alerts only."""
    return Outcome("x", "UTC", START, START + 24 * HOUR, 0, {}, {}, list(episodes), [], list(pages))


def alert(start: int, minutes: int, peak: Level = Level.YELLOW, key: str = "k") -> Episode:
    """An alert that begins ``start`` minutes after the recording."""
    begin = START + start * MINUTE
    return Episode("r", key, "p", begin, begin + minutes * MINUTE if minutes else 0, peak, 1.0)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ([alert(0, 5)], [alert(0, 5)], [("same",)]),
        ([alert(0, 5)], [alert(2, 5)], [("later",)]),
        ([alert(10, 5)], [alert(2, 9)], [("earlier",)]),
        ([alert(0, 5)], [alert(0, 5, Level.RED)], [("higher",)]),
        ([alert(0, 5, Level.RED)], [alert(1, 5)], [("later", "lower")]),
        ([alert(0, 5)], [alert(0, 5, key="other")], [("removed",), ("added",)]),
        ([alert(0, 5)], [alert(60, 5)], [("removed",), ("added",)]),
        ([alert(0, 0)], [alert(600, 5)], [("later",)]),
        ([alert(0, 100)], [alert(0, 5), alert(50, 5)], [("same",), ("added",)]),
        ([alert(0, 5), alert(50, 5)], [alert(0, 100)], [("same",), ("removed",)]),
        ([], [], []),
    ],
)
def test_how_alerts_are_paired(before: list[Episode], after: list[Episode], expected: list[tuple[str, ...]]) -> None:
    """Alerts of one key that overlap, or begin near each other, are one; each has one partner."""
    assert [pair.differences for pair in compare(outcome(*before), outcome(*after)).pairs] == expected


@pytest.mark.parametrize(
    ("duration", "words"),
    [(10 * SECOND, ("10 秒", "10 s")), (90 * SECOND, ("90 秒", "90 s")), (5 * MINUTE, ("5 分钟", "5 min")),
     (HOUR, ("1 小时", "1 h")), (90 * MINUTE, ("1.5 小时", "1.5 h"))],
)  # fmt: skip
def test_durations_are_said_as_people_do(duration: int, words: tuple[str, str]) -> None:
    """Seconds, minutes or hours, in either language."""
    assert lasting(duration) in words


def test_a_sweep_is_named_after_the_rule(report: Report) -> None:
    """Whoever writes no rules reads the rule's name, the level and the comparison."""
    assert setting_name("crowd:levels.yellow.above", report.before) in ("聚集：黄色 >", "Crowding: yellow >")
    assert setting_name("crowd:window", report.before) in ("聚集：window", "Crowding: window")


def test_pages_by_shift() -> None:
    """Pages are counted per person and shift: the roster's, of who has none a third of the local day, or off duty."""
    always = Page(START, "cadre-1", "cadre", Level.RED, "case_opened", "p")
    nightly, late = (msgspec.structs.replace(always, shift=shift) for shift in ("night", None))
    before, after = outcome(pages=(always, always, nightly, late)), outcome(pages=(always, nightly, nightly))
    before.shifts = after.shifts = {"night": (20 * 60 + 30, 8 * 60)}
    assert compare(before, after).pages == [
        ("cadre-1", "cadre", "-", 1, 0),
        ("cadre-1", "cadre", "16–24", 2, 1),
        ("cadre-1", "cadre", "night 20:30–08:00", 1, 2),
    ], "22:13 UTC"


def test_a_page_knows_the_shift_of_whom_it_woke(folder: Path) -> None:
    """The roster that was in force says in which shift somebody was."""
    whole = definition()
    nights = Duty((Shift("day", 480, 1200), Shift("night", 1200, 480)))
    people = tuple(msgspec.structs.replace(one, shifts=("day", "night")) for one in whole.people)
    there = msgspec.structs.replace(whole, duty=nights, people=people)
    setup = Setup(Source(folder / "recording"), there)
    (found,) = run(setup, [setup.candidate("now", folder / "rules")])
    assert {page.shift for page in found.pages} == {"night"}, "06:13 in Shanghai"
    assert found.shifts == {"day": (480, 1200), "night": (1200, 480)}


@pytest.mark.parametrize(
    ("alerts", "expected"),
    [([100, 40, 10, 9, 8], 2), ([5, 5, 5], None), ([10, 8, 6, 4, 2], None), ([3, 2], None)],
)
def test_the_knee_without_labels(alerts: list[int], expected: int | None) -> None:
    """The bend of a curve; a straight or flat one has none."""
    assert knee([Point(str(n), float(n), count) for n, count in enumerate(alerts)]) == expected


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("crowd:levels.red.above=2.5:5:0.5", ["2.5", "3", "3.5", "4", "4.5", "5"]),
        ("window=30s,1m", ["30s", "1m"]),
        ("levels.red.for=10s:1m:25s", ["10s", "35s", "1m"]),
        ("clear.margin=5%,10%", ["5%", "10%"]),
    ],
)
def test_sweeps_are_read(folder: Path, text: str, values: list[str]) -> None:
    """Ranges and lists of numbers, durations and shares."""
    assert list(parse_sweep(text, folder / "rules").values) == values


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("levels", "is no sweep"),
        ("levels.red.below=1:2:1", "no rule has levels.red.below"),
        ("other:window=1m", "there is no rule other"),
        ("crod:window=1m", "did you mean crowd"),
        ("levels.red.above=many,few", "'many' is not a duration"),
        ("levels.red.above=1:2:0", "range must go up"),
        ("levels.red.above=1:2", "is no range"),
        ("levels.red.above=1:1000:0.001", "at most 200"),
    ],
)
def test_unclear_sweeps_are_refused(folder: Path, text: str, complaint: str) -> None:
    """What cannot be meant is refused with a hint."""
    with pytest.raises(ConfigError, match=complaint):
        parse_sweep(text, folder / "rules")


def test_a_value_that_is_no_rule_is_said(folder: Path) -> None:
    """A yellow above the red one is refused by the checks; the sweep goes on without it."""
    curve = asked(folder, sweeps=("levels.yellow.above=2,9",)).curves[0]
    assert not curve.points[0].refused
    assert curve.points[1].refused


def test_one_value_changes_and_nothing_else(folder: Path) -> None:
    """The text of the file changes in that one place."""
    setting = next(iter(find_settings(folder / "rules", "levels.red.for")))
    before = (folder / "rules" / "crowd.yaml").read_text("utf-8")
    assert setting.changed("25s") == before.replace("above: 5.0, for: 10s", "above: 5.0, for: 25s")
