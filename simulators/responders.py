"""The people of the demonstration: once the sensors are calm again, whoever was told first reports the end.

The shipped plan for crowds closes a case only after a person's report; a demonstration has nobody to give one.
"""

from __future__ import annotations

import httpx

from sensord.errors import UnavailableError
from simulators.story import Chapter, Story

_TIMEOUT = 5.0
_ON_THE_SPOT = ("volunteer", "cadre")


class Responders:
    """Reports over the daemon's API, each case once; ``token`` is one that may answer."""

    def __init__(self, url: str, token: str) -> None:
        headers = {"Authorization": f"Bearer {token}"}
        self._client = httpx.Client(base_url=url, timeout=_TIMEOUT, trust_env=False, headers=headers)
        self._reported: set[str] = set()

    def close(self) -> None:
        """Let the connection go."""
        self._client.close()

    def report(self, story: Story) -> None:
        """Report what is over. Raises ``UnavailableError`` when the daemon refuses it."""
        for chapter in story.unreported():
            person = _first(chapter)
            if chapter.case.id in self._reported or person is None:
                continue
            try:
                action = {"verb": "dispersed", "by": person}
                self._client.post(f"/api/v1/cases/{chapter.case.id}/actions", json=action).raise_for_status()
            except httpx.HTTPStatusError as error:
                raise UnavailableError(f"the report of {person} was not taken: {error}") from error
            except httpx.HTTPError:
                continue  # the daemon is busy: again at the next turn
            self._reported.add(chapter.case.id)


def _first(chapter: Chapter) -> str | None:
    """Who on the spot was told of it first."""
    told = (one.text("receiver") for one in chapter.told if one.text("role") in _ON_THE_SPOT)
    return next(told, None)
