"""Baselines and sets of thin archives: as of whole ones, or refused."""

import numpy as np
import pytest

from learned_optimization.baselines import utils
from learned_optimization.baselines.release.thin import thin
from learned_optimization.baselines.speedups.curve import build_curve, ema
from learned_optimization.baselines.speedups.normalizer import Normalizer
from learned_optimization.baselines.speedups.speedup import speedup_of_set
from learned_optimization.errors import LoptError
from tests.baselines.archives import write_archive

SET = "AdamLR_1000_R5"
FINAL = np.asarray([[0.5] * 5, [0.3] * 5, [0.8] * 5])


def thinned(hparam_set: str, all_evaluations: bool = False) -> None:
    """Put a thin archive in the place of a whole one."""
    whole = utils.load_archive("T", hparam_set)
    utils.write_archive("T", hparam_set, thin(whole, all_evaluations))


def test_a_baseline_with_all_evaluations_is_that_of_the_whole_archive():
    write_archive("T", SET, FINAL, noise=0.02)
    whole = build_curve("T", [SET], 512)
    thinned(SET, all_evaluations=True)
    got = build_curve("T", [SET], 512)
    np.testing.assert_array_equal(got.steps, whole.steps)
    np.testing.assert_allclose(got.losses, whole.losses, rtol=2**-8)
    assert (got.losses != whole.losses).any()
    assert got.band is not None


def test_a_baseline_without_them_is_refused():
    write_archive("T", SET, FINAL)
    thinned(SET)
    with pytest.raises(LoptError, match="is thin: it has 25 of 101 evaluations"):
        build_curve("T", [SET], 512)


def test_a_thin_set_is_nearly_as_fast_as_the_whole_one():
    write_archive("T", SET, FINAL)
    normalizer = Normalizer("T", build_curve("T", [SET], 512), "zero")
    write_archive("T", "Other_1000_R5", FINAL + 0.02, decay=0.08)
    whole = speedup_of_set(normalizer, "Other_1000_R5")
    thinned("Other_1000_R5")
    got = speedup_of_set(normalizer, "Other_1000_R5")
    kept = np.searchsorted(whole.xs, got.xs)
    assert len(got.xs) == 24
    np.testing.assert_allclose(got.steps, whole.steps[kept], rtol=0.06)


def test_an_average_over_thin_evaluations_is_over_those_between_too():
    """By hand: 4, 2, then 1.5 and 1 between, and 0.5, the last."""
    got = ema(np.asarray([4.0, 2.0, 0.5]), 0.9, gaps=np.asarray([1, 3]))
    average = 4.0
    for loss in (2.0, 1.5, 1.0, 0.5):
        average = 0.9 * average + 0.1 * loss
    np.testing.assert_allclose(got, [4.0, 0.9 * 4.0 + 0.1 * 2.0, average])
