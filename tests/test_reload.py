"""Reloading: by signal, by API and by itself; what is refused changes nothing and says so."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from sensord.config.connection import load_settings
from sensord.config.load import Loaded, load
from sensord.config.settings import Settings
from sensord.core.definition import Definition
from sensord.core.people.roster import Contact
from sensord.errors import UnavailableError
from sensord.reload import Reloaded, Reloader, signature, with_own
from sensord.telemetry.metrics import PrometheusMeter

SAMPLE = Path(__file__).parent / "config" / "street"


class Desk:
    """What stands around the reloader: definitions that came into force, and outcomes that were told."""

    def __init__(self, folder: Path) -> None:
        shutil.copytree(SAMPLE, folder)
        self.config, self.rules = folder / "sensord.yaml", folder / "rules" / "crowd.yaml"
        self.meter = PrometheusMeter()
        self.defined: list[Definition] = []
        self.told: list[Reloaded] = []
        self.broken, self.takes = False, True
        self.begin()

    def begin(self) -> Loaded:
        """Load, and make the reloader, as a start does."""
        seen = signature(self.config, load_settings(self.config))
        loaded = load(self.config)
        self.reloader = Reloader(self.config, loaded, self.meter, self._define, self._report, {}, seen)
        return loaded

    async def _define(self, definition: Definition) -> bool:
        if self.broken:
            raise UnavailableError("the queue is full")
        self.defined.append(definition)
        return self.takes

    async def _report(self, outcome: Reloaded) -> None:
        self.told.append(outcome)

    def edit(self, old: str, new: str, path: Path | None = None) -> None:
        """Write a file anew, as editors do: beside it, then in its place."""
        path = path or self.rules
        text = path.read_text(encoding="utf-8")
        assert old in text
        beside = path.with_suffix(".new")
        beside.write_text(text.replace(old, new), encoding="utf-8")
        beside.replace(path)

    def reload(self) -> Reloaded:
        """Reload once."""
        return asyncio.run(self.reloader.reload("signal"))


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """A reloader on a copy of the small street."""
    return Desk(tmp_path / "street")


def test_a_changed_rule_is_named_and_comes_into_force(desk: Desk) -> None:
    """The outcome says which rules were added, changed and removed, and the new definition is handed on once."""
    desk.edit("above: 1.0", "above: 1.5")
    desk.edit("id: silent", "id: mute", desk.rules.with_name("vehicles.yaml"))
    outcome = desk.reload()
    assert outcome.accepted
    assert (outcome.added, outcome.changed, outcome.removed) == (("mute",), ("lane-crowding",), ("silent",))
    (definition,) = desk.defined
    assert (definition.version, len(definition.rules)) == (outcome.version, outcome.rules)
    assert desk.told == [outcome]
    assert desk.reload() == Reloaded(True, outcome.version, outcome.rules), "nothing is different"


def test_a_bad_file_changes_nothing_and_is_counted(desk: Desk) -> None:
    """Every mistake is in the outcome with its position; what is in force stays; correcting the file ends it."""
    before = load(desk.config).definition.version
    desk.edit("above: 1.0", "abov: 1.0")
    outcome = desk.reload()
    assert (outcome.accepted, outcome.version, desk.defined) == (False, before, [])
    assert [(problem.line, problem.column) for problem in outcome.problems] == [(11, 16)]
    assert desk.meter.value("reloads_total", outcome="refused") == 1
    desk.edit("abov: 1.0", "above: 1.0")
    assert desk.reload().accepted
    assert [outcome.accepted for outcome in desk.told] == [False, True]


def test_what_needs_a_restart_is_named_and_left_alone(desk: Desk) -> None:
    """A new broker waits for a restart; the topics that were subscribed to stay what messages are compared with."""
    old = load(desk.config).definition.topics
    text = desk.config.read_text(encoding="utf-8")
    desk.config.write_text(text + "mqtt: {host: broker.example, readings: 'other/{compound}/{kind}/{device}'}\n")
    outcome = desk.reload()
    assert (outcome.accepted, outcome.restart) == (True, ("mqtt",))
    assert desk.defined[-1].topics == old


def test_a_channel_that_does_not_run_yet_refuses_the_reload(desk: Desk) -> None:
    """People would be told over a channel that nobody serves: that waits for a restart as a whole."""
    roster = desk.config.with_name("roster.yaml")
    desk.edit(
        "- {type: mqtt, name: grid-mqtt}",
        "- {type: mqtt, name: grid-mqtt}\n  - {type: apprise, name: new, url_file: x}",
        desk.config,
    )
    desk.edit("address: volunteer-01", "address: volunteer-01}, {channel: new", roster)
    outcome = desk.reload()
    assert not outcome.accepted
    assert "the channel new, which does not run yet" in str(outcome.problems[0])
    assert "restart" in outcome.problems[0].hint


WEBHOOK = '{type: webhook, name: people, url: "http://127.0.0.1:8787/notify", allow: ["127.0.0.1:8787"]}'
MAIL = "{type: smtp, name: people, host: mail.example, sender: street@mail.example}"


def test_a_channel_of_another_type_waits_for_a_restart_with_its_addresses(desk: Desk) -> None:
    """What runs goes on with the addresses that it can use; all the rest comes into force, now and later."""
    before, roster = load(desk.config).definition, desk.config.with_name("roster.yaml")
    desk.edit(WEBHOOK, MAIL, desk.config)
    desk.edit("address: cadre-01", "address: cadre@mail.example", roster)
    desk.edit("above: 1.0", "above: 1.5")
    outcome = desk.reload()
    assert (outcome.accepted, outcome.changed, outcome.restart) == (True, ("lane-crowding",), ("channels",))
    now = desk.defined[-1]
    assert (now.people, now.channels, now.damping) == (before.people, before.channels, before.damping)
    desk.edit("above: 1.5", "above: 1.6")
    assert desk.reload().changed == ("lane-crowding",)
    assert desk.reloader.loaded.definition == desk.defined[-1]
    desk.begin()
    assert desk.reload().restart == ()
    assert desk.defined[-1].channels["people"] == "smtp"
    assert desk.defined[-1].people[0].contacts[0].address == "cadre@mail.example"


def test_who_would_have_no_contact_before_the_restart_refuses_the_reload(desk: Desk) -> None:
    """Somebody new has an address for the type that does not run yet, and no other; with another, that one counts."""
    roster = desk.config.with_name("roster.yaml")
    desk.edit(WEBHOOK, MAIL, desk.config)
    new = "\n  - {id: 志愿者-03, role: volunteer, serves: G02, contacts: [{channel: people, address: a@mail.example}]}"
    desk.edit("people:", "people:" + new, roster)
    outcome = desk.reload()
    assert not outcome.accepted
    assert "the channel people, which does not run yet" in str(outcome.problems[0])
    desk.edit("a@mail.example}", "a@mail.example}, {channel: grid-mqtt, after: 60s}", roster)
    assert desk.reload().accepted
    assert desk.defined[-1].people[0].contacts == (Contact("grid-mqtt"),)


def test_when_the_journal_refuses_the_reload_says_so(desk: Desk) -> None:
    """What cannot be journaled is not in force; the next reload tries it again."""
    desk.edit("above: 1.0", "above: 1.5")
    desk.broken = True
    with pytest.raises(UnavailableError):
        desk.reload()
    assert desk.told == []
    desk.broken = False
    assert desk.reload().changed == ("lane-crowding",)


async def watched(desk: Desk, then: Callable[[], Awaitable[None]]) -> None:
    """Run the watch while something happens."""
    task = asyncio.ensure_future(desk.reloader.watch())
    try:
        await then()
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def until(condition: Callable[[], bool]) -> None:
    """Wait for it, ten seconds at most."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  # what is waited for is in files and lists, it sets no event
            await asyncio.sleep(0.01)


def test_changed_files_come_into_force_by_themselves(tmp_path: Path) -> None:
    """An edit is loaded once; a mistake is told once and not again until the file changes."""
    desk = Desk(tmp_path / "street")
    desk.config.write_text(desk.config.read_text(encoding="utf-8") + "reload: {every: 20ms}\n", encoding="utf-8")
    desk.begin()

    async def edits() -> None:
        desk.edit("above: 1.0", "above: 1.5")
        await until(lambda: len(desk.told) == 1)
        desk.edit("above: 1.5", "abov: 1.5")
        await until(lambda: len(desk.told) == 2)
        desk.rules.with_name("more.yaml").write_text("rules: []\n")
        desk.edit("abov: 1.5", "above: 1.6")
        await until(lambda: len(desk.told) == 3)

    asyncio.run(watched(desk, edits))
    assert [outcome.accepted for outcome in desk.told] == [True, False, True]
    assert desk.told[0].changed == ("lane-crowding",)


def test_an_edit_before_the_watch_begins_comes_into_force(tmp_path: Path) -> None:
    """What counts is what was loaded, and not what lies there when the watch looks for the first time."""
    desk = Desk(tmp_path / "street")
    desk.config.write_text(desk.config.read_text(encoding="utf-8") + "reload: {every: 20ms}\n", encoding="utf-8")
    desk.begin()
    desk.edit("above: 1.0", "above: 1.5")
    asyncio.run(watched(desk, lambda: until(lambda: len(desk.told) == 1)))
    assert desk.told[0].changed == ("lane-crowding",)


def test_a_file_that_we_made_ourselves_is_no_change(desk: Desk) -> None:
    """The key of a first start puts nothing else into force; another file beside it does."""
    settings = load_settings(desk.config)
    seen, keys = signature(desk.config, settings), desk.rules.with_name("own")
    keys.touch()
    desk.rules.touch()
    assert signature(desk.config, settings) != with_own(seen, keys)
    assert {name for name, *_ in signature(desk.config, settings) ^ with_own(seen, keys)} == {str(desk.rules)}


def test_the_watch_can_be_turned_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With ``watch: false`` an edit waits for a signal or the API."""
    desk = Desk(tmp_path / "street")
    settings = desk.config.read_text(encoding="utf-8") + "reload: {every: 1ms, watch: false}\n"
    desk.config.write_text(settings, encoding="utf-8")
    desk.begin()
    looks: list[object] = []

    def counted(config: Path, settings: Settings) -> object:
        looks.append(None)
        return signature(config, settings)

    monkeypatch.setattr("sensord.reload.signature", counted)

    async def edits() -> None:
        await until(lambda: len(looks) > 1)
        desk.edit("above: 1.0", "above: 1.5")
        seen = len(looks)
        await until(lambda: len(looks) > seen + 10)

    asyncio.run(watched(desk, edits))
    assert desk.told == []


def test_the_signature_sees_every_file(desk: Desk) -> None:
    """Any file of the configuration, a new one among the rules, and one put in another's place, are seen."""
    loaded = load(desk.config)
    before = signature(desk.config, loaded.settings)
    assert len(before) == 6
    for name in ("sensord.yaml", "places.yaml", "roster.yaml", "dispatch.yaml", "rules/crowd.yaml"):
        path = desk.config.parent / name
        os.utime(path, ns=(1, 1))
        after = signature(desk.config, loaded.settings)
        assert before != after
        before = after
    desk.rules.with_name("more.yaml").touch()
    assert len(signature(desk.config, loaded.settings)) == 7
    desk.rules.unlink()
    assert len(signature(desk.config, loaded.settings)) == 6


def closed(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Take the right to list a folder, and to look at what lies in it; root has it whatever the mode says."""

    def refusing(real: Callable[..., Any], itself: bool) -> Callable[..., Any]:
        def call(path: Path, *arguments: Any, **named: Any) -> Any:
            if folder in path.parents or (itself and path == folder):
                raise PermissionError(errno.EACCES, "Permission denied", str(path))
            return real(path, *arguments, **named)

        return call

    monkeypatch.setattr(Path, "iterdir", refusing(Path.iterdir, itself=True))
    monkeypatch.setattr(Path, "stat", refusing(Path.stat, itself=False))


@pytest.mark.parametrize("named", ["rules", "rules/crowd.yaml"])
def test_a_closed_folder_of_rules_is_a_refused_reload(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    """The watch sees it and goes on, whether the folder is named or a file in it; the rules in force stay."""
    desk = Desk(tmp_path / "street")
    text = desk.config.read_text(encoding="utf-8")
    desk.config.write_text(f"{text}reload: {{every: 20ms}}\n".replace("rules: rules", f"rules: {named}"), "utf-8")
    loaded = desk.begin()

    async def close_and_open() -> None:
        with monkeypatch.context() as patch:
            closed(patch, desk.rules.parent)
            await until(lambda: len(desk.told) == 1)
        await until(lambda: len(desk.told) == 2)

    asyncio.run(watched(desk, close_and_open))
    assert [outcome.accepted for outcome in desk.told] == [False, True]
    assert "cannot be read: Permission denied" in str(desk.told[0].problems[0])
    assert desk.defined[-1].version == loaded.definition.version


def test_new_rights_of_a_file_are_a_change(desk: Desk) -> None:
    """A file that was closed to us is told of now, not when somebody edits it one day."""
    before = signature(desk.config, load(desk.config).settings)
    desk.rules.chmod(0o400)
    assert signature(desk.config, load(desk.config).settings) != before


def test_a_closed_folder_of_state_is_a_refused_reload(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever file may not even be asked for is a mistake of the configuration, said with its path."""
    loaded = desk.reloader.loaded
    closed(monkeypatch, loaded.resolve(loaded.settings.state_dir))
    desk.edit("above: 1.0", "abov: 1.0")
    assert not desk.reload().accepted


def test_what_the_core_refuses_is_refused(desk: Desk) -> None:
    """There is nothing wrong with the files, and whoever reloads hears it all the same; asked again, it is tried."""
    before = desk.reloader.loaded.definition
    desk.edit("above: 1.0", "above: 1.5")
    desk.takes = False
    outcome = desk.reload()
    assert (outcome.accepted, outcome.version, outcome.changed) == (False, before.version, ())
    assert "refused by a mistake of sensord" in str(outcome.problems[0])
    assert desk.told == [outcome]
    assert desk.reloader.loaded.definition == before
    desk.takes = True
    outcome = desk.reload()
    assert (outcome.accepted, outcome.changed) == (True, ("lane-crowding",))
    assert len(desk.defined) == 2
