"""How the speed of training grows with trials, tokens and width.

    python benchmarks/growth.py [trials|tokens|width ...] [--seconds 2]

Of the small models that this machine's limit is farthest from: vision transformer,
mixer, byte transformer and GRU, each as in the suite `laptop` but for what grows. A row
has the trial-steps a second with Adam, evaluations included; that against a jitted loop
of steps where trials grow, as `lopt bench` has it, and against the first row else; and
the arithmetic of the task against the machine's matrix products, measured in the same
run. Trials are five seeds of as many learning rates as that takes. Run it alone.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from race_simulation import print_head, print_row

from learned_optimization.baselines.sets.hparam_set import LEARNING_RATES
from learned_optimization.baselines.sweeps.estimate import trial_flops
from learned_optimization.benchmarking.measurements import loop
from learned_optimization.benchmarking.peak import matmul_peak
from learned_optimization.eval_training import keep_compiled, use_all_cores
from learned_optimization.optimizers.optax_opts import Adam
from learned_optimization.prng import key_of_seed
from learned_optimization.tasks.base import Task
from learned_optimization.tasks.datasets.image import fashion_mnist
from learned_optimization.tasks.datasets.text import kjv_bytes
from learned_optimization.tasks.fixed import laptop
from learned_optimization.training.plan import RunPlan
from learned_optimization.training.run import measure_grid

PLAN = RunPlan(num_steps=1000)
TRIALS = (1, 5, 70, 280)
SIDES = (4, 8, 16)
LENGTHS = (8, 16, 32, 64)
FACTORS = (1, 2, 4)
_SEEDS = 5
_TRIALS_ELSE = 70

Variant = tuple[str, Task]


def tokens() -> Iterator[list[Variant]]:
    """Yield each model over more and more tokens: larger images, longer texts."""
    for make in (
        laptop.VIT_FashionMnist8_2layer_24width,
        laptop.MLPMixer_FashionMnist8_2block_32width,
    ):
        task: Any = make()
        yield [
            (
                f"{(side // 2) ** 2} tokens",
                replace(task, datasets=fashion_mnist(32, image_size=side)),
            )
            for side in SIDES
        ]
    for make in (
        laptop.TransformerLM_kjvbytes_Patch16_1layer_32width,
        laptop.RNNLM_kjvbytes_Patch16_GRU64_Embed32,
    ):
        task = make()
        yield [
            (f"{length} tokens", replace(task, datasets=kjv_bytes(16, length)))
            for length in LENGTHS
        ]


def widths() -> Iterator[list[Variant]]:
    """Yield each model wider and wider."""
    vit: Any = laptop.VIT_FashionMnist8_2layer_24width()
    mixer: Any = laptop.MLPMixer_FashionMnist8_2block_32width()
    transformer: Any = laptop.TransformerLM_kjvbytes_Patch16_1layer_32width()
    gru: Any = laptop.RNNLM_kjvbytes_Patch16_GRU64_Embed32()
    yield [
        (f"width {24 * f}", replace(vit, hidden=24 * f, mlp=48 * f)) for f in FACTORS
    ]
    yield [
        (f"width {32 * f}", replace(mixer, hidden=32 * f, channels_mlp=64 * f))
        for f in FACTORS
    ]
    yield [
        (f"width {32 * f}", replace(transformer, d_model=32 * f, num_heads=2 * f))
        for f in FACTORS
    ]
    yield [
        (f"width {64 * f}", replace(gru, hidden=64 * f, embedding=32 * f))
        for f in FACTORS
    ]


def trial_steps_per_second(task: Task, num_trials: int, seconds: float) -> float:
    """Return the updates per second of so many trials."""
    seeds = 1 if num_trials % _SEEDS else _SEEDS
    rates = itertools.islice(itertools.cycle(LEARNING_RATES), num_trials // seeds)
    return measure_grid(
        task,
        [Adam(learning_rate=rate) for rate in rates],
        [key_of_seed(seed) for seed in range(seeds)],
        PLAN,
        seconds,
        at_end=False,
    ).trial_steps_per_second


def share_of_peak(task: Task, rate: float, peak: float) -> float:
    """Return the arithmetic done in a second against the peak."""
    return rate * trial_flops(task, PLAN) / (PLAN.num_steps + 1) / peak


def print_variants(
    groups: Iterator[list[Variant]], seconds: float, peak: float
) -> None:
    """Print a row of each variant of each model."""
    print_head("model", "variant", "trial-steps/s", "ratio", "of peak")
    for group in groups:
        first = None
        for label, task in group:
            rate = trial_steps_per_second(task, _TRIALS_ELSE, seconds)
            first = first or rate
            share = share_of_peak(task, rate, peak)
            cells = f"{rate:,.0f}", f"{rate / first:.2f}", f"{share:.1%}"
            print_row(type(task).__name__, label, *cells)


def print_trials(seconds: float, peak: float) -> None:
    """Print a row of each number of trials of each model."""
    print_head("model", "trials", "trial-steps/s", "x a loop", "of peak")
    for name in (
        "VIT_FashionMnist8_2layer_24width",
        "MLPMixer_FashionMnist8_2block_32width",
        "TransformerLM_kjvbytes_Patch16_1layer_32width",
        "RNNLM_kjvbytes_Patch16_GRU64_Embed32",
    ):
        task = getattr(laptop, name)()
        alone = loop(name, str(seconds))["trial_steps_per_second"]
        for num_trials in TRIALS:
            rate = trial_steps_per_second(task, num_trials, seconds)
            share = share_of_peak(task, rate, peak)
            print_row(
                name, num_trials, f"{rate:,.0f}", f"{rate / alone:.1f}", f"{share:.1%}"
            )


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, and print a table of each kind of growth."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    kinds: dict[str, Callable[[float, float], None]] = {
        "trials": print_trials,
        "tokens": lambda seconds, peak: print_variants(tokens(), seconds, peak),
        "width": lambda seconds, peak: print_variants(widths(), seconds, peak),
    }
    parser.add_argument("kinds", nargs="*", metavar="KIND", default=list(kinds))
    parser.add_argument("--seconds", type=float, default=2.0)
    args = parser.parse_args(argv)
    if unknown := set(args.kinds) - kinds.keys():
        parser.error(f"{', '.join(sorted(unknown))}: it is one of {', '.join(kinds)}")
    use_all_cores()
    keep_compiled()
    peak = matmul_peak()
    print(f"matrix products: {peak / 1e9:.1f} GFLOP/s")
    for kind in args.kinds:
        kinds[kind](args.seconds, peak)


if __name__ == "__main__":
    main()
