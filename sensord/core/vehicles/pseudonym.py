"""Pseudonyms: a vehicle without its plate. Keyed, so that nobody without the site's key can try all plates.

A pseudonym is the first 64 bits of HMAC-SHA256(site key, plate). Beside it, made in the same way, stand the *family*,
of the plate with every character replaced by the first of its confusion group, and the two *halves* of the plate: so
readings that differ where cameras confuse characters, or in any one character, are recognised without either plate.
The keys' names and dates are part of the definition, their secrets are not: they come from outside, and a check value
proves that they are the ones that are meant.

Rotation: the newest key in force makes the pseudonyms; for ``overlap`` after it came into force, the former key's are
made beside them, so that vehicles inside, visits and lists live on under the new ones.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import NamedTuple

from sensord.core.vehicles.tracking import PlateKey, stretch
from sensord.errors import PlateKeyError

Secrets = Mapping[str, bytes]
"""Site keys by name."""

LEAST_BYTES = 32
_GROUPS = ("0ODQ", "1ILT7", "2Z", "5S", "8B", "6G", "UVY", "MNW", "KX")
"""Characters that cameras confuse with each other; each group is called by its first."""
COLLAPSED = str.maketrans({other: group[0] for group in _GROUPS for other in group[1:]})


MADE_UP_SECRET = b"for plates that mean no vehicle "
MADE_UP = "made-up"
"""A key that everybody knows, for plates that are made up: rule tests, anonymised recordings."""


class Identity(NamedTuple):
    """Signed 64-bit numbers: a vehicle's pseudonym, the former key's (0: none), its family, and its two halves."""

    token: int
    former: int
    family: int
    head: int
    tail: int


NOBODY = Identity(0, 0, 0, 0, 0)


def check_value(secret: bytes) -> str:
    """Return what a definition says of a secret: 16 hexadecimal digits that do not give it away."""
    return hmac.digest(secret, b"check", "sha256")[:8].hex()


MADE_UP_KEYS = (PlateKey(MADE_UP, 0, check_value(MADE_UP_SECRET)),)
"""What a definition says when its plates are made up; no secret has to be given for it."""


class Pseudonymiser:
    """Makes pseudonyms under the keys of a definition.

    Raises ``PlateKeyError`` when a secret is missing or is another one than the definition was made with.
    """

    def __init__(self, keys: tuple[PlateKey, ...], overlap: int, secrets: Secrets) -> None:
        secrets = {MADE_UP: MADE_UP_SECRET, **secrets}
        for key in keys:
            secret = secrets.get(key.id)
            if secret is None:
                raise PlateKeyError(f"the site key {key.id} is missing: name the file that holds it (plates.key_file)")
            if check_value(secret) != key.check:
                raise PlateKeyError(f"the site key {key.id} is not the one that the journal was written with")
        self._keys = sorted(keys, key=lambda key: key.since)
        self._secrets, self._overlap = secrets, overlap
        self._from = self._until = 0
        self._current, self._former = b"", b""

    def identify(self, plate: str, at: int) -> Identity:
        """Return who this is at the instant ``at`` (ns). ``plate`` is in its one form and legible."""
        if not self._from <= at < self._until:
            self._turn(at)
        text = plate.encode()
        former = _number(self._former, b"plate", text) if self._former else 0
        family = _number(self._current, b"family", plate.translate(COLLAPSED).encode())
        halves = (
            _number(self._current, b"head", plate[:4].encode()),
            _number(self._current, b"tail", plate[4:].encode()),
        )
        return Identity(_number(self._current, b"plate", text), former, family, *halves)

    def every(self, plate: str) -> set[int]:
        """The pseudonyms of a plate under all keys, whenever in force."""
        text = plate.encode()
        return {_number(self._secrets[key.id], b"plate", text) for key in self._keys}

    def _turn(self, at: int) -> None:
        """Find the keys in force at ``at``, and until when they are; before the first key's date the first serves."""
        past = [key for key in self._keys if key.since <= at] or self._keys[:1]
        fading = len(past) > 1 and at < past[-1].since + self._overlap
        self._current = self._secrets[past[-1].id]
        self._former = self._secrets[past[-2].id] if fading else b""
        self._from, self._until = stretch(self.edges(), at)

    def edges(self) -> list[int]:
        """The instants (ns) at which the same plate gets other pseudonyms."""
        return [edge for key in self._keys for edge in (key.since, key.since + self._overlap)]


def _number(secret: bytes, purpose: bytes, text: bytes) -> int:
    made = hmac.digest(secret, purpose + b"\0" + text, "sha256")[:8]
    return int.from_bytes(made, "big", signed=True) or 1
