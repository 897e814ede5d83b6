"""Bringing a file of an earlier version to the tables of this one, in one transaction: all of it or nothing.

A table whose text differs is built anew and takes over the columns that both have; a new column takes its default, or
what the schema's ``carry`` says. So the tables end up word for word the schema's, which is how damage is told from
age. What is dropped from the schema is dropped from the file. Then the statements of ``convert`` rewrite what rows
hold, version by version.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import NamedTuple

_ASIDE = "before_migration"


class _Shape(NamedTuple):
    """What a file holds: tables and indexes, each with the text that made it."""

    tables: dict[str, str]
    indexes: dict[str, str]


def migrate(
    connection: sqlite3.Connection,
    statements: Sequence[str],
    carry: Mapping[str, Mapping[str, str]],
    convert: Mapping[int, Sequence[str]],
    version: int,
) -> None:
    """Make the file hold what ``statements`` make, and say ``version``; raises ``sqlite3.Error``, changing nothing.

    ``carry`` gives, per table and column, the expression over the old row that fills a column of the new one;
    ``convert`` the statements to run, by the first version whose rows they make.
    """
    wanted = _wanted(statements)
    (before,) = connection.execute("PRAGMA user_version").fetchone()
    connection.execute("BEGIN IMMEDIATE")
    try:
        found = _shape(connection)
        for name in found.indexes:
            connection.execute(f"DROP INDEX {name}")
        for name, text in wanted.tables.items():
            if found.tables.get(name) != text:
                _rebuild(connection, name, text, carry.get(name, {}), exists=name in found.tables)
        for name in found.tables.keys() - wanted.tables.keys():
            connection.execute(f"DROP TABLE {name}")
        for text in wanted.indexes.values():
            connection.execute(text)
        for made in sorted(number for number in convert if number > before):
            for statement in convert[made]:
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version={version}")
        connection.execute("COMMIT")
    except sqlite3.Error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _rebuild(connection: sqlite3.Connection, name: str, text: str, carry: Mapping[str, str], *, exists: bool) -> None:
    if not exists:
        connection.execute(text)
        return
    connection.execute(f"ALTER TABLE {name} RENAME TO {_ASIDE}")
    connection.execute(text)
    old, new = _columns(connection, _ASIDE), _columns(connection, name)
    taken = {column: carry.get(column, f'"{column}"') for column in new if column in carry or column in old}
    columns = ", ".join(f'"{column}"' for column in taken)
    connection.execute(f"INSERT INTO {name} ({columns}) SELECT {', '.join(taken.values())} FROM {_ASIDE}")
    connection.execute(f"DROP TABLE {_ASIDE}")


def _columns(connection: sqlite3.Connection, table: str) -> list[str]:
    return [str(row[1]) for row in connection.execute(f"PRAGMA table_info({table})")]


def _wanted(statements: Sequence[str]) -> _Shape:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as blank:
        for statement in statements:
            blank.execute(statement)
        return _shape(blank)


def _shape(connection: sqlite3.Connection) -> _Shape:
    rows = connection.execute("SELECT type, name, sql FROM sqlite_master WHERE sql NOT NULL").fetchall()
    kinds = {kind: {name: text for what, name, text in rows if what == kind} for kind in ("table", "index")}
    return _Shape(kinds["table"], kinds["index"])
