"""What a race on real sets takes, against as many seeds for every configuration.

    python benchmarks/race_against_uniform.py [--tasks NAME ...] [--num-steps 10000]
        [--tolerance 0.005] [--max-seeds 128] [--most-uniform 160]
        [--optimizers Adam SGDM ...]

A race and a second one whose seeds are others (`--seed-offset`) are run in the ordinary
store (`LOPT_BASELINE_DIR`): stopped, the same command goes on. Then every configuration
is trained on more and more seeds until one look at the first n of them leaves the same
sets as the race, and finds them equivalent where it does. `--most-uniform 0` leaves
that out; `benchmarks/replication.py` trains the same trials.

Seconds are those that the result files record: of each trial its share of training and
compiling its program. The second race looks at other seeds; the two disagree where a
set that one calls best is out in the other.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

from race_simulation import print_head, print_row
from real_losses import TASK, Place, Store, add_options, rate_sets, select_seeds, train

from learned_optimization.baselines import stats
from learned_optimization.baselines.sets.hparam_set import HParamSet
from learned_optimization.baselines.stats.racing import Outcome
from learned_optimization.baselines.sweeps.race import SilentRaceObserver, run_race
from learned_optimization.baselines.sweeps.race_standing import RaceStanding
from learned_optimization.eval_training import keep_compiled, use_all_cores

# So many more seeds are trained before the next look at all of them.
_SEEDS_AT_ONCE = 20


class Teller(SilentRaceObserver):
    """Prints a line per look."""

    def looked(self, standing: RaceStanding) -> None:
        """Print how far the race is."""
        result = standing.result
        left = ", ".join(standing.left)
        print(f"  {result.num_seeds} seeds, {result.num_trials:,} trials: {left}")


@dataclass(frozen=True)
class Verdict:
    """What is compared of a race and a look.

    Attributes:
      left: names of the sets left.
      equivalent: whether these are equivalent.
    """

    left: tuple[str, ...]
    equivalent: bool


def places_of(standing: RaceStanding) -> list[list[Place]]:
    """Return, per task, every trial that the looks of a race have used."""
    configs = {
        a: tuple(tuple(range(s.num_configs)) for _ in standing.tasks)
        for a, s in enumerate(standing.sets)
    }
    used: list[list[Place]] = [[] for _ in standing.tasks]
    first = 0
    for look in standing.result.looks:
        seeds = range(first, look.look.num_seeds)
        for a, of_tasks in configs.items():
            for q, of_task in enumerate(of_tasks):
                used[q] += [
                    (a, b, standing.first_seed + seed)
                    for b in of_task
                    for seed in seeds
                ]
        configs, first = look.configs, look.look.num_seeds
    return used


def verdict_of_look(look: stats.OneLook, sets: tuple[HParamSet, ...]) -> Verdict:
    """Return what one look says of sets."""
    left = tuple(sorted(look.left))
    pairs = [look.pair(a, b) for a in left for b in left if a < b]
    return Verdict(
        tuple(sets[a].name for a in left),
        bool(pairs) and all(p.outcome is stats.PairOutcome.EQUIVALENT for p in pairs),
    )


def smallest_uniform(
    standing: RaceStanding, wanted: Verdict, tolerance: float, most_seeds: int
) -> int | None:
    """Return the fewest seeds whose one look has a verdict; None of those tried."""
    first = 4
    for num_seeds in range(_SEEDS_AT_ONCE, most_seeds + 1, _SEEDS_AT_ONCE):
        train(standing.task_names, standing.sets, num_seeds)
        losses = [
            Store.of_seeds(task, standing.sets, num_seeds).losses(
                scaled=len(standing.tasks) > 1
            )
            for task in standing.task_names
        ]
        for n in range(first, num_seeds + 1):
            look = stats.one_look(
                [select_seeds(x, slice(n)) for x in losses], tolerance
            )
            if verdict_of_look(look, standing.sets) == wanted:
                return n
        first = num_seeds + 1
    return None


def main() -> None:
    """Race twice, train uniformly, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_options(parser)
    parser.add_argument("--tasks", nargs="+", default=[TASK])
    parser.add_argument("--tolerance", type=float, default=0.005)
    parser.add_argument("--max-seeds", type=int, default=128)
    parser.add_argument("--most-uniform", type=int, default=160)
    args = parser.parse_args()
    use_all_cores()
    keep_compiled()
    sets = rate_sets(args.optimizers, args.num_steps)
    rules = stats.RaceRules(args.tolerance, max_seeds=args.max_seeds)
    standings, rows = [], []
    for name, offset in (("race", 0), ("race, other seeds", args.max_seeds)):
        print(f"{name}:", flush=True)
        standing = run_race(args.tasks, sets, rules, Teller(), seed_offset=offset)
        print(f"  {standing.sentence()}")
        used = zip(standing.task_names, places_of(standing), strict=True)
        stores = [Store.of(task, standing.sets, places) for task, places in used]
        seconds = sum(store.seconds() for store in stores)
        result = standing.result
        rows.append((name, result.num_seeds, result.num_trials, f"{seconds:.0f}"))
        standings.append(standing)
    first, second = standings
    wanted = Verdict(
        tuple(sorted(first.left)), first.result.outcome is Outcome.EQUIVALENT
    )
    num = smallest_uniform(first, wanted, args.tolerance, args.most_uniform)
    if num is not None:
        stores = [Store.of_seeds(task, first.sets, num) for task in first.task_names]
        trials, seconds = (
            sum(len(store.paths) for store in stores),
            sum(store.seconds() for store in stores),
        )
        rows.append(("uniform, same verdict", num, trials, f"{seconds:.0f}"))
    elif args.most_uniform:
        rows.append(("uniform, same verdict", f"> {args.most_uniform}", "", ""))
    print_head("", "seeds", "trials", "seconds")
    for row in rows:
        print_row(*row)
    both = set(first.names) - set(first.left) - set(second.left)
    print(f"\nout in both races: {', '.join(sorted(both)) or 'none'}")
    winners = [s.left[0] for s in standings if len(s.left) == 1]
    wrong = [w for w in winners if any(w not in s.left for s in standings)]
    print("the two races " + (f"disagree on {wrong[0]}" if wrong else "agree"))


if __name__ == "__main__":
    main()
