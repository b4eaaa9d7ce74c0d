"""A grid of trials laid over devices: stacking, padding, splitting.

The grid is `[seeds, configs]`; one axis is split over the devices, padded by
repeating its last entry where it does not divide evenly.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jax import lax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from learned_optimization.errors import LoptError
from learned_optimization.optimizers.base import Optimizer

# A `jax.Device`, which type checkers take for a variable.
Device = Any
"""A device of `jax.devices()`."""

_AXIS = "trials"


@dataclass(frozen=True)
class Layout:
    """How a grid of trials lies on devices.

    Attributes:
      mesh: the devices.
      num_seeds: seeds asked for.
      num_configs: configurations asked for.
      split: the axis split over devices: 0 for seeds, 1 for configurations.
      num_devices: devices that were there to be used.
    """

    mesh: Mesh
    num_seeds: int
    num_configs: int
    split: int
    num_devices: int

    @classmethod
    def choose(
        cls, num_seeds: int, num_configs: int, devices: Sequence[Device]
    ) -> Layout:
        """Return the layout with the least work on the busiest device.

        Args:
          num_seeds: seeds of the grid.
          num_configs: configurations of the grid.
          devices: devices that may be used; all of them, unless there are fewer
            trials along either axis.
        """

        def work(split: int, used: int) -> tuple[int, int, int]:
            sizes = [num_seeds, num_configs]
            sizes[split] = math.ceil(sizes[split] / used)
            # Ties go to configurations, which share their batches, and to
            # fewer devices.
            return sizes[0] * sizes[1], -split, used

        _, split, used = min(
            work(split, used)
            for split, size in enumerate((num_seeds, num_configs))
            for used in range(1, min(len(devices), size) + 1)
        )
        mesh = Mesh(np.asarray(devices[:used]), (_AXIS,))
        return cls(mesh, num_seeds, num_configs, -split, len(devices))

    @property
    def platform(self) -> str:
        """`cpu`, `gpu` or `tpu`."""
        return self.mesh.devices.flat[0].platform

    @property
    def padded(self) -> tuple[int, int]:
        """Seeds and configurations after padding."""
        sizes = [self.num_seeds, self.num_configs]
        devices = self.mesh.size
        sizes[self.split] = math.ceil(sizes[self.split] / devices) * devices
        return sizes[0], sizes[1]

    @property
    def has_padding(self) -> bool:
        """Whether some device has fewer trials than another."""
        return self.padded != (self.num_seeds, self.num_configs)

    @property
    def leaves_idle(self) -> bool:
        """Whether some devices have nothing to do, at least at times."""
        return self.has_padding or self.mesh.size < self.num_devices

    @property
    def is_asked_for(self) -> np.ndarray:
        """Bool `[seeds, configs]`, padding included: False for padding."""
        seeds, configs = (np.arange(n) for n in self.padded)
        return (seeds < self.num_seeds)[:, None] & (configs < self.num_configs)

    @property
    def configs_per_device(self) -> int:
        """Configurations each device sees, padding included."""
        return self.padded[1] // (self.mesh.size if self.split == 1 else 1)

    @property
    def seeds_per_device(self) -> int:
        """Seeds each device sees, padding included."""
        return self.padded[0] // (self.mesh.size if self.split == 0 else 1)

    @property
    def trials_per_device(self) -> int:
        """Trials each device sees, padding included."""
        return self.seeds_per_device * self.configs_per_device

    @property
    def over_grid(self) -> PartitionSpec:
        """How arrays `[seeds, configs, ...]` are split."""
        return PartitionSpec(*((_AXIS,) if self.split == 0 else (None, _AXIS)))

    @property
    def over_seeds(self) -> PartitionSpec:
        """How arrays `[seeds, ...]` are split."""
        return PartitionSpec(_AXIS) if self.split == 0 else PartitionSpec()

    @property
    def over_configs(self) -> PartitionSpec:
        """How arrays `[configs, ...]` are split."""
        return PartitionSpec(_AXIS) if self.split == 1 else PartitionSpec()

    def put(self, tree: Any, spec: PartitionSpec) -> Any:
        """Place arrays on the devices."""
        return jax.device_put(tree, NamedSharding(self.mesh, spec))

    def pad_seeds(self, items: Sequence[Any]) -> list[Any]:
        """Return one item per seed, the last repeated as padding."""
        return [*items, *[items[-1]] * (self.padded[0] - len(items))]

    def pad_configs(self, items: Sequence[Any]) -> list[Any]:
        """Return one item per configuration, the last repeated as padding."""
        return [*items, *[items[-1]] * (self.padded[1] - len(items))]

    def map(self, function: Callable, in_specs: Sequence[PartitionSpec]) -> Callable:
        """Split a function of grids over the devices; all results are grids."""
        return jax.shard_map(
            function,
            mesh=self.mesh,
            in_specs=tuple(in_specs),
            out_specs=self.over_grid,
            check_vma=False,
        )


def map_in_groups(
    function: Callable, in_axes: Sequence[int | None], size: int, width: int
) -> Callable:
    """Map (`jax.vmap`) over groups of an axis, one group after another.

    Args:
      function: what to map.
      in_axes: 0 for arguments mapped over their first axis, None for others.
      size: length of the axis.
      width: members of a group, at most.
    """
    # Alone, a trial is no group of one: mapped weights would rule out XLA's own
    # convolutions.
    if width >= size > 1:
        return jax.vmap(function, in_axes=tuple(in_axes), axis_size=size)
    # Groups of one size make one program.
    width = max(n for n in range(1, max(width, 1) + 1) if size % n == 0)

    def over_groups(*args: Any) -> Any:
        def one(mapped_args: tuple[Any, ...]) -> Any:
            rest = iter(mapped_args)
            return function(
                *[
                    arg if axis is None else next(rest)
                    for arg, axis in zip(args, in_axes, strict=True)
                ]
            )

        over = tuple(
            arg for arg, axis in zip(args, in_axes, strict=True) if axis is not None
        )
        return lax.map(one, over, batch_size=None if width == 1 else width)

    return over_groups


def map_trials(
    function: Callable, layout: Layout, width: int, num_of_seeds: int
) -> Callable:
    """Map a function of one trial over a device's share of a grid.

    Args:
      function: its arguments are of the trial, of the trial, of the configuration,
        and then of the seed.
      layout: the devices.
      width: trials side by side, at most.
      num_of_seeds: how many arguments are of the seed.
    """
    over_configs = map_in_groups(
        function, (0, 0, 0, *[None] * num_of_seeds), layout.configs_per_device, width
    )
    return map_in_groups(
        over_configs,
        (0, 0, None, *[0] * num_of_seeds),
        layout.seeds_per_device,
        width // layout.configs_per_device,
    )


def stack_hparams(
    opts: Sequence[Optimizer],
) -> tuple[list[np.ndarray], Callable[[Sequence[jax.Array]], Optimizer]]:
    """Separate what differs between optimizers from what they share.

    Numbers that are the same in all stay Python numbers, which keep their full
    precision in the program. What an optimizer holds in arrays, as the meta-parameters
    of a learned one, is always an argument: another optimizer of the same structure
    runs the same program.

    Args:
      opts: optimizers of one structure.

    Returns:
      One array `[configs, ...]` for each hyper-parameter that differs or is an array,
      and a function from one entry of each to the optimizer.

    Raises:
      LoptError: if the optimizers differ in more than numbers.
    """
    leaves, structures = zip(*[jax.tree.flatten(opt) for opt in opts], strict=True)
    if any(s != structures[0] for s in structures[1:]):
        raise LoptError(
            "optimizers trained together must differ in numeric hyper-parameters "
            f"only; got {opts[0].name} and others of another structure."
        )
    shapes = [[np.shape(leaf) for leaf in row] for row in leaves]
    if any(row != shapes[0] for row in shapes[1:]):
        raise LoptError(
            "hyper-parameters of optimizers trained together must have one shape, "
            f"got {opts[0].name} and others of other shapes."
        )
    varies = [
        isinstance(first, (np.ndarray, jax.Array))
        or any(not np.array_equal(other[i], first) for other in leaves[1:])
        for i, first in enumerate(leaves[0])
    ]
    stacked = [
        _as_32_bit(np.stack([np.asarray(row[i]) for row in leaves]))
        for i in range(len(varies))
        if varies[i]
    ]

    def rebuild(values: Sequence[jax.Array]) -> Optimizer:
        rest = iter(values)
        return jax.tree.unflatten(
            structures[0],
            [
                next(rest) if v else leaf
                for v, leaf in zip(varies, leaves[0], strict=True)
            ],
        )

    return stacked, rebuild


def _as_32_bit(values: np.ndarray) -> np.ndarray:
    if values.dtype == object:
        raise LoptError(
            "optimizers trained together must differ in numeric hyper-parameters "
            f"only, got {values.tolist()}. Run them one by one."
        )
    kind = {"f": np.float32, "i": np.int32, "u": np.uint32}.get(values.dtype.kind)
    return values if kind is None else values.astype(kind)
