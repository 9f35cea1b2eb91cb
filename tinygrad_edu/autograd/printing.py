"""Text for the standard output, in characters that it can show."""

from __future__ import annotations

import sys
from collections.abc import Sequence

_PLAIN = {"→": "->", "─": "-", "‖": "||", "−": "-", "–": "-", "…": "...", "×": "x", "∂": "d"}


def printable(text: str) -> str:
    """The text, or where the standard output is in ASCII, say, the same in characters that it has."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"

    def shown(character: str) -> str:
        try:
            character.encode(encoding)
        except UnicodeEncodeError:
            return _PLAIN.get(character, "?")
        return character

    return text if text.isascii() else "".join(map(shown, text))


class Table(str):
    """Rows in columns, as text to print; a notebook shows them as a table."""

    rows: Sequence[Sequence[str]]  # the first is the head
    notes: Sequence[str]  # lines below them

    def __new__(cls, text: str, rows: Sequence[Sequence[str]], notes: Sequence[str] = ()) -> Table:
        table = super().__new__(cls, text)
        table.rows, table.notes = rows, notes
        return table

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        from html import escape

        def line(cells: Sequence[str], tag: str) -> str:
            style = 'style="text-align: left; white-space: pre"'
            return f"<tr>{''.join(f'<{tag} {style}>{escape(cell)}</{tag}>' for cell in cells)}</tr>"

        head, *body = self.rows
        below = "".join(f"<p>{escape(note)}</p>" for note in self.notes)
        inner = "".join(line(row, "td") for row in body)
        return f"<table><thead>{line(head, 'th')}</thead><tbody>{inner}</tbody></table>{below}"
