"""Pseudonyms as columns hold them (whole numbers of 64 bits), and as people and lists see them."""

from __future__ import annotations


def word(token: int) -> str:
    """Write a pseudonym as people and lists see it: 16 hexadecimal digits."""
    return f"{token & 0xFFFF_FFFF_FFFF_FFFF:016x}"


def number(text: str) -> int:
    """Read a pseudonym as :func:`word` writes it; raises ``ValueError``."""
    value = int(text, 16)
    return value - (1 << 64) if value >= 1 << 63 else value
