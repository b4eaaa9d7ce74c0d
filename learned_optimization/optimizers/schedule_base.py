"""What a learning-rate schedule is, and the decorator that makes one."""

from __future__ import annotations

from typing import Any, ClassVar, TypeVar, dataclass_transform

from jax.typing import ArrayLike

from learned_optimization.configurable import configurable
from learned_optimization.optimizers.hparams import (
    hparam,
    hparams_dataclass,
    name_with_hparams,
)


class Schedule:
    """A learning rate that depends on the step.

    Subclasses are made by `@schedule` and define `__call__`.

    Attributes:
      needs_num_steps: whether `__call__` cannot do without `max_steps`. `NAdamW`
        gives it, optax does not.
    """

    needs_num_steps: ClassVar[bool] = False

    @property
    def name(self) -> str:
        """The class name followed by every hyper-parameter, as an optimizer's."""
        return name_with_hparams(self)

    def __call__(self, step: ArrayLike, max_steps: ArrayLike | None = None) -> Any:
        """Return the learning rate of an update, a float32 scalar.

        Args:
          step: number of the update, counted from zero.
          max_steps: the length of the run, for schedules that plan over it.
        """
        raise NotImplementedError


def plans_over_run(rate: Any) -> bool:
    """Return whether a learning rate is a schedule that needs the run's length."""
    return isinstance(rate, Schedule) and rate.needs_num_steps


def rate_of_update(rate: Any, step: ArrayLike, max_steps: ArrayLike) -> Any:
    """Return the learning rate of an update.

    Args:
      rate: a number, or a schedule.
      step: number of the update, counted from zero.
      max_steps: the length of the run; any number where `plans_over_run` is false.
    """
    if not isinstance(rate, Schedule):
        return rate
    return rate(step, max_steps) if rate.needs_num_steps else rate(step)


_T = TypeVar("_T", bound=type[Schedule])


@dataclass_transform(frozen_default=True, eq_default=False, field_specifiers=(hparam,))
def schedule(cls: _T) -> _T:
    """Make a schedule, as the decorator of its class.

    The class becomes a frozen dataclass, a pytree of its hyper-parameters and a
    gin configurable. One of your own that is defined again replaces the one before.

    Raises:
      LoptError: if the package has an optimizer or a schedule of that name.
    """
    decorate = configurable("learned_optimization.optimizers", redefine=True)
    return decorate(hparams_dataclass(cls))
