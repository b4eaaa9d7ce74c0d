"""How near the seconds of `lopt plan` are to the seconds that a sweep then takes.

    python benchmarks/plan_accuracy.py [--task NAME] [--set NAME ...] [--seconds 3]

A plan runs the beginning of each grid of trials and multiplies. Each set is planned and
then trained, in a folder that is thrown away, and both times are printed beside each
other. Other work on the machine, or none where the plan had some, moves the ratio: run
it on an idle machine.
"""

from __future__ import annotations

import argparse
import os
import tempfile

from learned_optimization.baselines.hparam_sets import get_hparam_set
from learned_optimization.baselines.sweeps.estimate import estimate
from learned_optimization.baselines.sweeps.sweep import run_sweep


def main() -> None:
    """Plan, train, and print one line per set."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", default="ImageMLP_FashionMnist8_Relu32")
    parser.add_argument("--set", nargs="+", default=["AdamLR_10000_R5"])
    parser.add_argument("--seconds", type=float, default=3.0)
    args = parser.parse_args()
    print(f"{'set':<24} {'planned':>9} {'took':>9} {'ratio':>6}")
    for name in args.set:
        with tempfile.TemporaryDirectory() as folder:
            os.environ["LOPT_BASELINE_DIR"] = folder
            hparam_set = get_hparam_set(name)
            planned = estimate(args.task, hparam_set, args.seconds).seconds
            assert planned is not None
            summary = run_sweep([args.task], [hparam_set])
        took = summary.run_seconds + summary.compile_seconds
        print(f"{name:<24} {planned:8.1f}s {took:8.1f}s {planned / took:6.2f}")


if __name__ == "__main__":
    main()
