"""Experiment: several times as many readings as the daemon can take, for a while; then how long until all is well.

The flood's lanes (``flood.py``) see a few people; the lanes before them see crowds, which people are to hear of and to
answer meanwhile.
"""

from __future__ import annotations

import json
import math
import signal
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Event, Thread

import httpx

from sensord.config.settings import Mqtt
from sensord.core.record import Group
from sensord.drivers.replay import journal_groups
from sensord.ingest.backlog import OPEN
from sensord.store.reader import DirectoryReader
from tests.faults.flood import FIRST, LANES, flood, last_words, published
from tests.faults.harness import Stage
from tests.faults.sensors import BUSY, FEW, MANY, Speech
from tests.faults.tally import Row
from tests.support import wait_until

BROKER = ("autosave_on_changes false",)
"""The broker must not be what gives way."""
WELL, TRIAL = 1.0, 8.0
"""The most that alerting may be behind, and how long a rate is tried, in seconds."""
SLACK, PATIENCE = 50, 60
"""Messages that may be under way while we look, and looks without progress until no more is expected."""
_BUSY = (OSError, ValueError, KeyError, httpx.HTTPError)
"""What may come of asking a daemon that has its hands full."""
MOST = 30.0
"""So long somebody may take to hear of a crowd, in seconds; a crowd that takes longer is missed."""
BASE_MIB = 150
"""Resident memory that a daemon may take beside what waits for its journal."""
MOST_MIB = BASE_MIB + Mqtt().queue_mib
RATES = (1000, 2000, 3000, 4000, 6000, 8000, 12000, 16000)


@dataclass
class Watch:
    """The worst that was seen of a daemon while the block ran; ``age`` is how late readings were in their turn."""

    rss_mib: float = 0.0
    lag: float = 0.0
    age: float = 0.0

    def look(self, stage: Stage) -> float:
        """Look once; returns how far alerting is behind, in seconds."""
        self.rss_mib = max(self.rss_mib, stage.resident() / 2**20)
        lag = behind(stage)
        self.lag = max(self.lag, lag)
        self.age = max(self.age, _metric(stage, "reading_age_seconds", self.age))
        return lag


def behind(stage: Stage) -> float:
    """How old the newest thing is that the core has seen, in seconds; what has no answer is taken for a second."""
    try:
        return float(stage.daemon.overview()["lag_seconds"])
    except _BUSY:
        return WELL


def _metric(stage: Stage, name: str, otherwise: float) -> float:
    """A metric, or what it was before when there is no answer."""
    try:
        return stage.metric(name)
    except _BUSY:
        return otherwise


@dataclass
class Flooded:
    """What became of a flood: readings sent, the rate at which the broker took them, and how long they took after it.

    ``drain`` (seconds) is also how late the last reading of the flood was: what comes in goes in order.
    """

    sent: int
    rate: float
    drain: float
    watch: Watch


def flooded(stage: Stage, rate: float, seconds: float) -> Flooded:
    """Flood, and wait until the daemon has taken everything, or no more comes."""
    watch, before = Watch(), _taken(stage, 0.0)
    others = stage.sensors.acknowledged
    with flood(stage, rate, seconds) as process:
        while process.poll() is None:
            watch.look(stage)
            time.sleep(0.2)
        sent, lasted, boot = published(process)
    ended = time.monotonic()
    _drained(stage, watch, before + sent + stage.sensors.acknowledged - others)
    wait_until(lambda: behind(stage) < WELL, 900, "the backlog is worked off")
    drain, before = time.monotonic() - ended, _taken(stage, 0.0)
    more = last_words(stage, sent, boot)
    wait_until(lambda: _taken(stage, 0.0) >= before + more, 300, "the last words have come, in their turn")
    return Flooded(sent + more, sent / lasted, drain, watch)


def _drained(stage: Stage, watch: Watch, wanted: float) -> None:
    """Wait for so many messages, or until no more come."""
    last, idle = 0.0, 0
    while (taken := _taken(stage, last)) < wanted - SLACK and idle < PATIENCE:
        watch.look(stage)
        idle = 0 if taken - last > SLACK else idle + 1
        last = taken
        time.sleep(0.5)


def _taken(stage: Stage, otherwise: float) -> float:
    """Messages that came in their turn; what it was before when there is no answer."""
    try:
        return stage.metric("messages_committed_total") - stage.metric('fresh_messages_total{what="handed_on"}')
    except _BUSY:
        return otherwise


def sustainable(stage: Stage) -> tuple[int, int]:
    """Find the highest rate at which nothing piles up anywhere; returns it, and how many readings that took."""
    sent, best = 0, RATES[0]
    for rate in RATES:
        found = flooded(stage, rate, TRIAL)
        sent += found.sent
        if found.drain > 2 * WELL or found.rate < 0.8 * rate:
            break
        best = rate
    return best, sent


class Crowds(Thread):
    """Crowds that come one after the other on the two lanes, each until somebody is told of it, or ``MOST`` seconds.

    Of those that came while readings were late, ``told`` are the seconds until somebody was told, ``answered`` those
    from an answer to the word of what became of it; ``missed`` counts crowds that nobody was told of, and answers
    without that word.
    """

    def __init__(self, stage: Stage) -> None:
        super().__init__(daemon=True)
        self._stage, self._stop_now = stage, Event()
        self.told, self.answered, self.missed = list[float](), list[float](), 0

    def run(self) -> None:
        """Come and go until told to stop."""
        lane = 0
        while not self._stop_now.is_set():
            lane = lane % BUSY + 1
            self._come(lane)
            # However long that takes: another crowd there would join the open case, and nobody be told of a new one.
            self._await(partial(self._gone, f"L{lane}"), math.inf)

    def _come(self, lane: int) -> None:
        late = _metric(self._stage, "reading_age_seconds", 0.0) > OPEN
        pages, began = self._pages(lane), time.monotonic()
        self._stage.sensors.counts[lane] = MANY
        told = self._await(lambda: self._pages(lane) > pages)
        self._stage.sensors.counts[lane] = FEW
        self._note(self.told, began, happened=told, late=late)
        if told:
            self._answer(lane, late=late)

    def _answer(self, lane: int, *, late: bool) -> None:
        """Answer as somebody who was told, over the broker, and wait for the word of it."""
        page = next(page for page in reversed(self._stage.pages()) if page["place"] == f"L{lane}")
        topic = f"t/commands/by/{page['receiver']}/{page['case']}"
        began = time.monotonic()
        with suppress(*_BUSY, RuntimeError):
            self._stage.broker.publish(topic, b'{"verb": "acknowledge"}')
        answered = self._await(lambda: self._heard(page["case"]))
        self._note(self.answered, began, happened=answered, late=late)

    def _note(self, times: list[float], began: float, *, happened: bool, late: bool) -> None:
        if late and happened:
            times.append(time.monotonic() - began)
        elif late and not self._stop_now.is_set():
            self.missed += 1

    def _heard(self, case: str) -> bool:
        return any(one["case"] == case and one.get("verdict") for one in list(self._stage.sensors.heard))

    def _gone(self, place: str) -> bool:
        return place not in self._stage.crowds()

    def _pages(self, lane: int) -> int:
        return self._stage.places().count(f"L{lane}")

    def _await(self, condition: Callable[[], bool], patience: float = MOST) -> bool:
        """Whether it comes true before it takes too long, or we are to stop."""
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline and not self._stop_now.wait(0.1):
            with suppress(*_BUSY):
                if condition():
                    return True
        return False

    def end(self) -> None:
        """Let the last one go."""
        self._stop_now.set()
        self.join()
        self._stage.sensors.counts.update(dict.fromkeys(self._stage.sensors.counts, FEW))


def overload(directory: Path, seconds: float, seed: int, times: float = 4.0, rate: int = 0) -> Row:
    """Offer ``times`` the sustainable rate (or ``rate``) for so many seconds, while crowds come and go on two lanes.

    What the broker itself drops, because too much waits in it, must show as gaps in the devices' numbers. *Lost* counts
    what does not; crowds that came while readings were late, and answers to them, that nobody heard of in time; and a
    daemon that takes more than ``MOST_MIB`` of memory.
    """
    speech = Speech(others=LANES, moods=None)
    with Stage(directory, seed, influx=False, speech=speech, broker=BROKER) as stage:
        stage.begin()
        found, before = (rate, 0) if rate else sustainable(stage)
        crowds = Crowds(stage)
        crowds.start()
        end = flooded(stage, found * times, seconds)
        crowds.end()
        stage.sensors.fall_silent()
        wait_until(stage.daemon.caught_up, 60, "everything is applied")
        gaps = stage.metric("sequence_gaps_total") - stage.metric("sequence_gaps_filled_total")
        assert stage.end(signal.SIGTERM) == 0, stage.daemon.tail()
        counted, journaled = replayed(stage)
        dropped = before + end.sent - journaled
        remark = (
            f"{found:,}/s are sustained, {end.rate:,.0f}/s came in: {end.sent:,} readings, at most "
            f"{end.watch.age:.0f} s late in their turn; crowds that came meanwhile were told of after "
            f"{_times(crowds.told)}, answers to them had their results after {_times(crowds.answered)}, "
            f"{crowds.missed} of either not within {MOST:g} s; {end.watch.rss_mib:.0f} MiB resident at most "
            f"(bound: {MOST_MIB}); "
            f"{dropped:,} dropped by the broker, {gaps:,.0f} shown as gaps; recovery is from the flood's end until "
            "nothing is late"
        )
        lost = max(0, dropped - round(gaps)) + crowds.missed + (end.watch.rss_mib > MOST_MIB)
        doubled = max(0, counted - journaled - sum(stage.sensors.sent.values()))
        fault = f"{times:g} times the sustainable rate for {seconds:g} s"
        return Row(fault, 1, lost=lost, doubled=doubled, recovery=[end.drain], remark=remark)


def _times(found: Iterable[float]) -> str:
    """How long it took."""
    times = sorted(found)
    assert times, "nothing happened while readings were late: the flood was none"
    return f"{times[len(times) // 2]:.1f} s (median of {len(times)}), {times[-1]:.1f} s at most"


def replayed(stage: Stage) -> tuple[int, int]:
    """How many readings a replay counts, and how many different ones of the flood's lanes are in the journal.

    It must decide what was decided. There may be tens of millions: a byte is remembered of each.
    """
    site, readings, decided, seen = stage.daemon.site(), 0, list[bytes](), Seen(stage)
    for group in seen.new():
        step = site.step(group)
        decided.append(step.decisions())
        readings += sum(n for (_, outcome), n in step.counts.items() if outcome in ("accepted", "late"))
    assert stage.written() == b"".join(decided), "what was written down while it ran is what a replay decides"
    return readings, seen.different


class Seen:
    """How many ``different`` readings of the flood's lanes were in the groups of the journal that were looked at."""

    def __init__(self, stage: Stage) -> None:
        self.different = self._upto = 0
        self._journal, self._seen = stage.daemon.state / "journal", defaultdict[tuple[str, int], bytearray](bytearray)

    def new(self) -> Iterator[Group]:
        """Look at the groups that have come since."""
        for group in journal_groups(DirectoryReader(self._journal), self._upto):
            self._upto = group.seq
            for record in group.records:
                lane = record.topic.rpartition("-")[2]
                if record.kind == 0 and "/crowd/" in record.topic and int(lane) >= FIRST:
                    body = json.loads(record.payload)
                    self._tick_off(self._seen[lane, body["boot"]], body["seq"])
            yield group

    def count(self) -> int:
        """As ``different``, once all that there is was looked at."""
        for _ in self.new():
            pass
        return self.different

    def _tick_off(self, seen: bytearray, number: int) -> None:
        if number >= len(seen):
            seen.extend(bytes(number + 1 - len(seen)))
        self.different += not seen[number]
        seen[number] = 1
