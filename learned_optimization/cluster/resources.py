"""The resources of a group of trials on a cluster, and how large a group is."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass

from learned_optimization import numerics
from learned_optimization.baselines.layout import get_root_baseline_dir
from learned_optimization.errors import LoptError, check_at_least

# The number of trials at once that uses a device well; see docs/speed.md.
_TRIALS_PER_CPU, _TRIALS_PER_GPU = 16, 128


@dataclass(frozen=True)
class GroupResources:
    """The resources of a group of trials.

    Attributes:
      num_cpus: processor cores; without a GPU each is a jax device.
      num_gpus: GPUs; a fraction of one for groups that share it.
      num_trials: approximate number of trials in a group; if None, as many as use
        its devices well, or fewer if the cluster has places for more groups.

    Raises:
      LoptError: if a number is out of range.
    """

    num_cpus: int = 1
    num_gpus: float = 0
    num_trials: int | None = None

    def __post_init__(self) -> None:
        check_at_least("the CPUs of a group", self.num_cpus, 1)
        if self.num_trials is not None:
            check_at_least("the trials of a group", self.num_trials, 1)
        whole = float(self.num_gpus).is_integer()
        if self.num_gpus < 0 or (self.num_gpus > 1 and not whole):
            raise LoptError(
                "the GPUs of a group are a whole number, or a fraction of one GPU, got "
                f"{self.num_gpus:g}."
            )

    def __str__(self) -> str:
        cpus = f"{self.num_cpus} CPU{'s' * (self.num_cpus != 1)}"
        gpus = f" and {self.num_gpus:g} GPU{'s' * (self.num_gpus > 1)}"
        return cpus + gpus * bool(self.num_gpus)

    def places(self, node: Mapping[str, float]) -> int:
        """Return how many groups a node can train at a time.

        Args:
          node: the node's resources, as Ray names them.
        """
        places = node.get("CPU", 0) / self.num_cpus
        if self.num_gpus:
            # A group's fraction of a GPU must lie on one GPU.
            a_gpu = 1 / self.num_gpus
            if self.num_gpus < 1:
                a_gpu = math.floor(a_gpu + 1e-9)
            places = min(places, node.get("GPU", 0) * a_gpu)
        return math.floor(places)

    def num_groups(self, num_trials: int, num_places: int) -> int:
        """Return in how many groups to divide trials, for a number of places."""
        size = self.num_trials
        if size is None:
            full = (
                math.ceil(_TRIALS_PER_GPU * self.num_gpus)
                if self.num_gpus
                else _TRIALS_PER_CPU * self.num_cpus
            )
            size = min(full, math.ceil(num_trials / max(num_places, 1)))
        return max(1, math.ceil(num_trials / max(size, 1)))

    def environment(self) -> dict[str, str]:
        """Return environment variables of the processes that train groups.

        Every `LOPT_*` variable of this process is among them, folders by their
        absolute paths, and what its configuration of jax changes in numbers.
        """
        variables = {
            name: _absolute(value) if name.endswith("_DIR") else value
            for name, value in os.environ.items()
            if name.startswith("LOPT_") and value
        }
        variables |= numerics.environment() | {
            "LOPT_BASELINE_DIR": _absolute(get_root_baseline_dir()),
            "JAX_NUM_CPU_DEVICES": str(self.num_cpus),
            # XLA's threads; by default there is one for every core of the node.
            "NPROC": str(self.num_cpus),
        }
        if not self.num_gpus:
            variables["JAX_PLATFORMS"] = "cpu"
        elif self.num_gpus < 1:
            # As jax takes 75% of a GPU's memory by default.
            share = 0.75 * self.num_gpus
            variables["XLA_PYTHON_CLIENT_MEM_FRACTION"] = f"{share:.3f}"
        return variables


def _absolute(folder: str) -> str:
    # `~` is another folder for each user and machine.
    if "://" in folder or folder.startswith("~"):
        return folder
    return os.path.abspath(folder)
