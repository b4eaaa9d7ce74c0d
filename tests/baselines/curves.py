"""Archives of losses that are known in closed form."""

from typing import TypedDict

import numpy as np

from learned_optimization.baselines import utils

SPLITS = ("train", "outer_valid", "test")


class Shape(TypedDict):
    """What `geometric` is made of."""

    scale: float
    rate: float
    floor: float


def write_losses(task, hparam_set, losses, every=10, **splits):
    """Archive losses `[configs, seeds, evals]`; of splits not given, those too."""
    shape = losses.shape
    xs = np.broadcast_to(np.arange(shape[2]) * every, shape)
    names = np.array([f"{hparam_set}_lr{i + 1}" for i in range(shape[0])])
    utils.write_archive(
        task,
        hparam_set,
        {
            "eval/xs": xs,
            "opt_name": np.broadcast_to(names[:, None], shape[:2]),
            **{f"eval/{split}/loss": splits.get(split, losses) for split in SPLITS},
        },
    )


def geometric(scale, rate, floor, num_evals=101):
    """`floor + scale * rate**i`."""
    return floor + scale * rate ** np.arange(num_evals)


def averaged_geometric(scale, rate, floor, num_evals=101, decay=0.95):
    """The moving average of `geometric` that starts at its first value.

    The weights of evaluations 1 to i, (1 - d) d^(i - j), times r^j are a geometric
    sum.
    """
    i = np.arange(num_evals)
    later = (1 - decay) * rate * (rate**i - decay**i) / (rate - decay)
    return floor + scale * (decay**i + later)


def with_seeds(curves, spread):
    """Curves `[configs, evals]` of seeds that are `spread` apart, `[configs, seeds,
    evals]`."""
    return np.asarray(curves)[:, None, :] + np.asarray(spread)[:, None]
