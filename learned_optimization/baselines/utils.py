"""Result files and archives: where they are, how they are written and read.

A trial is one `.curves` file, a compressed npz without pickles:
`<root>/<task>/<opt_name>/<num_steps>_<eval_every>_<eval_batches>_<last>/`
`<YYYYmmdd_HHMMSS>_<10 characters>.curves`. An archive
`<root>/<task>/<set>.npz` holds the same keys with leading axes
`[num_configs, num_seeds]`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from learned_optimization.baselines.layout import (
    get_baseline_archive_path,
    get_baseline_archive_rootdir,
    get_root_baseline_dir,
    get_save_dir,
)
from learned_optimization.baselines.results.archives import (
    delete_archive,
    find_archive,
    list_hparam_sets_for_task,
    load_archive,
    write_archive,
)
from learned_optimization.baselines.results.files import (
    CURVES,
    QUARANTINE,
    delete_saved_task_data,
    load_baseline_results,
    load_baseline_results_from_dir,
    quarantine,
    write_baseline_result,
)
from learned_optimization.baselines.results.format import Result
from learned_optimization.npz import read_npz
from learned_optimization.npz import write_npz as _write_npz

__all__ = [
    "CURVES",
    "QUARANTINE",
    "Result",
    "delete_archive",
    "delete_saved_task_data",
    "find_archive",
    "get_baseline_archive_path",
    "get_baseline_archive_rootdir",
    "get_root_baseline_dir",
    "get_save_dir",
    "list_hparam_sets_for_task",
    "load_archive",
    "load_baseline_results",
    "load_baseline_results_from_dir",
    "quarantine",
    "read_npz",
    "write_archive",
    "write_baseline_result",
    "write_npz",
]


def write_npz(path: str, data: Mapping[str, Any]) -> None:
    """Write arrays as a compressed npz, whole or not at all.

    Args:
      path: local path or URL.
      data: key to array, number or text.

    Raises:
      ResultError: if a value would need a pickle, or the file cannot be written.
    """
    _write_npz(path, data)
