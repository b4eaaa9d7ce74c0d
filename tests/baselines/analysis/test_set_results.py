"""What an archive says of a set, against numbers worked out by hand."""

import numpy as np
import pytest

from learned_optimization.baselines import utils
from learned_optimization.baselines.analysis.losses import (
    chosen,
    num_diverged,
    reported,
)
from learned_optimization.baselines.analysis.set_results import (
    comparable,
    load_set_result,
)
from learned_optimization.baselines.analysis.times import lowest, smoothed, times_to
from learned_optimization.errors import ResultError, UnknownNameError
from tests.baselines.archives import FACTS, SPLITS, curves_to, write_archive

NAN = np.nan
SELECT = np.asarray([[3.0, 1.0, 3.0], [2.0, 2.0, 2.0], [9.0, 9.0, NAN]])
TEST = np.asarray([[0.7, 0.8, 0.6], [0.5, 0.9, 0.7], [0.1, 0.1, 0.1]])

BEFORE = {"outer_valid": 2.0, "test": 2.0}
UNKNOWN = {"outer_valid": np.inf, "test": np.inf}


@pytest.fixture
def result():
    write_archive(
        "T", "S", TEST, changes={"outer_valid": SELECT}, seeds=[0, 1, 2], facts=FACTS
    )
    return load_set_result("T", "S")


def test_best_and_reported(result):
    # Means of outer_valid are 7/3, 2 and diverged: the second is best.
    assert result.best.opt_name == "Opt_lr0.1"
    assert not result.best.at_edge
    assert (result.best.num_diverged, result.best.num_trials) == (1, 9)
    # Clipped at 2, seed 0 shows 2, 2 and 2 (the first wins ties); with seed 1 it is 3,
    # 4 and 4.
    np.testing.assert_allclose(reported(result, BEFORE), [0.8, 0.6])
    # With seed 2 it is 5, 6 and 6.
    assert chosen(result, BEFORE) == 0
    # Its outer_valid loss is above that before training at two seeds.
    assert num_diverged(result, BEFORE) == 2
    # With no ceiling, nothing is clipped, and what diverged once is never chosen: seed
    # 0 shows 3 and 2, with seed 1 it is 4 and 4.
    np.testing.assert_allclose(reported(result, UNKNOWN), [0.9, 0.6])
    # Without seed 0 the others' means are 2 and 2 (the first one wins ties), without
    # 1 they are 3 and 2, without 2 they are 2 and 2; the third has diverged at times.
    nested = np.mean([0.7, 0.9, 0.6])
    assert result.bias == pytest.approx(nested - 0.7)
    np.testing.assert_allclose(result.final, TEST)
    assert result.initial_loss == pytest.approx(2.0)
    assert result.num_seeds == 3
    assert result.num_steps == 1000


def test_tuning_and_sensitivity(result):
    # Of one drawn at random: the mean of all. Of all three: the best.
    means = TEST.mean(axis=1)
    np.testing.assert_allclose(result.tuning.expected[[0, 2]], [means.mean(), 0.7])
    np.testing.assert_array_equal(result.learning_rates, [0.01, 0.1, 1.0])
    # The lowest test loss is 0.1 at the largest rate: alone within 5%.
    assert result.sensitivity.best == 1.0
    assert result.sensitivity.at_edge


def test_times(result):
    assert result.seconds_per_step == pytest.approx(2.002 / 1001)
    # The running mean lags behind a curve that falls: the seeds of the best end at
    # 0.5, 0.9 and 0.7, and their means a bit above.
    assert 0.7 < lowest(result) < 0.72
    assert np.isinf(times_to(result, 0.0).steps).all()
    assert times_to(result, 0.0).censored == 1.0
    # The seeds after the first, in order: of what those before choose.
    times = times_to(result, 1.0)
    assert times.places.tolist() == [1, 2]
    raw = curves_to(TEST)[:, 1:]
    first = np.asarray(
        [[10 * np.flatnonzero(curve <= 1.0)[0] for curve in seeds] for seeds in raw]
    )
    assert (times.steps > first.min(axis=0)).all()
    assert (times.steps < 1000).all()


def test_final_losses_are_over_whole_splits_where_all_sets_have_them(result):
    whole = TEST + 0.01
    arrays = dict(utils.load_archive("T", "S"))
    arrays |= {f"final/{split}/loss": whole for split in SPLITS}
    utils.write_archive("T", "Whole", arrays)
    full = load_set_result("T", "Whole")
    assert full.is_of_whole
    assert not result.is_of_whole
    np.testing.assert_allclose(full.final, whole)
    assert comparable([full, full])[0] is full
    [other, same] = comparable([full, result])
    # One that was made so before makes all others so.
    assert [r.is_of_whole for r in comparable([other, full])] == [False, False]
    assert same is result
    assert not other.is_of_whole
    np.testing.assert_allclose(other.final, TEST)
    np.testing.assert_allclose(other.tuning.expected, result.tuning.expected)


def test_diverged_in_smoothing_never_arrives():
    write_archive("T", "S", [[NAN, NAN]])
    result = load_set_result("T", "S")
    assert result.best.all_diverged
    assert np.isinf(times_to(result, 1.0).steps).all()
    assert np.isinf(reported(result, UNKNOWN)).all()
    np.testing.assert_allclose(reported(result, BEFORE), [2.0])
    assert result.seeds is None
    assert result.sensitivity is None
    assert np.isnan(result.seconds_per_step)
    assert dict(result.facts) == {}


def test_overflow_before_training_does_not_end_a_run():
    losses = curves_to([[0.5, 0.6]])
    losses[0, :, 0] = np.inf
    write_archive("T", "S", [[0.5, 0.6]])
    want = times_to(load_set_result("T", "S"), 1.0).steps
    arrays = dict(utils.load_archive("T", "S"))
    arrays |= {f"eval/{split}/loss": losses for split in SPLITS}
    got = times_to(load_set_result("T", "S", arrays=arrays), 1.0).steps
    # Without the first loss, the running mean is a little lower.
    assert (got <= want).all()
    assert (got > 0.5 * want).all()


def test_smoothing_of_curves_that_diverge_or_begin_late():
    inf = np.inf
    losses = np.asarray([[[1.0, 0.5, NAN, 0.1], [inf, 1.0, 0.5, 0.25]]])
    got = smoothed(losses, np.arange(0, 40, 10))
    second = (0.09 * 1.0 + 0.1 * 0.5) / 0.19
    third = (0.9 * 0.19 * second + 0.1 * 0.25) / (0.9 * 0.19 + 0.1)
    want = [[1.0, second, inf, inf], [inf, 1.0, second, third]]
    np.testing.assert_allclose(got[0], want)


def test_an_average_over_thin_evaluations_reaches_as_far_back():
    """Those between are interpolated, and the average is over all of them, by hand."""
    losses = np.asarray([[[4.0, 2.0, 0.5], [4.0, 2.0, NAN]]])
    got = smoothed(losses, np.asarray([0, 10, 40]))
    total, means = 0.0, []
    for i, loss in enumerate([4.0, 2.0, 1.5, 1.0, 0.5], start=1):
        total = 0.9 * total + 0.1 * loss
        means.append(total / (1 - 0.9**i))
    np.testing.assert_allclose(got[0, 0], [means[0], means[1], means[4]])
    np.testing.assert_allclose(got[0, 1], [means[0], means[1], np.inf])


@pytest.mark.parametrize("seeds", [[[0, 1], [0, 2]], [[3, 3], [3, 3]], None])
def test_seeds_that_are_not_one_list_are_unknown(seeds):
    ends = [[0.5, 0.6], [0.7, 0.8]]
    write_archive("T", "S", ends, facts={} if seeds is None else {"seed": seeds})
    assert load_set_result("T", "S").seeds is None


def test_refusals(result):
    with pytest.raises(UnknownNameError, match="outer_valid"):
        load_set_result("T", "S", select="outer_vald")
    with pytest.raises(ResultError, match="no archive of R on T"):
        load_set_result("T", "R")
    arrays = {"eval/xs": np.zeros((1, 1, 3))}
    with pytest.raises(ResultError, match="lacks opt_name, eval/train/loss"):
        load_set_result("T", "S", arrays=arrays)
