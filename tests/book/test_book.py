"""The book: every link leads somewhere, nothing comes from the network, and the texts name only claims that exist."""

import ast
import importlib
import json
import os
import pkgutil
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from proofs import METHODS, TABLE

import rfcollapse
from rfcollapse.claims.registry import REGISTRY

ROOT = Path(__file__).resolve().parents[2]
LEDGER = {row["id"]: row["notebook"] for row in json.loads((ROOT / "figures" / "claims.json").read_text())}
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
TEXTS = [ROOT / "README.md", *sorted((ROOT / "book").glob("*.md")), *NOTEBOOKS]
MODULES = [module.name for module in pkgutil.walk_packages(rfcollapse.__path__, "rfcollapse.")]


def prose(path):
    """A Markdown file, or the text cells of a notebook."""
    if path.suffix == ".md":
        return path.read_text()
    cells = json.loads(path.read_text())["cells"]
    return "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.stem)
def test_texts_name_claims_of_the_registry(path):
    named = set(re.findall(r"`([a-z0-9]+(?:-[a-z0-9]+)+)`", prose(path)))
    assert named <= set(REGISTRY), named - set(REGISTRY)


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.stem)
def test_links_of_the_texts_lead_somewhere(path):
    for target in re.findall(r"\]\((?!http|#)([^)\s#]+)", prose(path)):
        assert (path.parent / target).exists(), target


def test_theorems_have_the_certificates_of_the_table():
    text = prose(ROOT / "book" / "theorems.md")
    named = re.findall(rf"`(\w+)`\s\(({'|'.join(METHODS)})\)", text)
    assert len(named) == len(set(named)) and dict(named) == {name: entry.method for name, entry in TABLE.items()}
    for entry in text.split("\n### ")[1:]:
        parts = [entry.find(f"\n**{part}.**") for part in ("Conditions", "Statement", "Whose", "Proof")]
        assert 0 < parts[0] and parts == sorted(parts) and "\n*Certificates*: " in entry, entry[:40]
    for module, function in re.findall(r"`(anydata|dae|flow|regression|resampling)\.(\w+)`", text):
        assert callable(getattr(importlib.import_module(f"rfcollapse.theory.{module}"), function))


def test_every_module_has_a_page():
    pages = "\n".join(page.read_text() for page in (ROOT / "book").glob("api_*.md"))
    rooms = " ".join(re.findall("<!-- modules: (.+) -->", pages)).split()
    assert len(rooms) == len(set(rooms))
    assert set(rooms) == {name.split(".")[1] for name in MODULES} - {"__main__"}


class Page(HTMLParser):
    """The anchors, links, loaded files and pictures of a page."""

    def __init__(self, path):
        super().__init__()
        self.path, self.ids, self.links, self.loads, self.pictures = path, set(), [], [], 0
        self.feed(path.read_text())

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.ids.update(filter(None, (values.get("id"), values.get("name"))))
        self.pictures += tag == "img"
        if tag == "a" and values.get("href"):
            self.links.append(values["href"])
        elif values.get("src") or (tag == "link" and values.get("href")):
            self.loads.append(values.get("src") or values["href"])


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    pytest.importorskip("myst_nb", reason="the packages of the book are not installed; `make book` installs them")
    out = tmp_path_factory.mktemp("book")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-E", "-c", "book", ".", str(out)]
    built = subprocess.run(command, cwd=ROOT, env=os.environ | {"JAX_PLATFORMS": "cpu"}, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    return {path.relative_to(out).as_posix(): Page(path) for path in sorted(out.rglob("*.html"))}


@pytest.mark.slow
class TestSite:
    def test_every_link_leads_somewhere(self, site):
        broken = []
        root = site["README.html"].path.parent
        for name, page in site.items():
            for link in page.links + page.loads:
                parts = urlsplit(link)
                if parts.scheme:
                    continue
                target = (page.path.parent / unquote(parts.path)).resolve() if parts.path else page.path
                inside = site.get(target.relative_to(root).as_posix())
                if not target.is_file() or (inside and parts.fragment and unquote(parts.fragment) not in inside.ids):
                    broken.append((name, link))
        assert not broken

    def test_loads_nothing_from_the_network(self, site):
        assert not [(name, load) for name, page in site.items() for load in page.loads if urlsplit(load).netloc]
        root = site["README.html"].path.parent
        for style in root.rglob("*.css"):
            assert not re.search(r"(url\(|@import)\s*[\"']?(https?:)?//", style.read_text()), style.name
        assert (root / "_static/mathjax/tex-chtml.js").exists()

    @pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
    def test_shows_a_notebook_as_committed(self, site, path):
        page = site[f"notebooks/{path.stem}.html"]
        outputs = [o for cell in json.loads(path.read_text())["cells"] for o in cell.get("outputs", [])]
        assert page.pictures == sum("image/png" in output.get("data", {}) for output in outputs)
        assert 'class="math notranslate' in page.path.read_text()
        assert any(link.startswith("../book/api_") and "#rfcollapse." in link for link in page.links)
        claims = {id for id, notebook in LEDGER.items() if notebook == path.stem}
        assert claims <= {link.partition("#")[2] for link in page.links if "claims.html#" in link}

    def test_describes_every_module(self, site):
        described = set().union(*(page.ids for name, page in site.items() if name.startswith("book/api_")))
        doors = {name for name in MODULES if hasattr(importlib.import_module(name), "__all__")}
        inside = {name for name in MODULES if name.rpartition(".")[0] in doors}
        for name in {*MODULES} - inside - {"rfcollapse.__main__"}:
            statements = ast.parse(Path(sys.modules[name].__file__).read_text()).body
            assert f"module-{name}" in described or len(statements) == 1, name

    def test_ledger_leads_to_the_notebooks(self, site):
        page = site["figures/claims.html"]
        assert set(LEDGER) <= page.ids
        assert {f"../notebooks/{notebook}.html" for notebook in LEDGER.values()} <= set(page.links)
