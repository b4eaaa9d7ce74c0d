"""What AdafacMLPLOpt and MLPNomLOpt share: learned decays, a network, their state.

Theta holds an offset of every decay and the weights of the network. `concat_weights`
and `make_separate_weights` say by which names: as matrices, `w0`, `b0` and so on, or as
scalars, `w0_<input>_<output>`, `b0_<output>`. The arithmetic is the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, ClassVar

import flax.struct
import jax
import jax.numpy as jnp

from learned_optimization.learned_optimizers import accumulators, features, network
from learned_optimization.learned_optimizers.accumulators import Accumulators, Decays
from learned_optimization.learned_optimizers.base import (
    LearnedOptimizer,
    MetaParams,
    ModelState,
    Params,
    PRNGKey,
)
from learned_optimization.learned_optimizers.decay_checks import check_decays
from learned_optimization.learned_optimizers.network import Layers
from learned_optimization.learned_optimizers.tensors import put_back, tensors
from learned_optimization.optimizers.base import Gradient


@flax.struct.dataclass
class AdafacState:
    """State of a learned optimizer of the Adafactor family.

    Attributes:
      params: the parameters.
      state: the model state, None for a stateless model.
      accumulators: averages of the gradients of each tensor that has elements.
      iteration: int32 scalar, the number of updates done.
    """

    params: Any
    state: Any
    accumulators: list[Accumulators]
    iteration: jax.Array


class AdafacLOpt(LearnedOptimizer):
    """The settings and the network that both have.

    Attributes:
      num_outputs: outputs of the network for each parameter.
    """

    num_outputs: ClassVar[int]
    hidden_size: int
    hidden_layers: int
    initial_momentum_decays: tuple[float, ...]
    initial_rms_decays: tuple[float, ...]
    initial_adafactor_decays: tuple[float, ...]
    concat_weights: bool
    make_separate_weights: bool
    split_weights: bool

    def __post_init__(self) -> None:
        """Check the numbers of decays."""
        super().__post_init__()
        check_decays(type(self).__name__, Decays(*self._initial_decays))

    def init(self, key: PRNGKey) -> MetaParams:
        """Return decays as set, and random weights of the network."""
        zeros = [jnp.zeros(len(kept), jnp.float32) for kept in self._initial_decays]
        layers = network.init_layers(key, *self._sizes)
        return {
            "momentum_decays": zeros[0],
            "rms_decays": zeros[1],
            "adafactor_decays": zeros[2],
            "nn": {"~": _named(layers, self._has_scalars)},
        }

    def opt_init(
        self,
        theta: MetaParams,
        params: Params,
        model_state: ModelState,
        num_steps: Any,
        key: PRNGKey | None,
    ) -> AdafacState:
        """Return the state before the first update; see `LearnedOptimizer`."""
        del num_steps, key
        decays = self._decays(theta)
        return AdafacState(
            params=params,
            state=model_state,
            accumulators=[accumulators.start(p.shape, decays) for p in tensors(params)],
            iteration=jnp.zeros([], jnp.int32),
        )

    def opt_update(
        self,
        theta: MetaParams,
        opt_state: AdafacState,
        grad: Gradient,
        *,
        model_state: ModelState,
        **given: Any,
    ) -> AdafacState:
        """Return the state after one step; see `LearnedOptimizer`."""
        del given
        decays, iteration = self._decays(theta), opt_state.iteration
        layers = _layers(theta["nn"]["~"], self._sizes, self._has_scalars)
        time = features.tanh_of_time(iteration)
        params, accs = [], []
        for p, g, old in zip(
            tensors(opt_state.params),
            tensors(grad),
            opt_state.accumulators,
            strict=True,
        ):
            acc = accumulators.advance(old, g, decays)
            outputs = network.apply(
                layers, _groups, features.inputs(p, g, acc), p.shape, constants=time
            )
            params.append(self.stepped(outputs, p, g, acc))
            accs.append(acc)
        return AdafacState(
            params=put_back(opt_state.params, params),
            state=model_state,
            accumulators=accs,
            iteration=iteration + 1,
        )

    def stepped(
        self, outputs: jax.Array, param: jax.Array, grad: jax.Array, acc: Accumulators
    ) -> jax.Array:
        """Return a tensor after one step.

        Args:
          outputs: the network's, float32 `[num_outputs, *shape]`.
          param: the tensor before the step.
          grad: its gradient.
          acc: averages of its gradients, this one among them.
        """
        raise NotImplementedError

    def _decays(self, theta: MetaParams) -> Decays:
        """Return the decays: `1 - (1 - initial) exp(10 offset)`."""
        names = ("momentum_decays", "rms_decays", "adafactor_decays")
        return Decays(
            *(
                1 - (1 - jnp.asarray(initial)) * jnp.exp(10 * theta[name])
                for initial, name in zip(self._initial_decays, names, strict=True)
            )
        )

    @property
    def _initial_decays(self) -> tuple[tuple[float, ...], ...]:
        return (
            self.initial_momentum_decays,
            self.initial_rms_decays,
            self.initial_adafactor_decays,
        )

    @property
    def _has_scalars(self) -> bool:
        return self.make_separate_weights and not self.concat_weights

    @property
    def _sizes(self) -> tuple[int, tuple[int, ...], int]:
        """The inputs, hidden units and outputs of the network."""
        hidden = (self.hidden_size,) * self.hidden_layers
        return self._num_inputs(), hidden, self.num_outputs

    def _num_inputs(self) -> int:
        decays = Decays(*self._initial_decays)

        def groups() -> list[jax.Array]:
            one = jnp.zeros((1, 1))
            acc = accumulators.start(one.shape, decays)
            return _groups(features.inputs(one, one, acc))

        widths = [group.shape[0] for group in jax.eval_shape(groups)]
        return sum(widths) + len(features.TIMESCALES)


def _groups(inputs: features.Inputs) -> list[jax.Array]:
    return list(features.twenty_eight(inputs).values())


def _named(layers: Layers, has_scalars: bool) -> dict[str, jax.Array]:
    named = {}
    for i, (w, b) in enumerate(zip(*layers, strict=True)):
        if not has_scalars:
            named |= {f"w{i}": w, f"b{i}": b}
            continue
        named |= {
            f"w{i}_{row}_{col}": w[row, col]
            for row in range(w.shape[0])
            for col in range(w.shape[1])
        }
        named |= {f"b{i}_{col}": b[col] for col in range(w.shape[1])}
    return named


def _layers(
    nn: Mapping[str, jax.Array],
    sizes: tuple[int, tuple[int, ...], int],
    has_scalars: bool,
) -> Layers:
    num_inputs, hidden, num_outputs = sizes
    numbers = range(len(hidden) + 1)
    if not has_scalars:
        return Layers([nn[f"w{i}"] for i in numbers], [nn[f"b{i}"] for i in numbers])
    weights, biases = [], []
    for i, (rows, cols) in enumerate(pairwise((num_inputs, *hidden, num_outputs))):
        scalars = [
            nn[f"w{i}_{row}_{col}"] for row in range(rows) for col in range(cols)
        ]
        weights.append(jnp.stack(scalars).reshape(rows, cols))
        biases.append(jnp.stack([nn[f"b{i}_{col}"] for col in range(cols)]))
    return Layers(weights, biases)
