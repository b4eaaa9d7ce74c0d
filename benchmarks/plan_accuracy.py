"""How long `lopt plan` takes, and how near it is to what a sweep then takes.

    python benchmarks/plan_accuracy.py [--tasks NAME ...] [--sets NAME ...]
        [--seconds 1] [--total-seconds 50] [--most-minutes M]

Plans all sets on all tasks twice, as the command line does, and prints how long that
took: once with nothing recorded, and once with what the first plan recorded. Then it
trains each set on each task and prints its seconds, compiling included, beside those
planned; `~` marks what the plan did not measure. The sweeps choose strategies, which
takes time of its own: the last line says how long they took by the clock.

Results and caches are in a folder that is thrown away, and the sweeps find nothing
compiled by the plan. Other work on the machine, or none where the plan had some, moves
the ratios: run it on an idle machine.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from learned_optimization.baselines.hparam_sets import get_hparam_set
from learned_optimization.baselines.sweeps.sweep import run_sweep
from learned_optimization.eval_training import keep_compiled, use_all_cores

TASKS = ["ImageMLP_FashionMnist8_Relu32"]
SETS = ["AdamLR_1000_R5", "AdamLR_10000_R5", "SGDLR_10000_R5"]


def main() -> None:
    """Plan twice, train, and print one line per task and set."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tasks", nargs="+", default=TASKS)
    parser.add_argument("--sets", nargs="+", default=SETS)
    parser.add_argument("--seconds", default="1")
    parser.add_argument("--total-seconds", default="50")
    parser.add_argument(
        "--most-minutes",
        type=float,
        default=float("inf"),
        help="train no set that is planned to take longer",
    )
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["LOPT_BASELINE_DIR"] = str(Path(folder) / "results")
        os.environ["LOPT_CACHE_DIR"] = str(Path(folder) / "plan")
        options = ["--seconds", args.seconds, "--total-seconds", args.total_seconds]
        names = [*args.tasks, *args.sets]
        rows = _planned([*names, *options], "first plan")
        _planned([*names, "--quick"], "plan of what is recorded")
        os.environ["LOPT_CACHE_DIR"] = str(Path(folder) / "sweeps")
        _train(rows, args.most_minutes * 60)


def _planned(arguments: list[str], what: str) -> list[dict[str, Any]]:
    """Plan in a process of its own, and print how long that took."""
    script = "from learned_optimization.cli.main import main; main()"
    command = [sys.executable, "-c", script, "plan", *arguments, "--json"]
    start = time.perf_counter()
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    seconds = time.perf_counter() - start
    rows = json.loads(output)
    rough = sum(row["is_rough"] for row in rows)
    print(f"{what}: {seconds:.1f} s, {rough} of {len(rows)} rows not measured")
    return rows


def _train(rows: list[dict[str, Any]], most_seconds: float) -> None:
    use_all_cores()
    keep_compiled()
    width = max(len(f"{row['task']} {row['set']}") for row in rows)
    print(f"{'task and set':<{width}} {'planned':>10} {'took':>9} {'ratio':>6}")
    all_planned = all_took = 0.0
    start = time.perf_counter()
    for row in rows:
        name, planned = f"{row['task']} {row['set']}", row["seconds"]
        if planned is None or planned > most_seconds:
            print(f"{name:<{width}} {'left out':>10}")
            continue
        summary = run_sweep([row["task"]], [get_hparam_set(row["set"])])
        took = summary.run_seconds + summary.compile_seconds
        all_planned, all_took = all_planned + planned, all_took + took
        said = "~" * row["is_rough"] + f"{planned:.1f}s"
        print(f"{name:<{width}} {said:>10} {took:8.1f}s {planned / took:6.2f}")
    if all_took:
        said, ratio = f"{all_planned:.1f}s", all_planned / all_took
        print(f"{'all':<{width}} {said:>10} {all_took:8.1f}s {ratio:6.2f}")
    print(f"the sweeps took {time.perf_counter() - start:.1f} s by the clock")


if __name__ == "__main__":
    main()
