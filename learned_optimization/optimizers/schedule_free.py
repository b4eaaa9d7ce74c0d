"""Schedule-free learning: averages of the iterates instead of a falling rate.

Gradients are taken between the last iterate and the average; the average is what
is evaluated and used (Defazio et al. 2024, arXiv:2405.15682). Statistics of
batch normalization belong to where gradients are taken, not to the average.
"""

from __future__ import annotations

import optax
import optax.contrib

from learned_optimization.optimizers.base import Params
from learned_optimization.optimizers.leaves import narrowed, widened
from learned_optimization.optimizers.optax_optimizer import (
    OptaxOptimizer,
    OptaxState,
    Scalar,
    ScalarOrSchedule,
    optax_optimizer,
)


class ScheduleFree(OptaxOptimizer):
    """What schedule-free optimizers share: they evaluate the average."""

    def get_eval_params(self, opt_state: OptaxState) -> Params:
        """Return the average of the iterates."""
        average = optax.contrib.schedule_free_eval_params(
            opt_state.optax_opt_state, widened(opt_state.params)
        )
        return narrowed(average, opt_state.params)


@optax_optimizer(base=ScheduleFree)
def ScheduleFreeSGD(
    learning_rate: ScalarOrSchedule = 0.01,
    beta1: Scalar = 0.9,
    weight_decay: Scalar = 0.0,
    weight_lr_power: Scalar = 2.0,
) -> optax.GradientTransformation:
    """Schedule-free gradient descent (Defazio et al. 2024, arXiv:2405.15682).

    Of a schedule, the averaging weight takes the rate of the step to come.
    """
    return optax.contrib.schedule_free_sgd(
        learning_rate,  # pyright: ignore[reportArgumentType]
        b1=beta1,
        weight_decay=weight_decay,
        weight_lr_power=weight_lr_power,
    )


@optax_optimizer(base=ScheduleFree)
def ScheduleFreeAdamW(
    learning_rate: ScalarOrSchedule = 0.01,
    beta1: Scalar = 0.9,
    beta2: Scalar = 0.999,
    epsilon: Scalar = 1e-8,
    weight_decay: Scalar = 0.0,
    weight_lr_power: Scalar = 2.0,
) -> optax.GradientTransformation:
    """Schedule-free AdamW (Defazio et al. 2024, arXiv:2405.15682)."""
    return optax.contrib.schedule_free_adamw(
        learning_rate,  # pyright: ignore[reportArgumentType]
        b1=beta1,
        b2=beta2,
        eps=epsilon,
        weight_decay=weight_decay,
        weight_lr_power=weight_lr_power,
    )
