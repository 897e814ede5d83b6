"""The commands about vehicles, on a state directory of their own."""

from __future__ import annotations

import csv
import gzip
import shutil
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest
from click.testing import CliRunner

from sensord.cli import cli
from sensord.config.load import Loaded, load, with_keys
from sensord.config.platekeys import load_keys
from sensord.core.alert import Vehicle
from sensord.core.instant import DAY, HOUR, parse_instant
from sensord.core.intake.topic import all_routes
from sensord.core.record import Action, Record, RecordKind
from sensord.core.site import Site, Step, definition_record
from sensord.core.stream import Stream
from sensord.core.token import word
from sensord.core.vehicles.blind import Blind
from sensord.core.vehicles.pseudonym import Pseudonymiser
from sensord.core.vehicles.tally import PassageCount
from sensord.drivers.replay import replay
from sensord.drivers.vehiclereport import VehicleReport
from sensord.errors import ConfigError, SensordError
from sensord.recordings.manifest import read_manifest
from sensord.source import Source
from sensord.store.access import AccessLog
from sensord.store.journal import Journal
from sensord.store.reader import DirectoryReader
from sensord.store.state import StateStore
from tests.config.rejection import STREET
from tests.core.traffic import MONDAY


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """The small street with a state directory, a site key, and cadres who see plates, but no volunteers who do."""
    folder = shutil.copytree(STREET, tmp_path / "street")
    path = folder / "sensord.yaml"
    extra = f"state_dir: {tmp_path / 'state'}\n"
    path.write_text(path.read_text(encoding="utf-8") + extra, encoding="utf-8")
    plan = folder / "dispatch.yaml"
    text = plan.read_text(encoding="utf-8").replace("{name: {zh: 居委干部}}", "{name: {zh: 居委干部}, plates: plain}")
    plan.write_text(text, encoding="utf-8")
    (tmp_path / "state").mkdir()
    with_keys(load(path), MONDAY)
    return path


def counted(config: Path) -> Loaded:
    """Write some passages of Monday into the state."""
    loaded = load(config)
    gate = next(place.id for place in loaded.definition.places if place.kind == "gate")
    store = StateStore(loaded.resolve(loaded.settings.state_dir))
    passages = [PassageCount(MONDAY + 9 * HOUR, gate, "in", "out_of_town", "苏", "fuel", 42)]
    cameras = [device.id for device in loaded.definition.devices if device.stream is Stream.PLATE]
    blind = [Blind(camera, 0, MONDAY) for camera in cameras]
    store.apply(Step(1, MONDAY + DAY, passages=passages, blind=blind))
    store.close()
    return loaded


def run(*arguments: str, text: str | None = None) -> str:
    """Run a command and return what it prints; it must succeed."""
    done = CliRunner().invoke(cli, arguments, input=text, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


@pytest.mark.parametrize("form", ["txt", "md", "html", "csv", "json"])
def test_the_report_is_printed_or_written(config: Path, tmp_path: Path, form: str) -> None:
    """In every form, in Chinese or English, to the terminal or into a file."""
    counted(config)
    asked = ("report", "vehicles", "--config", str(config), "--day", "2025-11-24", "--format", form)
    assert "42" in run(*asked)
    run(*asked, "--language", "en", "--output", str(tmp_path / "report"))
    assert "42" in (tmp_path / "report").read_text(encoding="utf-8")
    for wrong in (("--day", "yesterday"), ("--day", "2025-11-24", "--from", "2025-11-24"), ("--from", "2999-01-01")):
        assert CliRunner().invoke(cli, [*asked[:4], *wrong]).exit_code == 2


def test_a_csv_is_the_table_that_is_asked_for(config: Path) -> None:
    """The main one unless another is named; then the others are named, beside the output. Nothing else has tables."""
    counted(config)
    asked = ("report", "vehicles", "--config", str(config), "--day", "2025-11-24", "--language", "en")
    made = CliRunner().invoke(cli, [*asked, "--format", "csv"])
    assert {row["kind"] for row in csv.DictReader(made.stdout.splitlines())} >= {"street", "compound", "gate"}
    assert "provinces" not in made.stdout
    assert "provinces, vehicles-by-hour, vehicles-by-day, spaces" in made.stderr
    for asking in (("--format", "csv", "--table", "provinces"), ("--table", "provinces", "--format", "csv")):
        made = CliRunner().invoke(cli, [*asked, *asking])
        assert {row["inward"] for row in csv.DictReader(made.stdout.splitlines())} == {"42"}
        assert made.stderr == ""
    for wrong, why in (
        (("--format", "csv", "--table", "everything"), "'vehicles-by-hour'"),
        (("--table", "spaces"), "csv"),
    ):
        made = CliRunner().invoke(cli, [*asked, *wrong])
        assert (made.exit_code, why in made.stderr, made.stdout) == (2, True, "")


def test_any_stretch_can_be_asked_for(config: Path) -> None:
    """A shift, a week; to the quarter of an hour."""
    counted(config)
    asked = ("report", "vehicles", "--config", str(config), "--format", "json")
    for since, until, inward in (
        ("2025-11-24T07:30", "2025-11-24T19:30", 42),
        ("2025-11-24", "2025-12-01", 42),
        ("2025-11-24T09:15", "2025-11-24T19:30", 0),
    ):
        made = msgspec.json.decode(run(*asked, "--from", since, "--to", until), type=VehicleReport)
        assert made.street.counted is not None
        assert made.street.counted.inward == inward
        assert (made.start, made.end) == (parse_instant(since), parse_instant(until))


def test_a_key_is_rotated_by_command(config: Path, tmp_path: Path) -> None:
    """The new key stands after the old one, and the configuration loads with both."""
    path = tmp_path / "state" / "plate.keys"
    assert "k2-" in run("plate-key", str(path), "--since", "2100-01-01T00:00:00+08:00")
    assert [key.id[:3] for key in load(config).definition.plate_keys] == ["k1-", "k2-"]
    assert CliRunner().invoke(cli, ["plate-key", str(path), "--since", "soon"]).exit_code == 2


def test_a_key_is_not_rotated_twice_in_an_overlap(config: Path, tmp_path: Path) -> None:
    """Nothing is written then, or that is dated back; the overlap is the configuration's, where one is given."""
    path = tmp_path / "state" / "plate.keys"
    run("plate-key", str(path), "--since", "2100-01-01T00:00:00+08:00")
    before = path.read_text(encoding="utf-8")
    for since in ("2100-01-10T00:00:00+08:00", "2020-01-01T00:00:00+08:00", ""):
        with pytest.raises(ConfigError):
            run("plate-key", str(path), "--since", since)
    assert path.read_text(encoding="utf-8") == before
    vehicles = config.parent / "vehicles.yaml"
    vehicles.write_text("tracking: {overlap: 7d}\n", encoding="utf-8")
    text = config.read_text(encoding="utf-8").replace("rules: rules}", "rules: rules, vehicles: vehicles.yaml}")
    config.write_text(text, encoding="utf-8")
    assert "k3" in run("plate-key", str(path), "--since", "2100-01-10T00:00:00+08:00", "--config", str(config))


def test_a_pseudonym_is_made_without_showing_the_plate(config: Path, tmp_path: Path) -> None:
    """What is typed is not echoed; what is printed is the vehicle's pseudonym."""
    said = run("pseudonym", "--config", str(config), text="沪A·12345\n")
    ring = load_keys(tmp_path / "state" / "plate.keys")
    assert word(Pseudonymiser(ring.keys, 0, ring.secrets).identify("沪A12345", MONDAY).token) in said
    assert "12345" not in said


def test_a_site_is_what_the_configuration_says(config: Path) -> None:
    """A core built from a loaded configuration takes its keys, and follows vehicles."""
    loaded = load(config)
    assert Site(loaded.definition, loaded.secrets).tracker.on


def named(config: Path, plates: str) -> str:
    """Somebody of the roster who sees plates so."""
    definition = load(config).definition
    roles = {role.id for role in definition.roles if role.plates == plates}
    return next(person.id for person in definition.people if person.role in roles)


PLATE, PHONE = "皖K13579", "13800000000"


def payload(plate: str) -> bytes:
    """What a camera sends that read a plate well."""
    return f'{{"plate": "{plate}", "direction": "in", "confidence": 0.99}}'.encode()


@pytest.fixture
def journal(config: Path) -> Path:
    """A journal of the small street: a vehicle at a gate, and an inspection that names a telephone."""
    loaded = load(config)
    directory = loaded.resolve(loaded.settings.state_dir)
    routes = all_routes(loaded.definition)
    topic = next(text for text, route in routes.items() if route.stream is Stream.PLATE)
    note = msgspec.json.encode(Action("close", "C1", "cadre", note=f"call {PHONE}"))
    with closing(Journal(directory / "journal")) as writer:
        writer.append(
            (
                definition_record(loaded.definition, MONDAY),
                Record(RecordKind.MESSAGE, MONDAY + 1, topic, payload(PLATE)),
            )
        )
        writer.append((Record(RecordKind.ACTION, MONDAY + 2, "", note),))
    return directory / "journal"


def exported(journal: Path, target: Path, *more: str) -> tuple[int, str]:
    """Export the journal; return the exit code and what is said."""
    done = CliRunner().invoke(cli, ["recording", "export", str(journal), str(target), *more])
    assert isinstance(done.exception, SensordError | SystemExit | None)
    return done.exit_code, done.output + str(done.exception or "")


def text_of(recording: Path) -> str:
    """Everything that is in a recording's lines."""
    return "".join(gzip.decompress(path.read_bytes()).decode() for path in recording.rglob("*.gz"))


def test_plates_leave_with_a_recording_only_when_asked_for(config: Path, journal: Path, tmp_path: Path) -> None:
    """By name and reason, written down before, for nobody else's eyes; everything else personal stays behind."""
    code, said = exported(journal, tmp_path / "bare")
    assert (code, PLATE in text_of(tmp_path / "bare")) == (0, False), said
    person = named(config, "plain")
    asked = ("--plain-plates", "--config", str(config), "--by", person, "--reason", "case 118")
    code, said = exported(journal, tmp_path / "plain", "--from", "2025-11-24T00:00:00", *asked)
    assert code == 0, said
    assert PLATE in text_of(tmp_path / "plain")
    assert PHONE not in text_of(tmp_path / "plain")
    assert read_manifest(tmp_path / "plain").plates == "plain"
    modes = {path.stat().st_mode & 0o777 for path in (tmp_path / "plain").rglob("*") if path.is_file()}
    assert modes == {0o600}
    assert (tmp_path / "plain").stat().st_mode & 0o777 == 0o700
    (access,) = AccessLog(journal.parent).entries()
    assert (access.by, access.reason, access.via) == (person, "case 118", "export")
    assert access.vehicle == "* 2025-11-24T00:00:00/…"
    opened = Source(tmp_path / "plain", keys=config).open()
    steps = list(replay(opened.recorded(), Site(secrets=opened.secrets), opened.override))
    assert sum(step.counts.get(("plate", "accepted"), 0) for step in steps) == 1


_MISSING = ("--config", "--by", "--reason", "roster", "role", "blank", "journal", "log", "target")


@pytest.mark.parametrize("missing", _MISSING)
def test_plates_stay_when_something_is_missing(config: Path, journal: Path, tmp_path: Path, missing: str) -> None:
    """No name, no reason, a stranger, another journal, a log that cannot be written: no recording comes of it."""
    given = {"--config": str(config), "--by": named(config, "plain"), "--reason": "case 118"}
    given.pop(missing, None)
    if missing == "roster":
        given["--by"] = "nobody"
    elif missing == "role":
        given["--by"] = named(config, "none")
    elif missing == "blank":
        given["--reason"] = " "
    elif missing == "journal":
        journal = shutil.copytree(journal, tmp_path / "another")
    elif missing == "log":
        (journal.parent / "access.log").mkdir()
    elif missing == "target":
        (tmp_path / "plain").write_text("here already", "utf-8")
    code, said = exported(
        journal, tmp_path / "plain", "--plain-plates", *(word for pair in given.items() for word in pair)
    )
    assert code != 0
    assert said
    assert not (tmp_path / "plain").is_dir()
    written = [] if missing == "log" else list(AccessLog(journal.parent).entries())
    refused = [(given["--by"], "refused")] if missing in ("roster", "role") else []
    assert [(one.by, one.via) for one in written] == refused
    assert exported(journal, tmp_path / "other", "--by", "anybody")[0] == 2


def test_a_case_shows_the_plates_of_all_its_vehicles_and_writes_each_down(
    config: Path, journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the reading at that instant shows another plate: then the journal is searched for the vehicle's."""
    ring = load_keys(journal.parent / "plate.keys")
    who = Pseudonymiser(ring.keys, 0, ring.secrets)
    with closing(DirectoryReader(journal)) as reader:
        topic = next(one.topic for group in reader.read(0) for one in group.records if one.topic)
    with closing(Journal(journal)) as writer:
        for at, plate in ((10, "苏E24680"), (20, "苏E24688")):
            writer.append((Record(RecordKind.MESSAGE, MONDAY + at, topic, payload(plate)),))
    vehicles = [
        Vehicle(word(who.identify(plate, MONDAY).token), "", MONDAY + at)
        for plate, at in ((PLATE, 1), ("苏E24680", 20))
    ]
    story = [SimpleNamespace(cause=vehicle) for vehicle in vehicles]
    monkeypatch.setattr("sensord.revealing.Past.story", lambda _past, _case: story)
    monkeypatch.setattr("sensord.revealing.Past.transition", lambda _past, one: SimpleNamespace(vehicle=one))
    said = run("reveal", "a-case", "--config", str(config), "--by", named(config, "plain"), "--reason", "case 118")
    assert said.split() == [PLATE, "苏E24680"]
    entries = list(AccessLog(journal.parent).entries())
    assert [(one.vehicle, one.case) for one in entries] == [(vehicle.id, "a-case") for vehicle in vehicles]
