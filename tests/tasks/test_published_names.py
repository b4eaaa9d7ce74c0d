"""The names and parameters of the published modules, as facts: what a script may use.

A name is listed with the parameters it is given by keyword; `None` where it is no
function. What is not here on purpose is listed with them, and has to say so.
"""

import inspect
from importlib import import_module

import gin
import pytest

from learned_optimization.errors import AbsentError
from learned_optimization.tasks.fixed import all as all_tasks
from learned_optimization.tasks.registry import all_fixed_tasks
from tests.golden import golden_tasks

_IMAGES = (
    "batch_size image_size normalize_mean normalize_std prefetch_batches "
    "shuffle_buffer_size convert_to_black_and_white"
)
_TEXTS = "batch_size sequence_length"
NAMES = {
    "tasks.base": {
        "Batch": None,
        "ModelState": None,
        "PRNGKey": None,
        "Params": None,
        "SampledCfg": None,
        "SampledTaskFamily": "",
        "StaticCfg": None,
        "Task": "",
        "TaskCfg": None,
        "TaskFamily": "",
        "get_task": "task_family task_family_seed sample_task_family_fn "
        "sample_task_family_fn_seed",
        "sample_single_task_family": "key task_family",
        "sample_task_family_from_task_fns": "key task_fns",
        "single_task_to_family": "task name eval_task",
        "softmax_cross_entropy": "logits labels",
    },
    "tasks.es_wrapper": {
        "ESTask": "task std n_pairs",
        "ESTaskFamily": "task_family std n_pairs",
        "antithetic_es_value_and_grad": "loss_fn has_aux std vec_aux vmap",
        "multi_antithetic_es_value_and_grad": "loss_fn has_aux std n_pairs",
    },
    "tasks.task_augmentation": {
        "AsyncDelayedGradients": "task delay_steps",
        "AsyncDelayedGradientsTaskFamily": "task_family delay_steps",
        "ConvertFloatDType": "task dtype",
        "ConvertFloatDTypeTaskFamily": "task_family dtype",
        "ModifyTaskGradient": "task fn",
        "NormalizeTaskGradient": "task",
        "NormalizeTaskGradientTaskFamily": "task_family",
        "ReducedBatchsizeFamily": "task_family fraction_of_batchsize",
        "ReducedBatchsizeTask": "task fraction_of_batchsize",
        "ReparamWeights": "task param_scale",
        "ReparamWeightsFamily": "task_family level param_scale_range",
        "SubsampleDirectionsTaskGradient": "task directions sign_direction",
        "SubsampleDirectionsTaskGradientTaskFamily": "task_family directions "
        "sign_direction",
        "WrappedTaskFamilyWithTaskWrapper": "task_family task_wrapper name",
    },
    "tasks.quadratics": {
        "BatchQuadraticTask": "",
        "FixedDimQuadraticFamily": "dim",
        "FixedDimQuadraticFamilyData": "dim",
        "LogQuadraticTask": "",
        "NoisyQuadraticFamily": "dim cov",
        "QuadraticTask": "dim",
        "SumQuadraticTask": "",
        "batch_datasets": "",
        "noise_datasets": "",
    },
    "tasks.datasets.base": {
        "Batch": None,
        "Datasets": "train inner_valid outer_valid test extra_info abstract_batch",
        "LazyDataset": "dataset_fn",
        "LazyIterator": "fn",
        "ThreadSafeIterator": "iterator",
        "dataset_lru_cache": "fn",
        "dataset_lru_cache_clear": "",
        "datasets_map": "fn datasets",
    },
    "tasks.datasets.image": {
        "cifar100_datasets": _IMAGES,
        "cifar10_datasets": _IMAGES,
        "fashion_mnist_datasets": f"{_IMAGES} stack_channels",
        "food101_datasets": _IMAGES,
        "imagenet16_datasets": _IMAGES,
        "imagenet32_datasets": _IMAGES,
        "imagenet64_datasets": _IMAGES,
        "mnist_datasets": f"{_IMAGES} stack_channels",
        "svhn_cropped_datasets": _IMAGES,
    },
    "tasks.datasets.language": {
        "get_bytes_vocab": "",
        "lm1b_32k_datasets": _TEXTS,
        "lm1b_bytes_datasets": _TEXTS,
        "wikipedia_en_32k_datasets": _TEXTS,
        "wikipedia_en_bytes_datasets": _TEXTS,
    },
}
# They read files of tensorflow, or name a file in another project's bucket.
ABSENT = {
    "tasks.datasets.base": (
        "get_tfrecord_data_dir",
        "preload_tfds_image_classification_datasets",
        "tfds_image_classification_datasets",
        "tfrecord_image_classification_datasets",
    ),
    "tasks.datasets.language": (
        "DEFAULT_EXTRA_IDS",
        "DEFAULT_SPM_PATH",
        "get_32k_sentence_piece_vocab",
    ),
}
CONFIGURED = {
    "tasks.base": (
        "get_task",
        "sample_single_task_family",
        "sample_task_family_from_task_fns",
        "single_task_to_family",
    ),
    "tasks.es_wrapper": ("ESTask", "ESTaskFamily"),
    "tasks.task_augmentation": tuple(
        name
        for name in NAMES["tasks.task_augmentation"]
        if name != "WrappedTaskFamilyWithTaskWrapper"
    ),
    "tasks.quadratics": tuple(
        name for name in NAMES["tasks.quadratics"] if name[0].isupper()
    ),
    "tasks.datasets.image": tuple(NAMES["tasks.datasets.image"]),
    "tasks.datasets.language": tuple(
        name for name in NAMES["tasks.datasets.language"] if name != "get_bytes_vocab"
    ),
}


def pairs(table):
    return [(module, name) for module, names in table.items() for name in names]


@pytest.mark.parametrize(("module", "name"), pairs(NAMES))
def test_a_published_name_is_here_with_its_parameters(module, name):
    found = getattr(import_module(f"learned_optimization.{module}"), name)
    parameters = NAMES[module][name]
    if parameters is not None:
        assert callable(found)
        given = dict.fromkeys(parameters.split())
        inspect.signature(found).bind_partial(**given)


@pytest.mark.parametrize(("module", "name"), pairs(ABSENT))
def test_what_is_absent_on_purpose_says_so(module, name):
    imported = import_module(f"learned_optimization.{module}")
    with pytest.raises(AbsentError, match=f"{name} is not part of this package: it"):
        getattr(imported, name)
    with pytest.raises(ImportError, match=f"{name} is not part of this package"):
        exec(f"from learned_optimization.{module} import {name}", {})
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = imported.nothing


@pytest.mark.parametrize(("module", "name"), pairs(CONFIGURED))
def test_gin_configures_by_the_published_name(module, name):
    import_module(f"learned_optimization.{module}")
    parameter = next(iter(inspect.signature(configured(module, name)).parameters))
    for selector in (name, f"learned_optimization.{module}.{name}"):
        gin.parse_config(f"{selector}.{parameter} = 1")
        assert gin.query_parameter(f"{name}.{parameter}") == 1
        gin.clear_config()


def configured(module, name):
    return getattr(import_module(f"learned_optimization.{module}"), name)


def test_every_fixed_task_is_under_one_roof():
    for name, task in all_fixed_tasks().items():
        assert getattr(all_tasks, name) is task.make
        module = task.module.rpartition(".")[2]
        gin.parse_config(f"inner = @learned_optimization.tasks.fixed.{module}.{name}()")


def test_every_published_task_is_under_one_roof():
    for name in golden_tasks():
        assert callable(getattr(all_tasks, name))
