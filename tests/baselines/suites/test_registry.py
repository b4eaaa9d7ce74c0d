"""Suites by name, what they stand for among tasks, and suites of one's own."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from learned_optimization.baselines.suites.define import suite
from learned_optimization.baselines.suites.registry import (
    SUITES,
    add_suite,
    all_suites,
    get_suite,
    tasks_of,
    without_suites,
)
from learned_optimization.baselines.suites.suite import Suite
from learned_optimization.errors import LoptError, NotRegisteredError
from learned_optimization.tasks.registry import TASKS, own_fixed_task
from learned_optimization.training.plan import RunPlan
from tests.tiny import TinyTask

MLP = "ImageMLP_FashionMnist8_Relu32"
CONV = "Conv_FashionMnist8_16x32"
GRU = "RNNLM_kjvbytes_Patch16_GRU64_Embed32"


@pytest.fixture(autouse=True)
def own_suites() -> Iterator[None]:
    """Forget after a test what it registers."""
    with SUITES.temporarily(), TASKS.temporarily():
        yield


def mine(**changes):
    return suite(**{"name": "mine", "tasks": [MLP, CONV], "num_steps": 20, **changes})


def test_a_suite_is_found_by_its_name():
    made = mine(seeds=3, description="two of them", eval_every=4)
    assert get_suite("mine") is made
    assert all_suites()["mine"] is made
    assert made == Suite(
        "mine", (MLP, CONV), 20, seeds=3, description="two of them", eval_every=4
    )
    assert made.plan == RunPlan(20, eval_every=4)
    assert not made.is_heldout


def test_an_unknown_suite_leads_to_the_nearest():
    with pytest.raises(NotRegisteredError, match="did you mean laptop"):
        get_suite("labtop")


def test_a_suite_may_stand_where_tasks_do():
    mine()
    assert tasks_of(["mine"]) == [MLP, CONV]
    assert tasks_of([GRU, "mine", CONV]) == [GRU, MLP, CONV]
    assert tasks_of([CONV, "mine"]) == [CONV, MLP]
    laptop = get_suite("laptop").tasks
    assert tasks_of(["laptop", "laptop", CONV]) == list(laptop)
    assert tasks_of([]) == []


def test_other_names_stay_among_tasks():
    mine()
    assert without_suites(["task_of_old", "mine", CONV]) == ["task_of_old", MLP, CONV]
    with pytest.raises(
        NotRegisteredError, match=r"unknown task or suite 'laptops': did you mean lapt"
    ):
        tasks_of([MLP, "laptops"])


def test_suites_among_the_tasks_of_a_suite_stand_for_theirs():
    mine()
    assert mine(name="more", tasks=[GRU, "mine", MLP]).tasks == (GRU, MLP, CONV)


def test_defined_again_it_is_replaced():
    mine()
    assert mine(tasks=[GRU]) is get_suite("mine")
    assert get_suite("mine").tasks == (GRU,)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("laptop", "there is a suite laptop already, of learned_optimization"),
        (GRU, f"a suite cannot be called {GRU}: a task has that name"),
        ("AdamLR_1000_R5", "cannot be called AdamLR_1000_R5: a set has that name"),
        ("not a name", "name must be letters, digits"),
        ("", "name must be letters, digits"),
        (7, "name must be letters, digits"),
    ],
)
def test_names_that_cannot_be(name, message):
    with pytest.raises(LoptError, match=message):
        mine(name=name)


def test_a_task_that_takes_a_suites_name_makes_the_name_useless():
    mine()

    def named_mine():
        return TinyTask()

    named_mine.__name__ = "mine"
    own_fixed_task(named_mine)
    for stand_for in (tasks_of, without_suites):
        with pytest.raises(LoptError, match="mine is both a task and a suite"):
            stand_for(["mine"])
        assert stand_for([MLP]) == [MLP]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tasks": []}, r"tasks is a list of names of tasks and suites, one at least"),
        ({"tasks": "laptop"}, r"tasks is a list .* e.g. \[laptop\], got 'laptop'"),
        ({"tasks": 3}, "tasks is a list .* got 3"),
        ({"tasks": [3]}, r"tasks is a list .* got \[3\]"),
        ({"tasks": ["Conv_FashionMnist8_16x23"]}, "task or suite 'Conv_.* 16x32"),
        ({"tasks": ["mine"]}, "suite mine: it is among its own tasks"),
        ({"num_steps": 0}, "num_steps of suite mine must be a whole number of at le"),
        ({"num_steps": 10**9}, "num_steps of suite mine must be at most 100,000,000"),
        ({"seeds": 1.5}, "seeds of suite mine must be a whole number of at least 1"),
        ({"eval_every": 0}, "eval_every must be a whole number of at least 1"),
        ({"is_heldout": "yes"}, "is_heldout is true or false, got 'yes'"),
        ({"description": "two\nlines"}, "description is one line of text"),
        ({"description": None}, "description is one line of text, got None"),
    ],
)
def test_what_is_wrong_is_refused(changes, message):
    message = message.replace(" 16x32", ".*did you mean Conv_FashionMnist8_16x32")
    with pytest.raises(LoptError, match=message):
        mine(**changes)
    assert "mine" not in all_suites()


def test_a_suite_of_its_own_class_is_checked_too():
    good = Suite("mine", (MLP,), 20)
    with pytest.raises(LoptError, match=f"{MLP} is there more than once"):
        replace(good, tasks=(MLP, CONV, MLP))
    with pytest.raises(LoptError, match="tasks is a list of names of tasks, one"):
        replace(good, tasks=())
    with pytest.raises(NotRegisteredError, match="unknown task 'nothing'"):
        add_suite(replace(good, tasks=("nothing",)))
    assert add_suite(good) is get_suite("mine")
