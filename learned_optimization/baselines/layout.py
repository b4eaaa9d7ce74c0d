"""Where results lie: the roots, the folder of a setting, the path of an archive."""

from __future__ import annotations

from learned_optimization import environment, filesystem
from learned_optimization.training.plan import RunPlan


def get_root_baseline_dir() -> str:
    """Return the root of the result files.

    It is `LOPT_BASELINE_DIR`, or `~/lopt_baselines`.

    Raises:
      ResultError: if that is no name of a folder.
    """
    return environment.folder("LOPT_BASELINE_DIR", "~/lopt_baselines", True)


def get_baseline_archive_rootdir() -> str:
    """Return the root of the archives.

    It is `LOPT_BASELINE_ARCHIVES_DIR`, or `~/lopt_baselines_archives`.

    Raises:
      ResultError: if that is no name of a folder.
    """
    return environment.folder(
        "LOPT_BASELINE_ARCHIVES_DIR", "~/lopt_baselines_archives", True
    )


def check_roots() -> None:
    """Make sure that the roots can be read, or are not there yet.

    Raises:
      ResultError: naming the variable, the folder and the reason, if one cannot.
    """
    environment.check_folder("LOPT_BASELINE_DIR", get_root_baseline_dir())
    environment.check_folder(
        "LOPT_BASELINE_ARCHIVES_DIR", get_baseline_archive_rootdir()
    )


def get_baseline_archive_path(task_name: str, hparam_set_name: str) -> str:
    """Return the path of the archive of one task and set."""
    return filesystem.join(
        get_baseline_archive_rootdir(), task_name, f"{hparam_set_name}.npz"
    )


def get_save_dir(
    task_name: str,
    opt_name: str,
    num_steps: int,
    eval_every: int,
    eval_batches: int,
    last_eval_batches: int,
    save_dir_suffix: str = "",
) -> str:
    """Return the folder of the result files of one configuration.

    Args:
      task_name: name of the task.
      opt_name: name of the optimizer's setting.
      num_steps: number of the last update.
      eval_every: updates between evaluations.
      eval_batches: batches of each split in an evaluation.
      last_eval_batches: the same, at `num_steps`.
      save_dir_suffix: what is appended to the root of the result files.

    Raises:
      LoptError: if a number is not a whole number of at least 1.
    """
    plan = RunPlan(num_steps, eval_every, eval_batches, last_eval_batches)
    return results_dir(task_name, opt_name, plan, save_dir_suffix)


def results_dir(
    task_name: str, opt_name: str, plan: RunPlan, root_suffix: str = ""
) -> str:
    """Return the folder of the result files of one configuration.

    Args:
      task_name: name of the task.
      opt_name: name of the optimizer's setting.
      plan: number of steps and evaluations.
      root_suffix: what is appended to the root of the result files.
    """
    root = get_root_baseline_dir().rstrip("/") + root_suffix
    return filesystem.join(root, task_name, opt_name, plan.folder)
