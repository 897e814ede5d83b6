"""Pieces of a self-contained HTML page; every text is escaped here, and nothing is fetched."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from sensord.words import language

_STYLE = """
:root{color-scheme:light}*{box-sizing:border-box}
body{margin:0;background:#f1f5f9;color:#0f172a;font:16px/1.6 "Noto Sans CJK SC","Noto Sans SC","Microsoft YaHei",
"PingFang SC",system-ui,sans-serif}
main{max-width:1080px;margin:0 auto;padding:24px 16px 64px}
h1{font-size:1.6rem;margin:.2em 0}h2{font-size:1.2rem;margin:0 0 .2em}
.lead{font-size:1.1rem}.muted{color:#64748b}
section{background:#fff;border-radius:12px;padding:18px 20px;margin:16px 0;box-shadow:0 1px 3px #0f172a1a}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px;margin:16px 0}
.tile{background:#fff;border-radius:12px;padding:12px 16px;box-shadow:0 1px 3px #0f172a1a}
.tile b{display:block;font-size:1.7rem;line-height:1.2}.tile span{color:#64748b;font-size:.9rem}
.scroll{overflow-x:auto;max-height:460px;overflow-y:auto}
table{border-collapse:collapse;width:100%;font-size:.92rem}
th,td{padding:6px 10px;text-align:left;border-bottom:1px solid #e2e8f0;white-space:nowrap}
th{position:sticky;top:0;background:#f8fafc}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}
pre{background:#0f172a;color:#e2e8f0;padding:12px;border-radius:8px;overflow:auto;font-size:.85rem}
.plus{color:#86efac}.minus{color:#fca5a5}
"""


def tiles(figures: Iterable[tuple[str, str]]) -> str:
    """A row of figures, each with a word below it."""
    inside = "".join(
        f"<div class=tile><b>{escape(big)}</b><span>{escape(small)}</span></div>" for big, small in figures
    )
    return f"<div class=tiles>{inside}</div>"


def section(title: str, sentence: str, *inside: str) -> str:
    """A part of the page; ``inside`` is markup."""
    lead = f"<p class=muted>{escape(sentence)}</p>" if sentence else ""
    return f"<section><h2>{escape(title)}</h2>{lead}{''.join(inside)}</section>"


def coloured(patch: str) -> str:
    """A unified diff with its lines coloured."""
    lines = []
    for line in patch.splitlines():
        kind = "plus" if line.startswith("+") else "minus" if line.startswith("-") else ""
        lines.append(f"<span class='{kind}'>{escape(line)}</span>")
    return "<pre>" + "\n".join(lines) + "</pre>"


def table(head: Iterable[str], rows: Iterable[Iterable[str]], numbers: int = 0) -> str:
    """A table; its last ``numbers`` columns are numbers."""
    titles = list(head)

    def cells(row: Iterable[str], tag: str) -> str:
        made = []
        for index, cell in enumerate(row):
            kind = " class=n" if index >= len(titles) - numbers else ""
            made.append(f"<{tag}{kind}>{escape(cell)}</{tag}>")
        return f"<tr>{''.join(made)}</tr>"

    body = "".join(cells(row, "td") for row in rows)
    return f"<div class=scroll><table><thead>{cells(titles, 'th')}</thead><tbody>{body}</tbody></table></div>"


def document(title: str, parts: Iterable[str], library: str) -> str:
    """The whole page; ``library`` is the code of the charts."""
    tongue = "zh-CN" if language() == "zh" else "en"
    return (
        f"<!doctype html><html lang={tongue}><head><meta charset=utf-8>"
        "<meta name=viewport content='width=device-width,initial-scale=1'>"
        f"<title>{escape(title)}</title><style>{_STYLE}</style><script>{library}</script></head>"
        f"<body><main>{''.join(parts)}</main></body></html>\n"
    )
