"""Under nbval, the folded solutions of a notebook's exercises run after its last cell, in the same kernel.

A solution fails by an assertion; what it prints is compared with nothing.
"""

from collections import defaultdict

import nbformat
import pytest
from nbval.plugin import IPyNbCell, IPyNbFile

from rfcollapse.claims import reproduce


class Notebook(IPyNbFile):
    def collect(self):
        cells = list(super().collect())
        yield from cells
        for number, code in enumerate(reproduce.solutions(self.nb), 1):
            yield IPyNbCell.from_parent(
                self,
                name=f"Solution {number}",
                cell_num=len(cells) + number - 1,
                cell=nbformat.v4.new_code_cell(code),
                options=defaultdict(bool),
            )


def pytest_configure(config):
    config.option.loadscopereorder = False  # pytest-xdist's own order, by the number of cells


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: reproduce.duration(item.path.stem))


@pytest.hookimpl(wrapper=True)
def pytest_collect_file(file_path, parent):
    found = yield
    return [Notebook.from_parent(parent, path=file_path) if isinstance(one, IPyNbFile) else one for one in found]
