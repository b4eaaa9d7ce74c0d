"""Sets of one's own: names, files, and everything that is refused."""

import dataclasses
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from operator import attrgetter
from pathlib import Path

import gin
import jax
import numpy as np
import optax
import pytest

from learned_optimization import configuration
from learned_optimization.baselines import hparam_sets, utils
from learned_optimization.baselines.hparam_sets import get_hparam_set
from learned_optimization.baselines.results.archiving import archive
from learned_optimization.baselines.sets import files
from learned_optimization.baselines.sets.define import hparam_set
from learned_optimization.baselines.sets.files import import_file, load_user_file
from learned_optimization.baselines.sweeps.grids import TrialGrid
from learned_optimization.baselines.sweeps.sweep import run_sweep, set_trials
from learned_optimization.cli.advice import with_advice
from learned_optimization.errors import LoptError, MissingTrialsError, ResultError
from learned_optimization.optimizers import base as optimizers_base
from learned_optimization.optimizers.base import get_optimizer
from learned_optimization.tasks.datasets.streams import EpochStream
from tests.tasks.conftest import quick_compilation  # noqa: F401
from tests.tiny import PlainSGD, TinyTask

TASK = "TinyRegression"


@pytest.fixture(autouse=True)
def own_registries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Forget after a test what it registers, but for gin's names."""
    configuration.register_all()
    for name in ("_EXECUTED", "_SOURCES"):
        monkeypatch.setattr(files, name, dict(getattr(files, name)))
    yield
    for name, module in [*sys.modules.items()]:
        if str(getattr(module, "__file__", None)).startswith(str(tmp_path)):
            del sys.modules[name]


def adam(**changes):
    return hparam_set(
        **{"name": "Mine", "optimizer": "Adam", "num_steps": 20, **changes}
    )


def write(folder: Path, name: str, text: str) -> str:
    (folder / name).write_text(text)
    return str(folder / name)


def test_a_name_need_not_be_one_of_gin():
    made = adam(name="Été_1000")
    assert hparam_sets.get_hparam_set("Été_1000") is made


def test_a_set_has_what_is_given_and_is_known_by_its_name():
    made = adam(
        space={"learning_rate": {"log": [1e-3, 1e-1], "points": 3}, "beta1": [0.5, 0]},
        fixed={"epsilon": 1e-6},
        seeds=2,
        eval_every=7,
        eval_batches=3,
        last_eval_batches=4,
    )
    assert get_hparam_set("Mine") is made
    assert (made.num_configs, made.num_trials) == (6, 12)
    # Fields in the optimizer's order, whatever was given first.
    assert made.opt_names[:2] == (
        "Adam_lr0.001_b10.5_eps1e-06",
        "Adam_lr0.001_b10_eps1e-06",
    )
    trials = set_trials(TASK, made)
    assert [t.seed for t in trials] == [0] * 6 + [1] * 6
    assert {dataclasses.astuple(t.plan) for t in trials} == {(20, 7, 3, 4)}
    setting_of = attrgetter("learning_rate", "beta1", "epsilon")
    settings = [setting_of(t.opt) for t in trials[:6]]
    assert settings == [
        (lr, b1, 1e-6) for lr in (1e-3, 1e-2, 1e-1) for b1 in (0.5, 0.0)
    ]


def test_equal_settings_have_the_folders_of_the_published_sets():
    published = get_hparam_set("AdamLR_10000_R5")
    # 1 means 1.0, and both are written 1.
    rates = [
        3e-7,
        1e-6,
        3e-6,
        1e-5,
        3e-5,
        1e-4,
        3e-4,
        1e-3,
        3e-3,
        0.01,
        0.03,
        0.1,
        0.3,
        1,
    ]
    made = adam(num_steps=10_000, space={"learning_rate": rates})
    assert made.opt_names == published.opt_names
    assert made(TASK)[1] == published(TASK)[1]
    for mine, theirs in zip(
        set_trials(TASK, made), set_trials(TASK, published), strict=True
    ):
        assert mine.opt.name == theirs.opt.name


def test_values_in_names_read_back_as_the_same_number():
    made = adam(
        space={"learning_rate": {"log": [1e-7, 1]}}, search="random", num_configs=50
    )
    for name, hparams in zip(made.opt_names, made.hparams, strict=True):
        assert float(name.removeprefix("Adam_lr")) == hparams["learning_rate"]


def test_schedules_and_optimizers_inside():
    made = adam(
        fixed={"learning_rate": "@CosineDecay()", "CosineDecay.num_steps": 20},
        space={"CosineDecay.learning_rate": [0.1, 1], "beta1": [0.5]},
    )
    assert made.opt_names[1] == "Adam_lr(CosineDecay_steps20_lr1)_b10.5"
    opt = set_trials(TASK, made)[-1].opt
    assert opt.name.startswith(
        "Adam_lr(CosineDecay_steps20.0_lr1.0_warmup0.0_final0.0)_b10.5"
    )
    inside = hparam_set(
        "Inside",
        "GradientClipOptimizer",
        20,
        fixed={"opt": "@learned_optimization.optimizers.SGD()"},
        space={"learned_optimization.optimizers.SGD.learning_rate": [0.1, 1]},
    )
    assert inside.opt_names == tuple(
        f"GradientClipOptimizer_opt(SGD_lr{lr})" for lr in ("0.1", "1")
    )
    assert attrgetter("opt.opt.learning_rate")(set_trials(TASK, inside)[-1]) == 1.0


def test_the_class_serves_as_well_as_its_name():
    assert adam(optimizer=get_optimizer("Adam")) is not adam(optimizer="Adam")
    assert get_hparam_set("Mine").optimizer == "Adam"
    assert adam(fixed={"Adam.beta1": 0.5}, name="B").opt_names == ("Adam_b10.5",)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "a/b"}, "a set's name names a file: .* got 'a/b'"),
        ({"name": ".hidden"}, "begin with a letter or digit"),
        ({"name": "x" * 201}, "at most 200 bytes long, got 201"),
        ({"name": "SGDLR_1000_R5"}, "there is a set SGDLR_1000_R5 already"),
        ({"optimizer": "Adm"}, "unknown optimizer 'Adm': did you mean Adam"),
        ({"optimizer": dict}, "optimizer must be the name of .* got <class 'dict'>"),
        ({"optimizer": PlainSGD}, "PlainSGD is not registered: decorate"),
        ({"num_steps": 0}, "num_steps must be a whole number of at least 1, got 0"),
        ({"seeds": 0}, "seeds must be a whole number of at least 1, got 0"),
        ({"seeds": 10**9}, "seeds must be at most 1,000,000, got 1000000000"),
        (
            {"space": {"beta1": {"linear": [0, 0.9], "points": 4}}, "seeds": 10**6},
            "4 configurations with 1,000,000 seeds each are 4,000,000 trials: a set",
        ),
        ({"num_steps": 10**12}, "num_steps must be at most 100,000,000, got 10"),
        ({"num_steps": 10**9999}, "at most 100,000,000, got a very large int"),
        ({"eval_batches": 2**31}, "eval_batches must be at most 2,147,483,647, got 2"),
        ({"eval_every": 0}, "eval_every must be"),
        ({"eval_batches": 1.5}, "eval_batches must be a whole number"),
        ({"space": [1]}, "a space maps each hyper-parameter"),
        ({"fixed": [1]}, "fixed maps each hyper-parameter"),
        ({"fixed": {1: 1}}, "name must be text, got 1"),
        (
            {"space": {"lerning_rate": [1]}},
            "of Adam 'lerning_rate': did you mean learning_rate",
        ),
        ({"fixed": {"beta11": 1}}, "did you mean beta1"),
        (
            {"space": {"CosinDecay.rate": [1]}},
            "configurable 'CosinDecay': did you mean Cosine",
        ),
        (
            {"space": {"CosineDecay.lr": [1]}},
            "parameter of CosineDecay 'lr': known are num_steps",
        ),
        (
            {"space": {"CosineDecay.num_steps": [1]}},
            "nothing in Adam.* uses CosineDecay.num_steps",
        ),
        (
            {"space": {"beta1": [0.5]}, "fixed": {"Adam.beta1": 1}},
            "beta1: both in the space and",
        ),
        ({"search": "rnadom"}, "unknown search 'rnadom': did you mean random"),
        ({"num_configs": 3}, "num_configs is 3, but a grid has every combination"),
        ({"search": "random"}, "a random search needs num_configs"),
        ({"search": "random", "num_configs": 2}, "there is nothing to draw"),
        (
            {"space": {"beta1": {"log": [0.1, 1]}}},
            "beta1: a grid takes points of a range",
        ),
        ({"space": {"beta1": {"log": [1, 0]}}}, "low below high"),
        ({"fixed": {"beta1": "0.5"}}, "Adam.beta1 must be a number, got '0.5'"),
        ({"fixed": {"beta1": None}}, "Adam.beta1 must be a number, got None"),
        (
            {"fixed": {"beta1": [0.5]}},
            r"Adam.beta1 must be a number, text, .* got \[0.5\]",
        ),
        (
            {"fixed": {"learning_rate": "@CosineDecay"}},
            "with a pair of parentheses, got",
        ),
        ({"fixed": {"learning_rate": "@CosinDecay()"}}, "did you mean CosineDecay"),
        ({"fixed": {"learning_rate": "%rate"}}, "is the macro %rate: give the value"),
        (
            {"fixed": {"learning_rate": "@SGD()"}},
            "Adam.learning_rate must be a number or a sch",
        ),
        (
            {"space": {"beta1": [0.5, np.nextafter(0.5, 1)]}, "optimizer": "OneName"},
            r"OneName\(beta1=0.5\) and OneName\(beta1=0.5000000000000001\) are",
        ),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_registered(changes, message):
    before = hparam_sets.all_hparam_sets()
    _OneName.register()
    with pytest.raises(LoptError, match=message) as error:
        adam(**changes)
    assert "\n" not in str(error.value)
    assert hparam_sets.all_hparam_sets() == before


class _OneName:
    """An optimizer that calls two settings the same."""

    made = None

    @classmethod
    def register(cls):
        if cls.made is None:

            @optimizers_base.optimizer
            class OneName(get_optimizer("SGD")):
                """One name."""

                beta1: float = optimizers_base.hparam(default=0.9)
                text: str = optimizers_base.static_field(default="t")

                @property
                def name(self) -> str:
                    return "OneName"

                def init(self, params, model_state=None, num_steps=None, key=None):
                    if self.text == "bad":
                        raise RuntimeError("text is bad")
                    return super().init(params, model_state, num_steps, key)

            cls.made = OneName
        else:
            optimizers_base.OPTIMIZERS.add("OneName", cls.made, cls.made.__module__)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("bad", r"OneName\(text='bad'\) cannot start: text is bad"),
        ("a/b", r"OneName\(text='a/b'\) names a folder: .* without a slash"),
        ("a\tb", "printable"),
        ("x" * 300, "a folder of 312 bytes, and file systems allow 255"),
    ],
)
def test_text_that_cannot_be_a_name(text, message):
    _OneName.register()
    with pytest.raises(LoptError, match=message):
        hparam_set("Mine", "OneName", 20, fixed={"text": text})


def test_two_sets_of_one_name_in_a_file(tmp_path):
    one = "  - {name: Twice, optimizer: SGD, num_steps: 20}\n"
    other = "  - {name: Twice, optimizer: Adam, num_steps: 20}\n"
    path = write(tmp_path, "twice.yaml", f"sets:\n{one}{other}")
    with pytest.raises(LoptError, match="a set Twice already, in the same file"):
        load_user_file(path)
    # As the same file, corrected and read again.
    path = write(tmp_path, "twice.yaml", f"sets:\n{other}")
    assert [s.optimizer for s in load_user_file(path)] == ["Adam"]


def test_two_files_that_add_one_name(tmp_path):
    text = """
from learned_optimization.baselines.hparam_sets import add_hparam_set
from tests.tiny import tiny_set
add_hparam_set(tiny_set("Added_20_R3", "{}"))
"""
    first = write(tmp_path, "first.py", text.format("SGD"))
    second = write(tmp_path, "second.py", text.format("Adam"))
    assert [s.name for s in load_user_file(first)] == ["Added_20_R3"]
    with pytest.raises(LoptError, match=r"Added_20_R3 already, of .*first\.py"):
        load_user_file(second)


def test_a_set_of_the_package_is_not_taken_over():
    theirs = get_hparam_set("AdamLR_1000_R5")
    hparam_sets.add_hparam_set(dataclasses.replace(theirs))
    with pytest.raises(LoptError, match="there is a set AdamLR_1000_R5 already"):
        adam(name="AdamLR_1000_R5")


def test_defining_a_set_again():
    first = adam(space={"beta1": [0.5]})
    assert adam(space={"beta1": [0.5]}) == first
    other = adam(space={"beta1": [0.6]})
    assert get_hparam_set("Mine") is other
    with pytest.raises(LoptError, match="there is a set AdamLR_1000_R5 already"):
        adam(name="AdamLR_1000_R5", space={"beta1": [0.6]})
    assert get_hparam_set("AdamLR_1000_R5").num_configs == 14


OPTIMIZER = '''
import optax
from learned_optimization.optimizers.optax_optimizer import optax_optimizer
@optax_optimizer
def {name}(learning_rate=0.01, decay=0.9):
    """Mine."""
    return optax.rmsprop(learning_rate, decay=decay)
'''
CALL = """
from learned_optimization.baselines.sets.define import hparam_set
hparam_set("{set}", {optimizer}, 20, space={{"learning_rate": [0.01, 0.1]}}, seeds=2)
"""


@pytest.mark.slow
def test_python_file_runs_once_and_its_optimizer_trains_as_optax_does(tmp_path, capsys):
    text = OPTIMIZER.format(name="UserRMS") + CALL.format(
        set="RMS", optimizer="UserRMS"
    )
    assert len(text.strip().splitlines()) < 10
    path = write(tmp_path, "rms_file.py", text + "print('it runs')\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        [made] = load_user_file(path)
        assert load_user_file(Path("rms_file.py")) == [made]
    assert capsys.readouterr().out == "it runs\n"
    assert sys.modules["rms_file"].UserRMS is get_optimizer("UserRMS")
    assert made.opt_names == ("UserRMS_lr0.01", "UserRMS_lr0.1")
    assert run_sweep([TASK], [made]).num_trials == 4
    curve = _curve(made, 1, seed=1)
    np.testing.assert_allclose(
        curve, _by_hand(optax.rmsprop(0.1, decay=0.9), 1), rtol=1e-4
    )


def _curve(made, config, seed):
    folder, _ = made(TASK)[1][config]
    results = utils.load_baseline_results_from_dir(folder, "curves")
    [curve] = [r["train/loss"] for r in results if int(r["seed"]) == seed]
    return curve


def _by_hand(transformation, seed):
    """The training loss of 21 steps, each a call of optax."""
    task, key = TinyTask(), jax.random.PRNGKey(seed)
    assert task.datasets is not None
    data = task.datasets.load()
    assert data is not None
    words = np.asarray(jax.random.key_data(key)).tolist()
    stream = EpochStream([*words, 0], data.splits["train"])
    params = task.init(jax.random.fold_in(key, 0))
    state, losses = transformation.init(params), []
    for step in range(21):
        loss_key = jax.random.fold_in(jax.random.fold_in(key, 2), step)
        batch = data.take(stream.take(task.datasets.batch_size))
        loss, grad = jax.value_and_grad(task.loss)(params, loss_key, batch)
        updates, state = transformation.update(grad, state, params)
        params = optax.apply_updates(params, updates)
        losses.append(float(loss))
    return losses


def test_files_import_those_beside_them(tmp_path, monkeypatch):
    write(tmp_path, "beside_opt.py", OPTIMIZER.format(name="Beside"))
    text = "from beside_opt import Beside" + CALL.format(set="B", optimizer="Beside")
    path = write(tmp_path, "beside_set.py", text)
    searched = list(sys.path)
    assert [s.name for s in load_user_file(path)] == ["B"]
    assert sys.path == searched
    # The other way round too: what is imported is not executed again.
    assert import_file(tmp_path / "beside_opt.py") == []


def test_a_file_named_like_a_module_does_not_replace_it(tmp_path):
    path = write(tmp_path, "optax.py", OPTIMIZER.format(name="NamedOptax"))
    import_file(path)
    assert sys.modules["optax"] is optax
    assert attrgetter("decay")(get_optimizer("NamedOptax")()) == 0.9


def test_sets_added_without_hparam_set_are_found_too(tmp_path):
    text = (
        "from learned_optimization.baselines.hparam_sets import *\n"
        "from learned_optimization.baselines import hparam_sets as h\n"
        "import dataclasses\n"
        "h.add_hparam_set(dataclasses.replace(h.AdamLR_1000_R5, name='Copy'))\n"
    )
    assert [s.name for s in load_user_file(write(tmp_path, "s.py", text))] == ["Copy"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\n", "defines no set: call hparam_set"),
        ("\n\nx = = 1\n", "bad.py, line 3: SyntaxError: invalid syntax"),
        ("\nraise KeyError('k')\n", "bad.py, line 2: KeyError: 'k'"),
        ("import sys\nsys.exit(3)\n", "bad.py, line 2: SystemExit: 3"),
        ("import no_such\n", "bad.py, line 1: ModuleNotFoundError: No module named"),
        (
            CALL.format(set="S", optimizer="'Adma'"),
            "bad.py, line 3: unknown optimizer 'Adma'",
        ),
    ],
)
def test_mistakes_in_python_files(text, message, tmp_path):
    with pytest.raises(LoptError, match=message) as error:
        load_user_file(write(tmp_path, "bad.py", text))
    assert "\n" not in str(error.value)
    # What could not be executed is not there to be imported.
    assert ("bad" in sys.modules) == (text == "x = 1\n")


def test_files_that_cannot_be_read(tmp_path):
    for read in (load_user_file, import_file):
        with pytest.raises(LoptError, match=r"no such file: nowhere\.py"):
            read("nowhere.py")
    with pytest.raises(LoptError, match=r"must end in .py, .yaml, .yml, .gin"):
        load_user_file(write(tmp_path, "set.json", "{}"))
    with pytest.raises(LoptError, match=r"cannot import .*set.yaml: .* end in .py"):
        import_file(write(tmp_path, "set.yaml", "{}"))


YAML = """
# Numbers as people write them.
name: Y
optimizer: Adam
num_steps: 20
space:
  learning_rate: [1e-3, 1E-2, .1, 1]
  beta1: {linear: [5e-1, 0.7], points: 2}
fixed: {epsilon: 1e-6}
seeds: 2
"""


def test_yaml_means_what_python_says(tmp_path):
    [read] = load_user_file(write(tmp_path, "set.yaml", YAML))
    assert read == adam(
        name="Y",
        space={"learning_rate": [1e-3, 1e-2, 0.1, 1.0], "beta1": [0.5, 0.7]},
        fixed={"epsilon": 1e-6},
        seeds=2,
    )


def test_yaml_of_several_sets_and_an_optimizer_beside_it(tmp_path):
    write(tmp_path, "yaml_opt.py", OPTIMIZER.format(name="YamlRMS"))
    text = """
imports: yaml_opt.py
sets:
  - &first
    name: Y1
    optimizer: YamlRMS
    num_steps: 20
    space: {learning_rate: [0.1]}
  - <<: *first
    name: Y2
    num_steps: 30
"""
    first, second = load_user_file(write(tmp_path, "sets.yml", text))
    assert (first.name, first.num_steps) == ("Y1", 20)
    assert (second.name, second.num_steps) == ("Y2", 30)
    assert second.opt_names == ("YamlRMS_lr0.1",)


# Nine lines that stand for 9 ** 9 values.
BOMB = "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 9)
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "set.yaml: a file of sets maps names to values.* got None"),
        ("- 1\n", r"set.yaml: a file of sets maps names to values.* got \[1\]"),
        ("name: [\n", "set.yaml, line 2: no YAML: "),
        ("a: 1\n---\nb: 2\n", "set.yaml, line 2: no YAML: "),
        (
            "a: !!python/name:os.system\n",
            "set.yaml, line 1: no YAML: could not determine",
        ),
        ("name: A\nnum_steps: 1\nname: B\n", "line 3: no YAML: 'name' is given twice"),
        ("1: a\n'1': b\n", "line 2: no YAML: '1' is given twice"),
        ("? [1]\n: 2\n", "line 1: no YAML: a key must be a name or a number"),
        ("a: *nowhere\n", "line 1: no YAML: found undefined alias"),
        ("a: " + "[" * 500, "set.yaml: no YAML: brackets are nested too deeply"),
        ("\x00", "set.yaml: no YAML"),
        ("a: " + "9" * 10_000, "set.yaml: no YAML: .*4300"),
        ("a: &a [*a]\n", "line 1: no YAML: an anchor is used within what it stands"),
        (BOMB, "set.yaml: it stands for more than 100,000 values, by anchors"),
        (
            BOMB.replace("[", "{<<: [").replace("]", "]}"),
            "set.yaml: it stands for more than 100,000 values, by anchors",
        ),
        ("# " + "x" * (1 << 20), "set.yaml: it has more than 1,048,576 bytes"),
        (YAML.replace("1e-6", "9" * 400), "Adam.epsilon must be within 9,223,"),
        (YAML.replace("1e-6", "1e999"), "Adam.epsilon must be finite, got inf"),
        (
            YAML.replace("seeds: 2", "seeds: 1000000000"),
            "set Y: seeds must be at most 1,000,000, got 1000000000",
        ),
        (
            YAML.replace("num_steps: 20", "num_steps: 1000000000000"),
            "set Y: num_steps must be at most 100,000,000, got 1000000000000",
        ),
        (
            "name: A\n",
            "line 1: a set needs name, optimizer, num_steps; optimizer, num_steps are",
        ),
        (
            YAML + "sede: 1\n",
            "line 11: unknown argument of a set 'sede': did you mean seeds",
        ),
        (YAML.replace("Adam", "Adma"), "line 3, set Y: unknown optimizer 'Adma'"),
        (
            YAML.replace("1e-6", "'1e-6'"),
            "set Y: Adam.epsilon must be a number, got '1e-6'",
        ),
        (YAML.replace("1e-6", "010"), "Adam.epsilon must be a number, got '010'"),
        (YAML.replace("1e-6", "on"), "Adam.epsilon must be a number, got 'on'"),
        (
            "%YAML 1.1\n---" + YAML.replace("1e-6", "1:30"),
            "Adam.epsilon must be a number, got '1:30'",
        ),
        (
            YAML.replace("1e-6", "2020-01-01"),
            "Adam.epsilon must be a number, got '2020-01-01'",
        ),
        (
            YAML + "imports: no.py\n",
            "line 11: no such file: no.py; imports are relative",
        ),
        (YAML + "imports: 3\n", "line 11: imports is a list of Python files.* got 3"),
        (YAML + "sets: []\n", "line 3: 'name' stands beside sets"),
        ("sets: []\n", r"line 1: sets is a list.* got \[\]"),
        ("sets: {a: 1}\n", "line 1: sets is a list"),
        ("sets:\n  - 3\n", "line 2: an item of sets maps names to values.* got 3"),
        ("sets:\n  - name: A\n", "line 2: a set needs"),
    ],
)
def test_mistakes_in_yaml_files(text, message, tmp_path):
    with pytest.raises(LoptError, match=message) as error:
        load_user_file(write(tmp_path, "set.yaml", text))
    assert "\n" not in str(error.value)
    assert str(tmp_path) in str(error.value)


def test_yaml_that_is_no_text(tmp_path):
    (tmp_path / "set.yaml").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(LoptError, match=r"set.yaml: no YAML: 'utf-8' codec"):
        load_user_file(tmp_path / "set.yaml")


GIN = """
rates = [1e-3, 1]
hparam_set.name = "G"
hparam_set.optimizer = "Adam"
hparam_set.num_steps = 20
hparam_set.space = {"learning_rate": %rates, "beta1": [0.5, 0.7]}
"""


def test_gin_means_what_python_says_and_leaves_the_configuration(tmp_path):
    configuration.load([], ["Adam.beta2 = 0.5", "inner_train_task.seed = 3"])
    before = gin.config_str()
    [read] = load_user_file(write(tmp_path, "set.gin", GIN))
    assert gin.config_str() == before
    gin.clear_config()
    assert read == adam(
        name="G", space={"learning_rate": [1e-3, 1.0], "beta1": [0.5, 0.7]}
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hparam_set.space = " + "[" * 3000, "brackets are nested too deeply"),
        ("hparam_set.space = " + "[" * 90, "gin configuration: .*EOF in multi-line"),
        ("hparam_set.seeds = " + "9" * 10_000, "gin configuration: .*4300"),
        ("# " + "x" * (1 << 20), "set.gin has more than 1,048,576 bytes"),
        ("", "set.gin: hparam_set: a set needs .* are not given"),
        (GIN + "Adam.beta1 = 0.5\n", 'Adam.beta1 is no argument .* as "Adam.beta1"'),
        (GIN + "hparam_set.sede = 5\n", "set.gin: unknown gin parameter of .*'sede'"),
        (GIN.replace('"Adam"', '"Adma"'), "set.gin: unknown optimizer 'Adma'"),
        (GIN + "hparam_set.seeds = 0\n", "set.gin: seeds must be a whole number"),
        ("hparam_set.name = \n", "set.gin: gin configuration"),
    ],
)
def test_mistakes_in_gin_files(text, message, tmp_path):
    configuration.load([], ["inner_train_task.seed = 3"])
    with pytest.raises(LoptError, match=message):
        load_user_file(write(tmp_path, "set.gin", text))
    assert gin.query_parameter("inner_train_task.seed") == 3


@pytest.mark.slow
def test_a_set_shares_results_with_another(tmp_path):
    run_sweep([TASK], [adam(name="A", space={"learning_rate": [0.1, 0.2]}, seeds=2)])
    both = adam(name="B", space={"learning_rate": [0.2, 0.3]}, seeds=3)
    summary = run_sweep([TASK], [both])
    assert (summary.num_trials, summary.num_skipped) == (6, 2)


@pytest.mark.slow
def test_results_of_another_setting_are_refused_before_training(monkeypatch):
    made = adam(space={"learning_rate": [0.1, 0.2]}, seeds=2)
    run_sweep([TASK], [made])
    folder, _ = made(TASK)[1][1]
    path = sorted(Path(folder).glob("*.curves"))[0]
    result = utils.read_npz(str(path))
    assert str(result["opt_config"]).startswith("Adam_lr0.2_b10.9_")
    utils.write_npz(str(path), {**result, "opt_config": "Adam_lr0.2_b10.8"})
    monkeypatch.setattr(TrialGrid, "run", lambda *a: pytest.fail("trained"))
    message = (
        rf"{re.escape(folder)} holds results of Adam_lr0.2_b10.8, .*"
        " Adam_lr0.2_b10.9_b2"
    )
    with pytest.raises(ResultError, match=message):
        run_sweep([TASK], [made])
    with pytest.raises(ResultError, match=message):
        archive(TASK, made)
    assert utils.list_hparam_sets_for_task(TASK) == []
    # Results of others do not record their setting.
    del result["opt_config"]
    utils.write_npz(str(path), result)
    assert run_sweep([TASK], [made]).num_skipped == 4
    assert archive(TASK, made).endswith("Mine.npz")


def test_what_is_missing_is_to_be_made_from_the_file(tmp_path):
    path = write(tmp_path, "set.yaml", YAML)
    [made] = load_user_file(path)
    for known, source in ((made, path), (adam(name="Z"), None)):
        with pytest.raises(MissingTrialsError) as raised:
            archive(TASK, known)
        error = raised.value
        assert (error.task_name, error.source) == (TASK, source)
        command = f"`lopt sweep {TASK} {known.name}"
        command += f" --set {source}`" if source else "`"
        assert command not in str(error)
        assert with_advice(error) == f"{error}\nTrain them with {command}."


@pytest.mark.slow
def test_defining_a_set_starts_no_backend() -> None:
    # It would begin with one device, and a sweep of a file's sets use one core.
    code = """
from learned_optimization.baselines.sets.define import hparam_set
import jax
hparam_set("OwnLR_10_R1", "Adam", num_steps=10, space={"learning_rate": [0.1, 0.2]})
jax.config.update("jax_num_cpu_devices", 3)
print(len(jax.devices()))
"""
    environment = {k: v for k, v in os.environ.items() if k != "JAX_NUM_CPU_DEVICES"}
    result = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True
    )
    assert (result.stdout.strip(), result.returncode) == ("3", 0), result.stderr
