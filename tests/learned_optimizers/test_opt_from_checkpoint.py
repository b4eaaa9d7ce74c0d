"""An optimizer from a checkpoint: which class, which settings, where it is from."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gin
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from learned_optimization.errors import LoptError, ResultError
from learned_optimization.learned_optimizers import checkpoints
from learned_optimization.learned_optimizers.base import (
    LearnedOptimizer,
    get_learned_optimizer,
    learned_optimizer,
)
from learned_optimization.learned_optimizers.mlp_lopt import MLPLOpt
from learned_optimization.learned_optimizers.opt_from_checkpoint import (
    opt_from_checkpoint,
)
from learned_optimization.optimizers.optax_opts import SGD
from tests.golden import reference
from tests.learned_optimizers.checkpoint_files import (
    SMALL_CONFIG,
    content_of,
    pack,
    packed,
    small_theta,
    write,
)
from tests.learned_optimizers.golden import TOLERANCE, golden_run, worst_difference
from tests.learned_optimizers.served import Site, serve

CHECKPOINTS = "learned/golden/checkpoints"
GOLDEN = [
    "AdafacMLPLOpt", "AdafacMLPLOpt_32_step0.1", "HyperV2_small", "LearnableAdam",
    "MLPLOpt", "MLPNomLOpt", "NNAdam", "RNNMLPLOpt",
]  # fmt: skip


def load(path: Any, **kwargs: Any) -> Any:
    return opt_from_checkpoint(str(path), **kwargs)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(
            name,
            marks=pytest.mark.slow
            if name in ("HyperV2_small", "MLPNomLOpt")
            else pytest.mark.exhaustive,
        )
        for name in GOLDEN
    ],
)
def test_a_published_checkpoint_steps_as_published(name: str) -> None:
    opt = load(reference(f"{CHECKPOINTS}/{name}/params"))
    run = golden_run(name)
    assert worst_difference(opt.lopt, run) < TOLERANCE


@pytest.mark.parametrize("name", GOLDEN)
def test_a_published_checkpoint_is_of_its_class(name: str) -> None:
    opt = load(reference(f"{CHECKPOINTS}/{name}/params"))
    checked = json.loads(reference("learned/golden/checked.json").read_text())
    assert type(opt.lopt).__name__ == checked[name]["reference_loads"]
    theta = golden_run(name).theta
    jax.tree.map(np.testing.assert_array_equal, opt.theta, theta)


@pytest.mark.slow
def test_the_optimizer_itself_steps_as_published() -> None:
    opt = load(reference(f"{CHECKPOINTS}/MLPLOpt/params"))
    run = golden_run("MLPLOpt")
    state = opt.init(run.params, num_steps=run.num_steps)
    update = jax.jit(opt.update)
    for i, loss in enumerate(run.losses):
        state = update(state, jax.tree.map(lambda g, i=i: g[i], run.grads), loss)
    last = jax.tree.map(lambda x: x[-1], run.after)
    close = lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6)  # noqa: E731
    jax.tree.map(close, opt.get_params(state), last)


def test_a_folder_is_its_params() -> None:
    path = reference(f"{CHECKPOINTS}/MLPLOpt")
    assert load(path).name == load(path / "params").name


def test_settings_are_those_of_the_configuration(tmp_path: Path) -> None:
    path = write(tmp_path, content_of(small_theta()), SMALL_CONFIG)
    opt = load(path, extra_bindings=["MLPLOpt.step_mult = 0.5"])
    assert (opt.lopt.hidden_size, opt.lopt.hidden_layers) == (3, 1)
    assert (opt.lopt.step_mult, opt.lopt.exp_mult) == (0.5, 1e-3)
    other = write(tmp_path / "other", content_of(small_theta()), None)
    again = load(other, config_path=str(tmp_path / "config.gin"))
    assert again.lopt.hidden_size == 3
    with pytest.raises(ResultError, match=r"no such file: .*missing\.gin"):
        load(other, config_path=str(tmp_path / "missing.gin"))


def test_a_configuration_of_macros_scopes_and_lines(tmp_path: Path) -> None:
    config = """
import os
size = 3
MLPLOpt.hidden_size = 8
inner/MLPLOpt.hidden_size = \\
    %size
MLPLOpt.hidden_layers = 1
lopt = @inner/learned_optimizers.mlp_lopt.MLPLOpt()
run_train.lopt = %lopt
Adam.learning_rate = @some.schedule()
"""
    assert (
        load(write(tmp_path, content_of(small_theta()), config)).lopt.hidden_size == 3
    )


def test_a_sum_of_learned_optimizers(tmp_path: Path) -> None:
    theta = {
        "inner_lopt_theta_0": {"log_lr": np.float32(-1)},
        "inner_lopt_theta_1": small_theta(),
    }
    config = SMALL_CONFIG.replace(
        "run_train.lopt = @MLPLOpt()",
        "SumLearnedOptimizer.lopts = (\n  @LearnableSGD(),\n  @MLPLOpt())\n"
        "run_train.lopt = @SumLearnedOptimizer()",
    )
    opt = load(write(tmp_path, content_of(theta), config))
    assert [type(x).__name__ for x in opt.lopt.lopts] == ["LearnableSGD", "MLPLOpt"]
    assert opt.theta["inner_lopt_theta_0"]["log_lr"] == -1
    np.testing.assert_allclose(opt.opts[0].learning_rate, np.exp(-1), rtol=1e-6)


def test_what_gin_binds_applies_unless_the_configuration_says_otherwise(
    tmp_path: Path,
) -> None:
    path = write(tmp_path, content_of(small_theta()))
    gin.parse_config("MLPLOpt.step_mult = 0.25\nMLPLOpt.hidden_size = 64")
    opt = load(path)
    assert (opt.lopt.step_mult, opt.lopt.hidden_size) == (0.25, 3)


def test_gin_calls_it(tmp_path: Path) -> None:
    path = write(tmp_path, content_of(small_theta()))
    gin.parse_config(f"opt_from_checkpoint.checkpoint_path = '{path}'")
    opt: Any = gin.get_configurable("opt_from_checkpoint")()
    assert isinstance(opt.lopt, MLPLOpt)


def test_without_a_configuration_it_is_the_one_that_fits(tmp_path: Path) -> None:
    theta = MLPLOpt().init(jax.random.PRNGKey(0))
    checkpoints.save(str(tmp_path / "params"), theta)
    opt = load(tmp_path / "params")
    assert opt.lopt.name == "MLPLOpt"


def test_settings_without_a_class_are_tried_with_each(tmp_path: Path) -> None:
    path = write(tmp_path, content_of(small_theta()), None)
    sizes = ["MLPLOpt.hidden_size = 3", "MLPLOpt.hidden_layers = 1"]
    with pytest.raises(LoptError, match=r"nothing says .* and none has its arrays: "):
        load(path)
    assert load(path, extra_bindings=sizes).lopt.hidden_size == 3
    with pytest.raises(LoptError, match="names are those of MLPLOpt with sizes that"):
        load(path, extra_bindings=sizes[1:])


def test_two_that_fit_are_not_chosen_between(tmp_path: Path) -> None:
    celo2 = get_learned_optimizer("Celo2")
    path = str(tmp_path / "params")
    checkpoints.save(path, celo2().init(jax.random.PRNGKey(0)))
    with pytest.raises(LoptError, match="several have its arrays: Celo2, Celo2Base"):
        load(path)
    for name in ("Celo2", "Celo2Base"):
        opt = load(path, extra_bindings=[f"run_train.lopt = @{name}()"])
        assert type(opt.lopt) is get_learned_optimizer(name)


@pytest.mark.parametrize(
    ("theta", "name"),
    [("celo", "Celo"), ("celo_adam", "CeloAdam"), ("rnn_mlp", "RNNMLPLOpt"),
     ("adafac_mlp", "AdafacMLPLOpt")],
)  # fmt: skip
def test_the_weights_of_celo_and_others_are_known_by_their_arrays(
    theta: str, name: str
) -> None:
    opt = load(reference(f"learned/golden_celo/theta/{theta}.theta.state"))
    assert type(opt.lopt).__name__ == name


@pytest.mark.slow
def test_a_published_file_without_configuration_has_known_settings(
    tmp_path: Path,
) -> None:
    lopt = get_learned_optimizer("HyperV2")(
        lstm_hidden_size=512, param_inits=256, use_bugged_next_lstm_state=True
    )
    theta = jax.tree.map(np.asarray, lopt.init(jax.random.PRNGKey(0)))
    file = tmp_path / "aug11_aug4_trunc10per_avg.checkpoint"
    file.write_bytes(pack(packed((theta, "", 0))))
    opt = load(file)
    assert opt.lopt.name == lopt.name
    assert opt.lopt.use_bugged_next_lstm_state
    jax.tree.map(np.testing.assert_array_equal, opt.theta, theta)
    other = tmp_path / "another.checkpoint"
    file.rename(other)
    with pytest.raises(
        LoptError, match=r"its names are those of .*HyperV2.* with sizes"
    ):
        load(other)


@learned_optimizer
class _ScaledSGD(LearnedOptimizer):
    """SGD of a learned scale, as an earlier program of a user has it."""

    rates: Any = None

    def init(self, key: Any) -> Any:
        del key
        return {"scale": jnp.ones([])}

    def opt_fn(self, theta: Any, is_training: bool = False) -> Any:
        del is_training
        return SGD(learning_rate=theta["scale"])


def test_a_learned_optimizer_of_ones_own(tmp_path: Path) -> None:
    name = _ScaledSGD.__name__
    config = f"run_train.lopt = @{name}()\n{name}.rates = [1, 2]"
    theta = {"scale": np.float32(0.5)}
    opt = load(write(tmp_path, content_of(theta), config))
    assert type(opt).__name__ == "SGD"
    assert opt.learning_rate == 0.5
    assert (opt.lopt.rates, opt.theta) == ((1, 2), theta)


def test_a_wrong_class_lists_what_is_wrong(tmp_path: Path) -> None:
    path = write(
        tmp_path, content_of(small_theta()), "run_train.lopt = @LearnableSGD()"
    )
    with pytest.raises(LoptError) as raised:
        load(path)
    for part in (path, "LearnableSGD", "missing: log_lr", "mlp/~/linear_0|w"):
        assert part in str(raised.value)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with serve(tmp_path / "site") as site:
        write(site.folder, content_of(small_theta()))
        yield site


def _fetched(tmp_path: Path, kind: str) -> list[Path]:
    return sorted(p for p in (tmp_path / "cache" / kind).rglob("*") if p.is_file())


def _record(tmp_path: Path, address: str) -> dict[str, Any]:
    records = [json.loads(p.read_text()) for p in _fetched(tmp_path, "fetched")]
    (record,) = (r for r in records if r["address"] == address)
    return record


def test_a_checkpoint_elsewhere_is_fetched_once(site: Site, tmp_path: Path) -> None:
    path = f"{site.address}/params"
    first, second = load(path), load(path)
    assert first.lopt.hidden_size == 3
    assert second.name == first.name
    assert site.asked.count("/params") == 1
    assert site.asked.count("/config.gin") == 1
    content = content_of(small_theta())
    record = _record(tmp_path, path)
    assert record["sha256"] == hashlib.sha256(content).hexdigest()
    assert record["bytes"] == len(content)


def test_a_copy_that_was_changed_is_fetched_again(site: Site, tmp_path: Path) -> None:
    path = f"{site.address}/params"
    content = content_of(small_theta())
    assert checkpoints.read(path).step == 7
    (copy,) = _fetched(tmp_path, "copies")
    copy.write_bytes(content.replace(b"run", b"RUN"))
    # In another process nothing is kept in memory.
    assert checkpoints.read(path, hashlib.sha256(content).hexdigest()).gen_id == "run"
    assert site.asked.count("/params") == 2
    assert copy.read_bytes() == content


def test_a_server_that_sends_something_else_is_noticed(
    site: Site, tmp_path: Path
) -> None:
    path = f"{site.address}/params"
    content = content_of(small_theta())
    digest = hashlib.sha256(content).hexdigest()
    checkpoints.read(path)
    # As many bytes, and no word of a change: only the digest tells.
    (site.folder / "params").write_bytes(content.replace(b"run", b"RUN"))
    (copy,) = _fetched(tmp_path, "copies")
    copy.unlink()
    with pytest.raises(ResultError, match=f"is another file than it was.*{digest}"):
        checkpoints.read(path, "0" * 64)


def test_the_digest_wanted_of_a_file_elsewhere(site: Site) -> None:
    path = f"{site.address}/params"
    digest = hashlib.sha256(content_of(small_theta())).hexdigest()
    assert load(path, sha256=digest).lopt.hidden_size == 3
    with pytest.raises(ResultError, match=f"its sha256 is {digest}, not {'1' * 64}"):
        load(path, sha256="1" * 64)


def test_a_record_that_is_damaged_is_made_again(site: Site, tmp_path: Path) -> None:
    path = f"{site.address}/params"
    digest = hashlib.sha256(content_of(small_theta())).hexdigest()
    checkpoints.read(path)
    (record,) = _fetched(tmp_path, "fetched")
    record.write_text("{")
    assert checkpoints.read(path, digest).gen_id == "run"
    assert _record(tmp_path, path)["sha256"] == digest


def test_what_is_not_there(site: Site) -> None:
    with pytest.raises(ResultError, match=r"no such file: http://.*/missing"):
        load(f"{site.address}/missing")
    with pytest.raises(ResultError, match=r"optimizer-baselines\[data\]"):
        load("unknown://a/params")
