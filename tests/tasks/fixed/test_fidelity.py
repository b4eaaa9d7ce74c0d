"""Every published task beside what was measured on the published system.

Parameter counts are equal; parameters and losses at initialization are within
sampling error of the measured ones, as `benchmarks/task_fidelity.py` defines it.
"""

import copy
import dataclasses
import json

import numpy as np
import pytest

from benchmarks import task_fidelity
from learned_optimization.tasks import registry
from tests import golden
from tests.tasks.fixed import published_lopt

# One of each kind that compiles fast.
QUICK = {
    "ImageMLPAE_Mnist_128x32x128_bs128",
    "ImageMLP_Cifar10BW8_Relu32",
    "RNNLM_lm1bbytes_Patch32_GRU128_Embed64",
    "RNNLM_lm1bbytes_Patch32_IRNN128_Embed64",
}
# Large ones, whose kinds are trained, or compared at a smaller size, in the slow tests.
LARGE = {
    "MLPMixer_Cifar100_tiny16",
    "Resnet_MultiRuntime_10",
    "TransformerLM_LM1B_5layer_32width",
}
GRU = "RNNLM_lm1bbytes_Patch32_GRU128_Embed64"


def measured_tasks():
    """Names of tasks with measured parameters; one to skip where the file is absent."""
    path = golden.REFERENCE / "golden_tasks.json"
    if not path.exists():
        return sorted(QUICK)
    return [
        name for name, entry in json.loads(path.read_text()).items() if "init" in entry
    ]


def marks(name):
    """Say when a task is compared, by what it costs."""
    if name in QUICK:
        return ()
    return pytest.mark.exhaustive if name in LARGE else pytest.mark.slow


measured_task = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=marks(name)) for name in measured_tasks()]
)


def test_all_published_tasks_were_counted():
    """Their parameters are compared in test_all_fixed_tasks.py.

    Those of learned optimizers are in test_lopt.py.
    """
    assert set(golden.golden_tasks()) == {
        name
        for name, task in registry.all_fixed_tasks().items()
        if task.is_published and name not in published_lopt.NAMES
    }


@measured_task
def test_parameters_and_losses_at_init(name):
    found = task_fidelity.compare_task(name, golden.golden_tasks()[name])
    assert found.has_equal_params
    assert found.leaves_within == found.num_leaves > 0
    assert found.worst_z is not None
    assert found.worst_z <= task_fidelity.MAX_Z
    assert found.loss_z is not None
    assert found.loss_z <= task_fidelity.MAX_Z, found.our_losses
    assert found.is_within


@pytest.fixture(scope="module")
def gru():
    """The measured leaves, and ours."""
    task = registry.get(GRU).make()
    return golden.golden_tasks()[GRU]["init"], task_fidelity._our_leaves(task)


def deviations(gru, place, **factors):
    """Of our leaves from the measured ones, one of which is given other values."""
    measured, ours = copy.deepcopy(gru[0]), gru[1]
    for key, factor in factors.items():
        measured[place][key] *= factor
    return np.array(task_fidelity._match(measured, ours))


@pytest.mark.parametrize(
    ("place", "factor"),
    # The embedding's scale by its size; the kernels' without the correction.
    [(0, 259**-0.5), (1, 0.8796), (2, 0.8796), (2, 1.03)],
)
def test_another_deviation_is_found(gru, place, factor):
    place = [i for i, leaf in enumerate(gru[0]) if leaf["std"]][place]
    far = deviations(gru, place, std=factor) > task_fidelity.MAX_Z
    assert np.flatnonzero(far).tolist() == [place]


@pytest.mark.parametrize("factor", [0.97, 1.03, 1.6])
def test_another_cut_is_found(gru, factor):
    far = deviations(gru, 2, maxabs=factor) > task_fidelity.MAX_Z
    assert np.flatnonzero(far).tolist() == [2]


def test_every_leaf_needs_a_partner_of_its_own(gru):
    measured, ours = gru
    fewer = task_fidelity._match(measured[1:], ours)
    assert np.isinf(fewer).tolist() == [False] * 6 + [True]
    twice = task_fidelity._match(measured * 2, ours)
    assert np.isinf(twice).sum() == 7
    other_shape = copy.deepcopy(measured)
    other_shape[0]["shape"] = [64, 259]
    assert np.isinf(task_fidelity._match(other_shape, ours)).tolist()[:2] == [
        True,
        False,
    ]


def test_other_losses_are_found():
    ours = np.random.default_rng(0).normal(5.6, 0.03, 16)
    assert task_fidelity._loss_z(ours, [5.56, 5.6, 5.65]) < 2
    assert task_fidelity._loss_z(ours, [5.56, 5.6, 5.9]) > task_fidelity.MAX_Z
    assert task_fidelity._loss_z(ours, [5.75, 5.75, 5.75]) > task_fidelity.MAX_Z
    # Where every initialization has one loss, up to rounding.
    assert task_fidelity._loss_z(np.full(16, 6.907755), [6.90776]) == 0
    assert task_fidelity._loss_z(np.full(16, 6.907755), [6.908]) == np.inf


def test_what_is_within():
    [found] = task_fidelity.compare_tasks({GRU: {"parameters": 124_227}})
    assert found.num_leaves == 0
    assert found.is_within
    for other in (
        {"golden_num_params": 124_228},
        {"worst_z": 5.1},
        {"loss_z": 5.1},
        {"worst_z": np.inf},
    ):
        assert not dataclasses.replace(found, **other).is_within


def test_deviations_are_in_standard_errors():
    """Samples of one distribution, whichever, are as far apart as they should be."""
    rng = np.random.default_rng(0)
    draw = {
        "normal": lambda shape: rng.normal(0.1, 2, shape),
        "uniform": lambda shape: rng.uniform(-1, 1, shape),
        "skewed": lambda shape: rng.exponential(1, shape),
    }
    for make in draw.values():
        far = []
        for _ in range(400):
            theirs, ours = make((3, 20, 30)), make((3, 20, 30))
            golden_leaf = {
                "shape": [20, 30],
                "mean": theirs.mean(),
                "std": theirs.std(),
                "maxabs": np.abs(ours).max(),
            }
            far.append(task_fidelity._leaf_z(golden_leaf, task_fidelity._leaf(ours)))
        # The larger of two deviations, each beyond 1.96 of its standard errors in one
        # of twenty samples: together in about one of ten.
        assert 0.05 < np.mean(np.array(far) > 1.96) < 0.16


def test_batches_are_as_described():
    """By the recipe, written out for one text task and two image tasks."""
    task = registry.get("RNNLM_lm1bbytes_Patch32_IRNN128_Embed64").make()
    batch = task_fidelity.random_batch(task)
    # The CRC-32 of that name, modulo 2**31.
    random = np.random.RandomState(301_642_044)
    tokens = random.randint(1, 259, (4, 33))
    tokens[0, 25:] = 0
    np.testing.assert_array_equal(batch["obs"], tokens[:, :-1])
    np.testing.assert_array_equal(batch["target"], tokens[:, 1:])
    for name, shape in (
        ("ImageMLP_Cifar10BW8_Relu32", (32, 8, 8, 1)),
        ("ImageMLP_Cifar10_128x128x128_Relu_MSE", (8, 32, 32, 3)),
    ):
        batch = task_fidelity.random_batch(registry.get(name).make())
        assert batch["image"].shape == shape
        assert batch["image"].dtype == np.float32
        assert batch["label"].shape == shape[:1]
        assert 0 <= batch["label"].min() <= batch["label"].max() < 10
