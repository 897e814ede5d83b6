"""Reloading the configuration while the daemon runs: validated first, all or nothing, and said to whoever asked.

A signal, the HTTP API and the watch on the files all come here, one after the other. A configuration that is refused
leaves the old rules running, and is an alarm. What only a restart can change (connections, channels, sinks) is named
and left as it is; a channel that changes its type takes the contacts over it along.

The files are watched by looking at them (name, inode, size, time of change) every two seconds: some ten names, a few
microseconds. That also sees what editors, package managers, network mounts and container volumes do when they put a new
file in an old one's place, which notifications of the kernel miss on some of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import structlog

from sensord.config.channels import kinds
from sensord.config.load import Loaded, key_file, load, resolve_path, with_channels
from sensord.config.settings import Settings
from sensord.core.definition import Definition
from sensord.core.instant import SECOND, parse_duration
from sensord.core.people.roster import Person, without
from sensord.errors import ConfigError, Problem, SensordError
from sensord.ports import Meter

MOST_FILES = 2000
"""So many files are watched at most; a folder with more is not one of rules."""
_IN_THE_DEFINITION = {"files", "lateness", "plates", "timezone", "language", "reload"}
"""Sections of ``sensord.yaml`` that need no restart: they are the definition's, or read anew with each reload."""

Signature = frozenset[tuple[str, int, int, int]]

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Reloaded:
    """What became of a reload.

    ``problems`` holds the mistakes of a refused one. ``added``, ``changed`` and ``removed`` are rule ids; ``restart``
    names the sections of ``sensord.yaml`` whose change waits for a restart.
    """

    accepted: bool
    version: str
    rules: int
    problems: tuple[Problem, ...] = ()
    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    restart: tuple[str, ...] = ()


class Reloader:
    """Reads the configuration again and puts it into force by ``define``.

    ``define`` journals a definition unless it is the one in force, and says whether the core takes it. ``report`` is
    told the outcome of each reload and how it is to be said to people. ``secrets`` gets the site keys before a
    definition that names them is journaled. ``seen`` are the files as they were before ``loaded`` was read: whatever
    changed since then is not in force.
    """

    def __init__(
        self,
        config: Path,
        loaded: Loaded,
        meter: Meter,
        define: Callable[[Definition], Awaitable[bool]],
        report: Callable[[Reloaded], Awaitable[None]],
        secrets: dict[str, bytes],
        seen: Signature,
    ) -> None:
        self._secrets = secrets
        self._config, self._running, self._loaded = config, loaded.settings, loaded
        self._definition = loaded.definition
        self._meter, self._define, self._report = meter, define, report
        self._turn = asyncio.Lock()
        self._seen = seen

    @property
    def loaded(self) -> Loaded:
        """The configuration in force."""
        return self._loaded

    async def reload(self, cause: str) -> Reloaded:
        """Read, check, and put into force; never raises for a bad configuration: that is an outcome.

        ``cause`` (``signal``, ``api``, ``files``) is for the log. Raises ``StoreError`` or ``UnavailableError`` when
        the definition cannot be journaled now.
        """
        async with self._turn:
            self._seen = await self._look()
            try:
                lenient = bool(self._loaded.without)  # what is missing already does not keep new rules out
                loaded = await asyncio.to_thread(load, self._config, lenient=lenient)
                definition = self._fit(loaded)
            except ConfigError as error:
                outcome = self._outcome(self._definition, problems=tuple(error.problems))
            else:
                self._secrets.update(loaded.secrets)
                if await self._define(definition):
                    outcome = self._outcome(definition, restart=tuple(self._waiting(loaded.settings)))
                    self._loaded, self._definition = replace(loaded, definition=definition), definition
                else:
                    outcome = self._outcome(self._definition, problems=(self._mistaken(),))
            self._note(cause, outcome)
            await self._report(outcome)
            return outcome

    def _mistaken(self) -> Problem:
        """What to say when there is nothing wrong with the files, and the core has refused what they say."""
        said = "this configuration was refused by a mistake of sensord"
        hint = "make the change otherwise, piece by piece, and report it with the log"
        return Problem(str(self._config), 1, 1, said, hint)

    def _fit(self, loaded: Loaded) -> Definition:
        """Return the definition as it can run now; refuses one that would tell people over a channel not yet there.

        One that is of another type by now runs on as it is, and with it the contacts over it that are in force: their
        addresses are none for the other type. The new ones wait for the restart, unless somebody has no other.
        """
        new, running = loaded.definition, kinds(self._running.channels)
        retyped = {name for name, kind in new.channels.items() if running.get(name, kind) != kind}
        people = tuple(self._with_ways(person, retyped) for person in new.people)
        lost = {
            contact.channel
            for one, now in zip(new.people, people, strict=True)
            if not now.contacts
            for contact in one.contacts
        }
        missing = sorted((new.channels.keys() - running.keys()) | lost)
        if missing:
            hint = "restart the daemon to open it (systemctl restart sensord), then everything comes into force"
            raise ConfigError(
                [
                    Problem(
                        str(self._config), 1, 1, f"the roster uses the channel {name}, which does not run yet", hint
                    )
                    for name in missing
                ]
            )
        mqtt = self._running.mqtt  # what the broker was asked for stays what topics are compared with
        return msgspec.structs.replace(
            new,
            people=people,
            channels={name: running[name] for name in new.channels},
            damping=with_channels(new.damping, self._running),
            topics=mqtt.readings,
            commands=mqtt.commands,
        )

    def _with_ways(self, person: Person, retyped: Collection[str]) -> Person:
        """The same person, with the contacts in force over channels that run with another type yet."""
        if not any(contact.channel in retyped for contact in person.contacts):
            return person
        staff = {one.id: one for one in self._definition.staff}
        known = {one.channel: one for one in staff[person.id].contacts} if person.id in staff else {}
        gone = {one.channel for one in person.contacts if one.channel in retyped and one.channel not in known}
        left = without(person, gone)
        ways = (known[one.channel] if one.channel in retyped else one for one in left.contacts)
        return msgspec.structs.replace(left, contacts=tuple(ways))

    def _waiting(self, settings: Settings) -> Iterator[str]:
        """Name the sections that differ from what runs and that only a restart can change."""
        old, new = msgspec.to_builtins(self._running), msgspec.to_builtins(settings)
        yield from (name for name in new if name not in _IN_THE_DEFINITION and old[name] != new[name])

    def _outcome(
        self, new: Definition, *, problems: tuple[Problem, ...] = (), restart: tuple[str, ...] = ()
    ) -> Reloaded:
        before = {rule.id: rule.version for rule in self._definition.rules}
        after = {rule.id: rule.version for rule in new.rules}
        return Reloaded(
            accepted=not problems,
            version=new.version,
            rules=len(new.rules),
            problems=problems,
            added=tuple(sorted(after.keys() - before.keys())),
            changed=tuple(sorted(one for one in after.keys() & before.keys() if after[one] != before[one])),
            removed=tuple(sorted(before.keys() - after.keys())),
            restart=restart,
        )

    def _note(self, cause: str, outcome: Reloaded) -> None:
        self._meter.count("reloads_total", outcome="applied" if outcome.accepted else "refused")
        facts: dict[str, Any] = {"cause": cause, "version": outcome.version, "rules": outcome.rules}
        if not outcome.accepted:
            problems = [str(problem) for problem in outcome.problems]
            log.error("the configuration is refused; the rules in force stay", problems=problems, **facts)
            return
        changes = {name: list(getattr(outcome, name)) for name in ("added", "changed", "removed")}
        log.info("the configuration is in force", **facts, **changes)
        if outcome.restart:
            log.warning("some settings wait for a restart", sections=list(outcome.restart))

    async def watch(self) -> None:
        """Look at the files again and again; reload once they have changed and then been still for one look."""
        before = await self._look()
        while True:
            settings = self._loaded.settings.reload
            await asyncio.sleep(parse_duration(settings.every) / SECOND)
            now = await self._look()
            if settings.watch and now == before and now != self._seen:
                try:
                    await self.reload("files")
                except SensordError as error:
                    log.error("the configuration could not be put into force; it is tried again", why=str(error))
                    self._seen = frozenset()
            before = now

    async def _look(self) -> Signature:
        return await asyncio.to_thread(signature, self._config, self._loaded.settings)


def signature(config: Path, settings: Settings) -> Signature:
    """Return (path, inode, size, time of change) of every file of a configuration; what is missing is left out.

    The time is that of the inode, so that new rights count as a change. What cannot be looked at is there with the
    error in place of the time. Never raises ``OSError``; raises ``ConfigError`` for an unknown variable in a path.
    """
    files, base = [config, key_file(settings, config.parent)], config.parent
    for text in filter(None, msgspec.to_builtins(settings.files).values()):
        files += _within(resolve_path(text, base))
    return frozenset(_states(files[:MOST_FILES]))


def with_own(seen: Signature, made: Path) -> Signature:
    """The same once we have made a file ourselves: that is no change that somebody wants to see in force."""
    return frozenset(state for state in seen if state[0] != str(made)).union(_states([made]))


def _states(files: Iterable[Path]) -> Iterator[tuple[str, int, int, int]]:
    for path in files:
        try:
            state = path.stat()
        except FileNotFoundError:
            continue
        except OSError as error:  # no longer to be looked at: that is a change, too, and the reload says which
            yield str(path), 0, 0, error.errno or 0
        else:
            yield str(path), state.st_ino, state.st_size, state.st_ctime_ns


def _within(path: Path) -> list[Path]:
    """The files of a folder; the path itself when it is a file, or a folder that cannot be read."""
    try:
        return sorted(path.iterdir())
    except OSError:
        return [path]
