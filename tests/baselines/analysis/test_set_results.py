"""What an archive says of a set, against numbers worked out by hand."""

import numpy as np
import pytest

from learned_optimization.baselines import utils
from learned_optimization.baselines.analysis.set_results import load_set_result
from learned_optimization.errors import ResultError, UnknownNameError
from tests.baselines.archives import FACTS, SPLITS, curves_to, write_archive

NAN = np.nan
SELECT = np.asarray([[3.0, 1.0, 3.0], [2.0, 2.0, 2.0], [9.0, 9.0, NAN]])
TEST = np.asarray([[0.7, 0.8, 0.6], [0.5, 0.9, 0.7], [0.1, 0.1, 0.1]])


@pytest.fixture
def result():
    write_archive(
        "T", "S", TEST, changes={"outer_valid": SELECT}, seeds=[0, 1, 2], facts=FACTS
    )
    return load_set_result("T", "S")


def test_best_and_nested(result):
    # Means of outer_valid are 7/3, 2 and diverged: the second is best.
    assert result.best.opt_name == "Opt_lr0.1"
    assert not result.best.at_edge
    assert (result.best.num_diverged, result.best.num_trials) == (1, 9)
    # Without seed 0 the others' means are 2 and 2 (the first one wins ties), without
    # 1 they are 3 and 2, without 2 they are 2 and 2; the third has diverged at times.
    np.testing.assert_allclose(result.nested.report, [0.7, 0.9, 0.6])
    assert result.nested.naive == pytest.approx(0.7)
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
    assert 0.7 < result.lowest() < 0.72
    assert np.isfinite(result.steps_to(result.lowest())).sum() == 2
    assert np.isinf(result.steps_to(0.0)).all()
    steps = result.steps_to(1.0)
    raw = curves_to(TEST)[1]
    first = np.asarray([10 * np.flatnonzero(curve <= 1.0)[0] for curve in raw])
    assert (steps > first).all()
    assert (steps < 1000).all()


def test_diverged_in_smoothing_never_arrives():
    write_archive("T", "S", [[NAN, NAN]])
    result = load_set_result("T", "S")
    assert result.best.all_diverged
    assert np.isinf(result.steps_to(1.0)).all()
    assert np.isinf(result.nested.report).all()
    assert result.seeds is None
    assert result.sensitivity is None
    assert np.isnan(result.seconds_per_step)
    assert dict(result.facts) == {}


def test_overflow_before_training_does_not_end_a_run():
    losses = curves_to([[0.5, 0.6]])
    losses[0, :, 0] = np.inf
    write_archive("T", "S", [[0.5, 0.6]])
    want = load_set_result("T", "S").steps_to(1.0)
    arrays = dict(utils.load_archive("T", "S"))
    arrays |= {f"eval/{split}/loss": losses for split in SPLITS}
    got = load_set_result("T", "S", arrays=arrays).steps_to(1.0)
    # Without the first loss, the running mean is a little lower.
    assert (got <= want).all()
    assert (got > 0.5 * want).all()


def test_refusals(result):
    with pytest.raises(UnknownNameError, match="outer_valid"):
        load_set_result("T", "S", select="outer_vald")
    with pytest.raises(ResultError, match="no archive of R on T"):
        load_set_result("T", "R")
    arrays = {"eval/xs": np.zeros((1, 1, 3))}
    with pytest.raises(ResultError, match="lacks opt_name, eval/train/loss"):
        load_set_result("T", "S", arrays=arrays)
