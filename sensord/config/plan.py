"""``dispatch.yaml``: gives its words their meaning, and says where they do not fit each other."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sensord.config.findings import Findings
from sensord.config.plantext import CategoryText, DispatchFile, MaintenanceText, PolicyText, ScoreText, StepText
from sensord.config.schema import convert
from sensord.config.yamlfile import Document, KeyPath, read_yaml
from sensord.core.cases.builtin import IDS, OTHERS
from sensord.core.cases.case import Answer, State
from sensord.core.cases.damping import Damping
from sensord.core.cases.mute import Inhibition, Maintenance
from sensord.core.cases.policy import Category, Mode, Policy, Role, Step
from sensord.core.cases.reportplan import Every, ReportPlan
from sensord.core.cases.score import Score
from sensord.core.instant import DAY, MINUTE, SECOND, parse_instant
from sensord.core.level import BY_WORD
from sensord.core.people.duty import Shift
from sensord.core.place import Places
from sensord.core.record import Scope

_ANSWERS = {answer.word: answer for answer in Answer}
_FIRST_YEAR, _LAST_YEAR = 1970, 2200
"""Instants beyond cannot be saved: they are 64 bits of nanoseconds since 1970."""


@dataclass(frozen=True, slots=True)
class Dispatch:
    """What ``dispatch.yaml`` says, as the core takes it; ``document`` is kept to point into it later."""

    roles: tuple[Role, ...]
    policies: tuple[Policy, ...]
    categories: tuple[Category, ...]
    district: str
    inhibitions: tuple[Inhibition, ...]
    maintenance: tuple[Maintenance, ...]
    built_in: dict[str, str]
    damping: Damping
    reports: tuple[ReportPlan, ...]
    score: Score
    document: Document


def load_dispatch(path: Path, zone: str = "Asia/Shanghai") -> Dispatch:
    """Read ``dispatch.yaml``; raises ``ConfigError`` with every mistake and its position."""
    return check_dispatch(read_yaml(path), zone)


def check_dispatch(document: Document, zone: str = "Asia/Shanghai") -> Dispatch:
    """Check a parsed ``dispatch.yaml`` and convert it; raises ``ConfigError``."""
    file, findings = convert(document, DispatchFile), Findings(document)
    roles = tuple(
        Role(
            id=word,
            name=text.name.both(),
            ask=text.ask.both() if text.ask is not None else {},
            approves=text.approves,
            unlimited=text.unlimited,
            plates=text.plates,
        )
        for word, text in file.roles.items()
    )
    damping = file.damping
    made = Dispatch(
        roles=roles,
        policies=tuple(_policy(findings, word, text, file) for word, text in file.policies.items()),
        categories=tuple(_category(findings, word, text) for word, text in file.categories.items()),
        district=file.district,
        inhibitions=tuple(
            Inhibition(one.rules, one.mutes, BY_WORD[one.at_least], BY_WORD[one.up_to]) for one in file.inhibitions
        ),
        maintenance=tuple(_maintenance(findings, nth, text, zone) for nth, text in enumerate(file.maintenance)),
        built_in=_built_in(findings, file),
        damping=Damping(
            per_hour=damping.per_hour,
            digest_every=findings.duration(("damping", "digest_every"), damping.digest_every, MINUTE, DAY),
            storm_at=damping.storm_at,
        ),
        reports=tuple(_report(findings, nth, file) for nth in range(len(file.reports))),
        score=_score(findings, file.score),
        document=document,
    )
    findings.finish()
    return made


def _policy(findings: Findings, word: str, text: PolicyText, file: DispatchFile) -> Policy:
    path = ("policies", word)
    if text.category is not None and text.category not in file.categories:
        hint = findings.suggest(text.category, file.categories)
        findings.error((*path, "category"), f"there is no category {text.category} under categories", hint)
    _roles(findings, (*path, "supervisors"), text.supervisors, file.roles)

    def duration(name: str, longest: int = 366 * DAY) -> int:
        return findings.duration((*path, name), getattr(text, name), 0, longest)

    return Policy(
        id=word,
        name=text.name.both(),
        steps=tuple(_step(findings, (*path, "steps", nth), step, file.roles) for nth, step in enumerate(text.steps)),
        close=text.close,
        category=text.category or "",
        wait=duration("wait", DAY),
        agree_for=duration("agree_for", DAY),
        agree_within=duration("agree_within", DAY),
        unreported_after=duration("unreported_after"),
        everybody_at=BY_WORD[text.everybody_at],
        link=text.link or "",
        supervisors=text.supervisors,
    )


def _roles(findings: Findings, path: KeyPath, words: Collection[str], roles: Collection[str]) -> None:
    for position, role in enumerate(words):
        if role not in roles:
            hint = findings.suggest(role, roles)
            findings.error((*path, position), f"there is no role {role} under roles", hint)


def _step(findings: Findings, path: KeyPath, text: StepText, roles: Collection[str]) -> Step:
    _roles(findings, (*path, "tell"), text.tell, roles)
    after = findings.duration((*path, "after"), text.after, 0, 7 * DAY)
    every = findings.duration((*path, "every"), text.every, 0, 7 * DAY)
    if 0 < every < MINUTE:
        findings.error((*path, "every"), f"{text.every} is out of range: reminders come a minute apart at least")
    if text.until is not None and not after and not every:
        message = "until has no meaning without after or every: nobody can answer at once"
        findings.error((*path, "until"), message, "add after: 5m, or remove it")
    if text.mode == "replacement" and not after:
        message = "a replacement needs after: nobody is silent at once"
        findings.error((*path, "mode"), message, "add after: 5m")
    if text.mode == "joint" and text.lead is None:
        findings.error((*path, "mode"), "a joint dispatch needs somebody who leads", "add lead: police")
    if text.lead is not None and (text.mode != "joint" or text.lead not in text.tell):
        hint = findings.suggest(text.lead, text.tell) if text.mode == "joint" else "add mode: joint, or remove it"
        findings.error((*path, "lead"), f"{text.lead} leads nothing here: it must be told, in a joint step", hint)
    return Step(
        tell=tuple(dict.fromkeys(text.tell)),
        at_least=BY_WORD[text.at_least],
        after=after,
        until=_ANSWERS[text.until] if text.until is not None else Answer.NONE,
        every=every,
        mode=Mode(text.mode),
        lead=text.lead or "",
        count=text.count,
    )


def _category(findings: Findings, word: str, text: CategoryText) -> Category:
    limits = {
        State(stage): findings.duration(("categories", word, "limits", stage), limit, SECOND, 366 * DAY)
        for stage, limit in text.limits.items()
    }
    return Category(word, text.name.both(), text.major, text.minor, limits)


def _maintenance(findings: Findings, nth: int, text: MaintenanceText, zone: str) -> Maintenance:
    scope = text.scope
    if not (scope.places or scope.rules or scope.policies or scope.labels or scope.people):
        message = "the scope is empty: it would mute the whole street"
        findings.error(("maintenance", nth, "scope"), message, "name places, rules, policies, labels or people")
    return Maintenance(
        id=text.id,
        scope=Scope(scope.places, scope.rules, scope.policies, dict(scope.labels), scope.people, BY_WORD[scope.up_to]),
        shift=Shift(text.id, minutes(text.start), minutes(text.end), text.days),
        until=moment(findings, ("maintenance", nth, "until"), text.until, zone),
        by=text.by,
        note=text.reason,
    )


def _built_in(findings: Findings, file: DispatchFile) -> dict[str, str]:
    known = {*IDS, OTHERS}
    for rule, policy in file.built_in.items():
        if rule not in known:
            hint = findings.suggest(rule, known)
            findings.error(("built_in", rule), f"there is no built-in rule {rule}", hint)
        if policy not in file.policies:
            hint = findings.suggest(policy, file.policies)
            findings.error(("built_in", rule), f"there is no policy {policy} under policies", hint)
    return dict(file.built_in)


def _report(findings: Findings, nth: int, file: DispatchFile) -> ReportPlan:
    text, path = file.reports[nth], ("reports", nth)
    if text.id in (one.id for one in file.reports[:nth]):
        findings.error((*path, "id"), f"there are two reports {text.id}", "ids are unique")
    if text.every != "day" and len(text.at) > 1:
        findings.error((*path, "at"), f"a report of every {text.every} has one time", "keep one of them")
    _roles(findings, (*path, "tell"), text.tell, file.roles)
    times = sorted({minutes(clock) for clock in text.at})
    return ReportPlan(text.id, tuple(times), Every(text.every), tuple(dict.fromkeys(text.tell)))


def _score(findings: Findings, text: ScoreText) -> Score:
    weights = text.acknowledged + text.arrived + text.ended + text.reported
    if abs(weights - 100) > 1e-6:
        message = f"the weights acknowledged, arrived, ended and reported sum to {weights:g}: they must sum to 100"
        findings.error(("score",), message)
    limits = {
        name: findings.duration(("score", name), getattr(text, name), SECOND, 30 * DAY)
        for name in ("acknowledge_within", "arrive_within", "end_within")
    }
    names = ("acknowledged", "arrived", "ended", "reported", "overdue", "disagreed", "returned")
    return Score(**{name: getattr(text, name) for name in names}, **limits)


def minutes(clock: str) -> int:
    """Turn ``08:30`` into minutes after midnight."""
    hours, _, rest = clock.partition(":")
    return int(hours) * 60 + int(rest)


def moment(findings: Findings, path: KeyPath, text: str, zone: str) -> int:
    """Read a local date or date and time as an instant (ns), or note what is wrong and return 0."""
    try:
        written = datetime.fromisoformat(text)
    except ValueError as error:
        findings.error(path, f"{text} is not a date: {error}")
        return 0
    if not _FIRST_YEAR <= written.year <= _LAST_YEAR:
        findings.error(path, f"{text} is too far away: years from {_FIRST_YEAR} to {_LAST_YEAR} are meant")
        return 0
    return parse_instant(text, zone)


def check_scopes(dispatch: Dispatch, places: Places | None, rules: Collection[str]) -> None:
    """Check the words of ``dispatch.yaml`` that other files define; raises ``ConfigError`` with every mistake."""
    findings = Findings(dispatch.document)
    policies = {policy.id for policy in dispatch.policies}
    for nth, window in enumerate(dispatch.maintenance):
        path: KeyPath = ("maintenance", nth, "scope")
        _known(findings, (*path, "places"), window.scope.places, places.by_id if places is not None else None, "place")
        _known(findings, (*path, "rules"), window.scope.rules, rules, "rule")
        _known(findings, (*path, "policies"), window.scope.policies, policies, "policy")
    for nth, inhibition in enumerate(dispatch.inhibitions):
        _known(findings, ("inhibitions", nth, "rules"), inhibition.rules, rules, "rule")
        _known(findings, ("inhibitions", nth, "mutes"), inhibition.mutes, rules, "rule")
    findings.finish()


def _known(findings: Findings, path: KeyPath, words: Collection[str], known: Collection[str] | None, kind: str) -> None:
    for position, word in enumerate(words):
        if known is not None and word not in known:
            findings.error((*path, position), f"there is no {kind} {word}", findings.suggest(word, known))
