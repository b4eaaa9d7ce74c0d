"""Tasks that are made harder, or different: wrappers of other tasks.

`ReparamWeights`, `ReducedBatchsizeTask` and `ConvertFloatDType` change what is
computed; `ModifyTaskGradient`, `NormalizeTaskGradient`,
`SubsampleDirectionsTaskGradient` and `AsyncDelayedGradients` keep the loss and change
its gradient only. Wrappers nest, and take tasks with and without model state. Most
have a family, which wraps every task of another family;
`WrappedTaskFamilyWithTaskWrapper` makes one of any wrapper.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from learned_optimization.configurable import configurable
from learned_optimization.errors import LoptError, UnknownNameError
from learned_optimization.tasks.base import (
    Batch,
    ModelState,
    Params,
    PRNGKey,
    Task,
)
from learned_optimization.tasks.gradient_augmentation import (
    AsyncDelayedGradients,
    AsyncDelayedGradientsTaskFamily,
    DelayedState,
    ModifyTaskGradient,
    NormalizeTaskGradient,
    NormalizeTaskGradientTaskFamily,
    SubsampleDirectionsTaskGradient,
    SubsampleDirectionsTaskGradientTaskFamily,
)
from learned_optimization.tasks.wrapped_task import (
    ARRAYS,
    WrappedTask,
    WrappedTaskFamily,
    WrappedTaskFamilyWithTaskWrapper,
    check_positive,
    with_float_dtype,
)

_configurable = configurable(__name__)

__all__ = [
    "AsyncDelayedGradients",
    "AsyncDelayedGradientsTaskFamily",
    "ConvertFloatDType",
    "ConvertFloatDTypeTaskFamily",
    "DelayedState",
    "ModifyTaskGradient",
    "NormalizeTaskGradient",
    "NormalizeTaskGradientTaskFamily",
    "ReducedBatchsizeFamily",
    "ReducedBatchsizeTask",
    "ReparamWeights",
    "ReparamWeightsFamily",
    "SubsampleDirectionsTaskGradient",
    "SubsampleDirectionsTaskGradientTaskFamily",
    "WrappedTaskFamilyWithTaskWrapper",
]

_FLOAT_DTYPES = ("bfloat16", "float16", "float32", "float64")
_LEVELS = ("global", "tensor", "parameter")


@_configurable
@dataclass(frozen=True, eq=False)
class ReparamWeights(WrappedTask):
    """The same loss in parameters divided by a scale.

    Initial parameters are those of the task divided by `param_scale`, and the loss
    is that of `params * param_scale`. Gradients are `param_scale` times, steps of
    plain SGD `param_scale^2` times those of the task.

    Attributes:
      param_scale: a number, a scalar array, or a pytree like the parameters whose
        leaves broadcast against theirs; above 0; may be traced.
    """

    param_scale: Any

    def __post_init__(self) -> None:
        for scale in jax.tree.leaves(self.param_scale):
            if not isinstance(scale, ARRAYS):
                check_positive("param_scale", scale)
            elif not isinstance(scale, Tracer) and not np.all(scale > 0):
                raise LoptError(f"param_scale must be above 0, got {scale}.")

    def _per_leaf(self, function: Any, params: Params) -> Params:
        scale = self.param_scale
        got, want = jax.tree.structure(scale), jax.tree.structure(params)
        if jax.tree_util.treedef_is_leaf(got):
            scale = jax.tree.map(lambda _: scale, params)
        elif got != want:
            raise LoptError(
                f"param_scale has the structure {got}: it must be one number or have "
                f"the structure of the parameters of {self.task.name}, {want}."
            )
        return jax.tree.map(lambda p, s: function(p, s).astype(p.dtype), params, scale)

    def init_with_state(self, key: PRNGKey) -> tuple[Params, ModelState]:
        """Return the start of the task, its parameters divided by the scale."""
        params, state = self.task.init_with_state(key)
        return self._per_leaf(jnp.divide, params), state

    def loss_with_state_and_aux(
        self, params: Params, state: ModelState, key: PRNGKey, data: Batch
    ) -> tuple[jax.Array, ModelState, Any]:
        """Return the loss at `params * param_scale`."""
        params = self._per_leaf(jnp.multiply, params)
        return self.task.loss_with_state_and_aux(params, state, key, data)


@_configurable
@dataclass(frozen=True)
class ReparamWeightsFamily(WrappedTaskFamily):
    """`ReparamWeights` with scales drawn log-uniformly.

    Attributes:
      level: `"global"` draws one scale per task, `"tensor"` one for each array of
        the parameters, `"parameter"` one for each of their entries.
      param_scale_range: the least and the largest scale.
    """

    level: str = "tensor"
    param_scale_range: tuple[float, float] = (0.01, 100.0)
    _wrapper: ClassVar[type[WrappedTask]] = ReparamWeights

    def __post_init__(self) -> None:
        if self.level not in _LEVELS:
            raise UnknownNameError("level", str(self.level), _LEVELS)
        object.__setattr__(self, "param_scale_range", tuple(self.param_scale_range))
        if len(self.param_scale_range) != 2:
            raise LoptError(
                "param_scale_range must be the least and the largest scale, got "
                f"{self.param_scale_range!r}."
            )
        low, high = self.param_scale_range
        check_positive("the largest param_scale", high)
        check_positive("the least param_scale", low, maximum=high)

    def sample(self, key: PRNGKey) -> dict[str, Any]:
        """Draw `{"inner": the inner configuration, "param_scale": float32}`."""
        inner_key, key = jax.random.split(key)
        inner = self.task_family.sample(inner_key)
        low, high = np.log(self.param_scale_range)

        def draw(key, shape):
            return jnp.exp(jax.random.uniform(key, shape, minval=low, maxval=high))

        if self.level == "global":
            return {"inner": inner, "param_scale": draw(key, ())}
        params = jax.eval_shape(self.task_family.task_fn(inner).init, key)
        leaves, treedef = jax.tree.flatten(params)
        shapes = [a.shape if self.level == "parameter" else () for a in leaves]
        keys = jax.random.split(key, max(len(leaves), 1))
        scales = [draw(k, shape) for k, shape in zip(keys, shapes, strict=False)]
        return {"inner": inner, "param_scale": jax.tree.unflatten(treedef, scales)}

    def _wrapped(self, task_fn: Callable[[Any], Task], cfg: dict[str, Any]) -> Task:
        return ReparamWeights(task_fn(cfg["inner"]), cfg["param_scale"])


@_configurable
@dataclass(frozen=True, eq=False)
class ReducedBatchsizeTask(WrappedTask):
    """The loss of the first examples of each batch only.

    Of `n` examples these are the first `m = floor(n fraction_of_batchsize)`, at least
    1. Examples are along the first axis of every array of the batch; scalars stay as
    they are.

    Where the fraction is traced, shapes cannot follow it: example `i` is replaced by
    example `i mod m`, which keeps all `n` rows. If `m` divides `n` and the loss is a
    mean over examples, that is the loss of the first `m` up to rounding; otherwise
    the first `n mod m` examples weigh more. A loss that draws (dropout, noise)
    draws for each of the `n` rows.

    Attributes:
      fraction_of_batchsize: above 0 and at most 1; may be a traced scalar.
    """

    fraction_of_batchsize: float | jax.Array

    def __post_init__(self) -> None:
        value = self.fraction_of_batchsize
        if not isinstance(value, Tracer):
            if isinstance(value, ARRAYS) and value.ndim == 0:
                value = value.item()
            check_positive("fraction_of_batchsize", value, maximum=1.0)

    def loss_with_state_and_aux(
        self, params: Params, state: ModelState, key: PRNGKey, data: Batch
    ) -> tuple[jax.Array, ModelState, Any]:
        """Return the loss of the reduced batch."""
        data = jax.tree.map(self._reduce, data)
        return self.task.loss_with_state_and_aux(params, state, key, data)

    def _reduce(self, x: jax.Array) -> jax.Array:
        if jnp.ndim(x) == 0:
            return x
        n, fraction = x.shape[0], self.fraction_of_batchsize
        if isinstance(fraction, ARRAYS):
            m = jnp.clip(jnp.floor(n * fraction), 1, n).astype(jnp.int32)
            return jnp.asarray(x)[jnp.arange(n) % m]
        return x[: max(1, int(n * fraction))]


@_configurable
@dataclass(frozen=True)
class ReducedBatchsizeFamily(WrappedTaskFamily):
    """`ReducedBatchsizeTask` with one fraction, or one of several drawn uniformly.

    Attributes:
      fraction_of_batchsize: a number, which really shrinks the batch; or a sequence
        of numbers to draw from, where the reduced batch is repeated to keep its
        shape.
    """

    fraction_of_batchsize: Any = (0.125, 0.25, 0.5, 1.0)
    _wrapper: ClassVar[type[WrappedTask]] = ReducedBatchsizeTask

    def __post_init__(self) -> None:
        fractions = self.fraction_of_batchsize
        if isinstance(fractions, (tuple, list)):
            object.__setattr__(self, "fraction_of_batchsize", tuple(fractions))
            if not fractions:
                raise LoptError(
                    "fraction_of_batchsize must be a number or at least one to draw "
                    "from, got none."
                )
        else:
            fractions = (fractions,)
        for fraction in fractions:
            check_positive("fraction_of_batchsize", fraction, maximum=1.0)

    def sample(self, key: PRNGKey) -> dict[str, Any]:
        """Draw `{"inner": the inner configuration, "fraction": float32}`."""
        inner_key, key = jax.random.split(key)
        fractions = jnp.asarray(self.fraction_of_batchsize, jnp.float32)
        fraction = jax.random.choice(key, jnp.atleast_1d(fractions))
        return {"inner": self.task_family.sample(inner_key), "fraction": fraction}

    def _wrapped(self, task_fn: Callable[[Any], Task], cfg: dict[str, Any]) -> Task:
        several = isinstance(self.fraction_of_batchsize, tuple)
        fraction = cfg["fraction"] if several else self.fraction_of_batchsize
        return ReducedBatchsizeTask(task_fn(cfg["inner"]), fraction)


@_configurable
@dataclass(frozen=True, eq=False)
class ConvertFloatDType(WrappedTask):
    """Computes in another float type.

    Float arrays of the parameters, the model state and the batch are converted to
    `dtype`, others are left alone. The loss and the auxiliary values come back as
    float32; gradients have the type of the parameters given.

    Attributes:
      dtype: a float type or its name: `"bfloat16"`, `"float16"`, `"float32"`, or
        `"float64"` where jax has been told to use it.
    """

    dtype: Any = "bfloat16"

    def __post_init__(self) -> None:
        try:
            name = jnp.dtype(self.dtype).name
        except TypeError:
            name = str(self.dtype)
        if name not in _FLOAT_DTYPES:
            raise UnknownNameError("float dtype", name, _FLOAT_DTYPES)
        if name == "float64" and not jax.config.read("jax_enable_x64"):
            raise LoptError(
                "dtype 'float64' needs jax's 64-bit mode: set JAX_ENABLE_X64=1, or "
                "use float32."
            )
        object.__setattr__(self, "dtype", name)

    def init_with_state(self, key: PRNGKey) -> tuple[Params, ModelState]:
        """Return the start of the task, converted."""
        return with_float_dtype(self.task.init_with_state(key), self.dtype)

    def loss_with_state_and_aux(
        self, params: Params, state: ModelState, key: PRNGKey, data: Batch
    ) -> tuple[jax.Array, ModelState, Any]:
        """Return the loss computed in `dtype`, as float32; the state in `dtype`."""
        params, state, data = with_float_dtype((params, state, data), self.dtype)
        loss, state, aux = self.task.loss_with_state_and_aux(params, state, key, data)
        return (
            with_float_dtype(loss, "float32"),
            with_float_dtype(state, self.dtype),
            with_float_dtype(aux),
        )


@_configurable
@dataclass(frozen=True)
class ConvertFloatDTypeTaskFamily(WrappedTaskFamily):
    """`ConvertFloatDType` of every task of a family."""

    dtype: Any = "bfloat16"
    _wrapper: ClassVar[type[WrappedTask]] = ConvertFloatDType
