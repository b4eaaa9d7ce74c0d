"""Names, files and archives: what a command is told to work on."""

import shutil
from pathlib import Path

import polars as pl
import pytest

from learned_optimization.baselines import utils
from learned_optimization.cli.choosing import (
    split_tasks_and_archives,
    tasks_and_sets_to_run,
)
from learned_optimization.errors import LoptError, ResultError, UnknownNameError
from tests.baselines.archives import write_three
from tests.cli.running import TASK, lopt_here, refused

OTHER = "ESWrapped_1pair_ImageMLP_FashionMnist8_Relu32"
FILE = """\
sets:
  - {name: Short_A, optimizer: SGD, num_steps: 20, seeds: 1}
  - {name: Short_B, optimizer: SGDM, num_steps: 20, seeds: 1}
"""


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    Path("short.yaml").write_text(FILE)
    return "short.yaml"


def archived(name: str, task: str) -> None:
    """Give an archive of a set a name that no set has."""
    source = utils.get_baseline_archive_path(task, "AdamLR_1000_R5")
    shutil.copy(source, utils.get_baseline_archive_path(task, name))


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        ([], ["Short_A", "Short_B"]),
        (["Short_B"], ["Short_B"]),
        (["Short_B", "AdamLR_1000_R5"], ["Short_B", "AdamLR_1000_R5"]),
        (["AdamLR_1000_R5"], ["AdamLR_1000_R5"]),
    ],
)
def test_names_choose_among_the_sets_of_a_file(names, chosen, file):
    _, sets = tasks_and_sets_to_run([TASK, *names], [file], None)
    assert [s.name for s in sets] == chosen
    assert split_tasks_and_archives([TASK, *names], [file], None) == ([TASK], chosen)


@pytest.mark.slow
def test_every_command_that_takes_a_file_chooses_alike(file):
    def said(command: str, *args: str) -> str:
        result = lopt_here(command, *args, "--set", file)
        return result.stdout + result.stderr

    for names, absent in (([], "LR_1000"), (["Short_B"], "Short_A")):
        assert absent not in said("plan", TASK, *names, "--seconds", "0")
        assert "Short_B" in said("plan", TASK, *names, "--seconds", "0")
        assert absent not in said("status", TASK, *names)
        assert "Short_B" in said("status", TASK, *names)
        assert absent not in said("archive", TASK, *names)
        assert "trials of Short_B" in said("archive", TASK, *names)
        assert absent not in said("sets", *names)
        assert "Short_B" in said("sets", *names)
    for command in ("plot", "report", "export"):
        assert "no archive of Short_A" in said(command, TASK)
        assert "no archive of Short_B" in said(command, TASK, "Short_B")
    trained = said("sweep", TASK, "Short_B", "--no-archive")
    assert "1 trials run, 0 had results" in trained
    assert "nothing to delete" in said("rm", TASK, "Short_A")
    assert "1 files" in said("rm", TASK, "Short_B")
    assert "1 files" in said("rm", TASK)


def test_tasks_and_sets_in_any_order():
    given = ["AdamLR_1000_R5", TASK, "SGDLR_1000_R5", OTHER, TASK]
    tasks, sets = tasks_and_sets_to_run(given, None, None)
    assert tasks == [TASK, OTHER]
    assert [s.name for s in sets] == ["AdamLR_1000_R5", "SGDLR_1000_R5"]


@pytest.mark.slow
def test_a_sweep_of_two_tasks_in_two_parts(file):
    whole = ["sweep", OTHER, "Short_A", TASK, "Short_B", "--set", file]
    first = lopt_here(*whole, "--shard", "1/2")
    assert first.returncode == 0, first.stderr
    assert first.stdout.count("trials run") == 1
    assert "2 trials run, 0 had results" in first.stdout
    last = lopt_here(*whole, "--shard", "2/2")
    assert "2 trials run, 0 had results" in last.stdout
    assert last.stdout.count("archived ") == 4
    for task in (TASK, OTHER):
        assert utils.list_hparam_sets_for_task(task) == ["Short_A", "Short_B"]
    again = lopt_here(*whole)
    assert "0 trials run, 4 had results" in again.stdout
    gone = lopt_here("rm", OTHER, "Short_A", TASK, "--yes")
    assert "deleted 4 files" in gone.stdout
    for task in (TASK, OTHER):
        assert utils.list_hparam_sets_for_task(task) == ["Short_B"]


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ("ImageMLP_FashionMnist8_Relu129", "unknown task, suite or set"),
        ("ImageMLP_Mnist_128x128x128_Relu", "data set mnist is not on this machine"),
    ],
)
def test_one_bad_task_refuses_all_before_anything_runs(bad, message, file):
    for order in ([TASK, bad], [bad, TASK]):
        assert message in refused(lopt_here("sweep", *order, "--set", file))


def test_a_task_with_results_alone_cannot_be_trained(file):
    Path(utils.get_root_baseline_dir(), "Theirs").mkdir(parents=True)
    with pytest.raises(UnknownNameError, match="unknown task 'Theirs'"):
        tasks_and_sets_to_run(["Theirs"], [file], None)
    with pytest.raises(LoptError, match="no task is given"):
        tasks_and_sets_to_run(["AdamLR_1000_R5"], None, None)


@pytest.mark.parametrize("root", ["LOPT_BASELINE_ARCHIVES_DIR", "LOPT_BASELINE_DIR"])
def test_what_runs_is_chosen_without_the_stores(root, file, monkeypatch):
    # No file system is called so: looking into it is an error.
    monkeypatch.setenv(root, "unreachable://archives")
    tasks, sets = tasks_and_sets_to_run([TASK, "Short_B"], [file], None)
    assert (tasks, [s.name for s in sets]) == ([TASK], ["Short_B"])
    with pytest.raises(UnknownNameError, match="unknown task, suite or set 'Theirs'"):
        tasks_and_sets_to_run(["Theirs"], [file], None)
    # What reads results needs them.
    with pytest.raises(ResultError, match="unreachable://archives"):
        split_tasks_and_archives([TASK], [file], None)


@pytest.mark.slow
def test_a_sweep_without_archives_needs_no_store_of_them(file, monkeypatch):
    monkeypatch.setenv("LOPT_BASELINE_ARCHIVES_DIR", "unreachable://archives")
    trained = lopt_here("sweep", TASK, "Short_A", "--set", file, "--no-archive")
    assert "1 trials run, 0 had results" in trained.stdout, trained.stderr
    assert lopt_here("sweep", TASK, "Short_A", "--set", file).returncode == 2


def test_an_archive_by_its_name():
    write_three(TASK)
    archived("Theirs_1000", TASK)
    names = ("Theirs_1000", TASK, "SGDMLR_1000_R5")
    assert split_tasks_and_archives(names, None, None) == (
        [TASK],
        ["Theirs_1000", "SGDMLR_1000_R5"],
    )
    plotted = lopt_here("plot", *names, "-o", "figure.svg")
    assert plotted.returncode == 0, plotted.stderr
    assert "Theirs_1000" in plotted.stdout
    assert "Theirs_1000" in Path("figure.svg").read_text()
    for kind in ("sensitivity", "tuning"):
        drawn = lopt_here("plot", *names, "--kind", kind, "-o", f"{kind}.svg")
        assert drawn.returncode == 0, drawn.stderr
    reported = lopt_here("report", *names, "-o", "report")
    assert reported.returncode == 0, reported.stderr
    assert "Theirs_1000" in Path("report/index.html").read_text()
    exported = lopt_here("export", *names, "-o", "all.parquet")
    assert exported.returncode == 0, exported.stderr
    frame = pl.read_parquet("all.parquet")
    assert frame["set"].unique(maintain_order=True).to_list() == [
        "Theirs_1000",
        "SGDMLR_1000_R5",
    ]


def test_an_archive_of_a_task_of_a_suite():
    write_three(TASK)
    archived("Theirs_1000", TASK)
    tasks, sets = split_tasks_and_archives(["laptop", "Theirs_1000"], None, None)
    assert TASK in tasks
    assert len(tasks) == 14
    assert sets == ["Theirs_1000"]


def test_archives_of_other_tasks_are_named():
    write_three(TASK)
    archived("Theirs_1000", TASK)
    for command in ("plot", "report", "export"):
        message = refused_beside_archives(command, "Theirs_1000", OTHER)
        assert f"an archive of {TASK}: name that task too" in message
        message = refused_beside_archives(command, "Theirs_100", TASK)
        assert "suite or set 'Theirs_100': did you mean Theirs_1000" in message
    # What is to be trained must be defined.
    message = refused_beside_archives("sweep", "Theirs_1000", TASK)
    assert "unknown task, suite or set 'Theirs_1000'" in message


def refused_beside_archives(*args: str) -> str:
    result = lopt_here(*args)
    assert (result.returncode, result.stdout) == (2, "")
    return result.stderr
