"""Recurrent models against the equations of their cells, in float64 numpy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from learned_optimization.tasks.models.rnn import CELLS, RNNLanguageModel
from tests.tasks.models.compiled import apply, init

KEY = jax.random.PRNGKey(0)
HIDDEN, EMBEDDING, VOCAB = 5, 3, 11
TOKENS = np.random.default_rng(0).integers(0, VOCAB, (4, 6))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def relu_step(p, state, x):
    pre = x @ p["input_kernel"] + p["input_bias"]
    h = np.maximum(pre + state[0] @ p["hidden_kernel"] + p["hidden_bias"], 0)
    return [h]


def lstm_step(p, state, x):
    h, c = state
    gates = np.concatenate([x, h], -1) @ p["gates_kernel"] + p["gates_bias"]
    i, g, f, o = np.split(gates, 4, -1)
    c = sigmoid(f + 1) * c + sigmoid(i) * np.tanh(g)
    return [sigmoid(o) * np.tanh(c), c]


def gru_step(p, state, x):
    (h,) = state
    n = HIDDEN
    w, u, b = p["input_kernel"], p["hidden_kernel"], p["input_bias"]
    z = sigmoid(x @ w[:, :n] + h @ u[:, :n] + b[:n])
    r = sigmoid(x @ w[:, n : 2 * n] + h @ u[:, n : 2 * n] + b[n : 2 * n])
    a = np.tanh(x @ w[:, 2 * n :] + (r * h) @ u[:, 2 * n :] + b[2 * n :])
    return [(1 - z) * h + z * a]


STEPS = {"VanillaRNN": relu_step, "IRNN": relu_step, "LSTM": lstm_step, "GRU": gru_step}


def drawn(cell):
    model = RNNLanguageModel(cell, HIDDEN, EMBEDDING, VOCAB)
    params = init(model, KEY, TOKENS)["params"]
    rng = np.random.default_rng(1)
    return model, jax.tree.map(
        lambda a: jnp.float32(rng.normal(0, 0.5, a.shape)), params
    )


@pytest.mark.parametrize("cell", CELLS)
def test_logits_by_the_equations(cell):
    model, params = drawn(cell)
    p = jax.tree.map(np.float64, params)
    num_leaves = 2 if cell == "LSTM" else 1
    state = [np.tile(p[f"state_{i}"], (len(TOKENS), 1)) for i in range(num_leaves)]
    for t in range(TOKENS.shape[1]):
        state = STEPS[cell](p, state, p["embedding"][TOKENS[:, t]])
        want = state[0] @ p["Dense_0"]["kernel"] + p["Dense_0"]["bias"]
        got = apply(model, {"params": params}, TOKENS)[:, t]
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("cell", CELLS)
def test_initial_weights(cell):
    model = RNNLanguageModel(cell, 64, 32, 256)
    p = init(model, KEY, TOKENS)["params"]
    for name, value in p.items():
        if name.endswith("bias") or name.startswith("state"):
            assert not np.any(value), name
    if cell == "IRNN":
        np.testing.assert_array_equal(p["hidden_kernel"], np.eye(64))
    assert_normal_cut_at_two(p["embedding"], 1)
    assert_normal_cut_at_two(p["Dense_0"]["kernel"], 64**-0.5)
    fans = {"gates_kernel": 96, "input_kernel": 32}
    if cell != "IRNN":
        fans["hidden_kernel"] = 64
    # Only the GRU's kernels make up for the cut.
    correction = 1 / STD_OF_CUT if cell == "GRU" else 1
    for name in fans.keys() & p.keys():
        assert_normal_cut_at_two(p[name], correction * fans[name] ** -0.5)


# Of a standard normal cut at two: 1 - 4 phi(2) / (2 Phi(2) - 1), its root.
STD_OF_CUT = np.sqrt(1 - 4 * stats.norm.pdf(2) / (2 * stats.norm.cdf(2) - 1))


def assert_normal_cut_at_two(weights, scale):
    cut = stats.truncnorm(-2, 2, scale=scale)
    assert stats.kstest(np.ravel(weights), cut.cdf).pvalue > 1e-4
    assert np.std(weights) == pytest.approx(STD_OF_CUT * scale, rel=0.05)


@pytest.mark.parametrize("cell", CELLS)
def test_the_past_is_seen_and_the_future_is_not(cell):
    model, params = drawn(cell)

    def logits(tokens):
        return apply(model, {"params": params}, tokens)

    changed = TOKENS.copy()
    changed[:, 3] = (changed[:, 3] + 1) % VOCAB
    differs = np.any(logits(changed) != logits(TOKENS), axis=(0, 2))
    assert differs.tolist() == [False, False, False, True, True, True]
