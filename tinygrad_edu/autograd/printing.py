"""Text for the standard output, in characters that it can show."""

from __future__ import annotations

import sys

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
