"""Every set's name, size and configurations, against the documented list."""

import dataclasses
from typing import Any

import gin
import pytest

from learned_optimization.baselines import hparam_sets, run_archive, utils
from learned_optimization.baselines.hparam_sets import (
    add_hparam_set,
    all_hparam_sets,
    get_hparam_set,
)
from learned_optimization.baselines.sets.registry import SETS, known_hparam_sets
from learned_optimization.baselines.sweeps.sweep import set_trials
from learned_optimization.configuration import call_bound
from learned_optimization.errors import LoptError, NotRegisteredError, UnknownNameError
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
    for i, configuration in enumerate(configurations):
        seed, config = divmod(i, s.num_configs)
        assert configuration["inner_train_task.seed"] == seed
        assert configuration["inner_train_task.opt_name"] == s.opt_names[config]


def test_configurations_of_adam():
    configurations, save_dirs = get_hparam_set("AdamLR_10000_R5")(TASK)
    assert len(configurations) == 70
    assert configurations[21] == {
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


# The published sets and what they bind, transcribed by hand: name before the number
# of steps, gin name of the optimizer, name of the results, what else is bound.
TEXT_OF_RATES = [
    "1e-07", "3e-07", "1e-06", "3e-06", "1e-05", "3e-05", "0.0001", "0.0003", "0.001",
    "0.003", "0.01", "0.03", "0.1", "0.3", "1",
]  # fmt: skip
PLAIN = [
    *("AdaBelief", "SM3", "Yogi", "RAdam", "Lamb", "Lars", "Fromage", "AdamW"),
    *("Adafactor", "AdaGrad", "SGD", "SGDM", "Adam", "RMSProp"),
]
GRAFTS = {
    "Sgd": "SGD",
    "Adagrad": "ADAGRAD",
    "Rmsprop": "RMSPROP",
    "RmspropNormalized": "RMSPROP_NORMALIZED",
    "SqrtN": "SQRT_N",
    "AdagradNormalized": "ADAGRAD_NORMALIZED",
}
PUBLISHED = {
    **{f"{o}LR_10000_R5": (o, o, {}) for o in PLAIN},
    "AdamLR_10000_R1": ("Adam", "Adam", {}),
    "AdamLR_1000_R5": ("Adam", "Adam", {}),
    **{f"{o}LR_2000_R5": (o, o, {}) for o in ("Adam", "SGD", "SGDM")},
    **{
        f"{o}LR_{n}_R5": (o, o, {})
        for o in ("Adam", "RAdam")
        for n in (10**5, 3 * 10**5)
    },
    **{
        f"{o}_{n}_R5": (o, o, {})
        for o in ("AdamSqrtDecayLR", "AdamExpDecayLR")
        for n in (10**5, 3 * 10**5)
    },
    # Published under RMSProp's name, which is taken.
    "RMSPropMomLR_10000_R5": ("RMSProp", "RMSPropMom", {"RMSProp.momentum": 0.9}),
    "SM3beta2_999_LR_10000_R5": ("SM3", "SM3beta2_999", {"SM3.b2": 0.999}),
    **{
        f"Shampoo128{name}LR_10000_R5": (
            "Shampoo",
            f"Shampoo128{name}",
            {"Shampoo.graft_type": graft, "Shampoo.block_size": 128},
        )
        for name, graft in GRAFTS.items()
    },
}


def published_configurations(name):
    """What the published function of that name gives, but for the folders' root."""
    steps, repetitions = name.rsplit("_", 2)[1:]
    if name == "OptList1k_10000_R5":
        settings = [
            (f"OptList{i}", {"inner_train_task.opt": "@OptList()", "OptList.idx": i})
            for i in range(1000)
        ]
    elif name == "Grad10AdamLR_100000_R5" or "GradAccum" in name:
        inner = "Adam" if name.startswith("Grad10") else name.partition("LR")[0]
        counts = [10] if name.startswith("Grad10") else [2**i for i in range(12)]
        settings = [
            (
                f"Grad10Adam_lr{lr}" if n == 10 else f"GradAccum{n}_{inner}_lr{lr}",
                {
                    "inner_train_task.opt": "@GradientAccumulator()",
                    "GradientAccumulator.opt": f"@{inner}()",
                    "GradientAccumulator.num_average": n,
                    f"{inner}.learning_rate": float(lr),
                },
            )
            for n in counts
            for lr in TEXT_OF_RATES
        ]
    else:
        opt, opt_name, more = PUBLISHED[name]
        settings = [
            (
                f"{opt_name}_lr{lr}",
                {
                    "inner_train_task.opt": f"@{opt}()",
                    f"{opt}.learning_rate": float(lr),
                    **more,
                },
            )
            for lr in TEXT_OF_RATES
        ]
    configurations = [
        {
            "inner_train_task.task": f"@{TASK}()",
            "inner_train_task.task_name": TASK,
            "inner_train_task.opt_name": opt_name,
            "inner_train_task.num_steps": int(steps),
            "inner_train_task.eval_every": 10,
            "inner_train_task.eval_batches": 5,
            "inner_train_task.last_eval_batches": 10,
            **bindings,
        }
        for opt_name, bindings in settings
    ]
    folders = [
        (f"/{TASK}/{opt_name}/{steps}_10_5_10", int(repetitions[1:]))
        for opt_name, _ in settings
    ]
    return configurations * int(repetitions[1:]), folders


ACCUMULATED = [
    "Grad10AdamLR_100000_R5",
    *(f"AdamLR_GradAccum_16384_R{r}" for r in (3, 5, 32)),
    *("SGDLR_GradAccum_16384_R5", "SGDMLR_GradAccum_16384_R5"),
]


def test_published_names():
    names = [*PUBLISHED, *ACCUMULATED, "OptList1k_10000_R5"]
    assert set(hparam_sets.PUBLISHED_SET_NAMES) == set(names)
    assert len(hparam_sets.PUBLISHED_SET_NAMES) == len(names) == 42


@pytest.mark.parametrize("name", hparam_sets.PUBLISHED_SET_NAMES)
def test_configurations_and_folders_are_the_published_ones(name):
    want, want_folders = published_configurations(name)
    # As gin text finds it, and as published: with all rates.
    got, folders = hparam_sets.as_published(get_hparam_set(name))(TASK)
    root = utils.get_root_baseline_dir()
    assert [(f.removeprefix(root), n) for f, n in folders] == want_folders
    seedless = [
        {k: v for k, v in c.items() if k != "inner_train_task.seed"} for c in got
    ]
    assert seedless == want
    # Ours lacks the lowest rate and nothing else, and is what gin knows.
    ours, our_folders = gin.get_configurable(name)(TASK)
    assert our_folders == [f for f in folders if "_lr1e-07/" not in f[0]]
    kept = [c for c in got if not c["inner_train_task.opt_name"].endswith("_lr1e-07")]
    assert ours == kept


def test_only_published_sets_have_a_published_form():
    with pytest.raises(LoptError, match="LionLR_10000_R5 was never published"):
        hparam_sets.as_published(get_hparam_set("LionLR_10000_R5"))


def test_gin_text_refers_to_sets():
    gin.parse_config(
        [
            "AdamLR_10000_R5.task_name = 'T'",
            "maybe_get_hparam_set.hparam_set_fn = @AdamLR_10000_R5",
            "maybe_get_hparam_set.task_name = 'T'",
            "maybe_get_hparam_set.hparam_set_name = 'x'",
        ]
    )
    assert gin.get_configurable("AdamLR_10000_R5")() == get_hparam_set(
        "AdamLR_10000_R5"
    )("T")
    # No results: looked for in the set's folders, and none found.
    assert call_bound(run_archive.maybe_get_hparam_set) is None


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
    trial = set_trials(TASK, get_hparam_set("AdamWCosineLR_1000_R5"))[7]
    opt: Any = trial.opt
    assert trial.opt_name == "AdamWCosine_lr0.001"
    rates = [float(opt.learning_rate(step)) for step in (0, 49, 50, 525, 1_000)]
    assert rates == pytest.approx([2e-5, 1e-3, 1e-3, 5e-4, 0.0], abs=1e-9)
    opt = set_trials(TASK, get_hparam_set("SGDMLinearLR_1000_R5"))[7].opt
    assert float(opt.learning_rate(525)) == pytest.approx(5e-4)


@pytest.mark.parametrize(
    ("name", "opt_name", "fields"),
    [
        ("RMSPropMomLR_10000_R5", "RMSPropMom_lr0.001", {"momentum": 0.9}),
        ("RMSPropLR_10000_R5", "RMSProp_lr0.001", {"momentum": 0.0}),
        ("SM3beta2_999_LR_10000_R5", "SM3beta2_999_lr0.001", {"b2": 0.999}),
        ("SM3LR_10000_R5", "SM3_lr0.001", {"b2": 1.0}),
        ("MuonRMSLR_10000_R5", "MuonRMS_lr0.001", {"consistent_rms": 0.2}),
        (
            "Shampoo128SqrtNLR_10000_R5",
            "Shampoo128SqrtN_lr0.001",
            {"graft_type": "SQRT_N", "block_size": 128},
        ),
    ],
)
def test_variants_have_names_of_their_own(name, opt_name, fields):
    trial = set_trials(TASK, get_hparam_set(name))[7]
    assert trial.opt_name == opt_name
    for field, value in fields.items():
        assert getattr(trial.opt, field) == value


def test_unknown_set_names_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean AdamLR_10000_R5"):
        get_hparam_set("AdmLR_10000_R5")
    with pytest.raises(AttributeError):
        _ = hparam_sets.NoSuchSet_1_R1  # pyright: ignore


def test_a_set_has_as_many_seeds_from_another_one_on():
    own = get_hparam_set("AdamLR_1000_R5")
    rerun = own.from_seed(5)
    assert rerun.name == "AdamLR_1000_R5_from5"
    configurations, save_dirs = rerun(TASK)
    assert save_dirs == own(TASK)[1]
    seeds = [c["inner_train_task.seed"] for c in configurations]
    assert seeds == [seed for seed in range(5, 10) for _ in range(14)]
    assert rerun.from_seed(20).name == "AdamLR_1000_R5_from20"
    assert rerun.from_seed(0) == own.from_seed(0) == own
    with pytest.raises(LoptError, match="first_seed must be"):
        own.from_seed(-1)


def test_the_name_with_a_seed_is_known():
    own = get_hparam_set("AdamLR_1000_R5")
    assert get_hparam_set("AdamLR_1000_R5_from5") == own.from_seed(5)
    known = known_hparam_sets(["AdamLR_1000_R5_from5", "AdamLR_1000_R5", "Adam_from5"])
    assert set(known) - set(all_hparam_sets()) == {"AdamLR_1000_R5_from5"}
    assert "AdamLR_1000_R5_from5" not in all_hparam_sets()


@pytest.mark.parametrize(
    "name", ["AdamLR_1000_R5_from0", "AdamLR_1000_R5_from05", "Nothing_from5", "_from5"]
)
def test_a_name_that_is_no_set_and_seed_is_unknown(name):
    with pytest.raises(NotRegisteredError):
        get_hparam_set(name)


def test_a_set_of_more_seeds_is_known_by_its_name():
    own = get_hparam_set("AdamLR_1000_R5")
    more = get_hparam_set("AdamLR_1000_R10")
    assert more == own.with_repetitions(10)
    assert (more.name, more.seeds, more.num_trials) == (
        "AdamLR_1000_R10",
        range(10),
        140,
    )
    # What is trained of one is the other's.
    assert [path for path, _ in more.save_dirs(TASK)] == [
        path for path, _ in own.save_dirs(TASK)
    ]
    later = get_hparam_set("AdamLR_1000_R2_from5")
    assert later == own.with_repetitions(2).from_seed(5)
    assert later == own.from_seed(5).with_repetitions(2)
    assert (later.name, later.seeds) == ("AdamLR_1000_R2_from5", range(5, 7))
    assert "AdamLR_1000_R10" not in all_hparam_sets()
    assert own.with_repetitions(5) == own
    with pytest.raises(LoptError, match="repetitions must be"):
        own.with_repetitions(0)
    with pytest.raises(LoptError, match="it would end in _R5"):
        dataclasses.replace(own, name="Mine").with_repetitions(2)


@pytest.mark.parametrize(
    "name", ["AdamLR_1000_R0", "AdamLR_1000_R05", "AdamLR_1001_R5", "_R5", "AdamLR_R5"]
)
def test_a_name_that_is_no_set_and_number_of_seeds_is_unknown(name):
    with pytest.raises(NotRegisteredError):
        get_hparam_set(name)


def test_which_set_more_seeds_are_of_must_be_plain():
    own = get_hparam_set("AdamLR_1000_R5")
    with SETS.temporarily():
        add_hparam_set(dataclasses.replace(own, name="Mine_7_R2", repetitions=2))
        assert get_hparam_set("Mine_7_R3").repetitions == 3
        add_hparam_set(dataclasses.replace(own, name="Mine_7_R4", repetitions=4))
        with pytest.raises(NotRegisteredError):
            get_hparam_set("Mine_7_R3")


def test_a_set_cannot_be_called_as_the_seeds_of_another():
    own = get_hparam_set("AdamLR_1000_R5")
    for name in ("AdamLR_1000_R5_from5", "Mine_from5"):
        with pytest.raises(LoptError, match=f"cannot be called {name}: .*seeds from"):
            add_hparam_set(dataclasses.replace(own, name=name))
        assert name not in all_hparam_sets()
    for name in ("Mine_from05", "Mine_from", "Mine_from_5"):
        add_hparam_set(dataclasses.replace(own, name=name))
        assert get_hparam_set(name).seeds == range(5)
