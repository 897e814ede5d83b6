"""A saved state whose version is ours and whose form is not: as a program leaves it that had not raised the version."""

from __future__ import annotations

import zlib
from typing import Any

import msgspec

from sensord.core.snapshot import MAGIC, VERSION, unseal


def of_another_form(state: bytes) -> bytes:
    """A site's state, with other names for what each of its rules keeps."""
    body = msgspec.msgpack.decode(unseal(state))
    engine = msgspec.msgpack.decode(unseal(body[1]))
    for rule in engine[2].values():
        rule[5] = {f"{name}, otherwise": array for name, array in rule[5].items()}
    body[1] = _sealed(engine)
    return _sealed(body)


def _sealed(body: Any) -> bytes:
    packed = zlib.compress(msgspec.msgpack.encode(body), 1)
    return MAGIC + bytes([VERSION]) + zlib.crc32(packed).to_bytes(4, "big") + packed
