"""MLPLOpt: a small network that sees each parameter alone.

From Metz et al. 2022, "Practical tradeoffs between memory, compute, and performance in
learned optimizers" (arXiv:2203.11860).
"""

from __future__ import annotations

from typing import Any

import flax.struct
import jax
import jax.numpy as jnp

from learned_optimization.learned_optimizers import features, network
from learned_optimization.learned_optimizers.base import (
    LearnedOptimizer,
    MetaParams,
    ModelState,
    OptState,
    Params,
    PRNGKey,
    hparam,
    learned_optimizer,
    static_field,
)
from learned_optimization.learned_optimizers.tensors import put_back, tensors
from learned_optimization.optimizers.base import Gradient, Scalar

__all__ = ["MLPLOpt", "MLPLOptState"]

DECAYS = (0.1, 0.5, 0.9, 0.99, 0.999, 0.9999)


@flax.struct.dataclass
class MLPLOptState:
    """State of `MLPLOpt`.

    Attributes:
      params: the parameters.
      state: the model state.
      momenta: averages of gradients with `DECAYS`, float32 `[6, *shape]` per tensor.
      iteration: updates done, int32.
    """

    params: Any
    state: Any
    momenta: list[jax.Array]
    iteration: jax.Array


@learned_optimizer
class MLPLOpt(LearnedOptimizer):
    """A network per parameter of its gradient, its value, six momenta and the time.

    Its outputs are a direction d and a magnitude a; a parameter moves by
    `d exp(a exp_mult) step_mult`. Theta is `mlp/~/linear_0`, `mlp/~/linear_1` and so
    on, each with `w` `[inputs, outputs]` and `b`.

    Attributes:
      exp_mult: what magnitudes are multiplied by.
      step_mult: what steps are multiplied by.
      hidden_size: number of outputs of each hidden layer.
      hidden_layers: how many there are.
      compute_summary: part of the published interface; has no effect.
    """

    exp_mult: Scalar = hparam(default=1e-3)
    step_mult: Scalar = hparam(default=1e-3)
    hidden_size: int = static_field(default=32)
    hidden_layers: int = static_field(default=2)
    compute_summary: bool = static_field(default=True)

    def init(self, key: PRNGKey) -> MetaParams:
        """Return a network that nothing has trained."""
        num_inputs = 2 + len(DECAYS) + len(features.TIMESCALES)
        hidden = [self.hidden_size] * self.hidden_layers
        return named_layers(network.init_layers(key, num_inputs, hidden, 2))

    def opt_init(
        self,
        theta: MetaParams,
        params: Params,
        model_state: ModelState,
        num_steps: Any,
        key: PRNGKey | None,
    ) -> MLPLOptState:
        """Return the state before the first update."""
        del theta, num_steps, key
        momenta = [
            jnp.zeros((len(DECAYS), *p.shape), jnp.float32) for p in tensors(params)
        ]
        return MLPLOptState(params, model_state, momenta, jnp.zeros([], jnp.int32))

    def opt_update(
        self,
        theta: MetaParams,
        opt_state: OptState,
        grad: Gradient,
        *,
        model_state: ModelState,
        **given: Any,
    ) -> MLPLOptState:
        """Return the state after one step."""
        del given
        layers = layers_of(theta)
        constants = features.tanh_of_time(opt_state.iteration)
        old, grads = tensors(opt_state.params), tensors(grad)
        momenta = [
            averages(m, g, DECAYS)
            for m, g in zip(opt_state.momenta, grads, strict=True)
        ]
        features_of_each = [
            jnp.concatenate([g[None], p[None], m])
            for p, g, m in zip(old, grads, momenta, strict=True)
        ]
        outputs = network.apply_to_all(layers, features_of_each, constants=constants)
        params = [
            p - step(direction, magnitude, self.exp_mult, self.step_mult)
            for p, (direction, magnitude) in zip(old, outputs, strict=True)
        ]
        return MLPLOptState(
            put_back(opt_state.params, params),
            model_state,
            momenta,
            opt_state.iteration + 1,
        )


def step(
    direction: jax.Array, magnitude: jax.Array, exp_mult: Scalar, step_mult: Scalar
) -> jax.Array:
    """Return the step of a direction and a magnitude, which is subtracted.

    Args:
      direction: first output of a network.
      magnitude: second output.
      exp_mult: what magnitudes are multiplied by.
      step_mult: what steps are multiplied by.
    """
    exp_mult, step_mult = (jnp.asarray(x, jnp.float32) for x in (exp_mult, step_mult))
    return direction * jnp.exp(magnitude * exp_mult) * step_mult


def averages(old: jax.Array, new: jax.Array, decays: tuple[float, ...]) -> jax.Array:
    """Return moving averages `[k, *shape]` after one more value `[*shape]`."""
    kept = jnp.asarray(decays, jnp.float32).reshape(-1, *[1] * new.ndim)
    return kept * old + (1 - kept) * new


def layers_of(theta: MetaParams) -> network.Layers:
    """Return the network whose layers are named `mlp/~/linear_0` and so on."""
    layers = [theta[f"mlp/~/linear_{i}"] for i in range(len(theta))]
    weights, biases = (
        [jnp.asarray(layer[name], jnp.float32) for layer in layers] for name in "wb"
    )
    return network.Layers(weights, biases)


def named_layers(layers: network.Layers) -> MetaParams:
    """Return the layers of a network by the names of `layers_of`."""
    pairs = zip(layers.weights, layers.biases, strict=True)
    return {f"mlp/~/linear_{i}": {"w": w, "b": b} for i, (w, b) in enumerate(pairs)}
