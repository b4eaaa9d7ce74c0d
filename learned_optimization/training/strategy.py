"""How a device computes its share of a grid of trials.

Every strategy does the same arithmetic; XLA may add numbers in another order, so
curves agree up to float32 rounding (`docs/determinism.md`). Which is fastest
depends on the model and the machine, see `training/strategy_choice.py`.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from functools import lru_cache

import jax

from learned_optimization.errors import LoptError, check_at_least
from learned_optimization.tasks.base import Task
from learned_optimization.tasks.cost import Cost, cost

# Models whose training step takes less arithmetic than this gain on a CPU from
# being trained side by side: their matrix products become larger ones. Those of
# others are large already, and side by side they fall out of the caches; so do
# many small ones. Convolutions with weights of their own become no larger.
_SMALL_MODEL_FLOPS = 30e6
_SMALL_MODELS_AT_ONCE = 8
# The share of a step's arithmetic from which on it counts as one of convolutions.
_MOSTLY = 0.8

# XLA:CPU hands groups of operations to YNNPACK unless told not to.
_LIBRARY_KERNELS_OFF: dict[str, str | bool] = {
    "xla_cpu_experimental_ynn_fusion_type": ""
}


@dataclass(frozen=True)
class Strategy:
    """How a device computes its share of a grid of trials.

    Attributes:
      trials_at_once: trials computed side by side (`jax.vmap`) at most; their
        share of the grid is computed in groups of so many, one after another.
      library_kernels: on a CPU, whether XLA may use the kernels of YNNPACK
        instead of compiling its own. Elsewhere it changes nothing.

    Raises:
      LoptError: if `trials_at_once` is not a whole number of at least 1.
    """

    trials_at_once: int
    library_kernels: bool = False

    def __post_init__(self) -> None:
        check_at_least("trials_at_once", self.trials_at_once, 1)

    def __str__(self) -> str:
        kernels = "yes" if self.library_kernels else "no"
        return f"trials_at_once={self.trials_at_once},library_kernels={kernels}"

    @classmethod
    def parse(cls, text: str) -> Strategy:
        """Return a strategy from its text, e.g. `trials_at_once=8,library_kernels=no`.

        Raises:
          LoptError: if the text is not of this form.
        """
        try:
            given = dict(part.strip().split("=") for part in text.split(","))
            kernels = {"yes": True, "no": False}[given.pop("library_kernels", "no")]
            strategy = cls(int(given.pop("trials_at_once")), kernels)
            if given:
                raise KeyError(*given)
        except (KeyError, ValueError):
            raise LoptError(
                f"a strategy is 'auto' or, for example, '{cls(8)}', got {text!r}."
            ) from None
        return strategy

    def halved(self, trials_per_device: int) -> Strategy:
        """Return the strategy with half as many of some trials side by side."""
        used = min(self.trials_at_once, trials_per_device)
        return replace(self, trials_at_once=max(1, used // 2))

    def compiler_options(self, platform: str) -> dict[str, str | bool]:
        """Return what XLA is told when it compiles for a platform."""
        if platform != "cpu" or self.library_kernels or not has_library_kernels():
            return {}
        return _LIBRARY_KERNELS_OFF


def default_strategy(
    task: Task, trials_per_device: int, platform: str, idle_cores: bool = False
) -> Strategy:
    """Return the strategy where none was measured.

    Args:
      task: the task trained on.
      trials_per_device: trials each device is given.
      platform: `cpu`, `gpu` or `tpu`.
      idle_cores: whether a CPU's devices leave some of its cores idle, at least at
        times.
    """
    if platform != "cpu":
        return Strategy(size_class(trials_per_device))
    size = _cost(task)
    if size.convolution_flops:
        # XLA's own convolutions take every idle core; those of YNNPACK take one, and
        # less of it.
        spread = idle_cores and size.convolution_flops > _MOSTLY * size.flops
        return Strategy(1, library_kernels=not spread)
    if size.flops < _SMALL_MODEL_FLOPS:
        return Strategy(min(_SMALL_MODELS_AT_ONCE, size_class(trials_per_device)))
    return Strategy(1, library_kernels=True)


def other_strategies(
    default: Strategy, trials_per_device: int, platform: str
) -> list[Strategy]:
    """Return what may be faster than the default, to be measured.

    Args:
      default: the default, which is not among them.
      trials_per_device: trials each device is given.
      platform: `cpu`, `gpu` or `tpu`.
    """
    widths = {n for n in (1, _SMALL_MODELS_AT_ONCE) if n < trials_per_device}
    widths |= {size_class(trials_per_device)}
    candidates = [replace(default, trials_at_once=n) for n in sorted(widths)]
    if platform == "cpu" and has_library_kernels():
        candidates.append(replace(default, library_kernels=not default.library_kernels))
    return [strategy for strategy in candidates if strategy != default]


def size_class(num_trials: int) -> int:
    """Return the least power of two that is not below a number of trials."""
    return 1 << (num_trials - 1).bit_length()


@lru_cache
def has_library_kernels() -> bool:
    """Return whether this XLA:CPU can be told not to use YNNPACK's kernels."""
    lowered = jax.jit(lambda x: x).lower(1.0)
    try:
        lowered.compile(compiler_options=_LIBRARY_KERNELS_OFF)
    except jax.errors.JaxRuntimeError:
        return False
    return True


def _cost(task: Task) -> Cost:
    try:
        return cost(task)
    except NotImplementedError:
        # A loop of unknown length: nothing of the fixed tasks, and nothing small.
        return Cost(num_params=0, flops=sys.maxsize)
