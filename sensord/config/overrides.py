"""Reads a rule's ``overrides``: other thresholds for places and devices, in the rule or in a CSV file beside it.

The file is what a spreadsheet writes: a first row ``place,blue,yellow,orange,red`` (in any order, levels that are not
overridden left out), then a row per place or device; an empty cell keeps the rule's own threshold, and a rule with
``outside`` takes ``2..8``. Whether the levels are in order is seen where thresholds come together
(``overrideorder.py``).
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sensord.config.files import read_regular
from sensord.config.findings import Findings
from sensord.config.ladder import ORDER, Ladder, LadderReader, read_pair
from sensord.config.overrideorder import applicable, disorders
from sensord.config.ruletext import ClearText, RuleText
from sensord.config.yamlfile import MAX_BYTES, KeyPath
from sensord.core.level import BY_WORD
from sensord.core.place import Places
from sensord.core.rules.rule import Comparison, LevelSpec, Override, Rule
from sensord.errors import Problem

Given = float | tuple[float, ...]
_CELL = re.compile(r"-?\d{1,12}(\.\d{1,9})?", re.ASCII)
_PAIR = re.compile(rf"({_CELL.pattern})\.\.({_CELL.pattern})", re.ASCII)


class OverrideReader:
    """Reads one rule's overrides; every method notes its own mistakes."""

    def __init__(
        self, findings: Findings, path: KeyPath, text: RuleText, ladder: Ladder, places: Places | None
    ) -> None:
        self.findings, self.path, self.text, self.ladder, self.places = findings, path, text, ladder, places
        self._rungs = {rung.level.word: rung for rung in ladder.levels}
        self._rows_of: dict[str, tuple[Path, int]] = {}

    def read(self) -> tuple[Override, ...]:
        """Return the overrides in the order of their places."""
        given = self.text.overrides
        if given is None:
            return ()
        path: KeyPath = (*self.path, "overrides")
        if isinstance(given, str):
            return self._table(path, given)
        made = []
        for place, levels in given.items():
            self._exists((*path, place), place)
            made.append(self._one((*path, place), place, levels))
        return tuple(sorted((one for one in made if one is not None), key=lambda one: one.place))

    def check(self, overrides: tuple[Override, ...], rule: Rule) -> None:
        """Note where ``rule`` is out of order under these overrides, which ``read`` returned, and which never apply."""
        self._check_use(overrides, rule)
        for fault in disorders(self.ladder, overrides, rule, self.places):
            hint, others = ORDER, sorted(fault.keys - {fault.place})
            if others:
                seen = len(fault.keys)
                hint = f"levels go blue, yellow, orange, red; it is so at {seen} places, for example {others[0]}"
            if fault.place in self._rows_of:
                self._wrong(*self._rows_of[fault.place], 1, fault.message, hint)
            else:
                self.findings.error((*self.path, "overrides", fault.place), fault.message, hint)

    def _check_use(self, overrides: tuple[Override, ...], rule: Rule) -> None:
        taken = {one.place for one in applicable(overrides, rule, self.places)}
        idle = [one.place for one in overrides if one.place not in taken and self._is_known(one.place)]
        if not idle or (taken and self._rows_of):
            return  # rules by other kinds of places may share the table
        message = f"{idle[0]}: no {rule.by} is there or lies in it, so its thresholds never apply"
        hint = f"name a place of the kind {rule.by}, or one above it"
        if len(idle) > 1:
            hint = f"name a place of the kind {rule.by}, or one above it; it is so of {len(idle)} overrides"
        if idle[0] in self._rows_of:
            file, line = self._rows_of[idle[0]]
            self.findings.warnings.append(Problem(str(file), line, 1, message, hint, "warning"))
        else:
            self.findings.warn((*self.path, "overrides", idle[0]), message, hint)

    def _is_known(self, place: str) -> bool:
        return self.places is None or place in self.places.by_id or place in self.places.device_index

    def _exists(self, path: KeyPath, place: str) -> None:
        if self.places is not None and not self._is_known(place):
            known = [*self.places.by_id, *self.places.device_index]
            hint = self.findings.suggest(place, known)
            self.findings.error(path, f"there is no place or device {place} in places.yaml", hint, key=True)

    def _one(self, path: KeyPath, place: str, given: Mapping[Any, Given]) -> Override | None:
        """Read the thresholds of one place, with their margins."""
        read = [self._spec(path, word, threshold) for word, threshold in given.items()]
        specs = tuple(sorted((spec for spec in read if spec is not None), key=lambda spec: spec.level))
        if len(specs) < len(read):
            return None
        reader = LadderReader(self.findings, self.path, self.text, self.ladder.comparison, specs)
        margins = reader.margins((*self.path, "clear", "margin"), (self.text.clear or ClearText()).margin)
        return Override(place, specs, margins)

    def _spec(self, path: KeyPath, word: str, given: Given) -> LevelSpec | None:
        if word not in self._rungs:
            hint = f"it has {', '.join(self._rungs)}"
            self.findings.error((*path, word), f"the rule has no level {word} to override", hint, key=True)
            return None
        pair = self.ladder.comparison is Comparison.OUTSIDE
        if pair != isinstance(given, tuple):
            wanted = "a lower and an upper threshold: [2, 8]" if pair else "one threshold"
            self.findings.error((*path, word), f"{word} needs {wanted}", f"the rule says {self.ladder.comparison}")
            return None
        if not isinstance(given, tuple):
            return LevelSpec(BY_WORD[word], float(given))
        bounds = read_pair(self.findings, (*path, word), given)
        return None if bounds is None else LevelSpec(BY_WORD[word], bounds[1], low=bounds[0])

    # -- the table in a file -----------------------------------------------------------------------------------------

    def _table(self, path: KeyPath, name: str) -> tuple[Override, ...]:
        file = Path(self.findings.document.file).parent / name
        try:
            raw, _ = read_regular(file, MAX_BYTES + 1)
            lines = raw.decode("utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            self.findings.error(path, f"{name} cannot be read: {reason}", "overrides names a CSV file beside this one")
            return ()
        if len(raw) > MAX_BYTES:
            self.findings.error(path, f"{name} is too large", f"at most {MAX_BYTES // 1024} KiB")
            return ()
        try:
            rows = list(csv.reader(lines))
        except csv.Error as error:
            self._wrong(file, 1, 1, f"this is no CSV: {error}")
            return ()
        header = [cell.strip() for cell in rows[0]] if rows else []
        if header[:1] != ["place"] or not set(header[1:]) <= set(self._rungs) or len(set(header)) != len(header):
            wanted = f"place,{','.join(self._rungs)}"
            self._wrong(file, 1, 1, f"the first row must be {wanted}", "leave out levels that are not overridden")
            return ()
        return self._rows(file, header[1:], rows[1:])

    def _wrong(self, file: Path, line: int, column: int, message: str, hint: str = "") -> None:
        self.findings.errors.append(Problem(str(file), line, column, message, hint))

    def _rows(self, file: Path, words: list[str], rows: list[list[str]]) -> tuple[Override, ...]:
        made: dict[str, Override] = {}
        for line, row in enumerate(rows, 2):
            cells = [cell.strip() for cell in row]
            if not any(cells):
                continue
            place = cells[0]
            if place in made:
                self._wrong(file, line, 1, f"{place} is there twice", "keep one of the rows")
            elif self.places is not None and not self._is_known(place):
                known = [*self.places.by_id, *self.places.device_index]
                hint = self.findings.suggest(place, known)
                self._wrong(file, line, 1, f"there is no place or device {place} in places.yaml", hint)
            else:
                self._row(file, line, place, dict(zip(words, cells[1:], strict=False)), made)
        return tuple(made[place] for place in sorted(made))

    def _row(self, file: Path, line: int, place: str, cells: dict[str, str], made: dict[str, Override]) -> None:
        given: dict[str, Given] = {}
        for column, (word, cell) in enumerate(cells.items(), 2):
            number, pair = _CELL.fullmatch(cell), _PAIR.fullmatch(cell)
            if cell and number is None and pair is None:
                self._wrong(file, line, column, f"{cell!r} is no threshold (column {word})", "write 2.5, or 2..8")
                return
            if pair is not None:
                given[word] = (float(pair[1]), float(pair[3]))
            elif number is not None:
                given[word] = float(cell)
        before = len(self.findings.errors)
        own = self._one((*self.path, "overrides"), place, given)
        for number_, problem in enumerate(self.findings.errors[before:], before):
            self.findings.errors[number_] = Problem(str(file), line, 1, problem.message, problem.hint)
        if own is not None and own.levels:
            made[place] = own
            self._rows_of[place] = (file, line)
