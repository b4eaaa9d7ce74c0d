"""Checkpoints: every published form is read, and the main one is written."""

from collections import namedtuple
from pathlib import Path
from typing import Any

import flax.serialization
import jax
import jax.numpy as jnp
import msgpack
import numpy as np
import pytest

from learned_optimization.errors import LoptError, ResultError
from learned_optimization.learned_optimizers import checkpoints
from learned_optimization.learned_optimizers.array_trees import joined, leaves_of
from tests.golden import reference
from tests.learned_optimizers.checkpoint_files import (
    array,
    content_of,
    pack,
    packed,
    small_theta,
    write,
)

GOLDEN = [
    "AdafacMLPLOpt", "AdafacMLPLOpt_32_step0.1", "HyperV2_small", "LearnableAdam",
    "MLPLOpt", "MLPNomLOpt", "NNAdam", "RNNMLPLOpt",
]  # fmt: skip
CELO_THETAS = ["adafac_mlp", "celo2base", "rnn_mlp", "velo_s"]


def named(theta: Any) -> dict[str, np.ndarray]:
    return {joined(path): leaf for path, leaf in leaves_of(theta)}


def assert_same(got: Any, wanted: dict[str, np.ndarray]) -> None:
    got = named(got)
    assert set(got) == set(wanted)
    for name, array_wanted in wanted.items():
        assert got[name].dtype == array_wanted.dtype == np.float32, name
        np.testing.assert_array_equal(got[name], array_wanted, err_msg=name)


def golden_meta(name: str) -> dict[str, np.ndarray]:
    with np.load(reference(f"learned/golden/{name}.npz")) as file:
        return {n[5:]: file[n] for n in file.files if n.startswith("meta:")}


@pytest.mark.parametrize("name", GOLDEN)
def test_a_published_checkpoint_is_its_npz(name: str) -> None:
    got = checkpoints.read(str(reference(f"learned/golden/checkpoints/{name}/params")))
    assert_same(got.params, golden_meta(name))
    assert (got.gen_id, got.step) == ("gen_id_0", 3)


def test_a_tuple_of_theta_is_its_npz() -> None:
    path = reference("learned/golden/checkpoints/HyperV2_small.no_config")
    got = checkpoints.read(str(path))
    assert_same(got.params, golden_meta("HyperV2_small"))
    assert (got.gen_id, got.step) == ("", 0)


@pytest.mark.parametrize("name", CELO_THETAS)
def test_a_bare_theta_is_its_npz(name: str) -> None:
    folder = "learned/golden_celo/theta"
    got = checkpoints.read(str(reference(f"{folder}/{name}.theta.state")))
    with np.load(reference(f"{folder}/{name}.npz")) as file:
        assert_same(got.params, dict(file))


@pytest.mark.parametrize(("name", "size"), [("celo", 37_089), ("celo_adam", 36_865)])
def test_the_real_weights_of_celo_are_read(name: str, size: int) -> None:
    path = reference(f"learned/golden_celo/theta/{name}.theta.state")
    leaves = named(checkpoints.read(str(path)).params).values()
    assert sum(leaf.size for leaf in leaves) == size


@pytest.mark.parametrize("name", [n for n in GOLDEN if "Adafac" in n or n == "MLPLOpt"])
def test_written_again_it_has_the_published_bytes(name: str, tmp_path: Path) -> None:
    # The others hold a namedtuple, whose fields flax keeps in an order of their own.
    path = reference(f"learned/golden/checkpoints/{name}/params")
    got = checkpoints.read(str(path))
    written = tmp_path / "new" / "params"
    checkpoints.save(str(written), got.params, got.gen_id, got.step)
    assert written.read_bytes() == path.read_bytes()
    assert [p.name for p in written.parent.iterdir()] == ["params"]


def test_what_is_written_has_the_bytes_of_flax(tmp_path: Path) -> None:
    theta = jax.tree.map(jnp.asarray, small_theta())
    path = tmp_path / "params"
    checkpoints.save(str(path), theta, "run", 7)
    tree = {"params": theta, "gen_id": "run", "step": 7}
    assert path.read_bytes() == flax.serialization.to_bytes(tree)
    got = checkpoints.read(str(path))
    assert_same(got.params, {joined(p): x for p, x in leaves_of(small_theta())})
    assert (got.gen_id, got.step) == ("run", 7)


def test_flax_reads_what_is_written(tmp_path: Path) -> None:
    path = tmp_path / "params"
    checkpoints.save(str(path), small_theta(), "run", 7)
    template = checkpoints.ParameterCheckpoint(small_theta(seed=1), "", 0)
    got: Any = flax.serialization.from_bytes(template, path.read_bytes())
    assert got.gen_id == "run"
    np.testing.assert_array_equal(
        got.params["mlp/~/linear_0"]["w"], small_theta()["mlp/~/linear_0"]["w"]
    )


State = namedtuple("State", ["hidden", "cell"])


@pytest.mark.parametrize("is_old", [False, True])
def test_both_spellings_of_a_namedtuple(is_old: bool, tmp_path: Path) -> None:
    hidden, cell = np.ones((1, 2), np.float32), np.zeros((1, 3), np.float32)
    state: Any = {"hidden": hidden, "cell": cell}
    if is_old:
        fields = {"0": "hidden", "1": "cell"}
        state = {"name": "State", "fields": fields, "values": [hidden, cell]}
    got = checkpoints.read(write(tmp_path, content_of({"state": state})))
    assert_same(got.params, {"state|hidden": hidden, "state|cell": cell})
    # And it fits a template that is a namedtuple, as one that is a dict.
    matched = checkpoints.match(got.params, {"state": State(hidden, cell)})
    assert isinstance(matched["state"], State)
    np.testing.assert_array_equal(matched["state"].hidden, hidden)


def test_lists_are_maps_of_their_places(tmp_path: Path) -> None:
    arrays = [np.full(i, i, np.float32) for i in range(12)]
    got = checkpoints.read(write(tmp_path, content_of({"list": arrays})))
    matched = checkpoints.match(got.params, {"list": arrays})
    for a, b in zip(matched["list"], arrays, strict=True):
        np.testing.assert_array_equal(a, b)


def test_scalars_steps_and_old_types_of_numbers(tmp_path: Path) -> None:
    value = np.float32(1.5)
    theta = {
        "scalar": array(value, code=3),
        # Packed by an older msgpack: the type's name as bytes.
        "bytes": array(value, dtype=b"float32"),
        "half": array(np.array([1, -2.5], np.float16)),
        "b": array(np.zeros(2), dtype="bfloat16", content=b"\xc0\x3f\x00\xc0"),
        "none": array(np.zeros((0, 3), np.float32)),
    }
    step = array(np.int32(7))
    tree = {"params": theta, "gen_id": "", "step": step}
    got = checkpoints.read(write(tmp_path, pack(tree)))
    assert got.step == 7
    assert_same(
        got.params,
        {
            "scalar": np.array(1.5, np.float32),
            "bytes": np.array(1.5, np.float32),
            "half": np.array([1, -2.5], np.float32),
            "b": np.array([1.5, -2], np.float32),
            "none": np.zeros((0, 3), np.float32),
        },
    )


def test_the_order_of_a_file_says_nothing(tmp_path: Path) -> None:
    theta = small_theta()
    turned = {k: dict(reversed(v.items())) for k, v in reversed(theta.items())}
    got = checkpoints.read(write(tmp_path, content_of(turned)))
    matched = checkpoints.match(got.params, theta)
    jax.tree.map(np.testing.assert_array_equal, matched, theta)


def test_one_error_lists_all_that_does_not_fit() -> None:
    theta, template = small_theta(), small_theta()
    theta["mlp/~/linear_0"]["more"] = theta["mlp/~/linear_0"].pop("b")
    theta["mlp/~/linear_1"]["w"] = np.zeros((2, 3), np.float32)
    with pytest.raises(checkpoints.MismatchError) as raised:
        checkpoints.match(theta, template, "FILE", "MLPLOpt")
    assert str(raised.value) == (
        "FILE does not hold what MLPLOpt has: missing: mlp/~/linear_0|b; not expected: "
        "mlp/~/linear_0|more; of another shape: mlp/~/linear_1|w is (2, 3), not (3, 2)."
    )


def test_a_name_twice_is_refused() -> None:
    packer = msgpack.Packer()
    one = pack("params") + pack(packed(small_theta()))
    content = packer.pack_map_header(2) + one * 2
    with pytest.raises(LoptError, match="a map has a name twice"):
        checkpoints.from_bytes(content, "a file")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.array([1.0, np.nan], np.float32), "numbers that are not finite in w"),
        (np.ones(2), "w is of type float64"),
        (np.ones(2, np.int32), "w is of type int32"),
    ],
)
def test_what_would_not_be_read_is_not_written(
    value: np.ndarray, message: str, tmp_path: Path
) -> None:
    with pytest.raises(LoptError, match=message):
        checkpoints.save(str(tmp_path / "params"), {"w": value})
    assert not list(tmp_path.iterdir())


def test_a_file_is_read_once_until_it_changes(tmp_path: Path) -> None:
    path = write(tmp_path, content_of(small_theta()))
    first = checkpoints.read(path)
    assert checkpoints.read(path) is first
    with pytest.raises(ValueError, match="read-only"):
        first.params["mlp/~/linear_0"]["w"][0, 0] = 1
    write(tmp_path, content_of(small_theta(seed=1)))
    second = checkpoints.read(path).params["mlp/~/linear_0"]["w"]
    np.testing.assert_array_equal(second, small_theta(seed=1)["mlp/~/linear_0"]["w"])


def test_the_digest_that_is_wanted(tmp_path: Path) -> None:
    import hashlib

    content = content_of(small_theta())
    path = write(tmp_path, content)
    digest = hashlib.sha256(content).hexdigest()
    assert checkpoints.read(path, digest.upper()).gen_id == "run"
    with pytest.raises(ResultError, match=rf"its sha256 is {digest}, not {'0' * 64}"):
        checkpoints.read(path, "0" * 64)
