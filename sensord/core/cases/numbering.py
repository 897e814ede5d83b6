"""What cases are called: ids that are the same in every run, and the sixteen digits of the city's case flow."""

from __future__ import annotations

from collections.abc import Container

from sensord.core.cases.policy import Category

_CODES = 99_999


def unused(name: str, taken: Container[str]) -> str:
    """Return the name, with a number behind it where it is taken."""
    nth = 1
    while (unique := name if nth == 1 else f"{name}-{nth}") in taken:
        nth += 1
    return unique


def next_code(codes: dict[str, int], district: str, category: Category, year: int) -> str:
    """The next code: district 6, major 2, minor 3, and a sequence 5 (from ``codes``) that begins anew each year."""
    stem = f"{district}{category.major}{category.minor}"
    counted = f"{year}:{stem}"
    codes[counted] = codes.get(counted, 0) % _CODES + 1
    return f"{stem}{codes[counted]:05}"
