"""Makes `docs/fidelity.md`: this system beside the published one, in numbers.

    python -m benchmarks.fidelity [--golden DIR]

Trains the published baselines' first 10,000 steps on four Fashion-MNIST tasks (what
has results already is not trained again), and compares how low they come. The
published curves are those that `lopt normalize fetch speedup_over_adam
speedup_over_multiple_baselines` keeps.

`--golden` names a folder of values measured on the published system:
`golden_tasks.json` (parameters, their means and deviations, losses at init),
`golden_optimizers.npz` (30 steps of each optimizer), `published_envelopes.json` (the
published curves at some steps, instead of the fetched ones) and `opt_list.json`.
Without it, the sections that need them stay as they are.

The list of differences at the end of the page is written by hand, and kept.
"""

from __future__ import annotations

import argparse
import json
import os
import re
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np

from benchmarks.envelope_fidelity import (
    EnvelopeComparison,
    Published,
    baseline_sets,
    compare_envelopes,
    draw,
)
from benchmarks.optimizer_fidelity import OptimizerComparison, compare_optimizers
from benchmarks.task_fidelity import MAX_Z, TaskComparison, compare_tasks
from learned_optimization.baselines import normalizers
from learned_optimization.cli.sweep import run_and_archive
from learned_optimization.eval_training import keep_compiled, use_all_cores

DOCS = Path(__file__).parent.parent / "docs"
PAGE = DOCS / "fidelity.md"
FIGURE = DOCS / "images" / "fidelity.png"

TASKS = {
    "speedup_over_adam": (
        "ImageMLP_FashionMnist8_Relu32",
        "ImageMLP_FashionMnist_Relu128x128",
        "ImageMLPAE_FashionMnist_128x32x128_bs128",
    ),
    "speedup_over_multiple_baselines": (
        "ESWrapped_1pair_ImageMLP_FashionMnist8_Relu32",
    ),
}
_CLOSE = 1e-4
_STEPS = (200, 500, 1_000, 2_000, 5_000, 10_000)
# Blank lines, or Markdown takes lists and tables for a part of the comments.
_SECTION = "<!-- {name}: made by benchmarks/fidelity.py -->\n\n{text}\n<!-- end -->"


def read_published(golden: Path | None) -> Published:
    """Read the published curves: those of a folder, or else the fetched ones."""
    if golden is not None:
        found = json.loads((golden / "published_envelopes.json").read_text())
        return {
            normalizer: {
                task: {int(step): loss for step, loss in losses.items()}
                for task, losses in tasks.items()
            }
            for normalizer, tasks in found.items()
            if normalizer in TASKS
        }
    published = {}
    for normalizer, tasks in TASKS.items():
        found = normalizers.find(normalizer)
        published[normalizer] = {
            task: {
                step: float(np.interp(step, found[task].steps, found[task].losses))
                for step in _STEPS
            }
            for task in tasks
        }
    return published


def envelope_section(rows: Sequence[EnvelopeComparison]) -> str:
    """Write the published curves and ours as a table."""
    lines = [
        "| task | updates | published | ours | 95% band of other seeds | difference |",
        "|---|--:|--:|--:|:-:|--:|",
    ]
    for row in rows:
        name = f"`{row.task}`"
        for step, loss in row.published.items():
            ours, (low, high) = row.ours(step), row.band(step)
            lines.append(
                f"| {name} | {step:,} | {loss:.4f} | {ours:.4f} | {low:.4f} to "
                f"{high:.4f} | {ours / loss - 1:+.1%} |"
            )
            name = ""
    return "\n".join(lines) + "\n"


def task_section(rows: Sequence[TaskComparison]) -> str:
    """Write what of the tasks is equal, and every loss that was measured."""
    measured = [row for row in rows if row.num_leaves]
    leaves = sum(row.num_leaves for row in measured)
    within = sum(row.leaves_within for row in measured)
    worst = max(row.worst_z or 0.0 for row in measured)
    worst_loss = max(row.loss_z or 0.0 for row in measured)
    close = sum((row.loss_z or 0.0) <= MAX_Z for row in measured)
    bound = f"within {MAX_Z:g} standard errors (the worst: "
    lines = [
        f"- Parameters: {sum(row.has_equal_params for row in rows)} of {len(rows)} "
        "tasks have exactly as many.",
        f"- Initial values: {within} of {leaves} parameter arrays of {len(measured)} "
        f"tasks have the published mean, deviation and largest entry {bound}"
        f"{worst:.1f}).",
        f"- Losses at initialization: those of {close} of {len(measured)} tasks, on "
        f"the same random batch, {bound}{worst_loss:.1f}).",
        "",
        "| task | loss at initialization, published | ours, mean and deviation | "
        "standard errors apart |",
        "|---|---|--:|--:|",
    ]
    for row in measured:
        ours = np.array(row.our_losses)
        published = ", ".join(f"{loss:.4g}" for loss in row.golden_losses)
        shown = f"{ours.mean():.4f} ± {ours.std(ddof=1):.4f}"
        lines.append(f"| `{row.task}` | {published} | {shown} | {row.loss_z:.1f} |")
    return "\n".join(lines) + "\n"


def optimizer_section(rows: Sequence[OptimizerComparison]) -> str:
    """Write how far each optimizer's steps are from the published ones."""
    close = [row for row in rows if row.worst <= _CLOSE]
    equal = [_setting(row) for row in rows if row.worst == 0.0]
    lines = [
        f"- {len(close)} of {len(rows)} settings step as published: after each of 30 "
        "updates every parameter is within 1e-4 of how far it has moved.",
        f"- {len(equal)} of them to the last bit: {'; '.join(equal)}.",
        "",
        "| optimizer, setting | largest difference, as a share of the movement | "
        "where |",
        "|---|--:|---|",
    ]
    for row in sorted(rows, key=lambda row: -row.worst):
        if row.worst != 0.0:
            lines.append(f"| {_setting(row)} | {row.worst:.1e} | {row.where} |")
    return "\n".join(lines) + "\n"


def _setting(row: OptimizerComparison) -> str:
    return f"`{row.key.replace('|', ', ')}`"


def replace(page: str, name: str, text: str) -> str:
    """Put a section's new text in the place of its old one."""
    pattern = _SECTION.format(name=re.escape(name), text=r"(?:.*?)")
    new = _SECTION.format(name=name, text=text)
    page, count = re.subn(pattern, lambda _: new, page, flags=re.DOTALL)
    if count != 1:
        raise SystemExit(f"{PAGE} has {count} sections named {name!r}, not one.")
    return page


def main() -> None:
    """Make the page."""
    parser = argparse.ArgumentParser(description="Makes docs/fidelity.md.")
    parser.add_argument("--golden", type=Path, metavar="DIR", help="measured values")
    golden: Path | None = parser.parse_args().golden
    if golden is not None and (golden / "opt_list.json").exists():
        os.environ.setdefault("LOPT_OPT_LIST", str(golden / "opt_list.json"))
    mpl.use("Agg")
    use_all_cores()
    keep_compiled()
    published = read_published(golden)
    for normalizer, tasks in published.items():
        for task in tasks:
            run_and_archive([task], list(baseline_sets(normalizer).values()))
    rows = compare_envelopes(published)
    draw(rows, FIGURE)
    page = replace(PAGE.read_text(), "baselines", envelope_section(rows))
    if golden is not None:
        tasks_of = json.loads((golden / "golden_tasks.json").read_text())
        page = replace(page, "tasks", task_section(compare_tasks(tasks_of)))
        with np.load(golden / "golden_optimizers.npz") as file:
            steps = compare_optimizers(dict(file))
        page = replace(page, "optimizers", optimizer_section(steps))
    PAGE.write_text(page)


if __name__ == "__main__":
    main()
