"""Warns of what is allowed but probably not meant: rules that know nothing, alerts that reach nobody, unused words.

Rules: a warning names what happens, where, and what was probably meant; it refuses nothing. What can never work at all
is an error and is found where the file is read.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from sensord.config.calendar import known_until
from sensord.config.channels import Apprise, ChannelSettings, MqttChannel, Smtp
from sensord.config.findings import Findings
from sensord.config.reach import host_and_port, is_allowed, is_internal, is_literal
from sensord.config.yamlfile import Document, KeyPath
from sensord.core.cases.policy import Mode, Policy, Role
from sensord.core.cases.reportplan import Every, ReportPlan
from sensord.core.instant import DAY, HOUR, format_duration
from sensord.core.level import Level
from sensord.core.people.duty import Duty
from sensord.core.place import Device, PlaceKind, Places
from sensord.core.rules.keys import KeyTable
from sensord.core.rules.rule import RISING, Aggregate, Rule
from sensord.core.schedule import PUBLIC, Calendar
from sensord.core.stream import STREAMS, Stream
from sensord.core.vehicles.tracking import Tracking
from sensord.errors import Problem

_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_ABOVE_GRIDS = ("block", "street")
_AHEAD = timedelta(days=31)
MOST_WAYS = 100
"""Channels and sinks whose threads fit into the service (``TasksMax`` of ``systemd/sensord.service``)."""


@dataclass(frozen=True, slots=True)
class Written:
    """A rule, and where it is written."""

    rule: Rule
    document: Document
    path: KeyPath


def lint_rule(findings: Findings, path: KeyPath, rule: Rule, table: KeyTable, places: Places) -> None:
    """Look at one rule and the sensors that it looks at."""
    numbers = np.flatnonzero(table.of_device >= 0)
    devices = [places.devices[number] for number in numbers.tolist()]
    _samples(findings, path, rule, devices, table.of_device[numbers].tolist())
    _steps(findings, path, rule, devices)
    _placeholders(findings, path, rule)
    _percent(findings, path, rule)


def _samples(findings: Findings, path: KeyPath, rule: Rule, devices: Sequence[Device], keys: Sequence[int]) -> None:
    """A window that cannot hold ``min_samples`` of any sensor's readings knows nothing, ever."""
    if not rule.window or rule.stream in (None, Stream.STATUS) or STREAMS[rule.stream].eventful:
        return  # a device's period is that of its own stream
    apart = rule.value is not None and rule.value.aggregate is Aggregate.TOTAL
    shared = Counter(keys)  # where several sensors feed one key, one period does not tell how many readings come
    slow = [
        device
        for device, key in zip(devices, keys, strict=True)
        if (apart or shared[key] == 1) and rule.window // device.period < max(rule.min_samples, 1)
    ]
    if not slow:
        return
    worst = max(slow, key=lambda device: (device.period, device.id))
    message = (
        f"{len(slow)} of {len(devices)} sensors send too seldom: {worst.id} every {format_duration(worst.period)}, but "
        f"{max(rule.min_samples, 1)} readings are needed in a window of {format_duration(rule.window)}; "
        "the value there is always unknown"
    )
    need = format_duration(worst.period * max(rule.min_samples, 1))
    findings.warn((*path, "window"), message, f"write a window of {need} or more, or a smaller min_samples")


def _steps(findings: Findings, path: KeyPath, rule: Rule, devices: Sequence[Device]) -> None:
    """``every`` below the sensors' period looks at the same readings again; ``for`` below ``every`` is ``every``."""
    if not rule.every:
        return
    quickest = min((device.period for device in devices), default=0)
    regular = rule.stream not in (None, Stream.STATUS) and not STREAMS[rule.stream].eventful
    if quickest > rule.every and regular:
        message = (
            f"the rule is evaluated every {format_duration(rule.every)}, but its sensors send every "
            f"{format_duration(quickest)} at most: the same readings are looked at again and again"
        )
        findings.warn((*path, "every"), message, f"write every: {format_duration(quickest)}")
    for rung in rule.levels:
        if rung.hold and rung.hold % rule.every:
            takes = format_duration(-(-rung.hold // rule.every) * rule.every)
            step = format_duration(rule.every)
            message = (
                f"'for: {format_duration(rung.hold)}' takes effect only after {takes}: it is looked at every {step}"
            )
            where = (*path, "levels", rung.level.word, "for")
            findings.warn(where, message, f"write for: {takes}")


def _percent(findings: Findings, path: KeyPath, rule: Rule) -> None:
    """A threshold below one percent: a share was probably meant, and one percent of a place is soon reached."""
    changing = rule.value is not None and rule.value.aggregate in (Aggregate.RATE, Aggregate.SLOPE, Aggregate.STDDEV)
    if rule.percent_of is None or rule.baseline is not None or changing:
        return
    for rung in rule.levels:
        if 0 < rung.threshold < 1:
            where = (*path, "levels", rung.level.word, rule.comparison.value)
            message = (
                f"the threshold is in percent: {rung.threshold:g} is less than one percent of the {rule.percent_of}"
            )
            meant = f"{rung.threshold * 100:g}"
            findings.warn(where, message, f"write {meant} for {meant} percent")


def _placeholders(findings: Findings, path: KeyPath, rule: Rule) -> None:
    """Placeholders that stay empty for this kind of rule."""
    empty = {"device"} if rule.by != "device" else set()
    empty |= {"grid"} if rule.by in _ABOVE_GRIDS else set()
    written = {template: language for language, template in reversed(rule.message.items())}  # en may be zh's text
    for template, language in written.items():
        for name in dict.fromkeys(_PLACEHOLDER.findall(template)):
            if name in empty:
                message = f"{{{name}}} is always empty in a rule by {rule.by}"
                findings.warn((*path, "message", language), message, "remove it, or write {place}")


def lint_channels(document: Document, channels: Iterable[ChannelSettings]) -> list[Problem]:
    """Warn of channels whose address nothing may be sent to: a name may come to lead elsewhere, an address does not."""
    findings = Findings(document)
    for index, channel in enumerate(channels):
        if isinstance(channel, MqttChannel | Apprise | Smtp):
            continue
        host, port = host_and_port(channel.url)
        if is_literal(host) and is_internal(host) and not is_allowed(host, port, channel.allow):
            message = f"nothing will be sent: {host} is an internal address, and the channel does not allow it"
            findings.warn(("channels", index, "url"), message, f'add allow: ["{host}:{port}"], if it is meant')
    return findings.warnings


def lint_threads(document: Document, ways: int) -> Iterator[Problem]:
    """Warn of more channels and sinks (``ways``) than the service has threads for: some would be late in a storm."""
    if ways > MOST_WAYS:
        message = f"{ways} channels and sinks need more threads than the service may have: messages may be late"
        hint = f"add 8 to TasksMax for each above {MOST_WAYS} (systemctl edit sensord)"
        yield document.problem(("channels",), message, hint, severity="warning")


def lint_dispatch(
    document: Document,
    roles: Iterable[Role],
    policies: Iterable[Policy],
    rules: Sequence[Written],
    own: Iterable[str] = (),
) -> list[Problem]:
    """Look at rules and plans together: levels that reach no step, plans without a rule, roles without a plan.

    ``own`` are the policies by which built-in rules are told.
    """
    findings = Findings(document)
    by_id = {policy.id: policy for policy in policies}
    used = {*own, *(written.rule.dispatch for written in rules)}
    problems: list[Problem] = []
    for written in rules:
        policy = by_id.get(written.rule.dispatch)
        if policy is not None:
            problems += _unreached(written, policy)
    for policy in by_id.values():
        if policy.id not in used and rules:
            findings.warn(("policies", policy.id), f"no rule uses the policy {policy.id}", "remove it, or use it")
    told = {role for policy in by_id.values() for role in (*policy.roles, *policy.supervisors)}
    for role in roles:
        if role.id not in told:
            message = f"no policy tells the role {role.id}: whoever holds it on the roster hears nothing"
            findings.warn(("roles", role.id), message, "add it to a step, or remove it")
    return problems + findings.warnings


def _unreached(written: Written, policy: Policy) -> list[Problem]:
    """Warn when the rule's lower levels tell nobody, because each step waits for a higher one."""
    lowest = min((step.at_least for step in policy.steps), default=Level.NONE)
    silent = [rung.level for rung in written.rule.levels if rung.level < lowest]
    if not silent:
        return []
    words = " and ".join(level.word for level in silent)
    message = f"{words} of {written.rule.id} tells nobody: the policy {policy.id} begins at {lowest.word}"
    hint = f"add a step with at_least: {silent[0].word} to the policy, or remove the level"
    levels = (*written.path, "levels", silent[0].word) if written.rule.value is not None else (*written.path, "level")
    return [written.document.problem(levels, message, hint, severity="warning")]


def lint_nearest(
    document: Document, policies: Iterable[Policy], places: Places, reach: Mapping[str, Collection[str]]
) -> Iterable[Problem]:
    """Warn of plans that look for the nearest people around grids of which nothing says what is near.

    ``reach`` holds the places where an alert with each plan can fire.
    """
    grids = [place.id for place in places.places if place.kind is PlaceKind.GRID]
    for policy in policies:
        nearest = [index for index, step in enumerate(policy.steps) if step.mode is Mode.NEAREST]
        if not nearest:
            continue
        fires = {places.above(place, PlaceKind.GRID) for place in reach.get(policy.id, ())}
        for index in nearest:
            alone = [
                one for one in grids if one in fires and len(grids) > 1 and not _has_neighbours(one, grids, places)
            ]
            if alone:
                message = (
                    f"nothing says which grids lie near {alone[0]} ({len(alone)} such grids where {policy.id} can "
                    "be needed): after its own people, whoever is of the same block counts as near"
                )
                hint = "add neighbours: to the grid, or position: to compounds in places.yaml"
                yield document.problem(
                    ("policies", policy.id, "steps", index, "mode"), message, hint, severity="warning"
                )


def _has_neighbours(grid: str, grids: Collection[str], places: Places) -> bool:
    return bool(places.beside(grid) or places.outwards(grid, (one for one in grids if one != grid)))


_LENGTHS = {"stay": HOUR, "nights": DAY, "days_away": DAY}
"""Fields of visits that are lengths of time, and in what (ns)."""


def lint_lengths(rules: Iterable[Written], tracking: Tracking) -> Iterator[Problem]:
    """Warn of thresholds that no visit reaches, because the vehicle is forgotten or its visit ended before."""
    for written in rules:
        rule, value = written.rule, written.rule.value
        if rule.stream is not Stream.VISIT or value is None or rule.comparison not in RISING:
            continue
        field = value.field or ""
        for rung in rule.levels if field in _LENGTHS else ():
            found = _too_long(rung.level.word, rule.id, field, rung.threshold, tracking)
            if found:
                where = (*written.path, "levels", rung.level.word)
                yield written.document.problem(where, *found, severity="warning")


def _too_long(level: str, rule: str, field: str, threshold: float, tracking: Tracking) -> tuple[str, str] | None:
    """What is wrong with a threshold, and what to do; None: it can be reached."""
    length, remember = threshold * _LENGTHS[field], format_duration(tracking.remember)
    if length > tracking.remember:
        message = f"{level} of {rule} can never fire: vehicles.yaml says tracking.remember: {remember}"
        return message, "write a lower threshold, or a longer remember"
    if field == "days_away" or length <= tracking.believed:
        return None
    message = (
        f"{level} of {rule} fires only for vehicles that live here: the visit of any other ends before, "
        f"by tracking.believed: {format_duration(tracking.believed)} in vehicles.yaml"
    )
    return message, "write a lower threshold, or a longer believed"


_LOOKS_BACK = {Every.DAY: 9, Every.WEEK: 15, Every.QUARTER: 191}
"""Days, to the beginning of what a report is held against."""


def lint_history(document: Document, reports: Sequence[ReportPlan], kept: int) -> Iterator[Problem]:
    """Warn of reports that look back on more than is kept (``kept``, ns): what is gone is shown as unknown."""
    for number, plan in enumerate(reports):
        days = _LOOKS_BACK[plan.every]
        if kept < days * DAY:
            message = f"the report {plan.id} looks back on {days}d, but cases and counts are kept for {_in_days(kept)}"
            hint = f"write history: {{keep: {days}d}} or more in sensord.yaml"
            yield document.problem(("reports", number), message, hint, severity="warning")


def _in_days(duration: int) -> str:
    return f"{duration // DAY}d" if duration % DAY == 0 else format_duration(duration)


def lint_calendar(file: str, calendar: Calendar, rules: Sequence[Rule], duty: Duty, today: date) -> Iterator[Problem]:
    """Warn when days off that somebody goes by are not known for the coming month."""
    words = {word for rule in rules for span in rule.active for word in (*span.days, *span.apart)}
    words |= {word for shift in duty.shifts for word in shift.days}
    last = known_until(calendar)
    if today + _AHEAD > last and not words.isdisjoint(PUBLIC):
        message = f"public holidays are known until {last}, and rules or shifts go by them"
        hint = "write those of the next year into the calendar file (files: {calendar: ...}), or update the program"
        yield Problem(file, 1, 1, message, hint, "warning")


def lint_silence(folder: str, places: Places, rules: Sequence[Rule], tables: Mapping[str, KeyTable]) -> list[Problem]:
    """Warn of sensors whose silence raises nothing: what is blind would be noticed by nobody.

    ``tables`` are the rules' keys by their ids.
    """
    if not rules:
        return []
    watched: set[int] = set()
    for rule in rules:
        if rule.absent:
            watched.update(np.flatnonzero(tables[rule.id].of_device >= 0).tolist())
    problems = []
    for stream in (stream for stream in STREAMS if stream is not Stream.REPORT):  # people need not report anything
        missing = [places.devices[one].id for one in places.of_stream.get(stream, ()) if one not in watched]
        if missing:
            message = f"no rule notices when {len(missing)} {stream.word} devices fall silent, for example {missing[0]}"
            hint = f"add a rule with stream: {stream.word} and absent: {{periods: 3}}"
            problems.append(Problem(folder, 1, 1, message, hint, "warning"))
    return problems
