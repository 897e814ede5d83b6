"""The people of the demonstration: whoever on the spot was told first takes the case, goes there, and reports the end.

The shipped plan for crowds closes a case only after a person's report; a demonstration has nobody to give one. The
others stay silent, so that the summary has somebody to name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx

from sensord.core.instant import SECOND
from sensord.core.record import Verb
from sensord.errors import UnavailableError
from simulators.captions import WORDS
from simulators.story import Chapter, Story

_TIMEOUT = 5.0
_ON_THE_SPOT = ("volunteer", "cadre")
_STEPS = ((Verb.ACKNOWLEDGE, 3 * SECOND), (Verb.ON_THE_SCENE, 10 * SECOND))
"""What is said how long (ns) after the first message; the end is reported once the sensors hold it to be over."""
_SAID = {Verb.ACKNOWLEDGE: "acknowledge", Verb.ON_THE_SCENE: "on_the_scene", Verb.DISPERSED: "dispersed_said"}
"""Words of the captions."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What somebody said about a case."""

    case: str
    person: str
    verb: Verb
    said: str
    """What the daemon made of it, in the language of the demonstration."""

    def text(self, language: str) -> str:
        """Return it as a line for a terminal."""
        words = WORDS[language]
        return f"{self.person}  {words[_SAID[self.verb]]}" + (f"  → {self.said}" if self.said else "")


class Responders:
    """Answers over the daemon's API, each thing once; ``token`` is one that may answer."""

    def __init__(self, url: str, token: str, language: str) -> None:
        headers = {"Authorization": f"Bearer {token}"}
        self._client = httpx.Client(base_url=url, timeout=_TIMEOUT, trust_env=False, headers=headers)
        self._detail = "detail" if language == "zh" else "detail_en"
        self._said: set[tuple[str, Verb]] = set()

    def close(self) -> None:
        """Let the connection go."""
        self._client.close()

    def act(self, story: Story, now: int) -> list[Reply]:
        """Say what is due at ``now`` (ns), and return it. Raises ``UnavailableError`` when the daemon refuses it."""
        found = [self._say(chapter, verb) for chapter in story.chapters() for verb in _due(chapter, now)]
        return [reply for reply in found if reply is not None]

    def _say(self, chapter: Chapter, verb: Verb) -> Reply | None:
        """Say one thing, unless it was said; None when nothing was."""
        case, person = chapter.case.id, _first(chapter)
        if person is None or (case, verb) in self._said:
            return None
        try:
            action = {"verb": verb.value, "by": person}
            answer = self._client.post(f"/api/v1/cases/{case}/actions", json=action).raise_for_status()
        except httpx.HTTPStatusError as error:
            raise UnavailableError(f"what {person} said ({verb.value}) was not taken: {error}") from error
        except httpx.HTTPError:
            return None  # the daemon is busy: again at the next turn
        self._said.add((case, verb))
        became: dict[str, Any] = answer.json()
        return Reply(case, person, verb, str(became.get(self._detail) or ""))


def _due(chapter: Chapter, now: int) -> list[Verb]:
    """What it is time to say about a case."""
    if chapter.case.closed_at or not chapter.told:
        return []
    waited = now - chapter.told[0].at
    steps = [verb for verb, after in _STEPS if waited >= after]
    return [*steps, Verb.DISPERSED] if chapter.case.state == "verifying" else steps


def _first(chapter: Chapter) -> str | None:
    """Who on the spot was told of it first."""
    told = (one.text("receiver") for one in chapter.told if one.text("role") in _ON_THE_SPOT)
    return next(told, None)
