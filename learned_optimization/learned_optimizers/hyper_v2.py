"""VeLO: a network per parameter, whose weights an LSTM mixes for each tensor.

Metz et al. 2022, "VeLO: Training Versatile Learned Optimizers by Scaling Up",
arXiv:2211.09760. In one update:

1. The loss goes into averages, and the gradient is clipped.
2. An LSTM, one row per tensor, reads the loss, the progress of the run and statistics
   of the tensor; it tells how to mix a bank of networks, and how far to step.
3. The mixed network reads thirty features of each parameter and tells the step.

Theta has the published names: `rnn_params`, `lstm_init_state`, and `ff_mod_stack`, the
bank, whose arrays have an axis in front.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import flax.struct
import jax
import jax.numpy as jnp

from learned_optimization.learned_optimizers import (
    accumulators,
    bank,
    features,
    loss_buffer,
    lstm,
    network,
)
from learned_optimization.learned_optimizers.accumulators import Accumulators, Decays
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
from learned_optimization.learned_optimizers.loss_buffer import LossBuffer
from learned_optimization.learned_optimizers.lstm import LSTMState
from learned_optimization.learned_optimizers.network import Layers
from learned_optimization.learned_optimizers.tensor_statistics import statistics
from learned_optimization.learned_optimizers.tensors import put_back, tensors
from learned_optimization.optimizers.base import Gradient, Scalar

MAX_GRADIENT = 1000.0
"""Gradients are clipped to this, element by element."""

_NUM_OUTPUTS = 3  # Direction, magnitude, and one that nothing reads.


@flax.struct.dataclass
class HyperV2State:
    """State of VeLO and Celo.

    Attributes:
      params: the parameters.
      state: the model state, None for a stateless model.
      accumulators: averages of the gradients of each tensor that has elements.
      lstm_hidden_state: state of the LSTM.
      loss_buffer: averages of the losses.
      iteration: int32 scalar, the number of updates done.
      num_steps: int32 scalar, the length of the run.
    """

    params: Any
    state: Any
    accumulators: list[Accumulators]
    lstm_hidden_state: LSTMState
    loss_buffer: LossBuffer
    iteration: jax.Array
    num_steps: jax.Array


@learned_optimizer
class HyperV2(LearnedOptimizer):
    """VeLO: per-tensor LSTM, which mixes the weights of a per-parameter network.

    The published weights of VeLO are of `lstm_hidden_size=512, param_inits=256`, with
    both `use_bugged` settings False.

    Attributes:
      lstm_hidden_size: size of the LSTM.
      ff_hidden_size: size of the network's hidden layers.
      ff_hidden_layers: how many hidden layers it has.
      initial_momentum_decays: decays of averages of gradients.
      initial_rms_decays: decays of averages of squared gradients.
      initial_adafactor_decays: decays of factored averages of squared gradients.
      param_inits: how many networks the bank has.
      mix_layers: whether tensors read each other before the LSTM.
      exp_mult: how much the magnitude that the network tells counts.
      step_mult: what all steps are multiplied by.
      validation_mode: what the LSTM is told about which loss is to become small.
      with_validation_feature_dim: whether it is told.
      with_g: whether the gradient is a feature.
      with_m: whether averages of gradients may be.
      with_m_feat: whether they are.
      with_rms: whether averages of squares may be.
      with_rms_feat: whether they are.
      with_rms_norm_g: whether averages of gradients over root mean squares are.
      with_rsqrt_rms: whether inverse root mean squares are.
      with_p: whether the parameter is.
      with_fac_norm_g: whether the gradient over its factored root mean square is.
      with_fac_rms: whether factored averages of squares are.
      with_fac_rsqrt: whether their inverse roots are.
      with_grad_clip_feat: whether the gradient, clipped to 0.1, is.
      with_fac_mom_mult: whether averages of gradients over factored roots are.
      with_rms_only_norm_g: whether the gradient over its root mean square is.
      adafactor_accumulator: whether features of factored averages are, but the
        gradient's.
      param_scale_mult: whether steps are multiplied by the root mean square of the
        tensor's parameters.
      use_bugged_next_lstm_state: whether the LSTM forgets, as some published ones do.
      use_bugged_loss_features: whether losses are averaged as in a run of 10 steps.
      precondition_output: whether steps are divided by root mean squares of gradients.
      reparam_decay: has no effect, as in the published program.
      rnn_state_decay: share of the LSTM's state that is lost in each step.
      summarize_each_layer: has no effect; what the published program logs.
      summarize_all_control: has no effect; what the published program logs.
      constant_loss: whether the loss is taken to be 1.
      clip_param_scale_amount: largest root mean square that counts, in units of the
        root of the tensor's size; None for none.
      ff_mult: what mixed weights are multiplied by.
    """

    needs: ClassVar = frozenset({"loss", "num_steps"})

    lstm_hidden_size: int = static_field(default=128)
    ff_hidden_size: int = static_field(default=4)
    ff_hidden_layers: int = static_field(default=2)
    initial_momentum_decays: tuple[float, ...] = static_field(
        default=(0.9, 0.99, 0.999)
    )
    initial_rms_decays: tuple[float, ...] = static_field(default=(0.999,))
    initial_adafactor_decays: tuple[float, ...] = static_field(
        default=(0.9, 0.99, 0.999)
    )
    param_inits: int = static_field(default=64)
    mix_layers: bool = static_field(default=True)
    exp_mult: Scalar = hparam(default=0.001)
    step_mult: Scalar = hparam(default=0.001)
    validation_mode: bool = static_field(default=False)
    with_validation_feature_dim: bool = static_field(default=False)
    with_g: bool = static_field(default=True)
    with_m: bool = static_field(default=True)
    with_m_feat: bool = static_field(default=True)
    with_rms: bool = static_field(default=True)
    with_rms_feat: bool = static_field(default=True)
    with_rms_norm_g: bool = static_field(default=True)
    with_rsqrt_rms: bool = static_field(default=True)
    with_p: bool = static_field(default=True)
    with_fac_norm_g: bool = static_field(default=True)
    with_fac_rms: bool = static_field(default=True)
    with_fac_rsqrt: bool = static_field(default=True)
    with_grad_clip_feat: bool = static_field(default=True)
    with_fac_mom_mult: bool = static_field(default=True)
    with_rms_only_norm_g: bool = static_field(default=True)
    adafactor_accumulator: bool = static_field(default=True)
    param_scale_mult: bool = static_field(default=True)
    use_bugged_next_lstm_state: bool = static_field(default=False)
    use_bugged_loss_features: bool = static_field(default=True)
    precondition_output: bool = static_field(default=False)
    reparam_decay: Scalar = hparam(default=10.0)
    rnn_state_decay: Scalar = hparam(default=0.0)
    summarize_each_layer: bool = static_field(default=False)
    summarize_all_control: bool = static_field(default=False)
    constant_loss: bool = static_field(default=False)
    clip_param_scale_amount: Scalar | None = hparam(default=None)
    ff_mult: Scalar = hparam(default=100.0)

    def init(self, key: PRNGKey) -> MetaParams:
        """Return random weights; the LSTM starts at zero."""
        of_lstm, of_bank = jax.random.split(key)
        return {
            "lstm_init_state": lstm.init_state(self.lstm_hidden_size),
            "rnn_params": self._init_lstm(of_lstm),
            "ff_mod_stack": {
                "~": bank.init(
                    of_bank,
                    self.param_inits,
                    self._widths,
                    [self.ff_hidden_size] * self.ff_hidden_layers,
                    _NUM_OUTPUTS,
                )
            },
        }

    def opt_init(
        self,
        theta: MetaParams,
        params: Params,
        model_state: ModelState,
        num_steps: Any,
        key: PRNGKey | None,
    ) -> HyperV2State:
        """Return the state before the first update; see `LearnedOptimizer`."""
        del key
        shapes = [p.shape for p in tensors(params)]
        horizon = 10 if self.use_bugged_loss_features else num_steps
        return HyperV2State(
            params=params,
            state=model_state,
            accumulators=[accumulators.start(s, self._decays) for s in shapes],
            lstm_hidden_state=lstm.start(
                theta["lstm_init_state"], self._num_rows(len(shapes))
            ),
            loss_buffer=loss_buffer.start(horizon),
            iteration=jnp.zeros([], jnp.int32),
            num_steps=jnp.asarray(num_steps, jnp.int32),
        )

    def opt_update(
        self,
        theta: MetaParams,
        opt_state: HyperV2State,
        grad: Gradient,
        *,
        loss: jax.Array | None,
        model_state: ModelState,
        is_valid: bool,
        key: PRNGKey | None,
    ) -> HyperV2State:
        """Return the state after one step; see `LearnedOptimizer`."""
        del is_valid, key
        theta = jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), theta)
        loss_averages = loss_buffer.advance(
            opt_state.loss_buffer, 1.0 if self.constant_loss else loss
        )
        of_run = loss_buffer.global_features(
            loss_averages, opt_state.iteration, opt_state.num_steps
        )
        params = tensors(opt_state.params)
        grads = [jnp.clip(g, -MAX_GRADIENT, MAX_GRADIENT) for g in tensors(grad)]
        old = opt_state.accumulators
        rows = self._rows(of_run, params, old)
        weights = theta["rnn_params"]
        mixed = lstm.mix(weights, rows) if self.mix_layers else rows
        hidden = opt_state.lstm_hidden_state
        told = lstm.lstm(weights["rnn/linear"], mixed, hidden)
        controls = self._controls(weights, told.hidden)
        networks = bank.mixed(
            theta["ff_mod_stack"]["~"], controls * (self.ff_mult / self.param_inits)
        )
        step_sizes = list(self._step_sizes(weights, told.hidden))
        step_sizes = jax.lax.optimization_barrier(step_sizes)
        new, accs = [], []
        for i, (p, g, acc) in enumerate(zip(params, grads, old, strict=True)):
            row = i if rows.shape[0] == len(params) else 0
            acc = accumulators.advance(acc, g, self._decays)
            new.append(p - step_sizes[row] * self._step(networks[row], p, g, acc))
            accs.append(acc)
        kept = hidden if self.use_bugged_next_lstm_state else told
        return HyperV2State(
            params=put_back(opt_state.params, new),
            state=model_state,
            accumulators=accs,
            lstm_hidden_state=lstm.faded(kept, self.rnn_state_decay),
            loss_buffer=loss_averages,
            iteration=opt_state.iteration + 1,
            num_steps=opt_state.num_steps,
        )

    @property
    def _decays(self) -> Decays:
        return Decays(
            self.initial_momentum_decays,
            self.initial_rms_decays,
            self.initial_adafactor_decays,
        )

    def _num_rows(self, num_tensors: int) -> int:
        """Return how many rows the LSTM has."""
        return num_tensors

    def _rows(
        self, of_run: jax.Array, params: list[jax.Array], accs: list[Accumulators]
    ) -> jax.Array:
        """Return what the LSTM reads, a row per tensor, before this step's gradient."""
        rows = [
            jnp.concatenate([of_run, statistics(p, acc), *self._validation])
            for p, acc in zip(params, accs, strict=True)
        ]
        return jnp.stack(rows) if rows else jnp.zeros((0, self._num_inputs))

    @property
    def _num_inputs(self) -> int:
        of_tensor = jax.eval_shape(
            lambda: statistics(jnp.ones(1), accumulators.start((1,), self._decays))
        )
        of_run = loss_buffer.NUM_GLOBAL_FEATURES
        return of_run + of_tensor.shape[0] + len(self._validation)

    @property
    def _validation(self) -> list[jax.Array]:
        if not self.with_validation_feature_dim:
            return []
        return [jnp.full(1, self.validation_mode, jnp.float32)]

    def _step_sizes(self, weights: lstm.Weights, hidden: jax.Array) -> jax.Array:
        """Return what the step of each row is multiplied by."""
        return lstm.linear(weights["step_size"], hidden)[:, 0]

    def _controls(self, weights: lstm.Weights, hidden: jax.Array) -> jax.Array:
        """Return what the networks of the bank are mixed by, `[rows, param_inits]`."""
        return lstm.linear(weights["rnn_to_controls"], hidden)

    def _step(
        self, layers: Layers, p: jax.Array, g: jax.Array, acc: Accumulators
    ) -> jax.Array:
        *weights, last = layers.weights
        *biases, last_bias = layers.biases
        direction, magnitude = network.apply(
            # Nothing reads the third output.
            Layers([*weights, last[:, :2]], [*biases, last_bias[:2]]),
            self._groups,
            features.inputs(p, g, acc),
            p.shape,
        )
        step = direction * jnp.exp(magnitude * self.exp_mult) * self.step_mult
        if self.param_scale_mult:
            scale = jnp.sqrt(jnp.mean(jnp.square(p)) + 1e-9)
            if self.clip_param_scale_amount is not None:
                most = self.clip_param_scale_amount * math.sqrt(p.size)
                scale = jnp.minimum(scale, jnp.asarray(most, jnp.float32))
            step *= scale
        if self.precondition_output:
            step *= jax.lax.rsqrt(acc.rms[-1] + 1e-6)
        return step

    def _groups(self, of: features.Inputs) -> Sequence[jax.Array]:
        groups = features.thirty(of)
        return [groups[name] for name in self._group_names]

    @property
    def _group_names(self) -> list[str]:
        """The groups of features that are read, in the order of their weights."""
        factored = self.adafactor_accumulator
        is_read = {
            "g": self.with_g,
            "clipped_g": self.with_grad_clip_feat,
            "p": self.with_p,
            "m": self.with_m and self.with_m_feat,
            "rms": self.with_rms and self.with_rms_feat,
            "m_over_rms": self.with_rms_norm_g,
            "rsqrt_rms": self.with_rsqrt_rms,
            "factored_g": self.with_fac_norm_g,
            "g_over_rms": self.with_rms_only_norm_g,
            "row": factored and self.with_fac_rms,
            "col": factored and self.with_fac_rms,
            "rsqrt_row": factored and self.with_fac_rsqrt,
            "rsqrt_col": factored and self.with_fac_rsqrt,
            "factored_m": factored and self.with_fac_mom_mult,
        }
        return [name for name, is_one in is_read.items() if is_one]

    @property
    def _widths(self) -> list[int]:
        """How many features each group has."""
        one = jnp.ones(1)
        acc = accumulators.start((1,), self._decays)
        groups = jax.eval_shape(lambda: self._groups(features.inputs(one, one, acc)))
        return [group.shape[0] for group in groups]

    def _init_lstm(self, key: PRNGKey) -> lstm.Weights:
        of_mixing, of_lstm, of_controls, of_size = jax.random.split(key, 4)
        size, num_inputs = self.lstm_hidden_size, self._num_inputs
        weights: lstm.Weights = {}
        if self.mix_layers:
            weights |= lstm.init_mixing(of_mixing, num_inputs, size)
            num_inputs = size
        weights["rnn/linear"] = lstm.init_lstm(of_lstm, num_inputs, size)
        weights["rnn_to_controls"] = lstm.init_linear(
            of_controls, size, self.param_inits
        )
        weights["step_size"] = lstm.init_linear(of_size, size, 1)
        return weights
