"""Reads rules about alerts (``all``, ``any``, ``sequence``, ``after`` ... ``not``), and checks that they fit together.

A part may be any rule, in any file, and a combination, too, as long as nothing looks at itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sensord.config.findings import Findings
from sensord.config.ruletext import PartText, RuleText
from sensord.config.yamlfile import KeyPath
from sensord.core.instant import DAY, SECOND
from sensord.core.level import BY_WORD
from sensord.core.place import Places
from sensord.core.rules.combination import in_order
from sensord.core.rules.keys import KeyTable, PlaceTable
from sensord.core.rules.rule import Combination, Logic, Part, Rule

LOGIC = {"all_of": "all", "any_of": "any", "sequence": "sequence", "after": "after"}
"""The attribute of the text by which a rule is a combination, and the word that people write."""
_LONGEST = 7 * DAY
_MOST = 8


def logic_of(text: RuleText) -> list[str]:
    """The attributes by which a rule is a combination."""
    return [name for name in LOGIC if getattr(text, name) is not None]


def read_combination(findings: Findings, path: KeyPath, text: RuleText, name: str) -> Combination | None:
    """Read the combination that the attribute ``name`` announces; notes every mistake."""
    within = 0
    if text.within is not None:
        within = findings.duration((*path, "within"), text.within, SECOND, _LONGEST)
    elif name in ("sequence", "after"):
        findings.error(path, f"{LOGIC[name]} needs within: how much time may lie between", "add within: 10m")
    if name == "any_of" and text.within is not None:
        findings.error((*path, "within"), "any needs no within: one of the rules suffices", "remove it")
    if name == "after":
        if text.after is None or text.missing is None:
            findings.error(path, "after needs not: the rule that should have followed", "add not: the id of a rule")
            return None
        return Combination(Logic.MISSING, (_part(text.after), _part(text.missing)), within)
    parts = tuple(_part(part) for part in getattr(text, name))
    if not 2 <= len(parts) <= _MOST:
        findings.error((*path, LOGIC[name]), f"{LOGIC[name]} takes 2 to {_MOST} rules", "name at least two")
    names = [part.rule for part in parts]
    for index, rule in enumerate(names):
        if rule in names[:index]:
            findings.error((*path, LOGIC[name], index), f"{rule} is there twice", "name each rule once")
    return Combination(Logic(LOGIC[name]), parts, within)


def _part(text: str | PartText) -> Part:
    return Part(text) if isinstance(text, str) else Part(text.rule, BY_WORD[text.at_least])


Given = list[tuple[Findings, KeyPath, Rule]]
"""Combinations that were read, with where."""


def check_combinations(given: Given, rules: Iterable[Rule]) -> None:
    """Check what can only be known when all files are read: that parts exist, and are no circle."""
    by_id = {rule.id: rule for rule in rules}
    complete = True
    for findings, path, rule in given:
        assert rule.combination is not None
        for place, part in zip(_places_of(path, rule.combination), rule.combination.parts, strict=True):
            if part.rule not in by_id:
                hint = findings.suggest(part.rule, by_id)
                findings.error(place, f"{rule.id} looks at {part.rule}, and there is no such rule", hint)
                complete = False
            elif part.at_least > by_id[part.rule].levels[-1].level:
                message = f"{rule.id} waits for {part.rule} at {part.at_least.word}, which it never reaches"
                findings.error(place, message, f"its highest level is {by_id[part.rule].levels[-1].level.word}")
    if not complete:
        return
    try:
        in_order(list(by_id.values()))
    except ValueError as error:
        names = str(error).split(" -> ")
        for findings, path, rule in given:
            if rule.id == names[0]:
                findings.error(path, f"rules look at each other in a circle: {error}", "take one of them out")


def _places_of(path: KeyPath, combination: Combination) -> list[KeyPath]:
    """Where each part is written."""
    if combination.logic is Logic.MISSING:
        return [(*path, "after"), (*path, "not")]
    return [(*path, combination.logic.value, index) for index in range(len(combination.parts))]


def check_meeting(given: Given, tables: Mapping[str, KeyTable], places: Places) -> None:
    """Warn of combinations whose parts have nothing in common; ``tables`` are the keys of every rule by its id."""
    for findings, path, rule in given:
        assert rule.combination is not None
        reach = [set(PlaceTable(rule, [tables[part.rule]], places).keys) for part in rule.combination.parts]
        for part, found in zip(rule.combination.parts, reach, strict=True):
            if not found:
                message = f"{part.rule} has no alerts at or below a {rule.by}"
                findings.warn(path, f"{rule.id} can never be complete: {message}", "choose a wider by:")
        if all(reach) and rule.combination.logic is not Logic.ANY and not set.intersection(*reach):
            findings.warn(path, f"the parts of {rule.id} have no {rule.by} in common", "choose a wider by:")


def tables_of(rules: list[Rule], places: Places) -> dict[str, KeyTable]:
    """Return the keys of every rule by its id; the rules are free of circles and complete."""
    tables: dict[str, KeyTable] = {rule.id: KeyTable(rule, places) for rule in rules if rule.combination is None}
    for number in in_order(rules):
        combination = rules[number].combination
        assert combination is not None
        parts = [tables[part.rule] for part in combination.parts]
        tables[rules[number].id] = PlaceTable(rules[number], parts, places)
    return tables
