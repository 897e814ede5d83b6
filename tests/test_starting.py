"""What a start goes on with when its files are refused: the newest definition that the state or the journal holds."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
import yaml

from sensord.config.load import load
from sensord.core.definition import Definition
from sensord.core.people.roster import Contact
from sensord.core.record import Group, Record, RecordKind
from sensord.core.site import Site, definition_record
from sensord.core.vehicles.tracking import PlateKey
from sensord.errors import ConfigError, Problem
from sensord.ports import Saved
from sensord.starting import newest_definition, prepare

SAMPLE = Path(__file__).parent / "config" / "street"
ONE = load(SAMPLE / "sensord.yaml").definition
OTHER = msgspec.structs.replace(ONE, district="310117")


class Journal:
    """A group for each record; two are read at a time."""

    def __init__(self, *records: Record) -> None:
        """All records are there."""
        self.groups = [Group(seq, (record,)) for seq, record in enumerate(records, 1)]
        self.last_seq, self.first_seq, self.closed = len(records), 1, False

    def read(self, after: int, limit: int = 2) -> list[Group]:
        """Those after it."""
        return self.groups[after : after + limit]

    def wait(self, after: int, timeout: float) -> bool:
        """There never comes more."""
        return False

    def close(self) -> None:
        """It is not read again."""
        self.closed = True


class Snapshots:
    """Saved states."""

    def __init__(self, *saved: Saved) -> None:
        """``saved`` are those."""
        self._saved = saved

    def saved(self) -> Iterator[Saved]:
        """Those, as they were given."""
        yield from self._saved


def noise(count: int) -> list[Record]:
    """Records that define nothing."""
    return [Record(RecordKind.MESSAGE, 1, "t/C1/crowd/x", b"{}") for _ in range(count)]


def put(config: Path, **settings: object) -> None:
    """Change settings in the file."""
    whole = yaml.safe_load(config.read_text(encoding="utf-8")) | settings
    config.write_text(yaml.safe_dump(whole, allow_unicode=True), encoding="utf-8")


def street(folder: Path, **settings: object) -> Path:
    """The sample with a mistake in its rules, where a daemon has been before."""
    shutil.copytree(SAMPLE, folder)
    config, rules = folder / "sensord.yaml", folder / "rules" / "crowd.yaml"
    put(config, state_dir=str(folder / "state"), **settings)
    rules.write_text(rules.read_text(encoding="utf-8").replace("above: 1.0", "abov: 1.0"), encoding="utf-8")
    (folder / "state" / "journal").mkdir(parents=True)
    return config


SAVED = Saved(3, 1, Site(ONE).snapshot())
TORN = Saved(4, 1, b"torn")
CASES: list[tuple[Sequence[Record], tuple[Saved, ...], Definition | None]] = [
    ([], (), None),
    (noise(5), (), None),
    ([definition_record(ONE, 1), *noise(4)], (), ONE),
    ([definition_record(OTHER, 1), *noise(4)], (SAVED,), ONE),  # what lies before the saved state is in it
    ([*noise(4), definition_record(OTHER, 1)], (SAVED,), OTHER),  # journaled, and not applied when the daemon died
    ([*noise(4), Record(RecordKind.DEFINITION, 1, "", b"{")], (SAVED,), ONE),
    ([definition_record(OTHER, 1), *noise(4)], (TORN,), OTHER),
    ([definition_record(OTHER, 1), *noise(4)], (TORN, SAVED), ONE),
    (noise(5), (Saved(3, 1, Site(None).snapshot()),), None),
]


@pytest.mark.parametrize(("records", "saved", "expected"), CASES)
def test_the_newest_definition_is_found(
    records: Sequence[Record], saved: tuple[Saved, ...], expected: Definition | None
) -> None:
    """In the saved state, or in the journal after it; what is no definition counts for nothing."""
    assert newest_definition(Journal(*records), Snapshots(*saved)) == expected


def test_a_sound_configuration_is_what_a_start_begins_with(tmp_path: Path) -> None:
    """Whatever was in force before."""
    shutil.copytree(SAMPLE, tmp_path / "street")
    start, journal = prepare(tmp_path / "street" / "sensord.yaml"), Journal(definition_record(OTHER, 1))
    assert (start.refused, start.complaint) == (None, "")
    assert start.begun(journal, Snapshots()).definition.district == ONE.district
    assert journal.closed


def test_a_refused_one_gives_way_to_what_is_in_force(tmp_path: Path) -> None:
    """Without any, the refusal is raised; where no daemon has been, nothing is even looked for."""
    config = street(tmp_path / "street")
    start = prepare(config)
    begun = start.begun(Journal(definition_record(OTHER, 1)), Snapshots())
    assert (begun.definition, begun.settings.site) == (OTHER, ONE.site)
    assert "crowd.yaml:11:16" in start.complaint
    with pytest.raises(ConfigError, match="abov"):
        start.begun(Journal(*noise(3)), Snapshots())
    shutil.rmtree(tmp_path / "street" / "state")
    with pytest.raises(ConfigError, match="abov"):
        prepare(config)


def test_a_mistake_in_the_settings_is_refused(tmp_path: Path) -> None:
    """Without them it is not known where the broker is, or whom a channel reaches."""
    with pytest.raises(ConfigError, match="port"):
        prepare(street(tmp_path / "street", mqtt={"port": "many"}))


def test_what_is_in_force_uses_the_topics_and_channels_that_run(tmp_path: Path) -> None:
    """A contact of a channel that was taken away is left out; a second way does not wait for a first that is gone."""
    start = prepare(street(tmp_path / "street", mqtt={"readings": "new/{compound}/{kind}/{device}"}))
    ways = Contact("gone", "a"), Contact(start.loaded.settings.channels[0].name, "b", after=60)
    people = (msgspec.structs.replace(ONE.people[0], contacts=ways), *ONE.people[1:])
    held = msgspec.structs.replace(ONE, people=people)
    definition = start.begun(Journal(definition_record(held, 1)), Snapshots()).definition
    assert definition.topics == "new/{compound}/{kind}/{device}"
    assert definition.staff[0].contacts == (Contact(ways[1].channel, "b"),)
    assert definition.staff[1:] == ONE.people[1:]


def test_a_channel_that_is_put_back_reaches_everybody_again(tmp_path: Path) -> None:
    """The roster is journaled as people wrote it; what is shut is found anew at each start."""
    config = street(tmp_path / "street")
    channels = yaml.safe_load(config.read_text(encoding="utf-8"))["channels"]
    extra = {"type": "mqtt", "name": "extra"}
    more = [msgspec.structs.replace(one, contacts=(*one.contacts, Contact("extra"))) for one in ONE.people]
    held = msgspec.structs.replace(ONE, people=tuple(more))
    without = prepare(config).begun(Journal(definition_record(held, 1)), Snapshots()).definition
    assert (without.shut, without.people, without.staff) == (("extra",), held.people, ONE.people)
    put(config, channels=[*channels, extra])
    back = prepare(config).begun(Journal(definition_record(without, 1)), Snapshots()).definition
    assert (back.shut, back.staff) == ((), held.people)


def renamed(channels: list[dict[str, object]]) -> list[dict[str, object]]:
    """They have other names."""
    return [{**one, "name": f"new-{one['name']}"} for one in channels]


def retyped(channels: list[dict[str, object]]) -> list[dict[str, object]]:
    """They have their names, and are reached by mail now: no address of the roster is one for them."""
    mail = {"type": "smtp", "host": "127.0.0.1", "sender": "sensord@example.org", "security": "none"}
    return [{**mail, "name": one["name"]} for one in channels]


@pytest.mark.parametrize("change", [renamed, retyped])
def test_who_could_not_be_told_of_anything_ends_the_start(
    tmp_path: Path, change: Callable[[list[dict[str, object]]], list[dict[str, object]]]
) -> None:
    """With every mistake: that of the rules, and how many people would be without a contact, and why."""
    config = street(tmp_path / "street")
    put(config, channels=change(yaml.safe_load(config.read_text(encoding="utf-8"))["channels"]))
    with pytest.raises(ConfigError) as refusal:
        prepare(config).begun(Journal(definition_record(ONE, 1)), Snapshots())
    assert "abov" in str(refusal.value)
    assert f"{len(ONE.people)} of {len(ONE.people)} people" in str(refusal.value)
    one = msgspec.structs.replace(ONE.people[0], contacts=())
    stripped = msgspec.structs.replace(ONE, people=(one, *ONE.people[1:]))
    with pytest.raises(ConfigError, match=f"1 of {len(ONE.people)} people .* {one.id}"):
        prepare(street(tmp_path / "other")).begun(Journal(definition_record(stripped, 1)), Snapshots())


def test_a_definition_of_before_types_were_written_down_goes_by_names(tmp_path: Path) -> None:
    """A first start after an upgrade, with a mistake in a file."""
    before = msgspec.structs.replace(ONE, channels={})
    start = prepare(street(tmp_path / "street"))
    assert start.begun(Journal(definition_record(before, 1)), Snapshots()).definition.staff == ONE.people


def test_a_secret_that_is_missing_does_not_hide_the_other_mistakes(tmp_path: Path) -> None:
    """Whoever reads why the start has failed reads all of it."""
    start, missing = prepare(street(tmp_path / "street")), ConfigError([Problem("secret", 1, 1, "cannot be read")])
    assert [problem.file.rpartition("/")[2] for problem in start.with_refusal(missing).problems] == [
        "crowd.yaml",
        "secret",
    ]


def test_a_robots_limit_is_todays(tmp_path: Path) -> None:
    """How much a channel takes in a minute is no part of what was refused."""
    config = street(tmp_path / "street")
    channels = yaml.safe_load(config.read_text(encoding="utf-8"))["channels"]
    put(config, channels=[channels[0] | {"per_minute": 7}, *channels[1:]])
    begun = prepare(config).begun(Journal(definition_record(ONE, 1)), Snapshots())
    assert begun.definition.damping.per_minute[channels[0]["name"]] == 7


def test_keys_that_cannot_be_used_are_not_named(tmp_path: Path) -> None:
    """As at a start that nobody refuses: vehicles are not told apart, and why is known."""
    config = street(tmp_path / "street")
    (config.parent / "state" / "plate.keys").write_text("torn", encoding="ascii")
    start = prepare(config)
    held = msgspec.structs.replace(ONE, plate_keys=(PlateKey("k1", 1, "check"),))
    records = Journal(definition_record(held, 1))
    assert start.loaded.without
    assert start.begun(records, Snapshots()).definition.plate_keys == ()
    whole = replace(start, loaded=replace(start.loaded, without={}))
    assert whole.begun(records, Snapshots()).definition.plate_keys == held.plate_keys


class Watched(Journal):
    """One that notes from where on it is read."""

    def __init__(self, *records: Record) -> None:
        """Nothing is read yet."""
        super().__init__(*records)
        self.looked = list[int]()

    def read(self, after: int, limit: int = 256) -> list[Group]:
        """Those after it."""
        self.looked.append(after)
        return super().read(after, limit)


def test_a_long_journal_is_not_read_before_its_newest_definition() -> None:
    """From its end it is looked through, further each time; nobody is told of anything meanwhile."""
    journal = Watched(definition_record(OTHER, 1), *noise(9_000), definition_record(ONE, 1), *noise(3_000))
    assert newest_definition(journal, Snapshots()) == ONE
    assert min(journal.looked) > 5_000
    journal = Watched(definition_record(OTHER, 1), *noise(9_000))
    assert newest_definition(journal, Snapshots()) == OTHER
    assert len(journal.looked) < 2 * 9_000 // 256
