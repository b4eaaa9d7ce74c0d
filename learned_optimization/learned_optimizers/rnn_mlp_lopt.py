"""RNNMLPLOpt: an LSTM per tensor that steers a network per parameter.

From Metz et al. 2020, "Tasks, stability, architecture, and compute: training more
effective learned optimizers, and using them to train themselves" (arXiv:2009.11243).
"""

from __future__ import annotations

from typing import Any, ClassVar

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from learned_optimization.learned_optimizers import (
    features,
    lstm,
    network,
    rnn_mlp_features,
)
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
from learned_optimization.learned_optimizers.mlp_lopt import (
    averages,
    layers_of,
    named_layers,
    step,
)
from learned_optimization.learned_optimizers.running_statistics import (
    DynamicClip,
    LossAverage,
)
from learned_optimization.learned_optimizers.tensors import put_back, tensors
from learned_optimization.optimizers.base import Gradient, Scalar

__all__ = ["RNNMLPLOpt", "RNNMLPLOptState"]

_TRAIN_DECAY, _VALID_DECAY = 0.9, 0.95


@flax.struct.dataclass
class RNNMLPLOptState:
    """State of `RNNMLPLOpt`; T tensors, k decays.

    Attributes:
      params: the parameters.
      state: the model state.
      momenta: averages of gradients, float32 `[k, *shape]` per tensor.
      squares: averages of squared gradients, alike.
      iteration: updates done, int32.
      lstm_state: the LSTM's state, `[T, lstm_hidden_size]` each.
      from_mlp: what the network said of each tensor, `[T, from_mlp_size]`.
      from_lstm: what the LSTM said of all tensors, `[from_lstm_size]`.
      train_loss: statistics of training losses.
      valid_loss: statistics of validation losses.
      clip: what gradients are clipped to.
    """

    params: Any
    state: Any
    momenta: list[jax.Array]
    squares: list[jax.Array]
    iteration: jax.Array
    lstm_state: lstm.LSTMState
    from_mlp: jax.Array
    from_lstm: jax.Array
    train_loss: LossAverage
    valid_loss: LossAverage
    clip: DynamicClip


@learned_optimizer
class RNNMLPLOpt(LearnedOptimizer):
    """An LSTM per tensor, and a network per parameter that it steers.

    The LSTM reads statistics of the tensor, of the losses, and what network and LSTM
    said a step before. Each parameter moves by `d exp(a magnitude_rate)
    step_multiplier`, of the first two outputs of the network.

    With `is_valid` the loss is of validation data: it is noted, and nothing moves.

    Attributes:
      step_multiplier: what steps are multiplied by.
      magnitude_rate: what magnitudes are multiplied by.
      hidden_size: number of outputs of each hidden layer of the network.
      hidden_layer: how many there are.
      from_mlp_size: how many numbers the network tells the LSTM.
      from_lstm_size: how many numbers the LSTM tells itself, of all tensors.
      lstm_to_ff: how many numbers the LSTM tells the network.
      lstm_hidden_size: size of the LSTM.
      decays: of averages of gradients, and of their squares.
    """

    step_multiplier: Scalar = hparam(default=1e-3)
    magnitude_rate: Scalar = hparam(default=1e-3)
    hidden_size: int = static_field(default=32)
    hidden_layer: int = static_field(default=2)
    from_mlp_size: int = static_field(default=16)
    from_lstm_size: int = static_field(default=18)
    lstm_to_ff: int = static_field(default=17)
    lstm_hidden_size: int = static_field(default=64)
    decays: tuple[float, ...] = static_field(default=(0.5, 0.9, 0.99, 0.999, 0.9999))

    needs: ClassVar[frozenset[str]] = frozenset({"loss"})

    def init(self, key: PRNGKey) -> MetaParams:
        """Return networks that nothing has trained."""
        keys = jax.random.split(key, 6)
        of_tensor = (
            rnn_mlp_features.NUM_TENSOR_FEATURES
            + self.from_mlp_size
            + self.from_lstm_size
        )
        of_parameter = 3 + 4 * len(self.decays) + len(features.TIMESCALES) + 3
        of_parameter += self.lstm_to_ff
        hidden, outputs = self.lstm_hidden_size, 2 + self.from_mlp_size
        layers = [self.hidden_size] * self.hidden_layer
        return {
            "initial_from_mlp": _init_vector(keys[0], self.from_mlp_size),
            "initial_from_lstm": _init_vector(keys[1], self.from_lstm_size),
            "lstm_init_state": lstm.init_state(hidden),
            "rnn_params": {"rnn/linear": lstm.init_lstm(keys[2], of_tensor, hidden)},
            "rnn_to_ff_params": {
                "rnn_to_ff": lstm.init_linear(keys[3], hidden, self.lstm_to_ff)
            },
            "rnn_to_in_params": {
                "rnn_to_in": lstm.init_linear(keys[4], hidden, self.from_lstm_size)
            },
            "ffmod_params": named_layers(
                network.init_layers(keys[5], of_parameter, layers, outputs)
            ),
        }

    def opt_init(
        self,
        theta: MetaParams,
        params: Params,
        model_state: ModelState,
        num_steps: Any,
        key: PRNGKey | None,
    ) -> RNNMLPLOptState:
        """Return the state before the first update."""
        del num_steps, key
        of_tensors = tensors(params)
        num_decays = len(self.decays)
        zeros = [jnp.zeros((num_decays, *p.shape), jnp.float32) for p in of_tensors]
        from_mlp = jnp.asarray(theta["initial_from_mlp"], jnp.float32)
        return RNNMLPLOptState(
            params=params,
            state=model_state,
            momenta=zeros,
            squares=zeros,
            iteration=jnp.zeros([], jnp.int32),
            lstm_state=lstm.start(theta["lstm_init_state"], len(of_tensors)),
            from_mlp=jnp.tile(from_mlp, (len(of_tensors), 1)),
            from_lstm=jnp.asarray(theta["initial_from_lstm"], jnp.float32),
            train_loss=LossAverage.start(),
            valid_loss=LossAverage.start(),
            clip=DynamicClip.start(),
        )

    def opt_update(
        self,
        theta: MetaParams,
        opt_state: OptState,
        grad: Gradient,
        *,
        loss: jax.Array | None,
        model_state: ModelState,
        is_valid: bool | jax.Array,
        key: PRNGKey | None,
    ) -> RNNMLPLOptState:
        """Return the state after one step, or with a validation loss noted."""
        del key

        def validate() -> RNNMLPLOptState:
            return opt_state.replace(
                valid_loss=opt_state.valid_loss.add(loss, _VALID_DECAY),
                iteration=opt_state.iteration + 1,
            )

        def train() -> RNNMLPLOptState:
            return self._train(theta, opt_state, grad, loss, model_state)

        if isinstance(is_valid, bool | np.bool_):
            return validate() if is_valid else train()
        return jax.lax.cond(is_valid, validate, train)

    def _train(
        self,
        theta: MetaParams,
        opt_state: OptState,
        grad: Gradient,
        loss: Any,
        model_state: ModelState,
    ) -> RNNMLPLOptState:
        of_params, grads = tensors(opt_state.params), tensors(grad)
        if not of_params:
            return opt_state.replace(
                state=model_state, iteration=opt_state.iteration + 1
            )
        train_loss, losses = self._losses(opt_state, loss)
        clip, grads = opt_state.clip.clip(grads)
        momenta = [
            averages(m, g, self.decays)
            for m, g in zip(opt_state.momenta, grads, strict=True)
        ]
        squares = [
            averages(v, jnp.square(g), self.decays)
            for v, g in zip(opt_state.squares, grads, strict=True)
        ]
        shapes = [
            jnp.shape(p) for p in jax.tree.leaves(opt_state.params) if jnp.size(p)
        ]
        of_tensors = [
            rnn_mlp_features.tensor_features(*of_tensor, losses)
            for of_tensor in zip(
                shapes, of_params, grads, momenta, squares, strict=True
            )
        ]
        from_lstm = jnp.tile(opt_state.from_lstm, (len(shapes), 1))
        # In the alphabetical order of the published names of features.
        inputs = [from_lstm, opt_state.from_mlp, jnp.stack(of_tensors)]
        state = lstm.lstm(
            theta["rnn_params"]["rnn/linear"],
            jnp.concatenate(inputs, 1),
            opt_state.lstm_state,
        )
        said = lstm.linear(theta["rnn_to_in_params"]["rnn_to_in"], state.hidden)
        to_network = lstm.linear(theta["rnn_to_ff_params"]["rnn_to_ff"], state.hidden)

        moved = [
            self._move(theta, opt_state.iteration, len(shapes), *of_tensor)
            for of_tensor in zip(
                of_params, grads, momenta, squares, to_network, strict=True
            )
        ]
        return RNNMLPLOptState(
            params=put_back(opt_state.params, [param for param, _ in moved]),
            state=model_state,
            momenta=momenta,
            squares=squares,
            iteration=opt_state.iteration + 1,
            lstm_state=state,
            from_mlp=jnp.stack([from_mlp for _, from_mlp in moved]),
            from_lstm=jnp.mean(said, 0),
            train_loss=train_loss,
            valid_loss=opt_state.valid_loss,
            clip=clip,
        )

    def _move(
        self,
        theta: MetaParams,
        iteration: jax.Array,
        num_tensors: int,
        param: jax.Array,
        grad: jax.Array,
        momenta: jax.Array,
        squares: jax.Array,
        told: jax.Array,
    ) -> tuple[jax.Array, jax.Array]:
        """Return a tensor after the step, and what the network says of it."""
        time, sizes = (
            features.sine_of_time(iteration),
            rnn_mlp_features.sizes(param, num_tensors),
        )
        outputs = network.apply(
            layers_of(theta["ffmod_params"]),
            rnn_mlp_features.parameter_features,
            (grad[None], param[None], momenta, squares),
            param.shape,
            constants=jnp.concatenate([time, sizes, told]),
        )
        move = step(outputs[0], outputs[1], self.magnitude_rate, self.step_multiplier)
        return param - move, jnp.mean(outputs[2:], tuple(range(1, outputs.ndim)))

    def _losses(self, opt_state: OptState, loss: Any) -> tuple[LossAverage, jax.Array]:
        """Return statistics with this loss, and the features of losses, `[2]`."""
        loss = jnp.asarray(loss, jnp.float32)
        train_loss = opt_state.train_loss.add(loss, _TRAIN_DECAY)
        valid = opt_state.valid_loss.corrected_mean(_VALID_DECAY)
        both = [train_loss.feature(x, _TRAIN_DECAY) for x in (loss, valid)]
        return train_loss, jnp.stack(both)


def _init_vector(key: PRNGKey, size: int) -> jax.Array:
    """Return normal numbers of variance `1/size`, those beyond two deviations redrawn.

    That makes them vary less, which is corrected for; it is not in `init_weights`.
    """
    return network.init_weights(key, size, (size,)) / 0.87962566103423978
