"""jax's configuration: every flag is in a table, and the tables do what they say."""

import ast
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import learned_optimization
from learned_optimization import numerics
from learned_optimization.errors import LoptError
from learned_optimization.eval_training import single_task_training_curves
from learned_optimization.optimizers.optax_opts import SGD
from learned_optimization.prng import (
    NUM_SEEDS,
    key_of_seed,
    key_words,
)
from learned_optimization.tasks.base import Task, get_task
from learned_optimization.tasks.quadratics import FixedDimQuadraticFamily
from tests.tiny import TinyTask

PACKAGE = Path(learned_optimization.__file__).parent


def test_every_flag_of_jax_is_in_one_table() -> None:
    tables = [set(numerics.PINNED), set(numerics.RECORDED), set(numerics.HARMLESS)]
    for flag in jax.config.values:
        assert sum(flag in table for table in tables) == 1, (
            f"say what {flag} does to numbers, in numerics.py"
        )


def test_nothing_is_recorded_under_the_defaults() -> None:
    assert numerics.record() == ""
    assert numerics.shown("") == "jax's defaults"


@pytest.mark.parametrize(
    ("context", "text"),
    [
        (lambda: jax.enable_x64(True), "jax_enable_x64=True"),
        (
            lambda: jax.default_matmul_precision("bfloat16"),
            "jax_default_matmul_precision=bfloat16",
        ),
        (lambda: jax.softmax_custom_jvp(True), "jax_softmax_custom_jvp=True"),
        (lambda: jax.default_prng_impl("rbg"), ""),
        (lambda: jax.threefry_partitionable(False), ""),
        (lambda: jax.debug_nans(True), ""),
    ],
)
def test_what_changes_numbers_is_recorded(context: Any, text: str) -> None:
    with context():
        assert numerics.record() == text


def test_options_of_xla_are_recorded_in_one_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    flags = "--xla_cpu_enable_fast_math=true --xla_force_host_platform_device_count=8"
    monkeypatch.setenv("XLA_FLAGS", f"{flags} --xla_allow_excess_precision=false")
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "0")
    fast = "--xla_allow_excess_precision=false --xla_cpu_enable_fast_math=true"
    want = {"NVIDIA_TF32_OVERRIDE": "0", "XLA_FLAGS": fast}
    assert numerics.changed() == want
    assert numerics.environment() == want
    assert numerics.shown(numerics.record()) == (
        f"NVIDIA_TF32_OVERRIDE=0, XLA_FLAGS={fast}"
    )


def test_another_process_is_told_by_environment_variables() -> None:
    with jax.enable_x64(True):
        assert numerics.environment() == {"JAX_ENABLE_X64": "True"}


@pytest.mark.parametrize("seed", [0, 1, 7, 2**31 - 1, 2**31, NUM_SEEDS - 1])
def test_a_seed_is_the_key_that_jax_makes_of_it(seed: int) -> None:
    with jax.enable_x64(True):
        want = jax.random.key_data(jax.random.key(seed, impl="threefry2x32"))
    np.testing.assert_array_equal(key_words(key_of_seed(seed)), want)


def test_keys_of_another_kind_are_refused() -> None:
    for key in (jax.random.key(0, impl="rbg"), np.zeros(4, np.uint32), 0):
        with pytest.raises(LoptError, match=r"a key must be .*jax.random.key"):
            key_words(key)


def _calls(source: str) -> list[tuple[str, set[str | None]]]:
    """Return the name of each function called, with its keyword arguments."""
    return [
        (ast.unparse(node.func), {k.arg for k in node.keywords})
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call)
    ]


def test_the_package_makes_keys_of_a_named_kind_alone() -> None:
    ambient = {"PRNGKey", "key", "wrap_key_data"}
    found = [
        (path.name, name)
        for path in PACKAGE.rglob("*.py")
        for name, keywords in _calls(path.read_text())
        if name in {f"{m}.{a}" for m in ("jax.random", "random", "jr") for a in ambient}
        or name in ambient - {"key"}
        if "impl" not in keywords
    ]
    assert not found
    assert _calls("jax.random.PRNGKey(0)") == [("jax.random.PRNGKey", set())]


@dataclass(frozen=True)
class OwnKeysTask(TinyTask):
    """Draws from the key it is given, and from one that it makes itself."""

    def loss(self, params: Any, key: jax.Array, data: Any) -> jax.Array:
        own = jax.random.fold_in(jax.random.PRNGKey(4), 1)
        shift = jax.random.normal(own) + jax.random.categorical(key, jnp.zeros(9))
        return super().loss(params, key, data) + shift


AMBIENT = {
    "jax_default_prng_impl": "rbg",
    "jax_enable_custom_prng": True,
    "jax_threefry_partitionable": False,
    "jax_random_seed_offset": 7,
}


def drawn(task: Task) -> list[np.ndarray]:
    """Return the curve of a task, and what is drawn of a family of tasks."""
    run = single_task_training_curves(task, SGD(0.1), 6, key_of_seed(3), eval_every=3)
    sampled = get_task(FixedDimQuadraticFamily(), 5)
    center_loss = sampled.loss(jnp.zeros(10), key_of_seed(0), None)
    return [*run.values(), np.asarray(center_loss)]


@pytest.mark.slow
@pytest.mark.parametrize("flag", AMBIENT)
def test_ambient_settings_of_random_numbers_change_no_curve(flag: str) -> None:
    is_recorded = flag == "jax_random_seed_offset"
    task = TinyTask() if is_recorded else OwnKeysTask()
    want, before = drawn(task), jax.config.values[flag]
    jax.config.update(flag, AMBIENT[flag])
    try:
        got, record = drawn(task), numerics.record()
    finally:
        jax.config.update(flag, before)
    assert len(got) > 5
    for a, b in zip(got, want, strict=True):
        # Other random numbers are far away; a program compiled twice may round apart.
        np.testing.assert_allclose(a, b, rtol=1e-5)
    # There, the keys that a task makes itself would be others.
    assert bool(record) == is_recorded


def test_of_xla_flags_given_twice_the_last_counts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def recorded(flags: str) -> str:
        monkeypatch.setenv("XLA_FLAGS", flags)
        return numerics.record()

    assert recorded("--xla_a=1 --xla_a=2 --xla_b=3") == recorded("--xla_b=3 --xla_a=2")
    assert recorded("--xla_a=1 --xla_a=2") != recorded("--xla_a=2 --xla_a=1")
    assert (
        recorded("--xla_dump_to=/tmp/x --xla_force_host_platform_device_count=2") == ""
    )
    # A name that does not begin with a dash is that of a file of them.
    file = tmp_path / "flags"
    file.write_text("--xla_b=3\n--xla_a=2\n")
    assert recorded(str(file)) == recorded("--xla_a=2 --xla_b=3")


@pytest.mark.parametrize("seed", [0, 5, NUM_SEEDS - 1, NUM_SEEDS, NUM_SEEDS + 7, -1])
def test_seeds_are_what_jax_makes_of_them(seed: int) -> None:
    np.testing.assert_array_equal(
        key_words(key_of_seed(seed)), key_words(jax.random.key(seed))
    )


def test_a_seed_is_a_whole_number() -> None:
    with pytest.raises(TypeError):
        key_of_seed(1.5)  # pyright: ignore[reportArgumentType]
