"""Celo and Celo-Adam: a learned step size for the whole run, and what it multiplies.

Moudgil, Knyazev, Lajoie & Belilovsky 2025, "Celo: Training Versatile Learned Optimizers
on a Compute Diet", arXiv:2501.12670. The LSTM is told of the loss and the progress of
the run and of no tensor, so that it has one row.
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import flax.struct
import jax
import jax.numpy as jnp

from learned_optimization.learned_optimizers import loss_buffer, lstm
from learned_optimization.learned_optimizers.accumulators import Accumulators
from learned_optimization.learned_optimizers.base import (
    LearnedOptimizer,
    MetaParams,
    ModelState,
    Params,
    PRNGKey,
    hparam,
    learned_optimizer,
    static_field,
)
from learned_optimization.learned_optimizers.hyper_v2 import MAX_GRADIENT, HyperV2
from learned_optimization.learned_optimizers.loss_buffer import LossBuffer
from learned_optimization.learned_optimizers.lstm import LSTMState
from learned_optimization.learned_optimizers.tensors import put_back, tensors
from learned_optimization.optimizers.base import Gradient, Scalar


@learned_optimizer
class Celo(HyperV2):
    """Celo: a per-parameter network, and an LSTM that schedules its steps.

    Trained in two phases: first the network alone, then the LSTM. Settings are
    `HyperV2`'s, with the defaults of the published weights.

    Attributes:
      train_phase: 1 for steps as the network tells them, 2 for steps that the LSTM
        multiplies, as whoever uses Celo wants them.
    """

    lstm_hidden_size: int = static_field(default=64)
    param_inits: int = static_field(default=1)
    use_bugged_loss_features: bool = static_field(default=False)
    ff_mult: Scalar = hparam(default=1.0)
    train_phase: int = static_field(default=2)

    def _num_rows(self, num_tensors: int) -> int:
        del num_tensors
        return 1

    def _rows(
        self, of_run: jax.Array, params: list[jax.Array], accs: list[Accumulators]
    ) -> jax.Array:
        del params, accs
        return jnp.concatenate([of_run, *self._validation])[None]

    @property
    def _num_inputs(self) -> int:
        return loss_buffer.NUM_GLOBAL_FEATURES + len(self._validation)

    def _step_sizes(self, weights: lstm.Weights, hidden: jax.Array) -> jax.Array:
        if self.train_phase == 1:
            return jnp.ones(1, jnp.float32)
        return 0.1 * jnp.exp(super()._step_sizes(weights, hidden))

    def _controls(self, weights: lstm.Weights, hidden: jax.Array) -> jax.Array:
        return jax.nn.softmax(super()._controls(weights, hidden))


@flax.struct.dataclass
class CeloAdamState:
    """State of Celo-Adam.

    Attributes:
      params: the parameters.
      state: the model state, None for a stateless model.
      momentum: the average of the gradients of each tensor that has elements.
      rms: the average of their squares.
      lstm_hidden_state: state of the LSTM.
      loss_buffer: averages of the losses.
      iteration: int32 scalar, the number of updates done.
      num_steps: int32 scalar, the length of the run.
    """

    params: Any
    state: Any
    momentum: list[jax.Array]
    rms: list[jax.Array]
    lstm_hidden_state: LSTMState
    loss_buffer: LossBuffer
    iteration: jax.Array
    num_steps: jax.Array


@learned_optimizer
class CeloAdam(LearnedOptimizer):
    """Celo-Adam: Adam, whose learning rate an LSTM tells from the losses.

    Unlike Adam, it damps gradients below 1e-5. Of the published settings, those that
    have an effect.

    Attributes:
      lstm_hidden_size: size of the LSTM.
      initial_momentum_decays: the decay of Adam's average of gradients; of several,
        the last.
      initial_rms_decays: the decay of its average of squares; of several, the last.
      mix_layers: whether two layers are between what the LSTM is told and the LSTM.
      step_mult: what all steps are multiplied by.
      validation_mode: what the LSTM is told about which loss is to become small.
      with_validation_feature_dim: whether it is told.
      initial_epsilon: what is added to root mean squares.
      param_scale_mult: whether steps are multiplied by the root mean square of the
        tensor's parameters.
      rnn_state_decay: share of the LSTM's state that is lost in each step.
      mom_decay: whether averages are corrected for their start at zero.
      constant_loss: whether the loss is taken to be 1.
    """

    needs: ClassVar = frozenset({"loss", "num_steps"})

    lstm_hidden_size: int = static_field(default=64)
    initial_momentum_decays: tuple[float, ...] = static_field(default=(0.9,))
    initial_rms_decays: tuple[float, ...] = static_field(default=(0.999,))
    mix_layers: bool = static_field(default=True)
    step_mult: Scalar = hparam(default=0.001)
    validation_mode: bool = static_field(default=False)
    with_validation_feature_dim: bool = static_field(default=False)
    initial_epsilon: Scalar = hparam(default=1e-8)
    param_scale_mult: bool = static_field(default=False)
    rnn_state_decay: Scalar = hparam(default=0.0)
    mom_decay: bool = static_field(default=True)
    constant_loss: bool = static_field(default=False)

    def init(self, key: PRNGKey) -> MetaParams:
        """Return random weights; the LSTM starts at zero."""
        of_mixing, of_lstm, of_size = jax.random.split(key, 3)
        size, num_inputs = self.lstm_hidden_size, loss_buffer.NUM_GLOBAL_FEATURES
        num_inputs += self.with_validation_feature_dim
        weights: lstm.Weights = {}
        if self.mix_layers:
            weights |= lstm.init_mixing(of_mixing, num_inputs, size)
            num_inputs = size
        weights["rnn/linear"] = lstm.init_lstm(of_lstm, num_inputs, size)
        weights["step_size"] = lstm.init_linear(of_size, size, 1)
        return {"lstm_init_state": lstm.init_state(size), "rnn_params": weights}

    def opt_init(
        self,
        theta: MetaParams,
        params: Params,
        model_state: ModelState,
        num_steps: Any,
        key: PRNGKey | None,
    ) -> CeloAdamState:
        """Return the state before the first update; see `LearnedOptimizer`."""
        del key
        return CeloAdamState(
            params=params,
            state=model_state,
            # Arrays of their own, which a program may overwrite.
            momentum=[jnp.zeros_like(p) for p in tensors(params)],
            rms=[jnp.zeros_like(p) for p in tensors(params)],
            lstm_hidden_state=lstm.start(theta["lstm_init_state"], 1),
            loss_buffer=loss_buffer.start(num_steps),
            iteration=jnp.zeros([], jnp.int32),
            num_steps=jnp.asarray(num_steps, jnp.int32),
        )

    def opt_update(
        self,
        theta: MetaParams,
        opt_state: CeloAdamState,
        grad: Gradient,
        *,
        loss: jax.Array | None,
        model_state: ModelState,
        is_valid: bool,
        key: PRNGKey | None,
    ) -> CeloAdamState:
        """Return the state after one step; see `LearnedOptimizer`."""
        del is_valid, key
        theta = jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), theta)
        loss_averages = loss_buffer.advance(
            opt_state.loss_buffer, 1.0 if self.constant_loss else loss
        )
        told = self._told(theta, opt_state, loss_averages)
        head = lstm.linear(theta["rnn_params"]["step_size"], told.hidden)[0, 0]
        step = _AdamStep(
            decays=(self.initial_momentum_decays[-1], self.initial_rms_decays[-1]),
            size=0.1 * jnp.exp(head) * self.step_mult,
            epsilon=self.initial_epsilon,
            count=opt_state.iteration + 1 if self.mom_decay else None,
            in_units_of_params=self.param_scale_mult,
        )
        stepped = [
            step(*of_tensor)
            for of_tensor in zip(
                tensors(opt_state.params),
                tensors(grad),
                opt_state.momentum,
                opt_state.rms,
                strict=True,
            )
        ]
        return CeloAdamState(
            params=put_back(opt_state.params, [p for p, _, _ in stepped]),
            state=model_state,
            momentum=[m for _, m, _ in stepped],
            rms=[v for _, _, v in stepped],
            lstm_hidden_state=lstm.faded(told, self.rnn_state_decay),
            loss_buffer=loss_averages,
            iteration=opt_state.iteration + 1,
            num_steps=opt_state.num_steps,
        )

    def _told(
        self, theta: MetaParams, opt_state: CeloAdamState, loss_averages: LossBuffer
    ) -> LSTMState:
        of_run = loss_buffer.global_features(
            loss_averages, opt_state.iteration, opt_state.num_steps
        )
        rows = of_run[None]
        if self.with_validation_feature_dim:
            mode = jnp.full((1, 1), self.validation_mode, jnp.float32)
            rows = jnp.concatenate([rows, mode], 1)
        weights = theta["rnn_params"]
        mixed = lstm.mix(weights, rows) if self.mix_layers else rows
        return lstm.lstm(weights["rnn/linear"], mixed, opt_state.lstm_hidden_state)


@dataclasses.dataclass(frozen=True)
class _AdamStep:
    """One step of Adam, whose gradients are clipped, of one tensor.

    Attributes:
      decays: of averages of gradients and of squares.
      size: the learning rate.
      epsilon: what is added to root mean squares.
      count: how many gradients are averaged, this one too; None where averages are not
        corrected for their start at zero.
      in_units_of_params: whether the size is in units of the tensor's root mean square.
    """

    decays: tuple[float, float]
    size: jax.Array
    epsilon: Scalar
    count: jax.Array | None
    in_units_of_params: bool

    def __call__(
        self, p: jax.Array, g: jax.Array, m: jax.Array, v: jax.Array
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Return the next parameters and averages."""
        g = jnp.clip(g, -MAX_GRADIENT, MAX_GRADIENT)
        kept_m, kept_v = (jnp.float32(decay) for decay in self.decays)
        m = kept_m * m + (1 - kept_m) * g
        v = kept_v * v + (1 - kept_v) * jnp.square(g)
        mean, square = m, v
        if self.count is not None:
            mean = mean / (1 - kept_m**self.count)
            square = square / (1 - kept_v**self.count)
        step = mean * (self.size / (self.epsilon + jnp.sqrt(square + 1e-10)))
        if self.in_units_of_params:
            step *= jnp.sqrt(jnp.mean(jnp.square(p)) + 1e-9)
        return p - step, m, v
