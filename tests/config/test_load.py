"""Loading a whole configuration: what comes out, that every file's mistakes come at once."""

from __future__ import annotations

import base64
import shutil
from pathlib import Path

import pytest
import yaml

from sensord.config.load import Loaded, Spare, load, with_keys
from sensord.config.settings import MqttChannel, Webhook
from sensord.core.cases.case import Answer
from sensord.core.cases.policy import Step
from sensord.core.definition import decode_definition
from sensord.core.instant import MINUTE, SECOND
from sensord.core.level import Level
from sensord.core.place import Place, PlaceKind, Places
from sensord.core.rules.keys import KeyTable
from sensord.core.rules.rule import Aggregate, Clear, Comparison, LevelSpec, Rule, Value
from sensord.core.stream import Stream
from sensord.errors import ConfigError, Problem
from tests.config.rejection import STREET, street
from tests.support.damages import DAMAGES, Damage


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the small street that a test may spoil."""
    return shutil.copytree(STREET, tmp_path / "street")


def _change(path: Path, before: str, after: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert before in text
    path.write_text(text.replace(before, after, 1), encoding="utf-8")


def _refused(folder: Path) -> list[Problem]:
    with pytest.raises(ConfigError) as caught:
        load(folder / "sensord.yaml")
    return caught.value.problems


def _rule(loaded: Loaded, rule_id: str) -> Rule:
    return next(rule for rule in loaded.definition.rules if rule.id == rule_id)


def test_settings_come_out_as_they_were_written() -> None:
    """Channels keep their kinds and values, and what is not written has its default."""
    settings = street().settings
    webhook, mqtt = settings.channels
    assert isinstance(webhook, Webhook)
    assert webhook.allow == ("127.0.0.1:8787",)
    assert isinstance(mqtt, MqttChannel)
    assert settings.mqtt.port == 1883
    assert street().base == STREET.absolute()


def test_places_come_out_with_their_ties() -> None:
    """Each kind of place has the parent and the second ties that the core's tree needs."""
    places = {place.id: place for place in street().definition.places}
    assert places["example"] == Place("example", PlaceKind.STREET, "示例街道", "Example Street")
    assert places["G01-1"].parent == "G01"
    assert places["C01"] == Place(
        "C01", PlaceKind.COMPOUND, "小区1", parent="G01", micro_grids=("G01-1", "G01-2"), parking=120
    )
    assert places["C01-N"] == Place("C01-N", PlaceKind.GATE, "北门", parent="C01", micro_grid="G01-1")
    assert places["L001"] == Place("L001", PlaceKind.LANE, "弄1", parent="G01-1", compound="C01", area_m2=180.0)


def test_devices_come_out_in_the_order_of_the_file() -> None:
    """Stream, place and period are the core's own values."""
    devices = street().definition.devices
    assert [device.id for device in devices][:3] == ["crowd-001", "crowd-002", "cam-C01-N"]
    assert (devices[2].stream, devices[2].place, devices[2].period) == (Stream.PLATE, "C01-N", 60 * SECOND)


def test_a_windowed_rule_comes_out_whole() -> None:
    """Every key of a threshold rule arrives; a margin in per cent becomes a margin for each rung."""
    assert _rule(street(), "lane-crowding") == Rule(
        id="lane-crowding",
        name={"zh": "弄内人群聚集", "en": "Crowding in a lane"},
        stream=Stream.CROWD,
        by="lane",
        dispatch="crowd",
        levels=(LevelSpec(Level.YELLOW, 1.0, 30 * SECOND), LevelSpec(Level.ORANGE, 2.0)),
        clear=Clear((0.1, 0.2), 2 * MINUTE),
        comparison=Comparison.ABOVE,
        value=Value(Aggregate.MEAN, "density"),
        where={"grid": ("G01", "G02")},
        window=MINUTE,
        every=10 * SECOND,
        message={"zh": "{place}密度{value}，{level}", "en": "{place}密度{value}，{level}"},
        labels={"theme": "safety"},
    )


def test_a_window_on_an_eventful_stream_tumbles_and_an_empty_one_is_zero() -> None:
    """Without ``every`` the window tumbles; counting plates, nothing is a true zero."""
    rule = _rule(street(), "out-of-town")
    assert (rule.window, rule.every, rule.min_samples) == (10 * MINUTE, 10 * MINUTE, 0)
    assert rule.where == {"class": ("out_of_town",), "direction": ("in",)}


def test_a_rule_without_window_looks_at_each_reading() -> None:
    """No window, no step, and a level that runs out."""
    rule = _rule(street(), "key-area")
    assert (rule.window, rule.every, rule.clear) == (0, 0, Clear((0.0,), 5 * MINUTE))


def test_an_absence_rule_measures_silence_in_allowed_silences() -> None:
    """Three periods of silence are one unit; without a stream it watches every device."""
    rule = _rule(street(), "silent")
    assert (rule.absent, rule.stream, rule.value) == (3.0, None, None)
    assert rule.levels == (LevelSpec(Level.BLUE, 1.0),)


def test_people_and_plans_come_out() -> None:
    """Contacts, languages, steps and delays are the core's own values; a missing English text is the Chinese."""
    definition = street().definition
    assert [person.language for person in definition.people] == ["zh", "en", "zh"]
    assert [contact.channel for contact in definition.people[0].contacts] == ["people", "grid-mqtt"]
    assert definition.roles[1].name == {"zh": "居委干部", "en": "居委干部"}
    assert definition.policies[0].steps == (
        Step(("volunteer", "cadre"), Level.YELLOW),
        Step(("cadre",), Level.BLUE, 5 * MINUTE, Answer.ACKNOWLEDGED),
    )


def test_a_definition_survives_its_journal_text() -> None:
    """What is journaled reads back equal, so a replay has the very same definition."""
    definition = street().definition
    assert decode_definition(definition.encode()) == definition


def test_lateness_and_language_reach_the_definition(copy: Path) -> None:
    """Lateness is kept per stream; people without a language speak the site's."""
    _change(copy / "sensord.yaml", "lateness: {}", "lateness: {plate: 5s}\nlanguage: en")
    definition = load(copy / "sensord.yaml").definition
    assert decode_definition(definition.encode()).lateness_of(Stream.PLATE) == 5 * SECOND
    assert definition.people[0].language == "en"


def test_mistakes_of_every_file_come_at_once(copy: Path) -> None:
    """One broken file does not hide the mistakes of the others."""
    _change(copy / "places.yaml", "block: B2", "block: B9")
    _change(copy / "roster.yaml", "role: cadre", "role: cadres")
    _change(copy / "rules" / "crowd.yaml", "mean(density)", "mean(densty)")
    _change(copy / "rules" / "vehicles.yaml", "direction: in", "direction: inn")
    problems = _refused(copy)
    assert {Path(problem.file).name for problem in problems} == {
        "places.yaml",
        "roster.yaml",
        "crowd.yaml",
        "vehicles.yaml",
    }


def test_a_broken_file_is_not_blamed_on_those_that_depend_on_it(copy: Path) -> None:
    """When places cannot be read, rules and roster are not told that their places do not exist."""
    (copy / "places.yaml").write_text("street: [\n", encoding="utf-8")
    assert {Path(problem.file).name for problem in _refused(copy)} == {"places.yaml"}


def test_a_file_with_thousands_of_mistakes_reports_a_hundred(copy: Path) -> None:
    """One cause, such as a renamed stream, must not bury the other files' mistakes."""
    device = "  - {id: x, stream: crwd, place: L001, period: 10s}\n"
    _change(copy / "places.yaml", "devices:\n", "devices:\n" + device * 1000)
    assert len(_refused(copy)) == 100


def test_rules_may_be_one_file(copy: Path) -> None:
    """``files.rules`` names a folder or a single file; hidden files of a folder are not rules."""
    (copy / "rules" / ".crowd.yaml").write_text("not: rules", encoding="utf-8")
    assert len(load(copy / "sensord.yaml").definition.rules) == 4
    _change(copy / "sensord.yaml", "rules: rules", "rules: rules/crowd.yaml")
    assert [rule.id for rule in load(copy / "sensord.yaml").definition.rules] == ["lane-crowding"]


def test_a_rule_id_is_unique_over_all_files(copy: Path) -> None:
    """The second file is told where the first one took the id."""
    _change(copy / "rules" / "vehicles.yaml", "id: out-of-town", "id: lane-crowding")
    (problem,) = _refused(copy)
    assert Path(problem.file).name == "vehicles.yaml"
    assert "crowd.yaml:2" in problem.message


@pytest.mark.parametrize("name", ["places.yaml", "roster.yaml", "dispatch.yaml", "rules"])
def test_a_missing_file_is_named(copy: Path, name: str) -> None:
    """The path that was tried is in the problem."""
    target = copy / name
    if target.is_dir():
        shutil.rmtree(target)
    else:
        target.unlink()
    assert str(target) in {problem.file for problem in _refused(copy)}


def _warnings(folder: Path) -> list[str]:
    return [str(problem) for problem in load(folder / "sensord.yaml").warnings]


def test_a_crowd_sensor_without_area_is_a_warning(copy: Path) -> None:
    """Its density would never be known, but its count is."""
    _change(copy / "places.yaml", ", area_m2: 180", "")
    (warning,) = _warnings(copy)
    assert "places.yaml:22:43: warning: lane L001 has no area_m2" in warning


def test_a_device_called_like_a_plate_is_a_warning(copy: Path) -> None:
    """Its name would be blotted out of every log."""
    _change(copy / "places.yaml", "id: cam-C01-N", "id: WJ-12345")
    (warning,) = _warnings(copy)
    assert "places.yaml:24:10: warning: WJ-12345 looks like a number plate" in warning


def test_a_rule_that_looks_at_no_device_is_a_warning(copy: Path) -> None:
    """Both by its places and by its kind of key: there is no gauge in G02, and no crowd sensor at a gate."""
    _change(copy / "rules" / "crowd.yaml", "by: lane", "by: gate")
    _change(copy / "rules" / "vehicles.yaml", "class: key_area", "class: key_area, grid: G02")
    assert [warning.partition(" looks")[0].rpartition(" ")[2] for warning in _warnings(copy)] == [
        "lane-crowding",
        "key-area",
    ]


def test_an_empty_folder_of_rules_is_a_warning(copy: Path) -> None:
    """Nothing would ever alarm, and nobody would notice."""
    for path in (copy / "rules").iterdir():
        path.unlink()
    (warning,) = _warnings(copy)
    assert "nothing will alarm" in warning


def test_a_street_without_devices_is_a_warning(copy: Path) -> None:
    """Nothing will be seen; every rule says so, too."""
    text = (copy / "places.yaml").read_text(encoding="utf-8").partition("devices:")[0]
    (copy / "places.yaml").write_text(text, encoding="utf-8")
    warnings = _warnings(copy)
    assert any("no devices" in warning for warning in warnings)
    assert len(warnings) == 1 + 4


def test_a_hole_in_the_roster_is_a_warning(copy: Path) -> None:
    """A step that finds nobody names the role, how many places, and one of them."""
    _change(copy / "roster.yaml", "serves: G02,", "serves: L002,")
    assert _warnings(copy) == []
    _change(copy / "roster.yaml", "serves: G01-1,", "serves: G01-2,")
    (warning,) = _warnings(copy)
    assert "dispatch.yaml:8:17: warning: nobody on the roster is volunteer" in warning
    assert "for 2 of 5 places" in warning
    _change(copy / "roster.yaml", "serves: example,", "serves: G02,")
    assert sum("is cadre" in warning for warning in _warnings(copy)) == 2


def test_nearest_without_anything_that_says_near_is_a_warning(copy: Path) -> None:
    """Stated neighbours, or positions of compounds, and it is gone."""
    _change(copy / "dispatch.yaml", "{tell: [volunteer, cadre],", "{mode: nearest, tell: [volunteer, cadre],")
    (warning,) = _warnings(copy)
    assert "dispatch.yaml:8:16: warning: nothing says which grids lie near G01" in warning
    _change(copy / "places.yaml", "- {id: G02,", "- {id: G02, neighbours: [G01],")
    assert [one for one in _warnings(copy) if "lie near" in one] == []
    _change(copy / "places.yaml", "- {id: G02, neighbours: [G01],", "- {id: G02,")
    for number, compound in enumerate(("C01", "C02")):
        _change(copy / "places.yaml", f"- {{id: {compound},", f"- {{id: {compound}, position: [31.3, 121.4{number}],")
    assert _warnings(copy) == []


def test_a_path_is_relative_to_the_file_and_knows_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Absolute paths stay, relative ones begin at the file, and systemd's folder is filled in."""
    loaded = street()
    assert loaded.resolve("a/../b.txt") == STREET.absolute() / "b.txt"
    assert loaded.resolve("/etc/b.txt") == Path("/etc/b.txt")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "/run/credentials/sensord.service")
    assert loaded.resolve("${CREDENTIALS_DIRECTORY}/x") == Path("/run/credentials/sensord.service/x")


@pytest.mark.parametrize("text", ["${CREDENTIALS_DIRECTORY}/x", "${HOME}/x", "$HOME/x"])
def test_an_unknown_variable_in_a_path_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Outside systemd there is no credentials folder, and no other variable is ever expanded."""
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    with pytest.raises(ConfigError):
        street().resolve(text)


def test_robots_bring_their_rate_and_are_one_group_each(tmp_path: Path) -> None:
    """The core must know how much a robot may say, and that its addresses are people in one group."""
    shutil.copytree(STREET, tmp_path / "street")
    path = tmp_path / "street" / "sensord.yaml"
    robot = "  - {type: wecom-robot, name: group, key_file: key, per_minute: 12}\n"
    path.write_text(path.read_text(encoding="utf-8") + robot, encoding="utf-8")
    damping = load(path).definition.damping
    assert (damping.per_minute["group"], damping.groups) == (12, ("group",))


def test_topics_of_grids_and_programs_that_gather_are_no_robots(tmp_path: Path) -> None:
    """The core must know whose digests are each grid's own, and whose messages it never gathers."""
    shutil.copytree(STREET, tmp_path / "street")
    path = tmp_path / "street" / "sensord.yaml"
    program = '  - {type: alertmanager, name: am, url: "http://am.example.org:9093"}\n'
    path.write_text(path.read_text(encoding="utf-8") + program, encoding="utf-8")
    damping = load(path).definition.damping
    assert (damping.by_grid, damping.undamped) == (("grid-mqtt",), ("am",))


def _with_state_beside(copy: Path) -> Path:
    """The configuration, whose state directory is to be in a folder of the test."""
    config = copy / "sensord.yaml"
    document = yaml.safe_load(config.read_text(encoding="utf-8")) | {"state_dir": str(copy / "state")}
    config.write_text(yaml.safe_dump(document, allow_unicode=True), encoding="utf-8")
    return config


SPARE = {Spare.PLATES: "plate.keys", Spare.CHANGES: "roster.changes.yaml"}
SOUND = {
    Spare.PLATES: b"k1 2026-01-01T00:00:00Z " + base64.b64encode(bytes(32)) + b"\n",
    Spare.CHANGES: b"changes: []\n",
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("part", SPARE)
def test_what_alerting_can_do_without_is_done_without(copy: Path, part: Spare, damage: Damage) -> None:
    """By a daemon that must start; who checks, or changes what runs, hears of every mistake."""
    config = _with_state_beside(copy)
    path = copy / "state" / SPARE[part]
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(SOUND[part])
    path.chmod(0o600)
    assert load(config, lenient=True).without == {}
    path.write_bytes(damage(SOUND[part]))
    loaded = load(config, lenient=True)
    assert [*loaded.without] == [part]
    assert path.name in loaded.without[part]
    assert (loaded.definition.plate_keys, loaded.definition.duty.changes) == ((), ())
    assert with_keys(loaded, 1).without == loaded.without
    assert path.read_bytes() == damage(SOUND[part])
    with pytest.raises(ConfigError):
        load(config)


@pytest.mark.parametrize("key", [b"", b"sensord\n", b"a" * 31, None], ids=["empty", "a word", "too short", "missing"])
def test_a_key_that_anybody_could_guess_signs_no_links(copy: Path, key: bytes | None) -> None:
    """Who checks hears of it; a daemon that must start does so without links."""
    config, path = _with_state_beside(copy), copy / "link.key"
    document = yaml.safe_load(config.read_text(encoding="utf-8"))
    config.write_text(yaml.safe_dump(document | {"answers": {"url": "https://a.example", "key_file": "link.key"}}))
    for text in (b"0123456789abcdef" * 4 + b"\n", key):
        path.unlink(missing_ok=True)
        if text is not None:
            path.write_bytes(text)
            path.chmod(0o600)
        loaded = load(config, lenient=True)
        assert loaded.link_key == (None if text == key else b"0123456789abcdef" * 4)
        assert list(loaded.without) == ([Spare.LINKS] if text == key else [])
    with pytest.raises(ConfigError, match=r"link\.key"):
        load(config)


def test_a_site_key_that_cannot_be_made_is_done_without(copy: Path) -> None:
    """As on a full disk: nobody is followed, and everything else goes on."""
    loaded = with_keys(load(_with_state_beside(copy)), 1)
    assert "site key cannot be made" in loaded.without[Spare.PLATES]


def test_the_keys_of_each_rule_are_worked_out_once(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Checks of combinations and of what falls silent look at the same tables: each is as large as the registry."""
    both = "{id: both, name: {zh: 二}, all: [silent, key-area], within: 10m, by: grid, level: yellow, dispatch: crowd}"
    (copy / "rules" / "more.yaml").write_text(f"rules: [{both}]\n", encoding="utf-8")
    made, make = list[str](), KeyTable.__init__

    def noting(table: KeyTable, rule: Rule, places: Places, only: frozenset[str] | None = None) -> None:
        made.append(rule.id)
        make(table, rule, places, only)

    monkeypatch.setattr(KeyTable, "__init__", noting)
    rules = load(copy / "sensord.yaml").definition.rules
    assert sorted(made) == sorted(rule.id for rule in rules if rule.combination is None)
