"""How long inner problems are trained before they begin again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from learned_optimization.configurable import configurable
from learned_optimization.errors import LoptError, check_at_least

__all__ = [
    "ConstantTruncationSchedule",
    "LogUniformLengthSchedule",
    "NeverEndingTruncationSchedule",
    "ScheduledTruncationSchedule",
    "TruncationSchedule",
    "TruncationState",
]

_configurable = configurable(__name__)

FOREVER = (1 << 31) - 1
"""The length of an inner problem that does not end."""


@flax.struct.dataclass
class TruncationState:
    """The length of one inner problem.

    Attributes:
      length: int32 scalar, updates until it begins again.
    """

    length: jax.Array


class TruncationSchedule:
    """Decides the length of each inner problem; subclasses define `init`."""

    def init(self, key: jax.Array, outer_state: Any) -> TruncationState:
        """Return the length of an inner problem that begins.

        Args:
          key: PRNG key.
          outer_state: has `outer_iteration`, the meta-steps done; None at the first.
        """
        raise NotImplementedError

    def next_state(
        self, state: TruncationState, step: Any, key: jax.Array, outer_state: Any
    ) -> tuple[TruncationState, jax.Array]:
        """Return the state after an update, and whether the problem is done.

        Args:
          state: the state before.
          step: updates done, this one included.
          key: PRNG key.
          outer_state: as of `init`.
        """
        del key, outer_state
        return state, step >= state.length

    @property
    def longest(self) -> int:
        """The greatest length, where it is known before lengths are drawn.

        Raises:
          LoptError: if it is not.
        """
        raise LoptError(
            f"the greatest length of {type(self).__name__} is not known: take "
            "ConstantTruncationSchedule, or LogUniformLengthSchedule of two numbers."
        )


@_configurable
@dataclass(frozen=True)
class ConstantTruncationSchedule(TruncationSchedule):
    """Every inner problem has one length.

    Attributes:
      total_length: updates, at least 1.
    """

    total_length: int

    def __post_init__(self) -> None:
        check_at_least("total_length", self.total_length, 1, FOREVER)

    def init(self, key: jax.Array, outer_state: Any) -> TruncationState:
        """Return the length; see `TruncationSchedule.init`."""
        del key, outer_state
        return TruncationState(jnp.asarray(self.total_length, jnp.int32))

    @property
    def longest(self) -> int:
        """The length."""
        return self.total_length


@_configurable
@dataclass(frozen=True)
class NeverEndingTruncationSchedule(TruncationSchedule):
    """Inner problems do not end by themselves."""

    def init(self, key: jax.Array, outer_state: Any) -> TruncationState:
        """Return the largest length; see `TruncationSchedule.init`."""
        del key, outer_state
        return TruncationState(jnp.asarray(FOREVER, jnp.int32))

    def next_state(
        self, state: TruncationState, step: Any, key: jax.Array, outer_state: Any
    ) -> tuple[TruncationState, jax.Array]:
        """Return that the problem is not done."""
        del key, outer_state
        return state, jnp.zeros(jnp.shape(step), bool)


Bound = float | Callable[[Any], Any]
"""A number of updates, or a function from the meta-steps done to one."""


@_configurable
@dataclass(frozen=True)
class LogUniformLengthSchedule(TruncationSchedule):
    """Lengths are drawn again whenever a problem begins, with uniform logarithms.

    Attributes:
      min_length: the least, or a function from the meta-steps done to it.
      max_length: the greatest, or such a function.
    """

    min_length: Bound
    max_length: Bound

    def __post_init__(self) -> None:
        bounds = self.min_length, self.max_length
        numbers = [b for b in bounds if not callable(b)]
        if len(numbers) == 2 and not 1 <= numbers[0] <= numbers[1]:
            raise LoptError(
                "min_length must be at least 1 and at most max_length, got "
                f"{self.min_length!r} and {self.max_length!r}."
            )

    @property
    def longest(self) -> int:
        """The greatest length; see `TruncationSchedule.longest`."""
        return super().longest if callable(self.max_length) else int(self.max_length)

    def init(self, key: jax.Array, outer_state: Any) -> TruncationState:
        """Draw a length; see `TruncationSchedule.init`."""
        done = 0 if outer_state is None else outer_state.outer_iteration

        def log(bound: Bound) -> Any:
            if callable(bound):
                return jnp.log(jnp.asarray(bound(done), jnp.float32))
            return np.log(bound).astype(np.float32)

        drawn = jax.random.uniform(
            key, (), minval=log(self.min_length), maxval=log(self.max_length)
        )
        return TruncationState(jnp.exp(drawn).astype(jnp.int32))


@_configurable
@dataclass(frozen=True)
class ScheduledTruncationSchedule(TruncationSchedule):
    """Lengths are normal, about a mean that moves with the meta-steps.

    Attributes:
      schedule: from the meta-steps done to the mean length.
      max_steps: given to the schedule as well, by this name; not if None.
      std: standard deviation of lengths, in updates.
      min_length: the least length where lengths deviate.
    """

    schedule: Callable[..., Any]
    max_steps: int | None = None
    std: float = 0.0
    min_length: int = 10

    def init(self, key: jax.Array, outer_state: Any) -> TruncationState:
        """Draw a length; see `TruncationSchedule.init`."""
        done = 0 if outer_state is None else outer_state.outer_iteration
        given = {} if self.max_steps is None else {"max_steps": self.max_steps}
        length = jnp.asarray(self.schedule(done, **given)).astype(jnp.int32)
        if self.std > 0:
            shift = (jax.random.normal(key, ()) * self.std).astype(jnp.int32)
            length = jnp.maximum(length + shift, self.min_length)
        return TruncationState(length)
