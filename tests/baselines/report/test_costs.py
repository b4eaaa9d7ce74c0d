"""The report shows what optimizers cost, where that was measured."""

import csv
import io
import json
import re

import pytest

from learned_optimization.baselines.report import rows, words
from learned_optimization.baselines.report.build import analyse, files_of_report
from learned_optimization.baselines.report.content import content
from learned_optimization.benchmarking.optimizer_cost import save_costs
from tests.baselines.archives import write_three
from tests.baselines.costs import cost_of

TASKS = ["T", "U", "V"]


@pytest.fixture
def names():
    [names, *_] = [write_three(task, noise=0.01) for task in TASKS]
    return names


def measure(tasks, names):
    """Keep made-up costs: Adam 1 ms a step, the second 10 ms, the third 0.5 ms."""
    steps = dict(zip(names, (0.001, 0.01, 0.0005), strict=False))
    save_costs(
        cost_of(task, name, gradient=seconds / 2, update=seconds / 2)
        for task in tasks
        for name, seconds in steps.items()
    )


def test_nothing_measured(names):
    results, verdict = analyse(TASKS, names)
    said = "\n".join(words.caveats(results, verdict))
    command = f"`lopt bench --optimizers {' '.join([*TASKS, *names])}`"
    assert f"was not measured on this machine: {command} measures it." in said
    files = files_of_report(results, verdict)
    assert f"<code>{command[1:-1]}</code> measures it." in files["index.html"]
    assert files["index.html"].count("<td>-</td>") == 27
    assert "profile-seconds" not in files["index.html"].split("<script>")[0]
    assert content(results, verdict)["profile_seconds"] is None
    found = json.loads(files["results.json"])["tasks"][0]
    assert found["step_ratio"] is found["state_bytes_per_parameter"] is None


def test_of_one_set(names):
    measure(["T"], names[:1])
    results, verdict = analyse(TASKS[:1], names)
    said = "\n".join(words.caveats(results, verdict))
    assert f"for {names[1]} on T and {names[2]} on T: `lopt bench" in said
    assert f"--optimizers T {names[1]} {names[2]}` measures it." in said
    by_name = {row["set"]: row for row in rows.task_rows(results, verdict)}
    row = by_name[names[0]]
    # 804 bytes of 100 parameters.
    assert row["state_bytes_per_parameter"] == pytest.approx(8.04)
    assert row["step_ratio"] == 1.5
    assert row["step_seconds"] == pytest.approx(0.001)
    steps = row["steps_to_target"]
    assert steps > 1
    assert row["seconds_alone_to_target"] == pytest.approx(0.001 * steps)
    page = files_of_report(results, verdict)["index.html"]
    cells = re.findall(r"<td>([^<]*)</td>", page.split(f">{names[0]}</th>")[-1])
    assert "8.04" in cells
    assert "1.5" in cells


def test_all_measured(names):
    measure(TASKS, names)
    results, verdict = analyse(TASKS, names)
    assert "lopt bench" not in "\n".join(words.caveats(results, verdict))
    files = files_of_report(results, verdict)
    assert "<td>-</td>" not in files["index.html"]
    assert 'id="profile-seconds"' in files["index.html"]
    shown = content(results, verdict)["profile_seconds"]
    table = list(csv.DictReader(io.StringIO(files["tasks.csv"])))
    # The share of tasks within tau of the fastest, counted by hand.
    times = {
        (row["task"], row["set"]): float(row["seconds_alone_to_target"])
        for row in table
    }
    for name, shares in shown["share"].items():
        for tau, share in zip(shown["tau"], shares, strict=True):
            near = [
                times[task, name]
                <= 1.0005 * tau * min(times[task, other] for other in names)
                for task in TASKS
            ]
            assert share == pytest.approx(sum(near) / 3, abs=1e-3)
    # In updates the second set is first everywhere, in seconds nowhere.
    assert content(results, verdict)["profile"]["share"][names[1]][0] == 1
    assert shown["share"][names[1]][0] == 0


def test_two_tasks_have_no_profile(names):
    measure(TASKS[:2], names)
    assert content(*analyse(TASKS, names))["profile_seconds"] is None
