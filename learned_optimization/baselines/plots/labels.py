"""Short names of sets that are shown together, and what all of them share."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile

from learned_optimization.baselines.analysis.hyperparameters import Hyperparameters

# `AdamLR_10000_R5` has the parts `Adam`, `LR`, `_10000` and `_R5`.
_PART = re.compile(r"LR(?=_|\Z)|_?(?:(?!LR(?:_|\Z))[^_])+|_")

_SHORT_NAMES = {"learning_rate": "lr", "weight_decay": "wd", "momentum": "mom"}
_MOST_SHOWN = 2


@dataclass(frozen=True)
class Labels:
    """What sets that are shown together are called.

    Attributes:
      of: the label of each set, in the order the sets were given.
      shared: what the labels leave out because the names of all sets have it,
        `LR_10000_R5`; empty if they leave out nothing.
    """

    of: Mapping[str, str]
    shared: str

    @property
    def pattern(self) -> str:
        """What all names look like, `*LR_10000_R5`; empty if nothing is left out."""
        return f"*{self.shared}" if self.shared else ""


def short_labels(
    set_names: Sequence[str], given: Mapping[str, str] | None = None
) -> Labels:
    """Return labels without the parts that the names of all sets share.

    What all names end in is left out, in whole parts and as long as something of
    every name remains: `AdamLR_10000_R5` and `RAdamLR_10000_R5` become `Adam` and
    `RAdam`. No two sets get the same label unless `given` says so: a set whose short
    label another set has been given keeps its name.

    Args:
      set_names: sets shown together.
      given: labels of some of them, used as they are.
    """
    names = list(dict.fromkeys(set_names))
    given = given or {}
    shared = _common_end(names)
    labels = {name: name.removesuffix(shared) for name in names}
    tidy = {name: label.rstrip("_") or label for name, label in labels.items()}
    if shared and len(set(tidy.values())) == len(names):
        labels = tidy
    taken = [given[name] for name in names if name in given]
    labels = {
        name: given.get(name, name if label in taken else label)
        for name, label in labels.items()
    }
    shortened = any(labels[name] != given.get(name, name) for name in names)
    return Labels(labels, shared if shortened else "")


def config_label(hparams: Hyperparameters, index: int) -> str:
    """Return the values that tell a configuration from others of its set.

    Args:
      hparams: hyper-parameters of all configurations of the set.
      index: place of the configuration.

    Returns:
      `lr 0.001`; empty if nothing is known, or too much varies for a label.
    """
    varied = [name for name in hparams.varied() if name in hparams.rows[index]]
    if not 0 < len(varied) <= _MOST_SHOWN:
        return ""
    row = hparams.rows[index]
    return ", ".join(f"{short_hparam(name)} {row[name]:.3g}" for name in varied)


def short_hparam(name: str) -> str:
    """Return a short name of a hyper-parameter, `lr` of `learning_rate`."""
    last = name.rpartition(".")[2]
    return _SHORT_NAMES.get(last, last)


def _common_end(names: Sequence[str]) -> str:
    if len(names) < 2:
        return ""
    # The first part of a name is never left out.
    ends = [_PART.findall(name)[:0:-1] for name in names]
    same = takewhile(lambda parts: len(set(parts)) == 1, zip(*ends, strict=False))
    return "".join(reversed([parts[0] for parts in same]))
