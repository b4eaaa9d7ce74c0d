"""The suites of the package: every published task is in one, and ours are whole."""

from collections import Counter

import pytest

from learned_optimization.baselines.hparam_sets import all_hparam_sets
from learned_optimization.baselines.suites.registry import (
    SUITES,
    all_suites,
    get_suite,
)
from learned_optimization.tasks.registry import all_fixed_tasks

TASKS = all_fixed_tasks()
PACKAGED = SUITES.packaged()
# Numbers of the published tasks, counted in the published list by hand.
PUBLISHED = {
    "published_ae": 6,
    "published_conv": 11,
    "published_es": 6,
    "published_lm": 16,
    "published_lopt": 23,
    "published_mixer": 9,
    "published_mlp": 27,
    "published_resnet": 11,
    "published_rnn_lm": 14,
    "published_vit": 6,
}
every_suite = pytest.mark.parametrize("name", PACKAGED)


def test_there_are_these():
    assert set(PACKAGED) == {"laptop", "laptop_heldout", *PUBLISHED}
    assert all_suites().keys() >= set(PACKAGED)
    assert sum(PUBLISHED.values()) == 129


def test_every_published_task_is_in_one_published_suite():
    counts = Counter(
        task
        for name in PACKAGED
        if name.startswith("published_")
        for task in get_suite(name).tasks
    )
    published = [name for name, task in TASKS.items() if task.is_published]
    assert counts == dict.fromkeys(published, 1)


@pytest.mark.parametrize(("name", "num"), PUBLISHED.items())
def test_a_published_suite_is_one_architecture(name, num):
    suite = get_suite(name)
    assert len(suite.tasks) == num
    assert len({TASKS[task].module for task in suite.tasks}) == 1
    assert (suite.num_steps, suite.seeds, suite.is_heldout) == (10_000, 5, False)


@pytest.mark.parametrize("name", ["laptop", "laptop_heldout"])
def test_every_task_of_ours_is_in_its_suite(name):
    """All of its module; `laptop` has a published one, which lies elsewhere."""
    suite = get_suite(name)
    of_module = {n for n, t in TASKS.items() if t.module.endswith(f".{name}")}
    others = set(suite.tasks) - of_module
    assert of_module < set(suite.tasks) or of_module == set(suite.tasks)
    assert others == ({"ImageMLP_FashionMnist8_Relu32"} if name == "laptop" else set())
    assert (suite.num_steps, suite.seeds) == (1_000, 5)
    assert suite.is_heldout == (name == "laptop_heldout")


def test_what_is_held_out_is_in_no_other_suite():
    heldout = {t for s in all_suites().values() if s.is_heldout for t in s.tasks}
    others = {t for s in all_suites().values() if not s.is_heldout for t in s.tasks}
    assert heldout
    assert not heldout & others


@every_suite
def test_names_are_of_nothing_else(name):
    assert name not in TASKS
    assert name not in all_hparam_sets()


@every_suite
def test_each_says_what_it_is(name):
    description = get_suite(name).description
    assert description
    assert not description.endswith(".")
