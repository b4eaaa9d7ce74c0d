"""The optimizers that were published with VeLO, a function each.

    opt = aug12_continue_on_bigger_2xbs_200kstep_bigproblem_v2_5620()

`opt_names` lists the checkpoints; a function has the name of its checkpoint, with `_`
for `.` and `-`, and gin knows it by that name. It fetches the checkpoint when it is
called, and keeps it in `LOPT_CACHE_DIR`.
"""

from __future__ import annotations

from collections.abc import Callable

from learned_optimization.configurable import configurable
from learned_optimization.learned_optimizers.opt_from_checkpoint import (
    opt_from_checkpoint,
)
from learned_optimization.learned_optimizers.published_checkpoints import (
    NO_CONFIG,
    OPT_NAMES,
    ROOT,
    VELO,
    address,
    function_name,
)
from learned_optimization.optimizers.base import Optimizer

__all__ = ["VeLO", "functions", "opt_names"]

opt_names: list[str] = list(OPT_NAMES)
"""The checkpoints that have a `config.gin`, in their published order."""


def _function(name: str) -> Callable[..., Optimizer]:
    def make(root: str = ROOT) -> Optimizer:
        return opt_from_checkpoint(address(name, root))

    make.__name__ = make.__qualname__ = function_name(name)
    make.__doc__ = f"""Return the optimizer of the published checkpoint `{name}`.

    Args:
      root: the folder that has the published ones, or a copy of it.

    Raises:
      LoptError: if the checkpoint cannot be reached or must not be used.
    """
    return configurable(__name__)(make)


functions: dict[str, Callable[..., Optimizer]] = {
    function_name(name): _function(name) for name in (*opt_names, *NO_CONFIG)
}
"""Every function by its name."""

globals().update(functions)

VeLO = functions[function_name(VELO)]
"""The function of the checkpoint that is meant by VeLO."""
