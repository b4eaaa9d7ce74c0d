"""How often groups of real seeds agree on which sets are worse, and hold the truth.

    python benchmarks/replication.py [--num-steps 10000] [--groups 8]
        [--seeds 5 10 20] [--optimizers Adam SGDM ...] [--task NAME]

Every learning rate of each optimizer is trained on enough seeds for so many disjoint
groups of the largest number, in the ordinary store (`LOPT_BASELINE_DIR`): stopped, the
same command goes on. Then, for each number of seeds and each way of
`verdict_simulation.py`:

- replicated: the share of a group's exclusions that another group makes too, over all
  pairs of groups;
- excluded: sets that a group excludes, on average;
- best excluded: how often it excludes the set that is best by all seeds.

And how often the intervals of one look hold what the seeds outside the group say, which
is itself uncertain: the loss of each set's best configuration, and how much worse it is
than the best of the others (all lower ends together, and all upper ends: 95% or more).
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Sequence

import numpy as np
from race_simulation import print_head, print_row
from real_losses import TASK, Store, add_options, rate_sets, select_seeds, train
from verdict_simulation import WAYS

from learned_optimization.baselines import stats
from learned_optimization.baselines.stats.chains import TaskLosses, prepared
from learned_optimization.eval_training import keep_compiled, use_all_cores


def best_losses(losses: TaskLosses) -> np.ndarray:
    """Return `[sets]`, the mean test loss of each set's best configuration."""
    return np.asarray([x.mean(axis=1).min() for x in prepared(losses).test])


def disjoint(num_groups: int, num_seeds: int) -> list[np.ndarray]:
    """Return groups of seeds that share none."""
    return list(np.arange(num_groups * num_seeds).reshape(num_groups, num_seeds))


def replication(losses: TaskLosses, groups: Sequence[np.ndarray]) -> None:
    """Print a row for each way: how groups agree on what they exclude."""
    num_sets, best = len(losses.test), int(np.argmin(best_losses(losses)))
    for way, left in WAYS.items():
        excluded = [
            set(range(num_sets)) - set(left(select_seeds(losses, group)))
            for group in groups
        ]
        pairs = list(itertools.combinations(excluded, 2))
        made = sum(len(a) + len(b) for a, b in pairs)
        again = 2 * sum(len(a & b) for a, b in pairs)
        print_row(
            len(groups[0]),
            way,
            again / made if made else float("nan"),
            float(np.mean([len(x) for x in excluded])),
            float(np.mean([best in x for x in excluded])),
        )


def coverage(losses: TaskLosses, groups: Sequence[np.ndarray]) -> list[float]:
    """Return how often the intervals of a group hold what the other seeds say.

    Returns:
      The shares of sets whose own interval holds, and of groups whose lower ends all
      hold, and upper ends.
    """
    own, lows, highs = [], [], []
    every = np.arange(np.asarray(losses.test[0]).shape[1])
    for group in groups:
        truths = best_losses(select_seeds(losses, np.setdiff1d(every, group)))
        others = [np.delete(truths, a).min() for a in range(len(truths))]
        standings = stats.one_look(select_seeds(losses, group)).standings
        both = list(zip(standings, truths, truths - others, strict=True))
        own += [s.loss.low <= truth <= s.loss.high for s, truth, _ in both]
        # With too few seeds there is no bound, which is never wrong.
        lows.append(all(not s.low > gap for s, _, gap in both))
        highs.append(all(not s.high < gap for s, _, gap in both))
    return [float(np.mean(x)) for x in (own, lows, highs)]


def main() -> None:
    """Train and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_options(parser)
    parser.add_argument("--task", default=TASK)
    parser.add_argument("--groups", type=int, default=8)
    parser.add_argument("--seeds", type=int, nargs="+", default=[5, 10, 20])
    args = parser.parse_args()
    use_all_cores()
    keep_compiled()
    sets = rate_sets(args.optimizers, args.num_steps)
    start, num_seeds = time.monotonic(), args.groups * max(args.seeds)
    train([args.task], sets, num_seeds)
    store = Store.of_seeds(args.task, sets, num_seeds)
    losses = store.losses()
    print(
        f"{len(store.paths):,} trials of {args.num_steps:,} steps, "
        f"{store.seconds():,.0f} s of training and compiling, "
        f"{time.monotonic() - start:,.0f} s now"
    )
    print_head("set", "mean test loss of its best configuration")
    for s, loss in zip(sets, best_losses(losses), strict=True):
        print_row(s.name, f"{loss:.4f}")
    print_head("seeds", "way", "replicated", "excluded", "best excluded")
    for num in args.seeds:
        replication(losses, disjoint(args.groups, num))
    print_head("seeds", "own interval", "all lower ends", "all upper ends")
    for num in args.seeds:
        print_row(num, *coverage(losses, disjoint(args.groups, num)))


if __name__ == "__main__":
    main()
