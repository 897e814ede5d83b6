"""What somebody who did something about a case is told: a named verdict, in Chinese and English."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from sensord.core.cases.case import STAGES, State
from sensord.core.level import NAMES, Level


class Verdict(StrEnum):
    """What became of an action."""

    NOTED = "noted"
    NOTED_BEFORE = "noted_before"
    SENSORS_AGREE = "sensors_agree"
    SENSORS_GIVEN_TIME = "sensors_given_time"
    CLOSED = "closed"
    CLOSES_AFTER_CALM = "closes_after_calm"
    KEPT = "kept"
    """It came after the end of the case, and is in its story."""
    ASKED = "asked"
    """It needs an approval: the supervisors, or who approves, have been asked."""
    NOBODY_TO_ASK = "nobody_to_ask"
    """It needs an approval, and whoever could be asked is off duty, out of reach or muted: its person must call."""
    VOIDED = "voided"
    EXTENDED = "extended"
    RETURNED = "returned"
    SILENCED = "silenced"
    UNSILENCED = "unsilenced"
    UNKNOWN_VERB = "unknown_verb"
    UNKNOWN_CASE = "unknown_case"
    UNKNOWN_SILENCE = "unknown_silence"
    TOO_MANY_STRANGERS = "too_many_strangers"
    TOO_MANY_LATE = "too_many_late"
    TOO_MUCH_ASKED = "too_much_asked"
    NOT_YOURS_TO_CLOSE = "not_yours_to_close"
    STILL_ALARMING = "still_alarming"
    WRONG_STAGE = "wrong_stage"
    NEEDS_NOTE = "needs_note"
    BAD_DEADLINE = "bad_deadline"
    SILENCE_WITHOUT_SCOPE = "silence_without_scope"
    SILENCE_OF_NOTHING = "silence_of_nothing"
    """It names what is not there: a slip of the pen would silence nothing, and nobody would know."""
    SILENCE_TOO_WIDE = "silence_too_wide"
    SILENCE_BAD_END = "silence_bad_end"
    TOO_MANY_SILENCES = "too_many_silences"
    NEEDS_APPROVER = "needs_approver"
    COUNTED = "counted"
    UNKNOWN_COMPOUND = "unknown_compound"
    NO_CAMERA = "no_camera"
    NOT_FOLLOWED = "not_followed"
    """There are no site keys, and so nobody is in any number."""
    COUNT_BELOW_ZERO = "count_below_zero"
    COUNT_TOO_LARGE = "count_too_large"
    COUNT_WITHOUT_TIME = "count_without_time"
    COUNT_TOO_OLD = "count_too_old"
    COUNT_TO_COME = "count_to_come"
    FAILED = "failed"
    """A mistake of ours kept it from being handled."""


_V = Verdict
_WORDS: dict[Verdict, tuple[str, str]] = {
    _V.NOTED: ("已记录", "noted"),
    _V.NOTED_BEFORE: ("此前已记录", "noted before"),
    _V.SENSORS_AGREE: ("已记录，传感器也已平静", "noted; the sensors agree"),
    _V.SENSORS_GIVEN_TIME: (
        "已记录；传感器仍报{level}，稍候核对",
        "noted; the sensors still report {level}, and are given time to agree",
    ),
    _V.CLOSED: ("已结案", "closed"),
    _V.CLOSES_AFTER_CALM: (
        "已记录；传感器平静满规定时间后结案",
        "noted; the case closes once the sensors have been calm for long enough",
    ),
    _V.KEPT: ("案件已{stage}，答复记入案件", "the case is {stage} already; the answer is kept"),
    _V.ASKED: ("{verb}需要审批，已报督办人", "{verb} needs an approval; the supervisors have been asked"),
    _V.NOBODY_TO_ASK: (
        "{verb}需要审批，但现在通知不到督办人或有审批权的人，请致电值班室",
        "{verb} needs an approval, and nobody who may decide can be told now: call the duty desk",
    ),
    _V.VOIDED: ("已作废", "void"),
    _V.EXTENDED: ("已延时", "extended"),
    _V.RETURNED: ("已回退，重新派遣", "returned; it is dispatched again"),
    _V.SILENCED: ("已静默，名称 {name}", "silenced as {name}"),
    _V.UNSILENCED: ("静默已结束", "the silence has ended"),
    _V.UNKNOWN_VERB: ("没有这个动作；可用：{known}", "the verb is not one of: {known}"),
    _V.UNKNOWN_CASE: ("没有这个案件", "no case has this id or code"),
    _V.UNKNOWN_SILENCE: ("没有这个静默", "no silence has this id"),
    _V.TOO_MANY_STRANGERS: (
        "名册以外的人答复太多；请以名册中的角色答复",
        "the case has heard too many who are not on the roster; answer as somebody of the roster",
    ),
    _V.TOO_MANY_LATE: ("案件已{stage}，答复太多", "the case is {stage} already, and has been answered too often"),
    _V.TOO_MUCH_ASKED: (
        "{verb}需要审批，而这个案件的申请已太多",
        "{verb} needs an approval, and too much was asked about this case already",
    ),
    _V.NOT_YOURS_TO_CLOSE: (
        "结案由预案的督办人、有审批权的角色和操作员进行；请改为报告“已疏散”",
        "closing is for the plan's supervisors, roles that approve and operators; report the end instead",
    ),
    _V.STILL_ALARMING: (
        "传感器仍报{level}：双方都认为结束才能结案",
        "the sensors still report {level}: a case closes when they agree that it is over",
    ),
    _V.WRONG_STAGE: ("案件处于{stage}阶段，不能{verb}", "{verb} is not possible while the case is {stage}"),
    _V.NEEDS_NOTE: ("{verb}要写明原因", "{verb} needs a note that says why"),
    _V.BAD_DEADLINE: (
        "新的期限不在将来，或超过一年",
        "the new deadline is not in the future, or more than a year away",
    ),
    _V.SILENCE_WITHOUT_SCOPE: (
        "静默要有范围：场所、规则、预案、标签或人员",
        "a silence needs a scope: places, rules, policies, labels or people",
    ),
    _V.SILENCE_OF_NOTHING: (
        "没有 {name}：静默范围只能写现有的场所、规则、预案、人员和规则的标签",
        "there is no {name}: a silence names places, rules, policies, people and labels of rules that exist",
    ),
    _V.SILENCE_TOO_WIDE: (
        "静默最多写 {most} 个场所、规则、预案、标签和人员",
        "a silence names at most {most} places, rules, policies, labels and people",
    ),
    _V.SILENCE_BAD_END: (
        "静默的结束时间要在将来三十天以内",
        "a silence needs an end in the future, at most thirty days away",
    ),
    _V.TOO_MANY_SILENCES: (
        "已有 {most} 个静默；请先结束一些",
        "{most} silences are in force already; end some of them",
    ),
    _V.COUNTED: (
        "已更正：在内 {most} 辆（此前记为 {name}）",
        "corrected: {most} vehicles are inside (it had been {name})",
    ),
    _V.UNKNOWN_COMPOUND: ("没有小区 {name}", "there is no compound {name}"),
    _V.NO_CAMERA: (
        "{name}的出入口没有摄像头，不统计在内车辆",
        "no gate of {name} has a camera: nobody counts who is inside",
    ),
    _V.NOT_FOLLOWED: (
        "没有可用的站点密钥，现在不统计在内车辆；请先恢复 plate.keys",
        "without site keys nobody counts who is inside: restore plate.keys first",
    ),
    _V.COUNT_BELOW_ZERO: ("在内车辆数不能小于零", "there cannot be fewer than no vehicles inside"),
    _V.COUNT_TOO_LARGE: (
        "{name}最多记 {most} 辆（车位数的十倍）；请核对数字和小区",
        "at most {most} vehicles (ten times the spaces) may be said to be inside {name}: look at number and compound",
    ),
    _V.COUNT_WITHOUT_TIME: ("没有写明何时清点（at）", "a count says when it was taken (at)"),
    _V.COUNT_TOO_OLD: (
        "收到时，这个数已是 {name} 之前清点的，不是现在的数；请重新清点",
        "the count was {name} old when it came, and says nothing of now: count again",
    ),
    _V.COUNT_TO_COME: (
        "写明的清点时间比收到时还晚 {name}；请核对发送方和本机的时钟",
        "the count is said to be of {name} after it came: look at the clocks of the sender and of this machine",
    ),
    _V.FAILED: (
        "未能全部处理：程序出错，已记入日志；请联系值班维护人员",
        "it could not be handled in full: a mistake of ours, see the log; call whoever looks after sensord",
    ),
    _V.NEEDS_APPROVER: ("{verb}需要有审批权的角色", "{verb} needs a role that approves"),
}
_VERBS = {
    "void": "作废",
    "extend": "延时",
    "return": "回退",
    "close": "结案",
    "silence": "静默",
    "unsilence": "结束静默",
    "count": "清点车辆",
}


def verb_name(verb: str, language: str) -> str:
    """What a verb is called in ``zh`` or ``en``."""
    return _VERBS.get(verb, verb) if language == "zh" else verb


class Answered(NamedTuple):
    """Whether an action was accepted, the verdict, and what its sentence speaks of."""

    accepted: bool
    verdict: Verdict
    level: Level = Level.NONE
    stage: State | None = None
    verb: str = ""
    name: str = ""
    most: int = 0

    def sentence(self, language: str) -> str:
        """Say in ``zh`` or ``en`` why it was accepted or not."""
        zh = language == "zh"
        return _WORDS[self.verdict][0 if zh else 1].format(
            level=NAMES[language][self.level] if self.level else "",
            stage=STAGES[self.stage][language] if self.stage is not None else "",
            verb=verb_name(self.verb, language),
            name=self.name,
            known=self.name,
            most=self.most,
        )


def accepted(verdict: Verdict, **about: object) -> Answered:
    """An action that was accepted."""
    return Answered(True, verdict, **about)  # type: ignore[arg-type]  # checked where it is written out


def refused(verdict: Verdict, **about: object) -> Answered:
    """An action that was refused."""
    return Answered(False, verdict, **about)  # type: ignore[arg-type]
