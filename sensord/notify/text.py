"""What a person reads on a chat or in an SMS: title, text and link as one text, cut to what the channel takes.

A limit in bytes is kept by cutting between characters, never inside one; the title, the marks of a late message and
of a possible repeat, and the link are kept whole, because they are what the reader cannot do without.
"""

from __future__ import annotations

from sensord.core.cases.notification import Reason
from sensord.core.instant import HOUR, MINUTE
from sensord.ports import Entry

_REPEATED = {"zh": "（可能重复）", "en": "(possibly repeated) "}
_LATE = {"zh": ("（迟到 {} 分钟）", "（迟到 {} 小时）"), "en": ("({} min late) ", "({} h late) ")}
_IN_TIME = 5 * MINUTE
_ANSWER = {"zh": "点此反馈：", "en": "Answer here: "}
_READ = {"zh": "点此阅读全文：", "en": "Read it in full: "}
_CUT = "…"


def title_of(entry: Entry) -> str:
    """The title, marked when the message comes late, or may have arrived before.

    What comes five minutes late speaks of a time that may be over: nobody is to run for last night's crowd.
    """
    notification = entry.notification
    late = _late(notification.language, entry.late)
    mark = _REPEATED.get(notification.language, _REPEATED["en"]) if entry.possibly_repeated else ""
    return late + mark + notification.title


def _late(language: str, late: int) -> str:
    if late < _IN_TIME:
        return ""
    minutes, hours = _LATE.get(language, _LATE["en"])
    return minutes.format(late // MINUTE) if late < 2 * HOUR else hours.format(late // HOUR)


def answer_line(entry: Entry) -> str:
    """The line that says where to answer (or read), with the line break before it; empty when there is no link."""
    texts = _READ if entry.notification.reason is Reason.REPORT_DUE else _ANSWER
    words = texts.get(entry.notification.language, texts["en"])
    return f"\n{words}{entry.link}" if entry.link else ""


def text_of(entry: Entry, longest: int = 0) -> str:
    """Everything as one text of at most ``longest`` bytes in UTF-8 (0: any length)."""
    notification = entry.notification
    tail = answer_line(entry)
    head = f"{title_of(entry)}\n"
    room = longest - len((head + tail).encode())
    body = notification.text if not longest else cut(notification.text, max(0, room))
    whole = head + body + tail
    return whole if not longest else cut(whole, longest)


def cut(text: str, longest: int) -> str:
    """Cut a text to at most ``longest`` bytes in UTF-8, with an ellipsis where something is missing."""
    raw = text.encode()
    if len(raw) <= longest:
        return text
    room = max(0, longest - len(_CUT.encode()))
    return (raw[:room].decode(errors="ignore") + _CUT) if longest >= len(_CUT.encode()) else ""
