"""The language in which a person at a terminal is spoken to: Chinese, unless the environment asks for English.

``SENSORD_LANGUAGE`` (``zh`` or ``en``) decides; without it an English locale (``LC_ALL``, ``LC_MESSAGES``, ``LANG``)
does.
"""

from __future__ import annotations

import os


def language() -> str:
    """Return ``zh`` or ``en``."""
    chosen = os.environ.get("SENSORD_LANGUAGE", "")
    if chosen in ("zh", "en"):
        return chosen
    locale = next((value for name in ("LC_ALL", "LC_MESSAGES", "LANG") if (value := os.environ.get(name))), "")
    return "en" if locale.startswith("en") else "zh"


def say(zh: str, en: str) -> str:
    """Return the text in the terminal's language."""
    return zh if language() == "zh" else en
