"""Archives whose arrays are laid out in other ways say the same wherever exported."""

import json

import numpy as np
import pyarrow.parquet
import pytest

from learned_optimization.baselines import utils
from learned_optimization.baselines.exporting import to_frame
from learned_optimization.baselines.exporting.events import write_events
from learned_optimization.baselines.exporting.files import write_table
from learned_optimization.baselines.report.build import analyse, files_of_report
from tests.baselines.archives import FACTS, write_three

# Quarters, so that all of the types hold them exactly.
LAYOUTS = {
    "big-endian": lambda v: v.astype(v.dtype.newbyteorder(">")),
    "float16": lambda v: v.astype("<f2") if v.dtype.kind == "f" else v,
    "big-endian float16": lambda v: v.astype(">f2") if v.dtype.kind == "f" else v,
    "float64": lambda v: v.astype("<f8") if v.dtype.kind == "f" else v,
    "longer floats": lambda v: v.astype(np.longdouble) if v.dtype.kind == "f" else v,
    "unsigned": lambda v: v.astype(">u4") if v.dtype.kind == "i" else v,
    "text as bytes": lambda v: v.astype("S") if v.dtype.kind == "U" else v,
    "columns first": np.asfortranarray,
}
SOME = ("big-endian float16", "text as bytes")
REST = sorted(LAYOUTS.keys() - set(SOME))


def everything(path):
    """All that is made of the archives: tables as rows, events as bytes, the report."""
    made = {}
    for curves in (False, True):
        table = to_frame("T", SETS, curves=curves, library="pyarrow")
        for kind in ("parquet", "csv", "json"):
            write_table(table, path / f"{curves}.{kind}", kind)
        made[f"csv {curves}"] = (path / f"{curves}.csv").read_text()
        made[f"json {curves}"] = json.loads((path / f"{curves}.json").read_text())
        again = pyarrow.parquet.read_table(path / f"{curves}.parquet")
        made[f"parquet {curves}"] = str(again.to_pydict())
    assert write_events("T", SETS, str(path / "events"), every_config=True) == 45
    found = analyse(["T"], SETS)
    files = files_of_report(*found)
    made |= {name: files[name] for name in ("tasks.csv", "results.json", "table.tex")}
    return made


SETS = ["AdamLR_1000_R5", "SGDMLR_1000_R5", "LambLR_1000_R5"]


@pytest.fixture
def arrays():
    write_three("T", facts=FACTS | {"timing/run_seconds_per_trial": 2.0})
    [name, *_] = SETS
    found = dict(utils.load_archive("T", name))
    for key, values in found.items():
        if key.endswith("loss"):
            found[key] = np.round(4 * values).astype(np.float32) / 4
    found["train/xs"] = found["eval/xs"]
    found["train/loss"] = found["eval/train/loss"]
    found["num_steps"] = np.full((3, 5), 1000)
    found["status"] = np.full((3, 5), "done")
    return found


@pytest.mark.parametrize(
    "layout", [*SOME, *(pytest.param(x, marks=pytest.mark.slow) for x in REST)]
)
def test_layouts_say_the_same(arrays, layout, tmp_path):
    for folder in ("plain", "other"):
        (tmp_path / folder).mkdir()
    utils.write_archive("T", SETS[0], arrays)
    want = everything(tmp_path / "plain")
    change = LAYOUTS[layout]
    utils.write_archive("T", SETS[0], {k: change(v) for k, v in arrays.items()})
    assert everything(tmp_path / "other") == want
