"""The book is this repository, seen as a web site: README.md is its first page. `make book` builds it.

Notebooks are shown as committed and never run; nothing that a page loads comes from the network.
"""

import ast
import pkgutil
import re
import sys
from pathlib import Path

from sphinx.ext.napoleon import Config, GoogleDocstring
from sphinx.pycode import ModuleAnalyzer

import rfcollapse

BOOK = Path(__file__).parent
sys.path.insert(0, str(BOOK))  # for `links`

project = html_title = "rfcollapse"
html_theme = "furo"
html_static_path = ["style.css"]
html_css_files = ["style.css"]
html_show_copyright = html_show_sphinx = html_copy_source = False
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.viewcode", "sphinx-mathjax-offline", "links"]

root_doc = "README"
include_patterns = ["README.md", "notebooks/*.ipynb", "figures/claims.md", "book/*.md"]
exclude_patterns = ["book/ledger.md", ".*", "build", "runs"]  # hidden folders are not even walked through

nb_execution_mode = "off"
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
nitpicky = True
nitpick_ignore_regex = [("py:exc", r"\w+"), ("py:class", r"(jaxtyping|numpy)\..*")]  # described elsewhere

autodoc_typehints = "none"  # jaxtyping prints as noise, and the docstrings say shapes in words
autodoc_member_order = "bysource"
DIALECT = Config(
    napoleon_use_param=False,
    # What is returned is prose: a colon in it parts no type from its description.
    napoleon_custom_sections=[("Returns", "Example"), ("Attributes", "params_style")],
)

CONTENTS = """

```{toctree}
:hidden:

book/theorems
book/glossary
book/reading
figures/claims
```

```{toctree}
:hidden:
:caption: Notebooks
:glob:

notebooks/*
```

```{toctree}
:hidden:
:caption: Functions
:glob:

book/api_*
```
"""
MODULE = """
## {name}

```{{eval-rst}}
.. automodule:: rfcollapse.{name}
   :members:
```
"""
DOOR = MODULE.replace("   :members:", "   :members:\n   :imported-members:")
ROOMS = re.compile(r"<!-- modules: (.+) -->")  # on a page: those that it describes
PAGES = {room: page.name for page in BOOK.glob("api_*.md") for room in ROOMS.search(page.read_text())[1].split()}
plain = set()


def complete(app, docname, source):
    """What pages have beyond the files of the repository: contents, links to rooms, modules, the ledger's head."""
    if docname == root_doc:
        to_page = re.sub(r"\]\(rfcollapse/(\w+)/?\)", lambda room: f"](book/{PAGES[room[1]]})", source[0])
        source[0] = to_page + CONTENTS
    source[0] = ROOMS.sub(lambda rooms: "".join(map(modules, rooms[1].split())), source[0])
    if docname == "figures/claims":
        source[0] = (BOOK / "ledger.md").read_text() + source[0]


def modules(room):
    """The descriptions of a module, or of all in a room; a package with __all__ is the one door to its own."""
    path = Path(rfcollapse.__file__).parent.joinpath(*room.split("."))
    if not path.is_dir():
        return MODULE.format(name=room)
    if "\n__all__ = " in (source := (path / "__init__.py").read_text()):
        return DOOR.format(name=room)
    own = "" if len(ast.parse(source).body) < 2 else MODULE.format(name=room)
    return own + "".join(modules(f"{room}.{module.name}") for module in pkgutil.iter_modules([path]))


def escaped(line):
    """Docstrings are plain text with Unicode formulas: λ*, |x| and x_ mean themselves, `code` is code."""
    line = re.sub(r"(?<!`)`([^`]+)`(?!`)", r"``\1``", line)
    parts = re.split(r"(``.*?``|(?<!\S)\*\w[\w ]*\*(?!\w))", line)
    parts[::2] = [re.sub(r"([*|\\]|_(?!\w))", r"\\\1", part) for part in parts[::2]]
    return "".join(parts)


def lay_out(app, what, name, obj, options, lines):
    """Sections become lists; examples stay as they are, and so do the strings under fields, which have no sections."""
    example = False
    for number, line in enumerate(lines):
        example = line.lstrip().startswith(">>>") or (example and bool(line.strip()))
        lines[number] = line if example else escaped(line)
    if what not in ("attribute", "data", "property"):
        lines[:] = GoogleDocstring(lines, DIALECT, app, what, name, obj, options).lines()


def skip(app, what, name, obj, skip, options):
    """Fields of a NamedTuple are listed where they have docstrings of their own; else the class explains them."""
    for field in getattr(obj, "_fields", ()) if isinstance(obj, type) else ():
        if (obj.__qualname__, field) not in ModuleAnalyzer.for_module(obj.__module__).find_attr_docs():
            plain.add(id(getattr(obj, field)))
    return True if id(obj) in plain else None


def front_door(app, error):
    (Path(app.outdir) / "index.html").write_text('<meta http-equiv="refresh" content="0; url=README.html">\n')


def setup(app):
    app.connect("source-read", complete)
    app.connect("autodoc-process-docstring", lay_out)
    app.connect("autodoc-skip-member", skip)
    app.connect("build-finished", front_door)
