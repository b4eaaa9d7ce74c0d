"""From a loss to the number of steps a tuned baseline needs for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from learned_optimization.baselines.speedups.curve import Band, BaselineCurve
from learned_optimization.errors import LoptError, UnknownNameError

NonFinite = Literal["zero", "nan"]
"""What a loss that is NaN or infinite becomes: 0 steps, or NaN."""


def check_nonfinite(nonfinite: str) -> None:
    """Raise `UnknownNameError` unless it is a choice of `NonFinite`."""
    if nonfinite not in get_args(NonFinite):
        raise UnknownNameError("choice of nonfinite", nonfinite, get_args(NonFinite))


@dataclass(frozen=True, eq=False)
class Normalizer:
    """Maps losses to steps of the baseline; every method may be jitted and vmapped.

    A loss maps to the first step at which the baseline's curve is as low, linearly
    interpolated in float32. Two kinds of loss have no such step: those below all of
    the curve map to its horizon (`is_censored`), those above its beginning to 0
    (`is_worse_than_start`).

    Attributes:
      task: name of the task whose losses it maps.
      curve: the baseline's lowest loss by each step.
      nonfinite: what a loss that is not finite becomes: `zero`, as in published
        normalizers, where divergence and no progress are the same, or `nan`.
    """

    task: str
    curve: BaselineCurve
    nonfinite: NonFinite = "zero"

    def __post_init__(self) -> None:
        check_nonfinite(self.nonfinite)

    @property
    def steps(self) -> np.ndarray:
        """Steps of the curve, float64 `[points]`."""
        return self.curve.steps

    @property
    def losses(self) -> np.ndarray:
        """Losses of the curve, float64 `[points]`, never rising."""
        return self.curve.losses

    @property
    def band(self) -> Band | None:
        """Losses of the curve with other seeds; None if they are not known."""
        return self.curve.band

    @property
    def horizon(self) -> float:
        """The baseline's last step: what no loss can map beyond."""
        return float(self.curve.steps[-1])

    def __call__(self, loss: ArrayLike) -> jax.Array:
        """Return steps the baseline needs to reach losses.

        Args:
          loss: float `[...]`.

        Returns:
          Float `[...]`, in [0, horizon].
        """
        return self._finite_only(loss, self._invert(loss, self.losses))

    def is_censored(self, loss: ArrayLike) -> jax.Array:
        """Return whether the baseline never got as low: it needs more than the horizon.

        Args:
          loss: float `[...]`.

        Returns:
          Bool `[...]`; false where the loss is not finite.
        """
        return jnp.isfinite(loss) & (jnp.asarray(loss) < self.losses[-1])

    def is_worse_than_start(self, loss: ArrayLike) -> jax.Array:
        """Return whether the loss is above the one the baseline starts at.

        Args:
          loss: float `[...]`.

        Returns:
          Bool `[...]`; false where the loss is not finite.
        """
        return jnp.isfinite(loss) & (jnp.asarray(loss) > self.losses[0])

    def interval(self, loss: ArrayLike) -> tuple[jax.Array, jax.Array]:
        """Return fewest and most steps it might be with other seeds of the baseline.

        The bounds are quantiles, over resampled seeds, of the steps at which the
        baseline reaches the loss. The most is infinite where that quantile lies
        beyond the horizon.

        Args:
          loss: float `[...]`.

        Returns:
          Two float arrays `[...]`.

        Raises:
          LoptError: if nothing is known of other seeds.
        """
        if (band := self.band) is None:
            raise LoptError(
                f"the normalizer of {self.task} has no band: its file has none of our "
                "information beside it, or the baseline has one seed. "
                "`build_and_write` makes one from archives of several seeds."
            )
        # A baseline that reaches lower losses needs fewer steps.
        fewest = self._invert(loss, band.low)
        most = self._invert(loss, band.high)
        most = jnp.where(jnp.asarray(loss) < band.high[-1], jnp.inf, most)
        return self._finite_only(loss, fewest), self._finite_only(loss, most)

    def _invert(self, loss: ArrayLike, losses: np.ndarray) -> jax.Array:
        return jnp.interp(jnp.asarray(loss), losses[::-1], self.steps[::-1])

    def _finite_only(self, loss: ArrayLike, steps: jax.Array) -> jax.Array:
        instead = 0.0 if self.nonfinite == "zero" else jnp.nan
        return jnp.where(jnp.isfinite(loss), steps, instead)


class NormalizerMap(dict[str, Normalizer]):
    """Normalizers by task; a task that is not there is an error with the nearest.

    Args:
      normalizers: task name to normalizer.
      path: the file they are from.
    """

    def __init__(self, normalizers: dict[str, Normalizer], path: str):
        super().__init__(normalizers)
        self.path = path

    def __missing__(self, task: str) -> Normalizer:
        raise UnknownNameError("task", task, self, f"of those in {self.path}")
