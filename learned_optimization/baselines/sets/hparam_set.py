"""One hyper-parameter set, and how families of sets are made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from learned_optimization.baselines.folder_names import value_text
from learned_optimization.baselines.layout import results_dir
from learned_optimization.baselines.sets.limits import check_size
from learned_optimization.errors import LoptError, check_at_least
from learned_optimization.learning_rates import (
    LEARNING_RATES as LEARNING_RATES,
)
from learned_optimization.training.plan import RunPlan

Configuration = dict[str, Any]
Settings = Mapping[str, Mapping[str, Any]]
Lengths = Iterable[tuple[int, int]]

PUBLISHED_ONLY_RATE = 1e-7
"""The learning rate that published sets have before those of `LEARNING_RATES`."""


_FROM = "_from"
_REPETITIONS = "_R"


def split_first_seed(name: str) -> tuple[str, int]:
    """Return the name of a set and the first seed that `HParamSet.from_seed` wrote.

    Args:
      name: of a set; of one whose first seed is 0, it is returned as it is.
    """
    return _split_number(name, _FROM) or (name, 0)


def split_repetitions(name: str) -> tuple[str, int] | None:
    """Return what a set's name is without its number of seeds, and that number.

    Args:
      name: of a set, as `AdamLR_1000_R5`.

    Returns:
      None if the name does not end in a number of seeds.
    """
    return _split_number(name, _REPETITIONS)


def _split_number(name: str, mark: str) -> tuple[str, int] | None:
    """Return what stands before a mark and the number behind it that ends a name."""
    stem, _, digits = name.rpartition(mark)
    is_number = digits.isascii() and digits.isdecimal() and not digits.startswith("0")
    return (stem, int(digits)) if stem and is_number else None


def gin_key(optimizer: str, parameter: str) -> str:
    """Return the gin name of a parameter, as `HParamSet.hparams` holds it."""
    return parameter if "." in parameter else f"{optimizer}.{parameter}"


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
      repetitions: seeds per configuration, numbered from `first_seed`.
      eval_every: updates between evaluations.
      eval_batches: batches of each split in an evaluation.
      last_eval_batches: the same, at `num_steps`.
      family: what sets of several lengths have in common: they are drawn alike.
      first_seed: the first seed; of a set of another one than 0, see `from_seed`.

    Raises:
      LoptError: if it has too many configurations or trials.
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
    family: str = ""
    first_seed: int = 0

    def __post_init__(self) -> None:
        check_size(len(self.hparams), self.repetitions)

    @property
    def plan(self) -> RunPlan:
        """Number of steps and evaluations of each trial."""
        return RunPlan(
            self.num_steps, self.eval_every, self.eval_batches, self.last_eval_batches
        )

    @property
    def seeds(self) -> range:
        """The seed of each repetition."""
        return range(self.first_seed, self.first_seed + self.repetitions)

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
        """Return the trials of the set on one task.

        Args:
          task_name: name of a fixed task.

        Returns:
          The gin configuration of each setting, all of them once with the first
          seed, then once with the next, and so on; and for each setting the folder
          of its results and the number of repetitions.
        """
        plan = {f"inner_train_task.{k}": v for k, v in self.plan.as_keys().items()}
        settings = [
            {
                "inner_train_task.task": f"@{task_name}()",
                "inner_train_task.task_name": task_name,
                "inner_train_task.opt": f"@{self.optimizer}()",
                "inner_train_task.opt_name": opt_name,
                **plan,
                **{gin_key(self.optimizer, k): v for k, v in hparams.items()},
            }
            for opt_name, hparams in zip(self.opt_names, self.hparams, strict=True)
        ]
        configurations = [
            {**setting, "inner_train_task.seed": seed}
            for seed in self.seeds
            for setting in settings
        ]
        return configurations, self.save_dirs(task_name)

    def save_dirs(self, task_name: str) -> list[tuple[str, int]]:
        """Return, per setting, the folder of its results and its repetitions."""
        plan = self.plan
        return [
            (results_dir(task_name, opt_name, plan), self.repetitions)
            for opt_name in self.opt_names
        ]

    def from_seed(self, first_seed: int) -> HParamSet:
        """Return the set with as many seeds from another one on.

        Two reruns that share no seed are independent. The name says which it is, as
        `AdamLR_1000_R5_from5`, so that no archive is taken for that of the set itself.

        Args:
          first_seed: at least 0; with 0 it is the set itself.

        Raises:
          LoptError: if the seed is no whole number of at least 0.
        """
        check_at_least("first_seed", first_seed, 0)
        own_name = split_first_seed(self.name)[0] if self.first_seed else self.name
        name = f"{own_name}{_FROM}{first_seed}" if first_seed else own_name
        return replace(self, name=name, first_seed=first_seed)

    def with_repetitions(self, repetitions: int) -> HParamSet:
        """Return the set with another number of seeds, under the name that says so.

        `AdamLR_1000_R5` with 10 is `AdamLR_1000_R10`, and what is trained of the one is
        not trained again for the other.

        Args:
          repetitions: at least 1.

        Raises:
          LoptError: if it is no whole number of at least 1, or the set's name does not
            say how many seeds it has.
        """
        check_at_least("repetitions", repetitions, 1)
        own = self.from_seed(0)
        split = split_repetitions(own.name)
        if split is None:
            raise LoptError(
                f"the name of set {self.name} does not say how many seeds it has: it "
                f"would end in {_REPETITIONS}{self.repetitions}."
            )
        name = f"{split[0]}{_REPETITIONS}{repetitions}"
        named = replace(own, name=name, repetitions=repetitions)
        return named.from_seed(self.first_seed)

    def with_published_rate(self) -> HParamSet:
        """Return the set as it was published: with the learning rate 1e-7 too.

        A configuration of that rate precedes each one of the lowest rate of
        `LEARNING_RATES`. Sets over other things, such as `OptList`, are returned as
        they are.
        """
        lowest, added = LEARNING_RATES[0], PUBLISHED_ONLY_RATE
        names: list[str] = []
        hparams: list[Mapping[str, Any]] = []
        for name, setting in zip(self.opt_names, self.hparams, strict=True):
            stem = name.removesuffix(f"_lr{value_text(lowest)}")
            if stem != name:
                names.append(f"{stem}_lr{value_text(added)}")
                hparams.append(
                    {k: added if v == lowest else v for k, v in setting.items()}
                )
            names.append(name)
            hparams.append(setting)
        return replace(self, opt_names=tuple(names), hparams=tuple(hparams))


def sets(
    prefix: str,
    optimizer: str,
    settings: Settings,
    lengths: Lengths,
    family: str | None = None,
) -> list[HParamSet]:
    """Return the sets `<prefix>_<num_steps>_R<repetitions>` of some settings.

    Args:
      prefix: how the sets' names begin.
      optimizer: gin name of the optimizer.
      settings: name results are stored under, to gin bindings as in
        `HParamSet.hparams`.
      lengths: number of steps and repetitions of each set.
      family: as `HParamSet.family`; `prefix` if None.
    """
    return [
        HParamSet(
            name=f"{prefix}_{num_steps}_R{repetitions}",
            optimizer=optimizer,
            opt_names=tuple(settings),
            hparams=tuple(settings.values()),
            num_steps=num_steps,
            repetitions=repetitions,
            family=family or prefix,
        )
        for num_steps, repetitions in lengths
    ]


def one_parameter(
    opt_name: str, short: str, parameter: str, values: Iterable[Any], **fixed: Any
) -> dict[str, dict[str, Any]]:
    """Return settings that differ in one hyper-parameter.

    Args:
      opt_name: how the results' names begin.
      short: how the hyper-parameter is written in them.
      parameter: the hyper-parameter.
      values: its values.
      **fixed: further hyper-parameters, the same in every setting.
    """
    return {
        f"{opt_name}_{short}{value_text(value)}": {parameter: value, **fixed}
        for value in values
    }


def learning_rates(
    prefix: str,
    optimizer: str,
    lengths: Lengths,
    opt_name: str | None = None,
    **fixed: Any,
) -> list[HParamSet]:
    """Return sets over `LEARNING_RATES`.

    Args:
      prefix: how the sets' names begin.
      optimizer: gin name of the optimizer.
      lengths: number of steps and repetitions of each set.
      opt_name: how results are named before `_lr<lr>`; `optimizer` if None.
      **fixed: further hyper-parameters, the same in every configuration.
    """
    settings = one_parameter(
        opt_name or optimizer, "lr", "learning_rate", LEARNING_RATES, **fixed
    )
    return sets(prefix, optimizer, settings, lengths, opt_name or optimizer)


SCHEDULES = {"Cosine": "CosineDecay", "Linear": "LinearDecay"}
"""What names of sets on a schedule have after their optimizer's, and the schedule."""


def schedules(optimizer: str, lengths: Lengths) -> list[HParamSet]:
    """Return sets over the peak of schedules that warm up and end at zero.

    Both rise over the first 5% of the run. `<optimizer>CosineLR` then falls by
    half a cosine, `<optimizer>LinearLR` by a straight line.
    """
    made = []
    for short, schedule in SCHEDULES.items():
        for num_steps, repetitions in lengths:
            settings = one_parameter(
                f"{optimizer}{short}",
                "lr",
                f"{schedule}.learning_rate",
                LEARNING_RATES,
                **{
                    "learning_rate": f"@{schedule}()",
                    f"{schedule}.num_steps": float(num_steps),
                    f"{schedule}.warmup_steps": 0.05 * num_steps,
                },
            )
            prefix = f"{optimizer}{short}LR"
            made += sets(
                prefix,
                optimizer,
                settings,
                [(num_steps, repetitions)],
                family=f"{optimizer}{short}",
            )
    return made


def accumulated(optimizer: str, num_average: int, opt_name: str) -> Settings:
    """Return settings over learning rates of an optimizer that sees mean gradients.

    Args:
      optimizer: gin name of the optimizer inside.
      num_average: gradients in each mean.
      opt_name: how the results' names begin.
    """
    return one_parameter(
        opt_name,
        "lr",
        f"{optimizer}.learning_rate",
        LEARNING_RATES,
        opt=f"@{optimizer}()",
        num_average=num_average,
    )
