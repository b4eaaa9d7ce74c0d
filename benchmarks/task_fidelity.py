"""How the tasks at initialization compare with values measured elsewhere.

`compare_tasks` takes measured values of tasks, by name: the number of parameters and,
for some, every parameter's shape, mean, standard deviation and largest magnitude
over three initializations together, and the loss of further initializations on a
batch drawn from the task's name. It reads no data set and no file.

All of it is random on both sides, so it is compared in standard errors of the
difference of the two samples; `MAX_Z` is the bound, at which a comparison of equal
distributions fails once in two million.
"""

from __future__ import annotations

import math
import zlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np
from scipy import optimize, stats

from learned_optimization.tasks import registry
from learned_optimization.tasks.base import Task

MAX_Z = 5.0

# Initializations: those a measured leaf is made of, and those of our losses.
_LEAF_INITS = 3
_LOSS_INITS = 16
# Measured leaves have six decimals, losses five; losses are sums in float32.
_LEAF_ROUNDING = 5e-7
_LOSS_ROUNDING = 1e-5
_NUM_LARGEST = 64
_AMONG_LARGEST = 20
_LARGEST_BATCH_OF = 300_000


@dataclass(frozen=True)
class TaskComparison:
    """One task beside its measured values.

    Attributes:
      task: its name.
      num_params: our number of parameters.
      golden_num_params: the measured number.
      num_leaves: measured parameter arrays; 0 where none were measured.
      leaves_within: those that have a partner of ours within `MAX_Z`.
      worst_z: the largest deviation of any of them, in standard errors; infinite
        where an array has no partner, None where none were measured.
      our_losses: our losses at initialization, in nats or as the task has it.
      golden_losses: the measured ones.
      loss_z: the largest deviation of a measured loss, or of their mean, in standard
        errors; None where none were measured.
    """

    task: str
    num_params: int
    golden_num_params: int
    num_leaves: int = 0
    leaves_within: int = 0
    worst_z: float | None = None
    our_losses: tuple[float, ...] = field(default=(), repr=False)
    golden_losses: tuple[float, ...] = ()
    loss_z: float | None = None

    @property
    def has_equal_params(self) -> bool:
        """Whether there are as many parameters as measured."""
        return self.num_params == self.golden_num_params

    @property
    def is_within(self) -> bool:
        """Whether everything measured is within `MAX_Z`, and the count equal."""
        worst = max(self.worst_z or 0.0, self.loss_z or 0.0)
        return self.has_equal_params and worst <= MAX_Z


def compare_tasks(golden: Mapping[str, Mapping[str, Any]]) -> list[TaskComparison]:
    """Compare every task that was measured with ours.

    Args:
      golden: task name to `parameters`, an integer, and perhaps `init`, a list of
        `{"shape", "mean", "std", "maxabs"}` of each array over three initializations
        together, and `loss_at_init_on_random_batch`, a list of losses.

    Returns:
      One comparison per task, in the order given.

    Raises:
      UnknownNameError: if there is no task of a name.
    """
    return [compare_task(name, entry) for name, entry in golden.items()]


def compare_task(name: str, entry: Mapping[str, Any]) -> TaskComparison:
    """Compare one task; see `compare_tasks`.

    Raises:
      UnknownNameError: if there is no task of that name.
    """
    task = registry.get(name).make()
    num_params = count_params(task)
    if "init" not in entry:
        return TaskComparison(name, num_params, entry["parameters"])
    zs = _match(entry["init"], _our_leaves(task))
    ours = losses_at_init(task, _LOSS_INITS)
    return TaskComparison(
        name,
        num_params,
        entry["parameters"],
        num_leaves=len(entry["init"]),
        leaves_within=sum(z <= MAX_Z for z in zs[: len(entry["init"])]),
        worst_z=max(zs),
        our_losses=tuple(ours.tolist()),
        golden_losses=tuple(entry["loss_at_init_on_random_batch"]),
        loss_z=_loss_z(ours, entry["loss_at_init_on_random_batch"]),
    )


def count_params(task: Task) -> int:
    """Return the number of parameters, from shapes alone."""
    params = jax.eval_shape(task.init_with_state, jax.random.PRNGKey(0))[0]
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(params))


def random_batch(task: Task) -> dict[str, np.ndarray]:
    """Return the batch of uniformly random examples that a task's name gives.

    Images and labels, 32 or 8 for tasks of more than 300,000 parameters; or four
    texts, the last quarter of the first one padding.
    """
    random = np.random.RandomState(zlib.crc32(task.name.encode()) % 2**31)
    assert task.datasets is not None
    info, shapes = task.datasets.extra_info, task.datasets.abstract_batch
    if "obs" in shapes:
        length = shapes["obs"].shape[1]
        tokens = random.randint(1, info["vocab_size"], (4, length + 1))
        tokens[0, length + 1 - length // 4 :] = 0
        tokens = tokens.astype(np.int32)
        return {"obs": tokens[:, :-1], "target": tokens[:, 1:]}
    num = 32 if count_params(task) <= _LARGEST_BATCH_OF else 8
    images = random.rand(num, *shapes["image"].shape[1:]).astype(np.float32)
    labels = random.randint(0, info["num_classes"], num).astype(np.int32)
    return {"image": images, "label": labels}


def losses_at_init(task: Task, num_inits: int) -> np.ndarray:
    """Return the losses of several initializations on `random_batch`.

    Args:
      task: the task.
      num_inits: how many, of seeds 0, 1, ...

    Returns:
      float64 `[num_inits]`.
    """
    batch = random_batch(task)
    # Two programs: in one, a last layer that starts at zero is a constant, and YNNPACK
    # (jaxlib 0.10.2, on a CPU) computes `x.mean(1) @ zeros` wrongly.
    init, loss = jax.jit(task.init_with_state), jax.jit(task.loss_with_state)
    losses = []
    for seed in range(num_inits):
        init_key, loss_key = jax.random.split(jax.random.PRNGKey(seed))
        params, state = init(init_key)
        losses.append(float(loss(params, state, loss_key, batch)[0]))
    return np.array(losses)


@dataclass(frozen=True)
class _Leaf:
    """Our entries of one parameter array, over several initializations.

    Attributes:
      shape: `[fan_in, fan_out]`, as `_flat_shape` has it.
      size: entries drawn.
      kurtosis: the fourth central moment over the squared variance.
      largest: the largest magnitudes, falling.
    """

    shape: tuple[int, int]
    size: int
    mean: float
    std: float
    kurtosis: float
    largest: np.ndarray


def _our_leaves(task: Task) -> list[_Leaf]:
    init = jax.jit(task.init_with_state)
    keys = [jax.random.PRNGKey(seed) for seed in range(_LEAF_INITS)]
    draws = [jax.tree.leaves(init(key)[0]) for key in keys]
    return [_leaf(np.stack(leaves)) for leaves in zip(*draws, strict=True)]


def _leaf(draws: np.ndarray) -> _Leaf:
    """Return what is compared of draws `[inits, ...]`."""
    values = draws.astype(np.float64).ravel()
    mean, std = values.mean(), values.std()
    kurtosis = np.mean(((values - mean) / std) ** 4) if std else 1.0
    count = min(_NUM_LARGEST, values.size)
    largest = np.partition(np.abs(values), values.size - count)[-count:]
    return _Leaf(
        _flat_shape(draws.shape[1:]),
        values.size,
        float(mean),
        float(std),
        float(kurtosis),
        np.sort(largest)[::-1],
    )


def _flat_shape(shape: Sequence[int]) -> tuple[int, int]:
    """Return `[everything but the last axis, last axis]`.

    The same array may have a leading axis of one, or a patch's pixels on three axes.
    """
    return math.prod(shape[:-1]), shape[-1] if len(shape) else 1


def _match(golden: Sequence[Mapping[str, Any]], ours: Sequence[_Leaf]) -> list[float]:
    """Return the deviation of each measured leaf from a partner of its own.

    Names differ, so partners are found by shape and, among those of one shape, by
    the assignment of the smallest total deviation. A leaf without one is infinitely
    far; leaves of ours that are left over stand at the end, as far.
    """
    zs = [math.inf] * len(golden)
    by_shape: dict[tuple[int, int], list[int]] = defaultdict(list)
    for i, leaf in enumerate(golden):
        by_shape[_flat_shape(leaf["shape"])].append(i)
    for shape, members in by_shape.items():
        candidates = [leaf for leaf in ours if leaf.shape == shape]
        far = np.array([[_leaf_z(golden[i], c) for c in candidates] for i in members])
        far = far.reshape(len(members), len(candidates))
        # An assignment must be found also where nothing fits.
        for row, column in zip(
            *optimize.linear_sum_assignment(np.minimum(far, 1e9)), strict=True
        ):
            zs[members[row]] = float(far[row, column])
    return zs + [math.inf] * (len(ours) - len(golden))


def _leaf_z(golden: Mapping[str, Any], ours: _Leaf) -> float:
    """Return the largest deviation of mean, deviation and largest magnitude.

    The standard error of a standard deviation is `std sqrt((kurtosis - 1) / 4n)`.
    """
    golden_size = _LEAF_INITS * math.prod(golden["shape"])
    root_n = math.sqrt(1 / golden_size + 1 / ours.size)
    std_error = ours.std * root_n * math.sqrt(max(ours.kurtosis - 1, 0) / 4)
    return max(
        _errors(golden["mean"] - ours.mean, ours.std * root_n, _LEAF_ROUNDING),
        _errors(golden["std"] - ours.std, std_error, _LEAF_ROUNDING),
        _largest_z(golden["maxabs"], golden_size, ours),
    )


def _largest_z(largest: float, golden_size: int, ours: _Leaf) -> float:
    """Return how far the largest of the measured entries is from ours.

    That `k` of our entries are beyond all measured ones has probability
    `(our share of all entries)^k` where both are drawn alike. The other way round,
    only the measured maximum is known: it is as far beyond ours as it is in units of
    the distance between our largest and our 20th largest entry.
    """
    beyond = int(np.sum(ours.largest > largest + _LEAF_ROUNDING))
    share = ours.size / (ours.size + golden_size)
    spacing = ours.largest[0] - ours.largest[:_AMONG_LARGEST][-1]
    return max(
        float(stats.norm.isf(share**beyond / 2)),
        _errors(max(largest - ours.largest[0], 0.0), spacing, _LEAF_ROUNDING),
    )


def _loss_z(ours: np.ndarray, golden: Sequence[float]) -> float:
    """Return the largest deviation of a measured loss, or of their mean.

    The spread is that of our losses. So few are Student's t, given as the normal
    deviate of the same probability.
    """
    mean, std, num = ours.mean(), ours.std(ddof=1), len(ours)
    far = [
        _errors(g - mean, std * math.sqrt(1 + 1 / num), _LOSS_ROUNDING) for g in golden
    ]
    std_of_mean = std * math.sqrt(1 / len(golden) + 1 / num)
    far.append(_errors(np.mean(golden) - mean, std_of_mean, _LOSS_ROUNDING))
    return float(stats.norm.isf(stats.t.sf(max(far), num - 1)))


def _errors(difference: float, standard_error: float, rounding: float) -> float:
    """Return a difference in standard errors, rounding taken off."""
    beyond = max(abs(float(difference)) - rounding, 0.0)
    if not beyond:
        return 0.0
    return beyond / standard_error if standard_error else math.inf
