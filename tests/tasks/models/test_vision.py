"""ResNet, ViT and MLP-Mixer: what they start as, and what their parts compute."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from learned_optimization.errors import LoptError
from learned_optimization.tasks.models.mixer import MLPMixer
from learned_optimization.tasks.models.patches import embed_patches
from learned_optimization.tasks.models.resnet import Block, ResNet
from learned_optimization.tasks.models.vit import EncoderLayer, ViT
from tests.tasks.models.compiled import apply, init

KEY = jax.random.PRNGKey(0)
IMAGES = jax.random.uniform(KEY, (2, 16, 16, 3))
MODELS = {
    "resnet": ResNet((1, 2, 1, 1), (8, 8, 8, 8), 7, 3, 2, True),
    "vit": ViT(8, 12, 20, 3, 2, 7),
    "mixer": MLPMixer(8, 12, 2, 5, 20, 7),
}


def shuffled(tree, scale=0.3):
    """Parameters drawn again, so that nothing is zero."""
    leaves, structure = jax.tree.flatten(tree)
    rng = np.random.default_rng(0)
    return jax.tree.unflatten(
        structure, [jnp.float32(rng.normal(0, scale, a.shape)) for a in leaves]
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_outputs_start_at_zero(name):
    variables = init(MODELS[name], KEY, IMAGES)
    logits, _ = apply(MODELS[name], variables, IMAGES, mutable="batch_stats")
    assert logits.shape == (2, 7)
    assert not np.any(logits)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["vit", "mixer"])
def test_examples_do_not_meet(name):
    params = shuffled(init(MODELS[name], KEY, IMAGES)["params"])
    both = apply(MODELS[name], {"params": params}, IMAGES)
    one = apply(MODELS[name], {"params": params}, IMAGES[1:])
    np.testing.assert_allclose(both[1:], one, rtol=1e-4, atol=1e-4)
    assert np.abs(both[0] - both[1]).max() > 1e-3


def test_patches_are_cut_row_by_row():
    class Embed(nn.Module):
        @nn.compact
        def __call__(self, x):
            return embed_patches(x, 2, 12)

    images = np.arange(2 * 4 * 6 * 3.0).reshape(2, 4, 6, 3)
    identity = {"embedding": {"kernel": np.eye(12), "bias": np.zeros(12)}}
    got = np.asarray(Embed().apply({"params": identity}, images))
    assert got.shape == (2, 6, 12)
    for number in range(6):
        row, column = divmod(number, 3)
        patch = images[:, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
        np.testing.assert_array_equal(got[:, number], patch.reshape(2, 12))


def test_patches_must_fill_the_image():
    with pytest.raises(LoptError, match=r"patches of 5 pixels do not fill .*16x16"):
        ViT(5, 12, 20, 3, 1, 7).init(KEY, IMAGES)


@pytest.mark.slow
def test_positions_matter_to_vit_through_their_embedding_only():
    model = MODELS["vit"]
    params = shuffled(init(model, KEY, IMAGES)["params"])
    moved = jnp.roll(IMAGES, 8, axis=2)  # swaps left and right patches
    apart = apply(model, {"params": params}, IMAGES)
    assert np.abs(apart - apply(model, {"params": params}, moved)).max() > 1e-3
    position = jnp.zeros_like(params["position_embedding"])
    blind = {**params, "position_embedding": position}
    one, other = (apply(model, {"params": blind}, x) for x in (IMAGES, moved))
    np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)


def test_encoder_layer_by_its_equations():
    layer, x = EncoderLayer(2, 10), jax.random.normal(KEY, (1, 4, 6))
    params = shuffled(init(layer, KEY, x)["params"])
    got = apply(layer, {"params": params}, x)
    p, x = jax.tree.map(np.float64, params), np.float64(x)

    def norm(name, x):
        scaled = (x - x.mean(-1, keepdims=True)) / np.sqrt(
            x.var(-1, keepdims=True) + 1e-6
        )
        return scaled * p[name]["scale"] + p[name]["bias"]

    attention, y = p["MultiHeadDotProductAttention_0"], norm("LayerNorm_0", x)[0]
    out = np.zeros((4, 6))
    for h in range(2):
        q, k, v = (
            y @ attention[part]["kernel"][:, h] + attention[part]["bias"][h]
            for part in ("query", "key", "value")
        )
        weights = np.exp(q @ k.T / np.sqrt(3))
        weights /= weights.sum(-1, keepdims=True)
        out += weights @ v @ attention["out"]["kernel"][h]
    x = x + out + attention["out"]["bias"]
    y = norm("LayerNorm_1", x) @ p["Dense_0"]["kernel"] + p["Dense_0"]["bias"]
    y = 0.5 * y * (1 + np.tanh(np.sqrt(2 / np.pi) * (y + 0.044715 * y**3)))
    want = x + y @ p["Dense_1"]["kernel"] + p["Dense_1"]["bias"]
    np.testing.assert_allclose(got, want, rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_mixer_mixes_patches_then_channels():
    model = MLPMixer(8, 4, 1, 3, 5, 2)
    params = shuffled(init(model, KEY, IMAGES)["params"])
    assert params["TwoLayers_0"]["Dense_0"]["kernel"].shape == (4, 3)  # 4 patches
    assert params["TwoLayers_1"]["Dense_0"]["kernel"].shape == (4, 5)  # 4 channels
    # With the mixing of patches undone, every patch is on its own.
    still = jax.tree.map(jnp.zeros_like, params["TwoLayers_0"])
    alone = {**params, "TwoLayers_0": still}
    moved = jnp.roll(IMAGES, 8, axis=2)
    one, other = (apply(model, {"params": alone}, x) for x in (IMAGES, moved))
    np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
    one, other = (apply(model, {"params": params}, x) for x in (IMAGES, moved))
    assert np.abs(one - other).max() > 1e-4


def test_block_without_projection_adds_to_its_input():
    block, x = Block(8, 1, use_projection=False), jax.random.normal(KEY, (2, 4, 4, 8))
    variables = init(block, KEY, x)
    silent = jax.tree.map(jnp.zeros_like, variables["params"]["Conv_2"])
    params = {**variables["params"], "Conv_2": silent}
    out, _ = apply(block, {**variables, "params": params}, x, mutable="batch_stats")
    np.testing.assert_array_equal(out, x)


def test_projection_sees_the_normalized_input():
    block = Block(8, 2, use_projection=True)
    x = 5 + 3 * jax.random.normal(KEY, (8, 4, 4, 6))
    variables = init(block, KEY, x)
    params = variables["params"]
    # Conv_0 is the projection, Conv_3 the last of the main branch.
    params = {**params, "Conv_3": jax.tree.map(jnp.zeros_like, params["Conv_3"])}
    out, _ = apply(block, {**variables, "params": params}, x, mutable="batch_stats")
    y = np.float64(x)
    y = (y - y.mean((0, 1, 2))) / np.sqrt(y.var((0, 1, 2)) + 1e-5)
    want = np.maximum(y, 0)[:, ::2, ::2] @ np.float64(params["Conv_0"]["kernel"][0, 0])
    np.testing.assert_allclose(out, want, rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_moving_averages_follow_the_batches():
    model = MODELS["resnet"]
    variables = init(model, KEY, IMAGES)
    start = variables["batch_stats"]["Block_0"]["BatchNorm_0"]
    _, after = apply(model, variables, IMAGES, mutable="batch_stats")
    moved = after["batch_stats"]["Block_0"]["BatchNorm_0"]
    assert not np.any(start["mean"])
    assert np.any(moved["mean"])
    # One step of decay 0.9 from variance one.
    assert (moved["var"] >= 0.9).all()
