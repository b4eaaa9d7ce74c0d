"""Sets of a learned optimizer's checkpoint, known before the checkpoint is.

`LOpt_10000_R5` is a template: with a checkpoint it is a set, of the checkpoint's name.

    LOpt_10000_R5.with_checkpoint("celo", "celo/params").name == "celo_LOpt_10000_R5"

Called, a template is the published function of that name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from learned_optimization.baselines.folder_names import value_text
from learned_optimization.baselines.sets.hparam_set import (
    LEARNING_RATES,
    Configuration,
    HParamSet,
    split_first_seed,
)
from learned_optimization.baselines.sets.limits import check_size

_TRAINED = "opt_from_checkpoint"
_AT_RATE_ONE = "opt_at_rate_one"

# Stands, in a name, for that of the checkpoint.
_NAME = "{name}"


@dataclass(frozen=True)
class CheckpointTemplate:
    """A hyper-parameter set that lacks the checkpoint of its optimizer.

    Attributes:
      name: the template's name; a set's is `<name of the checkpoint>_<this>`.
      summary: what its sets vary, in a few words.
      num_steps: number of the last update.
      repetitions: seeds per configuration.
      settings: name that results of each configuration are stored under, `{name}`
        standing for the checkpoint's, to its gin bindings, as `HParamSet.hparams`.
      optimizer: gin name of the optimizer.
      made_by: gin name of the function that makes the optimizer of the checkpoint:
        `optimizer` itself, or what is inside it.
      family: `HParamSet.family` of its sets, with `{name}` likewise.
      published_name: what the published function stores results under; as
        `settings` says if empty.
    """

    name: str
    summary: str
    num_steps: int
    repetitions: int
    settings: Mapping[str, Mapping[str, Any]] = field(repr=False)
    optimizer: str = _TRAINED
    made_by: str = _TRAINED
    family: str = _NAME
    published_name: str = ""

    def __post_init__(self) -> None:
        check_size(len(self.settings), self.repetitions)

    @property
    def num_configs(self) -> int:
        """Optimizer settings of a set."""
        return len(self.settings)

    def __call__(
        self, task_name: str, opt_name: str, opt_path: str
    ) -> tuple[list[Configuration], list[tuple[str, int]]]:
        """Return the trials of a checkpoint on one task.

        Args:
          task_name: name of a fixed task.
          opt_name: name that results are stored under, or that theirs are made of.
          opt_path: path or address of the checkpoint.

        Returns:
          As of `HParamSet`: the gin configuration of each setting and seed; and for
          each setting the folder of its results and the number of repetitions.
        """
        names = [self.published_name or pattern for pattern in self.settings]
        return self._set(opt_name, names, opt_path, ())(task_name)

    def with_checkpoint(
        self, name: str, path: str, extra_bindings: tuple[str, ...] = ()
    ) -> HParamSet:
        """Return the set of a checkpoint.

        Args:
          name: what the checkpoint is called, in the names of sets and results.
          path: its path or address.
          extra_bindings: lines of gin for its learned optimizer, as of
            `opt_from_checkpoint`.
        """
        return self._set(name, list(self.settings), path, extra_bindings)

    def _set(
        self, name: str, opt_names: list[str], path: str, extra: tuple[str, ...]
    ) -> HParamSet:
        checkpoint: dict[str, Any] = {f"{self.made_by}.checkpoint_path": path}
        if extra:
            checkpoint[f"{self.made_by}.extra_bindings"] = extra
        return HParamSet(
            name=f"{name}_{self.name}",
            optimizer=self.optimizer,
            opt_names=tuple(pattern.replace(_NAME, name) for pattern in opt_names),
            hparams=tuple({**s, **checkpoint} for s in self.settings.values()),
            num_steps=self.num_steps,
            repetitions=self.repetitions,
            family=self.family.replace(_NAME, name),
        )


def split_set_name(set_name: str) -> tuple[str, CheckpointTemplate] | None:
    """Return the checkpoint's name and the template that a set's name is made of.

    Args:
      set_name: of a set, which may be one of another first seed.

    Returns:
      None if it is the name of no such set.
    """
    own_name, _ = split_first_seed(set_name)
    ends = [name for name in TEMPLATES if own_name.endswith(f"_{name}")]
    if own_name in TEMPLATES or not ends:
        return None
    # `celo_GraftedShampoo_LOpt_10000_R5` ends in two templates' names.
    longest = max(ends, key=len)
    checkpoint = own_name.removesuffix(f"_{longest}")
    return (checkpoint, TEMPLATES[longest]) if checkpoint else None


def family_of_name(set_name: str) -> str:
    """Return the family of a set of a checkpoint, and any other name as it is."""
    made_of = split_set_name(set_name)
    if made_of is None:
        return set_name
    checkpoint, template = made_of
    return template.family.replace(_NAME, checkpoint)


def _trained() -> Iterator[CheckpointTemplate]:
    what = "as it was trained"
    lengths = [1_000, 2_000, 5_000, 6_000, *range(10_000, 100_001, 10_000)]
    for num_steps, seeds in [*((n, 5) for n in lengths), (10_000, 1)]:
        name = f"LOpt_{num_steps}_R{seeds}"
        yield CheckpointTemplate(name, what, num_steps, seeds, {_NAME: {}})


def _accumulating() -> Iterator[CheckpointTemplate]:
    def settings(*numbers: int) -> dict[str, dict[str, Any]]:
        return {
            f"GradLOpt{n}_{_NAME}": {"opt": f"@{_TRAINED}()", "num_average": n}
            for n in numbers
        }

    for num_steps in (5_000, *range(10_000, 100_001, 10_000)):
        yield CheckpointTemplate(
            f"LOptGradAccum10_{num_steps}_R5",
            "with means of 10 gradients",
            num_steps,
            5,
            settings(10),
            optimizer="GradientAccumulator",
            family=f"{_NAME}GradAccum10",
            published_name=_NAME,
        )
    yield CheckpointTemplate(
        "GradAccum_LOpt_16384_R5",
        "over numbers of gradients in a mean",
        16_384,
        5,
        settings(*(2**i for i in range(12))),
        optimizer="GradientAccumulator",
        family=f"{_NAME}GradAccum",
    )


def _grafted() -> CheckpointTemplate:
    setting = {
        "magnitude_opt": f"@{_TRAINED}()",
        "direction_opt": "@Shampoo()",
        "Shampoo.learning_rate": 1.0,
        "Shampoo.block_size": 128,
    }
    return CheckpointTemplate(
        "GraftedShampoo_LOpt_10000_R5",
        "as long as its steps, in Shampoo's direction",
        10_000,
        5,
        {f"GraftedShampoo_{_NAME}": setting},
        optimizer="GraftedOptimizer",
        family=f"{_NAME}GraftedShampoo",
        published_name=_NAME,
    )


def _learning_rates() -> Iterator[CheckpointTemplate]:
    inside = {"opt": f"@{_AT_RATE_ONE}()"}
    for num_steps in (1_000, 2_000, 10_000):
        yield CheckpointTemplate(
            f"LOptLR_{num_steps}_R5",
            "over the learning rate of its steps",
            num_steps,
            5,
            {
                f"{_NAME}_lr{value_text(rate)}": {**inside, "learning_rate": rate}
                for rate in LEARNING_RATES
            },
            optimizer="ScaledSteps",
            made_by=_AT_RATE_ONE,
            family=f"{_NAME}LR",
        )
    for num_steps in (1_000, 2_000, 10_000):
        schedule = {
            "learning_rate": "@CosineDecay()",
            "CosineDecay.num_steps": float(num_steps),
            "CosineDecay.warmup_steps": 0.05 * num_steps,
        }
        yield CheckpointTemplate(
            f"LOptCosineLR_{num_steps}_R5",
            "over the peak of a cosine",
            num_steps,
            5,
            {
                f"{_NAME}Cosine_lr{value_text(rate)}": {
                    **inside,
                    **schedule,
                    "CosineDecay.learning_rate": rate,
                }
                for rate in LEARNING_RATES
            },
            optimizer="ScaledSteps",
            made_by=_AT_RATE_ONE,
            family=f"{_NAME}Cosine",
        )


TEMPLATES = {
    template.name: template
    for template in (*_trained(), *_accumulating(), _grafted(), *_learning_rates())
}
"""Name to template, in the order of their table."""
