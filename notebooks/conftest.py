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


# The longest first, for a long one that starts last is waited for.
LONGEST = ("07", "06", "11", "10", "03", "04")


def pytest_configure(config):
    config.option.loadscopereorder = False  # pytest-xdist's own order, by the number of cells


def pytest_collection_modifyitems(items):
    places = {number: place for place, number in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.name[:2], len(LONGEST)))


@pytest.hookimpl(wrapper=True)
def pytest_collect_file(file_path, parent):
    found = yield
    return [Notebook.from_parent(parent, path=file_path) if isinstance(one, IPyNbFile) else one for one in found]
