"""Scripts and gin files in the style of the published system run unchanged."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from learned_optimization.baselines import load_archive
from learned_optimization.baselines.utils import load_baseline_results

HERE = Path(__file__).parent


def python(folder: Path, *args: str) -> str:
    done = subprocess.run(
        [sys.executable, *args],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(HERE)},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_script(tmp_path: Path) -> None:
    shapes = python(tmp_path, str(HERE / "script.py")).split()
    assert shapes[:4] == ["(4,)", "(4,)", "True", "True"]
    archive = load_archive("LineTask", "TinyLR_30_R2")
    assert archive["eval/train/loss"].shape == (2, 2, 4)
    assert archive["seed"].tolist() == [[0, 1], [0, 1]]
    # Without noise least squares has no loss left, and the larger rate gets there.
    # An iterator goes on from run to run, so no two see the same batches.
    losses = archive["eval/train/loss"]
    assert len(np.unique(losses)) == losses.size
    assert (losses[1, :, -1] < 1e-3).all()
    assert (losses[0, :, -1] > 0.1 * losses[0, :, 0]).all()
    assert (tmp_path / "line.png").stat().st_size > 5_000
    [drawn] = load_baseline_results(
        "Drawn", "Adam_lr0.1_b10.9_b20.999_eps1e-08_epsroot1e-08", 30
    )
    assert drawn["train/loss"][-1] < 0.5 * drawn["train/loss"][0]


@pytest.mark.slow
def test_gin_files(tmp_path: Path) -> None:
    module = "learned_optimization.baselines.run_trainer"
    for _ in range(2):
        python(tmp_path, "-m", module, f"--gin_file={HERE / 'trainer.gin'}")
    results = load_baseline_results("Quarter", "Clipped", 30)
    assert sorted(int(result["seed"]) for result in results) == [0, 1]
    for result in results:
        config = str(result["gin_operative_config"])
        assert "AdamW.b1 = 0.8" in config
        assert f"inner_train_task.seed = {result['seed']}" in config
        assert 0.5 < result["eval/train/loss"][-1] < 2.2 < result["train/loss"][0]
    module = "learned_optimization.baselines.run_archive"
    archive = f"--gin_file={HERE / 'archive.gin'}"
    python(tmp_path, "-m", module, archive, "--gin_import=user_set")
    archived = load_archive("Quarter", "Clipped_30_R2", ["eval/test/loss"])
    assert archived["eval/test/loss"].shape == (1, 2, 4)
