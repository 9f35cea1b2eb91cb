"""One self-contained page: a template of the folder `pages`, with its styles, its scripts and its data inside.

The page loads nothing: its policy forbids the browser every request, and every script except the one that it was
written with.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Sequence
from importlib.resources import files
from string import Template
from typing import Any


def document(template: str, title: str, data: Any, *, styles: Sequence[str], scripts: Sequence[str]) -> bytes:
    """The page as bytes of HTML. `data` is what JSON can hold; the scripts find it under the id "data"."""
    style, script = "\n".join(map(_part, styles)), "\n".join(map(_part, scripts))
    # In JSON, < occurs only in strings, where it may be written as an escape: so no value can end the element.
    content = json.dumps(data, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    page = Template(_part(template)).substitute(
        policy="default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; "
        f"script-src {_digest(script)}; style-src {_digest(style)}",
        title=html.escape(title),
        style=style,
        script=script,
        data=content,
    )
    return page.encode("utf-8", "replace")  # a lone surrogate in a name cannot be encoded


def _part(name: str) -> str:
    return (files(__package__) / name).read_text("utf-8")


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
