"""Tokens: kept as hashes, found by id, compared in constant time."""

from __future__ import annotations

import hmac
import stat
from pathlib import Path

import pytest

from sensord.api import tokens
from sensord.api.tokens import FILE, Identity, Role, TokenStore
from sensord.errors import StoreError
from tests.api.parts import START
from tests.support.damages import DAMAGES, Damage


def test_the_file_holds_no_token(tmp_path: Path) -> None:
    """Whoever reads the file cannot use it; only its owner can read it at all."""
    text = TokenStore(tmp_path).create("console", Role.VIEWER, START)
    path = tmp_path / "tokens.json"
    assert text.split("_", 2)[2] not in path.read_text(encoding="utf-8")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_token_is_known_to_every_process(tmp_path: Path) -> None:
    """Made by one, used by another, revoked by a third."""
    maker, server = TokenStore(tmp_path), TokenStore(tmp_path)
    assert server.identify("sd_nobody_x", START) is None
    text = maker.create("console", Role.OPERATOR, START)
    assert server.identify(text, START) == Identity("console", Role.OPERATOR)
    assert [token.name for token in server.all()] == ["console"]
    assert TokenStore(tmp_path).revoke("console")
    assert server.identify(text, START) is None
    assert not TokenStore(tmp_path).revoke("console")


def test_a_token_expires(tmp_path: Path) -> None:
    """At the instant itself it is no longer good."""
    store = TokenStore(tmp_path)
    text = store.create("console", Role.ADMIN, START, lives=10)
    assert store.identify(text, START + 9) is not None
    assert store.identify(text, START + 10) is None


def test_names_are_unique(tmp_path: Path) -> None:
    """The journal names the token: two of one name could not be told apart."""
    store = TokenStore(tmp_path)
    store.create("console", Role.VIEWER, START)
    with pytest.raises(StoreError, match="console"):
        store.create("console", Role.ADMIN, START)


@pytest.mark.parametrize(
    "text", ["", "sd", "sd_", "sd__", "sd_{id}", "sd_{id}_", "sd_{id}_wrong", "xx_{id}_{secret}", "sd_é_é"]
)
def test_anything_else_is_nobody(tmp_path: Path, text: str) -> None:
    """Whatever comes, it is not a token, and not an error."""
    store = TokenStore(tmp_path)
    _, identity, secret = store.create("console", Role.VIEWER, START).split("_", 2)
    assert store.identify(text.format(id=identity, secret=secret), START) is None


def test_the_secret_is_compared_in_constant_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every attempt, also one with an unknown id, goes through ``hmac.compare_digest`` with two hashes."""
    compared: list[tuple[str, str]] = []

    def compare(one: str, other: str) -> bool:
        compared.append((one, other))
        return hmac.compare_digest(one, other)

    store = TokenStore(tmp_path)
    text = store.create("console", Role.VIEWER, START)
    monkeypatch.setattr(tokens, "hmac", type("Spy", (), {"compare_digest": staticmethod(compare)}))
    assert store.identify(text, START) is not None
    assert store.identify("sd_unknown_secret", START) is None
    assert store.identify(text + "x", START) is None
    assert [len(part) for pair in compared for part in pair] == [64] * 6


def test_this_machines_own_token_is_made_once(tmp_path: Path) -> None:
    """It survives restarts; when its file is lost, a new one takes its place and the old one ends."""
    store = TokenStore(tmp_path)
    first = store.local()
    assert TokenStore(tmp_path).local() == first
    assert stat.S_IMODE((tmp_path / "api.token").stat().st_mode) == 0o600
    (tmp_path / "api.token").unlink()
    second = store.local()
    assert store.identify(second, START) == Identity("cli", Role.ADMIN)
    assert store.identify(first, START) is None


@pytest.mark.parametrize("left", [b"", b"\xff\x00", b"sd_", bytes(40)])
def test_this_machines_own_token_is_made_anew_when_it_is_damaged(tmp_path: Path, left: bytes) -> None:
    """Whatever stands in its file."""
    store = TokenStore(tmp_path)
    store.local()
    (tmp_path / "api.token").write_bytes(left)
    assert store.identify(store.local(), START) == Identity("cli", Role.ADMIN)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_set_aside_at_the_start(tmp_path: Path, damage: Damage) -> None:
    """Nobody gets in with what was damaged, the file is kept, and new tokens can be made."""
    store, path = TokenStore(tmp_path), tmp_path / "tokens.json"
    old = store.create("console", Role.VIEWER, START)
    assert store.mend(START) == ""
    left = damage(path.read_bytes())
    path.write_bytes(left)
    store = TokenStore(tmp_path)
    assert "make new tokens" in store.mend(START)
    assert (tmp_path / f"tokens.json.damaged-{START}").read_bytes() == left
    assert store.identify(old, START) is None
    assert store.identify(store.create("console", Role.VIEWER, START), START) == Identity("console", Role.VIEWER)
    assert store.mend(START) == ""


def test_a_file_that_only_cannot_be_read_stays_where_it_is(tmp_path: Path) -> None:
    """Another's file, or one of a disk that fails for a while, holds what it held: nobody needs a new token."""
    store = TokenStore(tmp_path)
    (tmp_path / FILE).mkdir()
    assert "check its owner" in store.mend(START)
    assert (tmp_path / FILE).is_dir()


def test_no_token_is_called_by_a_plate(tmp_path: Path) -> None:
    """Its name goes wherever its holder acts."""
    with pytest.raises(StoreError, match="looks like a number plate"):
        TokenStore(tmp_path).create("苏E24680", Role.VIEWER, START)
