"""Pseudonyms: a vehicle without its plate. Keyed, so that nobody without the site's key can try all plates.

A pseudonym is the first 64 bits of HMAC-SHA256(site key, plate). Beside it, made in the same way, stand the *family*,
of the plate with every character replaced by the first of its confusion group, and its *neighbourhood*, keyed hashes
of 16 bits of the plate without each of its characters: so readings that differ where cameras confuse characters, or in
any one character, are recognised without either plate.
The keys' names and dates are part of the definition, their secrets are not: they come from outside, and a check value
proves that they are the ones that are meant.

Rotation: the newest key in force makes the pseudonyms; for ``overlap`` after it came into force, the former key's are
made beside them, so that vehicles inside, visits and lists live on under the new ones.
"""

from __future__ import annotations

import hashlib
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
    """Signed 64-bit numbers: a vehicle's pseudonym, the former key's (0: none), its family, and its neighbourhood.

    ``early`` holds the hashes of the plate without each of its first four characters, ``late`` those without the
    others; one that has seven characters only ends with the hash of the whole. See ``neighbours``.
    """

    token: int
    former: int
    family: int
    early: int
    late: int


NOBODY = Identity(0, 0, 0, 0, 0)
_LONGEST = 8
"""A plate has seven characters, or eight."""
_ONES, _TOPS, _LANE = 0x0001_0001_0001_0001, 0x8000_8000_8000_8000, 0xFFFF
_WORD = (1 << 64) - 1


def neighbours(early: int, late: int, other_early: int, other_late: int) -> bool:
    """Whether two plates differ in one character, or by one that is missing at one of them.

    Told from their neighbourhoods alone: plates that differ in one character are the same without it. Of pairs that
    have nothing in common fewer than one in two thousand are taken for neighbours by chance.
    """
    if _meet(early, other_early) or _meet(late, other_late):
        return True
    ours, theirs = (late & _LANE) * _ONES, (other_late & _LANE) * _ONES
    return any(_meet(ours, one) for one in (other_early, other_late)) or any(
        _meet(theirs, one) for one in (early, late)
    )


def _meet(one: int, other: int) -> bool:
    """Whether two words of four hashes have one in common at the same place."""
    differ = (one ^ other) & _WORD
    return bool((differ - _ONES) & ~differ & _TOPS)


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
        self._current, self._former, self._near = b"", b"", b""

    def identify(self, plate: str, at: int) -> Identity:
        """Return who this is at the instant ``at`` (ns). ``plate`` is in its one form and legible."""
        if not self._from <= at < self._until:
            self._turn(at)
        text = plate.encode()
        former = _number(self._former, b"plate", text) if self._former else 0
        family = _number(self._current, b"family", plate.translate(COLLAPSED).encode())
        return Identity(_number(self._current, b"plate", text), former, family, *self._neighbourhood(plate))

    def locate(self, text: str, at: int) -> Identity:
        """Return the neighbourhood at the instant ``at`` (ns) of a text that is no plate; it has no pseudonym."""
        if not self._from <= at < self._until:
            self._turn(at)
        return Identity(0, 0, 0, *self._neighbourhood(text))

    def _neighbourhood(self, plate: str) -> tuple[int, int]:
        """The hashes of a plate without each of its characters; a short one's are filled up with that of the whole."""
        without = [plate[:place] + plate[place + 1 :] for place in range(_LONGEST)]
        # Keyed BLAKE2 is as strong as HMAC and, for a few bytes, four times as fast: there are eight of them.
        lanes = (hashlib.blake2b(text.encode(), digest_size=2, key=self._near).digest() for text in without)
        hashes = b"".join(lanes)
        return int.from_bytes(hashes[:8], "big", signed=True), int.from_bytes(hashes[8:], "big", signed=True)

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
        self._near = hmac.digest(self._current, b"neighbourhood", "sha256")
        self._from, self._until = stretch(self.edges(), at)

    def edges(self) -> list[int]:
        """The instants (ns) at which the same plate gets other pseudonyms."""
        return [edge for key in self._keys for edge in (key.since, key.since + self._overlap)]


def _number(secret: bytes, purpose: bytes, text: bytes) -> int:
    made = hmac.digest(secret, purpose + b"\0" + text, "sha256")[:8]
    return int.from_bytes(made, "big", signed=True) or 1
