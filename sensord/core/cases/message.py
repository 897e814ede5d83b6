"""What people read: titles and texts in Chinese and English, from a rule's template and the role's request.

Templates are plain: ``{name}`` with a name of ``PLACEHOLDERS``, nothing else (no attributes, no format codes). Read by
someone under stress: what happened, where, how bad, what to do.
"""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sensord.core.alert import Free, Gap, Vehicle
from sensord.core.cases.builtin import IDS
from sensord.core.cases.case import Case, CaseEvent
from sensord.core.cases.measured import measured, number
from sensord.core.cases.notification import MARK, PLATE, Reason
from sensord.core.cases.policy import Policy, Role
from sensord.core.instant import MINUTE, to_datetime
from sensord.core.level import NAMES
from sensord.core.place import Places
from sensord.core.region import registered
from sensord.core.rules.rule import Rule

PLACEHOLDERS = (
    "place",
    "grid",
    "level",
    "value",
    "threshold",
    "rule",
    "time",
    "samples",
    "device",
    "vehicle",
    "spaces",
)

_DEFAULT = {
    "zh": "{place}：{rule}，当前值 {measured}（阈值 {limit}），{level}预警，{time}。",
    "en": "{place}: {rule}, value {measured} (threshold {limit}), {level} warning, {time}.",
}
_COMBINED = {
    "zh": "{place}：{rule}：{parts}，{level}预警，{time}。",
    "en": "{place}: {rule}: {parts}, {level} warning, {time}.",
}
_UNUSUAL = {
    "zh": "{place}：{rule}，当前值 {measured}，超出此时段的平常范围（界限 {limit}），{level}预警，{time}。",
    "en": "{place}: {rule}, value {measured}, not usual at this hour (limit {limit}), {level} warning, {time}.",
}
_HEADING = {
    "zh": "{place}：{rule}，当前值 {measured}，预计不久将到达 {limit}，{level}提前预警，{time}。",
    "en": "{place}: {rule}, value {measured} and heading for {limit} before long, {level} early warning, {time}.",
}
_EXPECTED = {
    "zh": "{place}：{rule}，{time} 时值 {measured}，当时预计到达 {limit}{passed}；现在怎样，请以现场情况为准。",
    "en": "{place}: {rule}, at {time} the value was {measured}, and {limit} was expected{passed}; look how it is now.",
}
"""What is said later of a forecast, whatever the rule's own words: it tells of a rise that may be over."""
_PASSED = {"zh": "，预计的时间已过", "en": "; the time expected has passed"}
_TITLE = {
    "zh": {
        Reason.CASE_OPENED: "【{level}预警】{place}",
        Reason.LEVEL_ROSE: "【升级为{level}】{place}",
        Reason.ANOTHER_VEHICLE: "【又一辆·{level}】{place}",
        Reason.ANOTHER_TROUBLE: "【又一故障·{level}】{place}",
        Reason.ANOTHER_ALERT: "【又一预警·{level}】{place}",
        Reason.CASE_RELAPSED: "【再次{level}预警】{place}",
        Reason.CASE_RETURNED: "【改派·{level}】{place}",
        Reason.VERIFYING_ASKED: "【请核查】{place}",
        Reason.HAND_OVER: "【交接班·{level}】{place}",
        Reason.MUTE_ENDED: "【静默结束仍为{level}】{place}",
        Reason.NOT_ACKNOWLEDGED: "【无人响应·{level}】{place}",
        Reason.NOT_ON_THE_SCENE: "【无人到场·{level}】{place}",
        Reason.NOT_DISPERSED: "【尚未疏散·{level}】{place}",
        Reason.STEP_DUE: "【持续{level}预警】{place}",
        Reason.REPLACEMENT: "【请接替·{level}】{place}",
        Reason.NOT_DELIVERED: "【改用此方式通知·{level}】{place}",
        Reason.HELP_NEEDED: "【现场请求支援·{level}】{place}",
        Reason.OVERDUE: "【督办·超时】{place}",
        Reason.DISAGREEMENT: "【督办·报告与传感器不符】{place}",
        Reason.APPROVAL_ASKED: "【待审批】{place}",
        Reason.NOBODY_TOLD: "【无人值守，转您处置·{level}】{place}",
        Reason.CASE_CLOSED: "【已解除】{place}",
        Reason.CASE_VOID: "【已作废】{place}",
    },
    "en": {
        Reason.CASE_OPENED: "[{level} warning] {place}",
        Reason.LEVEL_ROSE: "[raised to {level}] {place}",
        Reason.ANOTHER_VEHICLE: "[another vehicle, {level}] {place}",
        Reason.ANOTHER_TROUBLE: "[another trouble, {level}] {place}",
        Reason.ANOTHER_ALERT: "[another alert, {level}] {place}",
        Reason.CASE_RELAPSED: "[{level} again] {place}",
        Reason.CASE_RETURNED: "[reassigned, {level}] {place}",
        Reason.VERIFYING_ASKED: "[please verify] {place}",
        Reason.HAND_OVER: "[handed over, {level}] {place}",
        Reason.MUTE_ENDED: "[silence over, still {level}] {place}",
        Reason.NOT_ACKNOWLEDGED: "[nobody answered, {level}] {place}",
        Reason.NOT_ON_THE_SCENE: "[nobody on the scene, {level}] {place}",
        Reason.NOT_DISPERSED: "[not dispersed yet, {level}] {place}",
        Reason.STEP_DUE: "[still {level}] {place}",
        Reason.REPLACEMENT: "[please stand in, {level}] {place}",
        Reason.NOT_DELIVERED: "[told another way, {level}] {place}",
        Reason.HELP_NEEDED: "[help needed on the scene, {level}] {place}",
        Reason.OVERDUE: "[supervise: overdue] {place}",
        Reason.DISAGREEMENT: "[supervise: report and sensors disagree] {place}",
        Reason.APPROVAL_ASKED: "[approval asked for] {place}",
        Reason.NOBODY_TOLD: "[nobody else on duty, {level}] {place}",
        Reason.CASE_CLOSED: "[all clear] {place}",
        Reason.CASE_VOID: "[void] {place}",
    },
}
_CLOSED = {
    "zh": "{place}：{rule}已解除，案件 {case} 已结案，{time}。感谢配合。",
    "en": "{place}: {rule} is over, case {case} is closed, {time}. Thank you.",
}
_VOID = {
    "zh": "{place}：{rule}，案件 {case} 已作废，无需处置，{time}。",
    "en": "{place}: {rule}, case {case} is void, nothing to do, {time}.",
}
_CALM = {
    "zh": "{place}：{rule}自 {time} 起已平静。",
    "en": "{place}: {rule} is calm since {time}.",
}
_UNWATCHED = {
    "zh": "{place}：{rule}自 {time} 起已过规则的有效时间，不再监测，现场情况不明。",
    "en": "{place}: {rule} is not watched since {time}, outside the rule's hours: how it is there is not known.",
}
_WITHDRAWN = {
    "zh": "{place}：{rule}的规则于 {time} 停用或修改，不再监测，没有看到已解除，现场情况不明。",
    "en": "{place}: the rule {rule} was taken out or changed at {time}: nobody has seen that it is over, and how it is "
    "there is not known.",
}
_CALM_LEVEL = {"zh": "已平静", "en": "calm"}
_UNWATCHED_LEVEL = {"zh": "不再监测", "en": "not watched"}
_UNREPORTED = {
    "zh": (
        "【已结案·未核实】{place}",
        "{place}：{rule}自 {time} 起不再监测，一直无人反馈，案件 {case} 已结案，是否已解除未经核实。",
    ),
    "en": (
        "[closed, not verified] {place}",
        "{place}: {rule}, not watched since {time}, nobody reported. Case {case} is closed, whether it is over or not.",
    ),
}
"""What is said at the end when nothing known, and nobody, says that it is over."""
_RETURNED = {
    "zh": "案件被退回，请到现场核查并反馈结果。",
    "en": "The case was given back: verify it on the scene, and report.",
}
_LOOK = {"zh": "请到现场核查并反馈结果。", "en": "Verify it on the scene, and report."}
_VERIFY = {"zh": "尚待现场核查并反馈结果。", "en": "Somebody has yet to verify on the scene, and to report."}
_WAIT = {"zh": "持续平静即自动结案。", "en": "It closes by itself if it stays calm."}
ENDS = {Reason.CASE_CLOSED: _CLOSED, Reason.CASE_VOID: _VOID}
"""What is said when a case has ended, by how."""
_LASTS = 5 * MINUTE
"""For so long what was free when the alert was raised is worth the way; whoever is told later is sent nowhere by it."""
_GONE_BY = {"zh": "附近目前的空车位情况不明", "en": "where spaces are free by now is not known"}
_TAIL = {"zh": "{lead}{links}{runbook}{ask}案件号：{case}", "en": " {lead}{links}{runbook}{ask} Case: {case}"}
_RUNBOOK = {"zh": "要点：{}", "en": "What to do: {} "}
_LONGEST_RUNBOOK = 500
"""So much of a rule's runbook stands in a message; configuration refuses longer ones, older definitions have them."""
_LEAD = {"zh": "牵头：{}。", "en": "Led by {}. "}
_LINKS = {"zh": "邻近相关案件 {} 起。", "en": "Related cases nearby: {}. "}


class Names(NamedTuple):
    """What texts call things: the places, plans and rules (name by language, by id), and the zone of their times."""

    places: Places
    plans: Mapping[str, Mapping[str, str]]
    rules: Mapping[str, Mapping[str, str]]
    zone: str

    def rule(self, rule: str, language: str) -> str:
        """The rule's name; of one of which no name is known, its id."""
        named = self.rules.get(rule, {})
        return named.get(language) or named.get("zh") or rule


def check_template(template: str) -> None:
    """Raise ``ValueError`` with what is wrong with a message template."""
    for _, name, spec, conversion in string.Formatter().parse(template):
        if name is None:
            continue
        if name not in PLACEHOLDERS:
            raise ValueError(f"{{{name}}} is no placeholder; known: {', '.join(PLACEHOLDERS)}")
        if spec or conversion:
            raise ValueError(f"{{{name}}} takes no format")


def compose(
    case: Case,
    rule: Rule | None,
    role: Role,
    reason: Reason,
    event: CaseEvent,
    language: str,
    names: Names,
    parts: str = "",
) -> tuple[str, str]:
    """Return (title, text) of one message to one role; ``event`` is what it tells of, ``parts`` says a combination's.

    Its time is that of its value: both are of the instant at which the alert was like that, whenever it is told.
    """
    places, zone = names.places, names.zone
    device = case.key if case.key in places.device_index else ""
    words = {
        "place": _where(case, language, places),
        "grid": places.name(case.grid, language),
        "level": NAMES[language][case.level],
        "value": number(case.value),
        "threshold": number(case.threshold),
        "measured": measured(rule, case.value, language),
        "limit": measured(rule, case.threshold, language),
        "parts": parts,
        "rule": names.rule(case.rule, language),
        "time": to_datetime(case.subject_at or event.at, zone).strftime("%m-%d %H:%M:%S"),
        "samples": str(case.samples),
        "device": device,
        "case": case.code or case.id,
        **_tail(case, language),
        # What is built in says itself what to do: nobody need go anywhere for it.
        "ask": "" if case.rule in IDS else role.ask.get(language, ""),
        "runbook": _runbook(rule, language),
        "vehicle": _vehicle(case.vehicle, role, language, zone),
        "spaces": _GONE_BY[language] if event.at - case.subject_at > _LASTS else _spaces(case.spaces, language, places),
        "gap": _gap(case.gap, language, names),
        "contact": _contact(case.key, language),
    }
    title = _TITLE[language][reason].format_map(words)
    template = _template(rule, event.at - case.subject_at, language)
    return title, (template + _TAIL[language]).format_map(words)


def compose_end(
    case: Case, rules: Sequence[str], reason: Reason, event: CaseEvent, language: str, names: Names
) -> tuple[str, str]:
    """Return (title, text) of the message that a case has ended, to whoever was told of alerts of these rules."""
    blind = bool(case.unwatched) and not case.claimed and reason is Reason.CASE_CLOSED
    words = _about(case, rules, case.cleared_at if blind else case.closed_at or event.at, language, names)
    forms = _UNREPORTED[language] if blind else (_TITLE[language][reason], ENDS[reason][language])
    return forms[0].format_map(words), forms[1].format_map(words)


def compose_calm(
    case: Case,
    rules: Sequence[str],
    ask: str,
    reason: Reason,
    event: CaseEvent,
    language: str,
    names: Names,
) -> tuple[str, str]:
    """Return (title, text) of a message about an open case in which nothing alarms any more: since when, what to do."""
    words = {
        **_about(case, rules, case.cleared_at or event.at, language, names),
        **_tail(case, language),
        "level": (_UNWATCHED_LEVEL if case.unwatched else _CALM_LEVEL)[language],
        "runbook": "",
        "ask": ask,
    }
    form = _CALM if not case.unwatched else _WITHDRAWN if case.withdrawn else _UNWATCHED
    text = form[language].format_map(words) + _TAIL[language].format_map(words)
    return _TITLE[language][reason].format_map(words), text


def ask_when_calm(case: Case, policy: Policy, role: Role, reason: Reason, language: str) -> str:
    """What is asked of somebody in a calm case: a report, or nothing; whoever asks for help needs it all the same."""
    if reason is Reason.HELP_NEEDED:
        return role.ask.get(language, "")
    if reason is Reason.VERIFYING_ASKED:
        return (_LOOK if case.unwatched else _RETURNED)[language]
    awaited = (case.unwatched or policy.close == "after_report") and not case.claimed
    return (_VERIFY if awaited else _WAIT)[language]


def _about(case: Case, rules: Sequence[str], at: int, language: str, names: Names) -> dict[str, str]:
    """What is said of a case of which no alert stands: where it is, of which rules people heard, and when."""
    return {
        "place": _where(case, language, names.places),
        "rule": ("、" if language == "zh" else ", ").join(names.rule(rule, language) for rule in rules),
        "time": to_datetime(at, names.zone).strftime("%m-%d %H:%M:%S"),
        "case": case.code or case.id,
    }


def _tail(case: Case, language: str) -> dict[str, str]:
    """Who leads, and how many cases nearby belong to it."""
    return {
        "lead": _LEAD[language].format(case.lead) if case.lead else "",
        "links": _LINKS[language].format(len(case.links)) if case.links else "",
    }


def _runbook(rule: Rule | None, language: str) -> str:
    """What the rule says is to be done, in the words of whoever wrote it: one sentence more, whatever it ends with."""
    book = "" if rule is None else rule.runbook
    # Nobody's own words may make a mark that is filled in on delivery.
    text = " ".join((book if isinstance(book, str) else book.get(language, "")).replace(MARK, "").split())
    if not text:
        return ""
    if len(text) > _LONGEST_RUNBOOK:
        text = f"{text[:_LONGEST_RUNBOOK]}…"
    elif text[-1].isalnum() and "://" not in text.rpartition(" ")[2]:
        text += "。" if language == "zh" else "."
    elif text[-1].isalnum():  # a link ends where the next space is
        text += " "
    return _RUNBOOK[language].format(text)


def _template(rule: Rule | None, age: int, language: str) -> str:
    """The words for an alert that is so old (ns)."""
    if rule is not None and rule.trend is not None and age > _LASTS:
        return _EXPECTED[language].replace("{passed}", _PASSED[language] if age > rule.trend.within else "")
    return (rule.message.get(language) if rule is not None else None) or _default(rule)[language]


def _default(rule: Rule | None) -> Mapping[str, str]:
    """The text of a rule that brings none."""
    if rule is not None and rule.combination is not None:
        return _COMBINED
    if rule is None or (rule.baseline is None and rule.trend is None):
        return _DEFAULT
    return _HEADING if rule.trend is not None else _UNUSUAL


def _where(case: Case, language: str, places: Places) -> str:
    """The place's name, and the device when the alert is about one."""
    device = case.key if case.key in places.device_index else ""
    place = places.name(case.place, language)
    return place + (f"（{device}）" if device and language == "zh" else f" ({device})" if device else "")


def _vehicle(vehicle: Vehicle | None, role: Role, language: str, zone: str) -> str:
    """Write the vehicle as the role may see it: plain (a mark, until it is delivered), masked, or not at all.

    Whoever sees something of the plate sees where it is registered, too. Who came in some time ago has the time.
    """
    shown = came = ""
    if vehicle is not None:
        shown = {"plain": PLATE, "masked": vehicle.mask}.get(role.plates, "")
        where = registered(vehicle.mask, language) if shown else ""
        if where:
            shown += f"（{where}）" if language == "zh" else f" ({where})"
        if vehicle.came_at:
            at = to_datetime(vehicle.came_at, zone).strftime("%m-%d %H:%M:%S")
            came = f"（{at} 驶入）" if language == "zh" else f" (came in at {at})"
    return " ".join(part for part in ({"zh": "车辆", "en": "a vehicle"}[language], shown) if part) + came


def _spaces(spaces: Sequence[Free], language: str, places: Places) -> str:
    """Write where the nearest free parking spaces are, nearest first."""
    known = [(places.name(one.place, language), one.count) for one in spaces if one.place in places.by_id]
    if language == "zh":
        named = "、".join(f"{name} {count} 个" for name, count in known)
        return f"最近的空车位：{named}" if named else "附近小区也没有已知的空车位"
    named = ", ".join(f"{name} ({count})" for name, count in known)
    return f"nearest free spaces: {named}" if named else "no free spaces are known nearby"


def _contact(key: str, language: str) -> str:
    """Write whose contact an alert is about, and over which channel."""
    person, _, channel = key.rpartition(":")
    return f"{person}（{channel}）" if language == "zh" else f"{person} ({channel})"


def _gap(gap: Gap | None, language: str, names: Names) -> str:
    """Write a hole in the roster: from when to when, in which shifts, of which plans."""
    if gap is None:
        return ""
    start, end = (to_datetime(at, names.zone).strftime("%m-%d %H:%M") for at in (gap.start, gap.end))
    plans = [names.plans.get(plan, {}).get(language) or plan for plan in gap.plans]
    if language == "zh":
        shifts = f"（班次{'、'.join(gap.shifts)}）" if gap.shifts else ""
        more = f"（另有 {gap.more} 段）" if gap.more else ""
        return f"{start} 至 {end}{shifts}，预案“{'”“'.join(plans)}”{more}"
    shifts = f" (shift {', '.join(gap.shifts)})" if gap.shifts else ""
    more = f" and at {gap.more} other times" if gap.more else ""
    return f"from {start} to {end}{shifts}{more}, for the plan {', '.join(plans)},"
