"""How fast a whole set trains, against a Python loop and the machine's peak.

    python benchmarks/training_throughput.py [--num-steps 10000]

Three measurements in one run, each in processes of its own:

- the matrix-product peak: float32 products of 2048 x 2048 matrices;
- the set: AdamLR (14 learning rates x 5 seeds) on ImageMLP_FashionMnist8_Relu32
  with the documented evaluation, as `lopt sweep` runs it;
- the alternative: the same work as a loop of jitted steps fed by numpy, one
  process a core, as a system without whole-run compilation does it.

A trial-step is one update of one trial with its share of the evaluations.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import resource
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console
from rich.table import Table

from learned_optimization.baselines.hparam_sets import LEARNING_RATES
from learned_optimization.eval_training import (
    EVAL_SPLITS,
    multi_trial_training_curves,
    use_all_cores,
)
from learned_optimization.optimizers.optax_opts import Adam
from learned_optimization.tasks.fixed.image_mlp import ImageMLP_FashionMnist8_Relu32

NUM_SEEDS = 5
EVAL_EVERY, EVAL_BATCHES, LAST_EVAL_BATCHES = 10, 5, 10
LOOP_STEPS = 500
CORES = len(os.sched_getaffinity(0))


def flops_a_trial_step() -> float:
    """Multiplications and additions of the matrix products, evaluation included."""
    batch, sizes = 128, (64, 32, 10)
    forward = sum(2 * batch * a * b for a, b in itertools.pairwise(sizes))
    # Weight gradients cost as much as the forward pass; the images get none.
    backward = forward + 2 * batch * sizes[1] * sizes[2]
    return forward + backward + len(EVAL_SPLITS) * EVAL_BATCHES * forward / EVAL_EVERY


def measure_peak() -> dict[str, float]:
    """Best of several products, with every core at work in one product."""
    n, repeats = 2048, 4
    a = jnp.ones((n, n))
    product = jax.jit(lambda x: x @ a @ a @ a @ a)
    product(a).block_until_ready()
    best = np.inf
    for _ in range(6):
        start = time.perf_counter()
        product(a).block_until_ready()
        best = min(best, time.perf_counter() - start)
    return {"gflops": repeats * 2 * n**3 / best / 1e9}


def measure_set(num_steps: int) -> dict[str, float]:
    """The whole set, all trials at once."""
    use_all_cores()
    task = ImageMLP_FashionMnist8_Relu32()
    start = time.perf_counter()
    result = multi_trial_training_curves(
        task,
        [Adam(learning_rate=lr) for lr in LEARNING_RATES],
        num_steps,
        [jax.random.PRNGKey(seed) for seed in range(NUM_SEEDS)],
        EVAL_EVERY,
        EVAL_BATCHES,
        LAST_EVAL_BATCHES,
    )
    trial_steps = len(LEARNING_RATES) * NUM_SEEDS * (num_steps + 1)
    return {
        "seconds": time.perf_counter() - start,
        "run_seconds": result.run_seconds,
        "compile_seconds": result.compile_seconds,
        "trial_steps_per_second": trial_steps / result.run_seconds,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def measure_loop() -> dict[str, float]:
    """One trial as a Python loop of jitted steps fed by numpy."""
    task = ImageMLP_FashionMnist8_Relu32()
    opt = Adam(learning_rate=1e-3)
    key = jax.random.PRNGKey(0)
    data = task.datasets
    assert data is not None
    splits = {name: data.split(name) for name in EVAL_SPLITS}
    feed = data.split("train", seed=1)

    @jax.jit
    def update(state, batch, key):
        loss, grad = jax.value_and_grad(task.loss)(opt.get_params(state), key, batch)
        return opt.update(state, grad, loss=loss), loss

    @jax.jit
    def evaluate(state, batch, key):
        loss, aux = task.loss_and_aux(opt.get_params(state), key, batch)
        return loss, task.normalizer(loss), aux

    def run(state, num_steps):
        losses = []
        for step in range(num_steps):
            if step % EVAL_EVERY == 0:
                for batches in splits.values():
                    for _ in range(EVAL_BATCHES):
                        losses.append(evaluate(state, next(batches), key))
            state, loss = update(state, next(feed), key)
            losses.append(float(loss))
        return state

    state = run(opt.init(task.init(key)), 20)
    start = time.perf_counter()
    run(state, LOOP_STEPS)
    return {"steps_per_second": LOOP_STEPS / (time.perf_counter() - start)}


def in_processes(measurement: str, count: int, *args: str) -> list[dict[str, float]]:
    """Runs a measurement in several processes at once."""
    command = [sys.executable, __file__, "--measure", measurement, *args]
    running = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        for _ in range(count)
    ]
    return [json.loads(process.communicate()[0]) for process in running]


def main() -> None:
    """Measures and prints the table."""
    parser = argparse.ArgumentParser(description="Throughput of a whole set.")
    parser.add_argument("--num-steps", type=int, default=10_000)
    parser.add_argument("--json", help="also write the figures to this file")
    parser.add_argument("--measure", choices=["peak", "set", "loop"], help="internal")
    args = parser.parse_args()
    if args.measure:
        measured = {
            "peak": measure_peak,
            "set": lambda: measure_set(args.num_steps),
            "loop": measure_loop,
        }[args.measure]()
        print(json.dumps(measured))
        return

    [peak] = in_processes("peak", 1)
    [whole] = in_processes("set", 1, "--num-steps", str(args.num_steps))
    loops = in_processes("loop", CORES)
    loop_rate = sum(loop["steps_per_second"] for loop in loops)
    set_gflops = whole["trial_steps_per_second"] * flops_a_trial_step() / 1e9
    loop_gflops = loop_rate * flops_a_trial_step() / 1e9

    table = Table(title=f"AdamLR, 70 trials of {args.num_steps:,} steps, {CORES} cores")
    for column in ("", "trial-steps/s", "GFLOP/s", "share of peak", "ratio"):
        table.add_column(column, justify="left" if not column else "right")
    table.add_row("matrix-product peak", "", f"{peak['gflops']:.1f}", "100%", "")
    for name, rate, gflops in (
        ("whole set, compiled", whole["trial_steps_per_second"], set_gflops),
        (f"Python loop, {CORES} processes", loop_rate, loop_gflops),
    ):
        table.add_row(
            name,
            f"{rate:,.0f}",
            f"{gflops:.1f}",
            f"{gflops / peak['gflops']:.1%}",
            f"{rate / loop_rate:.1f}",
        )
    console = Console(width=100)
    console.print(table)
    console.print(
        f"set: {whole['seconds']:.1f} s in all, {whole['run_seconds']:.1f} s training, "
        f"{whole['compile_seconds']:.1f} s compiling, peak {whole['peak_mib']:.0f} MiB"
    )
    if args.json:
        with open(args.json, "w") as file:
            json.dump({"peak": peak, "set": whole, "loops": loops}, file, indent=2)


if __name__ == "__main__":
    main()
