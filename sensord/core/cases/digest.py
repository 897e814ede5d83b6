"""What a digest says: a line per group (grid and plan), the worst first, how many messages it has, and which vehicles.

A digest that would be longer than its channel takes in one message holds as many groups as fit; the rest goes into the
next one. So a digest is one message of the service, and its rate is counted right.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sensord.core.alert import Vehicle
from sensord.core.cases.notification import PLATE, Notification
from sensord.core.instant import to_datetime
from sensord.core.level import NAMES
from sensord.core.place import Places

_WORDS = {
    "zh": (
        "【汇总 {count} 条·最高{level}】",
        "{group}：{count} 条，最高{level}，{first}–{last}：{places}",
        "等 {} 处",
        "；车辆：",
        "等 {} 辆，见案件",
    ),
    "en": (
        "[{count} alerts, up to {level}]",
        "{group}: {count}, up to {level}, {first}-{last}: {places}",
        ", {} places",
        "; vehicles: ",
        ", {} vehicles, see the cases",
    ),
}
_NAMED_PLACES = 3
_NAMED_VEHICLES = 8
"""So many places and vehicles are named per line of a digest; all of them are in the cases of what it covers."""


class DigestWriter:
    """Knows the names of places and plans (``plans`` by policy and language)."""

    def __init__(self, places: Places, plans: Mapping[str, Mapping[str, str]], zone: str) -> None:
        self._places, self._plans, self._zone = places, plans, zone

    def write(
        self, waiting: Sequence[Notification], language: str, longest: int = 0
    ) -> tuple[str, str, list[Notification], tuple[Vehicle, ...]]:
        """Return title, text, what it covers, and the vehicles of its plate marks in their order.

        The text has at most ``longest`` bytes in UTF-8, or one line; 0: any length.
        """
        groups: dict[tuple[str, str], list[Notification]] = {}
        for message in waiting:
            groups.setdefault((message.grid, message.policy), []).append(message)
        ordered = sorted(groups.items(), key=lambda group: (-max(one.level for one in group[1]), group[0]))
        text, covered, vehicles = "", list[Notification](), list[Vehicle]()
        for (grid, policy), messages in ordered:
            shown, marked = _vehicles(messages, language)
            line = self._line(grid, policy, messages, language) + shown
            longer = f"{text}\n{line}" if text else line
            if text and longest and len(longer.encode()) > longest:
                break
            text, covered, vehicles = longer, covered + messages, vehicles + marked
        worst = NAMES[language][max(message.level for message in covered)]
        return _WORDS[language][0].format(count=len(covered), level=worst), text, covered, tuple(vehicles)

    def _line(self, grid: str, policy: str, messages: Sequence[Notification], language: str) -> str:
        line, more = _WORDS[language][1:3]
        by_id = self._places.by_id
        told = dict.fromkeys(one.place for one in messages if one.place in by_id)
        named = [self._places.name(place, language) for place in told]
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


def _vehicles(messages: Sequence[Notification], language: str) -> tuple[str, list[Vehicle]]:
    """Name the vehicles as each message would have: a mark for the plate, or a mask; returns those that are marked.

    The worst come first: of many the last are not named.
    """
    seen: dict[str, Vehicle | None] = {}
    for one in sorted(messages, key=lambda message: -message.level):
        if one.vehicle is not None:
            seen[one.vehicle.id] = one.vehicle
        elif one.mask:
            seen[one.mask] = None
    if not seen:
        return "", []
    named = list(seen.items())[:_NAMED_VEHICLES]
    shown = ("、" if language == "zh" else ", ").join(mask if marked is None else PLATE for mask, marked in named)
    begin, more = _WORDS[language][3:]
    rest = more.format(len(seen)) if len(seen) > len(named) else ""
    return f"{begin}{shown}{rest}", [marked for _, marked in named if marked is not None]
