"""Every set's name, size and configurations, against the documented list."""

import dataclasses

import pytest

from learned_optimization.baselines import hparam_sets
from learned_optimization.baselines.hparam_sets import all_hparam_sets, get_hparam_set
from learned_optimization.baselines.sweep import set_trials
from learned_optimization.errors import UnknownNameError
from learned_optimization.optimizers.base import all_optimizers

TASK = "ImageMLP_FashionMnist8_Relu32"

LEARNING_RATES = [
    3e-7, 1e-6, 3e-6, 1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0,
]  # fmt: skip

# Transcribed from the documentation, not from the code.
DOCUMENTED = {
    "AdamLR": ["2000_R5", "10000_R5", "10000_R1", "100000_R5", "300000_R5", "1000_R5"],
    "SGDLR": ["2000_R5", "10000_R5"],
    "SGDMLR": ["2000_R5", "10000_R5"],
    "RMSPropLR": ["10000_R5"],
    "RMSPropMomLR": ["10000_R5"],
    "RAdamLR": ["10000_R5", "100000_R5", "300000_R5"],
    "AdamSqrtDecayLR": ["100000_R5", "300000_R5"],
    "AdamExpDecayLR": ["100000_R5", "300000_R5"],
    "AdaBeliefLR": ["10000_R5"],
    "SM3LR": ["10000_R5"],
    "YogiLR": ["10000_R5"],
    "LambLR": ["10000_R5"],
    "LarsLR": ["10000_R5"],
    "FromageLR": ["10000_R5"],
    "AdamWLR": ["10000_R5"],
    "AdafactorLR": ["10000_R5"],
    "AdaGradLR": ["10000_R5"],
    "SM3beta2_999_LR": ["10000_R5"],
    "Shampoo128SgdLR": ["10000_R5"],
    "Shampoo128AdagradLR": ["10000_R5"],
    "Shampoo128RmspropLR": ["10000_R5"],
    "Shampoo128RmspropNormalizedLR": ["10000_R5"],
    "Shampoo128SqrtNLR": ["10000_R5"],
    "Shampoo128AdagradNormalizedLR": ["10000_R5"],
    "Grad10AdamLR": ["100000_R5"],
}
# What is compared with today: learning rates of the optimizer before "LR".
RECENT = [
    "Lion", "NAdamW", "Adan", "AMSGrad", "Adamax", "AdEMAMix", "Muon", "MuonRMS",
    "SOAP", "ScheduleFreeSGD", "ScheduleFreeAdamW", "Sophia", "MADGRAD",
    "NovoGrad", "Signum", "LBFGS", "AdamCosine", "AdamWCosine", "MuonCosine",
    "LionLinear", "SGDMLinear", "SOAPCosine",
]  # fmt: skip
DOCUMENTED |= {f"{name}LR": ["1000_R5", "10000_R5"] for name in RECENT}
NAMES = [f"{p}_{rest}" for p, lengths in DOCUMENTED.items() for rest in lengths]


def rate(hparams):
    """The learning rate, or that of the schedule or the optimizer inside."""
    return next(
        v
        for k, v in hparams.items()
        if k.endswith("learning_rate") and not isinstance(v, str)
    )


@pytest.mark.parametrize("name", NAMES)
def test_documented_sets_exist(name):
    s = get_hparam_set(name)
    steps, repetitions = name.split("_")[-2:]
    assert s.num_steps == int(steps)
    assert s.repetitions == int(repetitions[1:])
    assert [rate(h) for h in s.hparams] == LEARNING_RATES
    assert getattr(hparam_sets, name) is s


@pytest.mark.parametrize("name", all_hparam_sets())
def test_shape_of_every_set(name):
    s = get_hparam_set(name)
    configurations, save_dirs = s(TASK)
    assert len(configurations) == s.num_trials == s.num_configs * s.repetitions
    assert len(save_dirs) == s.num_configs
    assert len({folder for folder, _ in save_dirs}) == s.num_configs
    assert {repetitions for _, repetitions in save_dirs} == {s.repetitions}
    seeds = [c["inner_train_task.seed"] for c in configurations]
    assert seeds == list(range(s.repetitions)) * s.num_configs


def test_configurations_of_adam():
    configurations, save_dirs = get_hparam_set("AdamLR_10000_R5")(TASK)
    assert len(configurations) == 70
    assert configurations[36] == {
        "inner_train_task.task": f"@{TASK}()",
        "inner_train_task.task_name": TASK,
        "inner_train_task.opt": "@Adam()",
        "inner_train_task.opt_name": "Adam_lr0.001",
        "inner_train_task.num_steps": 10000,
        "inner_train_task.eval_every": 10,
        "inner_train_task.eval_batches": 5,
        "inner_train_task.last_eval_batches": 10,
        "inner_train_task.seed": 1,
        "Adam.learning_rate": 0.001,
    }
    folder, repetitions = save_dirs[0]
    assert folder.endswith(f"/{TASK}/Adam_lr3e-07/10000_10_5_10")
    assert repetitions == 5


# Sets of the same settings, but for the length and the number of seeds.
FAMILIES = {s.opt_names: s for s in all_hparam_sets().values()}


@pytest.mark.parametrize("hparam_set", FAMILIES.values(), ids=lambda s: s.name)
def test_every_set_makes_the_optimizer_its_name_says(hparam_set):
    few = dataclasses.replace(
        hparam_set,
        repetitions=1,
        opt_names=hparam_set.opt_names[:20],
        hparams=hparam_set.hparams[:20],
    )
    trials = set_trials(TASK, few)
    assert len({t.opt.name for t in trials}) == few.num_configs
    for trial, hparams in zip(trials, few.hparams, strict=True):
        opt = trial.opt
        assert type(opt) is all_optimizers()[few.optimizer]
        for key, value in hparams.items():
            owner, _, parameter = key.rpartition(".")
            if isinstance(value, str) and value.startswith("@"):
                assert type(getattr(opt, key)).__name__ == value[1:-2]
            else:
                found = inside(opt, owner) if owner else opt
                assert getattr(found, parameter) == value


def inside(opt, class_name):
    values = (getattr(opt, f.name) for f in dataclasses.fields(opt))
    return next(v for v in values if type(v).__name__ == class_name)


def test_one_folder_holds_one_setting():
    settings = {}
    for s in all_hparam_sets().values():
        for opt_name, hparams in zip(s.opt_names, s.hparams, strict=True):
            key = (opt_name, s.num_steps)
            assert settings.setdefault(key, (s.optimizer, hparams)) == (
                s.optimizer,
                hparams,
            )


def test_gradient_accumulation_sets():
    for name, repetitions in [
        ("AdamLR_GradAccum_16384_R3", 3),
        ("AdamLR_GradAccum_16384_R5", 5),
        ("AdamLR_GradAccum_16384_R32", 32),
        ("SGDLR_GradAccum_16384_R5", 5),
        ("SGDMLR_GradAccum_16384_R5", 5),
    ]:
        s = get_hparam_set(name)
        inner = name.partition("LR")[0]
        assert (s.num_steps, s.repetitions) == (16_384, repetitions)
        assert [(h["num_average"], h[f"{inner}.learning_rate"]) for h in s.hparams] == [
            (2**i, lr) for i in range(12) for lr in LEARNING_RATES
        ]
        assert s.opt_names[14] == f"GradAccum2_{inner}_lr3e-07"


def test_opt_list_sets():
    whole = get_hparam_set("OptList1k_10000_R5")
    assert whole.opt_names == tuple(f"OptList{i}" for i in range(1_000))
    assert [h["idx"] for h in whole.hparams] == list(range(1_000))
    first = get_hparam_set("OptList20_10000_R5")
    assert (first.opt_names, first.hparams) == (
        whole.opt_names[:20],
        whole.hparams[:20],
    )


def test_schedules_end_with_the_run():
    trial = set_trials(TASK, get_hparam_set("AdamWCosineLR_1000_R5"))[7 * 5]
    schedule = trial.opt.learning_rate
    assert trial.opt_name == "AdamWCosine_lr0.001"
    rates = [float(schedule(step)) for step in (0, 49, 50, 525, 1_000)]
    assert rates == pytest.approx([2e-5, 1e-3, 1e-3, 5e-4, 0.0], abs=1e-9)
    linear = set_trials(TASK, get_hparam_set("SGDMLinearLR_1000_R5"))[7 * 5]
    assert float(linear.opt.learning_rate(525)) == pytest.approx(5e-4)


@pytest.mark.parametrize(
    ("name", "opt_name", "fields"),
    [
        ("RMSPropMomLR_10000_R5", "RMSPropMom_lr0.001", {"momentum": 0.9}),
        ("RMSPropLR_10000_R5", "RMSProp_lr0.001", {"momentum": None}),
        ("SM3beta2_999_LR_10000_R5", "SM3beta2_999_lr0.001", {"beta2": 0.999}),
        ("SM3LR_10000_R5", "SM3_lr0.001", {"beta2": 1.0}),
        ("MuonRMSLR_10000_R5", "MuonRMS_lr0.001", {"consistent_rms": 0.2}),
        (
            "Shampoo128SqrtNLR_10000_R5",
            "Shampoo128SqrtN_lr0.001",
            {"graft_type": "SQRT_N", "block_size": 128},
        ),
    ],
)
def test_variants_have_names_of_their_own(name, opt_name, fields):
    trial = set_trials(TASK, get_hparam_set(name))[7 * 5]
    assert trial.opt_name == opt_name
    for field, value in fields.items():
        assert getattr(trial.opt, field) == value


def test_unknown_set_names_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean AdamLR_10000_R5"):
        get_hparam_set("AdmLR_10000_R5")
    with pytest.raises(AttributeError):
        _ = hparam_sets.NoSuchSet_1_R1  # pyright: ignore
