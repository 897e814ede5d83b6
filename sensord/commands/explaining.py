"""What ``sensord explain`` does: find the stretch of journal, step it once more, and say what was seen."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from sensord.commands.answer import Answer
from sensord.config.load import load_bare
from sensord.config.schema import did_you_mean
from sensord.core.cases.case import CaseEvent
from sensord.core.instant import from_datetime, parse_instant, to_datetime
from sensord.core.record import Group
from sensord.core.site import Site
from sensord.drivers.explain import LONGEST_LOOK, explain, reach
from sensord.drivers.replay import journal_groups, overridden
from sensord.errors import SensordError, SnapshotError
from sensord.phrasebook import told
from sensord.source import Source
from sensord.store.past import Past
from sensord.store.reader import DirectoryReader
from sensord.words import say

_TRANSITION = re.compile(r"(?P<rule>[a-z0-9-]+)@[0-9a-f]{12}:(?P<key>.+):(?P<end>[0-9]+):[a-z]+-[a-z]+", re.ASCII)
_TIME_OF_DAY = re.compile(r"[0-2]?[0-9]:[0-5][0-9](:[0-5][0-9])?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: an alert or a case by its id, or a rule and a key at a time (as people write it; "": now)."""

    what: str = ""
    rule: str = ""
    key: str = ""
    at: str = ""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A recording to look into, as ``sensord replay`` takes it."""

    source: Path
    config: Path | None
    mapping: Path | None = None
    rules: Path | None = None


class _Daemon:
    """The journal and the saved states of a daemon, which may be running."""

    def __init__(self, config: Path) -> None:
        loaded = load_bare(config)
        directory = loaded.resolve(loaded.settings.state_dir)
        self.zone, self.past = loaded.settings.timezone, Past(directory)
        self._secrets = loaded.secrets
        self._journal = DirectoryReader(directory / "journal")

    def end(self) -> int:
        """The instant of the journal's newest group."""
        newest = self._journal.read(self._journal.last_seq - 1, 1)
        if not newest:
            raise SensordError(
                say("日志是空的：守护进程还没有收到任何消息", "the journal is empty: nothing was received yet")
            )
        return newest[-1].received_at

    def begins(self) -> int:
        """The instant of the journal's oldest group."""
        return self._journal.read(self._journal.first_seq - 1, 1)[0].received_at

    def start(self, rule: str, at: int) -> tuple[Site, Iterable[Group]]:
        """Return the core as it was well before ``at``, and the groups from there on."""
        near = self._restored(at)
        wanted = {one.id: one for one in near[0].definition.rules}.get(rule)
        site, seq = self._restored(at - (reach(wanted) if wanted is not None else LONGEST_LOOK))
        return site, journal_groups(self._journal, seq)

    def story(self, case: str) -> list[CaseEvent]:
        """A case's events."""
        return self.past.story(case)

    def deliveries(self, case: str) -> dict[str, str]:
        """What became of a case's notifications."""
        return self.past.deliveries(case)

    def _restored(self, at: int) -> tuple[Site, int]:
        saved = self.past.snapshot_before(at)
        if saved is not None and saved[0] + 1 >= self._journal.first_seq:
            try:
                return Site.restored(saved[1], self._secrets), saved[0]
            except SnapshotError as error:
                raise SensordError(
                    say(f"那时保存的状态已无法读取：{error}", f"the state saved then cannot be read any more: {error}")
                ) from error
        if self._journal.first_seq > 1:
            raise SensordError(
                say("日志已不再保留那么早的数据", "the journal no longer reaches back so far (journal.keep)")
            )
        return Site(secrets=self._secrets), 0

    def transition_at(self, name: str) -> int | None:
        """When an alert changed, by the transition's id."""
        found = self.past.transition(name)
        return found.at if found is not None else None


class _Recording:
    """A recording, stepped from its beginning."""

    def __init__(self, recorded: Recorded) -> None:
        self._recorded = recorded
        self.zone = self._open()[1]

    def _site(self) -> Site:
        """An empty core with the site keys of the recording."""
        one = self._recorded
        return Site(secrets=Source(one.source, one.mapping, one.rules, one.config, raw=True).open().secrets)

    def _open(self) -> tuple[Iterable[Group], str]:
        one = self._recorded
        opened = Source(one.source, one.mapping, one.rules, one.config, raw=True).open()
        groups = (item for item in opened.recorded() if isinstance(item, Group))
        return overridden(groups, opened.override), opened.zone

    def end(self) -> int:
        """The instant at which the recording ends."""
        return max((group.received_at for group in self._open()[0]), default=0)

    def begins(self) -> int:
        """The instant at which the recording begins."""
        return next((group.received_at for group in self._open()[0]), 0)

    def start(self, _rule: str, _at: int) -> tuple[Site, Iterable[Group]]:
        """Return an empty core and all groups."""
        return self._site(), self._open()[0]

    def story(self, case: str) -> list[CaseEvent]:
        """A case's events, found by stepping through the recording."""
        site = self._site()
        return [event for group in self._open()[0] for event in site.step(group).events if event.case == case]

    def deliveries(self, case: str) -> dict[str, str]:
        """A replay sends nothing."""
        return {}

    def transition_at(self, name: str) -> int | None:
        """Step through the recording until the alert changed."""
        site = self._site()
        for group in self._open()[0]:
            for one in site.step(group).transitions:
                if one.id == name:
                    return one.at
        return None


def answer(question: Question, config: Path, recorded: Recorded | None) -> Iterator[str]:
    """Yield the lines of the answer; raises ``SensordError`` when there is nothing to explain, and says what to ask."""
    source = _Recording(recorded) if recorded is not None else _Daemon(config)
    if not question.what:
        at = _instant(question.at, source.zone, source.end)
        return _about(source, question.rule, question.key, at, None)
    if (found := _TRANSITION.fullmatch(question.what)) is not None:
        when = source.transition_at(question.what)
        if when is None:
            raise SensordError(say(f"没有这条告警记录：{question.what}", f"there is no alert {question.what}"))
        return _about(source, found["rule"], found["key"], when, None)
    rule, colon, key = question.what.partition(":")
    if colon:
        return _about(source, rule, key, _instant(question.at, source.zone, source.end), None)
    return _about_case(source, question.what)


def _about_case(source: _Daemon | _Recording, name: str) -> Iterator[str]:
    """Explain why a case was opened, and tell its story to its end, or to now."""
    story = source.story(name)
    if not story:
        raise SensordError(say(f"没有这个案件：{name}", f"there is no case {name}"))
    opened = _TRANSITION.fullmatch(story[0].cause)
    if opened is None:
        cause = story[0].cause.partition("@")[0]
        raise SensordError(
            say(
                f"案件 {name} 由系统自身的规则 {cause} 立案，不来自传感器读数；见 operations.md",
                f"the case {name} was opened by {cause}, a rule of the system itself; see operations.md",
            )
        )
    until = story[-1].at if story[-1].state == "closed" else source.end()
    return _about(source, opened["rule"], opened["key"], story[0].at, until)


def _about(source: _Daemon | _Recording, rule: str, key: str, at: int, until: int | None) -> Iterator[str]:
    site, groups = source.start(rule, at)
    found = explain(groups, site, rule, key, at, until)
    if found is None and at < (begins := source.begins()):
        first = to_datetime(begins, source.zone).isoformat(timespec="seconds")
        raise SensordError(
            say(
                f"记录从 {first} 才开始，之前的事无从得知",
                f"what is recorded begins at {first}: nothing is known before",
            )
        )
    if found is None:
        raise _unknown(site, rule, key)
    return Answer(found, source.zone, source.deliveries).lines()


def _unknown(site: Site, rule: str, key: str) -> SensordError:
    evaluator = site.engine.evaluator_of(rule)
    if evaluator is None:
        hint = did_you_mean(rule, [one.id for one in site.definition.rules])
        return _hinted(say(f"那时没有规则 {rule}", f"no rule {rule} was in force then"), hint)
    hint = did_you_mean(key, evaluator.table.keys)
    return _hinted(say(f"规则 {rule} 不看 {key}", f"the rule {rule} does not look at {key}"), hint)


def _hinted(text: str, hint: str) -> SensordError:
    return SensordError(text + (say(f"（{told(hint)}）", f" ({hint})") if hint else ""))


def _instant(text: str, zone: str, end: Callable[[], int]) -> int:
    """Read a time: RFC 3339, local time, or a time of day (the latest one that has been); nothing means the end."""
    if not text:
        return end()
    try:
        if not _TIME_OF_DAY.fullmatch(text):
            return parse_instant(text, zone)
        newest = to_datetime(end(), zone)
        hour, minute, second = (*map(int, text.split(":")), 0)[:3]
        moment = newest.replace(hour=hour, minute=minute, second=second, microsecond=0)
        return from_datetime(moment if moment <= newest else moment - timedelta(days=1))
    except (ValueError, OverflowError) as error:
        raise SensordError(
            say(
                f"看不懂时间 {text!r}：请写 2026-03-02T08:15:00 或 08:15",
                f"{text!r} is no time: write 2026-03-02T08:15:00 or 08:15",
            )
        ) from error
