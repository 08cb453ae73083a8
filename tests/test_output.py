import json

import numpy as np

from rfcollapse.output import columns, plain
from rfcollapse.runs.folder import Log


def test_what_json_does_not_know_becomes_what_it_knows():
    given = {
        "a": np.array([[1.0, np.nan], [np.inf, 2.0]]),
        "b": (np.float32(0.5), -np.inf),
        "c": Log({"d": 1}, {}),
        "e": None,
    }
    text = json.dumps(plain(given), allow_nan=False)
    assert json.loads(text) == {
        "a": [[1.0, None], [None, 2.0]],
        "b": [0.5, None],
        "c": {"config": {"d": 1}, "metrics": {}},
        "e": None,
    }


def test_columns_line_up_on_either_side():
    lines = [("name", "x"), ("a", "10.5"), ("longer", "2")]
    assert columns(lines) == "name    x\na       10.5\nlonger  2"
    assert columns(lines, right=True) == "  name     x\n     a  10.5\nlonger     2"
