"""`lopt suites`, and suites in the place of tasks."""

import json

import pytest

from learned_optimization.baselines.suites.registry import SUITES, all_suites
from learned_optimization.cli.choosing import (
    split_tasks_and_archives,
    split_tasks_and_sets,
    tasks_and_sets_to_run,
)
from learned_optimization.errors import UnknownNameError
from tests.baselines.archives import write_three
from tests.cli.running import TASK, lopt_here, refused

SET = "AdamLR_1000_R5"
QUADRATIC = "NoisyQuadratic_100dim_condition1000"
FILE = f"suites:\n  - {{name: mine, tasks: [{TASK}, {QUADRATIC}], num_steps: 20}}\n"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(FILE)
    with SUITES.temporarily():
        yield str(path)


def test_the_list():
    listed = lopt_here("suites", "--json")
    assert listed.returncode == 0, listed.stderr
    rows = json.loads(listed.stdout)
    assert [row["name"] for row in rows] == list(all_suites())
    [laptop] = [row for row in rows if row["name"] == "laptop"]
    assert laptop["num_available"] == laptop["num_tasks"] == len(laptop["tasks"])
    assert laptop["data_sets"] == ["fashion_mnist", "kjv_bytes", "gaussian_offsets"]
    heldout = [row["name"] for row in rows if row["is_heldout"]]
    assert heldout == ["laptop_heldout"]
    table = lopt_here("suites", "published_m*").stdout
    assert "published_mixer" in table
    assert "published_vit" not in table
    assert "2 suites; `lopt suites NAME` lists its tasks" in table


def test_one(file):
    rows = json.loads(lopt_here("suites", "mine", "--set", file, "--json").stdout)
    assert [row["name"] for row in rows] == [TASK, QUADRATIC]
    # 21 updates and three splits of 5 + 5 + 10 batches of a perceptron.
    forward = 2 * 128 * (64 * 32 + 32 * 10)
    step = 2 * forward + 2 * 128 * 32 * 10
    flop = 21 * step + 3 * 20 * forward
    assert rows[0]["tflop_per_trial"] == pytest.approx(flop / 1e12)
    assert rows[0]["parameters"] == 2410
    table = lopt_here("suites", "mine", "--set", file).stdout
    assert "2 tasks, each trained for 20 steps, with 5 seeds" in table
    assert "unknown suite 'laptp': did you mean laptop" in refused(
        lopt_here("suites", "laptp")
    )


def test_wherever_a_task_is_named_a_suite_may_be(file):
    names = ["mine", SET, TASK]
    tasks, sets = tasks_and_sets_to_run(names, [file], None)
    assert (tasks, [s.name for s in sets]) == ([TASK, QUADRATIC], [SET])
    tasks, sets = split_tasks_and_sets(names, [file], None)
    assert (tasks, [s.name for s in sets]) == ([TASK, QUADRATIC], [SET])
    for task in (TASK, QUADRATIC):
        write_three(task)
    assert split_tasks_and_archives(names, [file], None) == ([TASK, QUADRATIC], [SET])
    compared = lopt_here("compare", "mine", "--set", file, SET, "SGDMLR_1000_R5")
    assert "Over 2 tasks SGDMLR_1000_R5 comes first" in compared.stdout
    rows = json.loads(lopt_here("tasks", "mine", "--set", file, "--json").stdout)
    assert [row["name"] for row in rows] == [TASK, QUADRATIC]


def test_a_name_of_neither_is_told_of_suites_too():
    with pytest.raises(UnknownNameError, match="did you mean laptop") as error:
        tasks_and_sets_to_run(["laptp", SET], None, None)
    assert "`lopt suites`" in str(error.value)
    with pytest.raises(UnknownNameError, match="did you mean laptop"):
        split_tasks_and_archives(["laptp", SET], None, None)
