"""Every set's name, size and configurations, against the documented list."""

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
}
NAMES = [f"{p}_{rest}" for p, lengths in DOCUMENTED.items() for rest in lengths]


@pytest.mark.parametrize("name", NAMES)
def test_documented_sets_exist(name):
    s = get_hparam_set(name)
    steps, repetitions = name.split("_")[-2:]
    assert s.num_steps == int(steps)
    assert s.repetitions == int(repetitions[1:])
    assert [h["learning_rate"] for h in s.hparams] == LEARNING_RATES
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


def test_every_set_makes_the_optimizer_its_name_says():
    for name, s in all_hparam_sets().items():
        if s.num_steps > 10_000:
            continue
        trials = set_trials(TASK, s)
        assert len(trials) == s.num_trials
        assert len({t.opt.name for t in trials}) == s.num_configs, name
        assert {type(t.opt) for t in trials} == {all_optimizers()[s.optimizer]}
        assert [t.opt.learning_rate for t in trials[:: s.repetitions]] == LEARNING_RATES


@pytest.mark.parametrize(
    ("name", "opt_name", "fields"),
    [
        ("RMSPropMomLR_10000_R5", "RMSPropMom_lr0.001", {"momentum": 0.9}),
        ("RMSPropLR_10000_R5", "RMSProp_lr0.001", {"momentum": None}),
        ("SM3beta2_999_LR_10000_R5", "SM3beta2_999_lr0.001", {"beta2": 0.999}),
        ("SM3LR_10000_R5", "SM3_lr0.001", {"beta2": 1.0}),
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
