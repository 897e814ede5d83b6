"""How what a rule saw is said in plain words: one sentence for a person under stress, in Chinese or English."""

from __future__ import annotations

from sensord.core.alert import Change, Transition
from sensord.core.instant import SECOND, format_duration
from sensord.core.level import NAMES, Level
from sensord.core.rules.derived import Measure
from sensord.core.rules.probe import Doubt, Sight
from sensord.core.rules.rule import Aggregate, Combination, Comparison, LevelSpec, Logic, Part, Rule
from sensord.words import language, say

_MEETS = {
    "zh": {
        Comparison.ABOVE: "高于",
        Comparison.AT_LEAST: "达到",
        Comparison.BELOW: "低于",
        Comparison.AT_MOST: "不高于",
        Comparison.OUTSIDE: "超出",
    },
    "en": {
        Comparison.ABOVE: "above",
        Comparison.AT_LEAST: "at least",
        Comparison.BELOW: "below",
        Comparison.AT_MOST: "at most",
        Comparison.OUTSIDE: "outside",
    },
}


HAPPENING = {
    "level_rose": ("级别上升", "level rose to"),
    "level_fell": ("级别下降", "level fell to"),
    "another_vehicle": ("又来一辆车", "another vehicle came"),
    "another_trouble": ("又有一处故障", "something else went wrong"),
    "another_alert": ("又一条告警", "another alert was raised"),
    "file": ("立案", "filed at"),
    "dispatch": ("派遣", "dispatched at"),
    "step_due": ("下一步到时", "the next step came due"),
    "link": ("与邻近案件关联", "linked to a case nearby"),
    "acknowledge": ("有人接单", "acknowledged"),
    "on_the_way": ("有人出发", "somebody is on the way"),
    "on_the_scene": ("有人到场", "somebody is on the scene"),
    "need_help": ("现场请求支援", "help needed"),
    "dispersed": ("报告已疏散", "reported as dispersed"),
    "false_alarm": ("报告为误报", "reported as a false alarm"),
    "all_clear": ("告警全部解除", "every alert cleared"),
    "unwatched": ("不再监测，没有看到已解除", "no longer watched, and not seen to be over"),
    "relapse": ("再次报警", "relapsed to"),
    "hand_over": ("答复的人已下班", "whoever had answered is off duty"),
    "disagree": ("报告与传感器不符，转督办", "report and sensors disagree: supervised"),
    "overdue": ("超时，转督办", "overdue: supervised"),
    "ask": ("申请审批", "an approval was asked for"),
    "extend": ("延时", "extended"),
    "return": ("回退", "returned"),
    "close": ("结案", "closed"),
    "void": ("作废", "void"),
    "late_answer": ("结案后的答复", "an answer after the end"),
}
REASON = {
    "case_opened": ("立案", "the case was opened"),
    "level_rose": ("级别上升", "the level rose"),
    "another_vehicle": ("又来一辆车", "another vehicle came"),
    "another_trouble": ("又有一处故障", "something else went wrong"),
    "another_alert": ("又一条告警", "another alert was raised"),
    "case_relapsed": ("再次报警", "it relapsed"),
    "case_returned": ("改派", "it was returned by somebody else"),
    "verifying_asked": ("请核查", "verifying is asked for"),
    "hand_over": ("交接班", "the shift has changed"),
    "mute_ended": ("静默结束", "the silence is over"),
    "not_acknowledged": ("无人接单", "nobody acknowledged"),
    "not_on_the_scene": ("无人到场", "nobody is on the scene"),
    "not_dispersed": ("尚未疏散", "it is not dispersed yet"),
    "step_due": ("持续未解除", "it lasts"),
    "replacement": ("接替未响应者", "stands in for somebody silent"),
    "not_delivered": ("前一种方式未送达", "the first way did not deliver"),
    "help_needed": ("现场请求支援", "help is needed"),
    "overdue": ("超时督办", "it is overdue"),
    "disagreement": ("报告与传感器不符", "report and sensors disagree"),
    "approval_asked": ("申请审批", "an approval is asked for"),
    "nobody_told": ("无人值守，转交", "nobody else is on duty"),
    "case_closed": ("结案", "the case is closed"),
    "case_void": ("已作废", "it is void"),
    "digest": ("汇总", "several messages in one"),
    "report_due": ("定时报告", "a scheduled report"),
    "held_nobody": ("没有人在岗且可联系", "nobody is on duty and reachable"),
    "held_no_step": ("预案在此级别不立即通知任何人", "the plan tells nobody of this level at once"),
    "held_level_fell": ("级别已下降", "the level has fallen"),
    "held_acknowledged": ("已有人接单", "somebody has acknowledged"),
    "held_silenced": ("已静默", "silenced"),
    "held_maintenance": ("维护时段", "maintenance"),
    "held_inhibited": ("被更大范围的告警覆盖", "an alarm of a larger place says it already"),
    "held_off_duty": ("已下班", "off duty"),
    "held_budget": ("超过每小时条数，进入汇总", "over the hourly budget; in the next digest"),
    "held_rate": ("超过每分钟条数，进入汇总", "over the robot's rate; in the next digest"),
    "held_storm": ("告警风暴，进入汇总", "alert storm; in the next digest"),
}


def word(table: dict[str, tuple[str, str]], name: str) -> str:
    """A named reason in the terminal's language."""
    return say(*table.get(name, (name, name)))


def number(value: float) -> str:
    """Write a value to three decimals at most, without trailing zeros."""
    return f"{value:,.3f}".rstrip("0").rstrip(".")


def level_name(level: Level) -> str:
    """The level in the terminal's language."""
    return NAMES[language()][level]


def after(one: Transition) -> str:
    """What an alert is after a transition: its level, or that nobody knows any more."""
    if one.change is Change.UNWATCHED:
        return say("不再监测（已过规则的有效时间）", "no longer watched (outside the rule's hours)")
    if one.change is Change.WITHDRAWN:
        return say("撤回（规则已停用或修改）", "withdrawn (the rule was taken out or changed)")
    return level_name(one.level)


def condition(rule: Rule, rung: LevelSpec) -> str:
    """Write what a rung asks for: ``高于 1.08``."""
    limits = _measured(rule, rung.threshold)
    if rung.low is not None:
        limits = f"[{_measured(rule, rung.low)}, {limits}]"
    return f"{_MEETS[language()][rule.comparison]} {limits}"


def window_of(rule: Rule) -> str:
    """Write what a rule's window is."""
    if rule.session:
        gap = format_duration(rule.session)
        return say(f"一次活动（空 {gap} 为止）", f"a session (until {gap} are empty)")
    if rule.readings:
        return say(f"最近 {rule.readings} 条读数", f"the last {rule.readings} readings")
    return format_duration(rule.window)


def combined(combination: Combination) -> str:
    """Write what a combination looks at."""
    names = [_asked(part) for part in combination.parts]
    within = format_duration(combination.within)
    return {
        Logic.ALL: say(f"{within} 内都告警：", f"all within {within}: ") + ", ".join(names),
        Logic.ANY: say("任一告警：", "any of: ") + ", ".join(names),
        Logic.SEQUENCE: say(f"{within} 内依次告警：", f"one after the other within {within}: ") + " → ".join(names),
        Logic.MISSING: say(
            f"{names[0]} 之后 {within} 内没有 {names[-1]}", f"no {names[-1]} within {within} after {names[0]}"
        ),
    }[combination.logic]


def _measured(rule: Rule, value: float) -> str:
    """Write what rungs are held against, in its own unit."""
    if rule.baseline is None:
        return number(value)
    if rule.baseline.measure is Measure.RATIO:
        return say(f"平常的 {number(value)} 倍", f"{number(value)} times the usual")
    return f"{number(value)} sigma"


def seen(rule: Rule, sight: Sight) -> str:
    """Write the value, or why there is none."""
    if sight.doubt is not Doubt.NONE:
        return say("未知：", "unknown: ") + doubt(rule, sight)
    if rule.combination is not None:
        return _parts(rule.combination, sight)
    if rule.stuck is not None:
        return say(f"已 {number(sight.value or 0)} 秒不变", f"still for {number(sight.value or 0)} s")
    if rule.absent:
        return say(f"已 {number(sight.value or 0)} 秒没有消息", f"silent for {number(sight.value or 0)} s")
    if sight.value is None:
        return say("逐条判断", "each reading by itself")
    read = say(f"{sight.samples} 条读数", f"{sight.samples} readings")
    read = at_least(rule, sight.samples) if _together(rule) else read
    return say(f"{number(sight.value)}（{read}）", f"{number(sight.value)} (from {read})") + _derived(
        rule, sight.derived
    )


def _parts(combination: Combination, sight: Sight) -> str:
    """Name the rules that are in alarm, and those that are not, with how long ago they were."""
    on, off = list[str](), list[str]()
    for part, stands, ended in zip(combination.parts, sight.on, sight.since, strict=True):
        ago = "" if ended is None else age(ended, sight.at)
        was = say(f"（{ago} 前还有）", f" (it was, {ago} ago)") if ago else ""
        (on if stands else off).append(_asked(part) + was)
    told = [say("在告警：", "in alarm: ") + say("、", ", ").join(on)] if on else []
    told += [say("没有告警：", "not in alarm: ") + say("、", ", ").join(off)] if off else []
    return say("；", "; ").join(told)


def _asked(part: Part) -> str:
    """A part as rules write it: the rule, and the level from which on it counts."""
    return part.rule + (f"≥{level_name(part.at_least)}" if part.at_least > Level.BLUE else "")


def _derived(rule: Rule, derived: float | None) -> str:
    """What the baseline or the trend makes of the value; nothing without one."""
    if derived is None:
        return ""
    if rule.trend is not None:
        ahead = format_duration(rule.trend.within)
        return say(f"，预计 {ahead} 后 {number(derived)}", f", expected in {ahead}: {number(derived)}")
    if rule.baseline is not None and rule.baseline.measure is Measure.RATIO:
        return say("，是", ", ") + _measured(rule, derived)
    return say(f"，偏离平常 {number(derived)} sigma", f", {number(derived)} sigma from the usual")


def _together(rule: Rule) -> bool:
    """Whether the value is of several sensors together, and its samples those of the one that has the fewest."""
    return rule.value is not None and rule.value.aggregate is Aggregate.TOTAL


def at_least(rule: Rule, samples: int) -> str:
    """Say of how many readings a value is at least, or has to be."""
    if _together(rule):
        return say(f"每个传感器至少 {samples} 条读数", f"at least {samples} readings of each sensor")
    return say(f"至少 {samples} 条读数", f"at least {samples} readings")


def _too_few(rule: Rule, samples: int) -> str:
    if _together(rule):
        return say(
            f"窗口内有传感器只有 {samples} 条读数，每个至少要 {rule.min_samples} 条，没看到的不算没有",
            f"a sensor here has only {samples} readings in the window, {rule.min_samples} of each are needed, and what "
            "is missed is not known to be nothing",
        )
    return say(
        f"窗口内只有 {samples} 条读数，至少要 {rule.min_samples} 条",
        f"only {samples} readings in the window, {rule.min_samples} are needed",
    )


def doubt(rule: Rule, sight: Sight) -> str:
    """Say why the value is unknown."""
    window = window_of(rule)
    texts = {
        Doubt.NO_VALUE: say("窗口内没有这个数值", "no reading of the window carries the value"),
        Doubt.TOO_FEW: _too_few(rule, sight.samples),
        Doubt.WARMING_UP: say(
            f"规则生效还不满一个窗口（{window}）", f"the rule has not been in force for a whole window ({window}) yet"
        ),
        Doubt.BLIND: say("这里的传感器全部失联或卡住", "every sensor here is silent or stuck"),
        Doubt.PARTLY_BLIND: say(
            f"只看到一部分，{'、'.join(sight.unseen)} 失联或卡住，没看到的不算没有",
            f"seen in part: {', '.join(sight.unseen)} silent or stuck, and what is missed is not known to be nothing",
        ),
        Doubt.RECOUNTED: say(
            "站点密钥恢复之前进来的车，不在数里；人工清点一次（sensord count）就知道",
            "vehicles that came before the site keys were back are in no number, until somebody counts (sensord count)",
        ),
        Doubt.ASLEEP: say("不在规则的有效时间内", "the rule is outside its active times"),
        Doubt.LEARNING: say("还在学习这里平常是怎样的", "it is still learning what is usual here")
        if rule.trend is None
        else say("看到的时间还太短，说不出趋势", "too little has been seen yet for a trend"),
    }
    return texts[sight.doubt]


def verdict(rule: Rule, sight: Sight) -> str:
    """Say why the level is what it is, and what is missing for the next one or for the end."""
    if sight.doubt is Doubt.ASLEEP:
        return say(
            "此时不升级；已有的级别过了解除时间就结束，没有已知数值说明平静的，记为不再监测。",
            "Nothing is raised now; what is active ends after its time to clear, as no longer watched unless it is "
            "known to be calm.",
        )
    if rule.combination is not None or (rule.stuck is not None and sight.doubt is Doubt.NONE):
        return _plainly(rule, sight)
    if sight.doubt is not Doubt.NONE:
        return say(
            "看不清时既不升级也不解除，所有计时重新开始。",
            "What is unknown neither raises nor clears, and restarts every clock.",
        )
    return " ".join([*_upwards(rule, sight), *_downwards(rule, sight)])


def _plainly(rule: Rule, sight: Sight) -> str:
    """Rules on stillness and on other rules: one level, on or off."""
    name, hold = level_name(sight.level), format_duration(rule.clear.hold)
    if rule.stuck is not None:
        allowed = format_duration(rule.stuck.hold or rule.stuck.zero)
        if sight.level:
            return say(f"{name}：读数一变化就解除。", f"{name}: it ends when the readings move.")
        return say(f"还不到 {allowed}，不算卡住。", f"That is less than {allowed}, so it is not stuck yet.")
    if sight.level:
        return say(f"{name}：条件不再成立 {hold} 后解除。", f"{name}: it ends {hold} after its condition ceases.")
    return say("条件不成立。", "Its condition does not hold.")


def _upwards(rule: Rule, sight: Sight) -> list[str]:
    """Why the next rung above the level does not apply; nothing at the highest one."""
    above = [(index, rung) for index, rung in enumerate(rule.levels) if rung.level > sight.level]
    if not above or rule.absent:
        return _silence(rule) if above else []
    index, rung = above[0]
    name, asked = level_name(rung.level), condition(rule, rung)
    since = sight.since[index] if sight.since else None
    if not rule.every:
        return [say(f"没有读数{asked}（{name}）。", f"No reading was {asked} ({name}).")]
    if rung.needed:
        text = say(
            f"最近 {rung.among} 次计算中{asked}（{name}）还不到 {rung.needed} 次。",
            f"Fewer than {rung.needed} of the last {rung.among} evaluations were {asked} ({name}).",
        )
        return [text]
    if since is None:
        return [say(f"没有{asked}（{name}）。", f"It is not {asked} ({name}).")]
    held, asked_for = sight.end - since, rung.hold
    left = format_duration(max(asked_for - held, 0))
    return [
        say(
            f"{asked}（{name}）已 {format_duration(held)}，要持续 {format_duration(asked_for)}，还差 {left}。",
            f"It has been {asked} ({name}) for {format_duration(held)} of {format_duration(asked_for)}; {left} to go.",
        )
    ]


def _silence(rule: Rule) -> list[str]:
    periods = number(rule.absent)
    return [
        say(
            f"还不到 {periods} 个上报周期，不算失联。",
            f"That is less than {periods} of the device's periods, so it is not silent yet.",
        )
    ]


def _downwards(rule: Rule, sight: Sight) -> list[str]:
    """What keeps the level; nothing when there is none."""
    held = [index for index, rung in enumerate(rule.levels) if rung.level <= sight.level]
    if not held:
        return []
    index = held[-1]
    name = level_name(sight.level)
    if not rule.every or rule.absent:
        hold = format_duration(rule.clear.hold)
        return [
            say(f"{name}：有新消息就解除。", f"{name}: it ends with the next message.")
            if rule.absent
            else say(f"{name}：{hold}内没有同样的读数就解除。", f"{name}: it ends after {hold} without another.")
        ]
    quiet = sight.quiet[index] if sight.quiet else None
    flapping = rule.flapping if sight.flapping else None
    longest = max(rule.clear.hold, flapping.hold) if flapping is not None else rule.clear.hold
    leave, hold = _measured(rule, exit_of(rule, index)), format_duration(longest)
    if flapping is not None:
        often, within = flapping.raises, format_duration(flapping.within)
        hold += say(
            f"（{within}内报警 {often} 次，抖动，延长保持）",
            f" (flapping: raised {often} times in {within}, so held longer)",
        )
    since = sight.since[index] if sight.since else None
    if since is not None:
        rung, held_for = rule.levels[index], format_duration(sight.end - since)
        asked, asked_for = condition(rule, rung), format_duration(rung.hold)
        return [
            say(
                f"{asked}（{name}）已 {held_for}，要求 {asked_for}。越过解除线 {leave} 并保持 {hold} 才降级。",
                f"It has been {asked} ({name}) for {held_for}, {asked_for} are asked for. "
                f"It is left once the value stays beyond {leave} for {hold}.",
            )
        ]
    if quiet is None:
        return [
            say(
                f"{name}：要越过解除线 {leave} 并保持 {hold} 才降级。",
                f"{name}: it is left once the value stays beyond {leave} for {hold}.",
            )
        ]
    calm, left = sight.end - quiet, format_duration(max(longest - (sight.end - quiet), 0))
    return [
        say(
            f"{name}：已越过解除线 {leave} 共 {format_duration(calm)}，要满 {hold}，还差 {left}。",
            f"{name}: beyond {leave} for {format_duration(calm)} of {hold}; {left} to go.",
        )
    ]


def exit_of(rule: Rule, index: int) -> float:
    """The value beyond which a rung's clear clock runs."""
    rising = rule.comparison in (Comparison.ABOVE, Comparison.AT_LEAST)
    margin = rule.clear.margin[index]
    return rule.levels[index].threshold + (-margin if rising else margin)


def age(instant: int, now: int) -> str:
    """How long ago, to the second; below ten seconds to the tenth."""
    passed = now - instant
    return f"{passed / SECOND:.1f}s" if passed < 10 * SECOND else format_duration(passed // SECOND * SECOND)
