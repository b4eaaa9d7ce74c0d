"""Optimizers and sets of one's own on the command line."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from learned_optimization.baselines import utils
from learned_optimization.optimizers.base import all_optimizers
from tests.cli.running import TASK, lopt, lopt_here, refused

PAGE = Path(__file__).parent.parent.parent / "docs" / "own_sets.md"


@pytest.mark.slow
def test_the_page_runs_as_it_stands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pattern = r'```(\w+)(?: title="(.*?)")?\n(.*?)```'
    output = []
    for language, title, text in re.findall(pattern, PAGE.read_text(), re.DOTALL):
        if title:
            Path(title).write_text(text)
            continue
        assert language == "sh"
        for line in text.splitlines():
            program, *args = shlex.split(line)
            assert program == "lopt"
            result = lopt(*args)
            assert result.returncode == 0, f"{line}\n{result.stderr}"
            output.append(result.stdout)
    optimizers, trained, first, sets, plotted, second, search = output
    assert re.search(
        r"MyLion .*lr0.001_b10.9_b20.99.*Lion, the way I like it", optimizers
    )
    assert "12 trials run, 0 had results" in first
    assert re.search(r"│ MyLionLR_100_R2 │ MyLion +│ +100 │ +6 │ +2 │ +12 │", sets)
    assert sets.endswith("1 set, 6 configurations, 12 trials\n")
    assert "MyLion_lr0.01_b10" in plotted
    assert Path("my_lion.png").stat().st_size > 10_000
    # The sets of the Python file are those of the YAML file in two parts.
    assert "6 trials run, 12 had results" in second
    assert search.endswith("1 set, 8 configurations, 16 trials\n")
    assert utils.list_hparam_sets_for_task(TASK) == [
        "AdamCosine_100_R2",
        "MyLion0.95LR_100_R2",
        "MyLion0.9LR_100_R2",
        "MyLionLR_100_R2",
    ]
    whole, half = (
        utils.load_archive(TASK, name)
        for name in ("MyLionLR_100_R2", "MyLion0.95LR_100_R2")
    )
    np.testing.assert_array_equal(whole["train/loss"][1::2], half["train/loss"])
    assert trained


MINE = """
import optax
from learned_optimization.baselines.sets.define import hparam_set
from learned_optimization.optimizers.optax_optimizer import optax_optimizer
@optax_optimizer(needs=["loss"])
def Mine(learning_rate={default}, decay=0.9):
    "Mine."
    return optax.rmsprop(learning_rate, decay=decay)
hparam_set("MineDecay", Mine, 20, space={{"decay": [0.5, 0.9]}}, seeds=2)
"""


@pytest.mark.slow
def test_a_changed_default_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(MINE.format(default=0.01))
    args = ("sweep", TASK, "--set", "mine.py")
    assert "4 trials run" in lopt(*args).stdout
    files = {p: p.read_bytes() for p in tmp_path.rglob("*.curves")}
    Path("mine.py").write_text(MINE.format(default=0.02))
    for command in ("sweep", "archive"):
        result = lopt(command, TASK, "--set", "mine.py")
        assert result.returncode == (2 if command == "sweep" else 1)
        assert re.search(
            r"^error: .*/Mine_decay0.5/20_10_5_10 holds results of "
            r"Mine_lr0.01_decay0.5, and this set means Mine_lr0.02_decay0.5",
            result.stderr,
            re.MULTILINE,
        )
    assert {p: p.read_bytes() for p in tmp_path.rglob("*.curves")} == files


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["sweep", TASK], "no set is given: name some .* --set my_set.yaml"),
        (["archive", TASK], "no set is given"),
        (["plot", TASK], "no set is given"),
        (["sweep", TASK, "--set", "no.yaml"], "no such file: no.yaml"),
        (["sweep", TASK, "--set", "opt.py"], "opt.py defines no set.* by --import"),
        (
            ["sweep", TASK, "Mine", "--import", "opt.py"],
            "suite or set 'Mine'",
        ),
        (["train", "--import", "set.yaml"], "its name must end in .py"),
        (
            ["sets", "--set", "set.yaml"],
            "set.yaml, line 1, set S: .* did you mean Adam",
        ),
        (["sets", "AdmLR*"], "unknown hparam set 'AdmLR"),
        (["optimizers", "--import", "bad.py"], "bad.py, line 1: ZeroDivisionError"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(args, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("opt.py").write_text("x = 1\n")
    Path("bad.py").write_text("x = 1 / 0\n")
    Path("set.yaml").write_text("name: S\noptimizer: Admm\nnum_steps: 20\n")
    before = sorted(tmp_path.rglob("*"))
    assert re.search(message, refused(lopt_here(*args)))
    assert sorted(tmp_path.rglob("*")) == before


def test_lists():
    listed = lopt_here("sets", "AdamLR_10000_*").stdout
    rows = [line for line in listed.splitlines() if "│ Adam" in line]
    assert len(rows) == 2
    assert listed.endswith("2 sets, 28 configurations, 84 trials\n")
    listed = lopt_here("optimizers").stdout
    assert re.search(r"│ Adam +│ lr0.01_.* │ +│ Adam \(Kingma", listed)
    for name, cls in all_optimizers().items():
        if cls().needs:
            row = next(r for r in listed.splitlines() if f"│ {name} " in r)
            assert f"│ {', '.join(sorted(cls().needs))} " in row


@pytest.mark.slow
def test_a_task_of_ones_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("task.py").write_text(
        "from learned_optimization.tasks.quadratics import QuadraticTask\n"
        "from learned_optimization.tasks.registry import own_fixed_task\n"
        "@own_fixed_task\n"
        "def MyQuadratic():\n"
        "    return QuadraticTask()\n"
    )
    Path("set.yaml").write_text(
        "name: S\noptimizer: SGD\nnum_steps: 20\nseeds: 1\n"
        "space: {learning_rate: [0.1]}\n"
    )
    result = lopt("sweep", "MyQuadratic", "--import", "task.py", "--set", "set.yaml")
    assert "1 trials run, 0 had results" in result.stdout, result.stderr
    assert utils.list_hparam_sets_for_task("MyQuadratic") == ["S"]
