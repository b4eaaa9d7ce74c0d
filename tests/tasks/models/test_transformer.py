"""The decoder against its equations in float64 numpy, and what its masks hide."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from learned_optimization.tasks.models.transformer import TransformerLanguageModel
from tests.tasks.models.compiled import apply, init

KEY = jax.random.PRNGKey(0)
HEADS, WIDTH, LAYERS, VOCAB = 2, 8, 2, 13
TOKENS = np.random.default_rng(0).integers(1, VOCAB, (3, 6))
TOKENS[1, 4:] = 0
MODEL = TransformerLanguageModel(HEADS, WIDTH, LAYERS, VOCAB)


@pytest.fixture(scope="module")
def params():
    rng = np.random.default_rng(1)
    return jax.tree.map(
        lambda a: jnp.float32(rng.normal(0, 0.3, a.shape)),
        init(MODEL, KEY, TOKENS)["params"],
    )


def dense(p, i, x):
    return x @ p[f"Dense_{i}"]["kernel"] + p[f"Dense_{i}"]["bias"]


def layer_norm(p, i, x):
    scaled = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
    return scaled * p[f"LayerNorm_{i}"]["scale"] + p[f"LayerNorm_{i}"]["bias"]


def gelu(x):
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def reference(p, tokens):
    """One sequence at a time, one query at a time."""
    out = []
    for sequence in tokens:
        x = p["embedding"][sequence]
        for layer in range(LAYERS):
            first, n = 6 * layer, layer_norm(p, 2 * layer, x)
            q, k, v = (dense(p, first + i, n).reshape(-1, HEADS, 32) for i in range(3))
            attended = np.zeros_like(q)
            for t in range(len(sequence)):
                seen = np.flatnonzero(sequence[: t + 1])
                for h in range(HEADS):
                    scores = k[seen, h] @ q[t, h] / np.sqrt(32)
                    weights = np.exp(scores - scores.max())
                    attended[t, h] = weights / weights.sum() @ v[seen, h]
            x = x + dense(p, first + 3, attended.reshape(len(sequence), -1))
            n = layer_norm(p, 2 * layer + 1, x)
            x = x + dense(p, first + 5, gelu(dense(p, first + 4, n)))
        out.append(dense(p, 6 * LAYERS, layer_norm(p, 2 * LAYERS, x)))
    return np.stack(out)


@pytest.mark.slow
def test_logits_by_the_equations(params):
    got = apply(MODEL, {"params": params}, TOKENS)
    want = reference(jax.tree.map(np.float64, params), TOKENS)
    np.testing.assert_allclose(got, want, rtol=1e-3, atol=1e-3)


@pytest.mark.slow
def test_the_past_is_seen_and_the_future_is_not(params):
    changed = TOKENS.copy()
    changed[:, 3] = changed[:, 3] % (VOCAB - 1) + 1
    before, after = (apply(MODEL, {"params": params}, t) for t in (TOKENS, changed))
    differs = np.any(before != after, axis=(0, 2))
    assert differs.tolist() == [False, False, False, True, True, True]


def test_a_sequence_of_padding_has_no_nan(params):
    logits = apply(MODEL, {"params": params}, np.zeros((1, 4), int))
    assert np.isfinite(logits).all()


@pytest.mark.slow
def test_initial_weights_are_scaled_by_the_number_of_layers():
    model = TransformerLanguageModel(8, 128, 5, 64)
    p = init(model, KEY, TOKENS)["params"]
    for i, fan_in in enumerate((128, 128, 128, 256, 128, 512)):
        kernel = p[f"Dense_{i}"]["kernel"]
        assert np.std(kernel) == pytest.approx((2 / 5 / fan_in) ** 0.5, rel=0.03)
        assert not np.any(p[f"Dense_{i}"]["bias"])
    assert p["Dense_0"]["kernel"].shape == (128, 8 * 32)
    head = p["Dense_30"]["kernel"]
    assert np.std(head) == pytest.approx(0.8796 / 128**0.5, rel=0.03)
    # Whatever the size of the table.
    assert np.std(p["embedding"]) == pytest.approx(0.8796, rel=0.03)
    assert 1.99 < np.abs(p["embedding"]).max() <= 2


@pytest.mark.slow
def test_dropout_depends_on_the_key_and_keeps_the_mean():
    model = TransformerLanguageModel(HEADS, WIDTH, 1, VOCAB, dropout=0.5)
    variables = init(model, KEY, TOKENS)

    def logits(key):
        return model.apply(variables, TOKENS, rngs={"dropout": key})

    one, same, other = (logits(jax.random.PRNGKey(s)) for s in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert np.any(one != other)
