"""`sweep`, `race`, `report` and `challenge` as they are called from Python."""

import re
import sys
from types import SimpleNamespace
from typing import Any

import jax
import numpy as np
import pytest
from matplotlib import pyplot as plt

from learned_optimization.baselines import load_archive
from learned_optimization.baselines.sets.checkpoint_sets import CheckpointTemplate
from learned_optimization.baselines.sets.define import hparam_set
from learned_optimization.errors import LoptError
from learned_optimization.learned_optimizers import checkpoints
from learned_optimization.learned_optimizers.config_gin import class_lines
from learned_optimization.learned_optimizers.learnable import LearnableSGD
from learned_optimization.notebooks import challenge, race, report, sweep
from learned_optimization.notebooks.choices import chosen_sets, task_names
from learned_optimization.notebooks.pictures import Page, Picture, table
from learned_optimization.notebooks.progress import TextProgress, progress
from learned_optimization.tasks.registry import TASKS
from tests.cells import Notebook
from tests.cli.running import TASK

CELL = """
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import optax

from learned_optimization.baselines.sets.define import hparam_set
from learned_optimization.optimizers.optax_optimizer import optax_optimizer
from learned_optimization.tasks.base import Task
from learned_optimization.tasks.registry import own_fixed_task

POWER = 2


@dataclass(frozen=True)
class Bowl(Task):
    datasets = None

    def init(self, key):
        return jax.random.normal(key, (3,))

    def loss(self, params, key, data):
        return jnp.sum(jnp.abs(params) ** POWER)


@own_fixed_task
def BowlOfCell():
    return Bowl()


@optax_optimizer
def OwnOfCell(learning_rate=0.5):
    return optax.sgd(learning_rate)


own = hparam_set(
    name="OwnOfCell_10_R4",
    optimizer=OwnOfCell,
    num_steps=10,
    space={"learning_rate": [0.1, 0.2]},
    seeds=4,
)
"""


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> Notebook:
    return Notebook(monkeypatch)


def test_tasks_are_names_suites_or_functions(notebook: Notebook) -> None:
    names = notebook.run(CELL)
    assert task_names(TASK) == [TASK]
    assert task_names(names["BowlOfCell"]) == ["BowlOfCell"]
    given = [names["BowlOfCell"], TASK, TASK, "laptop"]
    assert task_names(given)[:2] == ["BowlOfCell", TASK]
    assert set(task_names("laptop")) <= set(TASKS.all())
    assert [s.name for s in chosen_sets([names["own"], "AdamLR_1000_R5"])] == [
        "OwnOfCell_10_R4",
        "AdamLR_1000_R5",
    ]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: sweep("ImageMLP", "AdamLR_1000_R5"), "unknown task or suite"),
        (lambda: sweep([], "AdamLR_1000_R5"), "at least one task"),
        (lambda: sweep(TASK, []), "at least one set"),
        (lambda: sweep(TASK, "AdamLR_1001_R5"), "unknown hparam set"),
        (lambda: sweep(TASK, 3), "or lists of them; got 3"),  # pyright: ignore
        (lambda: sweep([3], "AdamLR_1000_R5"), "as the function"),  # pyright: ignore
        (lambda: sweep(TASK, [3]), "as hparam_set"),  # pyright: ignore
        (lambda: race(TASK, ["AdamLR_1000_R5"], 0.1), "at least two sets"),
        (lambda: report(TASK, ["AdamLR_1000_R5"]), "AdamLR_1000_R5"),
        (lambda: report(TASK, []), "at least one task and one set"),
        (lambda: challenge("Adam", only="Mine"), "unknown task of suite laptop"),
        (lambda: challenge("Adem"), "did you mean Adam"),
    ],
)
def test_mistakes_are_named_before_anything_is_trained(
    call: Any, message: str, tmp_path: Any
) -> None:
    with pytest.raises((LoptError, ValueError), match=message):
        call()
    assert not (tmp_path / "baselines" / TASK).exists()


def test_a_picture_shows_itself_once(tmp_path: Any) -> None:
    figure, ax = plt.subplots()
    ax.plot([1, 2])
    number = figure.number  # pyright: ignore[reportAttributeAccessIssue]
    picture = Picture(figure)
    assert picture._repr_png_().startswith(b"\x89PNG")
    # What is closed is not shown by the notebook again.
    assert not plt.fignum_exists(number)
    picture.save(tmp_path / "figure.svg")
    assert (tmp_path / "figure.svg").read_text().lstrip().startswith("<?xml")
    with pytest.raises(LoptError, match=r"unknown kind of figure file '\.txt'"):
        picture.save(tmp_path / "figure.txt")


def test_what_is_shown_is_text_and_no_html_of_a_name() -> None:
    shown = table([{"a_name": "<b>", "loss": 0.123456, "none": None, "is": True}])
    assert "<th>a name</th>" in shown
    assert "<td>&lt;b&gt;</td><td>0.1235</td><td></td><td>True</td>" in shown
    assert table([]) == ""
    page = Page('<p title="a">&amp;</p>', 300)._repr_html_()
    assert 'srcdoc="&lt;p title=&quot;a&quot;&gt;&amp;amp;&lt;/p&gt;"' in page
    assert "height: 300px" in page
    assert "allow-same-origin" not in page


def test_a_bar_is_of_kernels_with_widgets(monkeypatch: pytest.MonkeyPatch) -> None:
    # A terminal's IPython has no kernel.
    shell = SimpleNamespace()
    monkeypatch.setitem(
        sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell)
    )
    assert type(progress()) is TextProgress
    shell.kernel = object()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert type(progress()) is TextProgress


def test_a_bar_of_widgets(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ipywidgets", reason="NO ipywidgets is installed")
    from learned_optimization.notebooks import progress as module

    shown = []
    monkeypatch.setattr(module, "_SECONDS_BETWEEN_DRAWINGS", 0.0)
    monkeypatch.setattr("IPython.display.display", shown.append)
    with module.WidgetProgress() as bar:
        bar.started(4, 0, 200)
        bar.done, bar.what = 50, "training"
        bar.show()
        moving, text = shown[0].children
        assert moving.value == 0.25
        assert text.value.startswith("training: 25% of 200 trial-steps")
    assert (moving.value, moving.bar_style) == (1.0, "success")
    with pytest.raises(ZeroDivisionError), module.WidgetProgress():
        raise ZeroDivisionError
    assert shown[1].children[0].bar_style == "danger"


@pytest.mark.slow
def test_from_a_cell_to_a_verdict(
    notebook: Notebook, capsys: pytest.CaptureFixture[str], tmp_path: Any
) -> None:
    names = notebook.run(CELL)
    task, own = names["BowlOfCell"], names["own"]
    other = hparam_set("SlowSGD_10_R4", "SGD", 10, {"learning_rate": [1e-3]}, seeds=4)
    trained = sweep(task, [own, other])
    assert (trained.summary.num_trials, trained.summary.num_skipped) == (12, 0)
    printed = capsys.readouterr().out
    assert re.search(r"OwnOfCell on BowlOfCell: 8 trials done, 0 diverged", printed)

    # Gradient descent on a sum of squares, each step: (1 - 2 lr) times as long.
    archive = load_archive("BowlOfCell", own.name)
    start = archive["eval/test/loss"][:, :, 0]
    final = archive["eval/test/loss"][:, :, -1]
    np.testing.assert_allclose(final[0], start[0] * 0.8**20, rtol=1e-4)
    best, last = trained.rows
    assert (best["set"], best["best"]) == (own.name, "OwnOfCell_lr0.2")
    assert best["test_loss"] == pytest.approx(float((start[1] * 0.6**20).mean()), 1e-3)
    assert last["trials"] == 4
    assert "12 trials run, 0 had results" in repr(trained)
    assert "<td>OwnOfCell_lr0.2</td>" in trained._repr_html_()
    for kind in ("curves", "sensitivity", "tuning"):
        assert trained.figure(kind)._repr_png_().startswith(b"\x89PNG")
    with pytest.raises(LoptError, match="unknown kind of figure"):
        trained.figure("curve")

    again = sweep([task], [own.name, other])
    assert again.summary.num_skipped == 12
    compared = report(task, [own, other.name], reference=own.name)
    assert compared.rows[0]["set"] == own.name
    assert "OwnOfCell_10_R4 comes first" in compared.sentences[0]
    assert compared.sentences[0] in repr(compared)
    assert compared.save(str(tmp_path / "report")).endswith("index.html")
    assert (tmp_path / "report" / "tasks.csv").exists()
    assert "srcdoc" in compared.page()._repr_html_()

    raced = race(task, [own, other], 0.0, max_seeds=4)
    assert own.name in raced.left
    assert raced.as_dict()["verdict"] == raced.verdict
    assert raced.verdict in repr(raced)
    assert "<table>" in raced._repr_html_()


@pytest.mark.slow
def test_other_code_is_told_and_trained_again(notebook: Notebook) -> None:
    names = notebook.run(CELL)

    def final() -> np.ndarray:
        return load_archive("BowlOfCell", "OwnOfCell_10_R4")["eval/test/loss"][..., -1]

    def ran(**options: Any) -> int:
        summary = sweep("BowlOfCell", "OwnOfCell_10_R4", **options).summary
        return summary.num_trials - summary.num_skipped

    assert ran() == 8
    first = final()
    # The same cells again, other names beside it.
    names = notebook.run(f"# Only said.\n{CELL}\nanother = 1\n")
    assert ran() == 0
    notebook.run(
        CELL.replace("optax.sgd(learning_rate)", "optax.sgd(2 * learning_rate)")
    )
    with pytest.raises(LoptError) as caught:
        ran()
    assert str(caught.value) == (
        "the code of optimizer OwnOfCell has changed since it trained OwnOfCell_10_R4 "
        "on BowlOfCell. retrain=True deletes those results and trains them again; to "
        "keep both, give the changed one another name."
    )
    with pytest.raises(LoptError, match="has changed"):
        race("BowlOfCell", ["OwnOfCell_10_R4", "AdamLR_1000_R5"], 0.1)
    assert ran(retrain=True) == 8
    # 0.1 is stepped as 0.2 was.
    np.testing.assert_allclose(final()[0], first[1], rtol=1e-4)
    assert ran() == 0

    # So is a task, whose loss reads a value of another cell.
    notebook.run("POWER = 4")
    with pytest.raises(LoptError, match="the code of task BowlOfCell has changed"):
        ran()
    assert ran(retrain=True) == 8
    assert ran(retrain=True) == 0
    notebook.run("POWER = 2")
    other = names["hparam_set"]("Other_10_R1", "SGD", 10, {"learning_rate": [0.1]})
    # What has no results yet is of no other code.
    sweep("BowlOfCell", other)


@pytest.mark.slow
def test_a_checkpoint_that_was_trained_again_is_told(
    notebook: Notebook, tmp_path: Any
) -> None:
    notebook.run(CELL)
    path = str(tmp_path / "params")

    def train(rate: float, **options: Any) -> int:
        lopt = LearnableSGD(rate)
        checkpoints.save(path, lopt.init(jax.random.PRNGKey(0)))
        template = CheckpointTemplate("LOpt_10_R1", "as trained", 10, 1, {"{name}": {}})
        made = template.with_checkpoint("mine", path, class_lines("LearnableSGD"))
        summary = sweep("BowlOfCell", made, **options).summary
        return summary.num_trials - summary.num_skipped

    assert train(0.1) == 1
    assert train(0.1) == 0
    with pytest.raises(LoptError, match="a setting of mine_LOpt_10_R1 has changed"):
        train(0.2)
    assert train(0.2, retrain=True) == 1
