"""Site keys: what a key file may hold, who may read it, and how a key is added."""

from __future__ import annotations

import base64
import shutil
import stat
from pathlib import Path

import pytest

from sensord.config.load import Spare, load, with_keys
from sensord.config.platekeys import add_key, check_rotation, load_keys, note_loss
from sensord.core.instant import DAY, SECOND, format_instant, parse_instant
from sensord.core.vehicles.pseudonym import check_value
from sensord.errors import ConfigError
from tests.config.rejection import STREET

GOOD = base64.b64encode(bytes(32)).decode()


def written(path: Path, text: str) -> Path:
    """Write a key file that only its owner can read."""
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")
    return path


def test_a_key_is_made_and_another_follows(tmp_path: Path) -> None:
    """Two keys, oldest first, with secrets that fit their check values; nobody else can read the file."""
    path = tmp_path / "plate.keys"
    names = add_key(path, 100 * SECOND), add_key(path, 200 * SECOND)
    ring = load_keys(path)
    assert [(key.id, key.since) for key in ring.keys] == [*zip(names, (100 * SECOND, 200 * SECOND), strict=True)]
    assert [name[:3] for name in names] == ["k1-", "k2-"]
    assert all(key.check.startswith(key.id[3:]) for key in ring.keys)
    assert all(check_value(ring.secrets[key.id]) == key.check for key in ring.keys)
    assert len({*ring.secrets.values()}) == 2
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_key_cannot_come_into_force_before_another(tmp_path: Path) -> None:
    """What has been written under a key must stay readable: a new one comes after it."""
    path = tmp_path / "plate.keys"
    add_key(path, 200 * SECOND)
    with pytest.raises(ConfigError, match="comes into force"):
        add_key(path, 200 * SECOND)


def test_a_key_that_is_made_can_be_read(tmp_path: Path) -> None:
    """Two keys of one second would be in no order, and two of one name nobody's: neither is written."""
    path = written(tmp_path / "plate.keys", f"k2 2026-01-01T00:00:00Z {GOOD}\n")
    since = load_keys(path).keys[0].since
    with pytest.raises(ConfigError, match="comes into force"):
        add_key(path, since + SECOND // 2)
    assert add_key(path, since + SECOND).startswith("k2-")
    assert [key.since - since for key in load_keys(path).keys] == [0, SECOND]


WEEK = 7 * DAY
ROTATIONS: dict[str, tuple[list[int], int, str]] = {
    "a first key of any time": ([], 0, ""),
    "a second key at once": ([0], 50 * DAY, ""),
    "a second key to come": ([49], 60 * DAY, ""),
    "a second key dated back": ([0], 50 * DAY - SECOND, "is past: the vehicles .* known by the key k1"),
    "a third key in the overlap": ([0, 45], 50 * DAY, "until 1970-02-22T.* recognised by the key k1.*, too"),
    "a third key before the overlap ends": ([0, 45], 45 * DAY + WEEK - SECOND, "choose --since 1970-02-22T"),
    "a third key when it has ended": ([0, 45], 45 * DAY + WEEK, ""),
    "a third key in the overlap of one to come": ([0, 55], 56 * DAY, "until 1970-03-04T"),
}
"""The days at which there are keys already, since when the new one is in force, and why it is refused on day 50."""


@pytest.mark.parametrize("name", ROTATIONS)
def test_a_key_that_would_make_strangers_of_vehicles_is_refused(tmp_path: Path, name: str) -> None:
    """Only one former key is recognised, and nobody is recognised by a key that was not there yet."""
    days, since, fault = ROTATIONS[name]
    path = tmp_path / "plate.keys"
    for day in days:
        add_key(path, day * DAY)
    if not fault:
        check_rotation(path, since, 50 * DAY, WEEK)
        return
    with pytest.raises(ConfigError, match=fault):
        check_rotation(path, since, 50 * DAY, WEEK)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("# nothing\n", "the file holds no key"),
        ("k1 2026-01-01T00:00:00Z\n", "two words|2 words"),
        (f"K1 2026-01-01T00:00:00Z {GOOD}\n", "name"),
        (f"k1 yesterday {GOOD}\n", "Invalid isoformat"),
        ("k1 2026-01-01T00:00:00Z not!base64\n", "not base64"),
        ("k1 2026-01-01T00:00:00Z c2hvcnQ=\n", "has 5 bytes"),
        (f"k1 2026-01-01T00:00:00Z {GOOD}\nk1 2026-02-01T00:00:00Z {GOOD}\n", "already taken"),
        (f"k1 2026-02-01T00:00:00Z {GOOD}\nk2 2026-01-01T00:00:00Z {GOOD}\n", "order"),
    ],
)
def test_a_wrong_file_is_refused_without_showing_it(tmp_path: Path, text: str, fault: str) -> None:
    """Each fault is named with its line; no message holds a secret."""
    with pytest.raises(ConfigError, match=fault) as caught:
        load_keys(written(tmp_path / "plate.keys", text))
    assert GOOD not in str(caught.value)


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    """Group and world must not read it; the message says what to do."""
    path = written(tmp_path / "plate.keys", f"k1 2026-01-01T00:00:00Z {GOOD}\n")
    path.chmod(0o640)
    with pytest.raises(ConfigError, match="chmod 600"):
        load_keys(path)
    path.chmod(0o600)
    assert load_keys(path).keys[0].since == parse_instant("2026-01-01T00:00:00Z")


def test_no_text_of_a_configuration_shows_a_key(tmp_path: Path) -> None:
    """What is loaded can be printed without giving the secret away."""
    path = tmp_path / "plate.keys"
    name = add_key(path, SECOND)
    assert repr(load_keys(path).secrets[name]) not in repr(load_keys(path))


def test_a_key_that_comes_after_a_loss_can_stand_beside_the_lost_one(tmp_path: Path) -> None:
    """Its name is no other key's, so that one file can hold both once the lost one is found."""
    lost, path = tmp_path / "lost", tmp_path / "plate.keys"
    add_key(lost, SECOND)
    ring = load_keys(lost)
    assert "plate.keys is gone: put it back" in note_loss(path, ring.keys)
    remarks = path.read_text(encoding="utf-8")
    assert all(part in remarks for key in ring.keys for part in (key.id, key.check, format_instant(key.since)))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(ConfigError, match="holds no key: put it back from a backup"):
        load_keys(path)
    check_rotation(path, 5 * SECOND, 9 * SECOND, DAY)  # nothing is rotated: it begins anew
    name = add_key(path, 5 * SECOND)
    assert [key.id for key in load_keys(path).keys] == [name]
    both = written(tmp_path / "both", lost.read_text(encoding="ascii") + path.read_text(encoding="utf-8"))
    assert [key.id for key in load_keys(both).keys] == [ring.keys[0].id, name]


def test_a_key_file_that_was_emptied_takes_no_key(tmp_path: Path) -> None:
    """Nothing says that its keys are given up."""
    path = written(tmp_path / "plate.keys", "")
    with pytest.raises(ConfigError):
        add_key(path, SECOND)
    assert path.read_bytes() == b""


def test_no_site_key_is_made_in_place_of_lost_ones(tmp_path: Path) -> None:
    """Vehicles would be others without a word. The file says what it held; put back, it serves."""
    config, path = shutil.copytree(STREET, tmp_path / "street") / "sensord.yaml", tmp_path / "plate.keys"
    config.write_text(config.read_text(encoding="utf-8") + f"state_dir: {tmp_path}\n", encoding="utf-8")
    made = named = with_keys(load(config), 1).definition.plate_keys
    content = path.read_bytes()
    path.unlink()
    for _ in range(2):
        loaded = with_keys(load(config, lenient=True), 2, named)
        assert (loaded.definition.plate_keys, "put it back" in loaded.without[Spare.PLATES]) == ((), True)
        assert made[0].id in path.read_text(encoding="utf-8")
        named = ()  # from the second start on the definition in force names none
    path.write_bytes(content)
    assert with_keys(load(config), 3).definition.plate_keys == made
