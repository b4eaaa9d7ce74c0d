"""Optimizers that step in Python, between compiled gradients.

Optimizers of other libraries change parameters in place and cannot be traced. The
engine computes loss and gradient in one compiled program, hands them over, and waits
for the step (`training/stepped.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from contextlib import AbstractContextManager
from typing import Any, ClassVar, NoReturn, Protocol

import jax

from learned_optimization.errors import LoptError
from learned_optimization.optimizers.base import Optimizer, Params

__all__ = ["Arrangement", "GradientFn", "SteppedOptimizer", "Stepper"]

GradientFn = Callable[[Sequence[jax.Array]], tuple[jax.Array, Sequence[jax.Array]]]
"""From parameters to the loss of this step's batch and its gradient, both computed."""


class Arrangement(Hashable, Protocol):
    """How parameters are laid out for an optimizer; both methods are traceable."""

    def to_arrays(self, params: Params) -> list[jax.Array]:
        """Return the arrays that a pytree of parameters becomes."""
        ...

    def to_params(self, arrays: Sequence[jax.Array]) -> Params:
        """Return the pytree that `to_arrays` was given."""
        ...


class Stepper(Protocol):
    """The optimizer of one trial at work, with parameters of its own."""

    def step(self, gradient: GradientFn) -> None:
        """Run one update.

        Args:
          gradient: computes the gradient of this update's batch; it may be called
            several times. What it returns may be changed in place.
        """
        ...

    def evaluated(self) -> AbstractContextManager[Sequence[jax.Array]]:
        """Return the parameters to evaluate, which hold within a `with` block."""
        ...

    def state(self) -> bytes:
        """Return all that decides the updates to come."""
        ...

    def restore(self, state: bytes) -> None:
        """Go to where `state` was called.

        Raises:
          LoptError: if the state is not one of this optimizer.
        """
        ...


class SteppedOptimizer(Optimizer):
    """An optimizer that steps in Python.

    `init` and `update` are refused: `start` takes their place. Each trial is a program
    of its own, and `num_steps`, loss and gradient are there without being asked for.

    Attributes:
      class_path: of an optimizer that stands for a library's class, where that is, so
        that another process finds it.
    """

    is_traceable: ClassVar[bool] = False
    class_path: ClassVar[str | None] = None

    def arrangement(self, params: Params) -> Arrangement:
        """Return how parameters are laid out.

        Args:
          params: a pytree of arrays, or of their shapes and types.
        """
        raise NotImplementedError

    def start(
        self,
        arrangement: Arrangement,
        arrays: Sequence[jax.Array],
        num_steps: int,
        seed: int,
    ) -> Stepper:
        """Return the optimizer at work on some parameters.

        Args:
          arrangement: as of `arrangement`.
          arrays: the initial parameters, as it lays them out.
          num_steps: length of the run.
          seed: decides what the optimizer draws itself.
        """
        raise NotImplementedError

    def init(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse to be traced; see `start`.

        Raises:
          LoptError: always.
        """
        raise self._refusal()

    def update(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse to be traced; see `start`.

        Raises:
          LoptError: always.
        """
        raise self._refusal()

    def _refusal(self) -> LoptError:
        return LoptError(
            f"{self.defined_by.__name__} steps in Python, and has no init and update "
            "that jax can compile: it trains tasks alone and in sweeps, and cannot be "
            "stepped by other optimizers or timed step by step."
        )
