"""What an archive must hold to be one of a release, and to be of its set."""

from __future__ import annotations

import numpy as np

from learned_optimization.baselines.analysis.best_of_set import CURVE_KEYS, curves_of
from learned_optimization.baselines.folder_names import present_name
from learned_optimization.baselines.results.format import Result
from learned_optimization.baselines.sets.hparam_set import HParamSet
from learned_optimization.errors import DamagedFileError

_REMEDY = "The set has changed since, or it is of another: make that archive again."


def check_curves(path: str, arrays: Result) -> None:
    """Refuse what no curves can be read from.

    Args:
      path: the archive, for messages.
      arrays: what it holds.

    Raises:
      ResultError: saying what it lacks.
    """
    if lacking := [key for key in CURVE_KEYS if key not in arrays]:
        raise DamagedFileError(
            path, f"it is no archive, as it lacks {', '.join(lacking)}"
        )
    curves_of(path, arrays)


def check_is_of(path: str, arrays: Result, hparam_set: HParamSet) -> None:
    """Refuse an archive of other trials than those of the set it is named after.

    Args:
      path: the archive, for messages.
      arrays: what it holds, as `check_curves` lets pass.
      hparam_set: the set.

    Raises:
      DamagedFileError: saying what is different.
    """
    name = hparam_set.name
    # Those of an earlier version write whole numbers in another way.
    names = [present_name(str(one)) for one in arrays["opt_name"][:, 0]]
    wanted = [present_name(one) for one in hparam_set.opt_names]
    if names != wanted:
        raise DamagedFileError(
            path,
            f"its configurations are not those of {name}: it has {_listed(names)}, and "
            f"the set {_listed(wanted)}",
            _REMEDY,
        )
    last = int(arrays["eval/xs"].max()), int(hparam_set.plan.eval_steps[-1])
    steps = arrays.get("num_steps", np.asarray(hparam_set.num_steps))
    if last[0] != last[1] or (steps != hparam_set.num_steps).any():
        raise DamagedFileError(
            path,
            f"its steps are not those of {name}: it has {int(steps.max()):,}, with the "
            f"last evaluation at {last[0]:,}, and the set {hparam_set.num_steps:,}, "
            f"with that at {last[1]:,}",
            _REMEDY,
        )
    wanted_seeds, num_seeds = list(hparam_set.seeds), arrays["eval/xs"].shape[1]
    seeds = arrays.get("seed")
    if num_seeds != len(wanted_seeds) or (
        seeds is not None and (seeds != wanted_seeds).any()
    ):
        found = num_seeds if seeds is None else np.unique(seeds).tolist()
        raise DamagedFileError(
            path,
            f"its seeds are not those of {name}: it has {found}, and the set "
            f"{wanted_seeds}",
            _REMEDY,
        )


def _listed(names: list[str]) -> str:
    most = 3
    return f"{', '.join(names[:most])}{', ...' * (len(names) > most)} ({len(names)})"
