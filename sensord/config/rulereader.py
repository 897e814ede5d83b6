"""Reads one rule: checks every word, then makes the core's ``Rule``; every method notes its own mistakes."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

import msgspec

from sensord.config.active import read_active
from sensord.config.combined import LOGIC, logic_of, read_combination
from sensord.config.derived import lowered, one_level_lower, plain_levels, read_baseline, read_trend
from sensord.config.findings import Findings
from sensord.config.ladder import looks_regularly, read_ladder
from sensord.config.overrides import OverrideReader
from sensord.config.ruletext import RuleText
from sensord.config.value import read_value
from sensord.config.window import WindowReader
from sensord.config.yamlfile import KeyPath
from sensord.core.cases.message import check_template
from sensord.core.instant import DAY, SECOND
from sensord.core.level import BY_WORD as LEVELS
from sensord.core.place import Place, PlaceKind, Places
from sensord.core.rules.keys import ITSELF
from sensord.core.rules.rule import Aggregate, Capacity, Clear, Comparison, Flapping, LevelSpec, Rule, Stuck, Value
from sensord.core.stream import BY_WORD, LABELS, STREAMS, Stream

_PLACE_KINDS = tuple(kind.value for kind in PlaceKind)
_EMPTY_IS_ZERO = (Aggregate.COUNT, Aggregate.SUM, Aggregate.RATE, Aggregate.DISTINCT)
_THRESHOLD_ONLY = (
    "value",
    "percent_of",
    "each",
    "window",
    "every",
    "min_samples",
    "levels",
    "overrides",
    "flapping",
    "baseline",
    "trend",
)
_COMBINED_ONLY = ("missing", "within")
_WIDE_BRACES = re.compile(r"｛[^｛｝]*｝?|｝")
_NOT_COMBINED = ("stream", "where", "active")
_THRESHOLD = 1.0
"""Silence and stillness are measured in units of what is allowed, so one is the threshold of such rules."""
_WORDS = {"missing": "not", "all_of": "all", "any_of": "any"}
"""Attributes whose word in YAML is another one."""


@dataclass(frozen=True, slots=True)
class World:
    """What rules may speak of: places, policies, and the calendar's lists of days. None: not checked.

    (A file that has mistakes of its own is not checked against.)
    """

    places: Places | None = None
    policies: Collection[str] | None = None
    days: Collection[str] | None = None


class RuleReader:
    """Reads one rule."""

    def __init__(self, findings: Findings, path: KeyPath, text: RuleText, world: World) -> None:
        self.findings, self.path, self.text, self.world = findings, path, text, world
        self.stream: Stream | None = None if text.stream is None else BY_WORD[text.stream]
        given = [name for name in ("absent", "stuck") if getattr(text, name) is not None]
        self.kinds = [*given, *logic_of(text)]

    def read(self) -> Rule | None:
        """Return the rule, or None when it has a mistake that leaves nothing to build."""
        self._dispatch()
        self._message()
        where = self._where()
        if len(self.kinds) > 1:
            words = " and ".join(_WORDS.get(kind, kind) for kind in self.kinds)
            self.findings.error(self.path, f"a rule cannot have {words} at once", "make several rules of it")
            return None
        if not self.kinds:
            return self._threshold(where)
        kind = self.kinds[0]
        return self._single(kind, where)

    def _error(self, key: str, message: str, hint: str = "") -> None:
        self.findings.error((*self.path, key), message, hint)

    # -- what all rules have -----------------------------------------------------------------------------------------

    def _dispatch(self) -> None:
        policies = self.world.policies
        if policies is not None and self.text.dispatch not in policies:
            hint = self.findings.suggest(self.text.dispatch, policies)
            self._error("dispatch", f"there is no policy {self.text.dispatch} in dispatch.yaml", hint)

    def _message(self) -> None:
        texts = self.text.message
        if texts is None:
            return
        for language, template in texts.both().items():
            if language == "en" and texts.en is None:
                continue
            where = (*self.path, "message", language)
            if (wide := _WIDE_BRACES.search(template)) is not None:
                self.findings.error(where, f"full-width braces ({wide[0]}) hold no placeholder", "write { and }")
            try:
                check_template(template)
            except ValueError as error:
                self.findings.error(where, f"the message is wrong: {error}")

    def _where(self) -> dict[str, tuple[str, ...]]:
        given = self.text.where
        where = {key: (words,) if isinstance(words, str) else words for key, words in given.items()}
        for key, words in where.items():
            if not words:
                self.findings.error(
                    (*self.path, "where", key), "the list is empty", "name at least one, or remove the key"
                )
            for index, word in enumerate(words):
                path: KeyPath = (*self.path, "where", key)
                self._word(path if isinstance(given[key], str) else (*path, index), key, word)
        return {key: words for key, words in where.items() if words}

    def _labels(self) -> dict[str, tuple[str, ...]]:
        if self.stream is None or self.kinds:
            return {}
        return {label.name: label.words for label in STREAMS[self.stream].labels}

    def _word(self, path: KeyPath, key: str, word: str) -> None:
        labels, places = self._labels(), self.world.places
        if key in labels:
            if word not in labels[key]:
                self.findings.error(path, f"{key} cannot be {word}", self.findings.suggest(word, labels[key]))
        elif key == "device":
            if places is not None and word not in places.device_index:
                hint = self.findings.suggest(word, places.device_index)
                self.findings.error(path, f"there is no device {word} in places.yaml", hint)
        elif key in _PLACE_KINDS:
            if places is not None:
                self._place(path, key, word, places)
        else:
            known = (*labels, "device", *_PLACE_KINDS)
            about = "readings of an absence rule" if "absent" in self.kinds else f"stream {self.text.stream}"
            key_path = (*self.path, "where", key)
            hint = self.findings.suggest(key, known)
            self.findings.error(key_path, f"where cannot look at {key}: unknown for {about}", hint, key=True)

    def _place(self, path: KeyPath, kind: str, word: str, places: Places) -> None:
        found = places.by_id.get(word)
        if found is None:
            known = {place.id: place for place in places.places if place.kind == kind}
            called = [one for one in known if word in _names(known[one], places)]
            hint = f"did you mean {', '.join(called)}?" if called else self.findings.suggest(word, known)
            self.findings.error(path, f"there is no {kind} {word} in places.yaml", hint)
        elif found.kind != kind:
            self.findings.error(
                path, f"{word} is a {found.kind}, not a {kind}", f"write where: {{{found.kind}: {word}}}"
            )

    def _by(self) -> tuple[str, tuple[str, ...]]:
        """Return what each alert is about: a kind of place or ``device``, and labels."""
        words = (self.text.by,) if isinstance(self.text.by, str) else self.text.by
        places = [word for word in words if word not in LABELS]
        split = tuple(word for word in words if word in LABELS)
        if not words:
            self._error("by", "the list is empty", "say what each alert is about: lane, gate, grid ...")
        if len(places) > 1 or len(set(words)) != len(words):
            self._error("by", f"by takes one kind of place, or device, not {', '.join(places)}", "keep one of them")
        if ITSELF in words and self.stream is not Stream.REPORT:
            self._error("by", "only findings name a place of their own", "write by: lane, gate, grid ... or device")
        labels = self._labels()
        for word in split:
            if word not in labels:
                about = f"stream {self.text.stream}" if not self.kinds else "such a rule"
                self._error(
                    "by",
                    f"by cannot be {word}: there is no such label for {about}",
                    ", ".join(labels) or "name a place, or device",
                )
        return places[0] if places else "street", split

    # -- rules with one level ----------------------------------------------------------------------------------------

    def _single(self, kind: str, where: dict[str, tuple[str, ...]]) -> Rule | None:
        text, word = self.text, LOGIC.get(kind, kind)
        forbidden = [*_THRESHOLD_ONLY, *(_NOT_COMBINED if kind in LOGIC else _COMBINED_ONLY)]
        if kind == "absent":
            forbidden.append("clear")
        if kind in LOGIC and kind != "after":
            forbidden.append("missing")
        for key in forbidden:
            if getattr(text, key):
                message = f"a rule with {word} has no {_WORDS.get(key, key)}"
                self._error(_WORDS.get(key, key), message, "make two rules of it, or remove the key")
        clear = self._run_out(kind, word)
        if text.level is None:
            self.findings.error(self.path, f"a rule with {word} needs a level", "add level: blue")
            return None
        plain = self._rule(where, (LevelSpec(LEVELS[text.level], _THRESHOLD),), clear)
        if kind == "absent":
            assert text.absent is not None
            return msgspec.structs.replace(plain, absent=text.absent.periods)
        if kind == "stuck":
            return msgspec.structs.replace(plain, stuck=self._stuck())
        if plain.by in ("device", ITSELF):
            self._error("by", "alerts of several rules meet at a place", "write by: lane, compound, grid ...")
        combination = read_combination(self.findings, self.path, text, kind)
        return None if combination is None else msgspec.structs.replace(plain, combination=combination)

    def _run_out(self, kind: str, word: str) -> Clear:
        clear = self.text.clear
        hold = 0 if clear is None else self.findings.duration((*self.path, "clear", "for"), clear.hold)
        if clear is not None and clear.margin and kind != "absent":
            self.findings.error((*self.path, "clear", "margin"), f"a rule with {word} has no margin", "remove it")
        if kind == "after" and hold < SECOND:
            message = "an event that did not follow needs clear.for of at least 1s: for how long it is reported"
            self.findings.error(self.path, message, "add clear: {for: 30m}")
        return Clear((0.0,), hold)

    def _stuck(self) -> Stuck:
        text = self.text.stuck
        assert text is not None
        path: KeyPath = (*self.path, "stuck")
        if self.stream is None:
            self.findings.error(self.path, "the rule has no stream", f"add stream: one of {', '.join(BY_WORD)}")
        else:
            known = [spec.name for spec in STREAMS[self.stream].fields]
            if text.field not in known:
                hint = self.findings.suggest(text.field, known)
                message = f"stream {self.stream.word} has no field {text.field}"
                self.findings.error((*path, "field"), message, hint)
        if text.hold is None and text.zero_for is None:
            self.findings.error(path, "stuck needs for or zero_for: for how long", "add for: 6h")
        hold, zero = (
            0 if given is None else self.findings.duration((*path, key), given, 10 * SECOND, 30 * DAY)
            for key, given in (("for", text.hold), ("zero_for", text.zero_for))
        )
        return Stuck(text.field, hold, zero, text.tolerance)

    # -- rules with a value ------------------------------------------------------------------------------------------

    def _threshold(self, where: dict[str, tuple[str, ...]]) -> Rule | None:
        text = self.text
        for key in _COMBINED_ONLY:
            if getattr(text, key) is not None:
                word = _WORDS.get(key, key)
                self._error(word, f"{word} belongs to a rule about other rules", "add all:, sequence: or after:")
        if text.level is not None:
            self._error("level", "only a rule with absent has a single level", "write levels: {...}, or add absent:")
        if self.stream is None:
            self.findings.error(self.path, "the rule has no stream", f"add stream: one of {', '.join(BY_WORD)}")
        value = self._value()
        shape = WindowReader(self.findings, self.path, text, value).read()
        trend = read_trend(self.findings, self.path, text, shape.every)
        plainly = plain_levels(self.findings, self.path, text)
        if plainly is None:
            return None
        ladder = read_ladder(self.findings, self.path, plainly, None if text.baseline is not None else value)
        if ladder is None or value is None:
            return None
        reader = OverrideReader(self.findings, self.path, plainly, ladder, self.world.places)
        overrides, levels = reader.read(), ladder.levels
        plain = msgspec.structs.replace(self._rule(where, levels, ladder.clear), value=value)
        reader.check(overrides, plain)
        if trend is not None:
            levels, overrides = one_level_lower(levels), lowered(overrides)
        if overrides and text.baseline is not None:
            self._error("overrides", "a baseline knows each place's own usual", "remove overrides, or make two rules")
        if trend is not None and ladder.comparison is Comparison.OUTSIDE:
            self._error("trend", "a trend heads one way, and outside looks both ways", "make two rules of it")
        self._capacity(plain)
        self._each()
        return msgspec.structs.replace(
            plain,
            levels=levels,
            comparison=ladder.comparison,
            window=shape.window,
            session=shape.session,
            readings=shape.readings,
            every=shape.every,
            min_samples=self._samples(value, shape.readings),
            percent_of=None if text.percent_of is None else Capacity(text.percent_of),
            each=text.each is not None,
            overrides=overrides,
            flapping=self._flapping(),
            baseline=read_baseline(self.findings, self.path, text, value, shape.every),
            trend=trend,
        )

    def _value(self) -> Value | None:
        if self.text.value is None:
            self.findings.error(self.path, "the rule has no value", "add value: for example mean(density) or count()")
            return None
        return read_value(self.findings, (*self.path, "value"), self.text.value, self.stream)

    def _samples(self, value: Value, readings: int) -> int:
        text = self.text
        zero = self.stream is not None and STREAMS[self.stream].eventful and value.aggregate in _EMPTY_IS_ZERO
        if text.min_samples == 0 and not zero:
            message = "min_samples: 0 would take an empty window for a value; here it means that nothing is known"
            self._error("min_samples", message, "write 1 or more")
        if text.min_samples is not None:
            return text.min_samples
        return readings or (0 if zero and looks_regularly(text) else 1)

    def _flapping(self) -> Flapping | None:
        text = self.text.flapping
        if text is None:
            return None
        path = (*self.path, "flapping")
        within = self.findings.duration((*path, "within"), text.within, SECOND, DAY)
        return Flapping(text.raises, within, self.findings.duration((*path, "hold"), text.hold, SECOND, DAY))

    def _capacity(self, rule: Rule) -> None:
        """A percentage needs to know what 100 % is."""
        kind, places = self.text.percent_of, self.world.places
        if kind is None or places is None:
            return
        if rule.by == "device":
            found = [places.by_id[device.place] for device in places.devices if device.stream is rule.stream]
        else:
            found = [place for place in places.places if place.kind.value == rule.by]
        lacking = [place.id for place in found if not getattr(place, kind)]
        if found and len(lacking) == len(found):
            self._error("percent_of", f"no {rule.by} has {kind} in places.yaml", f"add {kind}: to the places")
        elif lacking:
            message = f"{len(lacking)} of {len(found)} have no {kind}, for example {lacking[0]}: no value there"
            self.findings.warn((*self.path, "percent_of"), message, f"add {kind}: to them in places.yaml")

    def _each(self) -> None:
        """Every vehicle or finding by itself: then each reading is looked at by itself, and is of one."""
        if self.text.each is None:
            return
        if self.text.each == "vehicle" and self.stream is not Stream.VISIT:
            self._error("each", "only passages and visits are of a vehicle", "write stream: visit")
        elif self.text.each == "finding" and self.stream is not Stream.REPORT:
            self._error("each", "only reports are findings", "write stream: report")
        elif self.text.window is not None:
            self._error("each", "a window is of many vehicles or findings", "remove window, or each")

    def _rule(self, where: dict[str, tuple[str, ...]], levels: tuple[LevelSpec, ...], clear: Clear) -> Rule:
        text = self.text
        by, split = self._by()
        return Rule(
            id=text.id,
            name=text.name.both(),
            stream=self.stream,
            by=by,
            split=split,
            dispatch=text.dispatch,
            levels=levels,
            clear=clear,
            where=where,
            active=read_active(self.findings, (*self.path, "active"), text.active, self.world.days),
            message={} if text.message is None else text.message.both(),
            labels=text.labels,
            runbook=text.runbook if isinstance(text.runbook, str) else text.runbook.both(),
        )


def _names(place: Place, places: Places) -> set[str]:
    """What a place is called: by its own name, or with its compound's."""
    return {name for language in ("zh", "en") for name in (place.label(language), places.name(place.id, language))}
