"""The words that an SMS template may hold, and how they are filled in."""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from sensord.core.level import NAMES
from sensord.notify.text import title_of
from sensord.ports import Entry

_PLACEHOLDER = re.compile(r"\{([a-z]+)\}")


def words_of(entry: Entry, most: int, secret: str = "") -> dict[str, str]:
    """What each placeholder stands for; the text has at most ``most`` characters."""
    one = entry.notification
    return {
        "phone": one.address,
        "title": title_of(entry),
        "text": one.text if len(one.text) <= most else one.text[: most - 1] + "…",
        "link": entry.link,
        "place": one.place,
        "level": NAMES[one.language if one.language in NAMES else "en"][one.level],
        "case": one.case,
        "key": one.key,
        "secret": secret,
    }


def fill(template: str, words: Mapping[str, str]) -> str:
    """Put the words in; inside a value that is itself JSON text they are escaped."""
    inside_json = template.lstrip().startswith(('{"', "["))

    def word(match: re.Match[str]) -> str:
        value = words[match[1]]
        return msgspec.json.encode(value).decode()[1:-1] if inside_json else value

    return _PLACEHOLDER.sub(word, template)


def plain_code(code: str) -> str:
    """A gateway's code as it may stand in a log: short, nothing but letters, digits and dots, and no phone number."""
    return re.sub(r"[^\w.:-]", "?", re.sub(r"\d{10,}", "***", code), flags=re.ASCII)[:60]
