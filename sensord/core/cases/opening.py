"""What comes first in a message: who asks for what, which stage is late, who has answered, in whose stead it comes."""

from __future__ import annotations

from sensord.core.cases.call import Call
from sensord.core.cases.case import STAGES, CaseEvent, State
from sensord.core.cases.notification import MARK, Reason
from sensord.core.cases.verdict import verb_name

HAS_LEFT = "off duty"
"""The cause of an event by which a case is handed over because whoever had answered is off duty."""
NOT_REACHED = "not reached"
"""The cause of an event by which somebody is told in the stead of whom nothing reaches; its note names that one."""
_HANDED = {
    "zh": (
        "交接班，此前无人答复。",
        "交接班，{by}已于 {time} {said}，仍在岗。",
        "交接班，{by}曾于 {time} {said}，现已下班，请接手。",
    ),
    "en": (
        "The shift has changed; nobody has answered so far. ",
        "The shift has changed; {by} {said} at {time} and is still on duty. ",
        "The shift has changed; {by} {said} at {time} and is off duty now: take it over. ",
    ),
}
_ANSWERED = {
    "zh": {"acknowledge": "接单", "on_the_way": "出发", "on_the_scene": "到场", "need_help": "请求支援"},
    "en": {
        "acknowledge": "acknowledged",
        "on_the_way": "set out",
        "on_the_scene": "was on the scene",
        "need_help": "asked for help",
    },
}
_SAID = {
    "zh": {
        Reason.HELP_NEEDED: "{by}请求支援{why}。",
        Reason.APPROVAL_ASKED: "{by}申请{verb}{why}。",
        Reason.OVERDUE: "{stage}阶段已超过时限。",
    },
    "en": {
        Reason.HELP_NEEDED: "{by} asks for help{why}. ",
        Reason.APPROVAL_ASKED: "{by} asks to {verb}{why}. ",
        Reason.OVERDUE: "The stage {stage} takes longer than its limit. ",
    },
}
"""What comes first where somebody is to decide or to help: who says what, and why."""
_MISSED = {"zh": "{by}联系不上，未收到通知。", "en": "{by} cannot be reached, and was not told. "}
"""What comes before all else where somebody is told in the stead of another."""
_LONGEST_NOTE = 100
"""So much of somebody's own words stands in a message; the case has them all."""


def opening(event: CaseEvent, reason: Reason, language: str, call: Call | None) -> str:
    """Say who is not reached, who asks for what and why, which stage takes too long, who has answered; else nothing.

    ``call`` is what is told, when that is of another event.
    """
    if reason is Reason.HAND_OVER:
        return _handed_over(event, language)
    missed = _MISSED[language].format(by=event.note) if event.cause == NOT_REACHED else ""
    form, said = _SAID[language].get(reason), call or event
    if form is None:
        return missed
    if reason is Reason.OVERDUE:
        return missed + form.format(stage=STAGES[State(said.cause.partition(" ")[0])][language])
    verb, _, why = said.note.partition(": ") if reason is Reason.APPROVAL_ASKED else ("", "", said.note)
    # Nobody's own words may make a mark that is filled in on delivery.
    why = " ".join(why.replace(MARK, "").split())
    why = why if len(why) <= _LONGEST_NOTE else f"{why[:_LONGEST_NOTE]}…"
    colon = "：" if language == "zh" else ": "
    asked = form.format(by=said.cause, verb=verb_name(verb, language), why=f"{colon}{why}" if why else "")
    return missed + asked


def _handed_over(event: CaseEvent, language: str) -> str:
    """Say who has answered so far, with what and when, and whether they have left; the event's note has it all."""
    forms = _HANDED[language]
    if not event.note:
        return forms[0]
    verb, day, time, person = event.note.split(" ", 3)
    return forms[2 if event.cause == HAS_LEFT else 1].format(
        by=person, time=f"{day} {time}", said=_ANSWERED[language][verb]
    )
