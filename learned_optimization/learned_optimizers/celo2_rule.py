"""The learned rule of Celo2: a network per parameter, whose steps have unit size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from learned_optimization.errors import LoptError
from learned_optimization.learned_optimizers import accumulators, features, network
from learned_optimization.learned_optimizers.accumulators import Accumulators, Decays
from learned_optimization.learned_optimizers.base import LearnedOptimizer, PRNGKey
from learned_optimization.learned_optimizers.decay_checks import check_decays
from learned_optimization.learned_optimizers.network import Layers
from learned_optimization.learned_optimizers.newton_schulz import newton_schulz
from learned_optimization.optimizers.base import Scalar

_EPSILON = 1e-9
_NUM_OUTPUTS = 3
_ACTIVATIONS = {"relu": jax.nn.relu, "tanh": jnp.tanh}

_FLAGS = {
    "with_g": ("g",),
    "with_grad_clip_feat": ("clipped_g",),
    "with_p": ("p",),
    "with_m": ("m",),
    "with_rms": ("rms",),
    "with_rms_norm_g": ("m_over_rms",),
    "with_rsqrt_rms": ("rsqrt_rms",),
    "with_fac_norm_g": ("factored_g",),
    "with_rms_only_norm_g": ("g_over_rms",),
    "with_fac_rms": ("row", "col"),
    "with_fac_rsqrt": ("rsqrt_row", "rsqrt_col"),
    "with_fac_mom_mult": ("factored_m",),
}
"""Which groups of features a setting is about."""


class Celo2Rule(LearnedOptimizer):
    """The settings of the rule; `Celo2Base` documents them."""

    ff_hidden_size: int
    ff_hidden_layers: int
    initial_momentum_decays: tuple[float, ...]
    initial_rms_decays: tuple[float, ...]
    initial_adafactor_decays: tuple[float, ...]
    exp_mult: Scalar
    rmsmult: Scalar
    param_scale_mult: bool
    precondition_output: bool
    normalize_input: bool
    normalize_output: bool
    aggregate_mag: bool
    bias_correction: bool
    mlp_activation: str
    orthogonalize: bool
    ns_coeffs: tuple[float, float, float]
    ns_iters: int
    ns_eps: float

    def __post_init__(self) -> None:
        """Check the decays and the name of the activation."""
        super().__post_init__()
        check_decays(type(self).__name__, self.decays)
        if self.mlp_activation not in _ACTIVATIONS:
            raise LoptError(
                f"{type(self).__name__}.mlp_activation must be "
                f"{' or '.join(_ACTIVATIONS)}, got {self.mlp_activation!r}."
            )

    def init(self, key: PRNGKey) -> dict[str, Any]:
        """Return random weights of the network, its first layer a block per group."""
        groups = self._widths()
        num_inputs = sum(groups)
        hidden = (self.ff_hidden_size,) * self.ff_hidden_layers
        layers = network.init_layers(key, num_inputs, hidden, _NUM_OUTPUTS)
        ends = [sum(groups[:i]) for i in range(1, len(groups))]
        blocks = jnp.split(layers.weights[0], ends)
        nn = {f"w0__{i}": block for i, block in enumerate(blocks)}
        nn |= {f"w{i}": w for i, w in enumerate(layers.weights) if i}
        nn |= {f"b{i}": b for i, b in enumerate(layers.biases)}
        return {"ff_mod_stack": {"~": nn}}

    @property
    def decays(self) -> Decays:
        """The decays of the averages."""
        return Decays(
            self.initial_momentum_decays,
            self.initial_rms_decays,
            self.initial_adafactor_decays,
        )

    def direction(
        self,
        theta: Mapping[str, Any],
        param: jax.Array,
        grad: jax.Array,
        acc: Accumulators,
        num_updates: jax.Array,
    ) -> jax.Array:
        """Return what a tensor is stepped by, at a learning rate of 1.

        Args:
          theta: meta-parameters.
          param: the tensor, float32 `[*shape]` of at least one axis.
          grad: its gradient, clipped.
          acc: averages of its gradients, this one among them.
          num_updates: how many gradients these are.
        """
        inputs = (features.inputs(param, grad, acc),)
        if self.bias_correction:
            acc = _corrected(acc, self.decays, num_updates)
            inputs = (*inputs, features.inputs(param, grad, acc))
        num_groups = len(self._groups(*inputs))
        outputs = network.apply(
            _layers(theta["ff_mod_stack"]["~"], num_groups, self.ff_hidden_layers),
            lambda inputs: list(self._groups(*inputs).values()),
            inputs,
            param.shape,
            epsilon=_EPSILON if self.normalize_input else None,
            num_axes=2,
            activation=_ACTIVATIONS[self.mlp_activation],
        )
        direction, magnitude, _ = outputs
        if self.aggregate_mag:
            magnitude = jnp.mean(magnitude)
        step = direction * jnp.exp(magnitude * self.exp_mult)
        if self.param_scale_mult:
            step = step * jnp.sqrt(jnp.mean(jnp.square(param)) + _EPSILON)
        if self.orthogonalize and param.ndim > 1:
            step = newton_schulz(step, self.ns_coeffs, self.ns_iters, self.ns_eps)
        if self.normalize_output:
            axes = tuple(range(param.ndim))[-2:]
            square = jnp.mean(jnp.square(step), axes, keepdims=True)
            step = step * jax.lax.rsqrt(square + _EPSILON)
        step = step * self.rmsmult
        if self.precondition_output:
            step = step * jax.lax.rsqrt(acc.rms[-1] + 1e-6)
        return step

    def _groups(self, *inputs: features.Inputs) -> dict[str, jax.Array]:
        """Return the features by group, of averages as they are and corrected."""
        raw, read = inputs[0], inputs[-1]
        groups = features.thirty(
            read, epsilon=1e-8, factored=read.row_factor is not None
        )
        # The published program corrects what it reads, after it has made this one.
        groups["factored_g"] = features.factored_grad(raw)
        left_out = {
            group
            for flag, names in _FLAGS.items()
            if not getattr(self, flag)
            for group in names
        }
        return {name: x for name, x in groups.items() if name not in left_out}

    def _widths(self) -> list[int]:
        """Return how many features each group of a matrix has."""

        def groups() -> list[jax.Array]:
            one = jnp.zeros((1, 1))
            acc = accumulators.start(one.shape, self.decays)
            return list(self._groups(features.inputs(one, one, acc)).values())

        return [group.shape[0] for group in jax.eval_shape(groups)]


def _corrected(
    acc: Accumulators, decays: Decays, num_updates: jax.Array
) -> Accumulators:
    """Return averages divided by what they would be had all gradients been 1."""

    def correct(averages: Any, kept: Any) -> Any:
        weights = 1 - jnp.asarray(kept, jnp.float32) ** num_updates

        def one(x: jax.Array) -> jax.Array:
            return x / weights.reshape(-1, *[1] * (x.ndim - 1))

        # None, of averages that a tensor has not, stays None.
        return jax.tree.map(one, averages)

    return Accumulators(
        momentum=correct(acc.momentum, decays.momentum),
        rms=correct(acc.rms, decays.rms),
        row=correct(acc.row, decays.factored),
        col=correct(acc.col, decays.factored),
        diagonal=correct(acc.diagonal, decays.factored),
    )


def _layers(nn: Mapping[str, jax.Array], num_groups: int, hidden_layers: int) -> Layers:
    """Return the network; its first layer has blocks for the first groups only."""
    first = jnp.concatenate([nn[f"w0__{i}"] for i in range(num_groups)])
    later = range(1, hidden_layers + 1)
    return Layers(
        [first, *(nn[f"w{i}"] for i in later)],
        [nn[f"b{i}"] for i in (0, *later)],
    )
