"""What a person reads on a chat or in an SMS: title, text and link as one text, cut to what the channel takes.

A limit in bytes is kept by cutting between characters, never inside one; the title, the mark of a possible repeat and
the link are kept whole, because they are what the reader cannot do without.
"""

from __future__ import annotations

from sensord.core.cases.notification import Reason
from sensord.ports import Entry

_REPEATED = {"zh": "（可能重复）", "en": "(possibly repeated) "}
_ANSWER = {"zh": "点此反馈：", "en": "Answer here: "}
_READ = {"zh": "点此阅读全文：", "en": "Read it in full: "}
_CUT = "…"
_NUMBERING = 20
"""What the number of a part and its line break take at most, in bytes."""


def title_of(entry: Entry) -> str:
    """The title, marked when the message may have arrived before."""
    notification = entry.notification
    mark = _REPEATED.get(notification.language, _REPEATED["en"]) if entry.possibly_repeated else ""
    return mark + notification.title


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


def texts_of(entry: Entry, longest: int) -> list[str]:
    """The message as the texts that are sent, each of at most ``longest`` bytes.

    A digest stands for many messages, so nothing of it is cut off: it is split between lines, and its parts numbered.
    """
    whole = text_of(entry)
    if entry.notification.reason is not Reason.DIGEST or len(whole.encode()) <= longest:
        return [text_of(entry, longest)]
    room = longest - len(title_of(entry).encode()) - len(answer_line(entry).encode()) - _NUMBERING
    parts: list[list[str]] = [[]]
    for line in entry.notification.text.split("\n"):
        if parts[-1] and len("\n".join([*parts[-1], line]).encode()) > room:
            parts.append([])
        parts[-1].append(line)
    texts = [f"{title_of(entry)} ({number}/{len(parts)})\n" + "\n".join(lines) for number, lines in enumerate(parts, 1)]
    texts[-1] += answer_line(entry)
    return [cut(text, longest) for text in texts]


def cut(text: str, longest: int) -> str:
    """Cut a text to at most ``longest`` bytes in UTF-8, with an ellipsis where something is missing."""
    raw = text.encode()
    if len(raw) <= longest:
        return text
    room = max(0, longest - len(_CUT.encode()))
    return (raw[:room].decode(errors="ignore") + _CUT) if longest >= len(_CUT.encode()) else ""
