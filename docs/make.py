"""Writes the reference, pages that need no network: `python docs/make.py [FOLDER]`, with the extra `docs`.

The texts are the package's docstrings, and the tables are made from its table of rules; only `topics.py` says on which
page a name is found.
"""

from __future__ import annotations

import argparse
import html
import inspect
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import numpy as np
from topics import TOPICS, public

import tinygrad_edu as tg
from tinygrad_edu.autograd.primitives import Primitive

try:
    import pdoc.doc
    import pdoc.render
    import tables
    from markupsafe import Markup
except ImportError as error:
    raise ImportError(
        f"the reference needs {error.name}, of the extra docs: python -m pip install -e '.[docs]'"
    ) from None

HERE = Path(__file__).resolve().parent
SILENT = ("Any", "None", inspect.Signature.empty)
SHEETS = HERE.parent / "examples" / "lessons" / "sheets"
FUNCTIONS = {
    "numpy_functions": (
        "NumPy functions with derivatives",
        "What you may call with tensors, and what its derivative is. `g` is the gradient that arrives at the result "
        "`y`; the engine undoes broadcasting. Other names in a rule are those of functions in the same file. A "
        "function without a rule of its own is made of functions that have rules.",
        tables.numpy_rows,
    ),
    "scipy_functions": (
        "SciPy functions with derivatives",
        "The functions of `scipy.special` that take tensors as they are. What else there is, is in "
        "[SciPy for tensors](scipy.html).",
        tables.scipy_rows,
    ),
}


class Page(pdoc.doc.Module):
    """A page: a module that has what belongs to one topic, whatever the files are in which it is written."""

    def __init__(self, name: str, title: str, text: str, members: dict[str, Any]) -> None:
        module = ModuleType(name, text)
        module.__all__ = list(members)  # type: ignore[attr-defined]
        vars(module).update(members)
        super().__init__(module)
        self.title = title
        self._var_docstrings = self._func_docstrings = self._var_annotations = {}
        self.submodules = []


class Entry(pdoc.doc.Variable):
    """A function in a table."""

    def __init__(self, page: str, row: tables.Row) -> None:
        told = " ".join((*row.others, *row.rules))
        super().__init__(page, row.name, taken_from=(page, row.name), docstring=told)
        self.row = row
        self.name = row.name


def called(path: str) -> str:
    """How one writes the name, or what one calls it, if one never writes it."""
    if path.startswith(("compiler.", "training.")):
        return path.rpartition(".")[2]
    return f"tinygrad_edu.{path}" if path.startswith(("graph.", "numpy.", "scipy.")) else f"tg.{path}"


def pages() -> dict[str, Page]:
    """All pages by the names of their files."""
    made = {}
    things = {topic.file: {name: _plain(public(name)) for name in topic.names.split()} for topic in TOPICS}
    shown = {id(thing) for named in things.values() for thing in named.values()}
    for topic in TOPICS:
        page = Page(topic.file, topic.title, topic.about, things[topic.file])
        page.members = {doc.qualname: _with_own_members(doc, shown) for doc in _documents(page)}
        made[topic.file] = page
    for name, (title, text, rows) in FUNCTIONS.items():
        page = Page(name, title, text, {})
        page.members = {row.name: Entry(name, row) for row in rows()}
        page.groups = tables.GROUPS if name == "numpy_functions" else {"rules": ""}
        made[name] = page
    for sheet in sorted(SHEETS.glob("from_*.md")):
        title, _, text = sheet.read_text("utf-8").removeprefix("# ").partition("\n")
        made[sheet.stem] = Page(sheet.stem, title, text, {})
    return made


def _plain(thing: Any) -> Any:
    """The function that a primitive is made of, which has its signature and its source."""
    return thing.function if isinstance(thing, Primitive) else thing


def _documents(page: Page) -> list[pdoc.doc.Doc[Any]]:
    made: list[pdoc.doc.Doc[Any]] = []
    for name, value in page._member_objects.items():
        kind = pdoc.doc.Class if inspect.isclass(value) else pdoc.doc.Function
        made.append(kind(page.modulename, name, value, (page.modulename, name)))
    return made


def _with_own_members(doc: pdoc.doc.Doc[Any], shown: set[int]) -> pdoc.doc.Doc[Any]:
    """The methods of a class that say something about themselves: its own, and those of bases that nobody sees."""
    if isinstance(doc, pdoc.doc.Class):
        bases = [c for c in doc.obj.__mro__ if c.__module__.startswith("tinygrad_edu")]
        own = [c for c in bases if c is doc.obj or id(c) not in shown]
        named = {name: vars(c)[name] for c in reversed(own) for name in vars(c) if not name.startswith("_")}
        order = [name for c in own for name in vars(c)]
        described = {n: m for n, m in named.items() if isinstance(m, FunctionType | property | classmethod)}
        docs = [doc.members[name] for name in dict.fromkeys(order) if name in described]
        doc.own_members = [member for member in docs if _own_text(named[member.name])]
        silent = {"forward", *(member.name for member in doc.own_members)}
        doc.brief = [member for member in docs if member.name not in silent]
    return doc


def _own_text(member: Any) -> str:
    return getattr(getattr(member, "fget", member), "__doc__", None) or ""


class Unquoted(str):
    """A type as it stands in the source."""

    __repr__ = str.__str__


def signature(thing: Any) -> Markup:
    """The parameters as they stand in the source; `Any`, which says nothing, is left out."""
    try:
        given = inspect.signature(thing)
    except ValueError:  # a class that Python itself makes, as an exception
        return Markup("")
    written: list[str] = []
    for parameter in given.parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and not any(part.startswith("*") for part in written):
            written.append("*")
        if parameter.name != "self":
            written.append(str(parameter.replace(annotation=_type(parameter), default=_default(parameter))))
    text = ", ".join(written)
    if len(text) > 80:
        text = "".join(f"\n    {part}," for part in written) + "\n"
    returned = "" if given.return_annotation in SILENT else f" -> {given.return_annotation}"
    return Markup(html.escape(f"({text}){returned}", quote=False))


def _type(parameter: inspect.Parameter) -> Any:
    return parameter.empty if parameter.annotation in SILENT else Unquoted(parameter.annotation)


def _default(parameter: inspect.Parameter) -> Any:
    default = parameter.default
    is_dtype = isinstance(default, type) and issubclass(default, np.generic)
    return Unquoted(f"np.{default.__name__}") if is_dtype else default


class Links:
    """Names in the text that lead to where they are described."""

    def __init__(self, made: dict[str, Page]) -> None:
        self.places = {}
        for page in made.values():
            for doc in page.members.values():
                place = f"{page.modulename}.html#{doc.qualname}"
                names = [doc.qualname, called(doc.qualname), doc.qualname.rpartition(".")[2]]
                if isinstance(doc, Entry):
                    names = [doc.row.name, *doc.row.others]
                elif "." not in doc.qualname:
                    names += [f"functional.{doc.qualname}", f"F.{doc.qualname}"]
                for name in names:
                    self.places.setdefault(name, place)
                for member in getattr(doc, "own_members", ()):
                    self.places.setdefault(member.qualname, f"{page.modulename}.html#{member.qualname}")

    def __call__(self, text: str, own: str = "") -> Markup:
        """HTML, with links at each `name` in it."""

        def link(found: re.Match[str]) -> str:
            name = re.sub(r"\(.*", "", found[1])
            place = self.places.get(f"{own.partition('.')[0]}.{name}") or self.places.get(name)
            return found[0] if place is None or place.endswith(f"#{own}") else f'<a href="{place}">{found[0]}</a>'

        text = text.replace("<pre>", '<pre tabindex="0">')  # so that keys can scroll it
        text = text.replace("<table>", '<div class="wide" tabindex="0"><table>').replace("</table>", "</table></div>")
        return Markup(re.sub(r"<code>([\w.]+(?:\([^<]*\))?)</code>", link, text))


def parts(made: dict[str, Page]) -> dict[str, list[str]]:
    """The names of the pages, by what kind of page they are."""
    topics = [topic.file for topic in TOPICS]
    others = [name for name in made if name not in topics and name not in FUNCTIONS]
    return {"Topics": topics, "Tables": list(FUNCTIONS), "Coming from": others}


def write(folder: Path) -> list[Path]:
    """Writes all pages, and returns the files."""
    made = pages()
    folder.mkdir(parents=True, exist_ok=True)
    environment = pdoc.render.env
    pdoc.render.configure(docformat="markdown", template_directory=HERE / "templates", show_source=True)
    environment.globals |= {"pages": made, "parts": parts(made), "links": Links(made), "version": tg.__version__}
    environment.globals |= {"called": called, "told": signature, "derivation": tables.derivation}
    environment.globals["brief"] = lambda doc: Markup(tables.escaped(tables.first_sentence(doc.docstring)))
    files = [*_rendered(folder, made)]
    for name in ("reference.css", "reference.js"):
        files.append(Path(shutil.copy(HERE / "templates" / name, folder / name)))
    return files


def _rendered(folder: Path, made: dict[str, Page]) -> Iterator[Path]:
    texts = {f"{name}.html": pdoc.render.html_module(page, made) for name, page in made.items()}
    environment = pdoc.render.env
    texts["index.html"] = environment.get_template("index.html.jinja2").render(all_modules=made)
    index = [entry for page in made.values() for entry in _searched(page)]
    texts["search.js"] = environment.get_template("search.js.jinja2").render(search_index=json.dumps(index))
    for name, text in texts.items():
        (folder / name).write_text(text, "utf-8")
        yield folder / name


def _searched(page: Page) -> Iterator[dict[str, str]]:
    """What the search finds on a page: the page, its names, and their methods."""
    yield {"fullname": f"{page.modulename}.html", "doc": page.docstring, "shown": page.title, "brief": ""}
    for doc in page.members.values():
        for each in (doc, *getattr(doc, "own_members", ())):
            shown = each.qualname if isinstance(each, Entry) else called(each.qualname)
            place = f"{page.modulename}.html#{each.qualname}"
            brief = " · ".join(each.row.rules) if isinstance(each, Entry) else tables.first_sentence(each.docstring)
            yield {"fullname": place, "qualname": each.qualname, "doc": each.docstring, "shown": shown, "brief": brief}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Writes the reference, pages for a browser that need no network.")
    parser.add_argument("folder", nargs="?", type=Path, default=Path("reference_output"), help="where the pages go")
    target = parser.parse_args().folder
    print(f"{len(write(target))} files; open {target / 'index.html'}")
