"""NAdamW: Adam with Nesterov momentum and both kinds of weight decay."""

from __future__ import annotations

from typing import Any, ClassVar

import flax.struct
import jax
import jax.numpy as jnp

from learned_optimization.optimizers.base import (
    Gradient,
    LossFn,
    ModelState,
    Optimizer,
    Params,
    PRNGKey,
    Scalar,
    check_given,
    hparam,
    optimizer,
)
from learned_optimization.optimizers.leaves import narrowed, widened
from learned_optimization.optimizers.schedule_base import (
    Schedule,
    plans_over_run,
    rate_of_update,
)


@flax.struct.dataclass
class NAdamWState:
    """State of `NAdamW`.

    Attributes:
      params: the parameters.
      state: the model state, None for a stateless model.
      first_moment: running average of the gradients.
      second_moment: running average of their squares.
      iteration: int32 scalar, the number of updates done.
      num_steps: int32 scalar, the length of the run; 0 where it was not given.
    """

    params: Any
    state: Any
    first_moment: Any
    second_moment: Any
    iteration: jax.Array
    num_steps: jax.Array


@optimizer
class NAdamW(Optimizer):
    """NAdamW, the optimizer of OptList (Metz et al. 2020, arXiv:2002.11887).

    With `m` and `v` the running averages of the gradient and of its square, and
    `c = sqrt(1 - beta2^t) / (1 - beta1^t)`, the step is
    `-learning_rate c ((beta1 m + (1 - beta1) g) / (sqrt(v) + epsilon) + decay p)`;
    without Nesterov momentum the numerator is `m`. So `epsilon` is the one
    Kingma & Ba (2015, section 2) call epsilon hat, and `adamw_weight_decay` is
    scaled by the correction too. `l2_weight_decay` times the parameter is
    *subtracted* from the gradient: the published program does so, and the settings
    of OptList were found with it. The moments keep the type of the parameters; the
    arithmetic has at least 32 bits.
    """

    not_supported: ClassVar = {
        "use_bias_correction": "the published optimizer corrects its bias whatever "
        "the value is, as this one does; leave it out"
    }

    learning_rate: Scalar | Schedule = hparam(default=1e-4, short="lr")
    beta1: Scalar = hparam(default=0.9, short="b1")
    beta2: Scalar = hparam(default=0.999, short="b2")
    epsilon: Scalar = hparam(default=1e-8, short="eps")
    adamw_weight_decay: Scalar = hparam(default=0.0, short="wd")
    l2_weight_decay: Scalar = hparam(default=0.0, short="l2")
    use_nesterov: bool | jax.Array = hparam(default=True, short="nesterov")

    @property
    def needs(self) -> frozenset[str]:
        """The length of the run, where the schedule depends on it."""
        return frozenset({"num_steps"} if plans_over_run(self.learning_rate) else ())

    def init(
        self,
        params: Params,
        model_state: ModelState | None = None,
        num_steps: int | None = None,
        key: PRNGKey | None = None,
    ) -> NAdamWState:
        """Return the state before the first update; see `Optimizer.init`."""
        check_given(self, num_steps=num_steps)
        del key
        return NAdamWState(
            params=params,
            state=model_state,
            first_moment=jax.tree.map(jnp.zeros_like, params),
            second_moment=jax.tree.map(jnp.zeros_like, params),
            iteration=jnp.zeros([], jnp.int32),
            num_steps=jnp.asarray(0 if num_steps is None else num_steps, jnp.int32),
        )

    def update(
        self,
        opt_state: NAdamWState,
        grad: Gradient,
        loss: jax.Array | None = None,
        model_state: ModelState | None = None,
        is_valid: bool = False,
        key: PRNGKey | None = None,
        loss_fn: LossFn | None = None,
        **extra: Any,
    ) -> NAdamWState:
        """Return the state after one step; see `Optimizer.update`."""
        del loss, is_valid, key, loss_fn, extra
        params, grad = widened(opt_state.params), widened(grad)
        rate = rate_of_update(
            self.learning_rate, opt_state.iteration, opt_state.num_steps
        )
        t = opt_state.iteration + 1.0
        rate = rate * jnp.sqrt(1.0 - self.beta2**t) / (1.0 - self.beta1**t)

        def average(decay: Scalar, old: Any, new: Any) -> Any:
            return jax.tree.map(lambda o, n: decay * o + (1.0 - decay) * n, old, new)

        grad = jax.tree.map(lambda g, p: g - self.l2_weight_decay * p, grad, params)
        squares = jax.tree.map(jnp.square, grad)
        first = average(self.beta1, widened(opt_state.first_moment), grad)
        second = average(self.beta2, widened(opt_state.second_moment), squares)
        ahead = average(self.beta1, first, grad)

        def step(p: Any, m: Any, m_ahead: Any, v: Any) -> Any:
            m = jnp.where(self.use_nesterov, m_ahead, m)
            direction = m / (jnp.sqrt(v) + self.epsilon) + self.adamw_weight_decay * p
            return p - rate * direction

        return NAdamWState(
            params=narrowed(
                jax.tree.map(step, params, first, ahead, second), opt_state.params
            ),
            state=model_state,
            first_moment=narrowed(first, opt_state.first_moment),
            second_moment=narrowed(second, opt_state.second_moment),
            iteration=opt_state.iteration + 1,
            num_steps=opt_state.num_steps,
        )
