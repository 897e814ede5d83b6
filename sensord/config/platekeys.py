"""The site keys that pseudonyms are made with: a file of its own, outside the configuration, or a systemd credential.

A line is ``name since secret``: the name of a key, the instant (RFC 3339) from which it is in force, and 32 bytes in
base64. Rules: nobody but the owner may read the file; the first key is in force from the beginning; a line is never
changed or removed while the journal holds plates of its time, or they could not be told apart any more. A line that
begins with # is a remark; a file of nothing else stands where a file with keys was lost.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
import secrets as randomness
import stat
from dataclasses import dataclass, field
from pathlib import Path

from sensord.config.files import PRIVATE, write_whole
from sensord.config.secret import read_secret
from sensord.core.instant import SECOND, format_instant, parse_instant
from sensord.core.vehicles.pseudonym import LEAST_BYTES, Secrets, check_value
from sensord.core.vehicles.tracking import PlateKey
from sensord.errors import ConfigError, Problem

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,19}")
_REMARK, _DIGITS = "#", 6
_RESTORE = "put it back from a backup or a copy; sensord plate-key begins anew"
_GONE = """# 这里本来有站点密钥，文件不见了：请从备份或副本放回；确已丢失时用 sensord plate-key 另起一把。
# Site keys were here, and the file is gone: put it back from a backup or a copy; sensord plate-key begins anew.
"""
_HINT = "a line is: name, instant, 32 bytes in base64 (sensord plate-key FILE writes one)"


@dataclass(frozen=True, slots=True)
class KeyRing:
    """The keys as the definition has them, oldest first, and their secrets by name."""

    keys: tuple[PlateKey, ...]
    secrets: Secrets = field(repr=False)


def load_keys(path: Path) -> KeyRing:
    """Read a key file; raises ``ConfigError`` with every wrong line. No message holds a secret."""
    ring = _load(path, read_secret(path))
    if not ring.keys:
        raise ConfigError([Problem(str(path), 1, 1, f"the file holds no key: {_RESTORE}", _HINT)])
    return ring


def _load(path: Path, content: str) -> KeyRing:
    problems: list[Problem] = []
    keys: list[PlateKey] = []
    found: dict[str, bytes] = {}
    for line, text in enumerate(content.splitlines(), 1):
        if not text.strip() or text.startswith(_REMARK):
            continue
        try:
            key, secret = _read(text, keys)
        except ValueError as error:
            problems.append(Problem(str(path), line, 1, str(error), _HINT))
            continue
        keys.append(key)
        found[key.id] = secret
    mode = path.stat().st_mode
    if mode & (stat.S_IRGRP | stat.S_IROTH) and not os.environ.get("CREDENTIALS_DIRECTORY"):
        problems.append(Problem(str(path), 1, 1, "others can read the site key", f"run: chmod 600 {path}"))
    if problems:
        raise ConfigError(problems)
    return KeyRing(tuple(keys), found)


def _read(text: str, before: list[PlateKey]) -> tuple[PlateKey, bytes]:
    parts = text.split()
    if len(parts) != 3:
        raise ValueError(f"the line has {len(parts)} words instead of three")
    name, since, secret = parts
    if _NAME.fullmatch(name) is None:
        raise ValueError("the key's name is not made of lower-case letters, digits and hyphens (at most 20)")
    try:
        raw = base64.b64decode(secret, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("the secret is not base64") from None
    if len(raw) < LEAST_BYTES:
        raise ValueError(f"the secret has {len(raw)} bytes; it needs {LEAST_BYTES}")
    key = PlateKey(name, parse_instant(since), check_value(raw))
    if name in (other.id for other in before):
        raise ValueError(f"the name {name} is already taken")
    if before and key.since <= before[-1].since:
        raise ValueError("the keys are not in the order in which they came into force")
    return key, raw


def add_key(path: Path, since: int) -> str:
    """Add a new random key in force from ``since`` (ns) to a key file, made if there is none; return the key's name.

    The file knows whole seconds: the key is in force from the beginning of that second on. The name holds digits of the
    check value: no other key, not even one that was lost, is called so, and the two can stand in one file. Raises
    ``ConfigError`` when the file is there and wrong, or a key of it comes into force at or after that.
    """
    content, known = read_secret(path) if path.exists() else "", _known(path)
    since -= since % SECOND
    if known and since <= known[-1].since:
        fault = f"the key {known[-1].id} comes into force at {format_instant(known[-1].since)}, not before the new one"
        raise ConfigError([Problem(str(path), len(known), 1, fault, "choose a later instant")])
    secret = randomness.token_bytes(LEAST_BYTES)
    name = f"k{len(known) + 1}-{check_value(secret)[:_DIGITS]}"
    line = f"{name} {format_instant(since)} {base64.b64encode(secret).decode()}"
    write_whole(path, "".join(f"{one}\n" for one in (*content.splitlines(), line)).encode(), PRIVATE)
    return name


def _known(path: Path) -> tuple[PlateKey, ...]:
    """The keys that another would follow: none where there is no file, or remarks say what was lost."""
    if not path.exists():
        return ()
    content = read_secret(path)
    return (_load(path, content) if content.startswith(_REMARK) else load_keys(path)).keys


def note_loss(path: Path, keys: tuple[PlateKey, ...]) -> str:
    """Write down which keys are missing, in the place of the file that held them; returns what to do about it.

    A key that is made instead would be told from the lost ones by nobody, and vehicles would be others without a word.
    Raises ``OSError``.
    """
    lost = (" ".join((_REMARK, key.id, format_instant(key.since), key.check)) for key in keys)
    write_whole(path, (_GONE + "".join(f"{line}\n" for line in lost)).encode(), PRIVATE)
    return f"{path.name} is gone: {_RESTORE}"


def check_rotation(path: Path, since: int, now: int, overlap: int) -> None:
    """Refuse, at ``now``, a further key in force from ``since`` that would make strangers of vehicles (all ns).

    For ``overlap`` after a change the former key's pseudonyms are recognised beside the new one's, and no others are.
    Raises ``ConfigError``. A first key may be in force since any time: there is no other that it could replace.
    """
    known = _known(path)
    if not known:
        return
    fault = hint = ""
    until = known[-1].since + overlap
    if since < now:
        fault = f"{format_instant(since)} is past: the vehicles that came since are known by the key {known[-1].id}"
        hint = "leave --since out, or choose an instant to come"
    elif len(known) > 1 and since < until:
        fault = (
            f"until {format_instant(until)} vehicles are recognised by the key {known[-2].id}, too, and a further key "
            "would end that: only one former key is recognised"
        )
        hint = (
            f"choose --since {format_instant(until)} or later; a shorter tracking.overlap in vehicles.yaml, with "
            "--config, ends it sooner"
        )
    if fault:
        raise ConfigError([Problem(str(path), len(known), 1, fault, hint)])
