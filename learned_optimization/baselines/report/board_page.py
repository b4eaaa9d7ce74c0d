"""The board as a page of the documentation, in Markdown."""

from __future__ import annotations

import math
from collections.abc import Sequence

from learned_optimization.baselines.release.manifest import Manifest
from learned_optimization.baselines.report.board import (
    CONSTANT,
    LEARNED,
    OTHERS,
    SCHEDULED,
    TITLES,
    TRIES,
    Group,
    Line,
    kind_of,
)
from learned_optimization.baselines.report.board_longer import (
    Longer,
    longer_section,
    longer_summary,
)
from learned_optimization.baselines.report.board_words import (
    OUTCOMES,
    in_one_line,
    optimizer_text,
    score_text,
    table,
)
from learned_optimization.baselines.report.cost_words import three_digits
from learned_optimization.baselines.stats.race_words import count, listed

_ABOUT = {
    CONSTANT: "The learning rate is one number from the first update to the last.",
    SCHEDULED: "The learning rate warms up over 5% of the run and falls to zero, by "
    "half a cosine or linearly; the peak is varied. The reference keeps its rate.",
    LEARNED: "Learned optimizers that [the package has](pretrained.md): one "
    "configuration, so nothing was chosen on these tasks by whoever uses them; whoever "
    "meta-trained them may have chosen by some, as their model cards say. Beside them "
    "are Adam and what comes first on a schedule, of which the best learning rate "
    "counts.",
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
            "# The board",
            "",
            "<!-- Made by scripts/make_board.py. -->",
            "",
            *_caution(first, suite_name),
            "",
            *_summary(groups),
            *([longer_summary(longer)] if longer else ()),
            "",
            f"![Scores with their intervals]({images}/ranking.svg)",
            "",
            *_how_to_read(first),
            "",
            *(line for group in groups for line in _section(group)),
            "## Task by task",
            "",
            "A mean over tasks hides what an optimizer does on each. Every cell is the "
            "score of one optimizer on one task; 1 is as good as "
            f"`{first.verdict.reference}` there.",
            "",
            f"![Scores on every task]({images}/tasks.svg)",
            "",
            "The test loss over training, of the best configuration of each: the first "
            "of each group, and the reference.",
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
        "    Which optimizer, with its best learning rate of the grid, ends lowest "
        f"after {steps:,} updates on tasks of `{suite_name}`, and how sure that is; "
        "how exactly it must be tuned; what a step costs. That finds mistakes, "
        "compares an idea with what there is in minutes, and throws out what does not "
        "work.",
        "",
        "    **It cannot say** how an optimizer does in long runs, on large models, "
        "with large batches, on other data, or how well what it finds generalizes: "
        "models this small hardly overfit in so few updates, warm-up is a large part "
        "of them, and a gain that comes late, or grows with the size of matrices, may "
        "not show. A place on this board is no recommendation for a model of yours. "
        "What is called equivalent, or not told apart, is no ranking.",
    ]


def _summary(groups: Sequence[Group]) -> list[str]:
    said = []
    for group in groups:
        line = group.lines[0]
        others = [o.label for o in group.lines[1:] if o.keeps_up]
        also = f"; {listed(others)} may be as good or better" if others else ""
        # What stands beside a group to be compared with may be first in it.
        own = next((o for o in group.lines if kind_of(o.set_name) == group.name), line)
        but = "" if own is line else f" The first of its own is {_placed(own)}."
        said.append(
            f"- **{TITLES[group.name]}:** {line.label} comes first of "
            f"{count(len(group.lines), 'set')}, with a score of {score_text(line)}"
            f"{also}.{but}"
        )
    return said


def _placed(line: Line) -> str:
    return f"{line.label}, in place {line.place}, with {score_text(line)}"


def _how_to_read(group: Group) -> list[str]:
    verdict = group.verdict
    reference = verdict.reference
    seeds = group.results[0][0].num_seeds
    return [
        f"**Score:** the share of the improvement of `{reference}` over the untrained "
        "loss, mean over tasks and runs; 1 is as good as that, 0 as not trained. The "
        f"interval (95%) is over {seeds} seeds. **Against the first:** by the rules of "
        "[the verdict](statistics.md), each pair by itself; *equivalent* means within "
        f"{100 * verdict.tolerance:.3g}% of that improvement. A set in bold keeps up: "
        "the first is not better than it beyond chance. **After k tries:** the "
        "expected score of the best of k configurations drawn at random, of all seeds "
        "together. **Good rates:** decades of learning rates whose loss is at most 5% "
        "above the best, median over tasks. **Diverged:** share of all trials. "
        "**Sooner:** how many times fewer updates than the reference to 99% of its "
        "improvement; at most that, where a set misses a target (≤). **Step** and "
        "**state:** seconds of a whole step over those of SGD, and bytes for each "
        "parameter, measured alone; a dash where nobody measured them.",
    ]


def _section(group: Group) -> list[str]:
    tries = [f"after {k} {'try' if k == 1 else 'tries'}" for k in TRIES]
    head = ["", "optimizer", "score", "against the first", *tries]
    head += ["good rates", "diverged", "sooner", "step", "state", "fails on"]
    rule = ["--:", "---", "---", "---", *["--:"] * (len(TRIES) + 5), "---"]
    rows = [_row(line) for line in group.lines]
    said = [
        f"## {TITLES[group.name]}",
        "",
        _ABOUT[group.name],
        "",
        *table(head, rule, rows),
        "",
    ]
    if group.equivalent:
        within = [f"{listed(list(members))}" for members in group.equivalent]
        said += [
            "Every two are equivalent to each other among: "
            + "; among ".join(within)
            + ".",
            "",
        ]
    if len(group.lines) > 2:
        said += [_race(group), ""]
    return said


def _race(group: Group) -> str:
    """Return what is said of all sets together, where chance is not taken twice."""
    out = [line.label for line in group.lines if line.overall.is_out]
    said = f"{listed(out)} {'are' if len(out) > 1 else 'is'}" if out else "none is"
    return (
        f"By [the race](race.md) among all {len(group.lines)} together, which throws "
        "out a set that is truly the best at most once in twenty times, "
        f"{said} out; {count(group.results[0][0].num_seeds, 'seed')} say no more of "
        "so many."
    )


def _row(line: Line) -> list[str]:
    tries = [f"{score:.3f}" for score in line.tries]
    speedup = line.overall.speedup.estimate
    bound = "≤ " if line.overall.is_bound else ""
    sooner = "-" if math.isnan(speedup) else f"{bound}{speedup:.2f}"
    cost = line.cost
    return [
        str(line.place),
        optimizer_text(line),
        in_one_line(score_text(line)),
        OUTCOMES[line.outcome],
        *tries,
        *["-"] * (len(TRIES) - len(tries)),
        "-" if math.isnan(line.decades) else f"{line.decades:.2f}",
        f"{line.diverged:.0%}",
        sooner,
        three_digits(cost.step_ratio.median) if cost else "-",
        f"{three_digits(cost.bytes_per_parameter)} B" if cost else "-",
        ", ".join(f"`{task}`" for task in line.fails_on),
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
        f"Every number is of the release `{manifest.name}` ([releases](releases.md)): "
        f"{count(len(used), 'archive')} with "
        f"{sum(a.num_trials for a in used):,} trials, trained "
        f"{' to '.join(dict.fromkeys([dates[0], dates[-1]])) if dates else ''} on "
        f"{listed(sorted({a.hardware for a in used}))} with {', '.join(versions)}. "
        "Its manifest has the digest and the command of each archive.",
        "",
        "This page, from the release; the same with all charts; the release, trained "
        "again; and 40 trials of it, trained again and compared:",
        "",
        "```text",
        "python scripts/make_board.py",
        f"lopt report {suite_name}",
        *(manifest.command.split("\n") if manifest.command else []),
        f"lopt release verify {manifest.name} --retrain 40",
        "```",
        "",
        '??? note "Each line by itself, trained again"',
        "",
        "    ```text",
        *(f"    {line}" for line in lines),
        "    ```",
    ]
