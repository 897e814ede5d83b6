"""What a digest says: a line per group (grid and plan), the worst first: how many news, what is over, vehicles.

What several people were to be told over one channel that they share is one piece of news.

A digest that would be longer than its channel takes in one message holds as many groups as fit; the rest goes into the
next one. So a digest is one message of the service, and its rate is counted right.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence

from sensord.core.alert import Vehicle
from sensord.core.cases.message import ENDS
from sensord.core.cases.notification import PLATE, Notification
from sensord.core.instant import to_datetime
from sensord.core.level import NAMES, Level
from sensord.core.place import Places

_WORDS = {
    "zh": {
        "title": "【汇总 {count} 条{grade}】",
        "head": "·",
        "line": "{group}：{count} 条{grade}，{first}–{last}{standing}{over}",
        "level": "最高{level}",
        "all_over": "已解除",
        "standing": "：{}",
        "over": "；已解除：{}",
        "more_places": "等 {} 处",
        "vehicles": "；车辆：{}",
        "more_vehicles": "等 {} 辆，见案件",
        "comma": "，",
        "and": "、",
    },
    "en": {
        "title": "[digest of {count}{grade}]",
        "head": ", ",
        "line": "{group}: {count}{grade}, {first}-{last}{standing}{over}",
        "level": "up to {level}",
        "all_over": "over",
        "standing": ": {}",
        "over": "; over: {}",
        "more_places": ", {} places",
        "vehicles": "; vehicles: {}",
        "more_vehicles": ", {} vehicles, see the cases",
        "comma": ", ",
        "and": ", ",
    },
}
_NAMED_PLACES = 3
_NAMED_VEHICLES = 8
"""So many places and vehicles are named per line of a digest; all of them are in the cases of what it covers."""


class DigestWriter:
    """Knows the names of places and plans (``plans`` by policy and language)."""

    def __init__(self, places: Places, plans: Mapping[str, Mapping[str, str]], zone: str) -> None:
        self._places, self._plans, self._zone = places, plans, zone

    def write(
        self, waiting: Sequence[Notification], language: str, standing: Container[str], longest: int = 0
    ) -> tuple[str, str, list[Notification], tuple[Vehicle, ...]]:
        """Return title, text, what it covers, and the vehicles of its plate marks in their order.

        ``standing`` are the ids of the cases that are open: the others are over. The text has at most ``longest`` bytes
        in UTF-8, or one line; 0: any length.
        """
        groups: dict[tuple[str, str], list[Notification]] = {}
        for message in waiting:
            groups.setdefault((message.grid, message.policy), []).append(message)
        ordered = sorted(groups.items(), key=lambda group: (-max(one.level for one in group[1]), group[0]))
        text, covered, vehicles = "", list[Notification](), list[Vehicle]()
        for (grid, policy), messages in ordered:
            shown, marked = _vehicles(messages, language)
            line = self._line(grid, policy, messages, language, standing) + shown
            longer = f"{text}\n{line}" if text else line
            if text and longest and len(longer.encode()) > longest:
                break
            text, covered, vehicles = longer, covered + messages, vehicles + marked
        words = _WORDS[language]
        grades = _grade(covered, language)
        if all(message.case not in standing for message in covered):
            grades.append(words["all_over"])
        grade = words["head"] + words["comma"].join(grades) if grades else ""
        return words["title"].format(count=_news(covered), grade=grade), text, covered, tuple(vehicles)

    def _line(
        self, grid: str, policy: str, messages: Sequence[Notification], language: str, standing: Container[str]
    ) -> str:
        words, by_id = _WORDS[language], self._places.by_id
        told = dict.fromkeys(one.place for one in messages if one.place in by_id)
        stands = {one.place for one in messages if one.case in standing}
        plan = self._plans.get(policy, {}).get(language) or policy
        times = [to_datetime(one.at, self._zone).strftime("%H:%M") for one in messages]
        return words["line"].format(
            group=f"{by_id[grid].label(language)} {plan}" if grid in by_id else plan,
            count=_news(messages),
            grade="".join(words["comma"] + grade for grade in _grade(messages, language)),
            first=min(times),
            last=max(times),
            standing=self._named([place for place in told if place in stands], "standing", language),
            over=self._named([place for place in told if place not in stands], "over", language),
        )

    def _named(self, places: Sequence[str], what: str, language: str) -> str:
        words = _WORDS[language]
        if not places:
            return ""
        named = words["and"].join(self._places.name(place, language) for place in places[:_NAMED_PLACES])
        more = words["more_places"].format(len(places)) if len(places) > _NAMED_PLACES else ""
        return words[what].format(named + more)


def _news(messages: Sequence[Notification]) -> int:
    """How many pieces of news messages bring, to however many people."""
    return len({one.event for one in messages})


def _grade(messages: Sequence[Notification], language: str) -> list[str]:
    """How grave what the messages tell of was; nothing for ends alone, nor for what was calm by then."""
    level = max((one.level for one in messages if one.reason not in ENDS), default=Level.NONE)
    return [_WORDS[language]["level"].format(level=NAMES[language][level])] if level is not Level.NONE else []


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
    named, words = list(seen.items())[:_NAMED_VEHICLES], _WORDS[language]
    shown = words["and"].join(mask if marked is None else PLATE for mask, marked in named)
    rest = words["more_vehicles"].format(len(seen)) if len(seen) > len(named) else ""
    return words["vehicles"].format(shown + rest), [marked for _, marked in named if marked is not None]
