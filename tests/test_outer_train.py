"""Meta-training configured by gin, as published."""

from pathlib import Path

import pytest

from learned_optimization import outer_train
from learned_optimization.learned_optimizers.opt_from_checkpoint import (
    opt_from_checkpoint,
)

BINDINGS = """
run_train.lopt = @LearnableSGD()
LearnableSGD.initial_lr = 0.01
run_train.num_estimators = 1
run_train.num_steps = 3
build_gradient_estimators.sample_task_family_fn = @sample_single_task_family
sample_single_task_family.task_family = @single_task_to_family()
single_task_to_family.task = @QuadraticTask()
build_gradient_estimators.gradient_estimator_fn = @TruncatedPES
TruncatedPES.trunc_length = 5
VectorizedLOptTruncatedStep.trunc_sched = @ConstantTruncationSchedule()
ConstantTruncationSchedule.total_length = 10
VectorizedLOptTruncatedStep.num_tasks = 2
GradientLearner.theta_opt = @GradientClipOptimizer()
GradientClipOptimizer.opt = @Adam()
"""


@pytest.mark.slow
def test_a_published_configuration_writes_a_published_checkpoint(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, folder = tmp_path / "run.gin", tmp_path / "run"
    config.write_text(BINDINGS)
    code = outer_train.main(
        [f"--gin_file={config}", f"--gin_bindings=run_train.train_log_dir='{folder}'"]
    )
    printed = capsys.readouterr()
    assert code == 0, printed.err
    assert "meta-step 3 of 3" in printed.out
    opt = opt_from_checkpoint(str(folder / "params"))
    assert opt.name.startswith("SGD_lr0.01")
    assert "LearnableSGD.initial_lr = 0.01" in (folder / "config.gin").read_text()


def test_what_is_not_supported_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "run.gin"
    config.write_text(BINDINGS + "run_train.is_worker = False\n")
    assert outer_train.main([f"--gin_file={config}"]) == 2
    assert "one process" in capsys.readouterr().err
