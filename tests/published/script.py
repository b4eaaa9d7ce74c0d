"""A script in the style of the published system; nothing in it is of this one alone."""

import gin
import jax
import jax.numpy as jnp
import numpy as np
from matplotlib import pyplot as plt

from learned_optimization.baselines import (
    hparam_sets,
    run_archive,
    run_trainer,
    utils,
    vis,
)
from learned_optimization.optimizers import base as opt_base
from learned_optimization.tasks import base as tasks_base
from learned_optimization.tasks import quadratics, task_augmentation
from learned_optimization.tasks.datasets import base as datasets_base

RATES = (0.01, 0.1)


def lines(seed):
    rng = np.random.RandomState(seed)
    while True:
        x = rng.randn(16, 3).astype(np.float32)
        yield {"x": x, "y": x @ np.array([1.0, -2.0, 0.5], np.float32)}


class LineTask(tasks_base.Task):
    datasets = datasets_base.Datasets(lines(0), lines(1), lines(2), lines(3))

    def init(self, key):
        return {"w": jax.random.normal(key, (3,))}

    def loss(self, params, key, data):
        return jnp.mean((data["x"] @ params["w"] - data["y"]) ** 2)


@gin.configurable
def TinyLR_30_R2(task_name):
    paths = [utils.get_save_dir(task_name, f"Tiny_lr{r}", 30, 10, 5, 10) for r in RATES]
    return [], [(path, 2) for path in paths]


for rate in RATES:
    for _ in range(2):
        run_trainer.inner_train_task(
            LineTask(), opt_base.SGD(rate), 30, opt_name=f"Tiny_lr{rate}"
        )
assert run_archive.maybe_archive_hparam_set("LineTask", "TinyLR_30_R2")
[(xs, mean, (low, high))] = vis.load_curves("LineTask", ("TinyLR_30_R2",))
vis.plot_tasks_and_sets("LineTask", ["TinyLR_30_R2"], labels=["tiny"])
plt.savefig("line.png")
family = task_augmentation.ReparamWeightsFamily(
    quadratics.FixedDimQuadraticFamily(4), "global", (0.5, 2.0)
)
task = tasks_base.get_task(family, task_family_seed=3)
run_trainer.inner_train_task(task, opt_base.Adam(0.1), 30, task_name="Drawn")
assert len(hparam_sets.AdamLR_10000_R5("LineTask")[0]) == 70
print(xs.shape, mean.shape, np.all(low <= mean), np.all(mean <= high), mean[-1])
