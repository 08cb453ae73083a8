"""What the book's code text names, it links: claims to their rows in the ledger, functions to their descriptions."""

import json
import re
from pathlib import Path

from docutils import nodes

LEDGER = "figures/claims"
CLAIMS = {row["id"] for row in json.loads(Path(__file__).parent.parent.joinpath(LEDGER + ".json").read_text())}
VERDICT = re.compile(r"([\w-]+)(?=: (?:confirmed|refuted|inconclusive|observed)\b)")
NAME = r'<span class="n">(\w+)</span>'
CALL = re.compile(rf'{NAME}(?:<span class="o">\.</span>{NAME})?(?!<span class="o">=)')  # no keyword: data=…
IMPORT = re.compile(r"^from (rfcollapse[\w.]*) import (.+)$", re.MULTILINE)


def anchor_rows(app, doctree):
    """Each row of the ledger gets its claim's id as an anchor, and a link to the notebook that its last cell names."""
    if app.env.docname != LEDGER:
        return
    for row in doctree.findall(nodes.row):
        id, notebook = row[0].astext(), row[-1].astext()
        if id in CLAIMS:
            row["ids"] = [id]
            place = app.builder.get_relative_uri(LEDGER, f"notebooks/{notebook}")
            row[-1][0][:] = [nodes.reference("", notebook, refuri=place, internal=True)]


def function(app, name, imported=()):
    """The full name of the one documented thing that `name` can mean, or None: `dae.lifetime(u0)`, `best_grid`."""
    objects = app.env.domains["py"].objects
    head, _, rest = re.sub(r"\(.*", "", name).partition(".")
    full = dict(imported).get(head, head) + (f".{rest}" if rest else "")
    if full in objects:
        return full
    fits = [known for known, entry in objects.items() if known.endswith("." + full) and entry.objtype == "function"]
    return fits[0] if len(fits) == 1 else None


def address(app, name, page, imported=()):
    if name in CLAIMS:
        return app.builder.get_relative_uri(page, LEDGER) + "#" + name
    found = function(app, name, imported)
    if found is None:
        return None
    entry = app.env.domains["py"].objects[found]
    return app.builder.get_relative_uri(page, entry.docname) + "#" + entry.node_id


def link_text(app, doctree, docname):
    for literal in list(doctree.findall(nodes.literal)):
        target = address(app, literal.astext(), docname)
        if target and not isinstance(literal.parent, nodes.reference) and "#" + docname not in target:
            literal.replace_self(nodes.reference("", "", literal.deepcopy(), refuri=target, internal=True))


def link_code(app, pagename, templatename, context, doctree):
    """In a notebook's cells: calls of our functions, and the verdicts printed below them."""
    if doctree is None or not pagename.startswith("notebooks/"):
        return
    source = "\n".join(block.astext() for block in doctree.findall(nodes.literal_block))
    imported = {}
    for module, names in IMPORT.findall(source):
        for name in names.split(","):
            name, _, alias = name.strip().partition(" as ")
            imported[alias or name] = f"{module}.{name}"

    def call(match):
        if match[1] not in imported:
            return match[0]
        target = address(app, ".".join(filter(None, match.groups())), pagename, imported)
        return f'<a href="{target}">{match[0]}</a>' if target else match[0]

    def verdict(match):
        return f'<a href="{address(app, match[1], pagename)}">{match[1]}</a>' if match[1] in CLAIMS else match[0]

    context["body"] = VERDICT.sub(verdict, CALL.sub(call, context["body"]))


def setup(app):
    app.connect("doctree-read", anchor_rows)
    app.connect("doctree-resolved", link_text)
    app.connect("html-page-context", link_code)
    return {"parallel_read_safe": True}
