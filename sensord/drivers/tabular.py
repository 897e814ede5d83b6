"""Prints a document of tables as text, Markdown or one HTML page, and a table as CSV. Every cell is escaped for it."""

from __future__ import annotations

import csv
import html
import io
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from itertools import zip_longest

import msgspec

from sensord.core.cases.listing import Table

_STYLE = """
:root{color-scheme:light dark;--line:#8884;--soft:#8881;--head:color-mix(in srgb,Canvas 94%,CanvasText)}
body{font:15px/1.6 'PingFang SC','Microsoft YaHei','Noto Sans CJK SC',system-ui,sans-serif;margin:2rem auto;
max-width:84rem;padding:0 1rem}
h1{font-size:1.5rem}h2{font-size:1.15rem;margin:2rem 0 .5rem}
.lead{border-left:.25rem solid #0a5fc4;background:var(--soft);padding:.6rem 1rem;margin:1rem 0}
.lead p{margin:.2rem 0}nav{columns:17rem;font-size:.9rem}nav a{display:block}.wide{overflow-x:auto}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{border-bottom:1px solid var(--line);padding:.3rem .6rem;text-align:left;vertical-align:top;white-space:nowrap}
th{background:var(--head);white-space:normal;word-break:keep-all}.number{text-align:right}td.long{white-space:normal;min-width:20rem}
th:first-child,td:first-child{position:sticky;left:0}td:first-child{background:Canvas}
tr:hover td{background:var(--soft)}.none,.note{opacity:.7}
@media(max-width:40rem){body{margin:1rem auto}th,td{padding:.3rem .45rem;font-size:.85rem}
td:first-child{white-space:normal;min-width:5.5em}}
@media print{nav{display:none}@page{size:A4 landscape;margin:12mm}body{margin:0;max-width:none;font-size:9pt}
th,td{padding:1mm 1.6mm}.wide{overflow:visible}h2{break-after:avoid}tr{break-inside:avoid}}
"""
_NUMBER = re.compile(r"[-−+]?[0-9][0-9.,:%± /()?+-]*|-")
_BELOW_ZERO = re.compile(r"-[0-9]+(\.[0-9]+)?")
"""A number that begins like a formula, as we write them: ``float`` would take ``-inf`` and ``-1_000``, too."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_MARKDOWN = str.maketrans({"\\": "\\\\", "|": "\\|", "[": "\\[", "]": "\\]", "<": "&lt;", "\n": " ", "\r": " "})
_PART = re.compile(r"[^,、]*[,、]* ?")
_NOTHING = "-"
_LONG = 40
_MANY = 6
"""From so many tables on a page says where to find each."""
_MARK = "\ufeff"
_WIDEST = 76
"""A list in a text is not wider."""
_COLUMNS = {"W": 2, "F": 2}
_NONE = {"zh": "无", "en": "none"}
_CODES = {"zh": "zh-CN", "en": "en"}


class Document(msgspec.Struct, frozen=True):
    """A title, a few lines that say the most important, tables, and remarks on how to read them."""

    title: str
    language: str
    tables: Sequence[Table]
    lead: Sequence[str] = ()
    notes: Sequence[str] = ()


def render(document: Document, form: str) -> str:
    """Return the document in one of ``FORMS``."""
    return FORMS[form](document)


def _text(document: Document) -> str:
    """For terminals and chats: columns lie below each other where Chinese characters are two columns wide."""
    parts = [document.title]
    if document.lead:
        parts.append("\n".join(document.lead))
    for table in document.tables:
        body = _aligned(table) if table.rows else [_NONE[document.language]]
        parts.append("\n".join([f"{table.title}", *body]))
    return "\n\n".join([*parts, *document.notes]) + "\n"


def _aligned(table: Table) -> list[str]:
    """Lay the columns out: numbers to the right, words to the left."""
    rows = [line for row in (table.columns, *table.rows) for line in _folded(row)]
    widths = [max(map(_width, column)) for column in zip(*rows, strict=True)]
    numeric = _numeric(table)
    lines = ["  ".join(_padded(*part) for part in zip(row, widths, numeric, strict=True)).rstrip() for row in rows]
    return [lines[0], "-" * max(map(_width, lines)), *lines[1:]]


def _folded(row: Sequence[str]) -> Iterable[tuple[str, ...]]:
    """The lines of a row: a long list in a cell goes on below itself."""
    return zip_longest(*(_lines(cell.replace("\n", " ")) for cell in row), fillvalue="")


def _lines(cell: str) -> list[str]:
    """A cell in lines of ``_WIDEST`` columns; broken behind commas only."""
    if _width(cell) <= _WIDEST:
        return [cell]
    lines = [""]
    for part in _PART.findall(cell):
        if lines[-1] and _width(lines[-1] + part) > _WIDEST:
            lines.append("")
        lines[-1] += part
    return lines


def _padded(cell: str, width: int, numeric: bool) -> str:
    space = " " * (width - _width(cell))
    return space + cell if numeric else cell + space


def _width(text: str) -> int:
    """How many columns of a terminal a text takes (Unicode Standard Annex 11: wide and full-width characters, two)."""
    return sum(_COLUMNS.get(unicodedata.east_asian_width(one), 1) for one in text if not unicodedata.combining(one))


def _markdown(document: Document) -> str:
    parts = [f"# {_plain(document.title)}"]
    if document.lead:
        parts.append("\n".join(f"- {_plain(line)}" for line in document.lead))
    for table in document.tables:
        body = [_row(table.columns), _row(["---"] * len(table.columns)), *(_row(row) for row in table.rows)]
        whole = body if table.rows else [_NONE[document.language]]
        parts.append("\n".join([f"## {_plain(table.title)}", "", *whole]))
    return "\n\n".join([*parts, *map(_plain, document.notes)]) + "\n"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(map(_plain, cells)) + " |"


def _plain(text: str) -> str:
    """A text in Markdown that is nothing but text: no HTML, no link or picture, no cell's or line's end."""
    return text.translate(_MARKDOWN)


def _html(document: Document) -> str:
    title, escape = html.escape(document.title), html.escape
    body = [f"<h1>{title}</h1>"]
    if document.lead:
        body.append('<div class="lead">' + "".join(f"<p>{escape(line)}</p>" for line in document.lead) + "</div>")
    body += _contents(document.tables)
    body += [
        f'<h2 id="t{number}">{escape(table.title)}</h2>\n{_table(table, document.language)}'
        for number, table in enumerate(document.tables)
    ]
    body += [f'<p class="note">{escape(note)}</p>' for note in document.notes]
    head = f'<meta charset="utf-8">\n<meta name="viewport" content="width=device-width">\n<title>{title}</title>'
    whole = "\n".join(body)
    return (
        f'<!doctype html>\n<html lang="{_CODES[document.language]}">\n<head>{head}\n<style>{_STYLE}</style></head>\n'
        f"<body>\n{whole}\n</body>\n</html>\n"
    )


def _contents(tables: Sequence[Table]) -> list[str]:
    """Where to find each table, when there are many."""
    if len(tables) < _MANY:
        return []
    links = (f'<a href="#t{number}">{html.escape(table.title)}</a>' for number, table in enumerate(tables))
    return [f"<nav>{' '.join(links)}</nav>"]


def _table(table: Table, language: str) -> str:
    if not table.rows:
        return f'<p class="none">{_NONE[language]}</p>'
    numeric = _numeric(table)
    head = "".join(
        f'<th class="number">{html.escape(cell)}</th>' if number else f"<th>{html.escape(cell)}</th>"
        for cell, number in zip(table.columns, numeric, strict=True)
    )
    rows = "".join("<tr>" + "".join(map(_cell, row, numeric)) + "</tr>\n" for row in table.rows)
    # Printed, the head is on every page.
    return f'<div class="wide"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}</tbody></table></div>'


def _numeric(table: Table) -> list[bool]:
    """Which columns hold numbers only: their heads stand where the numbers do."""
    return [all(_NUMBER.fullmatch(cell) for cell in column if cell) for column in zip(*table.rows, strict=True)]


def _cell(cell: str, numeric: bool) -> str:
    """Numbers stand to the right, also among words; that there is none stands where its column does."""
    number = numeric or (_NUMBER.fullmatch(cell) and cell != _NOTHING)
    look = "number" if number else "long" if len(cell) > _LONG else ""
    kind = f' class="{look}"' if look else ""
    return f"<td{kind}>{html.escape(cell)}</td>"


def csv_of(table: Table, language: str) -> str:
    """One table as CSV; a cell never begins a formula. A mark before Chinese tells spreadsheets that it is UTF-8."""
    out = io.StringIO(newline="")
    out.write(_MARK if language == "zh" else "")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(table.columns)
    writer.writerows([_harmless(cell) for cell in row] for row in table.rows)
    return out.getvalue()


def _harmless(cell: str) -> str:
    """A spreadsheet runs what begins like a formula; an apostrophe before it makes it a text, which no number is.

    Spaces and full-width signs do not hide a formula from all of them, and a control character may begin a row.
    """
    cell = _CONTROL.sub(" ", cell)
    seen = unicodedata.normalize("NFKC", cell).strip()
    harmless = len(seen) < 2 or seen[0] not in "=+-@" or _BELOW_ZERO.fullmatch(cell)
    return cell if harmless else f"'{cell}"


FORMS: dict[str, Callable[[Document], str]] = {"txt": _text, "md": _markdown, "html": _html}
"""The forms of a document, by the word that asks for them."""
