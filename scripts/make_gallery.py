"""Make `docs/gallery.md` and its figures, each by the commands beside it.

    python scripts/make_gallery.py [--archives FOLDER] [--only FILE ...] [--check]

Sets are trained in a temporary folder, or read from the archives of a folder. With
`--check` nothing is written: the page, and the list of figures, are compared with what
they should be, the figures' pixels are not.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import generated_page

PAGE = generated_page.DOCS / "gallery.md"
IMAGES = generated_page.DOCS / "images" / "gallery"

_TASK = "ImageMLP_FashionMnist8_Relu32"
_TASKS = f"""\
{_TASK} \\
  ESWrapped_1pair_{_TASK} \\
  NoisyQuadratic_100dim_condition1000 \\
 """
_SETS = "AdamLR_1000_R5 SGDMLR_1000_R5 LionLR_1000_R5"

_GRID = """\
name: AdamGrid_1000_R5
optimizer: Adam
num_steps: 1000
space:
  learning_rate: {log: [1e-4, 1e-1], points: 7}
  beta1: [0.0, 0.5, 0.9, 0.95]
"""
_TRAIN = f"""\
lopt sweep {_TASKS} {_SETS}
lopt sweep {_TASK} --set adam_grid.yaml
"""


@dataclass(frozen=True)
class Figure:
    """A figure of the gallery.

    Attributes:
      file: the name of its file, which the commands write.
      title: what it shows, in a heading.
      text: how to read it.
      commands: what draws it.
      language: of the commands, `sh` or `python`.
    """

    file: str
    title: str
    text: str
    commands: str
    language: str = "sh"


FIGURES = (
    Figure(
        "curves.svg",
        "Training curves",
        "The best configuration of each set, chosen on `outer_valid`, on `test`: mean "
        "over seeds, and how sure that mean is.",
        f"lopt plot {_TASK} \\\n  {_SETS} -o curves.svg\n",
    ),
    Figure(
        "tasks.svg",
        "Training curves on several tasks",
        "Small multiples with one legend; every command takes several tasks.",
        f"lopt plot {_TASKS} {_SETS} -o tasks.svg\n",
    ),
    Figure(
        "sensitivity.svg",
        "Every learning rate",
        "The final loss of every configuration. A wide valley forgives a learning rate "
        "that is off; a best one at the edge asks for a wider grid.",
        f"lopt plot {_TASK} \\\n  {_SETS} --kind sensitivity -o sensitivity.svg\n",
    ),
    Figure(
        "search.svg",
        "Two hyper-parameters",
        "Of a set that varies more than one number: the final loss over two of them. "
        "[The tutorial](tutorials/two_hyperparameters.md) has more.",
        f"lopt plot {_TASK} AdamGrid_1000_R5 --kind sensitivity -o search.svg\n",
    ),
    Figure(
        "tuning.svg",
        "What tuning is worth",
        "The loss to expect of the best of so many configurations, drawn at random. "
        "Curves that cross: one optimizer is better untuned, the other tuned.",
        f"lopt plot {_TASK} \\\n  {_SETS} AdamGrid_1000_R5 \\\n"
        "  --kind tuning -o tuning.svg\n",
    ),
    Figure(
        "profile.svg",
        "Performance profile over tasks",
        "On which share of tasks a set reaches the target within a factor of the "
        "fastest set's time. At 1: how often it is the fastest; far right: how often "
        "it gets there at all. It takes three tasks or more.",
        f"lopt plot {_TASKS} {_SETS} --kind profile -o profile.svg\n",
    ),
    Figure(
        "times.svg",
        "Time to a target",
        "On fewer tasks, the same command shows the times themselves, as multiples of "
        "the fastest set's.",
        f"lopt plot {_TASK} \\\n  {_SETS} --kind profile -o times.svg\n",
    ),
    Figure(
        "speedup.svg",
        "Speed-up over a tuned baseline",
        "How many steps of a tuned Adam reach the same loss. On the diagonal a set is "
        "as fast as the baseline; [why Adam itself lies below "
        "it](normalizers.md#how-a-set-is-measured).",
        "lopt normalize build speedup_over_adam_1000 "
        f"{_TASK} -o adam.json --overwrite\n"
        f"lopt normalize apply adam.json {_TASK} \\\n  {_SETS} -o speedup.svg\n",
    ),
    Figure(
        "paper.svg",
        "For a paper",
        "A column wide, with names and a title of yours; as `.pdf`, its letters are "
        "embedded as conferences ask for.",
        f"lopt plot {_TASK} \\\n  {_SETS} \\\n"
        "  --label AdamLR_1000_R5=Adam --label SGDMLR_1000_R5='SGD, momentum' \\\n"
        "  --label LionLR_1000_R5=Lion --size column "
        "--title 'Fashion-MNIST, 8 x 8' -o paper.svg\n",
    ),
    Figure(
        "axes.png",
        "On axes of your own",
        "Every figure is a function that draws on axes of matplotlib.",
        f"""\
import matplotlib.pyplot as plt

from learned_optimization.baselines import vis
from learned_optimization.baselines.plots import figures

task_name = "{_TASK}"
set_names = ["AdamLR_1000_R5", "LionLR_1000_R5"]
figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
vis.plot_tasks_and_sets(task_name, set_names, ax=left)
figures.plot_sensitivity(task_name, set_names, ax=right)
figure.savefig("axes.png")
""",
        "python",
    ),
)

_HEAD = f"""\
# Every figure

<!-- Made by scripts/make_gallery.py. -->

Each figure with the command that draws it, from sets that train in a minute or so:

```yaml title="adam_grid.yaml"
{_GRID}```

```sh
{_TRAIN}```

A set keeps its colour from figure to figure. The ending of the file decides the format:
`.png`, `.svg` or `.pdf`.
"""

_TAIL = """
## The report

All of these and the verdict, on one page that can be searched, zoomed and sent:
`lopt report`, with the same tasks and sets ([The report](report.md)). `lopt race` and
`lopt challenge` end with one too.

![The report on six sets](images/report.png)

## How fast this machine is

`lopt bench --plot FILE` draws what it measures, trial-steps per second over the number
of trials beside a plain loop: [Speed](speed.md). It is not shown here, as it is about
your machine.
"""


def page() -> str:
    """Return the page."""
    return _HEAD + "".join(map(_section, FIGURES)) + _TAIL


def _section(figure: Figure) -> str:
    return f"""
## {figure.title}

![{figure.title}](images/gallery/{figure.file})

{figure.text}

```{figure.language}
{figure.commands}```
"""


def check() -> None:
    """Exit with what is wrong, if the page or the list of its figures is."""
    if PAGE.read_text() != page():
        sys.exit(f"{PAGE} is out of date: run python {sys.argv[0]}")
    there = {path.name for path in IMAGES.iterdir()}
    if there != {figure.file for figure in FIGURES}:
        sys.exit(f"{IMAGES} has other figures than the page: run python {sys.argv[0]}")


def make(archives: str | None, only: list[str]) -> None:
    """Train what is missing, draw the figures, and write the page."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lopt = f"{sys.executable} -m learned_optimization.cli.main"
        env = {
            **os.environ,
            "LOPT_BASELINE_DIR": f"{folder}/baselines",
            "LOPT_BASELINE_ARCHIVES_DIR": archives or f"{folder}/archives",
            "MPLBACKEND": "Agg",
        }

        def run(text: str, language: str = "sh") -> None:
            shell = ["bash", "-euc", f'lopt() {{ {lopt} "$@"; }}\n{text}']
            command = shell if language == "sh" else [sys.executable, "-c", text]
            subprocess.run(command, cwd=folder, env=env, check=True)

        (folder / "adam_grid.yaml").write_text(_GRID)
        if archives is None:
            run(_TRAIN)
        IMAGES.mkdir(parents=True, exist_ok=True)
        for figure in FIGURES:
            if not only or figure.file in only:
                run(figure.commands, figure.language)
                shutil.copy(folder / figure.file, IMAGES / figure.file)
    PAGE.write_text(page())


def main() -> None:
    """Make the gallery, or check it."""
    parser = argparse.ArgumentParser(description="Make docs/gallery.md.")
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    parser.add_argument("--archives", help="a folder that has the archives; absolute")
    parser.add_argument("--only", nargs="*", default=[], help="draw these files alone")
    args = parser.parse_args()
    if args.check:
        check()
    else:
        make(args.archives, args.only)


if __name__ == "__main__":
    main()
