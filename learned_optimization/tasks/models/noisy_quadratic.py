"""A quadratic of many curvatures whose gradients are noisy.

As the noisy quadratic model of Zhang et al. 2019, "Which algorithmic choices matter
at which batch sizes?" (arXiv:1907.04164): the covariance of the gradient's noise is
proportional to the curvature. Here the axes of the curvature are not those of the
parameters, so that a step size per parameter alone does not solve it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np

from learned_optimization.tasks.base import Batch, Params, PRNGKey, Task
from learned_optimization.tasks.quadratics import GaussianOffsets


@dataclass(frozen=True)
class NoisyQuadraticTask(Task):
    """`mean_b sum_i (sqrt(h_i) y_i - noise_std e_bi)^2 / 2` with `y = C x`.

    `C` is the discrete cosine transform of `dim` numbers, which is orthonormal, and
    `h_i` falls from 1 to `1 / condition` in equal ratios. No parameters have a loss
    below `dim noise_std^2 / 2`, on average over batches.

    Attributes:
      datasets: the offsets `e`, float32 `[batch, dim]`.
      condition: the largest curvature divided by the smallest.
      noise_std: standard deviation of the noise.
    """

    # `field()` keeps the None of `Task` from becoming this field's default.
    datasets: GaussianOffsets = field()  # pyright: ignore[reportIncompatibleVariableOverride]
    condition: float
    noise_std: float = 0.1

    def init(self, key: PRNGKey) -> Params:
        """Return a standard normal draw, `{"x": f32[dim]}`."""
        return {"x": jax.random.normal(key, (self.datasets.dim,))}

    def loss(self, params: Params, key: PRNGKey, data: Batch) -> jax.Array:
        """Return the loss of one batch of offsets, a scalar."""
        roots = _curvatures(self.datasets.dim, self.condition) ** 0.5
        point = roots * (cosine_transform(self.datasets.dim) @ params["x"])
        error = point - self.noise_std * data["offset"]
        return jnp.mean(jnp.sum(jnp.square(error), axis=-1)) / 2

    def normalizer(self, loss: jax.Array) -> jax.Array:
        """Clip at twice the loss expected before training, which NaN becomes too."""
        dim = self.datasets.dim
        start = float(_curvatures(dim, self.condition).sum())
        worst = start + dim * self.noise_std**2
        return jnp.clip(jnp.nan_to_num(loss, nan=worst), 0.0, worst)


def _curvatures(dim: int, condition: float) -> np.ndarray:
    return np.geomspace(1.0, 1.0 / condition, dim, dtype=np.float32)


@lru_cache(maxsize=8)
def cosine_transform(dim: int) -> np.ndarray:
    """Return the orthonormal discrete cosine transform, float32 `[dim, dim]`."""
    frequency, place = np.arange(dim)[:, None], np.arange(dim) + 0.5
    matrix = np.sqrt(2 / dim) * np.cos(np.pi / dim * frequency * place)
    matrix[0] /= np.sqrt(2)
    return matrix.astype(np.float32)
