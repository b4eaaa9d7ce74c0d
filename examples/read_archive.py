"""Read every curve of a set: with numpy alone, and as a data frame."""

import numpy as np

from learned_optimization.baselines import to_frame, utils
from learned_optimization.baselines.hparam_sets import get_hparam_set
from learned_optimization.baselines.run_archive import maybe_archive_hparam_set
from learned_optimization.baselines.sweeps.sweep import run_sweep

TASK, SET = "ImageMLP_FashionMnist8_Relu32", "AdamLR_1000_R5"

# Trains what has no result yet: nothing, if the set was trained before.
run_sweep([TASK], [get_hparam_set(SET)])
maybe_archive_hparam_set(TASK, SET)

with np.load(utils.get_baseline_archive_path(TASK, SET), allow_pickle=False) as file:
    loss = file["eval/test/loss"]  # [learning rates, seeds, evaluations]
    names = file["opt_name"][:, 0]
print("learning rates, seeds, evaluations:", loss.shape)
for name, final in zip(names, loss[..., -1], strict=True):
    print(f"{name:18} {final.mean():.4f} ± {final.std(ddof=1):.4f}")

trials = to_frame(TASK, SET)
by_rate = trials.groupby("hparam/learning_rate")[["test/loss", "test/accuracy"]]
print(by_rate.mean().round(4))
