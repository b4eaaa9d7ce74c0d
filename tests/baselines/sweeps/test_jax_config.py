"""Results under one configuration of jax are never taken for those under another."""

from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from learned_optimization.baselines import utils
from learned_optimization.baselines.analysis.losses import num_shared_seeds
from learned_optimization.baselines.analysis.set_results import load_set_result
from learned_optimization.baselines.results.archiving import archive
from learned_optimization.baselines.run_trainer import inner_train_task
from learned_optimization.baselines.sweeps.checkpoints import grid_name
from learned_optimization.baselines.sweeps.grids import make_grids
from learned_optimization.baselines.sweeps.replay import replay
from learned_optimization.baselines.sweeps.sweep import run_sweep, set_trials
from learned_optimization.cluster.resources import GroupResources
from learned_optimization.errors import JaxConfigError
from tests.baselines.archives import write_archive
from tests.tiny import TinyTask, tiny_set

TASK = "TinyRegression"


def curve_files() -> list[Path]:
    return sorted(Path(utils.get_root_baseline_dir()).rglob("*.curves"))


def relabel(path: Path, jax_config: str | None) -> None:
    """Let a result file record another configuration, or none."""
    result = utils.read_npz(str(path))
    result["jax_config"] = np.asarray(jax_config)
    if jax_config is None:
        del result["jax_config"]
    utils.write_npz(str(path), result)


def test_a_sweep_takes_results_of_its_own_configuration_alone() -> None:
    run_sweep([TASK], [tiny_set()])
    files = curve_files()
    with (
        jax.enable_x64(True),
        pytest.raises(
            JaxConfigError,
            match=r"SGD_lr.* with jax's defaults, .* with jax_enable_x64=True",
        ) as caught,
    ):
        run_sweep([TASK], [tiny_set()])
    assert caught.value.theirs == "jax's defaults"
    assert curve_files() == files
    # Files of before it was recorded are of the defaults.
    for path in files[::2]:
        relabel(path, None)
    assert run_sweep([TASK], [tiny_set()]).num_skipped == 9
    assert archive(TASK, tiny_set())

    relabel(files[-1], "jax_enable_x64=True")
    with pytest.raises(JaxConfigError, match="with jax_enable_x64=True, and these"):
        run_sweep([TASK], [tiny_set()])
    with pytest.raises(JaxConfigError, match="jax_enable_x64=True"):
        archive(TASK, tiny_set())
    for path in files:
        relabel(path, "jax_enable_x64=True")
    archived = utils.read_npz(archive(TASK, tiny_set()))
    assert set(archived["jax_config"].ravel()) == {"jax_enable_x64=True"}
    first = replay(str(files[0])).elsewhere[0]
    assert first == "jax_enable_x64=True then, jax's defaults now"


@pytest.mark.slow
def test_a_trial_is_trained_and_recorded_in_float64() -> None:
    names: dict[str, Any] = {"task_name": TASK, "opt_name": "SGD"}
    with jax.enable_x64(True):
        result = inner_train_task(TinyTask(), "SGD", 3, **names)
    assert str(result["jax_config"]) == "jax_enable_x64=True"
    assert result["train/loss"].dtype == np.float32
    with pytest.raises(JaxConfigError, match="SGD"):
        inner_train_task(TinyTask(), "SGD", 3, **names)
    assert len(curve_files()) == 1


def test_a_checkpoint_is_of_one_configuration() -> None:
    [grid] = make_grids(set_trials(TASK, tiny_set()))
    name = grid_name(grid)
    with jax.enable_x64(True):
        assert grid_name(grid) != name
    with jax.default_prng_impl("rbg"):
        assert grid_name(grid) == name


def test_seeds_of_two_configurations_are_not_paired() -> None:
    ends = np.asarray([[0.1, 0.2, 0.3]])
    x64 = {"jax_config": "jax_enable_x64=True"}
    for name, facts in (("Old", {}), ("Plain", {"jax_config": ""}), ("Wide", x64)):
        write_archive(TASK, name, ends, seeds=[0, 1, 2], facts=facts)
    old, plain, wide = (load_set_result(TASK, n) for n in ("Old", "Plain", "Wide"))
    assert num_shared_seeds(old, plain) == 3
    assert num_shared_seeds(plain, wide) == 0


def test_workers_are_given_the_configuration() -> None:
    assert "JAX_ENABLE_X64" not in GroupResources().environment()
    with jax.enable_x64(True):
        assert GroupResources().environment()["JAX_ENABLE_X64"] == "True"
