"""Under which names a single trial is stored."""

from pathlib import Path

import gin
import pytest

from learned_optimization import configuration
from learned_optimization.baselines import utils
from learned_optimization.baselines.run_trainer import inner_train_task
from learned_optimization.configurable import configurable
from learned_optimization.optimizers.optax_opts import SGD
from learned_optimization.tasks.base import get_task_from_name
from learned_optimization.tasks.quadratics import QuadraticTask
from tests.tiny import TinyRegression

SHORT = {"num_steps": 10, "eval_every": 5, "eval_batches": 2, "last_eval_batches": 4}


@configurable("tests")
def make_quad():
    return QuadraticTask()


@configurable("tests")
def make_other_quad():
    return QuadraticTask()


def stored() -> set[str]:
    """`task/setting` of every result there is."""
    root = Path(utils.get_root_baseline_dir())
    return {str(p.parent.parent.relative_to(root)) for p in root.rglob("*.curves")}


def train(*bindings: str, **arguments):
    """Train as a gin file with these lines would, from Python."""
    gin.parse_config(["inner_train_task.opt = @SGD()", *bindings])
    result = inner_train_task(**(SHORT | arguments))  # pyright: ignore
    assert result is not None
    return result


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
def test_results_have_the_name_of_the_function(bindings, arguments, name):
    result = train(*(f"inner_train_task.{b}" for b in bindings), **arguments)
    assert stored() == {f"{name}/SGD_lr0.01"}
    assert str(result["task_name"]) == name
    assert str(result["eval_task_name"]) == name.split("___")[-1]


def test_macros_stand_for_what_they_name():
    train("inner_train_task.task = %what", "what = @make_quad()")
    assert stored() == {"make_quad/SGD_lr0.01"}


@pytest.mark.slow
def test_called_from_python():
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
    [found] = utils.load_baseline_results("QuadraticTask", "SGD_lr0.01", 10, 5, 2, 4)
    assert found["train/xs"].tolist() == list(range(11))
    assert found["eval/xs"].tolist() == [0, 5, 10]


def test_gin_alone_calls_it():
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
