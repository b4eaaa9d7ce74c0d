"""Making a single trial and training it: its names, and the gin text it records."""

import inspect
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import gin
import pytest

from learned_optimization import configuration
from learned_optimization.baselines import utils
from learned_optimization.baselines.results.format import Result
from learned_optimization.baselines.run_trainer import inner_train_task
from learned_optimization.baselines.sweeps.inner_training import (
    configured_trial,
    make_trial,
)
from learned_optimization.configurable import configurable
from learned_optimization.errors import LoptError
from learned_optimization.eval_training import RunPlan
from learned_optimization.optimizers.optax_opts import SGD, Adam
from learned_optimization.tasks.base import get_task_from_name
from learned_optimization.tasks.quadratics import QuadraticTask
from tests.tiny import TinyRegression

SHORT: dict[str, Any] = {
    "num_steps": 10,
    "eval_every": 5,
    "eval_batches": 2,
    "last_eval_batches": 4,
}


@configurable("tests")
def make_quad() -> QuadraticTask:
    return QuadraticTask()


@configurable("tests")
def keep(value: Any = None) -> Any:
    return value


@configurable("tests")
def make_other_quad() -> QuadraticTask:
    return QuadraticTask()


def stored() -> set[str]:
    """`task/setting` of every result there is."""
    root = Path(utils.get_root_baseline_dir())
    return {str(p.parent.parent.relative_to(root)) for p in root.rglob("*.curves")}


def train(*bindings: str, **arguments: Any) -> Result:
    """Train as a gin file with these lines would, from Python."""
    gin.parse_config(["inner_train_task.opt = @SGD()", *bindings])
    # gin gives what the caller leaves out, which no type checker knows.
    call: Any = inner_train_task
    return call(**(SHORT | arguments))


@pytest.mark.parametrize(
    ("bindings", "arguments", "name"),
    [
        (["task = @make_quad()"], {}, "make_quad"),
        (["task = @make_other_quad()"], {}, "make_other_quad"),
        (["task = @tests.make_quad()"], {}, "make_quad"),
        (["task = @some/scope/make_quad()"], {}, "make_quad"),
        (["task = @make_quad()", "task_name = 'mine'"], {}, "mine"),
        (["task = @make_quad()"], {"task_name": "mine"}, "mine"),
        # What the caller gives is not what gin has bound.
        (["task = @make_quad()"], {"task": QuadraticTask()}, "QuadraticTask"),
        (
            ["task = @make_quad()", "eval_task = @make_other_quad()"],
            {},
            "make_quad___make_other_quad",
        ),
        (
            ["task = @make_quad()", "eval_task = @make_other_quad()"],
            {"task_name": "mine", "eval_task_name": "theirs"},
            "mine___theirs",
        ),
        (
            ["task = @make_quad()"],
            {"eval_task": QuadraticTask()},
            "make_quad___QuadraticTask",
        ),
    ],
)
def test_results_have_the_name_of_the_function(
    bindings: list[str], arguments: dict[str, Any], name: str
) -> None:
    result = train(*(f"inner_train_task.{b}" for b in bindings), **arguments)
    assert stored() == {f"{name}/SGD_lr0.01"}
    assert str(result["task_name"]) == name
    assert str(result["eval_task_name"]) == name.split("___")[-1]


def test_macros_stand_for_what_they_name() -> None:
    train("inner_train_task.task = %what", "what = @make_quad()")
    assert stored() == {"make_quad/SGD_lr0.01"}


@pytest.mark.slow
def test_called_from_python() -> None:
    inner_train_task(QuadraticTask(), SGD(), **SHORT)
    inner_train_task(TinyRegression(), SGD(learning_rate=1.0), **SHORT)
    name = "ImageMLP_FashionMnist8_Relu32"
    inner_train_task(get_task_from_name(name), SGD(), **SHORT)
    # Whole numbers are written as in the names of sets.
    assert stored() == {
        "QuadraticTask/SGD_lr0.01",
        "TinyRegression/SGD_lr1",
        f"{name}/SGD_lr0.01",
    }
    [result] = utils.load_baseline_results("QuadraticTask", "SGD_lr0.01", 10, 5, 2, 4)
    assert result["train/xs"].tolist() == list(range(11))
    assert result["eval/xs"].tolist() == [0, 5, 10]


def test_gin_alone_calls_it() -> None:
    configuration.load(
        [],
        [
            "inner_train_task.task = @make_quad()",
            "inner_train_task.opt = @SGD()",
            *(f"inner_train_task.{k} = {v}" for k, v in SHORT.items()),
        ],
    )
    configuration.call_bound(inner_train_task)
    gin.get_configurable("inner_train_task")()
    assert stored() == {"make_quad/SGD_lr0.01"}
    assert len(utils.load_baseline_results("make_quad", "SGD_lr0.01", 10, 5, 2, 4)) == 2


FIRST = (
    "inner_train_task.task = @make_quad()",
    "inner_train_task.opt = @SGD()",
    "SGD.learning_rate = 0.1",
)
SECOND = (
    "inner_train_task.task = @make_other_quad()",
    "inner_train_task.opt = @Adam()",
    "Adam.learning_rate = 0.2",
)


def described(text: object) -> set[str]:
    """Return what gin text binds parameters of."""
    lines = str(text).splitlines()
    return {line.partition(".")[0] for line in lines if not line.startswith("#")} - {""}


def test_each_of_two_trials_records_its_own_configuration() -> None:
    first = train(*FIRST)
    # What the first one used stays bound, and is no part of the second.
    second = train(*SECOND, num_steps=20)
    text_of_first, text_of_second = (
        str(result["gin_operative_config"]) for result in (first, second)
    )
    assert described(text_of_first) == {"QuadraticTask", "SGD", "inner_train_task"}
    assert described(text_of_second) == {"Adam", "QuadraticTask", "inner_train_task"}
    assert "make_quad" in text_of_first
    assert "make_other_quad" not in text_of_first
    assert "make_quad" not in text_of_second
    assert "make_other_quad" in text_of_second


def test_so_do_trials_that_gin_itself_calls_for() -> None:
    gin.parse_config([f"inner_train_task.{k} = {v}" for k, v in SHORT.items()])
    by_gin = gin.get_configurable("inner_train_task")
    texts = []
    for bindings in (FIRST, SECOND):
        gin.parse_config(bindings)
        texts.append(by_gin()["gin_operative_config"])
    gin.parse_config(["keep.value = @inner_train_task()", *FIRST])
    texts.append(keep()["gin_operative_config"])
    assert [
        described(text) - {"QuadraticTask", "inner_train_task"} for text in texts
    ] == [
        {"SGD"},
        {"Adam"},
        {"SGD"},
    ]


def test_the_configuration_recorded_makes_the_trial_again() -> None:
    gin.parse_config([f"inner_train_task.{k} = {v}" for k, v in SHORT.items()])
    results = []
    for bindings in (FIRST, SECOND):
        gin.parse_config(bindings)
        results.append(configuration.call_bound(inner_train_task))
    for result, name, opt in zip(
        results,
        ("make_quad", "make_other_quad"),
        (SGD(learning_rate=0.1), Adam(learning_rate=0.2)),
        strict=True,
    ):
        text = str(result["gin_operative_config"])
        configuration.load(bindings=[text])
        trial = configured_trial()
        assert trial.gin_operative_config == text
        assert (trial.task_name, trial.opt.name) == (name, opt.name)
        assert (trial.plan, trial.seed) == (RunPlan(**SHORT), int(result["seed"]))


def test_what_is_given_as_an_object_is_not_recorded() -> None:
    # Made before, all at once: gin was asked for the defaults of both.
    results = [
        inner_train_task(QuadraticTask(), opt, **SHORT)
        for opt in (SGD(learning_rate=0.1), Adam(learning_rate=0.2))
    ]
    for result in results:
        text = str(result["gin_operative_config"])
        assert described(text) == {"inner_train_task"}
        assert "inner_train_task.task " not in text
        assert "inner_train_task.seed = 0" in text


def test_gin_keeps_what_it_knew_of_calls() -> None:
    gin.parse_config("SGD.learning_rate = 0.5")
    gin.get_configurable("SGD")()
    train(*SECOND)
    text = gin.operative_config_str()
    assert "SGD.learning_rate = 0.5" in text
    assert "Adam.learning_rate = 0.2" in text
    assert "inner_train_task.task = @make_other_quad()" in text


def test_a_trial_is_made_without_training_it() -> None:
    gin.parse_config("inner_train_task.eval_batches = 3")
    trial = make_trial(make_quad(), "Adam", 10, last_eval_batches=7, seed=4)
    assert trial.plan == RunPlan(10, eval_batches=3, last_eval_batches=7)
    assert (trial.task_name, trial.opt.name) == ("QuadraticTask", Adam().name)
    assert trial.seed == 4
    assert stored() == set()
    with pytest.raises(LoptError, match=r"inner_train_task\.task"):
        configured_trial()


def test_threads_record_what_is_their_own() -> None:
    gin.parse_config("inner_train_task.task = @make_quad()")
    gin.parse_config("inner_train_task.num_steps = 10")
    make: Any = make_trial  # gin knows the other arguments
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(8) as pool:
            trials = list(pool.map(lambda seed: make(opt="Adam", seed=seed), range(80)))
    finally:
        sys.setswitchinterval(before)
    for trial in trials:
        text = trial.gin_operative_config
        assert "inner_train_task.task = @make_quad()" in text
        assert "inner_train_task.num_steps = 10" in text


def test_both_take_the_same_arguments() -> None:
    made, trained = map(inspect.signature, (make_trial, inner_train_task))
    assert made.parameters == trained.parameters
