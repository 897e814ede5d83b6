"""What becomes of small files: a power cut empties or cuts them, or leaves zeros; a bad disk turns bits over."""

from __future__ import annotations

from collections.abc import Callable

Damage = Callable[[bytes], bytes]


def emptied(_content: bytes) -> bytes:
    """Nothing is left: the name was durable, the content was not."""
    return b""


def zeros(content: bytes) -> bytes:
    """As long as it was, and nothing but NUL."""
    return bytes(len(content))


def flipped(content: bytes) -> bytes:
    """Every third byte turned over."""
    return bytes(byte ^ 0xFF if place % 3 == 0 else byte for place, byte in enumerate(content))


def halved(content: bytes) -> bytes:
    """Cut in half."""
    return content[: len(content) // 2]


DAMAGES: tuple[Damage, ...] = (emptied, zeros, flipped, halved)
