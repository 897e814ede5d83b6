"""What may be changed in the files of the configuration over the API: changes of the duty plan, and rule files.

Every change is checked as ``sensord check`` would, written as a whole, and put into force by a reload, which journals
it; when that is refused, the file is put back as it was. One change at a time.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import secrets
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from sensord.api.backend import RosterChange
from sensord.api.refusal import Refused
from sensord.config.files import read_regular, write_whole
from sensord.config.load import Loaded, load
from sensord.config.rosterchanges import CHANGES_FILE, AddedChange, load_changes, write_changes
from sensord.config.yamlfile import MAX_BYTES
from sensord.core.instant import DAY, format_instant
from sensord.core.people.duty import Change
from sensord.errors import ConfigError, Problem, StoreError
from sensord.reload import Reloaded

RULE_FILE = re.compile(r"[a-z0-9][a-z0-9_-]{0,59}\.yaml")
"""What a rule file that is made over the API may be called."""
KEPT = 92 * DAY
"""So long after its end a change of the duty plan is kept in the file."""
MOST_CHANGES = 2000
FARTHEST = 3653 * DAY
"""No change of the duty plan ends later (ns from now)."""

Plain = dict[str, Any]


class Workshop:
    """Implements the API's ``Workshop``. ``reload`` reads the configuration again and puts it into force."""

    def __init__(
        self,
        config: Path,
        loaded: Callable[[], Loaded],
        reload: Callable[[str], Awaitable[Reloaded]],
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._config, self._loaded, self._reload, self._clock = config, loaded, reload, clock
        self._turn = asyncio.Lock()

    # -- the duty plan -----------------------------------------------------------------------------------------------

    def roster_changes(self) -> list[Plain]:
        """Every change in force, past or to come; those of ``roster.yaml`` have no id. Raises ``ConfigError``."""
        loaded = self._loaded()
        entries = self._entries()
        own = loaded.definition.duty.changes
        people = {person.id for person in loaded.definition.people}
        added = [one for one in entries if {one.away, one.stands_in} - {None} <= people]
        written = own[: len(own) - len(added)]
        return [*(self._shown(one) for one in written), *(msgspec.to_builtins(one) for one in entries)]

    def _shown(self, change: Change) -> Plain:
        start, end = (self._local(instant) for instant in (change.start, change.end))
        who = {"away": change.off or None, "stands_in": change.on or None}
        return {"id": None, "from": start, "to": end, "reason": change.reason.value, **who}

    def _local(self, instant: int) -> str:
        return format_instant(instant, self._loaded().settings.timezone)[:16].replace("T", " ")

    @property
    def _changes_file(self) -> Path:
        loaded = self._loaded()
        return loaded.resolve(loaded.settings.state_dir) / CHANGES_FILE

    def _entries(self) -> tuple[AddedChange, ...]:
        loaded = self._loaded()
        people = frozenset(person.id for person in loaded.definition.people)
        return load_changes(self._changes_file, people, loaded.settings.timezone).entries

    async def add_change(self, change: RosterChange, who: str) -> tuple[str, Plain]:
        """Add a change of the duty plan; returns its id, and what came of the reload.

        Raises ``Refused`` for a change that is none, ``ConfigError`` when the configuration on
        the disk is refused, ``StoreError`` when the file cannot be written.
        """
        self._check(change)
        entry = AddedChange(
            id=secrets.token_hex(6),
            start=self._local(change.start),
            end=self._local(change.end),
            reason=change.reason,
            away=change.away or None,
            stands_in=change.stands_in or None,
            by=who,
            at=self._local(self._clock()),
            note=change.note,
        )
        async with self._turn:
            kept = [one for one in self._entries() if one.end >= self._local(self._clock() - KEPT)]
            if len(kept) >= MOST_CHANGES:
                raise Refused(422, f"there are {MOST_CHANGES} changes already: delete some, or use roster.yaml")
            return entry.id, await self._replace_changes([*kept, entry], who)

    def _check(self, change: RosterChange) -> None:
        people = {person.id for person in self._loaded().definition.people}
        for person in (change.away, change.stands_in):
            if person and person not in people:
                raise Refused(422, f"nobody on the roster is called {person}")
        needed = {"leave": ("away",), "swap": ("away", "stands_in"), "extra": ("stands_in",)}[change.reason]
        for name in needed:
            if not getattr(change, name):
                raise Refused(422, f"a {change.reason} needs {name}: whose duty is it about?")
        if change.away and change.away == change.stands_in:
            raise Refused(422, "nobody stands in for themselves")
        if self._local(change.end) <= self._local(change.start):
            raise Refused(422, "to must be later than from, by a minute at least")
        if change.end > self._clock() + FARTHEST:
            raise Refused(422, "to is too far ahead: the duty plan is changed for the next ten years at most")
        if change.end <= self._clock():
            raise Refused(422, "to is past: the duty plan of the past cannot be changed")

    async def remove_change(self, name: str, who: str) -> Plain:
        """Take a change back; raises ``Refused`` when there is none, and as ``add_change``."""
        async with self._turn:
            entries = self._entries()
            if name not in {one.id for one in entries}:
                raise Refused(
                    404, f"no change of the duty plan is called {name}; those of roster.yaml are changed there"
                )
            return await self._replace_changes([one for one in entries if one.id != name], who)

    async def _replace_changes(self, entries: list[AddedChange], who: str) -> Plain:
        path = self._changes_file
        with _restored(path):
            await asyncio.to_thread(write_changes, path, entries)
            return await self._put_into_force(who)

    # -- rule files --------------------------------------------------------------------------------------------------

    @property
    def _rules(self) -> Path:
        loaded = self._loaded()
        return loaded.resolve(loaded.settings.files.rules)

    def rule_files(self) -> list[Plain]:
        """The rule files: name, hash, size in bytes."""
        return [
            {"file": path.name, "hash": _hash(content), "bytes": len(content)}
            for path in _files(self._rules)
            if (content := _content(path)) is not None
        ]

    def rule_file(self, name: str) -> Plain | None:
        """One rule file's text and hash; None when there is none of that name."""
        path = next((path for path in _files(self._rules) if path.name == name), None)
        content = None if path is None else _content(path)
        if content is None:
            return None
        return {"file": name, "hash": _hash(content), "text": content.decode("utf-8", "replace")}

    def _named(self, name: str) -> Path:
        """Where a rule file is, or would be; raises ``Refused`` for a name that may not be."""
        root = self._rules
        known = {path.name: path for path in _files(root)}
        if name in known:
            return known[name]
        if root.is_file() or RULE_FILE.fullmatch(name) is None:
            raise Refused(422, "a rule file is called for example market-days.yaml")
        return root / name

    def check_rules(self, name: str, text: str | None) -> list[Problem]:
        """Check the configuration with this rule file in it (None: without it), as ``sensord check`` does.

        Returns its warnings; raises ``ConfigError`` with every mistake, ``Refused`` for a name that may not be.
        """
        target = self._named(name)
        with tempfile.TemporaryDirectory() as folder:
            stage = Path(folder) / "rules"
            stage.mkdir()
            for path in _files(self._rules):
                if path != target:
                    shutil.copyfile(path, stage / path.name)
            if text is not None:
                (stage / name).write_text(text, encoding="utf-8")
            try:
                return [self._placed(problem, stage) for problem in load(self._config, stage, lenient=True).warnings]
            except ConfigError as error:
                raise ConfigError([self._placed(problem, stage) for problem in error.problems]) from error

    def _placed(self, problem: Problem, stage: Path) -> Problem:
        """Say the file where it stands, not where it was checked."""
        root = self._rules.parent if self._rules.is_file() else self._rules
        file, message = (text.replace(str(stage), str(root)) for text in (problem.file, problem.message))
        return replace(problem, file=file, message=message)

    async def put_rules(self, name: str, text: str | None, known: str, who: str) -> Plain:
        """Put a rule file (None: delete it) live; returns what came of the reload.

        ``known`` is the hash of the text that was edited ("": a new file). Raises ``Refused`` for a name that may
        not be, and when somebody else has changed the file meanwhile, ``ConfigError`` with every mistake,
        ``StoreError`` when it cannot be written.
        """
        async with self._turn:
            path = self._named(name)
            content = _content(path)
            if known != (_hash(content) if content is not None else ""):
                raise Refused(409, f"{name} was changed by somebody else meanwhile: fetch it again")
            await asyncio.to_thread(self.check_rules, name, text)
            with _restored(path):
                if text is None:
                    path.unlink(missing_ok=True)
                else:
                    await asyncio.to_thread(write_whole, path, text.encode())
                return await self._put_into_force(who)

    async def _put_into_force(self, who: str) -> Plain:
        outcome = await self._reload(f"api:{who}")
        if not outcome.accepted:
            raise ConfigError(list(outcome.problems))
        shown: Plain = msgspec.to_builtins(outcome)
        return shown


@contextmanager
def _restored(path: Path) -> Iterator[None]:
    """Put the file back as it was when what is done with it fails; an ``OSError`` becomes a ``StoreError``."""
    before = _content(path)
    try:
        yield
    except BaseException as error:
        if before is None:
            path.unlink(missing_ok=True)
        elif _content(path) != before:
            write_whole(path, before)
        if isinstance(error, OSError):
            hint = "the daemon needs the right to write there (chmod g+w; systemd: ReadWritePaths=)"
            raise StoreError(f"{path}: cannot be written ({error.strerror}); {hint}") from error
        raise


def _files(root: Path) -> list[Path]:
    """The rule files of a folder, or the one file."""
    if root.is_file():
        return [root]
    return sorted(path for path in root.iterdir() if path.suffix in (".yaml", ".yml") and not path.name.startswith("."))


def _content(path: Path) -> bytes | None:
    try:
        return read_regular(path, MAX_BYTES + 1)[0]
    except FileNotFoundError:
        return None


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
