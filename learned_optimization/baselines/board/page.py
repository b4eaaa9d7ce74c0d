"""The board as a page of the documentation, in Markdown."""

from __future__ import annotations

import math
from collections.abc import Sequence

from learned_optimization.baselines.board.groups import (
    CONSTANT,
    LEARNED,
    OTHERS,
    SCHEDULED,
    TITLES,
    Group,
    Line,
)
from learned_optimization.baselines.board.legend import legend
from learned_optimization.baselines.board.longer import (
    Longer,
    longer_section,
    longer_summary,
)
from learned_optimization.baselines.board.summary import summary
from learned_optimization.baselines.board.tuning import TRIES
from learned_optimization.baselines.board.words import (
    OUTCOMES,
    in_one_line,
    optimizer_text,
    rates_text,
    score_text,
    share_text,
    table,
)
from learned_optimization.baselines.release.manifest import Manifest
from learned_optimization.baselines.report.verdict_words import interval, luck_sentence
from learned_optimization.baselines.stats.race_words import count, listed

_ABOUT = {
    CONSTANT: "The learning rate is one number from the first update to the last.",
    SCHEDULED: "The learning rate warms up over 5% of the run and falls to zero, by "
    "half a cosine or linearly; the peak is varied. The reference keeps its rate.",
    LEARNED: "Learned optimizers that [the package has](pretrained.md), with one "
    "configuration each. This is not a held-out result: what was meta-trained may have "
    "been chosen on these very tasks, and Lapstep was; its [model "
    "card](pretrained.md#lapstep) has results on tasks that had no part in it. For "
    "comparison the table also has Adam, Adam on a cosine and what comes first on a "
    "schedule, each with the best of its learning rates for each task.",
    OTHERS: "Optimizers that find their own learning rate, or whose authors tune "
    "something else. They have fewer configurations: their search costs less.",
}


def page(
    groups: Sequence[Group],
    manifest: Manifest,
    suite_name: str,
    images: str,
    longer: Longer | None = None,
) -> str:
    """Return the page.

    Args:
      groups: the groups, at least one.
      manifest: of the release that they are of.
      suite_name: the suite of tasks.
      images: folder of the figures, relative to the page.
      longer: what longer runs say, if the release has any.
    """
    first = groups[0]
    return "\n".join(
        [
            "---",
            "hide: [navigation, toc]",
            "---",
            "",
            "# The board",
            "",
            "<!-- Made by scripts/make_board.py. -->",
            "",
            *_caution(first, suite_name),
            "",
            *summary(groups),
            *([longer_summary(longer)] if longer else ()),
            "",
            "Each pair is tested at 5%, so of many pairs some are wrong by chance. "
            "What is sure of all sets of a group at once is said below its table. "
            "[What the columns say](#what-the-columns-say) is explained below the "
            "tables, [what each optimizer is](optimizers.md) on a page of its own; "
            "`lopt sets NAME` shows what a set varies.",
            "",
            f"![Scores with their intervals]({images}/ranking.svg)",
            "",
            *(line for group in groups for line in _section(group)),
            "## What the columns say",
            "",
            *legend(groups),
            "",
            "## Task by task",
            "",
            "A mean over tasks hides what an optimizer does on each. Every cell is the "
            "score of one optimizer on one task; 1 is as good as "
            f"`{first.verdict.reference}` there.",
            "",
            f"![Scores on every task]({images}/tasks.svg)",
            "",
            "The test loss over training, of the best configuration of each: the first "
            "two of each group, and the reference.",
            "",
            f"![Curves on every task]({images}/curves.svg)",
            "",
            *(longer_section(longer, images) if longer else ()),
            *_reproduce(groups, manifest, suite_name, longer),
            "",
        ]
    )


def _caution(group: Group, suite_name: str) -> list[str]:
    steps = group.results[0][0].num_steps
    tasks = len(group.results)
    return [
        f'!!! warning "What {steps:,} steps on {count(tasks, "small task")} can say"',
        "",
        "    **It can say** which optimizer, with the best learning rate of the grid, "
        f"ends lowest after {steps:,} updates on the tasks of `{suite_name}` and how "
        "sure that is, how exactly it must be tuned, and what a step costs. That is "
        "enough to find mistakes, to compare an idea in minutes with what exists, and "
        "to drop what does not work.",
        "",
        "    **It cannot say** how an optimizer does in long runs, on large models, "
        "with large batches, on other data, or how well what it finds generalizes: "
        "models this small hardly overfit in so few updates, warm-up is a large part "
        "of them, and a gain that comes late, or grows with the size of matrices, may "
        "not show. A place on this board is not a recommendation for your model. "
        "Between optimizers that are called equivalent, or not told apart, the places "
        "mean nothing.",
    ]


def _section(group: Group) -> list[str]:
    tries = [f"after {k} {'try' if k == 1 else 'tries'}" for k in TRIES]
    head = ["", "optimizer", "score", "against the first", "one for all", *tries]
    head += ["at edge", "good rates", "diverged", "sooner", "step", "state"]
    rule = ["--:", "---", "---", "---", *["--:"] * (len(TRIES) + 7)]
    rows = [_row(line) for line in group.lines]
    said = [
        f"## {TITLES[group.name]}",
        "",
        _ABOUT[group.name],
        "",
        *table(head, rule, rows),
        "",
    ]
    if fails := [_failing(line) for line in group.lines if line.fails_on]:
        less = "Less than half of the reference's improvement:"
        said += [f"{less} {'; '.join(fails)}.", ""]
    if group.equivalent:
        within = [listed(list(members)) for members in group.equivalent]
        said += [
            f"Equivalent to each other, any two of them: {'; '.join(within)}.",
            "",
        ]
    if len(group.lines) > 2:
        said += [f"{_all_at_once(group)} {_on_other_tasks(group)}".strip(), ""]
    return said


def _failing(line: Line) -> str:
    return f"{line.label} on {listed([f'`{task}`' for task in line.fails_on])}"


def _all_at_once(group: Group) -> str:
    """Return what is said of all sets together, where chance is not taken twice."""
    out = [line.label for line in group.lines if line.overall.is_out]
    are = "are" if len(out) > 1 else "is"
    seeds = count(group.num_seeds, "seed")
    comparison = group.verdict.over_tasks.comparison
    assert comparison is not None
    pairs = len(comparison.look.pairs)
    sure = len(comparison.family_wise())
    return (
        f"Taken all {len(group.lines)} together, by [one look](race.md#one-look), "
        "which puts out a set that is truly the best about once in twenty times at "
        f"most, {listed(out) or 'none'} {are} out, with {seeds}. Of the {pairs:,} "
        f"pairs {sure or 'none'} {'is' if sure < 2 else 'are'} told apart at 5% for "
        "all together (Holm's correction). "
        f"{luck_sentence(comparison, is_score=True, digits=3)}".rstrip()
    )


def _on_other_tasks(group: Group) -> str:
    """Return how well the first would do on other tasks, if there are enough to say."""
    first = group.lines[0]
    wide = first.overall.iqm_over_tasks
    if wide is None:
        return ""
    return (
        "For other tasks of these kinds the interquartile mean of the scores of "
        f"{first.label} is {interval(wide, digits=3)}."
    )


def _row(line: Line) -> list[str]:
    tries = [f"{score:.3f}" for score in line.tries]
    speedup = line.overall.speedup.estimate
    sooner = f"{line.overall.bound.sign}{speedup:.2f}"
    cost = line.cost
    return [
        str(line.place),
        optimizer_text(line),
        in_one_line(score_text(line)),
        OUTCOMES[line.outcome],
        f"{line.for_all.one:.3f}",
        *tries,
        *["-"] * (len(TRIES) - len(tries)),
        str(line.at_edge or ""),
        rates_text(line),
        share_text(line.diverged),
        "-" if math.isnan(speedup) else in_one_line(sooner),
        f"{cost.step_ratio.median:.1f}" if cost else "-",
        in_one_line(f"{cost.bytes_per_parameter:.2g} B") if cost else "-",
    ]


def _reproduce(
    groups: Sequence[Group],
    manifest: Manifest,
    suite_name: str,
    longer: Longer | None,
) -> list[str]:
    reference = groups[0].verdict.reference
    archives = [
        manifest.of(result.task_name, result.set_name)
        for group in [*groups, *([longer.short, longer.long] if longer else [])]
        for row in group.results
        for result in row
    ]
    used = {a.pair: a for a in archives if a is not None}.values()
    versions = sorted({v for a in used for v in a.versions})
    dates = sorted(a.date for a in used if a.date)
    when = f" from {' to '.join(dict.fromkeys([dates[0], dates[-1]]))}" if dates else ""
    devices = listed(sorted({a.hardware for a in used}))
    sets = [line.set_name for group in groups for line in group.lines]
    lines = [
        f"lopt sweep {suite_name} {name} && "
        f"lopt compare {suite_name} {reference} {name}"
        for name in dict.fromkeys(sets)
        if name != reference
    ]
    return [
        "## How to reproduce it",
        "",
        f"Every number comes from the release `{manifest.name}` "
        f"([releases](releases.md)): {count(len(used), 'archive')} with "
        f"{sum(a.num_trials for a in used):,} trials, trained{when}. The devices of "
        f"jax were {devices}, the versions {', '.join(versions)}. The manifest of the "
        "release has the digest and the command of each archive.",
        "",
        "These commands make this page from the release; make a report on the usual "
        "baselines, with all charts; train the release again; and train 40 of its "
        "trials again and compare them:",
        "",
        "```text",
        "python scripts/make_board.py",
        f"lopt report {suite_name}",
        *(manifest.command.split("\n") if manifest.command else []),
        f"lopt release verify release:{manifest.name} --retrain 40",
        "```",
        "",
        '??? note "One optimizer by itself, trained again"',
        "",
        "    ```text",
        *(f"    {line}" for line in lines),
        "    ```",
    ]
