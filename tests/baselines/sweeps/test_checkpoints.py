"""The checkpoint of a grid goes when nobody can go on from it, and not before."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from learned_optimization.baselines import utils
from learned_optimization.baselines.sweeps import finished
from learned_optimization.baselines.sweeps.grids import TrialGrid
from learned_optimization.baselines.sweeps.shards import Shard
from learned_optimization.baselines.sweeps.sweep import run_sweep
from learned_optimization.eval_training import Checkpoint, RunStoppedError
from learned_optimization.training import grid_runner
from tests.tasks.conftest import quick_compilation  # noqa: F401

# They compile a program each, or train in processes of their own.
pytestmark = pytest.mark.slow

TASK = "TinyRegression"


@pytest.fixture(autouse=True)
def many_checkpoints(monkeypatch):
    monkeypatch.setattr(grid_runner, "_SECONDS_PER_CHUNK", 0.0)
    monkeypatch.setenv("LOPT_CHECKPOINT_SECONDS", "0")


def checkpoints():
    return sorted(Path(utils.get_root_baseline_dir(), ".checkpoints").iterdir())


def trials_with_results():
    found = []
    for path in Path(utils.get_root_baseline_dir()).rglob("*.curves"):
        with np.load(path) as result:
            found.append((str(result["opt_name"]), int(result["seed"])))
    return sorted(found)


@pytest.fixture
def killed_sweep(monkeypatch):
    """Run a sweep that ends after it has written so many results."""

    def run(hparam_set, num_results, shard=None):
        written = []

        def write(result):
            if len(written) == num_results:
                raise KeyboardInterrupt
            written.append(utils.write_baseline_result(result))

        def remove(checkpoint):
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(finished, "write_baseline_result", write)
            patch.setattr(Checkpoint, "remove", remove)
            with pytest.raises(KeyboardInterrupt):
                run_sweep([TASK], [hparam_set], shard=shard)

    return run


def stopped_sweep(hparam_set, shard=None):
    with pytest.raises(RunStoppedError):
        run_sweep([TASK], [hparam_set], should_stop=lambda: True, shard=shard)


@pytest.mark.parametrize("num_results", [4, 9])
def test_killed_while_results_are_written(num_results, small_set, killed_sweep):
    killed_sweep(small_set, num_results)
    assert len(trials_with_results()) == num_results
    # Two generations, if there was time for the second.
    assert len(checkpoints()) in (1, 2)
    summary = run_sweep([TASK], [small_set])
    # Those that were not written were trained all the same.
    assert (summary.num_skipped, summary.trial_steps) == (9, 0)
    assert len(set(trials_with_results())) == len(trials_with_results()) == 9
    assert checkpoints() == []


def curves():
    found = {}
    for path in Path(utils.get_root_baseline_dir()).rglob("*.curves"):
        with np.load(path) as npz:
            key = str(npz["opt_name"]), int(npz["seed"])
            assert key not in found
            found[key] = (
                path,
                {k: npz[k].tobytes() for k in npz.files if not k.startswith("timing/")},
            )
    return found


def test_its_grid_goes_on_whichever_trials_are_missing_by_now(
    small_set, monkeypatch, tmp_path
):
    with monkeypatch.context() as patch:
        patch.setenv("LOPT_BASELINE_DIR", str(tmp_path / "undisturbed"))
        run_sweep([TASK], [small_set])
        undisturbed = curves()
    started = replace(small_set, repetitions=2)
    stopped_sweep(started)
    [checkpoint] = checkpoints()
    # Some of its trials get results in another way, and there are others besides.
    here = Path(utils.get_root_baseline_dir())
    for opt_name, seed in [(small_set.opt_names[0], 0), (small_set.opt_names[2], 1)]:
        path, _ = undisturbed[opt_name, seed]
        target = here / path.relative_to(tmp_path / "undisturbed")
        target.parent.mkdir(parents=True)
        target.write_bytes(path.read_bytes())
    before = set(here.rglob("*.curves"))
    grids, real = [], TrialGrid.run

    def run(grid, *args, **kwargs):
        grids.append(sorted({(t.opt_name, t.seed) for t in grid.trials}))
        assert checkpoint.exists() == (len(grids) == 1)
        return real(grid, *args, **kwargs)

    monkeypatch.setattr(TrialGrid, "run", run)
    summary = run_sweep([TASK], [small_set])
    assert (summary.num_trials, summary.num_skipped) == (9, 2)
    # First the grid as it was stopped, then the rest.
    assert [len(trials) for trials in grids] == [6, 3]
    assert {seed for _, seed in grids[0]} == {0, 1}
    assert {seed for _, seed in grids[1]} == {2}
    assert before < set(here.rglob("*.curves"))
    assert curves().keys() == undisturbed.keys()
    assert checkpoints() == []


def test_its_grid_ends_as_if_nothing_had_happened(small_set, monkeypatch, tmp_path):
    with monkeypatch.context() as patch:
        patch.setenv("LOPT_BASELINE_DIR", str(tmp_path / "undisturbed"))
        run_sweep([TASK], [small_set])
        undisturbed = curves()
    stopped_sweep(small_set)
    # A sweep of fewer seeds trains those in another grid, and leaves the checkpoint.
    run_sweep([TASK], [replace(small_set, repetitions=1)])
    assert len(checkpoints()) == 1
    few = {trial: path for trial, (path, _) in curves().items()}
    run_sweep([TASK], [small_set])
    whole = curves()
    assert whole.keys() == undisturbed.keys()
    assert {trial: path for trial, (path, _) in whole.items() if trial in few} == few
    # What the other sweep did not train is as it would be without it.
    for trial in whole.keys() - few.keys():
        assert whole[trial][1] == undisturbed[trial][1]
    assert checkpoints() == []


def test_those_of_other_trials_stay(small_set):
    stopped_sweep(small_set, shard=Shard(1, 2))
    # The same names and seeds, and another number of steps.
    stopped_sweep(replace(small_set, num_steps=40))
    folder = checkpoints()[0].parent
    (folder / "damaged.npz").write_bytes(b"no zip")
    before = checkpoints()
    assert len(before) == 3
    run_sweep([TASK], [small_set], shard=Shard(2, 2))
    assert checkpoints() == before
    run_sweep([TASK], [small_set])
    assert len(checkpoints()) == 2


def test_left_behind_by_another_shard(small_set, killed_sweep):
    killed_sweep(small_set, 1, shard=Shard(1, 2))
    left = checkpoints()
    assert len(left) in (1, 2)
    run_sweep([TASK], [small_set], shard=Shard(2, 2))
    assert checkpoints() == left
    run_sweep([TASK], [small_set])
    assert checkpoints() == []
