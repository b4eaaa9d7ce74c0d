"""The published settings of the fixed tasks, and what follows from them.

`published_tasks.json` is the table as published; every number below is worked out
from it by hand-written formulas, in plain Python and float64.
"""

import itertools
import json
import math
import re
from pathlib import Path

import numpy as np

TABLE = json.loads((Path(__file__).parent / "published_tasks.json").read_text())

# Height and width, channels, classes.
IMAGES = {
    "mnist": (1, 10),
    "fashion_mnist": (1, 10),
    "cifar10": (3, 10),
    "cifar10 (mean of the channels: 1 channel)": (1, 10),
    "cifar100": (3, 100),
    "food101": (3, 101),
    "imagenet16": (3, 1000),
    "imagenet32": (3, 1000),
    "imagenet64": (3, 1000),
}


def settings(name):
    """The row of a task; for a wrapped one, that of its base task."""
    row = TABLE[name]
    return TABLE[row["base_task"]] if "base_task" in row else row


def is_image(row):
    return row["dataset"] in IMAGES


def batch_shapes(name):
    row = settings(name)
    if is_image(row):
        channels, _ = IMAGES[row["dataset"]]
        size, batch = row["image_size"], row["batch_size"]
        return {"image": (batch, size, size, channels), "label": (batch,)}
    shape = (row["batch_size"], row["sequence_length"])
    return {"obs": shape, "target": shape}


def num_outputs(row):
    if is_image(row):
        return IMAGES[row["dataset"]][1]
    return {"bytes": 259, "32k": 32_100}[row["dataset"].split()[1]]


def dense(inputs, outputs):
    return (inputs + 1) * outputs


def num_params(name):
    """The number of parameters, from the architecture by hand."""
    row = settings(name)
    return _COUNTS[row["model"]](row, num_outputs(row))


def _mlp(row, outputs):
    channels, _ = IMAGES[row["dataset"]]
    pixels = row["image_size"] ** 2 * channels
    if row["model"] == "mlp autoencoder":
        outputs = pixels
    n = [pixels, *row["hidden"], outputs]
    scales = 2 * sum(row["hidden"]) if "norm" in row else 0
    return scales + sum(dense(a, b) for a, b in itertools.pairwise(n))


def _conv(row, classes):
    n = [IMAGES[row["dataset"]][0], *row["channels"]]
    convolutions = sum(9 * a * b + b for a, b in itertools.pairwise(n))
    scales = 2 * sum(row["channels"]) if "norm" in row else 0
    return convolutions + scales + dense(n[-1], classes)


def _resnet(row, classes):
    total = row["initial_conv_kernel_size"] ** 2 * 3 * 64
    inputs = 64
    for blocks, channels in zip(
        row["blocks_per_group"], row["channels_per_group"], strict=True
    ):
        for block in range(blocks):
            inner = channels // 4
            total += 2 * inputs + inputs * inner  # norm, 1x1
            total += 2 * inner + 9 * inner**2  # norm, 3x3
            total += 2 * inner + inner * channels  # norm, 1x1
            total += inputs * channels if block == 0 else 0  # projection
            inputs = channels
    return total + 2 * inputs + dense(inputs, classes)


def _patches(row):
    per_patch = row["patch"] ** 2 * IMAGES[row["dataset"]][0]
    return (row["image_size"] // row["patch"]) ** 2, dense(per_patch, row["hidden"])


def _mixer(row, classes):
    num_patches, embedding = _patches(row)
    width, tokens, channels = row["hidden"], row["tokens_mlp"], row["channels_mlp"]
    block = 4 * width  # two norms
    block += dense(num_patches, tokens) + dense(tokens, num_patches)
    block += dense(width, channels) + dense(channels, width)
    return embedding + row["blocks"] * block + 2 * width + dense(width, classes)


def _vit(row, classes):
    num_patches, embedding = _patches(row)
    width = row["hidden"]
    layer = 4 * width + 4 * dense(width, width)
    layer += dense(width, row["mlp"]) + dense(row["mlp"], width)
    tokens = width + (num_patches + 1) * width  # class token, positions
    return (
        embedding + tokens + row["layers"] * layer + 2 * width + dense(width, classes)
    )


def cell_of(row):
    match = re.fullmatch(r"([A-Za-z]+)(\d+)", row["cell"])
    assert match is not None
    kind, width = match.groups()
    return kind, int(width)


def _rnn(row, vocab):
    (kind, h), e = cell_of(row), row["embedding"]
    cell = {
        "VanillaRNN": dense(e, h) + dense(h, h),
        "IRNN": dense(e, h) + dense(h, h),
        "LSTM": dense(e + h, 4 * h),
        "GRU": 3 * h * (e + h + 1),
    }[kind]
    state = 2 * h if kind == "LSTM" else h
    return vocab * e + cell + state + dense(h, vocab)


def _transformer(row, vocab):
    d, keys = row["d_model"], 32 * row["num_heads"]
    layer = 4 * d + 3 * dense(d, keys) + dense(keys, d)
    layer += dense(d, 4 * d) + dense(4 * d, d)
    return vocab * d + row["num_layers"] * layer + 2 * d + dense(d, vocab)


_COUNTS = {
    "mlp": _mlp,
    "mlp autoencoder": _mlp,
    "conv": _conv,
    "ResNet": _resnet,
    "MLP-Mixer": _mixer,
    "Vision Transformer": _vit,
    "teacher-forced RNN language model, learned initial state": _rnn,
    "decoder-only transformer": _transformer,
}


def num_state(name):
    """Numbers in the model state: two moving averages a normalized channel."""
    row = settings(name)
    if "BatchNorm" in row.get("norm", ""):
        if row["model"] == "conv":
            return 2 * sum(row["channels"])
        if row["norm"].startswith("BatchNorm"):
            return 2 * sum(row["hidden"])
    if row["model"] == "ResNet":
        total, inputs = 0, 64
        for blocks, channels in zip(
            row["blocks_per_group"], row["channels_per_group"], strict=True
        ):
            for _ in range(blocks):
                total += inputs + 2 * (channels // 4)
                inputs = channels
        return 2 * (total + inputs)
    return 0


def normalized(name, losses):
    """The normalizer of a task's family, in float64."""
    row, losses = settings(name), np.asarray(losses, np.float64)
    is_finite = np.isfinite(losses)
    model, classes = row["model"], num_outputs(row)
    if model == "mlp autoencoder":
        return np.clip(np.where(np.isnan(losses), 1, losses), 0, 1)
    if "squared error" in row["loss"]:
        return 10 * np.minimum(np.where(is_finite, losses, 1), 1)
    if model in ("mlp", "conv"):
        worst = 1.5 * math.log(classes)
        return np.clip(np.where(is_finite, losses, worst), 0, worst)
    if model in ("MLP-Mixer", "Vision Transformer"):
        worst = math.log(2 * classes)
        return np.clip(10 * np.where(is_finite, losses, worst) / worst, 0, 10)
    return losses


def num_targets(batch):
    """Different tokens predicted: a token's logits are alike wherever it stands."""
    return len(np.unique(batch["target"]))


def loss_at_init(name, batch):
    """The range the mean loss of fresh parameters must lie in."""
    row = settings(name)
    model, log_outputs = row["model"], math.log(num_outputs(row))
    if model in ("ResNet", "MLP-Mixer", "Vision Transformer"):
        # The last layer starts at zero.
        return log_outputs - 1e-4, log_outputs + 1e-4
    if model == "mlp autoencoder":
        # Every output is near one half.
        error = np.mean(np.square(0.5 - np.float64(batch["image"])))
        return 0.9 * error, 1.15 * error
    if "squared error" in row["loss"]:
        # One of the labels is 1; the logits add their variance, and what is kept of
        # the hidden units is scaled up by as much as is dropped.
        kept = 1 - row.get("dropout", 0)
        return 0.8 / num_outputs(row), 1 / num_outputs(row) + 0.3 / kept
    if model == "decoder-only transformer":
        # Unit-variance features times weights of variance 0.77 / width make logits
        # of variance 0.77, which add half of that (less a little) to the entropy.
        noise = 4 * math.sqrt(0.77 / num_targets(batch))
        return log_outputs + 0.2 - noise, log_outputs + 0.5 + noise
    if "RNN" in model and cell_of(row)[0] == "IRNN":
        # Its state is a sum over the sequence, and the logits grow with it: as
        # published, 8.2 to 8.9 for bytes and 13.2 for pieces. Few texts make it noisy.
        published = {259: 8.55, 32_100: 13.2}[num_outputs(row)]
        noise = 4 / math.sqrt(len(batch["obs"]))
        return published - 0.4 - noise, published + 0.4 + noise
    if "RNN" in model:
        # The embedded tokens' variance is 0.77 and no cell makes that of the state
        # larger: half that of the logits, and a little, is added to the entropy.
        noise = 4 * math.sqrt(0.3 / num_targets(batch))
        return log_outputs - 0.01 - noise, log_outputs + 0.3 + noise
    # At most as much is added where a norm stands before the last layer, and no
    # more than a little elsewhere; few examples make it noisy.
    noise = 4 * math.sqrt(0.77 / len(batch["label"])) if "norm" in row else 0.15
    return log_outputs - noise, log_outputs + 0.4 + noise
