"""The live view of a site in a terminal: grids by level, cases, and the notifications that arrived.

``render`` is pure. Levels are told by word as well as by colour, and a blind place is never shown as normal. Without a
terminal the same events are printed as plain lines (``line``).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import httpx
import msgspec
from rich.align import Align
from rich.box import HEAVY, ROUNDED
from rich.console import Console, Group, RenderableType
from rich.layout import Layout
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from sensord.core.instant import SECOND, to_datetime
from sensord.core.level import BY_WORD, NAMES, Level
from sensord.decoders import json_decoder
from simulators.captions import WORDS
from simulators.receiver import Inbox, Received
from simulators.tracker import Event, Kind, Overview, SeenCase, Tracker

EVERY = 0.5
"""Seconds between two looks at the daemon."""
_TIMEOUT = 3.0
_SHOWN = 30
"""Notifications drawn at most; what does not fit on the screen is cut off."""
_TALL = 32
"""Lines from which there is room for rules between the blocks."""
_ZONE = "Asia/Shanghai"
_OVERVIEW = json_decoder(dict[str, Any])
_COLOURS = {
    Level.NONE: "dim green",
    Level.BLUE: "bold white on blue",
    Level.YELLOW: "bold black on yellow",
    Level.ORANGE: "bold black on dark_orange",
    Level.RED: "bold white on red",
}
_BORDERS = {
    Level.NONE: "dim green",
    Level.BLUE: "blue",
    Level.YELLOW: "yellow",
    Level.ORANGE: "dark_orange",
    Level.RED: "red",
}
_UNKNOWN = "bold white on grey39"


def render(
    overview: Overview,
    received: Sequence[Received],
    *,
    cases: Sequence[SeenCase] = (),
    rate: float = 0.0,
    now: int = 0,
    language: str = "zh",
    note: str = "",
    height: int = 40,
) -> RenderableType:
    """Draw the whole view for ``height`` lines; ``now`` (ns) is for ages, ``note`` tells what truly happens."""
    words, tall = WORDS[language], height >= _TALL
    layout = Layout()
    layout.split_column(
        Layout(name="head", size=4), Layout(name="middle", size=15 if tall else 10), Layout(name="foot", minimum_size=5)
    )
    layout["middle"].split_row(Layout(name="grids", ratio=1), Layout(name="cases", ratio=1))
    layout["head"].update(_header(overview, rate, language, note))
    grids = _grids(overview.get("places", {}), language, tall)
    layout["grids"].update(Panel(grids, title=words["grids"], box=ROUNDED))
    layout["cases"].update(Panel(_cases(cases, now, language), title=words["cases"], box=ROUNDED))
    layout["foot"].update(Panel(_received(received, language), title=words["notifications"], box=ROUNDED))
    return layout


def _header(overview: Overview, rate: float, language: str, note: str) -> Panel:
    words, told = WORDS[language], overview.get("notifications", {})
    clock = str(overview.get("at") or "")[11:19] or "--:--:--"
    parts = [
        f"sensord · {overview.get('site', '')}",
        clock,
        f"{words['rate']} {rate:.0f}",
        f"{words['lag']} {float(overview.get('lag_seconds') or 0.0):.1f} s",
        *(f"{words[name]} {told[name]}" for name in ("sent", "pending") if name in told),
    ]
    text = Text("   ".join(parts), no_wrap=True, overflow="ellipsis")
    if failed := told.get("failed"):
        text.append(f"   {words['failed']} {failed}", style="bold red")
    return Panel(Group(text, Text(note, style="bold yellow", no_wrap=True, overflow="ellipsis")), box=HEAVY)


def _grids(places: Mapping[str, Mapping[str, Any]], language: str, tall: bool) -> RenderableType:
    """Draw the residential grids, a row for each block."""
    blocks: dict[str, list[RenderableType]] = {}
    for name, place in places.items():
        if place.get("kind", "grid") == "grid":
            blocks.setdefault(str(place.get("block")), []).append(_cell(name, place, language))
    if not blocks:
        return Align.center(Text(WORDS[language]["waiting"], style="dim"), vertical="middle")
    width = max(len(cells) for cells in blocks.values())
    box = ROUNDED if tall else None
    table = Table(box=box, show_header=False, show_lines=tall, expand=True, padding=0, border_style="dim")
    for _ in range(width):
        table.add_column(ratio=1)
    for cells in blocks.values():
        table.add_row(*cells, *[""] * (width - len(cells)))
    return table


def _cell(name: str, place: Mapping[str, Any], language: str) -> RenderableType:
    """Draw a grid: its id and its level, or that it is unknown when some of its places are blind and none alarms."""
    level = BY_WORD.get(str(place.get("level")), Level.NONE)
    blind, total = int(place.get("unknown", 0)), int(place.get("total", 0))
    style, upper, lower = _COLOURS[level], name, _name(level, language)
    if blind and level is Level.NONE:
        style, lower = _UNKNOWN, f"{WORDS[language]['unknown']} {blind}/{total}"
        upper = f"▒ {name} ▒"
    elif blind:
        upper = f"{name} ▒{blind}/{total}"
    texts = (Text(line, no_wrap=True, overflow="ellipsis") for line in (upper, lower))
    return Group(*(Align.center(text, style=style) for text in texts))


def _name(level: Level, language: str) -> str:
    """Return a level's word; what has none is normal."""
    return WORDS[language]["normal"] if level is Level.NONE else NAMES[language][level]


def _cases(cases: Sequence[SeenCase], now: int, language: str) -> RenderableType:
    """Draw the cases in two lines each: the second one holds the id, which is what a person types to act."""
    words = WORDS[language]
    if not cases:
        return Align.center(Text(words["no_cases"], style="dim"), vertical="middle")
    table = Table(box=None, expand=True, pad_edge=False, padding=(0, 1))
    table.add_column(words["place"], ratio=1, no_wrap=True, overflow="ellipsis")
    for column in ("level", "state", "age"):
        table.add_column(words[column], no_wrap=True)
    for case in cases:
        over = case.closed_at > 0
        level = BY_WORD.get(case.peak if over else case.level, Level.NONE)
        table.add_row(
            Text(f"{case.grid} {case.label(language)}\n", style="dim" if over else "").append(case.id, style="dim"),
            Text(_name(level, language), style="dim" if over else _COLOURS[level]),
            Text(words.get(case.state, case.state), style="dim" if over else "bold"),
            _age((case.closed_at or now) - case.opened_at),
        )
    return table


def _received(received: Sequence[Received], language: str) -> RenderableType:
    words = WORDS[language]
    if not received:
        return Align.center(Text(words["no_notifications"], style="dim"), vertical="middle")
    table = Table(box=None, expand=True, pad_edge=False)
    for column in ("at", "to", "role"):
        table.add_column(words[column], no_wrap=True)
    table.add_column(words["title"], ratio=1, no_wrap=True, overflow="ellipsis")
    for one in list(received)[: -_SHOWN - 1 : -1]:
        level = BY_WORD.get(one.text("level"), Level.NONE)
        style = _BORDERS[level] if one.text("reason") != "case_closed" else "green"
        row = (_clock(one.at), one.text("receiver"), words.get(one.text("role"), one.text("role")))
        table.add_row(*row, Text(one.text("title"), style=style))
    return table


def line(event: Event, language: str) -> str:
    """Write an event as one plain line."""
    words = WORDS[language]
    if event.kind is Kind.NOTIFIED and event.received is not None:
        one = event.received
        role = words.get(one.text("role"), one.text("role"))
        return f"{_clock(event.at)}  {words['notified']}  {one.text('receiver')} ({role})  {one.text('title')}"
    case = event.case
    if case is None:
        return f"{_clock(event.at)}  {event.kind.value}"
    place = f"{case.grid} {case.label(language)}"
    level, peak = (_name(BY_WORD.get(word, Level.NONE), language) for word in (case.level, case.peak))
    what = {
        Kind.OPENED: f"{words['opened']}  {place}  {level}",
        Kind.LEVEL: f"{words['changed']} {level}  {place}",
        Kind.CLOSED: f"{words['closed']}  {place}  ({words['peak']}: {peak})",
    }
    return f"{_clock(event.at)}  {what[event.kind]}  {case.id}"


def _clock(at: int) -> str:
    return to_datetime(at, _ZONE).strftime("%H:%M:%S")


def _age(duration: int) -> str:
    minutes, seconds = divmod(max(duration, 0) // SECOND, 60)
    return f"{minutes}:{seconds:02d}"


class View:
    """Polls the daemon at ``url`` and shows what it says, on a terminal as a picture, elsewhere as plain lines.

    ``token`` is one that may read the daemon's overview.
    """

    def __init__(
        self, url: str, inbox: Inbox, language: str, console: Console | None = None, *, token: str = ""
    ) -> None:
        self.tracker = Tracker()
        self.overview: Overview = {}
        self.note = ""
        self._inbox, self._language = inbox, language
        self._console = console or Console()
        self.live = self._console.is_terminal
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._client = httpx.Client(base_url=url, timeout=_TIMEOUT, trust_env=False, headers=headers)

    def run(self, on_turn: Callable[[Sequence[Event]], bool]) -> None:
        """Show until ``on_turn`` returns False; it is told the new events of each turn, and may raise."""
        with self._client:
            if self.live:
                self._show(on_turn)
            else:
                self._print(on_turn)

    def _show(self, on_turn: Callable[[Sequence[Event]], bool]) -> None:
        with Live(self._picture(), console=self._console, screen=True, auto_refresh=False) as live:
            going = True
            while going:
                going = on_turn(self.turn())
                live.update(self._picture(), refresh=True)
                time.sleep(EVERY if going else 0)

    def _print(self, on_turn: Callable[[Sequence[Event]], bool]) -> None:
        going = True
        while going:
            events = self.turn()
            for event in events:
                self._console.print(line(event, self._language), markup=False, highlight=False, soft_wrap=True)
            going = on_turn(events)
            time.sleep(EVERY if going else 0)

    def tell(self, text: str, at: int, what: str = "street") -> None:
        """Print what truly happens, or what people answer, as a plain line.

        The picture shows it in its header (``note``) and by the cases' states instead.
        """
        if not self.live:
            words = f"{_clock(at)}  {WORDS[self._language][what]}  {text}"
            self._console.print(words, markup=False, highlight=False, soft_wrap=True)

    def turn(self) -> list[Event]:
        """Ask the daemon once; while it does not answer, its last word stands."""
        # What arrived is looked at first: a case is then always known before its notifications are told.
        total, received = self._inbox.look()
        try:
            answer = self._client.get("/api/v1/overview")
            answer.raise_for_status()
            self.overview = _OVERVIEW.decode(answer.content)
        except (httpx.HTTPError, msgspec.DecodeError):
            if not self.overview:
                return []
        return self.tracker.update(self.overview, received, total, time.time_ns())

    def _picture(self) -> RenderableType:
        return render(
            self.overview,
            self._inbox.look()[1],
            cases=self.tracker.cases,
            rate=self.tracker.rate,
            now=time.time_ns(),
            language=self._language,
            note=self.note,
            height=self._console.height,
        )
