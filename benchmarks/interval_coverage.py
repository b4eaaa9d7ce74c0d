"""How often bootstrap intervals cover the true value, by simulation.

    python benchmarks/interval_coverage.py [--simulations 1000] [--resamples 1000]
        [--processes 2] [--law normal] [--json FILE]

Each row draws scores of a known distribution many times and counts how often the
nominal 95% interval holds the true value. Columns are ways to make an interval of the
same resamples:

- percentile: n of n runs, or tasks, are drawn; the quantiles at 2.5% and 97.5%. This
  is what rliable does.
- bc: the same, corrected for the median of the resamples being off (Efron 1981).
- expanded: the same, at the quantiles that belong to t and n / (n - 1) (Hesterberg
  2015, "What Teachers Should Know About the Bootstrap", The American Statistician).
- fewer: n - 1 of n are drawn, which makes the variance of a mean right (McCarthy &
  Snowden 1985); the quantiles at 2.5% and 97.5%.
- adjusted: n - 1 of n are drawn, at the quantiles that belong to t.

A run's score is its task's level plus noise. Over runs, the tasks are fixed; otherwise
they are drawn again each time. Law `normal`: levels of standard deviation 1, noise of
standard deviation 0.5. Law `skewed`: levels are minus exponential, noise minus
exponential with a scale that differs from task to task (log-normal).
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import multiprocessing
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy import stats as scipy_stats

from learned_optimization.baselines import stats
from learned_optimization.baselines.stats.resampling import (
    Over,
    Statistic,
    resampled_statistics,
)

LEVEL = 0.95
STATISTICS: dict[str, Statistic] = {
    "mean": stats.mean,
    "iqm": stats.iqm,
    "median": stats.median,
    "improvement": stats.probability_of_improvement,
}
OVERS: tuple[tuple[Over, ...], ...] = (("runs",), ("tasks",), ("runs", "tasks"))
METHODS = ("percentile", "bc", "expanded", "fewer", "adjusted")
Row = tuple[str, str, int, int, tuple[Over, ...]]


def tasks_of(law: str, shares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the level and noise scale of tasks, from uniform numbers `[2, tasks]`."""
    normal = scipy_stats.norm.ppf(shares)
    if law == "normal":
        return normal[0], np.full(shares.shape[1], 0.5)
    return np.log1p(-shares[0]), 0.5 * np.exp(normal[1] / 2)


def runs_of(
    law: str, levels: np.ndarray, scales: np.ndarray, num: int, rng: np.random.Generator
) -> np.ndarray:
    """Return scores `[num, tasks]`."""
    shape = (num, len(levels))
    if law == "normal":
        return levels + scales * rng.normal(size=shape)
    return levels + scales * (1 - rng.exponential(size=shape))


def scores_of(
    law: str,
    statistic: str,
    shares: np.ndarray,
    num_runs: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, ...]:
    """Draw a sample: scores of one method, or of two, the second of them better."""
    levels, scales = tasks_of(law, shares)
    first = runs_of(law, levels, scales, num_runs, rng)
    if statistic != "improvement":
        return (first,)
    return first, runs_of(law, levels + 0.3, scales, num_runs, rng)


def fixed_tasks(num_tasks: int) -> np.ndarray:
    """Return uniform numbers, evenly spread, in another order for the scales."""
    even = (np.arange(num_tasks) + 0.5) / num_tasks
    return np.stack([even, np.random.default_rng(1).permutation(even)])


def true_value(law: str, statistic: str, num_tasks: int | None) -> float:
    """Return the value of endless runs of the fixed tasks, of endless tasks if None."""
    rng = np.random.default_rng(0)
    if num_tasks:
        shares, num_runs = fixed_tasks(num_tasks), 2_000_000 // num_tasks
    else:
        # A median of means is of true means: that takes many runs.
        shares, num_runs = fixed_tasks(20_000), 200
    samples = scores_of(law, statistic, shares, num_runs, rng)
    if statistic == "improvement":
        return float((samples[0] > samples[1]).mean())
    return float(STATISTICS[statistic](*samples))


def degrees_of_freedom(shape: tuple[int, ...], over: Sequence[Over]) -> int:
    """Return the degrees of freedom of the variance that is estimated."""
    return shape[1] - 1 if "tasks" in over else shape[1] * (shape[0] - 1)


def covers(
    truth: float,
    samples: tuple[np.ndarray, ...],
    row: Row,
    num_resamples: int,
    seed: int,
) -> list[bool]:
    """Return whether each method's interval holds the true value."""
    _, name, num_runs, num_tasks, over = row
    statistic = STATISTICS[name]
    whole, fewer = (
        np.sort(
            resampled_statistics(
                statistic,
                samples,
                num_resamples=num_resamples,
                over=over,
                paired=False,
                one_fewer=one_fewer,
                rng=np.random.default_rng(seed),
            )
        )
        for one_fewer in (False, True)
    )
    norm = scipy_stats.norm
    tail = (1 - LEVEL) / 2
    t = scipy_stats.t.ppf(tail, degrees_of_freedom(samples[0].shape, over))
    size = num_tasks if "tasks" in over else num_runs
    below = (whole < float(statistic(*samples))).mean()
    shift = 2 * norm.ppf(np.clip(below, 1 / num_resamples, 1 - 1 / num_resamples))
    z = norm.ppf(tail)
    tails = {
        "percentile": (whole, tail, tail),
        "bc": (whole, norm.cdf(shift + z), norm.cdf(z - shift)),
        "expanded": (whole, *[norm.cdf(math.sqrt(size / (size - 1)) * t)] * 2),
        "fewer": (fewer, tail, tail),
        "adjusted": (fewer, norm.cdf(t), norm.cdf(t)),
    }
    return [
        bool(
            ordered[int(low * (num_resamples - 1))]
            <= truth
            <= ordered[-1 - int(high * (num_resamples - 1))]
        )
        for ordered, low, high in tails.values()
    ]


def coverage(row: Row, simulations: int, num_resamples: int) -> list[float]:
    """Return the share of simulations that each of `METHODS` covers."""
    law, name, num_runs, num_tasks, over = row
    rng = np.random.default_rng(zlib.crc32(repr(row).encode()))
    truth = true_value(law, name, None if "tasks" in over else num_tasks)
    covered = []
    for seed in range(simulations):
        shares = fixed_tasks(num_tasks)
        if "tasks" in over:
            shares = rng.random((2, num_tasks))
        samples = scores_of(law, name, shares, num_runs, rng)
        covered.append(covers(truth, samples, row, num_resamples, seed))
    return np.mean(covered, axis=0).tolist()


def _job(job: tuple[Row, int, int]) -> list[float]:
    return coverage(*job)


def print_summary(rows: Sequence[Row], coverage: Sequence[Sequence[float]]) -> None:
    """Print the mean and the lowest coverage over laws and statistics."""
    print("\n| over | tasks | runs |", " | ".join(METHODS), "|")
    print("|---" * (3 + len(METHODS)) + "|")
    groups: dict[tuple, list[Sequence[float]]] = {}
    for (_, _, num_runs, num_tasks, over), shares in zip(rows, coverage, strict=True):
        group = (" and ".join(over), str(num_tasks), str(num_runs))
        groups.setdefault(group, []).append(shares)
    for group, of_group in groups.items():
        percent = 100 * np.array(of_group)
        ends = zip(percent.mean(axis=0), percent.min(axis=0), strict=True)
        cells = [f"{mean:.0f} ({lowest:.0f})" for mean, lowest in ends]
        print("|", " | ".join([*group, *cells]), "|")


def main() -> None:
    """Print a row for each case, and a summary."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--simulations", type=int, default=1000)
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--law", choices=("normal", "skewed"), nargs="*")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    rows: list[Row] = [
        row
        for row in itertools.product(
            args.law or ("normal", "skewed"), STATISTICS, (3, 5, 10), (1, 5, 20), OVERS
        )
        if row[3] > 1 or row[4] == ("runs",)
    ]
    jobs = [(row, args.simulations, args.resamples) for row in rows]
    print("| law | statistic | runs | tasks | over |", " | ".join(METHODS), "|")
    print("|---" * (5 + len(METHODS)) + "|")
    coverage = []
    with multiprocessing.Pool(args.processes) as pool:
        for row, shares in zip(rows, pool.imap(_job, jobs), strict=True):
            cells = [*map(str, row[:4]), " and ".join(row[4])]
            cells += [f"{100 * share:.1f}" for share in shares]
            print("|", " | ".join(cells), "|", flush=True)
            coverage.append(shares)
    print_summary(rows, coverage)
    if args.json:
        results = [
            {"row": row, **dict(zip(METHODS, shares, strict=True))}
            for row, shares in zip(rows, coverage, strict=True)
        ]
        args.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
