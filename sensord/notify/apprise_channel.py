"""Any service that apprise reaches; the library is imported only when such a channel is configured.

Each line of the url file is an apprise URL, with optional tags before it: ``police,red=json://host/path``. A
contact's address is a tag; without an address every line is used. Lines starting with ``#`` are comments.

Rules: apprise only says whether all went well. Anything else is in doubt, because one service of several may
have been reached, so the next attempt is marked as possibly repeated. Services are called on the channel's own threads:
apprise's are shared by all its users, and would hold up the daemon's end.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sensord.config.settings import Apprise as AppriseSettings
from sensord.errors import ConfigError, DeliveryError, Problem, UnavailableError
from sensord.notify.outcome import InDoubtError
from sensord.notify.text import answer_line, title_of
from sensord.ports import Entry

if TYPE_CHECKING:
    from apprise import Apprise

_LINE = re.compile(r"(?:(?P<tags>[\w\-]+(?:[\s,]+[\w\-]+)*)\s*=\s*)?(?P<url>[a-zA-Z0-9]+://\S+)")
_SEVERITY = {"red": "failure", "orange": "warning", "yellow": "warning"}


class AppriseChannel:
    """A :class:`sensord.ports.Channel` over apprise; ``urls`` are the lines of the url file (secrets).

    Raises ``ConfigError`` when apprise is not installed, or does not understand a line.
    """

    def __init__(self, settings: AppriseSettings, urls: Sequence[str]) -> None:
        self.name: str = settings.name
        self._file = settings.url_file
        self._apprise = _load(settings.url_file, urls)

    async def send(self, entry: Entry) -> str:
        """Send title and text to the services of the address's tag. Raises ``DeliveryError``."""
        notification = entry.notification
        services = list(self._apprise.find(notification.address or "all"))
        if not services:
            message = f"channel {self.name}: no line of {self._file} has the tag of this contact; add one"
            raise DeliveryError(message, retryable=False)
        words = {
            "body": notification.text + answer_line(entry),
            "title": title_of(entry),
            "notify_type": _SEVERITY.get(notification.level.word, "info"),
        }
        try:
            outcomes = await asyncio.gather(*(asyncio.to_thread(one.notify, **words) for one in services))
        except UnavailableError as error:
            raise InDoubtError(str(error)) from error  # another service's call may have been made
        if not all(outcomes):
            raise InDoubtError(f"channel {self.name}: apprise reports a failure; its log says where")
        return "apprise"

    async def close(self) -> None:
        """Nothing is kept open between sends."""


def _load(file: str, urls: Sequence[str]) -> Apprise:
    try:
        from apprise import Apprise  # noqa: PLC0415  # optional, slow, and rarely configured

        from sensord.notify.apprise_answers import bound  # noqa: PLC0415  # likewise: it needs apprise's library
    except ImportError as error:
        problem = Problem(file, 1, 1, "apprise is not installed", "install it: pip install apprise")
        raise ConfigError([problem]) from error
    bound()
    apprise = Apprise()
    problems = []
    for number, line in enumerate(urls, start=1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        match = _LINE.fullmatch(text)
        tags = re.split(r"[\s,]+", match["tags"]) if match and match["tags"] else None
        if match is None or not apprise.add(match["url"], tag=tags):
            problems.append(Problem(file, number, 1, "not a URL that apprise knows", "write tag=service://..."))
    if problems:
        raise ConfigError(problems)
    return apprise
