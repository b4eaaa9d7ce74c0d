"""`lopt status`, `rm`, `replay`, `diff`, and sweeps that do not end well."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from learned_optimization.baselines import utils
from learned_optimization.baselines.hparam_sets import get_hparam_set
from learned_optimization.baselines.results.archiving import archive
from tests.baselines.files import write, write_set
from tests.cli.running import LOPT, TASK, lopt, lopt_here, refused
from tests.components import require

SET = "AdamLR_1000_R5"


@pytest.fixture
def written():
    """Result files of a set on a task, one of them missing, one bad, one diverged."""
    hparam_set = get_hparam_set(SET)
    paths = write_set(hparam_set, TASK)
    os.remove(paths[0])
    Path(paths[1]).write_bytes(b"no zip")
    os.remove(paths[2])
    name = hparam_set.opt_names[0]
    write(name, 2, num_steps=1000, task_name=TASK, diverges_at=312)
    return paths


def test_status_of_nothing():
    result = lopt_here("status")
    assert (result.returncode, result.stderr) == (0, "")
    assert f"no results in {utils.get_root_baseline_dir()}" in result.stdout


def test_status_shows_a_table(written):
    result = lopt_here("status", "-v")
    assert result.returncode == 0, result.stderr
    row = next(line for line in result.stdout.splitlines() if SET in line)
    cells = [cell.strip() for cell in row.strip("│").split("│")]
    assert cells[:7] == [SET, "70", "67", "1", "-", "2", "1"]
    assert TASK in result.stdout
    assert cells[-1] == "no"
    assert "diverged: " in result.stdout
    assert "seed 2: from step 312" in result.stdout
    assert f"bad: cannot read {written[1]}" in result.stdout
    # Others of the set are all missing, and are shown only when they are asked for.
    assert "SGDLR_1000_R5" not in result.stdout
    asked = lopt_here("status", "SGDLR_2000_R5", TASK).stdout
    assert "SGDLR_2000_R5" in asked
    assert SET not in asked


def test_status_as_json(written):
    [row] = json.loads(lopt_here("status", TASK, SET, "--json").stdout)
    assert (row["task"], row["set"], row["trials"]) == (TASK, SET, 70)
    states = ("done", "diverged", "failed", "timed_out", "interrupted", "running")
    assert [row[s] for s in states] == [67, 1, 0, 0, 0, 0]
    assert (row["missing"], row["bad"]) == (2, 1)
    files = list(Path(utils.get_root_baseline_dir()).rglob("*.curves"))
    assert row["bytes"] == sum(p.stat().st_size for p in files)
    [entry] = row["not_done"]
    assert (entry["seed"], entry["state"], entry["reason"]) == (
        2,
        "diverged",
        "from step 312",
    )


def test_status_refuses_unknown_names():
    message = refused(lopt_here("status", "AdamLR_1001_R5"))
    assert "unknown task, suite or set" in message
    assert SET in message


def test_status_imports_no_jax():
    write("Adam_lr0.001", 0, num_steps=1000, task_name=TASK)
    code = "import sys\nfrom learned_optimization.cli.main import main\n"
    code += "try:\n    main()\nfinally:\n    print('jax' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code, "status", TASK, SET],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "False"


def test_rm_deletes_what_it_lists(written):
    before = {str(p) for p in Path(utils.get_root_baseline_dir()).rglob("*.curves")}
    other = write("Other", 0, task_name=TASK)
    asked = lopt_here("rm", TASK, SET)
    assert asked.returncode == 2
    assert "nothing was deleted: there is no terminal" in asked.stderr
    listed = {line.split()[-1] for line in asked.stdout.splitlines() if "/" in line}
    assert listed == before
    assert "69 files, " in asked.stdout
    assert all(map(os.path.exists, before))
    bad = lopt_here("rm", TASK, SET, "--only", "bad", "--yes")
    assert "deleted 1 files" in bad.stdout
    assert not os.path.exists(written[1])
    done = lopt_here("rm", TASK, SET, "--yes")
    assert "deleted 68 files" in done.stdout
    assert [str(p) for p in Path(utils.get_root_baseline_dir()).rglob("*.curves")] == [
        other
    ]
    assert "nothing to delete" in lopt_here("rm", TASK, SET, "--yes").stdout


@pytest.mark.parametrize(
    ("names", "what"),
    [((TASK,), "files"), (("--only", "leftovers"), "leftovers")],
)
def test_rm_goes_on_after_a_file_that_it_cannot_delete(names, what, monkeypatch):
    root = Path(utils.get_root_baseline_dir())
    if what == "leftovers":
        paths = [str(root / TASK / "SGD" / f".{i}.tmp") for i in range(3)]
        for path in paths:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            Path(path).touch()
            os.utime(path, (0, 0))
    else:
        paths = [write("Adam_lr0.001", seed, task_name=TASK) for seed in range(3)]
    kept, remove = paths[0], os.remove

    def refuse(path, *args, **kwargs):
        if os.fspath(path) == kept:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), kept)
        remove(path, *args, **kwargs)

    monkeypatch.setattr(os, "remove", refuse)
    done = lopt_here("rm", *names, "--yes")
    assert done.returncode == 1
    assert f"deleted 2 {what}" in done.stdout
    lines = done.stderr.strip().splitlines()
    assert lines == [f"stays: cannot delete {kept}: Permission denied."]
    assert [path for path in paths if os.path.exists(path)] == [kept]


def test_rm_says_who_shares_the_results():
    write("Adam_lr0.001", 0, num_steps=10_000, task_name=TASK)
    shown = lopt_here("rm", TASK, "AdamLR_10000_R1").stdout
    assert "also those of: AdamLR_10000_R5" in shown


def test_rm_refuses_unknown_names():
    assert "did you mean" in refused(lopt_here("rm", TASK.lower(), SET))
    assert "unknown task, suite or set" in refused(lopt_here("rm", TASK, "AdamLR_9_R5"))
    assert "no task is given" in refused(lopt_here("rm", SET))
    assert "unknown kind of file" in refused(lopt_here("rm", TASK, "--only", "all"))


@pytest.mark.slow
def test_rm_asks_on_a_terminal(written, tmp_path):
    """A real terminal, with a person who says no, then yes."""
    for answer, code, left in (("n", 1, 69), ("y", 0, 0)):
        done = subprocess.run(
            ["script", "-qec", f"{LOPT} rm {TASK} {SET}", "/dev/null"],
            input=f"{answer}\n",
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
        )
        assert "Delete these 69 files?" in done.stdout
        assert done.returncode == code, done.stdout
        files = list(Path(utils.get_root_baseline_dir()).rglob("*.curves"))
        assert len(files) == left


def test_diff(written):
    a, b = written[3], written[4]
    same = lopt_here("diff", a, a)
    assert (same.returncode, same.stdout) == (0, "the same, bit for bit\n")
    result = lopt_here("diff", a, b)
    assert result.returncode == 1
    row = next(line for line in result.stdout.splitlines() if "train/loss" in line)
    # The made-up curves differ by their seeds, from the start.
    assert [cell.strip() for cell in row.strip("│").split("│")][:5] == [
        "train/loss",
        "1",
        "0.2",
        "0",
        "1,001 of 1,001",
    ]
    assert "no such file" in refused_anyway(lopt_here("diff", a, "none.curves"))
    assert "neither a result file" in refused_anyway(lopt_here("diff", a, "x.txt"))


def refused_anyway(result):
    assert (result.returncode, result.stdout) == (2, "")
    return result.stderr


def test_diff_of_archives(small_set, tmp_path):
    write_set(small_set)
    path = archive("TinyRegression", small_set)
    other = str(tmp_path / "other.npz")
    arrays = utils.read_npz(path)
    arrays["eval/test/loss"][0, 0, 1] += 0.25
    utils.write_npz(other, arrays)
    result = lopt_here("diff", path, other)
    assert result.returncode == 1
    assert "1 of 27" in result.stdout
    assert "train/loss" not in result.stdout


@pytest.mark.slow
def test_replay(tmp_path):
    (tmp_path / "set.yaml").write_text(
        "name: Replayed\noptimizer: Adam\nnum_steps: 200\nseeds: 2\n"
        "space:\n  learning_rate: [0.001, 0.01]\n"
    )
    swept = lopt("sweep", TASK, "--set", str(tmp_path / "set.yaml"), "--no-archive")
    assert swept.returncode == 0, swept.stderr
    path = sorted(Path(utils.get_root_baseline_dir()).rglob("*.curves"))[0]
    done = lopt("replay", str(path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith(f"{TASK}, Adam_lr0.001_")
    assert "timing/trials_run_together 4 then, 2 now" in done.stdout
    assert "within the 0.001 that rounding" in done.stdout or (
        "the same, bit for bit" in done.stdout
    )
    stored = utils.read_npz(str(path))
    utils.write_npz(
        str(path), {**stored, "train/loss": np.float32(1.1) * stored["train/loss"]}
    )
    changed = lopt("replay", str(path))
    assert changed.returncode == 1
    assert "beyond the 0.001" in changed.stdout


@pytest.mark.slow
def test_replay_of_a_class_of_pytorch(tmp_path):
    require("torch")
    (tmp_path / "set.yaml").write_text(
        "name: Replayed\noptimizer: torch:torch.optim.Adam\nnum_steps: 50\n"
        "seeds: 1\nspace:\n  learning_rate: [0.001]\n"
    )
    swept = lopt("sweep", TASK, "--set", str(tmp_path / "set.yaml"))
    assert swept.returncode == 0, swept.stderr
    [path] = Path(utils.get_root_baseline_dir()).rglob("*.curves")
    done = lopt("replay", str(path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith(f"{TASK}, torch_optim_Adam_lr0.001")
    assert "the same, bit for bit" in done.stdout


FAILING = """\
import optax

from learned_optimization.optimizers.optax_optimizer import Scalar, optax_optimizer


@optax_optimizer
def Fails(learning_rate: Scalar = 0.01) -> optax.GradientTransformation:
    \"\"\"Its update cannot be traced.\"\"\"
    def update(updates, state, params=None):
        raise ZeroDivisionError("a bug of theirs")

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)
"""


@pytest.mark.slow
def test_a_sweep_whose_trials_fail(tmp_path):
    (tmp_path / "fails.py").write_text(FAILING)
    (tmp_path / "fails.yaml").write_text(
        "name: Failing\noptimizer: Fails\nnum_steps: 100\nseeds: 1\n"
        "space:\n  learning_rate: [0.001, 0.01]\n"
    )
    (tmp_path / "good.yaml").write_text(
        "name: Good\noptimizer: SGD\nnum_steps: 100\nseeds: 1\n"
        "space:\n  learning_rate: [0.001, 0.01]\n"
    )
    files = [str(tmp_path / name) for name in ("fails.py", "fails.yaml", "good.yaml")]
    options = ["--import", files[0], "--set", files[1], "--set", files[2]]
    done = lopt("sweep", TASK, *options)
    assert done.returncode == 1, done.stderr
    assert "failed: Fails: ZeroDivisionError: a bug of theirs" in done.stderr
    assert "2 trials failed" in done.stderr
    assert "2 trials run, 0 had results" in done.stdout
    shown = lopt("status", TASK, "-v", *options)
    row = next(line for line in shown.stdout.splitlines() if "Failing" in line)
    assert [c.strip() for c in row.strip("│").split("│")][2:6] == ["-", "-", "2", "-"]
    assert "ZeroDivisionError: a bug of theirs" in shown.stdout


@pytest.mark.slow
def test_a_sweep_with_a_time_limit():
    stopped = lopt("sweep", TASK, "SGDLR_2000_R5", "--time-limit", "0")
    assert stopped.returncode == 130
    assert "the same command goes on from there" in stopped.stderr
    [row] = json.loads(lopt_here("status", TASK, "SGDLR_2000_R5", "--json").stdout)
    assert (row["timed_out"], row["done"]) == (70, 0)
