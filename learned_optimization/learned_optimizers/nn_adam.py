"""NNAdam: Adam with an LSTM that sets its hyper-parameters tensor by tensor.

From Metz et al. 2020, "Tasks, stability, architecture, and compute: training more
effective learned optimizers, and using them to train themselves" (arXiv:2009.11243).
"""

from __future__ import annotations

from typing import Any

import flax.struct
import jax
import jax.numpy as jnp

from learned_optimization.learned_optimizers import lstm
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

__all__ = ["NNAdam", "NNAdamState"]

_NUM_FEATURES = 19
_CONTROLS = ("per_layer_lr", "per_layer_beta1", "per_layer_beta2", "per_layer_epsilon")
# Learning rates and epsilons are between these.
_LR_RANGE, _EPSILON_RANGE = (1e-8, 1e3), (1e-11, 1e4)


@flax.struct.dataclass
class NNAdamState:
    """State of `NNAdam`; T tensors.

    Attributes:
      params: the parameters.
      state: the model state.
      momenta: averages of gradients, float32 `[*shape]` per tensor.
      squares: averages of squared gradients, alike.
      iteration: updates done, int32.
      controls: learning rate, beta1, beta2 and epsilon of the next step, as
        meta-parameters hold them, `[T, 4]`.
      lstm_state: the LSTM's state, `[T, lstm_hidden_size]` each.
    """

    params: Any
    state: Any
    momenta: list[jax.Array]
    squares: list[jax.Array]
    iteration: jax.Array
    controls: jax.Array
    lstm_state: lstm.LSTMState


@learned_optimizer
class NNAdam(LearnedOptimizer):
    """Adam whose learning rate, betas and epsilon an LSTM sets, tensor by tensor.

    After each step the LSTM reads statistics of the tensor, and adds to what the next
    step uses. Theta holds a learning rate and epsilon x as `log(x)/10`, a beta as
    `log(1 - beta)/10`.

    Attributes:
      output_scale: what the outputs of the LSTM are multiplied by.
      initial_learning_rate: the learning rate in a theta that nothing has trained.
      initial_beta1: likewise, the decay of averages of gradients.
      initial_beta2: likewise, that of averages of squares.
      initial_epsilon: likewise, what is added to root mean squares.
      decay_strength: how far each step takes these four back to those of theta, of 0
        to 1.
      lstm_hidden_size: size of the LSTM.
    """

    output_scale: Scalar = hparam(default=0.01)
    initial_learning_rate: Scalar = hparam(default=1e-4)
    initial_beta1: Scalar = hparam(default=0.9)
    initial_beta2: Scalar = hparam(default=0.999)
    initial_epsilon: Scalar = hparam(default=1e-8)
    decay_strength: Scalar = hparam(default=0.0)
    lstm_hidden_size: int = static_field(default=32)

    def init(self, key: PRNGKey) -> MetaParams:
        """Return the initial hyper-parameters, and an LSTM that leaves them alone."""
        size = self.lstm_hidden_size
        initial = (
            self.initial_learning_rate,
            self.initial_beta1,
            self.initial_beta2,
            self.initial_epsilon,
        )
        values = [jnp.asarray(x, jnp.float32) for x in initial]
        controls = lstm.init_linear(key, size, 4)
        controls["w"] = jnp.zeros_like(controls["w"])
        return {
            "lstm_init_state": lstm.init_state(size),
            "rnn_params": {"rnn/linear": lstm.init_lstm(key, _NUM_FEATURES, size)},
            "rnn_to_controls_params": {"rnn_to_controls": controls},
            **dict(zip(_CONTROLS, _held(*values), strict=True)),
        }

    def opt_init(
        self,
        theta: MetaParams,
        params: Params,
        model_state: ModelState,
        num_steps: Any,
        key: PRNGKey | None,
    ) -> NNAdamState:
        """Return the state before the first update."""
        del num_steps, key
        of_params = tensors(params)
        zeros = [jnp.zeros_like(p) for p in of_params]
        return NNAdamState(
            params=params,
            state=model_state,
            momenta=zeros,
            squares=zeros,
            iteration=jnp.zeros([], jnp.int32),
            controls=jnp.tile(_learned_controls(theta), (len(of_params), 1)),
            lstm_state=lstm.start(theta["lstm_init_state"], len(of_params)),
        )

    def opt_update(
        self,
        theta: MetaParams,
        opt_state: OptState,
        grad: Gradient,
        *,
        model_state: ModelState,
        **given: Any,
    ) -> NNAdamState:
        """Return the state after one step."""
        del given
        params, momenta, squares, read = [], [], [], []
        of_params = tensors(opt_state.params)
        shapes = [
            jnp.shape(p) for p in jax.tree.leaves(opt_state.params) if jnp.size(p)
        ]
        for shape, p, g, m, v, controls in zip(
            shapes,
            of_params,
            tensors(grad),
            opt_state.momenta,
            opt_state.squares,
            opt_state.controls,
            strict=True,
        ):
            g = jnp.clip(g, -1000, 1000)
            rate, beta1, beta2, epsilon = _values(controls)
            m = beta1 * m + (1 - beta1) * g
            v = beta2 * v + (1 - beta2) * jnp.square(g)
            size = rate * (1 + epsilon)
            params.append(p - size / (epsilon + jnp.sqrt(v + 1e-10)) * m)
            momenta.append(m)
            squares.append(v)
            read.append(_features(shape, p, g, m, v, controls))
        controls, rows = opt_state.controls, opt_state.lstm_state
        if read:
            cell = theta["rnn_params"]["rnn/linear"]
            rows = lstm.lstm(cell, jnp.stack(read), rows)
            controls = self._next_controls(theta, controls, rows.hidden)
        return NNAdamState(
            params=put_back(opt_state.params, params),
            state=model_state,
            momenta=momenta,
            squares=squares,
            iteration=opt_state.iteration + 1,
            controls=controls,
            lstm_state=rows,
        )

    def _next_controls(
        self, theta: MetaParams, controls: jax.Array, hidden: jax.Array
    ) -> jax.Array:
        scale, decay = (
            jnp.asarray(x, jnp.float32)
            for x in (self.output_scale, self.decay_strength)
        )
        to_controls = theta["rnn_to_controls_params"]["rnn_to_controls"]
        controls = controls + scale * lstm.linear(to_controls, hidden)
        controls = controls - decay * (controls - _learned_controls(theta))
        # What is out of range is brought back into it.
        return jnp.stack(_held(*_values(controls)), -1)


def _learned_controls(theta: MetaParams) -> jax.Array:
    return jnp.stack([jnp.asarray(theta[name], jnp.float32) for name in _CONTROLS])


def _values(controls: jax.Array) -> tuple[jax.Array, ...]:
    """Return learning rate, beta1, beta2 and epsilon of what holds them, `[..., 4]`."""
    rate, beta1, beta2, epsilon = (10 * controls[..., i] for i in range(4))
    return (
        jnp.clip(jnp.exp(rate), *_LR_RANGE),
        1 - jnp.exp(jnp.clip(beta1, -10, 0)),
        1 - jnp.exp(jnp.clip(beta2, -10, 0)),
        jnp.clip(jnp.exp(epsilon), *_EPSILON_RANGE),
    )


def _held(
    rate: jax.Array, beta1: jax.Array, beta2: jax.Array, epsilon: jax.Array
) -> list[jax.Array]:
    """Return how meta-parameters hold a learning rate, betas and an epsilon."""
    return [0.1 * jnp.log(x) for x in (rate, 1 - beta1, 1 - beta2, epsilon)]


def _clipped_log(x: jax.Array) -> jax.Array:
    return 0.5 * jnp.clip(jnp.log(1e-8 + jnp.abs(x)), -5, 5)


def _features(
    shape: tuple[int, ...],
    param: jax.Array,
    grad: jax.Array,
    momentum: jax.Array,
    square: jax.Array,
    controls: jax.Array,
) -> jax.Array:
    """Return what the LSTM reads about a tensor, float32 `[19]`."""
    rate, beta1, beta2, epsilon = 0.2 * jnp.clip(controls, -5, 5)
    mean_grad, mean_momentum, mean_param, mean_square = map(
        jnp.mean, (grad, momentum, param, square)
    )

    def variance(x: jax.Array, mean: jax.Array) -> jax.Array:
        return _clipped_log(jnp.mean(jnp.square(x - mean)))

    # In the alphabetical order of the published names of features.
    values = [
        beta1,
        beta2,
        epsilon,
        1.0 if len(shape) == 1 else -1.0,
        1.0 if len(shape) == 0 else -1.0,
        rate,
        _clipped_log(mean_grad),
        jnp.sign(mean_grad),
        _clipped_log(jnp.mean(jnp.abs(grad))),
        _clipped_log(mean_momentum),
        jnp.sign(mean_momentum),
        _clipped_log(mean_param),
        jnp.sign(mean_param),
        _clipped_log(mean_square),
        jnp.sign(mean_square),
        variance(grad, mean_grad),
        variance(momentum, mean_momentum),
        variance(param, mean_param),
        variance(square, mean_square),
    ]
    return jnp.stack([jnp.asarray(value, jnp.float32) for value in values])
