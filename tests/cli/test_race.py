"""`lopt race` as a person runs it, on results written by hand and on trained ones."""

import csv
import html
import json
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from learned_optimization.baselines import utils
from learned_optimization.baselines.report import race as report_of_race
from learned_optimization.baselines.sweeps.grids import TrialGrid
from learned_optimization.errors import ResultError
from tests.baselines.files import write
from tests.cli.running import TASK, lopt_here, refused

QUICK, SLOW = "Quick_20_R2", "Slow_20_R2"
SETS = f"""\
name: {QUICK}
optimizer: SGD
num_steps: 20
seeds: 2
space:
  learning_rate: [0.1, 0.3]
---
name: {SLOW}
optimizer: SGD
num_steps: 20
seeds: 2
space:
  learning_rate: [0.0001, 0.001, 0.01]
"""
MEANS = {"0.1": 0.5, "0.3": 0.55, "0.0001": 1.9, "0.001": 1.5, "0.01": 0.9}


@pytest.fixture
def files(tmp_path, monkeypatch) -> list[str]:
    """The files that define two sets, as options."""
    monkeypatch.chdir(tmp_path)
    options = []
    for name, text in zip(("quick", "slow"), SETS.split("---\n"), strict=True):
        Path(f"{name}.yaml").write_text(text)
        options += ["--set", f"{name}.yaml"]
    return options


def write_results(
    num_seeds: int = 8, means: Mapping[str, float] = MEANS, task: str = TASK
) -> None:
    for rate, mean in means.items():
        for seed in range(num_seeds):
            last = mean + 0.01 * np.cos(seed * mean * 10)
            losses = np.array([2.3, 2.0, last])
            write(
                f"SGD_lr{rate}",
                seed,
                task_name=task,
                opt_config=f"SGD_lr{float(rate)}",
                **{f"eval/{s}/loss": losses for s in ("outer_valid", "test")},
            )


def race(*args: str):
    return lopt_here("race", TASK, "--tolerance", "0.01", *args)


def test_the_verdict_is_the_last_line(files):
    write_results()
    result = race(*files)
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[-1].startswith(f"{QUICK} is better than {SLOW} (8 seeds, family-wise")
    assert lines[-1].endswith("at most 31% of its trials do (95% sure).")
    assert "about the best configuration of each set" in lines[-1]
    assert "The sets have different numbers of configurations" in result.stdout
    assert "at the edge of the set" in result.stdout
    [headline] = [line for line in lines if line.startswith("8 seeds: ")]
    # Where there is no terminal, a look is a few lines.
    assert [x for x in result.stderr.splitlines() if "trials (uniform" in x][2:] == []
    assert "1 of 2 sets" in headline
    lost = f"{SLOW} is out at 8 seeds: worse than {QUICK} (7 of 7 seeds)"
    assert f"  {lost}" in result.stderr.splitlines()
    assert lost in lines


def test_json_is_all_of_standard_output(files):
    write_results()
    result = race(*files, "--json")
    found = json.loads(result.stdout)
    assert found["outcome"] == "better"
    assert (found["leader"], found["left"]) == (QUICK, [QUICK])
    assert [look["seeds"] for look in found["looks"]] == [4, 8]
    assert found["trials"] < found["uniform_trials"] == 40
    assert (found["trials_run"], found["missing"]) == (0, [])
    assert json.loads(Path("report", "race.json").read_text()) == {
        key: value for key, value in found.items() if key != "report"
    }
    out = next(s for s in found["sets"] if s["set"] == SLOW)
    assert (out["out_at"], out["lost_to"]) == (8, {QUICK: 7})
    assert out["chosen"] == "SGD_lr0.01"


@pytest.mark.parametrize(
    ("options", "outcome"),
    [
        (["--max-seeds", "4"], "undecided"),
        (["--max-trials", "10"], "undecided"),
        (["--max-seeds", "4", "--anytime"], "undecided"),
        (["--anytime"], "better"),
        (["--until", "best"], "better"),
    ],
)
def test_options_reach_the_rules(files, options, outcome):
    write_results()
    result = race(*files, "--json", *options)
    assert json.loads(result.stdout)["outcome"] == outcome


@pytest.mark.slow
def test_what_is_trained_is_found_by_a_sweep(files):
    result = race(*files, "--max-seeds", "4", "--seed-offset", "1", "--json")
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert (found["trials_run"], found["first_seed"], found["seeds"]) == (20, 1, 4)
    swept = lopt_here("sweep", TASK, QUICK, *files, "--no-archive")
    assert "2 trials run, 2 had results" in swept.stdout


@pytest.mark.slow
def test_a_race_that_is_stopped_says_so(files):
    result = race(*files, "--time-limit", "0")
    assert result.returncode == 130
    assert "stopped; the same command goes on" in result.stderr
    assert not list(Path(utils.get_root_baseline_dir()).rglob("*.curves"))


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--alpha", "1"], "alpha must be"),
        (["--anytime"], "needs at least two sets"),
    ],
)
def test_what_cannot_be_raced_is_refused(args, said, files):
    sets = files if args == ["--alpha", "1"] else files[:2]
    assert said in refused(race(*sets, *args))


def test_failed_trials_are_named_and_waited_for(files, monkeypatch):
    def run(*args, **kwargs):
        raise MemoryError("too large")

    monkeypatch.setattr(TrialGrid, "run", run)
    result = race(*files)
    assert result.returncode == 1
    assert f"missing: {TASK} SGD_lr0.1: seeds 0, 1, 2, 3\n" in result.stderr
    assert "failed: SGD: MemoryError: too large" in result.stderr
    last = result.stdout.splitlines()[-1]
    assert last.startswith("Waiting for 20 trials at 4 seeds")


@pytest.mark.parametrize(("num_seeds", "lower"), [(1, None), (3, None), (4, 0)])
def test_few_seeds_have_a_table(files, num_seeds, lower):
    write_results()
    told = race(*files, "--max-seeds", str(num_seeds)).stdout
    assert f"{num_seeds} seed{'s' * (num_seeds > 1)}: {5 * num_seeds} trials" in told
    assert ("Nothing is said below 4 seeds." in told) == (num_seeds < 4)
    assert "nan" not in told
    found = json.loads(race(*files, "--max-seeds", str(num_seeds), "--json").stdout)
    assert (found["outcome"], found["seeds"]) == ("undecided", num_seeds)
    assert found["trials"] == found["uniform_trials"] == 5 * num_seeds
    row = next(s for s in found["sets"] if s["set"] == SLOW)
    assert (row["chosen"], row["is_left"]) == ("SGD_lr0.01", True)
    # The first seed chooses, and is not reported where there are others.
    seeds = range(1, num_seeds) if num_seeds > 1 else [0]
    losses = [0.9 + 0.01 * np.cos(seed * 9) for seed in seeds]
    assert row["loss"] == pytest.approx(np.mean(losses))
    error = np.std(losses, ddof=1) / np.sqrt(len(losses)) if num_seeds > 2 else None
    assert row["loss_error"] == (error and pytest.approx(error, rel=1e-4))
    assert (row["lower"] is None) == (lower is None)


def test_a_race_ends_with_a_report(files):
    write_results(means={**MEANS, "0.001": 0.9, "0.01": 1.5})
    told = race(*files, "-o", "mine").stdout
    page = Path("mine", "index.html").resolve()
    assert f"report: {page}" in told.splitlines()
    verdict = told.splitlines()[-1]
    text = page.read_text()
    assert verdict.partition(" (")[0] in text
    assert f"Race of 2 sets on {TASK}" in text
    with open(Path("mine", "tasks.csv")) as file:
        rows = {row["set"]: row for row in csv.DictReader(file)}
    # Both of one set are better than the other set, of which one was left at 4 seeds.
    for name, config, mean, left in ((QUICK, "0.1", 0.5, 2), (SLOW, "0.001", 0.9, 1)):
        row = rows[name]
        losses = [mean + 0.01 * np.cos(seed * mean * 10) for seed in range(8)]
        assert (row["config"], row["seeds"]) == (f"SGD_lr{config}", "8")
        assert (row["configs"], row["trials"]) == (str(left), str(8 * left))
        assert float(row["final_test"]) == pytest.approx(np.mean(losses))
        # The edge is that of the whole set.
        assert row["at_edge"] == str(name == QUICK)


def section(page: str, start: str) -> str:
    """Return the section of a page whose tag begins so, without its HTML."""
    _, _, rest = page.partition(f"<section {start}")
    text = re.sub(r"<[^>]*>", " ", rest.partition(">")[2].partition("</section>")[0])
    return " ".join(html.unescape(text).split())


def test_the_page_says_what_the_race_found_and_how_it_is_made(files):
    write_results()
    verdict = race(*files, "--max-seeds", "16").stdout.splitlines()[-1]
    page = Path("report", "index.html").read_text()
    said = section(page, 'class="notes"')
    assert said.startswith(f"Verdict of the race {verdict} ")
    assert 'aria-label="Still being trained" hidden>' in page
    assert verdict not in section(page, 'class="progress"')
    # The report's own looks once, and is another.
    assert section(page, 'id="verdict"').startswith("Verdict of one look ")
    origin = section(page, 'id="origin"')
    command = f"lopt race {TASK} {QUICK} {SLOW} --tolerance 0.01 --max-seeds 16"
    assert f"This page: {command} copy" in origin
    assert "lopt report" not in origin
    assert "lopt sweep" not in origin
    # The tolerance is 0.01 in loss. What the best set improves: from 2.3, to what seeds
    # 1 to 7 show of the rate that those before them choose.
    gained = 2.3 - np.mean([0.5 + 0.01 * np.cos(5 * seed) for seed in range(1, 8)])
    found = json.loads(Path("report", "results.json").read_text())
    assert found["reference"] == QUICK
    assert found["tolerance"] == pytest.approx(0.01 / gained, rel=1e-4)
    share = f"{100 * 0.01 / gained:.3g}%"
    assert f"tolerance of 0.01, which is {share} of the improvement of {QUICK}." in said


def test_the_page_of_a_race_on_two_tasks_says_in_which_unit_sets_are_equivalent(files):
    other = f"ESWrapped_1pair_{TASK}"
    write_results()
    write_results(task=other)
    done = race(other, *files)
    assert done.returncode == 0, done.stderr
    found = json.loads(Path("report", "results.json").read_text())
    assert found["tolerance"] == 0.01
    said = section(Path("report", "index.html").read_text(), 'class="notes"')
    assert (
        f"differ by less than 1% of the improvement of {QUICK} on the task, or in the "
        "mean over tasks. The race's tolerance of 0.01 is in its own units" in said
    )


def test_the_report_may_be_left_out(files):
    write_results()
    told = race(*files, "--no-report").stdout
    assert "report:" not in told
    assert not Path("report").exists()


def test_results_that_make_no_page_are_said(files, monkeypatch):
    write_results()

    def fails(standing):
        raise ResultError("the curves differ")

    monkeypatch.setattr(report_of_race, "files_of_race", fails)
    result = race(*files)
    assert result.returncode == 0
    assert "warning: there is no page: the curves differ" in result.stderr
    assert json.loads(Path("report", "race.json").read_text())["left"] == [QUICK]
    assert result.stdout.splitlines()[-1].startswith(f"{QUICK} is better")


def test_the_table_says_of_divergence_where_there_is_some(files):
    write_results()
    assert "diverged ┃" not in race(*files).stdout
    name = "SGD_lr0.3"
    losses = np.array([2.3, 2.0, np.nan])
    final = {f"eval/{s}/loss": losses for s in ("outer_valid", "test")}
    for path in Path(utils.get_root_baseline_dir()).rglob(f"{name}/*/*.curves"):
        path.unlink()
    for seed in range(8):
        write(name, seed, task_name=TASK, opt_config=name, **final)
    Path(utils.get_root_baseline_dir(), TASK, "SGD_lr0.1").rename("kept")
    for seed in range(8):
        changed = {"task_name": TASK, "opt_config": "SGD_lr0.1", **final}
        write("SGD_lr0.1", seed, **changed)
    told = race(*files).stdout
    assert "diverged ┃" in told
    assert "8 of 8" in told
