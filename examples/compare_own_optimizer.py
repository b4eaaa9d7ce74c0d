"""Compare an optimizer of your own with Adam on real images, and draw the figure."""

import matplotlib.pyplot as plt
import numpy as np
import optax

from learned_optimization.baselines import load_archive, vis
from learned_optimization.baselines.hparam_sets import get_hparam_set
from learned_optimization.baselines.run_archive import maybe_archive_hparam_set
from learned_optimization.baselines.sets.define import hparam_set
from learned_optimization.baselines.sweeps.sweep import run_sweep
from learned_optimization.optimizers.optax_optimizer import optax_optimizer

TASK = "ImageMLP_FashionMnist8_Relu32"


@optax_optimizer
def SignMomentum(learning_rate: float = 1e-3, beta: float = 0.9):
    """Take steps of one size, in the direction of the averaged gradient."""
    return optax.chain(
        optax.ema(beta),
        optax.scale_by_sign(),
        optax.scale_by_learning_rate(learning_rate),
    )


own = hparam_set(
    name="SignMomentumLR_1000_R5",
    optimizer=SignMomentum,
    num_steps=1000,
    space={"learning_rate": {"log": [1e-5, 1e-1], "points": 5}},
)
sets = [own, get_hparam_set("AdamLR_1000_R5")]
run_sweep([TASK], sets)
for each in sets:
    maybe_archive_hparam_set(TASK, each.name)
    archive = load_archive(TASK, each.name)
    # Chosen on one split, reported on another: the best of many is partly luck.
    best = np.nanargmin(archive["eval/outer_valid/loss"][..., -1].mean(axis=1))
    loss = archive["eval/test/loss"][best, :, -1].mean()
    print(f"{each.name}: {each.hparams[best]}, test loss {loss:.4f}")

figure, axes = plt.subplots()
vis.plot_tasks_and_sets(TASK, [each.name for each in sets], ax=axes)
figure.savefig("comparison.png")
