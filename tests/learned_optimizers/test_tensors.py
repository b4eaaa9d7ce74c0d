"""Parameters in float32, and put back into their own types."""

import jax
import jax.numpy as jnp
import numpy as np

from learned_optimization.learned_optimizers.tensors import put_back, tensors


def test_scalars_are_vectors_and_empty_arrays_are_left_out() -> None:
    tree = {"a": jnp.float16(2), "b": jnp.zeros((0, 3)), "c": jnp.ones((2, 1))}
    made = tensors(tree)
    assert [(x.shape, x.dtype) for x in made] == [
        ((1,), "float32"),
        ((2, 1), "float32"),
    ]
    back = put_back(tree, [x + 1 for x in made])
    assert back["a"] == 3
    assert back["a"].dtype == "float16"
    assert back["a"].shape == ()
    assert back["b"].shape == (0, 3)
    np.testing.assert_array_equal(back["c"], [[2], [2]])


def test_no_digit_of_float64_is_lost() -> None:
    with jax.enable_x64():
        before = jnp.asarray([1 / 3, 1e9 + 1 / 7], jnp.float64)
        (narrow,) = tensors(before)
        after = put_back(before, [narrow - jnp.asarray([1e-3, 64.0], jnp.float32)])
        assert after.dtype == jnp.float64
        got = np.asarray(before - after)
        np.testing.assert_allclose(got, [1e-3, 64.0], rtol=1e-4)
        # What float32 cannot tell from nothing stays where it was.
        np.testing.assert_array_equal(put_back(before, [narrow]), before)
