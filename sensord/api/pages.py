"""The page behind the link in a message: what the case is, and a button for each answer. Made for a phone.

Rules: opening it changes nothing but what is told to be seen, and that only by a script, which the previews of chat
programs do not run. The address is the permission, so it must not leak: no referrer, no cache, nothing from elsewhere.
Chinese unless the browser asks for English; every text that comes from outside is escaped.
"""

from __future__ import annotations

import asyncio
import html
import secrets
import string
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import Annotated, Any, NamedTuple
from urllib.parse import parse_qs

from fastapi import APIRouter, Path, Query, Request, Response

from sensord.api.backend import Backend, Plain, Records
from sensord.api.links import AnswerLinks, Invitation, LinkError
from sensord.api.recording import decided, recorded
from sensord.api.records import document
from sensord.api.refusal import Refused
from sensord.core.cases.reports import CASE as REPORT_CASE
from sensord.core.outcome import Outcome
from sensord.core.record import ANSWERS, Action, Delivery, Receipt, Verb
from sensord.core.stream import Stream

_COLOURS = {"red": "#c8102e", "orange": "#e87722", "yellow": "#f2b705", "blue": "#0a5fc4"}
_LEVELS = {"red": "红色", "orange": "橙色", "yellow": "黄色", "blue": "蓝色", "none": "正常"}
_TEXTS: dict[str, dict[str, str]] = {
    "zh": {
        "acknowledge": "收到，我来处理",
        "on_the_way": "正在路上",
        "on_the_scene": "已到现场",
        "dispersed": "人群已疏散",
        "dealt_with": "已处置完毕",
        "false_alarm": "误报",
        "need_help": "需要支援",
        "note": "备注（可不填）",
        "level": "{level}预警，{opened}起。案件号：{case}",
        "calm": "曾为{level}预警，{opened}起，现已平静。案件号：{case}",
        "you": "以「{receiver}」的身份反馈",
        "taken": "「{answer}」{detail}。谢谢！",
        "refused": "「{answer}」没有被接受：{detail}。",
        "kept": "「{answer}」已记录，结果稍后可在这里看到。",
        "again": "还可以继续反馈：",
        "over": "案件已结束；如仍有情况，反馈会保留。",
        "gone": "查不到这个案件，无法反馈；如仍有情况，请电话联系值班室。",
        "expired": "这个链接已过期，请使用最新消息中的链接，或电话联系值班室。",
        "broken": "这个链接无效，请从消息中完整打开。",
        "unsaved": "暂时没能记录，请稍后再试，或电话联系值班室。",
        "wrong": "请点选一个反馈。",
        "no_report": "这份报告尚未生成，或已过保存期。",
        "other": "English",
    },
    "en": {
        "acknowledge": "Got it, I take it",
        "on_the_way": "On the way",
        "on_the_scene": "On the scene",
        "dispersed": "The crowd is gone",
        "dealt_with": "It is dealt with",
        "false_alarm": "False alarm",
        "need_help": "I need help",
        "note": "Remark (optional)",
        "level": "{level} warning since {opened}. Case: {case}",
        "calm": "Was a {level} warning since {opened}; it is calm now. Case: {case}",
        "you": "You answer as {receiver}",
        "taken": "“{answer}”: {detail}. Thank you!",
        "refused": "“{answer}” was not accepted: {detail}.",
        "kept": "“{answer}” is recorded; what becomes of it will be seen here in a moment.",
        "again": "You can go on answering:",
        "over": "The case has ended; an answer is kept all the same.",
        "gone": "This case is not known here and cannot be answered. If something is the matter, call the duty desk.",
        "expired": "This link has expired. Use the link of the newest message, or call the duty desk.",
        "broken": "This link is not valid. Open it from the message as a whole.",
        "unsaved": "It could not be recorded now. Try again in a moment, or call the duty desk.",
        "wrong": "Choose an answer.",
        "no_report": "This report is not made yet, or its time of keeping is over.",
        "other": "中文",
    },
}
_SEEN = 'fetch(location.pathname + "/seen", {method: "POST", keepalive: true});'

REMEMBERED = 10_000
"""So many messages are remembered as seen."""

Token = Annotated[str, Path(max_length=1000)]
Language = Annotated[str, Query(max_length=10)]


def routes(
    backend: Backend, links: AnswerLinks, records: Records, clock: Callable[[], int] = time.time_ns
) -> APIRouter:
    """The page, its button, and the note that it was seen. They are not part of the described API."""
    router = APIRouter(prefix="/a", include_in_schema=False)

    @router.get("/{token}")
    async def show(request: Request, token: Token, lang: Language = "") -> Response:
        page = _Page(_language(request, lang))
        try:
            invitation = links.read(token, clock())
        except LinkError as error:
            return page.refusal(error)
        if invitation.case == REPORT_CASE:
            return await _report(records, invitation, page)
        return page.ask(invitation, await _case(backend, invitation))

    @router.post("/{token}")
    async def answer(request: Request, token: Token, lang: Language = "") -> Response:
        page = _Page(_language(request, lang))
        try:
            invitation = links.read(token, clock())
        except LinkError as error:
            return page.refusal(error)
        if invitation.case == REPORT_CASE:
            return await _report(records, invitation, page)
        form = _form(await request.body())
        verb = next((one for one in ANSWERS if one.value == form.get("verb", [""])[0]), None)
        if verb is None:
            return page.ask(invitation, await _case(backend, invitation), _Said(page.texts["wrong"], 422))
        note = form.get("note", [""])[0].strip()[:500]
        action = Action(verb.value, invitation.case, invitation.receiver, "link", note)
        try:
            seq = await recorded(lambda: backend.act(action))
        except Refused as fault:
            said = page.texts["gone" if fault.status_code == 404 else "unsaved"]
            return page.ask(invitation, await _case(backend, invitation), _Said(said, fault.status_code))
        outcome = await decided(backend, seq, action)
        return page.became(invitation, await _case(backend, invitation), verb, outcome)

    _add_seen(router, backend, links, clock)
    return router


async def _case(backend: Backend, invitation: Invitation) -> Plain | None:
    """The case, and whether it is about a crowd (``crowd``): what may be said of one is not said of a device."""
    found = await asyncio.to_thread(backend.case, invitation.case)
    if found is None:
        return None
    rule = next((one for one in backend.definition.rules if one.id == found.get("rule")), None)
    return {**found, "crowd": rule is not None and rule.stream is Stream.CROWD}


async def _report(records: Records, invitation: Invitation, page: _Page) -> Response:
    """Show the report that a message told of, in full."""
    found = await asyncio.to_thread(records.report, invitation.event, "html", page.language)
    return document(found, "html") if found is not None else page.missing()


def _add_seen(router: APIRouter, backend: Backend, links: AnswerLinks, clock: Callable[[], int]) -> None:
    noted: OrderedDict[str, None] = OrderedDict()

    @router.post("/{token}/seen")
    async def seen(token: Token) -> Response:
        try:
            invitation = links.read(token, clock())
        except LinkError as error:
            zh, en = (_TEXTS[language][_why(error)] for language in ("zh", "en"))
            raise Refused(410 if error.expired else 404, en, zh=zh) from error
        if invitation.key not in noted:  # a page that is opened again and again must not fill the journal
            await recorded(lambda: backend.receipts([Receipt(invitation.key, Delivery.SEEN)]))
            noted[invitation.key] = None
            if len(noted) > REMEMBERED:
                noted.popitem(last=False)
        return Response(status_code=204)


def _form(body: bytes) -> dict[str, list[str]]:
    """Read a posted form; what is none is empty."""
    try:
        return parse_qs(body.decode("utf-8", "replace"), max_num_fields=10)
    except ValueError:
        return {}


def _language(request: Request, chosen: str) -> str:
    if chosen in _TEXTS:
        return chosen
    first = request.headers.get("accept-language", "").partition(",")[0].strip().lower()
    return "en" if first.startswith("en") else "zh"


def _why(error: LinkError) -> str:
    return "expired" if error.expired else "broken"


class _Said(NamedTuple):
    """What the page says above the buttons, with which status; ``after``: the answer that was just taken."""

    text: str = ""
    status: int = 200
    after: Verb | None = None


_NOTHING = _Said()


class _Page:
    """Writes the page in one language."""

    def __init__(self, language: str) -> None:
        self.language = language
        self.texts: Mapping[str, str] = _TEXTS[language]

    def refusal(self, error: LinkError) -> Response:
        """Say that the link is no good."""
        return self._write(410 if error.expired else 404, self.texts[_why(error)], "", "", "none")

    def missing(self) -> Response:
        """Say that there is no such report (any more)."""
        return self._write(404, self.texts["no_report"], "", "", "none")

    def became(self, invitation: Invitation, case: Plain | None, verb: Verb, outcome: Outcome | None) -> Response:
        """Say what became of an answer: accepted or refused, and why."""
        answer = self._answer(verb, case or {})
        if outcome is None:
            return self.ask(invitation, case, _Said(self.texts["kept"].format(answer=answer), after=verb))
        detail = outcome.detail if self.language == "zh" else outcome.detail_en
        said = self.texts["taken" if outcome.accepted else "refused"].format(answer=answer, detail=detail)
        return self.ask(invitation, case, _Said(said, after=verb if outcome.accepted else None))

    def _answer(self, verb: Verb, case: Mapping[str, Any]) -> str:
        """What the button of an answer says."""
        crowd = case.get("crowd") or verb is not Verb.DISPERSED
        return self.texts[verb.value if crowd else "dealt_with"]

    def ask(self, invitation: Invitation, case: Plain | None, said: _Said = _NOTHING) -> Response:
        """Show the case and the buttons, below what is to be said."""
        texts, known = self.texts, case or {}
        heading = known.get("place_name" if self.language == "zh" else "place_name_en") or invitation.case
        facts = [self._level(invitation, known)] if known else [texts["gone"]]
        facts += [texts["over"]] if known.get("closed_at") else []
        facts.append(texts["you"].format(receiver=invitation.receiver))
        main = f'<p class="said" role="status">{html.escape(said.text)}</p>' if said.text else ""
        main += f"<p>{html.escape(texts['again'])}</p>" if said.after is not None else ""
        main += self._form(known, said.after) if known else ""
        level = str(known.get("level", "none"))
        written = "".join(f"<p>{html.escape(fact)}</p>" for fact in facts)
        return self._write(said.status, str(heading), written, main, level, script="" if said.after else _SEEN)

    def _form(self, case: Mapping[str, Any], after: Verb | None) -> str:
        buttons = "".join(
            f'<button name="verb" value="{verb.value}">{html.escape(self._answer(verb, case))}</button>'
            for verb in ANSWERS
            if verb is not after
        )
        hint = html.escape(self.texts["note"])
        note = f'<input name="note" maxlength="500" autocomplete="off" placeholder="{hint}">'
        return f'<form method="post">{buttons}{note}</form>'

    def _level(self, invitation: Invitation, case: Mapping[str, Any]) -> str:
        level = str(case.get("level", "none"))
        calm = level == "none"
        level = str(case.get("peak", "none")) if calm else level
        word = _LEVELS.get(level, level) if self.language == "zh" else level
        opened = str(case.get("opened_at") or "")[5:16].replace("T", " ")
        name = str(case.get("code") or invitation.case)
        return self.texts["calm" if calm else "level"].format(level=word, opened=opened, case=name)

    def _write(self, status: int, heading: str, facts: str, main: str, level: str, script: str = "") -> Response:
        nonce = secrets.token_urlsafe(16)
        content = _template().substitute(
            lang="zh-CN" if self.language == "zh" else "en",
            nonce=nonce,
            heading=html.escape(heading),
            colour=_COLOURS.get(level, "#888"),
            facts=facts,
            main=main,
            other="en" if self.language == "zh" else "zh",
            other_name=html.escape(self.texts["other"]),
            script=f'<script nonce="{nonce}">{script}</script>' if script else "",
        )
        policy = (
            f"default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; connect-src 'self'; "
            "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
        )
        headers = {
            "content-security-policy": policy,
            "cache-control": "no-store",
            "referrer-policy": "no-referrer",
            "x-robots-tag": "noindex",
        }
        return Response(content, status_code=status, media_type="text/html", headers=headers)


def _template() -> string.Template:
    return string.Template(files("sensord.api").joinpath("page.html").read_text(encoding="utf-8"))
