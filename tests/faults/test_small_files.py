"""Every small file of the state directory, damaged in every way: the daemon starts, says so, and tells of a crowd."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.harness import Stage
from tests.faults.sensors import Speech
from tests.support import wait_until
from tests.support.damages import DAMAGES, Damage

TOLD = {
    "answer.key": ("links", "签名密钥损坏"),
    "tokens.json": ("tokens", "接口令牌文件损坏"),
    "plate.keys": ("plates", "号牌密钥损坏或不符"),
    "roster.changes.yaml": ("duty", "调班记录文件损坏"),
    "audit.log": ("registers", ""),
    "audit.head": ("registers", ""),
}
"""Files whose damage is said: the fact, and what people are told ("": it keeps nobody from anything)."""
UNSAID = ("api.token", "sessions", "starts", "keeping", "http.port", "lock", ".tokens.json.lock", "journal/lost.json")
"""Files that are made anew without a word: what was in them costs nobody anything."""
DISPATCH = "  trouble: {name: {zh: 故障}, steps: [{tell: [police], at_least: blue}]}\nbuilt_in: {others: trouble}\n"


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A street whose daemon has every small file; each test leaves it stopped and whole."""
    with Stage(
        tmp_path_factory.mktemp("small"),
        influx=False,
        speech=Speech(moods=(2.0, 5.0)),
        answers={"url": "http://links.example"},
    ) as built:
        with (built.daemon.directory / "dispatch.yaml").open("a", encoding="utf-8") as file:
            file.write(DISPATCH)
        built.begin()
        for name in ("console", "screen"):
            assert built.daemon.command("token", "create", name, "--role", "viewer").returncode == 0
        assert built.end(signal.SIGTERM) == 0
        (built.daemon.state / "roster.changes.yaml").write_text("changes: []\n", encoding="utf-8")
        (built.daemon.state / "keeping").write_text(f"{time.time_ns()}\n", encoding="ascii")
        (built.daemon.state / "journal" / "lost.json").write_text("[]\n", encoding="utf-8")
        yield built


@pytest.fixture
def whole(stage: Stage) -> Iterator[Path]:
    """The state directory of a stopped daemon; what is damaged in it is put back afterwards."""
    names = [*TOLD, *UNSAID]
    before = {name: (stage.daemon.state / name).read_bytes() for name in names}
    yield stage.daemon.state
    for name, content in before.items():
        if name not in ("lock", "http.port"):
            (stage.daemon.state / name).write_bytes(content)


CASES = [
    *((name, damage) for name in TOLD for damage in DAMAGES if name.endswith(("key", "keys")) or damage in DAMAGES[:2]),
    *((name, DAMAGES[number % len(DAMAGES)]) for number, name in enumerate(UNSAID)),
]
"""Keys in every way; the rest in two or one, and in every way where it is read (``tests/api``, ``tests/store``)."""


@pytest.mark.parametrize(("name", "damage"), CASES)
def test_no_damaged_file_keeps_people_from_hearing_of_a_crowd(
    stage: Stage, whole: Path, name: str, damage: Damage
) -> None:
    """The facts name what is damaged and nothing else, and are good again once it is whole."""
    path, seen = whole / name, len(stage.texts())
    path.write_bytes(damage(path.read_bytes()))
    stage.start(forgive=name != "starts")
    stage.await_ready()
    fact, words = TOLD.get(name, ("", ""))
    wait_until(lambda: stage.fact("links") is not None, 20, "it answers")
    told = {one: stage.fact(one) for one, _ in TOLD.values()}
    assert told == {one: one != fact for one in told}
    wait_until(lambda: any(words in text for text in stage.texts()), 30, "people hear of the damage, or have heard")
    wait_until(lambda: any(place != "street" for place in stage.places()[seen:]), 40, "people hear of a crowd")
    assert stage.end(signal.SIGTERM) == 0


def followed(stage: Stage, wanted: bool) -> None:
    """Wait until the daemon says that it follows vehicles, or does not."""
    wait_until(lambda: stage.fact("plates") is wanted, 30, f"plates: {wanted}")


def test_site_keys_that_are_put_back_are_used_again(stage: Stage, whole: Path) -> None:
    """Without a restart; and while they are missing, changed rules come into force as ever."""
    path, rules = whole / "plate.keys", stage.daemon.directory / "rules" / "crowd.yaml"
    keys = path.read_bytes()
    path.write_bytes(b"")
    stage.start()
    stage.await_ready()
    followed(stage, wanted=False)
    rules.write_text(rules.read_text(encoding="utf-8").replace("margin: 10%", "margin: 11%"), encoding="utf-8")
    assert stage.daemon.command("reload").returncode == 0
    assert stage.fact("plates") is False
    path.write_bytes(keys)
    followed(stage, wanted=True)
    assert stage.end(signal.SIGTERM) == 0


def test_other_site_keys_count_as_new_ones_from_the_second_start_on(stage: Stage, whole: Path) -> None:
    """At the first one nobody is followed, so that the right ones can be put back."""
    (whole / "plate.keys").write_text(f"k1 2026-01-01T00:00:00Z {'A' * 43}=\n", encoding="ascii")
    for wanted in (False, True):
        stage.start()
        stage.await_ready()
        followed(stage, wanted=wanted)
        assert stage.end(signal.SIGTERM) == 0


@pytest.mark.parametrize("state_too", [False, True])
def test_site_keys_that_are_gone_are_missed_and_not_replaced(stage: Stage, whole: Path, state_too: bool) -> None:
    """At every start, until they are put back; the journal tells when the state has gone with them."""
    path = whole / "plate.keys"
    keys = path.read_bytes()
    path.unlink()
    if state_too:
        (whole / "state.db").unlink()
    for _ in range(2):
        stage.start()
        stage.await_ready()
        followed(stage, wanted=False)
        assert stage.end(signal.SIGTERM) == 0
        assert "put it back from a backup" in path.read_text(encoding="utf-8")
    stage.start()
    path.write_bytes(keys)
    followed(stage, wanted=True)
    assert stage.end(signal.SIGTERM) == 0
