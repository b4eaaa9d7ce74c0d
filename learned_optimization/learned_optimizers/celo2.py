"""Celo2: a learned direction of unit size for matrices, Adam for chosen parameters."""

from __future__ import annotations

import re
from typing import Any, ClassVar

import flax.struct
import jax
import jax.numpy as jnp

from learned_optimization.errors import LoptError
from learned_optimization.learned_optimizers import accumulators
from learned_optimization.learned_optimizers.accumulators import Accumulators
from learned_optimization.learned_optimizers.base import (
    MetaParams,
    ModelState,
    Params,
    PRNGKey,
    hparam,
    learned_optimizer,
    static_field,
)
from learned_optimization.learned_optimizers.celo2_rule import Celo2Rule
from learned_optimization.learned_optimizers.newton_schulz import COEFFICIENTS
from learned_optimization.learned_optimizers.tensors import put_back, tensors
from learned_optimization.optimizers.base import Gradient, Scalar
from learned_optimization.optimizers.schedule_base import (
    Schedule,
    plans_over_run,
    rate_of_update,
)

__all__ = ["Celo2", "Celo2Base", "Celo2State", "Moments"]

_LARGEST_GRADIENT = 1000.0


@flax.struct.dataclass
class Moments:
    """Adam's averages for one tensor.

    Attributes:
      first: of the gradient, `[*shape]`.
      second: of its square.
    """

    first: jax.Array
    second: jax.Array


@flax.struct.dataclass
class Celo2State:
    """State of `Celo2Base` and `Celo2`.

    Attributes:
      params: the parameters.
      state: the model state, None for a stateless model.
      averages: of each tensor with elements, in flattening order: `Accumulators` where
        it follows the learned rule, `Moments` where it follows Adam.
      iteration: int32 scalar, the number of updates done.
      num_steps: int32 scalar, the length of the run; 0 where it was not given.
      step_mult: float32 scalar, the learning rate of the next update, which may be
        replaced; where a schedule sets it, that of the last.
    """

    params: Any
    state: Any
    averages: list[Accumulators | Moments]
    iteration: jax.Array
    num_steps: jax.Array
    step_mult: jax.Array


class _Celo2(Celo2Rule):
    """What both do: learning rate, weight decay, and each tensor by its rule."""

    learning_rate_setting: ClassVar[str | None] = "step_mult"

    step_mult: Scalar | Schedule
    weight_decay: Scalar
    mult_1d: Scalar

    @property
    def needs(self) -> frozenset[str]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The length of the run, where the schedule depends on it."""
        return frozenset({"num_steps"} if plans_over_run(self.step_mult) else ())

    def follows_adam(self, params: Params) -> list[bool]:
        """Return which tensors with elements follow Adam, in flattening order."""
        return [False for _ in tensors(params)]

    def adam(
        self, old: Moments, grad: jax.Array, num_updates: jax.Array
    ) -> tuple[Moments, jax.Array]:
        """Return Adam's averages after one more gradient, and what it steps by.

        Args:
          old: the averages before.
          grad: the gradient, float32 `[*shape]`.
          num_updates: how many gradients are in the averages then.
        """
        raise NotImplementedError

    def opt_init(
        self,
        theta: MetaParams,
        params: Params,
        model_state: ModelState,
        num_steps: Any,
        key: PRNGKey | None,
    ) -> Celo2State:
        """Return the state before the first update; see `LearnedOptimizer`."""
        del theta, key

        def start(p: jax.Array, by_adam: bool) -> Accumulators | Moments:
            if by_adam:
                return Moments(jnp.zeros_like(p), jnp.zeros_like(p))
            return accumulators.start(p.shape, self.decays)

        iteration = jnp.zeros([], jnp.int32)
        length = jnp.asarray(0 if num_steps is None else num_steps, jnp.int32)
        return Celo2State(
            params=params,
            state=model_state,
            averages=list(map(start, tensors(params), self.follows_adam(params))),
            iteration=iteration,
            num_steps=length,
            step_mult=self._rate(iteration, length),
        )

    def opt_update(
        self,
        theta: MetaParams,
        opt_state: Celo2State,
        grad: Gradient,
        *,
        model_state: ModelState,
        **given: Any,
    ) -> Celo2State:
        """Return the state after one step; see `LearnedOptimizer`."""
        del given
        rate = opt_state.step_mult
        if isinstance(self.step_mult, Schedule):
            rate = self._rate(opt_state.iteration, opt_state.num_steps)
        num_updates = opt_state.iteration + 1
        params, averages = [], []
        for p, g, old in zip(
            tensors(opt_state.params), tensors(grad), opt_state.averages, strict=True
        ):
            own_rate = rate
            if isinstance(old, Moments):
                new, step = self.adam(old, g, num_updates)
                own_rate = self.mult_1d * rate
            else:
                g = jnp.clip(g, -_LARGEST_GRADIENT, _LARGEST_GRADIENT)
                new = accumulators.advance(old, g, self.decays)
                step = self.direction(theta, p, g, new, num_updates)
            params.append(p - own_rate * step - self.weight_decay * own_rate * p)
            averages.append(new)
        return Celo2State(
            params=put_back(opt_state.params, params),
            state=model_state,
            averages=averages,
            iteration=num_updates,
            num_steps=opt_state.num_steps,
            step_mult=rate,
        )

    def _rate(self, iteration: jax.Array, num_steps: jax.Array) -> jax.Array:
        """Return the learning rate as it is set, of an update."""
        rate = rate_of_update(self.step_mult, iteration, num_steps)
        return jnp.asarray(rate, jnp.float32)


@learned_optimizer
class Celo2Base(_Celo2):
    """The learned rule of Celo2 for every tensor (Moudgil et al. 2026).

    A network per parameter reads averages of gradients, each divided by its root mean
    square over the last two axes. What it makes of them is divided by its root mean
    square in the same way, and multiplied by `step_mult`, an ordinary learning rate or
    a schedule. Vectors and scalars have no factored averages of squares, and the
    network reads the other features alone. arXiv:2602.19142.

    Theta has the same arrays as that of `Celo2`.

    Attributes:
      exp_mult: rate of the magnitude, of which the exponential multiplies the
        direction; none by default.
      rmsmult: what the unit steps are multiplied by.
      param_scale_mult: whether steps are multiplied by the root mean square of the
        tensor, before they are normalized.
      precondition_output: whether they are divided by the root of the average of
        squares, after it.
      aggregate_mag: whether the magnitude is its mean over the tensor.
      bias_correction: whether the network reads averages corrected for bias.
      orthogonalize: whether steps of matrices go through a Newton-Schulz iteration.
    """

    ff_hidden_size: int = static_field(default=8)
    ff_hidden_layers: int = static_field(default=2)
    initial_momentum_decays: tuple[float, ...] = static_field(
        default=(0.9, 0.99, 0.999)
    )
    initial_rms_decays: tuple[float, ...] = static_field(default=(0.95,))
    initial_adafactor_decays: tuple[float, ...] = static_field(
        default=(0.9, 0.99, 0.999)
    )
    exp_mult: Scalar = hparam(default=0.0)
    step_mult: Scalar | Schedule = hparam(default=0.001)
    rmsmult: Scalar = hparam(default=1.0)
    with_g: bool = static_field(default=True)
    with_m: bool = static_field(default=True)
    with_rms: bool = static_field(default=True)
    with_rms_norm_g: bool = static_field(default=True)
    with_rsqrt_rms: bool = static_field(default=True)
    with_p: bool = static_field(default=True)
    with_fac_norm_g: bool = static_field(default=True)
    with_fac_rms: bool = static_field(default=True)
    with_fac_rsqrt: bool = static_field(default=True)
    with_grad_clip_feat: bool = static_field(default=True)
    with_fac_mom_mult: bool = static_field(default=True)
    with_rms_only_norm_g: bool = static_field(default=True)
    param_scale_mult: bool = static_field(default=False)
    precondition_output: bool = static_field(default=False)
    normalize_input: bool = static_field(default=True)
    normalize_output: bool = static_field(default=True)
    weight_decay: Scalar = hparam(default=0.0)
    aggregate_mag: bool = static_field(default=False)
    bias_correction: bool = static_field(default=False)
    mlp_activation: str = static_field(default="relu")
    orthogonalize: bool = static_field(default=False)
    ns_coeffs: tuple[float, float, float] = static_field(default=COEFFICIENTS)
    ns_iters: int = static_field(default=5)
    ns_eps: float = static_field(default=1e-8)


@learned_optimizer
class Celo2(_Celo2):
    """Celo2: steps of matrices made orthogonal, and Adam for biases and embeddings.

    Tensors follow the rule of `Celo2Base`, orthogonalized, but for those in whose path
    `regex_1d` is found: `re.search` of the names from the root to the tensor, joined by
    slashes, such as `mlp/~/linear_0/b`. These follow Adam with `mult_1d` times the
    learning rate, on the gradient as it is, `epsilon` under the root. Nothing is found
    by an empty expression. Ranks do not matter. Weights decay decoupled, by
    `weight_decay` times the learning rate of each. Moudgil et al. 2026,
    arXiv:2602.19142.

    Attributes:
      regex_1d: which tensors follow Adam. Its authors trained theta with `/b$`, which
        Haiku's biases match.
      adam_b2: its authors trained theta with 0.95.
      adam_bias_correction: whether Adam's averages are corrected for bias.
    """

    regex_1d: str = static_field(default=".*bias.*|.*embed.*")
    step_mult: Scalar | Schedule = hparam(default=0.001)
    weight_decay: Scalar = hparam(default=0.0)
    adam_b1: Scalar = hparam(default=0.9)
    adam_b2: Scalar = hparam(default=0.999)
    adam_epsilon: Scalar = hparam(default=1e-8)
    ff_hidden_size: int = static_field(default=8)
    ff_hidden_layers: int = static_field(default=2)
    initial_momentum_decays: tuple[float, ...] = static_field(
        default=(0.9, 0.99, 0.999)
    )
    initial_rms_decays: tuple[float, ...] = static_field(default=(0.95,))
    initial_adafactor_decays: tuple[float, ...] = static_field(
        default=(0.9, 0.99, 0.999)
    )
    exp_mult: Scalar = hparam(default=0.0)
    rmsmult: Scalar = hparam(default=1.0)
    with_g: bool = static_field(default=True)
    with_m: bool = static_field(default=True)
    with_rms: bool = static_field(default=True)
    with_rms_norm_g: bool = static_field(default=True)
    with_rsqrt_rms: bool = static_field(default=True)
    with_p: bool = static_field(default=True)
    with_fac_norm_g: bool = static_field(default=True)
    with_fac_rms: bool = static_field(default=True)
    with_fac_rsqrt: bool = static_field(default=True)
    with_grad_clip_feat: bool = static_field(default=True)
    with_fac_mom_mult: bool = static_field(default=True)
    with_rms_only_norm_g: bool = static_field(default=True)
    param_scale_mult: bool = static_field(default=False)
    precondition_output: bool = static_field(default=False)
    normalize_input: bool = static_field(default=True)
    normalize_output: bool = static_field(default=True)
    aggregate_mag: bool = static_field(default=False)
    bias_correction: bool = static_field(default=False)
    adam_bias_correction: bool = static_field(default=False)
    mlp_activation: str = static_field(default="relu")
    orthogonalize: bool = static_field(default=True)
    ns_coeffs: tuple[float, float, float] = static_field(default=COEFFICIENTS)
    ns_iters: int = static_field(default=5)
    ns_eps: float = static_field(default=1e-8)
    mult_1d: Scalar = hparam(default=20.0)

    def __post_init__(self) -> None:
        """Check what can be checked without parameters."""
        super().__post_init__()
        try:
            re.compile(self.regex_1d)
        except re.error as error:
            raise LoptError(
                f"Celo2.regex_1d must be a regular expression of Python, got "
                f"{self.regex_1d!r}: {error}."
            ) from error

    def follows_adam(self, params: Params) -> list[bool]:
        """Return which tensors with elements follow Adam, in flattening order."""
        search = re.compile(self.regex_1d).search
        paths = [
            jax.tree_util.keystr(path, simple=True, separator="/")
            for path, leaf in jax.tree_util.tree_leaves_with_path(params)
            if jnp.size(leaf)
        ]
        return [bool(self.regex_1d and search(path)) for path in paths]

    def adam(
        self, old: Moments, grad: jax.Array, num_updates: jax.Array
    ) -> tuple[Moments, jax.Array]:
        """Return Adam's averages after one more gradient, and what it steps by."""
        b1, b2 = self.adam_b1, jnp.clip(jnp.asarray(self.adam_b2, jnp.float32), 0, 1)
        first = b1 * old.first + (1 - b1) * grad
        second = b2 * old.second + (1 - b2) * jnp.square(grad)
        new = Moments(first, second)
        if self.adam_bias_correction:
            first = first / (1 - b1**num_updates)
            second = second / (1 - b2**num_updates)
        step = first * jax.lax.rsqrt(second + self.adam_epsilon)
        return new, step
