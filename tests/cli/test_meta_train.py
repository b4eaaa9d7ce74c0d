"""`lopt meta-train` as a person runs it."""

import os
import signal
import sys
from pathlib import Path
from subprocess import CompletedProcess

import jax
import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from learned_optimization.baselines import utils
from learned_optimization.baselines.suites.registry import SUITES
from learned_optimization.baselines.suites.suite import Suite
from learned_optimization.cli import meta_progress, meta_train
from learned_optimization.learned_optimizers import checkpoints
from learned_optimization.learned_optimizers.normalized_step import NormalizedStepLOpt
from learned_optimization.learned_optimizers.opt_from_checkpoint import (
    opt_from_checkpoint,
)
from learned_optimization.npz import read_npz
from learned_optimization.outer_trainers.run import MetaProgress, config_text
from learned_optimization.prng import key_of_seed
from tests.cli.running import TASK, lopt_here, refused
from tests.test_outer_train import BINDINGS

TASKS = """\
import dataclasses

from learned_optimization.tasks.registry import own_fixed_task
from tests.tiny import TinyTask


@own_fixed_task
def TinyLine() -> TinyTask:
    \"\"\"A line through few points.\"\"\"
    return TinyTask()


@own_fixed_task
def NoisyLine() -> TinyTask:
    \"\"\"A line through points that move.\"\"\"
    return TinyTask(noise=0.1)
"""
TINY = ("--import", "tasks.py", "--task", "TinyLine")
# One program serves every test that has these, and the tests of one file one cache.
SMALL = (
    *("--length", "3-9", "--truncation", "4", "--pairs", "2", "--meta-steps", "6"),
    *("--gin_bindings", "NormalizedStepLOpt.hidden_size=2"),
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder with a file that defines tasks."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path, str(Path(__file__).parents[2])])
    Path("tasks.py").write_text(TASKS)
    return tmp_path


def train(*args: str, code: int = 0) -> CompletedProcess:
    result = lopt_here("meta-train", *TINY, *SMALL, *args)
    assert result.returncode == code, result.stderr
    return result


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ((), "nothing to train on: name tasks by --task"),
        (("--quick", "--task", TASK), "leave out --task, --suite, --mix"),
        (("--quick", "--mix", "small_models"), "leave out --task, --suite, --mix"),
        (("--mix", "small_model"), "unknown mix 'small_model': did you mean small_m"),
        (("--optimizer", "MLPLOp"), "did you mean MLPLOpt"),
        (("--task", TASK[:-1]), f"did you mean {TASK} or "),
        (("--suite", "lapto"), "did you mean laptop or laptop_heldout?"),
        (("--held-out", TASK[:-1]), f"did you mean {TASK} or "),
        (("--estimator", "pse"), "unknown estimator 'pse': did you mean pes?"),
        (("--estimator", "full_gard"), "did you mean full_grad"),
        (("--estimator", "full_grad"), "one length: .* got 200 and 2000"),
        (("--meta-loss", "logs"), "did you mean log?"),
        (("--length", "long"), "--length must be a number of updates or MIN-MAX"),
        (("--length", "\u00b2"), "--length must be"),
        (("--length", "20-10"), "at least min_length, 20, got 10"),
        (("--length", "0"), "min_length must be a whole number of at least 1"),
        (("--length", "99999999999"), "max_length must be at most 2,147,483,647"),
        (("--std", "0"), "std must be a number above 0, got 0.0"),
        (("--outer-rate", "nan"), "learning_rate must be a number above 0, got nan"),
        (("--reparametrize", "0.5"), "at least 1, got 0.5"),
        (("--seed", str(1 << 32)), "seed must be at most 4,294,967,295"),
        (("--init-from", "nowhere"), "no such file: nowhere"),
        (
            ("--gin_bindings", "NormalizedStepLOpt.hiden_size=3"),
            "did you mean hidden_size",
        ),
        (
            ("--gin_bindings", "run_train.lopt=@LearnableSGD()"),
            "run_train, which gin binds, says what is trained",
        ),
    ],
)
def test_what_cannot_be_is_refused(args: tuple[str, ...], says: str) -> None:
    is_whole = not args or {"--task", "--suite", "--quick"}.intersection(args)
    task = () if is_whole else ("--task", TASK)
    message = refused(lopt_here("meta-train", *task, *args, "--out", "run"))
    with pytest.raises(AssertionError, match=says):
        raise AssertionError(message)
    assert not Path("run").exists()


def test_numbers_below_the_least_are_refused() -> None:
    for option in ("--pairs", "--truncation", "--meta-steps", "--at-once"):
        result = lopt_here("meta-train", "--task", TASK, option, "0")
        assert result.returncode == 2
        assert option in result.stderr
    assert not Path("meta_run").exists()


def test_what_gin_leaves_out_of_a_published_configuration_is_named() -> None:
    message = refused(
        lopt_here("meta-train", "--gin_bindings", "run_train.lopt=@LearnableSGD()")
    )
    assert (
        "gin has no value for build_gradient_estimators.sample_task_family_fn, "
        "build_gradient_estimators.gradient_estimator_fn: bind each" in message
    )
    message = refused(lopt_here("meta-train", "--gin_bindings", "run_train.seed=3"))
    assert "gin has no value for run_train.lopt" in message
    checkpoints.save("meta_run/params", {"log_lr": np.float32(-1.0)})
    before = Path("meta_run/params").read_bytes()
    message = refused(
        lopt_here("meta-train", "--gin_bindings", "run_train.lopt=@LearnableSGD()")
    )
    assert "meta_run holds the result of a run that has ended" in message
    assert Path("meta_run/params").read_bytes() == before


def test_a_checkpoint_of_another_optimizer_is_refused() -> None:
    checkpoints.save("sgd/params", {"log_lr": np.float32(-1.0)})
    Path("sgd/config.gin").write_text("run_train.lopt = @LearnableSGD()\n")
    message = refused(
        lopt_here(
            *("meta-train", "--task", TASK, "--out", "run", "--init-from", "sgd"),
            *("--optimizer", "MLPLOpt"),
        )
    )
    assert "does not hold what MLPLOpt has" in message
    assert not Path("run").exists()


def leaves(path: str) -> list[np.ndarray]:
    return jax.tree.leaves(checkpoints.read(path).params)


@pytest.mark.slow
def test_from_meta_training_to_a_sweep() -> None:
    judged = ("--held-out", "NoisyLine", "--held-out-steps", "20")
    logged = ("--evaluate-every", "3", "--tensorboard", "logs")
    done = train("--out", "mine", *judged, *logged)
    assert "NormalizedStepLOpt" in done.stdout
    assert str(Path("mine/params").resolve()) in done.stdout
    assert "meta-step 6 of 6: meta-loss " in done.stderr
    assert "% of tuned Adam's loss (best " in done.stderr
    assert sorted(os.listdir("mine")) == [
        *("adam.json", "config.gin", "meta.curves", "params"),
    ]
    # What gin bound is in the file: without gin, it is the same optimizer.
    opt = opt_from_checkpoint("mine")
    assert opt.name.startswith("NormalizedStepLOpt_hidden_size2")

    curves = read_npz("mine/meta.curves")
    np.testing.assert_array_equal(curves["train/xs"], np.arange(6))
    assert curves["train/loss"].shape == (6,)
    assert np.isfinite(curves["train/loss"]).all()
    np.testing.assert_array_equal(curves["eval/xs"], [3, 6])
    np.testing.assert_array_equal(curves["eval/score"], curves["eval/NoisyLine/score"])
    assert "hidden_size=2" in str(curves["gin_operative_config"])
    best = int(curves["eval/xs"][np.argmin(curves["eval/score"])])
    assert f"NormalizedStepLOpt_hidden_size2, meta-step {best}:" in done.stdout
    logs = EventAccumulator("logs").Reload()
    losses = [event.value for event in logs.Scalars("meta_loss")]
    np.testing.assert_array_equal(losses, curves["train/loss"])

    # It has ended.
    again = refused(lopt_here("meta-train", *TINY, *SMALL, "--out", "mine"))
    assert "holds the result of a run that has ended" in again

    Path("set.yaml").write_text(
        """\
name: Mine_20_R2
optimizer: ScaledSteps
num_steps: 20
seeds: 2
fixed: {opt: "@opt_from_checkpoint()", opt_from_checkpoint.checkpoint_path: mine}
"""
    )
    swept = lopt_here("sweep", "TinyLine", "--import", "tasks.py", "--set", "set.yaml")
    assert swept.returncode == 0, swept.stderr
    losses = utils.load_archive("TinyLine", "Mine_20_R2")["train/loss"]
    assert losses.shape == (1, 2, 21)
    assert (losses[..., -1] < losses[..., 0]).all()

    bindings = [
        *("inner_train_task.task=@TinyLine()", "inner_train_task.num_steps=20"),
        "inner_train_task.opt=@opt_from_checkpoint()",
        "opt_from_checkpoint.checkpoint_path='mine/params'",
    ]
    options = [part for text in bindings for part in ("--gin_bindings", text)]
    trained = lopt_here("train", "--import", "tasks.py", *options)
    assert trained.returncode == 0, trained.stderr
    [result] = Path(utils.get_root_baseline_dir(), "TinyLine").rglob(f"{opt.name}/*/*")
    np.testing.assert_allclose(read_npz(str(result))["train/loss"], losses[0, 0], 1e-4)


@pytest.mark.slow
def test_a_run_that_is_stopped_goes_on_bit_for_bit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    train("--out", "whole")

    class Interrupting(meta_progress.Display):
        def show(self, progress: MetaProgress) -> None:
            super().show(progress)
            if progress.done >= 2:
                os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(meta_train, "Display", Interrupting)
        stopped = train("--out", "parts", code=130)
    assert "the same command goes on from there" in stopped.stderr
    assert stopped.stdout == ""
    # What there is so far can be used.
    assert opt_from_checkpoint("parts/params").name
    kept = Path("parts/checkpoint.npz").read_bytes()
    # Another run is refused, and so is one that gin configures otherwise.
    for change in (
        ("--seed", "1"),
        ("--gin_bindings", "NormalizedStepLOpt.warmup_fraction=0.1"),
        ("--gin_bindings", "VectorizedLOptTruncatedStep.meta_loss_split='same_data'"),
    ):
        other = lopt_here("meta-train", *TINY, *SMALL, *change, "--out", "parts")
        assert other.returncode == 2
        assert "holds another run" in other.stderr
        assert Path("parts/checkpoint.npz").read_bytes() == kept
    train("--out", "parts")
    assert not Path("parts/checkpoint.npz").exists()
    # The name of a run is of what it is, not of where.
    assert Path("whole/params").read_bytes() == Path("parts/params").read_bytes()
    whole, parts = (
        read_npz(f"{name}/meta.curves")["train/loss"] for name in ("whole", "parts")
    )
    np.testing.assert_array_equal(whole, parts)


@pytest.mark.slow
def test_it_begins_from_a_checkpoint_and_its_settings() -> None:
    lopt = NormalizedStepLOpt(hidden_size=3)
    begun = lopt.init(key_of_seed(7))
    checkpoints.save("begun/params", begun)
    Path("begun/config.gin").write_text(config_text(lopt))
    # With a rate this small, theta is where it began.
    args = ("--init-from", "begun", "--outer-rate", "1e-30", "--meta-steps", "2")
    train(*args, "--out", "same")
    for a, b in zip(leaves("same/params"), leaves("begun/params"), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-20)
    assert "hidden_size = 3" in Path("same/config.gin").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("estimator", ["full_es", "grad"])
def test_it_trains_on_a_suite_and_on_tasks_in_other_units(estimator: str) -> None:
    suite = Suite("Lines", ("TinyLine", "NoisyLine"), 10)
    with SUITES.temporarily():
        SUITES.add("Lines", suite, "tests")
        args = ("--suite", "Lines", "--estimator", estimator, "--at-once", "1")
        train(*args, "--reparametrize", "5", "--meta-steps", "2", "--out", estimator)
    curves = read_npz(f"{estimator}/meta.curves")
    assert np.isfinite(curves["train/loss"]).all()
    told = str(curves["gin_operative_config"])
    # A task that is named, and of the suite too, is one.
    assert "tasks=['TinyLine', 'NoisyLine']" in told
    assert f"estimator='{estimator}'" in told
    assert "reparametrize=5.0" in told
    begun = NormalizedStepLOpt(hidden_size=2).init(key_of_seed(0))
    assert len(leaves(f"{estimator}/params")) == len(jax.tree.leaves(begun))
    assert all(np.isfinite(leaf).all() for leaf in leaves(f"{estimator}/params"))


@pytest.mark.slow
def test_a_published_configuration_is_trained_into_the_folder() -> None:
    Path("published.gin").write_text(BINDINGS)
    result = lopt_here("meta-train", "--gin_file", "published.gin", "--out", "run")
    assert result.returncode == 0, result.stderr
    assert "meta-step 3 of 3" in result.stdout
    assert result.stdout.splitlines()[-1] == str(Path("run/params").resolve())
    assert opt_from_checkpoint("run").name.startswith("SGD_lr0.01")
