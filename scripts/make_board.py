"""Make `docs/board.md` and its figures: every optimizer of a release, ranked.

    python scripts/make_board.py [--release FOLDER] [--suite laptop] [--check]

The numbers are of the release's archives alone, those of the package by default; costs
are those of its `costs.json`, if it has one (`--measured` writes what `lopt bench
--optimizers` measured on this machine there). With `--check` nothing is written: the
page, and what its figures say, are compared with fresh ones.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from pathlib import Path

import generated_page

from learned_optimization.baselines.board import figures
from learned_optimization.baselines.board.groups import (
    CONSTANT,
    LEARNED,
    OTHERS,
    SCHEDULED,
    Group,
    group,
    kind_of,
)
from learned_optimization.baselines.board.longer import FEWEST, Longer, longer
from learned_optimization.baselines.board.page import page
from learned_optimization.baselines.plots.saving import save
from learned_optimization.baselines.release import places
from learned_optimization.baselines.release.manifest import Manifest
from learned_optimization.baselines.suites.registry import get_suite
from learned_optimization.benchmarking.optimizer_cost import (
    load_costs,
    read_costs,
    write_costs,
)

PAGE = generated_page.DOCS / "board.md"
IMAGES = "images/board"

_IN_THUMBNAIL = 6


def groups_of(manifest: Manifest, suite_name: str, folder: str) -> list[Group]:
    """Return the groups of those sets that a release has on all tasks of a suite."""
    suite = get_suite(suite_name)
    has = {a.pair for a in manifest.archives if a.num_steps == suite.num_steps}
    tasks = [t for t in suite.tasks if any(task == t for task, _ in has)]
    names = sorted({name for _, name in has})
    everywhere = [n for n in names if all((task, n) in has for task in tasks)]
    reference = f"AdamLR_{suite.num_steps}_R{suite.seeds}"
    costs = Path(folder) / "costs.json"
    measured = read_costs(costs) if costs.exists() else []
    made = []
    on_cosine = f"AdamCosineLR_{suite.num_steps}_R{suite.seeds}"
    for kind in (CONSTANT, SCHEDULED, LEARNED, OTHERS):
        if of_kind := [name for name in everywhere if kind_of(name) == kind]:
            # What is not tuned is compared with what is, on a schedule as it has.
            if kind == LEARNED:
                best = [g.lines[0].set_name for g in made if g.name == SCHEDULED]
                of_kind += [n for n in (*best, on_cosine) if n in everywhere]
            made.append(group(kind, tasks, of_kind, reference, measured))
    return made


def longer_of(manifest: Manifest, suite_name: str) -> Longer | None:
    """Return the sets of a release that are longer than a suite, if there are any.

    They are of the longest length that Adam has with at least two others on the same
    tasks of the suite, each beside the set of the suite's length.
    """
    suite = get_suite(suite_name)
    has = {a.pair for a in manifest.archives}
    short = f"_{suite.num_steps}_R{suite.seeds}"
    lengths = {a.num_steps for a in manifest.archives if a.num_steps > suite.num_steps}
    for steps in sorted(lengths, reverse=True):
        long = f"_{steps}_R{suite.seeds}"
        tasks = [t for t in suite.tasks if (t, f"AdamLR{long}") in has]
        names = sorted({n for _, n in has if _is_of_rates(n, long)})
        pairs = [(n.removesuffix(long) + short, n) for n in names]
        complete = [p for p in pairs if all((t, n) in has for t in tasks for n in p)]
        reference = (f"AdamLR{short}", f"AdamLR{long}")
        if tasks and reference in complete and len(complete) >= FEWEST:
            return longer(tasks, complete, reference)
    return None


def _is_of_rates(set_name: str, ending: str) -> bool:
    return set_name.endswith(f"LR{ending}") and kind_of(set_name) == CONSTANT


def keep_costs(path: Path, manifest: Manifest) -> None:
    """Put what this machine measured of a release's sets beside what the file has."""
    costs = [*(read_costs(path) if path.exists() else []), *load_costs()]
    names = {archive.hparam_set for archive in manifest.archives}
    newest = {(cost.task, cost.name): cost for cost in costs if cost.name in names}
    write_costs(path, newest.values())


def draw(groups: list[Group], longer_runs: Longer | None, folder: Path) -> None:
    """Draw the figures of the page into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    save(figures.ranking(groups), folder / "ranking.svg")
    save(figures.ranking(groups, _IN_THUMBNAIL), folder / "thumbnail.svg")
    save(figures.on_tasks(groups), folder / "tasks.svg")
    save(figures.curves(groups), folder / "curves.svg")
    if longer_runs:
        save(figures.longer_runs(longer_runs), folder / "longer.svg")


def out_of_date(text: str, fresh: Path) -> list[Path]:
    """Return the files of the page that say something else than fresh ones.

    Figures are compared by their words and numbers: where these are drawn may differ
    by machine.

    Args:
      text: the page.
      fresh: folder of fresh figures.
    """
    folder = PAGE.parent / IMAGES
    stale = [] if PAGE.exists() and PAGE.read_text() == text else [PAGE]
    names = {path.name for of in (folder, fresh) for path in of.glob("*.svg")}
    return stale + [
        folder / name
        for name in sorted(names)
        if _words(folder / name) != _words(fresh / name)
    ]


def _words(figure: Path) -> list[str] | None:
    if not figure.exists():
        return None
    return re.findall(r"<text[^>]*>([^<]*)</text>", figure.read_text())


def main() -> None:
    """Make the page, or check it."""
    parser = argparse.ArgumentParser(description="Make docs/board.md.")
    parser.add_argument("--release", default=str(places.PACKAGED / "laptop"))
    parser.add_argument("--suite", default="laptop")
    parser.add_argument("--measured", action="store_true", help="keep costs measured")
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    given = parser.parse_args()
    with places.only(given.release) as release:
        if given.measured:
            keep_costs(Path(given.release) / "costs.json", release.manifest)
        groups = groups_of(release.manifest, given.suite, given.release)
        longer_runs = longer_of(release.manifest, given.suite)
        text = page(groups, release.manifest, given.suite, IMAGES, longer_runs)
        if not given.check:
            draw(groups, longer_runs, PAGE.parent / IMAGES)
            PAGE.write_text(text)
            return
        with tempfile.TemporaryDirectory() as fresh:
            draw(groups, longer_runs, Path(fresh))
            if stale := out_of_date(text, Path(fresh)):
                names = ", ".join(map(str, stale))
                sys.exit(f"out of date: {names}; run python {sys.argv[0]}")


if __name__ == "__main__":
    main()
