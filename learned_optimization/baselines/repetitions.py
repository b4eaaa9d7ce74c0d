"""Which result files of a configuration fill which of its repetitions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from learned_optimization import filesystem
from learned_optimization.baselines.utils import Result
from learned_optimization.errors import ResultError
from learned_optimization.npz import read_npz

# What `fill` and `check_setting` look at.
FILL_KEYS = ("seed", "synthetic_data", "opt_config")


def scan(
    save_dir: str, keys: Sequence[str] | None = None
) -> tuple[list[Result], list[str]]:
    """Reads every result file of a folder that can be read.

    Args:
      save_dir: folder of one configuration's results.
      keys: keys wanted, left out where a file lacks them; all keys if None.

    Returns:
      The results in the order of their files' names, and the paths of the files
      that could not be read.
    """
    results, unreadable = [], []
    for path in filesystem.list_files(save_dir, ".curves"):
        try:
            results.append(read_npz(path, keys, missing_ok=keys is not None))
        except ResultError:
            unreadable.append(path)
    return results, unreadable


def fill(
    results: Iterable[Result], seeds: Sequence[int], synthetic: bool
) -> dict[int, Result]:
    """Assigns results to repetitions.

    A repetition takes the first result with its seed, on real data if there is
    one. A result that records no seed, as older files do, takes any repetition
    left.

    Args:
      results: results of one configuration.
      seeds: the repetitions' seeds.
      synthetic: whether results on synthetic data count.

    Returns:
      Seed to result, for those that have one.
    """
    usable = sorted(
        (r for r in results if synthetic or not is_synthetic(r)), key=is_synthetic
    )
    filled: dict[int, Result] = {}
    for result in usable:
        if "seed" in result and int(result["seed"]) in seeds:
            filled.setdefault(int(result["seed"]), result)
    left = (seed for seed in seeds if seed not in filled)
    without_seed = (result for result in usable if "seed" not in result)
    return filled | dict(zip(left, without_seed, strict=False))


def check_setting(save_dir: str, results: Iterable[Result], opt_config: str) -> None:
    """Refuses results that were trained with another setting of the optimizer.

    Results that do not record their setting, as those of others, are taken to
    be what their folder's name says.

    Args:
      save_dir: folder of the results.
      results: what it holds.
      opt_config: the setting wanted, as `Optimizer.name` writes it.

    Raises:
      ResultError: naming the folder and both settings.
    """
    for result in results:
        found = str(result.get("opt_config", opt_config))
        if found != opt_config:
            raise ResultError(
                f"{save_dir} holds results of {found}, and this set means "
                f"{opt_config} by that name: they cannot share a folder. Rename one "
                "of the optimizers, or move the old results away."
            )


def is_synthetic(result: Result) -> bool:
    """Whether a result was trained on made-up data."""
    return bool(result.get("synthetic_data", False))
