"""Nothing that is stored changes its shape by accident: whoever reads it later must be able to tell."""

from __future__ import annotations

import difflib

import msgspec
import pytest

from tests.store.shapes import FILE, STORED, Stored

BY_NAME = {one.name: one for one in STORED}


def recorded() -> dict[str, str]:
    """The shapes that are written down, by their headings."""
    whole = FILE.read_text(encoding="utf-8")
    parts = [part for part in whole.split("\n\n") if part]
    return {part.partition("\n")[0]: part.rstrip("\n") + "\n" for part in parts}


def advice(stored: Stored, known: dict[str, str]) -> str:
    """What to do about a shape that is not the one written down; empty when it is."""
    now, was = stored.text(), known.get(stored.heading)
    if was == now:
        return ""
    again = "then write it down with `python -m tests.store.shapes`, and commit shapes.txt"
    if was is None:
        return (
            f"{stored.name}: version {stored.version} is not written down. Let tests/store/test_upgrade.py open "
            f"data of the version before; {again}."
        )
    change = "".join(difflib.unified_diff(was.splitlines(True), now.splitlines(True), "written down", "now", n=1))
    return (
        f"{stored.name}: the shape of what is stored has changed, and its version ({stored.version}) has not.\n{change}"
        f"Raise the version ({stored.where}) and convert, or refuse, what older ones left; {again}. Only when old data "
        f"reads the same, and an older program can still read new data (a field with a default, at the end), may the "
        f"version stay."
    )


@pytest.mark.parametrize("name", BY_NAME)
def test_a_stored_shape_is_the_one_that_its_version_promises(name: str) -> None:
    """Fields, their order, types and defaults, words, and tables are what is written down in shapes.txt."""
    found = advice(BY_NAME[name], recorded())
    assert not found, found


def test_nothing_is_written_down_that_is_not_stored() -> None:
    """Each shape belongs to something."""
    assert set(recorded()) == {one.heading for one in STORED}


class _Before(msgspec.Struct):
    number: int
    said: list[str] = []


class _After(msgspec.Struct):
    number: int
    said: list[str] = []
    by: str = ""


def test_a_changed_shape_says_what_to_do() -> None:
    """With the version raised, and without."""
    before = Stored("minutes", 1, "VERSION in minutes.py", (_Before,))
    known = {before.heading: before.text()}
    assert advice(before, known) == ""
    said = advice(Stored("minutes", 1, "VERSION in minutes.py", (_After,)), known)
    assert "+  by: str = ''" in said
    assert "Raise the version (VERSION in minutes.py)" in said
    assert "python -m tests.store.shapes" in advice(Stored("minutes", 2, "", (_After,)), known)
