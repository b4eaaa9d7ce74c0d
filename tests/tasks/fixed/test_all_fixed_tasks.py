"""What holds for every fixed task; a new one is tested by being registered.

Every task is checked by shapes alone; those a laptop can train are trained, most
of them in the slow tests, on made-up data where the real one is not available.
"""

import dataclasses
from functools import cache
from typing import Any

import gin
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from learned_optimization.errors import UnknownNameError
from learned_optimization.eval_training import multi_trial_training_curves
from learned_optimization.optimizers.optax_opts import Adam
from learned_optimization.tasks import registry
from learned_optimization.tasks.base import get_task_from_name
from learned_optimization.tasks.cost import cost
from learned_optimization.tasks.datasets.base import ArrayData
from learned_optimization.tasks.es_wrapper import ESTask
from learned_optimization.tasks.models.classification import ImageClassificationTask
from learned_optimization.tasks.wrapped_task import WrappedTask
from learned_optimization.training import whole_splits
from tests import golden
from tests.tasks.fixed import published, published_lopt
from tests.tiny import data_of

TASKS = registry.all_fixed_tasks()
KEY = jax.random.PRNGKey(0)

# One of each kind that compiles fast; the others are trained in the slow tests.
TRAINED_QUICKLY = {
    "Conv_Cifar10_8_16x32",
    "ImageMLP_Cifar10BW8_Relu32",
    "ImageMLP_FashionMnist8_Relu32",
}
ONE_STEP_QUICKLY = TRAINED_QUICKLY | {
    "Conv_Cifar10_32x64x64_batchnorm",
    "ESWrapped_1pair_ImageMLP_FashionMnist8_Relu32",
    "ImageMLPAE_FashionMnist_128x32x128_bs128",
    "ImageMLP_Cifar10_128x128x128_BatchNorm_Tanh",
    "RNNLM_lm1bbytes_Patch32_IRNN128_Embed64",
    "TransformerLM_kjvbytes_1layer_64width",
}
TRACED_QUICKLY = {
    "LOpt_LearnableAdam_Cifar10_8_50",
    "LOptPES_Adafac_Fashion_OuterBS4_Length50_Trunc5",
}
# Learned optimizers are meta-trained in test_lopt.py; one of each kind has a step here.
ONE_META_STEP = {
    "LOpt_AdafacMLPLOpt_FashionMnist_20",
    "LOpt_ES4_AdafacMLPLOpt_FashionMnist_20",
    "LOptPES_Adafac_Cifar_OuterBS4_Length50_Trunc5",
}
# What takes too long, or too much memory, on a small machine: beyond the first
# limit a task is trained by the exhaustive tests only (`pytest -m exhaustive`),
# beyond the second it is checked by shapes only.
MAX_PARAMS_TRAINED = 2_000_000
MAX_PARAMS_ONE_STEP = 15_000_000
TRAINED_THOUGH_LARGE = {
    "MLPMixer_Cifar100_tiny16",
    "RNNLM_lm1b32k_Patch32_LSTM256_Embed128",
}
# Tasks of one form in many sizes, whose programs take long: the smallest are trained
# in the slow tests, the others are given one step there.
TRAINED_BY_ANOTHER_SIZE = {
    *(f"Resnet_MultiRuntime_{size}" for size in range(1, 10)),
    "ESWrapped_8pair_ImageMLP_Cifar10_128x128x128_Relu",
    "ESWrapped_8pair_ImageMLP_Mnist_128x128x128_Relu",
    "ESWrapped_1pair_ImageMLP_Mnist_128x128x128_Relu",
    "Conv_Cifar100_32x64x64_Tanh",
    "Conv_Cifar10_32x64x64_Tanh",
    "Conv_Cifar10_16_32x64x64",
    "Conv_Cifar100_32x64x64",
    "Conv_imagenet16_16_64x128x128x128",
    "Conv_imagenet32_16_32x64x64",
    "ImageMLPAE_Cifar10_256x256x256_bs1024",
    "RNNLM_kjvbytes_Patch32_GRU128_Embed64",
    "RNNLM_kjvbytes_Patch32_LSTM128_Embed64",
    "RNNLM_lm1bbytes_Patch128_LSTM128_Embed64",
    "RNNLM_lm1bbytes_Patch32_GRU256_Embed128",
    "RNNLM_lm1bbytes_Patch32_LSTM256_Embed128",
    "RNNLM_wikipediaenbytes_Patch32_GRU256_Embed128",
    "RNNLM_wikipediaenbytes_Patch32_LSTM256_Embed128",
    "TransformerLM_LM1B_MultiRuntime_1",
    "TransformerLM_kjvbytes_1layer_64width",
    "TransformerLM_kjvbytes_2layer_128width",
    "VIT_Cifar100_skinnydeep",
    # Those that are held out.
    *(name for name, task in TASKS.items() if task.module.endswith("laptop_heldout")),
}
# Sizes between the smallest and the largest of a form, and the same form on other
# images: what is no more than one step of them is left to the exhaustive tests.
ONE_STEP_BY_ANOTHER_SIZE = {
    *(f"Resnet_MultiRuntime_{size}" for size in range(1, 10)),
    *(f"TransformerLM_LM1B_MultiRuntime_{size}" for size in range(2, 8)),
    "TransformerLM_LM1B_5layer_128width",
    *(
        f"VIT_{images}_{form}"
        for images in ("Food101_64", "ImageNet64")
        for form in ("skinnydeep", "wideshallow")
    ),
    *(f"MLPMixer_Food101_64_{form}" for form in ("tiny16", "bs256_tiny16")),
    "MLPMixer_ImageNet64_bs256_tiny16",
    *(
        f"RNNLM_wikipediaen32k_Patch32_{cell}_Embed128"
        for cell in ("GRU256", "LSTM256")
    ),
}
MAX_FLOPS = 2e9


@cache
def shapes(name):
    """Parameters, model state, loss and auxiliary values, as shapes."""
    task = TASKS[name].make()
    params, state = jax.eval_shape(task.init_with_state, KEY)
    out = jax.eval_shape(
        task.loss_with_state_and_aux, params, state, KEY, data_of(task).abstract_batch
    )
    return params, state, *out


def size(tree):
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


def up_to(limit):
    """Return names of the tasks of at most so many parameters."""

    def num_params(name):
        # In closed form: to trace every task takes half a minute.
        if name in published_lopt.NAMES:
            return published_lopt.num_params(name)
        is_ours = name not in published.TABLE
        return size(shapes(name)[0]) if is_ours else published.num_params(name)

    return {name for name in TASKS if num_params(name) <= limit}


def some_tasks(slow, quick, among=None):
    """Tasks of at most `MAX_PARAMS_ONE_STEP` parameters, marked by what they cost."""

    def marks(name):
        if name in quick:
            return ()
        return pytest.mark.slow if name in slow else pytest.mark.exhaustive

    names = sorted(up_to(MAX_PARAMS_ONE_STEP) & (among or set(TASKS)))
    return pytest.mark.parametrize(
        "name", [pytest.param(name, marks=marks(name)) for name in names]
    )


every_task = pytest.mark.parametrize("name", TASKS)
# To trace whole inner runs takes seconds.
every_traced_task = pytest.mark.parametrize(
    "name",
    [
        pytest.param(
            name,
            marks=pytest.mark.slow
            if name in published_lopt.NAMES and name not in TRACED_QUICKLY
            else (),
        )
        for name in TASKS
    ],
)
published_task = pytest.mark.parametrize("name", published.TABLE)
SUPERVISED = TASKS.keys() - set(published_lopt.NAMES)
TRAINED = (up_to(MAX_PARAMS_TRAINED) | TRAINED_THOUGH_LARGE) - TRAINED_BY_ANOTHER_SIZE
# What an IRNN's loss is at first depends on the draw more than on the batch.
WIDE_AT_INIT = {name for name in published.TABLE if "IRNN" in name}
# To train a task is more than to give it one step.
one_step_task = some_tasks(
    ((up_to(MAX_PARAMS_ONE_STEP) & SUPERVISED) - (TRAINED - WIDE_AT_INIT))
    - ONE_STEP_BY_ANOTHER_SIZE
    | ONE_META_STEP,
    ONE_STEP_QUICKLY,
)
trained_task = some_tasks(TRAINED, TRAINED_QUICKLY, SUPERVISED)


def affordable(task):
    """The task with batches that a test can afford."""
    share = min(1.0, MAX_FLOPS / cost(task).flops)
    batch_size = max(4, int(share * task.datasets.batch_size))
    return with_batch_size(task, min(batch_size, task.datasets.batch_size))


def with_batch_size(task, batch_size):
    if isinstance(task, WrappedTask):
        # Of one that trains inner runs, a batch is many of the inner task's.
        count = data_of(task).batch_size // data_of(task.task).batch_size
        inner = with_batch_size(task.task, max(1, batch_size // count))
        return dataclasses.replace(task, task=inner)
    datasets = dataclasses.replace(task.datasets, batch_size=batch_size)
    return dataclasses.replace(task, datasets=datasets)


def test_registered_and_published_tasks_are_the_same():
    ours = {name for name, task in TASKS.items() if task.is_published}
    assert ours == published.TABLE.keys() | set(published_lopt.NAMES)
    assert (len(published.TABLE), len(published_lopt.NAMES), len(ours)) == (
        106,
        23,
        129,
    )
    assert TASKS.keys() >= ONE_STEP_QUICKLY | ONE_STEP_BY_ANOTHER_SIZE
    assert TASKS.keys() >= TRAINED_BY_ANOTHER_SIZE


@published_task
def test_batches_are_the_published_ones(name):
    data, row = data_of(TASKS[name].make()), published.settings(name)
    batch = data.abstract_batch
    assert {f: a.shape for f, a in batch.items()} == published.batch_shapes(name)
    assert data.batch_size == row["batch_size"]
    wanted = row["dataset"].split(" (")[0].rstrip("0123456789") + "_"
    if published.is_image(row) and not wanted.startswith("imagenet"):
        wanted = row["dataset"].split(" (")[0] + "_"
    if not published.is_image(row):
        wanted = row["dataset"].replace("wikipediaen", "wikipedia").replace(" ", "_")
    assert f"{data.name}_".startswith(wanted)
    info = data.extra_info
    field = "num_classes" if published.is_image(row) else "vocab_size"
    assert info[field] == published.num_outputs(row)


@published_task
def test_numbers_of_parameters_and_of_state(name):
    params, state, *_ = shapes(name)
    assert size(params) == published.num_params(name)
    assert {a.dtype for a in jax.tree.leaves(params)} == {jnp.dtype("float32")}
    assert size(state) == published.num_state(name)


@published_task
def test_as_many_parameters_as_measured(name):
    entry = golden.golden_tasks()[name]
    assert size(shapes(name)[0]) == entry["parameters"]
    assert data_of(TASKS[name].make()).extra_info == entry["info"]


@published_task
def test_settings_that_shapes_do_not_tell(name):
    # Each architecture has settings of its own.
    task: Any = TASKS[name].make()
    row = published.settings(name)
    if "base_task" in published.TABLE[name]:
        wrapper, task = task, task.task
        assert wrapper.std == 0.01
        assert wrapper.n_pairs == published.TABLE[name]["pairs"]
        assert task == TASKS[published.TABLE[name]["base_task"]].make()
    if "activation" in row:
        activation = {"relu": jax.nn.relu, "tanh": jnp.tanh}[row["activation"]]
        assert task.activation is activation
    rate = row.get("dropout", row.get("dropout_rate", 0))
    assert getattr(task, "dropout", 0) == rate
    if "num_heads" in row:
        assert task.num_heads == row["num_heads"]
    if "heads" in row:
        assert task.num_heads == row["heads"]
    if "cell" in row:
        assert (task.cell, task.hidden) == published.cell_of(row)
    if row["model"] == "ResNet":
        assert task.use_max_pool == row["max_pool"]
        assert task.stem_stride == row["initial_conv_stride"]
    norm = row.get("norm", "None").split()[0]
    kinds = {"LayerNorm": "layer", "BatchNorm": "batch", "None": None}
    assert getattr(task, "norm", None) == kinds[norm]


@every_traced_task
def test_losses_are_scalars(name):
    _, state, loss, state_after, aux = shapes(name)
    assert (loss.shape, loss.dtype) == ((), jnp.float32)
    assert state_after == state
    assert all(value.shape == () for value in aux.values())
    assert ("accuracy" in aux) == classifies(name)


def classifies(name):
    """Return whether a task has labels, and a loss that makes them likely."""
    task: Any = TASKS[name].make()
    if "num_classes" not in data_of(task).extra_info:
        return False
    if name in published.TABLE:
        return "cross entropy" in published.settings(name)["loss"]
    while isinstance(task, ESTask):
        task = task.task
    is_mse = getattr(task, "loss_kind", None) == "mse"
    return isinstance(task, ImageClassificationTask) and not is_mse


@every_task
def test_name_is_the_registered_one_however_it_is_made(name):
    made = TASKS[name]
    by_gin = gin.get_configurable(name)
    for task in (made.make(), get_task_from_name(name), by_gin()):
        assert task.name == made.name == name
    assert made.summary.endswith(".")


@every_task
def test_making_and_asking_reads_nothing(name, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("data was read")

    monkeypatch.setattr(ArrayData, "__init__", refuse)
    data = data_of(TASKS[name].make())
    monkeypatch.setattr(type(data), "load", refuse)
    assert data.abstract_batch.keys() in (
        {"image", "label"},
        {"obs", "target"},
        {"offset"},
    )
    assert set(data.extra_info) <= {"num_classes", "vocab_size"}
    data.is_available()
    with pytest.raises(AssertionError, match="data was read"):
        next(data.train)


@every_task
def test_made_twice_it_is_equal(name):
    one, other = TASKS[name].make(), TASKS[name].make()
    assert one is not other
    assert one == other
    assert hash(one) == hash(other)


def test_different_tasks_differ():
    assert len({task.make() for task in TASKS.values()}) == len(TASKS)


LOSSES = [
    -np.inf,
    -1,
    0,
    0.25,
    0.9999,
    1,
    2.3,
    3.4,
    3.46,
    7.1,
    30,
    1e30,
    np.inf,
    np.nan,
]


@every_task
def test_normalizer(name):
    normalizer = TASKS[name].make().normalizer
    got = normalizer(jnp.array(LOSSES, jnp.float32))
    in_order = [value for value, loss in zip(got, LOSSES, strict=True) if loss > 0]
    assert in_order == sorted(in_order)
    if name in published.TABLE:
        want = published.normalized(name, np.array(LOSSES, np.float32))
        if published.settings(name)["model"] == "conv":
            # Minus infinity is named for the MLPs only; it never occurs.
            got, want = got[1:], want[1:]
        np.testing.assert_allclose(got, want, rtol=2e-6)


def use_made_up_data_if_needed(task, monkeypatch):
    if not task.datasets.is_available():
        monkeypatch.setenv("LOPT_SYNTHETIC_DATA", "1")


@one_step_task
def test_one_loss_and_gradient(name, monkeypatch):
    task = affordable(TASKS[name].make())
    use_made_up_data_if_needed(task, monkeypatch)
    batch = next(data_of(task).train)
    params, state = jax.jit(task.init_with_state)(KEY)
    step = jax.jit(jax.value_and_grad(task.loss_with_state, has_aux=True))
    (loss, state_after), grads = step(params, state, KEY, batch)
    for leaf in jax.tree.leaves((params, state, loss, state_after, grads)):
        assert np.isfinite(leaf).all()
    assert jax.tree.map(jnp.shape, grads) == jax.tree.map(jnp.shape, params)
    assert jax.tree.map(jnp.shape, state_after) == jax.tree.map(jnp.shape, state)
    assert any(np.any(leaf) for leaf in jax.tree.leaves(grads))
    if name in published.TABLE:
        low, high = published.loss_at_init(name, batch)
        assert low <= float(loss) <= high
    (again, _), _ = step(params, state_after, KEY, batch)
    if published_dropout(task) == 0 and "LOptPES" not in name:
        # The moving averages are kept, but nothing is computed from them.
        np.testing.assert_allclose(again, loss, rtol=1e-6)


def published_dropout(task):
    return getattr(task, "dropout", 0)


@trained_task
def test_engine_learns(name, monkeypatch, quick_compilation):
    task = affordable(TASKS[name].make())
    is_estimated = isinstance(task, ESTask)
    if is_estimated or size(shapes(name)[0]) > 1_000_000:
        # Here code that is not optimized would cost more than it saves.
        jax.config.update("jax_disable_most_optimizations", False)
    use_made_up_data_if_needed(task, monkeypatch)
    # Whole splits would take far longer than so few steps.
    monkeypatch.setattr(whole_splits, "MOST_EXAMPLES", 64)
    # Estimated gradients are noisy: they need more steps.
    num_steps = 600 // task.n_pairs if is_estimated else 20
    opts = [Adam(learning_rate=lr) for lr in (1e-3, 1e-2)]
    curves = multi_trial_training_curves(
        task,
        opts,
        num_steps,
        [jax.random.PRNGKey(0)],
        eval_every=num_steps,
        eval_batches=2,
        last_eval_batches=2,
    ).curves
    if name in published.TABLE.keys() - WIDE_AT_INIT:
        low, high = published.loss_at_init(name, next(data_of(task).train))
        at_init = curves["eval/train/loss"][..., 0]
        assert ((low <= at_init) & (at_init <= high)).all()
    for split in ("train", "outer_valid", "test"):
        loss = curves[f"eval/{split}/loss"]
        assert np.isfinite(loss).all()
        assert loss[..., -1].min() < 0.97 * loss[..., 0].max()
        assert (curves[f"final/num_examples/{split}"] == 64).all()
        assert np.isfinite(curves[f"final/{split}/loss"]).all()


def test_unknown_name_gives_the_nearest():
    with pytest.raises(UnknownNameError) as error:
        get_task_from_name("ImageMLP_FashionMnist8_Relu23")
    message = str(error.value)
    assert "unknown task 'ImageMLP_FashionMnist8_Relu23'" in message
    assert "did you mean ImageMLP_FashionMnist8_Relu32 or" in message
