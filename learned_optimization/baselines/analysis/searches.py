"""Which two hyper-parameters of a set tell most about its losses."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from learned_optimization.baselines.analysis.hyperparameters import Hyperparameters
from learned_optimization.errors import LoptError, UnknownNameError

# Values whose largest is so many times the smallest are shown on a logarithmic axis.
_LOGARITHMIC = 20.0
_GROUPS = 4


def telling_pair(
    hparams: Hyperparameters,
    losses: np.ndarray,
    where: str,
    named: Sequence[str] | None = None,
) -> tuple[str, str]:
    """Return two varied hyper-parameters, the one to draw across and the one up.

    Args:
      hparams: hyper-parameters of all configurations.
      losses: float `[num_configs]`; what is not finite is the worst.
      where: the set and the task, for errors.
      named: the two, if somebody has chosen; else the learning rate, where one varies,
        and that of the others whose values tell most about the loss.

    Raises:
      LoptError: if fewer than two numbers vary, or other than two are named.
      UnknownNameError: if one that is named does not vary.
    """
    varied = hparams.varied()
    if len(varied) < 2:
        raise LoptError(
            f"a figure over two hyper-parameters needs two that vary; in {where} "
            f"there is {varied[0] if varied else 'none'}."
        )
    if named is not None:
        for name in named:
            if name not in varied:
                raise UnknownNameError("varied hyper-parameter", name, varied)
        if len(set(named)) != 2:
            raise LoptError(f"two hyper-parameters are needed, got {list(named)}.")
        return named[0], named[1]
    columns = {name: column(hparams, name) for name in varied}
    telling = sorted(varied, key=lambda name: -_explained(columns[name], losses))
    first = hparams.learning_rate() or telling[0]
    return first, next(name for name in telling if name != first)


def column(hparams: Hyperparameters, name: str) -> np.ndarray:
    """Return float64 `[num_configs]`, NaN where a configuration has no such number."""
    given = [row.get(name) for row in hparams.rows]
    numbers = [v if isinstance(v, (int, float)) else np.nan for v in given]
    return np.asarray(numbers, np.float64)


def is_logarithmic(values: np.ndarray) -> bool:
    """Return whether values are shown on a logarithmic axis: positive and far apart."""
    known = values[np.isfinite(values)]
    return bool(
        known.size and known.min() > 0 and known.max() / known.min() >= _LOGARITHMIC
    )


def _explained(values: np.ndarray, losses: np.ndarray) -> float:
    """Return the share of the variance of ranks of losses that is between values."""
    known = np.isfinite(values)
    if not known.any():
        return 0.0
    ranks = np.argsort(np.argsort(losses[known], kind="stable"), kind="stable")
    inner = np.quantile(values[known], np.linspace(0, 1, _GROUPS + 1)[1:-1])
    group = np.searchsorted(inner, values[known], side="left")
    means = np.asarray([ranks[group == g].mean() for g in group])
    return float(means.var() / ranks.var()) if ranks.var() else 0.0
