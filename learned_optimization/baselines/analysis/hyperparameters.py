"""The hyper-parameters of an archive's configurations: the one place that tells them.

They are what the archive records of its trials: each setting as `Optimizer.name`
writes it (`opt_config`), or the gin text that published files have instead. Where an
archive records neither, the set of its name may be defined in this process.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from learned_optimization.baselines.analysis.recorded_settings import (
    read_gin,
    read_setting,
)
from learned_optimization.baselines.folder_names import present_name
from learned_optimization.baselines.results.format import Result, read_archive
from learned_optimization.baselines.sets.hparam_set import HParamSet
from learned_optimization.baselines.sets.registry import all_hparam_sets

Values = Mapping[str, Any]
Read = Callable[[Sequence[str]], Result]
"""Returns those of some result keys that an archive holds."""

_RATES = ("learning_rate", "peak_lr", "base_lr")

# OptList numbers its settings: one that comes after another is no larger.
_UNORDERED = ("idx", "OptList.idx")


@dataclass(frozen=True)
class Hyperparameters:
    """The hyper-parameters of a set's configurations.

    Attributes:
      rows: name to value, one mapping per configuration. One of the optimizer is
        named as it is there (`learning_rate`), one of another configurable with that
        (`CosineDecay.learning_rate`), which has no entry itself. No rows: nothing is
        known.
    """

    rows: tuple[Values, ...] = ()

    def line(self, index: int, name: str) -> np.ndarray:
        """Return the configurations that differ from one in nothing but one number.

        Args:
          index: place of the configuration.
          name: the hyper-parameter in which they differ.

        Returns:
          Int64 `[num_configs_of_the_line]`, their places in the order of that
          hyper-parameter, lowest first; `index` is one of them.
        """
        others = _without(self.rows[index], name)
        same = [
            place
            for place, row in enumerate(self.rows)
            if _is_number(row.get(name)) and _without(row, name) == others
        ]
        return np.asarray(sorted(same, key=lambda i: self.rows[i][name]), np.int64)

    def edges(self, index: int) -> tuple[str, ...]:
        """Return the hyper-parameters in which a configuration is at an edge.

        It is where it has the lowest or the highest of the values that were tried
        with all other hyper-parameters as they are here. Only these can say that the
        loss falls towards the edge. So a grid has edges in each hyper-parameter, and
        so has a search over a single one, listed or drawn. A search that draws
        several at once has none: no two of its configurations differ in one number
        alone, and some of the values of the best one are extreme by chance (of `n`
        draws of a hyper-parameter that does not matter, with probability `2 / n`).

        Args:
          index: place of the configuration.

        Returns:
          Names, in the order of the setting.
        """
        if not self.rows:
            return ()
        row = self.rows[index]
        return tuple(
            name
            for name in row
            if name not in _UNORDERED
            and _is_number(row[name])
            and _is_extreme(
                row[name], [self.rows[i][name] for i in self.line(index, name)]
            )
        )

    def varied(self) -> tuple[str, ...]:
        """Return the names of the numbers that are not the same everywhere."""
        names = dict.fromkeys(name for row in self.rows for name in row)
        return tuple(
            name
            for name in names
            if len({row[name] for row in self.rows if _is_number(row.get(name))}) > 1
        )

    def learning_rate(self) -> str | None:
        """Return the name of the learning rate that varies; None unless one does."""
        rates = [n for n in self.varied() if n.rpartition(".")[2] in _RATES]
        return rates[0] if len(rates) == 1 else None


def of_file(path: str) -> Read:
    """Return how to read from an archive's file."""
    return functools.partial(read_archive, path, missing_ok=True)


def of_arrays(arrays: Result) -> Read:
    """Return how to read from the arrays that an archive would hold."""
    return lambda keys: {key: arrays[key] for key in keys if key in arrays}


def hyperparameters(set_name: str, read: Read) -> Hyperparameters:
    """Return the hyper-parameters of an archive's configurations.

    Args:
      set_name: name of the set.
      read: reads the archive: `of_file` or `of_arrays`.

    Returns:
      Those the archive records, or else those of the set of that name; no rows if
      neither is known.
    """
    known = recorded(read)
    if known is None:
        names = read(["opt_name"])["opt_name"][:, 0]
        known = defined(set_name, [str(name) for name in names])
    return known or Hyperparameters()


def recorded(read: Read) -> Hyperparameters | None:
    """Return the hyper-parameters an archive records; None if it does not.

    Args:
      read: as in `hyperparameters`.
    """
    # Archives of the published system have settings for names.
    for key, parse in (
        ("opt_config", read_setting),
        ("gin_operative_config", read_gin),
        ("opt_name", read_setting),
    ):
        for texts in read([key]).values():
            rows = [parse(str(text)) for text in texts[:, 0]]
            known = [row for row in rows if row is not None]
            if len(known) == len(rows):
                return Hyperparameters(tuple(known))
    return None


def defined(set_name: str, opt_names: Sequence[str]) -> Hyperparameters | None:
    """Return the hyper-parameters of a set's configurations, as the set gives them.

    Args:
      set_name: name of the set.
      opt_names: name of each configuration.

    Returns:
      A row for each name, empty where the set has no such configuration; None if
      there is no set of that name.
    """
    hparam_set = all_hparam_sets().get(set_name)
    if hparam_set is None:
        return None
    hparam_set = hparam_set.with_published_rate()
    names, rows = hparam_set.opt_names, of_set(hparam_set).rows
    of_name = dict(zip(map(present_name, names), rows, strict=True))
    return Hyperparameters(
        tuple(of_name.get(present_name(name), {}) for name in opt_names)
    )


def of_set(hparam_set: HParamSet) -> Hyperparameters:
    """Return the hyper-parameters of a set's configurations, as it gives them."""
    own = f"{hparam_set.optimizer}."
    return Hyperparameters(
        tuple(
            {
                key.removeprefix(own): value
                for key, value in setting.items()
                if not (isinstance(value, str) and value.startswith(("@", "%")))
            }
            for setting in hparam_set.hparams
        )
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _without(row: Values, name: str) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key != name}


def _is_extreme(value: float, values: Sequence[float]) -> bool:
    return min(values) < max(values) and value in (min(values), max(values))
