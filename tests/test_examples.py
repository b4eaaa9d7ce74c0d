"""The scripts of `examples/` run as a user runs them, and what they print is true."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
TASK = "ImageMLP_FashionMnist8_Relu32"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where the examples run: as for a user, one finds another's results."""
    return tmp_path_factory.mktemp("examples")


@pytest.fixture
def run(folder: Path) -> Callable[[str], str]:
    """Return a function that runs an example and returns what it prints."""
    env = {
        **os.environ,
        "LOPT_BASELINE_DIR": str(folder / "results"),
        "LOPT_BASELINE_ARCHIVES_DIR": str(folder / "archives"),
        "LOPT_CACHE_DIR": str(folder / "cache"),
    }

    def run(name: str) -> str:
        command = [sys.executable, str(ROOT / "examples" / f"{name}.py")]
        done = subprocess.run(
            command, cwd=folder, env=env, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def final_losses(folder: Path, set_name: str, split: str) -> np.ndarray:
    """Final losses `[configs, seeds]` of an archive, as numpy reads it."""
    with np.load(folder / "archives" / TASK / f"{set_name}.npz") as archive:
        return archive[f"eval/{split}/loss"][..., -1].astype(np.float64)


def number_after(text: str, printed: str) -> float:
    match = re.search(rf"{re.escape(text)} (-?[\d.]+)", printed)
    assert match is not None, printed
    return float(match[1])


def test_every_example_is_short_and_listed() -> None:
    assert len(EXAMPLES) == 5
    pages = [(ROOT / page).read_text() for page in ("README.md", "docs/index.md")]
    for path in EXAMPLES:
        lines = [line for line in path.read_text().splitlines() if line.strip()]
        assert len(lines) <= 40, path.name
        assert all(path.name in page for page in pages), path.name


@pytest.mark.slow
def test_compare_own_optimizer(run: Callable[[str], str], folder: Path) -> None:
    printed = run("compare_own_optimizer")
    for name in ("SignMomentumLR_1000_R5", "AdamLR_1000_R5"):
        select = final_losses(folder, name, "outer_valid").mean(axis=1)
        want = final_losses(folder, name, "test")[select.argmin()].mean()
        line = next(row for row in printed.splitlines() if row.startswith(name))
        assert number_after("test loss", line) == pytest.approx(want, abs=1e-4)
    assert (folder / "comparison.png").stat().st_size > 10_000


@pytest.mark.slow
def test_read_archive(run: Callable[[str], str], folder: Path) -> None:
    printed = run("read_archive")
    assert "(14, 5, 101)" in printed
    # The same from the files of single trials.
    files = (folder / "results" / TASK / "Adam_lr0.01").rglob("*.curves")
    losses = [float(np.load(file)["eval/test/loss"][-1]) for file in files]
    assert len(losses) == 5
    mean, deviation = np.mean(losses), np.std(losses, ddof=1)
    row = re.search(r"^Adam_lr0\.01 +([\d.]+) ± ([\d.]+)$", printed, re.MULTILINE)
    assert row is not None, printed
    assert [float(x) for x in row.groups()] == pytest.approx(
        [mean, deviation], abs=1e-4
    )
    frame = re.search(r"^1\.0+e-02 +([\d.]+)", printed, re.MULTILINE)
    assert frame is not None, printed
    assert float(frame[1]) == pytest.approx(mean, abs=1e-4)


@pytest.mark.slow
def test_own_task(run: Callable[[str], str]) -> None:
    lines = run("own_task").splitlines()
    assert len(lines) == 2
    for line in lines:
        # No weights are better than the true ones, whose loss is the noise.
        assert number_after("->", line) == pytest.approx(0.1**2, rel=0.2)
        assert number_after("test loss", line) > 1


@pytest.mark.slow
def test_plain_loop(run: Callable[[str], str]) -> None:
    printed = run("plain_loop")
    # Ten classes, nothing learned yet.
    assert number_after("step    0: training loss", printed) == pytest.approx(
        np.log(10), rel=0.1
    )
    assert number_after("test loss", printed) < 0.7
    assert number_after("test accuracy", printed) > 0.7


@pytest.mark.slow
def test_compare_two_sets(run: Callable[[str], str], folder: Path) -> None:
    printed = run("compare_two_sets")
    reported = []
    for name in ("AdamLR_1000_R5", "SGDMLR_1000_R5"):
        select, report = (
            np.nan_to_num(final_losses(folder, name, split), nan=np.inf)
            for split in ("outer_valid", "test")
        )
        losses = []
        for seed in range(5):
            others = [s for s in range(5) if s != seed]
            losses.append(report[select[:, others].mean(axis=1).argmin(), seed])
        assert number_after(f"{name}: test loss", printed) == pytest.approx(
            np.mean(losses), abs=1e-4
        )
        reported.append(losses)
    interval = stats.ttest_rel(*reported).confidence_interval(0.95)
    ends = re.search(r"\[(-?[\d.]+), (-?[\d.]+)\]", printed)
    assert ends is not None, printed
    assert [float(x) for x in ends.groups()] == pytest.approx(interval, abs=1e-4)
    assert 100 < number_after("what Adam reaches in", printed) <= 1000
