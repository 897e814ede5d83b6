"""State as bytes: a magic, a version, a checksum, and a MessagePack body. The same state gives the same bytes.

Layout: ``b"SNSD"``, one version byte, CRC-32 of the body (big endian), the zlib-compressed body: a map of arrays
(dtype, shape, raw little-endian bytes), numbers and nested bytes.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from sensord.core.definition import Definition, decode_definition
from sensord.decoders import msgpack_decoder
from sensord.errors import SnapshotError

MAGIC = b"SNSD"
VERSION = 5


class PackedArray(msgspec.Struct, array_like=True, frozen=True):
    """An array, taken apart."""

    dtype: str
    shape: tuple[int, ...]
    data: bytes


class PackedRule(msgspec.Struct, array_like=True, frozen=True):
    """One rule's state.

    ``version``, ``judging``, ``gathering`` and ``subject`` are the rule's hashes (see ``rule.py``). The last axis of
    ``arrays`` goes along ``keys``, that of ``device_arrays`` along the registry; ``tables`` have a column ``key``.
    """

    version: str
    judging: str
    gathering: str
    subject: str
    keys: list[str]
    arrays: dict[str, PackedArray]
    device_arrays: dict[str, PackedArray]
    tables: dict[str, dict[str, PackedArray]]
    numbers: dict[str, int]


def pack(array: NDArray[Any]) -> PackedArray:
    """Take an array apart."""
    return PackedArray(array.dtype.str, array.shape, array.tobytes())


def unpack(packed: PackedArray) -> NDArray[Any]:
    """Put an array together again (read-only)."""
    return np.frombuffer(packed.data, packed.dtype).reshape(packed.shape)


def copy_columns(packed: PackedArray, array: NDArray[Any], sources: list[int], targets: list[int]) -> None:
    """Copy keys (the last axis) from what was packed: column ``sources[i]`` to column ``targets[i]``.

    Raises ``SnapshotError`` when the kind of number or the other axes differ.
    """
    if packed.dtype != array.dtype.str or packed.shape[:-1] != array.shape[:-1]:
        raise SnapshotError(f"an array of {packed.dtype}{packed.shape} does not fit {array.dtype.str}{array.shape}")
    array[..., targets] = unpack(packed)[..., sources]


def seal(body: Mapping[str, Any] | msgspec.Struct) -> bytes:
    """Encode a body and put the header before it."""
    data = zlib.compress(msgspec.msgpack.encode(body, order="deterministic"), 1)
    return MAGIC + bytes([VERSION]) + zlib.crc32(data).to_bytes(4, "big") + data


def unseal(state: bytes) -> bytes:
    """Check the header and return the MessagePack body; raises ``SnapshotError``."""
    if state[:4] != MAGIC or len(state) < 9:
        raise SnapshotError("these bytes are not a sensord snapshot")
    if state[4] != VERSION:
        raise SnapshotError(f"the snapshot has version {state[4]}, this program reads version {VERSION}")
    data = state[9:]
    if zlib.crc32(data).to_bytes(4, "big") != state[5:9]:
        raise SnapshotError("the snapshot is damaged (its checksum does not fit)")
    return zlib.decompress(data)


class _Head(msgspec.Struct, array_like=True):
    """What the snapshot of a site begins with."""

    definition: bytes


_HEAD = msgpack_decoder(_Head)


def definition_of(state: bytes) -> Definition:
    """The definition in force at a site's snapshot, without building a site; raises ``SnapshotError`` as that does."""
    try:
        return decode_definition(_HEAD.decode(unseal(state)).definition)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, zlib.error) as error:
        raise SnapshotError(f"the snapshot cannot be read: {error}") from error
