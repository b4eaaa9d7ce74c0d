"""An archive overwritten in place, of the same size and time, is read again."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from learned_optimization.baselines import utils, vis
from learned_optimization.baselines.analysis.best_of_set import load_final_losses
from learned_optimization.baselines.exporting import to_frame
from learned_optimization.baselines.report.build import analyse
from tests.baselines.archives import write_archive

FINAL = np.asarray([[0.5, 0.5]])


def what_readers_see():
    results, _ = analyse(["T"], ["A"])
    return [
        float(vis.load_curves("T", "A").losses["test"][0, 0, -1]),
        float(vis.load_curves("T", ("A",))[0][1][-1]),
        float(load_final_losses("T", "A").losses["test"][0, 0]),
        float(results[0][0].final[0, 0]),
        float(to_frame("T", "A")["test/loss"][0]),
        float(utils.load_archive("T", "A")["eval/test/loss"][0, 0, -1]),
    ]


def test_every_reader_notices():
    path = Path(utils.get_baseline_archive_path("T", "A"))
    write_archive("T", "A", FINAL)
    old: dict[str, Any] = dict(utils.load_archive("T", "A"))
    write_archive("T", "A", FINAL / 2)
    new: dict[str, Any] = dict(utils.load_archive("T", "A"))
    # As numpy writes them, not compressed: both have the same size.
    np.savez(path, **old)
    before = path.stat()
    assert what_readers_see() == [0.5] * 6
    with path.open("r+b") as file:
        np.savez(file, **new)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = path.stat()
    assert (before.st_size, before.st_mtime_ns, before.st_ino) == (
        after.st_size,
        after.st_mtime_ns,
        after.st_ino,
    )
    assert what_readers_see() == [0.25] * 6
