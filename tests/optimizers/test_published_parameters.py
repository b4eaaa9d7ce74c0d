"""Parameters of the published optimizers: there, or explained."""

import inspect
from typing import Any

import pytest

from learned_optimization import configuration
from learned_optimization.baselines.sets import define
from learned_optimization.errors import LoptError
from learned_optimization.optimizers import base, optax_opts
from learned_optimization.optimizers import learning_rate_schedules as schedules
from learned_optimization.optimizers.base import all_optimizers, get_optimizer

# Every gin parameter of the published optimizers, with its published default.
REQUIRED = object()
ADAM = {"beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8, "epsilon_root": 1e-8}
B = {"b1": 0.9, "b2": 0.999, "eps": 1e-8}
PUBLISHED: dict[str, dict[str, Any]] = {
    "SGD": {"learning_rate": 0.01},
    "SGDM": {"learning_rate": 0.01, "momentum": 0.9},
    "Adam": {"learning_rate": 0.01, **ADAM},
    "PiecewiseLinearAdam": {"times": (10000, 20000), "lrs": (1e-4, 1e-5), **ADAM},
    "RMSProp": {
        "learning_rate": 0.01,
        "decay": 0.9,
        "epsilon": 1e-8,
        "momentum": 0.0,
        "nesterov": False,
    },
    "AdaBelief": {"learning_rate": 0.01, **B, "eps": 1e-16, "eps_root": 1e-16},
    "AdamW": {
        "learning_rate": REQUIRED,
        **B,
        "eps_root": 0.0,
        "mu_dtype": None,
        "weight_decay": 1e-4,
        "mask": None,
    },
    "Fromage": {"learning_rate": REQUIRED, "min_norm": 1e-6},
    "Lars": {
        "learning_rate": REQUIRED,
        "weight_decay": 0.0,
        "weight_decay_mask": True,
        "trust_coefficient": 0.001,
        "eps": 0.0,
        "trust_ratio_mask": True,
        "momentum": 0.9,
        "nesterov": False,
        "min_norm": 1e-6,
    },
    "Lamb": {
        "learning_rate": REQUIRED,
        **B,
        "eps": 1e-6,
        "eps_root": 0.0,
        "weight_decay": 0.0,
        "mask": None,
    },
    "RAdam": {"learning_rate": REQUIRED, **B, "eps_root": 0.0, "threshold": 5.0},
    "SM3": {"learning_rate": REQUIRED, "momentum": 0.9, "b2": 1.0},
    "Yogi": {"learning_rate": REQUIRED, **B, "eps": 1e-3},
    "Adafactor": {
        "learning_rate": REQUIRED,
        "min_dim_size_to_factor": 128,
        "decay_rate": 0.8,
        "decay_offset": 0,
        "multiply_by_parameter_scale": True,
        "clipping_threshold": 1.0,
        "momentum": None,
        "dtype_momentum": "float32",
        "weight_decay_rate": None,
        "eps": 1e-30,
        "factored": True,
        "weight_decay_mask": None,
    },
    "AdaGrad": {
        "learning_rate": REQUIRED,
        "initial_accumulator_value": 0.1,
        "eps": 1e-7,
    },
    "NAdamW": {
        "learning_rate": 1e-4,
        "beta1": 0.9,
        "beta2": 0.999,
        "epsilon": 1e-8,
        "adamw_weight_decay": 0.0,
        "l2_weight_decay": 0.0,
        "use_nesterov": True,
        "use_bias_correction": True,
    },
    "OptList": {"idx": REQUIRED},
    "Shampoo": {
        "learning_rate": REQUIRED,
        "block_size": REQUIRED,
        "beta1": 0.9,
        "beta2": 0.999,
        "diagonal_epsilon": 1e-10,
        "matrix_epsilon": 1e-6,
        "weight_decay": 0.0,
        "start_preconditioning_step": 5,
        "preconditioning_compute_steps": 1,
        "statistics_compute_steps": 1,
        "best_effort_shape_interpretation": True,
        "graft_type": "SGD",
        "nesterov": True,
        "exponent_override": 0,
        "best_effort_memory_usage_reduction": False,
        "inverse_failure_threshold": 0.1,
        "moving_average_for_momentum": False,
        "skip_preconditioning_dim_size_gt": 4096,
        "clip_by_scaled_gradient_norm": None,
        "precision": "highest",
    },
    "AdamSqrtDecayLR": {"learning_rate": REQUIRED},
    "AdamExpDecayLR": {"learning_rate": REQUIRED},
    "GradientAccumulator": {"opt": REQUIRED, "num_average": 1},
    "GradientClipOptimizer": {"opt": REQUIRED, "grad_clip": 3.0},
    "GraftedOptimizer": {"magnitude_opt": REQUIRED, "direction_opt": REQUIRED},
    "ExtendTimeWrapper": {"opt": REQUIRED, "warp_fn": REQUIRED},
    "WeightDecayWrapper": {"opt": REQUIRED, "weight_decay": 0.0, "add_to_loss": True},
}
PUBLISHED_SCHEDULES: dict[str, dict[str, Any]] = {
    "CosineLearningRateSchedule": {
        "learning_rate": REQUIRED,
        "min_learning_rate_mult": 0.0,
        "constant_fraction": 0.5,
        "warmup_fraction": 0.01,
    },
    "LinearRampupSqrtDecay": {"peak_lr": 1e-3, "warmup_steps": 1000},
    "PiecewiseLinear": {"times": REQUIRED, "vals": REQUIRED},
    "ExponentialDecay": {"base_lr": REQUIRED, "decay_amount": REQUIRED},
}
PARAMETERS = [(n, p) for n, parameters in PUBLISHED.items() for p in parameters]


@pytest.mark.parametrize(("name", "parameter"), PARAMETERS)
def test_a_published_parameter_is_there_or_explained(name: str, parameter: str) -> None:
    cls = get_optimizer(name)
    signature = inspect.signature(cls).parameters
    if parameter in signature:
        default = PUBLISHED[name][parameter]
        assert default is REQUIRED or signature[parameter].default == default
        assert parameter not in cls.not_supported
        return
    with pytest.raises(LoptError) as caught:
        configuration.load(bindings=[f"{name}.{parameter} = None"])
    why = cls.not_supported[parameter]
    assert f"{name} has no parameter '{parameter}': {why}." in str(caught.value)


@pytest.mark.parametrize("name", PUBLISHED_SCHEDULES)
def test_schedules_have_the_published_parameters(name: str) -> None:
    signature = inspect.signature(getattr(schedules, name)).parameters
    assert list(signature) == list(PUBLISHED_SCHEDULES[name])
    for parameter, default in PUBLISHED_SCHEDULES[name].items():
        assert default is REQUIRED or signature[parameter].default == default


def test_positions_are_the_published_ones() -> None:
    for name, parameters in PUBLISHED.items():
        ours = list(inspect.signature(get_optimizer(name)).parameters)
        shared = [p for p in parameters if p in ours]
        assert [p for p in ours if p in shared] == shared, name


def test_published_gin_text_configures_ours() -> None:
    text = [
        "inner_train_task.opt = @AdamW()",
        "AdamW.learning_rate = @LinearRampupSqrtDecay()",
        "AdamW.b1 = 0.95",
        "AdamW.eps_root = 1e-6",
        "LinearRampupSqrtDecay.peak_lr = 0.3",
        "PiecewiseLinearAdam.times = [10, 20, 30]",
        "PiecewiseLinearAdam.lrs = [0.1, 0.2, 0.3]",
        "RMSProp.nesterov = True",
        "SM3.b2 = 0.999",
        "Shampoo.graft_type = 'RMSPROP_NORMALIZED'",
    ]
    configuration.load(bindings=text)
    opt: Any = get_optimizer("AdamW")()
    assert (opt.b1, opt.eps_root, opt.learning_rate.peak_lr) == (0.95, 1e-6, 0.3)
    points: Any = get_optimizer("PiecewiseLinearAdam")()
    assert (points.times, points.lrs) == ((10, 20, 30), (0.1, 0.2, 0.3))
    assert points.name.startswith("PiecewiseLinearAdam_times10,20,30_lrs0.1,0.2,0.3_")
    assert vars(get_optimizer("RMSProp")())["nesterov"] is True
    assert vars(get_optimizer("SM3")())["b2"] == 0.999


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        (name, old, new)
        for name in ("AdamW", "Lamb", "RAdam", "Yogi", "AdaBelief")
        for old, new in (("beta1", "b1"), ("beta2", "b2"), ("epsilon", "eps"))
    ]
    + [
        ("SM3", "beta2", "b2"),
        ("Lars", "epsilon", "eps"),
        ("AdaGrad", "epsilon", "eps"),
    ],
)
def test_an_earlier_name_leads_to_the_new_one(name: str, old: str, new: str) -> None:
    with pytest.raises(LoptError, match=f"{name} has no parameter '{old}': .* {new}"):
        configuration.load(bindings=[f"{name}.{old} = 0.5"])
    with pytest.raises(LoptError, match=f"'{old}': it is called {new}"):
        define.hparam_set(name="S", optimizer=name, num_steps=10, fixed={old: 0.5})


def test_names_of_settings_are_as_they_were() -> None:
    assert get_optimizer("AdamW")().name == (
        "AdamW_lr0.01_b10.9_b20.999_eps1e-08_epsroot0.0_wd0.0001"
    )
    assert get_optimizer("SM3")().name == "SM3_lr0.01_m0.9_b21.0_eps1e-08"
    # And this one as published.
    assert get_optimizer("RMSProp")().name == (
        "RMSProp_lr0.01_d0.9_eps1e-08_m0.0_nesterovFalse"
    )


@pytest.mark.parametrize("name", base._MOVED)
def test_names_that_base_had_are_found_there(name: str) -> None:
    moved = getattr(base, name)
    assert moved.__name__ == name
    assert moved is all_optimizers().get(name, moved)


def test_base_has_no_other_names() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Adamm'"):
        _ = base.Adamm  # pyright: ignore[reportAttributeAccessIssue]


def test_published_modules_have_their_names() -> None:
    from learned_optimization.optimizers import alias, optimizer_wrappers

    known = all_optimizers()
    for module, names in (
        (alias, ["AdamSqrtDecayLR", "AdamExpDecayLR"]),
        (optimizer_wrappers, ["ExtendTimeWrapper", "WeightDecayWrapper"]),
        (optax_opts, ["SGD", "Adam", "RMSProp", "SM3", "PiecewiseLinearAdam", "Yogi"]),
    ):
        for name in names:
            assert getattr(module, name) is known[name]
    for name in ("OptaxOptimizer", "OptaxState", "SM3OptState", "piecewise_linear"):
        assert hasattr(optax_opts, name)
