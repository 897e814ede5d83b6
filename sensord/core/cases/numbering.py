"""What cases are called: ids that are the same in every run, and the sixteen digits of the city's case flow."""

from __future__ import annotations

from collections.abc import Container, Mapping

from sensord.core.cases.policy import Category

FILED = "filed"
"""The counter of all that was filed."""
_DIGITS = 5
_CODES = 10**_DIGITS - 1


def unused(name: str, *taken: Container[str]) -> str:
    """Return the name, with a number behind it where it is taken."""
    nth = 1
    while any((unique := name if nth == 1 else f"{name}-{nth}") in names for names in taken):
        nth += 1
    return unique


def next_code(codes: dict[str, int], district: str, category: Category, year: int) -> str:
    """The next code: district 6, major 2, minor 3, and a sequence 5 (from ``codes``) that begins anew each year."""
    stem = f"{district}{category.major}{category.minor}"
    counted = f"{year}:{stem}"
    codes[counted] = codes.get(counted, 0) % _CODES + 1
    return f"{stem}{codes[counted]:0{_DIGITS}}"


def counters_of(code: str, filed: int, year: int) -> dict[str, int]:
    """What ``codes`` held when a case got this code in that year, as the ``filed``-th of the site (0: not filed)."""
    counters = {FILED: filed} if filed else {}
    return counters | ({f"{year}:{code[:-_DIGITS]}": int(code[-_DIGITS:])} if code else {})


def count_on(counters: dict[str, int], others: Mapping[str, int]) -> None:
    """Let no counter be behind the other one of its name."""
    counters.update({name: max(count, counters.get(name, 0)) for name, count in others.items()})
