"""The answer of ``sensord explain`` as text: one screen, newest last, in Chinese or English."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sensord.commands.sights import (
    HAPPENING,
    REASON,
    after,
    age,
    at_least,
    combined,
    condition,
    exit_of,
    level_name,
    number,
    seen,
    verdict,
    window_of,
    word,
)
from sensord.core.cases.case import CaseEvent
from sensord.core.instant import SECOND, format_duration, to_datetime
from sensord.core.level import Level
from sensord.core.rules.probe import Doubt, Sight
from sensord.core.rules.rule import Rule
from sensord.drivers.explain import Explanation, SeenReading
from sensord.drivers.failures import sentence
from sensord.phrasebook import told
from sensord.words import language, say

SHOWN = 6
"""Readings, evaluations and changes that are shown: the newest ones, so that all fits on a screen."""


MOST_LINES = 18
"""Lines of a case's story; of a longer one the middle is left out."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An explanation, ready to be written. ``deliveries`` tells, by case, what became of its notifications."""

    found: Explanation
    zone: str
    deliveries: Callable[[str], dict[str, str]]

    def lines(self) -> Iterator[str]:
        """Yield the lines."""
        yield from self._heading()
        yield from self._rule()
        yield from self._readings()
        yield from self._evaluations()
        yield from self._failures()
        yield from self._changes()
        yield from self._cases()

    def _time(self, instant: int) -> str:
        return to_datetime(instant, self.zone).strftime("%m-%d %H:%M:%S")

    # -- what it comes down to ---------------------------------------------------------------------------------------

    def _heading(self) -> Iterator[str]:
        found, rule = self.found, self.found.rule
        places = found.site.places
        where = f"{places.name(found.key, language())}（{found.key}）" if found.key in places.by_id else found.key
        name = rule.name.get(language(), rule.id)
        yield f"{name} · {where} · {to_datetime(found.at, self.zone).isoformat(timespec='seconds')}"
        level = level_name(found.level) if found.level else say("没有告警", "no alert")
        last = found.sights[-1] if found.sights else None
        yield say(f"结论  {level}。", f"In short   {level}. ") + (
            self._reason(last) if last is not None else _nothing(rule)
        )
        for device, silence in found.silent.items():
            since, ago = self._time(silence.since), age(silence.since, found.at)
            if silence.never:
                never = say(f"{device} 从未有过消息（自 {since} 起）", f"{device} was never heard (since {since})")
                yield _under(never)
                continue
            yield _under(
                say(
                    f"{device} 已失联 {ago}（最后一次 {since}）",
                    f"{device} has been silent for {ago} (last heard at {since})",
                )
            )

    def _reason(self, last: Sight) -> str:
        text = f"{seen(self.found.rule, last)}. {verdict(self.found.rule, last)}".strip().replace("。.", "。")
        still = self.found.at - last.at
        if last.doubt is Doubt.NONE and self.found.rule.every and still > 2 * self.found.rule.every:
            text += say(
                f" 此后 {format_duration(still // SECOND * SECOND)} 没有任何读数，也就没有变化。",
                f" Nothing was received in the {format_duration(still // SECOND * SECOND)} since, so nothing changed.",
            )
        if self.found.withheld:
            why = say("、", ", ").join(word(REASON, reason) for reason in self.found.withheld)
            text += say(f" 没有通知人员：{why}。", f" People are not told: {why}.")
        return text if language() == "en" else text.replace(". ", "。")

    def _rule(self) -> Iterator[str]:
        rule = self.found.rule
        yield say("规则  ", "The rule   ") + f"{rule.id} @{self.found.version}: {_what(rule)}"
        levels = []
        for index, rung in enumerate(rule.levels):
            hold = say(f" 持续 {format_duration(rung.hold)}", f" for {format_duration(rung.hold)}") if rung.hold else ""
            if rung.needed:
                hold = say(
                    f" 最近 {rung.among} 次中 {rung.needed} 次", f" at {rung.needed} of {rung.among} evaluations"
                )
            leave = say(f"，解除线 {number(exit_of(rule, index))}", f", left beyond {number(exit_of(rule, index))}")
            asked = f" {condition(rule, rung)}{hold}{leave if rule.every else ''}" if rule.value is not None else ""
            levels.append(level_name(rung.level) + asked)
        clear = format_duration(rule.clear.hold)
        yield _under(
            "; ".join(levels) + (say(f"；解除要保持 {clear}", f"; cleared after {clear}") if not rule.absent else "")
        )

    # -- what was seen -----------------------------------------------------------------------------------------------

    def _readings(self) -> Iterator[str]:
        if self.found.rule.absent or self.found.rule.combination is not None:
            return
        shown = self.found.readings[-SHOWN:]
        yield say(f"读数（最近 {len(shown)} 条）", f"Readings (newest {len(shown)})")
        for one in shown:
            yield _under(f"{self._time(one.event_at)}  {one.device}  {_content(self.found.rule, one)}{self._mark(one)}")

    def _mark(self, one: SeenReading) -> str:
        if one.late:
            late = age(one.event_at, one.received_at)
            return say(f"  迟到 {late}，不计入", f"  {late} late: does not count")
        return "" if one.counts else say("  不符合 where，不计入", "  not what the rule looks for: does not count")

    def _evaluations(self) -> Iterator[str]:
        rule = self.found.rule
        if not (rule.every or rule.absent or rule.stuck):
            return
        shown = self.found.sights[-SHOWN:]
        yield say(f"计算（最近 {len(shown)} 次）", f"Evaluations (newest {len(shown)})")
        for one in shown:
            said = f"{seen(self.found.rule, one)}  {level_name(one.level)}"
            yield _under(say("截至 ", "up to ") + f"{self._time(one.end)}  {said}")

    def _failures(self) -> Iterator[str]:
        """What could not be handled, each once, with how often and when last: it may be why nothing changed."""
        times: dict[str, list[int]] = {}
        for one in self.found.failures:
            times.setdefault(sentence(one), []).append(one.at)
        for text, instants in list(times.items())[-SHOWN:]:
            often = say(f"（{len(instants)} 次）", f" ({len(instants)} times)") if len(instants) > 1 else ""
            yield say("出错  ", "Failed     ") + f"{self._time(instants[-1])}  {told(text)}{often}"

    def _changes(self) -> Iterator[str]:
        for one in self.found.transitions[-SHOWN:]:
            value = "" if one.value is None else say(f"，值 {number(one.value)}", f", value {number(one.value)}")
            step = f"{level_name(one.previous)} → {after(one)}"
            yield say("变化  ", "Change     ") + f"{self._time(one.at)}  {step}{value}"

    # -- who was told ------------------------------------------------------------------------------------------------

    def _cases(self) -> Iterator[str]:
        """The newest case in full, as far as a screen holds it."""
        cases = list(dict.fromkeys(event.case for event in self.found.events))
        if not cases:
            return
        earlier = say(f"（之前还有 {len(cases) - 1} 个）", f" ({len(cases) - 1} before it)") if len(cases) > 1 else ""
        yield say("案件  ", "Case       ") + cases[-1] + earlier
        lines = [line for event in self.found.events if event.case == cases[-1] for line in self._event(event)]
        if len(lines) > MOST_LINES:
            left_out, kept = len(lines) - MOST_LINES, MOST_LINES // 2
            lines[kept:-kept] = [say(f"……省略 {left_out} 行", f"... {left_out} lines left out")]
        yield from map(_under, lines)

    def _event(self, event: CaseEvent) -> Iterator[str]:
        """One step of a case, and who was told of it, or was not."""
        states = self.deliveries(event.case)
        level = f" {level_name(event.level)}" if event.level is not Level.NONE else ""
        yield f"{self._time(event.at)}  {word(HAPPENING, event.happening)}{level}"
        for note in (one for one in self.found.notifications if one.event == event.id):
            state = f" [{states[note.key]}]" if note.key in states else ""
            yield f"  → {note.receiver} ({note.channel}): {word(REASON, note.reason)}{state}"
        for hold in (one for one in self.found.holds if one.event == event.id):
            yield f"  ✗ {hold.role}: {word(REASON, hold.reason)}"


def _under(text: str) -> str:
    return f"      {text}"


def _what(rule: Rule) -> str:
    if rule.absent:
        return say(f"连续 {number(rule.absent)} 个上报周期没有消息", f"{number(rule.absent)} periods without a message")
    if rule.combination is not None:
        return combined(rule.combination)
    stream = rule.stream.word if rule.stream is not None else ""
    where = "".join(f" {name}={'|'.join(words)}" for name, words in rule.where.items())
    if rule.stuck is not None:
        field = rule.stuck.field
        return say(
            f"{stream}{where} 的 {field} 太久不变或为零", f"{field} of {stream}{where} does not move, or is zero"
        )
    if not rule.every:
        return say(
            f"{stream}{where} 的 {rule.value}，逐条判断", f"{rule.value} of {stream}{where}, each reading by itself"
        )
    window, every, needed = window_of(rule), format_duration(rule.every), at_least(rule, rule.min_samples)
    return say(
        f"{stream}{where} 的 {rule.value}，窗口 {window}，每 {every} 算一次，{needed}",
        f"{rule.value} of {stream}{where} over {window}, every {every}, from {needed}",
    )


def _content(rule: Rule, one: SeenReading) -> str:
    """The value, and the labels that the rule asks for."""
    parts = [] if one.value is None else [number(one.value)]
    return " ".join([*parts, *(f"{name}={one.labels[name]}" for name in rule.where if name in one.labels)])


def _nothing(rule: Rule) -> str:
    if rule.combination is not None:
        return say("还没有任何一条规则报过警。", "None of its rules has raised an alert yet.")
    if not rule.every:
        return say("还没有符合的读数。", "No reading has met it yet.")
    return say(
        "这段时间里没有读数，规则没有可算的内容，也就没有变化。",
        "There were no readings in this stretch: nothing to evaluate, so nothing changed.",
    )
