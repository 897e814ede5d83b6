"""Who may use the REST API: bearer tokens with a role, stored as hashes.

A token is ``sd_<id>_<secret>``: the id finds the entry, the secret (256 random bits) is what is compared, by its
SHA-256 and in constant time. The secret has too much entropy to be guessed from its hash, so a slow hash would only
slow down every request. The file is read again when it has changed, so a new or revoked token counts at once.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import hmac
import os
import secrets
import time
from collections.abc import Iterator
from enum import IntEnum
from pathlib import Path

import msgspec

from sensord.config.files import PRIVATE, move_aside, open_own, write_whole
from sensord.config.settings import TOKEN_FILE
from sensord.core.vehicles.blot import without_plates
from sensord.decoders import json_decoder
from sensord.errors import DamageError, StoreError

FILE = "tokens.json"
LOCAL = "cli"
"""The name of the token that this machine's own command line uses; its text is in ``TOKEN_FILE``."""
_PREFIX = "sd"
_NOBODY = hashlib.sha256(b"nobody").hexdigest()


class Role(IntEnum):
    """What a token allows; each role allows what the lower ones do."""

    VIEWER = 1
    """Read."""
    OPERATOR = 2
    """Answer, close, silence, report findings."""
    ADMIN = 3
    """Approve: void, extend, return."""

    @property
    def word(self) -> str:
        """The role as people write it."""
        return self.name.lower()


ROLES = {role.word: role for role in Role}


class Token(msgspec.Struct, frozen=True):
    """An entry of the file. Instants are ns; ``expires_at`` 0 is never."""

    id: str
    name: str
    role: str
    digest: str
    created_at: int
    expires_at: int = 0


_TOKENS = json_decoder(list[Token])


class Identity(msgspec.Struct, frozen=True):
    """Who asks: the token's name and role. The name goes into the journal and the log."""

    name: str
    role: Role


class TokenStore:
    """The tokens of one state directory. ``clock`` is Unix time in ns."""

    def __init__(self, directory: Path) -> None:
        self._directory, self._path = directory, directory / FILE
        self._read_as: tuple[int, int, int] | None = None
        self._tokens: dict[str, Token] = {}

    def create(self, name: str, role: Role, now: int, *, lives: int = 0) -> str:
        """Make a token that lives so long (ns; 0: until it is revoked) and return its text, which is kept nowhere.

        Raises ``StoreError`` when the name is taken, or looks like a plate (names are shown to everybody), or the file
        cannot be written.
        """
        if without_plates(name) != name:
            raise StoreError("this name looks like a number plate; take another one")
        secret = secrets.token_urlsafe(32)
        entry = Token(secrets.token_hex(6), name, role.word, _digest(secret), now, now + lives if lives else 0)
        with self._changing() as tokens:
            if any(one.name == name for one in tokens.values()):
                raise StoreError(f"a token called {name} exists already; revoke it first")
            tokens[entry.id] = entry
        return f"{_PREFIX}_{entry.id}_{secret}"

    def revoke(self, name: str) -> bool:
        """Take a token out of force; False when there is none of that name."""
        with self._changing() as tokens:
            gone = [one.id for one in tokens.values() if one.name == name]
            for identity in gone:
                del tokens[identity]
        return bool(gone)

    def all(self) -> list[Token]:
        """Every token, oldest first."""
        self._refresh()
        return sorted(self._tokens.values(), key=lambda one: (one.created_at, one.name))

    def identify(self, text: str, now: int) -> Identity | None:
        """Return whose token this is, or None: unknown, expired, or not a token at all."""
        self._refresh()
        prefix, _, rest = text.partition("_")
        identity, _, secret = rest.partition("_")
        entry = self._tokens.get(identity) if prefix == _PREFIX else None
        same = hmac.compare_digest(_digest(secret), entry.digest if entry is not None else _NOBODY)
        if entry is None or not same or (entry.expires_at and entry.expires_at <= now):
            return None
        role = ROLES.get(entry.role)  # one that a newer program knows allows nothing here
        return Identity(entry.name, role) if role is not None else None

    def local(self) -> str:
        """Return the text of this machine's own token; it is made when its file is missing."""
        path = self._directory / TOKEN_FILE
        with contextlib.suppress(OSError, UnicodeDecodeError):  # a damaged one is made anew, as a lost one is
            text = path.read_text(encoding="ascii").strip()
            if self.identify(text, time.time_ns()) is not None:
                return text
        self.revoke(LOCAL)
        text = self.create(LOCAL, Role.ADMIN, time.time_ns())
        write_private(path, text)
        return text

    def mend(self, now: int) -> str:
        """Set a damaged file aside, so that new tokens can be made; returns what became of it (empty: it is sound).

        For the daemon's start (``now`` in ns): nobody has a token then, and this machine's own is made anew.
        """
        try:
            self._refresh()
        except DamageError as fault:
            try:
                aside = move_aside(self._path, now)
            except OSError:
                return str(fault)
            return f"{FILE} was damaged and moved to {aside.name}: make new tokens (sensord token create)"
        except StoreError as fault:  # what cannot be read may be sound: it stays where it is
            return str(fault)
        return ""

    def _refresh(self) -> None:
        try:
            status = self._path.stat()
            stamp = (status.st_ino, status.st_mtime_ns, status.st_size)
            if stamp != self._read_as:
                entries = _TOKENS.decode(self._path.read_bytes())
                self._tokens, self._read_as = {one.id: one for one in entries}, stamp
        except FileNotFoundError:
            self._tokens, self._read_as = {}, None
        except OSError as error:
            raise StoreError(f"{self._path}: cannot be read ({error.strerror}); check its owner") from error
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            said = f"{self._path}: cannot be read ({error}); restore it, or delete it and make new tokens"
            raise DamageError(said, self._path) from error

    @contextlib.contextmanager
    def _changing(self) -> Iterator[dict[str, Token]]:
        """Read, let the caller change, write as a whole; one process at a time."""
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            with os.fdopen(open_own(self._directory / f".{FILE}.lock"), "w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                self._refresh()
                tokens = dict(self._tokens)
                yield tokens
                write_private(self._path, msgspec.json.format(msgspec.json.encode(list(tokens.values()))).decode())
        except OSError as error:
            raise StoreError(f"{self._path}: cannot be written ({error.strerror}); check its owner") from error


def write_private(path: Path, text: str) -> None:
    """Write a file of one line that only its owner can read; raises ``OSError``."""
    write_whole(path, f"{text}\n".encode(), PRIVATE)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
