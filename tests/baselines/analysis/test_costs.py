"""What an optimizer costs finds the set it was measured of, and becomes seconds."""

import numpy as np
import pytest

from learned_optimization.baselines.analysis.costs import (
    seconds_over_tasks,
    with_costs,
)
from learned_optimization.baselines.analysis.set_results import load_set_result
from learned_optimization.baselines.analysis.verdicts import compare
from tests.baselines.archives import write_archive, write_three
from tests.baselines.costs import cost_of

ADAM = "Adam_lr0.01_b10.9_b20.999_eps1e-08_epsroot1e-08"


def loaded(setting=ADAM, opt="Adam", name="Mine"):
    facts = {"opt_config": setting} if setting else {}
    write_archive("T", name, [[0.5], [0.6], [0.9]], opt=opt, facts=facts)
    return load_set_result("T", name)


def found(result, *costs):
    return with_costs([[result]], costs)[0][0].cost


def test_a_set_has_what_was_measured_of_it_on_its_task():
    own = cost_of("T", "Mine", setting="whatever")
    others = [cost_of("U", "Mine"), cost_of("T", "Yours"), cost_of("T", "Adam")]
    assert found(loaded(setting=""), *others, own) is own
    assert found(loaded(setting=""), *others) is None
    assert found(loaded(), own, cost_of("T", "Adam", setting=ADAM)) is own


@pytest.mark.parametrize(
    ("measured", "is_found"),
    [
        (ADAM, True),
        # A learning rate changes no cost; what else may is not guessed at.
        (ADAM.replace("lr0.01", "lr0.3"), True),
        (ADAM.replace("b10.9", "b10.8"), False),
        (ADAM.replace("Adam", "AdaBelief"), False),
        ("SGD_lr0.01", False),
        ("nothing that can be read", False),
    ],
)
def test_an_optimizer_that_differs_in_the_rate_alone_counts(measured, is_found):
    cost = cost_of("T", "Other", setting=measured)
    assert (found(loaded(), cost) is cost) == is_found


def test_the_newest_measurement_counts():
    old = cost_of("T", "A", setting=ADAM, measured="2026-01-02T00:00:00+00:00")
    new = cost_of("T", "B", setting=ADAM, measured="2026-01-03T00:00:00+00:00")
    assert found(loaded(), new, old) is new
    assert found(loaded(), old, new) is new


def test_seconds_are_updates_times_a_whole_step():
    result = loaded()
    assert np.isnan(result.seconds_alone(100))
    # A gradient of 3 ms and an update of 2.
    cost = cost_of("T", "Mine", gradient=0.003, update=0.002)
    result = with_costs([[result]], [cost])[0][0]
    assert result.seconds_alone(100) == pytest.approx(0.5)
    assert result.seconds_alone(np.inf) == np.inf


def test_ratios_of_seconds_over_tasks():
    tasks = ["T", "U", "V", "W"]
    [names, *_] = [write_three(task, noise=0.01) for task in tasks]
    results = [[load_set_result(task, name) for name in names] for task in tasks]
    verdict = compare(results)
    order = [o.set_name for o in verdict.overall]
    assert seconds_over_tasks(results, verdict).task_names == ()
    # W lacks one of the sets.
    step = dict(zip(names, (0.001, 0.004, 0.0005), strict=True))
    costs = [
        cost_of(task, name, gradient=step[name], update=0.0)
        for task in tasks
        for name in names
        if (task, name) != ("W", names[2])
    ]
    over = seconds_over_tasks(with_costs(results, costs), verdict)
    assert over.task_names == ("T", "U", "V")
    for column, task in zip(over.ratios.T, verdict.tasks, strict=False):
        seconds = [task.standing(name).steps * step[name] for name in order]
        np.testing.assert_allclose(column, np.asarray(seconds) / min(seconds))
