"""What a digest says: a line per group (grid and plan), the worst first, and of every message how many there are.

A digest that would be longer than its channel takes in one message holds as many groups as fit; the rest goes into the
next one. So a digest is one message of the service, and its rate is counted right.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sensord.core.cases.notification import Notification
from sensord.core.instant import to_datetime
from sensord.core.level import NAMES
from sensord.core.place import Places

_WORDS = {
    "zh": ("【汇总 {count} 条·最高{level}】", "{group}：{count} 条，最高{level}，{first}–{last}：{places}", "等 {} 处"),
    "en": (
        "[{count} alerts, up to {level}]",
        "{group}: {count}, up to {level}, {first}-{last}: {places}",
        ", {} places",
    ),
}
_NAMED_PLACES = 3
"""So many places are named per line of a digest; all of them are in what it covers."""


class DigestWriter:
    """Knows the names of places and plans (``plans`` by policy and language)."""

    def __init__(self, places: Places, plans: Mapping[str, Mapping[str, str]], zone: str) -> None:
        self._places, self._plans, self._zone = places, plans, zone

    def write(
        self, waiting: Sequence[Notification], language: str, longest: int = 0
    ) -> tuple[str, str, list[Notification]]:
        """Return title, text (at most ``longest`` bytes in UTF-8, or a line; 0: any length), and what it covers."""
        groups: dict[tuple[str, str], list[Notification]] = {}
        for message in waiting:
            groups.setdefault((message.grid, message.policy), []).append(message)
        ordered = sorted(groups.items(), key=lambda group: (-max(one.level for one in group[1]), group[0]))
        text, covered = "", list[Notification]()
        for (grid, policy), messages in ordered:
            line = self._line(grid, policy, messages, language)
            longer = f"{text}\n{line}" if text else line
            if text and longest and len(longer.encode()) > longest:
                break
            text, covered = longer, covered + messages
        worst = NAMES[language][max(message.level for message in covered)]
        return _WORDS[language][0].format(count=len(covered), level=worst), text, covered

    def _line(self, grid: str, policy: str, messages: Sequence[Notification], language: str) -> str:
        _, line, more = _WORDS[language]
        by_id = self._places.by_id
        named = [
            by_id[place].label(language) for place in dict.fromkeys(one.place for one in messages) if place in by_id
        ]
        shown = ("、" if language == "zh" else ", ").join(named[:_NAMED_PLACES])
        plan = self._plans.get(policy, {}).get(language) or policy
        times = [to_datetime(one.at, self._zone).strftime("%H:%M") for one in messages]
        return line.format(
            group=f"{by_id[grid].label(language)} {plan}" if grid in by_id else plan,
            count=len(messages),
            level=NAMES[language][max(one.level for one in messages)],
            first=min(times),
            last=max(times),
            places=shown + (more.format(len(named)) if len(named) > _NAMED_PLACES else ""),
        )
