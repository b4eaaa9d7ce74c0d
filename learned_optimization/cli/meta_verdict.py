"""The verdict on a meta-trained optimizer: whether it is better than tuned Adam.

It is by the rules of `lopt compare` (docs/race.md): an optimizer that is not tuned is a
set of one configuration, Adam one of a configuration per learning rate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from learned_optimization.baselines.analysis import verdicts
from learned_optimization.baselines.analysis.comparison import LEVEL, Comparison
from learned_optimization.baselines.analysis.set_results import (
    SetResult,
    load_set_result,
)
from learned_optimization.baselines.analysis.standings import TaskVerdict
from learned_optimization.baselines.report.verdict_words import interval, pair_sentence
from learned_optimization.baselines.report.words import within
from learned_optimization.cli.output import say, say_left_out
from learned_optimization.cli.tables import Table, console
from learned_optimization.learned_optimizers.base import LearnedOptimizer, MetaParams
from learned_optimization.learning_rates import LEARNING_RATES
from learned_optimization.optimizers.base import Optimizer
from learned_optimization.outer_trainers import held_out
from learned_optimization.prng import key_of_seed

COSINE, CONSTANT = "Adam, cosine", "Adam, constant rate"

NUM_SEEDS = 8
"""From so many on, a look has its whole level."""


def compare_with_adam(
    lopt: LearnedOptimizer,
    theta: MetaParams,
    task_names: Sequence[str],
    num_steps: int,
    *,
    thoroughly: bool,
    num_seeds: int = NUM_SEEDS,
) -> verdicts.Verdict:
    """Train with it and with Adam of every rate, and print which is better.

    Args:
      lopt: the learned optimizer.
      theta: its meta-parameters.
      task_names: names of fixed tasks.
      num_steps: length of the runs.
      thoroughly: whether to compare with Adam of a constant rate and with the optimizer
        before any learning, too.
      num_seeds: runs of every configuration, with seeds that chose nothing.
    """
    sets: dict[str, list[Optimizer]] = {lopt.name: [lopt.opt_fn(theta)]}
    sets[COSINE] = held_out.adam_of_every_rate(num_steps, cosine=True)
    if thoroughly:
        sets[CONSTANT] = held_out.adam_of_every_rate(num_steps, cosine=False)
        # How much of it is the form of the step, and not what was learned.
        plain = lopt.opt_fn(lopt.init(key_of_seed(0)))
        sets[f"{lopt.name} before any learning"] = [plain]
    results = [
        [
            load_set_result(
                name,
                set_name,
                arrays=held_out.trained(name, opts, num_steps, num_seeds),
            )
            for set_name, opts in sets.items()
        ]
        for name in task_names
    ]
    return _print_verdict(results, [lopt.name, COSINE, CONSTANT][: 2 + thoroughly])


def _print_verdict(
    results: Sequence[Sequence[SetResult]], claimed: Sequence[str]
) -> verdicts.Verdict:
    """Print a table per task, and what is said of the first of some sets.

    Args:
      results: for each task one result per set.
      claimed: the optimizer, and the sets that it is compared with in words.
    """
    verdict = verdicts.compare(results, COSINE)
    rates = {
        opt_name: f"best of {len(LEARNING_RATES)}: {rate:g}"
        for row in results
        for result in row
        if result.num_configs == len(LEARNING_RATES)
        for opt_name, rate in zip(result.curves.opt_names, LEARNING_RATES, strict=True)
    }
    for task, row in zip(verdict.tasks, results, strict=True):
        console().print(_table(task, row[0], rates))
        if task.comparison is not None:
            _say_pairs(task.comparison, claimed, within(verdict))
    over = verdict.over_tasks.comparison
    if over is not None and len(results) > 1:
        say(f"Over {len(verdict.over_tasks.task_names)} tasks:")
        _say_pairs(over, claimed, within(verdict))
    for left in verdict.left_out:
        say_left_out(left)
    select, report = results[0][0].select, results[0][0].report
    say(
        f"Each verdict is of its pair alone, at {LEVEL:.0%}. Rates are chosen on "
        f"{select} by earlier seeds, and reported on {report} of the next."
    )
    return verdict


def _table(task: TaskVerdict, any_set: SetResult, rates: Mapping[str, str]) -> Table:
    seeds, steps = any_set.num_seeds, any_set.num_steps
    table = Table()
    table.add_column(f"{task.task_name}, {steps:,} steps, {seeds} seeds", no_wrap=True)
    table.add_column("learning rate")
    table.add_column(f"{any_set.report} loss", justify="right")
    for s in task.standings:
        loss = interval(s.loss) if s.has_loss else "diverged"
        table.add_row(s.set_name, rates.get(s.config, "not tuned"), loss)
    return table


def _say_pairs(comparison: Comparison, claimed: Sequence[str], within: str) -> None:
    first, *others = claimed
    for other in others:
        if {first, other} <= set(comparison.set_names):
            pair = comparison.pair(first, other)
            say(pair_sentence(comparison, pair, within))
