"""The pretrained learned optimizers of the package: found by name, everywhere."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from learned_optimization.baselines.hparam_sets import TEMPLATES
from learned_optimization.baselines.sets.checkpoints import NamedCheckpoint
from learned_optimization.baselines.sets.registry import (
    SETS,
    all_hparam_sets,
    get_hparam_set,
    known_hparam_sets,
)
from learned_optimization.errors import LoptError, NotRegisteredError, UnknownNameError
from learned_optimization.learned_optimizers import checkpoints
from learned_optimization.learned_optimizers.description import describe_checkpoint
from learned_optimization.learned_optimizers.opt_from_checkpoint import (
    opt_from_checkpoint,
)
from learned_optimization.learned_optimizers.pretrained import (
    address,
    file_of,
    pretrained_names,
)
from tests.cli.running import lopt_here, refused

NAMES = pretrained_names()
FIRST = NAMES[0]
CARD = Path(__file__).parents[2] / "docs" / "pretrained.md"


@pytest.mark.parametrize("name", NAMES)
def test_one_steps_and_is_small(name: str) -> None:
    file = Path(file_of(address(name)))
    held = checkpoints.read(str(file))
    assert held.step > 0
    assert held.gen_id
    assert sum(path.stat().st_size for path in file.parent.iterdir()) < 20_000
    opt = opt_from_checkpoint(address(name))
    params = {"w": jnp.ones((3, 2)), "b": jnp.zeros(2)}
    given = {"num_steps": 10, "key": jax.random.PRNGKey(0)}
    state = opt.init(params, **given)
    state = opt.update(state, params, loss=jnp.ones([]), key=given["key"])
    moved = jax.tree.map(lambda a, b: a - b, opt.get_params(state), params)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(moved))
    assert np.abs(moved["w"]).max() > 0


@pytest.mark.parametrize("name", NAMES)
def test_one_has_a_model_card(name: str) -> None:
    card = CARD.read_text()
    assert f"## {name}" in card
    described = describe_checkpoint(address(name))
    for fact in (
        described.digest,
        described.name,
        f"{described.num_meta_parameters:,} meta-parameters",
        f"meta-step {described.step:,}",
    ):
        assert fact in card


def test_sets_of_it_are_known_without_a_checkpoint() -> None:
    name = f"{FIRST}_LOpt_1000_R5"
    own = get_hparam_set(name)
    assert (own.name, own.opt_names, own.num_steps) == (name, (FIRST,), 1_000)
    # The same on every machine.
    path = {"opt_from_checkpoint.checkpoint_path": f"pretrained:{FIRST}"}
    assert own.hparams == (path,)
    assert own == TEMPLATES["LOpt_1000_R5"].with_checkpoint(FIRST, address(FIRST))
    assert get_hparam_set(f"{name}_from5").first_seed == 5
    assert get_hparam_set(f"{FIRST}_LOpt_1000_R9").repetitions == 9
    names = [name, f"{FIRST}_LOptLR_1000_R5_from5", "AdamLR_1000_R5", "TinyLine"]
    assert set(known_hparam_sets(names)) - set(all_hparam_sets()) == {*names[:2]}
    with pytest.raises(NotRegisteredError):
        get_hparam_set("Nobody_LOpt_1000_R5")


def test_a_name_that_is_none() -> None:
    with pytest.raises(UnknownNameError, match=f"did you mean {FIRST}"):
        opt_from_checkpoint(f"pretrained:{FIRST}s")
    with pytest.raises(UnknownNameError, match="pretrained learned optimizer"):
        NamedCheckpoint.parse("mine=pretrained:nobody")


def test_its_name_is_taken(tmp_path: Path) -> None:
    (tmp_path / "params").write_bytes(b"theta")
    with pytest.raises(LoptError, match=f"cannot be called {FIRST}"):
        NamedCheckpoint.parse(f"{FIRST}={tmp_path}")
    with SETS.temporarily():
        for name in (FIRST, "other"):
            checkpoint = NamedCheckpoint.parse(f"{name}=pretrained:{FIRST}")
            assert checkpoint.path == f"pretrained:{FIRST}"
            assert len(checkpoint.define()) == len(TEMPLATES)


def test_commands_list_it() -> None:
    assert f"{FIRST} is meta-trained already" in lopt_here("lopts").stdout
    described: Any = lopt_here("lopts", FIRST).stdout
    assert "NormalizedStepLOpt" in described
    assert f"{FIRST}_ before its name" in lopt_here("sets").stdout
    said = refused(lopt_here("sweep", "TinyLine", "LOpt_1000_R5"))
    assert f"as {FIRST}_LOpt_1000_R5" in said
