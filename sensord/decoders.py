"""Makes decoders of JSON and MessagePack: the one place that does, because two threads may not do it at once.

msgspec works out how a type is decoded when a decoder of it is first made, and shows the type to other threads while
this is half done, since types may contain themselves. A thread that decodes such a type then ends the whole process
(a segmentation fault, no exception). So types are worked out one at a time here, and only whole ones are decoded.
"""

from __future__ import annotations

from threading import RLock
from typing import Any, TypeVar, overload

import msgspec

T = TypeVar("T")
_AT_ONCE = RLock()
"""One that its thread may take again: to work a type out can run the code of that type's module."""


@overload
def json_decoder(kind: type[T]) -> msgspec.json.Decoder[T]: ...
@overload
def json_decoder(kind: object) -> msgspec.json.Decoder[Any]: ...
def json_decoder(kind: object) -> msgspec.json.Decoder[Any]:
    """Make a decoder of JSON texts that hold a ``kind``; its methods may be called from any thread."""
    with _AT_ONCE:
        return msgspec.json.Decoder(kind)


@overload
def msgpack_decoder(kind: type[T]) -> msgspec.msgpack.Decoder[T]: ...
@overload
def msgpack_decoder(kind: object) -> msgspec.msgpack.Decoder[Any]: ...
def msgpack_decoder(kind: object) -> msgspec.msgpack.Decoder[Any]:
    """Make a decoder of MessagePack that holds a ``kind``; its methods may be called from any thread."""
    with _AT_ONCE:
        return msgspec.msgpack.Decoder(kind)


def convert(data: object, kind: type[T]) -> T:
    """Make a ``kind`` of what was decoded already; raises ``msgspec.ValidationError``."""
    with _AT_ONCE:
        return msgspec.convert(data, kind)
