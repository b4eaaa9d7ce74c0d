"""Which configuration of a set is best, and how it ends."""

from __future__ import annotations

import functools
import itertools
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from learned_optimization import filesystem
from learned_optimization.baselines.results.archives import find_archive
from learned_optimization.baselines.results.format import Result, read_archive
from learned_optimization.baselines.results.index import summary_of
from learned_optimization.errors import UnknownNameError
from learned_optimization.eval_training import EVAL_SPLITS

CURVE_KEYS = ("eval/xs", "opt_name", *(f"eval/{split}/loss" for split in EVAL_SPLITS))
"""What the curves of a set are read from."""


@dataclass(frozen=True)
class Curves:
    """The evaluation curves of a set on a task.

    Attributes:
      xs: int64 `[num_evals]`, number of the update each evaluation precedes.
      losses: split name to float `[num_configs, num_seeds, num_evals]`.
      opt_names: name of each configuration.
    """

    xs: np.ndarray
    losses: dict[str, np.ndarray]
    opt_names: tuple[str, ...]


@dataclass(frozen=True)
class FinalLosses:
    """How the trials of a set on a task end.

    Attributes:
      losses: split name to float `[num_configs, num_seeds]`, at the last evaluation.
      opt_names: name of each configuration.
    """

    losses: dict[str, np.ndarray]
    opt_names: tuple[str, ...]


@dataclass(frozen=True)
class BestOfSet:
    """The best configuration of a set.

    Attributes:
      index: its place in the set.
      opt_name: its name.
      final: split name to float `[num_seeds]`, loss of the last evaluation.
      at_edge: it is the first or last of a set over one hyper-parameter: better
        ones may lie outside.
      all_diverged: every configuration has a diverged seed: none is the best.
      num_diverged: trials of the set whose last evaluation is not finite.
      num_trials: trials of the set.
      select: split whose loss decided.
    """

    index: int
    opt_name: str
    final: dict[str, np.ndarray]
    at_edge: bool
    all_diverged: bool
    num_diverged: int
    num_trials: int
    select: str


def check_eval_split(split: str) -> None:
    """Raise `UnknownNameError` unless `split` is one that runs evaluate."""
    if split not in EVAL_SPLITS:
        raise UnknownNameError("evaluated split", split, EVAL_SPLITS)


def load_curves(task_name: str, hparam_set_name: str) -> Curves:
    """Load the evaluation curves of an archived set; reads nothing else of it.

    They are read again only when the archive is another than it was.

    Raises:
      ResultError: if there is no such archive, or it cannot be read.
    """
    path = find_archive(task_name, hparam_set_name)
    return _read_curves(path, filesystem.info(path).stamp)


# The stamp is a parameter so that an archive written again is read again.
@functools.lru_cache(maxsize=32)
def _read_curves(path: str, stamp: str) -> Curves:
    del stamp
    curves = curves_of(read_archive(path, CURVE_KEYS))
    for values in curves.losses.values():
        # Whoever asks again gets the same arrays.
        values.flags.writeable = False
    return curves


def curves_of(archive: Result) -> Curves:
    """Return the evaluation curves among an archive's arrays.

    Args:
      archive: at least the arrays of `CURVE_KEYS`.
    """
    return Curves(
        xs=archive["eval/xs"][0, 0],
        losses={split: archive[f"eval/{split}/loss"] for split in EVAL_SPLITS},
        opt_names=tuple(str(name) for name in archive["opt_name"][:, 0]),
    )


def load_final_losses(task_name: str, hparam_set_name: str) -> FinalLosses:
    """Return how the trials of an archived set end.

    The archive is opened only when it is another than when this was last asked.

    Raises:
      ResultError: if there is no such archive, or it cannot be read.
    """

    def summarize() -> str:
        curves = load_curves(task_name, hparam_set_name)
        losses = {k: v[:, :, -1].tolist() for k, v in curves.losses.items()}
        return json.dumps({"losses": losses, "opt_names": curves.opt_names})

    path = find_archive(task_name, hparam_set_name)
    summary = json.loads(summary_of(path, summarize))
    return FinalLosses(
        losses={split: np.asarray(v) for split, v in summary["losses"].items()},
        opt_names=tuple(summary["opt_names"]),
    )


def best_of_set(ends: Curves | FinalLosses, select: str = "outer_valid") -> BestOfSet:
    """Return the configuration with the lowest mean final loss over seeds.

    A configuration with a diverged seed is worse than any without one.

    Args:
      ends: the set's curves, or how they end.
      select: split whose loss decides; selecting on another split than the one
        reported keeps the reported loss free of selection bias.
    """
    check_eval_split(select)
    if isinstance(ends, Curves):
        final = {split: losses[:, :, -1] for split, losses in ends.losses.items()}
    else:
        final = ends.losses
    diverged = ~np.isfinite(final[select])
    score = np.where(diverged, np.inf, final[select]).mean(axis=1)
    index = int(np.argmin(score))
    return BestOfSet(
        index=index,
        opt_name=ends.opt_names[index],
        final={split: values[index] for split, values in final.items()},
        at_edge=index in (0, len(score) - 1)
        and bool(np.isfinite(score[index]))
        and _is_a_scale(ends.opt_names),
        all_diverged=not np.isfinite(score).any(),
        num_diverged=int(diverged.sum()),
        num_trials=diverged.size,
        select=select,
    )


def _is_a_scale(opt_names: Sequence[str]) -> bool:
    """Return whether configurations differ in one number that grows, as names tell.

    `Adam_lr0.1, Adam_lr0.3` is such a scale; a list of settings (`OptList0`) or
    a grid (`GradAccum2_Adam_lr0.1`) has no outside its edges point to.
    """
    parts = [
        re.fullmatch(r"(.+_[a-z]+)(\d[\d.]*(?:e[+-]?\d+)?)", name) for name in opt_names
    ]
    found = [part for part in parts if part]
    if len(found) < max(2, len(opt_names)) or len({part[1] for part in found}) > 1:
        return False
    values = [float(part[2]) for part in found]
    return all(low < high for low, high in itertools.pairwise(values))
