"""The book is this repository, seen as a web site: README.md is its first page. `make book` builds it.

Notebooks are shown as committed and never run; nothing that a page loads comes from the network.
"""

import re
import sys
from pathlib import Path

from sphinx.pycode import ModuleAnalyzer

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

autodoc_typehints = "none"  # jaxtyping prints as noise, and the docstrings say shapes in words
autodoc_member_order = "bysource"

CONTENTS = """

```{toctree}
:hidden:

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
SECTIONS = {"Args:": "Arguments", "Attributes:": "Fields", "Returns:": "Returns", "Raises:": "Raises"}
plain = set()


def complete(app, docname, source):
    """What the pages of the site have beyond the files of the repository: contents, and the ledger's explanation."""
    if docname == root_doc:
        source[0] += CONTENTS
    if docname == "figures/claims":
        source[0] = (BOOK / "ledger.md").read_text() + source[0]


def escaped(line):
    """Docstrings are plain text with Unicode formulas: λ*, |x| and x_ mean themselves, `code` is code."""
    line = re.sub(r"(?<!`)`([^`]+)`(?!`)", r"``\1``", line)
    parts = re.split(r"(``.*?``|(?<!\S)\*\w[\w ]*\*(?!\w))", line)
    parts[::2] = [re.sub(r"([*|\\]|_(?!\w))", r"\\\1", part) for part in parts[::2]]
    return "".join(parts)


def lay_out(app, what, name, obj, options, lines):
    """Turns the sections of a docstring into headed lists."""
    section, laid = None, []
    for line in map(escaped, lines):
        if line in SECTIONS:
            section = line
            laid += [f".. rubric:: {SECTIONS[line]}", ""]
        elif section and line.startswith("    "):
            item = re.match(r"    (\w[\w, ]*): (.*)", line) if section != "Returns:" else None
            laid.append(f"- **{item[1]}**: {item[2]}" if item else line[4 if section == "Returns:" else 6 :])
        else:
            section = section if not line else None
            laid.append(line)
    lines[:] = laid


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
