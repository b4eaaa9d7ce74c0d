"""Archived results as a data frame of pandas, polars or pyarrow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from learned_optimization.baselines.analysis.left_out import (
    LeftOut,
    OnLeftOut,
    check_some_left,
)
from learned_optimization.baselines.exporting.archives import find_archives
from learned_optimization.baselines.exporting.libraries import require
from learned_optimization.errors import LoptError, UnknownNameError

LIBRARIES = ("pandas", "polars", "pyarrow")
"""Whose data frames `to_frame` makes."""

ALL_SPLITS = ("train", "outer_valid", "test")
"""What `eval_training.EVAL_SPLITS` says, without importing jax."""


def to_frame(
    task_names: str | Sequence[str],
    set_names: str | Sequence[str],
    *,
    curves: bool = False,
    splits: Sequence[str] = ALL_SPLITS,
    library: str = "pandas",
    on_left_out: OnLeftOut | None = None,
) -> Any:
    """Return the trials of archived sets as a data frame.

    One row per trial, in the order of tasks, sets, configurations and repetitions:

    | column | type | |
    |---|---|---|
    | `task`, `set`, `opt_name` | string | |
    | `optimizer` | string | null if the set is not known |
    | `config`, `repetition` | int64 | place in the set, from 0 |
    | `seed` | int64 | |
    | `hparam/NAME` | int64, double, bool or string | see below; null where unknown |
    | `status` | string | `done` or `diverged` |
    | `diverged_from` | int64 | first update of a diverged end; -1 if done |
    | `num_steps` | int64 | number of the last update |
    | `SPLIT/loss`, `SPLIT/loss_normalized`, `SPLIT/AUX` | double | last evaluation |
    | `seconds` | double | of the trial: those of its grid over the grid's trials |
    | `synthetic_data` | bool | |
    | `accelerator_platform`, `accelerator_kind`, `strategy` | string | |
    | `versions` | string | `package==version`, separated by spaces |

    With `curves=True` one row per split, trial and evaluation, in that order for each
    archive: `task`, `set`, `opt_name`, `split` (dictionary-encoded strings: pandas'
    category, polars' Categorical), `config`, `repetition`, `seed`, `hparam/NAME` as
    above, `step` (int64, number of the update the evaluation precedes), `loss`,
    `loss_normalized` and what else the task reports, e.g. `accuracy` (double).

    Hyper-parameters are those that the set gives; where the set is not known, all that
    the archive records. One of the optimizer is named as it is there
    (`hparam/learning_rate`), one of another configurable with that
    (`hparam/CosineDecay.learning_rate`).

    Losses that are NaN or infinite are so here. What an archive does not hold is
    null; pandas has NaN for that, and double in place of int64 where there is any.

    Args:
      task_names: name of a task, or several.
      set_names: name of a set, or several, each archived for every task.
      curves: every evaluation, instead of the last one.
      splits: of `train`, `outer_valid`, `test`, those wanted.
      library: `pandas`, `polars` or `pyarrow`.
      on_left_out: told of each set on a task that is archived and cannot be read,
        while the others are; where it is None, that is an error.

    Returns:
      `pandas.DataFrame`, `polars.DataFrame` or `pyarrow.Table`.

    Raises:
      UnknownNameError: if a split or library is none of those.
      LoptError: if no task, set or split is named, or a library is not installed.
      ResultError: if an archive is missing or cannot be read, or none can.
    """
    if library not in LIBRARIES:
        raise UnknownNameError("library", library, LIBRARIES)
    splits = [splits] if isinstance(splits, str) else list(dict.fromkeys(splits))
    for split in splits:
        if split not in ALL_SPLITS:
            raise UnknownNameError("evaluated split", split, ALL_SPLITS)
    if not splits:
        raise LoptError(f"no split is named: name some of {', '.join(ALL_SPLITS)}.")
    require("pyarrow", "frames")
    module = require(library, "frames")
    left: list[LeftOut] = []
    collect = None if on_left_out is None else left.append
    archives = find_archives(task_names, set_names, collect)

    from learned_optimization.baselines.exporting import tables

    make = tables.curves_table if curves else tables.trials_table
    table = make(archives, splits, collect)
    check_some_left(table.column_names, left)
    if on_left_out is not None:
        for one in left:
            on_left_out(one)
    if library == "pandas":
        return table.to_pandas()
    return module.from_arrow(table) if library == "polars" else table
