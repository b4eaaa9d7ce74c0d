"""The command line as a person meets it: what it prints, writes and exits with."""

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest

from learned_optimization.baselines import utils
from learned_optimization.baselines.hparam_sets import all_hparam_sets
from learned_optimization.optimizers.base import all_optimizers
from learned_optimization.tasks.registry import all_fixed_tasks
from tests.cli.running import (
    LOPT,
    TASK,
    lopt,
    lopt_here,
    refused,
    run_trainer,
    run_trainer_here,
)


def test_help_imports_nothing_heavy():
    code = (
        "import sys, json\n"
        "import learned_optimization.cli.main\n"
        "print(json.dumps(sorted(m.partition('.')[0] for m in sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    heavy = {"jax", "numpy", "flax", "optax", "matplotlib", "gin", "fsspec", "scipy"}
    assert not heavy & set(json.loads(result.stdout))
    assert lopt_here("--help").returncode == 0
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", lopt_here("--version").stdout)


@pytest.mark.slow
def test_lists():
    tasks = lopt_here("tasks").stdout
    assert all(name in tasks for name in all_fixed_tasks())
    row = next(line for line in tasks.splitlines() if f"│ {TASK} " in line)
    assert [cell.strip() for cell in row.strip("│").split("│")] == [
        TASK,
        "fashion_mnist",
        "yes",
        f"{64 * 32 + 32 + 32 * 10 + 10:,}",
        "128",
    ]
    sets = lopt_here("sets").stdout
    assert all(name in sets for name in all_hparam_sets())
    optimizers = lopt_here("optimizers").stdout
    assert all(name in optimizers for name in all_optimizers())
    assert "lr0.01_b10.9_b20.999_eps1e-08_epsroot1e-08" in optimizers


def test_data_commands(tmp_path):
    listed = lopt_here("data", "list").stdout
    assert "fashion_mnist" in listed
    assert "8x8" in listed
    missing = refused(lopt_here("data", "where", "mnist"))
    assert "lopt data prepare mnist --from DIR" in missing
    assert "did you mean mnist" in refused(lopt_here("data", "prepare", "mnits"))
    empty = tmp_path / "empty"
    empty.mkdir()
    message = refused(lopt_here("data", "prepare", "mnist", "--from", str(empty)))
    assert "holds no files of mnist in a form known here (idx, parquet)" in message


def test_data_is_prepared_and_checked(tmp_path):
    texts = tmp_path / "texts"
    texts.mkdir()
    (texts / "train.txt").write_text("one sentence per line\n" * 40)
    prepare = ("data", "prepare", "lm1b", "--vocabulary", "bytes")
    missing = refused(lopt_here(*prepare))
    assert missing.startswith("error: the data set lm1b (bytes) is not on this machine")
    assert "--vocabulary must be" in refused(
        lopt_here(*prepare[:3], "--vocabulary", "8k")
    )
    done = lopt_here(*prepare, "--from", str(texts))
    folder = tmp_path / "data" / "lm1b" / "prepared-bytes"
    assert (done.returncode, done.stdout) == (0, f"prepared {folder}\n"), done.stderr
    assert lopt_here("data", "where", "lm1b").stdout == f"{folder}\n"
    row = next(r for r in lopt_here("data", "list").stdout.splitlines() if "lm1b" in r)
    assert "│ no " not in row
    assert lopt_here("data", "check", "lm1b").stdout == f"{folder}: as it was written\n"
    listed = lopt_here("tasks", "RNNLM_lm1bbytes_*_IRNN128_*").stdout
    assert "yes" in listed
    assert "Cifar" not in listed
    assert "nearest" not in refused(lopt_here("tasks", "RNNLM_lm2b*"))
    (folder / "token.bin").write_bytes(b"x" * (folder / "token.bin").stat().st_size)
    assert "its checksum is not the one" in refused(lopt_here("data", "check", "lm1b"))


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["sweep", "ImageMLP_FashionMnist8_Relu33", "SGDLR_1000_R5"], f"mean {TASK}"),
        (["sweep", TASK, "SGDLR_1001_R5"], "did you mean SGDLR_1000_R5"),
        (["plot", TASK, "SGDLR_1000_R5"], "no archive of SGDLR_1000_R5"),
        (["plot", TASK, "SGDLR_1000_R5", "--split", "tset"], "did you mean test"),
        (["plot", TASK, "SGDLR_1000_R5", "--select", "x"], "known: outer_valid"),
        (["plot", TASK, "SGDLR_1000_R5", "-o", "a.bmp"], "must end in .png"),
        (["archive", TASK, "SGDLR_999_R5"], "unknown task, suite or set"),
        (["sweep", TASK, "SGDLR_1000_R5", "--gin_bindings", "SGD.lr=1"], "known are"),
        (["sweep", TASK, "SGDLR_1000_R5", "--gin_file", "x.gin"], "no such gin"),
        (
            ["sweep", "ImageMLP_Mnist_128x128x128_Relu", "SGDLR_1000_R5"],
            "the data set mnist is not on this machine",
        ),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(args, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert message in refused(lopt_here(*args))
    assert not list(tmp_path.glob("*.png"))


BINDINGS = {
    "task": f"@{TASK}()",
    "opt": "@Adam()",
    "num_steps": "20",
    "opt_name": "'Adam_lr0.001'",
}


def trainer_args(**changes: str) -> list[str]:
    bindings = {**BINDINGS, **changes}
    return [
        "--gin_bindings=Adam.learning_rate=0.001",
        *(f"--gin_bindings=inner_train_task.{k}={v}" for k, v in bindings.items()),
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_steps": "0"}, "num_steps must be a whole number of at least 1, got 0"),
        ({"eval_every": "0"}, "eval_every must be a whole number of at least 1, got 0"),
        ({"seed": "-1"}, "seed must be a whole number of at least 0, got -1"),
        ({"num_steps": "'x'"}, "num_steps must be a whole number"),
        ({"seed": "4294967296"}, "seed must be below 4294967296"),
        ({"opt": "@Adm()"}, "did you mean Adam"),
        ({"opt": "'Adm'"}, "did you mean Adam"),
        ({"opt": "@Adam"}, "opt must be an optimizer, e.g. @Adam() in gin"),
        ({"opt": f"@{TASK}()"}, "opt must be an optimizer"),
        ({"task": "3"}, "task must be a task, e.g."),
        ({"eval_task": "'ImageMLP'"}, "unknown task 'ImageMLP'"),
        ({"opt_name": "'a/b'"}, "opt_name names a folder"),
        ({"opt_name": "3"}, "opt_name names a folder"),
        ({"opt_name": repr("x" * 300)}, "at most 255 bytes"),
        ({"task_name": "''"}, "task_name names a folder"),
        ({"device": "3"}, "no device 3: this machine has cpu:0"),
        ({"opt": "@nosuch.Adam()"}, "unknown gin configurable"),
        ({"task": "@ImageMLP_FashionMnist8_Relu()"}, f"did you mean {TASK}"),
        ({"device": "'tpu:7'"}, "no device 'tpu:7': this machine has cpu:0"),
    ],
)
def test_run_trainer_refuses(changes, message):
    assert message in refused(run_trainer_here(*trainer_args(**changes)))


def test_hyper_parameters_must_be_numbers():
    for value in ("'abc'", "None", "(1, 2)"):
        args = [*trainer_args(), f"--gin_bindings=Adam.beta1={value}"]
        assert "Adam.beta1 must be a number, got" in refused(run_trainer_here(*args))


@pytest.mark.parametrize("url", ["foo://bar", "abfs://bar"])
def test_unusable_urls(url, monkeypatch):
    monkeypatch.setenv("LOPT_BASELINE_DIR", url)
    result = lopt_here("sweep", TASK, "SGDLR_1000_R5")
    assert result.returncode == 2
    assert f"cannot use the path {url}" in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.slow
def test_refusals_of_real_processes():
    """The exit code and the one line reach the shell."""
    assert "did you mean SGDLR_1000_R5" in refused(lopt("sweep", TASK, "SGDLR_1001_R5"))
    assert "did you mean Adam" in refused(run_trainer(*trainer_args(opt="@Adm()")))


def test_run_trainer_names_missing_arguments():
    assert "inner_train_task.task" in refused(run_trainer_here())


def test_run_trainer_needs_a_writable_folder(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LOPT_BASELINE_DIR", str(tmp_path / "file"))
    assert "cannot write below" in refused(run_trainer_here(*trainer_args()))


@pytest.mark.slow
def test_run_trainer_files_are_bit_identical_apart_from_time(tmp_path):
    file = tmp_path / "trial.gin"
    file.write_text("inner_train_task.seed = 3\n")
    for _ in range(2):
        result = run_trainer(f"--gin_file={file}", *trainer_args())
        assert result.returncode == 0, result.stderr
    # Other tests of this process may have compiled the same without optimizing.
    jax.clear_caches()
    trained = lopt_here("train", "--gin_file", str(file), *trainer_args())
    assert trained.returncode == 0, trained.stderr
    folder = utils.get_save_dir(TASK, "Adam_lr0.001", 20, 10, 5, 10)
    results = utils.load_baseline_results_from_dir(save_dir=folder)
    assert len(results) == 3
    for other in results[1:]:
        assert other.keys() == results[0].keys()
        for key, value in results[0].items():
            if not key.startswith("timing/"):
                np.testing.assert_array_equal(value, other[key], err_msg=key)
    assert int(results[0]["seed"]) == 3


@pytest.mark.slow
def test_flags_of_the_published_script(tmp_path, monkeypatch):
    (tmp_path / "own_task_module.py").write_text(
        "import gin\n"
        "from learned_optimization.tasks.quadratics import QuadraticTask\n\n"
        "@gin.configurable\ndef own_quad():\n    return QuadraticTask()\n"
    )
    (tmp_path / "old.gin").write_text(
        "inner_train_task.num_steps = 20\nAdam.gone = 3\nold_function.x = 1\n"
    )
    monkeypatch.chdir(tmp_path)
    flags = [
        "--gin_import=own_task_module",
        "--gin_bindings=inner_train_task.task='@own_quad()'",
        "--gin_bindings=inner_train_task.opt=@Adam()\nAdam.learning_rate=1",
    ]
    files = ["--config_file=old.gin", "--train_log_dir=/nowhere", "--task=3"]
    assert "unknown gin parameter of Adam 'gone'" in refused(
        run_trainer_here(*flags, *files)
    )
    with pytest.warns(UserWarning, match=r"skipped: Adam\.gone, old_function\.x"):
        done = run_trainer_here(*flags, *files, "--skip_unknown")
    assert done.returncode == 0, done.stderr
    assert len(utils.load_baseline_results("own_quad", opt_name_of_one(), 20)) == 1
    command = lopt("train", *flags, "--gin_file=old.gin", "--skip_unknown")
    assert command.returncode == 0, command.stderr
    assert "warning: 2 unknown in the gin configuration" in command.stderr
    assert len(utils.load_baseline_results("own_quad", opt_name_of_one(), 20)) == 2


def opt_name_of_one():
    return "Adam_lr1_b10.9_b20.999_eps1e-08_epsroot1e-08"


@pytest.mark.slow
def test_sweep_archive_plot(tmp_path):
    incomplete = lopt_here("archive", TASK, "SGDLR_1000_R5")
    assert incomplete.returncode == 1
    assert "70 of 70 trials of SGDLR_1000_R5" in incomplete.stderr
    assert "seeds 0, 1, 2, 3, 4" in incomplete.stderr

    first = lopt("sweep", TASK, "SGDLR_1000_R5", "--no-archive")
    assert first.returncode == 0, first.stderr
    assert "70 trials run, 0 had results" in first.stdout
    assert "trial-steps/s" in first.stdout
    again = lopt_here("sweep", TASK, "SGDLR_1000_R5")
    assert "0 trials run, 70 had results" in again.stdout
    assert utils.list_hparam_sets_for_task(TASK) == ["SGDLR_1000_R5"]
    assert lopt_here("archive", TASK, "SGDLR_1000_R5", "--wait").returncode == 0

    figure = tmp_path / "figure.png"
    plotted = lopt("plot", TASK, "SGDLR_1000_R5", "-o", str(figure))
    assert plotted.returncode == 0, plotted.stderr
    assert figure.read_bytes().startswith(b"\x89PNG")
    archive = utils.load_archive(TASK, "SGDLR_1000_R5")
    final = archive["final/outer_valid/loss"].mean(axis=1)
    assert f"{final.min():.4f} ± " in plotted.stdout
    assert str(archive["opt_name"][final.argmin(), 0]) in plotted.stdout


# The slow tests stop sweeps within a grid, which is harder.
@pytest.mark.exhaustive
def test_ctrl_c_then_the_same_command_goes_on():
    sets = ["SGDLR_1000_R5", "SGDMLR_1000_R5", "AdamLR_1000_R5"]
    process = subprocess.Popen(
        [str(LOPT), "sweep", TASK, *sets], stderr=subprocess.PIPE, text=True
    )
    root = Path(utils.get_root_baseline_dir())
    deadline = time.monotonic() + 120
    while len(list(root.rglob("*.curves"))) < 70 and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "the same command goes on" in stderr
    kept = len(list(root.rglob("*.curves")))
    assert 70 <= kept < 210
    assert not list(root.rglob("*.tmp"))
    again = lopt("sweep", TASK, *sets)
    assert f"{210 - kept} trials run, {kept} had results" in again.stdout
    assert utils.list_hparam_sets_for_task(TASK) == sorted(sets)
