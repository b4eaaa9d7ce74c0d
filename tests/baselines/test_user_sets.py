"""Sets of one's own: what they hold, what they are called, what is refused."""

import gin
import pytest

from learned_optimization.baselines import hparam_sets, user_sets
from learned_optimization.baselines.hparam_sets import get_hparam_set
from learned_optimization.baselines.sweep import set_trials
from learned_optimization.baselines.user_files import import_file, load_user_file
from learned_optimization.baselines.user_sets import hparam_set
from learned_optimization.errors import LoptError, UnknownNameError
from learned_optimization.optimizers import base

TASK = "ImageMLP_FashionMnist8_Relu32"


@pytest.fixture(autouse=True)
def own_registries(monkeypatch):
    base.all_optimizers()
    monkeypatch.setattr(hparam_sets, "_BY_NAME", dict(hparam_sets._BY_NAME))
    monkeypatch.setattr(base, "_REGISTRY", dict(base._REGISTRY))


def make(**changes):
    arguments = {
        "name": "Mine_20_R2",
        "optimizer": "Adam",
        "num_steps": 20,
        "space": {"learning_rate": [0.1, 0.01]},
        "seeds": 2,
    }
    return hparam_set(**(arguments | changes))


def test_a_grid():
    made = make(space={"learning_rate": [0.1, 0.01], "beta1": [0.8, 0.9]})
    assert get_hparam_set("Mine_20_R2") is made
    assert made.hparams == (
        {"learning_rate": 0.1, "beta1": 0.8},
        {"learning_rate": 0.1, "beta1": 0.9},
        {"learning_rate": 0.01, "beta1": 0.8},
        {"learning_rate": 0.01, "beta1": 0.9},
    )
    assert made.opt_names[1] == "Adam_lr0.1_b10.9"
    assert (made.num_trials, made.num_steps) == (8, 20)
    trials = set_trials(TASK, made)
    assert [(t.opt.learning_rate, t.opt.beta1, t.seed) for t in trials[2:4]] == [
        (0.1, 0.9, 0),
        (0.1, 0.9, 1),
    ]


def test_results_are_shared_with_the_sets_of_the_package():
    made = make(num_steps=1_000, space={"learning_rate": [0.001, 1]})
    theirs = get_hparam_set("AdamLR_1000_R5")
    assert set(made.opt_names) == {"Adam_lr0.001", "Adam_lr1.0"} < set(theirs.opt_names)


def test_drawn_numbers_are_in_the_name():
    made = make(
        space={"learning_rate": {"log": [1e-4, 1.0]}, "beta2": [0.9, 0.99]},
        search="quasi_random",
        num_configs=6,
        fixed={"epsilon": 1e-6},
    )
    for opt_name, hparams in zip(made.opt_names, made.hparams, strict=True):
        lr, beta2 = hparams["learning_rate"], hparams["beta2"]
        assert opt_name == f"Adam_lr{lr}_b2{beta2}_eps1e-06"
        assert 1e-4 <= lr <= 1.0
    longer = make(
        name="Longer_20_R2",
        space={"learning_rate": {"log": [1e-4, 1.0]}, "beta2": [0.9, 0.99]},
        search="quasi_random",
        num_configs=9,
        fixed={"epsilon": 1e-6},
    )
    assert longer.hparams[:6] == made.hparams


def test_schedules_and_optimizers_inside():
    made = make(
        optimizer="GradientAccumulator",
        space={"num_average": [1, 4]},
        fixed={
            "opt": "@AdamW()",
            "AdamW.learning_rate": "@LinearDecay()",
            "LinearDecay.learning_rate": 0.5,
        },
    )
    opt = set_trials(TASK, made)[2].opt
    assert opt.num_average == 4
    assert type(opt.opt).__name__ == "AdamW"
    assert float(opt.opt.learning_rate(0)) == 0.5
    assert made.opt_names[1] == (
        "GradientAccumulator_opt(AdamW_lr(LinearDecay_lr0.5))_average4"
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"optimizer": "Adamm"}, "unknown optimizer 'Adamm': did you mean Adam"),
        ({"space": {"learning_rat": [1.0]}}, "did you mean learning_rate"),
        ({"fixed": {"CosineDeca.num_steps": 1}}, "did you mean CosineDecay"),
        ({"fixed": {"CosineDecay.num_steps": 1}}, "nothing in .* uses CosineDecay"),
        ({"fixed": {"learning_rate": 0.1}}, "learning_rate is in the space and fixed"),
        ({"space": {"learning_rate": ["fast"]}}, "learning_rate must be a number"),
        ({"space": {"learning_rate": {"log": [1, 2]}}}, "says not how many"),
        ({"search": "rndom"}, "did you mean random"),
        ({"search": "random"}, "needs num_configs"),
        ({"num_configs": 3}, "a grid takes every combination"),
        ({"num_steps": 0}, "num_steps must be a whole number of at least 1, got 0"),
        ({"seeds": 1.5}, "seeds must be a whole number"),
        ({"name": "a/b"}, "a set's name is made of letters"),
        ({"name": "AdamLR_1000_R5"}, "there is a set AdamLR_1000_R5 already"),
        (
            {"optimizer": "OptList", "space": {"idx": [1000]}},
            "from 0 to 999, got 1000",
        ),
        (
            {"optimizer": "Shampoo", "fixed": {"graft_type": "SGDD"}},
            "did you mean SGD",
        ),
        (
            {"optimizer": "SGDM", "space": {"momentum": [0.9]}, "fixed": {"opt": 1}},
            "unknown hyper-parameter of SGDM 'opt'",
        ),
    ],
)
def test_refused_with_nothing_made(changes, message, monkeypatch, tmp_path):
    if changes.get("optimizer") == "OptList":
        monkeypatch.setattr("learned_optimization.optimizers.opt_list._read", str)
    before = dict(hparam_sets._BY_NAME)
    with pytest.raises(LoptError, match=message):
        make(**changes)
    assert before == hparam_sets._BY_NAME


OPTIMIZER = '''
import optax
from learned_optimization.optimizers.optax_optimizer import optax_optimizer

@optax_optimizer
def {name}(learning_rate=0.1, beta=0.9):
    """Mine (me 2026)."""
    return optax.sgd(learning_rate, beta)
'''


def write(path, text):
    path.write_text(text)
    return path


def test_a_python_file(tmp_path):
    path = write(
        tmp_path / "mine.py",
        OPTIMIZER.format(name="FileOpt")
        + "from learned_optimization.baselines.user_sets import hparam_set\n"
        'hparam_set("File_20_R5", FileOpt, 20, {"beta": [0.5, 0.9]})\n'
        'hparam_set("File_30_R5", FileOpt, 30, {"beta": [0.5]})\n',
    )
    found = load_user_file(path)
    assert [s.name for s in found] == ["File_20_R5", "File_30_R5"]
    assert found[0].opt_names == ("FileOpt_beta0.5", "FileOpt_beta0.9")
    # Executed once.
    assert load_user_file(path) == found == import_file(path)


def test_a_yaml_file(tmp_path):
    write(tmp_path / "opt.py", OPTIMIZER.format(name="YamlOpt"))
    path = write(
        tmp_path / "sets.yaml",
        """
imports: [opt.py]
sets:
  - name: Yaml_20_R3
    optimizer: YamlOpt
    num_steps: 20
    seeds: 3
    search: random
    num_configs: 4
    search_seed: 1
    space:
      learning_rate: {log: [1e-3, 1]}
      beta: [0.5, 9e-1]
  - name: Yaml_30_R5
    optimizer: SGD
    num_steps: 30
    space: {learning_rate: [1e-3]}
""",
    )
    first, second = load_user_file(path)
    assert (first.num_configs, first.repetitions) == (4, 3)
    assert {h["beta"] for h in first.hparams} <= {0.5, 0.9}
    assert second.opt_names == ("SGD_lr0.001",)


def test_a_gin_file(tmp_path):
    gin.parse_config("Adam.beta1 = 0.5")
    path = write(
        tmp_path / "set.gin",
        """
hparam_set.name = "Gin_20_R5"
hparam_set.optimizer = "Adam"
hparam_set.num_steps = 20
hparam_set.space = {"learning_rate": [0.1, 0.2]}
""",
    )
    (made,) = load_user_file(path)
    assert made.opt_names == ("Adam_lr0.1", "Adam_lr0.2")
    assert gin.query_parameter("Adam.beta1") == 0.5


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.txt", "", r"must end in \.py, \.yaml"),
        ("a.py", "x = 1", "defines no set"),
        ("a.py", "\n1 / 0", r"a\.py, line 2: ZeroDivisionError"),
        ("a.py", "def", r"a\.py, line 1: SyntaxError"),
        ("a.yaml", "name: [", r"a\.yaml, line 1: no YAML"),
        ("a.yaml", "- 1", "maps names to values"),
        ("a.yaml", "name: A\nname: B", r"line 2: .*'name' is given twice"),
        ("a.yaml", "name: A\nnum_step: 3", r"line 2: .*did you mean num_steps"),
        ("a.yaml", "name: A\noptimizer: SGD", "num_steps is not given"),
        (
            "a.yaml",
            "name: A\noptimizer: SDG\nnum_steps: 3",
            r"a\.yaml, line 1, set A: .*did you mean SGD",
        ),
        ("a.yaml", "imports: [no.py]\nname: A", "no such file: no.py"),
        ("a.gin", "hparam_set.name = 'A'", "num_steps are not given"),
        ("a.gin", "hparam_set.nme = 'A'", "did you mean name"),
    ],
)
def test_files_with_mistakes(name, text, message, tmp_path):
    path = write(tmp_path / name, text)
    with pytest.raises(LoptError, match=message):
        load_user_file(path)


def test_no_such_file(tmp_path):
    with pytest.raises(LoptError, match="no such file"):
        load_user_file(tmp_path / "none.yaml")
    with pytest.raises(UnknownNameError):
        user_sets.hparam_set("A", "NoSuchOptimizer", 10)
