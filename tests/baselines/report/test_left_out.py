"""A set or a task that is at fault: the report shows all else, and says what is not."""

import json
import random

import matplotlib.pyplot as plt
import numpy as np
import pytest

from learned_optimization.baselines import utils, vis
from learned_optimization.baselines.report import build_report, words
from learned_optimization.baselines.report.build import PAGE, analyse, files_of_report
from learned_optimization.baselines.stats import Interval
from learned_optimization.errors import LoptError, ResultError
from tests.baselines import faults
from tests.baselines.archives import write_archive, write_three

TASKS = ("T", "U")


def rows_of(verdict, but=()):
    """All that is said of sets on tasks, but for the p-values, which all sets share."""
    return {
        (task.task_name, s.set_name): (s.loss, s.num_diverged, s.steps, s.censored)
        for task in verdict.tasks
        for s in task.standings
        if (task.task_name, s.set_name) not in but
    }


def same(a, b):
    return all(
        x == y if isinstance(x, Interval) else np.array_equal(x, y, equal_nan=True)
        for x, y in zip(a, b, strict=True)
    )


def check(found, names):
    """Everything is made of it, and every reason names its task and its set."""
    results, verdict = found
    files = files_of_report(results, verdict)
    assert words.headline(results, verdict)
    page = files[PAGE]
    told = json.loads(files["results.json"])["left_out"]
    assert len(told) == len(verdict.left_out)
    for left in verdict.left_out:
        assert left.task_name in TASKS
        assert left.reason.endswith(".")
        assert str(left).startswith((left.set_name, left.figure))
        assert left.task_name in str(left)
        assert left.set_name in names or any(name in left.reason for name in names)
    assert page.count('id="left-out"') == bool(verdict.left_out)
    return verdict


@pytest.fixture
def three():
    names = write_three("T", noise=0.01)
    write_three("U", noise=0.01)
    return names


FEW = ("inf at step 0", "everything inf", "one evaluation", "cut off", "no eval/xs")


@pytest.mark.parametrize(
    "fault",
    [
        *FEW,
        *(pytest.param(f, marks=pytest.mark.slow) for f in faults.ALL if f not in FEW),
    ],
)
def test_a_fault_of_one_set_changes_no_other(three, fault):
    before = rows_of(analyse(TASKS, three)[1])
    faults.inject(fault, "T", three[2])
    verdict = check(analyse(TASKS, three), three)
    after = rows_of(verdict, but={("T", three[2])})
    assert set(before) - set(after) == {("T", three[2])}
    for place, row in after.items():
        assert same(before[place], row), place
    whole = [left for left in verdict.left_out if not left.figure]
    assert [(left.task_name, left.set_name) for left in whole] == (
        [("T", three[2])] if fault in faults.STOPS else []
    )
    if fault in faults.STOPS:
        # It is not there for the comparison over tasks, and that is said too.
        assert [o.set_name for o in verdict.overall] == [three[1], three[0]]
        [over] = [left for left in verdict.left_out if left.figure]
        assert (over.task_name, over.set_name) == ("T", three[2])
        alone = analyse(TASKS, three[:2])[1]
        assert [vars(o) for o in alone.overall] == [vars(o) for o in verdict.overall]


@pytest.mark.parametrize(
    "seed",
    [
        *range(3),
        *(pytest.param(n, marks=pytest.mark.exhaustive) for n in range(3, 400)),
    ],
)
def test_any_faults(three, seed):
    rng = random.Random(seed)
    places = [(task, name) for task in TASKS for name in three]
    unusable = set()
    for task, name in rng.sample(places, rng.randint(1, len(places))):
        fault = rng.choice(faults.ALL)
        faults.inject(fault, task, name)
        unusable |= {(task, name)} if fault in faults.STOPS else set()
    reference = rng.choice([None, *three])
    if len(unusable) == len(places):
        with pytest.raises(ResultError) as caught:
            analyse(TASKS, three, reference=reference)
        assert all(f"{name} on {task}" in str(caught.value) for task, name in places)
        return
    found = analyse(TASKS, three, reference=reference)
    verdict = check(found, three)
    assert set(rows_of(verdict)) == set(places) - unusable
    whole = {
        (left.task_name, left.set_name) for left in verdict.left_out if not left.figure
    }
    assert whole == unusable
    # Each task is measured, or it is said why not.
    measured = set(verdict.over_tasks.task_names)
    for task in verdict.tasks:
        reasons = [
            left
            for left in verdict.left_out
            if left.task_name == task.task_name and not left.set_name
        ]
        assert task.has_target == (not reasons)
        assert task.task_name in measured or reasons


def test_a_target_that_the_reference_begins_at(three):
    for task in TASKS:
        faults.inject("barely trained", task, three[0])
    before = rows_of(analyse(TASKS, three)[1])
    verdict = check(analyse(TASKS, three, reference=three[0]), three)
    for left, task in zip(verdict.left_out, TASKS, strict=True):
        assert left.figure == "times to the target"
        assert left.task_name == task
        assert f"the target that {three[0]} sets on {task}" in left.reason
    # Losses are what they are, and so is the share of the improvement.
    assert [b[0] for b in before.values()] == [a[0] for a in rows_of(verdict).values()]
    assert len(verdict.overall) == 3
    assert all(np.isnan(o.speedup.estimate) for o in verdict.overall)
    assert all(np.isfinite(o.score.estimate) for o in verdict.overall)


def test_a_task_on_which_no_set_improves(three):
    for name in three:
        faults.inject("flat", "U", name)
    verdict = check(analyse(TASKS, three), three)
    [left] = verdict.left_out
    assert (left.task_name, left.set_name) == ("U", "")
    assert "does not improve on the initial loss of U" in left.reason
    assert verdict.over_tasks.task_names == ("T",)
    alone = analyse(["T"], three)[1]
    assert [o.score for o in verdict.overall] == [o.score for o in alone.overall]
    nothing = check(analyse(["U"], three), three)
    assert nothing.overall == ()
    [left] = nothing.left_out
    assert left.reason.startswith("no set improves on the initial loss of U: Adam")


def test_a_loss_that_is_infinite_before_the_first_update(three):
    faults.inject("inf at step 0", "T", three[0])
    found = analyse(["T"], three)
    verdict = check(found, three)
    assert verdict.left_out == ()
    assert verdict.reference != three[0]
    said = "\n".join(words.caveats(*found))
    assert f"they are no reference: {three[0]}." in said
    assert f"are measured by, as the reference {three[0]} does not improve" in said
    # As the reference it measures nothing, and losses are still compared.
    asked = check(analyse(["T"], three, reference=three[0]), three)
    [left] = asked.left_out
    assert left.figure == "scores and times to the target"
    assert all(np.isfinite(s.loss.estimate) for s in asked.tasks[0].standings)


def test_a_diverged_seed_has_no_loss_where_nothing_says_what_it_counts_as(three):
    for name in three:
        faults.inject("inf at step 0, a seed diverges", "T", name)
    verdict = check(analyse(["T"], three), three)
    assert verdict.tasks[0].comparison is None
    for left, name in zip(verdict.left_out[1:], three, strict=True):
        assert (left.set_name, left.figure) == (name, "the mean loss")
        assert "not finite for every seed of any configuration" in left.reason


def test_a_diverged_seed_counts_as_the_loss_that_other_sets_begin_at(three):
    faults.inject("inf at step 0, a seed diverges", "T", three[2])
    verdict = check(analyse(["T"], three), three)
    assert verdict.left_out == ()
    standing = verdict.tasks[0].standing(three[2])
    assert standing.has_loss
    assert standing.num_diverged == 1


def test_losses_near_the_limit_of_float32_are_losses():
    final = np.asarray([[1e38, 1.2e38], [2e38, 2.4e38], [3e38, 3e38]])
    write_archive("T", "Huge", final, start=3.2e38)
    arrays = utils.load_archive("T", "Huge")
    for key in faults.LOSSES:
        arrays[key] = arrays[key].astype(np.float32)
        arrays[key][2, 1, -1] = np.inf
    utils.write_archive("T", "Huge", arrays)
    results, verdict = analyse(["T"], ["Huge"])
    result = results[0][0]
    losses = result.curves.losses["test"]
    assert losses.dtype == np.float32
    means = [sum(map(float, seeds)) / 2 for seeds in losses[:2, :, -1]]
    assert not result.best.all_diverged
    assert result.best.num_diverged == 1
    assert result.best.final["test"].mean() == pytest.approx(min(means))
    assert result.initial_loss == pytest.approx(3.2e38)
    assert vis.load_curves("T", ("Huge",))[0][1][-1] == pytest.approx(min(means))
    vis.plot_tasks_and_sets("T", ["Huge"])
    plt.close("all")
    said = "\n".join(words.caveats(results, verdict))
    assert "Every configuration has a diverged seed" not in said
    check((results, verdict), ["Huge"])


def test_nothing_is_left(three, tmp_path):
    for task in TASKS:
        for name in three:
            faults.inject("cut off", task, name)
    with pytest.raises(ResultError, match="nothing of what is named") as caught:
        build_report(TASKS, three, str(tmp_path / "out"))
    for task in TASKS:
        for name in three:
            assert f"  {name} on {task}: cannot read" in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_what_was_never_trained_is_asked_for_by_mistake(three):
    faults.inject("cut off", "T", three[0])
    with pytest.raises(LoptError, match="no archive of Missing on T"):
        analyse(TASKS, [*three, "Missing"])
