"""What the tasks of a suite cost, and how well they tell optimizers apart.

    python benchmarks/suite_tasks.py [SUITE] [--optimizers SGD SGDM ...] [--order ...]
        [--groups 2] [--only TASK ...]

Every learning rate of each optimizer (`AdamCosine`: under the cosine schedule) is
trained on the first five seeds of each task, in the ordinary store
(`LOPT_BASELINE_DIR`): stopped, the same command goes on. Of those in `--order` further
groups of five seeds are trained, at the five rates around the one that is best on the
first: so few of the 14, since none of the others is ever best by chance. Times are
those of this machine: run it alone. A row is printed per task as it is done:

- trial-steps/s: updates a second of Adam's 14 rates and 5 seeds, evaluations included,
  measured for a few seconds;
- s/set: seconds that Adam's set took, with compilation and the evaluation of whole
  splits at its end;
- noise: standard deviation over seeds of the test loss of an optimizer's best
  configuration (the one of the lowest mean on outer_valid), without what a seed does to
  all optimizers alike;
- worst, middle: how much worse the worst and the middle optimizer are than the best, in
  units of the noise;
- order: of two groups of five seeds that share none, the share of pairs of optimizers
  that both put in the same order, over all ways to make such groups. Chance is 0.5;
- best: how often both have the same optimizer first.

A task that tells nothing apart has a middle below 1, or an order near 0.5.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np
from race_simulation import print_head, print_row
from real_losses import Store

from learned_optimization.baselines.sets.hparam_set import LEARNING_RATES, HParamSet
from learned_optimization.baselines.stats.chains import prepared
from learned_optimization.baselines.suites.challengers import BASELINES, baseline_sets
from learned_optimization.baselines.suites.registry import get_suite
from learned_optimization.baselines.sweeps.sweep import run_sweep
from learned_optimization.eval_training import keep_compiled, use_all_cores
from learned_optimization.optimizers.optax_opts import Adam
from learned_optimization.prng import key_of_seed
from learned_optimization.tasks.base import Task, get_task_from_name
from learned_optimization.tasks.cost import num_params
from learned_optimization.training.plan import RunPlan
from learned_optimization.training.run import measure_grid

OPTIMIZERS = (*BASELINES, "RMSProp", "SGD", "AdaGrad", "Adafactor", "Lamb")
ORDER = ("SGDM", "RMSProp", "Adam", "AdamW", "NAdamW", "Lion", "Muon", "SOAP")
GROUP = 5
# Learning rates on either side of the best one that further groups are trained at.
_BESIDE = 2
_MEASURED_SECONDS = 3.0


def train(task_name: str, hparam_set: HParamSet) -> None:
    """Train what has no result yet of a set."""
    summary = run_sweep([task_name], [hparam_set])
    if summary.num_failed:
        raise SystemExit(f"{summary.num_failed} trials failed: {summary.failures}")
    if summary.num_trials > summary.num_skipped:
        seconds = summary.run_seconds + summary.compile_seconds
        print(f"{task_name}, {hparam_set.name}: {seconds:.0f} s", flush=True)


def around_best(task_name: str, sets: Sequence[HParamSet]) -> list[HParamSet]:
    """Return each set with the rates around the one that its own seeds choose."""
    near = []
    for s, (outer_valid, _) in zip(sets, losses_of(task_name, sets), strict=True):
        best = int(np.argmin(outer_valid.mean(axis=1)))
        near.append(of_rates(s, range(best - _BESIDE, best + _BESIDE + 1)))
    return near


def of_rates(hparam_set: HParamSet, places: Iterable[int]) -> HParamSet:
    """Return a set with those of some configurations that there are."""
    kept = [p for p in places if 0 <= p < hparam_set.num_configs]
    return replace(
        hparam_set,
        opt_names=tuple(hparam_set.opt_names[p] for p in kept),
        hparams=tuple(hparam_set.hparams[p] for p in kept),
    )


def losses_of(
    task_name: str, sets: Sequence[HParamSet], num_groups: int = 1
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return each set's losses that choose and that are reported, `[configs, seeds]`.

    Losses of trials that diverged are those before training.
    """
    store = Store.of_seeds(task_name, sets, num_groups * GROUP)
    clipped = prepared(store.losses())
    return list(zip(clipped.outer_valid, clipped.test, strict=True))


def chosen(losses: tuple[np.ndarray, np.ndarray], seeds: Sequence[int]) -> np.ndarray:
    """Return `[seeds]`, test losses of the configuration that some seeds choose."""
    outer_valid, test = (x[:, list(seeds)] for x in losses)
    return test[int(np.argmin(outer_valid.mean(axis=1)))]


def spread(losses: np.ndarray) -> tuple[float, float, float]:
    """Return the noise, and by how many of it the worst and the middle are worse.

    Args:
      losses: `[sets, seeds]`, of each set's chosen configuration.
    """
    rest = losses - losses.mean(axis=0) - losses.mean(axis=1, keepdims=True)
    rest += losses.mean()
    free = (losses.shape[0] - 1) * (losses.shape[1] - 1)
    # The middle of the sets: one that diverges now and then is noise of its own.
    per_set = (rest**2).sum(axis=1) * losses.shape[0] / free
    noise = float(np.sqrt(np.median(per_set)))
    means = np.sort(losses.mean(axis=1)) - losses.mean(axis=1).min()
    return noise, float(means[-1]) / noise, float(np.median(means)) / noise


def halves(num_seeds: int) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Yield all pairs of groups of five seeds that share none, each pair once."""
    for one in itertools.combinations(range(num_seeds), GROUP):
        left = sorted(set(range(num_seeds)) - set(one))
        for other in itertools.combinations(left, GROUP):
            if one < other:
                yield one, other


def agreement(losses: Sequence[tuple[np.ndarray, np.ndarray]]) -> tuple[float, float]:
    """Return how often groups agree on the order of two sets, and on the best."""
    num_seeds = losses[0][1].shape[1]
    means: dict[tuple[int, ...], np.ndarray] = {
        group: np.asarray([chosen(x, group).mean() for x in losses])
        for group in itertools.combinations(range(num_seeds), GROUP)
    }
    above = np.triu_indices(len(losses), 1)
    orders, bests = [], []
    for one, other in halves(num_seeds):
        a, b = means[one], means[other]
        signs = [np.sign(x[:, None] - x[None])[above] for x in (a, b)]
        orders.append(np.mean(signs[0] == signs[1]))
        bests.append(np.argmin(a) == np.argmin(b))
    return float(np.mean(orders)), float(np.mean(bests))


def trial_steps_per_second(task: Task, num_steps: int) -> float:
    """Return the updates per second of the grid of Adam's set."""
    return measure_grid(
        task,
        [Adam(learning_rate=rate) for rate in LEARNING_RATES],
        [key_of_seed(seed) for seed in range(GROUP)],
        RunPlan(num_steps),
        _MEASURED_SECONDS,
    ).trial_steps_per_second


def of_task(
    task_name: str,
    every: Sequence[HParamSet],
    ordered: Sequence[HParamSet],
    num_groups: int,
) -> list[object]:
    """Train what has no result yet, and return the cells of the task's row."""
    task = get_task_from_name(task_name)
    adam = next(s for s in (*every, *ordered) if s.optimizer == "Adam")
    train(task_name, adam)
    # The strategy is known by now, where finding it pays.
    speed = trial_steps_per_second(task, adam.num_steps)
    seconds = Store.of_seeds(task_name, [adam], GROUP).seconds()
    for hparam_set in (*every, *ordered):
        train(task_name, hparam_set)
    near = around_best(task_name, ordered)
    for hparam_set, group in itertools.product(near, range(1, num_groups)):
        train(task_name, hparam_set.from_seed(group * GROUP))
    first = range(GROUP)
    noise, worst, middle = spread(
        np.stack([chosen(x, first) for x in losses_of(task_name, every)])
    )
    same_order, same_best = agreement(losses_of(task_name, near, num_groups))
    assert task.datasets is not None
    return [
        task_name,
        task.datasets.name,
        f"{num_params(task):,}",
        f"{speed:,.0f}",
        f"{seconds:.0f}",
        f"{noise:.2g}",
        f"{worst:.0f}",
        f"{middle:.1f}",
        f"{same_order:.2f}",
        f"{same_best:.2f}",
    ]


def main() -> None:
    """Train, and print a row per task."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("suite", nargs="?", default="laptop")
    parser.add_argument("--optimizers", nargs="+", default=list(OPTIMIZERS))
    parser.add_argument("--order", nargs="+", default=list(ORDER))
    parser.add_argument("--groups", type=int, default=2)
    parser.add_argument("--only", nargs="+", help="these tasks of the suite alone")
    args = parser.parse_args()
    if args.groups < 2:
        parser.error("--groups must be 2 or more: one group agrees with none.")
    use_all_cores()
    keep_compiled()
    suite = get_suite(args.suite)
    every, ordered = (baseline_sets(suite, x) for x in (args.optimizers, args.order))
    head = (
        *("task", "data", "parameters", "trial-steps/s", "s/set"),
        *("noise", "worst", "middle", "order", "best"),
    )
    rows = []
    for task_name in args.only or suite.tasks:
        rows.append(of_task(task_name, every, ordered, args.groups))
        print_head(*head)
        print_row(*rows[-1])
    print_head(*head)
    for row in rows:
        print_row(*row)


if __name__ == "__main__":
    main()
