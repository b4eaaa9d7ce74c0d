"""`lopt quickstart`: a real comparison in a minute or two, offline."""

from __future__ import annotations

from pathlib import Path

from learned_optimization.baselines.sets.registry import get_hparam_set
from learned_optimization.cli.drawing import check_output, draw
from learned_optimization.cli.output import say
from learned_optimization.cli.plot import Output
from learned_optimization.cli.sweep import run_and_archive
from learned_optimization.eval_training import keep_compiled, use_all_cores

TASK = "ImageMLP_FashionMnist8_Relu32"
SETS = [
    f"{name}_1000_R5"
    for name in (
        "AdamLR",
        "AdamWLR",
        "SGDLR",
        "SGDMLR",
        "RMSPropLR",
        "AdaGradLR",
        "YogiLR",
        "LambLR",
    )
]


def quickstart(output: Output = Path("quickstart.png")) -> None:
    """Compare eight optimizers: 560 trials on real data, archives, table, figure."""
    check_output(output)
    use_all_cores()
    keep_compiled()
    hparam_sets = [get_hparam_set(name) for name in SETS]
    trials = sum(s.num_trials for s in hparam_sets)
    say(f"{TASK}: {len(SETS)} sets, {trials} trials of 1,000 steps")
    run_and_archive([TASK], hparam_sets)
    draw([TASK], SETS, output)
