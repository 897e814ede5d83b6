"""Prints tables as Markdown, as one HTML page, or as CSV. Every cell is escaped for where it goes."""

from __future__ import annotations

import csv
import html
import io
from collections.abc import Sequence

from sensord.core.cases.listing import Table

FORMS = ("md", "html", "csv")
_STYLE = (
    "body{font:14px/1.5 'PingFang SC','Microsoft YaHei',sans-serif;margin:2em;color:#222}"
    "table{border-collapse:collapse;margin:0 0 2em}th,td{border:1px solid #bbb;padding:.25em .6em;text-align:left}"
    "th{background:#eef}h2{margin:1.2em 0 .4em}"
)


def render(title: str, tables: Sequence[Table], form: str) -> str:
    """Return the document; ``form`` is one of ``FORMS``."""
    return _csv(tables) if form == "csv" else {"md": _markdown, "html": _html}[form](title, tables)


def _markdown(title: str, tables: Sequence[Table]) -> str:
    parts = [f"# {title}"]
    for table in tables:
        lines = [f"## {table.title}", "", _row(table.columns), _row(["---"] * len(table.columns))]
        parts.append("\n".join([*lines, *(_row(row) for row in table.rows)]))
    return "\n\n".join(parts) + "\n"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def _html(title: str, tables: Sequence[Table]) -> str:
    body = [f"<h1>{html.escape(title)}</h1>"]
    for table in tables:
        head = "".join(f"<th>{html.escape(cell)}</th>" for cell in table.columns)
        rows = "".join(
            "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>\n" for row in table.rows
        )
        body.append(f"<h2>{html.escape(table.title)}</h2>\n<table><tr>{head}</tr>\n{rows}</table>")
    return (
        f'<!doctype html>\n<meta charset="utf-8">\n<title>{html.escape(title)}</title>\n<style>{_STYLE}</style>\n'
        + "\n".join(body)
        + "\n"
    )


def _csv(tables: Sequence[Table]) -> str:
    """The tables below each other, each with its title before it; a cell never begins a formula."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    for number, table in enumerate(tables):
        if number:
            writer.writerow(())
        if len(tables) > 1:
            writer.writerow((table.title,))
        writer.writerow(table.columns)
        writer.writerows([_harmless(cell) for cell in row] for row in table.rows)
    return out.getvalue()


def _harmless(cell: str) -> str:
    """A spreadsheet runs what begins like a formula; a leading apostrophe keeps it a text."""
    return f"'{cell}" if cell[:1] in ("=", "+", "-", "@") and len(cell) > 1 else cell
