"""Which configuration of a set is best, and how it ends."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np

from learned_optimization import filesystem
from learned_optimization.baselines.analysis.hyperparameters import (
    Hyperparameters,
    defined,
    of_file,
    recorded,
)
from learned_optimization.baselines.release.thin import (
    THIN_KEYS,
    Thinned,
    thinned_of,
)
from learned_optimization.baselines.results.archives import find_archive
from learned_optimization.baselines.results.format import Result, read_archive
from learned_optimization.baselines.results.index import summary_of
from learned_optimization.baselines.results.last_losses import (
    WHOLE_KEYS,
    has_whole,
    last_losses,
    measured_alike,
)
from learned_optimization.errors import ResultError, UnknownNameError
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
      hparams: hyper-parameters of each configuration, where they are known.
      thinned: what the archive lacks of a whole one; None if it is whole.
    """

    xs: np.ndarray
    losses: dict[str, np.ndarray]
    opt_names: tuple[str, ...]
    hparams: Hyperparameters = field(default_factory=Hyperparameters)
    thinned: Thinned | None = None

    def at(self, xs: np.ndarray) -> Curves:
        """Return the curves at some of their evaluations.

        Args:
          xs: rising numbers of updates, all among those of the curves.
        """
        if len(xs) == len(self.xs):
            return self
        places = np.searchsorted(self.xs, xs)
        losses = {split: values[:, :, places] for split, values in self.losses.items()}
        return replace(self, xs=self.xs[places], losses=losses)


@dataclass(frozen=True)
class FinalLosses:
    """How the trials of a set on a task end.

    Attributes:
      losses: split name to float `[num_configs, num_seeds]`: over whole splits where
        the archive has these, or else of the last evaluation, over some batches.
      opt_names: name of each configuration.
      hparams: hyper-parameters of each configuration, where they are known.
      last_evaluation: where `losses` are over whole splits, those of the last
        evaluation; None where these are `losses`.
    """

    losses: dict[str, np.ndarray]
    opt_names: tuple[str, ...]
    hparams: Hyperparameters = field(default_factory=Hyperparameters)
    last_evaluation: dict[str, np.ndarray] | None = None

    @property
    def is_of_whole(self) -> bool:
        """Whether `losses` are over whole splits, not some batches."""
        return self.last_evaluation is not None

    def of_last_evaluation(self) -> FinalLosses:
        """Return the same with `losses` of the last evaluation."""
        if self.last_evaluation is None:
            return self
        return replace(self, losses=self.last_evaluation, last_evaluation=None)


_Ends = TypeVar("_Ends", Curves, FinalLosses)


@dataclass(frozen=True)
class BestOfSet:
    """The best configuration of a set.

    Attributes:
      index: its place in the set.
      opt_name: its name.
      final: split name to float `[num_seeds]`, the loss it ends with.
      edges: hyper-parameters in which it is at the edge of its set: better
        configurations may lie outside (`Hyperparameters.edges`).
      all_diverged: every configuration has a diverged seed: none is the best.
      num_diverged: trials of the set whose final loss is not finite.
      num_trials: trials of the set.
      select: split whose loss decided.
    """

    index: int
    opt_name: str
    final: dict[str, np.ndarray]
    edges: tuple[str, ...]
    all_diverged: bool
    num_diverged: int
    num_trials: int
    select: str

    @property
    def at_edge(self) -> bool:
        """Whether it is at the edge of its set in any hyper-parameter."""
        return bool(self.edges)


def check_eval_split(split: str) -> None:
    """Raise `UnknownNameError` unless `split` is one that runs evaluate."""
    if split not in EVAL_SPLITS:
        raise UnknownNameError("evaluated split", split, EVAL_SPLITS)


def load_curves(task_name: str, hparam_set_name: str) -> Curves:
    """Load the evaluation curves of an archived set, and its hyper-parameters.

    They are read again only when the archive has changed.

    Raises:
      ResultError: if there is no such archive, or it cannot be read.
    """
    path = find_archive(task_name, hparam_set_name)
    where = f"{hparam_set_name} on {task_name}"
    curves, _ = _read(path, filesystem.info(path).stamp, where)
    return _with_hparams(curves, path, hparam_set_name)


# The stamp is a parameter so that an archive written again is read again.
@functools.lru_cache(maxsize=32)
def _read(path: str, stamp: str, where: str) -> tuple[Curves, dict[str, np.ndarray]]:
    """Return curves, and losses over whole splits by split, empty if there are none."""
    del stamp
    curves = curves_of(where, read_archive(path, CURVE_KEYS))
    known = recorded(of_file(path))
    curves = replace(curves, hparams=known or Hyperparameters())
    for values in curves.losses.values():
        # The same arrays are returned to whoever asks again.
        values.flags.writeable = False
    arrays = read_archive(path, [*WHOLE_KEYS, *THIN_KEYS], missing_ok=True)
    curves = replace(curves, thinned=thinned_of(arrays, path))
    if not has_whole(arrays):
        return curves, {}
    return curves, {split: last_losses(arrays, split, True) for split in EVAL_SPLITS}


def _with_hparams(ends: _Ends, path: str, hparam_set_name: str) -> _Ends:
    if ends.hparams.rows:
        return ends
    # Not remembered: optimizers and sets may be defined, also again, at any time.
    known = recorded(of_file(path)) or defined(hparam_set_name, ends.opt_names)
    return ends if known is None else replace(ends, hparams=known)


def curves_of(where: str, archive: Result) -> Curves:
    """Return the evaluation curves among an archive's arrays.

    Args:
      where: the archive, for messages.
      archive: at least the arrays of `CURVE_KEYS`, and those of `THIN_KEYS` that it
        has.

    Raises:
      ResultError: if it holds no trial, or trials that were evaluated at different
        steps.
    """
    xs, names = archive["eval/xs"], archive["opt_name"]
    return Curves(
        xs=common_steps(where, xs),
        losses={split: archive[f"eval/{split}/loss"] for split in EVAL_SPLITS},
        opt_names=tuple(str(name) for name in names[:, 0]),
        thinned=thinned_of(archive, where),
    )


def common_steps(where: str, xs: np.ndarray) -> np.ndarray:
    """Return the steps at which all trials of an archive were evaluated.

    Args:
      where: the archive, for messages.
      xs: `[num_configs, num_seeds, num_evals]`, its `eval/xs`.

    Raises:
      ResultError: if it holds no trial, or they were evaluated at different steps.
    """
    if not xs.size:
        raise ResultError(f"{where} holds no trial: its shape is {xs.shape}.")
    if (xs != xs[:1, :1]).any():
        raise ResultError(
            f"the trials of {where} were evaluated at different steps, so they cannot "
            "be compared."
        )
    return xs[0, 0]


def load_final_losses(task_name: str, hparam_set_name: str) -> FinalLosses:
    """Return how the trials of an archived set end.

    Sets that are compared must be read alike: `comparable_ends`. The archive is opened
    only when it has changed since this was last asked.

    Raises:
      ResultError: if there is no such archive, or it cannot be read.
    """
    path = find_archive(task_name, hparam_set_name)

    def summarize() -> str:
        where = f"{hparam_set_name} on {task_name}"
        curves, whole = _read(path, filesystem.info(path).stamp, where)
        return json.dumps(
            {
                "losses": {k: v[:, :, -1].tolist() for k, v in curves.losses.items()},
                "whole": {k: v.tolist() for k, v in whole.items()},
                "opt_names": curves.opt_names,
                "hparams": curves.hparams.rows,
            },
            default=str,
        )

    summary = json.loads(summary_of(path, summarize))
    if not {"hparams", "whole"} <= summary.keys():
        # An earlier version of this package has made it.
        summary = json.loads(summarize())
    last, whole = (
        {split: np.asarray(v) for split, v in summary[kind].items()}
        for kind in ("losses", "whole")
    )
    ends = FinalLosses(
        losses=whole or last,
        last_evaluation=last if whole else None,
        opt_names=tuple(summary["opt_names"]),
        hparams=Hyperparameters(tuple(summary["hparams"])),
    )
    return _with_hparams(ends, path, hparam_set_name)


def comparable_ends(ends: Mapping[str, FinalLosses]) -> dict[str, FinalLosses]:
    """Return how sets on a task end, all measured in the same way.

    Their losses are over whole splits where all sets have these, or else those of the
    last evaluations: as the report takes them.

    Args:
      ends: set name to how its trials end.
    """
    return dict(zip(ends, measured_alike(ends.values()), strict=True))


def best_of_set(ends: Curves | FinalLosses, select: str = "outer_valid") -> BestOfSet:
    """Return the configuration with the lowest mean final loss over seeds.

    A configuration with a diverged seed is worse than any without one.

    Args:
      ends: how the set's trials end, or its curves, whose last evaluation decides.
      select: split whose loss decides; selecting on another split than the one
        reported keeps the reported loss free of selection bias.
    """
    check_eval_split(select)
    if isinstance(ends, Curves):
        final = {split: losses[:, :, -1] for split, losses in ends.losses.items()}
    else:
        final = ends.losses
    # A sum of finite losses may be more than float32 holds.
    final = {split: np.asarray(v, np.float64) for split, v in final.items()}
    diverged = ~np.isfinite(final[select])
    score = np.where(diverged, np.inf, final[select]).mean(axis=1)
    index = int(np.argmin(score))
    return BestOfSet(
        index=index,
        opt_name=ends.opt_names[index],
        final={split: values[index] for split, values in final.items()},
        edges=ends.hparams.edges(index) if np.isfinite(score[index]) else (),
        all_diverged=not np.isfinite(score).any(),
        num_diverged=int(diverged.sum()),
        num_trials=diverged.size,
        select=select,
    )
