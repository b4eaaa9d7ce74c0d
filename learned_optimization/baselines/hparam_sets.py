"""Every hyper-parameter set: whole lists of trials under one name.

A set is an entry of `_SETS`. Called with a task's name it gives the gin
configurations of its trials, and the folders their results go to:

    configurations, save_dirs = hparam_sets.AdamLR_10000_R5("ImageMLP_...")

`AdamLR_10000_R5` reads: learning rates of Adam, 10,000 steps, 5 repetitions,
each with a seed of its own. In gin text, `@AdamLR_10000_R5` is that function.

Sets of a learned optimizer lack a checkpoint: `LOpt_10000_R5` and the others of
`TEMPLATES` are called with the name and the path of one too.

    hparam_sets.LOpt_10000_R5("ImageMLP_...", "celo", "celo/params")
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from learned_optimization.baselines.sets.checkpoint_sets import (
    TEMPLATES,
    CheckpointTemplate,
)
from learned_optimization.baselines.sets.hparam_set import (
    LEARNING_RATES,
    HParamSet,
    accumulated,
    learning_rates,
    one_parameter,
    schedules,
    sets,
)
from learned_optimization.baselines.sets.published import (
    PUBLISHED_SET_NAMES,
    as_published,
)
from learned_optimization.baselines.sets.registry import (
    add_hparam_set,
    all_hparam_sets,
    get_hparam_set,
    make_configurable,
)

__all__ = [
    "LEARNING_RATES",
    "PACKAGED_SET_NAMES",
    "PUBLISHED_SET_NAMES",
    "TEMPLATES",
    "CheckpointTemplate",
    "HParamSet",
    "add_hparam_set",
    "all_hparam_sets",
    "as_published",
    "get_hparam_set",
]

# 1,000 steps serve a first look (`lopt quickstart`), 10,000 the published
# comparisons, 100,000 and 300,000 the normalizers.
_SHORT = [(1_000, 5), (10_000, 5)]
_LONG = [(100_000, 5), (300_000, 5)]
_FULL = [(10_000, 5)]

_ACCUMULATIONS = tuple(2**i for i in range(12))


def _accumulation(optimizer: str, repetitions: tuple[int, ...]) -> list[HParamSet]:
    settings = {
        opt_name: hparams
        for n in _ACCUMULATIONS
        for opt_name, hparams in accumulated(
            optimizer, n, f"GradAccum{n}_{optimizer}"
        ).items()
    }
    lengths = [(16_384, r) for r in repetitions]
    prefix = f"{optimizer}LR_GradAccum"
    return sets(prefix, "GradientAccumulator", settings, lengths, family=optimizer)


def _shampoo(graft_type: str) -> list[HParamSet]:
    name = "Shampoo128" + graft_type.title().replace("_", "")
    fixed = {"block_size": 128, "graft_type": graft_type}
    return learning_rates(f"{name}LR", "Shampoo", _SHORT, opt_name=name, **fixed)


def _opt_list(prefix: str, count: int) -> list[HParamSet]:
    settings = {f"OptList{idx}": {"idx": idx} for idx in range(count)}
    return sets(prefix, "OptList", settings, _FULL)


_SETS = [
    # The published comparison.
    *learning_rates("AdamLR", "Adam", [*_SHORT, (2_000, 5), (10_000, 1), *_LONG]),
    *learning_rates("SGDLR", "SGD", [*_SHORT, (2_000, 5)]),
    *learning_rates("SGDMLR", "SGDM", [*_SHORT, (2_000, 5)]),
    *learning_rates("RMSPropLR", "RMSProp", _SHORT),
    *learning_rates(
        "RMSPropMomLR", "RMSProp", _SHORT, opt_name="RMSPropMom", momentum=0.9
    ),
    *learning_rates("RAdamLR", "RAdam", [*_SHORT, *_LONG]),
    *learning_rates("AdamSqrtDecayLR", "AdamSqrtDecayLR", _LONG),
    *learning_rates("AdamExpDecayLR", "AdamExpDecayLR", _LONG),
    *learning_rates("AdaBeliefLR", "AdaBelief", _SHORT),
    *learning_rates("SM3LR", "SM3", _SHORT),
    *learning_rates(
        "SM3beta2_999_LR", "SM3", _SHORT, opt_name="SM3beta2_999", b2=0.999
    ),
    *learning_rates("YogiLR", "Yogi", _SHORT),
    *learning_rates("LambLR", "Lamb", _SHORT),
    *learning_rates("LarsLR", "Lars", _SHORT),
    *learning_rates("FromageLR", "Fromage", _SHORT),
    *learning_rates("AdamWLR", "AdamW", _SHORT),
    *learning_rates("AdafactorLR", "Adafactor", _SHORT),
    *learning_rates("AdaGradLR", "AdaGrad", _SHORT),
    *_shampoo("SGD"),
    *_shampoo("ADAGRAD"),
    *_shampoo("RMSPROP"),
    *_shampoo("RMSPROP_NORMALIZED"),
    *_shampoo("SQRT_N"),
    *_shampoo("ADAGRAD_NORMALIZED"),
    # Ours, for those who cannot wait: roots at every tenth step.
    *learning_rates(
        "Shampoo128SgdEvery10LR",
        "Shampoo",
        _SHORT,
        opt_name="Shampoo128SgdEvery10",
        block_size=128,
        graft_type="SGD",
        preconditioning_compute_steps=10,
    ),
    *_opt_list("OptList1k", 1_000),
    *_opt_list("OptList20", 20),
    # Larger batches.
    *sets(
        "Grad10AdamLR",
        "GradientAccumulator",
        accumulated("Adam", 10, "Grad10Adam"),
        [(100_000, 5)],
    ),
    *_accumulation("Adam", (3, 5, 32)),
    *_accumulation("SGD", (5,)),
    *_accumulation("SGDM", (5,)),
    # What is compared with today.
    *learning_rates("AMSGradLR", "AMSGrad", _SHORT),
    *learning_rates("AdamaxLR", "Adamax", _SHORT),
    *learning_rates("NAdamWLR", "NAdamW", _SHORT),
    *learning_rates("AdanLR", "Adan", _SHORT),
    *learning_rates("AdEMAMixLR", "AdEMAMix", _SHORT),
    *learning_rates("MADGRADLR", "MADGRAD", _SHORT),
    *learning_rates("NovoGradLR", "NovoGrad", _SHORT),
    *learning_rates("SignumLR", "Signum", _SHORT),
    *learning_rates("LionLR", "Lion", _SHORT),
    *learning_rates("MuonLR", "Muon", _SHORT),
    *learning_rates(
        "MuonRMSLR", "Muon", _SHORT, opt_name="MuonRMS", consistent_rms=0.2
    ),
    *learning_rates("SOAPLR", "SOAP", _SHORT),
    *learning_rates("ScheduleFreeSGDLR", "ScheduleFreeSGD", _SHORT),
    *learning_rates("ScheduleFreeAdamWLR", "ScheduleFreeAdamW", _SHORT),
    *learning_rates("SophiaLR", "Sophia", _SHORT),
    *learning_rates("LBFGSLR", "LBFGS", _SHORT),
    # No learning rate: over what their authors tune, or one setting.
    *sets(
        "ProdigyCoef",
        "Prodigy",
        one_parameter(
            "Prodigy", "coef", "estimate_coefficient", (0.25, 0.5, 1.0, 2.0, 4.0)
        ),
        _SHORT,
    ),
    *sets(
        "DoGInit",
        "DoG",
        one_parameter("DoG", "init", "initial_distance", (1e-8, 1e-6, 1e-4, 1e-2)),
        _SHORT,
    ),
    *sets(
        "DoWGInit",
        "DoWG",
        one_parameter(
            "DoWG", "init", "initial_squared_distance", (1e-8, 1e-6, 1e-4, 1e-2)
        ),
        _SHORT,
    ),
    *sets("DAdaptAdamW", "DAdaptAdamW", {"DAdaptAdamW": {}}, _SHORT),
    *sets("LBFGS", "LBFGS", {"LBFGS": {}}, _SHORT),
    # Learning rates that warm up and decay, as most people train.
    *schedules("SGDM", _SHORT),
    *schedules("Adam", _SHORT),
    *schedules("AdamW", _SHORT),
    *schedules("NAdamW", _SHORT),
    *schedules("Lion", _SHORT),
    *schedules("Signum", _SHORT),
    *schedules("Adan", _SHORT),
    *schedules("AdEMAMix", _SHORT),
    *schedules("Muon", _SHORT),
    *schedules("SOAP", _SHORT),
]

for _row in _SETS:
    add_hparam_set(_row, __name__)


def _of_checkpoint(template: CheckpointTemplate) -> Callable[..., Any]:
    def of_checkpoint(task_name: str, opt_name: str, opt_path: str) -> Any:
        return template(task_name, opt_name, opt_path)

    return of_checkpoint


for _template in TEMPLATES.values():
    make_configurable(_template.name, _of_checkpoint(_template))

PACKAGED_SET_NAMES = tuple(_row.name for _row in _SETS)
"""Names of the sets that come with the package, in the order of their table."""


def __getattr__(name: str) -> Any:
    if name in TEMPLATES:
        return TEMPLATES[name]
    if name.startswith("__") or name not in all_hparam_sets():
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return get_hparam_set(name)
