"""How fast learned optimizers are meta-trained.

    python benchmarks/meta_training.py [--table] [--seconds 5]

MLPLOpt with 16 hidden units on ImageMLP_FashionMnist8_Relu32, by PES with 16 pairs and
truncations of 50: meta-steps per second of the compiled program; the ratio to a Python
loop that dispatches one compiled truncation, with its data and the outer step outside,
per meta-step, in the same process; and the share of the peak of matrix products on all
cores. `--table` adds the growth with pairs, hidden units and tasks.
"""

from __future__ import annotations

import argparse

from learned_optimization.benchmarking.meta_training import (
    loop_rate,
    meta_step_flops,
    program_rate,
)
from learned_optimization.benchmarking.peak import matmul_peak
from learned_optimization.eval_training import keep_compiled, use_all_cores

PUBLISHED = 4.8
"""Meta-steps per second of the published system, same settings, 2 idle cores."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--seconds", type=float, default=5.0)
    args = parser.parse_args()
    use_all_cores()
    keep_compiled()
    peak = matmul_peak()
    ours, _ = program_rate(args.seconds)
    loop, _ = loop_rate(args.seconds)
    print(f"compiled program      {ours:6.1f} meta-steps per second")
    print(f"loop of truncations   {loop:6.1f}, ratio {ours / loop:.2f}")
    print(f"published system      {PUBLISHED:6.1f}, ratio {ours / PUBLISHED:.2f}")
    share = ours * meta_step_flops() / peak
    print(f"share of the peak of matrix products, {peak / 1e9:.0f} GF/s: {share:.0%}")
    if not args.table:
        return
    print("hidden  pairs  tasks  meta-steps/s  of peak")
    for hidden, pairs, tasks in (
        (16, 4, 1),
        (16, 16, 1),
        (16, 64, 1),
        (4, 16, 1),
        (32, 16, 1),
        (16, 16, 2),
        (16, 16, 4),
    ):
        made, _ = program_rate(args.seconds, hidden, pairs, tasks)
        share = made * tasks * meta_step_flops(hidden, pairs) / peak
        print(f"{hidden:6}  {pairs:5}  {tasks:5}  {made:12.1f}  {share:7.0%}")


if __name__ == "__main__":
    main()
