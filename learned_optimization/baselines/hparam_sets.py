"""Hyper-parameter sets: whole lists of trials under one name.

A set is a row of `_SETS`. Called with a task's name it gives the gin
configurations of its trials, and the folders their results go to:

    configurations, save_dirs = hparam_sets.AdamLR_10000_R5("ImageMLP_...")

`AdamLR_10000_R5` reads: learning rates of Adam, 10,000 steps, 5 repetitions,
each with a seed of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from learned_optimization.baselines.utils import get_save_dir
from learned_optimization.errors import LoptError, UnknownNameError

Configuration = dict[str, Any]

LEARNING_RATES = (
    3e-7, 1e-6, 3e-6, 1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0
)  # fmt: skip
"""Half-decade learning rates, 3e-7 to 1."""


@dataclass(frozen=True)
class HParamSet:
    """A named list of optimizer settings, each repeated with several seeds.

    Attributes:
      name: the set's name.
      optimizer: gin name of the optimizer.
      opt_names: name each configuration's results are stored under.
      hparams: gin bindings of each configuration: a parameter of the optimizer
        by its name, one of another configurable, such as the schedule or the
        optimizer inside, as `CosineDecay.learning_rate`.
      num_steps: number of the last update.
      repetitions: seeds a configuration, numbered from 0.
    """

    name: str
    optimizer: str
    opt_names: tuple[str, ...]
    hparams: tuple[Mapping[str, Any], ...] = field(repr=False)
    num_steps: int
    repetitions: int
    eval_every: int = 10
    eval_batches: int = 5
    last_eval_batches: int = 10

    def _gin_key(self, parameter: str) -> str:
        return parameter if "." in parameter else f"{self.optimizer}.{parameter}"

    @property
    def num_configs(self) -> int:
        """Optimizer settings in the set."""
        return len(self.hparams)

    @property
    def num_trials(self) -> int:
        """Trials in the set: settings times repetitions."""
        return self.num_configs * self.repetitions

    def __call__(
        self, task_name: str
    ) -> tuple[list[Configuration], list[tuple[str, int]]]:
        """The trials of the set on one task.

        Args:
          task_name: name of a fixed task.

        Returns:
          One gin configuration a trial (those of a setting follow one another,
          with seeds 0, 1, ...), and for each setting the folder of its results
          and the number of repetitions.
        """
        configurations: list[Configuration] = []
        save_dirs: list[tuple[str, int]] = []
        for opt_name, hparams in zip(self.opt_names, self.hparams, strict=True):
            configurations += [
                {
                    "inner_train_task.task": f"@{task_name}()",
                    "inner_train_task.task_name": task_name,
                    "inner_train_task.opt": f"@{self.optimizer}()",
                    "inner_train_task.opt_name": opt_name,
                    "inner_train_task.num_steps": self.num_steps,
                    "inner_train_task.eval_every": self.eval_every,
                    "inner_train_task.eval_batches": self.eval_batches,
                    "inner_train_task.last_eval_batches": self.last_eval_batches,
                    "inner_train_task.seed": seed,
                    **{self._gin_key(k): v for k, v in hparams.items()},
                }
                for seed in range(self.repetitions)
            ]
            folder = get_save_dir(
                task_name,
                opt_name,
                self.num_steps,
                self.eval_every,
                self.eval_batches,
                self.last_eval_batches,
            )
            save_dirs.append((folder, self.repetitions))
        return configurations, save_dirs


def _learning_rate_sets(
    prefix: str,
    optimizer: str,
    lengths: Iterable[tuple[int, int]],
    opt_name: str | None = None,
    **fixed: Any,
) -> list[HParamSet]:
    """`<prefix>_<num_steps>_R<repetitions>` over `LEARNING_RATES`.

    Args:
      prefix: how the sets' names begin.
      optimizer: gin name of the optimizer.
      lengths: number of steps and repetitions of each set.
      opt_name: how results are named before `_lr<lr>`; `optimizer` if None.
      **fixed: further hyper-parameters, the same in every configuration.
    """
    return [
        HParamSet(
            name=f"{prefix}_{num_steps}_R{repetitions}",
            optimizer=optimizer,
            opt_names=tuple(f"{opt_name or optimizer}_lr{lr}" for lr in LEARNING_RATES),
            hparams=tuple({"learning_rate": lr, **fixed} for lr in LEARNING_RATES),
            num_steps=num_steps,
            repetitions=repetitions,
        )
        for num_steps, repetitions in lengths
    ]


# 1,000 steps serve a first look (`lopt quickstart`), 10,000 the published
# comparisons, 100,000 and 300,000 the normalizers.
_SHORT = [(1_000, 5), (10_000, 5)]
_LONG = [(100_000, 5), (300_000, 5)]

_SETS = [
    *_learning_rate_sets("AdamLR", "Adam", [*_SHORT, (2_000, 5), (10_000, 1), *_LONG]),
    *_learning_rate_sets("SGDLR", "SGD", [*_SHORT, (2_000, 5)]),
    *_learning_rate_sets("SGDMLR", "SGDM", [*_SHORT, (2_000, 5)]),
    *_learning_rate_sets("RMSPropLR", "RMSProp", _SHORT),
    *_learning_rate_sets(
        "RMSPropMomLR", "RMSProp", _SHORT, opt_name="RMSPropMom", momentum=0.9
    ),
    *_learning_rate_sets("RAdamLR", "RAdam", [*_SHORT, *_LONG]),
    *_learning_rate_sets("AdamSqrtDecayLR", "AdamSqrtDecayLR", _LONG),
    *_learning_rate_sets("AdamExpDecayLR", "AdamExpDecayLR", _LONG),
    *_learning_rate_sets("AdaBeliefLR", "AdaBelief", _SHORT),
    *_learning_rate_sets("SM3LR", "SM3", _SHORT),
    *_learning_rate_sets(
        "SM3beta2_999_LR", "SM3", _SHORT, opt_name="SM3beta2_999", beta2=0.999
    ),
    *_learning_rate_sets("YogiLR", "Yogi", _SHORT),
    *_learning_rate_sets("LambLR", "Lamb", _SHORT),
    *_learning_rate_sets("LarsLR", "Lars", _SHORT),
    *_learning_rate_sets("FromageLR", "Fromage", _SHORT),
    *_learning_rate_sets("AdamWLR", "AdamW", _SHORT),
    *_learning_rate_sets("AdafactorLR", "Adafactor", _SHORT),
    *_learning_rate_sets("AdaGradLR", "AdaGrad", _SHORT),
]

_BY_NAME = {s.name: s for s in _SETS}


def all_hparam_sets() -> dict[str, HParamSet]:
    """Every set by name, in alphabetical order."""
    return dict(sorted(_BY_NAME.items()))


def get_hparam_set(name: str) -> HParamSet:
    """The set of that name.

    Raises:
      UnknownNameError: with the nearest names, if there is none.
    """
    if name not in _BY_NAME:
        raise UnknownNameError(
            "hparam set", name, _BY_NAME, "`lopt sets` lists them all"
        )
    return _BY_NAME[name]


def add_hparam_set(hparam_set: HParamSet) -> HParamSet:
    """Makes a set known by its name, as those of this module are.

    Returns:
      The set.

    Raises:
      LoptError: if another set has the name.
    """
    other = _BY_NAME.setdefault(hparam_set.name, hparam_set)
    if other != hparam_set:
        raise LoptError(
            f"there is a set {hparam_set.name} already: {other.num_configs} "
            f"configurations of {other.optimizer}, {other.num_steps} steps, "
            f"{other.repetitions} seeds. Give the new one ({hparam_set.num_configs} "
            f"of {hparam_set.optimizer}, {hparam_set.num_steps} steps, "
            f"{hparam_set.repetitions} seeds) another name."
        )
    return hparam_set


def __getattr__(name: str) -> HParamSet:
    if name in _BY_NAME:
        return _BY_NAME[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
