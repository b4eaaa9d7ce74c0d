"""How sure is it that one set is better, and how many steps of Adam is it worth?"""

import numpy as np

from learned_optimization.baselines import load_archive, normalizers, stats
from learned_optimization.baselines.hparam_sets import get_hparam_set
from learned_optimization.baselines.run_archive import maybe_archive_hparam_set
from learned_optimization.baselines.sweeps.sweep import run_sweep

TASK = "ImageMLP_FashionMnist8_Relu32"
SETS = ["AdamLR_1000_R5", "SGDMLR_1000_R5"]

run_sweep([TASK], [get_hparam_set(name) for name in SETS])
reported = {}
for name in SETS:
    maybe_archive_hparam_set(TASK, name)
    archive = load_archive(TASK, name)
    select = stats.mark_diverged(archive["eval/outer_valid/loss"][..., -1])
    report = stats.mark_diverged(archive["eval/test/loss"][..., -1])
    # Each seed reports the learning rate that the other seeds chose.
    reported[name] = stats.nested_selection(select, report).report
    print(f"{name}: test loss {reported[name].mean():.4f}")

pair = stats.paired_comparison(*reported.values())
print(f"{' - '.join(SETS)}: {pair.difference:.4f} [{pair.low:.4f}, {pair.high:.4f}]")

normalizers.speedup_over_adam_1000_build_and_write([TASK], "adam.json", overwrite=True)
to_steps = normalizers.speedup_over_adam_1000_normalizer_map("adam.json")[TASK]
train = load_archive(TASK, SETS[1])["eval/train/loss"].mean(axis=1)
lowest = np.nanmin(train[:, -10:].mean(axis=1))
print(f"SGDM reaches in 1,000 steps what Adam reaches in {to_steps(lowest):.0f}")
