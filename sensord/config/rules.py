"""Gives rule files their meaning: checks every word, then makes the core's ``Rule``.

Rules: mistakes are refused with position and hint, all of them at once; what is merely unlikely to be meant
(a rule that looks at no registered device) is a warning.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from sensord.config.combined import Given, check_combinations, check_meeting, tables_of
from sensord.config.findings import Findings
from sensord.config.lint import Written, lint_rule
from sensord.config.rulereader import RuleReader, World
from sensord.config.ruletext import RulesFile, RuleText
from sensord.config.schema import convert, convert_each
from sensord.config.yamlfile import Document, KeyPath, read_yaml
from sensord.core.cases.builtin import reserved
from sensord.core.rules.keys import KeyTable
from sensord.core.rules.rule import Rule
from sensord.errors import ConfigError, Problem

__all__ = ["RuleSet", "World", "check_rules", "load_rules"]


@dataclass(slots=True)
class RuleSet:
    """What came of a folder of rule files.

    ``written`` says where each rule stands, and ``reach``, per policy, the places where its rules can fire. ``tables``
    are the rules' keys by their ids; there are none where places are not known.
    """

    rules: list[Rule] = field(default_factory=list)
    written: list[Written] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    reach: dict[str, set[str]] = field(default_factory=dict)
    tables: dict[str, KeyTable] = field(default_factory=dict)
    read: Given = field(default_factory=list)
    """Each rule with where it was read; for what can only be checked once all are known."""


def load_rules(folder: Path, world: World) -> RuleSet:
    """Read a rule file, or all of a folder in the order of names; raises ``ConfigError`` with every mistake."""
    files = _files(folder)
    result, errors = RuleSet(), []
    seen: dict[str, str] = {}
    for path in files:
        try:
            document = read_yaml(path)
        except ConfigError as error:
            errors += error.problems
            continue
        errors += check_rules(document, world, result, seen)
    errors += _check_together(world, result)
    if errors:
        raise ConfigError(errors)
    if not result.rules:
        hint = "write one: the manual has examples"
        result.warnings.append(Problem(str(folder), 1, 1, "there are no rules: nothing will alarm", hint, "warning"))
    return result


def _files(folder: Path) -> list[Path]:
    try:
        if folder.is_file():
            return [folder]
        names = sorted(path for path in folder.iterdir() if path.suffix in (".yaml", ".yml"))
    except OSError as error:
        hint = "files.rules names the folder of rule files"
        problem = Problem(str(folder), 1, 1, f"the folder of rules cannot be read: {error.strerror}", hint)
        raise ConfigError([problem]) from error
    return [path for path in names if not path.name.startswith(".")]


def check_rules(document: Document, world: World, result: RuleSet, seen: dict[str, str]) -> list[Problem]:
    """Check one parsed rule file, add what is good to ``result``, and return the mistakes.

    ``seen`` maps rule ids to where they were first given; it goes from file to file.
    """
    findings = Findings(document)
    texts: list[tuple[KeyPath, RuleText]]
    try:
        texts = [(("rules", index), text) for index, text in enumerate(convert(document, RulesFile).rules)]
    except ConfigError as error:
        findings.errors += error.problems
        items = document.data.get("rules") if isinstance(document.data, dict) else None
        texts = convert_each(document, ("rules",), items if isinstance(items, list) else [], RuleText)[0]
    for path, text in texts:
        before = len(findings.errors)
        line = document.position((*path, "id"))[0]
        if reserved(text.id):
            findings.error(
                (*path, "id"),
                f"the id {text.id} belongs to a built-in rule",
                "choose another; sensord-… are the daemon's own",
            )
        first = seen.setdefault(text.id, f"{document.file}:{line}")
        if first != f"{document.file}:{line}":
            findings.error((*path, "id"), f"the rule id {text.id} is already taken at {first}", "rule ids are unique")
        rule = RuleReader(findings, path, text, world).read()
        if rule is not None and len(findings.errors) == before:
            result.rules.append(rule)
            result.read.append((findings, path, rule))
            result.written.append(Written(rule, findings.document, path))
    result.warnings += findings.warnings
    return findings.errors


def _check_together(world: World, result: RuleSet) -> list[Problem]:
    """Check what rules say of each other; note where each can fire. Returns the mistakes."""
    known = [(findings, len(findings.errors), len(findings.warnings)) for findings in _files_of(result)]
    combinations = [one for one in result.read if one[2].combination is not None]
    check_combinations(combinations, result.rules)
    errors = [problem for findings, count, _ in known for problem in findings.errors[count:]]
    if world.places is not None and not errors:
        tables = result.tables = tables_of(result.rules, world.places)
        check_meeting(combinations, tables, world.places)
        for findings, path, rule in result.read:
            if not len(tables[rule.id]):
                message = f"the rule {rule.id} looks at no registered device: it can never fire"
                findings.warn(path, message, "compare its stream, where and by with the devices of places.yaml")
            elif rule.combination is None:
                lint_rule(findings, path, rule, tables[rule.id], world.places)
            result.reach.setdefault(rule.dispatch, set()).update(tables[rule.id].places)
    result.warnings += [problem for findings, _, count in known for problem in findings.warnings[count:]]
    return errors


def _files_of(result: RuleSet) -> list[Findings]:
    """The findings of each file, once."""
    return list({id(findings): findings for findings, _, _ in result.read}.values())
